"""Is a point a regular point of Γ: ∇L = 0, and H = ∇²L ≥ 0 of rank M there? One predicate for every part of the program.

float64 answers where the curvatures lie within eight decades (`is_clear`): its eigenvalues err by 10⁻¹⁶ of the largest, so
that H† keeps eight digits. Of any other point it says nothing, neither yes nor no: the point is put on {∇L = 0} by
Newton's method to many digits (`foot`), and H is eliminated there (`inertia`), which tells curvatures 60 decades below the
largest from none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic_sgd.algebra.precision import mp, solved

PreciseNumber = Any
PreciseMatrix = Any
"""A number and a matrix of mpmath (which has no type information)."""

Gradient = Callable[[Sequence[PreciseNumber]], Sequence[PreciseNumber]]
Hessian = Callable[[Sequence[PreciseNumber]], PreciseMatrix]
"""∇L (D) and ∇²L (D×D) at a point (D), at the working precision."""

CLEAR = 1e-8
"""The M-th curvature beside the largest from which float64 decides."""

FLAT = 1e-9
"""What rounding may make of the other curvatures, beside the largest, on Γ."""

BENT = 1e4
"""How fast they may grow with the relative distance from Γ."""

DIGITS = 120
"""Digits of a foot."""

CARRIED = 60
"""Digits beyond them that are carried."""

ELIMINATED = 105
"""Digits with which H is eliminated."""

COARSE = 55
"""Digits of a second evaluation, of which what is zero keeps nothing."""

ZERO, CERTAIN = 1e-80, 1e-60
"""What is left of H, beside its largest entry: below the first it is rounding, above the second it is none."""

MOST_STEPS = 60
"""Newton steps to a foot; from float64 they take four."""

GAP = 1e-3
"""Ratio of successive pivots of H from which the later ones are left for later."""

APPROACH = 8
"""Of these, the first ones need not be shorter than their predecessors."""


# --- float64 ------------------------------------------------------------------------------------


def is_clear(
    curvature: np.ndarray, rank: int, distance: np.ndarray | float = 0.0, *, least: float = CLEAR
) -> np.ndarray:
    """Which points are regular points of Γ beyond the doubts of float64; the others are undecided.

    Args:
        curvature: eigenvalues of H, ascending (B×D).
        rank: M.
        distance: |H†∇L|/(1 + |x|) (B), which the flat curvatures feel.
        least: the M-th curvature beside the largest from which float64 has digits enough.
    """
    largest = np.abs(curvature).max(axis=1)
    others = np.abs(curvature[:, : curvature.shape[1] - rank]).max(axis=1, initial=0.0)
    return ~are_far_apart(curvature, rank, least=least) & (others <= (FLAT + BENT * distance) * largest)


def are_far_apart(curvature: np.ndarray, rank: int, *, least: float = CLEAR) -> np.ndarray:
    """Where the M largest curvatures are not within the eight decades of float64 (B×D → B)."""
    return ~(curvature[:, -rank] > least * np.abs(curvature).max(axis=1))


# --- many digits --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inertia:
    """What symmetric elimination finds of H.

    Args:
        pivots: indices I in the order of elimination, H[I, I] nonsingular; as many as curvatures that are not zero.
        decades: log₁₀ of the largest entry over the last pivot.
        positive: whether H ≥ 0.
        decided: whether what was left could be told from rounding.
    """

    pivots: tuple[int, ...]
    decades: float
    positive: bool
    decided: bool

    @property
    def rank(self) -> int:
        """The number of curvatures that are not zero, where H ≥ 0."""
        return len(self.pivots)

    def is_regular(self, rank: int) -> bool:
        """Whether H ≥ 0 has this rank."""
        return self.positive and self.decided and self.rank == rank


def inertia(h: PreciseMatrix) -> Inertia:
    """H by symmetric elimination with diagonal pivoting, which for H ≥ 0 reveals its rank."""
    with mp.workdps(ELIMINATED):
        return _eliminated(h.copy())


def _eliminated(rest: PreciseMatrix) -> Inertia:
    remaining, pivots, last = list(range(rest.rows)), [], mp.mpf(0)
    scale = max((abs(entry) for entry in rest), default=mp.mpf(0))

    def found(*, positive: bool = True, decided: bool = True) -> Inertia:
        return Inertia(tuple(pivots), float(mp.log10(scale / last)) if last else 0.0, positive, decided)

    while remaining:
        size = max(abs(rest[i, j]) for i in remaining for j in remaining)
        if size <= ZERO * scale:
            break
        if size < CERTAIN * scale:
            last = size
            return found(decided=False)
        pivot = max(remaining, key=lambda i: rest[i, i])
        if rest[pivot, pivot] < size * mp.mpf("0.999999") or min(rest[i, i] for i in remaining) < -size / 10**6:
            return found(positive=False)
        last = rest[pivot, pivot]
        remaining.remove(pivot)
        pivots.append(pivot)
        _eliminate(rest, pivot, remaining)
    return found()


def _eliminate(rest: PreciseMatrix, pivot: int, remaining: Sequence[int]) -> None:
    for i in remaining:
        ratio = rest[i, pivot] / rest[pivot, pivot]
        for j in remaining:
            rest[i, j] -= ratio * rest[pivot, j]


def pivots_of(h: PreciseMatrix, most: int) -> list[tuple[int, PreciseNumber]]:
    """Indices and values of the first pivots of H, and one more: the largest on the diagonal first, whatever its sign."""
    rest, remaining, found = h.copy(), list(range(h.rows)), []
    while remaining and len(found) <= most:
        pivot = max(remaining, key=lambda i: abs(rest[i, i]))
        if not rest[pivot, pivot]:
            break
        found.append((pivot, rest[pivot, pivot]))
        remaining.remove(pivot)
        _eliminate(rest, pivot, remaining)
    return found


def newton_step(h: PreciseMatrix, slope: Sequence[PreciseNumber], rank: int) -> list[PreciseNumber] | None:
    """−H†∇L where H = N A⁻¹ Nᵀ for its columns N at `rank` pivots, −N G⁻¹ A G⁻¹ Nᵀ∇L with G = NᵀN; None if G is singular."""
    chosen = [i for i, _ in pivots_of(h, rank)[:rank]]
    if len(chosen) < rank:
        return None
    d = range(h.rows)
    columns = mp.matrix([[h[i, j] for j in chosen] for i in d])
    block = mp.matrix([[h[i, j] for j in chosen] for i in chosen])
    gram = columns.T * columns
    try:
        inner = solved(gram, columns.T * mp.matrix(list(slope)))
        step = columns * solved(gram, block * inner)
    except ZeroDivisionError:
        return None
    return [-step[i] for i in d]


def kernel_columns(h: PreciseMatrix, rank: int) -> PreciseMatrix:
    """A basis of the kernel of H ≥ 0 of this rank, D×(D−M): e_j − Σ_I (H_II⁻¹ H_Ij) e_I for each j that is no pivot."""
    with mp.workdps(ELIMINATED):
        chosen = [i for i, _ in pivots_of(h, rank)[:rank]]
        others = [i for i in range(h.rows) if i not in chosen]
        block = mp.matrix([[h[i, j] for j in chosen] for i in chosen])
        basis = mp.zeros(h.rows, len(others))
        for k, j in enumerate(others):
            basis[j, k] = mp.mpf(1)
            column = solved(block, mp.matrix([-h[i, j] for i in chosen])) if chosen else []
            for i, entry in zip(chosen, column, strict=True):
                basis[i, k] = entry
    return basis


def kernel(h: PreciseMatrix, rank: int) -> np.ndarray:
    """The same, orthonormal and in float64."""
    basis = kernel_columns(h, rank)
    return np.linalg.qr(np.array([[float(basis[i, k]) for k in range(basis.cols)] for i in range(basis.rows)]))[0]


def feet(
    gradient: Gradient,
    hessian: Hessian,
    start: Sequence[PreciseNumber],
    most: int,
    *,
    reach: float,
    digits: int = DIGITS,
) -> Iterator[tuple[int, list[PreciseNumber]]]:
    """Where Newton's method ends in the 1st, 2nd, … group of directions of H, from the stiffest on.

    Beside Γ, curvatures that are small beside the distance from it do not show. So the stiffest directions are settled
    first, as far as the pivots fall by `GAP`; then the next group shows, and so on.

    Args:
        gradient, hessian: ∇L and ∇²L.
        start: x, D numbers.
        most: the number of directions after which to stop: M where it is known, at most D.
        reach: how far each point may be from x, relative to 1 + |x|.
        digits: of the points; more are carried, which the ratio of the curvatures uses up.

    Yields:
        The number of directions so far, and the point where the gradient has no component along them; nothing more where
        the steps do not contract, or lead farther than `reach`.
    """
    current: list[PreciseNumber] | None = list(start)
    count = 0
    while count < most:
        with mp.workdps(digits + CARRIED):
            count = next((k for k in _groups(hessian(current), most) if k > count), most)
            current = _settled(gradient, hessian, start, current, count, reach, digits)
        if current is None:
            return
        yield count, current


def foot(
    gradient: Gradient, hessian: Hessian, start: Sequence[PreciseNumber], rank: int, *, reach: float
) -> list[PreciseNumber] | None:
    """The point of Γ beside a point, where rank H = M is known; None if there is none. Whether the gradient vanishes there,
    and H is of this rank, is left to the caller."""
    return next((x for count, x in feet(gradient, hessian, start, rank, reach=reach) if count == rank), None)


def regular_point(
    gradient: Gradient, hessian: Hessian, start: Sequence[PreciseNumber], rank: int, *, reach: float
) -> list[PreciseNumber] | None:
    """The regular point of Γ within `reach`(1 + |x|) of a point, to 120 digits: the foot, if ∇L = 0 there, and H ≥ 0 has rank M."""
    x = foot(gradient, hessian, start, rank, reach=reach)
    if x is None:
        return None
    with mp.workdps(ELIMINATED):
        fine, curvature = gradient([+a for a in x]), inertia(hessian(x))
    with mp.workdps(COARSE):
        coarse = gradient([+a for a in x])
    stationary = all(is_rounding(a, b) for a, b in zip(coarse, fine, strict=True))
    return x if stationary and curvature.is_regular(rank) else None


def _groups(h: PreciseMatrix, most: int) -> list[int]:
    """After how many pivots of H, the largest first, the next are smaller by `GAP`."""
    sizes = [abs(value) for _, value in pivots_of(h, most)]
    return [k for k in range(1, min(most, len(sizes))) if sizes[k] < GAP * sizes[k - 1]]


def _settled(
    gradient: Gradient,
    hessian: Hessian,
    begin: Sequence[PreciseNumber],
    start: Sequence[PreciseNumber],
    rank: int,
    reach: float,
    digits: int,
) -> list[PreciseNumber] | None:
    """Where Newton's method in the `rank` stiffest directions ends, to so many digits, within `reach` of `begin`."""
    begin = [mp.mpf(a) for a in begin]
    current, size, previous = [mp.mpf(a) for a in start], 1 + max(map(abs, begin)), mp.inf
    tiny = size * mp.mpf(10) ** (5 - digits)
    for iteration in range(MOST_STEPS):
        step = newton_step(hessian(current), gradient(current), rank)
        length = mp.nan if step is None else max(map(abs, step))
        if step is None or not mp.isfinite(length) or (iteration >= APPROACH and previous / 2 < length > tiny):
            return None
        current = [a + change for a, change in zip(current, step, strict=True)]
        if max(abs(a - b) for a, b in zip(current, begin, strict=True)) > reach * size:
            return None
        if length <= tiny and (previous <= tiny or not any(is_tiny(a, size, digits) for a in current)):
            return [without_rounding(a, change, size, digits) for a, change in zip(current, step, strict=True)]
        previous = length
    return None


def is_tiny(value: PreciseNumber, size: PreciseNumber, digits: int) -> bool:
    """Whether a coordinate is below the digits of the others, and may be rounding."""
    return bool(0 < abs(value) < size * mp.mpf(10) ** (12 - digits))


def without_rounding(value: PreciseNumber, change: PreciseNumber, size: PreciseNumber, digits: int) -> PreciseNumber:
    """A coordinate after a last step that was taken for its sake: 0 if it is tiny and nothing but that step.

    A coordinate such as e⁻¹⁰⁰⁰ settles to its own digits, however small it is; what is zero never settles.
    """
    return mp.mpf(0) if is_tiny(value, size, digits) and abs(change) > abs(value) / 2 else value


def is_rounding(low: PreciseNumber, high: PreciseNumber) -> bool:
    """Whether a value at two working precisions is zero: rounding shrinks with the precision, a true value stays."""
    return bool(high == 0 or abs(low - high) > abs(high) / 2)


# --- words --------------------------------------------------------------------------------------


def decades(curvature: np.ndarray, rank: int) -> int:
    """How many decades the M largest of the curvatures (D) span, in float64."""
    largest, smallest = float(np.abs(curvature).max()), float(curvature[-rank])
    return round(np.log10(largest / smallest)) if smallest > 0 else 16


def far_apart(span: float) -> str:
    """The words for curvatures that differ so much, and the remedy."""
    return (
        f"the curvatures across Γ are {span:.0f} decades apart there; rescale the parameters or the terms of the loss, "
        "or name another part of Γ with near="
    )
