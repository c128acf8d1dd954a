"""What becomes of each point: it goes on, it is finished on Γ, or it is given up for a reason in words."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from symbolic_sgd.flow.numerics.rules import FADED, MOST_TANGENT, diverging, in_words, not_finite, number, span
from symbolic_sgd.flow.numerics.state import SETTLED, Flow, Task, local_axes
from symbolic_sgd.regular_point import is_clear

MOST_STEPS = 500
"""A flow to a quadratic minimum takes 15 to 60 steps; only minima flatter than that, or at infinity, need hundreds."""

ROUNDING_OF_DISTANCE = 30 * np.finfo(float).eps
"""Rounding of |H†∇L| relative to 1 + |x|, times λ_M / λ₁."""

STATIONARY = 1e-14
"""Newton distance at which a trajectory is on a stationary point; one that only passes by never comes so near."""

SADDLE_CURVATURE = 1e-5
"""Least ratio of the negative curvature to the largest there; smaller ones may be the rounding of a flat direction."""

QUIET = 1e3 * np.finfo(float).eps
"""The tangent part of the gradient, relative to λ₁(1 + |x|), that is rounding."""

MOST_POLISHING = 4
"""Newton steps with a fixed H gain nine digits each; the rest is for rounding."""

DEAD = 1e-14
"""Normal part of J, relative to J, at which it has decayed."""

SHORTEST_STEP = 1e-14
"""Relative to 1 + |x|: a step that moves x by less is stuck at a singularity of the loss, if it is short as well."""

SHORTEST_LENGTH = 1e-8
"""Step times curvature of such a step; where x hardly moves because it has arrived, steps are long."""


class Results:
    """Collects what became of each point."""

    def __init__(self, count: int, dimension: int, columns: int, seconds: int) -> None:
        self.points = np.full((count, dimension), np.nan)
        self.jacobian = np.full((count, dimension, columns), np.nan)
        self.second = np.full((count, dimension, seconds), np.nan)
        self.growth = np.zeros(count)
        self.nearness = np.full(count, np.inf)
        self.passed = np.full((count, dimension), np.nan)
        self.reasons = ["not followed"] * count
        self.doubtful = np.zeros(count, bool)  # given up where curvatures may only be too far apart for float64
        self.stopped = np.full((count, dimension), np.nan)
        self.steps = 0

    def refuse(self, flow: Flow, which: np.ndarray, words: Callable[[int], str], *, doubtful: bool = False) -> None:
        for row in np.flatnonzero(which):
            self.reasons[flow.index[row]] = words(int(row))
            self.doubtful[flow.index[row]] = doubtful
            self.stopped[flow.index[row]] = flow.x[row]

    def accept(self, flow: Flow) -> None:
        self.points[flow.index] = flow.x
        self.growth[flow.index] = flow.growth
        self.nearness[flow.index] = flow.nearness
        self.passed[flow.index] = flow.passed
        self.jacobian[flow.index] = flow.jacobian
        self.second[flow.index] = flow.second
        for row in flow.index:
            self.reasons[row] = ""


@dataclass(frozen=True)
class _Place:
    """Where a point is with respect to stationary sets; distances relative to 1 + |x|."""

    size: np.ndarray  # 1 + |x|
    normal_distance: np.ndarray  # |H†∇L| with H† on the M largest eigenvalues
    resolution: np.ndarray  # what rounding of ∇L makes of it
    rank_is_right: np.ndarray
    drift: np.ndarray  # the other D − M components of ∇L, relative to λ₁(1 + |x|)
    distance: np.ndarray  # |H†∇L| with H† on all eigenvalues that are clearly not zero
    remainder: np.ndarray  # the other components of ∇L, relative to λ₁(1 + |x|)
    descent: np.ndarray  # the most negative eigenvalue relative to the largest

    @staticmethod
    def of(task: Task, x: np.ndarray, slope: np.ndarray, curvature: np.ndarray) -> "_Place":
        tangent = slope.shape[1] - task.rank
        largest, size = np.abs(curvature).max(1), 1 + np.linalg.norm(x, axis=1)
        weakest = curvature[:, tangent] / largest
        newton, unit = slope / curvature / size[:, None], largest * size
        clear = np.abs(curvature) > MOST_TANGENT * largest[:, None]
        normal_distance = np.where(weakest > 0, np.linalg.norm(newton[:, tangent:], axis=1), np.inf)
        return _Place(
            size=size,
            normal_distance=normal_distance,
            resolution=ROUNDING_OF_DISTANCE / weakest,
            rank_is_right=is_clear(curvature, task.rank, normal_distance, least=task.least),
            drift=_relative(np.linalg.norm(slope[:, :tangent], axis=1), unit),
            distance=np.linalg.norm(np.where(clear, newton, 0.0), axis=1),
            remainder=_relative(np.linalg.norm(np.where(clear, 0.0, slope), axis=1), unit),
            descent=_relative(np.maximum(-curvature[:, 0], 0), largest),
        )

    def is_saddle(self) -> np.ndarray:
        """Whether this is a saddle or a maximum; a trajectory that only passes one is judged by its twins."""
        stationary = (self.distance < STATIONARY) & (self.remainder < STATIONARY)
        return stationary & (self.descent > SADDLE_CURVATURE)

    def is_elsewhere(self) -> np.ndarray:
        """Whether this is a stationary point that is not on Γ, as far as float64 can tell."""
        return (self.distance < STATIONARY) & (self.remainder <= QUIET) & ~self.rank_is_right


def _relative(value: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """value / unit, with 0 / 0 = 0: where the Hessian vanishes."""
    return np.where(value == 0, 0.0, value / unit)


def judged(task: Task, flow: Flow, results: Results) -> Flow:
    """Those that go on; the others are handed over to the results."""
    place = _Place.of(task, flow.x, flow.slope, flow.curvature)
    near = np.maximum(task.near, place.resolution) if task.near == SETTLED else task.near
    candidate = (place.normal_distance < near) & place.rank_is_right
    quiet = candidate & (place.drift <= QUIET)
    drifting = (flow.drifting & place.rank_is_right) | (candidate & ~quiet)
    flow = replace(flow, drifting=drifting)
    lost = _refused(task, flow, place, quiet & drifting, results)
    flow, arriving = flow.take(~lost), (quiet & ~drifting & ~flow.settled)[~lost]
    if arriving.any():
        flow = _polished(task, flow.take(arriving), results).join(flow.take(~arriving))
    done = flow.settled & _variations_have_decayed(flow, task.rank)
    if done.any():
        results.accept(_on_tangent_space(task, flow.take(done)))
        flow = flow.take(~done)
    return flow


def _refused(task: Task, flow: Flow, place: _Place, flat: np.ndarray, results: Results) -> np.ndarray:
    """Which points will not reach Γ; the reasons go to the results."""
    infinite = ~np.isfinite(flow.curvature).all(1) | ~np.isfinite(flow.slope).all(1)
    stuck = flow.length * np.linalg.norm(flow.slope, axis=1) < SHORTEST_STEP * place.size
    infinite |= stuck & (flow.length * np.abs(flow.curvature).max(1) < SHORTEST_LENGTH)
    far = np.linalg.norm(flow.x, axis=1) > flow.limit
    saddle, elsewhere = ~flow.settled & place.is_saddle(), ~flow.settled & place.is_elsewhere()
    slow = flat | (flow.attempts >= MOST_STEPS)
    results.refuse(flow, slow, lambda row: _words_of_slowness(flow, row), doubtful=True)
    results.refuse(flow, infinite, lambda row: not_finite(flow.x[row]))
    results.refuse(flow, elsewhere, lambda row: _words_of_place(task, flow, row), doubtful=True)
    results.refuse(flow, saddle, lambda row: _words_of_place(task, flow, row))
    results.refuse(flow, far, lambda row: diverging(flow.limit[row], flow.time[row]))
    results.refuse(flow, flow.crossed, lambda row: _words_of_crossing(flow, row))
    return slow | elsewhere | saddle | infinite | far | flow.crossed


def _polished(task: Task, flow: Flow, results: Results) -> Flow:
    """x ← x − H†∇L, with the M largest eigenvalues of H, until it no longer shrinks; x is on Γ then, or refused."""
    normal = flow.axes[:, :, -task.rank :]
    row, shift = flow.row.copy(), flow.slope[:, -task.rank :]
    before = np.full(len(flow), np.inf)
    for _ in range(MOST_POLISHING):
        shift = shift / flow.curvature[:, -task.rank :]
        length = np.linalg.norm(shift, axis=1)
        useful = length < before / 2
        row[:, : flow.dimension] -= np.where(useful[:, None], (normal @ shift[:, :, None])[:, :, 0], 0.0)
        before = np.where(useful, length, 0.0)
        shift = (task.loss.gradient(row)[:, None, :] @ normal)[:, 0]
    slope, curvature, axes = local_axes(task, row)
    place = _Place.of(task, row[:, : flow.dimension], slope, curvature)
    # Where the curvature itself goes to zero, the normal directions are no longer normal: the minimum is degenerate.
    faded = curvature[:, -task.rank] < FADED * flow.curvature[:, -task.rank]
    flow = replace(flow, row=row, slope=slope, curvature=curvature, axes=axes)
    right = place.rank_is_right & (place.normal_distance <= np.maximum(task.near, place.resolution))
    results.refuse(flow, ~right, lambda row: _words_of_place(task, flow, row), doubtful=True)
    results.refuse(flow, faded, lambda row: _words_of_slowness(flow, row), doubtful=True)
    right &= ~faded
    curvature[:, : flow.dimension - task.rank] = 0.0
    still = np.zeros(len(flow), bool)
    return replace(flow, settled=~still, coupled=still).take(right)


def _variations_have_decayed(flow: Flow, rank: int) -> np.ndarray:
    normal = flow.axes[:, :, -rank:].transpose(0, 2, 1) @ flow.jacobian
    size = np.abs(flow.jacobian).max((1, 2), initial=0.0)
    return np.abs(normal).max((1, 2), initial=0.0) <= DEAD * size


def _on_tangent_space(task: Task, flow: Flow) -> Flow:
    """J ← P J and K ← P K − H†T[J B Jᵀ], where K̇ = 0 in the normal space."""
    tangent, normal = flow.axes[:, :, : -task.rank], flow.axes[:, :, -task.rank :]
    jacobian = tangent @ (tangent.transpose(0, 2, 1) @ flow.jacobian)
    if not flow.second.shape[2]:
        return replace(flow, jacobian=jacobian)
    push = task.loss.third(flow.row, jacobian @ flow.direction @ jacobian.transpose(0, 2, 1))
    steady = normal @ ((push[:, None, :] @ normal)[:, 0] / flow.curvature[:, -task.rank :])[:, :, None]
    second = tangent @ (tangent.transpose(0, 2, 1) @ flow.second) - steady
    return replace(flow, jacobian=jacobian, second=second)


def _words_of_place(task: Task, flow: Flow, row: int) -> str:
    curvature = flow.curvature[row]
    largest, place = np.abs(curvature).max(), in_words(flow.x[row])
    if curvature[-1] <= MOST_TANGENT * largest and largest > 0:
        return f"the flow ends in a maximum at {place} {span(curvature)}"
    if curvature[0] < -MOST_TANGENT * largest:
        return f"the flow ends in a saddle at {place} {span(curvature)}"
    found = int((curvature > MOST_TANGENT * largest).sum())
    if found == task.rank:
        return _words_of_slowness(flow, row)
    return (
        f"the flow ends at {place}, where the Hessian has rank {found} to the digits of float64 and not {task.rank} {span(curvature)}: "
        "another set than Γ, or curvatures more than seven decades apart"
    )


def _words_of_slowness(flow: Flow, row: int) -> str:
    steepness = float(np.linalg.norm(flow.slope[row]))
    if not np.isfinite(steepness):
        return f"the loss overflows float64 along the flow, near {in_words(flow.x[row])}"
    return (
        f"the flow had not settled after {flow.attempts[row]} steps, at {in_words(flow.x[row])}, |∇L| = {number(steepness)} "
        "(it is degenerate there, that is flatter than quadratic, or its minimum lies at infinity, or the loss is not smooth there)"
    )


def _words_of_crossing(flow: Flow, row: int) -> str:
    return (
        f"on the way, near {in_words(flow.x[row])}, it passes a point where a derivative of the loss jumps, or leaves the part of "
        "space where the loss was stated: beyond it, Φ and its derivatives are not those of a smooth loss"
    )
