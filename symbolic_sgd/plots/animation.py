"""SGD that falls on Γ and drifts along it, as an animation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]
import numpy as np
import sympy as sp
from matplotlib.animation import FuncAnimation, PillowWriter  # pyright: ignore[reportMissingImports]

from symbolic_sgd import files
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.errors import BadInput
from symbolic_sgd.plots import style
from symbolic_sgd.plots.gamma import Gamma
from symbolic_sgd.plots.manifold import plot_manifold
from symbolic_sgd.plots.paths import Paths, Wanted, paths

FRAMES, PER_SECOND = 120, 20
"""Of an animation."""

FALL = 0.2
"""Of the frames, those in which the optimizer falls on Γ, slowed down."""

TAIL = 60
"""Recorded positions that are still seen."""

DOTS = 110
"""Pixels of an inch."""

ENDINGS = (".gif", ".html")


@style.drawn
def animate_drift(
    sde: LimitingSDE,
    output: str | Path | None = None,
    *,
    axes: Sequence[Any] | None = None,
    window: Any = None,
    at: Mapping[sp.Symbol, Any] | None = None,
    constants: Mapping[sp.Symbol, Any] | None = None,
    start: Mapping[Any, Any] | None = None,
    learning_rate: float | None = None,
    noise_scale: float | None = None,
    time: float | None = None,
    rng: int = 0,
    frames: int = FRAMES,
    width: str | float = 4.2,
) -> FuncAnimation:
    """The optimizer that falls on Γ and drifts along it, and its limit, over the picture of `plot_manifold`.

    The first fifth of the frames is the fall, slowed down.

    Args:
        sde: a limiting SDE.
        output: a file to write: .gif, or .html, a page with buttons.
        axes, window, at, constants, start, rng: as `plot_manifold` has them.
        learning_rate, noise_scale, time: η, ε and T of the run, as there.
        frames: how many, at 20 a second.
        width: "column", "page" or inches.

    Returns:
        matplotlib's animation: `.save(…)` and `.to_jshtml()` are its own; a notebook shows `HTML(animation.to_jshtml())`.

    Raises:
        BadInput: a file of another ending; fewer than two frames; what `plot_manifold` raises with path=True.
    """
    target = None if output is None else Path(output)
    if target is not None and target.suffix not in ENDINGS:
        raise BadInput(f"{target}: an animation is written as {' or '.join(ENDINGS)}")
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 2:
        raise BadInput(f"frames is {frames!r}; give a number of frames, at least 2")
    gamma = Gamma.of(sde, axes=axes, window=window, at=at, constants=constants)
    run = paths(gamma, Wanted(start, learning_rate, noise_scale, time, rng))
    ax = plot_manifold(sde, axes=gamma.axes, window=gamma.sides, at=at, constants=constants, path=False, width=width)
    animation = _animated(ax, gamma, run, frames)
    ax.figure.draw_without_rendering()
    ax.figure.set_layout_engine("none")  # of every frame it would be found anew
    plt.close(ax.figure)  # else a notebook shows the last frame as well
    if target is not None:
        _write(animation, target)
    return animation


def _animated(ax: Any, gamma: Gamma, run: Paths, frames: int) -> FuncAnimation:
    falling, along = gamma.shown(run.falling), gamma.shown(run.along)
    times, limit_times = run.optimizer.times, run.limit.times
    solid = ax.name == "3d"
    empty = [[]] * (3 if solid else 2)
    (tail,) = ax.plot(*empty, color=style.VERMILION, linewidth=0.9, zorder=6)
    (dot,) = ax.plot(*empty, "o", color=style.VERMILION, markersize=5, zorder=9)
    (line,) = ax.plot(*empty, color=style.BLACK, linestyle="--", linewidth=1.1, zorder=7)
    label = ax.set_title(" ")

    def show(line_: Any, points: np.ndarray) -> None:
        if solid:
            line_.set_data_3d(*points.T)
        else:
            line_.set_data(*points.T)

    def drawn(frame: int) -> list[Any]:
        k = int(_moments(len(times), frames)[frame])
        show(tail, falling[max(0, k - TAIL) : k + 1])
        show(dot, falling[k : k + 1])
        show(line, along[limit_times <= times[k]])
        label.set_text(
            f"{gamma.sde.optimizer.label}, $η$ = {run.learning_rate:.2g}, and its limit: $t$ = {times[k]:.2f}"
        )
        return [tail, dot, line, label]

    return FuncAnimation(ax.figure, drawn, frames=frames, interval=1000 / PER_SECOND, blit=False)


def _moments(count: int, frames: int) -> np.ndarray:
    """Of the recorded positions, those that the frames show: first one by one, then at an even pace."""
    slow = min(int(FALL * frames), count - 1)
    return np.concatenate([np.arange(slow), np.linspace(slow, count - 1, frames - slow)]).round().astype(int)


def _write(animation: FuncAnimation, target: Path) -> None:
    if target.suffix == ".gif":
        animation.save(target, writer=PillowWriter(fps=PER_SECOND), dpi=DOTS)
    else:
        with plt.rc_context({"savefig.dpi": DOTS}):
            page = animation.to_jshtml(fps=PER_SECOND)
        files.write(target, page.encode())
