"""The second road to Φ: each start on its own, by SciPy's integrator on SymPy's gradient, a Newton step at the end.

Shares no code with the package.
"""

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

METHOD = "DOP853"
TOLERANCE = 1e-12
HORIZON = 1e7
FAR = 1e8  # a distance to Γ where it has no meaning
MOST_EVALUATIONS = 100_000


class Lost(Exception):
    """The flow takes too long."""


class LiteralFlow:
    """ẋ = −∇L(x) for one loss with numbers for its constants."""

    def __init__(self, loss, parameters, rank):
        slope = [sp.diff(loss, s) for s in parameters]
        self.rank = rank
        self._slope = sp.lambdify(parameters, slope, modules=["numpy", "scipy"], cse=True)
        self._hessian = sp.lambdify(
            parameters, sp.hessian(loss, parameters).tolist(), modules=["numpy", "scipy"], cse=True
        )

    def slope(self, x):
        return np.array(self._slope(*x), dtype=float)

    def hessian(self, x):
        return np.array(self._hessian(*x), dtype=float)

    def limit(self, start):
        """Φ(start), or None where the flow was not seen to settle on a minimizer with a Hessian of the rank given."""
        x = np.array(start, dtype=float)
        near = lambda _, y: self._distance(y) - 1e-7 * (1 + np.linalg.norm(y))  # noqa: E731
        near.terminal = True
        evaluations = iter(range(MOST_EVALUATIONS))

        def velocity(_, y):
            if next(evaluations, None) is None:
                raise Lost
            return -self.slope(y)

        with np.errstate(all="ignore"):
            if near(0, x) > 0:
                try:
                    run = solve_ivp(
                        velocity, (0, HORIZON), x, method=METHOD, rtol=TOLERANCE, atol=TOLERANCE / 100, events=near
                    )
                except Lost:
                    return None
                if run.status != 1:
                    return None
                x = run.y[:, -1]
            x = self._settled(x)
        values = np.linalg.eigvalsh(self.hessian(x))
        fine = (
            values[-self.rank] > 1e-9 * values[-1] and np.abs(values[: -self.rank]).max(initial=0) < 1e-6 * values[-1]
        )
        return x if fine and self._distance(x) < 1e-12 * (1 + np.linalg.norm(x)) else None

    def _settled(self, x):
        """Newton steps in the normal space: from a distance δ of Γ they end O(δ²) from Φ."""
        for _ in range(4):
            x = x - self._step(x)
        return x

    def _step(self, x):
        values, axes = np.linalg.eigh(self.hessian(x))
        axes, values = axes[:, -self.rank :], values[-self.rank :]
        return axes @ (axes.T @ self.slope(x) / values)

    def _distance(self, x):
        hessian = self.hessian(x)
        if not np.isfinite(hessian).all():
            return FAR
        values = np.linalg.eigvalsh(hessian)
        return np.linalg.norm(self._step(x)) if values[-self.rank] > 0 and values[0] > -1e-3 * values[-1] else FAR
