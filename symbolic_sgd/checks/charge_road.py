"""Charges against the drift and the noise: ∇I·b + ½⟨∇²I, Σ_∥⟩ = (τ/2)⟨∇²I, Σ⟩ − ∇I·g and ∇Iᵀ∂Φσ = ∇Iᵀσ on Γ.

The right sides hold derivatives of I and σ alone, by SymPy: no ∂Φ, no ∇²L, nothing of third order. One scalar identity tests all terms of
the drift together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.charges.charge import Charge, find_charges
from symbolic_sgd.checks.by_sympy import DIGITS
from symbolic_sgd.checks.certificate import Check, not_run
from symbolic_sgd.checks.fresh_points import Point
from symbolic_sgd.checks.literal_road import compared, size, sizes
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import ComplexValue, NoCharges

TOLERANCE = 1e-30

SEARCHED = 12
"""Parameters up to which charges that belong to no linear symmetry are sought (a second or two)."""


@dataclass(frozen=True)
class ChargeRoad:
    """Each charge at every random point; what is reported is the worst of them."""

    name: ClassVar[str] = "charges, by derivatives of them and σ"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        derivation = witness.derivation
        try:
            charges = find_charges(derivation, further=derivation.problem.dimension <= SEARCHED)
        except NoCharges:
            return []
        return [check for charge in charges for check in _worst(witness, charge)]


def _worst(witness: Witness, charge: Charge) -> list[Check]:
    worst: dict[str, Check] = {}
    for number, point in enumerate(witness.points, start=1):
        try:
            checks = list(
                _at(witness, charge, point, f"the worst of {len(witness.points)} points of Γ, number {number}")
            )
        except (ComplexValue, ZeroDivisionError):
            continue  # ln|u| has no value there, and so I is no charge of this point
        for check in checks:
            before = worst.setdefault(check.name, check)
            if check.error > before.error or not np.isfinite(check.error):
                worst[check.name] = check
    return list(worst.values()) or [
        not_run(f"charge {charge.expression}", TOLERANCE, "it has no value at the points of Γ looked at")
    ]


def _at(witness: Witness, charge: Charge, point: Point, where: str) -> Iterator[Check]:
    derivation, name = witness.derivation, f"charge {charge.expression}"
    known = witness.precise(witness.stated.twice(charge.expression), point)
    terms = witness.precise(derivation.program.select("drift", "tangent_noise"), point)
    claimed = witness.precise(charge.program, point)
    sigma = witness.precise(witness.stated.noise, point)["noise_factor"]
    slow = witness.precise(_slow(witness), point)
    with mp.workdps(DIGITS):
        slope, bend = known["gradient"], known["hessian"]
        strength = slow["strength"][0]
        noise, extent = sizes(witness, point)
        moved = terms["tangent_noise"]
        left = slope.T * terms["drift"] + _paired(bend, moved) / 2
        right = strength * _paired(bend, sigma) / 2 - slope.T * slow["field"]
        scale = _scale(slope, bend, noise, extent, right)
        yield compared(f"{name}: drift", left, right, scale, TOLERANCE, where)
        yield compared(f"{name}: its own drift", claimed["drift"], right, scale, TOLERANCE, where)
        across = slope.T * moved, mp.sqrt(strength) * (slope.T * sigma)
        yield compared(f"{name}: noise", *_covariances(*across), (size(slope) * noise) ** 2, TOLERANCE, where)
        law = _law(charge)
        if law is not None:
            yield compared(f"{name}: law", witness.precise(law, point)["law"], right, scale, TOLERANCE, where)


def _paired(bend: PreciseMatrix, factor: PreciseMatrix) -> PreciseMatrix:
    """⟨∇²I, FFᵀ⟩, 1×1."""
    columns = (factor[:, k].T * bend * factor[:, k] for k in range(factor.cols))
    return reduce(lambda a, b: a + b, columns, mp.zeros(1, 1))


def _covariances(left: PreciseMatrix, right: PreciseMatrix) -> tuple[PreciseMatrix, PreciseMatrix]:
    """Both rows as they are where they have one length; else their squares, for factors of one covariance."""
    return (left, right) if left.cols == right.cols else (left * left.T, right * right.T)


def _scale(
    slope: PreciseMatrix, bend: PreciseMatrix, noise: PreciseNumber, extent: PreciseNumber, right: PreciseMatrix
) -> PreciseNumber:
    return max(size(right), (size(bend) + size(slope) / extent) * noise**2)


def _slow(witness: Witness) -> Program:
    """τ, and the sum of g over all drifts −∂Φg that are not the noise's own."""
    derivation, graph = witness.derivation, Graph()
    fields = derivation.optimizer.drift_fields(derivation.problem).values()
    total = [sp.Add(*entries) for entries in zip(*fields, strict=True)] or [sp.S.Zero] * derivation.problem.dimension
    strength = from_sympy(sp.sympify(derivation.optimizer.tangent_factor), graph)
    field = Matrix.column([from_sympy(e, graph) for e in total])
    return Program.of({"strength": Matrix.column([strength]), "field": field})


def _law(charge: Charge) -> Program | None:
    """The drift that the law says, as a function of x."""
    expression: Expression | None = charge.law.drift_at(charge.expression)
    if expression is None:
        return None
    return Program.of({"law": Matrix.column([from_sympy(expression, Graph())])})
