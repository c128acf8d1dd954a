"""Terms that float64 cannot evaluate though the point is a good one: they are evaluated to many digits, and are right."""

from collections.abc import Sequence

import mpmath
import numpy as np
import pytest
import sympy as sp
from regular_points import regular_place
from theorem_literal import literal_landscape

from symbolic_sgd import GradientNoise, Problem, derive_limiting_sde
from symbolic_sgd.numeric.guard import is_delicate, least_curvature

X = sp.symbols("x1:5", real=True)
DENSE = GradientNoise(sp.Matrix([1 + X[0], X[2], X[1], 2]))

NOTHING = 1e-40
"""What differences with 40 digits leave of 0."""

Case = tuple[Problem, Sequence[sp.Expr], Sequence]
"""A problem, equations of Γ, and a place near it."""


def _bent() -> Case:
    """Two sheets 10⁻¹² apart. A rounded point is on Γ to all digits, and H there is another: H† was off by 10⁻⁵."""
    f = -4 * 10**12 * X[0] * X[2] + 15 * 10**11 * X[1] ** 2 + sp.Rational(14, 3)
    start = tuple(sp.Rational(n, 10**4) for n in (42800, 3840, 129, 6500))
    return Problem(loss=f**2 * (f + 4) ** 2 / 2, parameters=X, noise=DENSE), [f + 4], start


def _expanded() -> Case:
    """½(f ± 1)² written out. σ = ±∇f is what is left where terms of size f∇f cancel: the tangent noise, 0, was 10¹⁰."""
    f = sp.exp(20 * X[0]) - sp.exp(20 * X[1]) + 10 * X[0] * X[2] * X[3]
    losses = [sp.expand((f + sign) ** 2 / 2) for sign in (1, -1)]
    return Problem.from_sample_losses(losses, parameters=X), [f], (2, 2, 1, 1)


def _cubed() -> Case:
    """Without a frame, e_3(H) = λ₁λ₂λ₃ is left of terms up to λ₁³: with λ₁/λ₃ = 10⁷, ∂Φ was off by 10⁻⁵."""
    f, g = X[0] * X[1] - X[2], X[0] ** 2 - X[3]
    h = 100 * (X[0] * X[1] * X[3] - X[2] * X[0] ** 2 + sp.sin(X[1]) - sp.sin(sp.Rational(1, 2)))
    problem = Problem(loss=f**2 / 2 + g**2 / 2 + h**2 / 2 + f * g / 3, parameters=X, noise=DENSE)
    return problem, [f, g, h], tuple(sp.Rational(n, 4) for n in (6, 2, 3, 9))


@pytest.mark.parametrize("case", [_bent, _expanded, _cubed])
def test_what_float64_loses_is_computed_with_many_digits(case) -> None:
    problem, equations, start = case()
    functions = derive_limiting_sde(problem).lambdify()
    place = regular_place(problem.loss, X, equations, start)
    terms = literal_landscape(problem.loss, X, place.point, place.codimension, 40).terms(problem.noise_factor)
    for name in ("tangent_projection", "hessian_pinv", "tangent_noise"):
        value, true = np.ravel(functions.term(name, place.floats)).tolist(), getattr(terms, name)
        size = max(map(abs, true))
        size = size if size > NOTHING else 1
        assert max(abs(mpmath.mpf(a) - b) for a, b in zip(value, true, strict=True)) < 1e-8 * size, name


def test_usual_derivations_stay_in_float64() -> None:
    problem = Problem(loss=(X[0] * X[1] - 1) ** 2 / 2 + (X[2] - X[3] ** 2) ** 2 / 2, parameters=X, noise=DENSE)
    derivation = derive_limiting_sde(problem).derivation
    assert not is_delicate(derivation)
    assert least_curvature(derivation) == pytest.approx(1e-8)
