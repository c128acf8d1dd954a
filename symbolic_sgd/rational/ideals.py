"""Whether functions are Σ c_j g_j with polynomials c_j: where all g_j vanish, so do they, and their gradients are combinations of ∇g_j."""

from collections.abc import Sequence
from contextlib import suppress

import sympy as sp
from sympy.polys.polyerrors import CoercionFailed

from symbolic_sgd.algebra.translation import Expression

MOST_GENERATORS = 6
"""Of an ideal whose Gröbner basis is looked for."""

MOST_SYMBOLS = 9
"""In them, letters for functions among them."""


def are_in_ideal(functions: Sequence[Expression], generators: Sequence[Expression]) -> bool:
    """Whether all functions are Σ c_j g_j with polynomials c_j, for all values of the symbols; False says nothing.

    Args:
        functions: f_1, ….
        generators: g_1, …, polynomials like them in symbols, in functions of these, and in algebraic numbers.

    >>> u, v, w = sp.symbols("u v w")
    >>> are_in_ideal([v*w], [u*v, u*w]), are_in_ideal([v*w], [u*v - 1, u*w])
    (False, True)
    """
    every = [*functions, *generators]
    calls = set[Expression]().union(*(e.atoms(sp.Function, sp.NumberSymbol) for e in every))
    letters = {call: sp.Dummy() for call in sorted(calls, key=sp.default_sort_key)}
    lettered = [e.xreplace(letters) for e in every]
    symbols = sorted(set[sp.Symbol]().union(*(e.free_symbols for e in lettered)), key=sp.default_sort_key)
    few = len(symbols) <= MOST_SYMBOLS and len(generators) <= MOST_GENERATORS
    if not few or not all(e.is_polynomial(*symbols) for e in lettered):
        return False
    with suppress(CoercionFailed, sp.PolynomialError, NotImplementedError):
        basis = sp.groebner(lettered[len(functions) :], *symbols, order="grevlex", extension=True)
        return all(basis.contains(f) for f in lettered[: len(functions)])
    return False
