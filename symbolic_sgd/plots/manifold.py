"""Γ over the loss, with the regularizer in colours, a path of the optimizer and of its limit, and the fixed points."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]
import numpy as np
import sympy as sp
from matplotlib.collections import LineCollection  # pyright: ignore[reportMissingImports]
from matplotlib.colors import Normalize  # pyright: ignore[reportMissingImports]
from mpl_toolkits.mplot3d.art3d import (  # pyright: ignore[reportMissingImports]
    Line3DCollection,
    Poly3DCollection,
)

from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.errors import BadInput, BadShape, SymbolicSGDError
from symbolic_sgd.plots import style
from symbolic_sgd.plots.gamma import CELLS, Gamma
from symbolic_sgd.plots.marks import fixed_points, regularizer_values
from symbolic_sgd.plots.paths import Paths, Wanted, limit_path, paths
from symbolic_sgd.regularizer.scatter import FloatManifold

ARROW, RADIUS = 0.06, 0.06
"""Lengths of arrows and of the longest axis of an ellipse, relative to the window."""

CONTOURS, FINE = 9, 160
"""Of the loss, and points along each side by which they are found."""

SIDES_OF_A_PIECE = 6
"""Of the polygons in the tangent planes that a surface is drawn by."""

OVERLAP = 1.2
"""Radius of these polygons beside the distance between them."""

CONSTANT, FAR_ABOVE = 1e-9, 1.0
"""R that varies by less than the first of its size has no colours. They end below the uppermost tenth of its values, where that spreads
over so many times the rest."""

LANE, UPWARDS = 0.022, np.array([0.6, 0.8])
"""Paths on one curve are drawn so far beside one another, relative to the window, and which side of a curve is the left one."""

LIGHT = np.array([0.3, -0.5, 0.81])
"""Where light falls from."""


@style.drawn
def plot_manifold(
    sde: LimitingSDE,
    *,
    axes: Sequence[Any] | None = None,
    window: Any = None,
    at: Mapping[sp.Symbol, Any] | None = None,
    constants: Mapping[sp.Symbol, Any] | None = None,
    path: bool | None = None,
    start: Mapping[Any, Any] | None = None,
    learning_rate: float | None = None,
    noise_scale: float | None = None,
    time: float | None = None,
    rng: int = 0,
    regularizer: bool = True,
    loss: bool = True,
    flow: bool = True,
    noise: bool = False,
    samples: int = 12,
    width: str | float = "column",
    ax: Any = None,
) -> Any:
    """Γ with what happens on it: a line, or a surface, coloured by R where R is known; over it a path of the optimizer, which falls on Γ
    and drifts along it, the path of the limit, and, where no noise along Γ was met, the zeros of the drift (stable ones filled).

    In two parameters it is drawn over contours of the loss. Of more than three, two or three are drawn: points of Γ projected on them. A
    surface is made of small pieces of its tangent planes; of Γ with three dimensions and more there are points.

    Args:
        sde: a limiting SDE.
        axes: the parameters that are drawn, two or three (default: all of two or three; else those along which Γ is widest).
        window: (low, high) for each of them, or {parameter: (low, high)} (default: round the points at which Γ was found).
        at: a point beside Γ, with a number for each parameter, that the default window surrounds.
        constants: values of the problem's constants.
        path: whether the two paths are drawn (default: where they can be run).
        start: where the optimizer begins, a number for each parameter (default: beside Γ, where the drift is strong).
        learning_rate, noise_scale, time: η, ε and T of the run (default: chosen so that a few thousand steps are seen).
        rng: the seed of both paths.
        regularizer: whether Γ is coloured by R.
        loss: whether there are contours of the loss.
        flow: whether arrows, all of one length, show where ∂Φb, the part of the drift along Γ, leads.
        noise: whether ellipses show ∂Φσ, the noise along Γ (segments where Γ is a curve), to scale among themselves.
        samples: at how many points there are arrows and ellipses.
        width: of a new figure: "column", "page" or inches.
        ax: where to draw (default: a new figure); with three parameters, axes with projection="3d".

    Returns:
        The axes.

    Raises:
        BadShape: axes that are no two or three parameters; a window with another number of sides.
        BadInput: a constant has no value, or no point of Γ lies in the window; with path=True what the runs raise.
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise BadInput(f"samples is {samples!r}; give a number of points, at least 1")
    gamma = Gamma.of(sde, axes=axes, window=window, at=at, constants=constants)
    own, ax = ax is None, _axes_for(gamma, ax, width)
    if loss and sde.problem.dimension == 2:
        _contours(ax, gamma)
    _gamma(ax, gamma, coloured=regularizer, own=own)
    if noise:
        _ellipses(ax, gamma, gamma.spread(samples))
    if flow:
        _arrows(ax, gamma, gamma.spread(samples))
    run = (
        None
        if path is False
        else _run(gamma, Wanted(start, learning_rate, noise_scale, time, rng), needed=path is True)
    )
    if run is not None:
        _paths(ax, gamma, run)
    _marks(ax, gamma)
    _finish(ax, gamma, own=own)
    return ax


@style.drawn
def plot_optimizers(
    sdes: Sequence[LimitingSDE] | Mapping[str, LimitingSDE],
    *,
    axes: Sequence[Any] | None = None,
    window: Any = None,
    at: Mapping[sp.Symbol, Any] | None = None,
    constants: Mapping[sp.Symbol, Any] | None = None,
    start: Mapping[Any, Any] | None = None,
    rng: int = 0,
    width: str | float = "column",
    ax: Any = None,
) -> Any:
    """The limits of several optimizers on one Γ: the zeros of their drifts, and where each leads from one start, over its own time.

    On a curve in the plane they are drawn beside one another; a diamond is where a path ends.

    Args:
        sdes: limiting SDEs of one loss, in a list, or by the names that the legend has.
        axes, window, at, constants, width, ax: as `plot_manifold` has them, for the Γ of the first.
        start: where all of them begin; put on Γ by Newton's method (default: where the drift of the first is strong).
        rng: the seed of noise along Γ.

    Returns:
        The axes.

    Raises:
        BadInput: no SDE, or SDEs of several losses; what `plot_manifold` raises.
        Diverged: a path leaves Γ.
    """
    named = dict(sdes) if isinstance(sdes, Mapping) else _named(sdes)
    if not named or not all(isinstance(sde, LimitingSDE) for sde in named.values()):
        raise BadInput("sdes has to hold at least one LimitingSDE, from derive_limiting_sde")
    first = next(iter(named.values()))
    for name, sde in named.items():
        if sde.problem.loss != first.problem.loss or sde.problem.parameters != first.problem.parameters:
            raise BadInput(
                f"{name} is the limit on another Γ than the first: give limits of one loss in the same parameters"
            )
    gammas = [Gamma.of(sde, axes=axes, window=window, at=at, constants=constants) for sde in named.values()]
    own, ax = ax is None, _axes_for(gammas[0], ax, width)
    if first.problem.dimension == 2:
        _contours(ax, gammas[0])
    _gamma(ax, gammas[0], coloured=False, own=own)
    for k, (name, gamma) in enumerate(zip(named, gammas, strict=True)):
        colour = style.LINES[k % len(style.LINES)]
        along = limit_path(gamma, start, rng, foot_of=gammas[0])
        shown = np.where(gamma.inside(along)[:, None], gamma.shown(along), np.nan)
        lane = LANE * gamma.size * (k - (len(gammas) - 1) / 2) if gamma.dimension == 1 and ax.name != "3d" else 0.0
        _beside(ax, shown, lane, color=colour, linestyle=style.STYLES[k % len(style.STYLES)], label=name)
        _marks(ax, gamma, colour=colour, named=k == 0)
    _finish(ax, gammas[0], own=own)
    return ax


# --- Γ ------------------------------------------------------------------------------------------


def _axes_for(gamma: Gamma, ax: Any, width: str | float) -> Any:
    solid = len(gamma.axes) == 3
    if ax is None:
        return style.new_axes(width, 1.0 if solid else 0.88, "3d" if solid else None)
    if (ax.name == "3d") != solid:
        raise BadShape(
            f"{len(gamma.axes)} parameters are drawn: give axes " + ('with projection="3d"' if solid else "of a plane")
        )
    return ax


def _contours(ax: Any, gamma: Gamma) -> None:
    """Of the loss, closer together towards Γ."""
    x, y = (np.linspace(low, high, FINE) for low, high in gamma.sides)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    values = FloatManifold(gamma.sde.derivation).floats(gamma.extended(grid.reshape(-1, 2))).loss.reshape(FINE, FINE)
    above = np.where(np.isfinite(values), values, np.nan)
    above = np.ma.masked_invalid(above - np.nanmin(above))
    low, high = (float(np.nanquantile(above.filled(np.nan), part)) for part in (0.04, 0.97))
    if 0 < low < high:
        ax.contour(x, y, above, np.geomspace(low, high, CONTOURS), colors="0.8", linewidths=0.5, zorder=1)


def _gamma(ax: Any, gamma: Gamma, *, coloured: bool, own: bool) -> None:
    """Curves, pieces of a surface, or points."""
    parts = gamma.curves if gamma.dimension == 1 else [gamma.scattered.points]
    values = regularizer_values(gamma, parts) if coloured else None
    scale = None if values is None else _scale(np.concatenate(values))
    values = values if scale is not None else None
    if gamma.dimension == 1:
        for k, curve in enumerate(parts):
            _curve(ax, gamma.shown(curve), None if values is None else values[k], scale, first=not k)
    elif gamma.dimension == 2 and len(gamma.axes) == 3:
        _surface(ax, gamma, None if values is None else values[0], scale)
    else:
        colour = (
            {"color": style.GREY} if values is None else {"c": values[0], "norm": scale, "cmap": style.COLOURS_OF_R}
        )
        ax.scatter(*gamma.shown(parts[0]).T, s=3, linewidths=0, zorder=2, rasterized=True, label="Γ", **colour)
    if values is not None and scale is not None:
        _colour_bar(ax, scale, float(np.concatenate(values).max()), own=own)


def _scale(values: np.ndarray) -> Normalize | None:
    """Of the colours: without the last of what is far above the rest; None where R is constant."""
    low, most, highest = (float(a) for a in np.quantile(values, [0.0, 0.9, 1.0]))
    if highest - low <= CONSTANT * max(abs(low), abs(highest)):
        return None
    return Normalize(low, highest if highest - most <= FAR_ABOVE * (most - low) else most)


def _colour_bar(ax: Any, scale: Normalize, highest: float, *, own: bool) -> None:
    mappable = plt.cm.ScalarMappable(norm=scale, cmap=style.COLOURS_OF_R)
    beyond = "max" if highest > float(scale.vmax or 0) else "neither"
    bar = style.colour_bar(ax, mappable, own=own, extend=beyond)
    bar.set_label("regularizer $R$ on Γ")
    bar.outline.set_linewidth(0.5)


def _curve(ax: Any, points: np.ndarray, values: np.ndarray | None, scale: Normalize | None, *, first: bool) -> None:
    if values is None:
        ax.plot(
            *points.T,
            color=style.GREY,
            linewidth=3,
            alpha=0.6,
            solid_capstyle="butt",
            zorder=2,
            label="Γ" if first else None,
        )
        return
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    collection = (Line3DCollection if ax.name == "3d" else LineCollection)(
        pieces, cmap=style.COLOURS_OF_R, norm=scale, linewidths=3.5, capstyle="projecting", zorder=2
    )  # fmt: skip
    collection.set_array((values[:-1] + values[1:]) / 2)
    ax.add_collection(collection)


def _surface(ax: Any, gamma: Gamma, values: np.ndarray | None, scale: Normalize | None) -> None:
    """A polygon in the tangent plane at each point, shaded by where its normal points."""
    batch = gamma.scattered
    tangent = np.moveaxis(gamma.shown(np.moveaxis(batch.tangent, 1, 2)), 1, 2)  # S×3×2
    angle = np.linspace(0, 2 * np.pi, SIDES_OF_A_PIECE, endpoint=False)
    radius = OVERLAP * gamma.size / CELLS
    circle = radius * np.stack([np.cos(angle), np.sin(angle)])
    pieces = gamma.shown(batch.points)[:, None] + np.einsum("sik,kt->sti", tangent, circle)
    normal = np.cross(tangent[:, :, 0], tangent[:, :, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    shade = 0.65 + 0.35 * np.abs(normal @ LIGHT)
    base = (
        np.full((len(shade), 3), 0.75)
        if values is None or scale is None
        else plt.get_cmap(style.COLOURS_OF_R)(scale(values))[:, :3]
    )
    collection = Poly3DCollection(pieces, facecolors=base * shade[:, None], edgecolors="none", alpha=0.9, zorder=1)
    collection.set_rasterized(True)
    ax.add_collection3d(collection)


# --- what is on it ------------------------------------------------------------------------------


def _arrows(ax: Any, gamma: Gamma, rows: np.ndarray) -> None:
    """Where the drift leads along Γ, all of one length."""
    drift = gamma.shown(gamma.drift_along(rows))
    size = np.linalg.norm(drift, axis=1)
    moving = size > 1e-9 * max(1.0, float(size.max(initial=0.0)))
    if not moving.any():
        return
    along = drift[moving] * (ARROW * gamma.size / size[moving])[:, None]
    places = gamma.shown(rows[moving])
    if ax.name == "3d":
        ax.quiver(*places.T, *along.T, color=style.BLACK, linewidth=0.7, arrow_length_ratio=0.4, zorder=4)
        return
    flat = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "width", "width": 0.006, "headwidth": 4.5}
    ax.quiver(*(places - along / 2).T, *along.T, color=style.BLACK, zorder=4, **flat)


def _ellipses(ax: Any, gamma: Gamma, rows: np.ndarray) -> None:
    factor = gamma.shown(np.moveaxis(gamma.noise(rows), 1, 2))  # S×Ξ×axes
    axis, size, _ = np.linalg.svd(np.moveaxis(factor, 1, 2), full_matrices=False)
    if not size.max() > 1e-12:
        return
    angle = np.linspace(0, 2 * np.pi, 60)
    circle = np.stack([np.cos(angle), np.sin(angle)])[: size.shape[1]]
    curves = np.einsum("sik,sk,kt->sit", axis[:, :, :2], size[:, :2] * (RADIUS * gamma.size / size.max()), circle)
    for k, (place, curve) in enumerate(zip(gamma.shown(rows), curves, strict=True)):
        label = None if k else r"noise along Γ"
        ax.plot(*(place[:, None] + curve), color=style.PURPLE, linewidth=1.4, zorder=3, label=label)


def _run(gamma: Gamma, wanted: Wanted, *, needed: bool) -> Paths | None:
    try:
        return paths(gamma, wanted)
    except SymbolicSGDError:
        if needed or wanted != Wanted(rng=wanted.rng):
            raise
        return None


def _paths(ax: Any, gamma: Gamma, run: Paths) -> None:
    label = f"{gamma.sde.optimizer.label}, η = {run.learning_rate:.2g}"
    _line(ax, gamma, run.falling, color=style.VERMILION, linewidth=0.7, label=label, zorder=5)
    begin = gamma.shown(run.falling[:1]).T
    ax.plot(*begin, "s", color=style.VERMILION, markersize=3.5, zorder=6)
    still = gamma.is_still
    how = (
        {"color": style.BLACK, "linestyle": "--", "linewidth": 1.1}
        if still
        else {"color": style.BLUE, "linewidth": 0.9}
    )
    _line(ax, gamma, run.along, label="its limit" if still else "its limit, one path", zorder=6, **how)


def _line(ax: Any, gamma: Gamma, positions: np.ndarray, **how: Any) -> None:
    """A path as far as it is in the window."""
    shown = np.where(gamma.inside(positions)[:, None], gamma.shown(positions), np.nan)
    ax.plot(*shown.T, **how)


def _marks(ax: Any, gamma: Gamma, *, colour: str = style.BLACK, named: bool = True) -> None:
    for mark in fixed_points(gamma):
        style.fixed_point(ax, gamma.shown(mark.place), mark.stability, colour=colour, named=named)


def _finish(ax: Any, gamma: Gamma, *, own: bool) -> None:
    for name, symbol, (low, high) in zip("xyz", gamma.axes, gamma.sides, strict=False):
        ax.set(**{f"{name}label": style.math(symbol), f"{name}lim": (low, high)})
    if ax.name == "3d":
        ax.set_box_aspect(np.ptp(gamma.sides, axis=1))
        ax.computed_zorder = False
        ax.tick_params(pad=-2)
        for name in "xyz":
            getattr(ax, f"{name}axis").labelpad = -4
    else:
        ax.set_aspect("equal")
    style.legend(ax, own=own)


def _named(sdes: Sequence[LimitingSDE]) -> dict[str, LimitingSDE]:
    """By the optimizer, and numbered where several have one name."""
    labels = [sde.optimizer.label for sde in sdes]
    counts = [labels[: k + 1].count(label) for k, label in enumerate(labels)]
    names = [label if labels.count(label) == 1 else f"{label} ({n})" for label, n in zip(labels, counts, strict=True)]
    return dict(zip(names, sdes, strict=True))


def _beside(ax: Any, shown: np.ndarray, lane: float, **how: Any) -> None:
    """A path, so far to the left of where it runs, and a mark where it ends."""
    if lane:
        along = np.gradient(shown, axis=0)
        normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
        size = np.linalg.norm(normal, axis=1, keepdims=True)
        still = size[:, 0] <= 1e-9 * np.nanmax(size, initial=0.0)
        normal = np.where(still[:, None], np.nan, normal / np.where(size > 0, size, 1))
        # To one side of Γ, whichever way a path runs.
        normal *= np.where(normal @ UPWARDS >= 0, 1.0, -1.0)[:, None]
        shown = shown + lane * normal
    ax.plot(*shown.T, linewidth=1.6, zorder=5, **how)
    ends = shown[np.isfinite(shown).all(axis=1)][-1:]
    ax.plot(*ends.T, "D", color=how["color"], markersize=3.5, zorder=7)
