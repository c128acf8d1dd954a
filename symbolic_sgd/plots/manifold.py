"""Γ with the drift and the noise on it, in two and three dimensions."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]
import numpy as np
import sympy as sp

from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.problems.problem import real_number
from symbolic_sgd.regularizer.scatter import FloatManifold

GRID = {2: 160, 3: 34}
"""Points of the window along each side, for D = 2 and 3; they are put on Γ by Newton's method."""

ARROW, RADIUS = 0.13, 0.07
"""Lengths of the longest arrow and of the longest axis of an ellipse, relative to the window."""


def plot_manifold(
    sde: LimitingSDE,
    *,
    window: Sequence[tuple[float, float]] | None = None,
    constants: Mapping[sp.Symbol, Any] | None = None,
    samples: int = 14,
    flow: bool = True,
    noise: bool = True,
    axes: Any = None,
) -> Any:
    """Γ in two or three dimensions with the drift ½∂²Φ[Σ] as arrows and the covariance of the noise as ellipses.

    The filled marks are ellipses of ∂Φσ, the noise along Γ (segments where Γ is a curve); in two dimensions those of σ
    itself are drawn beside them. Arrows, and ellipses of each kind, are to scale among themselves.

    Args:
        sde: a limiting SDE in D = 2 or 3 parameters.
        window: (low, high) for each parameter (default: two units round the points at which Γ was found).
        constants: values of the problem's constants.
        samples: at how many points there are arrows and ellipses.
        flow, noise: whether they are drawn.
        axes: where to draw (default: a new figure).

    Returns:
        The axes.

    Raises:
        BadShape: D is neither 2 nor 3, or the window has another number of sides.
        BadInput: a constant has no value, or no point of Γ lies in the window.
    """
    d = sde.problem.dimension
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise BadInput(f"samples is {samples!r}; give a number of points, at least 1")
    if d not in GRID:
        raise BadShape(f"plot_manifold draws 2 or 3 parameters, and this problem has {d}: draw sde.in_chart(…) instead")
    sides = _window(sde, window)
    values = _values(sde, constants or {})
    points = _on_manifold(sde, sides, values)
    if axes is None:
        axes = plt.figure(figsize=(6, 5.5), layout="constrained").add_subplot(projection="3d" if d == 3 else None)
    axes.scatter(*points[:, :d].T, s=2 if d == 2 else 3, color="0.55", linewidths=0, zorder=1, label="Γ")
    _set_window(axes, sde.problem.parameters, sides)
    chosen = points[_spread(points[:, :d], samples)]
    length = float(np.ptp(sides, axis=1).max())
    if noise:
        _ellipses(axes, sde, chosen, RADIUS * length)
    if flow:
        _arrows(axes, chosen[:, :d], _drift(sde, chosen), ARROW * length)
    axes.legend(loc="upper right", fontsize=8)
    return axes


def _window(sde: LimitingSDE, window: Sequence[tuple[float, float]] | None) -> np.ndarray:
    d = sde.problem.dimension
    if window is None:
        known = np.array([[float(p[x]) for x in sde.problem.parameters] for p in sde.derivation.points])
        return np.stack([known.min(axis=0) - 1, known.max(axis=0) + 1], axis=1)
    sides = np.array(window, dtype=float)
    if sides.shape != (d, 2) or not np.all(sides[:, 0] < sides[:, 1]):
        raise BadShape(f"window is {window!r}; give (low, high) with low < high for each of the {d} parameters")
    return sides


def _values(sde: LimitingSDE, constants: Mapping[sp.Symbol, Any]) -> list[float]:
    missing = [s for s in sde.problem.constants if s not in constants]
    if missing:
        raise BadInput(f"constants has no value for {', '.join(map(str, missing))}; give constants={{symbol: number}}")
    return [real_number(constants[s], where=f"constants[{s}]") for s in sde.problem.constants]


def _on_manifold(sde: LimitingSDE, sides: np.ndarray, values: list[float]) -> np.ndarray:
    """Points of Γ in the window, spread densely."""
    d = len(sides)
    ticks = [np.linspace(low, high, GRID[d]) for low, high in sides]
    grid = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, d)
    begin = np.concatenate([grid, np.broadcast_to(values, (len(grid), len(values)))], axis=1)
    with np.errstate(all="ignore"):
        settled = FloatManifold(sde.derivation).settle(begin)
    found = settled.points[:, :d]
    near = np.abs(found - grid).max(axis=1) <= 2 * np.ptp(sides, axis=1).max() / GRID[d]
    inside = np.all((found >= sides[:, 0]) & (found <= sides[:, 1]), axis=1)
    points = settled.points[settled.valid & near & inside]
    if not len(points):
        raise BadInput("no point of Γ was found in the window; give window= round a part of it")
    return points


def _spread(points: np.ndarray, count: int) -> list[int]:
    """Indices of points, each as far from those before it as can be."""
    chosen = [0]
    distance = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def _drift(sde: LimitingSDE, rows: np.ndarray) -> np.ndarray:
    return evaluate(sde.program.select("drift"), sde.problem.symbols, rows)["drift"]


def _arrows(axes: Any, points: np.ndarray, drift: np.ndarray, longest: float) -> None:
    size = np.linalg.norm(drift, axis=1).max()
    if not size > 0:
        return
    scaled = drift * (longest / size)
    flat = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006}
    style = flat if points.shape[1] == 2 else {"arrow_length_ratio": 0.3}
    axes.quiver(*points.T, *scaled.T, color="C3", zorder=3, label="drift ½∂²Φ[Σ]", **style)


def _ellipses(axes: Any, sde: LimitingSDE, rows: np.ndarray, longest: float) -> None:
    d = sde.problem.dimension
    kinds = [("tangent_noise", sde.program, "C0", "noise along Γ, ∂Φσ", 2.0)]
    if d == 2:
        kinds.append(("noise_factor", sde.derivation.blocks, "0.6", "noise σ", 0.8))
    for name, program, color, label, width in kinds:
        factor = evaluate(program.select(name), sde.problem.symbols, rows)[name].reshape(len(rows), d, -1)
        axis, size, _ = np.linalg.svd(factor, full_matrices=False)
        if not size.max() > 1e-12:
            continue
        angle = np.linspace(0, 2 * np.pi, 60)
        circle = np.stack([np.cos(angle), np.sin(angle)])[: size.shape[1]]
        curves = np.einsum("sik,sk,kt->sit", axis[:, :, :2], size[:, :2] * (longest / size.max()), circle)
        for k, (row, curve) in enumerate(zip(rows, curves, strict=True)):
            axes.plot(*(row[:d, None] + curve), color=color, linewidth=width, zorder=2, label=None if k else label)


def _set_window(axes: Any, parameters: Sequence[sp.Symbol], sides: np.ndarray) -> None:
    for name, symbol, (low, high) in zip("xyz", parameters, sides, strict=False):
        axes.set(**{f"{name}label": str(symbol), f"{name}lim": (low, high)})
    if len(sides) == 2:
        axes.set_aspect("equal")
    else:
        axes.set_box_aspect(np.ptp(sides, axis=1))
