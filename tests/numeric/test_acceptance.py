"""The compiled test of points: what it accepts, the full examination accepts."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import Problem, derive_limiting_sde
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.numeric.acceptance import _greedy, doubt_program

R = sp.Rational
u, v, w, z = PARAMETERS = sp.symbols("u v w z", real=True)


@pytest.mark.parametrize("distance", [1e-5, 1e-7, 1e-9, 1e-12, 1e-15])
def test_near_a_crossing_of_components_nothing_is_accepted_by_rounding(distance):
    """a = 0 and bc = 0, expanded: where b = c = 0 the rank is 1, and the second pivot of NᵀN was rounding, from which a
    third of these points were accepted, with drifts of 10²⁰."""
    a = 3 * u + R(7, 5) * v - R(11, 3) * w + R(13, 7) * z - 1
    b = R(5, 3) * u - R(2, 7) * v + R(9, 11) * w + z / 3
    c = u / 7 + R(3, 13) * v + R(17, 19) * w - R(5, 11) * z
    loss = sp.expand((a**2 + (b * c) ** 2) / 2)
    sde = derive_limiting_sde(Problem(loss=loss, parameters=PARAMETERS, noise=sp.eye(4)))
    slopes = np.array([[float(sp.diff(e, s)) for s in PARAMETERS] for e in (a, b, c)])
    axes = np.linalg.svd(slopes)[2]
    crossing = np.linalg.lstsq(slopes, [1.0, 0.0, 0.0], rcond=None)[0]
    rng = np.random.default_rng(0)
    tangent = np.linalg.svd(slopes[:1])[2][1:]
    rows = crossing + distance * rng.normal(size=(2000, 3)) @ tangent + rng.normal(size=(2000, 1)) * axes[3]
    doubt = doubt_program(sde.derivation)
    assert doubt is not None
    accepted = evaluate(doubt, sde.problem.symbols, rows)["doubt"][:, 0] <= 1
    hessians = evaluate(sde.derivation.guard.select("hessian"), sde.problem.symbols, rows[accepted])["hessian"]
    curvature = np.linalg.eigvalsh(hessians.reshape(-1, 4, 4))
    assert (curvature[:, -2] > 1e-7 * curvature[:, -1]).all()


def test_well_inside_a_component_points_are_accepted_at_once():
    sde = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2 + (w - u) ** 2, parameters=(u, v, w), noise=sp.eye(3)))
    doubt = doubt_program(sde.derivation)
    assert doubt is not None
    first = np.random.default_rng(1).uniform(0.2, 5.0, 100)
    rows = np.stack([first, 1 / first, first], axis=1)
    assert (evaluate(doubt, sde.problem.symbols, rows)["doubt"] <= 1).all()


def test_pivots_that_float64_does_not_see_are_left_to_many_digits():
    """Was: the same pivot twice, and ZeroDivisionError while the callables were made (tan(10¹⁵(…))² beside curvatures of 1)."""
    steep = np.array([[1e30, 1e30, 0.0], [1e30, 1e30, 0.0], [0.0, 0.0, 0.0]])
    assert _greedy(steep, 2) == (0,)
    x, y = sp.symbols("x y")
    scale = 10**9
    loss = scale**2 * (x + y - 1) ** 2 / 2 + (x - z - 1) ** 2 / (2 * scale**2)
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(x, y, z), noise=sp.Matrix([[1, z], [0, 1], [y, 1]])))
    slope = np.array([[1.0, 1, 0], [1, 0, -1]]).T
    projection = np.eye(3) - slope @ np.linalg.pinv(slope)
    noise = np.array([[1.0, 2], [0, 1], [-2, 1]])
    np.testing.assert_allclose(sde.lambdify().diffusion([3.0, -2, 2]), projection @ noise, atol=1e-12)
