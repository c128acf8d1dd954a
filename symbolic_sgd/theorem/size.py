"""How many operations a derivation needs, foreseen from which parameters stand in which equations of Γ.

Counted is what no structure of the noise saves, entry by entry where it is not zero by its form: an orthogonal frame N of the
normal space with its dual N̂, the noise in it and along Γ, ∂Φ = I − NN̂ᵀ, and ∇²L† = N̂C⁻¹N̂ᵀ.
"""

import numpy as np

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import MAXIMAL_NODES, Graph, reachable
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import ProblemTooLarge
from symbolic_sgd.problems.noise import LabelNoise
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import with_signs
from symbolic_sgd.theorem.normal_frame import FRAMELESS_DIMENSION, NormalFrame

SEED = 20223

CLOSE = 0.6
"""The part of the limit from which on the loss's own derivatives, which take some seconds, are counted as well."""

INDEPENDENT = 1e-9
"""Singular values of the residuals' slopes below this, relative to the largest, do not count."""


def check_expected_size(problem: Problem) -> None:
    """Before Γ is sought, for least squares: M is the rank of the residuals' slopes at random points.

    Raises:
        ProblemTooLarge: more operations are foreseen than a graph may have.
    """
    if not problem.residuals or problem.dimension <= FRAMELESS_DIMENSION:
        return
    graph = Graph()
    variables = [graph.symbol(x) for x in problem.parameters]
    slopes = Matrix.of(gradient(from_sympy(r, graph), variables) for r in problem.residuals)
    pattern, rank = _pattern(slopes.T), _rank(problem, slopes)
    sparsest = pattern[:, np.argsort(pattern.sum(axis=0), kind="stable")[:rank]]
    labels = np.repeat(pattern, 2, axis=1) if isinstance(problem.noise, LabelNoise) else pattern[:, :0]
    count = operations(sparsest) + noise_operations(sparsest, labels)
    if count > CLOSE * MAXIMAL_NODES:
        count += len(problem.landscape().graph)
    _check(
        count,
        f"D = {problem.dimension} parameters and, if the residuals are as independent on Γ as elsewhere, M = {rank} equations of Γ",
    )


def check_size(frame: NormalFrame) -> None:
    """When Γ and a frame of its normal space are known.

    Raises:
        ProblemTooLarge: more operations are foreseen than a graph may have.
    """
    manifold = frame.manifold
    if frame.raw is not None:
        known = len(reachable(manifold.landscape.hessian.entries))
        named = f"D = {manifold.landscape.dimension} parameters and M = {manifold.codimension} equations of Γ"
        _check(known + operations(_pattern(frame.raw)), named)


def _check(count: int, named: str) -> None:
    if count > MAXIMAL_NODES:
        raise ProblemTooLarge(
            f"the derivation needs some {count:.2g} operations, and the limit is {MAXIMAL_NODES:,}: it has {named}, and ∂Φ and ∇²L† "
            "are D×D matrices whose entries are sums of M products each. State a smaller problem (fewer parameters or samples); "
            "where residuals are sums over coordinates, a Family is derived once for every size"
        )


def _pattern(matrix: Matrix) -> np.ndarray:
    """Which entries are not zero by their form."""
    return np.array([[not entry.is_zero for entry in row] for row in matrix.rows], dtype=bool)


def _rank(problem: Problem, slopes: Matrix) -> int:
    """The largest rank at random points in float64."""
    rng = np.random.default_rng(SEED)
    points = rng.standard_normal((4, len(problem.symbols)))
    points[2:] = np.abs(points[2:])
    points = with_signs(problem.symbols, points)
    values = evaluate(Program.of({"slopes": slopes}), problem.symbols, points)["slopes"].reshape(
        len(points), *slopes.shape
    )
    finite = [value for value in values if np.isfinite(value).all()]
    return max((int(np.linalg.matrix_rank(value, rtol=INDEPENDENT)) for value in finite), default=0)


def operations(frame: np.ndarray) -> int:
    """Of N, N̂, ∂Φ, and ∇²L† with its triangular solves, for a frame with this pattern, D×M."""
    filled, count = _orthogonal(frame)
    coupled = filled.T.astype(int) @ filled.astype(int) > 0
    solves = 2 * _products(np.tril(coupled, -1), filled.T)
    return count + int(filled.sum()) + solves + 2 * _products(filled, filled.T)


def noise_operations(frame: np.ndarray, columns: np.ndarray) -> int:
    """Of N̂ᵀσ and σ − NN̂ᵀσ, for the patterns of N before it is made orthogonal and of σ."""
    filled, _ = _orthogonal(frame)
    inner = (filled.T.astype(int) @ columns.astype(int)) > 0
    return _products(filled.T, columns) + _products(filled, inner)


def _products(left: np.ndarray, right: np.ndarray) -> int:
    """Multiplications and additions of a matrix product."""
    terms = left.astype(int) @ right.astype(int)
    return int((2 * terms - 1)[terms > 0].sum())


def _orthogonal(frame: np.ndarray) -> tuple[np.ndarray, int]:
    """The pattern after Gram and Schmidt, and the operations of it."""
    filled, count = frame.copy(), 0
    for k in range(frame.shape[1]):
        length = int(filled[:, k].sum())
        count += max(2 * length - 1, 0)
        for j in range(k + 1, frame.shape[1]):
            overlap = int((filled[:, k] & filled[:, j]).sum())
            if overlap:
                count += 2 * overlap + 2 * length
                filled[:, j] |= filled[:, k]
    return filled, count
