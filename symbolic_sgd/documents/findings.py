"""What a document is made from: the finished parts of a derivation, each there or with the reason why it is not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import sympy as sp

from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.charts.chart_sde import ChartSDE
from symbolic_sgd.checks.certificate import Certificate
from symbolic_sgd.documents.document import Figure
from symbolic_sgd.errors import ExpressionTooLarge, SymbolicSGDError
from symbolic_sgd.flow.limit import FlowLimit, find_limit
from symbolic_sgd.regularizer.regularizer import Regularizer
from symbolic_sgd.theorem.canonical import hessian_on_manifold
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.structural import StructuralFormulas

if TYPE_CHECKING:
    from symbolic_sgd.documents.wants import Wants

Part = TypeVar("Part")

Matrices = Mapping[str, SymbolicMatrix | None]
"""Name of a term → its expressions, None where they are too large to be written out."""


@dataclass(frozen=True)
class Findings:
    """Everything that is known of one problem.

    Args:
        title: the heading.
        derivation: the limiting SDE.
        structure: the same in vectors.
        matrices: name of a term → its expressions, or None where they are too large to be written out.
        hessian: ∇²L on Γ, None where it is not to be printed.
        regularizer: R or that there is none; or why it is undecided.
        limit: Φ off Γ; or why it was not found.
        chart: the SDE in coordinates of Γ; or why there is no such form.
        certificate: what verification found; None where it was not run.
        figures: pictures of it.
        wants: R in function space, fixed points and charges; None where no predictor was given.
    """

    title: str
    derivation: Derivation
    structure: StructuralFormulas
    matrices: Matrices
    hessian: SymbolicMatrix | None
    regularizer: Regularizer | SymbolicSGDError
    limit: FlowLimit | SymbolicSGDError
    chart: ChartSDE | SymbolicSGDError
    certificate: Certificate | None
    figures: tuple[Figure, ...] = ()
    wants: "Wants | None" = None

    def vanishes(self, name: str) -> bool:
        """Whether a term is known to be zero on Γ."""
        matrix = self.matrices[name]
        return matrix is not None and bool(matrix.is_zero_matrix)

    @property
    def constant(self) -> bool:
        """Whether nothing moves on Γ."""
        return self.vanishes("tangent_noise") and self.vanishes("drift")

    @property
    def potential(self) -> sp.Expr | None:
        """R, where there is one that is not constant."""
        found = self.regularizer
        return found.expression if isinstance(found, Regularizer) and found.expression else None


LARGEST_HESSIAN = 6
"""Parameters up to which the entries of ∇²L, which L determines, are printed."""


def hessian_or_none(derivation: Derivation) -> SymbolicMatrix | None:
    """∇²L on Γ, if it is small."""
    return hessian_on_manifold(derivation) if derivation.problem.dimension <= LARGEST_HESSIAN else None


def limit_of(derivation: Derivation) -> FlowLimit:
    """Φ.

    Raises:
        ExpressionTooLarge: of a large problem, whose Φ is not sought unasked.
    """
    if derivation.in_matrices is not None:
        raise ExpressionTooLarge("the problem is computed by matrices, and a formula of Φ was not sought")
    return find_limit(derivation.stated)


def attempt(part: Callable[[], Part]) -> Part | SymbolicSGDError:
    """A part of the findings, or what it refuses with: a document states both."""
    try:
        return part()
    except SymbolicSGDError as reason:
        return reason
