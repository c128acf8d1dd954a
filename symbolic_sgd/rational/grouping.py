"""Sums whose terms have polynomials of one letter in common: a²x² + b²x² − 2a²x − 2b²x + a² + b² is (a² + b²)(x − 1)²."""

from collections.abc import Iterator
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import Expression

FEWEST, MOST = 6, 120
"""Terms of a sum that is looked at."""

MOST_LETTERS = 12
"""Letters, functions among them, that are tried."""


def with_common_polynomials(expression: Expression) -> Expression:
    """A sum, or the numerator of a fraction, grouped by its coefficients as polynomials in one letter, where that is less to read.

    >>> a, b, x, y = sp.symbols("a b x y")
    >>> with_common_polynomials(sp.expand((a**2 + b**2 + y**2) * (x - 1) ** 2 + y))
    y + (x - 1)**2*(a**2 + b**2 + y**2)
    """
    ratio: Any = sp.fraction(expression)
    above, below = ratio
    if not above.is_Add or not FEWEST <= len(above.args) <= MOST:
        return expression
    functions: list[Any] = list(above.atoms(sp.Function, sp.Pow))
    functions = [f for f in functions if not f.is_polynomial(*f.free_symbols)]
    letters = {f: sp.Dummy(f.func.__name__) for f in functions}
    lettered = above.xreplace(letters)
    symbols = sorted(lettered.free_symbols, key=lambda s: s.name)
    if len(symbols) > MOST_LETTERS or not lettered.is_polynomial(*symbols):
        return expression
    polynomial = sp.Poly(lettered, *symbols)
    if not (polynomial.domain.is_ZZ or polynomial.domain.is_QQ):
        return expression
    back = {letter: f for f, letter in letters.items()}
    return min([expression, *(form.xreplace(back) / below for form in _grouped(polynomial))], key=reading_cost)


def _grouped(polynomial: Any) -> Iterator[Expression]:
    for letter in range(len(polynomial.gens)):
        coefficients: dict[tuple[int, ...], dict[int, Any]] = {}
        for exponents, c in polynomial.terms():
            rest = (*exponents[:letter], 0, *exponents[letter + 1 :])
            coefficients.setdefault(rest, {})[exponents[letter]] = c
        groups: dict[Any, Expression] = {}
        for rest, of_letter in coefficients.items():
            content, primitive = sp.Poly(of_letter, polynomial.gens[letter]).primitive()
            sign = -1 if primitive.LC() < 0 else 1
            monomial = sp.Mul(*(x**e for x, e in zip(polynomial.gens, rest, strict=True)))
            groups[sign * primitive] = groups.get(sign * primitive, sp.S.Zero) + sign * content * monomial
        if len(groups) < len(coefficients):
            yield sp.Add(*(sp.factor(common.as_expr()) * total for common, total in groups.items()))
