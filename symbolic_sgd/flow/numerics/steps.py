"""One Radau IIA step of every point under way, with the columns of the variational equations."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from symbolic_sgd.flow.numerics.radau import (
    Solver,
    Stages,
    coupled_defect_error,
    coupled_stages,
    defect_error,
    extrapolation,
    linear_stages,
    mix,
    nonlinear_stages,
    turn,
)
from symbolic_sgd.flow.numerics.state import METHOD, Flow, SmoothLoss, Task

LINEAR_DISTANCE = 1e-5
"""Newton distance, relative to 1 + |x|, below which the flow along Γ is the square of it and errors cannot matter."""

NEWTON_SHARE = 0.03
"""Error of the Newton iterations as a share of the tolerance."""

VARIATION_SHARE = 10.0
"""Tolerance of J and K, relative to their sizes, over that of x."""

ROUNDING_OF_HESSIAN = 10 * np.finfo(float).eps
"""Rounding of H, relative to λ₁; times hλ₁ it enters J and K, and no step can be more exact."""

ROUNDING_OF_GRADIENT = 0.01 * np.finfo(float).eps
"""Rounding of ∇L along slow directions that sums of squares do not avoid, relative to λ₁(1 + |x|); times h it enters x."""

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

MOST_GROWTH = 6.0
"""Largest ratio of a step to the one before."""

MOST_EXTRAPOLATION = 3.0
"""Beyond this ratio of steps the last polynomial predicts worse than the frozen linear flow does."""


def stepped(task: Task, flow: Flow) -> Flow:
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
    crossed = flow.crossed | (error <= 1) & _crossing(task, flow, stages.values)
    flow = replace(flow, crossed=crossed)
    return _continued(flow, replace(moved, row=row), stages.values, error, stages.contraction)


def _crossing(task: Task, flow: Flow, stages: np.ndarray) -> np.ndarray:
    """Whether a margin changes its sign between the start and a stage; a start on a kink has none."""
    if task.loss.margins is None:
        return np.zeros(len(flow), bool)
    before = np.sign(task.loss.margins(flow.row))
    within = np.sign(_at_stages(task.loss.margins, flow.row, stages))
    return np.any(within * before < 0, axis=(0, 2))


def _attainable(task: Task, flow: Flow, size: np.ndarray) -> np.ndarray:
    """The tolerance, but not below the rounding of h∇L; close to Γ, where nothing but rounding is left, well above it."""
    newton = flow.slope[:, -task.rank :] / flow.curvature[:, -task.rank :]
    close = np.linalg.norm(newton, axis=1) < LINEAR_DISTANCE * size
    rounding = np.where(close, ROUNDING_OF_HESSIAN, ROUNDING_OF_GRADIENT)
    return task.tolerance + rounding * flow.length * np.maximum(flow.curvature[:, -1], 0.0)


def _plain(task: Task, flow: Flow, solver: Solver, guess: np.ndarray, size: np.ndarray) -> tuple[Stages, np.ndarray]:
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
    task: Task,
    flow: Flow,
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


def _continued(flow: Flow, moved: Flow, stages: np.ndarray, error: np.ndarray, contraction: np.ndarray) -> Flow:
    """The accepted steps, and the length of the next ones."""
    accepted = error <= 1
    allowed = SAFETY * np.maximum(error, 1e-30) ** (-0.5 / METHOD.stages)
    allowed = np.fmin(allowed, np.where(accepted, np.fmax(AIM_OF_CONTRACTION / contraction, 0.5), SAFETY))
    factor = np.where(np.isfinite(error), np.clip(allowed, 0.1, MOST_GROWTH), REJECTED)
    polynomial = (METHOD.monomials @ stages.reshape(len(METHOD.nodes), -1)).reshape(stages.shape).transpose(1, 0, 2)
    wide = accepted[:, None, None]
    stiffness = flow.length * flow.curvature[:, -1]
    slow = (stiffness > STIFF) & (contraction > SLOW_CONTRACTION) | (stiffness > NOISY) & (error > SAFE_ERROR)
    row = moved.row.copy()
    row[:, : flow.dimension] += np.where(flow.settled, 0.0, 1 + np.linalg.norm(flow.x, axis=1))[:, None] * flow.kick
    return replace(
        flow,
        row=np.where(accepted[:, None], row, flow.row),
        jacobian=np.where(wide, moved.jacobian, flow.jacobian),
        second=np.where(wide, moved.second, flow.second),
        time=flow.time + np.where(accepted, flow.length, 0.0),
        growth=flow.growth + np.where(accepted, flow.length * np.maximum(-flow.curvature[:, 0], 0.0), 0.0),
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
    task: Task, flow: Flow, solver: Solver, stages: np.ndarray, error: np.ndarray
) -> tuple[Flow, np.ndarray]:
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
    flow: Flow
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
