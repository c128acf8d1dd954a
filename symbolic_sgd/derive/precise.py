"""Points of Γ to 100 digits and more, and the decisions that are taken there: is it zero, what is the rank."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber, Valuation
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.errors import ComplexValue, NotSmooth, SaddlePoint, Undecided
from symbolic_sgd.problems.landscape import Landscape

DIGITS = 50
"""Digits to which everything that is decided is computed."""

LOW, HIGH = 55, 105
"""The two working precisions of a zero test, and the digits of a point are a little above the higher."""

POINT = HIGH + 15


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
        return [_is_zero(a, b) for a, b in zip(self.low(nodes), self.high(nodes), strict=True)]

    def agrees(self, other: "PrecisePoint", node: Node) -> bool:
        """Whether a node has the same value here and at another point."""
        low, high = (at(self)[0] - at(other)[0] for at in (lambda p: p.low([node]), lambda p: p.high([node])))
        return _is_zero(low, high)

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
    """The coordinates to so many digits, so that differences between them are no more exact than the arithmetic is;
    one that is beyond the accuracy of the point itself is zero."""
    with mp.workdps(digits):
        own = {s: mp.mpf(a) for s, a in assignment.items()}
        below = mp.mpf(10) ** (-HIGH - 3) * (1 + max(map(abs, own.values())))
        return {s: mp.mpf(0) if abs(a) < below else +a for s, a in own.items()}


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


def _is_zero(low: PreciseNumber, high: PreciseNumber) -> bool:
    return high == 0 or abs(low - high) > abs(high) / 2


@dataclass(frozen=True)
class HessianRank:
    """rank H at a point, and the indices I of principal pivots: H[I, I] is nonsingular."""

    rank: int
    pivots: tuple[int, ...]


def positive_semidefinite_rank(h: PreciseMatrix, describe: Callable[[], str]) -> HessianRank:
    """The rank of H by symmetric elimination with diagonal pivoting, which for H ≥ 0 reveals it.

    Raises:
        SaddlePoint: H is not positive semidefinite.
        Undecided: a remainder neither clearly zero (10⁻⁴⁰ of H) nor clearly not (10⁻²⁰).
    """
    with mp.workdps(HIGH):
        return _eliminate(h.copy(), describe)


def _eliminate(rest: PreciseMatrix, describe: Callable[[], str]) -> HessianRank:
    n, h = rest.rows, rest
    remaining, pivots = list(range(n)), []
    scale = max((abs(h[i, j]) for i in range(n) for j in range(n)), default=mp.mpf(0))
    while remaining:
        size = max(abs(rest[i, j]) for i in remaining for j in remaining)
        if size <= mp.mpf("1e-40") * scale:
            break
        if size < mp.mpf("1e-20") * scale:
            raise Undecided(
                f"the rank of the Hessian could not be decided at {describe()}: curvatures differ by a factor "
                f"{mp.nstr(scale / size, 3)}; rescale the parameters, or choose another point with near="
            )
        pivot = max(remaining, key=lambda i: rest[i, i])
        if rest[pivot, pivot] < size * mp.mpf("0.999999") or min(rest[i, i] for i in remaining) < -size / 10**6:
            raise SaddlePoint(f"the Hessian is not positive semidefinite at the stationary point {describe()}")
        remaining.remove(pivot)
        pivots.append(pivot)
        for i in remaining:
            ratio = rest[i, pivot] / rest[pivot, pivot]
            for j in remaining:
                rest[i, j] -= ratio * rest[pivot, j]
    return HessianRank(len(pivots), tuple(pivots))


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

    H† is computed in float64, so that each step gains about ten digits, and costs one gradient.

    Args:
        landscape: whose gradient is to vanish.
        assignment: where to begin; symbols that are no parameters stay.
        rank: the number of normal directions.
        float_hessian: the Hessian at float64 values of the assignment, in its order.
        reach: how far it may be, relative to 1 + |x|.

    Returns:
        The point, or None where the steps do not contract, or do not end at a zero of the gradient within reach.
    """
    symbols = [node.value for node in landscape.variables]
    with mp.workdps(POINT):
        start = {s: mp.mpf(a) for s, a in assignment.items()}
        current = dict(start)
        size = 1 + max(abs(start[s]) for s in symbols)
        tiny = size * mp.mpf(10) ** (5 - POINT)
        previous, inverse = mp.inf, np.zeros((0, 0))
        for iteration in range(60):
            slope = _guarded(Valuation(PRECISE, current), POINT, landscape.gradient.entries)
            if iteration < 8:  # the Newton phase; afterwards H† no longer changes in float64
                inverse = _pseudo_inverse(float_hessian(np.array([float(a) for a in current.values()])), rank)
            step = [mp.fdot(zip(row, slope, strict=True)) for row in inverse.tolist()]
            length = max(map(abs, step), default=mp.nan)
            if not mp.isfinite(length) or (iteration >= 8 and length > previous / 2 and length > tiny):
                return None
            current.update((s, current[s] - change) for s, change in zip(symbols, step, strict=True))
            if max(abs(current[s] - start[s]) for s in symbols) > reach * size:
                return None
            if length <= tiny:
                return _accepted(landscape, current, float_hessian, size)
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
    point = PrecisePoint(assignment)
    # A gradient that is merely tiny, as on the way to a minimum at infinity, does not shrink with the precision.
    return point if small and all(point.zeros(landscape.gradient.entries)) else None


def _pseudo_inverse(hessian: np.ndarray, rank: int) -> np.ndarray:
    if not np.isfinite(hessian).all():
        return np.zeros((0, 0))
    values, vectors = np.linalg.eigh(hessian)
    stiffest = np.argsort(np.abs(values))[len(values) - rank :]
    if not values[stiffest].all():
        return np.zeros((0, 0))
    axes = vectors[:, stiffest]
    return axes / values[stiffest] @ axes.T
