"""Dual coordinates: the flow keeps to the orbits h(F y) = h(F x) + Zᵀλ, so that Φ is found by solving for λ ∈ R^M."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.flow.ansatz import linked_terms
from symbolic_sgd.flow.first_integrals import FirstIntegral, IntegralSearch, independent_on
from symbolic_sgd.flow.forms import Forms, constant_hessian, coordinate_forms, principal_forms
from symbolic_sgd.flow.links import Linear, Link, Logarithm, exponential_links, power_links
from symbolic_sgd.manifold.manifold import Manifold
from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class DualCoordinates:
    """Links h_j of D orthogonal forms ℓ = F x in which the flow moves within the row space of Z.

    Args:
        forms: F.
        links: h_1 … h_D.
        directions: Z, M×D, of full rank; W h(Fx) is conserved for W Zᵀ = 0.
        integrals: the D − M rows of W h(F x).
    """

    forms: Forms
    links: tuple[Link, ...]
    directions: SymbolicMatrix
    integrals: tuple[FirstIntegral, ...]

    @property
    def logarithmic(self) -> bool:
        """Whether every link is a logarithm, so that the orbits are ℓ_j(y) = ℓ_j(x) Π_i E_i^(Z_ij), E > 0."""
        return all(isinstance(link, Logarithm) for link in self.links)

    @property
    def kinds(self) -> str:
        """The links in words."""
        return " and ".join(sorted({type(link).__name__.lower() for link in self.links}))

    @property
    def unbounded(self) -> bool:
        """Whether every shift λ leads to a point."""
        return all(isinstance(link, (Logarithm, Linear)) for link in self.links)

    def reach(self, forms: Sequence[Expression], shifts: Sequence[Expression]) -> tuple[Expression, ...]:
        """What is positive where λ leads to a point on the orbit."""
        moves = self.directions.T * sp.Matrix(list(shifts))
        found = [link.reach(f, move) for link, f, move in zip(self.links, forms, moves, strict=True)]
        return tuple(dict.fromkeys(e for e in found if e != 1))

    def position(self, forms: Sequence[Expression], shifts: Sequence[Expression]) -> SymbolicMatrix:
        """y = F⁻¹ h⁻¹(h(ℓ) + Zᵀλ), D×1, for forms ℓ and shifts λ."""
        moves = self.directions.T * sp.Matrix(list(shifts))
        moved = [f if move == 0 else h.moved(f, move) for h, f, move in zip(self.links, forms, moves, strict=True)]
        return sp.ImmutableDenseMatrix(self.forms.inverse * sp.Matrix(moved))

    def linked(self) -> tuple[Expression, ...]:
        """h(F x), D expressions."""
        return tuple(link.of(form) for link, form in zip(self.links, self.forms.expressions, strict=True))


def find_dual_coordinates(manifold: Manifold, search: IntegralSearch) -> DualCoordinates | None:
    """The first of the candidate links for which D − M independent combinations are conserved."""
    for links, forms, rates in _exact_candidates(manifold.problem):
        known = _within(manifold, search, links, forms, rates)
        if known is not None:
            return known
    for links, forms in _candidates(manifold.problem):
        found = independent_on(manifold, search.find(linked_terms(manifold.problem, links, forms.expressions)))
        if len(found) == manifold.dimension:
            return DualCoordinates(forms, links, _complement(found, links, forms), tuple(found))
    return None


def _exact_candidates(problem: Problem) -> Iterator[tuple[tuple[Link, ...], Forms, SymbolicMatrix]]:
    """Links, forms, and rows that span the directions in which the flow moves, rational or not.

    A quadratic loss moves x within the range of its Hessian; sums of squares of forms, their logarithms within the row
    space of the eigenvalues.
    """
    curvature = constant_hessian(problem)
    if curvature is not None:
        yield (Linear(),) * problem.dimension, coordinate_forms(problem), curvature
    principal = principal_forms(problem)
    if principal is not None:
        yield (Logarithm(),) * problem.dimension, principal, principal.eigenvalues


def _within(
    manifold: Manifold, search: IntegralSearch, links: tuple[Link, ...], forms: Forms, rows: SymbolicMatrix
) -> DualCoordinates | None:
    """Dual coordinates with Z the row space of a matrix, if its complement is seen to be conserved."""
    matrix = DomainMatrix.from_list_sympy(rows.rows, rows.cols, rows.tolist(), extension=True).to_field()
    reduced, pivots = matrix.rref()
    if len(pivots) != manifold.codimension:
        return None
    terms = sp.Matrix([link.of(form) for link, form in zip(links, forms.expressions, strict=True)])
    weights = matrix.nullspace().to_Matrix()
    candidates = [search.verified(_cleared(weights.row(i), terms)) for i in range(weights.rows)]
    found = independent_on(manifold, [integral for integral in candidates if integral is not None])
    if len(found) < manifold.dimension:
        return None
    directions = sp.ImmutableDenseMatrix([_coprime(reduced.to_Matrix().row(i)) for i in range(len(pivots))])
    return DualCoordinates(forms, links, directions, tuple(found))


def _cleared(weights: SymbolicMatrix, terms: SymbolicMatrix) -> Expression:
    """Σ_j w_j t_j, with the common denominator of the weights cleared, and coprime integers where they are rational."""
    denominator = reduce(sp.lcm, [sp.denom(sp.together(w)) for w in weights])
    whole = [sp.radsimp(sp.cancel(w * denominator)) for w in weights]
    return sum((w * t for w, t in zip(_coprime(sp.Matrix([whole])), terms, strict=True)), sp.S.Zero)


def _candidates(problem: Problem) -> Iterator[tuple[tuple[Link, ...], Forms]]:
    coordinates = coordinate_forms(problem)
    yield (Linear(),) * problem.dimension, coordinates
    yield (Logarithm(),) * problem.dimension, coordinates
    suggested = tuple(_suggested(problem, x) for x in problem.parameters)
    if not all(isinstance(link, Logarithm) for link in suggested):
        yield suggested, coordinates


def _suggested(problem: Problem, x: sp.Symbol) -> Link:
    return next(iter([*power_links(problem, x), *exponential_links(problem, x)]), Logarithm())


def _complement(found: Sequence[FirstIntegral], links: Sequence[Link], forms: Forms) -> SymbolicMatrix:
    """Z: a basis of the vectors orthogonal to the coefficients of the integrals, with coprime integers where rational."""
    terms = [link.of(form) for link, form in zip(links, forms.expressions, strict=True)]
    weights: SymbolicMatrix = sp.zeros(len(found), len(terms))
    for i, integral in enumerate(found):
        for coefficient, term in integral.terms:
            weight = sp.Rational(coefficient.numerator, coefficient.denominator) * term.factor
            weights[i, terms.index(term.expression)] += weight
    return sp.ImmutableDenseMatrix([_coprime(z) for z in weights.nullspace()])


def _coprime(z: SymbolicMatrix) -> list[Expression]:
    """The same direction in coprime integers, the first of them positive, where it is rational."""
    if not all(entry.is_Rational for entry in z):
        return list(z)
    scale = sp.ilcm(1, *[entry.q for entry in z])
    common = sp.igcd(*[entry * scale for entry in z]) * sp.sign(next(entry for entry in z if entry != 0))
    return [entry * scale / common for entry in z]


def counted(count: int, thing: str) -> str:
    """A thing, or so many of them, in words: "equation", "3 equations"."""
    return thing if count == 1 else f"{count} {thing}s"
