"""Parameters that are multiples of others on Γ, and what is written with fewer of them."""

import pytest
import sympy as sp

from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde
from symbolic_sgd.theorem.canonical import shared_operations
from symbolic_sgd.theorem.proportional import multiples_on_manifold


def rank_one_targets(rows, columns):
    us, vs = sp.symbols(f"u1:{len(rows) + 1}"), sp.symbols(f"v1:{len(columns) + 1}")
    residuals = [a * b - p * q for a, p in zip(us, rows, strict=True) for b, q in zip(vs, columns, strict=True)]
    return derive_limiting_sde(Problem.least_squares(residuals, parameters=(*us, *vs), noise=IsotropicNoise(1)))


def test_entries_of_the_pseudo_inverse_on_rank_one():
    """Without u₂ = 2u₁, v₂ = 2v₁, v₃ = 3v₁ no rational form is found within the budget, and the formula in F holds 907 operations."""
    sde = rank_one_targets((1, 2), (1, 2, 3))
    derivation = sde.derivation
    u1, u2, v1, v2, v3 = derivation.problem.parameters
    assert multiples_on_manifold(derivation) == {u2: 2 * u1, v2: 2 * v1, v3: 3 * v1}
    assert shared_operations(list(sde.hessian_pinv)) < 100
    at = dict(zip(sde.problem.parameters, (sp.Rational(1, 3), sp.Rational(2, 3), 3, 6, 9), strict=True))
    hessian = sp.hessian(sde.problem.loss, sde.problem.parameters).subs(at)
    assert sde.hessian_pinv.subs(at) == hessian.pinv()


@pytest.mark.parametrize(
    ("rows", "columns", "count"), [((1, sp.sqrt(2)), (1, 3), 1), ((1, 0), (2, -1), 1), ((3, 6, 1), (2, 2), 3)]
)
def test_only_proved_rational_multiples(rows, columns, count):
    """√2 is no rational number, and of u₂ = 0 nothing is said."""
    assert len(multiples_on_manifold(rank_one_targets(rows, columns).derivation)) == count


def test_what_is_a_multiple_at_some_points_only():
    """v² = u², and v = u at every point that was found: on the other part of Γ it is not."""
    u, v, w = sp.symbols("u v w")
    loss = (v**2 - u**2) ** 2 * (1 + v**2) + (w - u) ** 2
    derivation = derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w), noise=IsotropicNoise(1))).derivation
    assert derivation.component is None and all(abs(point[u] - point[v]) < 1e-30 for point in derivation.points)
    assert multiples_on_manifold(derivation) == {w: u}
