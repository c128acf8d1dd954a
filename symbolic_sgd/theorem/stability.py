"""Where an optimizer stays near Γ at a learning rate that stays: as a matrix that is positive definite there, and as numbers > 0."""

from dataclasses import dataclass
from itertools import accumulate
from math import comb
from operator import mul

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.lyapunov import CLOSED_FORM, elementary_symmetric, pair_system
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.theorem.geometry import FramedGeometry, FramelessGeometry, NodeGeometry, ObliqueGeometry
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold
from symbolic_sgd.theorem.normal_frame import FRAMELESS_DIMENSION
from symbolic_sgd.theorem.response import MinibatchResponse, ReshuffledResponse, Response


@dataclass(frozen=True)
class Stability:
    """The optimizer is stable where `matrix` is positive definite, which is where all of `positive` are positive."""

    matrix: Matrix
    positive: tuple[Node, ...]


def stability(
    normal: NodeGeometry, noise: NoiseOnManifold, optimizer: Optimizer, response: Response
) -> Stability | None:
    """Where the optimizer stays near Γ; None where it does whatever the curvatures and its numbers are."""
    found = _across(normal, noise, optimizer, response)
    graph = normal.frame.manifold.landscape.graph
    numbers = [from_sympy(e, graph) for e in optimizer.positive_numbers]
    if not numbers:
        return found
    blocks = [Matrix.diagonal(graph, numbers), *([] if found is None else [found.matrix])]
    return Stability(Matrix.block_diagonal(graph, blocks), (*numbers, *(() if found is None else found.positive)))


def _across(normal: NodeGeometry, noise: NoiseOnManifold, optimizer: Optimizer, response: Response) -> Stability | None:
    """I − H/λ* > 0 across Γ for an edge λ*; for SGD on samples the map of the second moments, S ↦ HS + SH − ηE[H_BSH_B], is positive
    definite: that is mean-square stability (its inverse is Σ_k (1 − η·)ᵏη, a sum of maps that keep S ≥ 0)."""
    if isinstance(normal, ObliqueGeometry):
        return _in_metric(normal, optimizer)
    if optimizer.edge is None:
        return None
    if isinstance(response, MinibatchResponse):
        assert isinstance(normal, FramedGeometry)
        _, system = pair_system(response.pairs(normal.space(noise.samples)), normal.matrix.shape[0])
        return Stability(system, PositiveDefinite.factor(system).pivots)
    manifold = normal.frame.manifold
    graph, d = manifold.landscape.graph, manifold.landscape.dimension
    slow = 1 / from_sympy(optimizer.edge, graph)
    if isinstance(normal, FramedGeometry) and d > FRAMELESS_DIMENSION:
        # G − GCG/λ* for H = NCNᵀ, G = NᵀN: M×M, where D×D would be large.
        gram, curvature = normal.space().powers(2)
        inner = gram - curvature.scaled(slow)
        return Stability(inner, PositiveDefinite.factor(inner).pivots)
    hessian = manifold.restrict(manifold.landscape.hessian)
    below = Matrix.identity(graph, d) - hessian.scaled(slow)
    return Stability(below, _positive(normal, hessian, slow, below))


def _in_metric(normal: ObliqueGeometry, optimizer: Optimizer) -> Stability | None:
    """S > 0, unless it is constant or the domain makes it so, and I − SH/λ* > 0 across Γ, in the metric S."""
    metric, graph = normal.preconditioner, normal.preconditioner[0, 0].graph
    blocks: list[Matrix] = []
    positive: list[Node] = []
    if not optimizer.positive_in_domain and (normal.bend or any(entry.op != "constant" for entry in metric.entries)):
        blocks.append(metric)
        pivots = metric.diagonal_entries if metric.is_diagonal else PositiveDefinite.factor(metric).pivots
        positive.extend(pivots if metric.is_diagonal else accumulate(pivots, mul))
    if optimizer.edge is not None:
        slow, (gram, curvature) = 1 / from_sympy(optimizer.edge, graph), normal.space().powers(2)
        blocks.append(gram - curvature.scaled(slow))
        manifold = normal.frame.manifold
        leaning = metric @ manifold.restrict(manifold.landscape.hessian)
        positive.extend(_positive(normal, leaning, slow, blocks[-1]))
    return Stability(Matrix.block_diagonal(graph, blocks), tuple(positive)) if blocks else None


def never_at_the_edge(optimizer: Optimizer, response: Response, proportion: Expression | None) -> bool:
    """Whether a limit without noise along Γ, in which Σ_⊥ = cH, stays away from the edge of stability for ever.

    It descends R = (c/2)Σ∫λk(λ, λ)dλ, which is infinite at λ* where λk(λ, λ) > 0 has a pole there.
    """
    g = response.of_proportion()
    if (
        proportion is None
        or g is None
        or optimizer.edge is None
        or optimizer.has_slow_field
        or optimizer.mean_potential is not None
    ):
        return False
    if isinstance(response, ReshuffledResponse):  # what the samples add to the drift need not descend anything
        return False
    return sp.cancel(1 / g).subs(A, optimizer.edge).equals(0) is True


def _positive(normal: NodeGeometry, hessian: Matrix, slow: Node, below: Matrix) -> tuple[Node, ...]:
    """e_1 … e_M of the eigenvalues 1 − λ_i/λ*: the eigenvalues are real, so all are positive where all of these are."""
    m = normal.frame.manifold.codimension
    if m > CLOSED_FORM:
        return PositiveDefinite.factor(below).pivots
    e = normal.symmetric if isinstance(normal, FramelessGeometry) else elementary_symmetric(hessian, m)
    graph, values = slow.graph, []
    for k in range(1, m + 1):  # e_k(1 − t) = Σ_j (−1)ʲ C(m − j, k − j) e_j(t)
        terms = [comb(m - j, k - j) * (-slow) ** j * (e[j - 1] if j else graph.constant(1)) for j in range(k + 1)]
        values.append(graph.total(terms))
    return tuple(values)
