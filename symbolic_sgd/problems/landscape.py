"""The loss on a graph, with its first two derivatives: what every later stage reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient, least_operations, pull_back
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix


@dataclass(frozen=True)
class Landscape:
    """L, ∇L and ∇²L as nodes of one graph.

    Args:
        graph: where everything of one derivation is built.
        variables: the parameters x_1 … x_D as nodes.
        loss: L.
        gradient: ∇L, D×1.
    """

    graph: Graph
    variables: tuple[Node, ...]
    loss: Node
    gradient: Matrix

    @staticmethod
    def of(loss: Node, parameters: Sequence[sp.Symbol]) -> "Landscape":
        """With ∇²L at once, so that programs are the same whatever is asked for first."""
        landscape = Landscape.on_demand(loss, parameters)
        _ = landscape.hessian
        return landscape

    @staticmethod
    def on_demand(loss: Node, parameters: Sequence[sp.Symbol]) -> "Landscape":
        """With ∇²L only where it is asked for."""
        variables = tuple(loss.graph.symbol(s) for s in parameters)
        return Landscape(loss.graph, variables, loss, Matrix.column(gradient(loss, variables)))

    @cached_property
    def hessian(self) -> Matrix:
        """∇²L, D×D, symmetric entry by entry."""
        upper = [gradient(entry, self.variables[i:]) for i, entry in enumerate(self.gradient.entries)]
        n = range(self.dimension)
        return Matrix.of([upper[min(i, j)][abs(i - j)] for j in n] for i in n)

    @property
    def dimension(self) -> int:
        """D."""
        return len(self.variables)

    def third_derivative(self, b: Matrix) -> Matrix:
        """T[B]_k = Σ_ij ∂_i∂_j∂_k L B_ij = ∂_k ⟨∇²L, B⟩ with B held constant, D×1, without ever forming ∂³L."""
        outputs, cotangents = [], []
        for i in range(self.dimension):
            for j in range(i, self.dimension):
                weight = b[i, i] if i == j else b[i, j] + b[j, i]
                if not weight.is_zero:
                    outputs.append(self.hessian[i, j])
                    cotangents.append(weight)
        if not outputs:
            return Matrix.column([self.graph.constant(0)] * self.dimension)
        self.graph.expect(least_operations(outputs, self.variables), "∂²(∇L)[·], the third derivative of the loss,")
        return Matrix.column(pull_back(outputs, cotangents, self.variables))
