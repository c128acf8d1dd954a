"""Step 5 for optimizers with slow second moments v: how v moves on Γ × {v}.

v⁺ = v + cη²(V(ggᵀ) − ε²v) with g = ∇L + εσξ, and x is at a distance from Γ whose covariance is ηε²C: per unit of t the squares of the
noise give cV(Σ), those of the slope cηV(HCH), and the last term −cv, which is a slow field. What x does is that of a preconditioner S(v).
"""

from collections.abc import Sequence
from dataclasses import replace

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.second_moments import SecondMoments
from symbolic_sgd.theorem.drift import DriftTerms
from symbolic_sgd.theorem.geometry import NodeGeometry
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold


def with_second_moments(
    drift: DriftTerms, normal: NodeGeometry, noise: NoiseOnManifold, optimizer: Optimizer, moments: SecondMoments
) -> DriftTerms:
    """The drift of (x, v) from that of x, whose rows of v are those of the slow field alone."""
    manifold = normal.frame.manifold
    graph, d = manifold.landscape.graph, manifold.landscape.dimension
    c, zero = from_sympy(moments.rate, graph), graph.constant(0)

    def remembered(values: Sequence[Node]) -> Matrix:
        return manifold.without_zeros(Matrix.column([*[zero] * (d - len(values)), *(c * a for a in values)]))

    rows = noise.stated.factor.rows
    curved = remembered(moments.of(lambda i, j: graph.total(a * b for a, b in zip(rows[i], rows[j], strict=True))))
    if not optimizer.is_finite:
        return replace(drift, curved=curved)
    hessian = manifold.restrict(manifold.landscape.hessian)
    seen = (hessian @ drift.normal_noise.solution @ hessian).scaled(from_sympy(optimizer.rate, graph))
    normal_part = drift.normal_regularization + remembered(moments.of(lambda i, j: seen[i, j]))
    return replace(drift, normal_regularization=normal_part, curved=curved)
