"""Products multiplied out, within bounds."""

from math import prod

import sympy as sp

from symbolic_sgd.algebra.translation import Expression

MOST_TERMS = 300
"""Expressions with more terms, before like ones are collected, are not multiplied out."""


def multiplied_out(expression: Expression, most: int = MOST_TERMS) -> Expression:
    """The expression as a sum, where that has not more terms before like ones are collected.

    >>> a, b = sp.symbols("a b")
    >>> multiplied_out(a*(a + b)), multiplied_out((a + b)**10)
    (a**2 + a*b, (a + b)**10)
    """
    return sp.expand(expression) if _terms(expression, most) <= most else expression


def _terms(expression: Expression, most: int) -> int:
    """How many terms it has when it is multiplied out, before like ones are collected; `most` + 1 for more."""
    inner = [_terms(e, most) for e in expression.args]
    count = max(inner, default=1)
    if expression.is_Add:
        count = sum(inner)
    elif expression.is_Mul:
        count = prod(inner)
    elif expression.is_Pow and expression.args[1].is_Integer:
        count = 1 if inner[0] == 1 else inner[0] ** min(abs(int(expression.args[1])), 10)
    return min(count, most + 1)
