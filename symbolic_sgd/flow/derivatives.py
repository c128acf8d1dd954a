"""∂Φ and ∂²Φ[B] in closed form: of an explicit Φ by differentiation, of an implicit one by the implicit function theorem."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy as sp

from symbolic_sgd.algebra.differentiate import contracted_hessian, jacobian
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, Orthogonal
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.flow.dual_coordinates import DualCoordinates
from symbolic_sgd.flow.first_integrals import without_moduli
from symbolic_sgd.manifold.manifold import Manifold


@dataclass(frozen=True)
class DerivativesOfLimit:
    """∂Φ and ∂²Φ[B] as programs in x, the constants, B, and for an implicit Φ in y = Φ(x).

    Args:
        jacobian: the program of ∂Φ, D×D.
        second: the program of ∂²Φ[B], D×1.
        directions: the symbols of B's entries (B_ij for i ≤ j stands for (B_ij + B_ji)/2).
    """

    jacobian: Program
    second: Program
    directions: SymbolicMatrix


def explicit_derivatives(manifold: Manifold, image: Sequence[Expression]) -> DerivativesOfLimit:
    """Of Φ(x) given as expressions in x."""
    landscape = manifold.landscape
    nodes = [from_sympy(e, landscape.graph) for e in image]
    symbols, b = _directions(manifold)
    second = [contracted_hessian(node, landscape.variables, b.rows) for node in nodes]
    return _programs(Matrix.of(jacobian(nodes, landscape.variables)), Matrix.column(second), symbols)


def implicit_derivatives(
    manifold: Manifold,
    equations: Sequence[Node],
    integrals: Sequence[Expression],
    dual: DualCoordinates | None,
    images: Sequence[sp.Symbol],
) -> DerivativesOfLimit:
    """Of the Φ defined by g(Φ) = 0 and I(Φ) = I(x).

    ∇I is tangent to Γ there (differentiate ∇I·∇L = 0 on Γ: ∇²L ∇I = 0) and ∇g is normal. With A = ∂Iᵀ and F = ∂gᵀ at
    y = Φ(x), C = ∂Φ B ∂Φᵀ:

        ∂Φ = A (AᵀA)⁻¹ ∂I(x),
        ∂²Φ[B] = A (AᵀA)⁻¹ (∂²I(x)[B] − ∂²I(y)[C]) − F (FᵀF)⁻¹ ∂²g(y)[C].

    In dual coordinates of the parameters themselves, where I = W h(x), the same without W: A (AᵀA)⁻¹ W r = P r/h′(y).

    Args:
        manifold: Γ.
        equations: g, M nodes with independent gradients on Γ.
        integrals: I, D − M expressions in x.
        dual: used instead of the integrals; of the parameters themselves.
        images: the symbols of y.
    """
    landscape = manifold.landscape
    graph, variables = landscape.graph, landscape.variables
    at_image = dict(zip(variables, (graph.symbol(s) for s in images), strict=True))
    normal = manifold.restrict(Matrix.of(jacobian(equations, variables)).T)
    across = Orthogonal.factor(normal.replace(at_image))
    conserved = [from_sympy(without_moduli(e), graph) for e in (dual.linked() if dual else integrals)]
    slopes = Matrix.of(jacobian(conserved, variables))
    along = _along(slopes.replace(at_image), across, dual)
    first = along(slopes)
    symbols, b = _directions(manifold)
    moved = first @ b @ first.T

    def change(functions: Sequence[Node], where: dict[Node, Node], directions: Matrix) -> Matrix:
        nodes = Matrix.column(functions).replace(where).entries
        points = [where.get(x, x) for x in variables]
        return Matrix.column(contracted_hessian(node, points, directions.rows) for node in nodes)

    tangential = along(change(conserved, {}, b) - change(conserved, at_image, moved))
    return _programs(first, tangential - across.least_norm(change(equations, at_image, moved)), symbols)


def _along(slopes: Matrix, across: Orthogonal, dual: DualCoordinates | None) -> Callable[[Matrix], Matrix]:
    """The tangent W with AᵀW = right, A = ∂Iᵀ; or in dual coordinates P right/h′."""
    if dual is None:
        return Orthogonal.factor(slopes.T).least_norm
    rates = [slopes[i, i] for i in range(slopes.shape[0])]

    def apply(right: Matrix) -> Matrix:
        moved = Matrix.of([entry / rate for entry in row] for row, rate in zip(right.rows, rates, strict=True))
        return moved - across.columns @ (across.dual.T @ moved)

    return apply


def _directions(manifold: Manifold) -> tuple[SymbolicMatrix, Matrix]:
    d, graph = manifold.landscape.dimension, manifold.landscape.graph
    upper = {(i, j): sp.Dummy(f"B_{i}_{j}") for i in range(d) for j in range(i, d)}
    symbols: SymbolicMatrix = sp.ImmutableDenseMatrix(d, d, lambda i, j: upper[min(i, j), max(i, j)])
    return symbols, Matrix.of([graph.symbol(symbols[i, j]) for j in range(d)] for i in range(d))


def _programs(first: Matrix, second: Matrix, symbols: SymbolicMatrix) -> DerivativesOfLimit:
    return DerivativesOfLimit(Program.of({"jacobian": first}), Program.of({"second_derivative": second}), symbols)
