"""The drift of the limiting SDE in Stratonovich's sense."""

from fractions import Fraction

import sympy as sp

from symbolic_sgd.algebra.differentiate import pull_back
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.theorem.derivation import Derivation


def stratonovich_program(derivation: Derivation) -> Program:
    """b̃ = b − ½ Σ_k (∂A_k)A_k, D×1, for the columns A_k of A = ∂Φ σ; the program's output is `stratonovich_drift`.

    The columns are tangent to Γ, so that their derivatives along each other need A on Γ only; b̃ is tangent, too.
    (∂A_k)v is the gradient in c of ⟨(∂A_k)ᵀc, v⟩: two sweeps, whatever D is.
    """
    graph = Graph()
    terms = derivation.program.select("tangent_noise", "drift").on(graph)
    noise, drift = terms["tangent_noise"], terms["drift"]
    variables = [graph.symbol(s) for s in derivation.problem.parameters]
    cotangents = [graph.symbol(sp.Dummy(f"c{i}")) for i in range(len(variables))]
    turning = [graph.constant(0)] * len(variables)
    for column in noise.T.rows:
        along = dot(pull_back(column, cotangents, variables), column)
        turned = pull_back([along], [graph.constant(1)], cotangents)
        turning = [total + part for total, part in zip(turning, turned, strict=True)]
    corrected = [b - Fraction(1, 2) * turn for b, turn in zip(drift.entries, turning, strict=True)]
    return Program.of({"stratonovich_drift": Matrix.column(corrected)})
