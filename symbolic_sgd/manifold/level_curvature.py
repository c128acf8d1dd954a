"""H = F K Fᵀ on Γ for M functions that vanish on Γ, whether or not the loss is seen to be a function of them.

For the range of H is that of F = (∇g_1 … ∇g_M), so that K = AHAᵀ for A = (FᵀF)⁻¹Fᵀ. Where K is constant along Γ, ∂²(∇L) is, up to
products of three ∇g_i, what it is for L = ½ gᵀKg: the difference of both is symmetric, and zero in directions along Γ. F has rank M
wherever H has. One function f with L = kf²/2 and a constant may have a k(x) that varies.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseMatrix
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.rational.recognition import rational

LARGEST_DENOMINATOR = 10**6
"""Of an entry of K."""


def constant_curvature(landscape: Landscape, levels: Sequence[Node], points: Sequence[PrecisePoint]) -> Matrix | None:
    """K, if it is one of rational numbers and H = F K Fᵀ is proved wherever all the levels vanish; else None.

    Args:
        landscape: the loss.
        levels: g_1 … g_M, zero on Γ, with independent gradients at the points.
        points: points of Γ, two at least.
    """
    if len(points) < 2:
        return None
    frame = Matrix.of(jacobian(levels, landscape.variables)).T
    first, *others = (_curvature_at(point, landscape, frame) for point in points)
    if first is None or any(other != first for other in others):
        return None
    constant = landscape.graph.constant
    curvature = Matrix.of([constant(entry) for entry in row] for row in first)
    difference = landscape.hessian - frame @ curvature @ frame.T
    upper = [difference[i, j] for i in range(difference.shape[0]) for j in range(i + 1)]
    return curvature if all(zero_on(levels, upper, len(levels))) else None


def curvature_of_square(problem: Problem, level: Node) -> Matrix | None:
    """k, 1×1, with L = kf²/2 and a constant, identically, for polynomials in the parameters over ℚ(constants); else None."""
    parameters = problem.parameters
    (f,) = Program.of({"level": Matrix.column([level])}).expand("level").flat()
    quotient: Any
    rest: Any
    try:
        quotient, rest = sp.div(2 * problem.loss, f**2, *parameters)
    except sp.PolynomialError:
        return None
    constant = not rest.free_symbols & set(parameters)
    return Matrix.of([[from_sympy(quotient, level.graph)]]) if constant and quotient != 0 else None


def _curvature_at(point: PrecisePoint, landscape: Landscape, frame: Matrix) -> list[list[Fraction]] | None:
    with mp.workdps(HIGH):
        f, h = point.matrix(frame), point.matrix(landscape.hessian)
        dual: PreciseMatrix = mp.inverse(f.T * f) * f.T
        k = dual * h * dual.T
        entries = [[rational(k[i, j], LARGEST_DENOMINATOR) for j in range(k.cols)] for i in range(k.rows)]
    found = [[entry for entry in row if entry is not None] for row in entries]
    return found if all(len(row) == k.cols for row in found) else None
