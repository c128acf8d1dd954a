"""SGD against the limiting SDE: ensembles at three learning rates, extrapolated to η → 0, with the test's error and power.

At a fixed η the ensemble differs from its limit by a bias O(η), which many replicas make significant although every
formula is right. So E f(x_{T/η²}) is simulated at η, η/2, η/4, and the limit η → 0 is compared with the SDE. Where the
averages do not yet follow an expansion in η (SGD leaves the neighbourhood of Γ now and then, say), η is divided by four.
The three learning rates share their random numbers, each with its law exactly: the variance of the extrapolated means is
1.25 to 2.06 times smaller than by independent ones (five problems of the gallery).
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np
import sympy as sp
from scipy.special import ndtri

from symbolic_sgd.checks.certificate import Check, undecided
from symbolic_sgd.checks.fluctuations import Fluctuations
from symbolic_sgd.checks.fresh_points import Point, floats
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import BadInput, Diverged, Undecided
from symbolic_sgd.simulate.arguments import count, positive
from symbolic_sgd.simulate.limit import WeakOrderTwo
from symbolic_sgd.simulate.recording import Recording
from symbolic_sgd.simulate.run import simulated
from symbolic_sgd.simulate.sgd import TrueLaw
from symbolic_sgd.simulate.stability import sample_curvature
from symbolic_sgd.simulate.steps import Coupled, Stepper
from symbolic_sgd.theorem.derivation import Derivation

LEVELS = (1, 2, 4)
"""η is divided by these."""

ORDERS = np.array([[0, 0, 1], [0, -1, 2], [1 / 3, -2, 8 / 3]])
"""The value at η = 0 of the constant, the line and the parabola through the last one, two, three of the values."""

SHRINKING = 0.25
"""From constant to line to parabola the corrections shrink by this factor, or η is too large for an expansion."""

NOISE = 4.0
"""Standard errors up to which a correction may be chance."""

RESTORING = 1 / 3
"""Three standard deviations off Γ, ∇L still pulls back with so much of the force that ∇²L gives: else SGD escapes."""

MOST_STEPS = 2**19
"""Steps of SGD at the smallest learning rate that are made at most: more would take an hour."""

MOST_REPLICAS = 2**26
"""Whose positions fit into memory."""

ATTEMPTS = 3
"""So many learning rates are tried, each a quarter of the one before."""

SETTLED = 12.0
"""SGD relaxes to Γ like exp(−λ_min k η): so many times over by the end, or its remainder has no expansion in η."""

POWER = 0.9
"""Probability with which an effect of the size that is reported would have been seen."""


@dataclass(frozen=True)
class Observed:
    """Means of F test functions from SGD at η, η/2, η/4, from x at time T.

    Args:
        start: x.
        values: of the constants.
        time: T.
        rate: η.
        means: 3×F.
        covariances: of the three means of each test function, F×3×3: they share their random numbers.
    """

    start: np.ndarray
    values: Mapping[sp.Symbol, Fraction]
    time: float
    rate: float
    means: np.ndarray
    covariances: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Extrapolated to η = 0."""
        return ORDERS[-1] @ self.means

    @property
    def error(self) -> np.ndarray:
        """The standard error of `mean`."""
        return self._errors(ORDERS[-1:])[0]

    @property
    def errors(self) -> np.ndarray:
        """The standard errors of `means`, 3×F."""
        return self._errors(np.eye(len(LEVELS)))

    @property
    def remainder(self) -> np.ndarray:
        """What the next correction of the extrapolation may be: smaller than the last one (with two of its standard errors) by
        the factor by which that is smaller than the first, which is `SHRINKING` at most."""
        sizes, noise = self._corrections
        last = sizes[-1] + 2 / NOISE * noise[-1]
        return last * np.minimum(SHRINKING, last / np.maximum(sizes[0], self.rounding))

    @property
    def converges(self) -> bool:
        """Whether the corrections shrink as those of an expansion in η do."""
        first, noise = self._corrections[0][0], self._corrections[1][0]
        return bool(np.all(self._significant <= SHRINKING * (first + noise)))

    @property
    def _significant(self) -> np.ndarray:
        sizes, noise = self._corrections
        return np.maximum(sizes[-1] - noise[-1], 0.0)

    @property
    def _corrections(self) -> tuple[np.ndarray, np.ndarray]:
        steps = np.diff(ORDERS, axis=0)
        return np.abs(steps @ self.means), NOISE * self._errors(steps) + self.rounding

    @property
    def rounding(self) -> float:
        """What does not move at all is compared to nine digits."""
        return 1e-9 * (1 + float(np.abs(self.start).max()))

    def _errors(self, weights: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(np.einsum("kl,flm,km->kf", weights, self.covariances, weights), 0.0))


@dataclass(frozen=True)
class Ensembles:
    """E x_i and E(x_i − x_i(0))² at time T, for every coordinate: z-tests, corrected for their number (Bonferroni).

    Args:
        alpha: probability with which right formulas fail this method.
        replicas: of SGD at all three learning rates, on common random numbers, and of the limit.
        stiffness: the largest η, relative to the stability bound of single samples; divided by 4 where it has to be.
        steps: steps at the largest η, at least.
        cells: steps of the SDE in time T.

    Raises:
        BadInput: a number that makes no sense.

    >>> Ensembles(alpha=1e-4).replicas
    65536
    """

    alpha: float = 1e-3
    replicas: int = 2**16
    stiffness: float = 0.1
    steps: int = 64
    cells: int = 24
    name: ClassVar[str] = "ensembles of SGD, extrapolated to η → 0"

    def __post_init__(self) -> None:
        for name in ("replicas", "steps", "cells"):
            count(getattr(self, name), name)
        if not 2 <= self.replicas <= MOST_REPLICAS:
            raise BadInput(f"replicas is {self.replicas}; give 2 to {MOST_REPLICAS:,}")
        if not (0 < positive(self.alpha, "alpha") < 1 and positive(self.stiffness, "stiffness") < 1):
            raise BadInput(f"alpha is {self.alpha} and stiffness {self.stiffness}; both have to be below 1")

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        try:
            seen = self.observe(witness, witness.points[0], rng)
        except Diverged as reason:
            return [undecided("ensemble of SGD", 0.0, str(reason))]
        except Undecided as reason:
            return [replace(undecided("ensemble of SGD", 0.0, str(reason)), verdict="not run")]
        return self.judge(witness.derivation, seen, rng)

    def observe(self, witness: Witness, point: Point, rng: np.random.Generator) -> Observed:
        """Nature's side: SGD by its true law from a point of Γ, at the first learning rates that are small enough."""
        for attempt in range(ATTEMPTS - 1):
            with suppress(Diverged):
                seen = self._sampled(witness, point, self.stiffness / 4**attempt, rng)
                if seen.converges:
                    return seen
        return self._sampled(witness, point, self.stiffness / 4 ** (ATTEMPTS - 1), rng)

    def _sampled(self, witness: Witness, point: Point, stiffness: float, rng: np.random.Generator) -> Observed:
        problem = witness.derivation.problem
        start = floats(problem.parameters, point)
        values = {s: Fraction(float(point[s])) for s in problem.constants}
        rate, steps = self.horizon(witness, point, stiffness)
        finest = LEVELS[-1]
        rules = tuple(
            (TrueLaw().descent(problem, Fraction(rate) / level, values), (finest // level) ** 2) for level in LEVELS
        )
        final = _final(Coupled(rules), np.tile(start, len(LEVELS)), steps * finest**2, self.replicas, rng)
        functions = _functions(final.reshape(self.replicas, len(LEVELS), -1), start)
        covariances = np.array([np.cov(f, rowvar=False) for f in np.moveaxis(functions, -1, 0)]) / self.replicas
        return Observed(start, values, steps * rate**2, rate, functions.mean(axis=0), covariances)

    def horizon(self, witness: Witness, point: Point, stiffness: float) -> tuple[float, int]:
        """A learning rate at which SGD is stable and stays near Γ, and for how many steps.

        Raises:
            Undecided: SGD relaxes to Γ too slowly for an ensemble.
        """
        problem, rank = witness.derivation.problem, witness.derivation.codimension
        row = floats(problem.symbols, point)
        values = {s: Fraction(float(point[s])) for s in problem.constants}
        largest = sample_curvature(TrueLaw().descent(problem, Fraction(1), values), 1.0, row[None, : problem.dimension])
        rate = 2 * stiffness / largest if largest > 0 else np.inf
        if not 0 < rate * rate < np.inf:
            raise Undecided(
                f"the largest curvature of a single sample is {largest:.1e}: its SGD leaves the range of float64"
            )
        fluctuations = Fluctuations.at(witness.smooth_loss, row, witness.noise_factor(point), rank)
        while fluctuations.restoring(rate) < RESTORING:
            rate /= 2
        relaxation = rate * fluctuations.slowest
        if not relaxation > 0:
            raise Undecided(
                "at no learning rate of float64 does SGD stay near Γ: its noise or its curvatures leave that range"
            )
        steps = max(float(self.steps), np.ceil(SETTLED / relaxation))
        if steps * LEVELS[-1] ** 2 > MOST_STEPS:
            raise Undecided(
                f"SGD at η = {rate / LEVELS[-1]:.1e} would need {steps * LEVELS[-1] ** 2:.1e} steps to relax to Γ, and at most "
                f"{MOST_STEPS:,} are made: single samples are too steep beside the flattest direction across Γ"
            )
        return rate, int(steps)

    def judge(self, derivation: Derivation, seen: Observed, rng: np.random.Generator) -> list[Check]:
        """Theory's side, the limiting SDE from the same point to the same time, and the tests."""
        if not seen.converges:
            reason = (
                f"from η = {seen.rate:.3g} down to a quarter of it the averages of SGD follow no expansion in η yet: "
                "a smaller `stiffness` would have to be tried"
            )
            return [undecided("ensemble of SGD", 0.0, reason)]
        stepper = WeakOrderTwo().stepper(derivation, seen.time / self.cells, seen.values)
        still = stepper.noise is None
        try:
            limit = _functions(_final(stepper, seen.start, self.cells, 2 if still else self.replicas, rng), seen.start)
        except Diverged as reason:
            return [undecided("ensemble of the limit", 0.0, str(reason))]
        predicted = limit.mean(axis=0)
        error = np.hypot(seen.error, 0 if still else limit.std(axis=0, ddof=1) / np.sqrt(len(limit)))
        error = np.maximum(error, seen.rounding)
        threshold = -float(ndtri(self.alpha / (2 * len(error))))
        names = [s.name for s in derivation.problem.parameters]
        tests = [f"E {n}" for n in names] + [f"E({n} − {n}(0))²" for n in names]
        return [
            self._check(test, seen, theory, nature, spread, rest, threshold)
            for test, theory, nature, spread, rest in zip(
                tests, predicted, seen.mean, error, seen.remainder, strict=True
            )
        ]

    def _check(
        self,
        test: str,
        seen: Observed,
        predicted: float,
        observed: float,
        error: float,
        remainder: float,
        threshold: float,
    ) -> Check:
        z = max(abs(observed - predicted) - remainder, 0.0) / error
        visible = (threshold + ndtri(POWER)) * error + 2 * remainder
        detail = (
            f"T = {seen.time:.3g}, η = {seen.rate:.3g} and its half and quarter; predicted {predicted:.6g}, observed "
            f"{observed:.6g} ± {error:.1e} by chance ± {remainder:.1e} by extrapolation; α = {self.alpha:g} for all these "
            f"tests together; an effect of {visible:.1e} would have been seen with probability {POWER}"
        )
        verdict = "consistent" if z <= threshold else "failed"
        return Check(f"ensemble: {test}", float(predicted), float(observed), float(z), threshold, verdict, detail)


def _final(stepper: Stepper, start: np.ndarray, steps: int, replicas: int, rng: np.random.Generator) -> np.ndarray:
    """x after so many steps, replicas×D."""
    return simulated(
        stepper, np.tile(start, (replicas, 1)), [steps], np.array([float(steps)]), Recording(rng=rng)
    ).final


def _functions(x: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The test functions, x and (x − x(0))², (…, 2D)."""
    return np.concatenate([x, (x - start) ** 2], axis=-1)
