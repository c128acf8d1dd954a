"""Φ(x) = lim_{t→∞} of ẋ = −∇L(x) for many starting points, with ∂Φ and ∂²Φ from the variational equations.

The flow carries x, J and K,

    ẋ = −∇L(x),   J̇ = −H J,  J(0) = I,   K̇ = −H K − T[J B Jᵀ],  K(0) = 0,   T[C]_k = Σ_ij ∂_i∂_j∂_k L C_ij,

to where J → ∂Φ and K → ∂²Φ[B]. The method is Radau IIA with a step size for each point; the flow is autonomous, so each
point has its own time as well, and what comes out for a point does not depend on the others.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from symbolic_sgd.errors import BadShape
from symbolic_sgd.simulate.radau import (
    Solver,
    Stages,
    coupled_defect_error,
    coupled_stages,
    defect_error,
    extrapolation,
    linear_stages,
    mix,
    nonlinear_stages,
    radau,
    turn,
)

METHOD = radau(7)
"""Order 13: of 3, 5, 7 and 9 stages the fastest at errors of 10⁻¹²."""

MOST_STEPS = 500
"""A flow to a quadratic minimum takes 15 to 60 steps; only minima flatter than that, or at infinity, need hundreds."""

NEAR = 1e-9
"""Newton distance, relative to 1 + |x|, at which Newton steps finish x: they err by its square times a curvature."""

SETTLED = 1e-13
"""The same where derivatives are wanted: ∂Φ differs by a curvature times the distance."""

ROUNDING_OF_DISTANCE = 30 * np.finfo(float).eps
"""Rounding of |H†∇L| relative to 1 + |x|, times λ_M / λ₁."""

LINEAR_DISTANCE = 1e-5
"""Newton distance, relative to 1 + |x|, below which the flow along Γ is the square of it and errors cannot matter."""

SADDLE_DISTANCE = 1e-8
"""Newton distance below which rounding decides on which side a trajectory leaves a saddle."""

SADDLE_CURVATURE = 1e-5
"""Least ratio of the negative curvature to the largest there; at 10⁻⁸ from a curved Γ smaller ones are harmless."""

LEAST_NORMAL = 1e-8
"""Smallest ratio of the M-th curvature to the largest on Γ."""

MOST_TANGENT = 1e-7
"""Largest ratio of the other curvatures to the largest on Γ."""

QUIET = 1e3 * np.finfo(float).eps
"""The tangent part of the gradient, relative to λ₁(1 + |x|), that is rounding."""

FAR = 1e8
"""A flow that gets this many times farther than max(1, |x|) is taken to diverge."""

NEWTON_SHARE = 0.03
"""Error of the Newton iterations as a share of the tolerance."""

VARIATION_SHARE = 10.0
"""Tolerance of J and K, relative to their sizes, over that of x."""

ROUNDING_OF_HESSIAN = 10 * np.finfo(float).eps
"""Rounding of H, relative to λ₁; times hλ₁ it enters J and K, and no step can be more exact."""

SAFETY = 0.95
"""Share of the step that the error estimate would allow."""

STIFF = 100.0
"""Step times largest curvature from which a slow simplified Newton iteration is blamed on stiffness."""

SLOW_CONTRACTION = 0.3
"""Contraction of a stiff simplified Newton iteration at which the Hessian at every stage is worth its price."""

NOISY = 3e3
"""Step times largest curvature from which rounding, hλ₁ε, reaches the error estimate where Γ or a valley is curved."""

SAFE_ERROR = 1e-2
"""Estimate, over the tolerance, that does not hold back the growth of the steps."""

AIM_OF_CONTRACTION = 0.5
"""Steps grow until the simplified Newton iteration contracts this slowly."""

REJECTED = 0.3
"""Shortening of a step whose Newton iteration failed."""

SMALL_SECOND = 1e-3
"""K below this share of |B||J|² / (1 + |x|) is measured against it, since K starts at 0."""

MOST_POLISHING = 4
"""Newton steps with a fixed H gain nine digits each; the rest is for rounding."""

DEAD = 1e-14
"""Normal part of J, relative to J, at which it has decayed."""

FIRST_LENGTH = 0.5
"""Length of the first step times the largest |curvature|."""

UNSTABLE_LENGTH = 1.0
"""Longest step times the most negative curvature: the flow itself grows by e."""

MOST_GROWTH = 6.0
"""Largest ratio of a step to the one before."""

MOST_EXTRAPOLATION = 3.0
"""Beyond this ratio of steps the last polynomial predicts worse than the frozen linear flow does."""

SHORTEST_STEP = 1e-14
"""Relative to 1 + |x|: a step that moves x by less is stuck at a singularity of the loss, if it is short as well."""

SHORTEST_LENGTH = 1e-8
"""Step times curvature of such a step; where x hardly moves because it has arrived, steps are long."""

BLOCK = 2**15
"""Numbers in one array of stages; a dozen of these arrays stay in the cache."""


@dataclass(frozen=True)
class SmoothLoss:
    """Derivatives of a loss as plain functions of B rows, each the D parameters followed by C constants.

    gradient: B×(D+C) → B×D; hessian: B×(D+C) → B×D×D; third: B×(D+C), C (B×D×D) → T[C] = Σ_ij ∂_i∂_j∇L C_ij (B×D).
    """

    dimension: int
    gradient: Callable[[np.ndarray], np.ndarray]
    hessian: Callable[[np.ndarray], np.ndarray]
    third: Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FlowLimits:
    """Φ (B×D), ∂Φ (B×D×D) and ∂²Φ[B] (B×D), nan where not reached; why not, in words; the largest number of steps."""

    points: np.ndarray
    reached: np.ndarray
    reasons: tuple[str, ...]
    jacobian: np.ndarray | None
    second: np.ndarray | None
    steps: int


@dataclass(frozen=True)
class _Task:
    loss: SmoothLoss
    rank: int
    tolerance: float
    near: float


@dataclass(frozen=True)
class _Flow:
    """What is known of the points under way, one row each; J and K have no columns where they are not wanted."""

    index: np.ndarray
    row: np.ndarray  # the parameters followed by the constants
    jacobian: np.ndarray
    second: np.ndarray
    direction: np.ndarray
    time: np.ndarray
    attempts: np.ndarray
    length: np.ndarray
    ratio: np.ndarray  # of this step to the one whose polynomial is kept; infinite where there is none
    polynomial: np.ndarray
    fresh: np.ndarray  # whether slope, curvature and axes are still to be evaluated
    drifting: np.ndarray  # whether it was seen to move along a valley without curvature
    coupled: np.ndarray  # whether Newton's method needs the Hessian at every stage
    settled: np.ndarray  # whether x is on Γ and only J and K still move
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

    def take(self, rows: np.ndarray) -> "_Flow":
        return _Flow(*(getattr(self, field.name)[rows] for field in fields(self)))

    def join(self, other: "_Flow") -> "_Flow":
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return _Flow(*(np.concatenate(pair) for pair in pairs))


class _Results:
    """Collects what became of each point."""

    def __init__(self, count: int, dimension: int, columns: int, seconds: int) -> None:
        self.points = np.full((count, dimension), np.nan)
        self.jacobian = np.full((count, dimension, columns), np.nan)
        self.second = np.full((count, dimension, seconds), np.nan)
        self.reasons = ["not followed"] * count
        self.steps = 0

    def refuse(self, flow: _Flow, which: np.ndarray, words: Callable[[int], str]) -> None:
        for row in np.flatnonzero(which):
            self.reasons[flow.index[row]] = words(int(row))

    def accept(self, flow: _Flow) -> None:
        self.points[flow.index] = flow.x
        self.jacobian[flow.index] = flow.jacobian
        self.second[flow.index] = flow.second
        for row in flow.index:
            self.reasons[row] = ""


def limits_of_flow(
    loss: SmoothLoss,
    rows: np.ndarray,
    rank: int,
    *,
    first: bool = False,
    directions: np.ndarray | None = None,
    tolerance: float = 1e-12,
) -> FlowLimits:
    """Φ, and on request ∂Φ and ∂²Φ[B], at many points.

    Args:
        loss: the derivatives of L; the derivatives of third order are only used for `directions`.
        rows: starting points x, each followed by the constants of the loss (B×(D+C)).
        rank: M = rank ∇²L on Γ = {∇L = 0, ∇²L ≥ 0 of rank M}.
        first: whether to compute ∂Φ.
        directions: B, of which the symmetric part counts (B×D×D); ∂Φ comes with ∂²Φ[B].
        tolerance: error of one step, relative to 1 + |x|; ten times that for J and K, relative to their sizes.

    Raises:
        BadShape: rows or directions of the wrong shape, or a rank that is not between 1 and D.
    """
    rows = _checked(loss, rows, rank, directions)
    first = first or directions is not None
    task = _Task(loss, rank, tolerance, SETTLED if first else NEAR)
    count, dimension = len(rows), loss.dimension
    columns, seconds = (dimension if first else 0), (0 if directions is None else 1)
    results = _Results(count, dimension, columns, seconds)
    room = max(8, BLOCK // (METHOD.stages * dimension * (1 + columns)))
    with np.errstate(all="ignore"):
        flow, following = _start(rows[:0], 0, columns, None if directions is None else directions[:0], dimension), 0
        while following < count or len(flow):
            if following < count and len(flow) <= 0.75 * room:
                until = min(count, following + room - len(flow))
                some = None if directions is None else directions[following:until]
                flow = flow.join(_start(rows[following:until], following, columns, some, dimension))
                following = until
            flow = _judged(task, _evaluated(task, flow), results)
            if len(flow):
                flow = _stepped(task, flow, results)
    return FlowLimits(
        results.points,
        np.array([not reason for reason in results.reasons], bool),
        tuple(results.reasons),
        results.jacobian if first else None,
        None if directions is None else results.second[:, :, 0],
        results.steps,
    )


def _checked(loss: SmoothLoss, rows: np.ndarray, rank: int, directions: np.ndarray | None) -> np.ndarray:
    rows, dimension = np.asarray(rows, float), loss.dimension
    if rows.ndim != 2 or rows.shape[1] < dimension:
        raise BadShape(f"rows must be B×(D+C) with D = {dimension}, not of shape {rows.shape}")
    if not 1 <= rank <= dimension:
        raise BadShape(f"the rank of the Hessian on Γ must be between 1 and D = {dimension}, not {rank}")
    if directions is not None and directions.shape != (len(rows), dimension, dimension):
        raise BadShape(f"directions must be {len(rows)}×{dimension}×{dimension}, not of shape {directions.shape}")
    return rows


def _start(rows: np.ndarray, offset: int, columns: int, directions: np.ndarray | None, dimension: int) -> _Flow:
    count = len(rows)
    wide = 0 if directions is None else dimension
    direction = (
        np.zeros((count, wide, wide)) if directions is None else (directions + directions.transpose(0, 2, 1)) / 2
    )
    return _Flow(
        index=offset + np.arange(count),
        row=rows.copy(),
        jacobian=np.broadcast_to(np.eye(dimension, columns), (count, dimension, columns)),
        second=np.zeros((count, dimension, 0 if directions is None else 1)),
        direction=direction,
        time=np.zeros(count),
        attempts=np.zeros(count, int),
        length=np.full(count, np.nan),
        ratio=np.full(count, np.inf),
        polynomial=np.zeros((count, METHOD.stages, dimension)),
        fresh=np.ones(count, bool),
        drifting=np.zeros(count, bool),
        coupled=np.zeros(count, bool),
        settled=np.zeros(count, bool),
        limit=FAR * np.maximum(1, np.linalg.norm(rows[:, :dimension], axis=1)),
        slope=np.zeros((count, dimension)),
        curvature=np.zeros((count, dimension)),
        axes=np.zeros((count, dimension, dimension)),
    )


def _evaluated(task: _Task, flow: _Flow) -> _Flow:
    """∇L in the eigenbasis of H, its eigenvalues and its eigenvectors, where x has moved; nan where not finite."""
    rows = np.flatnonzero(flow.fresh & ~flow.settled)
    if not len(rows):
        return replace(flow, fresh=np.zeros(len(flow), bool))
    slope, curvature, axes = flow.slope.copy(), flow.curvature.copy(), flow.axes.copy()
    slope[rows], curvature[rows], axes[rows] = _local(task, flow.row[rows])
    length = np.where(np.isnan(flow.length), FIRST_LENGTH / np.abs(curvature).max(1), flow.length)
    length = np.where(np.isinf(length), 1.0, length)
    length = np.where(curvature[:, 0] < 0, np.minimum(length, UNSTABLE_LENGTH / np.abs(curvature[:, 0])), length)
    return replace(
        flow,
        slope=slope,
        curvature=curvature,
        axes=axes,
        ratio=flow.ratio * np.where(np.isnan(flow.length), 1.0, length / flow.length),
        length=length,
        fresh=np.zeros(len(flow), bool),
    )


def _local(task: _Task, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vᵀ∇L (b×D), λ ascending (b×D), V (b×D×D)."""
    gradient, hessian = task.loss.gradient(rows), task.loss.hessian(rows)
    finite = np.logical_and(np.isfinite(gradient).all(1), np.isfinite(hessian).all((1, 2)))
    curvature, axes = np.linalg.eigh(np.where(finite[:, None, None], hessian, 0.0))
    curvature[~finite] = np.nan
    return (gradient[:, None, :] @ axes)[:, 0], curvature, axes


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
    def of(rank: int, x: np.ndarray, slope: np.ndarray, curvature: np.ndarray) -> "_Place":
        tangent = slope.shape[1] - rank
        largest, size = np.abs(curvature).max(1), 1 + np.linalg.norm(x, axis=1)
        weakest = curvature[:, tangent] / largest
        flattest = np.abs(curvature[:, :tangent]).max(1, initial=0.0) / largest
        newton, unit = slope / curvature / size[:, None], largest * size
        clear = np.abs(curvature) > MOST_TANGENT * largest[:, None]
        return _Place(
            size=size,
            normal_distance=np.where(weakest > 0, np.linalg.norm(newton[:, tangent:], axis=1), np.inf),
            resolution=ROUNDING_OF_DISTANCE / weakest,
            rank_is_right=(weakest > LEAST_NORMAL) & (flattest <= MOST_TANGENT),
            drift=_relative(np.linalg.norm(slope[:, :tangent], axis=1), unit),
            distance=np.linalg.norm(np.where(clear, newton, 0.0), axis=1),
            remainder=_relative(np.linalg.norm(np.where(clear, 0.0, slope), axis=1), unit),
            descent=_relative(np.maximum(-curvature[:, 0], 0), largest),
        )

    def is_elsewhere(self) -> np.ndarray:
        """Whether this is a stationary point that is not on Γ, or so close to a saddle that rounding decides."""
        near = (self.distance < SADDLE_DISTANCE) & (self.remainder < SADDLE_DISTANCE)
        at = (self.distance < np.clip(np.nan_to_num(self.resolution), SETTLED, SADDLE_DISTANCE)) & (
            self.remainder <= QUIET
        )
        return near & (self.descent > SADDLE_CURVATURE) | at & ~self.rank_is_right


def _relative(value: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """value / unit, with 0 / 0 = 0: where the Hessian vanishes."""
    return np.where(value == 0, 0.0, value / unit)


def _judged(task: _Task, flow: _Flow, results: _Results) -> _Flow:
    """Those that go on; the others are handed over to the results."""
    place = _Place.of(task.rank, flow.x, flow.slope, flow.curvature)
    near = np.maximum(task.near, place.resolution) if task.near == SETTLED else task.near
    candidate = (place.normal_distance < near) & place.rank_is_right
    quiet = candidate & (place.drift <= QUIET)
    drifting = (flow.drifting & place.rank_is_right) | (candidate & ~quiet)
    flow = replace(flow, drifting=drifting)
    lost = _refused(flow, place, quiet & drifting, results)
    flow, arriving = flow.take(~lost), (quiet & ~drifting & ~flow.settled)[~lost]
    if arriving.any():
        flow = _polished(task, flow.take(arriving), results).join(flow.take(~arriving))
    done = flow.settled & _variations_have_decayed(flow, task.rank)
    if done.any():
        results.accept(_on_tangent_space(task, flow.take(done)))
        flow = flow.take(~done)
    return flow


def _refused(flow: _Flow, place: _Place, flat: np.ndarray, results: _Results) -> np.ndarray:
    """Which points will not reach Γ; the reasons go to the results."""
    infinite = ~np.isfinite(flow.curvature).all(1) | ~np.isfinite(flow.slope).all(1)
    stuck = flow.length * np.linalg.norm(flow.slope, axis=1) < SHORTEST_STEP * place.size
    infinite |= stuck & (flow.length * np.abs(flow.curvature).max(1) < SHORTEST_LENGTH)
    far = np.linalg.norm(flow.x, axis=1) > flow.limit
    elsewhere = ~flow.settled & place.is_elsewhere()
    slow = flat | (flow.attempts >= MOST_STEPS)
    results.refuse(flow, slow, lambda row: _words_of_slowness(flow, row))
    results.refuse(flow, infinite, lambda row: f"the loss is not finite along the flow, near {_place(flow.x[row])}")
    results.refuse(flow, elsewhere, lambda row: _words_of_place(flow, row))
    results.refuse(flow, far, lambda row: _words_of_divergence(flow, row))
    return slow | elsewhere | infinite | far


def _polished(task: _Task, flow: _Flow, results: _Results) -> _Flow:
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
    slope, curvature, axes = _local(task, row)
    place = _Place.of(task.rank, row[:, : flow.dimension], slope, curvature)
    flow = replace(flow, row=row, slope=slope, curvature=curvature, axes=axes)
    right = place.rank_is_right & (place.normal_distance <= np.maximum(task.near, place.resolution))
    results.refuse(flow, ~right, lambda row: _words_of_place(flow, row))
    curvature[:, : flow.dimension - task.rank] = 0.0
    still = np.zeros(len(flow), bool)
    return replace(flow, settled=~still, coupled=still).take(right)


def _variations_have_decayed(flow: _Flow, rank: int) -> np.ndarray:
    normal = flow.axes[:, :, -rank:].transpose(0, 2, 1) @ flow.jacobian
    size = np.abs(flow.jacobian).max((1, 2), initial=0.0)
    return np.abs(normal).max((1, 2), initial=0.0) <= DEAD * size


def _on_tangent_space(task: _Task, flow: _Flow) -> _Flow:
    """J ← P J and K ← P K − H†T[J B Jᵀ], where K̇ = 0 in the normal space."""
    tangent, normal = flow.axes[:, :, : -task.rank], flow.axes[:, :, -task.rank :]
    jacobian = tangent @ (tangent.transpose(0, 2, 1) @ flow.jacobian)
    if not flow.second.shape[2]:
        return replace(flow, jacobian=jacobian)
    push = task.loss.third(flow.row, jacobian @ flow.direction @ jacobian.transpose(0, 2, 1))
    steady = normal @ ((push[:, None, :] @ normal)[:, 0] / flow.curvature[:, -task.rank :])[:, :, None]
    second = tangent @ (tangent.transpose(0, 2, 1) @ flow.second) - steady
    return replace(flow, jacobian=jacobian, second=second)


def _stepped(task: _Task, flow: _Flow, results: _Results) -> _Flow:
    """One step, accepted or not, of every point; the error estimate corrects what it estimates."""
    solver = Solver.of(METHOD, flow.length, flow.curvature)
    size = 1 + np.linalg.norm(flow.x, axis=1)
    guess = extrapolation(METHOD, flow.polynomial, np.minimum(flow.ratio, MOST_EXTRAPOLATION))
    guess[:, flow.settled | (flow.ratio > MOST_EXTRAPOLATION)] = 0.0
    stages, error = _plain(task, flow, solver, guess, size)
    stiff = flow.length * flow.curvature[:, -1] > STIFF
    coupled = flow.coupled | (~stages.found & stiff)
    if coupled.any():
        stages, error = _corrected(task, flow, np.flatnonzero(coupled), guess, size, stages, error)
    row = flow.row.copy()
    row[:, : flow.dimension] += stages.values[-1] + error
    error = np.linalg.norm(error, axis=1) / size / _attainable(task, flow, size)
    error = np.where(stages.found, error, np.inf)
    flow = replace(flow, coupled=coupled)
    moved, error = _with_variations(task, flow, solver, stages.values, error)
    results.steps = max(results.steps, int(flow.attempts.max()) + 1)
    return _continued(flow, replace(moved, row=row), stages.values, error, stages.contraction)


def _attainable(task: _Task, flow: _Flow, size: np.ndarray) -> np.ndarray:
    """The tolerance; close to Γ, where nothing but rounding is left to be resolved, not below the rounding of h∇L."""
    newton = flow.slope[:, -task.rank :] / flow.curvature[:, -task.rank :]
    close = np.linalg.norm(newton, axis=1) < LINEAR_DISTANCE * size
    return task.tolerance + np.where(close, ROUNDING_OF_HESSIAN * flow.length * flow.curvature[:, -1], 0.0)


def _plain(task: _Task, flow: _Flow, solver: Solver, guess: np.ndarray, size: np.ndarray) -> tuple[Stages, np.ndarray]:
    """Stages and error of the end by the simplified Newton iteration; not found where it is not to be used."""

    def velocity(stages: np.ndarray, rows: np.ndarray) -> np.ndarray:
        part = slice(None) if len(rows) == len(flow) else rows
        result = -turn(_at_stages(task.loss.gradient, flow.row[part], stages), flow.axes[part])
        result[:, flow.settled[part]] = 0.0
        return result

    stages = nonlinear_stages(
        velocity, solver, flow.axes, guess, size, NEWTON_SHARE * task.tolerance, np.flatnonzero(~flow.coupled)
    )
    slopes = velocity(mix(METHOD.defect_values, stages.values), np.arange(len(flow)))
    error = defect_error(METHOD, flow.length, flow.curvature, turn(stages.values, flow.axes), slopes)
    return stages, (flow.axes @ error[:, :, None])[:, :, 0]


def _corrected(
    task: _Task,
    flow: _Flow,
    hard: np.ndarray,
    guess: np.ndarray,
    size: np.ndarray,
    stages: Stages,
    error: np.ndarray,
) -> tuple[Stages, np.ndarray]:
    """The same with the Hessian at every stage, for the points `hard`."""
    part = flow.take(hard)

    def local(values: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        some = part.row[rows]
        return -_at_stages(task.loss.gradient, some, values), _at_stages(task.loss.hessian, some, values)

    new = coupled_stages(local, METHOD, part.length, guess[:, hard], size[hard], NEWTON_SHARE * task.tolerance)
    slopes, hessian = local(mix(METHOD.defect_values, new.values), np.arange(len(hard)))
    values, found, error = stages.values.copy(), stages.found.copy(), error.copy()
    contraction = stages.contraction.copy()
    values[:, hard], found[hard], contraction[hard] = new.values, new.found, 0.0
    more = coupled_defect_error(METHOD, part.length, hessian, new.values[..., None], slopes[..., None])
    error[hard] = more[:, :, 0]
    return Stages(values, found, contraction), error


def _continued(flow: _Flow, moved: _Flow, stages: np.ndarray, error: np.ndarray, contraction: np.ndarray) -> _Flow:
    """The accepted steps, and the length of the next ones."""
    accepted = error <= 1
    allowed = SAFETY * np.maximum(error, 1e-30) ** (-0.5 / METHOD.stages)
    allowed = np.fmin(allowed, np.where(accepted, np.fmax(AIM_OF_CONTRACTION / contraction, 0.5), SAFETY))
    factor = np.where(np.isfinite(error), np.clip(allowed, 0.1, MOST_GROWTH), REJECTED)
    polynomial = (METHOD.monomials @ stages.reshape(len(METHOD.nodes), -1)).reshape(stages.shape).transpose(1, 0, 2)
    wide = accepted[:, None, None]
    stiffness = flow.length * flow.curvature[:, -1]
    slow = (stiffness > STIFF) & (contraction > SLOW_CONTRACTION) | (stiffness > NOISY) & (error > SAFE_ERROR)
    return replace(
        flow,
        row=np.where(accepted[:, None], moved.row, flow.row),
        jacobian=np.where(wide, moved.jacobian, flow.jacobian),
        second=np.where(wide, moved.second, flow.second),
        time=flow.time + np.where(accepted, flow.length, 0.0),
        attempts=flow.attempts + 1,
        length=flow.length * factor,
        ratio=np.where(accepted, factor, flow.ratio * factor),
        polynomial=np.where(wide, polynomial, flow.polynomial),
        fresh=accepted,
        coupled=flow.coupled | slow & ~flow.settled,
    )


def _at_stages(function: Callable[[np.ndarray], np.ndarray], row: np.ndarray, stages: np.ndarray) -> np.ndarray:
    """A function of rows at x + Z: (s, B, D) → (s, B, …)."""
    values = function(_rows_at_stages(row, stages))
    return values.reshape(*stages.shape[:2], *values.shape[1:])


def _rows_at_stages(row: np.ndarray, stages: np.ndarray) -> np.ndarray:
    """x + Z followed by the constants, one row for each stage of each point."""
    count, points, dimension = stages.shape
    rows = np.empty((count, points, row.shape[1]))
    rows[:] = row
    rows[:, :, :dimension] += stages
    return rows.reshape(count * points, -1)


def _with_variations(
    task: _Task, flow: _Flow, solver: Solver, stages: np.ndarray, error: np.ndarray
) -> tuple[_Flow, np.ndarray]:
    """J and K at the end of the step, in place of those at its start, and the larger of the errors."""
    good = np.flatnonzero(error <= 1)
    if not flow.jacobian.shape[2] or not len(good):
        return flow, error
    part = _Variations(task.loss, flow.take(good), solver.take(good), stages[:, good], task.tolerance)
    jacobian, second, worse = part.step()
    all_jacobians, all_seconds, error = flow.jacobian.copy(), flow.second.copy(), error.copy()
    all_jacobians[good], all_seconds[good], error[good] = jacobian, second, np.fmax(error[good], worse)
    return replace(flow, jacobian=all_jacobians, second=all_seconds), error


@dataclass(frozen=True)
class _Variations:
    """One step of J and K along the stages of x, in the eigenbasis of H at the start."""

    loss: SmoothLoss
    flow: _Flow
    solver: Solver
    stages: np.ndarray
    tolerance: float

    def step(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """J and K at the end of the step, and their error over the tolerance (infinite where not found)."""
        axes, back = self.flow.axes, self.flow.axes.transpose(0, 2, 1)
        between = mix(METHOD.defect_values, self.stages)
        excess, excess_between = self._excess(self.stages), self._excess(between)
        start = back @ self.flow.jacobian
        size = np.linalg.norm(start, axis=(1, 2))
        moved, end, error = self._column(excess, excess_between, start, size, 0.0, 0.0)
        jacobian = axes @ (start + end)
        if not self.flow.second.shape[2]:
            return jacobian, self.flow.second, error
        push = self._push(self.stages, start + moved)
        push_between = self._push(between, start + mix(METHOD.defect_values, moved))
        floor = np.linalg.norm(self.flow.direction, axis=(1, 2)) * size**2 / (1 + np.linalg.norm(self.flow.x, axis=1))
        scale = np.maximum(np.linalg.norm(self.flow.second, axis=(1, 2)), SMALL_SECOND * floor)
        _, end, more = self._column(excess, excess_between, back @ self.flow.second, scale, push, push_between)
        return jacobian, self.flow.second + axes @ end, np.maximum(error, more)

    def _excess(self, stages: np.ndarray) -> np.ndarray:
        """Vᵀ H(x + Z) V − diag λ; zero on Γ, where the flow stands still."""
        back = self.flow.axes.transpose(0, 2, 1)
        turned = back @ _at_stages(self.loss.hessian, self.flow.row, stages) @ self.flow.axes
        place = np.arange(self.flow.dimension)
        turned[:, :, place, place] -= self.flow.curvature
        turned[:, self.flow.settled] = 0.0
        return turned

    def _column(
        self,
        excess: np.ndarray,
        between: np.ndarray,
        start: np.ndarray,
        size: np.ndarray,
        push: np.ndarray | float,
        push_between: np.ndarray | float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stages and end of Ẏ = −H Y − push, less Y at the start, and the error of the end over the tolerance."""
        curvature = self.flow.curvature[:, :, None]
        force = -(excess @ start) - curvature * start - push
        stiffness = self.flow.length * np.abs(self.flow.curvature).max(1)
        tolerance = VARIATION_SHARE * self.tolerance + ROUNDING_OF_HESSIAN * stiffness
        scale = size + np.finfo(float).tiny
        stages = linear_stages(
            self.solver,
            self.flow.length,
            self.flow.curvature,
            excess,
            force,
            scale,
            NEWTON_SHARE * VARIATION_SHARE * self.tolerance,
        )
        inside = start + mix(METHOD.defect_values, stages.values)
        slopes = -(between @ inside) - curvature * inside - push_between
        error = defect_error(METHOD, self.flow.length, self.flow.curvature, stages.values, slopes)
        hard = self.flow.coupled
        if hard.any():
            hessian = between[:, hard] + self.flow.curvature[hard, :, None] * np.eye(self.flow.dimension)
            error[hard] = coupled_defect_error(
                METHOD, self.flow.length[hard], hessian, stages.values[:, hard], slopes[:, hard]
            )
        grown = np.maximum(scale, np.abs(stages.values).max((0, 2, 3)))
        end = stages.values[-1] + error
        error = np.linalg.norm(error, axis=(1, 2)) / grown / tolerance
        return stages.values, end, np.where(stages.found, error, np.inf)

    def _push(self, stages: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
        """Vᵀ T[J B Jᵀ] at the stages, J in the eigenbasis: (s, B, D, 1)."""
        axes = self.flow.axes
        turned = axes @ jacobian
        spread = turned @ self.flow.direction @ turned.swapaxes(2, 3)
        rows = _rows_at_stages(self.flow.row, stages)
        pushed = self.loss.third(rows, spread.reshape(-1, *spread.shape[2:]))
        return axes.transpose(0, 2, 1) @ pushed.reshape(*stages.shape, 1)


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _place(x: np.ndarray) -> str:
    """The point with components that are rounding written as 0."""
    rounded = np.where(np.abs(x) < 10 * SADDLE_DISTANCE * (1 + np.abs(x).max()), 0.0, x)
    return "(" + ", ".join(_number(value) for value in rounded) + ")"


def _words_of_place(flow: _Flow, row: int) -> str:
    curvature = flow.curvature[row]
    largest, place = np.abs(curvature).max(), _place(flow.x[row])
    span = f"(the Hessian there has eigenvalues from {_number(curvature[0])} to {_number(curvature[-1])})"
    if curvature[-1] <= MOST_TANGENT * largest and largest > 0:
        return f"the flow ends in a maximum at {place} {span}"
    if curvature[0] < -MOST_TANGENT * largest:
        return f"the flow ends in a saddle at {place} {span}"
    found = int((curvature > MOST_TANGENT * largest).sum())
    return f"the flow ends at {place}, where the Hessian has rank {found}: another set than Γ"


def _words_of_slowness(flow: _Flow, row: int) -> str:
    return (
        f"the flow had not settled after {flow.attempts[row]} steps, at {_place(flow.x[row])}, "
        f"|∇L| = {_number(float(np.linalg.norm(flow.slope[row])))} "
        "(the minimum there is flatter than quadratic, or lies at infinity)"
    )


def _words_of_divergence(flow: _Flow, row: int) -> str:
    return f"the flow diverges: |x| passes {_number(flow.limit[row])} after t = {_number(flow.time[row])}"
