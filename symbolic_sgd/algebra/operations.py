"""How many operations an expression is written with: SymPy's count, each part looked at once."""

from functools import lru_cache
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression

REMEMBERED = 1 << 15
"""Counts that are kept: the entries of a matrix share their parts, and are asked for again by each way of printing it."""


@lru_cache(maxsize=REMEMBERED)
def operations(expression: Expression) -> int:
    """`sympy.count_ops`, from the counts of the parts.

    >>> x, y = sp.symbols("x y"); operations(x*(x - y)**2/3 - sp.exp(-y))
    7
    """
    e: Any = expression
    if e.is_Symbol or e is sp.S.One:
        return 0
    if e.is_Rational:
        return int(e.p < 0) + int(e.q != 1)
    if e.is_Add:
        signs = [_leads_with_minus(t) for t in e.args]
        terms = sum(operations(-t if minus else t) for t, minus in zip(e.args, signs, strict=True))
        return len(signs) - 1 + terms + all(signs)
    if e.is_Mul:
        return _of_product(e)
    if e.is_Pow:
        base, exponent = e.args
        if exponent is sp.S.NegativeOne:
            return 1 + operations(base)
        return 1 + (0 if base is sp.E else operations(base)) + operations(exponent)
    if e.is_Function and not isinstance(e, (sp.Max, sp.Min)) and all(isinstance(a, sp.Expr) for a in e.args):
        return 1 + sum(map(operations, e.args))
    count: Any = sp.count_ops(e)
    return int(count)


def _of_product(product: Any) -> int:
    minus = _leads_with_minus(product)
    positive = -product if minus else product
    above, below = sp.fraction(positive)
    if above.is_Integer:
        return minus + 1 + bool(above.is_negative) + operations(below)
    if below is not sp.S.One:
        return minus + 1 + (0 if below.is_Integer else operations(below)) + operations(above)
    if not positive.is_Mul:
        return minus + operations(positive)
    return minus + len(positive.args) - 1 + sum(map(operations, positive.args))


def _leads_with_minus(term: Any) -> bool:
    number = term.args[0] if term.is_Mul else term
    return bool(number.is_Number and number.is_extended_negative)
