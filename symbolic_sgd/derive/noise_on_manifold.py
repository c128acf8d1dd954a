"""Step 4: the noise on Γ, split into its tangent and normal parts."""

from dataclasses import dataclass

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.derive.inverses import NormalHessian
from symbolic_sgd.derive.manifold import Manifold


@dataclass(frozen=True)
class NoiseOnManifold:
    """σ on Γ and its tangent part.

    Args:
        factor: σ, D×Ξ, with Σ = σσᵀ.
        tangent: Pσ, so that Σ_∥ = (Pσ)(Pσ)ᵀ.
        mixed: H†Σ_⊥∥ = (H†σ)(Pσ)ᵀ, D×D (H†Q = H†).
        assumed: quantities that were found to vanish on Γ and are left out of every formula, squared and relative to
            their natural size; where one of them does not vanish, the formulas do not apply.
    """

    factor: Matrix
    tangent: Matrix
    mixed: Matrix
    assumed: tuple[Node, ...]


def noise_on_manifold(normal: NormalHessian) -> NoiseOnManifold:
    """Σ_∥ and H†Σ_⊥∥, without what vanishes on Γ."""
    manifold = normal.frame.manifold
    factor = manifold.restrict(manifold.problem.noise.columns(manifold.problem, manifold.landscape).factor)
    size = squared_norm(factor)
    tangent, gone = without_zeros(manifold, normal.frame.tangent_part(factor), size)
    inverse = normal.pseudo_inverse(factor)
    mixed, gone_too = without_zeros(manifold, inverse @ tangent.T, squared_norm(inverse) * size)
    return NoiseOnManifold(factor, tangent, mixed, (*gone, *gone_too))


def squared_norm(matrix: Matrix) -> Node:
    """The sum of the squares of the entries."""
    return dot(matrix.entries, matrix.entries)


def without_zeros(manifold: Manifold, matrix: Matrix, size: Node) -> tuple[Matrix, tuple[Node, ...]]:
    """The matrix with the entries that vanish on Γ made zero; and what was left out, as Σ(entry²)/size, if anything."""
    zero = manifold.landscape.graph.constant(0)
    flags = manifold.vanishes(matrix.entries)
    dropped = [e for e, z in zip(matrix.entries, flags, strict=True) if z and not e.is_zero]
    kept = matrix.with_entries([zero if z else e for e, z in zip(matrix.entries, flags, strict=True)])
    return kept, (dot(dropped, dropped) / size,) if dropped else ()
