"""The function that the regularization descends: R with mixed + normal = −∂Φ∇R on Γ, or the proof that there is none."""

from dataclasses import dataclass

import mpmath
import sympy as sp

from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.derive.derivation import Derivation
from symbolic_sgd.derive.precise import HIGH, PrecisePoint
from symbolic_sgd.errors import ExpressionTooLarge, Undecided

LARGEST_DETERMINANT = 4
"""Rows of a determinant that is written out."""

CLOSED = 40
"""Digits to which a 1-form has to be closed."""


@dataclass(frozen=True)
class Regularizer:
    """R, or None, and why.

    Args:
        expression: R in the user's symbols, valid on Γ up to a constant; None if there is none.
        words: what it is, or the evidence against it.
    """

    expression: Expression | None
    words: str


def find_regularizer(derivation: Derivation) -> Regularizer:
    """R by the structure of the noise, or None where the regularization is not closed as a 1-form on Γ.

    Σ_⊥ = cH gives R = (c/4) tr ∇²L, Σ_⊥ = s²Q gives R = (s²/4) ln|∇²L|₊ (the product of the nonzero eigenvalues); both
    where the mixed regularization vanishes (from −½∂Φ∂²(∇L)[S], Li, Wang & Arora 2022).

    Raises:
        Undecided: the 1-form is closed at every point examined, but no R was recognised.
        ExpressionTooLarge: R does not expand within the budget.
    """
    graph = Graph()
    terms = derivation.program.select("mixed_regularization", "normal_regularization").on(graph)
    mixed, normal = terms["mixed_regularization"], terms["normal_regularization"]
    if all(entry.is_zero for entry in (*mixed.entries, *normal.entries)):
        return Regularizer(sp.S.Zero, "the regularization vanishes on Γ")
    if all(entry.is_zero for entry in mixed.entries):
        if derivation.proportion is not None:
            return Regularizer(derivation.proportion / 4 * _trace(derivation), "R = (c/4) tr ∇²L")
        if derivation.isotropy is not None:
            return Regularizer(derivation.isotropy / 4 * sp.log(_volume(derivation)), "R = (s²/4) ln|∇²L|₊")
    curl, where = _largest_curl(derivation, mixed + normal)
    if curl:
        return Regularizer(None, f"the regularization is no gradient: its curl on Γ is {curl} at {where}")
    raise Undecided(
        "whether a regularizer exists was not decided: the regularization is closed as a 1-form at every point of Γ examined, "
        "but no structure for which R is known (Σ_⊥ = c∇²L or s²(I − ∂Φ), with a constant c or s²) was recognised"
    )


def _trace(derivation: Derivation) -> Expression:
    """tr ∇²L, where that is shorter without what vanishes on Γ."""
    written = []
    for program in (derivation.blocks, derivation.guard):
        hessian = program.select("hessian").on(Graph())["hessian"]
        total = hessian[0, 0]
        for i in range(1, hessian.shape[0]):
            total = total + hessian[i, i]
        written.append(sp.expand(Program.of({"trace": Matrix.column([total])}).expand("trace")[0, 0]))
    return min(reversed(written), key=sp.count_ops)


def _volume(derivation: Derivation) -> Expression:
    """|∇²L|₊: det K det FᵀF where ∇²L = F K Fᵀ with a diagonal K is known, else det(Fᵀ∇²L F)/det FᵀF; no divisions else."""
    blocks, frame = derivation.blocks, derivation.guard.expand("frame")
    if frame.cols > LARGEST_DETERMINANT:
        raise ExpressionTooLarge(
            f"ln|∇²L|₊ is the logarithm of a {frame.cols}×{frame.cols} determinant, too large to be written out: "
            "use sde.lambdify() for the regularization itself"
        )
    gram = _determinant(frame.T * frame)
    if any(output.name == "curvatures" for output in blocks.outputs):
        return sp.Mul(*blocks.expand("curvatures").flat()) * gram
    return _determinant(frame.T * blocks.expand("hessian") * frame) / gram


def _determinant(matrix: SymbolicMatrix) -> Expression:
    return sp.factor_terms(matrix.applyfunc(sp.expand).det(method="berkowitz"))


def _largest_curl(derivation: Derivation, field: Matrix) -> tuple[str, str]:
    """The largest t₁ᵀ(∂b − ∂bᵀ)t₂ over tangent vectors at the points of Γ, as text, and where; '' if it vanishes."""
    graph = field[0, 0].graph
    variables = [graph.symbol(s) for s in derivation.problem.parameters]
    slopes = Matrix.of(jacobian(field.entries, variables))
    projection = derivation.program.select("tangent_projection").on(graph)["tangent_projection"]
    for assignment in derivation.points:
        point = PrecisePoint(assignment)
        with mpmath.workdps(HIGH):
            p, s = point.matrix(projection), point.matrix(slopes)
            skew = p * (s - s.T) * p
            size, largest = max(map(abs, s)), max(map(abs, skew))
            if largest > size * mpmath.mpf(10) ** -CLOSED:
                return str(mpmath.nstr(largest, 6)), point.describe(derivation.problem.symbols)
    return "", ""
