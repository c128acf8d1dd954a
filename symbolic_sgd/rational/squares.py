"""Complete squares: what makes up the square of a sum is written as one."""

from collections.abc import Iterator

import sympy as sp

from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import Expression

LARGEST = 40
"""Terms of a polynomial in which squares are sought."""


def with_complete_squares(expression: Expression) -> Expression:
    """A polynomial as a sum of squares of sums and of terms, where that is less to read; anything else as it is.

    >>> a, v, w = sp.symbols("a v w")
    >>> with_complete_squares(7*a**2 + v**2 + 4*v*w + 4*w**2)
    7*a**2 + (v + 2*w)**2
    """
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    if not symbols or not expression.is_polynomial(*symbols):
        return expression
    polynomial = sp.Poly(expression, *symbols)
    if (not polynomial.domain.is_QQ and not polynomial.domain.is_ZZ) or len(polynomial.terms()) > LARGEST:
        return expression
    return min(expression, _completed(polynomial.set_domain(sp.QQ)), key=reading_cost)


def _completed(polynomial: sp.Poly) -> Expression:
    """One square after the other, each time the one that leaves the fewest terms."""
    found: Expression = sp.S.Zero
    while len(polynomial.terms()) > 1:
        square = min(_squares(polynomial), key=lambda pair: len(pair[1].terms()), default=None)
        if square is None:
            break
        written, polynomial = square
        found += written
    return found + polynomial.as_expr()


def _squares(polynomial: sp.Poly) -> Iterator[tuple[Expression, sp.Poly]]:
    """(c(m + l)², what it leaves) for each term cm² of a polynomial cm² + 2cml + …, where fewer terms are left by it."""
    for exponents, c in polynomial.terms():
        if c <= 0 or any(e % 2 for e in exponents) or not any(exponents):
            continue
        half = tuple(e // 2 for e in exponents)
        shares = {
            tuple(a - b for a, b in zip(others, half, strict=True)): d / (2 * c)
            for others, d in polynomial.terms()
            if others != exponents and all(a >= b for a, b in zip(others, half, strict=True))
        }
        root = sp.Poly({half: sp.QQ(1), **shares}, *polynomial.gens, domain=sp.QQ)
        rest = polynomial - c * root**2
        if shares and len(rest.terms()) < len(polynomial.terms()) - 1:
            yield c * root.as_expr() ** 2, rest
