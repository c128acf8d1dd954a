"""Γ as an orbit of linear symmetries: generators X_1 … X_d, d = D − M, whose vectors X_a x span the tangent space of Γ everywhere.

With F = (∇f_1 … ∇f_M) and T = (X_1x … X_dx), FᵀT ≡ 0, so that the minors of order M of F are those of order d of T in the other
rows, up to signs, times one rational function c (Hodge and Pedoe 1947, VII.3), and by the formula of Cauchy and Binet

    det FᵀF = c² det TᵀT.

Where c is a polynomial, T therefore has rank d wherever F has rank M.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any
from weakref import WeakKeyDictionary

import sympy as sp
from sympy.polys.matrices import DomainMatrix
from sympy.polys.polyerrors import CoercionFailed

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import dot
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.rational.linear_algebra import field_of, in_order
from symbolic_sgd.rational.linear_symmetries import symmetries_of_polynomials
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.normal_space import Framed

LARGEST_DIMENSION = 12
"""Parameters up to which generators are looked for: they have D² entries."""

LARGEST_CODIMENSION = 8
"""Rows of a determinant of polynomials that is multiplied out."""

MOST_CHOICES = 20
"""Sets of d generators that are tried, where there are more than d."""

LARGEST_LEVELS = 2_000
"""Operations of f_1 … f_M together."""


@dataclass(frozen=True)
class Orbit:
    """What moves along Γ.

    Args:
        generators: X_1 … X_d, D×D, with ∇LᵀX_a x ≡ 0 and T = (X_1x … X_dx) of rank d wherever F = (∇f_1 … ∇f_M) has rank M.
        ratio: c with det FᵀF = c² det TᵀT for the levels of the derivation, a polynomial.
    """

    generators: tuple[SymbolicMatrix, ...]
    ratio: Expression

    def moves(self, parameters: Sequence[sp.Symbol]) -> tuple[dict[sp.Symbol, Expression], ...]:
        """X_1x … X_dx, each by the parameters."""
        return tuple(dict(zip(parameters, x * sp.Matrix(parameters), strict=True)) for x in self.generators)


def orbit_of(derivation: Derivation) -> Orbit | None:
    """Γ as an orbit, where M > D − M polynomials span the normal space and their symmetries are seen to be transitive; else None."""
    if derivation not in _ORBITS:
        _ORBITS[derivation] = _orbit(derivation)
    return _ORBITS[derivation]


_ORBITS: WeakKeyDictionary[Derivation, Orbit | None] = WeakKeyDictionary()


def _orbit(derivation: Derivation) -> Orbit | None:
    d, m = derivation.problem.dimension, derivation.codimension
    if derivation.in_matrices is not None or not isinstance(derivation.normal_space, Framed):
        return None
    if "levels" not in derivation.equations.names or d > LARGEST_DIMENSION or not d - m < m <= LARGEST_CODIMENSION:
        return None
    parameters = derivation.problem.parameters
    try:
        levels = list(derivation.equations.expand("levels", budget=LARGEST_LEVELS).flat())
    except ExpressionTooLarge:
        return None
    found = in_order(symmetries_of_polynomials(levels, parameters) or ())
    for chosen in islice(combinations(found, d - m), MOST_CHOICES):
        ratio = _ratio(levels, [x * sp.Matrix(parameters) for x in chosen], parameters)
        if ratio is not None and _is_invariant(derivation, chosen):
            return Orbit(chosen, ratio)
    return None


def _ratio(
    levels: Sequence[Expression], tangents: Sequence[SymbolicMatrix], parameters: Sequence[sp.Symbol]
) -> Expression | None:
    """c, if it is a polynomial in the parameters over ℚ(constants)."""
    d, along = len(parameters), len(tangents)
    constants = set[sp.Symbol]().union(*(f.free_symbols for f in levels)) - set(parameters)
    constants |= set[sp.Symbol]().union(*(t.free_symbols for t in tangents)) - set(parameters)
    ring = field_of(constants)[tuple(parameters)]
    matrix = lambda rows: DomainMatrix([[ring.from_sympy(e) for e in row] for row in rows], (len(rows), d), ring)  # noqa: E731
    try:
        normal = matrix([[sp.diff(f, x) for x in parameters] for f in levels])
    except CoercionFailed:
        return None
    tangent = matrix([list(t) for t in tangents])
    for rows in combinations(range(d), along):
        below = _determinant(tangent.extract(list(range(along)), list(rows)))
        if below:
            others = [i for i in range(d) if i not in rows]
            quotient, rest = divmod(_determinant(normal.extract(list(range(len(levels))), others)), below)
            return ring.to_sympy(quotient) if quotient and not rest else None
    return None


def _determinant(matrix: DomainMatrix) -> Any:
    """Up to a sign, without a division."""
    return matrix.charpoly()[-1]


def _is_invariant(derivation: Derivation, generators: Sequence[SymbolicMatrix]) -> bool:
    """Whether ∇LᵀXx ≡ 0: what is known of f need not hold of L, which may depend on x beside."""
    landscape = derivation.problem.landscape()
    graph: Graph = landscape.graph
    moved = [[from_sympy(e, graph) for e in x * sp.Matrix(derivation.problem.parameters)] for x in generators]
    return all(zero_functions([dot(landscape.gradient.entries, t) for t in moved]))
