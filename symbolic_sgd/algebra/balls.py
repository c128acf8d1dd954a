"""Ball arithmetic: midpoint ± radius, rounded outwards (Arb, by python-flint). Needs the extra `exact`.

Rationals are quotients of exact integers, so that a result contains the value of the program at the exact input.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from flint import arb, ctx, fmpq  # type: ignore[import-not-found]

from symbolic_sgd.algebra.arithmetic import BY_OPERATORS, Arithmetic, Operations
from symbolic_sgd.algebra.functions import FUNCTIONS, StableForm, check_supported, in_library
from symbolic_sgd.algebra.graph import Exact

PRECISION = 333
"""Bits, about 100 digits."""


def _rational(value: Exact) -> Any:
    return arb(fmpq(int(value.numerator), int(value.denominator)))


ARITHMETIC: dict[str, Callable[..., Any]] = {
    **BY_OPERATORS,
    "pow": lambda a, b: a**b,
    "pi": lambda: arb.pi(),
    "E": lambda: arb(1).exp(),
}


def _apply(name: str, *operands: Any) -> Any:
    row = FUNCTIONS.get(name)
    if isinstance(row, StableForm) and row.computed is not None:
        return row.computed(*operands, _apply)
    if name in ARITHMETIC:
        return ARITHMETIC[name](*operands)
    known = in_library("arb")
    check_supported([name], known, "ball arithmetic")
    return getattr(operands[0], known[name])(*operands[1:])


BALLS = Arithmetic(
    constant=_rational,
    operations=Operations(lambda name, row: partial(_apply, name), ARITHMETIC),
)
"""Real balls at the precision of `flint.ctx`."""


def exact_ball(value: float) -> Any:
    """A float64 number, which is a rational, as a ball of radius 0."""
    return arb(value)


def farthest(ball: Any, value: float) -> float:
    """An upper bound of |y − value| over y in the ball; inf of a ball that is not finite."""
    if not ball.is_finite():
        return float("inf")
    bound = abs(ball - arb(value)).upper()
    return float(bound) * (1 + 2.0**-50)  # the conversion to float rounds to the nearest


_ONE_AT_A_TIME = threading.RLock()
"""python-flint has one precision for all threads: two that set it and put it back would leave each other's behind."""


@contextmanager
def at_precision() -> Iterator[None]:
    """The context in which balls have `PRECISION` bits, for one thread at a time; what was set before is set again at its end."""
    with _ONE_AT_A_TIME, ctx.workprec(PRECISION):
        yield
