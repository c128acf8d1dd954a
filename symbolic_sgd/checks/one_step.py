"""One exact step of SGD from a point of Γ: the drift and the diffusion as finite differences of nature.

From x ∈ Γ the gradient vanishes, so x⁺ = x − η s with s drawn by the noise's law, and
(E[Φ(x⁺)] − x)/η² = ½∂²Φ[Σ] + O(η). Steps with parts of the noise show each term of the drift by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.checks.by_sympy import DIGITS
from symbolic_sgd.checks.certificate import Check, undecided
from symbolic_sgd.checks.exact_steps import Steps, covariance, natural_sizes
from symbolic_sgd.checks.fresh_points import Point
from symbolic_sgd.checks.observation import inaccuracy, measured
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import FlowDidNotConverge
from symbolic_sgd.flow.numerics.far_apart import far_limit
from symbolic_sgd.regular_point import are_far_apart

TOLERANCE = 1e-7

LEAST = 1e-6
"""The M-th curvature beside the largest below which the flow is followed to many digits: its limit errs by 10⁻¹⁵ over it."""

FAR_DIGITS = 24
"""Of the flow where curvatures are far apart."""

PREDICTED: tuple[tuple[str, str, Callable[[dict[str, np.ndarray]], np.ndarray]], ...] = (
    ("drift", "drift", lambda d: d["σ"]),
    ("tangent-noise compensation", "tangent_noise_compensation", lambda d: d["Pσ"]),
    ("mixed regularization", "mixed_regularization", lambda d: (d["σ"] - d["(P−Q)σ"]) / 2),
    ("normal regularization", "normal_regularization", lambda d: d["Qσ"]),
)
"""(name, term, how its value follows from the steps with σ, Pσ, Qσ and (P − Q)σ)."""


@dataclass(frozen=True)
class OneStep:
    """The drift, each of its terms, and the diffusion, at every point of the witness."""

    name: ClassVar[str] = "one exact step of SGD"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        checks = []
        for number, point in enumerate(witness.points, start=1):
            checks.extend(_at(witness, point, f"at point {number}"))
        return checks


def _at(witness: Witness, point: Point, where: str) -> list[Check]:
    names = [f"one step: {name} {where}" for name, _, _ in PREDICTED]
    terms = witness.terms(point)
    size, diffusion_size = natural_sizes(witness, point, [terms[term] for _, term, _ in PREDICTED])
    step = Steps(witness, point)
    step = _FarStep(witness, point) if _is_far_apart(step) else step
    noises = _parts(step.outcomes, witness.tangent(point))
    try:
        *drifts, diffusion = step.observed(list(noises.values()), size, diffusion_size, TOLERANCE)
    except FlowDidNotConverge as failure:
        return [undecided(name, TOLERANCE, str(failure)) for name in names]
    accuracy = inaccuracy([*drifts, diffusion], [*(size for _ in drifts), diffusion_size])
    seen = dict(zip(noises, (drift for drift, _ in drifts), strict=True))
    return [
        *(
            measured(name, terms[term].ravel(), observed(seen), size, accuracy, TOLERANCE)
            for name, (_, term, observed) in zip(names, PREDICTED, strict=True)
        ),
        measured(
            f"one step: diffusion {where}",
            covariance(terms["tangent_noise"]),
            diffusion[0],
            diffusion_size,
            accuracy,
            TOLERANCE,
        ),
    ]


def _parts(steps: np.ndarray, tangent: np.ndarray) -> dict[str, np.ndarray]:
    """The outcomes of a step (K×D), and their parts along and across Γ."""
    along = steps @ tangent @ tangent.T
    across = steps - along
    return {"σ": steps, "Pσ": along, "Qσ": across, "(P−Q)σ": along - across}


def _is_far_apart(step: Steps) -> bool:
    """Whether float64 follows the flow with too few digits."""
    curvature = np.linalg.eigvalsh(step.loss.hessian(step.rows(step.base[None, :])))
    return bool(are_far_apart(curvature, step.rank, least=LEAST)[0])


class _FarStep(Steps):
    """The same where curvatures are far apart: to many digits, so that displacements may be tiny, and few."""

    levels = 3
    reaches = (1e-5, 1e-4)

    def __init__(self, witness: Witness, point: Point):
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
