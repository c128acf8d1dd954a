"""The Stratonovich drift against b − ½ Σ_k (∂A_k)A_k with A = ∂Φ σ differentiated along Γ by differences of its values."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symbolic_sgd.algebra.arithmetic import PreciseMatrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.checks.by_sympy import DIGITS
from symbolic_sgd.checks.certificate import Check, not_run, undecided
from symbolic_sgd.checks.fresh_points import Point
from symbolic_sgd.checks.literal_road import compared, drift_size, size, sizes
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import ComplexValue, Undecided
from symbolic_sgd.theorem.stratonovich import stratonovich_program

TOLERANCE = 1e-20
"""Central differences of step 10⁻¹⁵ err by 10⁻³⁰, over the square of the length on which ∂Φ σ changes."""

SILENT = 1e-20
"""Columns of ∂Φ σ below this, relative to σ, are zero on Γ."""

MOST = 50_000
"""Columns times D³ up to which the differences are made (seconds)."""

NAMES = ("Stratonovich drift", "Stratonovich drift is tangent")


@dataclass(frozen=True)
class StratonovichRoad:
    """The drift in Stratonovich's sense at every random point, and that it is tangent to Γ."""

    name: ClassVar[str] = "the Stratonovich drift, by differences"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        return [
            check
            for number, point in enumerate(witness.points, start=1)
            for check in _at(witness, point, f"at point {number}")
        ]


def _at(witness: Witness, point: Point, where: str) -> list[Check]:
    names = [f"{name} {where}" for name in NAMES]
    d = witness.derivation.problem.dimension
    with mp.workdps(DIGITS):
        noise, extent = sizes(witness, point)
        diffusion = witness.literal.diffusion(point)
        moving = [k for k in range(diffusion.cols) if size(diffusion[:, k]) > SILENT * noise]
        if len(moving) * d**3 > MOST:
            reason = f"differences for {len(moving)} columns of noise in {d} dimensions would take long"
            return [not_run(name, TOLERANCE, reason) for name in names]
        try:
            literal = witness.literal.terms(point)
            turning = sum((_turning(witness, point, diffusion, k) for k in moving), mp.zeros(d, 1))
        except (Undecided, ComplexValue, ZeroDivisionError) as reason:
            return [undecided(name, TOLERANCE, str(reason)) for name in names]
        observed = literal.drift - turning / 2
        predicted = witness.precise(stratonovich_program(witness.derivation), point)["stratonovich_drift"]
        across = predicted - literal.tangent_projection @ predicted
        scale = max(drift_size(literal, noise, extent), size(turning))
        where = f"relative to {float(scale):.3g}"
        return [
            compared(names[0], predicted, observed, scale, TOLERANCE, where),
            compared(names[1], across, 0 * across, scale, TOLERANCE, where),
        ]


def _turning(witness: Witness, point: Point, diffusion: PreciseMatrix, k: int) -> PreciseMatrix:
    """(∂A_k)A_k."""
    column = diffusion[:, k]
    return witness.literal.along(point, column, lambda x: witness.literal.diffusion(x)[:, k])
