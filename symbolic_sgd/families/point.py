"""The theorem at one point of a family's Γ, in the n gradients of the residuals: no D×D matrix is ever formed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from symbolic_sgd.errors import SingularPoint
from symbolic_sgd.families.data import FamilyData
from symbolic_sgd.families.gradients import Gradients, Vector
from symbolic_sgd.optimizers.kernel import LYAPUNOV
from symbolic_sgd.theorem.drift import DriftLines
from symbolic_sgd.theorem.levels import Across, Along, LevelGeometry

SMALLEST_RCOND = 1e-14
"""G with a smaller reciprocal condition number counts as singular: no digit of G⁻¹ is left."""


@dataclass(frozen=True)
class Whitening:
    """B ↦ L⁻¹B with G = LLᵀ."""

    lower: np.ndarray

    def __call__(self, right: np.ndarray) -> np.ndarray:
        if _wide(right):
            return self._inverse @ right
        return linalg.solve_triangular(self.lower, right, lower=True, check_finite=False)

    def back(self, right: np.ndarray) -> np.ndarray:
        """L⁻ᵀB."""
        if _wide(right):
            return self._inverse.T @ right
        return linalg.solve_triangular(self.lower, right, lower=True, trans=1, check_finite=False)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """G⁻¹B."""
        return self.back(self(right))

    @cached_property
    def _inverse(self) -> np.ndarray:
        """L⁻¹ by NumPy, like JJᵀ: SciPy's BLAS has threads of its own, and on two cores a turn between the two costs 8 ms."""
        return np.linalg.inv(self.lower)


def _wide(right: np.ndarray) -> bool:
    return right.ndim > 1 and right.shape[1] > right.shape[0]


@dataclass(frozen=True, eq=False)
class FamilyPoint:
    """A point, with the terms of the theorem there and the Newton step to Γ.

    Args:
        data: of the family's member.
        x: one array (d) for each parameter of a coordinate.
        sigma: the rows of σ, one array (d, Ξ) for each; None where the family states its noise.
    """

    data: FamilyData
    x: Vector
    sigma: Vector | None = None

    @cached_property
    def residuals(self) -> np.ndarray:
        """f_1 … f_n."""
        return self.data.residuals(self.x)

    @cached_property
    def gradients(self) -> Gradients:
        """J."""
        return self.data.gradients(self.x)

    @cached_property
    def gram(self) -> np.ndarray:
        """G = JJᵀ."""
        return self.gradients.gram()

    @cached_property
    def whitening(self) -> Whitening:
        """L⁻¹ with G = LLᵀ.

        Raises:
            SingularPoint: the gradients are dependent.
        """
        gram = self.gram
        if not np.isfinite(gram).all():
            raise SingularPoint("a derivative of a residual is not a finite real number there")
        factor, condition = lapack.get_lapack_funcs(("potrf", "pocon"), (gram,))
        lower, failed = factor(gram, lower=1, clean=1)
        rcond = 0.0 if failed else condition(lower, np.abs(gram).sum(axis=0).max(), uplo="L")[0]
        if rcond > SMALLEST_RCOND:
            return Whitening(lower)
        raise SingularPoint(
            f"the gradients of the {len(gram)} residuals are dependent there (reciprocal condition number of JJᵀ: {rcond:.2g}): "
            "the theorem does not hold at such a point. Either the data allow no more than a smaller rank, or the point is singular"
        )

    @property
    def newton_step(self) -> list[np.ndarray]:
        """JᵀG⁻¹f: x less this is a Newton step along the normals of Γ."""
        return self.gradients.back(self.whitening.solve(self.residuals))

    def projected(self, vector: Vector) -> list[np.ndarray]:
        """v − JᵀG⁻¹Jv."""
        back = self.gradients.back(self.whitening.solve(self.gradients.along(vector)))
        return [v - b for v, b in zip(vector, back, strict=True)]

    @cached_property
    def _tangent_noise(self) -> list[np.ndarray]:
        assert self.sigma is not None
        return self.projected(self.sigma)

    @cached_property
    def _leverage(self) -> tuple[list[np.ndarray], np.ndarray]:
        return self.gradients.leverage(self.whitening)

    # --- the drift --------------------------------------------------------------------------

    def compensation(self) -> Vector:
        """b_∥."""
        still = self.sigma is None and self.data.isotropy is None
        return self._zero() if still else self._lines.tangent_noise_compensation

    def mixed(self) -> Vector:
        """b_⊥∥."""
        return self._zero() if self.sigma is None else self._lines.mixed_regularization

    def normal(self) -> Vector:
        """b_⊥."""
        return self._lines.normal_regularization

    @cached_property
    def _lines(self) -> DriftLines[Any, Any]:
        return DriftLines(_Residuals(self), self)

    # --- the blocks of Σ --------------------------------------------------------------------

    @property
    def tangent_covariance(self) -> Along:
        """Σ_∥ = σ_∥σ_∥ᵀ, or s²∂Φ."""
        if self.sigma is None:
            return Along(self.data.isotropy * self._leverage[1])
        noise = self._tangent_noise
        return Along(self.gradients.traces([[np.einsum("jx,jx->j", a, b) for b in noise] for a in noise]))

    @property
    def cross(self) -> Across:
        """N[∂Φ Σ JᵀG⁻¹]."""
        assert self.sigma is not None
        across = self.whitening.solve(self.gradients.along(self.sigma))
        return Across(np.stack(self.gradients.contracted([t @ across.T for t in self._tangent_noise])), 1.0)

    @property
    def stationary(self) -> Across:
        """N[JᵀZGK], twice."""
        n = len(self.gram)
        if self.data.proportion is not None:
            return Across(np.stack(self.gradients.weighted(self.data.proportion / 2 * self.data.curvature / n)), 2.0)
        if self.data.isotropy is not None:
            return Across(np.stack([self.data.isotropy / 2 * v for v in self._leverage[0]]), 2.0)
        return Across(np.stack(self.gradients.contracted(self.gradients.back(self._solved()))), 2.0)

    def _solved(self) -> np.ndarray:
        """ZGK of KGZ + ZGK = G⁻¹JΣJᵀG⁻¹, by the eigenvectors of K^½GK^½."""
        root = np.sqrt(self.data.curvature / len(self.gram))
        if self.sigma is not None:
            across = self.whitening.solve(self.gradients.along(self.sigma))
            right = across @ across.T
        else:
            assert self.data.variance is not None
            right = np.diag(self.data.variance / len(self.gram))
        values, axes = np.linalg.eigh(root[:, None] * self.gram * root)
        inner = axes.T @ (right / np.outer(root, root)) @ axes * LYAPUNOV.weight(values[:, None], values)
        z = root[:, None] * (axes @ inner @ axes.T) * root
        return z @ self.gram * (root * root)

    def _zero(self) -> list[np.ndarray]:
        return [np.zeros(self.data.shape[1]) for _ in self.data.summand.parameters]


@dataclass(frozen=True)
class _Residuals(LevelGeometry):
    """At one point. Vectors are arrays with a row for each parameter of a coordinate."""

    point: FamilyPoint

    def tangent_part(self, vector: np.ndarray) -> np.ndarray:
        return np.stack(self.point.projected([*vector]))

    def lifted(self, traces: np.ndarray) -> np.ndarray:
        return np.stack(self.point.gradients.back(self.point.whitening.solve(traces)))
