"""The regularizer: −∂Φ∇R against mixed + normal, or that there is none by a curl or an integral computed anew.

What it is compared with is the literal theorem, at points of Γ that the callables accept, on every part of Γ found. A
claim that there is no R stands or falls with the place where its evidence was found: the callables have to accept it.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.checks.by_sympy import DIGITS
from symbolic_sgd.checks.certificate import Check, not_run, undecided
from symbolic_sgd.checks.closed_curve import closed_curve
from symbolic_sgd.checks.fresh_points import Point, accepted, floats, shown
from symbolic_sgd.checks.literal_road import compared, drift_size, size, sizes
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import ComplexValue, ExpressionTooLarge, Undecided
from symbolic_sgd.regularizer.regularizer import Regularizer
from symbolic_sgd.simulate.arguments import count
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.response import ReshuffledResponse

TOLERANCE = 1e-25
"""Of −∂Φ∇R, relative to mixed + normal regularization and ∇R."""

AGREED = 1e-6
"""How far a claimed curl or integral may be from the literal one, relative to the size of what it is made of."""

CLEAR = 1e-8
"""An integral, relative to ∮|b||dY|, below which the literal road in float64 does not tell it from zero."""

ABSENT = 1e-15
"""A curl, relative to the derivatives that it is made of, below which it is zero."""

NO_NUMBERS = (sp.oo, -sp.oo, sp.zoo, sp.nan, sp.I)
"""What an R that is real and finite does not hold."""

MOST = 100_000
"""The dimension of Γ times D³ up to which a curl is computed anew (seconds)."""


@dataclass(frozen=True)
class RegularizerRoad:
    """R, or that there is none.

    Args:
        operations: of mixed + normal regularization, up to which R is searched for where the structure of the noise does not
            give it at once (within seconds; larger ones may take minutes, and a limit of time would not decide alike on
            every machine).
    """

    operations: int = 400
    name: ClassVar[str] = "the regularizer, or what rules it out"

    def __post_init__(self) -> None:
        count(self.operations, "operations")

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        needed = _search_size(witness.derivation)
        if needed > self.operations:
            reason = (
                f"R would have to be searched for in formulas of {needed} operations, which may take minutes: "
                f"RegularizerRoad(operations={needed}) does it"
            )
            return [_not_run(reason)]
        try:
            claimed = witness.regularizer()
        except (Undecided, ExpressionTooLarge) as reason:
            return [_not_run(f"nothing is claimed: {reason}")]
        try:
            return [_none(witness, claimed) if claimed.expression is None else _gradient(witness, claimed.expression)]
        except Undecided as reason:
            return [undecided("regularizer", TOLERANCE, str(reason))]


def _search_size(derivation: Derivation) -> int:
    """Operations in which R is searched for; fewer where the structure of the noise gives it as a trace, or as a determinant of
    M rows."""
    operations = derivation.program.select(*derivation.regularizing).operations
    response = derivation.response
    by_trace = isinstance(response, ReshuffledResponse) and response.is_still and response.of_losses
    if derivation.proportion is not None or by_trace:
        return 0
    shares = {1: 0, 2: operations // 4} if derivation.isotropy is not None else {}
    return shares.get(derivation.codimension, operations)


def _not_run(reason: str) -> Check:
    return not_run("regularizer", TOLERANCE, reason)


def _gradient(witness: Witness, regularizer: Expression) -> Check:
    """−∂Φ∇R = mixed + normal, and the drift of the mean of a perturbed loss."""
    by_metric, symbols = "S_P" if witness.derivation.optimizer.in_metric else "", witness.derivation.problem.symbols
    beside = " + noise curvature drift" if witness.derivation.optimizer.curvature_regularizes else ""
    name = f"regularizer: −∂Φ{by_metric}∇R = mixed + normal{beside}"
    unknown = sorted(map(str, regularizer.free_symbols - set(symbols)))
    if unknown or regularizer.has(*NO_NUMBERS):
        reason = (
            f"R holds {', '.join(unknown)}, unknown to the problem" if unknown else "R is not real and finite anywhere"
        )
        return Check(name, None, None, float("inf"), TOLERANCE, "failed", reason)
    function, points = witness.stated.function(regularizer), (*witness.points, *witness.elsewhere)
    checks = []
    for point in points:
        where = f"the worst of {len(points)} points of Γ, x = {shown(symbols, point)}"
        try:
            checks.append(_at(witness, point, function, name, where))
        except (ComplexValue, ZeroDivisionError) as error:
            reason = f"R or its gradient is no real number at x = {shown(symbols, point)}, which the callables accept: {error}"
            return Check(name, None, None, float("inf"), TOLERANCE, "failed", reason)
    return max(checks, key=lambda check: check.error)


def _at(witness: Witness, point: Point, function: Program, name: str, where: str) -> Check:
    with mp.workdps(DIGITS):
        literal, gradient = witness.literal.terms(point), witness.precise(function, point)["gradient"]
        # R may be large where its gradient along Γ is not.
        scale = max(drift_size(literal, *sizes(witness, point)), size(gradient))
        predicted = witness.literal.descended(point, gradient)
        return compared(name, predicted, literal.regularization, scale, TOLERANCE, where)


def _none(witness: Witness, claimed: Regularizer) -> Check:
    """That there is no R: by a curl, or by an integral round a closed curve."""
    name = "regularizer: none, by its curl" if claimed.curl is not None else "regularizer: none, by a closed curve"
    if claimed.where is None:
        return undecided(name, AGREED, "no place is named that rules R out")
    symbols = witness.derivation.problem.symbols
    row, place = floats(symbols, claimed.where), shown(symbols, claimed.where)
    if not accepted(witness.derivation, row):
        reason = f"R is ruled out at x = {place}, which the callables refuse: the formulas do not hold there"
        return Check(name, None, None, float("inf"), AGREED, "failed", reason)
    road = _curl if claimed.curl is not None else _circulation
    return road(witness, claimed, name, f"x = {place}")


def _curl(witness: Witness, claimed: Regularizer, name: str, place: str) -> Check:
    """The largest entry of ∂Φ(∂b − ∂bᵀ)∂Φ at the place, b differentiated along Γ."""
    assert claimed.where is not None and claimed.curl is not None
    d = witness.derivation.problem.dimension
    flat = d - witness.derivation.codimension
    if flat * d**3 > MOST:
        return Check(name, claimed.curl, None, 0.0, AGREED, "not run", f"a curl in {d} dimensions would take long")
    with mp.workdps(DIGITS):
        point = witness.literal.onto(claimed.where)
        tangent = witness.literal.tangent_axes(point)
        slopes = [
            tangent.T @ witness.literal.along(point, tangent[:, k], witness.literal.differential) for k in range(flat)
        ]
        turned = mp.matrix([[slopes[j][i] - slopes[i][j] for j in range(flat)] for i in range(flat)])
        observed, scale = size(tangent @ turned @ tangent.T), max(map(size, slopes))
        return _agreement(name, claimed.curl, float(observed), float(scale), ABSENT, place)


def _circulation(witness: Witness, claimed: Regularizer, name: str, place: str) -> Check:
    """∮⟨b, dY⟩ through the place."""
    assert claimed.where is not None and claimed.loop_integral is not None
    d = witness.derivation.problem.dimension
    row = floats(witness.derivation.problem.symbols, claimed.where)
    curve = closed_curve(witness.literal, row, np.array(claimed.cuts).reshape(-1, d))
    for node in curve.nodes:
        if not accepted(witness.derivation, np.concatenate([node, row[d:]])):
            reason = (
                f"R is ruled out by a curve through {place} that leaves the part of Γ where the callables accept points"
            )
            return Check(name, claimed.loop_integral, None, float("inf"), AGREED, "failed", reason)
    return _agreement(name, claimed.loop_integral, abs(curve.integral), curve.size, CLEAR, place)


def _agreement(name: str, claimed: float, observed: float, scale: float, absent: float, place: str) -> Check:
    error = abs(claimed - observed) / scale if scale else float("inf")
    outcome = "measured" if error <= AGREED and observed > absent * scale else "failed"
    return Check(name, claimed, observed, error, AGREED, outcome, f"relative to {scale:.3g}, at {place}")
