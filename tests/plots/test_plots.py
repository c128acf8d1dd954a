"""Pictures: what is drawn lies on Γ and has the formulas' directions; what cannot be drawn is refused; nothing global is changed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from symbolic_sgd import (  # noqa: E402
    SAM,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    LocalSGD,
    NormalizedGD,
    Problem,
    RMSprop,
    derive_limiting_sde,
    simulate_sgd,
)
from symbolic_sgd.errors import BadInput, BadShape  # noqa: E402
from symbolic_sgd.plots import (  # noqa: E402
    animate_drift,
    plot_chart,
    plot_induced_regularizer,
    plot_manifold,
    plot_optimizers,
    plot_regularizer,
    style,
)
from symbolic_sgd.plots import marks as values_on_gamma  # noqa: E402
from symbolic_sgd.plots.gamma import Gamma  # noqa: E402
from symbolic_sgd.plots.paths import Wanted, paths  # noqa: E402
from symbolic_sgd.problems.problem_file import read_problem_file  # noqa: E402

DERIVATIONS = Path(__file__).parents[2] / "derivations"

u, v, w, s, t = sp.symbols("u v w s t")
PLANE = [(-3, 3), (-3, 3)]


@pytest.fixture(autouse=True)
def _closed():
    yield
    matplotlib.pyplot.close("all")


def hyperbola(noise, optimizer=None):
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=noise)
    return derive_limiting_sde(problem) if optimizer is None else derive_limiting_sde(problem, optimizer=optimizer)


def circle(noise):
    return derive_limiting_sde(Problem(loss=(u**2 + v**2 - 1) ** 2 / 8, parameters=(u, v), noise=noise))


def marks(ax, stability):
    """The places of the fixed points that are drawn."""
    face = {"stable": "#000000", "unstable": "white"}[stability]
    return np.array(
        [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o" and line.get_markerfacecolor() == face]
    )


# --- Γ ------------------------------------------------------------------------------------------


def test_both_branches_are_curves_and_the_arrows_lead_to_balance():
    ax = plot_manifold(hyperbola(LabelNoise(1)), window=PLANE, path=False)
    lines = [c for c in ax.collections if type(c).__name__ == "LineCollection"]
    assert len(lines) == 2
    ends = []
    for line in lines:
        points = np.array(line.get_segments()).reshape(-1, 2)
        assert np.allclose(points.prod(axis=1), 1)
        assert np.allclose(np.abs(points).max(axis=0), 3, atol=0.05)  # from where it comes in to where it leaves
        middle = (points[::2] + points[1::2]) / 2
        assert np.allclose(line.get_array(), (middle**2).sum(axis=1) / 4, atol=1e-3)  # R
        ends.append(np.sign(points[0, 0]))
    assert sorted(ends) == [-1, 1]
    [arrows] = [c for c in ax.collections if type(c).__name__ == "Quiver"]
    x, y = np.asarray(arrows.get_offsets()).T
    assert ((x**2 - y**2) * (x * np.asarray(arrows.U) - y * np.asarray(arrows.V)) < 0).all()
    assert np.allclose(np.hypot(arrows.U, arrows.V), np.hypot(arrows.U[0], arrows.V[0]))
    found = marks(ax, "stable")
    assert np.allclose(sorted(found.tolist()), [[-1, -1], [1, 1]], atol=1e-3)


def test_a_closed_curve_comes_back_and_is_in_the_default_window():
    gamma = Gamma.of(circle(IsotropicNoise(1)))
    [curve] = gamma.curves
    assert np.array_equal(curve[0], curve[-1])
    turned = np.unwrap(np.arctan2(curve[:, 1], curve[:, 0]))
    assert np.isclose(abs(turned[-1] - turned[0]), 2 * np.pi)
    assert (gamma.sides[:, 0] < -1).all() and (gamma.sides[:, 1] > 1).all()


def test_the_window_is_where_it_is_said_to_be():
    gamma = Gamma.of(hyperbola(LabelNoise(1)), at={u: -1, v: -1})
    assert (gamma.rows[:, :2] < 0).all() and np.allclose(gamma.rows[0], [-1, -1], atol=0.05)
    named = Gamma.of(hyperbola(LabelNoise(1)), axes=(v, u), window={u: (1, 2), v: (0.4, 1)})
    assert named.sides.tolist() == [[0.4, 1], [1, 2]]
    with pytest.raises(BadInput, match="at has no value for v"):
        Gamma.of(hyperbola(LabelNoise(1)), at={u: 1})


def test_noise_along_a_curve_is_a_segment_of_its_tangent():
    ax = plot_manifold(
        hyperbola(IsotropicNoise()), window=[(0.2, 3), (0.2, 3)], flow=False, path=False, noise=True, samples=5
    )
    drawn = [line for line in ax.lines if line.get_color() == "#CC79A7"]
    assert len(drawn) == 5
    x, y = drawn[0].get_data()
    middle = np.array([x[:-1].mean(), y[:-1].mean()])
    assert np.isclose(middle.prod(), 1)
    assert np.allclose((x - middle[0]) * middle[1] + (y - middle[1]) * middle[0], 0, atol=1e-9)


def test_a_sphere_in_three_dimensions_with_a_constant():
    problem = Problem(
        loss=(u**2 + v**2 + w**2 - 1) ** 2 / 8, parameters=(u, v, w), noise=IsotropicNoise(s), constants=(s,)
    )
    sde = derive_limiting_sde(problem)
    ax = plot_manifold(sde, constants={s: 2}, window=[(-1.2, 1.2)] * 3, flow=False, noise=True, path=False)
    for line in ax.lines:
        ring = np.array(line.get_data_3d())
        middle = ring[:, :-1].mean(axis=1)
        assert np.isclose(np.linalg.norm(middle), 1)
        assert np.allclose((ring - middle[:, None]).T @ middle, 0, atol=1e-9)
    assert len(ax.collections) == 1  # the surface
    with pytest.raises(BadInput, match="no value for s"):
        plot_manifold(sde)


def test_a_surface_in_four_dimensions_is_followed_and_projected():
    a, b, c, d = parameters = sp.symbols("a b c d")
    problem = Problem.least_squares(
        [a * b - 1, c - d**2], parameters=parameters, noise=LabelNoise(1), domain=[a > 0, b > 0]
    )
    sde = derive_limiting_sde(problem)
    gamma = Gamma.of(sde, axes=(a, b, d), window={a: (0.3, 3), b: (0.3, 3), d: (-1, 1)})
    rows = gamma.rows
    assert np.allclose(rows[:, 0] * rows[:, 1], 1) and np.allclose(rows[:, 2], rows[:, 3] ** 2)
    cells = {tuple(cell) for cell in np.floor(gamma.shown(rows)[:, [0, 2]] / 0.2).astype(int)}
    assert len(cells) > 100  # of the 135 in the window
    assert plot_manifold(sde, axes=(a, b, d), window=gamma.sides, path=False).name == "3d"
    assert plot_manifold(sde, axes=(a, d), path=False).get_xlabel() == "$a$"


# --- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer",
    [
        None,
        HeavyBall(momentum=0.5, learning_rate=sp.Rational(1, 16)),
        LocalSGD(workers=2, round_time=0.25),
        SAM(),
        NormalizedGD(),
    ],
    ids=str,
)
def test_the_optimizer_falls_on_gamma_and_its_limit_begins_there(optimizer):
    gamma = Gamma.of(hyperbola(LabelNoise(sp.Rational(1, 4)), optimizer), window=[(0.2, 3), (0.2, 3)])
    run = paths(gamma, Wanted(start={u: 2, v: 1}))
    assert np.array_equal(run.falling[0], [2, 1])
    assert np.allclose(run.along.prod(axis=1), 1)
    x, y = run.along[0]
    assert np.isclose(x**2 - y**2, 3, atol=0.35)  # the flow conserves u² − v², the iteration nearly
    assert np.isclose(run.optimizer.times[-1], run.limit.times[-1])
    assert (
        np.linalg.norm(run.falling[-1] - run.along[-1]) < 0.25
    )  # and where the noise has led it is where the limit is


def test_second_moments_have_a_path_too():
    gamma = Gamma.of(hyperbola(LabelNoise(1), RMSprop(second_moment_rate=1)))
    run = paths(gamma, Wanted())
    assert run.falling.shape[1] == run.along.shape[1] == 4


def test_what_a_run_raises_is_said_where_it_was_asked_for():
    sde = hyperbola(LabelNoise(1))
    with pytest.raises(BadInput, match="stability"):
        plot_manifold(sde, learning_rate=100)
    with pytest.raises(BadInput, match="start has no value for v"):
        plot_manifold(sde, start={u: 1})


def test_several_optimizers_on_one_gamma():
    sdes = {"SGD": hyperbola(LabelNoise(1)), "SAM": hyperbola(LabelNoise(1), SAM())}
    ax = plot_optimizers(sdes, window=[(0.2, 3), (0.2, 3)], start={u: 2, v: 0.5})
    named = {line.get_label(): line for line in ax.lines}
    assert {"SGD", "SAM", "Γ"} <= named.keys()
    with pytest.raises(BadInput, match="another Γ"):
        plot_optimizers([sdes["SGD"], circle(IsotropicNoise(1))])
    with pytest.raises(BadInput, match="at least one"):
        plot_optimizers([])


# --- R, charts, animations ----------------------------------------------------------------------


def test_r_over_a_parameter_and_over_the_length():
    sde = hyperbola(LabelNoise(1))
    line = plot_regularizer(sde, along=u, window=[(0.2, 3), (0.2, 3)]).lines[0]
    x, y = line.get_data()
    assert np.allclose(y, (x**2 + x**-2.0) / 4)
    lengths, again = plot_regularizer(sde, window=[(0.2, 3), (0.2, 3)]).lines[0].get_data()
    slope = np.gradient(again, lengths)
    assert np.abs(slope).max() < np.hypot(x, 1 / x).max() / 2 + 0.1  # |∇R| = ‖(u, v)‖/2
    with pytest.raises(BadInput, match="give one of the parameters"):
        plot_regularizer(sde, along=w)


def test_r_by_integration_where_there_is_no_formula(monkeypatch):
    gamma = Gamma.of(hyperbola(LabelNoise(1)), window=[(0.2, 3), (0.2, 3)])
    monkeypatch.setattr(values_on_gamma, "_sought", lambda gamma: None)
    [curve] = gamma.curves
    [values] = values_on_gamma.regularizer_values(gamma, [curve])
    known = (curve**2).sum(axis=1) / 4
    assert np.allclose(values - values[0], known - known[0], atol=2e-3)


def test_r_of_a_motor_is_no_function():
    motor = read_problem_file(DERIVATIONS / "motor.toml").problem
    sde = derive_limiting_sde(motor)
    with pytest.raises(BadInput, match="round this closed curve"):
        plot_regularizer(sde)
    ax = plot_manifold(sde, path=False)
    assert not [c for c in ax.collections if type(c).__name__ == "LineCollection"]  # and it has no colours


def test_the_induced_regularizer_by_formula_and_by_numbers():
    found = hyperbola(LabelNoise(1)).induced_regularizer([u * v], symbols=(s,))  # ½‖s‖, from (u² + v²)/4
    ax = plot_induced_regularizer(found, [-1, 0.25, sp.Rational(1, 2)])
    formula, numbers = ax.lines
    assert np.allclose(formula.get_ydata(), np.abs(formula.get_xdata()) / 2)
    assert np.allclose(numbers.get_xydata(), [[-1, 0.5], [0.25, 0.125], [0.5, 0.25]])
    with pytest.raises(BadInput, match="empty"):
        plot_induced_regularizer(found, [])
    ends = plot_induced_regularizer(found, [1], ends=[[1, 2], [-1, 3], [2, 2]]).lines[1].get_xydata()
    assert np.allclose(ends, [[2, 1.25], [-3, 2.5], [4, 2]]) and np.all(ends[:, 1] >= np.abs(ends[:, 0]) / 2)
    with pytest.raises(BadShape, match="N×2"):
        plot_induced_regularizer(found, [1], ends=[[1, 2, 3]])
    two = hyperbola(LabelNoise(1)).induced_regularizer([u * v, u**2], symbols=(s, t))
    with pytest.raises(BadShape, match="this one has s, t"):
        plot_induced_regularizer(two, [1])


def test_a_line_with_its_density_beside_a_run():
    problem = Problem(loss=(u**2 + v**2 - 1) ** 2 / 8, parameters=(u, v), noise=sp.Matrix([[1 + u / 2, 0], [0, 1]]))
    chart = derive_limiting_sde(problem).in_chart(embedding={u: sp.cos(t), v: sp.sin(t)})
    run = simulate_sgd(problem, [1, 0], learning_rate=0.05, steps=400, replicas=500, rng=0)
    ax = plot_chart(chart, run=run)
    _, right = ax.figure.axes
    theta, density = right.lines[0].get_data()
    assert np.isclose(np.trapezoid(density, theta), 1, atol=1e-3)
    numbers = chart.lambdify()
    # The flux b p − (a p)′/2 is the same everywhere.
    drift = numbers.drift(theta[:, None])[:, 0]
    spread = (numbers.diffusion(theta[:, None]) ** 2).sum(axis=(1, 2))
    flux = drift * density - np.gradient(spread * density, theta, edge_order=2) / 2
    assert np.ptp(flux[1:-1]) < 1e-3 * np.abs(drift * density).max()
    assert len(right.patches) > 10


def test_a_phase_portrait_has_its_fixed_point():
    problem = Problem.least_squares(
        [u * v * w - 1], parameters=(u, v, w), noise=LabelNoise(1), domain=[u > 0, v > 0, w > 0]
    )
    chart = derive_limiting_sde(problem).in_chart((u, v))
    ax = plot_chart(chart, window=[(0.3, 2), (0.3, 2)])
    assert np.allclose(marks(ax, "stable"), [[1, 1]])
    with pytest.raises(BadInput, match="one coordinate"):
        plot_chart(chart, run=simulate_sgd(problem, [1, 1, 1], learning_rate=0.01, steps=1, replicas=2, rng=0))
    with pytest.raises(BadShape, match="low < high"):
        plot_chart(chart, window=[(1, 0), (0, 1)])


@pytest.mark.parametrize("ending", [".gif", ".html"])
def test_an_animation_is_written(tmp_path, ending):
    target = tmp_path / f"drift{ending}"
    animate_drift(hyperbola(LabelNoise(1)), target, frames=4, time=0.5, width=2.0)
    if ending == ".gif":
        image = pytest.importorskip("PIL.Image")
        with image.open(target) as picture:
            assert picture.n_frames >= 3
    else:
        assert "Animation" in target.read_text(encoding="utf-8")
    with pytest.raises(BadInput, match="is written as"):
        animate_drift(hyperbola(LabelNoise(1)), tmp_path / "drift.mp4")


# --- what is refused, and what is left alone ----------------------------------------------------


def test_what_cannot_be_drawn_is_refused():
    sde = hyperbola(LabelNoise(1))
    for error, words, told in (
        (BadShape, "low < high", {"window": [(0, 1), (3, 2)]}),
        (BadShape, "low < high", {"window": {u: (0, 1)}}),
        (BadInput, "no point of Γ", {"window": [(5, 6), (5, 6)]}),
        (BadShape, "give two or three", {"axes": (u,)}),
        (BadShape, "give two or three", {"axes": (u, w)}),
        (BadShape, "ax=", {"axes": matplotlib.figure.Figure().add_subplot()}),
        (BadInput, "inches", {"width": "wide"}),
        (BadInput, "samples", {"samples": 0}),
    ):
        with pytest.raises(error, match=words):
            plot_manifold(sde, path=False, **told)
    surface = derive_limiting_sde(Problem(loss=(u + v + w - 1) ** 2, parameters=(u, v, w), noise=IsotropicNoise()))
    with pytest.raises(BadShape, match="dimension 2"):
        plot_regularizer(surface)
    with pytest.raises(BadShape, match='projection="3d"'):
        plot_manifold(surface, path=False, ax=matplotlib.figure.Figure().add_subplot())


def test_axes_are_returned_and_may_be_given():
    figure = matplotlib.figure.Figure()
    ax = figure.add_subplot()
    assert plot_manifold(hyperbola(LabelNoise(1)), ax=ax, window=[(0.2, 2), (0.2, 2)], path=False) is ax
    assert "stable fixed point" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_what_a_back_end_sets_for_itself_stays(monkeypatch):
    """Was: a notebook showed the first picture only, because its back end had been told to show figures while the first was drawn."""
    monkeypatch.setitem(matplotlib.rcParams, "interactive", False)
    drawn = style.drawn(lambda: matplotlib.rcParams.update({"interactive": True}))
    drawn()
    assert matplotlib.is_interactive()


def test_settings_of_matplotlib_are_as_they_were():
    before = dict(matplotlib.rcParams)
    plot_manifold(hyperbola(LabelNoise(1)), path=False)
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_the_error_has_the_line_that_installs_it():
    code = "import sys; sys.modules['matplotlib.pyplot'] = None\nimport symbolic_sgd.plots"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1
    assert "pip install 'symbolic-sgd[plot]'" in done.stderr


# --- where the SDE knows of no fixed points ---------------------------------------------------------------


def test_a_limit_in_which_nothing_moves_is_drawn_without_marks():
    """Was: refused, because its every point is fixed."""
    line = derive_limiting_sde(Problem.least_squares([u + 2 * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    assert line.drift.is_zero_matrix
    assert values_on_gamma.fixed_points(Gamma.of(line)) == []
    assert plot_manifold(line, path=False).collections


def test_zeros_are_marked_for_the_values_of_constants():
    """(u² + v²) s²/4 is least at u = v, whatever s is."""
    scaled = derive_limiting_sde(
        Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(s), constants=(s,))
    )
    marks = values_on_gamma.fixed_points(Gamma.of(scaled, constants={s: 2}, window=[(0.2, 3), (0.2, 3)]))
    assert [mark.stability for mark in marks] == ["stable"]
    np.testing.assert_allclose(marks[0].place, [1, 1], atol=0.02)
