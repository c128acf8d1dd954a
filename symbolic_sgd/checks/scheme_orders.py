"""The schemes that follow the limiting SDE: what they do in one step on average, and to which order in h that is right.

A scheme replaces the semigroup e^{hL} of the SDE by an operator T_h on functions f. It is consistent where (T_h f − f)/h → Lf
with Lf = b·∇f + ½ Σ_∥:∇²f, and of weak order 2 where also T_h f = T_{h/2}T_{h/2} f + O(h³): their difference is
¼h²(A₂ − L²)f for T_h = 1 + hL + ½h²A₂ + …. Both are seen at test functions x_i and x_i x_j without chance: normal
increments are replaced by finitely many with the same moments to order 5, which is all that these powers of h depend on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import combinations
from typing import ClassVar

import numpy as np

from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.checks.certificate import Check, not_run, undecided
from symbolic_sgd.checks.fresh_points import Point, floats
from symbolic_sgd.checks.observation import Observation, extrapolate, measured, most_accurate
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import Diverged
from symbolic_sgd.numeric.random_step import sde_step
from symbolic_sgd.simulate.arguments import count
from symbolic_sgd.simulate.increments import FairSignAndNormals
from symbolic_sgd.simulate.limit import Scheme, WeakOrderOne, WeakOrderTwo
from symbolic_sgd.theorem.derivation import Derivation

TOLERANCES = (1e-7, 1e-5)
"""Error of the generator, relative to the rate at which test functions change; of ¼(A₂ − L²)f, relative to its square."""

SLOW = 1e-4
"""A motion along Γ slower than this beside that of free noise Σ is compared on that scale."""

SILENT = 1e-6
"""So is noise on Γ that is weaker than this beside the noise around Γ."""

LEVELS = 6
"""h is halved so often."""

REACHES = (0.3, 0.1, 0.03)
"""Longest moves of the first step, relative to the length over which ∇²L changes, tried until the result is accurate enough."""


@dataclass(frozen=True)
class Transition:
    """One step of length h with finitely many outcomes.

    Args:
        outcomes: increments, one column each.
        probabilities: of the columns; a weight may be negative, where the moments of more than four normals need it.
        move: x (D×R), increments (K×R) → x after the step.
    """

    outcomes: np.ndarray
    probabilities: np.ndarray
    move: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def after(self, x: np.ndarray) -> np.ndarray:
        """Every column of x after every outcome, D×(R·K), the outcomes of a column side by side."""
        columns = len(self.probabilities)
        return self.move(np.repeat(x, columns, axis=1), np.tile(self.outcomes, (1, x.shape[1])))


Steps = Callable[[float], Transition]
"""h → the step of this length."""


def _by_scheme(scheme: Scheme) -> Callable[[Derivation, np.ndarray], Steps]:
    def steps(derivation: Derivation, row: np.ndarray) -> Steps:
        problem = derivation.problem
        values = {s: Fraction(a) for s, a in zip(problem.constants, row[problem.dimension :].tolist(), strict=True)}
        stepper = scheme.stepper(derivation, 1.0, values)
        signed = isinstance(stepper.increments, FairSignAndNormals)
        outcomes, probabilities = normal_moments(stepper.increments.rows - signed)
        if signed:
            outcomes, probabilities = _with_sign(outcomes), np.tile(probabilities / 2, 2)

        def move(x: np.ndarray, a: np.ndarray, h: float) -> np.ndarray:
            replace(stepper, step=h).bind(x.shape[1])(x, a)
            return x

        return lambda h: Transition(outcomes, probabilities, partial(move, h=h))

    return steps


def _with_sign(outcomes: np.ndarray) -> np.ndarray:
    """A row of signs above: each outcome with + and with −."""
    count = outcomes.shape[1]
    return np.concatenate([np.repeat([[1.0, -1.0]], count, axis=1), np.tile(outcomes, (1, 2))])


def _compiled(derivation: Derivation, row: np.ndarray) -> Steps:
    step, constants = sde_step(derivation), row[derivation.problem.dimension :]
    outcomes, probabilities = normal_moments(len(step.normals))

    def move(x: np.ndarray, a: np.ndarray, h: float) -> np.ndarray:
        fixed = np.concatenate([[h, np.sqrt(h)], constants])
        rows = np.concatenate([x.T, np.tile(fixed, (x.shape[1], 1)), a.T], axis=1)
        return evaluate(step.program, (*step.state, *step.parameters, *step.normals), rows)["step"].T

    return lambda h: Transition(outcomes, probabilities, partial(move, h=h))


SCHEMES: tuple[tuple[str, int, Callable[[Derivation, np.ndarray], Steps]], ...] = (
    ("Euler and Maruyama", 1, _by_scheme(WeakOrderOne())),
    ("Euler and Maruyama, compiled", 1, _compiled),
    ("Ninomiya and Victoir", 2, _by_scheme(WeakOrderTwo())),
)
"""(name, weak order, its steps at the constants of a row)."""


def normal_moments(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (size×K) and weights with the moments of independent standard normal numbers to order 5, K = 2·size² + 1.

    Source: Stroud, Approximate Calculation of Multiple Integrals (1971), formula E_n^{r²}: 5-2.

    >>> points, weights = normal_moments(3)
    >>> [round(float(weights @ (points[0] ** k * points[1] ** m)), 12) for k, m in ((2, 0), (4, 0), (2, 2), (3, 2))]
    [1.0, 3.0, 1.0, 0.0]
    """
    axes = np.sqrt(size + 2) * np.eye(size)
    pairs = [
        (a * axes[i] + b * axes[j]) / np.sqrt(2)
        for i, j in combinations(range(size), 2)
        for a in (1, -1)
        for b in (1, -1)
    ]
    points = np.concatenate([np.zeros((1, size)), axes, -axes, np.array(pairs).reshape(len(pairs), size)])
    weights = [2 / (size + 2), *[(4 - size) / (2 * (size + 2) ** 2)] * (2 * size), *[1 / (size + 2) ** 2] * len(pairs)]
    return points.T, np.array(weights)


@dataclass(frozen=True)
class _Place:
    """A point of Γ, and what the generator of the SDE does to the test functions y_i and y_i y_j, y = (x − x₀)/ℓ, there.

    Args:
        derivation: whose schemes are looked at.
        row: x₀, then the constants.
        length: ℓ, over which ∇²L changes.
        generator: Lf = (b/ℓ, Σ_∥/ℓ²), by the literal theorem.
        rate: how fast the test functions change, or, where that is only rounding, how little would be noticed.
    """

    derivation: Derivation
    row: np.ndarray
    length: float
    generator: np.ndarray
    rate: float

    @staticmethod
    def of(witness: Witness, point: Point) -> "_Place":
        row = floats(witness.derivation.problem.symbols, point)
        terms, length = witness.literal.float_terms(row), witness.length(row)
        covariance = terms.tangent_noise @ terms.tangent_noise.T
        parts = [terms.drift[:, 0] / length, covariance[np.triu_indices(len(covariance))] / length**2]
        noise = np.array([np.abs(witness.noise_factor(point)).max(), SILENT * witness.noise_size(point)])
        generator = np.concatenate(parts)
        rate = max(float(np.abs(generator).max()), SLOW * float(noise.max() / length) ** 2, np.finfo(float).tiny)
        return _Place(witness.derivation, row, length, generator, rate)

    def functions(self, x: np.ndarray) -> np.ndarray:
        """Test functions (F×R) at columns x (D×R)."""
        y = (x - self.row[: len(x), None]) / self.length
        first, second = np.triu_indices(len(x))
        return np.concatenate([y, y[first] * y[second]])

    def observed(self, steps: Steps, reach: float, order: int) -> list[tuple[np.ndarray, float]]:
        """(T_h f − f)/h, and (T_h f − T_{h/2}T_{h/2} f)/h², extrapolated to h = 0, each with its accuracy."""
        sources = len(steps(1.0).outcomes)
        start = self.row[: self.derivation.problem.dimension, None]
        generators, defects = [], []
        for h in reach**2 / (self.rate * (sources + 2)) / 2.0 ** np.arange(LEVELS):
            whole = steps(float(h))
            once = self.functions(whole.after(start)) @ whole.probabilities
            generators.append(once / h)
            if order > 1:
                half = steps(float(h) / 2)
                twice = self.functions(half.after(half.after(start)))
                defects.append((once - twice @ np.outer(half.probabilities, half.probabilities).ravel()) / h**2)
        return [extrapolate(values, 1) for values in (generators, defects) if values]


@dataclass(frozen=True)
class SchemeOrders:
    """Consistency of every scheme, and the second order of the one that claims it, at every point of the witness.

    Args:
        outcomes: of one step, or of two where the second order is looked at, that are followed at most.
    """

    outcomes: int = 50_000
    name: ClassVar[str] = "weak orders of the schemes for the limit"

    def __post_init__(self) -> None:
        count(self.outcomes, "outcomes")

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        checks = []
        for number, point in enumerate(witness.points, start=1):
            place = _Place.of(witness, point)
            for name, order, maker in SCHEMES:
                steps = maker(place.derivation, place.row)
                checks.extend(self._at(place, f"at point {number}", name, order, steps))
        return checks

    def _at(self, place: _Place, where: str, name: str, order: int, steps: Steps) -> list[Check]:
        names = [f"scheme of {name}: {what} {where}" for what in ("generator", "second order")][:order]
        followed = len(steps(1.0).probabilities) ** order
        if followed > self.outcomes:
            reason = f"{followed:,} outcomes have to be followed, more than {self.outcomes:,}"
            return [not_run(n, t, reason) for n, t in zip(names, TOLERANCES, strict=False)]
        scales = (place.rate, place.rate**2)[:order]
        beside_tolerance = [scale * t for scale, t in zip(scales, TOLERANCES, strict=False)]
        try:
            with np.errstate(all="ignore"):
                seen = most_accurate(lambda reach: place.observed(steps, reach, order), REACHES, beside_tolerance, 0.1)
        except Diverged as failure:
            return [undecided(n, t, str(failure)) for n, t in zip(names, TOLERANCES, strict=False)]
        predicted = (place.generator, np.zeros_like(place.generator))
        return [_compare(*parts) for parts in zip(names, predicted, seen, scales, TOLERANCES, strict=False)]


def _compare(name: str, predicted: np.ndarray, seen: Observation, scale: float, tolerance: float) -> Check:
    observed, accuracy = seen
    if not np.isfinite(observed).all():
        return Check(
            name, predicted.tolist(), None, float("inf"), tolerance, "failed", "a step does not lead to numbers"
        )
    return measured(name, predicted, observed, scale, accuracy / scale, tolerance)
