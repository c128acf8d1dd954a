"""What is drawn on Γ: the values of the regularizer, and the fixed points of a limit without noise."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.plots.gamma import Gamma
from symbolic_sgd.regularizer.one_form import RegularizationForm
from symbolic_sgd.regularizer.regularizer import Regularizer

SECONDS = 20.0
"""Of processor time for the search for R, and for fixed points in a chart."""

CLOSED = 1e-3
"""Beside the largest value of R on a closed curve, what the integral round it may be and be drawn as none."""


ROUNDING = 1e-12
"""Of the drift along a curve, what is none."""


@dataclass(frozen=True)
class Mark:
    """A fixed point.

    Args:
        place: D numbers.
        stability: "stable", "unstable" or "undecided".
    """

    place: np.ndarray
    stability: str


# --- the regularizer ----------------------------------------------------------------------------


def regularizer_values(gamma: Gamma, parts: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """R at the points of each of several parts of Γ, S×(D + constants).

    By its formula; along a single curve by the integral of the 1-form whose potential it is. None where it is not known, or there is none.
    """
    found = _sought(gamma)
    if found is not None and found.expression is not None:
        values = _evaluated(gamma, found.expression, parts)
        if values is not None:
            return values
    if gamma.dimension != 1 or len(parts) != 1:
        return None
    (curve,) = parts
    values = integrated(gamma, curve)
    if not np.array_equal(curve[0], curve[-1]):
        return [values]
    ruled_out = found is not None and found.expression is None
    returns = abs(values[-1] - values[0]) <= CLOSED * np.ptp(values)
    return [values] if returns and not ruled_out else None


def integrated(gamma: Gamma, curve: np.ndarray) -> np.ndarray:
    """−∫⟨mixed + normal regularization, dY⟩ along a curve, by the trapezoidal rule between its points."""
    field = RegularizationForm.of(gamma.sde.derivation).floats(curve)
    steps = np.diff(curve[:, : field.shape[1]], axis=0)
    return -np.concatenate([[0.0], np.cumsum(np.sum((field[1:] + field[:-1]) / 2 * steps, axis=1))])


def _sought(gamma: Gamma) -> Regularizer | None:
    with suppress(SymbolicSGDError):
        return gamma.sde.find_regularizer(seconds=SECONDS)
    return None


def _evaluated(gamma: Gamma, formula: Any, parts: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """A formula at points; None where it has a function without floats, or a value that is none."""
    try:
        program = Program.of({"R": Matrix.column([from_sympy(formula, Graph())])})
        values = [evaluate(program, gamma.sde.problem.symbols, part)["R"].reshape(-1) for part in parts]
    except SymbolicSGDError:
        return None
    return values if all(np.isfinite(part).all() for part in values) else None


# --- fixed points -------------------------------------------------------------------------------


def fixed_points(gamma: Gamma) -> list[Mark]:
    """Zeros of the drift in the window, where no noise along Γ was met: those that the SDE itself knows of, else on a curve where the
    drift changes its direction, in more dimensions those that are found in a chart."""
    if not gamma.is_still:
        return []
    found = _of_sde(gamma)
    if found is None and gamma.dimension == 1:
        found = [mark for curve in gamma.curves for mark in _on_curve(gamma, curve)]
    elif found is None:
        found = list(_in_chart(gamma))
    return [mark for mark in found if np.isfinite(mark.place).all() and gamma.inside(mark.place)]


def _of_sde(gamma: Gamma) -> list[Mark] | None:
    """Those that the SDE knows of; None where it knows of none, as with constants, or where nothing moves."""
    attractors = getattr(gamma.sde, "attractors", None)
    if attractors is None:
        return None
    try:
        return [Mark(_place(gamma, p.point), p.stability) for p in attractors()]
    except SymbolicSGDError:
        return None


def _on_curve(gamma: Gamma, curve: np.ndarray) -> Iterator[Mark]:
    d = len(gamma.sde.problem.parameters)
    drift, chords = gamma.drift(curve), np.diff(curve[:, :d], axis=0)
    middle = np.concatenate([chords[:1], chords[1:] + chords[:-1], chords[-1:]])
    along = np.sum(drift * middle, axis=1) / np.linalg.norm(middle, axis=1)
    along[np.abs(along) <= ROUNDING * max(1.0, float(np.abs(along).max()))] = 0.0
    for k in np.flatnonzero(along[1:] * along[:-1] < 0):
        part = along[k] / (along[k] - along[k + 1])
        yield Mark(curve[k, :d] + part * chords[k], "stable" if along[k] > 0 else "unstable")
    for k in np.flatnonzero(along[2:] * along[:-2] < 0) + 1:  # a zero between two that are none
        if along[k] == 0:
            yield Mark(curve[k, :d], "stable" if along[k - 1] > 0 else "unstable")


def _in_chart(gamma: Gamma) -> Iterator[Mark]:
    with suppress(SymbolicSGDError):
        found = gamma.sde.in_chart().find_fixed_points(seconds=SECONDS)
        for point in (*found.points, *found.elsewhere):
            ambient = dict(zip(gamma.sde.problem.parameters, point.ambient, strict=True))
            yield Mark(_place(gamma, ambient), point.stability)


def _place(gamma: Gamma, point: Any) -> np.ndarray:
    constants = dict(zip(gamma.sde.problem.constants, map(sp.Float, gamma.values), strict=True))
    numbers = (sp.N(sp.sympify(point[s]).xreplace(constants)) for s in gamma.sde.problem.parameters)
    return np.array([float(a) if a.is_real else np.nan for a in numbers])
