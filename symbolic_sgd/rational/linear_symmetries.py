"""Linear symmetries of polynomials: the linear equations that the coefficients of ∇fᵀXx give for X, over ℚ(constants)."""

from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.polys.polyerrors import CoercionFailed, PolynomialError

from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.rational.linear_algebra import field_of, null_space

LARGEST_SYSTEM = 2_000_000
"""Coefficients of the equations up to which they are solved (seconds)."""


def symmetries_of_polynomials(
    functions: Sequence[Expression], parameters: Sequence[sp.Symbol]
) -> list[SymbolicMatrix] | None:
    """A basis of the matrices X with ∇fᵀXx ≡ 0 for every f, where all of them are polynomials in the parameters over ℚ(constants);
    None where they are not, or there are too many coefficients.

    >>> u, v = sp.symbols("u v")
    >>> symmetries_of_polynomials([u*v - 1], (u, v))
    [Matrix([
    [1,  0],
    [0, -1]])]
    """
    polynomials = _polynomials(functions, parameters)
    d = len(parameters)
    if polynomials is None or d * d * sum(len(p.terms()) for p in polynomials) > LARGEST_SYSTEM:
        return None
    domain = polynomials[0].domain
    return [sp.ImmutableDenseMatrix(d, d, row) for row in null_space(_equations(polynomials, d), d * d, domain)]


def _polynomials(functions: Sequence[Expression], parameters: Sequence[sp.Symbol]) -> list[Any] | None:
    constants = set[sp.Symbol]().union(*(f.free_symbols for f in functions)) - set(parameters)
    try:
        return [sp.Poly(f, *parameters, domain=field_of(constants)) for f in functions]
    except (PolynomialError, CoercionFailed):
        return None


def _equations(polynomials: Sequence[Any], d: int) -> list[dict[int, Any]]:
    """For each f, and each monomial of ∇fᵀXx, its coefficient as a linear form in the entries of X, row by row."""
    rows: list[dict[int, Any]] = []
    for polynomial in polynomials:
        of_monomial: dict[tuple[int, ...], dict[int, Any]] = {}
        for exponents, coefficient in polynomial.rep.terms():
            for a in (k for k in range(d) if exponents[k]):
                for b in range(d):
                    moved = list(exponents)
                    moved[a] -= 1
                    moved[b] += 1
                    row = of_monomial.setdefault(tuple(moved), {})
                    row[a * d + b] = row.get(a * d + b, 0) + exponents[a] * coefficient
        rows.extend(of_monomial.values())
    return rows
