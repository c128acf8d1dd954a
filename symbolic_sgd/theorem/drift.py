"""Step 5: the three drift terms, ½∂²Φ[Σ] block by block."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.theorem.geometry import Bilinear, Geometry, NodeGeometry, Vector
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold, zeros
from symbolic_sgd.theorem.response import PLAIN_RESPONSE, Response
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
        """H†Σ_⊥∥, or k(H, 0)Σ_⊥∥."""
        ...

    @property
    def stationary(self) -> Block:
        """S = 𝓛_H⁻¹(Σ_⊥), or what takes its place, or any B with P T[B] = P T[S]."""
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
        normal_noise: S, and what structure of Σ_⊥ it was found by.
        imposed: −∂Φg for a slow field g of the optimizer's own, None where it has none.
        curved: ½∂ΦG_ξξ[V], where noise enters an optimizer nonlinearly, else None.
    """

    tangent_noise_compensation: Matrix
    mixed_regularization: Matrix
    normal_regularization: Matrix
    normal_noise: NormalNoise
    imposed: Matrix | None = None
    curved: Matrix | None = None

    @property
    def total(self) -> Matrix:
        """The drift."""
        drift = self.tangent_noise_compensation + self.mixed_regularization + self.normal_regularization
        for further in (self.imposed, self.curved):
            drift = drift if further is None else drift + further
        return drift


@dataclass(frozen=True)
class NodeBlocks:
    """The blocks, as matrices of nodes."""

    tangent_covariance: Matrix
    cross: Matrix
    stationary: Matrix


def drift_terms(
    normal: NodeGeometry,
    noise: NoiseOnManifold,
    response: Response = PLAIN_RESPONSE,
    slow_fields: Mapping[str, Matrix] = MappingProxyType({}),
) -> DriftTerms:
    """The blocks of ½∂²Φ[Σ] for a derivation, with S by the response of an optimizer, and −∂Φg for its slow fields, by their terms."""
    manifold, across = normal.frame.manifold, normal_noise(normal, noise, response)
    cross = zeros(normal.inverse(noise.cross)) if response.is_still else normal.inverse(noise.cross)
    # A function of H would be computed for nothing where it is applied to zero, or is 1.
    if response.mixed != 1 and not all(entry.is_zero for entry in cross.entries):
        cross = normal.function(response.mixed, cross)
    lines = DriftLines(normal, NodeBlocks(noise.tangent_covariance, cross, across.source))
    terms = (lines.tangent_noise_compensation, lines.mixed_regularization, lines.normal_regularization)
    compensation, mixed, normal_term = map(manifold.without_zeros, terms)
    own = {name: manifold.without_zeros(-normal.tangent_part(manifold.restrict(g))) for name, g in slow_fields.items()}
    return DriftTerms(
        compensation, mixed, normal_term, across, own.get("imposed_drift"), own.get("noise_curvature_drift")
    )
