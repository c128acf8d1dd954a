"""Whether an optimizer stays near a point of Γ, from its own edge and SymPy's curvatures, and for samples from their second moments."""

from math import isqrt

import numpy as np

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.checks.literal_field import FieldBySymPy
from symbolic_sgd.checks.literal_map import MapBySymPy
from symbolic_sgd.checks.witness import Witness


def stays(witness: Witness, row: np.ndarray) -> bool:
    """Whether steps from beside a row (parameters, then constants) lead back to Γ, in mean square."""
    optimizer, problem = witness.derivation.optimizer, witness.derivation.stated
    if any(_value(witness, number, row) <= 0 for number in optimizer.positive_numbers):
        return False
    if isinstance(witness.stated, MapBySymPy):
        return _radius_of_map(witness, witness.stated, row) < 1
    if optimizer.edge is None:
        return True
    if problem.noise.samples(problem) is not None:
        return _radius_of_second_moments(witness, row) < 1
    return bool(_curvatures(witness, row)[-1] < _value(witness, optimizer.edge, row))


def _curvatures(witness: Witness, row: np.ndarray) -> np.ndarray:
    """Of ∇²L, or of S∇²L for a preconditioner S."""
    hessian = witness.smooth_loss.hessian(row[None])[0]
    if isinstance(witness.stated, FieldBySymPy):
        symbols = witness.derivation.problem.symbols
        metric = evaluate(witness.stated.metric, symbols, row[None])["metric"].reshape(hessian.shape)
        return np.sort(np.linalg.eigvals(metric @ hessian).real)
    return np.linalg.eigvalsh(hessian)


def _radius_of_map(witness: Witness, stated: MapBySymPy, row: np.ndarray) -> float:
    """The spectral radius of ∂G across Γ: without the D − M eigenvalues that are closest to 1."""
    derivation = witness.derivation
    slope = evaluate(stated.program.select("slope"), derivation.problem.symbols, row[None])["slope"]
    size = isqrt(slope.shape[1])
    values = np.linalg.eigvals(slope.reshape(size, size))
    across = values[np.argsort(np.abs(values - 1))][derivation.problem.dimension - derivation.codimension :]
    return float(np.abs(across).max())


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
