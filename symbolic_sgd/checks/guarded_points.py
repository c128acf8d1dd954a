"""What the callables take for points of Γ: nothing that is beside it, or where the theorem or the formulas do not hold.

Their verdicts are held against points whose nature is known without them: points of Γ, the same points moved off Γ by
known distances, stationary points of the loss that are no minimizers or lie outside the domain, and points of Γ at which
the stated condition for the formulas fails.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.by_sympy import DIGITS
from symbolic_sgd.checks.certificate import Check, not_run
from symbolic_sgd.checks.fresh_points import floats, shown
from symbolic_sgd.checks.literal_road import drift_size, sizes
from symbolic_sgd.checks.singular_points import singular_points
from symbolic_sgd.checks.stability import stays
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import OffManifold, SingularPoint
from symbolic_sgd.numeric.callables import NumericFunctions
from symbolic_sgd.theorem.derivation import Derivation

CLOSE = 1e-8
"""Distance from Γ, relative to 1 + |x|, at which a point is still on Γ for users."""

OFF = (1e-5, 1e-4, 1e-3, 1e-2)
"""Distances from Γ, relative to 1 + |x|, at which it no longer is."""

STRAIGHT = 0.1
"""A point is moved by at most this part of the length over which the flattest curvature across Γ changes."""

DECADES = 1e-10
"""Where curvatures across Γ are farther apart, float64 need not tell a point of Γ from others."""

SINGULAR = 2
"""Points far away from which singular points are sought, beside the random ones."""

RIGHT = 1e-6
"""Error of a callable, relative to the natural size of the drift, up to which its number is right after all."""


@dataclass(frozen=True)
class GuardedPoints:
    """The verdicts of the callables on points of Γ, beside Γ, and where nothing holds."""

    name: ClassVar[str] = "which points the callables accept"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        callables, minor = _Callables(witness), witness.derivation.minor
        checks = [_on_manifold(callables, rng), _beside(callables, rng), _no_minimizers(callables)]
        return checks if minor is None else [*checks, _singular(callables, minor)]


@dataclass(frozen=True)
class _Callables:
    """The functions that users get, and what they say."""

    witness: Witness

    @property
    def derivation(self) -> Derivation:
        return self.witness.derivation

    @cached_property
    def functions(self) -> NumericFunctions:
        return NumericFunctions(self.derivation)

    def drift(self, row: np.ndarray) -> np.ndarray | None:
        """The drift at a row (parameters, then constants); None where it is refused."""
        problem = self.derivation.problem
        constants = {s.name: a for s, a in zip(problem.constants, row[problem.dimension :].tolist(), strict=True)}
        try:
            return self.functions.drift(row[: problem.dimension], **constants)
        except (OffManifold, SingularPoint):
            return None

    def accepted(self, rows: Iterable[np.ndarray]) -> list[np.ndarray]:
        return [row for row in rows if self.drift(row) is not None]

    def normal(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Curvatures across Γ, ascending, and their axes (D×M)."""
        rank = self.derivation.codimension
        curvature, axes = np.linalg.eigh(self.witness.smooth_loss.hessian(row[None])[0])
        return curvature[-rank:], axes[:, -rank:]

    def moved(self, row: np.ndarray, distance: float, rng: np.random.Generator) -> np.ndarray:
        """A row moved off Γ in a random normal direction, by a distance relative to 1 + |x|."""
        d = self.derivation.problem.dimension
        _, axes = self.normal(row)
        direction = axes @ rng.standard_normal(axes.shape[1])
        away = row.copy()
        away[:d] += distance * (1 + np.linalg.norm(row[:d])) * direction / np.linalg.norm(direction)
        return away

    def place(self, row: np.ndarray) -> str:
        symbols = self.derivation.problem.symbols
        return f"x = {shown(symbols, dict(zip(symbols, row.tolist(), strict=True)))}"


def _on_manifold(callables: _Callables, rng: np.random.Generator) -> Check:
    """The points for which the formulas were derived, and points as close to Γ as rounding elsewhere leaves them; those that the
    optimizer leaves are to be refused."""
    derivation, name = callables.derivation, "callables: points of Γ accepted"
    rows = [floats(derivation.problem.symbols, p) for p in (*derivation.points, *callables.witness.points)]
    rows += [callables.moved(row, CLOSE, rng) for row in rows]
    refused = [row for row in rows if (callables.drift(row) is not None) != stays(callables.witness, row)]
    steep = [callables.normal(row)[0] for row in refused]
    blind = bool(refused) and all(curvature[0] < DECADES * curvature[-1] for curvature in steep)
    detail = f"{len(derivation.points)} points that were derived from, and {len(callables.witness.points)} others"
    detail += f"; refused is {callables.place(refused[0])}" if refused else ""
    return _counted(name, len(rows), len(rows) - len(refused), detail, "undecided" if blind else "failed")


def _beside(callables: _Callables, rng: np.random.Generator) -> Check:
    """Points at known distances from Γ."""
    rows = []
    for point in callables.witness.points:
        row = floats(callables.derivation.problem.symbols, point)
        longest = STRAIGHT * _straight(callables, row)
        rows.extend(callables.moved(row, distance, rng) for distance in OFF if distance <= longest)
    name, distances = "callables: points beside Γ refused", ", ".join(f"{a:g}" for a in OFF)
    detail = f"{distances} of 1 + |x| off Γ, as far as curvatures across Γ do not change much on the way"
    return _refused(callables, name, rows, detail)


def _straight(callables: _Callables, row: np.ndarray) -> float:
    """How far from Γ all curvatures across it keep their size, relative to 1 + |x|."""
    d, (curvature, _) = callables.derivation.problem.dimension, callables.normal(row)
    flattest = curvature[0] / curvature[-1]
    return float(callables.witness.length(row) * flattest / (1 + np.linalg.norm(row[:d])))


def _no_minimizers(callables: _Callables) -> Check:
    """Saddles, maxima, minimizers of another rank, and whatever lies outside the domain."""
    rows = callables.witness.stationary.others
    detail = "stationary points of L that are no minimizers of this rank, or lie outside the domain"
    return _refused(callables, "callables: what is not Γ refused", list(rows), detail)


def _singular(callables: _Callables, minor: Program) -> Check:
    """Points of Γ at which the stated condition fails: refused, or the numbers are right there after all."""
    name, witness = "callables: singular points refused", callables.witness
    found = singular_points(witness.literal, minor, (*witness.points, *witness.elsewhere[:SINGULAR]))
    rows = [floats(witness.derivation.problem.symbols, point) for point in found]
    detail = "points of Γ at which the determinant vanishes on whose being nonzero the formulas rest"
    if not rows:
        return not_run(name, 0.0, f"no {detail} were met")
    wrong = [row for row in rows if not _refused_or_right(callables, row)]
    detail += f"; accepted with a wrong number is {callables.place(wrong[0])}" if wrong else ""
    return _counted(name, len(rows), len(rows) - len(wrong), detail, "failed")


def _refused_or_right(callables: _Callables, row: np.ndarray) -> bool:
    """Whether the callables refuse a row, or have the drift of the literal theorem there."""
    found = callables.drift(row)
    if found is None:
        return True
    witness, symbols = callables.witness, callables.derivation.problem.symbols
    with mp.workdps(DIGITS):
        point = witness.literal.onto(dict(zip(symbols, row.tolist(), strict=True)))
        literal = witness.literal.terms(point)
        error = max(abs(a - b) for a, b in zip(literal.drift, found.tolist(), strict=True))
        return bool(error <= RIGHT * drift_size(literal, *sizes(witness, point)))


def _refused(callables: _Callables, name: str, rows: Sequence[np.ndarray], detail: str) -> Check:
    if not len(rows):
        return not_run(name, 0.0, f"there were none: {detail}")
    taken = callables.accepted(rows)
    detail += f"; accepted is {callables.place(taken[0])}" if taken else ""
    return _counted(name, len(rows), len(rows) - len(taken), detail, "failed")


def _counted(name: str, expected: int, seen: int, detail: str, otherwise: str) -> Check:
    """How many of the points were treated as they should be: all of them, or the check does not hold."""
    verdict = "measured" if seen == expected else otherwise
    return Check(name, expected, seen, (expected - seen) / expected, 0.0, verdict, detail)
