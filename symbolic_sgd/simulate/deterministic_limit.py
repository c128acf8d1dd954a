"""The deterministic limit dY = b(Y) dt on Γ, by Runge–Kutta steps each of which is put back on Γ."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import RK45

Field = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class LimitFlow:
    """Where the flow stopped.

    Args:
        time: t in units of kη².
        point: Y(t).
        reason: "time" (all of it has passed), "stopped" (by the caller's condition), or what the vector field raised.
        steps: Runge–Kutta steps.
    """

    time: float
    point: np.ndarray
    reason: str
    steps: int


def follow_limit(
    drift: Field,
    corrected: Field,
    start: np.ndarray,
    time: float,
    *,
    stop: Callable[[float, np.ndarray], bool] | None = None,
    tolerance: float = 1e-4,
    singular: type[Exception] | tuple[type[Exception], ...] = (),
) -> LimitFlow:
    """Follow dY/dt = b(Y) from a point of Γ.

    Args:
        drift: b on R^D (its values beside Γ are met between the stages of a step).
        corrected: one Newton step back to Γ.
        start: Y(0).
        time: t at which to end.
        stop: asked after each step whether to end earlier.
        tolerance: of a step, relative; a tenth of it is the absolute one.
        singular: exceptions of `drift` that end the flow at the last good point instead of being raised.
    """
    known = float("-inf"), np.zeros_like(start)
    try:
        solver = RK45(lambda _, y: drift(y), 0.0, start, time, rtol=tolerance, atol=tolerance / 10)
        known, count = (0.0, start), 0
        while solver.status == "running":
            solver.step()
            if solver.status == "failed":
                return LimitFlow(*known, "the step size became too small", count)
            count += 1
            solver.y = corrected(solver.y)
            solver.f = drift(solver.y)
            known = solver.t, solver.y.copy()
            if stop is not None and stop(*known):
                return LimitFlow(*known, "stopped", count)
        return LimitFlow(*known, "time", count)
    except singular as error:
        return LimitFlow(max(known[0], 0.0), known[1] if known[0] >= 0 else start, str(error), 0)
