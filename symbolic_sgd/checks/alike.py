"""When a repeated check says what a certificate says: the same words, and the same numbers to what another processor changes.

What a check cannot resolve, its tolerance times the natural size that its detail names, is no difference. Statistics are
drawn with the same random numbers, and agree far below their tolerance, which counts standard errors.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from symbolic_sgd.checks.certificate import Check

ALIKE = 1e-4
"""Relative difference of numbers up to which they are the same."""

STATISTICS = 1e-6
"""The same of a distance in standard errors, absolutely."""

EPSILON = float(np.finfo(float).eps)

ROUNDING = 4 * EPSILON
"""Accuracies below this are all that of float64."""

LARGEST = float(np.finfo(float).max)

SPREAD = 10.0
"""Ratio of two sizes of rounding errors, or of accuracies, that two processors may show."""

SPENT = re.compile(r"[0-9.e+-]+ s of processor time were used")
"""What a search took, which is another each time."""

NUMBER = re.compile(r"[-+]?\d+(?:\.(\d+))?(?:e([-+]?\d+))?( ulp)?")
"""A number in a detail: its decimals, its exponent, and whether it counts in units of the last place of float64."""

NATURAL = re.compile(r"relative to (\S+);")

WHERE = "worst point"
"""Which of many points it was is a matter of rounding errors."""


def same_claims(old: Check, new: Check) -> bool:
    """Whether what was predicted and observed, and how far they are apart, is the same (each as it stands in a certificate)."""
    consistent = new.verdict == "consistent"
    resolved = ROUNDING * _largest(new.detail) if consistent else new.tolerance * _natural_size(new.detail)
    return (
        same_numbers(old.predicted, new.predicted, resolved)
        and same_numbers(old.observed, new.observed, resolved)
        and same_numbers(old.error, new.error, STATISTICS if consistent else new.tolerance)
    )


def same_numbers(old: Any, new: Any, resolved: float = 0.0) -> bool:
    """Whether two values of JSON are of one form, with numbers that differ by what another processor changes, or by less than
    what is resolved."""
    if isinstance(new, dict):
        return (
            isinstance(old, dict)
            and old.keys() == new.keys()
            and all(_same_form(old[k], new[k]) if k == WHERE else _same_sizes(old[k], new[k], resolved) for k in new)
        )
    if not _same_form(old, new):
        return False
    before, now = (np.array(list(_leaves(value)), dtype=float) for value in (old, new))
    allowed = ALIKE * max(np.abs(before).max(initial=0), np.abs(now).max(initial=0)) + resolved
    return bool((np.abs(before - now) <= allowed).all())


def _same_sizes(old: Any, new: Any, resolved: float) -> bool:
    """The same for what is summed up over many points, or one size of rounding errors."""
    if not _is_number(new):
        return same_numbers(old, new, resolved)
    return _is_number(old) and (same_numbers(old, new) or _rounding_alike(abs(old), abs(new), resolved))


def _rounding_alike(old: float, new: float, resolved: float) -> bool:
    small, large = sorted((old, new))
    return large <= ROUNDING or (large <= resolved and large <= SPREAD * small)


def same_words(old: Check, new: Check) -> bool:
    """Whether the details say the same: word for word, and number by number, but for what it took.

    >>> early, late = (Check("R", None, None, 0, 0, "not run", f"none found; {s} s of processor time were used") for s in (2, 3.5))
    >>> same_words(early, late)
    True
    """
    before, after = (SPENT.sub("", check.detail) for check in (old, new))
    if NUMBER.sub("#", before) != NUMBER.sub("#", after):
        return False
    pairs = zip(NUMBER.finditer(before), NUMBER.finditer(after), strict=True)
    return all(a[0] == b[0] or (a[3] == b[3] and _same_in_words(a, b, new)) for a, b in pairs)


def _same_form(old: Any, new: Any) -> bool:
    """The same nesting, with numbers at the same places, and the same at all others."""
    if isinstance(new, list):
        return isinstance(old, list) and len(old) == len(new) and all(map(_same_form, old, new))
    if _is_number(new):
        return _is_number(old)
    return type(old) is type(new) and old == new


def _leaves(value: Any) -> Iterator[float]:
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, list):
            yield from _leaves(entry)
        elif _is_number(entry):
            yield entry


def _is_number(value: Any) -> bool:
    """One of float64: JSON has integers beyond it."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def _natural_size(detail: str) -> float:
    found = NATURAL.search(detail)
    return float(found[1]) if found else 1.0


def _largest(detail: str) -> float:
    return max((abs(_value(number)) for number in NUMBER.finditer(detail)), default=0.0)


def _same_in_words(a: re.Match[str], b: re.Match[str], check: Check) -> bool:
    """One unit of the last digit that is printed; or accuracies, or rounding errors, of one size."""
    old, new = _value(a), _value(b)
    if abs(old - new) <= 1.5 * _last_place(b):
        return True
    if check.verdict == "consistent":
        return max(abs(old), abs(new)) <= ROUNDING * _largest(check.detail)
    return _rounding_alike(abs(old), abs(new), check.tolerance)


def _value(number: re.Match[str]) -> float:
    return float(number[0].removesuffix(" ulp")) * (EPSILON if number[3] else 1.0)


def _last_place(number: re.Match[str]) -> float:
    """What one unit of its last digit is worth; a whole number has none to spare."""
    if number[1] is None and number[2] is None:
        return 0.0
    return 10.0 ** (int(number[2] or 0) - len(number[1] or "")) * (EPSILON if number[3] else 1.0)
