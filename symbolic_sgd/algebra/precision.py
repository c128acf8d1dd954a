"""Arbitrary precision that nobody else feels: a context of mpmath's for each thread, and never the global one.

`mp` has everything that `mpmath` has (`mp.mpf`, `mp.workdps`, `mp.lu_solve`, …), but its working precision belongs to the
thread that asks. Where numbers come in from elsewhere, `mp.mpf(x)` makes them this thread's own: an operation is carried
out at the precision of the context of its left operand.
"""

import threading
from collections.abc import Callable
from typing import Any

import mpmath
import sympy as sp
from mpmath import MPContext


def _number(raw: tuple) -> Any:
    return mp.make_mpf(raw)


class _Own(threading.local):
    def __init__(self) -> None:
        self.context = MPContext()
        # mpmath finds the classes of its global context only when numbers are pickled.
        self.context.mpf.__reduce__ = lambda number: (_number, (number._mpf_,))


class ThreadContext:
    """mpmath's functions in a context of the calling thread.

    >>> import mpmath
    >>> with mp.workdps(50):
    ...     mp.nstr(mp.mpf(1) / 3, 20), mpmath.mp.dps
    ('0.33333333333333333333', 15)
    """

    def __init__(self) -> None:
        self._own = _Own()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._own.context, name)

    def function(self, name: str) -> Any:
        """The function of this name, looked up in the thread that calls it.

        >>> mp.function("exp")(0)
        mpf('1.0')
        """
        return lambda *args: getattr(self._own.context, name)(*args)

    def namespace(self) -> dict[str, Any]:
        """All functions by name, of the calling thread, for code that SymPy prints for mpmath."""
        context = self._own.context
        return {name: getattr(context, name) for name in dir(context) if not name.startswith("_")}


mp = ThreadContext()
"""The context of the thread that asks."""


def compiled(variable: sp.Symbol, expression: sp.Expr) -> Callable[[Any], Any]:
    """An expression of one variable as a function of numbers, for the calling thread."""
    return sp.lambdify(variable, expression, [mp.namespace(), "mpmath"])


def solved(matrix: Any, right: Any) -> Any:
    """x with Ax = b, by least squares where A has more rows than columns.

    Raises:
        ZeroDivisionError: A is singular at the working precision, or a number is not finite.
    """
    if not all(map(mp.isfinite, (*matrix, *right))):
        raise ZeroDivisionError("a linear equation has a coefficient that is not finite")
    try:
        return mp.lu_solve(matrix, right)
    except TypeError:  # mpmath finds no pivot in a column of zeros, and swaps rows all the same
        raise ZeroDivisionError("the matrix of a linear equation is singular") from None


def determinant(matrix: Any) -> Any:
    """det A; 0 where A is singular at the working precision, nan where an entry is not finite."""
    if not all(map(mp.isfinite, matrix)):
        return mp.nan
    try:
        return mp.det(matrix)
    except TypeError:  # as in `solved`
        return mp.mpf(0)


def handed_out(number: Any) -> Any:
    """A number as users of `mpmath` know it: of its global context, whose settings stay what they are."""
    return mpmath.mp.make_mpf(number._mpf_)


def is_precise(value: Any) -> bool:
    """Whether a value is a real number of mpmath, of whatever context."""
    return hasattr(value, "_mpf_")
