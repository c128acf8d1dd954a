"""Whether rounding decides a limit: twins of a start, a little beside it on both sides, have to end where it does.

Derivatives cannot tell. Beside the separatrix of (uv − 1)², which leads into a saddle, the limit jumps though ∂Φ is
bounded; beside that of (uv)², which leads into a point where Γ is degenerate, Φ is continuous and ∂Φ is not bounded.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symbolic_sgd.flow.numerics.rules import in_words
from symbolic_sgd.flow.numerics.state import Task, local_axes
from symbolic_sgd.flow.numerics.verdicts import Results

DOUBTFUL = 9.0
"""∫ max(0, −λ_min) dt from which rounding, enlarged by its exponential, might reach 10⁻¹²."""

NUDGE = 1e-12
"""Relative distance of the twins that are followed then."""

KICK = 1e-13
"""Relative displacement of a twin after every step, for errors that are made on the way."""

SIDES = 2
"""Orthogonal directions in which a start has twins; a separatrix holds two random ones only by chance."""

APART = 1e-6
"""Relative distance between their limits at which a thousandth of it, the effect of rounding, is too much."""

EXACT = 1e-9
"""Relative distance between limits up to which they need not answer displacements in proportion; 100 tolerances if that is more."""

BENT = 0.3
"""Share of the distance between two opposite twins' limits by which their middle may miss the limit of the start."""

FADING = 1e-3
"""Share of a curvature across Γ by which it may differ between these limits: where Γ degenerates it goes to zero."""

ELSEWHERE = 0.5
"""The same share between what the flow of a twin reached and the exact limit that is near it, which is another if it is more."""

ROUNDING_OF_CURVATURE = 1e3 * np.finfo(float).eps
"""Rounding of a curvature relative to the largest."""

Sharpened = Callable[[np.ndarray, np.ndarray], np.ndarray]
Followed = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Difference:
    """How far the limits of two opposite twins are from that of their start, one number each a start."""

    distance: np.ndarray  # relative to 1 + |Φ|, infinite where a twin does not reach Γ
    bent: np.ndarray  # whether it is not in proportion to the displacement
    fading: np.ndarray  # the largest relative change of a curvature across Γ

    @staticmethod
    def of(task: Task, starts: np.ndarray, here: np.ndarray, plus: np.ndarray, minus: np.ndarray) -> "Difference":
        """Of limits (B×D each) from starts (B×(D+C)) and from their twins."""
        size, middle = 1 + np.linalg.norm(here, axis=1), (plus + minus) / 2
        away = np.maximum(np.linalg.norm(plus - here, axis=1), np.linalg.norm(minus - here, axis=1)) / size
        distance = np.where(np.isfinite(away), away, np.inf)
        missed = np.linalg.norm(middle - here, axis=1) > BENT * np.linalg.norm(plus - minus, axis=1)
        bent = missed & (distance > max(EXACT, 100 * task.tolerance))
        return Difference(distance, bent, _fading(task, starts, here, [plus, minus, middle]))

    @property
    def matters(self) -> np.ndarray:
        return (self.distance > APART) | self.bent | (self.fading > FADING)


def decided_by_rounding(
    task: Task, rows: np.ndarray, results: Results, followed: Followed, sharpened: Sharpened
) -> dict[int, str]:
    """Which limits rounding has decided, by the number of the row, and how it is seen, in words.

    Args:
        task: the loss.
        rows: the starts.
        results: what became of them.
        followed: rows and the displacements of their flows after every step → limits, nan where they do not reach Γ.
        sharpened: rows and limits near theirs → the exact limits, nan where unknown.
    """
    reached = np.flatnonzero(np.isfinite(results.points).all(axis=1))
    doubtful = reached[_are_doubtful(task, rows[reached], results.points[reached], results.growth[reached])]
    reasons: dict[int, str] = {}
    for side in _orthonormal(task.loss.dimension).T:
        starts, ends = rows[doubtful], results.points[doubtful]
        twins = [followed(*_displaced(starts, ends, sign * side)) for sign in (1, -1)]
        found = Difference.of(task, starts, *_sharpened(task, starts, [ends, *twins], sharpened))
        for k in np.flatnonzero(found.matters):
            row = int(doubtful[k])
            reasons[row] = _words(found.distance[k], found.fading[k], results.nearness[row], results.passed[row])
        doubtful = doubtful[~found.matters]
    return reasons


def _are_doubtful(task: Task, starts: np.ndarray, ends: np.ndarray, growth: np.ndarray) -> np.ndarray:
    """Where the flow may have enlarged errors much, or so far that a curvature across Γ is uncertain."""
    tangent = local_axes(task, _at(starts, ends))[2][:, :, : task.loss.dimension - task.rank]
    along = tangent @ np.random.default_rng(1).standard_normal(tangent.shape[2])
    error = NUDGE * _size(starts, ends) * np.exp(np.minimum(growth, DOUBTFUL))
    moved = [ends + sign * error[:, None] * along for sign in (1, -1)]
    return (growth > DOUBTFUL) | (_fading(task, starts, ends, moved) > FADING)


def _orthonormal(dimension: int) -> np.ndarray:
    """Directions of twins, as columns; the same for every start, so that a batch is its rows."""
    columns = np.random.default_rng(0).standard_normal((dimension, min(dimension, SIDES)))
    return np.linalg.qr(columns)[0]


def _displaced(starts: np.ndarray, ends: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts moved in a direction, and the displacement of their flows after every step, relative to 1 + |x|."""
    dimension = ends.shape[1]
    twins = starts.copy()
    twins[:, :dimension] += NUDGE * _size(starts, ends)[:, None] * direction
    return twins, np.tile(KICK * direction, (len(starts), 1))


def _sharpened(
    task: Task, starts: np.ndarray, limits: list[np.ndarray], sharpened: Sharpened
) -> tuple[np.ndarray, ...]:
    """The exact limits near some that the flows of starts and their twins reached, where all are known, else those."""
    exact = [sharpened(starts, some) for some in limits]
    known = np.asarray(np.isfinite(exact).all(axis=(0, 2)))
    for found, sharp in zip(limits, exact, strict=True):
        known &= _fading(task, starts, sharp, [found, (found + sharp) / 2]) <= ELSEWHERE
    return tuple(np.where(known[:, None], sharp, found) for found, sharp in zip(limits, exact, strict=True))


def _fading(task: Task, starts: np.ndarray, here: np.ndarray, there: list[np.ndarray]) -> np.ndarray:
    """The largest relative difference between the M curvatures across Γ here and at other points, beyond rounding."""
    curvature = local_axes(task, _at(starts, here))[1][:, -task.rank :]
    others = np.stack([local_axes(task, _at(starts, some))[1][:, -task.rank :] for some in there])
    change = np.abs(others - curvature) - ROUNDING_OF_CURVATURE * curvature[:, -1:]
    relative = np.where(change <= 0, 0.0, change / curvature).max(axis=(0, 2))
    return np.where(np.isfinite(relative), relative, np.inf)


def _at(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points followed by the constants of their rows."""
    return np.concatenate([points, rows[:, points.shape[1] :]], axis=1)


def _size(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """1 + |x| at the start or the end, whichever is larger."""
    dimension = ends.shape[1]
    return 1 + np.maximum(np.linalg.norm(starts[:, :dimension], axis=1), np.linalg.norm(ends, axis=1))


def _words(distance: float, fading: float, nearness: float, passed: np.ndarray) -> str:
    seen = "elsewhere" if np.isinf(distance) else f"{distance:.2g} away"
    if distance <= APART and fading > FADING:
        seen = "where the curvatures across Γ are others"
    where = f", near {in_words(passed)}" if np.isfinite(nearness) else ""
    return (
        f"starts {NUDGE:.0e} beside it end {seen}, so that rounding decides its limit: it lies on the border between two basins, "
        f"from where the flow leads to a saddle, or to a point where Γ is degenerate{where}, or it lies too far away"
    )
