"""How large a learning rate SGD bears: the curvatures of single samples, and the edge of stability of other optimizers."""

import warnings
from dataclasses import dataclass

import numpy as np

from symbolic_sgd.errors import BadPoint, FlowDidNotConverge
from symbolic_sgd.flow.loss_functions import smooth_loss
from symbolic_sgd.flow.numerics.many_points import limits_of_flow
from symbolic_sgd.manifold.manifold import find_manifold
from symbolic_sgd.simulate.increments import Batches, Outcomes
from symbolic_sgd.simulate.plan import Plan, rows_of
from symbolic_sgd.simulate.steps import Descent, Stepper

SHIFTS = (1e-5, 1e-8)
"""Of the central differences, relative to 1 + |x|: a warning needs few digits."""

MOST = 4096
"""Outcomes whose curvatures are looked at."""

LOOKED_AT = 16
"""Starts at which the curvatures of samples are looked at."""


class StabilityWarning(UserWarning):
    """A learning rate above the stability bound of SGD, or beyond the edge of another optimizer.

    >>> import warnings
    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, simulate_sgd
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     run = simulate_sgd(problem, [1, 1], learning_rate=1.2, steps=1, replicas=1, rng=0)
    >>> told[0].category.__name__
    'StabilityWarning'
    """


def sample_curvature(descent: Descent, rate: float, points: np.ndarray) -> float:
    """The largest eigenvalue of ∂(∇L + s_k), its symmetric part, over the outcomes k of a step m = η(∇L + s_k) and points (B×D).

    Where η ≤ 2/(the largest curvature of a sample), no step of SGD leads away from Γ for convex samples; a bound from
    ∇²L alone does not see that one sample can throw out what the mean would keep.

    Returns:
        nan where a sample has no finite derivative in float64.
    """
    increments = descent.increments
    if isinstance(increments, Outcomes):
        table = increments.table[:, :MOST]
    elif isinstance(increments, Batches):
        table = increments.outcomes(MOST)
    else:
        table = np.zeros((increments.rows, 1))
    slopes = (_jacobian(descent, point, column) / rate for point in points for column in table.T)
    return float(np.max([_largest((slope + slope.T) / 2) for slope in slopes]))


def _largest(matrix: np.ndarray) -> float:
    return float(np.linalg.eigvalsh(matrix)[-1]) if np.isfinite(matrix).all() else float("nan")


def _jacobian(descent: Descent, point: np.ndarray, column: np.ndarray) -> np.ndarray:
    """∂m(x, a)/∂x by central differences, D×D; by shorter ones where the longer lead out of m's domain, else nan."""
    slopes = (_differences(descent, point, column, shift * (1 + np.abs(point).max())) for shift in SHIFTS)
    unknown = np.full((len(point), len(point)), np.nan)
    return next((slope for slope in slopes if np.isfinite(slope).all()), unknown)


def _differences(descent: Descent, point: np.ndarray, column: np.ndarray, shift: float) -> np.ndarray:
    d = len(point)
    x = point[:, None] + shift * np.concatenate([np.eye(d), -np.eye(d)], axis=1)
    moved = np.empty((d, 2 * d))
    with np.errstate(all="ignore"):
        descent.move(x, np.repeat(column[:, None], 2 * d, axis=1), moved)
        return (moved[:, :d] - moved[:, d:]) / (2 * shift)


@dataclass(frozen=True)
class Bounds:
    """What a learning rate is held against.

    Args:
        label: what the optimizer is called.
        rate: η.
        descent: a step of SGD, whose single samples have their own bound; None of other optimizers.
        edge: the curvature of ∇²L beyond which steps lead away from Γ; inf where there is none.
    """

    label: str
    rate: float
    descent: Descent | None
    edge: float = np.inf


def check_basin_and_stability(plan: Plan, bounds: Bounds) -> None:
    """Refuse starts from which the gradient flow does not lead to Γ; warn of a learning rate that throws the optimizer out."""
    problem, values = plan.problem, plan.values
    manifold = find_manifold(problem, inside_cell=False)
    distinct = np.unique(plan.start, axis=0)
    loss = smooth_loss(problem, manifold.landscape)
    flow = limits_of_flow(loss, rows_of(problem, distinct, values), manifold.codimension, tolerance=1e-8)
    if not flow.reached.all():
        lost = int(np.argmin(flow.reached))
        where = np.array2string(distinct[lost], precision=6, threshold=8)
        raise FlowDidNotConverge(
            f"start = {where} is outside the basin of Γ: {flow.reasons[lost]}; start where the gradient flow leads to Γ"
        )
    points = np.concatenate([distinct[:LOOKED_AT], flow.points[:LOOKED_AT]])
    with np.errstate(all="ignore"):
        mean = max(map(_largest, loss.hessian(rows_of(problem, points, values))))
        words = _words(bounds, points, mean)
    if words is not None:
        warnings.warn(StabilityWarning(words), stacklevel=3)


def check_first_step(stepper: Stepper, start: np.ndarray, label: str) -> None:
    """Refuse starts (R×D) on Γ, of an optimizer that draws nothing and divides by 0 there.

    Raises:
        BadPoint: from one of them no step can be made.
    """
    distinct = np.unique(start, axis=0)
    moved = distinct.T.copy()
    with np.errstate(all="ignore"):
        stepper.bind(len(distinct))(moved, np.empty((0, len(distinct))))
    lost = ~np.isfinite(moved).all(axis=0)
    if lost.any():
        where = np.array2string(distinct[int(np.argmax(lost))], precision=6, threshold=8)
        raise BadPoint(
            f"start = {where} is on Γ to the last digit, where {label} divides by 0: start beside it, at a distance of the order of "
            "its steps"
        )


def _words(bounds: Bounds, points: np.ndarray, mean: float) -> str | None:
    if bounds.descent is not None:
        words = _above_the_bound(bounds.rate, sample_curvature(bounds.descent, bounds.rate, points), mean)
        if words is not None:
            return words
    if not mean > bounds.edge:
        return None
    return (
        f"at the learning rate {bounds.rate:g} the edge of stability of {bounds.label} is the curvature {bounds.edge:.4g}, and near a "
        f"start, or where the gradient flow leads from it, ∇²L has the curvature λ = {mean:.4g}: steps lead away from Γ there; make the "
        "learning rate smaller"
    )


def _above_the_bound(rate: float, sample: float, mean: float) -> str | None:
    """What is said of a learning rate above 2/λ of single samples; the bound of ∇²L only where it is a number of float64."""
    if not np.isfinite(sample):
        return (
            "near a start, or where the gradient flow leads from it, a single sample has no finite curvature in float64: whether "
            f"the learning rate {rate:g} is below the stability bound 2/λ is not known"
        )
    if rate * sample <= 2:
        return None
    alone = f" (∇²L alone: 2/λmax = {2 / mean:.4g})" if mean > 2 / np.finfo(float).max else ""
    return (
        f"the learning rate {rate:g} is above the stability bound 2/λ = {2 / sample:.4g} of single samples, whose largest "
        f"curvature is λ = {sample:.4g}{alone}: a step on one sample can lead away from Γ; make it smaller"
    )
