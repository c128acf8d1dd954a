"""The gradient flow ẋ = −∇L(x) close to a manifold of minimizers, followed to its limit in float64."""

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

from symbolic_sgd.errors import FlowDidNotConverge

DECAY = 21.0
"""Exponential decay times of the slowest normal direction: e⁻²¹ ≈ 10⁻⁹, after which one Newton step is exact enough."""

MAXIMAL_STIFFNESS = 1e3
"""Largest ratio of curvatures for which an explicit method is a sensible choice."""


def limit_of_flow(
    gradient: Callable[[np.ndarray], np.ndarray],
    hessian: Callable[[np.ndarray], np.ndarray],
    base: np.ndarray,
    displacements: np.ndarray,
    rank: int,
) -> np.ndarray:
    """Φ(base + z) − base for many small displacements z at once.

    The displacement is what is integrated, to a relative tolerance of 10⁻¹³ of itself (Dormand–Prince 8(5,3)), so that
    small ones keep their digits; the last 10⁻⁹ is a Newton step in the normal space.

    Args:
        gradient: ∇L on points (B×D) → (B×D).
        hessian: ∇²L on points (B×D) → (B×D×D).
        base: a point of Γ (D).
        displacements: z (B×D).
        rank: M, the number of normal directions.

    Returns:
        B×D.

    Raises:
        FlowDidNotConverge: the flow left the neighbourhood, or is too stiff for an explicit method.
    """
    curvature = np.linalg.eigvalsh(hessian(base[None, :])[0])
    slow, fast = curvature[len(base) - rank], curvature[-1]
    if not slow > fast / MAXIMAL_STIFFNESS:
        raise FlowDidNotConverge(
            f"the flow is too stiff for an explicit method (curvatures from {slow:.3g} to {fast:.3g})"
        )
    shape = displacements.shape

    def velocity(_: float, z: np.ndarray) -> np.ndarray:
        return -gradient(base + z.reshape(shape)).ravel()

    size = np.abs(displacements).max()
    with np.errstate(all="ignore"):
        solution = solve_ivp(
            velocity,
            (0, DECAY / slow),
            displacements.ravel(),
            method="DOP853",
            rtol=1e-13,
            atol=1e-16 * size,
            t_eval=[DECAY / slow],
        )
    if not solution.success or not np.isfinite(solution.y).all():
        raise FlowDidNotConverge("the gradient flow did not settle on Γ")
    end = solution.y[:, -1].reshape(shape)
    return end - _normal_step(gradient(base + end), hessian(base + end), rank)


def _normal_step(slope: np.ndarray, hessian: np.ndarray, rank: int) -> np.ndarray:
    """H†∇L at each point."""
    curvature, axes = np.linalg.eigh(hessian)
    normal = axes[:, :, -rank:]
    along = np.einsum("bij,bi->bj", normal, slope) / curvature[:, -rank:]
    return np.einsum("bij,bj->bi", normal, along)
