"""Points of Γ in float64, spread over the region round the witness's own: where numbers are tested."""

import numpy as np

from symbolic_sgd.checks.fresh_points import accepted, floats
from symbolic_sgd.checks.witness import Witness

WIDTH = 0.3
"""How far from a random point of Γ the region reaches, relative to 1 + |x|."""

FARTHEST = 1500.0
"""1 + |x| up to which Γ is followed."""

FOLLOWED = 30
"""Steps that are taken each way."""

HALVED = (1.0, 0.5, 0.25, 0.125)
"""Lengths of a step that are tried in turn, relative to 1 + |x|."""

ATTEMPTS = 20
"""Steps tried for each point wanted."""


def region_points(witness: Witness, rng: np.random.Generator, count: int) -> np.ndarray:
    """At most `count` points (rows: parameters, then constants) at which the callables take x for a point of Γ."""
    found: list[np.ndarray] = []
    for attempt in range(ATTEMPTS * count):
        if len(found) == count:
            break
        row = floats(witness.derivation.problem.symbols, witness.points[attempt % len(witness.points)])
        row = _moved(witness, row, rng.standard_normal(witness.derivation.problem.dimension), rng.uniform(0, WIDTH))
        if row is not None:
            found.append(row)
    return np.array(found).reshape(len(found), len(witness.derivation.problem.symbols))


def region_words(witness: Witness, count: int) -> str:
    """What the points stand for."""
    return f"{count} points of Γ, up to {WIDTH}(1 + |x|) from {len(witness.points)} random ones"


def far_points(witness: Witness, rng: np.random.Generator) -> np.ndarray:
    """Points of Γ ever farther out, as rows: a curve is followed both ways, and each point is 1.5 times as far as the last."""
    found: list[np.ndarray] = []
    for sign in (1, -1):
        row = floats(witness.derivation.problem.symbols, witness.points[0])
        heading, reached = sign * rng.standard_normal(witness.derivation.problem.dimension), _extent(witness, row)
        for _ in range(FOLLOWED):
            steps = (_moved(witness, row, heading, width) for width in HALVED)
            step = next((s for s in steps if s is not None), None)
            if step is None or _extent(witness, step) > FARTHEST:
                break
            heading, row = (step - row)[: len(heading)], step
            if _extent(witness, row) > 1.5 * reached:
                found.append(row)
                reached = _extent(witness, row)
    return np.array(found).reshape(len(found), len(witness.derivation.problem.symbols))


def _extent(witness: Witness, row: np.ndarray) -> float:
    """1 + |x|."""
    return 1 + float(np.linalg.norm(row[: witness.derivation.problem.dimension]))


def _moved(witness: Witness, row: np.ndarray, heading: np.ndarray, width: float) -> np.ndarray | None:
    """The point of Γ beside row + width·(1 + |x|)·t for the unit vector t along Γ of a heading, if the callables take it."""
    derivation = witness.derivation
    d, rank = derivation.problem.dimension, derivation.codimension
    _, axes = np.linalg.eigh(witness.smooth_loss.hessian(row[None])[0])
    tangent = axes[:, : d - rank]
    direction = tangent @ (tangent.T @ heading)
    row = row.copy()
    row[:d] += width * (1 + np.linalg.norm(row[:d])) * direction / np.linalg.norm(direction)
    with np.errstate(all="ignore"):
        for _ in range(30):
            hessian, slope = witness.smooth_loss.hessian(row[None])[0], witness.smooth_loss.gradient(row[None])[0]
            if not (np.isfinite(hessian).all() and np.isfinite(slope).all()):
                return None
            values, axes = np.linalg.eigh(hessian)
            normal = axes[:, -rank:]
            row[:d] -= normal @ ((normal.T @ slope) / values[-rank:])
    return row if accepted(derivation, row) else None
