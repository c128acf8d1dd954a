"""Rational numbers recognised from their digits: single ones, and the coefficients of a linear relation."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.effort import Effort

KNOWN = 100
"""Digits of the values that are given (at that working precision or more)."""

AGREED = 50
"""Digits in which a value and the fraction agree: an irrational number is some q⁻² from the nearest fraction with a
denominator up to q."""

LARGEST_DENOMINATOR = 10**18
"""Coefficients are recognised up to this denominator: an irrational number is some 10⁻³⁶ from the nearest of these fractions,
far from the 10⁻⁵⁰ to which coefficients are known."""

SINGULAR = 65
"""Digits below the largest number of a block at which a pivot is rounding."""

Block = Sequence[Sequence[PreciseNumber]]


def rational(value: PreciseNumber, largest_denominator: int, *, agreed: int = AGREED) -> Fraction | None:
    """The fraction with a denominator up to a bound that a value is, to so many digits, if it is one.

    >>> with mp.workdps(110):
    ...     rational(mp.mpf(3) / 7, 10**9), rational(mp.sqrt(2), 10**9)
    (Fraction(3, 7), None)
    """
    exact = Fraction(int(mp.nint(value * mp.mpf(10) ** KNOWN)), 10**KNOWN)
    simple = exact.limit_denominator(largest_denominator)
    return simple if abs(simple - exact) <= Fraction(1, 10**agreed) * (1 + abs(exact)) else None


def relation(
    blocks: Iterable[Block],
    largest_denominator: int = LARGEST_DENOMINATOR,
    *,
    agreed: int = AGREED,
    effort: Effort | None = None,
) -> list[Fraction] | None:
    """The rational c with Ac = 0 that is 1 in the first column of A that depends on those before it, and 0 after it.

    Args:
        blocks: the rows of A, at the working precision. The numbers of a block (an equation, or all of those at a point) are
            judged beside its largest.
        largest_denominator, agreed: as for `rational`.
        effort: bounds how long it takes.

    Returns:
        None if the columns are independent, if there are too few rows to tell, or if c is not rational.

    Raises:
        BudgetSpent: by the effort.

    >>> with mp.workdps(110):
    ...     relation([[[mp.sqrt(2), mp.sqrt(3), mp.sqrt(8)]], [[mp.e, mp.pi, 2 * mp.e]], [[mp.log(2), mp.log(3), mp.log(4)]]])
    [Fraction(-2, 1), Fraction(0, 1), Fraction(1, 1)]
    """
    rows = []
    for block in blocks:
        size = max(abs(a) for row in block for a in row) or mp.mpf(1)
        rows.extend([a / size for a in row] for row in block)
    if not all(mp.isfinite(a) for row in rows for a in row):
        return None
    found = [rational(c, largest_denominator, agreed=agreed) for c in _null_vector(rows, effort or Effort())]
    known = [c for c in found if c is not None]
    return known if known and len(known) == len(found) else None


def _null_vector(rows: list[list[PreciseNumber]], effort: Effort) -> list[PreciseNumber]:
    """The c of `relation`, by elimination; [] if there is none."""
    for column in effort.each(range(len(rows[0]) if rows else 0)):
        if column == len(rows):
            return []
        best = max(range(column, len(rows)), key=lambda i: abs(rows[i][column]))
        rows[column], rows[best] = rows[best], rows[column]
        pivot = rows[column]
        if abs(pivot[column]) < mp.mpf(10) ** -SINGULAR:
            return _back_substituted(rows, column)
        for i in range(column + 1, len(rows)):
            factor = rows[i][column] / pivot[column]
            rows[i] = [
                *rows[i][: column + 1],
                *(a - factor * b for a, b in zip(rows[i][column + 1 :], pivot[column + 1 :], strict=True)),
            ]
    return []


def _back_substituted(rows: list[list[PreciseNumber]], column: int) -> list[PreciseNumber]:
    """The c that is 1 in this column and 0 in those after it, for rows that are triangular up to it."""
    c = [mp.mpf(int(k == column)) for k in range(len(rows[0]))]
    for i in reversed(range(column)):
        c[i] = -mp.fdot(rows[i][i + 1 : column + 1], c[i + 1 : column + 1]) / rows[i][i]
    return c
