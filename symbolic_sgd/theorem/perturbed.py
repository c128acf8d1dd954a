"""On which time scale a perturbed loss moves an optimizer along Γ: its mean gradient's, γε², or its noise's, γ²ε²."""

from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.manifold.manifold import find_manifold
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.perturbed import OnPerturbedLoss
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import real_gradient
from symbolic_sgd.theorem.geometry import NodeGeometry, geometry_of
from symbolic_sgd.theorem.normal_frame import normal_frame


def on_perturbed_loss(optimizer: Optimizer, normal: NodeGeometry) -> Optimizer:
    """The optimizer on the problem's perturbed loss: t = kγε², unless R₀ is proved constant on Γ; itself where there is none.

    Where ∂Φ∇R₀ vanishes at points but was not proved to vanish on Γ, t = kγε² and the term stays: that is right in either case.
    """
    manifold = normal.frame.manifold
    problem, graph = manifold.problem, manifold.landscape.graph
    potential = problem.noise.mean_potential
    if potential is None or not optimizer.uses_noise:
        return optimizer
    slope = Matrix.column(from_sympy(g, graph) for g in real_gradient(potential, problem.parameters))
    along = manifold.without_zeros(normal.tangent_part(manifold.restrict(slope)))
    return OnPerturbedLoss(optimizer, potential, leads=any(not entry.is_zero for entry in along.entries))


def fitted(optimizer: Optimizer, problem: Problem) -> Optimizer:
    """The same for a problem whose Γ has to be found first."""
    if problem.noise.mean_potential is None or not optimizer.uses_noise:
        return optimizer
    return on_perturbed_loss(optimizer, geometry_of(normal_frame(find_manifold(problem))))
