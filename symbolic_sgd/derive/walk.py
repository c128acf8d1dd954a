"""Random steps along Γ: from one point of it to another, to 120 digits."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.derive.precise import PrecisePoint, positive_semidefinite_rank, sharpen
from symbolic_sgd.derive.search import FloatLandscape
from symbolic_sgd.errors import NoManifold, Undecided
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem

LENGTHS = (0.3, 0.1, 0.02, 1e-3)
"""Lengths of the steps, relative to 1 + |x|, tried in turn."""

CONSTANTS = 0.05
"""How far the constants go with each step, relative to their values."""


def steps_along(
    target: Landscape, floats: FloatLandscape, problem: Problem, point: np.ndarray, rank: int, rng: np.random.Generator
) -> Iterator[PrecisePoint]:
    """Stationary points of `target` reached from a point by a random step in the kernel of its Hessian.

    Args:
        target: a function whose minimizers are Γ.
        floats: the same in float64.
        problem: whose domain is respected.
        point: the parameters, then the constants, in float64.
        rank: M.
        rng: draws the directions.
    """
    d = target.dimension
    curvature = lambda x: floats(x[None, :]).hessian[0]  # noqa: E731
    _, axes = np.linalg.eigh(curvature(point))
    kernel = axes[:, : d - rank]
    largest = np.abs(point[:d]).max()
    for length in (*LENGTHS, *(length * largest / (1 + largest) for length in LENGTHS if 0 < largest < 0.1)):
        direction = kernel @ rng.standard_normal(d - rank)
        moved = point.copy()
        # Lengths vary, so that on a curve two walks do not end at the same point.
        moved[:d] += rng.uniform(0.5, 1) * length * (1 + largest) * direction / np.linalg.norm(direction)
        # What holds for one value of a constant need not hold for others, and near= may have fixed them all.
        moved[d:] *= 1 + CONSTANTS * rng.uniform(-1, 1, len(moved) - d)
        if floats(moved[None, :]).admissible[0]:
            assignment = dict(zip(problem.symbols, map(float, moved), strict=True))
            reached = sharpen(target, assignment, rank, curvature, reach=2 * length)
            if reached is not None and floats(reached.floats(problem.symbols)[None, :]).admissible[0]:
                yield reached


def wander(
    problem: Problem,
    rank: int,
    points: Sequence[Mapping[sp.Symbol, PreciseNumber]],
    rng: np.random.Generator,
    count: int,
) -> list[Mapping[sp.Symbol, PreciseNumber]]:
    """New random points of Γ, each some steps away from one of the given points.

    Args:
        problem: what was stated.
        rank: M.
        points: points of Γ.
        rng: draws the steps.
        count: how many points.
    """
    landscape = problem.landscape()
    floats = FloatLandscape(landscape, problem)
    found = []
    for k in range(count):
        current = PrecisePoint(points[(int(rng.integers(len(points))) + k) % len(points)])
        for _ in range(3):
            current = _next(landscape, floats, problem, current, rank, rng)
        found.append(current.assignment)
    return found


def _next(
    landscape: Landscape,
    floats: FloatLandscape,
    problem: Problem,
    point: PrecisePoint,
    rank: int,
    rng: np.random.Generator,
) -> PrecisePoint:
    for reached in steps_along(landscape, floats, problem, point.floats(problem.symbols), rank, rng):
        try:
            examined = positive_semidefinite_rank(reached.matrix(landscape.hessian), lambda: "")
        except (NoManifold, Undecided):
            continue
        if examined.rank == rank:
            return reached
    return point
