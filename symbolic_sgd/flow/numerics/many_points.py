"""Φ(x) = lim_{t→∞} of ẋ = −∇L(x) for many starting points, with ∂Φ and ∂²Φ from the variational equations.

The flow carries x, J and K,

    ẋ = −∇L(x),   J̇ = −H J,  J(0) = I,   K̇ = −H K − T[J B Jᵀ],  K(0) = 0,   T[C]_k = Σ_ij ∂_i∂_j∂_k L C_ij,

to where J → ∂Φ and K → ∂²Φ[B]. The method is Radau IIA with a step size for each point; the flow is autonomous, so each
point has its own time as well, and what comes out for a point does not depend on the others.
"""

from dataclasses import dataclass, replace

import numpy as np

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.errors import BadShape, FlowDidNotConverge
from symbolic_sgd.flow.numerics.far_apart import far_limit, is_beside
from symbolic_sgd.flow.numerics.state import METHOD, SETTLED, SmoothLoss, Task, evaluated, started
from symbolic_sgd.flow.numerics.steps import stepped
from symbolic_sgd.flow.numerics.twins import Sharpened, decided_by_rounding
from symbolic_sgd.flow.numerics.verdicts import Results, judged
from symbolic_sgd.regular_point import CLEAR

NEAR = 1e-9
"""Newton distance, relative to 1 + |x|, at which Newton steps finish x: they err by its square times a curvature."""

BESIDE = 1.0
"""How far Γ may be, relative to 1 + |x|, from a point where float64 has lost its way between curvatures far apart."""

BLOCK = 2**15
"""Numbers in one array of stages; a dozen of these arrays stay in the cache."""


@dataclass(frozen=True)
class FlowLimits:
    """Φ (B×D), ∂Φ (B×D×D) and ∂²Φ[B] (B×D), nan where not reached; why not, in words; the largest number of steps; and which
    points were followed to many digits, because curvatures are far apart (B)."""

    points: np.ndarray
    reached: np.ndarray
    reasons: tuple[str, ...]
    jacobian: np.ndarray | None
    second: np.ndarray | None
    steps: int
    precise: np.ndarray


def limits_of_flow(
    loss: SmoothLoss,
    rows: np.ndarray,
    rank: int,
    *,
    first: bool = False,
    directions: np.ndarray | None = None,
    tolerance: float = 1e-12,
    least: float = CLEAR,
    sharpened: Sharpened = lambda rows, points: points,
) -> FlowLimits:
    """Φ, and on request ∂Φ and ∂²Φ[B], at many points.

    Args:
        loss: the derivatives of L; the derivatives of third order are only used for `directions`.
        rows: starting points x, each followed by the constants of the loss (B×(D+C)).
        rank: M = rank ∇²L on Γ = {∇L = 0, ∇²L ≥ 0 of rank M}.
        first: whether to compute ∂Φ.
        directions: B, of which the symmetric part counts (B×D×D); ∂Φ comes with ∂²Φ[B].
        tolerance: error of one step, relative to 1 + |x|; ten times that for J and K, relative to their sizes.
        least: the M-th curvature beside the largest from which float64 is accurate enough.
        sharpened: rows and limits near theirs → the exact limits (nan where unknown), if the caller knows better: starts
            that differ by rounding then have to lead to the same one.

    Raises:
        BadShape: rows or directions of the wrong shape, or a rank that is not between 1 and D.
    """
    rows = _checked(loss, rows, rank, directions)
    first = first or directions is not None
    task = Task(loss, rank, tolerance, SETTLED if first else NEAR, least)
    with np.errstate(all="ignore"):
        results = _followed(task, rows, loss.dimension if first else 0, directions)
        _refuse_undetermined(task, rows, results, sharpened)
        precise = _follow_doubtful(task, rows, results, first, directions)
    return FlowLimits(
        results.points,
        np.array([not reason for reason in results.reasons], bool),
        tuple(results.reasons),
        results.jacobian if first else None,
        None if directions is None else results.second[:, :, 0],
        results.steps,
        precise,
    )


def _followed(
    task: Task, rows: np.ndarray, columns: int, directions: np.ndarray | None, kicks: np.ndarray | None = None
) -> Results:
    """What becomes of every row; points that are finished make room for the ones that follow.

    Args:
        kicks: what is added to each of them after every step, relative to 1 + |x| (B×D).
    """
    count, dimension = len(rows), task.loss.dimension
    kicks = np.zeros((count, dimension)) if kicks is None else kicks
    results = Results(count, dimension, columns, 0 if directions is None else 1)
    room = max(8, BLOCK // (METHOD.stages * dimension * (1 + columns)))
    flow = started(rows[:0], 0, columns, None if directions is None else directions[:0], kicks[:0])
    following = 0
    while following < count or len(flow):
        if following < count and len(flow) <= 0.75 * room:
            until = min(count, following + room - len(flow))
            some = None if directions is None else directions[following:until]
            flow = flow.join(started(rows[following:until], following, columns, some, kicks[following:until]))
            following = until
        flow = judged(task, evaluated(task, flow), results)
        if len(flow):
            flow = stepped(task, flow)
            results.steps = max(results.steps, int(flow.attempts.max()))
    return results


def _refuse_undetermined(task: Task, rows: np.ndarray, results: Results, sharpened: Sharpened) -> None:
    """Give up points whose limit rounding has decided."""
    coarse = replace(task, near=NEAR)

    def followed(twins: np.ndarray, kicks: np.ndarray) -> np.ndarray:
        return _followed(coarse, twins, 0, None, kicks).points

    for row, words in decided_by_rounding(task, rows, results, followed, sharpened).items():
        results.points[row] = results.jacobian[row] = results.second[row] = np.nan
        results.reasons[row] = words


def _follow_doubtful(
    task: Task, rows: np.ndarray, results: Results, first: bool, directions: np.ndarray | None
) -> np.ndarray:
    """Follow those to many digits that float64 has given up beside a regular point of Γ; which have arrived."""
    arrived = np.zeros(len(rows), bool)
    precise, d, digits = task.loss.precise, task.loss.dimension, int(np.ceil(-np.log10(task.tolerance))) + 1
    if precise is None:
        return arrived
    for k in np.flatnonzero(results.doubtful):
        row = [mp.mpf(float(a)) for a in rows[k]]
        if not is_beside(
            precise, [mp.mpf(float(a)) for a in (*results.stopped[k], *rows[k, d:])], d, task.rank, BESIDE
        ):
            continue
        direction = None if directions is None else (directions[k] + directions[k].T) / 2
        try:
            found = far_limit(precise, row, d, task.rank, digits, first=first, direction=direction)
        except FlowDidNotConverge as error:
            results.reasons[k] = str(error)
            continue
        results.points[k], results.reasons[k], arrived[k] = found.point, "", True
        if found.jacobian is not None:
            results.jacobian[k] = found.jacobian
        if found.second is not None:
            results.second[k, :, 0] = found.second
    return arrived


def _checked(loss: SmoothLoss, rows: np.ndarray, rank: int, directions: np.ndarray | None) -> np.ndarray:
    rows, dimension = np.asarray(rows, float), loss.dimension
    if rows.ndim != 2 or rows.shape[1] < dimension:
        raise BadShape(f"rows must be B×(D+C) with D = {dimension}, not of shape {rows.shape}")
    if not 1 <= rank <= dimension:
        raise BadShape(f"the rank of the Hessian on Γ must be between 1 and D = {dimension}, not {rank}")
    if directions is not None and directions.shape != (len(rows), dimension, dimension):
        raise BadShape(f"directions must be {len(rows)}×{dimension}×{dimension}, not of shape {directions.shape}")
    return rows
