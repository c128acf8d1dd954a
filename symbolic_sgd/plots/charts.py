"""The limit in coordinates: a phase portrait, or the drift on a line with the stationary density beside a histogram of SGD."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import cumulative_trapezoid, trapezoid
from scipy.spatial import KDTree

from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.charts.chart_sde import ChartSDE
from symbolic_sgd.errors import BadInput, BadShape, NoClosedForm, NoStationaryDensity, NotDeterministic, Undecided
from symbolic_sgd.plots import style
from symbolic_sgd.problems.problem import real_number
from symbolic_sgd.simulate.run import Run

FINE, GRID = 600, 40
"""Points on a line, and along each side of a phase portrait."""

AROUND = 1.5
"""How far the window reaches beyond the points of the chart, beside their extent, where none is stated."""

ENDS = 1e-3
"""Of an interval, what is left out at its ends, where coefficients may be infinite."""

TABLE = 4000
"""Points of a curve among which the nearest to a position is sought."""

HIGH = 0.98
"""The drift is shown as far as this part of its values reaches: beside an end it may be infinite."""

FEW = 60
"""Points of a density each of whose values is an integral."""

BINS = 40
SECONDS = 20.0


@style.drawn
def plot_chart(
    chart: ChartSDE,
    *,
    window: Any = None,
    constants: Mapping[sp.Symbol, Any] | None = None,
    run: Run | None = None,
    width: str | float = "column",
    ax: Any = None,
) -> Any:
    """A limiting SDE in coordinates.

    In one coordinate: b_θ, its zeros where the limit has no noise (stable ones filled), and else the stationary density, if there is one,
    beside a histogram of a run's final positions, each at the nearest point of the chart. In two: the phase portrait of b_θ.

    Args:
        chart: from `sde.in_chart(…)`, with one or two coordinates.
        window: (low, high) of each coordinate, in one coordinate (low, high) itself (default: its interval or its period, else round the
            points at which the chart was tested).
        constants: values of the problem's constants.
        run: of SGD, for the histogram.
        width: of a new figure: "column", "page" or inches.
        ax: where to draw (default: a new figure).

    Returns:
        The axes; where a density or a histogram is drawn, they have a second scale on the right.

    Raises:
        BadShape: more than two coordinates; a window with another number of sides; a run of another dimension.
        BadInput: a constant has no value; a run beside two coordinates; the drift is nowhere finite in the window.
    """
    if not isinstance(chart, ChartSDE):
        raise BadInput(f"plot_chart takes a ChartSDE (from sde.in_chart), not a {type(chart).__name__}")
    n = len(chart.coordinates)
    if n > 2:
        raise BadShape(
            f"plot_chart draws one or two coordinates, and this chart has {n}: plot_manifold(sde, axes=…) draws Γ itself"
        )
    if run is not None and n == 2:
        raise BadInput("run is for a chart with one coordinate: leave it out")
    values = _values(chart, constants or {})
    sides = _sides(chart, window, values)
    own = ax is None
    ax = style.new_axes(width, 0.75 if n == 1 else 0.9) if ax is None else ax
    if n == 1:
        _line(ax, chart, sides[0], values, run)
    else:
        _portrait(ax, chart, sides, values)
    for stability, place in _fixed(chart, values, sides):
        style.fixed_point(ax, [*place, 0.0][:2], stability)
    style.legend(ax, own=own)
    return ax


def _values(chart: ChartSDE, constants: Mapping[sp.Symbol, Any]) -> list[float]:
    stated = chart.chart.embedding.derivation.problem.constants
    missing = [s for s in stated if s not in constants]
    if missing:
        raise BadInput(f"constants has no value for {', '.join(map(str, missing))}; give constants={{symbol: number}}")
    return [real_number(constants[s], where=f"constants[{s}]") for s in stated]


def _sides(chart: ChartSDE, window: Any, values: list[float]) -> np.ndarray:
    n = len(chart.coordinates)
    if window is not None:
        try:
            sides = np.array(window, dtype=float).reshape(n, 2)
        except (TypeError, ValueError):
            sides = np.empty((0, 2))
        if len(sides) != n or not np.all(sides[:, 0] < sides[:, 1]):
            raise BadShape(f"window is {window!r}; give (low, high) with low < high for each of the {n} coordinates")
        return sides
    known = np.array([[float(p[t]) for t in chart.coordinates] for p in chart.chart.points])
    low, high = known.min(axis=0), known.max(axis=0)
    reach = AROUND * np.maximum(high - low, 0.5) / 2
    sides = np.stack([low - reach, high + reach], axis=1)
    if n == 1:
        sides[0] = _within(chart, sides[0], values)
    return sides


def _within(chart: ChartSDE, side: np.ndarray, values: list[float]) -> tuple[float, float]:
    """One period; or the interval, as far as its ends are finite."""
    if chart.period is not None:
        return 0.0, _number(chart, chart.period, values)
    low, high = side
    if chart.interval is not None:
        ends = [_number(chart, end, values) for end in chart.interval]
        low, high = (ends[0] if np.isfinite(ends[0]) else low), (ends[1] if np.isfinite(ends[1]) else high)
    margin = ENDS * (high - low)
    return float(low + margin), float(high - margin)


def _number(chart: ChartSDE, expression: Any, values: list[float]) -> float:
    constants = chart.chart.embedding.derivation.problem.constants
    return float(sp.N(sp.sympify(expression).xreplace(dict(zip(constants, map(sp.Float, values), strict=True)))))


def _evaluated(chart: ChartSDE, name: str, theta: np.ndarray, values: list[float]) -> np.ndarray:
    """A coefficient at points S×n, flat; nan where it is none."""
    rows = np.concatenate([theta, np.broadcast_to(values, (len(theta), len(values)))], axis=1)
    with np.errstate(all="ignore"):
        found = evaluate(chart.program.select(name), chart.chart.embedding.symbols, rows)[name].reshape(len(theta), -1)
    return np.where(np.isfinite(found), found, np.nan)


# --- one coordinate -----------------------------------------------------------------------------


def _line(ax: Any, chart: ChartSDE, side: np.ndarray, values: list[float], run: Run | None) -> None:
    theta = np.linspace(side[0], side[1], FINE)
    drift = _evaluated(chart, "drift", theta[:, None], values)[:, 0]
    if not np.isfinite(drift).any():
        raise BadInput(f"the drift is nowhere finite between {side[0]:.4g} and {side[1]:.4g}: give another window=")
    (coordinate,) = chart.coordinates
    ax.axhline(0, color=style.GREY, linewidth=0.6)
    ax.plot(theta, drift, color=style.BLUE, label=f"drift $b$ of {style.math(coordinate)}")
    reach = 1.15 * float(np.nanquantile(np.abs(drift), HIGH)) or 1.0
    ax.set(xlabel=style.math(coordinate), ylabel="$b$", xlim=tuple(side), ylim=(-reach, reach))
    density = _density(chart, theta, values)
    if density is None and run is None:
        return
    right = ax.twinx()
    right.spines["right"].set_visible(True)
    right.set_ylabel("density")
    if run is not None:
        places = _places(chart, run, side, values)
        right.hist(places, BINS, range=tuple(side), density=True, color=style.SKY, alpha=0.45, zorder=0)
        ax.fill_between([], [], color=style.SKY, alpha=0.45, label="SGD")
    if density is not None:
        right.plot(theta, density, color=style.VERMILION)
        ax.plot([], [], color=style.VERMILION, label="stationary density")
    right.set_ylim(bottom=0)
    ax.set_zorder(right.get_zorder() + 1)
    ax.patch.set_visible(False)


def _density(chart: ChartSDE, theta: np.ndarray, values: list[float]) -> np.ndarray | None:
    """The stationary density, where there is one that is known."""
    if chart.period is not None:
        return _density_of_circle(chart, values, theta)
    try:
        density = chart.stationary_density
    except (NoStationaryDensity, NoClosedForm, Undecided, NotDeterministic):
        return None
    constants = chart.chart.embedding.derivation.problem.constants
    (coordinate,) = chart.coordinates
    known = density.xreplace(dict(zip(constants, map(sp.Float, values), strict=True)))
    known = known.xreplace({i: i.evalf() for i in known.atoms(sp.Integral) if coordinate not in i.free_symbols})
    if known.has(sp.Integral):
        few = np.linspace(theta[0], theta[-1], FEW)
        return np.interp(theta, few, [float(sp.N(known.xreplace({coordinate: sp.Float(t)}))) for t in few])
    with np.errstate(all="ignore"):
        return np.broadcast_to(sp.lambdify(coordinate, known, ["scipy", "numpy"])(theta), theta.shape).astype(float)


def _density_of_circle(chart: ChartSDE, values: list[float], theta: np.ndarray) -> np.ndarray | None:
    """p = (e^ψ/a)(1 + c∫e^{−ψ}), ψ = ∫2b/a, with the c for which it has the period: the flux is constant. None where the noise vanishes.

    The integrals are by the trapezoidal rule."""
    fine = np.linspace(0, _number(chart, chart.period, values), TABLE)
    drift = _evaluated(chart, "drift", fine[:, None], values)[:, 0]
    spread = _evaluated(chart, "covariance", fine[:, None], values)[:, 0]
    if not (np.isfinite(drift).all() and np.isfinite(spread).all() and spread.min() > 1e-12 * max(1.0, spread.max())):
        return None
    potential = cumulative_trapezoid(2 * drift / spread, fine, initial=0)
    passed = cumulative_trapezoid(np.exp(-potential), fine, initial=0)
    density = np.exp(potential) / spread * (1 + np.expm1(-potential[-1]) * passed / passed[-1])
    return np.interp(np.mod(theta, fine[-1]), fine, density / trapezoid(density, fine))


def _places(chart: ChartSDE, run: Run, side: np.ndarray, values: list[float]) -> np.ndarray:
    """θ of the point of the chart that is nearest to each final position."""
    d = len(chart.chart.embedding.expressions)
    if run.final.shape[1] != d:
        raise BadShape(f"the run has {run.final.shape[1]} parameters, and the chart's problem {d}")
    theta = np.linspace(side[0], side[1], TABLE)
    table = _evaluated(chart, "embedding", theta[:, None], values)
    fine = np.isfinite(table).all(axis=1)
    _, nearest = KDTree(table[fine]).query(run.final)
    found = theta[fine][nearest]
    return found[(nearest > 0) & (nearest < fine.sum() - 1)] if chart.period is None else found


# --- two coordinates ----------------------------------------------------------------------------


def _portrait(ax: Any, chart: ChartSDE, sides: np.ndarray, values: list[float]) -> None:
    x, y = (np.linspace(low, high, GRID) for low, high in sides)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    drift = _evaluated(chart, "drift", grid, values).reshape(GRID, GRID, 2)
    speed = np.linalg.norm(drift, axis=2)
    if not np.isfinite(speed).any():
        raise BadInput("the drift is nowhere finite in the window: give another window=")
    if float(np.nanmax(speed)) > 0:
        ax.streamplot(
            x, y, drift[..., 0], drift[..., 1], color=style.BLUE, density=1.1, linewidth=0.7, arrowsize=0.8, zorder=2
        )  # fmt: skip
    else:
        ax.text(0.5, 0.5, "$b = 0$ at every point looked at", transform=ax.transAxes, ha="center", va="center")
    for name, symbol, side in zip("xy", chart.coordinates, sides, strict=True):
        ax.set(**{f"{name}label": style.math(symbol), f"{name}lim": tuple(side)})


def _fixed(chart: ChartSDE, values: list[float], sides: np.ndarray) -> list[tuple[str, list[float]]]:
    """Fixed points in the window."""
    found = []
    with suppress(NotDeterministic, Undecided):
        for point in chart.find_fixed_points(seconds=SECONDS):
            place = [_number(chart, c, values) for c in point.coordinates]
            if all(low <= a <= high for a, (low, high) in zip(place, sides, strict=True)):
                found.append((point.stability, place))
    return found
