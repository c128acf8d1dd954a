"""Points of Γ to 100 digits and more, and the decisions that are taken there: is it zero, what is the rank."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber, Valuation
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp, solved
from symbolic_sgd.errors import ComplexValue, NoManifold, NotSmooth, SaddlePoint, Undecided
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.regular_point import DIGITS as POINT
from symbolic_sgd.regular_point import (
    ELIMINATED,
    are_far_apart,
    far_apart,
    feet,
    inertia,
    is_rounding,
    is_tiny,
    without_rounding,
)

DIGITS = 50
"""Digits to which everything that is decided is computed."""

LOW, HIGH = 55, ELIMINATED
"""The two working precisions of a zero test; points are known to a little more than the higher."""


CARRIED = 10
"""Digits carried beyond those of a point; curvatures that differ by so many decades use them up."""

DESCENT = 60
"""Digits of a descent along which curvatures are far apart."""

DAMPED = 10
"""By how much its damping falls and grows."""

PATIENCE = 60
"""Its steps at most; where curvatures differ by 30 decades they are about 40."""

AWAY = 10
"""A descent that goes this many times 1 + |x| away is on its way to infinity."""

NEWTON = 8
"""Steps after which H†, in float64, is that of the limit."""

STANDSTILL = 1e-30
"""The length of a step, relative to 1 + |x|, at which it has come to rest, and the damping, or its inverse, at the ends."""


@dataclass(frozen=True)
class PrecisePoint:
    """A point (and values of the constants), with the values of a graph's nodes there at two precisions."""

    assignment: Mapping[sp.Symbol, PreciseNumber]
    _low: Valuation = field(init=False, repr=False, compare=False)
    _high: Valuation = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_low", Valuation(PRECISE, _rounded(self.assignment, LOW)))
        object.__setattr__(self, "_high", Valuation(PRECISE, _rounded(self.assignment, HIGH)))

    def low(self, nodes: Sequence[Node]) -> list[Any]:
        """The values of nodes at the lower precision."""
        return _guarded(self._low, LOW, nodes)

    def high(self, nodes: Sequence[Node]) -> list[Any]:
        """The values of nodes at the higher precision."""
        return _guarded(self._high, HIGH, nodes)

    def zeros(self, nodes: Sequence[Node]) -> list[bool]:
        """Which nodes vanish here: a value that rounding alone makes shrinks with the precision, a true one stays.

        Two precisions decide this without knowing the scale of the value.
        """
        return [is_rounding(a, b) for a, b in zip(self.low(nodes), self.high(nodes), strict=True)]

    def agrees(self, other: "PrecisePoint", node: Node) -> bool:
        """Whether a node has the same value here and at another point."""
        low, high = (at(self)[0] - at(other)[0] for at in (lambda p: p.low([node]), lambda p: p.high([node])))
        return is_rounding(low, high)

    def matrix(self, matrix: Matrix) -> PreciseMatrix:
        """A matrix of nodes as numbers, to 50 digits and more; what vanishes here is 0, and not its rounding."""
        rows, columns = matrix.shape
        zeros = self.zeros(matrix.entries)
        values = [mp.mpf(0) if zero else v for v, zero in zip(self.high(matrix.entries), zeros, strict=True)]
        return mp.matrix([values[i * columns : (i + 1) * columns] for i in range(rows)])

    def floats(self, symbols: Sequence[sp.Symbol]) -> np.ndarray:
        """The coordinates in float64."""
        return np.array([float(self.assignment[s]) for s in symbols])

    def describe(self, symbols: Sequence[sp.Symbol]) -> str:
        """The point in words, for messages."""
        tiny = 1e-30 * (1 + max(abs(float(a)) for a in self.assignment.values()))  # rounding, in words, is zero
        shown = {s: float(self.assignment[s]) for s in symbols}
        return "(" + ", ".join(f"{s} = {a if abs(a) > tiny else 0:.6g}" for s, a in shown.items()) + ")"


def _rounded(assignment: Mapping[sp.Symbol, PreciseNumber], digits: int) -> dict[sp.Symbol, PreciseNumber]:
    """The coordinates to so many digits, so that differences between them are no more exact than the arithmetic is."""
    with mp.workdps(digits):
        return {s: mp.mpf(a) for s, a in assignment.items()}


def _guarded(valuation: Valuation, digits: int, nodes: Sequence[Node]) -> list[Any]:
    with mp.workdps(digits):
        try:
            return valuation(nodes)
        except ZeroDivisionError as error:
            raise NotSmooth(
                f"a derivative of the loss, or the noise, divides by zero at the minimizer {_place(valuation)}: the theorem "
                "needs a loss with three continuous derivatives there; exclude such points with domain=[…]"
            ) from error
        except ComplexValue as error:
            raise ComplexValue(
                f"the loss or the noise is not real at the minimizer {_place(valuation)}: {error}; "
                "state the part of Γ where it is with domain=[…]"
            ) from error


def _place(valuation: Valuation) -> str:
    return "(" + ", ".join(f"{s} = {mp.nstr(a, 6)}" for s, a in valuation.assignment.items()) + ")"


@dataclass(frozen=True)
class HessianRank:
    """rank H at a point, and the indices I of principal pivots: H[I, I] is nonsingular."""

    rank: int
    pivots: tuple[int, ...]


def positive_semidefinite_rank(h: PreciseMatrix, describe: Callable[[], str]) -> HessianRank:
    """The rank of H, by symmetric elimination.

    Raises:
        SaddlePoint: H is not positive semidefinite.
        Undecided: what is left is neither clearly zero nor clearly not.
    """
    found = inertia(h)
    if not found.decided:
        raise Undecided(f"the rank of the Hessian could not be decided at {describe()}: {far_apart(found.decades)}")
    if not found.positive:
        raise SaddlePoint(f"the Hessian is not positive semidefinite at the stationary point {describe()}")
    return HessianRank(found.rank, found.pivots)


def matrix_rank(a: PreciseMatrix) -> int:
    """The rank of any matrix, by elimination with complete pivoting; what is below 10⁻⁴⁰ of the largest entry is zero."""
    with mp.workdps(HIGH):
        rest, rank = a.copy(), 0
        scale = max((abs(x) for x in rest), default=mp.mpf(0))
        while rank < min(rest.rows, rest.cols):
            places = [(i, j) for i in range(rank, rest.rows) for j in range(rank, rest.cols)]
            p, q = max(places, key=lambda ij: abs(rest[ij]))
            if abs(rest[p, q]) <= mp.mpf("1e-40") * scale:
                break
            for j in range(rest.cols):
                rest[rank, j], rest[p, j] = rest[p, j], rest[rank, j]
            for i in range(rest.rows):
                rest[i, rank], rest[i, q] = rest[i, q], rest[i, rank]
            for i in range(rank + 1, rest.rows):
                ratio = rest[i, rank] / rest[rank, rank]
                for j in range(rank, rest.cols):
                    rest[i, j] -= ratio * rest[rank, j]
            rank += 1
        return rank


def sharpen(
    landscape: Landscape,
    assignment: Mapping[sp.Symbol, Any],
    rank: int,
    float_hessian: Callable[[np.ndarray], np.ndarray],
    *,
    reach: float,
) -> PrecisePoint | None:
    """The nearby zero of ∇L to 120 digits, by Newton steps −H†∇L in the `rank` stiffest directions.

    H† is computed in float64, so that each step gains about ten digits, and costs one gradient; where the curvatures are
    too far apart for that, to 120 digits.

    Args:
        landscape: whose gradient is to vanish.
        assignment: where to begin; symbols that are no parameters stay.
        rank: the number of normal directions.
        float_hessian: the Hessian at float64 values of the assignment, in its order.
        reach: how far it may be, relative to 1 + |x|.

    Returns:
        The point, or None where the steps do not contract, or do not end at a zero of the gradient within reach.
    """
    point = _by_float_steps(landscape, assignment, rank, float_hessian, reach)
    curvature = _curvature(float_hessian, assignment)
    if point is None and curvature is not None and are_far_apart(curvature[None, :], rank)[0]:
        return sharpen_far_apart(landscape, assignment, reach=reach, most=rank)
    return point


def sharpen_far_apart(
    landscape: Landscape, assignment: Mapping[sp.Symbol, Any], *, reach: float, most: int | None = None
) -> PrecisePoint | None:
    """The same with H† to 120 digits.

    Args:
        landscape, assignment, reach: as for `sharpen`.
        most: the number of normal directions at most; None if nothing is known of it.
    """
    symbols = [node.value for node in landscape.variables]
    known = _rounded(assignment, POINT)
    begin = [known[s] for s in symbols]
    at = lambda x: known | dict(zip(symbols, x, strict=True))  # noqa: E731
    places = feet(
        lambda x: _slope(landscape, at(x)),
        lambda x: _hessian(landscape, at(x)),
        begin,
        landscape.dimension if most is None else most,
        reach=reach,
    )
    points = (_stationary(landscape, at(x)) for _, x in places)
    return next((point for point in points if point is not None), None)


def descend_precisely(
    landscape: Landscape, assignment: Mapping[sp.Symbol, Any], admissible: Callable[[Mapping[sp.Symbol, Any]], bool]
) -> dict[sp.Symbol, PreciseNumber]:
    """Go down from a point by Levenberg's and Marquardt's steps −(H + μ diag|H_ii|)⁻¹∇L. Where curvatures are far apart, each
    is followed by Newton's method in the stiffest directions, which leads from a wall of a curved valley to its floor.

    Args:
        landscape: L.
        assignment: where to begin; symbols that are no parameters stay.
        admissible: where L is smooth and stated.
    """
    symbols = [node.value for node in landscape.variables]
    with mp.workdps(DESCENT):
        here = {s: mp.mpf(a) for s, a in assignment.items()}
        loss, damping = _loss(landscape, here), mp.mpf(1) / DAMPED
        limit = AWAY * (1 + max(abs(here[s]) for s in symbols))
        for _ in range(PATIENCE):
            trial = _trial(landscape, here, symbols, damping)
            level = _loss(landscape, trial) if trial is not None and admissible(trial) else mp.inf
            size = 1 + max(abs(here[s]) for s in symbols)
            if trial is not None and max(abs(trial[s] - here[s]) for s in symbols) < STANDSTILL * size:
                break
            if trial is not None and level < loss:
                here, loss, damping = trial, level, max(damping / DAMPED, mp.mpf(STANDSTILL))
            else:
                damping *= DAMPED
            if damping > 1 / STANDSTILL or size > limit:
                break
    return here


def _trial(
    landscape: Landscape, here: dict[sp.Symbol, PreciseNumber], symbols: Sequence[sp.Symbol], damping: PreciseNumber
) -> dict[sp.Symbol, PreciseNumber] | None:
    at = lambda x: here | dict(zip(symbols, x, strict=True))  # noqa: E731
    gradient, hessian = (lambda x: _slope(landscape, at(x))), (lambda x: _hessian(landscape, at(x)))
    begin = [here[s] for s in symbols]
    try:
        matrix = hessian(begin)
        largest = max(map(abs, matrix))
        for i in range(matrix.rows):
            matrix[i, i] += damping * max(abs(matrix[i, i]), STANDSTILL * largest)
        step = solved(matrix, mp.matrix(gradient(begin)))
        moved = [a - change for a, change in zip(begin, step, strict=True)]
        floors = feet(gradient, hessian, moved, len(moved), reach=1.0, digits=DESCENT)
        *_, floor = [moved, *(x for count, x in floors if count < len(moved))]
    except (NoManifold, ZeroDivisionError):
        return None
    return at(floor)


def _loss(landscape: Landscape, assignment: Mapping[sp.Symbol, Any]) -> PreciseNumber:
    try:
        return _guarded(Valuation(PRECISE, assignment), DESCENT, [landscape.loss])[0]
    except NoManifold:
        return mp.inf


def _slope(landscape: Landscape, assignment: Mapping[sp.Symbol, Any]) -> list[PreciseNumber]:
    return _guarded(Valuation(PRECISE, assignment), mp.dps, landscape.gradient.entries)


def _hessian(landscape: Landscape, assignment: Mapping[sp.Symbol, Any]) -> PreciseMatrix:
    d = landscape.dimension
    entries = _guarded(Valuation(PRECISE, assignment), mp.dps, landscape.hessian.entries)
    return mp.matrix([entries[i * d : (i + 1) * d] for i in range(d)])


def _curvature(
    float_hessian: Callable[[np.ndarray], np.ndarray], assignment: Mapping[sp.Symbol, Any]
) -> np.ndarray | None:
    hessian = float_hessian(np.array([float(a) for a in assignment.values()]))
    return np.linalg.eigvalsh(hessian) if np.isfinite(hessian).all() else None


def _by_float_steps(
    landscape: Landscape,
    assignment: Mapping[sp.Symbol, Any],
    rank: int,
    float_hessian: Callable[[np.ndarray], np.ndarray],
    reach: float,
) -> PrecisePoint | None:
    symbols = [node.value for node in landscape.variables]
    with mp.workdps(POINT + CARRIED):
        start = {s: mp.mpf(a) for s, a in assignment.items()}
        current = dict(start)
        size = 1 + max(abs(start[s]) for s in symbols)
        tiny = size * mp.mpf(10) ** (5 - POINT)
        previous, known, inverse = mp.inf, [], []
        for iteration in range(60):
            slope = _guarded(Valuation(PRECISE, current), mp.dps, landscape.gradient.entries)
            place = [float(a) for a in current.values()]
            if iteration < NEWTON and place != known:  # afterwards H† no longer changes in float64
                known, inverse = place, _rows(_pseudo_inverse(float_hessian(np.array(place)), rank))
            step = [mp.fdot(zip(row, slope, strict=True)) for row in inverse]
            length = max(map(abs, step), default=mp.nan)
            if not mp.isfinite(length) or (iteration >= NEWTON and length > previous / 2 and length > tiny):
                return None
            current.update((s, current[s] - change) for s, change in zip(symbols, step, strict=True))
            if max(abs(current[s] - start[s]) for s in symbols) > reach * size:
                return None
            if length <= tiny and (previous <= tiny or not any(is_tiny(current[s], size, POINT) for s in symbols)):
                changes = dict(zip(symbols, step, strict=True))
                final = {s: without_rounding(current[s], a, size, POINT) for s, a in changes.items()}
                found = _accepted(landscape, current | final, float_hessian, size)
                if found is not None or not any(is_tiny(current[s], size, POINT) for s in symbols):
                    return found  # else a tiny coordinate may be none of rounding, and settle far below
            previous = length
    return None


def _accepted(
    landscape: Landscape,
    assignment: dict[sp.Symbol, PreciseNumber],
    float_hessian: Callable[[np.ndarray], np.ndarray],
    size: PreciseNumber,
) -> PrecisePoint | None:
    slope = _guarded(Valuation(PRECISE, assignment), POINT, landscape.gradient.entries)
    stiffness = float(np.abs(float_hessian(np.array([float(a) for a in assignment.values()]))).max())
    small = max(map(abs, slope)) <= stiffness * size * mp.mpf(10) ** (10 - POINT)
    return _stationary(landscape, assignment) if small else None


def _stationary(landscape: Landscape, assignment: dict[sp.Symbol, PreciseNumber]) -> PrecisePoint | None:
    """The point, unless its gradient is merely tiny, as on the way to a minimum at infinity: that does not shrink with the
    precision."""
    point = PrecisePoint(assignment)
    return point if all(point.zeros(landscape.gradient.entries)) else None


def _rows(matrix: np.ndarray) -> list[list[PreciseNumber]]:
    return [list(map(mp.mpf, row)) for row in matrix.tolist()]


def _pseudo_inverse(hessian: np.ndarray, rank: int) -> np.ndarray:
    if not np.isfinite(hessian).all():
        return np.zeros((0, 0))
    values, vectors = np.linalg.eigh(hessian)
    stiffest = np.argsort(np.abs(values))[len(values) - rank :]
    if not values[stiffest].all():
        return np.zeros((0, 0))
    axes = vectors[:, stiffest]
    return axes / values[stiffest] @ axes.T
