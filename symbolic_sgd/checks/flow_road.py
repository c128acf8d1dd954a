"""The second road: Φ itself, integrated with its first two derivatives, against the formulas of the theorem.

∂Φ and ∂²Φ[Σ] come from the variational equations J̇ = −∇²L J, K̇ = −∇²L K − T[JΣJᵀ] along the flow; neither the pseudo-
inverse nor the Lyapunov inverse enters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symbolic_sgd.checks.certificate import Check, undecided
from symbolic_sgd.checks.fresh_points import Point, floats
from symbolic_sgd.checks.observation import measured, natural_size
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.flow.numerics.many_points import FlowLimits, limits_of_flow

TOLERANCE = 1e-8

INTEGRATED = (1e-12, 1e-13)
"""Tolerances of the integration; what the results differ by is taken for their accuracy."""

REACH = 0.1
"""Displacement off Γ relative to the length over which ∇²L changes; the flow comes back from there."""

SMALL_DRIFT = 1e-4
"""A drift smaller than this beside tr Σ/(1 + |x|) is compared on that scale, below which it has no digits in float64."""

ROUNDING = 10 * np.finfo(float).eps
"""Rounding of ∇²L relative to λ₁, which λ_M divides."""

LEAST = 1e-6
"""The M-th curvature beside the largest below which the flow is followed to many digits."""

DRIFTS = ("drift", "tangent_noise_compensation", "mixed_regularization", "normal_regularization")

ON_MANIFOLD = (
    "Φ = id",
    "∂Φ = I − ∇²L ∇²L†",
    "½∂²Φ[Σ] = drift",
    "½∂²Φ[Σ_∥] = compensation",
    "½∂²Φ[Σ_⊥∥ + Σ_∥⊥] = mixed regularization",
    "½∂²Φ[Σ_⊥] = normal regularization",
)
OFF_MANIFOLD = ("∂Φ∇L = 0 (Lemma 1)", "Φ∘Φ = Φ")


@dataclass(frozen=True)
class SecondRoad:
    """Φ, ∂Φ and ½∂²Φ[Σ] at every point of the witness, Lemma 1 and Φ∘Φ = Φ beside it."""

    name: ClassVar[str] = "the gradient flow and its derivatives"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        checks = []
        for number, point in enumerate(witness.points, start=1):
            checks.extend(_on_manifold(witness, point, f"at point {number}"))
            checks.extend(_off_manifold(witness, point, f"near point {number}"))
        return checks


def _on_manifold(witness: Witness, point: Point, where: str) -> list[Check]:
    names = [f"second road: {name} {where}" for name in ON_MANIFOLD]
    terms = witness.terms(point)
    row = floats(witness.derivation.problem.symbols, point)[None]
    sigma = witness.noise_factor(point)
    curvature = np.linalg.eigvalsh(witness.smooth_loss.hessian(row)[0])
    rank, tangent = witness.derivation.codimension, witness.tangent(point)
    along = tangent @ tangent.T @ sigma
    parts = np.stack([part @ part.T for part in (sigma, along, sigma - along)])
    flows = _follow(witness, np.tile(row, (3, 1)), parts)
    lost = _lost(names, flows)
    if lost:
        return lost
    x = row[0, : witness.derivation.problem.dimension]
    extent = float(1 + np.linalg.norm(x))
    predicted = [x, terms["tangent_projection"], *(terms[name].ravel() for name in DRIFTS)]
    floor = SMALL_DRIFT * float(np.sum(sigma**2)) / extent
    size = natural_size(predicted[2:], floor)
    scales = [extent, 1.0, size, size, size, size]
    rounding = 0.0 if all(f.precise.all() for f in flows) else float(ROUNDING * curvature[-1] / curvature[-rank])
    seen = zip(*(_observed(f) for f in flows), strict=True)
    return [
        _compare(name, value, found, scale, rounding)
        for name, value, found, scale in zip(names, predicted, seen, scales, strict=True)
    ]


def _observed(flow: FlowLimits) -> list[np.ndarray]:
    """Φ, ∂Φ, and ½∂²Φ of Σ, Σ_∥, what is left for the mixed blocks, and Σ_⊥."""
    assert flow.jacobian is not None and flow.second is not None
    whole, along, across = flow.second / 2
    return [flow.points[0], flow.jacobian[0], whole, along, whole - along - across, across]


def _off_manifold(witness: Witness, point: Point, where: str) -> list[Check]:
    names = [f"second road: {name} {where}" for name in OFF_MANIFOLD]
    d = witness.derivation.problem.dimension
    row = floats(witness.derivation.problem.symbols, point)[None]
    direction = np.random.default_rng(d).standard_normal(d)
    row[0, :d] += REACH * witness.length(row[0]) * direction / np.linalg.norm(direction)
    flows = _follow(witness, row, None)
    lost = _lost(names, flows)
    if lost:
        return lost
    slope = witness.smooth_loss.gradient(row)[0]
    lemma = [_first(f) @ slope for f in flows]
    size = float(np.linalg.norm(_first(flows[0]), 2) * np.linalg.norm(slope))
    limits = [f.points[0] for f in flows]
    again = [_follow(witness, np.concatenate([[limit], row[:, d:]], axis=1), None)[0].points[0] for limit in limits]
    extent = float(1 + np.linalg.norm(limits[0]))
    return [_compare(names[0], 0 * lemma[0], lemma, size), _compare(names[1], limits[0], again, extent)]


def _follow(witness: Witness, rows: np.ndarray, directions: np.ndarray | None) -> list[FlowLimits]:
    loss, rank = witness.smooth_loss, witness.derivation.codimension
    return [
        limits_of_flow(loss, rows, rank, first=True, directions=directions, tolerance=t, least=LEAST)
        for t in INTEGRATED
    ]


def _lost(names: list[str], flows: list[FlowLimits]) -> list[Check]:
    """Checks without a verdict, where the flow did not come back to Γ."""
    reason = next((reason for f in flows for reason in f.reasons if reason), None)
    return [] if reason is None else [undecided(name, TOLERANCE, reason) for name in names]


def _first(flow: FlowLimits) -> np.ndarray:
    assert flow.jacobian is not None
    return flow.jacobian[0]


def _compare(
    name: str,
    predicted: np.ndarray,
    seen: Sequence[np.ndarray],
    scale: float,
    rounding: float = 0.0,
) -> Check:
    *_, observed = seen
    accuracy = rounding + float(max(np.abs(other - observed).max() for other in seen) / scale)
    return measured(name, predicted, observed, scale, accuracy, TOLERANCE)
