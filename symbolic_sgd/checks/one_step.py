"""One exact step of SGD from a point of Γ: the drift and the diffusion as finite differences of nature.

From x ∈ Γ the gradient vanishes, so x⁺ = x − η s with s drawn by the noise's law, and
(E[Φ(x⁺)] − x)/η² = ½∂²Φ[Σ] + O(η). The mean is a finite sum; Richardson's extrapolation removes the powers of η.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.checks.by_sympy import DIGITS
from symbolic_sgd.checks.certificate import Check, verdict
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import FlowDidNotConverge
from symbolic_sgd.flow.numerics.far_apart import far_limit
from symbolic_sgd.flow.numerics.many_points import limits_of_flow
from symbolic_sgd.regular_point import are_far_apart

TOLERANCE = 1e-7
LEVELS = 6
ACCURACY = 1e-15
"""Of the integrated flow, relative to 1 + |x|: the square of a small η divides it."""

LEAST = 1e-6
"""The M-th curvature beside the largest below which the flow is followed to many digits: its limit errs by 10⁻¹⁵ over it."""

FAR_DIGITS = 24
"""Of the flow where curvatures are far apart."""

REACHES = (0.1, 0.03, 0.3, 0.01)
"""Largest first displacements, relative to the length over which H changes, tried until the result is accurate enough."""

PREDICTED: tuple[tuple[str, str, Callable[[dict[str, np.ndarray]], np.ndarray]], ...] = (
    ("drift", "drift", lambda d: d["σ"]),
    ("tangent-noise compensation", "tangent_noise_compensation", lambda d: d["Pσ"]),
    ("mixed regularization", "mixed_regularization", lambda d: (d["σ"] - d["(P−Q)σ"]) / 2),
    ("normal regularization", "normal_regularization", lambda d: d["Qσ"]),
)
"""(name, term, how its value follows from the steps with σ, Pσ, Qσ and (P − Q)σ)."""


@dataclass(frozen=True)
class Observation:
    """What one exact step showed: the drift for each noise, the diffusion's covariance, and their own accuracy."""

    drifts: dict[str, np.ndarray]
    covariance: np.ndarray
    accuracy: float


@dataclass(frozen=True)
class OneStep:
    """The drift, each of its terms, and the diffusion, at every point of the witness."""

    name: ClassVar[str] = "one exact step of SGD"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        checks = []
        for number, point in enumerate(witness.points, start=1):
            checks.extend(_check_point(witness, point, number))
        return checks


def _check_point(witness: Witness, point: Mapping[sp.Symbol, PreciseNumber], number: int) -> list[Check]:
    terms = {
        name: np.array(m.tolist(), dtype=float)
        for name, m in witness.precise(witness.derivation.program, point).items()
    }
    noise = witness.noise_factor(point)
    parameters = witness.derivation.problem.parameters
    extent = 1 + np.linalg.norm([float(point[s]) for s in parameters])
    covariance = float(np.sum(noise**2))
    drift_scale = max(*(np.abs(terms[name]).max() for _, name, _ in PREDICTED), 0.1 * covariance / extent, 1e-300)
    try:
        seen = _observe(witness, point, drift_scale, covariance)
    except FlowDidNotConverge as failure:
        return [
            Check(f"one step: {name} at point {number}", None, None, float("nan"), TOLERANCE, "undecided", str(failure))
            for name, _, _ in PREDICTED
        ]
    where = f"at point {number}"
    checks = [
        _compare(f"one step: {name} {where}", terms[term].ravel(), observed(seen.drifts), drift_scale, seen.accuracy)
        for name, term, observed in PREDICTED
    ]
    tangent = terms["tangent_noise"]
    scale = max(np.abs(noise @ noise.T).max(), 1e-300)
    return [
        *checks,
        _compare(
            f"one step: diffusion {where}", (tangent @ tangent.T).ravel(), seen.covariance.ravel(), scale, seen.accuracy
        ),
    ]


def _compare(name: str, predicted: np.ndarray, observed: np.ndarray, scale: float, accuracy: float) -> Check:
    error = float(np.abs(predicted - observed).max() / scale)
    outcome = verdict(error, accuracy, TOLERANCE)
    detail = f"relative to {scale:.3g}; the observation is accurate to {accuracy:.1e}"
    return Check(name, predicted.tolist(), observed.tolist(), error, TOLERANCE, outcome, detail)


def _observe(
    witness: Witness, point: Mapping[sp.Symbol, PreciseNumber], drift_scale: float, covariance: float
) -> Observation:
    best: Observation | None = None
    failure = FlowDidNotConverge("no displacement was tried")
    step = _Step(witness, point)
    step = _FarStep(witness, point) if step.is_far_apart else step
    for reach in step.reaches:
        try:
            seen = step.observe(reach, drift_scale, covariance)
        except FlowDidNotConverge as reason:
            failure = reason
            continue
        if best is None or seen.accuracy < best.accuracy:
            best = seen
        if best.accuracy <= TOLERANCE / 30:
            break
    if best is None:
        raise failure
    return best


class _Step:
    """The exact means over one step from one point, for every noise and every learning rate at once."""

    levels: ClassVar[int] = LEVELS
    reaches: ClassVar[tuple[float, ...]] = REACHES

    def __init__(self, witness: Witness, point: Mapping[sp.Symbol, PreciseNumber]):
        problem = witness.derivation.problem
        self.rank = witness.derivation.codimension
        self.base = np.array([float(point[s]) for s in problem.parameters])
        self.constants = np.array([float(point[s]) for s in problem.constants])
        self.length = witness.length(np.concatenate([self.base, self.constants]))
        self.loss = witness.smooth_loss
        self.law = witness.law
        steps = witness.precise(self.law.program, point)["steps"]
        self.steps = np.array(steps.T.tolist(), dtype=float)  # K×D
        self.steps[np.abs(self.steps) < 1e-30 * witness.noise_size(point)] = 0
        self.tangent = witness.tangent(point)
        self.probabilities = np.array([float(p) for p in self.law.probabilities])

    @property
    def is_far_apart(self) -> bool:
        """Whether float64 follows the flow with too few digits."""
        curvature = np.linalg.eigvalsh(self.loss.hessian(self.rows(self.base[None, :])))
        return bool(are_far_apart(curvature, self.rank, least=LEAST)[0])

    def noises(self) -> dict[str, np.ndarray]:
        along = self.steps @ self.tangent @ self.tangent.T
        across = self.steps - along
        return {"σ": self.steps, "Pσ": along, "Qσ": across, "(P−Q)σ": along - across}

    def rows(self, x: np.ndarray) -> np.ndarray:
        return np.concatenate([x, np.tile(self.constants, (len(x), 1))], axis=1)

    def moved(self, displacements: np.ndarray) -> np.ndarray:
        """Φ(x + displacement) − Φ(x), one row each."""
        starts, where = np.unique(np.vstack([displacements, 0 * self.base]), axis=0, return_inverse=True)
        limits = self.limits(starts)[where.reshape(-1)]
        return limits[:-1] - limits[-1]

    def limits(self, displacements: np.ndarray) -> np.ndarray:
        """Φ(x + displacement), one row each."""
        flow = limits_of_flow(self.loss, self.rows(self.base + displacements), self.rank, tolerance=ACCURACY)
        if not flow.reached.all():
            raise FlowDidNotConverge(flow.reasons[int(np.argmin(flow.reached))])
        return flow.points

    def observe(self, reach: float, drift_scale: float, covariance: float) -> Observation:
        largest = np.linalg.norm(self.steps, axis=1).max()
        if largest == 0:
            zero = np.zeros(len(self.base))
            return Observation(dict.fromkeys(self.noises(), zero), np.outer(zero, zero), 0.0)
        rates = reach * self.length / largest / 2.0 ** np.arange(self.levels)
        displacements = np.concatenate([-rate * steps for steps in self.noises().values() for rate in rates])
        moved = self.moved(displacements).reshape(len(self.noises()), self.levels, len(self.steps), -1)
        power = 2 if self.law.symmetric else 1
        drifts, errors = {}, []
        for name, displacements in zip(self.noises(), moved, strict=True):
            means = np.einsum("k,lkd->ld", self.probabilities, displacements) / rates[:, None] ** 2
            drifts[name], error = extrapolate(means, power)
            errors.append(error / drift_scale)
        spread = np.einsum("k,lkd,lke->lde", self.probabilities, moved[0], moved[0]) / rates[:, None, None] ** 2
        diffusion, error = extrapolate(spread.reshape(self.levels, -1), power)
        return Observation(drifts, diffusion.reshape(spread.shape[1:]), max(*errors, error / max(covariance, 1e-300)))


class _FarStep(_Step):
    """The same where curvatures are far apart: to many digits, so that displacements may be tiny, and few."""

    levels = 3
    reaches = (1e-5, 1e-4)

    def __init__(self, witness: Witness, point: Mapping[sp.Symbol, PreciseNumber]):
        super().__init__(witness, point)
        self.point = [point[s] for s in witness.derivation.problem.symbols]

    def limits(self, displacements: np.ndarray) -> np.ndarray:
        """Φ(x + displacement) − x for x ∈ Γ."""
        d, precise = len(self.base), self.loss.precise
        assert precise is not None
        rows = []
        for displacement in displacements:
            with mp.workdps(DIGITS):
                start = [a + mp.mpf(float(b)) for a, b in zip(self.point[:d], displacement, strict=True)]
                end = start
                if displacement.any():
                    end = far_limit(precise, [*start, *self.point[d:]], d, self.rank, FAR_DIGITS).precise
                rows.append([float(a - b) for a, b in zip(end, self.point[:d], strict=True)])
        return np.array(rows)


def extrapolate(values: Sequence[np.ndarray] | np.ndarray, power: int) -> tuple[np.ndarray, float]:
    """The limit η → 0 of values at η, η/2, η/4, … with an error series in η^power (Richardson), and its accuracy.

    The entry of the triangle with the smallest disagreement with its two parents is the one returned.

    >>> limit, accuracy = extrapolate([np.array([1 + h + h**2]) for h in (1, 1/2, 1/4)], 1)
    >>> float(limit[0]), accuracy < 1
    (1.0, True)
    """
    previous = [np.asarray(values[0])]
    best, accuracy = previous[0], float("inf")
    for value in values[1:]:
        row = [np.asarray(value)]
        for j, parent in enumerate(previous, start=1):
            row.append(row[-1] + (row[-1] - parent) / (2.0 ** (power * j) - 1))
            disagreement = float(max(np.abs(row[-1] - row[-2]).max(), np.abs(row[-1] - parent).max()))
            if disagreement < accuracy:
                best, accuracy = row[-1], disagreement
        previous = row
    return best, accuracy
