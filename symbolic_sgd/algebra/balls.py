"""Ball arithmetic: midpoint ± radius, rounded outwards (Arb, by python-flint). Needs the extra `certify`.

Rationals are quotients of exact integers, so that a result contains the value of the program at the exact input.
"""

import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from flint import arb, ctx, fmpq  # type: ignore[import-not-found]

from symbolic_sgd.algebra.arithmetic import Arithmetic
from symbolic_sgd.algebra.functions import FUNCTIONS, StableForm, check_supported
from symbolic_sgd.algebra.graph import Exact

PRECISION = 333
"""Bits, about 100 digits."""


def _rational(value: Exact) -> Any:
    return arb(fmpq(int(value.numerator), int(value.denominator)))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "pow": lambda a, b: a**b,
    "exp": lambda a: a.exp(),
    "log": lambda a: a.log(),
    "sqrt": lambda a: a.sqrt(),
    "sin": lambda a: a.sin(),
    "cos": lambda a: a.cos(),
    "tan": lambda a: a.tan(),
    "asin": lambda a: a.asin(),
    "acos": lambda a: a.acos(),
    "atan": lambda a: a.atan(),
    "sinh": lambda a: a.sinh(),
    "cosh": lambda a: a.cosh(),
    "tanh": lambda a: a.tanh(),
    "asinh": lambda a: a.asinh(),
    "acosh": lambda a: a.acosh(),
    "atanh": lambda a: a.atanh(),
    "erf": lambda a: a.erf(),
    "erfc": lambda a: a.erfc(),
    "log1p": lambda a: a.log1p(),
    "expm1": lambda a: a.expm1(),
    "Abs": abs,
    "sign": lambda a: a.sgn(),
    "pi": lambda: arb.pi(),
    "E": lambda: arb(1).exp(),
}
"""What Arb computes; every other row of the table is computed by these."""


def _apply(name: str, *operands: Any) -> Any:
    row = FUNCTIONS.get(name)
    if isinstance(row, StableForm) and row.computed is not None:
        return row.computed(*operands, _apply)
    check_supported([name], OPERATIONS, "ball arithmetic")
    return OPERATIONS[name](*operands)


BALLS = Arithmetic(
    constant=_rational,
    operations=OPERATIONS | {name: partial(_apply, name) for name in FUNCTIONS if name not in OPERATIONS},
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
