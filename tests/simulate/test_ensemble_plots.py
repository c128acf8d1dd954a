"""What the pictures of ensembles draw is what the runs hold; what cannot be compared is refused."""

import numpy as np
import pytest
import sympy as sp

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde, simulate_sde, simulate_sgd  # noqa: E402
from symbolic_sgd.errors import BadInput, BadShape  # noqa: E402
from symbolic_sgd.plots import plot_ensemble, plot_weak_error  # noqa: E402

u, v = PARAMETERS = sp.symbols("u v")
ETAS = (0.1, 0.05, 0.025)


@pytest.fixture(scope="module")
def problem():
    return Problem.least_squares([u * v - 1], parameters=PARAMETERS, noise=LabelNoise(1))


@pytest.fixture(scope="module")
def limit(problem):
    return simulate_sde(derive_limiting_sde(problem), [2, 0.5], time=1, step=0.01, replicas=1)


@pytest.fixture(scope="module")
def runs(problem):
    return {
        eta: simulate_sgd(problem, [2, 0.5], learning_rate=eta, steps=round(1 / eta**2), replicas=20_000, rng=0)
        for eta in ETAS
    }


def test_an_ensemble_is_its_mean_with_a_band(runs, limit):
    axes = plot_ensemble({"SGD": runs[0.05], "limit": limit}, PARAMETERS, shown=[v], band=2)
    sgd, theory = axes.lines
    np.testing.assert_array_equal(sgd.get_ydata(), runs[0.05].mean[:, 1])
    np.testing.assert_array_equal(theory.get_xdata(), limit.times)
    [band] = axes.collections  # one replica of the limit has none
    top = band.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx((runs[0.05].mean[:, 1] + 2 * np.sqrt(runs[0.05].covariance[:, 1, 1])).max())
    assert axes.get_legend_handles_labels()[1] == ["E $v$, SGD", "E $v$, limit"]
    alone = plot_ensemble(runs[0.1], PARAMETERS, band=0)
    assert len(alone.lines) == 2 and not alone.collections


def test_the_weak_error_falls_with_slope_one(runs, limit):
    axes = plot_weak_error(runs, limit, observable=lambda x: x[:, 0], names=["u"])
    curve, guide = (
        line for line in axes.lines if len(line.get_xdata()) == len(ETAS) and line.get_linestyle() != "None"
    )
    slope = np.polyfit(np.log(curve.get_xdata()), np.log(curve.get_ydata()), 1)[0]
    assert slope == pytest.approx(1, abs=0.2)
    assert np.polyfit(np.log(guide.get_xdata()), np.log(guide.get_ydata()), 1)[0] == pytest.approx(1)
    gap = abs(runs[0.1].final[:, 0].mean() - limit.final[0, 0])
    assert curve.get_ydata()[-1] == pytest.approx(gap)


def test_what_two_standard_errors_hide_has_an_upper_limit(problem, limit):
    few = {
        eta: simulate_sgd(problem, [2, 0.5], learning_rate=eta, steps=round(1 / eta**2), replicas=300, rng=0)
        for eta in ETAS
    }
    axes = plot_weak_error(few, limit, observable=lambda x: x[:, 1], names=["v"])
    assert "v: an upper limit" in axes.get_legend_handles_labels()[1]
    for eta, run in few.items():
        gap = abs(run.final[:, 1].mean() - limit.final[0, 1])
        error = run.final[:, 1].std(ddof=1) / np.sqrt(300)
        points = [y for line in axes.lines for x, y in zip(*line.get_data(), strict=True) if np.isclose(x, eta)]
        expected = gap if gap > 2 * error else gap + 2 * error
        assert any(np.isclose(y, expected) for y in points)
        assert gap > 2 * error or not any(np.isclose(y, gap) for y in points)


def test_what_cannot_be_drawn(problem, runs, limit):
    short = simulate_sgd(problem, [2, 0.5], learning_rate=0.1, steps=50, replicas=10, rng=0)
    w = sp.Symbol("w")
    for error, words, draw in (
        (BadShape, "3 were expected", lambda: plot_ensemble(short, (u, v, w))),
        (BadInput, "shown has w", lambda: plot_ensemble(short, PARAMETERS, shown=[w])),
        (BadInput, "no run", lambda: plot_ensemble({}, PARAMETERS)),
        (BadInput, "band", lambda: plot_ensemble(short, PARAMETERS, band=-1)),
        (BadInput, "two runs", lambda: plot_weak_error({0.1: short}, limit)),
        (BadInput, "η > 0", lambda: plot_weak_error({0.1: short, -0.1: short}, limit)),
        (BadInput, "made with η = 0.05", lambda: plot_weak_error({0.1: runs[0.1], 0.07: runs[0.05]}, limit)),
        (BadInput, "same time", lambda: plot_weak_error({**runs, 0.1: short}, limit)),
        (BadShape, "has to be", lambda: plot_weak_error(runs, limit, observable=lambda x: x[0])),
        (BadShape, "names has 1", lambda: plot_weak_error(runs, limit, names=["u"])),
    ):
        with pytest.raises(error, match=words):
            draw()
