"""Mixed + normal regularization as a 1-form on Γ: its values, and its curl."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph, Node, is_analytic
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import nodes_of
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BudgetSpent
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.theorem.derivation import Derivation

CLOSED = 40
"""Digits to which a 1-form has to be closed."""


@dataclass(frozen=True)
class Curl:
    """The largest t₁ᵀ(∂b − ∂bᵀ)t₂ over unit tangent vectors, and where."""

    size: PreciseNumber
    point: PrecisePoint


@dataclass(frozen=True)
class RegularizationForm:
    """ω = ⟨b, dY⟩ with b = mixed + normal regularization, −∂Φ∇R₀ of a perturbed loss and what reshuffled samples add; in the metric S⁻¹ for
    a preconditioner S.

    Args:
        derivation: where it comes from.
        graph: where everything about it is computed.
        variables: the parameters there.
        field: b, D×1: the tangent vector with ω = ⟨b, dY⟩ in the Euclidean metric.
        projection: the orthogonal projection on the tangent space, D×D.
        program: that of b, as `field`.
    """

    derivation: Derivation
    graph: Graph
    variables: tuple[Node, ...]
    field: Matrix
    projection: Matrix
    program: Program

    @staticmethod
    def of(derivation: Derivation) -> "RegularizationForm":
        graph = Graph()
        outputs = derivation.program.on(graph)
        projection, pinv = outputs["tangent_projection"], outputs["hessian_pinv"]
        first, *others = (outputs[name] for name in derivation.regularizing)
        field = sum(others, start=first)
        variables = tuple(graph.symbol(s) for s in derivation.problem.parameters)
        metric = derivation.optimizer.metric(derivation.problem)
        if metric is not None:
            # −PS∇R is the gradient of R on Γ in the metric S⁻¹: it is R's differential on Γ that is asked for.
            hessian = derivation.blocks.select("hessian").on(graph)["hessian"]
            projection = Matrix.identity(graph, len(variables)) - hessian @ pinv
            field = projection @ PositiveDefinite.factor(nodes_of(metric, graph)).solve(field)
        return RegularizationForm(derivation, graph, variables, field, projection, Program.of({"field": field}))

    @property
    def is_analytic(self) -> bool:
        """Whether what holds on an open part of a component of Γ holds on all of the component."""
        return is_analytic(self.field.entries)

    def floats(self, points: np.ndarray) -> np.ndarray:
        """b at S points, S×D."""
        return evaluate(self.program, self.derivation.problem.symbols, points)["field"]

    def vanishes(self, points: Iterable[PrecisePoint]) -> bool:
        """Whether b is zero at every one of the points."""
        return all(all(point.zeros(self.field.entries)) for point in points)

    def proved_zero(self, nodes: Sequence[Node]) -> bool:
        """Whether nodes are proved to vanish on Γ: as identities, or modulo its equations."""
        rest = [node for node, zero in zip(nodes, zero_functions(nodes), strict=True) if not zero]
        equations = self.derivation.equations.on(self.graph)["defining"].entries
        return not rest or all(zero_on(equations, rest, self.derivation.codimension))

    def curl(self, points: Sequence[PrecisePoint], effort: Effort | None = None) -> Curl | None:
        """The curl on Γ where it is largest, None if it vanishes at every one of the points.

        It is that of any extension of b to all of space: d commutes with the restriction to Γ. Where time is up when one was
        found that is not zero, it is the answer.

        Raises:
            BudgetSpent: by the effort.
        """
        effort = effort or Effort()
        slopes = Matrix.of(gradient(entry, self.variables) for entry in effort.each(self.field.entries))
        found: list[Curl] = []
        for point in points:
            try:
                for row in effort.each(slopes.rows):
                    point.zeros(row)  # values are kept: what is asked for below is known by then
            except BudgetSpent:
                if not found:
                    raise
                break
            with mp.workdps(HIGH):
                p, s = point.matrix(self.projection), point.matrix(slopes)
                largest, size = max(map(abs, p * (s - s.T) * p)), max(map(abs, s))
                if largest > size * mp.mpf(10) ** -CLOSED:
                    found.append(Curl(largest, point))
        return max(found, key=lambda curl: curl.size, default=None)
