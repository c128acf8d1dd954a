"""Polynomials as quadratic functions of a few of their monomials: a sum of squares that is multiplied out is one."""

from collections.abc import Sequence
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression

Exponents = tuple[int, ...]

MOST_TERMS = 400


def quadratic_in_monomials(
    loss: Expression, parameters: Sequence[sp.Symbol]
) -> tuple[dict[Expression, sp.Symbol], Expression] | None:
    """({m_i: t_i}, h) with L = h(m) for a quadratic h, where one is determined: every term is in one way a product of two of
    the monomials, or one of them.

    The monomials are the roots of terms of even degrees that are no products of others. None where a term is no product, or
    is one in several ways.

    >>> u, v, w = sp.symbols("u v w")
    >>> monomials, outer = quadratic_in_monomials(sp.expand((u*v - 1)**2 + (w - 3*u*v)**2), (u, v, w))
    >>> sorted(map(str, monomials)), sp.expand(outer.xreplace({t: m for m, t in monomials.items()}) - (u*v - 1)**2)
    (['u*v', 'w'], 9*u**2*v**2 - 6*u*v*w + w**2)
    """
    if not loss.is_polynomial(*parameters):
        return None
    terms = dict(sp.Poly(loss, *parameters).terms())
    if len(terms) > MOST_TERMS:
        return None
    chosen = _roots(list(terms))
    letters = {m: sp.Dummy("t", real=True) for m in chosen}
    outer = sp.S.Zero
    for exponents, coefficient in terms.items():
        ways = _products(exponents, chosen)
        if any(exponents) and len(ways) != 1:
            return None
        outer += coefficient * sp.Mul(*(letters[m] for way in ways for m in way))
    written = {_monomial(m, parameters): t for m, t in letters.items()}
    return written, outer


def _roots(terms: Sequence[Exponents]) -> list[Exponents]:
    found: list[Exponents] = []
    for exponents in sorted(terms, key=lambda e: (-sum(e), e)):
        even = any(exponents) and all(a % 2 == 0 for a in exponents)
        if even and not _products(exponents, found):
            found.append(tuple(a // 2 for a in exponents))
    return found


def _products(exponents: Exponents, monomials: Sequence[Exponents]) -> list[tuple[Exponents, ...]]:
    """The ways to write a monomial as one of them, or as a product of two."""
    pairs = [
        (a, b)
        for i, a in enumerate(monomials)
        for b in monomials[i:]
        if tuple(x + y for x, y in zip(a, b, strict=True)) == exponents
    ]
    return [*((m,) for m in monomials if m == exponents), *pairs]


def _monomial(exponents: Exponents, parameters: Sequence[sp.Symbol]) -> Any:
    return sp.Mul(*(x**e for x, e in zip(parameters, exponents, strict=True)))
