"""The terms for optimizers without noise that go down the largest curvature λ_1: S = s(λ_1)u_1u_1ᵀ, b_⊥ = −½∂Φ T[S], and nothing else."""

from fractions import Fraction

from symbolic_sgd.algebra.lyapunov import elementary_symmetric
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.spectral import projected
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.problems.noise import KnownCovariance, NoiseColumns
from symbolic_sgd.theorem.drift import DriftLines, DriftTerms, NodeBlocks
from symbolic_sgd.theorem.geometry import NodeGeometry
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold
from symbolic_sgd.theorem.response import LeadingResponse, at_letters
from symbolic_sgd.theorem.structure import NormalNoise


def no_noise(normal: NodeGeometry) -> NoiseOnManifold:
    """One column of zeros."""
    landscape = normal.frame.manifold.landscape
    zero = Matrix.column([landscape.graph.constant(0)] * landscape.dimension)
    columns = NoiseColumns(zero, (Fraction(1),), drawn=False)
    nothing = zero @ zero.T
    return NoiseOnManifold(columns, KnownCovariance(), columns, nothing, nothing, nothing, None)


def sharpness_terms(normal: NodeGeometry, response: LeadingResponse) -> DriftTerms:
    """S by the spectral projection on u_1, and the drift that it makes."""
    manifold = normal.frame.manifold
    hessian = manifold.restrict(manifold.landscape.hessian)
    identity = Matrix.identity(manifold.landscape.graph, manifold.landscape.dimension)
    across = identity - normal.tangent_part(identity)
    (steepest, axis), *_ = projected(hessian, elementary_symmetric(hessian, manifold.codimension), across)
    solution = axis.scaled(at_letters(response.weight, {A: steepest}))
    still = solution.map(lambda entry: 0 * entry)
    lines = DriftLines(normal, NodeBlocks(still, still, solution))
    regularization = manifold.without_zeros(lines.normal_regularization)
    nothing = regularization.map(lambda entry: 0 * entry)
    return DriftTerms(
        nothing, nothing, regularization, NormalNoise(solution, solution, None, None, response.statement), None
    )
