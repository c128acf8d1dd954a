"""How large a learning rate SGD bears: the curvatures of single samples."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy as sp

from symbolic_sgd.derive.manifold import find_manifold
from symbolic_sgd.errors import FlowDidNotConverge
from symbolic_sgd.flow.loss_functions import smooth_loss
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.processes.plan import rows_of
from symbolic_sgd.simulate.flow_limit import limits_of_flow
from symbolic_sgd.simulate.increments import Outcomes
from symbolic_sgd.simulate.steps import Descent

SHIFT = 1e-5
"""Of the central differences, relative to 1 + |x|: a warning needs few digits."""

MOST = 4096
"""Outcomes whose curvatures are looked at."""

LOOKED_AT = 16
"""Starts at which the curvatures of samples are looked at."""


class StabilityWarning(UserWarning):
    """A learning rate above the stability bound of SGD."""


@dataclass(frozen=True)
class Curvatures:
    """The largest eigenvalue of ∂(∇L + s_k) over the outcomes k of one step (its symmetric part), and of ∇²L."""

    sample: float
    mean: float


def curvatures(descent: Descent, rate: float, points: np.ndarray) -> Curvatures:
    """The largest curvatures at some points (B×D), from a step m = η(∇L + s_k) with learning rate η.

    Where η ≤ 2/(the largest curvature of a sample), no step of SGD leads away from Γ for convex samples; a bound from
    ∇²L alone does not see that one sample can throw out what the mean would keep.
    """
    increments = descent.increments
    if isinstance(increments, Outcomes):
        table = increments.table[:, :MOST]
        weights = np.array(increments.counts, dtype=float)[:MOST]
    else:
        table, weights = np.zeros((increments.rows, 1)), np.ones(1)
    largest, mean = 0.0, 0.0
    for point in points:
        slopes = np.stack([_jacobian(descent, point, column) for column in table.T]) / rate
        symmetric = (slopes + slopes.transpose(0, 2, 1)) / 2
        largest = max(largest, float(np.linalg.eigvalsh(symmetric).max()))
        mean = max(mean, float(np.linalg.eigvalsh(np.einsum("k,kij->ij", weights / weights.sum(), symmetric)).max()))
    return Curvatures(largest, mean)


def _jacobian(descent: Descent, point: np.ndarray, column: np.ndarray) -> np.ndarray:
    """∂m(x, a)/∂x by central differences, D×D."""
    d = len(point)
    shift = SHIFT * (1 + np.abs(point).max())
    x = point[:, None] + shift * np.concatenate([np.eye(d), -np.eye(d)], axis=1)
    moved = np.empty((d, 2 * d))
    with np.errstate(all="ignore"):
        descent.move(x, np.repeat(column[:, None], 2 * d, axis=1), moved)
    return (moved[:, :d] - moved[:, d:]) / (2 * shift)


def check_basin_and_stability(
    problem: Problem, descent: Descent, rate: float, start: np.ndarray, values: Mapping[sp.Symbol, Fraction]
) -> None:
    """Refuse starts from which the gradient flow does not lead to Γ; warn of a learning rate that throws SGD out."""
    manifold = find_manifold(problem)
    distinct = np.unique(start, axis=0)
    loss = smooth_loss(problem, manifold.landscape)
    flow = limits_of_flow(loss, rows_of(problem, distinct, values), manifold.codimension, tolerance=1e-8)
    if not flow.reached.all():
        lost = int(np.argmin(flow.reached))
        where = np.array2string(distinct[lost], precision=6, threshold=8)
        raise FlowDidNotConverge(
            f"start = {where} is outside the basin of Γ: {flow.reasons[lost]}; start where the gradient flow leads to Γ"
        )
    largest = curvatures(descent, rate, np.concatenate([distinct[:LOOKED_AT], flow.points[:LOOKED_AT]]))
    if rate * largest.sample > 2:
        warnings.warn(
            StabilityWarning(
                f"the learning rate {rate:g} is above the stability bound 2/λ = {2 / largest.sample:.4g} of single samples, "
                f"whose largest curvature is λ = {largest.sample:.4g} (∇²L alone: 2/λmax = {2 / largest.mean:.4g}): a step "
                "on one sample can lead away from Γ; make it smaller"
            ),
            stacklevel=3,
        )
