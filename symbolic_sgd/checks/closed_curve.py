"""The integral of mixed + normal regularization round a closed curve on Γ, by the literal theorem and SciPy's ODE solver."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq

from symbolic_sgd.checks.literal import LiteralTheorem
from symbolic_sgd.errors import Undecided

TOLERANCE = 1e-11
"""Of a step, relative; the absolute one is this times 1 + |x|."""

LONGEST = 0.2
"""Longest step, relative to 1 + |x|."""

MET = 1e-7
"""A curve is closed where it comes back so closely to its start, relative to 1 + |x|."""

SHORT = 1e-3
"""And relative to its own length."""

STEPS = 400
"""Steps that are made at most."""


@dataclass(frozen=True)
class CurveIntegral:
    """∮⟨b, dY⟩ for b = mixed + normal regularization, ∮|b||dY|, and points of the curve."""

    integral: float
    size: float
    nodes: np.ndarray


@dataclass
class _Velocity:
    """(dx/ds, d∫⟨b, dY⟩/ds, d∫|b||dY|/ds) along the curve {A(x − x₀) = 0} on Γ, at unit speed and drawn back to it.

    An axis has no sign of its own: `heading` is the direction in which the curve was last followed.
    """

    theorem: LiteralTheorem
    start: np.ndarray
    cuts: np.ndarray
    heading: np.ndarray

    def __call__(self, _: float, state: np.ndarray) -> np.ndarray:
        loss, rank = self.theorem.stated.smooth_loss, self.theorem.rank
        d = loss.dimension
        row = np.concatenate([state[:d], self.start[d:]])
        curvature, axes = np.linalg.eigh(loss.hessian(row[None])[0])
        normal, steep = axes[:, d - rank :], curvature[d - rank :]
        constraints = np.concatenate([normal.T, self.cuts])
        direction = np.linalg.svd(constraints)[2][-1]
        direction = direction if direction @ self.heading >= 0 else -direction
        away = np.concatenate([normal.T @ loss.gradient(row[None])[0] / steep, self.cuts @ (row - self.start)[:d]])
        back = np.linalg.lstsq(constraints, away, rcond=None)[0]
        field = self.theorem.float_differential(row)[:, 0]
        return np.concatenate([direction - back, [field @ direction, np.linalg.norm(field)]])


def closed_curve(theorem: LiteralTheorem, start: np.ndarray, cuts: np.ndarray) -> CurveIntegral:
    """The curve through a point of Γ in which the planes A(x − x₀) = 0 cut it, once round.

    Args:
        theorem: of the loss and the noise.
        start: x₀, then the constants.
        cuts: A, (D − M − 1)×D.

    Raises:
        Undecided: the curve was not seen to close.
    """
    d = theorem.stated.smooth_loss.dimension
    velocity = _Velocity(theorem, start, cuts, heading=np.zeros(d))
    begin = np.concatenate([start[:d], [0.0, 0.0]])
    first, extent = velocity(0.0, begin)[:d], 1 + float(np.linalg.norm(start[:d]))
    velocity.heading = first
    solver = DOP853(velocity, 0.0, begin, np.inf, max_step=LONGEST * extent, rtol=TOLERANCE, atol=TOLERANCE * extent)
    nodes = [start[:d]]
    for _ in range(STEPS):
        solver.step()
        if solver.status == "failed" or not np.isfinite(solver.y).all():
            break
        path = solver.dense_output()
        passed = lambda s, path=path: first @ (path(s)[:d] - start[:d])  # noqa: E731
        if len(nodes) > 2 and passed(solver.t_old) < 0 <= passed(solver.t):
            length: Any = brentq(passed, solver.t_old, solver.t, xtol=1e-14)
            end = path(length)
            if np.linalg.norm(end[:d] - start[:d]) <= min(MET * extent, SHORT * length):
                return CurveIntegral(float(end[d]), float(end[d + 1]), np.array(nodes))
        nodes.append(solver.y[:d].copy())
        velocity.heading = solver.f[:d]
    raise Undecided(f"the curve through {np.array2string(start, precision=6)} was not seen to close")
