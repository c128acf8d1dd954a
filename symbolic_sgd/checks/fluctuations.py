"""How far SGD strays from Γ at a learning rate η, by the loss and the noise alone."""

from dataclasses import dataclass

import numpy as np

from symbolic_sgd.flow.numerics.state import SmoothLoss

DEVIATIONS = 3.0
"""Standard deviations that SGD is taken to stray."""

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Parts of the way at which the force is looked at."""

GROWTH = 10.0
"""At a tenth of the stability bound, so many times the force of ∇²L leads to the other side at the same distance."""


@dataclass(frozen=True)
class Fluctuations:
    """The stationary covariance ηS of x − Φ(x) to first order in η: ∇²L S + S ∇²L = Σ_⊥, at a point of Γ.

    Args:
        loss: ∇L and ∇²L as plain functions.
        row: the point, parameters and then constants.
        axes: the columns of S^½, shape (D, M).
        slowest: the smallest nonzero eigenvalue of ∇²L.

    Source:
        The covariance C of the linearised iteration x⁺ = x − η(∇²L x + ξ), from C = E x⁺x⁺ᵀ without its terms in η²C.
    """

    loss: SmoothLoss
    row: np.ndarray
    axes: np.ndarray
    slowest: float

    @staticmethod
    def at(loss: SmoothLoss, row: np.ndarray, noise_factor: np.ndarray, rank: int) -> "Fluctuations":
        curvature, directions = np.linalg.eigh(loss.hessian(row[None])[0])
        curvature, normal = curvature[-rank:], directions[:, -rank:]
        noise = normal.T @ noise_factor
        variance, turned = np.linalg.eigh(noise @ noise.T / np.add.outer(curvature, curvature))
        axes = normal @ turned * np.sqrt(np.maximum(variance, 0.0))
        return Fluctuations(loss, row, axes, float(curvature[0]))

    def restoring(self, rate: float) -> float:
        """The least δ·∇L(x + δ)/δ·∇²L(x)δ over δ = ±¾√η s … ±3√η s, s the axes of S: 1 where L is quadratic as far as SGD strays.
        0 where ∇L does not pull back, or so many times as much as ∇²L says that a step would lead farther away."""
        sides = DEVIATIONS * np.sqrt(rate) * self.axes.T
        shifts = np.concatenate([part * sides for share in SHARES for part in (share, -share)])
        shifts = shifts[np.linalg.norm(shifts, axis=1) > 1e-9 * (1 + np.abs(self.row).max())]
        if not len(shifts):
            return 1.0
        around = np.tile(self.row, (len(shifts), 1))
        around[:, : len(self.axes)] += shifts
        linear = np.einsum("ki,ij,kj->k", shifts, self.loss.hessian(self.row[None])[0], shifts)
        pull = np.einsum("ki,ki->k", shifts, self.loss.gradient(around))
        ratio = pull / linear
        return (
            float(np.min(ratio)) if np.isfinite(ratio).all() and np.min(ratio) > 0 and np.max(ratio) < GROWTH else 0.0
        )
