"""Numbers with more digits than float64, many at once: NumPy's long double where it has 64 bits, else mpmath's in arrays."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from symbolic_sgd.algebra.arithmetic import BY_OPERATORS, FLOAT64, PRECISE, Arithmetic, Operations
from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.algebra.graph import Exact
from symbolic_sgd.algebra.precision import mp

DIGITS = 30
"""Of mpmath's numbers in arrays."""

WRITTEN = 25
"""Digits with which a number is handed to a long double."""


@dataclass(frozen=True)
class Extended:
    """A kind of number in arrays.

    Args:
        arithmetic: how it computes.
        dtype: of its arrays.
        epsilon: its relative rounding.
    """

    arithmetic: Arithmetic
    dtype: Any
    epsilon: float

    def number(self, value: Any) -> Any:
        """A number of mpmath, or a float, of this kind."""
        return _long(value) if self.dtype is np.longdouble else mp.mpf(value)


def extended(operations: Iterable[str]) -> Extended:
    """The fastest kind that has all of these operations.

    >>> third = extended(["add"]).arithmetic.constant(1) / 3
    >>> abs(float(3 * third - 1)) < 1e-18
    True
    """
    has = np.finfo(np.longdouble).eps < 1e-18 and all(op not in FUNCTIONS or _in_long_double(op) for op in operations)
    return LONG_DOUBLE if has else OBJECTS


def _long(value: Any) -> Any:
    with mp.workdps(DIGITS):
        return np.longdouble(mp.nstr(+mp.mpf(value), WRITTEN))


def _exact(value: Exact) -> Any:
    with mp.workdps(DIGITS):
        return _long(PRECISE.constant(value))


def _named(name: str) -> Any:
    with mp.workdps(DIGITS):
        return _long(CONSTANTS[name][2]())


@cache
def _in_long_double(name: str) -> bool:
    row = FUNCTIONS[name]
    with np.errstate(all="ignore"):
        try:
            value = row.numeric(*[np.full(1, 0.25, np.longdouble)] * row.arity)
        except TypeError:
            return False
    return np.asarray(value).dtype == np.longdouble


def _named_constants() -> dict[str, Any]:
    return {name: (lambda name=name: _named(name)) for name in CONSTANTS}


def _on_objects(function: Any, arity: int) -> Any:
    return np.frompyfunc(function, arity, 1)


LONG_DOUBLE = Extended(
    Arithmetic(_exact, Operations(lambda name, row: row.numeric, {**FLOAT64.operations, **_named_constants()})),
    np.longdouble,
    float(np.finfo(np.longdouble).eps),
)
"""The long double of the platform."""

OBJECTS = Extended(
    Arithmetic(
        PRECISE.constant,
        Operations(
            lambda name, row: _on_objects(PRECISE.operations[name], row.arity),
            {
                **BY_OPERATORS,
                "pow": _on_objects(PRECISE.operations["pow"], 2),
                **{c: PRECISE.operations[c] for c in CONSTANTS},
            },
        ),
    ),
    object,
    10.0**-DIGITS,
)
"""Arrays of numbers of mpmath, to be computed with `mp.workdps(DIGITS)`."""
