"""SGD against the limiting SDE: ensembles at three learning rates, extrapolated to η → 0, with the test's error and power.

At a fixed η the ensemble differs from its limit by a bias O(η), which many replicas make significant although every
formula is right. So E f(x_{T/η²}) is simulated at η, η/2, η/4, and the limit η → 0 is compared with the SDE.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import sympy as sp
from scipy.stats import norm

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.derive.derivation import Derivation
from symbolic_sgd.errors import Diverged
from symbolic_sgd.processes.limit import WeakOrderTwo
from symbolic_sgd.processes.sgd import TrueLaw
from symbolic_sgd.processes.stability import curvatures
from symbolic_sgd.simulate.run import simulated
from symbolic_sgd.simulate.steps import Stepper
from symbolic_sgd.verify.certificate import Check
from symbolic_sgd.verify.witness import Witness

LEVELS = (1, 2, 4)
"""η is divided by these."""

WEIGHTS = (1 / 3, -2.0, 8 / 3)
"""The value at 0 of the parabola through the values at η, η/2, η/4."""

SHARES = (0.25, 1.0, 0.75)
"""Replicas at each level, in units of the largest number: in proportion to |weight|/√cost."""

SETTLED = 12.0
"""SGD relaxes to Γ like exp(−λ_min k η): so many times over by the end, or its remainder has no expansion in η."""

POWER = 0.9
"""Probability with which an effect of the size that is reported would have been seen."""


@dataclass(frozen=True)
class Observed:
    """Means of the test functions with their standard errors: extrapolated from SGD, from x at time T."""

    start: np.ndarray
    values: Mapping[sp.Symbol, Fraction]
    time: float
    rate: float
    mean: np.ndarray
    error: np.ndarray
    levels: tuple[tuple[np.ndarray, np.ndarray], ...]


@dataclass(frozen=True)
class Ensembles:
    """E x_i and E(x_i − x_i(0))² at time T, for every coordinate: z-tests, corrected for their number (Bonferroni).

    Args:
        alpha: probability with which right formulas fail this method.
        replicas: at the level with the most.
        stiffness: the largest η, relative to the stability bound of single samples.
        steps: steps at the largest η, at least.
        cells: steps of the SDE in time T.
    """

    alpha: float = 1e-3
    replicas: int = 2**16
    stiffness: float = 0.1
    steps: int = 64
    cells: int = 24
    name: ClassVar[str] = "ensembles of SGD, extrapolated to η → 0"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        try:
            seen = self.observe(witness, witness.points[0], rng)
        except Diverged as reason:
            return [Check("ensemble of SGD", None, None, float("nan"), 0.0, "undecided", str(reason))]
        return self.judge(witness.derivation, seen, rng)

    def observe(self, witness: Witness, point: Mapping[sp.Symbol, PreciseNumber], rng: np.random.Generator) -> Observed:
        """Nature's side: SGD by its true law from a point of Γ."""
        problem = witness.derivation.problem
        start = np.array([float(point[s]) for s in problem.parameters])
        values = {s: Fraction(float(point[s])) for s in problem.constants}
        rate, steps = self._horizon(witness, start, values)
        levels = []
        for divisor, share in zip(LEVELS, SHARES, strict=True):
            descent = TrueLaw().descent(problem, Fraction(rate) / divisor, values)
            levels.append(_means(descent, start, steps * divisor**2, int(share * self.replicas), rng))
        mean = sum(w * m for w, (m, _) in zip(WEIGHTS, levels, strict=True))
        error = np.sqrt(sum((w * e) ** 2 for w, (_, e) in zip(WEIGHTS, levels, strict=True)))
        return Observed(start, values, steps * rate**2, rate, np.asarray(mean), error, tuple(levels))

    def _horizon(self, witness: Witness, start: np.ndarray, values: Mapping[sp.Symbol, Fraction]) -> tuple[float, int]:
        problem, rank = witness.derivation.problem, witness.derivation.codimension
        largest = curvatures(TrueLaw().descent(problem, Fraction(1), values), 1.0, start[None])
        row = np.concatenate([start, [float(a) for a in values.values()]])
        slowest = float(np.linalg.eigvalsh(witness.smooth_loss.hessian(row[None])[0])[-rank])
        rate = 2 * self.stiffness / max(largest.sample, largest.mean)
        return rate, max(self.steps, int(np.ceil(SETTLED / (rate * slowest))))

    def judge(self, derivation: Derivation, seen: Observed, rng: np.random.Generator) -> list[Check]:
        """Theory's side, the limiting SDE from the same point to the same time, and the tests."""
        stepper = WeakOrderTwo().stepper(derivation, seen.time / self.cells, seen.values)
        still = stepper.noise is None
        try:
            predicted, own = _means(stepper, seen.start, self.cells, 2 if still else self.replicas, rng)
        except Diverged as reason:
            return [Check("ensemble of the limit", None, None, float("nan"), 0.0, "undecided", str(reason))]
        error = np.hypot(seen.error, 0 if still else own)
        scale = 1e-9 * (1 + np.abs(seen.start).max())
        error = np.maximum(error, scale)  # what does not move at all is compared to nine digits
        threshold = float(norm.isf(self.alpha / (2 * len(error))))
        names = [s.name for s in derivation.problem.parameters]
        tests = [f"E {n}" for n in names] + [f"E({n} − {n}(0))²" for n in names]
        return [
            self._check(test, seen, theory, nature, spread, threshold)
            for test, theory, nature, spread in zip(tests, predicted, seen.mean, error, strict=True)
        ]

    def _check(
        self, test: str, seen: Observed, predicted: float, observed: float, error: float, threshold: float
    ) -> Check:
        z = abs(observed - predicted) / error
        visible = (threshold + norm.ppf(POWER)) * error
        detail = (
            f"T = {seen.time:.3g}, η = {seen.rate:.3g} and its half and quarter; predicted {predicted:.6g}, observed "
            f"{observed:.6g} ± {error:.1e}; α = {self.alpha:g} for all these tests together; an effect of {visible:.1e} would "
            f"have been seen with probability {POWER}"
        )
        verdict = "consistent" if z <= threshold else "failed"
        return Check(f"ensemble: {test}", float(predicted), float(observed), float(z), threshold, verdict, detail)


def _means(
    stepper: Stepper, start: np.ndarray, steps: int, replicas: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Means of x and (x − x(0))² after so many steps, and their standard errors."""
    seed = np.random.SeedSequence(int.from_bytes(rng.bytes(16), "little"))
    run: Any = simulated(stepper, np.tile(start, (replicas, 1)), [steps], np.array([float(steps)]), seed)
    functions = np.concatenate([run.final, (run.final - start) ** 2], axis=1)
    return functions.mean(axis=0), functions.std(axis=0, ddof=1) / np.sqrt(replicas)
