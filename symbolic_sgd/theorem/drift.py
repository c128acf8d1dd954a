"""Step 5: the three drift terms, ½∂²Φ[Σ] block by block."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.theorem.inverses import NormalHessian
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold
from symbolic_sgd.theorem.structure import NormalNoise, normal_noise

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class DriftTerms:
    """The drift of the limiting SDE, D×1 each; their sum is ½∂²Φ[Σ].

    Args:
        tangent_noise_compensation: −½ H† T[Σ_∥], normal to Γ.
        mixed_regularization: −P T[H†Σ_⊥∥], tangent to Γ.
        normal_regularization: −½ P T[𝓛_H⁻¹(Σ_⊥)], tangent to Γ.
        normal_noise: 𝓛_H⁻¹(Σ_⊥), and what structure of Σ_⊥ it was found by.
    """

    tangent_noise_compensation: Matrix
    mixed_regularization: Matrix
    normal_regularization: Matrix
    normal_noise: NormalNoise


def drift_terms(normal: NormalHessian, noise: NoiseOnManifold) -> DriftTerms:
    """The blocks of ½∂²Φ[Σ] by the corrected theorem (Li, Wang & Arora 2022, with erratum 1: mixed factor −1, not −½)."""
    manifold = normal.frame.manifold
    curvature: Callable[[Matrix], Matrix] = lambda b: manifold.restrict(manifold.landscape.third_derivative(b))  # noqa: E731
    across = normal_noise(normal, noise)
    terms = (
        -HALF * normal.pseudo_inverse(curvature(noise.tangent_covariance)),
        -normal.tangent_part(curvature(normal.inverse(noise.cross))),
        -HALF * normal.tangent_part(curvature(across.source)),
    )
    compensation, mixed, normal_term = map(manifold.without_zeros, terms)
    return DriftTerms(compensation, mixed, normal_term, across)
