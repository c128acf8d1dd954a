"""M residuals may vanish beside Γ, where their gradients are dependent: nothing is claimed there."""

import pytest
import sympy as sp
from theorem_literal import literal_terms

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.rational.ideals import are_in_ideal

u, v, w, k = sp.symbols("u v w k")


@pytest.mark.parametrize("noise", [IsotropicNoise(1), LabelNoise(1)])
def test_three_axes(noise):
    """Was: uv = uw = 0 for Γ, which holds a plane, and on all of it the drift of one axis."""
    problem = Problem.least_squares([u * v, u * w, v * w], parameters=(u, v, w), noise=noise)
    sde = derive_limiting_sde(problem)
    assert set(sde.manifold.equations) == set(problem.residuals)
    assert sde.component is not None and sde.valid_where
    for axis in (u, v, w):
        at = {u: 0, v: 0, w: 0, axis: 2}
        if all(condition.subs(at) == True for condition in sde.valid_where):  # noqa: E712
            drift = sde.drift.subs(at)
            literal = literal_terms(problem.loss, (u, v, w), problem.noise_factor, [at[x] for x in (u, v, w)]).drift
            assert max(abs(sp.N(a) - b) for a, b in zip(drift, literal, strict=True)) < 1e-12
            break
    else:
        raise AssertionError("the formulas hold on no axis")


@pytest.mark.parametrize(
    ("functions", "generators", "inside"),
    [
        ([v * w], [u * v, u * w], False),
        ([v * w], [u * v - 1, u * w], True),
        ([v * w - k**2], [u * v - k, u * w - k], False),  # k = 0, u = 0
        ([k * (u * v - 1), u**2 * v - u], [u * v - 1], True),
        ([sp.exp(u) * v - sp.exp(u) * w], [v - w], True),
        ([v * w - 2], [u * v - 2, u * w - sp.sqrt(2), u**2 - sp.sqrt(2)], True),
        ([1 / u], [u - 1], False),  # no polynomial
    ],
)
def test_ideals(functions, generators, inside):
    assert are_in_ideal(functions, generators) is inside
