"""|∇²L|₊, the product of the nonzero eigenvalues of the Hessian, along a chart of Γ."""

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import PositiveDefinite
from symbolic_sgd.charts.embedding import Embedding
from symbolic_sgd.theorem.normal_space import Frameless


def volume_factors(embedding: Embedding, graph: Graph) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """The factors of numerator and denominator of |∇²L|₊ at ψ(θ): the pivots of Fᵀ∇²L F and of FᵀF with the frame F of
    the derivation, or e_M(∇²L) alone where the derivation goes without a frame."""
    derivation = embedding.derivation
    if isinstance(derivation.normal_space, Frameless):
        return embedding.compose(derivation.normal_space.symmetric, graph)["symmetric"].entries[-1:], ()
    composed = embedding.compose(derivation.guard.select("hessian", "frame"), graph)
    frame = composed["frame"]
    curved, plain = frame.T @ composed["hessian"] @ frame, frame.T @ frame
    return PositiveDefinite.factor(curved).pivots, PositiveDefinite.factor(plain).pivots
