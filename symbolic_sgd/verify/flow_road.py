"""The second road: Φ itself, integrated with its first two derivatives, against the formulas of the theorem.

∂Φ and ∂²Φ[Σ] come from the variational equations J̇ = −∇²L J, K̇ = −∇²L K − T[JΣJᵀ] along the flow; neither the pseudo-
inverse nor the Lyapunov inverse nor any splitting of Σ enters.
"""

from collections.abc import Mapping

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.simulate.flow_limit import FlowLimits, limits_of_flow
from symbolic_sgd.verify.certificate import Check
from symbolic_sgd.verify.witness import Witness

TOLERANCE = 1e-8

REACH = 0.1
"""Displacement off Γ relative to the length over which ∇²L changes; the flow comes back from there."""

ON_MANIFOLD = ("Φ = id", "∂Φ = P", "½∂²Φ[Σ] = drift")
OFF_MANIFOLD = ("∂Φ∇L = 0 (Lemma 1)", "Φ∘Φ = Φ")


def check_flow_road(witness: Witness) -> list[Check]:
    """Φ, ∂Φ and ½∂²Φ[Σ] at every point of the witness, Lemma 1 and Φ∘Φ = Φ beside it."""
    checks = []
    for number, point in enumerate(witness.points, start=1):
        checks.extend(_on_manifold(witness, point, f"at point {number}"))
        checks.extend(_off_manifold(witness, point, f"near point {number}"))
    return checks


def _on_manifold(witness: Witness, point: Mapping[sp.Symbol, PreciseNumber], where: str) -> list[Check]:
    terms = {n: np.array(m.tolist(), float) for n, m in witness.precise(witness.derivation.program, point).items()}
    sigma = witness.noise_factor(point)
    row = np.array([[float(point[s]) for s in witness.derivation.problem.symbols]])
    covariance = sigma @ sigma.T
    flow = _follow(witness, row, covariance)
    if not flow.reached[0] or flow.jacobian is None or flow.second is None:
        return [_undecided(f"second road: {name} {where}", flow.reasons[0]) for name in ON_MANIFOLD]
    x = row[0, : witness.derivation.problem.dimension]
    extent = float(1 + np.linalg.norm(x))
    drift = terms["drift"].ravel()
    parts = (terms[n] for n in ("tangent_noise_compensation", "mixed_regularization", "normal_regularization"))
    size = max(*(float(np.abs(part).max()) for part in parts), float(np.trace(covariance)) / extent, 1e-300)
    found = (
        (x, flow.points[0], extent),
        (terms["tangent_projection"], flow.jacobian[0], 1.0),
        (drift, flow.second[0] / 2, size),
    )
    return [_compare(f"second road: {name} {where}", *values) for name, values in zip(ON_MANIFOLD, found, strict=True)]


def _off_manifold(witness: Witness, point: Mapping[sp.Symbol, PreciseNumber], where: str) -> list[Check]:
    d = witness.derivation.problem.dimension
    row = np.array([[float(point[s]) for s in witness.derivation.problem.symbols]])
    direction = np.random.default_rng(d).standard_normal(d)
    row[0, :d] += REACH * witness.length(row[0]) * direction / np.linalg.norm(direction)
    flow = _follow(witness, row, None)
    if not flow.reached[0] or flow.jacobian is None:
        return [_undecided(f"second road: {name} {where}", flow.reasons[0]) for name in OFF_MANIFOLD]
    slope = witness.smooth_loss.gradient(row)[0]
    again = _follow(witness, np.concatenate([flow.points, row[:, d:]], axis=1), None)
    lemma = flow.jacobian[0] @ slope
    size = float(np.linalg.norm(flow.jacobian[0], 2) * np.linalg.norm(slope))
    extent = float(1 + np.linalg.norm(flow.points[0]))
    return [
        _compare(f"second road: {OFF_MANIFOLD[0]} {where}", 0 * lemma, lemma, size),
        _compare(f"second road: {OFF_MANIFOLD[1]} {where}", flow.points[0], again.points[0], extent),
    ]


def _follow(witness: Witness, row: np.ndarray, covariance: np.ndarray | None) -> FlowLimits:
    directions = None if covariance is None else covariance[None]
    return limits_of_flow(witness.smooth_loss, row, witness.derivation.codimension, first=True, directions=directions)


def _compare(name: str, predicted: np.ndarray, observed: np.ndarray, scale: float) -> Check:
    error = float(np.abs(predicted - observed).max() / scale)
    verdict = "passed" if error <= TOLERANCE else "failed"
    return Check(name, predicted.tolist(), observed.tolist(), error, TOLERANCE, verdict, f"relative to {scale:.3g}")


def _undecided(name: str, reason: str) -> Check:
    return Check(name, None, None, float("nan"), TOLERANCE, "undecided", reason)
