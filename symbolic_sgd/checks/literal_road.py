"""Every term against the theorem's own words, at random points of Γ and at points far away, on every part of Γ found.

The random points lie near those that the derivation has looked at; a term that vanishes there, or a factor that is constant
there, need not do so elsewhere. Formulas have to be right wherever the callables give numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symbolic_sgd.algebra.arithmetic import PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.checks.by_sympy import DIGITS
from symbolic_sgd.checks.certificate import Check
from symbolic_sgd.checks.fresh_points import Point, shown
from symbolic_sgd.checks.literal import LiteralTerms
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import ComplexValue
from symbolic_sgd.theorem.terms import THEOREM, own_terms

TOLERANCE = 1e-30

SCALES: Mapping[str, Callable[[LiteralTerms, PreciseNumber, PreciseNumber], PreciseNumber]] = {
    "tangent_projection": lambda t, noise, extent: 1,
    "hessian_pinv": lambda t, noise, extent: size(t.hessian_pinv),
    "lyapunov_solution": lambda t, noise, extent: noise**2 * size(t.hessian_pinv),
    "tangent_noise": lambda t, noise, extent: noise,
}
"""The natural size of a term, from σ and 1 + |x|; that of the drift is the largest of its parts."""


@dataclass(frozen=True)
class LiteralRoad:
    """Each term, by eigenvectors and SymPy's derivatives, at every point that the callables accept."""

    name: ClassVar[str] = "the theorem, literally, near and far on Γ"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        points = (*witness.points, *witness.elsewhere)
        worst: dict[str, Check] = {}
        for point in points:
            for check in _at(witness, point, len(points)):
                before = worst.setdefault(check.name, check)
                if check.error > before.error or not np.isfinite(check.error):
                    worst[check.name] = check
        return list(worst.values())


def _at(witness: Witness, point: Point, count: int) -> list[Check]:
    where = f"the worst of {count} points of Γ, x = {shown(witness.derivation.problem.symbols, point)}"
    names = (*THEOREM, *(term.name for term in own_terms(witness.derivation.optimizer)))
    try:
        predicted, literal = witness.precise(witness.derivation.program, point), witness.literal.terms(point)
    except (ComplexValue, ZeroDivisionError) as error:
        reason = f"{where}, where a formula is no number although the callables accept it: {error}"
        return [Check(f"literal: {name}", None, None, float("inf"), TOLERANCE, "failed", reason) for name in names]
    with mp.workdps(DIGITS):
        noise, extent = sizes(witness, point)
        return [
            compared(
                f"literal: {name}",
                predicted[name],
                getattr(literal, name),
                SCALES.get(name, drift_size)(literal, noise, extent),
                TOLERANCE,
                where,
            )
            for name in names
        ]


def compared(
    name: str,
    predicted: PreciseMatrix,
    observed: PreciseMatrix,
    scale: PreciseNumber,
    tolerance: float,
    detail: str,
) -> Check:
    """Two matrices to many digits, entry by entry."""
    error = float(size(predicted - observed) / scale) if scale else 0.0
    outcome = "measured" if error <= tolerance else "failed"
    return Check(name, _numbers(predicted), _numbers(observed), error, tolerance, outcome, detail)


def _numbers(matrix: PreciseMatrix) -> list[float]:
    return [float(entry) for entry in matrix]


def sizes(witness: Witness, point: Point) -> tuple[PreciseNumber, PreciseNumber]:
    """The size of σ (which may vanish on Γ, but not around it) and 1 + |x|."""
    sigma = witness.precise(witness.stated.noise, point)["noise_factor"]
    extent = 1 + max(abs(point[s]) for s in witness.derivation.problem.parameters)
    return max(size(sigma), witness.noise_size(point) * mp.mpf("1e-20")), extent


def drift_size(terms: LiteralTerms, noise: PreciseNumber, extent: PreciseNumber) -> PreciseNumber:
    """The natural size of a drift."""
    parts = (
        terms.tangent_noise_compensation,
        terms.mixed_regularization,
        terms.normal_regularization,
        terms.imposed_drift,
        terms.noise_curvature_drift,
    )
    return max(*map(size, parts), noise**2 / extent)


def size(matrix: PreciseMatrix) -> PreciseNumber:
    """The largest entry."""
    return max((abs(entry) for entry in matrix), default=mp.mpf(0))
