"""The compiled test of points: what it accepts, the full examination accepts."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.numeric.acceptance import _by_levels, _greedy, doubt_program
from symbolic_sgd.numeric.guard import check_points

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


BY_LEVELS = {
    "a hyperbola": ([u * v - 1], (u, v)),
    "unlike curvatures": ([u * v - 1, 20 * (w - u**2)], (u, v, w)),
    "dependent residuals": ([u * v - 1, 2 * u * v - 2, w * u - 1], (u, v, w)),
    "a crossing of two lines": ([u * v, w - 1], (u, v, w)),
    "a sphere": ([u**2 + v**2 + w**2 - 1], (u, v, w)),
}


@pytest.mark.parametrize("name", BY_LEVELS)
def test_what_levels_accept_the_full_examination_accepts(name):
    """Points of Γ in float64, beside it at all distances, near the crossing, far out, and not finite; and most of Γ is accepted."""
    residuals, parameters = BY_LEVELS[name]
    problem = Problem.least_squares(residuals, parameters=parameters, noise=IsotropicNoise(1))
    sde = derive_limiting_sde(problem)
    doubt = doubt_program(sde.derivation)
    assert doubt is not None
    rng, given = np.random.default_rng(3), np.array([[float(p[s]) for s in parameters] for p in sde.derivation.points])
    on = settled(problem, np.repeat(given, 60, axis=0) + 0.4 * rng.normal(size=(60 * len(given), len(parameters))))
    lengths = 10.0 ** rng.uniform(-18, 0, (len(on), 1))
    rows = np.concatenate(
        [
            on,
            on + lengths * rng.normal(size=on.shape),
            1e4 * on,
            np.zeros((1, on.shape[1])),
            np.full((1, on.shape[1]), np.inf),
        ]
    )
    with np.errstate(all="ignore"):
        accepted = evaluate(doubt, parameters, rows)["doubt"][:, 0] <= 1
    assert accepted[: len(on)].mean() > 0.5
    for row in rows[accepted]:
        assert not check_points(sde.derivation, row[None])  # nothing is raised, nothing is left to many digits


def settled(problem, rows):
    """Rows on Γ to the last digit, where Newton's steps in float64 end there; the others are left out."""
    slope = [sp.diff(problem.loss, s) for s in problem.parameters]
    gradient = sp.lambdify([problem.parameters], slope, "numpy")
    hessian = sp.lambdify([problem.parameters], sp.hessian(problem.loss, problem.parameters), "numpy")
    found = []
    for x in rows:
        for _ in range(60):
            x = x - np.linalg.pinv(np.array(hessian(x), dtype=float), rcond=1e-6) @ np.array(gradient(x), dtype=float)
        if np.isfinite(x).all() and np.abs(x).max() < 50 and np.abs(gradient(x)).max() < 1e-12:
            found.append(x)
    return np.array(found)


def test_levels_are_not_taken_where_the_loss_is_no_quadratic_form_of_them():
    """(1 + x²)y²: K depends on x; ln(1 + f²): it is a quadratic form on Γ only. M columns of ∇²L are taken, as before."""
    for loss in ((1 + u**2) * v**2 / 2, sp.log(1 + (u * v - 1) ** 2)):
        sde = derive_limiting_sde(Problem(loss=loss, parameters=(u, v), noise=sp.eye(2)))
        graph = Graph()
        parameters = [graph.symbol(s) for s in (u, v)]
        extent = 1 + parameters[0] * parameters[0]
        assert _by_levels(sde.derivation, sde.derivation.guard.on(graph), parameters, extent) is None
        assert doubt_program(sde.derivation) is not None
