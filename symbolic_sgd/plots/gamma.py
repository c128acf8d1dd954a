"""Γ as what can be drawn: curves followed along their tangent, or points of a surface, in a window of chosen coordinates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from scipy.spatial import KDTree

from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.problems.problem import real_number
from symbolic_sgd.regularizer.scatter import Batch, FloatManifold

GRID = {2: 80, 3: 34}
"""Points of a grid along each side of the window, for D = 2 and 3; they are put on Γ by Newton's method."""

WALKERS = 6000
"""Points that walk along Γ where D > 3."""

AROUND = 1.5
"""How far the window reaches beyond the points at which Γ was found, where none is stated."""

MARGIN = 0.08
"""Of the part of Γ that is in that window, on each side."""

SEGMENTS = 200
"""Steps of a curve along the longest side of the window."""

CURVES, LONGEST = 12, 4000
"""Curves that are drawn, and steps of one."""

SHORTEST = 2.0**-6
"""Of a full step, where Γ bends."""

BENT, TURNED = 0.3, 0.8
"""A step is taken if Newton's correction is at most this part of it, and if the cosine between the tangents is at least this."""

CELLS = 42
"""Cells along the longest side of the window; of a surface there is one point in each."""

MOST_CELLS = 12_000
"""In which a surface is followed."""

SEED = 11


@dataclass(frozen=True)
class Gamma:
    """The part of Γ in a window.

    Args:
        sde: whose Γ it is.
        axes: the parameters that are drawn, two or three.
        sides: (low, high) of each of them.
        values: of the problem's constants.
        batch: points of Γ in the window, spread over it; the first is the one beside `at`, or where Γ was found.
    """

    sde: LimitingSDE
    axes: tuple[sp.Symbol, ...]
    sides: np.ndarray
    values: tuple[float, ...]
    batch: Batch

    @staticmethod
    def of(
        sde: LimitingSDE,
        *,
        axes: Sequence[Any] | None = None,
        window: Any = None,
        at: Mapping[sp.Symbol, Any] | None = None,
        constants: Mapping[sp.Symbol, Any] | None = None,
    ) -> "Gamma":
        """Γ in a window.

        Args:
            sde: whose Γ it is.
            axes: the parameters that are drawn (default: all of two or three, else three along which Γ is widest; two for a curve).
            window: (low, high) for each of them, or {parameter: (low, high)} (default: round the points at which Γ was found, or `at`).
            at: a point that the default window surrounds.
            constants: values of the problem's constants.

        Raises:
            BadShape: axes that are not two or three of the parameters; a window with another number of sides.
            BadInput: a constant without a value; no point of Γ in the window.
        """
        values = tuple(_values(sde, constants or {}))
        manifold = FloatManifold(sde.derivation)
        chosen = _axes(sde, axes)
        known = _known(sde, at)
        if len(sde.problem.parameters) > 3:
            batch = _walked(manifold, known, values)
            chosen = chosen or _widest(sde, batch)
            if batch.tangent.shape[2] == 2:
                batch = _grown(manifold, batch, *_box(sde, batch, chosen, window))
        else:
            chosen = chosen or sde.problem.parameters
            box = np.stack([known.min(axis=0) - AROUND, known.max(axis=0) + AROUND], axis=1)
            if window is not None:
                columns = [sde.problem.parameters.index(s) for s in chosen]
                box[columns] = _sides(chosen, window)
            batch = _grid(manifold, box, values)
        columns = [sde.problem.parameters.index(s) for s in chosen]
        sides = _round_about(batch.points[:, columns]) if window is None else _sides(chosen, window)
        shown = batch.points[:, columns]
        inside = np.flatnonzero(np.all((shown >= sides[:, 0]) & (shown <= sides[:, 1]), axis=1))
        if not len(inside):
            raise BadInput("no point of Γ was found in the window; give window= round a part of it")
        apart = np.linalg.norm(batch.points[inside, : known.shape[1]] - known[0], axis=1)
        nearest = int(apart.argmin())
        return Gamma(sde, tuple(chosen), sides, values, batch.take(np.roll(inside, -nearest)))

    @property
    def dimension(self) -> int:
        """Of Γ, D − M."""
        return self.batch.tangent.shape[2]

    @property
    def columns(self) -> list[int]:
        """Where the parameters that are drawn stand in a row."""
        return [self.sde.problem.parameters.index(s) for s in self.axes]

    @property
    def size(self) -> float:
        """The longest side of the window."""
        return float(np.ptp(self.sides, axis=1).max())

    @property
    def rows(self) -> np.ndarray:
        """Points of Γ, S×(D + constants)."""
        return self.batch.points

    def shown(self, rows: np.ndarray) -> np.ndarray:
        """The coordinates of points, or entries of vectors, that are drawn."""
        return rows[..., self.columns]

    def inside(self, rows: np.ndarray) -> np.ndarray:
        """Which of the points are in the window."""
        shown = self.shown(rows)
        return np.all((shown >= self.sides[:, 0]) & (shown <= self.sides[:, 1]), axis=-1)

    def extended(self, points: np.ndarray) -> np.ndarray:
        """Points S×D with the constants."""
        return np.concatenate([points, np.broadcast_to(self.values, (len(points), len(self.values)))], axis=1)

    def term(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A term of the theorem at points of Γ."""
        return evaluate(self.sde.program.select(name), self.sde.problem.symbols, rows)[name]

    def drift(self, rows: np.ndarray) -> np.ndarray:
        """b, S×D."""
        return self.term("drift", rows).reshape(len(rows), -1)

    def drift_along(self, rows: np.ndarray) -> np.ndarray:
        """∂Φb, S×D."""
        projection = self.term("tangent_projection", rows).reshape(len(rows), *2 * (len(self.sde.problem.parameters),))
        return np.einsum("sij,sj->si", projection, self.drift(rows))

    def noise(self, rows: np.ndarray) -> np.ndarray:
        """∂Φσ, S×D×Ξ."""
        return self.term("tangent_noise", rows).reshape(len(rows), len(self.sde.problem.parameters), -1)

    @cached_property
    def is_still(self) -> bool:
        """Whether there is no noise along Γ at any of the points looked at."""
        noise = self.noise(self.rows)
        return bool(np.abs(noise).max(initial=0.0) <= 1e-12 * max(1.0, np.abs(self.drift(self.rows)).max(initial=0.0)))

    @cached_property
    def curves(self) -> tuple[np.ndarray, ...]:
        """Where Γ is one-dimensional: its curves in the window, each S×(D + constants) in the order along it; the first through the
        first point of the batch."""
        left, found, step = self.rows, [], self.size / SEGMENTS
        follow = _Follower(self, FloatManifold(self.sde.derivation), step)
        while len(left) and len(found) < CURVES:
            curve = follow.both_ways(left[0])
            found.append(curve)
            apart, _ = KDTree(curve).query(left)
            left = left[(apart > 2 * step) & (np.arange(len(left)) > 0)]
        return tuple(found)

    @cached_property
    def scattered(self) -> Batch:
        """Points of Γ, one in each cell of the window at most."""
        cells = np.floor((self.shown(self.rows) - self.sides[:, 0]) / (self.size / CELLS)).astype(int)
        _, first = np.unique(cells, axis=0, return_index=True)
        return self.batch.take(np.sort(first))

    def spread(self, count: int) -> np.ndarray:
        """So many points of Γ, each as far from those before it as can be."""
        return self.rows[spread(self.shown(self.rows), count)]


def spread(points: np.ndarray, count: int) -> list[int]:
    """Indices of points, each as far from those before it as can be."""
    chosen = [0]
    distance = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


@dataclass(frozen=True)
class _Follower:
    """Follows a curve through a point, in steps of a length."""

    gamma: Gamma
    manifold: FloatManifold
    step: float

    def both_ways(self, row: np.ndarray) -> np.ndarray:
        """The curve through a point, from where it leaves the window to where it leaves it again; once round, if it is closed."""
        start = self.manifold.settle(row[None])
        on, closed = self._one_way(start, 1.0)
        if closed:
            return np.concatenate([start.points, on, start.points])
        back, _ = self._one_way(start, -1.0)
        return np.concatenate([back[::-1], start.points, on])

    def _one_way(self, start: Batch, sign: float) -> tuple[np.ndarray, bool]:
        d = self.gamma.batch.tangent.shape[1]
        here, along, reach, rows = start, sign * start.tangent[0, :, 0], self.step, []
        while len(rows) < LONGEST and reach >= SHORTEST * self.step:
            trial = here.points.copy()
            trial[0, :d] += reach * along
            there = self.manifold.settle(trial)
            cosine = float(there.tangent[0, :, 0] @ along)
            correction = float(np.linalg.norm(there.points - trial))
            if not there.valid[0] or correction > BENT * reach or abs(cosine) < TURNED:
                reach /= 2
                continue
            rows.append(there.points[0])
            if not self.gamma.inside(there.points)[0]:
                break
            here, along = there, np.sign(cosine) * there.tangent[0, :, 0]
            home = start.points[0] - here.points[0]
            if len(rows) > 3 and np.linalg.norm(home) < 0.9 * self.step and home[:d] @ along > 0:
                return np.array(rows), True
            reach = min(self.step, 2 * reach)
        return np.array(rows).reshape(-1, start.points.shape[1]), False


def _values(sde: LimitingSDE, constants: Mapping[sp.Symbol, Any]) -> list[float]:
    missing = [s for s in sde.problem.constants if s not in constants]
    if missing:
        raise BadInput(f"constants has no value for {', '.join(map(str, missing))}; give constants={{symbol: number}}")
    return [real_number(constants[s], where=f"constants[{s}]") for s in sde.problem.constants]


def _axes(sde: LimitingSDE, stated: Sequence[Any] | None) -> tuple[sp.Symbol, ...] | None:
    if stated is None:
        return None
    names = {str(s): s for s in sde.problem.parameters}
    if not isinstance(stated, Sequence):
        raise BadShape(f"axes is {stated!r}; give two or three parameters (the axes of matplotlib to draw on are ax=)")
    chosen = [str(s) for s in stated]
    unknown = [name for name in chosen if name not in names]
    if unknown or len(chosen) not in (2, 3) or len(set(chosen)) < len(chosen):
        raise BadShape(f"axes is {tuple(chosen)}; give two or three of the parameters {', '.join(names)}")
    return tuple(names[name] for name in chosen)


def _known(sde: LimitingSDE, at: Mapping[sp.Symbol, Any] | None) -> np.ndarray:
    """Points by which Γ is found, S×D."""
    if at is None:
        return np.array([[float(p[s]) for s in sde.problem.parameters] for p in sde.derivation.points])
    missing = [s for s in sde.problem.parameters if s not in at]
    if missing:
        raise BadInput(f"at has no value for {', '.join(map(str, missing))}; give a number for each parameter")
    return np.array([[real_number(at[s], where=f"at[{s}]") for s in sde.problem.parameters]])


def _sides(axes: Sequence[sp.Symbol], window: Any) -> np.ndarray:
    try:
        stated = {str(s): side for s, side in window.items()} if isinstance(window, Mapping) else None
        sides = np.array(window if stated is None else [stated[str(s)] for s in axes], dtype=float)
    except (KeyError, TypeError, ValueError):
        sides = np.empty(0)
    if sides.shape != (len(axes), 2) or not np.all(sides[:, 0] < sides[:, 1]):
        names = ", ".join(map(str, axes))
        raise BadShape(f"window is {window!r}; give (low, high) with low < high for each of {names}")
    return sides


def _grid(manifold: FloatManifold, box: np.ndarray, values: Sequence[float]) -> Batch:
    """Points of Γ in a box, by a grid."""
    d = len(box)
    ticks = [np.linspace(low, high, GRID[d]) for low, high in box]
    grid = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, d)
    begin = np.concatenate([grid, np.broadcast_to(values, (len(grid), len(values)))], axis=1)
    with np.errstate(all="ignore"):
        settled = manifold.settle(begin)
    found = settled.points[:, :d]
    near = np.abs(found - grid).max(axis=1) <= 2 * np.ptp(box, axis=1).max() / GRID[d]
    inside = np.all((found >= box[:, 0]) & (found <= box[:, 1]), axis=1)
    kept = settled.valid & near & inside
    if not kept.any():
        raise BadInput("no point of Γ was found in the window; give window= round a part of it")
    return settled.take(kept)


def _walked(manifold: FloatManifold, known: np.ndarray, values: Sequence[float]) -> Batch:
    """Points of Γ, by walks from where it is known."""
    begin = np.concatenate([known, np.broadcast_to(values, (len(known), len(values)))], axis=1)
    rng = np.random.default_rng(SEED)
    with np.errstate(all="ignore"):
        bases = manifold.settle(begin)
        bases = bases.take(bases.valid)
        if not len(bases.points):
            raise BadInput("no point of Γ was found beside the one stated; give at= nearer to it")
        scattered = manifold.scatter(bases, WALKERS, rng, far=2.0, vary_constants=False)
    scattered = scattered.take(scattered.valid)
    return Batch(*(np.concatenate([getattr(b, n) for b in (bases, scattered)]) for n in ("points", "tangent", "valid")))


def _box(sde: LimitingSDE, batch: Batch, chosen: Sequence[sp.Symbol], window: Any) -> tuple[np.ndarray, float]:
    """Where most of the points are, D×2, or the window for those that are drawn; and the size of a cell."""
    d = sde.problem.dimension
    low, high = np.quantile(batch.points[:, :d], [0.1, 0.9], axis=0)
    box, columns = (
        np.stack([low - (high - low) / 4, high + (high - low) / 4], axis=1),
        [sde.problem.parameters.index(s) for s in chosen],
    )
    if window is not None:
        box[columns] = _sides(chosen, window)
    return box, float(np.ptp(box[columns], axis=1).max()) / CELLS


def _grown(manifold: FloatManifold, batch: Batch, box: np.ndarray, cell: float) -> Batch:
    """The surface through the first of the points: from each point of it six steps of a cell, and one point is kept in each cell."""
    d = len(box)
    angle = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    steps = cell * np.stack([np.cos(angle), np.sin(angle)])
    here = batch.take(np.array([0]))
    kept, known = [here], {tuple(np.floor(here.points[0, :d] / cell).astype(int))}
    while len(here.points) and len(known) < MOST_CELLS:
        trial = np.repeat(here.points, len(angle), axis=0)
        trial[:, :d] += np.einsum("sik,kt->sti", here.tangent, steps).reshape(-1, d)
        there = manifold.settle(trial)
        near = np.linalg.norm(there.points - trial, axis=1) <= BENT * cell
        inside = np.all((there.points[:, :d] >= box[:, 0]) & (there.points[:, :d] <= box[:, 1]), axis=1)
        fresh = []
        for k in np.flatnonzero(there.valid & near & inside):
            place = tuple(np.floor(there.points[k, :d] / cell).astype(int))
            if place not in known:
                known.add(place)
                fresh.append(int(k))
        here = there.take(np.array(fresh, dtype=int))
        kept.append(here)
    return Batch(*(np.concatenate([getattr(b, n) for b in kept]) for n in ("points", "tangent", "valid")))


def _widest(sde: LimitingSDE, batch: Batch) -> tuple[sp.Symbol, ...]:
    """Two parameters along which a curve is widest, three of a surface."""
    d = sde.problem.dimension
    count = 2 if batch.tangent.shape[2] == 1 else 3
    widths = np.ptp(np.quantile(batch.points[:, :d], [0.05, 0.95], axis=0), axis=0)
    chosen = sorted(np.argsort(-widths, kind="stable")[:count])
    return tuple(sde.problem.parameters[k] for k in chosen)


def _round_about(points: np.ndarray) -> np.ndarray:
    """A window round points: none of its sides is much shorter than the longest."""
    low, high = points.min(axis=0), points.max(axis=0)
    longest = max(float((high - low).max()), 1e-3)
    grow = MARGIN * longest + np.maximum(0, longest / 4 - (high - low)) / 2
    return np.stack([low - grow, high + grow], axis=1)
