"""Step 5: the three drift terms, ½∂²Φ[Σ] block by block."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.optimizers.kernel import LYAPUNOV, Kernel
from symbolic_sgd.theorem.geometry import Bilinear, Geometry, NodeGeometry, Vector
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold
from symbolic_sgd.theorem.structure import NormalNoise, normal_noise

Block = TypeVar("Block", covariant=True)


class Blocks(Protocol[Block]):
    """What the drift needs of a noise Σ at a point of Γ; each is asked for only where its line is."""

    @property
    def tangent_covariance(self) -> Block:
        """Σ_∥ = PΣP."""
        ...

    @property
    def cross(self) -> Block:
        """H†Σ_⊥∥."""
        ...

    @property
    def stationary(self) -> Block:
        """S = 𝓛_H⁻¹(Σ_⊥), or any B with P T[B] = P T[S]."""
        ...


@dataclass(frozen=True)
class DriftLines(Generic[Vector, Bilinear]):
    """½∂²Φ[Σ] = b_∥ + b_⊥∥ + b_⊥ on Γ: the theorem's three lines, for every way to hold vectors and matrices.

    Source: Li, Wang and Arora (ICLR 2022), main theorem, with erratum 1: the mixed factor is −1, not −½.

    Args:
        space: ∂Φ, H† and T[·].
        noise: the blocks of Σ.
    """

    space: Geometry[Vector, Bilinear]
    noise: Blocks[Bilinear]

    @cached_property
    def tangent_noise_compensation(self) -> Vector:
        """b_∥ = −½ H† T[Σ_∥], normal to Γ."""
        space: Any = self.space
        return -space.half * space.pseudo_inverse(space.third(self.noise.tangent_covariance))

    @cached_property
    def mixed_regularization(self) -> Vector:
        """b_⊥∥ = −∂Φ T[H†Σ_⊥∥], tangent to Γ."""
        space: Any = self.space
        return -space.tangent_part(space.third(self.noise.cross))

    @cached_property
    def normal_regularization(self) -> Vector:
        """b_⊥ = −½ ∂Φ T[𝓛_H⁻¹(Σ_⊥)], tangent to Γ."""
        space: Any = self.space
        return -space.half * space.tangent_part(space.third(self.noise.stationary))


@dataclass(frozen=True)
class DriftTerms:
    """The drift of the limiting SDE, D×1 each; their sum is ½∂²Φ[Σ].

    Args:
        tangent_noise_compensation, mixed_regularization, normal_regularization: as `DriftLines` says, without what is proved
            to vanish on Γ.
        normal_noise: 𝓛_H⁻¹(Σ_⊥), and what structure of Σ_⊥ it was found by.
    """

    tangent_noise_compensation: Matrix
    mixed_regularization: Matrix
    normal_regularization: Matrix
    normal_noise: NormalNoise


@dataclass(frozen=True)
class _NodeBlocks:
    tangent_covariance: Matrix
    cross: Matrix
    stationary: Matrix


def drift_terms(normal: NodeGeometry, noise: NoiseOnManifold, kernel: Kernel = LYAPUNOV) -> DriftTerms:
    """The blocks of ½∂²Φ[Σ] for a derivation, S by a kernel."""
    across = normal_noise(normal, noise, kernel)
    lines = DriftLines(normal, _NodeBlocks(noise.tangent_covariance, normal.inverse(noise.cross), across.source))
    terms = (lines.tangent_noise_compensation, lines.mixed_regularization, lines.normal_regularization)
    compensation, mixed, normal_term = map(normal.frame.manifold.without_zeros, terms)
    return DriftTerms(compensation, mixed, normal_term, across)
