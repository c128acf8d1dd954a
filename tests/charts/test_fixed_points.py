"""Fixed points of limits without noise: all of those in the chart, in words what is not known, and where the others are.

The second road is Lagrange's: with label noise R = ¼ tr ∇²L, and on Γ = {g = 0} a fixed point is where ∇R is a combination of
the ∇g_i; its stability is that of the Hessian of R + λᵀg on the tangent space.
"""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.charts.rest_points import rest_points
from symbolic_sgd.documents.consequences import chart as chart_section
from symbolic_sgd.documents.findings import Findings
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BadInput
from symbolic_sgd.theorem.terms import TERMS

u, v, w, theta = sp.symbols("u v w theta")
s = sp.Symbol("s", positive=True)


def with_label_noise(residuals, parameters, **further):
    noise = LabelNoise(further.pop("amplitude", 1))
    return derive_limiting_sde(Problem.least_squares(residuals, parameters=parameters, noise=noise, **further))


def lagrange(sde, point):
    """(|g| + |∇R + λᵀ∇g|, the eigenvalues of the Hessian of R + λᵀg along Γ), R = ¼ tr ∇²L for L = Σ r²/2n, in float64."""
    parameters, residuals = sde.problem.parameters, sp.Matrix(sde.problem.residuals)
    n, place = len(residuals), dict(zip(parameters, point, strict=True))
    number = lambda m: np.array(sp.N(m.xreplace(place), 30).tolist(), dtype=float)  # noqa: E731
    slopes = residuals.jacobian(parameters)
    r = sum(e**2 for e in slopes) / (4 * n)
    gradient, across = number(sp.Matrix([sp.diff(r, x) for x in parameters])), number(slopes).T
    multipliers = -np.linalg.lstsq(across, gradient, rcond=None)[0]
    bend = number(sp.hessian(r, parameters)) + sum(
        float(m) * number(sp.hessian(g, parameters)) for m, g in zip(multipliers[:, 0], residuals, strict=True)
    )
    _, sizes, axes = np.linalg.svd(across.T)
    along = axes[np.sum(sizes > 1e-9 * sizes[0]) :].T
    off = np.abs(number(residuals)).max() + np.abs(gradient + across @ multipliers).max()
    return off, np.linalg.eigvalsh(along.T @ bend @ along)


def check(sde, points):
    """Every point is on Γ and critical for R, and what is said of its stability follows from R's second derivative."""
    for p in points:
        off, bend = lagrange(sde, p.ambient)
        assert off < 1e-12, p
        slopes = sorted(-float(sp.re(e)) for e in p.eigenvalues)
        np.testing.assert_allclose(slopes, bend, atol=1e-9 * max(1, *np.abs(bend)))
        flat = np.abs(bend).min() < 1e-9
        assert p.stability == ("undecided" if flat else "stable" if bend[0] > 0 else "unstable")


def places(points):
    return sorted(tuple(round(float(c), 9) for c in p.ambient) for p in points)


# --- every point is in the chart's interval, or said to be elsewhere ------------------------


def test_points_outside_the_interval_are_not_listed_as_the_charts():
    """u²v = 1 over u: −2^(1/6) was listed, outside the chart's interval (0, ∞)."""
    sde = with_label_noise([u**2 * v - 1], (u, v))
    chart = sde.in_chart((u,))
    points = chart.fixed_points
    low, high = chart.interval
    assert all(low < p.coordinates[0] < high for p in points)
    assert [p.coordinates for p in points] == [(sp.Integer(2) ** sp.Rational(1, 6),)] and points.complete
    assert [p.coordinates for p in points.elsewhere] == [(-(sp.Integer(2) ** sp.Rational(1, 6)),)]
    check(sde, [*points, *points.elsewhere])
    assert "1 fixed point that this chart does not hold" in points.reason


def test_both_sides_of_the_hyperbola_with_a_constant_and_without():
    for further in ({}, {"constants": (s,), "amplitude": s}):
        points = with_label_noise([u * v - 1], (u, v), **further).in_chart().fixed_points
        assert points.complete and len(points) == 1 and len(points.elsewhere) == 1
        assert {p.coordinates for p in (*points, *points.elsewhere)} == {(-1,), (1,)}


def test_another_branch_of_a_square_root_is_elsewhere():
    """Over v, u²v = 1 has u = ±v^(−1/2): the other branch has a fixed point, too."""
    sde = with_label_noise([u**2 * v - 1], (u, v))
    points = sde.in_chart((v,)).fixed_points
    assert len(points) == len(points.elsewhere) == 1 and points.complete
    assert points[0].ambient[0] == -points.elsewhere[0].ambient[0]
    check(sde, [*points, *points.elsewhere])


def test_a_stated_interval_is_all_that_is_meant():
    points = with_label_noise([u * v - 1], (u, v)).in_chart(interval=(0, sp.oo)).fixed_points
    assert [p.coordinates for p in points] == [(1,)] and not points.elsewhere
    none = with_label_noise([u * v - 1], (u, v)).in_chart(interval=(2, 3)).fixed_points
    assert not len(none) and none.complete and "b has no zero there" in none.reason


# --- charts that end before the points ------------------------------------------------------


def test_points_where_the_graph_is_not_defined_are_found_over_other_parameters():
    """uv + w² = 2 over (u, w) divides by u: (0, 0, ±√2) were missed, without a word."""
    sde = with_label_noise([u * v + w**2 - 2], (u, v, w))
    points = sde.in_chart((u, w)).fixed_points
    root = sp.sqrt(2)
    assert places(points) == places_of([(-root, -root, 0), (root, root, 0)])
    assert {p.ambient for p in points.elsewhere} == {(0, 0, root), (0, 0, -root)}
    assert all(p.exact and p.over == (u, v) for p in points.elsewhere)
    check(sde, [*points, *points.elsewhere])
    assert "in_chart((u, v), near={u: 0, v: 0, w: 1.4142})" in points.other_charts
    there = sde.in_chart((u, v), near={u: 0, v: 0, w: 1.4142})
    assert (0, 0) in {p.coordinates for p in there.fixed_points}
    assert there.generator(u) == there.drift[0] != 0, "what is zero at u = v = 0 passed for zero"


def places_of(points):
    return sorted(tuple(round(float(c), 9) for c in p) for p in points)


def test_the_whole_ellipsoid_from_one_of_its_charts():
    """Over two parameters an ellipsoid is a half: all six ends of its axes are fixed points."""
    sde = with_label_noise([u**2 + 4 * v**2 + 9 * w**2 - 1], (u, v, w))
    points = sde.in_chart().fixed_points
    everything = [*points, *points.elsewhere]
    half, third = sp.Rational(1, 2), sp.Rational(1, 3)
    ends = [(c, 0, 0) for c in (1, -1)] + [(0, c, 0) for c in (half, -half)] + [(0, 0, c) for c in (third, -third)]
    assert places(everything) == places_of(ends)
    check(sde, everything)


def test_a_chart_that_ends_in_a_stated_parametrisation():
    """A quarter of the ellipse u² + 4v² = 1, and then the whole of it."""
    sde = with_label_noise([u**2 + 4 * v**2 - 1], (u, v))
    quarter = {u: sp.sqrt(1 - theta**2), v: theta / 2}
    points = sde.in_chart((theta,), embedding=quarter).fixed_points
    assert places(points) == [(1, 0)]
    assert places(points.elsewhere) == [(-1, 0), (0, -0.5), (0, 0.5)]
    whole = sde.in_chart(embedding={u: sp.cos(theta), v: sp.sin(theta) / 2}).fixed_points
    assert len(whole) == 4 and whole.complete and not whole.elsewhere


# --- solved exactly -------------------------------------------------------------------------


def test_a_factor_in_a_logarithm_is_solved_for():
    """v = e^{−(u−5)²} over v: b has the factor 2 log(1/v) − 1, and no zero was found."""
    sde = with_label_noise([v - sp.exp(-((u - 5) ** 2))], (u, v))
    over_v = sde.in_chart((v,)).fixed_points
    assert [p.coordinates for p in over_v] == [(sp.exp(-sp.Rational(1, 2)),)] and over_v[0].stability == "unstable"
    over_u = sde.in_chart((u,)).fixed_points
    assert {sp.expand(p.coordinates[0]) for p in over_u} == {5, 5 - sp.sqrt(2) / 2, 5 + sp.sqrt(2) / 2}
    assert over_u.complete
    assert places(over_u) == places([*over_v, *over_v.elsewhere])
    check(sde, [*over_u, *over_v, *over_v.elsewhere])


@pytest.mark.parametrize("height", [sp.log(2), sp.tanh(sp.Rational(1, 3))])
def test_factors_in_other_injective_functions(height):
    """v = h(u) has fixed points where h′h″ = 0."""
    function = {sp.log(2): u * sp.log(u**2 + 1), sp.tanh(sp.Rational(1, 3)): sp.tanh(u) ** 2}[height]
    sde = with_label_noise([v - function], (u, v))
    points = sde.in_chart((u,)).fixed_points
    check(sde, points)
    slope, bend = (sp.lambdify(u, sp.diff(function, u, k)) for k in (1, 2))
    grid = np.linspace(-4, 4, 4001) + 1e-4
    signs = np.sign(slope(grid) * bend(grid))
    crossings = grid[:-1][signs[1:] != signs[:-1]]
    found = [float(p.coordinates[0]) for p in points if abs(float(p.coordinates[0])) < 3.9]
    assert len(found) == len(crossings) and np.abs(np.array(found) - crossings).max() < 3e-3


# --- not isolated ---------------------------------------------------------------------------


def lora():
    b, a = sp.symbols("b1 b2"), sp.symbols("A1 A2")
    matrix = sp.eye(2) + sp.Matrix(b) * sp.Matrix([a])
    return list(matrix * sp.Matrix([1, 2]) - sp.Matrix([3, 1])), (*b, *a)


def two_two_one():
    q = sp.symbols("a1:7")
    product = sp.Matrix([q[:2]]) * sp.Matrix(2, 2, q[2:])
    return [product[0] - 1, product[1] - 2], q


def pairs():
    q = sp.symbols("u1 u2 v1 v2")
    return [q[0] * q[2] + q[1] * q[3] - 1], q


@pytest.mark.parametrize(
    ("stated", "kernel"), [(lora, 1), (two_two_one, 1), (pairs, 1)], ids=lambda v: getattr(v, "__name__", str(v))
)
def test_why_there_are_no_isolated_fixed_points(stated, kernel):
    """() and complete=False were given without a word: rotations between hidden units make curves of fixed points."""
    residuals, parameters = stated()
    sde = with_label_noise(residuals, parameters)
    points = sde.in_chart().fixed_points
    assert len(points) == 0 and not points.complete
    assert f"∂b has a kernel of dimension {kernel}" in points.reason and points.reason in str(points)
    for p in points.continua:
        off, bend = lagrange(sde, p.ambient)
        assert off < 1e-12 and np.sum(np.abs(bend) < 1e-9) == kernel and p.stability == "undecided"


def test_a_common_factor_proves_that_fixed_points_are_not_isolated():
    residuals, parameters = lora()
    chart = with_label_noise(residuals, parameters).in_chart()
    assert "every entry of b has the factor 25*b1**4 - 32" in chart.fixed_points.reason
    b1 = chart.coordinates[0]
    root = sp.root(sp.Rational(32, 25), 4)
    assert all(sp.simplify(e.subs(b1, root)) == 0 for e in chart.drift)


def test_an_isolated_degenerate_zero_is_not_called_a_continuum():
    """R = ¼(1 + u⁶) on v = u⁴/4: b = −(3/2) u⁵ + …, so that ∂b is 0 at the isolated zero u = 0."""
    points = with_label_noise([v - u**4 / 4], (u, v)).in_chart((u,)).fixed_points
    assert [p.coordinates for p in points] == [(0,)] and points.complete and points[0].stability == "undecided"
    surface = with_label_noise([w - u**4 / 4 - v**2 / 2], (u, v, w)).in_chart((u, v)).fixed_points
    assert "continuum" not in surface.reason and "curve" not in surface.reason
    assert places(surface) == [(0, 0, 0)] or "not decided" in surface.reason


# --- none at all ----------------------------------------------------------------------------


def test_a_search_that_finds_nothing_says_from_how_many_points():
    """On v = u³/3 + u + e^u, |∇g|² has no critical point where 2u + e^u = 0 has a zero … and on v = e^u it has none."""
    exact = with_label_noise([v - sp.exp(u)], (u, v)).in_chart((u,)).fixed_points
    assert len(exact) == 0 and exact.complete and "b has no zero there" in exact.reason
    sought = with_label_noise([v - sp.exp(u) - u], (u, v)).in_chart((u,)).fixed_points
    assert len(sought) == 0
    if not sought.complete:
        assert "and found none" in sought.reason and "faded away towards infinity" in sought.reason


def test_constants_are_named_as_the_reason():
    sde = with_label_noise([v - sp.exp(u) - s * u**2], (u, v), constants=(s,))
    points = sde.in_chart((u,)).fixed_points
    assert len(points) == 0 and "it has constants" in points.reason


def test_a_budget_of_nothing_stops_the_search_and_says_so():
    residuals, parameters = pairs()
    chart = with_label_noise(residuals, parameters).in_chart()
    points = chart.find_fixed_points(seconds=1e-9)
    assert len(points) == 0 and "s of processor time were used" in points.reason
    for bad in (0, -1, "1", True, None):
        with pytest.raises(BadInput, match="seconds"):
            chart.find_fixed_points(seconds=bad)
    told = []
    chart.find_fixed_points(progress=told.append)
    assert any("Newton" in words for words in told)


# --- several of everything ------------------------------------------------------------------


def test_products_of_three_have_four():
    sde = with_label_noise([u * v * w - 1], (u, v, w))
    points = sde.in_chart().fixed_points
    everything = [*points, *points.elsewhere]
    assert places(everything) == [(-1, -1, 1), (-1, 1, -1), (1, -1, -1), (1, 1, 1)]
    check(sde, everything)


def test_a_periodic_chart_lists_a_period():
    sde = with_label_noise([u**2 + 4 * v**2 - 1], (u, v))
    points = sde.in_chart(embedding={u: sp.cos(theta), v: sp.sin(theta) / 2}).fixed_points
    assert [p.coordinates[0] for p in points] == [k * sp.pi / 2 for k in range(4)]
    check(sde, points)


def test_many_zeros_along_a_curve():
    """v = sin u: those near 0 are found, every multiple of π/2."""
    sde = with_label_noise([v - sp.sin(u)], (u, v))
    points = sde.in_chart((u,)).fixed_points
    found = {round(float(p.coordinates[0]) / (np.pi / 2), 9) for p in points}
    assert {float(k) for k in range(-8, 9)} <= found and not points.complete
    check(sde, list(points)[::5])


def test_the_rest_points_do_not_depend_on_the_chart():
    sde = with_label_noise([u * v + w**2 - 2], (u, v, w))
    search = rest_points(sde.derivation, Effort())
    found = sorted(tuple(round(float(r.point.assignment[x]), 9) for x in (u, v, w)) for r in search.rests)
    for chart in (sde.in_chart((u, w)), sde.in_chart((u, v)), sde.in_chart((v, w))):
        points = chart.fixed_points
        assert places([*points, *points.elsewhere]) == [tuple(c + 0.0 for c in p) for p in found]


def matrices(sde):
    return {term.name: getattr(sde, term.name) for term in TERMS}


def test_the_document_says_it_too():
    residuals, parameters = pairs()
    sde = with_label_noise(residuals, parameters)
    findings = Findings("", sde.derivation, sde.structure, matrices(sde), None, None, None, sde.in_chart(), None)  # type: ignore[arg-type]
    assert "has a kernel" in str(chart_section(findings))
    other = with_label_noise([u**2 * v - 1], (u, v))
    findings = Findings(
        "", other.derivation, other.structure, matrices(other), None, None, None, other.in_chart((u,)), None
    )  # type: ignore[arg-type]
    assert "elsewhere on " in str(chart_section(findings))
