"""Step 4: the noise on Γ, split into its tangent and normal parts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy as sp

from symbolic_sgd.algebra.graph import kinks
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import NotSmooth
from symbolic_sgd.manifold.precise import PrecisePoint
from symbolic_sgd.problems.noise import KnownCovariance, NoiseColumns
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.theorem.geometry import NodeGeometry, ObliqueGeometry

SINGULAR = {"div": "it divides by zero", "pow": "it takes a fractional power of zero"}


@dataclass(frozen=True)
class NoiseOnManifold:
    """The noise on Γ and the blocks of Σ = σσᵀ, in the coordinates A of the normal space where they are normal.

    What is proved to vanish on Γ is zero here, and nothing else is.

    Args:
        stated: σ on Γ, D×Ξ, as columns and weights.
        known: what the noise model tells of Σ.
        tangent: √τ Pσ, likewise.
        tangent_covariance: τΣ_∥ = τPΣP, D×D.
        cross: AΣP, the coordinates of Σ_⊥∥.
        normal_covariance: AΣAᵀ, the coordinates of Σ_⊥.
        samples: a_1 … a_n with H_i = a_i a_iᵀ on Γ, D×n, where the model has them.
    """

    stated: NoiseColumns
    known: KnownCovariance
    tangent: NoiseColumns
    tangent_covariance: Matrix
    cross: Matrix
    normal_covariance: Matrix
    samples: Matrix | None


def noise_on_manifold(
    hessian: NodeGeometry, tangent_factor: Expression = sp.S.One, *, sampled: bool = False
) -> NoiseOnManifold:
    """The blocks of Σ, without what is proved to vanish on Γ.

    Args:
        hessian: the geometry of Γ.
        tangent_factor: τ, by which an optimizer multiplies Σ_∥.
        sampled: whether the response is one to the samples.
    """
    manifold = hessian.frame.manifold
    problem, graph = manifold.problem, manifold.landscape.graph
    stated = problem.noise.columns(problem, manifold.landscape)
    check_finite(stated.columns, manifold.points, problem)
    known = problem.noise.known_covariance(problem, interpolating=manifold.interpolating)
    if isinstance(hessian, ObliqueGeometry):  # s²SS is no multiple of S, as cSHS is one of SH in the metric S
        known = replace(known, isotropy=None)
    stated = stated.map(manifold.restrict).map(manifold.without_zeros)
    driven = stated.map(hessian.driven)
    normal = driven.map(hessian.coordinates)
    # Σ = c∇²L and s²(∇²L)² have no tangent part, and Σ = s²I no block across, whatever else Γ may be.
    normal_only = known.proportion is not None or known.square is not None
    along = zeros(driven.columns) if normal_only else _tangent(hessian, driven.columns)
    tangent = stated.map(lambda _: along)
    straight = normal_only or known.isotropy is not None
    cross = normal.weighted @ along.T
    cross = zeros(cross) if straight else manifold.without_zeros(cross)
    within = manifold.without_zeros(normal.weighted @ normal.columns.T)
    # Where Σ has no block across, PΣ = PΣP; for isotropic noise that makes Σ_∥ = s²P at no cost.
    across = any(not entry.is_zero for entry in cross.entries)
    parallel = tangent.weighted @ (along if across else driven.columns).T
    samples = problem.noise.sample_slopes(problem, manifold.landscape) if sampled else None
    return NoiseOnManifold(
        stated,
        known,
        tangent if tangent_factor == 1 else tangent.map(lambda m: m.scaled(from_sympy(sp.sqrt(tangent_factor), graph))),
        parallel if tangent_factor == 1 else parallel.scaled(from_sympy(tangent_factor, graph)),
        cross,
        within,
        None if samples is None else manifold.restrict(samples),
    )


def _tangent(hessian: NodeGeometry, columns: Matrix) -> Matrix:
    return hessian.frame.manifold.without_zeros(hessian.tangent_part(columns))


def zeros(matrix: Matrix) -> Matrix:
    """The zero matrix of the same shape."""
    return matrix.map(lambda entry: 0 * entry)


def check_finite(columns: Matrix, points: Sequence[PrecisePoint], problem: Problem) -> None:
    """Refuse columns of noise that are not smooth at a point of Γ."""
    for point in points:
        singular = [node for node, zero in kinks(columns.entries) if zero.op != "constant" and point.zeros([zero])[0]]
        if singular:
            operation = SINGULAR.get(singular[0].op, f"{singular[0].op} is singular")
            raise NotSmooth(
                f"the noise is not smooth on Γ, at {point.describe(problem.symbols)}: {operation} there; "
                "state a noise that is smooth on Γ, or exclude the points with domain=[…]"
            )
