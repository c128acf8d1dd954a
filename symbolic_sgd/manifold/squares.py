"""Polynomials that are sums of squares, multiplied out: L = ½ Σ d_k f_k² and a constant, in a few monomials.

u²v² − 2uv is (uv − 1)² − 1. The f_k are found by completing squares in L as a quadratic function of monomials; where L is
one in several ways, it is left as it is.
"""

from collections.abc import Sequence
from math import gcd, lcm
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression

Exponents = tuple[int, ...]

MOST_TERMS = 400


def sum_of_squares(loss: Expression, parameters: Sequence[sp.Symbol]) -> Expression:
    """A polynomial as a sum of squares and a constant, if it is not written so and can be, with no more terms; else as it is.

    >>> u, v, w = sp.symbols("u v w")
    >>> sum_of_squares(sp.expand((u*v - 1)**2/2 + (w - 3*u*v)**2), (u, v, w))
    (u*v - 1)**2/2 + (3*u*v - w)**2
    """
    if not loss.is_polynomial(*parameters) or _is_written_so(loss, set(parameters)):
        return loss
    terms: dict[Exponents, Any] = dict(sp.Poly(loss, *parameters).terms())
    monomials = _roots(list(terms)) if len(terms) <= MOST_TERMS else []
    found = _quadratic(terms, monomials)
    squares = None if found is None else _completed(*found)
    if squares is None or len(squares) > len(sp.Add.make_args(loss)):  # (1 + x²)y² is shorter than y² + x²y²
        return loss
    written: Any = sp.Matrix([_monomial(m, parameters) for m in monomials])
    residuals = [(d, (row * written)[0, 0] + shift) for d, row, shift in squares]
    constant = terms.get((0,) * len(parameters), sp.S.Zero) - sp.Add(*(d * s**2 / 2 for d, _, s in squares))
    return sp.Add(*(d * r**2 / 2 for d, r in residuals), sp.expand(constant))


def _is_written_so(loss: Expression, trained: set[sp.Symbol]) -> bool:
    """Whether every term with parameters is a multiple of one square."""
    rests = (term.as_independent(*trained, as_Add=False)[1] for term in sp.Add.make_args(loss))
    return all(rest == 1 or (rest.is_Pow and rest.args[1] == 2) or root_of_monomial(rest) is not None for rest in rests)


def root_of_monomial(product: Expression) -> Expression | None:
    """uw of u²w², a square that SymPy takes apart; None of what is no product of even powers of several symbols.

    >>> u, w = sp.symbols("u w")
    >>> root_of_monomial(u**2*w**4)
    u*w**2
    """
    powers = [factor.as_base_exp() for factor in sp.Mul.make_args(product)]
    even = all(base.is_Symbol and exponent.is_even and exponent.is_positive for base, exponent in powers)
    return sp.Mul(*(base ** (exponent / 2) for base, exponent in powers)) if even and len(powers) > 1 else None


def _roots(terms: Sequence[Exponents]) -> list[Exponents]:
    """The roots of terms of even degrees, and 1, that are not in the middle between two others; without 1."""
    one = (0,) * len(terms[0])
    roots = {one, *(tuple(a // 2 for a in e) for e in terms if all(a % 2 == 0 for a in e))}
    between = {_sum(a, b) for a in roots for b in roots if a != b}
    return sorted((root for root in roots if _sum(root, root) not in between and root != one), reverse=True)


def _quadratic(terms: dict[Exponents, Any], monomials: Sequence[Exponents]) -> tuple[Any, Any] | None:
    """(W, b) with L = ½ mᵀWm + bᵀm and a constant, if every term is in one way a product of two monomials, or one of them."""
    n = len(monomials)
    w: Any = sp.zeros(n, n)
    b: Any = sp.zeros(n, 1)
    products: dict[Exponents, list[tuple[int, int]]] = {}
    for i in range(n):
        for j in range(i, n):
            products.setdefault(_sum(monomials[i], monomials[j]), []).append((i, j))
    for exponents, coefficient in terms.items():
        pairs, alone = products.get(exponents, []), [i for i in range(n) if monomials[i] == exponents]
        if any(exponents) and len(pairs) + len(alone) != 1:
            return None
        for i, j in pairs:
            w[i, j] += coefficient
            w[j, i] += coefficient
        for i in alone:
            b[i] += coefficient
    return w, b


def _completed(w: Any, b: Any) -> list[tuple[Any, Any, Any]] | None:
    """(d_k, l_k, s_k) with ½ mᵀWm + bᵀm = ½ Σ d_k (l_kᵀm + s_k)² and a constant, for a W in rationals that is nowhere negative.

    The last monomials are eliminated first, so that the first stand in as few squares as can be; l_k begins with a positive
    entry, and has coprime integers.
    """
    if not all(entry.is_Rational for entry in w):
        return None
    pivots: list[tuple[Any, Any]] = []
    for k in reversed(range(w.rows)):
        d = w[k, k]
        if d < 0 or (d == 0 and not w[k, :].is_zero_matrix):
            return None
        if d:
            row = w[k, :] / d
            w = w - d * row.T * row
            scale = _to_integers(row)
            pivots.append((d / scale**2, scale * row))
    rows: Any = sp.Matrix([list(row) for _, row in pivots])
    try:
        weights, free = rows.T.gauss_jordan_solve(b)
    except ValueError:  # b is not in the range of W: L has no lowest value
        return None
    return None if free else [(d, row, weight / d) for (d, row), weight in zip(pivots, weights, strict=True)]


def _to_integers(row: Any) -> Any:
    """The number by which coprime integers come from rationals, the first of them positive."""
    denominator = lcm(*(int(a.q) for a in row))
    size = sp.Rational(denominator, gcd(*(int(a * denominator) for a in row)))
    return size if next(a for a in row if a) > 0 else -size


def _sum(a: Exponents, b: Exponents) -> Exponents:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _monomial(exponents: Exponents, parameters: Sequence[sp.Symbol]) -> Any:
    return sp.Mul(*(x**e for x, e in zip(parameters, exponents, strict=True)))
