"""m exact steps of SGD from a point of Γ: every sequence of outcomes is followed, so that nothing is random.

After the first step x is off Γ, where ∇L ≠ 0 and the noise is another; (E Φ(x_m) − x)/(mη²) = ½∂²Φ[Σ] + O(η) and
Cov Φ(x_m)/(mη²) = Σ_∥ + O(η) all the same, because ∂Φ∇L = 0 off Γ, too (Lemma 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.checks.certificate import Check, verdict
from symbolic_sgd.checks.one_step import ACCURACY, LEVELS, REACHES, extrapolate
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import FlowDidNotConverge
from symbolic_sgd.flow.numerics.many_points import limits_of_flow
from symbolic_sgd.simulate.arguments import count

TOLERANCE = 1e-6
"""An order of magnitude more than for one step: all powers of η have to be removed, and there are more flows."""


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

    def _at(self, witness: Witness, point: Mapping[sp.Symbol, PreciseNumber], where: str) -> list[Check]:
        names = [f"{self.steps} steps: {what} {where}" for what in ("drift", "diffusion")]
        sequences = len(witness.law.probabilities) ** self.steps
        if sequences > self.most:
            reason = f"{sequences} sequences of outcomes, more than {self.most}"
            return [Check(name, None, None, 0.0, TOLERANCE, "not run", reason) for name in names]
        terms = {k: np.array(m.tolist(), float) for k, m in witness.precise(witness.derivation.program, point).items()}
        sigma = witness.noise_factor(point)
        covariance = float(np.sum(sigma**2))
        base = np.array([float(point[s]) for s in witness.derivation.problem.symbols])
        extent = 1 + float(np.linalg.norm(base[: witness.derivation.problem.dimension]))
        size = max(*(np.abs(terms[n]).max() for n in SIZES), 0.1 * covariance / extent, 1e-300)
        scales = (float(size), max(float(np.abs(sigma @ sigma.T).max()), 1e-300))
        try:
            seen = self._observed(witness, base, scales)
        except FlowDidNotConverge as failure:
            return [Check(name, None, None, float("nan"), TOLERANCE, "undecided", str(failure)) for name in names]
        tangent = terms["tangent_noise"]
        predicted = (terms["drift"].ravel(), (tangent @ tangent.T).ravel())
        return [_compare(*parts) for parts in zip(names, predicted, seen, scales, strict=True)]

    def _observed(
        self, witness: Witness, base: np.ndarray, scales: tuple[float, float]
    ) -> list[tuple[np.ndarray, float]]:
        best: list[tuple[np.ndarray, float]] = []
        failure = FlowDidNotConverge("no displacement was tried")
        for reach in REACHES:
            try:
                seen = self._extrapolated(witness, base, reach)
            except FlowDidNotConverge as reason:
                failure = reason
                continue
            if not best or _inaccuracy(seen, scales) < _inaccuracy(best, scales):
                best = seen
            if _inaccuracy(best, scales) <= TOLERANCE / 30:
                break
        if not best:
            raise failure
        return best

    def _extrapolated(self, witness: Witness, base: np.ndarray, reach: float) -> list[tuple[np.ndarray, float]]:
        d = witness.derivation.problem.dimension
        longest = np.linalg.norm(_steps(witness, base[None])[0], axis=0).max()
        if longest == 0:
            return [(np.zeros(d), 0.0), (np.zeros(d * d), 0.0)]
        rates = reach * witness.length(base) / longest / 2.0 ** np.arange(LEVELS)
        reached = [self._followed(witness, base, rate) for rate in rates]
        rows = np.concatenate([base[None], *(rows for rows, _ in reached)])
        flow = limits_of_flow(witness.smooth_loss, rows, witness.derivation.codimension, tolerance=ACCURACY)
        if not flow.reached.all():
            raise FlowDidNotConverge(flow.reasons[int(np.argmin(flow.reached))])
        moved = (flow.points[1:] - flow.points[0]).reshape(LEVELS, -1, d)
        weights, scale = reached[0][1], self.steps * rates**2
        means = np.einsum("k,lkd->ld", weights, moved) / scale[:, None]
        spread = np.einsum("k,lkd,lke->lde", weights, moved, moved) / scale[:, None, None]
        return [extrapolate(means, 1), extrapolate(spread.reshape(LEVELS, -1), 1)]

    def _followed(self, witness: Witness, base: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
        """Where every sequence of outcomes leads (rows), and its probability."""
        d = witness.derivation.problem.dimension
        probabilities = np.array([float(p) for p in witness.law.probabilities])
        rows, weights = base[None], np.ones(1)
        for _ in range(self.steps):
            noise = _steps(witness, rows).transpose(0, 2, 1)  # B×K×D
            slope = witness.smooth_loss.gradient(rows)[:, None, :]
            after = np.repeat(rows[:, None], len(probabilities), axis=1)
            after[:, :, :d] -= rate * (slope + noise)
            rows = after.reshape(-1, rows.shape[1])
            weights = (weights[:, None] * probabilities).ravel()
        return rows, weights


SIZES = ("tangent_noise_compensation", "mixed_regularization", "normal_regularization")


def _steps(witness: Witness, rows: np.ndarray) -> np.ndarray:
    """The outcomes s_k at rows of points, B×D×K."""
    problem = witness.derivation.problem
    return evaluate(witness.law.program, problem.symbols, rows)["steps"].reshape(len(rows), problem.dimension, -1)


def _inaccuracy(seen: list[tuple[np.ndarray, float]], scales: tuple[float, float]) -> float:
    return max(accuracy / scale for (_, accuracy), scale in zip(seen, scales, strict=True))


def _compare(name: str, predicted: np.ndarray, seen: tuple[np.ndarray, float], scale: float) -> Check:
    observed, accuracy = seen
    error = float(np.abs(predicted - observed).max() / scale)
    detail = f"relative to {scale:.3g}; the observation is accurate to {accuracy / scale:.1e}"
    outcome = verdict(error, accuracy / scale, TOLERANCE)
    return Check(name, predicted.tolist(), observed.tolist(), error, TOLERANCE, outcome, detail)
