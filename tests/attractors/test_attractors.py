"""Fixed points on all of Γ: complete where that is said, and the same by two other roads.

The second road to eigenvalues is the SDE's own drift program, differentiated; that to positions is the limit itself, integrated from
random points of Γ.
"""

from functools import cache

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from symbolic_sgd import (
    SGD,
    IsotropicNoise,
    LabelNoise,
    Preconditioned,
    Problem,
    RMSprop,
    derive_limiting_sde,
    gradient_flow_limit,
    simulate_sgd,
)
from symbolic_sgd.algebra.arithmetic import FLOAT64, Valuation
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.attractors import descent, exact_points, rotations
from symbolic_sgd.errors import BadInput, NotDeterministic, Undecided

u, v, w = sp.symbols("u v w")
U, V = sp.Matrix(2, 2, sp.symbols("u1:5")), sp.Matrix(2, 2, sp.symbols("v1:5"))
a, b = sp.Matrix(sp.symbols("a1:3")), sp.Matrix(sp.symbols("b1:3"))
x = sp.symbols("x1:4")
p, q = sp.symbols("p1:4"), sp.symbols("q1:4")
heads, weights = sp.symbols("a1:4"), sp.symbols("w1:7")
root = sp.sqrt(2)


def olm(rows, values):
    return [
        sum(c * (s**2 - t**2) for c, s, t in zip(r, p, q, strict=True)) - y for r, y in zip(rows, values, strict=True)
    ]


def tanh_net(inputs, labels):
    """Three neurons, two inputs."""
    return [
        sum(heads[k] * sp.tanh(weights[2 * k] * s + weights[2 * k + 1] * t) for k in range(3)) - y
        for (s, t), y in zip(inputs, labels, strict=True)
    ]


PROBLEMS = {
    "hyperbola": ([u * v - 1], (u, v)),
    "uv + w²": ([u * v + w**2 - 2], (u, v, w)),
    "u²v": ([u**2 * v - 1], (u, v)),
    "ellipsoid": ([u**2 + 4 * v**2 + 9 * w**2 - 1], (u, v, w)),
    "node": ([v**2 - u**2 * (u + 1)], (u, v)),
    "cone": ([u**2 + v**2 - w**2], (u, v, w)),
    "OLM": (olm([(1, 2, 0), (0, 1, 1)], (1, 1)), (*p, *q)),
    "rank one": (list(a * b.T - sp.Matrix([[1, 2], [2, 4]])), (*a, *b)),
    "UVᵀ": (list(U * V.T - sp.Matrix([[2, 1], [0, 1]])), (*U, *V)),
    "two quadrics": ([x[0] ** 2 + 2 * x[0] * x[1] + 3 * x[2] ** 2 - 2, x[1] ** 2 - x[0] * x[2] + x[2] ** 2 - 1], x),
    "(u² + v²)w": ([(u**2 + v**2) * w - 1], (u, v, w)),
    "tanh": (tanh_net([(2, 0), (0, 1)], (1, 1)), (*heads, *weights)),
}


@cache
def sde_of(name):
    residuals, parameters = PROBLEMS[name]
    return derive_limiting_sde(Problem.least_squares(residuals, parameters=parameters, noise=LabelNoise(1)))


@cache
def found(name):
    return sde_of(name).attractors(rng=1)


def numbers(point):
    return np.array([float(sp.N(c, 20)) for c in point.point.values()])


# --- the other roads ------------------------------------------------------------------------


def eigenvalues_of_the_drift(sde, point):
    """Of P ∂b P on the tangent space, by differentiating the program of b, in float64; None where it divides by zero there."""
    graph = Graph()
    symbols = sde.problem.parameters
    program = sde.program.on(graph)
    drift, projection = program["drift"], program["tangent_projection"]
    slopes = jacobian(drift.entries, [graph.symbol(s) for s in symbols])
    values = Valuation(FLOAT64, dict(zip(symbols, map(np.float64, numbers(point)), strict=True)))
    with np.errstate(all="ignore"):
        b_ = np.array(values(drift.entries), dtype=float)
        p_ = np.array(values(projection.entries), dtype=float).reshape(len(symbols), -1)
        a_ = np.array(values([e for row in slopes for e in row]), dtype=float).reshape(len(symbols), -1)
    if not (np.isfinite(a_).all() and np.isfinite(p_).all()):
        return None
    assert np.abs(b_).max() < 1e-10 * (1 + np.abs(a_).max())
    axes, sizes, _ = np.linalg.svd(p_)  # P may be oblique
    along = axes[:, sizes > 0.5]
    return np.sort_complex(np.linalg.eigvals(along.T @ a_ @ along))


def ends_of_the_limit(sde, count, time, seed):
    """Where dY = b dt is at a late time, from Φ of random points."""
    rng = np.random.default_rng(seed)
    d = sde.problem.dimension
    starts = gradient_flow_limit(sde.problem)(rng.normal(size=(count, d)) * 1.2)
    # From some points the flow leads to other stationary points.
    loss = sp.lambdify(sde.problem.parameters, sde.problem.loss)
    starts = starts[np.isfinite(starts).all(axis=1) & (loss(*starts.T) < 1e-16)]
    assert len(starts) >= count / 2
    drift = sde.lambdify(check=False).drift
    return [
        solve_ivp(lambda _, y: drift(y), (0, time), y, rtol=1e-10, atol=1e-12, method="LSODA").y[:, -1] for y in starts
    ]


# --- complete, and where --------------------------------------------------------------------


def test_both_minima_and_both_saddles_that_a_chart_does_not_show():
    points = found("uv + w²")
    assert points.complete and all(p.exact for p in points)
    seen = {tuple(p.point.values()): (p.stability, p.eigenvalues, p.regularizer) for p in points}
    half = sp.Rational(1, 2)
    assert seen == {
        (root, root, 0): ("stable", (-1, -1), 1),
        (-root, -root, 0): ("stable", (-1, -1), 1),
        (0, 0, root): ("saddle", (-3 * half, half), 2),
        (0, 0, -root): ("saddle", (-3 * half, half), 2),
    }


def test_the_ends_of_the_axes_of_an_ellipsoid():
    points = found("ellipsoid")
    assert points.complete and len(points) == 6
    kinds = {(sum(c != 0 for c in numbers(p)), int(np.argmax(np.abs(numbers(p)))), p.stability) for p in points}
    assert kinds == {(1, 0, "stable"), (1, 1, "saddle"), (1, 2, "unstable")}


def test_of_the_overparametrised_linear_model_the_sparse_and_all_others():
    points = found("OLM")
    assert points.complete and len(points) == 12 and len(points.stable) == 4
    assert {p.regularizer for p in points} == {1, sp.Rational(3, 2), 3}


def test_a_place_where_the_rank_drops_is_said_and_is_no_fixed_point():
    node = found("node")
    assert node.complete and {u: 0, v: 0} in node.singular and "∇²L has another rank at (u = 0, v = 0)" in node.reason
    # S = ‖∇f‖² is 9u⁴ + 16u³ + 8u² on the curve, with slope 4u(3u + 2)²: at u = −2/3 it does not turn.
    flat = [p for p in node if p.point[u] == sp.Rational(-2, 3)]
    assert len(flat) == 2 and {p.stability for p in flat} == {"undecided"}
    assert [p.stability for p in node if p.point[u] == -1] == ["unstable"]
    cone = found("cone")
    assert cone.complete and not cone and cone.singular == ({u: 0, v: 0, w: 0},)


def test_zero_modes_of_the_orbit_are_subtracted():
    points = found("UVᵀ")
    assert points.complete and {p.stability for p in points} == {"stable"}
    assert all(p.orbit == p.zero_modes == 1 for p in points)
    # R = (1/2n) √(d1 d2)‖M‖_* with n = 4 labels.
    nuclear = np.linalg.svd(np.array([[2.0, 1.0], [0.0, 1.0]]), compute_uv=False).sum()
    for point in points:
        assert abs(float(point.regularizer) - nuclear / 4) < 1e-12
    circle = found("(u² + v²)w")
    assert circle.complete and [(p.orbit, p.stability) for p in circle] == [(1, "stable")]


def test_a_curve_of_fixed_points_that_no_rotation_explains():
    """A parameter that nothing depends on: lines of fixed points, which are said as equations, and undecided."""
    problem = Problem.least_squares([u * v - 1], parameters=(u, v, w), noise=LabelNoise(1))
    points = derive_limiting_sde(problem).attractors()
    assert not points.complete and set(points.continua) == {(u + 1, v + 1), (u - 1, v - 1)}
    assert sorted(float(p.point[u]) for p in points) == [-1, 1] and {p.stability for p in points} == {"undecided"}
    assert {(p.zero_modes, p.orbit) for p in points} == {(1, 0)} and "curve of fixed points" in points.reason


def test_dependent_gradients():
    points = found("rank one")
    assert points.complete and [p.stability for p in points] == ["stable", "stable"]
    assert all(abs(float(p.regularizer) - 5 / 4) < 1e-14 for p in points)


def test_algebraic_numbers_of_high_degree():
    points = found("two quadrics")
    assert points.complete and len(points) == 8
    f = sp.Matrix(PROBLEMS["two quadrics"][0])
    for point in points:
        at = {s: sp.N(c, 60) for s, c in point.point.items()}
        slopes = f.jacobian(x).xreplace(at)
        r = sum(e**2 for e in f.jacobian(x))
        gradient = sp.Matrix([sp.diff(r, s) for s in x]).xreplace(at)
        assert max(abs(e) for e in f.xreplace(at)) < 1e-50
        assert abs(slopes.col_join(gradient.T).det()) < 1e-45 * (1 + slopes.norm() ** 2 * gradient.norm())


def test_several_attractors_of_a_tanh_net_are_found_by_search():
    points = found("tanh")
    assert not points.complete and "may have missed some" in points.reason and not any(p.exact for p in points)
    assert len(points.stable) > 1


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_eigenvalues_are_those_of_the_drift(name):
    sde, looked_at = sde_of(name), 0
    for point in found(name):
        direct = eigenvalues_of_the_drift(sde, point)
        if direct is None:
            continue
        looked_at += 1
        mine = np.sort_complex(np.array([complex(sp.N(e, 20)) for e in point.eigenvalues]))
        np.testing.assert_allclose(mine, direct, atol=1e-7 * (1 + np.abs(direct).max()))
    assert looked_at == len(found(name))


@pytest.mark.parametrize("name", ["hyperbola", "uv + w²", "u²v", "OLM", "UVᵀ", "two quadrics", "rank one"])
def test_the_limit_from_random_points_ends_at_those_that_attract(name):
    sde, points = sde_of(name), found(name)
    turns = rotations.rotations(descent.descent_of(sde.derivation, lambda: sde.regularizer_evidence))
    for end in ends_of_the_limit(sde, 6, 60.0, seed=3):
        assert any(
            np.abs(end - numbers(p)).max() < 1e-6 or (turns.generators and turns.joins(end, numbers(p)))
            for p in points.stable
        ), end


def test_the_limit_of_a_tanh_net_ends_as_high_as_an_attractor():
    """Neurons can be exchanged, and turned round: an end may be the image of one that was found."""
    sde, points = sde_of("tanh"), found("tanh")
    height = sp.lambdify(sde.problem.parameters, sde.regularizer)
    heights = [float(p.regularizer) for p in points.stable]
    ends = ends_of_the_limit(sde, 6, 400.0, seed=5)
    settled = [end for end in ends if np.abs(sde.lambdify(check=False).drift(end)).max() < 1e-8]
    assert len(settled) > 1
    assert all(min(abs(float(height(*end)) - h) for h in heights) < 1e-9 for end in settled)


# --- drifts that descend no regularizer -----------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [Preconditioned(sp.diag(1, 2, 3)), SGD(weight_decay=sp.Rational(1, 2))], ids=["metric", "decay"]
)
def test_zeros_of_a_drift(optimizer):
    residuals, parameters = PROBLEMS["uv + w²"]
    problem = Problem.least_squares(residuals, parameters=parameters, noise=LabelNoise(1))
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    points = sde.attractors()
    assert points.complete and len(points) == 4 and points[0].regularizer is None
    for point in points:
        mine = np.sort_complex(np.array([complex(sp.N(e, 20)) for e in point.eigenvalues]))
        direct = eigenvalues_of_the_drift(sde, point)
        np.testing.assert_allclose(mine, direct, atol=1e-8 * (1 + np.abs(direct).max()))
    for end in ends_of_the_limit(sde, 4, 40.0, seed=4):
        assert any(np.abs(end - numbers(p)).max() < 1e-6 for p in points.stable)


def test_slow_second_moments_rest_where_the_parameters_do():
    residuals, parameters = PROBLEMS["hyperbola"]
    problem = Problem.least_squares(residuals, parameters=parameters, noise=LabelNoise(1))
    points = derive_limiting_sde(problem, optimizer=RMSprop(second_moment_rate=1)).attractors()
    assert {tuple(np.round(numbers(p), 12)) for p in points} == {(1, 1, 1, 1), (-1, -1, 1, 1)}
    assert not points.complete and len(points.stable) == 2


# --- the domain, and the edge of stability --------------------------------------------------


def test_only_what_is_in_the_domain():
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1), domain=[u > 0])
    assert [tuple(p.point.values()) for p in derive_limiting_sde(problem).attractors()] == [(1, 1)]
    beyond = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1), domain=[u > 2])
    nothing = derive_limiting_sde(beyond).attractors()
    assert nothing.complete and not len(nothing) and "there is no fixed point" in nothing.reason
    # A fixed point on the boundary of the domain is none of it.
    boundary = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1), domain=[u > 1])
    assert not len(derive_limiting_sde(boundary).attractors())


def test_a_search_and_an_elimination_agree(monkeypatch):
    """With elimination forbidden, Newton's method finds the same four."""
    monkeypatch.setattr(exact_points, "MOST_UNKNOWNS", 0)
    residuals, parameters = PROBLEMS["uv + w²"]
    sde = derive_limiting_sde(Problem.least_squares(residuals, parameters=parameters, noise=LabelNoise(1)))
    searched = sde.attractors(starts=24, rng=7)
    assert not searched.complete and "too many for elimination" in searched.reason
    exact = found("uv + w²")
    places = lambda points: sorted(tuple(np.round(numbers(p), 12) + 0.0) for p in points)  # noqa: E731
    assert places(searched) == places(exact)
    assert [p.stability for p in searched] == [p.stability for p in exact]


# --- SGD itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uv + w²", "OLM"])
def test_sgd_ends_beside_attractors(name):
    """At t = 8 what the limit would still have to go is e^{−8}; the width of the noise, √η, is left."""
    sde, points = sde_of(name), found(name)
    start = gradient_flow_limit(sde.problem)(np.array([1.3, 0.7, 0.4, 0.3, 0.2, 0.5][: sde.problem.dimension]))
    rate, replicas = 0.03, 64
    run = simulate_sgd(sde.problem, start, learning_rate=rate, steps=int(8 / rate**2), replicas=replicas, rng=11)
    places = np.array([numbers(p) for p in points.stable])
    distance = np.linalg.norm(run.final[:, None, :] - places[None], axis=2).min(axis=1)
    others = np.array([numbers(p) for p in points if p.stability != "stable"])
    apart = np.linalg.norm(run.final[:, None, :] - others[None], axis=2).min(axis=1)
    assert np.median(distance) < 0.25 and (distance < apart).all()


# --- refusals, words, displays --------------------------------------------------------------


def test_what_is_refused():
    problem = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1))
    with pytest.raises(NotDeterministic, match="the noise has a part along Γ"):
        derive_limiting_sde(problem).attractors()
    s = sp.Symbol("s", positive=True)
    constant = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(s), constants=(s,))
    with pytest.raises(BadInput, match=r"symbolic constants \(s\)"):
        derive_limiting_sde(constant).attractors()
    still = Problem.least_squares([(u + v) ** 2 - 1], parameters=(u, v), noise=LabelNoise(1))
    with pytest.raises(Undecided, match="every point is fixed"):
        derive_limiting_sde(still).attractors()
    with pytest.raises(BadInput, match="starts is 0"):
        sde_of("hyperbola").attractors(starts=0)


def test_a_problem_with_too_many_parameters_says_so():
    many, few = sp.symbols("u1:61"), sp.symbols("v1:61")
    rows = [[(3 * i + 5 * j) % 7 - 3 for j in range(60)] for i in range(4)]
    residuals = [sum(c * s * t for c, s, t in zip(r, many, few, strict=True)) - 1 for r in rows]
    sde = derive_limiting_sde(Problem.least_squares(residuals, parameters=(*many, *few), noise=LabelNoise(1)))
    with pytest.raises(BadInput, match="120 parameters"):
        sde.attractors()


def test_how_they_are_shown():
    points = found("uv + w²")
    assert repr(points) == "Attractors(4 fixed points, 2 of them stable; complete)"
    assert str(points).splitlines()[2] == "u = 0, v = 0, w = -sqrt(2): saddle, R = 2, eigenvalues -3/2, 1/2"
    html = points._repr_html_()
    assert html.count("<tr>") == 5 and "saddle" in html and "complete" not in points[0]._repr_html_()
