"""Γ as an orbit of linear symmetries: generators X_1 … X_d, d = D − M, whose vectors X_a x span the tangent space of Γ everywhere.

With F = (∇f_1 … ∇f_M) and T = (X_1x … X_dx), FᵀT ≡ 0, so that the minors of order M of F are those of order d of T in the other
rows, up to signs, times one rational function c (Hodge and Pedoe 1947, VII.3), and by the formula of Cauchy and Binet

    det FᵀF = c² det TᵀT.

Where c is a polynomial, T therefore has rank d wherever F has rank M. On Γ, HT = 0 and H = Hᵀ, so that in the same way
det H_II = κ (det T_J)² for M rows I and the others J, and

    ‖H‖₊ = κ det TᵀT

for the product ‖H‖₊ of the curvatures, with κ = c² det K for H = F K Fᵀ; where κ is a polynomial, T has rank d wherever H has rank M.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any
from weakref import WeakKeyDictionary

import sympy as sp
from sympy.polys.matrices import DomainMatrix
from sympy.polys.polyerrors import CoercionFailed

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.lyapunov import elementary_symmetric
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.rational.linear_algebra import field_of, in_order
from symbolic_sgd.rational.linear_symmetries import symmetries_of_polynomials
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.normal_space import ComposedFrame, Framed, Frameless
from symbolic_sgd.theorem.rational_forms import on_manifold

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
        generators: X_1 … X_d, D×D, with ∇LᵀX_a x ≡ 0 and T = (X_1x … X_dx) of rank d wherever the formulas of the derivation hold.
        ratio: κ with ‖H‖₊ = κ det TᵀT on Γ, up to a factor that is constant there; None where it is not known.
    """

    generators: tuple[SymbolicMatrix, ...]
    ratio: Expression | None

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
    if derivation.in_matrices is not None or d > LARGEST_DIMENSION or not d - m < m <= LARGEST_CODIMENSION:
        return None
    parameters = derivation.problem.parameters
    functions, spans = _functions(derivation)
    letters = _letters(functions, parameters)
    lettered = [f.xreplace(letters) for f in functions]
    symmetries = symmetries_of_polynomials(lettered, parameters) if functions else None
    meanings = {letter: number for number, letter in letters.items()}
    for generators in islice(combinations(in_order(symmetries or ()), d - m), MOST_CHOICES):
        chosen = tuple(x.xreplace(meanings) for x in generators)
        if not _is_invariant(derivation, chosen):
            continue
        if not spans:
            ratio = _ratio_of_hessian(derivation, chosen)
            if ratio is not None:
                return Orbit(chosen, ratio)
            continue
        ratio = _ratio(lettered, [x * sp.Matrix(parameters) for x in generators], parameters)
        if ratio is not None and _is_finite(ratio.xreplace(meanings), parameters):
            return Orbit(chosen, _ratio_by_levels(derivation, ratio.xreplace(meanings)))
    return None


def _functions(derivation: Derivation) -> tuple[list[Expression], bool]:
    """What is invariant, and whether it is f_1 … f_M with gradients that span the normal space wherever the formulas hold: else it is L, if
    that is a polynomial."""
    problem, space = derivation.problem, derivation.normal_space
    if "levels" in derivation.equations.names and isinstance(space, Framed):
        with suppress(ExpressionTooLarge):
            return list(derivation.equations.expand("levels", budget=LARGEST_LEVELS).flat()), True
        return [], True
    polynomial = problem.loss.is_polynomial(*problem.parameters) and operations(problem.loss) <= LARGEST_LEVELS
    return ([sp.expand(problem.loss)] if polynomial else []), False


def _letters(functions: Sequence[Expression], parameters: Sequence[sp.Symbol]) -> dict[Expression, sp.Symbol]:
    """Letters for irrational numbers and for functions of constants: what is a symmetry for all their values is one for these."""
    found = set[Expression]().union(*(f.atoms(sp.Pow, sp.Function, sp.NumberSymbol) for f in functions))
    fixed = [e for e in found if not e.free_symbols & set(parameters) and not e.is_rational_function(*e.free_symbols)]
    irrational = [e for e in found if e.is_number and not e.is_Rational]
    return {e: sp.Dummy(f"c{k}") for k, e in enumerate(sorted({*fixed, *irrational}, key=sp.default_sort_key))}


def _is_finite(function: Expression, parameters: Sequence[sp.Symbol]) -> bool:
    """Whether a polynomial in the parameters has coefficients whose denominators are seen not to vanish."""
    below: Any = sp.factor(sp.denom(sp.together(function)))
    regular = not function.has(sp.zoo, sp.nan) and all(f.is_nonzero for f in sp.Mul.make_args(below))
    return regular and not below.free_symbols & set(parameters)


def _ratio_by_levels(derivation: Derivation, ratio: Expression) -> Expression | None:
    """κ = c² det K, without det K where K is constant on Γ though it is written with parameters."""
    space = derivation.normal_space
    if not isinstance(space, ComposedFrame):
        return None
    matrix = space.curvature.expand("curvature")
    curvature: Any = sp.Mul(*matrix.diagonal()) if matrix.is_diagonal() else matrix.det(method="berkowitz")
    constant = space.rigid and curvature.free_symbols & set(derivation.problem.parameters)
    return ratio**2 if constant else ratio**2 * curvature


def _ratio_of_hessian(derivation: Derivation, generators: Sequence[SymbolicMatrix]) -> Expression | None:
    """κ as a polynomial, proved modulo the equations of Γ; else None."""
    space, parameters = derivation.normal_space, derivation.problem.parameters
    if not isinstance(space, Frameless):
        return None
    graph = Graph()
    hessian = derivation.blocks.select("hessian").on(graph)["hessian"]
    volume = space.symmetric.on(graph)["symmetric"].entries[-1]
    equations = derivation.equations.on(graph)["defining"].entries
    moved = sp.Matrix.hstack(*(x * sp.Matrix(parameters) for x in generators))
    gram = from_sympy((moved.T * moved).det(method="berkowitz"), graph)
    for rows in islice(combinations(range(moved.rows), moved.cols), MOST_CHOICES):
        below = moved.extract(list(rows), list(range(moved.cols))).det(method="berkowitz")
        if sp.expand(below) == 0:
            continue
        others = [i for i in range(moved.rows) if i not in rows]
        minor = elementary_symmetric(Matrix.of([hessian[i, j] for j in others] for i in others), len(others))[-1]
        for ratio in _reduced(minor / from_sympy(below**2, graph), equations):
            if (
                _is_finite(ratio, parameters)
                and zero_on(equations, [volume - from_sympy(ratio, graph) * gram], len(others))[0]
            ):
                return ratio
    return None


def _reduced(node: Node, equations: Sequence[Node]) -> Iterator[Expression]:
    """A function on Γ in a few rational forms."""
    with suppress(ExpressionTooLarge, ZeroDivisionError):
        writer, (ratio,) = on_manifold([node], equations)
        for form in (ratio, writer.by_factors(ratio), writer.lowered(ratio)):
            yield writer.quotient(form)


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
