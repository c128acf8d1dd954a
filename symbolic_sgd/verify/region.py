"""Points of Γ in float64, spread over the region round the witness's own: where numbers are tested."""

from collections.abc import Mapping

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.errors import OffManifold, SingularPoint
from symbolic_sgd.export.guard import check_points
from symbolic_sgd.verify.witness import Witness

WIDTH = 0.3
"""How far from a random point of Γ the region reaches, relative to 1 + |x|."""

ATTEMPTS = 20
"""Steps tried for each point wanted."""


def region_points(witness: Witness, rng: np.random.Generator, count: int) -> np.ndarray:
    """At most `count` points (rows: parameters, then constants) at which the callables take x for a point of Γ."""
    found: list[np.ndarray] = []
    for attempt in range(ATTEMPTS * count):
        if len(found) == count:
            break
        row = _moved(witness, witness.points[attempt % len(witness.points)], rng)
        if row is not None:
            found.append(row)
    return np.array(found).reshape(len(found), len(witness.derivation.problem.symbols))


def region_words(witness: Witness, count: int) -> str:
    """What the points stand for."""
    return f"{count} points of Γ, up to {WIDTH}(1 + |x|) from {len(witness.points)} random ones"


def _moved(witness: Witness, point: Mapping[sp.Symbol, PreciseNumber], rng: np.random.Generator) -> np.ndarray | None:
    derivation = witness.derivation
    d, rank = derivation.problem.dimension, derivation.codimension
    row = np.array([float(point[s]) for s in derivation.problem.symbols])
    _, axes = np.linalg.eigh(witness.smooth_loss.hessian(row[None])[0])
    direction = axes[:, : d - rank] @ rng.standard_normal(d - rank)
    row[:d] += rng.uniform(0, WIDTH) * (1 + np.linalg.norm(row[:d])) * direction / np.linalg.norm(direction)
    with np.errstate(all="ignore"):
        for _ in range(30):
            hessian, slope = witness.smooth_loss.hessian(row[None])[0], witness.smooth_loss.gradient(row[None])[0]
            if not (np.isfinite(hessian).all() and np.isfinite(slope).all()):
                return None
            values, axes = np.linalg.eigh(hessian)
            normal = axes[:, -rank:]
            row[:d] -= normal @ ((normal.T @ slope) / values[-rank:])
    try:
        check_points(derivation, row[None])
    except (OffManifold, SingularPoint):
        return None
    return row
