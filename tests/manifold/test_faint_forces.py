"""Valleys in which something pushes that no digits show: they are no manifolds of minimizers, and some look like it."""

import numpy as np
import pytest
import sympy as sp
from theorem_literal import literal_terms

from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde
from symbolic_sgd.errors import NoMinimum

u, v = sp.symbols("u v", real=True)

TO_INFINITY = {
    "an exponential": (v**2 + sp.exp(-(10**8) * u), {u: 1, v: 0}),
    "an exponential, from anywhere": (v**2 + sp.exp(-(10**8) * u), None),
    "a hyperbolic tangent": (v**2 + 1 - sp.tanh(10**6 * u), {u: 1, v: 0}),
    "softplus": (v**2 + sp.log(1 + sp.exp(-(10**5) * u)), {u: 1, v: 0}),
    "the error function": (v**2 + sp.erf(10**4 * u), {u: -1, v: 0}),
    "along the hyperbola": ((u * v - 1) ** 2 / 2 + sp.exp(-(10**8) * u**2), {u: 1, v: 1}),
    "along the hyperbola, beside rounding": (
        (u * v - 1) ** 2 / 2 + sp.exp(-(10**8) * u**2),
        {u: sp.Rational(13, 10), v: 1},
    ),
    "along a circle, beside rounding": (
        (u**2 + v**2 - 2) ** 2 + sp.exp(-(10**6) * (u + 2 * v)),
        {u: 1, v: sp.Rational(7, 5)},
    ),
    "beside numbers of order one": (
        sp.expand((v - 1 - sp.exp(-(10**8) * u)) ** 2 / 2 + v**2 / 2),
        {u: 1, v: sp.Rational(1, 2)},
    ),
}
"""Losses and near=: each has its infimum at infinity, and was called a manifold, or degenerate."""


@pytest.mark.parametrize("name", TO_INFINITY)
def test_a_minimum_at_infinity_is_said_to_be_that(name):
    loss, near = TO_INFINITY[name]
    with pytest.raises(NoMinimum, match="below all digits"):
        derive_limiting_sde(Problem(loss=loss, parameters=(u, v), noise=IsotropicNoise(1), near=near))


CURVED = {
    "a graph": ((v - sp.exp(-(10**8) * u)) ** 2 / 2, [1, 0], 1),
    "a graph, expanded": (sp.expand((v - sp.exp(-(10**4) * u)) ** 2 / 2), [1, 0], 1),
    "a curvature": (v**2 * (1 + sp.exp(-(10**8) * u)), [1, 0], 1),
    "a hyperbola": ((u * v - 1 - sp.exp(-(10**8) * u**2)) ** 2 / 2, [2, sp.Rational(1, 2)], 1),
    "a hyperbolic tangent": ((v - sp.tanh(10**4 * u)) ** 2 / 2, [1, 1], 1),
}
"""Losses with minimizers, and a point that is one but for a number below all digits."""


@pytest.mark.parametrize("name", CURVED)
def test_what_is_faint_and_does_not_push_is_left_alone(name):
    loss, point, codimension = CURVED[name]
    near = dict(zip((u, v), point, strict=True))
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(u, v), noise=IsotropicNoise(1), near=near))
    seen = loss.replace(sp.exp, lambda a: sp.Integer(0)).replace(sp.tanh, lambda a: sp.Integer(1))
    truth = literal_terms(seen, (u, v), sp.eye(2), point, codimension)
    ours = sde.lambdify().drift([float(a) for a in point])
    np.testing.assert_allclose(ours, [float(a) for a in truth.drift], rtol=1e-9, atol=1e-12)
