"""R where every epoch visits each sample once, and the deviations σ_a of the samples are gradients.

As η → 0 the drift is −½∂Φ Σ_a ∂σ_aσ_a = −¼∂Φ∇tr Σ. At a learning rate that stays Σ_a ∂σ_a w(H)σ_a = ½(∇tr Σw(H) − T[Σ∘w′]), with the
divided differences w′ of w. Where Σ_⊥ = cH and Σ_⊥∥ = 0, both T[Σ∘k] and T[Σ∘w′] see only the diagonal, and by parts

    R = ¼ tr(Σ − cH) + (c/2)Σ_i ∫ (λk(λ, λ) + w(λ)) dλ,   λk(λ, λ) + w(λ) = (1 + ηλw(λ))/(2 − ηλ).
"""

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.optimizers.random_reshuffling import earlier_steps
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.regularizer.spectral import Spectrum, short, sum_of_integrals
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.rational_forms import shortest_on
from symbolic_sgd.theorem.response import ReshuffledResponse


def potential_of_epochs(derivation: Derivation, response: ReshuffledResponse) -> tuple[Expression, str] | None:
    """R and its formula in words; None where it does not follow from the structure of the noise.

    Args:
        derivation: of reshuffled samples, without mixed regularization.
        response: of its epochs.

    Raises:
        ExpressionTooLarge: R does not expand within the budget.
    """
    if not response.of_losses and not deviations_are_gradients(derivation.problem):
        return None
    if response.rate is None:
        return _trace_of_covariance(derivation) / 4, "R = ¼ tr Σ"
    c = derivation.proportion
    if c is None:
        return None
    spectrum = Spectrum.of(derivation)
    total = sum_of_integrals(
        (1 + response.rate * A * earlier_steps(response.samples, response.rate)) / (2 - response.rate * A), spectrum
    )
    if total is None:
        return None
    rest = sp.expand(_trace_of_covariance(derivation) - c * spectrum.trace())
    return (
        rest / 4 + c / 2 * total,
        "Σ_⊥ = c∇²L on Γ: R = ¼ tr(Σ − c∇²L) + (c/2)Σ ∫(1 + ηλw)/(2 − ηλ) dλ over the curvatures",
    )


def deviations_are_gradients(problem: Problem) -> bool:
    """Whether every ∂σ_a is proved to be symmetric, for all x."""
    landscape = problem.landscape()
    columns = problem.noise.columns(problem, landscape).columns.T.rows
    d = range(landscape.dimension)
    slopes = [[gradient(entry, landscape.variables) for entry in column] for column in columns]
    return all(zero_functions([s[i][j] - s[j][i] for s in slopes for i in d for j in d if i < j]))


def _trace_of_covariance(derivation: Derivation) -> Expression:
    """tr Σ on Γ, by whose equations it is made shorter."""
    graph = Graph()
    sigma = derivation.blocks.select("noise_factor").on(graph)["noise_factor"]
    equations = derivation.equations.on(graph)["defining"].entries
    (trace,) = shortest_on(equations, [graph.total(entry * entry for entry in sigma.entries)])
    return short(Program.of({"trace": Matrix.column([trace])}).expand("trace")[0, 0])
