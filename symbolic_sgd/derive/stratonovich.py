"""The drift of the limiting SDE in Stratonovich's sense."""

from fractions import Fraction

from symbolic_sgd.algebra.differentiate import pull_back
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.derive.derivation import Derivation


def stratonovich_program(derivation: Derivation) -> Program:
    """b̃ = b − ½ Σ_k (∂A_k)A_k, D×1, for the columns A_k of A = ∂Φ σ; the program's output is `stratonovich_drift`.

    The columns are tangent to Γ, so that their derivatives along each other need A on Γ only; b̃ is tangent, too. With the
    derivative of A_ik along A_k as ⟨∇A_ik, A_k⟩.
    """
    graph = Graph()
    terms = derivation.program.select("tangent_noise", "drift").on(graph)
    noise, drift = terms["tangent_noise"], terms["drift"]
    variables = [graph.symbol(s) for s in derivation.problem.parameters]
    corrected = []
    for i, entry in enumerate(drift.entries):
        total = graph.constant(0)
        for k in range(noise.shape[1]):
            slope = pull_back([noise[i, k]], [graph.constant(1)], variables)
            for j, partial in enumerate(slope):
                total = total + partial * noise[j, k]
        corrected.append(entry - Fraction(1, 2) * total)
    return Program.of({"stratonovich_drift": Matrix.column(corrected)})
