"""tr ∇²L over all residuals, also where they depend on one another: Σ k_i‖∇g_i‖² for L = ½ Σ k_i g_i² and a constant.

Where all g_i vanish, ∇²L = Σ k_i ∇g_i∇g_iᵀ, whatever the k_i depend on. M of the gradients span the normal space, but a sum over these is
not symmetric in what L is symmetric in; nor is a function that all equations of Γ have reduced. So each term is reduced by its own.
"""

from collections.abc import Iterator

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.manifold.equations import squared_terms
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.rational_forms import on_manifold

MOST = 40
"""Residuals of a sum that is written out."""


def trace_over_residuals(derivation: Derivation) -> Expression | None:
    """tr ∇²L on Γ, each term in the form that is least to read; None where L is not seen to be such a sum, or is one of exactly M squares,
    or where it is not proved that all g_i vanish on Γ."""
    landscape = derivation.problem.landscape()
    squares = squared_terms(derivation.problem, landscape)
    if not derivation.codimension < len(squares) <= MOST or not _all_vanish(derivation, list(squares)):
        return None
    terms = (k * dot(slopes, slopes) for g, k in squares.items() for slopes in [gradient(g, landscape.variables)])
    try:
        return sp.Add(*(_least(term, g) for term, g in zip(terms, squares, strict=True)))
    except ExpressionTooLarge:
        return None


def _all_vanish(derivation: Derivation, residuals: list[Node]) -> bool:
    graph = residuals[0].graph
    known = set(derivation.guard.on(graph)["equations"].entries)
    others = [g for g in residuals if g not in known]
    return not others or all(zero_on(derivation.equations.on(graph)["defining"].entries, others))


def _least(function: Node, equation: Node) -> Expression:
    """A function on {equation = 0} in the form that is least to read."""
    return min(_forms(function, equation), key=reading_cost)


def _forms(function: Node, equation: Node) -> Iterator[Expression]:
    yield Program.of({"function": Matrix.column([function])}).expand("function")[0, 0]
    try:
        writer, (ratio,) = on_manifold([function], [equation])
    except (ExpressionTooLarge, ZeroDivisionError):
        return
    yield writer.quotient(ratio)
    yield writer.product(ratio)
    yield writer.product(writer.by_factors(ratio))
    yield writer.product(writer.lowered(ratio))
