"""R is defined up to a constant: without what only adds one."""

from collections.abc import Collection
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression


def up_to_constant(expression: Expression, parameters: Collection[sp.Symbol]) -> Expression:
    """The same function of the parameters, up to a constant: without terms that hold none of them, nor positive numbers that logarithms
    are taken of as factors.

    Args:
        expression: R.
        parameters: what it is a function of.

    >>> u, v = sp.symbols("u v")
    >>> up_to_constant(sp.log(u**2/2 + v/2)/4 + 3, [u, v])
    log(u**2 + v)/4
    """
    varying = set(parameters)
    number, rest = expression.as_independent(*varying, as_Add=False)
    if rest.is_Add:
        kept = [up_to_constant(term, varying) for term in rest.args if term.free_symbols & varying]
        return number * sp.Add(*kept)
    if isinstance(rest, sp.log):
        return number * _logarithm(rest.args[0])
    return expression


def _logarithm(argument: Any) -> Expression:
    if isinstance(argument, sp.Abs):
        return sp.log(sp.Abs(_without_number(argument.args[0])))
    above, below = sp.fraction(_without_number(argument))
    return -sp.log(below) if above == 1 else sp.log(above / below)


def _without_number(argument: Any) -> Expression:
    """Without a positive rational factor, in the argument or in sums that it is a product of."""
    number, rest = argument.as_coeff_Mul()
    factors = []
    for factor in sp.Mul.make_args(rest):
        base, exponent = factor.as_base_exp()
        factors.append(base.primitive()[1] ** exponent if base.is_Add and exponent.is_Integer else factor)
    return sp.Mul(sp.sign(number) if number.is_Rational else number, *factors)
