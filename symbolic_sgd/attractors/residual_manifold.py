"""Γ = {f = 0} of a large least-squares problem in float64, by M×M matrices only."""

import numpy as np

from symbolic_sgd.manifold.interpolation import INDEPENDENT, Residuals, descended, starts_at
from symbolic_sgd.regularizer.scatter import ITERATIONS, MOST_BASES, Batch, FloatManifold
from symbolic_sgd.theorem.derivation import Derivation

SETTLED = 1e-12
"""Length of the last step, relative to 1 + |x|."""

SCALES = (0.4, 1.0, 2.5)
"""Standard deviations of the starts of descents."""


class ResidualManifold(FloatManifold):
    """Γ, where residuals with independent gradients vanish.

    Args:
        derivation: by matrices, so that H = JᵀKJ on Γ.
    """

    def __init__(self, derivation: Derivation):
        self.problem = derivation.problem
        self.codimension = derivation.codimension
        self.dimension = derivation.problem.dimension - derivation.codimension
        self.residuals = Residuals.of(derivation.problem)
        self._given = np.array([[float(p[s]) for s in self.problem.symbols] for p in derivation.points])

    def bases(self, rng: np.random.Generator) -> Batch:
        """The points of the derivation, and the ends of new descents."""
        begin = np.concatenate([starts_at(self.problem, scale, rng) for scale in SCALES])
        settled = self.settle(np.concatenate([self._given, descended(self.residuals, begin)]))
        return settled.take(np.flatnonzero(settled.valid)[:MOST_BASES])

    def settle(self, points: np.ndarray) -> Batch:
        """Steps x ← x − J†f."""
        x, length = points.copy(), np.full(len(points), np.inf)
        for _ in range(ITERATIONS):
            values, slopes, fine = self._finite(x)
            step = -np.einsum("sdm,sm->sd", np.linalg.pinv(slopes), values)
            length = np.where(fine, np.abs(step).max(axis=1) / (1 + np.abs(x).max(axis=1)), np.inf)
            x += np.where((length < 1)[:, None], step, 0.0)
            if np.all((length < SETTLED) | ~(length < 1)):
                break
        _, slopes, fine = self._finite(x)
        _, _, axes = np.linalg.svd(slopes)
        unit = slopes / (np.linalg.norm(slopes, axis=2, keepdims=True) + 1e-300)
        independent = np.linalg.svd(unit, compute_uv=False)[:, -1] > INDEPENDENT
        return Batch(x, np.swapaxes(axes[:, self.codimension :], 1, 2), fine & independent & (length < SETTLED))

    def _finite(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values, slopes = self.residuals(x)
        fine = np.asarray(np.isfinite(values).all(axis=1) & np.isfinite(slopes).all(axis=(1, 2)))
        return np.where(fine[:, None], values, 0), np.where(fine[:, None, None], slopes, 0), fine
