"""Minimizers in float64: many starts at once, damped Newton steps that only ever go down.

This is where NumPy enters the derivation: to find points of Γ, which `precise` then sharpens to many digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import FLOAT64, RELATIONS
from symbolic_sgd.algebra.graph import kinks
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import ComplexValue, NoMinimum
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import with_signs

STARTS = 12
FARTHEST = 1e20
"""Coordinates beyond this are taken to be on the way to infinity."""

SCALES = (1.0, 0.4, 2.5, 6.0, 0.1, 20.0, 100.0)
"""Standard deviations of the random starts, tried in this order until enough lie where the loss is real."""

MODERATE = SCALES[:5]
"""Those at which functions that saturate do not yet look like constants."""

FURTHER = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The same, where these lead nowhere: parameters in other units."""


@dataclass(frozen=True)
class Slope:
    """The loss near a batch of S points: values (S), gradients (S×D), Hessians (S×D×D), smallest distance to a kink
    (S), and whether each point is admissible (all of it finite, and inside the domain)."""

    loss: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    kink: np.ndarray
    admissible: np.ndarray

    def take(self, other: "Slope", mask: np.ndarray) -> "Slope":
        """This one, with the points of `mask` replaced by those of another."""
        pick = lambda a, b: np.where(mask.reshape((-1,) + (1,) * (a.ndim - 1)), b, a)  # noqa: E731
        return Slope(*(pick(getattr(self, n), getattr(other, n)) for n in self.__dataclass_fields__))


class FloatLandscape:
    """L, ∇L, ∇²L and the domain as one float64 program over batches of points.

    Args:
        landscape: the loss on its graph.
        problem: whose domain is respected.
    """

    def __init__(self, landscape: Landscape, problem: Problem):
        graph = landscape.graph
        conditions = problem.condition_nodes(graph)
        singular = [zero for _, zero in kinks([landscape.loss])]
        self.symbols = problem.symbols
        self.dimension = landscape.dimension
        self.relations = [RELATIONS[relation] for _, relation in conditions]
        self.program = Program.of(
            {
                "loss": Matrix.column([landscape.loss]),
                "gradient": landscape.gradient,
                "hessian": landscape.hessian,
                "conditions": Matrix.column(node for node, _ in conditions),
                "kinks": Matrix.column(singular),
            }
        )

    def __call__(self, points: np.ndarray) -> Slope:
        """The slope at S points, each row the parameters followed by the constants."""
        size, d = len(points), self.dimension
        with np.errstate(all="ignore"):
            values = self.program.run(FLOAT64, dict(zip(self.symbols, points.T, strict=True)))
        stack = {name: _columns(entries, size) for name, entries in values.items()}
        inside = np.ones(size, dtype=bool)
        for relation, column in zip(self.relations, stack["conditions"].T, strict=True):
            inside &= relation(column, 0)
        gradient, hessian = stack["gradient"], stack["hessian"].reshape(size, d, d)
        finite = [np.isfinite(a).all(axis=tuple(range(1, a.ndim))) for a in (stack["loss"], gradient, hessian)]
        kink = np.abs(stack["kinks"]).min(axis=1, initial=np.inf)
        return Slope(stack["loss"][:, 0], gradient, hessian, kink, inside & np.all(finite, axis=0))


def _columns(entries: Sequence, size: int) -> np.ndarray:
    columns = np.empty((len(entries), size))
    for column, entry in zip(columns, entries, strict=True):
        column[:] = entry
    return columns.T


def starts(problem: Problem, landscape: FloatLandscape, rng: np.random.Generator) -> np.ndarray:
    """Points from which to descend, one a row: near the user's point, else at random where the loss is real.

    Constants are drawn anew for every third of the starts.

    Raises:
        ComplexValue: the loss was not real and finite at any point tried.
    """
    if problem.near is not None:
        given = np.array([problem.near.get(s, np.nan) for s in problem.symbols])
        copies = 3 if problem.constants else 1
        points = np.where(np.isnan(given), _draw(problem.symbols, copies, 1.0, rng), given)
        points = points[landscape(points).admissible]
        if not len(points):
            raise ComplexValue(
                "near: the loss or one of its derivatives is not a finite real number there, or domain= excludes it"
            )
        return points
    found = np.empty((0, len(problem.symbols)))
    for scale in (*SCALES, *FURTHER):
        candidates = _draw(problem.symbols, 4 * STARTS, scale, rng)
        for draw in range(3):  # each block of candidates shares one draw of the constants
            block = slice(draw * len(candidates) // 3, (draw + 1) * len(candidates) // 3)
            candidates[block, problem.dimension :] = candidates[block.start, problem.dimension :]
        good = candidates[landscape(candidates).admissible]
        found = np.concatenate([found, good[:: max(1, len(good) // (STARTS // 2))][: STARTS // 2]])
        if len(found) >= STARTS or (scale == SCALES[-1] and len(found)):
            break
    if not len(found) and landscape.relations:
        raise NoMinimum(
            "no random point tried lies in domain= (with the assumptions of the symbols) and has a finite loss: "
            "correct the conditions, or give a point with near={…}"
        )
    if not len(found):
        raise ComplexValue(
            "the loss was not a finite real number with two finite derivatives at any of the random points tried: "
            "state where it is with domain=[…], or give a point with near={…}"
        )
    return found[:STARTS]


def starts_at_all_scales(
    problem: Problem,
    landscape: FloatLandscape,
    rng: np.random.Generator,
    *,
    scales: Sequence[float] = SCALES,
    most: int = 4,
) -> np.ndarray:
    """Random points where the loss is real, at most so many from each scale, fewer where there are many parameters."""
    count = max(1, min(most, 16 * most // problem.dimension))
    points = np.concatenate([_draw(problem.symbols, count, scale, rng) for scale in scales])
    return points[landscape(points).admissible]


def _draw(symbols: Sequence[sp.Symbol], size: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    points = scale * rng.standard_normal((size, len(symbols)))
    points[::4] = np.abs(points[::4])  # products of many parameters have their minimizers where the signs agree
    return with_signs(symbols, points)


def descend(landscape: FloatLandscape, points: np.ndarray, *, cautious: bool, iterations: int = 300) -> np.ndarray:
    """Go down from each point by steps −(|∇²L| + μ)⁻¹∇L, where |∇²L| has the absolute eigenvalues: saddles repel.

    A start that has come to rest on a saddle all the same is pushed off it along the lowest axis.

    A step that does not lower the loss, or leaves the domain, is not taken, and the damping μ grows.

    Args:
        points: S×(D + constants); the constants stay.
        cautious: begin with steps well below the Newton step, and stay on a saddle, to keep to the part at hand.

    Returns:
        The points reached, S×(D + constants).
    """
    x, d = points.copy(), landscape.dimension
    here = landscape(x)
    damping = np.full(len(x), 100.0 if cautious else 1.0)
    for _ in range(iterations):
        curvature, axes = np.linalg.eigh(here.hessian)
        scale = np.abs(curvature).max(axis=1) + 1e-300
        along = np.einsum("sji,sj->si", axes, here.gradient)
        step = -np.einsum("sij,sj->si", axes, along / (np.abs(curvature) + (damping * scale)[:, None] + 1e-300))
        moving = np.linalg.norm(step, axis=1) > 1e-15 * (1 + np.linalg.norm(x[:, :d], axis=1))
        if not cautious:
            stuck = ~moving & (curvature[:, 0] < -1e-6 * scale)
            step[stuck] = 0.01 * (1 + np.abs(x[stuck, :d]).max(axis=1, initial=0))[:, None] * axes[stuck, :, 0]
            moving |= stuck
            damping[stuck] = 1.0
        if not moving.any():
            break
        trial = x.copy()
        trial[:, :d] += step
        there = landscape(trial)
        slack = 1e-15 * np.abs(here.loss)
        better = there.admissible & (there.loss <= here.loss + slack) & (np.abs(trial).max(axis=1) < FARTHEST)
        x[better] = trial[better]
        here = here.take(there, better)
        damping = np.where(better, np.maximum(damping / 5, 1e-13), np.minimum(damping * 4, 1e12))
    return x
