"""How a person would write an expression: what it costs to read, which term stands first, which number before a bracket."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix

BRACKETS = 2
"""What a pair of brackets costs."""

SPLIT = 3
"""What a sum costs more that has fractions among its terms: a person writes one."""

SHARED = 5
"""What a sum costs more whose terms share a letter, or a number inside a product: a person takes it out."""


def reading_cost(expression: Expression) -> int:
    """How much there is to read: letters, digits, signs, brackets and fraction bars; an exponent counts by its binary digits.

    >>> u, v = sp.symbols("u v")
    >>> reading_cost(u*(v**2 - u**2)), reading_cost(u*(v - u)*(u + v))
    (8, 11)
    """
    e: Any = expression
    if e.is_Symbol:
        return 1
    if e.is_zero:
        return 0
    if e.is_Rational:
        return _digits(e.p) + (1 + _digits(e.q) if e.q > 1 else 0) + (e.p < 0)
    if e.is_Add:
        content, primitive = _common_number(e)
        return min(_sum(e), _product(content, [primitive]))
    if e.is_Mul:
        content, rest = e.as_coeff_Mul()
        return _product(content, sp.Mul.make_args(rest))
    if e.is_Pow:
        return _product(sp.S.One, [e])
    return (
        1 + BRACKETS * bool(e.args) + sum(map(reading_cost, e.args)) if isinstance(e, sp.Function) else 1 + _all(e.args)
    )


def positive_first(terms: Sequence[Expression]) -> list[Expression]:
    """The terms of a sum in their order, but that a positive one leads where there is one.

    >>> x = sp.Symbol("x"); positive_first([-x**2, sp.S(1)])
    [1, -x**2]
    """
    leader = next((k for k, term in enumerate(terms) if not _is_negative(term)), 0)
    return [terms[leader], *terms[:leader], *terms[leader + 1 :]]


def with_common_factors(expression: Expression | SymbolicMatrix) -> Expression | SymbolicMatrix:
    """A sum, or each sum of a matrix, as a number times a bracket where that is less to read: for printing, SymPy multiplies it out.

    >>> u, v = sp.symbols("u v"); with_common_factors(u**2/4 + v**2/4)
    (u**2 + v**2)/4
    """
    if isinstance(expression, sp.MatrixBase):
        return expression.applyfunc(with_common_factors)
    if not expression.is_Add:
        return expression
    content, primitive = _common_number(expression)
    if _product(content, [primitive]) >= _sum(expression):
        return expression
    return sp.Mul(content, primitive, evaluate=False)


def _sum(total: Any) -> int:
    """Its terms and the signs between them; one more where none is positive."""
    negative = [_is_negative(term) for term in total.args]
    signs = len(total.args) - 1 + all(negative)
    split = any(exponent.is_negative for term in total.args for _, exponent in _powers(term))
    shared = set.intersection(*({base for base, _ in _powers(term) if base.is_Symbol} for term in total.args))
    return sum(map(reading_cost, total.args)) - sum(negative) + signs + SPLIT * split + SHARED * bool(shared)


def _powers(term: Any) -> Iterator[tuple[Any, Any]]:
    return (factor.as_base_exp() for factor in sp.Mul.make_args(term) if not factor.is_Number)


def _is_negative(term: Any) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def _common_number(total: Any) -> tuple[Any, Any]:
    """The number that all terms of a sum share, and what is left: negative where all terms are."""
    content, primitive = total.primitive()
    return (-content, -primitive) if all(map(_is_negative, total.args)) else (content, primitive)


def _product(content: Any, factors: Iterable[Any]) -> int:
    """A number times some factors, those with negative exponents under a fraction bar."""
    above: list[Any] = []
    below: list[Any] = []
    for factor in factors:
        base, exponent = factor.as_base_exp()
        inverse = exponent.is_Rational and exponent.is_negative
        (below if inverse else above).append((base, -exponent if inverse else exponent))
    number, divisor = (abs(content.p), content.q) if content.is_Rational else (content, 1)
    fraction, minus = bool(below) or divisor != 1, bool(content.is_negative)
    bar = 1 + _side(below, divisor, alone=True) if fraction else 0
    return minus + _side(above, number, alone=fraction or not minus) + bar


def _side(powers: list[tuple[Any, Any]], number: Any, *, alone: bool) -> int:
    """A number times powers; a single sum needs no brackets where nothing stands beside it."""
    count = _digits(number) if number != 1 or not powers else 0
    bare = alone and len(powers) == 1 and not count
    return count + sum(_power(base, exponent, bare and exponent == 1) for base, exponent in powers)


def _power(base: Any, exponent: Any, alone: bool) -> int:
    inner = _sum(base) + SHARED * (base.primitive()[0] != 1) if base.is_Add else reading_cost(base)
    if exponent == sp.Rational(1, 2):
        return 1 + inner
    bracketed = inner if alone or not (base.is_Add or base.is_Mul or base.is_Pow) else inner + BRACKETS
    return bracketed + (int(exponent).bit_length() - 1 if exponent.is_Integer else reading_cost(exponent))


def _digits(number: Any) -> int:
    return len(str(abs(number)))


def _all(parts: Iterable[Any]) -> int:
    return sum(reading_cost(part) if isinstance(part, sp.Basic) else 1 for part in parts)
