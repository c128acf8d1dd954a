"""Where ∇L = 0 near and far, found without the derivation: points of Γ in all its parts, and what only looks like one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symbolic_sgd.algebra.arithmetic import RELATIONS
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.flow.numerics.state import SmoothLoss
from symbolic_sgd.problems.problem import Problem

SCALES = (0.5, 2.0, 8.0, 30.0)
"""Starts lie normally distributed round points of Γ and round 0 with these standard deviations."""

STARTS = 12
"""For each of the scales and of these two centres."""

ITERATIONS = 80
"""Newton steps at most."""

LONGEST = 0.5
"""A step is at most this long, relative to 1 + |x|."""

ARRIVED = 1e-13
"""Length of a step, relative to 1 + |x|, after which a point counts as stationary."""

ZERO, CLEAR = 1e-13, 1e-6
"""Eigenvalues of ∇²L below the first, relative to the largest, are zero as far as float64 tells; above the second they are not."""

NEARBY = 1e-8
"""What an eigenvalue is taken for must hold as far as this round the point, relative to 1 + |x|: where parts of Γ cross, ∇²L
vanishes, and close by it is rounding."""

OUTSIDE = 1e-6
"""A condition of the domain is clearly broken where its sides differ by so much, relative to 1 + |x|, the wrong way."""


@dataclass(frozen=True)
class StationaryPoints:
    """Rows (parameters, then constants) at which ∇L = 0.

    Args:
        minimizers: at which ∇²L ≥ 0 has rank M, inside the domain.
        others: at which it clearly is something else, or which clearly are outside the domain.
    """

    minimizers: np.ndarray
    others: np.ndarray


def stationary_points(
    problem: Problem, loss: SmoothLoss, rank: int, known: np.ndarray, rng: np.random.Generator
) -> StationaryPoints:
    """Newton's method on ∇L = 0 from many starts, near and far.

    Args:
        problem: whose domain is looked at.
        loss: its derivatives.
        rank: M.
        known: rows of points of Γ.
        rng: draws the starts.
    """
    flat = loss.dimension - rank
    with np.errstate(all="ignore"):
        found = _newton(loss, _starts(loss.dimension, known, rng))
        if not len(found):
            return StationaryPoints(found, found)
        hessian = loss.hessian(found)
        curvature, blur = np.linalg.eigvalsh(hessian), _blur(loss, found, hessian)
    largest = np.abs(curvature).max(axis=1)
    # The points themselves are known to `ARRIVED`, and so ∇²L to that share of its change.
    zero, clear = np.maximum(ZERO * largest, 10 * ARRIVED / NEARBY * blur), np.maximum(CLEAR * largest, blur)
    tangent = np.abs(curvature[:, :flat]).max(axis=1, initial=0.0)
    regular = (tangent < zero) & (curvature[:, flat] > clear)
    irregular = (curvature[:, 0] < -clear) | (curvature[:, :flat].max(axis=1, initial=0.0) > clear)
    inside, outside = _domain(problem, found)
    return StationaryPoints(found[regular & inside], found[irregular | (regular & outside)])


def _blur(loss: SmoothLoss, rows: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """How much ∇²L changes nearby: its eigenvalues are known to no more."""
    d = loss.dimension
    shifts = np.concatenate([np.eye(d), -np.eye(d)])
    around = np.repeat(rows, 2 * d, axis=0)
    around[:, :d] += (
        NEARBY * np.repeat(1 + np.linalg.norm(rows[:, :d], axis=1), 2 * d)[:, None] * np.tile(shifts, (len(rows), 1))
    )
    change = np.abs(loss.hessian(around) - np.repeat(hessian, 2 * d, axis=0)).max(axis=(1, 2))
    return d * change.reshape(len(rows), -1).max(axis=1)


def _starts(dimension: int, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    scales = np.repeat(SCALES, 2 * STARTS)
    starts = known[rng.integers(len(known), size=len(scales))]
    shifts = scales[:, None] * rng.standard_normal((len(scales), dimension))
    starts[:, :dimension] = shifts + np.where((np.arange(len(scales)) % 2 == 0)[:, None], starts[:, :dimension], 0.0)
    return starts


def _newton(loss: SmoothLoss, x: np.ndarray) -> np.ndarray:
    """x ← x − V diag(λ/(λ² + μ)) Vᵀ∇L with μ = λ_1|∇L|/(1 + |x|), which does not mind eigenvalues that vanish on Γ."""
    d, length = loss.dimension, np.full(len(x), np.inf)
    for _ in range(ITERATIONS):
        slope, hessian = loss.gradient(x), loss.hessian(x)
        finite = np.isfinite(slope).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2))
        x, slope, hessian = x[finite], slope[finite], hessian[finite]
        if not len(x):
            return x
        curvature, axes = np.linalg.eigh(hessian)
        extent = 1 + np.linalg.norm(x[:, :d], axis=1)
        damping = np.abs(curvature).max(axis=1) * np.linalg.norm(slope, axis=1) / extent
        along = np.einsum("sji,sj->si", axes, slope) * curvature / (curvature**2 + damping[:, None] + 1e-300)
        step = np.einsum("sij,sj->si", axes, along)
        length = np.linalg.norm(step, axis=1) / extent
        x = x.copy()
        x[:, :d] -= step * np.minimum(1.0, LONGEST / np.maximum(length, 1e-300))[:, None]
        if (length < ARRIVED).all():
            break
    return x[length < ARRIVED]


def _domain(problem: Problem, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows lie in the domain, and which clearly outside."""
    inside, outside = np.ones(len(rows), bool), np.zeros(len(rows), bool)
    graph = Graph()
    conditions: Sequence = problem.condition_nodes(graph)
    if conditions and len(rows):
        sides = Program.of({"sides": Matrix.column(node for node, _ in conditions)})
        values = evaluate(sides, problem.symbols, rows)["sides"]
        extent = 1 + np.linalg.norm(rows[:, : problem.dimension], axis=1)
        for (_, relation), value in zip(conditions, values.T, strict=True):
            holds = RELATIONS[relation](value, 0)
            inside &= holds
            outside |= ~holds & (np.abs(value) > OUTSIDE * extent)
    return inside, outside
