"""Rational numbers recognised from their digits."""

from fractions import Fraction

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.precision import mp

KNOWN = 100
"""Digits of the values that are given (at that working precision or more)."""

AGREED = 50
"""Digits in which a value and the fraction agree: an irrational number is some q⁻² from the nearest fraction with a
denominator up to q."""


def rational(value: PreciseNumber, largest_denominator: int, *, agreed: int = AGREED) -> Fraction | None:
    """The fraction with a denominator up to a bound that a value is, to so many digits, if it is one.

    >>> with mp.workdps(110):
    ...     rational(mp.mpf(3) / 7, 10**9), rational(mp.sqrt(2), 10**9)
    (Fraction(3, 7), None)
    """
    exact = Fraction(int(mp.nint(value * mp.mpf(10) ** KNOWN)), 10**KNOWN)
    simple = exact.limit_denominator(largest_denominator)
    return simple if abs(simple - exact) <= Fraction(1, 10**agreed) * (1 + abs(exact)) else None
