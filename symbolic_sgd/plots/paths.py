"""One path of the optimizer that falls on Γ and then drifts along it, and the path of its limit: the numbers behind pictures."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.api.simulation import simulate_sde, simulate_sgd
from symbolic_sgd.errors import BadInput, SymbolicSGDError
from symbolic_sgd.plots.gamma import Gamma
from symbolic_sgd.problems.problem import real_number
from symbolic_sgd.regularizer.scatter import FloatManifold
from symbolic_sgd.simulate.run import Run
from symbolic_sgd.simulate.stability import StabilityWarning

STEPS, MOST_STEPS = 3000, 20_000
"""Steps of the optimizer over the time that is drawn, and at most."""

STABLE = 0.2
"""The largest learning rate times the largest curvature that is chosen."""

RADIUS = 0.02
"""ρ of SAM beside the window, where none is stated."""

FAINT = 1e-6
"""Of the noise, the scale at which an iteration is followed to where it falls on Γ."""

FALLEN = 1e-8
"""Of the loss at the start, what is left where that iteration has fallen."""

CYCLE = 4.0
"""Times the median of the loss: what is below has fallen."""

RECORDS, CELLS = 1500, 400
"""Moments at which a path is kept, and steps of the limit."""

AWAY = 0.22
"""How far from Γ the optimizer begins, beside the window, where no start is stated; halved until that is in the basin of Γ."""

ATTEMPTS = 7

TURNS = 1.5
"""How many times the way through the window the time allows for, where none is stated."""

INNER = 0.15
"""A path begins so far from the sides of the window, beside them."""


@dataclass(frozen=True)
class Paths:
    """Paths from beside Γ.

    Args:
        optimizer: its positions over time, one replica.
        limit: those of the limit, from where the noiseless iteration falls on Γ.
        learning_rate: η of the optimizer.
        noise_scale: ε.
    """

    optimizer: Run
    limit: Run
    learning_rate: float
    noise_scale: float

    @property
    def falling(self) -> np.ndarray:
        """Positions of the optimizer, T×D."""
        return _positions(self.optimizer)

    @property
    def along(self) -> np.ndarray:
        """Positions of the limit, T×D."""
        return _positions(self.limit)


@dataclass(frozen=True)
class Wanted:
    """What a run is told; None is chosen.

    Args:
        start: where the optimizer begins (default: beside Γ, where the drift is strong).
        learning_rate: η, where the optimizer leaves it open (default: well below 2/(the largest curvature)).
        noise_scale: ε; ρ of SAM (default: 1; a few thousand steps where the optimizer has its own η).
        time: T (default: enough to drift through the window, if that is not too many steps).
        rng: the seed.
    """

    start: Mapping[Any, Any] | None = None
    learning_rate: float | None = None
    noise_scale: float | None = None
    time: float | None = None
    rng: int = 0


def paths(gamma: Gamma, wanted: Wanted) -> Paths:
    """A run of the optimizer, and the limit from where its noiseless iteration falls on Γ.

    Raises:
        BadInput, Diverged, FlowDidNotConverge, OffManifold: as `simulate_sgd` and `simulate_sde` do.
    """
    stated = None if wanted.start is None else _stated(gamma, wanted.start)
    foot = _foot(gamma) if stated is None else _settled(gamma, stated)
    time = _time(gamma, foot) if wanted.time is None else wanted.time
    failure: Exception = BadInput("no start was tried")
    for attempt in range(ATTEMPTS):
        begin = _away(gamma, foot, AWAY / 2**attempt) if stated is None else stated
        shorter = time / 2**attempt if wanted.time is None else time
        run = _Tried.of(gamma, wanted, shorter, STABLE / 2**attempt / _largest_curvature(gamma, foot))
        try:
            return run.made(begin)
        except StabilityWarning as warning:
            failure = BadInput(str(warning))
        except SymbolicSGDError as error:
            failure = error
    raise failure


def limit_path(gamma: Gamma, start: Mapping[Any, Any] | None, rng: int, *, foot_of: Gamma) -> np.ndarray:
    """Positions of the limit over its own time, T×D.

    Args:
        gamma: of the limit.
        start: where it begins, put on Γ (None: where the drift of the other is strong).
        rng: the seed of the noise along Γ.
        foot_of: Γ as another limit has it.
    """
    foot = _settled(gamma, _foot(foot_of) if start is None else _stated(gamma, start))
    time = _time(gamma, foot)
    return _positions(_limit(gamma, foot, time, rng))


def _limit(gamma: Gamma, foot: np.ndarray, time: float, rng: int) -> Run:
    several: dict[str, Any] = {"replicas": 1, "rng": rng, "records": CELLS, "paths": True, **_constants(gamma)}
    return simulate_sde(gamma.sde, foot, time=time, step=time / CELLS, **several)


def _constants(gamma: Gamma) -> dict[str, float]:
    return {s.name: a for s, a in zip(gamma.sde.problem.constants, gamma.values, strict=True)}


@dataclass(frozen=True)
class _Tried:
    """A run that is tried: `rate` and `scale` are None where the optimizer has its own, or takes none."""

    gamma: Gamma
    rate: float | None
    scale: float | None
    steps: int
    rng: int

    @staticmethod
    def of(gamma: Gamma, wanted: Wanted, time: float, most: float) -> "_Tried":
        optimizer, scale, rate = gamma.sde.derivation.optimizer, wanted.noise_scale, wanted.learning_rate
        if scale is None and optimizer.is_finite:
            scale = min(1.0, (time / STEPS / _unit(gamma, 1.0, 1.0)) ** 0.5)
        if scale is None and optimizer.cycles and optimizer.scale_symbol in optimizer.time_unit.free_symbols:
            scale = RADIUS * gamma.size
        size = 1.0 if scale is None else scale
        if rate is None and not optimizer.is_finite:
            order = log2(_unit(gamma, 2.0, size) / _unit(gamma, 1.0, size))
            rate = min(most, (time / STEPS / _unit(gamma, 1.0, size)) ** (1 / order))
        local = optimizer.local_steps if optimizer.whole_time is None else 1
        if optimizer.whole_time is not None and rate is not None:
            whole = _number(gamma, optimizer.whole_time, {})
            local = max(1, ceil(whole / rate - 1e-9))
            rate = whole / local if wanted.learning_rate is None else rate
        steps = min(time / _unit(gamma, rate or 1.0, size), MOST_STEPS)
        return _Tried(gamma, rate, scale, local * max(1, round(steps / local)), wanted.rng)

    def made(self, begin: np.ndarray) -> Paths:
        """Both paths from a start."""
        sde, gamma = self.gamma.sde, self.gamma
        with warnings.catch_warnings():
            warnings.simplefilter("error", StabilityWarning)
            run = self._run(begin, self.scale)
            quiet = self._run(begin, FAINT) if self.scale is not None or not sde.optimizer.cycles else run
        foot = _settled(gamma, _fallen(gamma, _positions(quiet)))
        time = float(run.times[-1])
        limit = _limit(gamma, foot, time, self.rng)
        rate = _number(gamma, sde.learning_rate, {}) if self.rate is None else self.rate
        return Paths(run, limit, rate, 1.0 if self.scale is None else self.scale)

    def _run(self, begin: np.ndarray, scale: float | None) -> Run:
        sde, several = self.gamma.sde, {"replicas": 1, "rng": self.rng, "records": RECORDS, "paths": True}
        told: dict[str, Any] = {"learning_rate": self.rate, "noise_scale": scale, **several, **_constants(self.gamma)}
        return simulate_sgd(sde.problem, begin, optimizer=sde.optimizer, steps=self.steps, **told)


def _positions(run: Run) -> np.ndarray:
    assert run.paths is not None
    return run.paths[:, 0]


def _unit(gamma: Gamma, rate: float, scale: float) -> float:
    """What a step adds to t."""
    sde = gamma.sde
    return _number(gamma, sde.time_unit, {sde.optimizer.rate: rate, sde.noise_scale: scale})


def _number(gamma: Gamma, expression: Any, values: Mapping[Any, float]) -> float:
    known = dict(zip(gamma.sde.problem.constants, gamma.values, strict=True)) | dict(values)
    symbols = {s: sp.Float(a) for s, a in known.items() if isinstance(s, sp.Symbol)}
    return float(sp.sympify(expression).xreplace(symbols))


# --- where a path begins, and how long it is ----------------------------------------------------


def _stated(gamma: Gamma, start: Mapping[Any, Any]) -> np.ndarray:
    named = {str(s): value for s, value in start.items()}
    missing = [str(s) for s in gamma.sde.problem.parameters if str(s) not in named]
    if missing:
        raise BadInput(f"start has no value for {', '.join(missing)}; give a number for each parameter")
    return np.array([real_number(named[str(s)], where=f"start[{s}]") for s in gamma.sde.problem.parameters])


def _foot(gamma: Gamma) -> np.ndarray:
    """A point of Γ, well within the window, from which steps as long as the largest curvature λ allows lead far: |b|/λ is largest."""
    d = len(gamma.sde.problem.parameters)
    shown, size = gamma.shown(gamma.rows), np.ptp(gamma.sides, axis=1)
    room = np.minimum(shown - gamma.sides[:, 0], gamma.sides[:, 1] - shown) / size
    inner = np.flatnonzero(room.min(axis=1) >= INNER)
    inner = inner if len(inner) else np.arange(len(shown))
    speed = np.linalg.norm(gamma.drift(gamma.rows[inner]), axis=1)
    _, curvatures, _, _ = FloatManifold(gamma.sde.derivation).frame(gamma.rows[inner])
    return gamma.rows[inner[int((speed / curvatures.max(axis=1)).argmax())], :d]


def _settled(gamma: Gamma, place: np.ndarray) -> np.ndarray:
    """The point of Γ beside another, by Newton's method."""
    batch = FloatManifold(gamma.sde.derivation).settle(gamma.extended(place[None]))
    if not batch.valid[0]:
        raise BadInput(f"Γ was not found beside {place.tolist()}: give another start=")
    return batch.points[0, : len(place)]


def _normal(gamma: Gamma, foot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M unit vectors normal to Γ, D×M, and the curvatures along them."""
    normal, values, _, _ = FloatManifold(gamma.sde.derivation).frame(gamma.extended(foot[None]))
    return normal[0], values[0]


def _away(gamma: Gamma, foot: np.ndarray, part: float) -> np.ndarray:
    """Beside Γ, along the normal that is seen best, on the side where there is more room."""
    normal, _ = _normal(gamma, foot)
    _, sizes, mixed = np.linalg.svd(gamma.shown(normal.T).T)
    along = normal @ mixed[0] / max(float(sizes[0]), 0.2)
    middle = gamma.sides.mean(axis=1) - gamma.shown(foot)
    sign = 1.0 if gamma.shown(along) @ middle >= 0 else -1.0
    return foot + sign * part * gamma.size * along


def _largest_curvature(gamma: Gamma, foot: np.ndarray) -> float:
    """Of ∇²L in the metric of the optimizer, if it has one that is a number; on the part of Γ in the window near the foot."""
    _, values = _normal(gamma, foot)
    return float(values.max())


def _time(gamma: Gamma, foot: np.ndarray) -> float:
    """Enough for the drift, or the noise, to lead through the window."""
    row = gamma.extended(foot[None])
    speed, spread = float(np.linalg.norm(gamma.drift(row))), float(np.sum(gamma.noise(row) ** 2))
    times = [TURNS * gamma.size / speed] if speed > 1e-9 else []
    times += [(gamma.size / 3) ** 2 / spread] if spread > 1e-12 else []
    return min(times, default=1.0)


def _fallen(gamma: Gamma, positions: np.ndarray) -> np.ndarray:
    """Where a run without noise has fallen on Γ: the loss is a tiny part of what it was, or where it goes round in a cycle beside Γ what it
    is most of the time."""
    loss = FloatManifold(gamma.sde.derivation).floats(gamma.extended(positions)).loss
    above = loss - float(loss.min())
    return positions[int(np.argmax(above <= FALLEN * above[0] + CYCLE * float(np.median(above))))]
