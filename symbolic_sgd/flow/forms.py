"""Linear forms in which the quadratic residuals of a loss are sums of squares."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.flow.links import stated_expressions
from symbolic_sgd.problems.problem import Problem

LARGEST = 16
"""Parameters up to which eigenvectors are computed exactly; beyond, the forms are the parameters themselves."""


@dataclass(frozen=True)
class Forms:
    """D orthogonal linear forms ℓ = F x.

    Args:
        parameters: x.
        matrix: F, D×D, with orthogonal rows; entries are rationals and square roots of them.
        eigenvalues: S_i F_j = λ_ij F_j where the n residuals of the loss are xᵀS_i x + const (n×D); else None.
    """

    parameters: tuple[sp.Symbol, ...]
    matrix: SymbolicMatrix
    eigenvalues: SymbolicMatrix | None = None

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """ℓ_1 … ℓ_D in the parameters."""
        return tuple(self.matrix * sp.Matrix(self.parameters))

    @property
    def are_parameters(self) -> bool:
        """Whether F = I."""
        return self.matrix == sp.eye(len(self.parameters))

    @cached_property
    def inverse(self) -> SymbolicMatrix:
        """F⁻¹ = Fᵀ diag(1/|row|²)."""
        f = self.matrix
        lengths = [sp.expand(sum(entry**2 for entry in f.row(i))) for i in range(f.rows)]
        return sp.ImmutableDenseMatrix(f.cols, f.rows, lambda i, j: sp.radsimp(f[j, i] / lengths[j]))


def coordinate_forms(problem: Problem) -> Forms:
    """The parameters as their own forms."""
    return Forms(problem.parameters, sp.ImmutableDenseMatrix.eye(problem.dimension))


def constant_hessian(problem: Problem) -> SymbolicMatrix | None:
    """∇²L of a quadratic loss, else None."""
    if problem.dimension > LARGEST or not problem.loss.is_polynomial(*problem.parameters):
        return None
    if sp.Poly(problem.loss, *problem.parameters).total_degree() != 2:
        return None
    return sp.hessian(problem.loss, problem.parameters).applyfunc(sp.expand)


def principal_forms(problem: Problem) -> Forms | None:
    """Orthogonal forms in which every part f_i = xᵀS_i x + const that the loss was stated in is a sum of squares.

    The flow then moves ℓ_j by −2 Σ_i ρ_i λ_ij ℓ_j, so that ln|ℓ_j| moves within the row space of λ.

    None where there are no such parts, where the S_i have no common principal axes, or where these need more than square
    roots. What follows from them is verified on the loss itself.
    """
    if problem.dimension > LARGEST:
        return None
    quadratics = [_quadratic_part(f, problem.parameters) for f in _residuals(problem)]
    matrices = [s for s in quadratics if s is not None]
    if not matrices:
        return None
    if all(s.is_diagonal() for s in matrices):
        diagonals = sp.ImmutableDenseMatrix([list(s.diagonal()) for s in matrices])
        return Forms(problem.parameters, sp.ImmutableDenseMatrix.eye(problem.dimension), diagonals)
    if not all(entry.is_Rational for s in matrices for entry in s):
        return None
    mixed = sum((sp.Rational(7 * i + 3, 5 * i + 2) * s for i, s in enumerate(matrices)), sp.zeros(problem.dimension))
    rows = _principal_axes(mixed)
    if rows is None:
        return None
    f = sp.ImmutableDenseMatrix(rows)
    eigenvalues = [_eigenvalues(f, s) for s in matrices]
    if any(row is None for row in eigenvalues):
        return None
    return Forms(problem.parameters, f, sp.ImmutableDenseMatrix(eigenvalues))


def _residuals(problem: Problem) -> list[Expression]:
    """What the loss was stated in: its largest parts that are polynomials of degree two."""
    found: dict[Expression, None] = {}
    pending = list(stated_expressions(problem))
    while pending:
        expression = pending.pop(0)
        if not expression.free_symbols & set(problem.parameters):
            continue
        if expression.is_polynomial(*problem.parameters):
            degree = sp.Poly(expression, *problem.parameters).total_degree()
            if degree <= 2:
                found.update({expression: None} if degree == 2 else {})
                continue
        pending.extend(expression.args)
    return list(found)


def _quadratic_part(f: Expression, parameters: Sequence[sp.Symbol]) -> SymbolicMatrix | None:
    """S with f = c xᵀSx + const, for some c free of the parameters."""
    if not f.is_polynomial(*parameters):
        return None
    polynomial = sp.Poly(f, *parameters)
    if any(sum(powers) not in (0, 2) for powers in polynomial.monoms()):
        return None
    s = sp.hessian(f, parameters) / 2
    lead = next((entry for entry in s if entry != 0), sp.S.One)
    return s if lead.is_Rational else (s / lead).applyfunc(sp.cancel)  # a factor of constants moves no axis


def _principal_axes(s: SymbolicMatrix) -> list[list[Expression]] | None:
    """Orthogonal eigenvectors of a symmetric rational matrix whose eigenvalues need square roots at most."""
    rows: list[list[Expression]] = []
    for factor, _ in s.charpoly().factor_list()[1]:
        if factor.degree() > 2:
            return None
        for root in sp.roots(factor):
            shifted = s - root * sp.eye(s.rows)
            axes = DomainMatrix.from_list_sympy(s.rows, s.cols, shifted.tolist(), extension=True).to_field().nullspace()
            rows.extend(_orthogonal(axes.to_Matrix()))
    return rows


def _orthogonal(axes: SymbolicMatrix) -> list[list[Expression]]:
    """The rows made orthogonal, each scaled to have no denominators in its rational coefficients."""
    done: list[SymbolicMatrix] = []
    for i in range(axes.rows):
        row = axes.row(i)
        for other in done:
            row = row - (row.dot(other) / other.dot(other)) * other
        done.append(_short(row))
    return [list(row) for row in done]


def _short(row: SymbolicMatrix) -> SymbolicMatrix:
    """A multiple with few operations: some entry made rational, and no denominators left."""
    multiples = []
    for lead in (entry for entry in row if entry != 0):
        scaled = (row / lead).applyfunc(lambda e: sp.radsimp(sp.expand(e)))
        whole = sp.ilcm(1, *[c.q for entry in scaled for c in entry.atoms(sp.Rational)])
        multiples.append((whole * scaled).applyfunc(sp.expand))
    return min(multiples, key=lambda m: sum(operations(entry) for entry in m))


def _eigenvalues(f: SymbolicMatrix, s: SymbolicMatrix) -> list[Expression] | None:
    """λ with S fᵀ = fᵀ diag(λ); None where the rows of f are no eigenvectors."""
    exactly = lambda matrix: matrix.applyfunc(lambda e: sp.radsimp(sp.expand(e)))  # noqa: E731
    products, lengths = exactly(f * s * f.T), exactly(f * f.T)
    if not products.is_diagonal():
        return None
    return [sp.radsimp(products[j, j] / lengths[j, j]) for j in range(f.rows)]
