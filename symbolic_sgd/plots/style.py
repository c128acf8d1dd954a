"""How pictures look: sizes of a paper's column and page, colours that the colour-blind tell apart. Nothing global is changed."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]
import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput

Drawing = TypeVar("Drawing", bound=Callable[..., Any])

WIDTHS = {"column": 3.4, "page": 7.0}
"""Inches of the widths by name."""

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
"""The palette of Okabe and Ito (2008)."""

LINES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Of those, the ones that a line is seen by on white, in the order in which they are taken."""

STYLES = ("-", "--", ":", "-.")
"""Of lines that share a colour."""

GREY = "0.45"

LETTERS, HANDLE = 16.0, 6
"""Of a legend on an inch, and as wide as so many is what stands before its words."""

SOLID, BAR = (0.0, 0.06, 0.74, 0.94), (0.8, 0.28, 0.03, 0.5)
"""Of a figure with three coordinates, where the axes and the colour bar are."""

ROW = 0.16
"""Inches by which each row of a legend makes a figure of our own higher."""

COLOURS_OF_R = "viridis"
"""Of the regularizer: it is read in grey, too."""

SETTINGS = {
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.3,
    "mathtext.fontset": "dejavuserif",
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
}


def drawn(function: Drawing) -> Drawing:
    """The function with our settings in force while it draws, and only then."""

    @wraps(function)
    def within(*arguments: Any, **keywords: Any) -> Any:
        # Not by rc_context, which would take back what a notebook's back end sets when the first figure wakes it: that it shows figures.
        before = {name: plt.rcParams[name] for name in SETTINGS}
        plt.rcParams.update(SETTINGS)
        try:
            return function(*arguments, **keywords)
        finally:
            plt.rcParams.update(before)

    return within  # type: ignore[return-value]


def new_axes(width: str | float, ratio: float, projection: str | None = None) -> Any:
    """Axes in a new figure.

    Args:
        width: "column", "page", or inches.
        ratio: height/width.
        projection: "3d", or None.

    Raises:
        BadInput: a width that is none.
    """
    inches = width_of(width)
    if projection == "3d":  # whose room matplotlib's layout does not find
        return plt.figure(figsize=(inches, ratio * inches)).add_axes(SOLID, projection="3d")
    return plt.figure(figsize=(inches, ratio * inches), layout="constrained").add_subplot()


def width_of(width: str | float) -> float:
    """Inches of a width.

    >>> width_of("column")
    3.4
    """
    if isinstance(width, str) and width in WIDTHS:
        return WIDTHS[width]
    if isinstance(width, (int, float)) and not isinstance(width, bool) and 0.5 <= width <= 100:
        return float(width)
    names = " or ".join(f'"{name}"' for name in WIDTHS)
    raise BadInput(f"width is {width!r}; give {names}, or inches from 0.5 to 100")


def math(symbol: Any) -> str:
    """A symbol or an expression as matplotlib sets it.

    >>> math(sp.Symbol("u_1"))
    '$u_{1}$'
    """
    return f"${sp.latex(sp.sympify(symbol))}$"


def fixed_point(
    ax: Any, place: Sequence[float] | np.ndarray, stability: str, *, colour: str = BLACK, named: bool = True
) -> None:
    """A filled mark for a stable one, an open one for an unstable one, a grey one where that is undecided; one label for each kind."""
    label = f"{stability} fixed point"
    known = ax.get_legend_handles_labels()[1]
    face, edge = {"stable": (colour, "white"), "unstable": ("white", colour)}.get(stability, ("0.7", colour))
    how = {"markersize": 6.5, "markerfacecolor": face, "markeredgecolor": edge, "linestyle": "none", "zorder": 8}
    ax.plot(
        *np.reshape(place, (-1, 1)), "o", label=None if label in known or not named else label, clip_on=False, **how
    )


def colour_bar(ax: Any, mappable: Any, *, own: bool, **how: Any) -> Any:
    """Beside the axes."""
    if own and ax.name == "3d":
        return ax.figure.colorbar(mappable, cax=ax.figure.add_axes(BAR), **how)
    return ax.figure.colorbar(mappable, ax=ax, shrink=0.75, pad=0.02 if ax.name != "3d" else 0.12, **how)


def legend(ax: Any, *, own: bool) -> None:
    """What has a label: under the axes of a figure that is our own, else in the axes where there is room."""
    handles, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    compact = {"columnspacing": 1.2, "handlelength": 1.6, "handletextpad": 0.5}
    if own:
        letters = LETTERS * float(ax.figure.get_size_inches()[0])
        columns = next((n for n in (3, 2) if len(labels) >= n and n * (max(map(len, labels)) + HANDLE) <= letters), 1)
        rows = -(-len(labels) // columns)
        width, height = ax.figure.get_size_inches()
        ax.figure.set_size_inches(width, height + ROW * rows)
        outside = "" if ax.name == "3d" else "outside "
        ax.figure.legend(handles, labels, loc=f"{outside}lower center", ncols=columns, **compact)
        if ax.name == "3d":
            left, _, across, _ = SOLID
            bottom = (ROW * rows + 0.1) / (height + ROW * rows)
            ax.set_position((left, bottom, across, 1 - bottom))
    else:
        ax.legend(loc="best", **compact)
