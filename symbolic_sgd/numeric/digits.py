"""How many digits of a value are right: it is held against the same program in arithmetic of as many digits as that takes."""

from collections.abc import Callable

import numpy as np

from symbolic_sgd.algebra.precision import mp

FIRST = 50
"""Digits of the first arithmetic; their number is doubled until two arithmetics agree."""

LARGEST = 3200
"""Digits of the last: e^700 beside 1, cubed, takes a third of them."""

AGREED = 20
"""Digits to which two arithmetics in succession agree where the second is believed."""


def settled(precise: Callable[[int], np.ndarray]) -> np.ndarray:
    """The values on which arithmetics of ever more digits agree; a row is NaN where none of up to 3200 digits do.

    Args:
        precise: B rows of mpmath numbers, by arithmetic of so many digits.
    """
    digits, known = FIRST, precise(FIRST)
    truth, pending = np.full(known.shape, mp.nan, dtype=object), np.ones(len(known), dtype=bool)
    while pending.any() and digits < LARGEST:
        digits *= 2
        before, known = known, precise(digits)
        for k in np.flatnonzero(pending):
            if _digits(before[k], known[k]) >= AGREED:
                truth[k], pending[k] = known[k], False
    return truth


def right_digits(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """−log₁₀ of the error beside the largest entry, for each of B rows: at least 0, ∞ where no entry is off, NaN where
    the truth is not known. What float64 has no number for, being too small, is not held against it."""
    least = np.finfo(float).tiny if values.dtype == float else 0.0
    return np.array([_digits(value, true, least) for value, true in zip(values, truth, strict=True)], dtype=float)


def _digits(values: np.ndarray, truth: np.ndarray, least: float = 0.0) -> float:
    with mp.workdps(FIRST):
        numbers = [mp.mpf(b) for b in truth.tolist()]
        if any(map(mp.isnan, numbers)):
            return float("nan")
        error = max((abs(mp.mpf(a) - b) for a, b in zip(values.tolist(), numbers, strict=True)), default=mp.mpf(0))
        if not error:
            return float("inf")
        size = max([abs(number) for number in numbers] + [mp.mpf(least)])
        return max(0.0, float(-mp.log10(error / size))) if size and mp.isfinite(error) else 0.0
