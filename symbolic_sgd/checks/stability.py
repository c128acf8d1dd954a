"""Whether an optimizer stays near a point of Γ, from its own edge and SymPy's curvatures, and for samples from their second moments."""

import numpy as np

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.checks.witness import Witness


def stays(witness: Witness, row: np.ndarray) -> bool:
    """Whether steps from beside a row (parameters, then constants) lead back to Γ, in mean square."""
    optimizer, problem = witness.derivation.optimizer, witness.derivation.stated
    if optimizer.edge is None:
        return True
    if problem.noise.samples(problem) is not None:
        return _radius_of_second_moments(witness, row) < 1
    return bool(_curvatures(witness, row)[-1] < _value(witness, optimizer.edge, row))


def _curvatures(witness: Witness, row: np.ndarray) -> np.ndarray:
    return np.linalg.eigvalsh(witness.smooth_loss.hessian(row[None])[0])


def _radius_of_second_moments(witness: Witness, row: np.ndarray) -> float:
    """The spectral radius of C ↦ E[BCB], B = I − ηH_B, across Γ, for batches of b of the Hessians Hᵢ = ∇rᵢ∇rᵢᵀ.

    i and j are both in a batch with the odds b/n for i = j, else b(b − 1)/(n(n − 1)).
    """
    problem, rank = witness.derivation.stated, witness.derivation.codimension
    rate = _value(witness, witness.derivation.optimizer.rate, row)
    _, axes = np.linalg.eigh(witness.smooth_loss.hessian(row[None])[0])
    symbols, normal = witness.derivation.problem.symbols, axes[:, -rank:]
    slopes = (evaluate(witness.stated.function(r), symbols, row[None])["gradient"][0] for r in problem.residuals)
    hessians = [np.outer(normal.T @ slope, normal.T @ slope) for slope in slopes]
    n, b, mean, one = len(hessians), problem.noise.batch(problem), np.mean(hessians, axis=0), np.eye(rank)
    alike = sum(np.kron(h, h) for h in hessians)
    both = b / n * alike + (b * (b - 1) / (n * (n - 1)) * (n**2 * np.kron(mean, mean) - alike) if b > 1 else 0)
    moments = np.eye(rank**2) - rate * (np.kron(mean, one) + np.kron(one, mean)) + (rate / b) ** 2 * both
    return float(np.abs(np.linalg.eigvals(moments)).max())


def _value(witness: Witness, expression: Expression, row: np.ndarray) -> float:
    program = Program.of({"value": Matrix.column([from_sympy(expression, Graph())])})
    return float(evaluate(program, witness.derivation.problem.symbols, row[None])["value"][0, 0])
