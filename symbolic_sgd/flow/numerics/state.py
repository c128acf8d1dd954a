"""The points of a gradient flow under way: where each is, its derivatives there, its own time and step length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from symbolic_sgd.flow.numerics.precise_radau import Precise, Table
from symbolic_sgd.flow.numerics.radau import radau
from symbolic_sgd.flow.numerics.rules import FAR, FIRST_LENGTH, UNSTABLE_LENGTH
from symbolic_sgd.regular_point import CLEAR

METHOD = radau(7)
"""Order 13: of 3, 5, 7 and 9 stages the fastest at errors of 10⁻¹²."""

SETTLED = 1e-13
"""The same where derivatives are wanted: ∂Φ differs by a curvature times the distance."""


@dataclass(frozen=True)
class PreciseLoss:
    """Derivatives of a loss to many digits, at the D parameters followed by the constants.

    gradient: (D+C) → D; hessian: (D+C) → D×D, a matrix of mpmath; third: (D+C), C (D×D) → T[C] (D).
    """

    gradient: Callable[[Sequence[Precise]], list[Precise]]
    hessian: Callable[[Sequence[Precise]], Precise]
    third: Callable[[Sequence[Precise], Table], list[Precise]]


@dataclass(frozen=True)
class SmoothLoss:
    """Derivatives of a loss as plain functions of B rows, each the D parameters followed by C constants.

    gradient: B×(D+C) → B×D; hessian: B×(D+C) → B×D×D; third: B×(D+C), C (B×D×D) → T[C] = Σ_ij ∂_i∂_j∇L C_ij (B×D).
    margins: B×(D+C) → B×K, what must not change its sign along the flow for L to be smooth on it; None if L is smooth.
    precise: the same to many digits, for flows on which curvatures are too far apart for float64; None where such are
        given up.
    """

    dimension: int
    gradient: Callable[[np.ndarray], np.ndarray]
    hessian: Callable[[np.ndarray], np.ndarray]
    third: Callable[[np.ndarray, np.ndarray], np.ndarray]
    margins: Callable[[np.ndarray], np.ndarray] | None = None
    precise: PreciseLoss | None = None


@dataclass(frozen=True)
class Task:
    loss: SmoothLoss
    rank: int
    tolerance: float
    near: float
    least: float = CLEAR  # the M-th curvature beside the largest from which float64 decides


@dataclass(frozen=True)
class Flow:
    """What is known of the points under way, one row each; J and K have no columns where they are not wanted."""

    index: np.ndarray
    row: np.ndarray  # the parameters followed by the constants
    jacobian: np.ndarray
    second: np.ndarray
    direction: np.ndarray
    time: np.ndarray
    growth: np.ndarray  # ∫ max(0, −λ_min) dt: the flow has enlarged no error by more than its exponential
    attempts: np.ndarray
    length: np.ndarray
    ratio: np.ndarray  # of this step to the one whose polynomial is kept; infinite where there is none
    polynomial: np.ndarray
    fresh: np.ndarray  # whether slope, curvature and axes are still to be evaluated
    drifting: np.ndarray  # whether it was seen to move along a valley without curvature
    coupled: np.ndarray  # whether Newton's method needs the Hessian at every stage
    crossed: np.ndarray  # whether it passed a point where the loss is not smooth
    settled: np.ndarray  # whether x is on Γ and only J and K still move
    kick: np.ndarray  # what is added after every step, relative to 1 + |x|: 0, but for twins
    nearness: np.ndarray  # the smallest |∇L| / −λ_min so far, about its distance to a saddle
    passed: np.ndarray  # where that was
    limit: np.ndarray  # the |x| at which it counts as diverging
    slope: np.ndarray
    curvature: np.ndarray
    axes: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def dimension(self) -> int:
        return self.curvature.shape[1]

    @property
    def x(self) -> np.ndarray:
        return self.row[:, : self.dimension]

    def take(self, rows: np.ndarray) -> "Flow":
        return Flow(*(getattr(self, field.name)[rows] for field in fields(self)))

    def join(self, other: "Flow") -> "Flow":
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return Flow(*(np.concatenate(pair) for pair in pairs))


def started(rows: np.ndarray, offset: int, columns: int, directions: np.ndarray | None, kick: np.ndarray) -> Flow:
    count, dimension = kick.shape
    wide = 0 if directions is None else dimension
    direction = (
        np.zeros((count, wide, wide)) if directions is None else (directions + directions.transpose(0, 2, 1)) / 2
    )
    return Flow(
        index=offset + np.arange(count),
        row=rows.copy(),
        jacobian=np.broadcast_to(np.eye(dimension, columns), (count, dimension, columns)),
        second=np.zeros((count, dimension, 0 if directions is None else 1)),
        direction=direction,
        time=np.zeros(count),
        growth=np.zeros(count),
        attempts=np.zeros(count, int),
        length=np.full(count, np.nan),
        ratio=np.full(count, np.inf),
        polynomial=np.zeros((count, METHOD.stages, dimension)),
        fresh=np.ones(count, bool),
        drifting=np.zeros(count, bool),
        coupled=np.zeros(count, bool),
        crossed=np.zeros(count, bool),
        settled=np.zeros(count, bool),
        kick=kick,
        nearness=np.full(count, np.inf),
        passed=rows[:, :dimension].copy(),
        limit=FAR * np.maximum(1, np.linalg.norm(rows[:, :dimension], axis=1)),
        slope=np.zeros((count, dimension)),
        curvature=np.zeros((count, dimension)),
        axes=np.zeros((count, dimension, dimension)),
    )


def evaluated(task: Task, flow: Flow) -> Flow:
    """∇L in the eigenbasis of H, its eigenvalues and its eigenvectors, where x has moved; nan where not finite."""
    rows = np.flatnonzero(flow.fresh & ~flow.settled)
    if not len(rows):
        return replace(flow, fresh=np.zeros(len(flow), bool))
    slope, curvature, axes = flow.slope.copy(), flow.curvature.copy(), flow.axes.copy()
    slope[rows], curvature[rows], axes[rows] = local_axes(task, flow.row[rows])
    length = np.where(np.isnan(flow.length), FIRST_LENGTH / np.abs(curvature).max(1), flow.length)
    length = np.where(np.isinf(length), 1.0, length)
    length = np.where(curvature[:, 0] < 0, np.minimum(length, UNSTABLE_LENGTH / np.abs(curvature[:, 0])), length)
    nearness = np.linalg.norm(slope, axis=1) / np.maximum(-curvature[:, 0], 0.0)
    nearer = ~flow.settled & (nearness < flow.nearness)
    return replace(
        flow,
        nearness=np.where(nearer, nearness, flow.nearness),
        passed=np.where(nearer[:, None], flow.x, flow.passed),
        slope=slope,
        curvature=curvature,
        axes=axes,
        ratio=flow.ratio * np.where(np.isnan(flow.length), 1.0, length / flow.length),
        length=length,
        fresh=np.zeros(len(flow), bool),
    )


def local_axes(task: Task, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vᵀ∇L (b×D), λ ascending (b×D), V (b×D×D)."""
    gradient, hessian = task.loss.gradient(rows), task.loss.hessian(rows)
    finite = np.logical_and(np.isfinite(gradient).all(1), np.isfinite(hessian).all((1, 2)))
    curvature, axes = np.linalg.eigh(np.where(finite[:, None, None], hessian, 0.0))
    curvature[~finite] = np.nan
    return (gradient[:, None, :] @ axes)[:, 0], curvature, axes
