"""R along Γ, and the regularizer that it induces in function space."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.plots import style
from symbolic_sgd.plots.gamma import Gamma
from symbolic_sgd.plots.marks import fixed_points, integrated, regularizer_values
from symbolic_sgd.problems.problem import real_number

FINE = 400
"""Points of a formula."""


@style.drawn
def plot_regularizer(
    sde: LimitingSDE,
    *,
    along: Any = None,
    window: Any = None,
    at: Mapping[sp.Symbol, Any] | None = None,
    constants: Mapping[sp.Symbol, Any] | None = None,
    width: str | float = "column",
    ax: Any = None,
) -> Any:
    """R along a curve Γ, with the zeros of the drift where no noise along Γ was met (stable ones filled).

    Args:
        sde: a limiting SDE on a Γ of dimension 1.
        along: a parameter, over which R is drawn (default: the length of Γ from the point at which it was found, or `at`).
        window: (low, high) for each parameter that Γ is followed in, as in `plot_manifold`.
        at: a point beside Γ from which it is followed.
        constants: values of the problem's constants.
        width: of a new figure: "column", "page" or inches.
        ax: where to draw (default: a new figure).

    Returns:
        The axes.

    Raises:
        BadShape: Γ is no curve.
        BadInput: `along` is no parameter; R is no function on Γ, a closed curve round which it does not come back to itself; what
            `plot_manifold` raises.
    """
    gamma = Gamma.of(sde, window=window, at=at, constants=constants)
    if gamma.dimension != 1:
        raise BadShape(
            f"R is drawn along a curve, and Γ has dimension {gamma.dimension}: plot_manifold(sde) has it in colours"
        )
    column = None if along is None else _column(sde, along)
    d, curve = sde.problem.dimension, gamma.curves[0]
    values = regularizer_values(gamma, [curve])
    if values is None:
        round_it = integrated(gamma, curve)
        raise BadInput(f"R is no function on Γ: round this closed curve it changes by {round_it[-1] - round_it[0]:.3g}")
    places = _lengths(gamma, curve) if column is None else curve[:, column]
    own = ax is None
    ax = style.new_axes(width, 0.7) if ax is None else ax
    ax.plot(places, values[0], color=style.BLUE)
    for mark in fixed_points(gamma):
        apart = np.linalg.norm(curve[:, :d] - mark.place, axis=1)
        nearest = int(apart.argmin())
        if apart[nearest] <= 2 * gamma.size / FINE:
            style.fixed_point(ax, [places[nearest], values[0][nearest]], mark.stability)
    name = "length along Γ" if column is None else style.math(sde.problem.parameters[column])
    ax.set(xlabel=name, ylabel="$R$")
    style.legend(ax, own=own)
    return ax


def _column(sde: LimitingSDE, along: Any) -> int:
    names = [str(s) for s in sde.problem.parameters]
    if str(along) not in names:
        raise BadInput(f"along is {along}; give one of the parameters {', '.join(names)}")
    return names.index(str(along))


def _lengths(gamma: Gamma, curve: np.ndarray) -> np.ndarray:
    """Of the polygon from the point at which Γ was found."""
    d = gamma.sde.problem.dimension
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve[:, :d], axis=0), axis=1))])
    home = int(np.linalg.norm(curve[:, :d] - gamma.rows[0, :d], axis=1).argmin())
    return lengths - lengths[home]


@style.drawn
def plot_induced_regularizer(
    found: Any, values: Sequence[Any], *, ends: Any = None, width: str | float = "column", ax: Any = None
) -> Any:
    """R̂(β), the least R over the points that compute the same function: its formula as a line, its numbers and SGD's ends as points.

    Args:
        found: an induced regularizer: `.symbols` (one of them), `.expression` (None where there is no formula), and
            `.numeric([value]).value`, the number at a value of β.
        values: of β, at which the numbers are sought.
        ends: points x where runs ended, N×D like `run.final`: each is drawn at (F(x), R(x)), which is never below R̂.
        width: of a new figure: "column", "page" or inches.
        ax: where to draw (default: a new figure).

    Returns:
        The axes.

    Raises:
        BadShape: several symbols: put numbers in for all but one; ends with another number of parameters.
        BadInput: no values, or one that is no number.
    """
    if len(found.symbols) != 1:
        names = ", ".join(map(str, found.symbols))
        raise BadShape(f"R̂ is drawn over one symbol, and this one has {names}: put numbers in for all but one of them")
    if not len(values):
        raise BadInput("values is empty; give the values of β at which R̂ is sought")
    (symbol,) = found.symbols
    places = np.array([real_number(value, where="a value of β") for value in values])
    numbers = np.array([float(found.numeric([value]).value) for value in values])
    predicted = None if ends is None else _predicted(found, ends)
    reach = places if predicted is None else np.concatenate([places, predicted[0]])
    own = ax is None
    ax = style.new_axes(width, 0.7) if ax is None else ax
    if found.expression is not None:
        fine = np.linspace(reach.min(), reach.max(), FINE)
        formula = sp.lambdify(symbol, found.expression, "numpy")
        with np.errstate(all="ignore"):
            ax.plot(fine, np.broadcast_to(formula(fine), fine.shape), color=style.BLUE, label="formula")
    if predicted is not None:
        ax.plot(*predicted, ".", color="0.45", markersize=3, zorder=1, label="where runs ended")
    ax.plot(places, numbers, "o", color=style.VERMILION, markersize=4, label="minimized numerically")
    ax.set(xlabel=style.math(symbol), ylabel=r"$\hat R$")
    style.legend(ax, own=own)
    return ax


def _predicted(found: Any, ends: Any) -> tuple[np.ndarray, np.ndarray]:
    """(F(x), R(x)) at points x."""
    points = np.atleast_2d(np.asarray(ends, dtype=float))
    parameters = found.fibres.parameters
    if points.ndim != 2 or points.shape[1] != len(parameters):
        raise BadShape(
            f"ends has the shape {np.shape(ends)}; give N×{len(parameters)}: {', '.join(map(str, parameters))}"
        )
    both = sp.lambdify(parameters, [*found.predictor, found.regularizer], "numpy")
    output, height = (np.broadcast_to(a, len(points)) for a in both(*points.T))
    return output, height
