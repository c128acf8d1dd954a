"""m exact steps of SGD from a point of Γ: every sequence of outcomes is followed, so that nothing is random.

After the first step x is off Γ, where ∇L ≠ 0 and the noise is another; (E Φ(x_m) − x)/(mη²) = ½∂²Φ[Σ] + O(η) and
Cov Φ(x_m)/(mη²) = Σ_∥ + O(η) all the same, because ∂Φ∇L = 0 off Γ, too (Lemma 1). The means are finite sums;
Richardson's extrapolation removes the powers of η.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.checks.certificate import Check, not_run, undecided
from symbolic_sgd.checks.fresh_points import Point, floats
from symbolic_sgd.checks.observation import Observation, extrapolate, measured, most_accurate, natural_size
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import FlowDidNotConverge
from symbolic_sgd.flow.numerics.many_points import limits_of_flow
from symbolic_sgd.simulate.arguments import count
from symbolic_sgd.theorem.terms import DRIFT_TERMS

TOLERANCE = 1e-6
"""An order of magnitude more than for one step: all powers of η have to be removed, and there are more flows."""

LEVELS = 6
ACCURACY = 1e-15
"""Of the integrated flow, relative to 1 + |x|: the square of a small η divides it."""

REACHES = (0.1, 0.03, 0.3, 0.01)
"""Largest first displacements, relative to the length over which H changes, tried until the result is accurate enough."""


class Steps:
    """What m steps from a point of Γ show, for every learning rate at once.

    Args:
        witness: the loss and the law of its noise.
        point: x ∈ Γ.
        count: m.
    """

    levels: ClassVar[int] = LEVELS
    reaches: ClassVar[tuple[float, ...]] = REACHES

    def __init__(self, witness: Witness, point: Point, count: int = 1):
        problem = witness.derivation.problem
        self.rank = witness.derivation.codimension
        self.base = floats(problem.parameters, point)
        self.constants = floats(problem.constants, point)
        self.symbols = problem.symbols
        self.length = witness.length(np.concatenate([self.base, self.constants]))
        self.loss = witness.smooth_loss
        self.law = witness.law
        steps = witness.precise(self.law.program, point)["steps"]
        self.outcomes = np.array(steps.T.tolist(), dtype=float)  # K×D
        self.outcomes[np.abs(self.outcomes) < 1e-30 * witness.noise_size(point)] = 0
        self.probabilities = np.array([float(p) for p in self.law.probabilities])
        self.count = count

    def rows(self, x: np.ndarray) -> np.ndarray:
        return np.concatenate([x, np.tile(self.constants, (len(x), 1))], axis=1)

    def observed(
        self, noises: Sequence[np.ndarray], drift_size: float, diffusion_size: float, tolerance: float
    ) -> list[Observation]:
        """(E Φ(x_m) − x)/(mη²) for each noise, and E(Φ(x_m) − x)(Φ(x_m) − x)ᵀ/(mη²), flattened, for the first of them.

        Args:
            noises: outcomes of the first step (K×D each).
            drift_size, diffusion_size: natural sizes of the results.
            tolerance: to which they will be compared.

        Raises:
            FlowDidNotConverge: from no displacement the flow comes back to Γ.
        """
        scales = [*(drift_size for _ in noises), diffusion_size]
        return most_accurate(lambda reach: self._extrapolated(noises, reach), self.reaches, scales, tolerance / 30)

    def _extrapolated(self, noises: Sequence[np.ndarray], reach: float) -> list[Observation]:
        longest, d = np.linalg.norm(self.outcomes, axis=1).max(), len(self.base)
        if longest == 0:
            return [*((np.zeros(d), 0.0) for _ in noises), (np.zeros(d * d), 0.0)]
        rates = reach * self.length / longest / 2.0 ** np.arange(self.levels)
        displacements = np.concatenate([self._displaced(rate, noise) for noise in noises for rate in rates])
        moved = self._moved(displacements).reshape(len(noises), self.levels, -1, d)
        weights, scale = self.probabilities, self.count * rates**2
        for _ in range(self.count - 1):
            weights = np.outer(weights, self.probabilities).ravel()
        means = [np.einsum("k,lkd->ld", weights, each) / scale[:, None] for each in moved]
        spread = np.einsum("k,lkd,lke->lde", weights, moved[0], moved[0]) / scale[:, None, None]
        power = 2 if self.law.symmetric and self.count == 1 else 1
        return [extrapolate(values, power) for values in (*means, spread.reshape(self.levels, -1))]

    def _displaced(self, rate: float, outcomes: np.ndarray) -> np.ndarray:
        """Where every sequence of outcomes leads from x, one row each."""
        shift = -rate * outcomes
        for _ in range(self.count - 1):
            rows = self.rows(self.base + shift)
            noise = evaluate(self.law.program, self.symbols, rows)["steps"].reshape(*shift.shape, -1)
            slope = self.loss.gradient(rows)[:, None]
            shift = (shift[:, None] - rate * (slope + noise.transpose(0, 2, 1))).reshape(-1, shift.shape[1])
        return shift

    def _moved(self, displacements: np.ndarray) -> np.ndarray:
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


@dataclass(frozen=True)
class ExactSteps:
    """The drift and the diffusion over m steps.

    Args:
        steps: m.
        most: sequences of outcomes that are followed at most; a law with more is not run.
    """

    steps: int = 2
    most: int = 600
    name: ClassVar[str] = "several exact steps of SGD"

    def __post_init__(self) -> None:
        count(self.steps, "steps")
        count(self.most, "most")

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        checks = []
        for number, point in enumerate(witness.points, start=1):
            checks.extend(self._at(witness, point, f"at point {number}"))
        return checks

    def _at(self, witness: Witness, point: Point, where: str) -> list[Check]:
        names = [f"{self.steps} steps: {what} {where}" for what in ("drift", "diffusion")]
        sequences = len(witness.law.probabilities) ** self.steps
        if sequences > self.most:
            reason = f"{sequences} sequences of outcomes, more than {self.most}"
            return [not_run(name, TOLERANCE, reason) for name in names]
        terms = witness.terms(point)
        scales = natural_sizes(witness, point, [terms[name] for name in DRIFT_TERMS])
        steps = Steps(witness, point, self.steps)
        try:
            seen = steps.observed([steps.outcomes], *scales, TOLERANCE)
        except FlowDidNotConverge as failure:
            return [undecided(name, TOLERANCE, str(failure)) for name in names]
        predicted = (terms["drift"].ravel(), covariance(terms["tangent_noise"]))
        return [
            measured(name, value, observed, scale, accuracy / scale, TOLERANCE)
            for name, value, (observed, accuracy), scale in zip(names, predicted, seen, scales, strict=True)
        ]


def natural_sizes(witness: Witness, point: Point, drifts: Sequence[np.ndarray]) -> tuple[float, float]:
    """Of drifts, which may vanish beside tr Σ/(1 + |x|), and of Σ."""
    sigma = witness.noise_factor(point)
    extent = 1 + np.linalg.norm(floats(witness.derivation.problem.parameters, point))
    floor = 0.1 * float(np.sum(sigma**2)) / float(extent)
    return natural_size(drifts, floor), natural_size([covariance(sigma)])


def covariance(factor: np.ndarray) -> np.ndarray:
    """AAᵀ, row by row."""
    return (factor @ factor.T).ravel()
