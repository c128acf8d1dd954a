"""Random steps along Γ: from one point of it to another, to 120 digits."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.errors import NoManifold, Undecided
from symbolic_sgd.manifold.precise import PrecisePoint, positive_semidefinite_rank, sharpen
from symbolic_sgd.manifold.search import FloatLandscape
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.regular_point import DIGITS as POINT
from symbolic_sgd.regular_point import are_far_apart, kernel

LENGTHS = (0.3, 0.1, 0.02, 1e-3, 1e-5, 1e-8, 1e-12, 1e-16, 1e-20)
"""Lengths of the steps, relative to 1 + |x|, tried in turn."""

CONSTANTS = 0.05
"""How far the constants go with each step, relative to their values."""


def steps_along(
    target: Landscape,
    floats: FloatLandscape,
    problem: Problem,
    start: PrecisePoint,
    rank: int,
    rng: np.random.Generator,
) -> Iterator[PrecisePoint]:
    """Stationary points of `target` reached from a point by a random step in the kernel of its Hessian.

    Args:
        target: a function whose minimizers are Γ.
        floats: the same in float64.
        problem: whose domain is respected.
        start: a point of Γ.
        rank: M.
        rng: draws the directions.
    """
    d = target.dimension
    curvature = lambda x: floats(x[None, :]).hessian[0]  # noqa: E731
    point = start.floats(problem.symbols)
    along = _kernel(target, start, curvature(point), rank)
    largest = np.abs(point[:d]).max()
    for length in (*LENGTHS, *(length * largest / (1 + largest) for length in LENGTHS if 0 < largest < 0.1)):
        direction = along @ rng.standard_normal(d - rank)
        # Lengths vary, so that on a curve two walks do not end at the same point.
        stride = rng.uniform(0.5, 1) * length * (1 + largest) * direction / np.linalg.norm(direction)
        # What holds for one value of a constant need not hold for others, and near= may have fixed them all.
        change = point[d:] * CONSTANTS * rng.uniform(-1, 1, len(point) - d)
        moved = _moved(start, problem.symbols, np.concatenate([stride, change]))
        if floats(np.array([[float(a) for a in moved.values()]])).admissible[0]:
            reached = sharpen(target, moved, rank, curvature, reach=2 * length)
            if reached is not None and floats(reached.floats(problem.symbols)[None, :]).admissible[0]:
                yield reached


def _moved(start: PrecisePoint, symbols: Sequence[sp.Symbol], change: np.ndarray) -> dict[sp.Symbol, PreciseNumber]:
    """To 120 digits, since a step may be shorter than the coordinates have digits in float64."""
    with mp.workdps(POINT):
        return {s: start.assignment[s] + mp.mpf(float(a)) for s, a in zip(symbols, change, strict=True)}


def _kernel(target: Landscape, point: PrecisePoint, hessian: np.ndarray, rank: int) -> np.ndarray:
    """The kernel of H at a point of Γ, D×(D−M)."""
    values, axes = np.linalg.eigh(hessian)
    if are_far_apart(values[None, :], rank)[0]:
        return kernel(point.matrix(target.hessian), rank)
    return axes[:, : len(axes) - rank]


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
    for reached in steps_along(landscape, floats, problem, point, rank, rng):
        try:
            examined = positive_semidefinite_rank(reached.matrix(landscape.hessian), lambda: "")
        except (NoManifold, Undecided):
            continue
        if examined.rank == rank:
            return reached
    return point
