"""Γ in float64: whole batches of points are put on it, and walked along it, far and without a jump to another part."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.errors import NoManifold
from symbolic_sgd.manifold.precise import PrecisePoint, sharpen, sharpen_far_apart
from symbolic_sgd.manifold.search import FloatLandscape, descend, starts
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.regular_point import are_far_apart, inertia, is_clear, kernel
from symbolic_sgd.theorem.derivation import Derivation

SPREADS = (1.0, -1.0, 3.0, -3.0)
"""Starts of descents are those of the search for Γ, times these."""

MOST_BASES = 20
"""Points from which walks begin."""

ITERATIONS = 12
"""Newton steps onto Γ."""

SETTLED = 1e-12
"""Length of the last Newton step, relative to 1 + |x|."""

REACH = 1.0
"""How far, relative to 1 + |x|, Γ may be from a point where curvatures are too far apart for float64."""

ON_EQUATIONS = 1e-8
"""How far g/|∇g| may be from zero, relative to 1 + |x|."""

NEAR = 2
"""Cells of a grid between a point of it and the point of Γ that is taken for it."""

ROUNDS = 10
"""Steps of each walk."""

STRIDE = 0.6
"""Longest step, relative to 1 + |x|."""

CONSTANTS = 0.3
"""How far the constants go with each step, relative to their values."""

BENT, TURNED = 0.3, 0.8
"""A step is taken if Newton's correction is at most this part of it, and if the cosines between the tangent spaces at its
ends are at least this: so that a walk stays on one component."""

FAR = 20.0
"""Walks stay within this times 1 + |x| of their start."""

SHARPENED = 1e-6
"""How far the exact point may be from the one in float64, relative to 1 + |x|."""


@dataclass(frozen=True)
class Batch:
    """S points of Γ.

    Args:
        points: S×(D + constants).
        tangent: S×D×(D−M), an orthonormal basis of the tangent space at each.
        valid: which rows are on Γ, at a minimizer of the right rank.
    """

    points: np.ndarray
    tangent: np.ndarray
    valid: np.ndarray

    def take(self, chosen: np.ndarray) -> "Batch":
        """The rows of a mask or of indices."""
        return Batch(self.points[chosen], self.tangent[chosen], self.valid[chosen])


class FloatManifold:
    """Γ of a finished derivation, in float64.

    Args:
        derivation: where Γ is, and what holds on the part of it that is meant.
    """

    def __init__(self, derivation: Derivation):
        self.problem = derivation.problem
        self.codimension = derivation.codimension
        self.dimension = derivation.problem.dimension - derivation.codimension
        self.landscape: Landscape = derivation.problem.landscape()
        self.floats = FloatLandscape(self.landscape, derivation.problem)
        self._guard, self._stable = derivation.guard.select("equations", "slopes"), derivation.stable
        self._given = np.array([[float(p[s]) for s in self.problem.symbols] for p in derivation.points])
        self._within = bool(self.is_stable(self._given).any())

    def is_stable(self, points: np.ndarray) -> np.ndarray:
        """At which of the points the optimizer stays near Γ: beyond its edge no formula holds."""
        if self._stable is None:
            return np.ones(len(points), dtype=bool)
        with np.errstate(all="ignore"):
            return np.all(evaluate(self._stable, self.problem.symbols, points)["positive"] > 0, axis=1)

    def given(self) -> Batch:
        """The points of the derivation."""
        return self.settle(self._given)

    def bases(self, rng: np.random.Generator) -> Batch:
        """Points from which to walk: those of the derivation, and, unless near= names a part of Γ, the ends of new descents
        from near and far, at the same lowest level, as far from each other as can be."""
        points = self._given
        if self.problem.near is None:
            points = np.concatenate([points, self._descents(rng)])
        settled = self.settle(points)
        level = self.floats(settled.points).loss
        lowest = level[: len(self._given)].max()
        # Other constants have other lowest levels.
        same = bool(self.problem.constants) | (level <= lowest + 1e-9 * (1 + abs(lowest)))
        settled = settled.take(settled.valid & same)
        return settled.take(_farthest(settled.points, len(self._given), MOST_BASES))

    def _descents(self, rng: np.random.Generator) -> np.ndarray:
        try:
            begin = np.tile(starts(self.problem, self.floats, rng), (len(SPREADS), 1))
        except NoManifold:
            return self._given[:0]
        begin[:, : self.problem.dimension] *= np.repeat(SPREADS, len(begin) // len(SPREADS))[:, None]
        begin = begin[self.floats(begin).admissible]
        ends = descend(self.floats, begin, cautious=False, iterations=100) if len(begin) else begin
        return ends[np.abs(ends).max(axis=1, initial=0) < 1e3]

    def window(self) -> np.ndarray:
        """(low, high) for each parameter, D×2: one unit round the points of the derivation."""
        known = self._given[:, : self.problem.dimension]
        return np.stack([known.min(axis=0) - 1, known.max(axis=0) + 1], axis=1)

    def within(self, sides: np.ndarray, constants: Sequence[float], count: int) -> Batch:
        """Points of Γ in a box, from those of a grid that lie near it; none where none were found.

        Args:
            sides: (low, high) for each parameter, D×2.
            constants: their values.
            count: points of the grid along each side.
        """
        d = len(sides)
        ticks = [np.linspace(low, high, count) for low, high in sides]
        grid = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, d)
        begin = np.concatenate([grid, np.broadcast_to(constants, (len(grid), len(constants)))], axis=1)
        with np.errstate(all="ignore"):
            settled = self.settle(begin)
        found = settled.points[:, :d]
        near = np.abs(found - grid).max(axis=1) <= NEAR * np.ptp(sides, axis=1).max() / count
        inside = np.all((found >= sides[:, 0]) & (found <= sides[:, 1]), axis=1)
        return settled.take(settled.valid & near & inside)

    def settle(self, points: np.ndarray) -> Batch:
        """Newton steps x ← x − ∇²L†∇L with the M stiffest directions; to many digits where curvatures are far apart."""
        x, d = points.copy(), self.problem.dimension
        length = np.full(len(x), np.inf)
        for _ in range(ITERATIONS):
            normal, values, slope, _ = self.frame(x)
            step = -np.einsum("sij,sj->si", normal, np.einsum("sji,sj->si", normal, slope) / values)
            length = np.abs(step).max(axis=1) / (1 + np.abs(x[:, :d]).max(axis=1))
            x[:, :d] += np.where((length < 1)[:, None], step, 0.0)
            if np.all((length < SETTLED) | ~(length < 1)):
                break
        batch, here = self._examined(x, length < SETTLED), self.floats(points)
        hessian = np.where(here.admissible[:, None, None], here.hessian, np.eye(d))
        if self._far_apart:
            size = np.sort(np.abs(np.linalg.eigvalsh(hessian)), axis=1)  # beside Γ, some may be negative
            far = here.admissible & are_far_apart(size, self.codimension)
            for k in np.flatnonzero(far & ~batch.valid):
                self._settle_far_apart(batch, int(k), points[k])
        return batch

    @cached_property
    def _far_apart(self) -> bool:
        """Whether curvatures are far apart at a point of the derivation. Where they are at none, other points at which they are so
        are not settled, and nothing is sought there: that would take most of the time of a search, beside singular places."""
        hessian = self.floats(self._given).hessian
        fine = np.isfinite(hessian).all()
        return not fine or bool(are_far_apart(np.linalg.eigvalsh(hessian), self.codimension).any())

    def _settle_far_apart(self, batch: Batch, k: int, x: np.ndarray) -> None:
        """Put the k-th point of a batch on Γ, if it is beside it."""
        assignment = dict(zip(self.problem.symbols, map(float, x), strict=True))
        with suppress(NoManifold):
            point = sharpen_far_apart(self.landscape, assignment, reach=REACH, most=self.codimension)
            if point is not None:
                hessian = point.matrix(self.landscape.hessian)
                batch.points[k] = point.floats(self.problem.symbols)
                batch.tangent[k] = kernel(hessian, self.codimension)
                batch.valid[k] = (
                    inertia(hessian).is_regular(self.codimension) and self._on_equations(batch.points[k : k + 1])[0]
                )

    def frame(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The M stiffest eigenvectors of ∇²L (S×D×M), their eigenvalues (S×M), ∇L (S×D), and whether all of it is a number."""
        here = self.floats(x)
        fine = here.admissible
        hessian = np.where(
            fine[:, None, None], here.hessian, np.eye(x.shape[1])[: self.problem.dimension, : self.problem.dimension]
        )
        values, axes = np.linalg.eigh(hessian)
        flat = self.dimension
        stiff = values[:, flat:]
        fine = fine & ~are_far_apart(values, self.codimension)
        slope = np.where(fine[:, None], here.gradient, np.nan)
        return axes[:, :, flat:], np.where(fine[:, None], stiff, 1.0), slope, fine

    def _examined(self, x: np.ndarray, settled: np.ndarray) -> Batch:
        here = self.floats(x)
        fine = settled & here.admissible
        hessian = np.where(fine[:, None, None], here.hessian, np.eye(self.problem.dimension))
        values, axes = np.linalg.eigh(hessian)
        fine &= is_clear(values, self.codimension)
        # Where all points of the derivation are beyond the edge, as they may be with constants, walks are, too.
        if self._within:
            fine &= self.is_stable(x)
        return Batch(x, axes[:, :, : self.dimension], fine & self._on_equations(x))

    def _on_equations(self, x: np.ndarray) -> np.ndarray:
        """Γ is also where the equations hold that the derivation has used; other stationary points are not meant."""
        values = evaluate(self._guard, self.problem.symbols, x)
        g = values["equations"]
        if not g.shape[1]:
            return np.ones(len(x), dtype=bool)
        slopes = np.linalg.norm(values["slopes"].reshape(len(x), g.shape[1], -1), axis=2)
        with np.errstate(all="ignore"):
            return np.all(np.abs(g) <= ON_EQUATIONS * (slopes + 1e-300) * (1 + np.abs(x).max(axis=1))[:, None], axis=1)

    def scatter(
        self, bases: Batch, count: int, rng: np.random.Generator, *, far: float = FAR, vary_constants: bool = True
    ) -> Batch:
        """`count` points, each the end of its own walk along Γ, spread as widely as the walks get within `far` (1 + |x|)."""
        here = bases.take(np.arange(count) % len(bases.points))
        reach = np.full(count, STRIDE)
        limit = far * (1 + np.abs(here.points).max(axis=1))
        for _ in range(ROUNDS):
            trial, length = self._strides(here, reach, rng, vary_constants)
            there = self.settle(trial)
            taken = self._continuous(here, there, trial, length) & (np.abs(there.points).max(axis=1) < limit)
            here = Batch(
                *(
                    np.where(taken.reshape((-1,) + (1,) * (a.ndim - 1)), a, b)
                    for a, b in ((getattr(there, n), getattr(here, n)) for n in ("points", "tangent", "valid"))
                )
            )
            reach = np.where(taken, np.minimum(1.5 * reach, STRIDE), 0.4 * reach)
        return here

    def _strides(
        self, here: Batch, reach: np.ndarray, rng: np.random.Generator, vary_constants: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        d, count = self.problem.dimension, len(reach)
        direction = np.einsum("sij,sj->si", here.tangent, rng.standard_normal((count, self.dimension)))
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        trial = here.points.copy()
        length = reach * rng.uniform(0.3, 1, count) * (1 + np.abs(trial[:, :d]).max(axis=1))
        trial[:, :d] += length[:, None] * direction
        if vary_constants and trial.shape[1] > d:
            trial[:, d:] *= 1 + CONSTANTS * (reach / STRIDE)[:, None] * rng.uniform(-1, 1, (count, trial.shape[1] - d))
            length = length + CONSTANTS * reach / STRIDE * (1 + np.abs(trial[:, :d]).max(axis=1))
        return trial, length

    @staticmethod
    def _continuous(here: Batch, there: Batch, trial: np.ndarray, length: np.ndarray) -> np.ndarray:
        correction = np.linalg.norm(there.points - trial, axis=1)
        cosines = np.linalg.svd(np.einsum("sij,sik->sjk", here.tangent, there.tangent), compute_uv=False)
        return there.valid & (correction <= BENT * length) & (cosines[:, -1] > TURNED)

    def sharpened(self, points: np.ndarray) -> list[PrecisePoint]:
        """The points to 120 digits; those that cannot be sharpened are left out."""
        found = []
        for x in points:
            assignment = dict(zip(self.problem.symbols, map(float, x), strict=True))
            hessian = lambda y: self.floats(y[None, :]).hessian[0]  # noqa: E731
            point = sharpen(self.landscape, assignment, self.codimension, hessian, reach=SHARPENED)
            if point is not None:
                found.append(PrecisePoint(point.assignment))  # without the values that it holds of another graph
        return found


def _farthest(points: np.ndarray, kept: int, most: int) -> np.ndarray:
    """The first `kept` points, and then again and again the one farthest from those chosen."""
    chosen = list(range(min(kept, len(points))))
    distance = np.full(len(points), np.inf)
    for k in chosen:
        distance = np.minimum(distance, np.linalg.norm(points - points[k], axis=1))
    while len(chosen) < min(most, len(points)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen, dtype=int)
