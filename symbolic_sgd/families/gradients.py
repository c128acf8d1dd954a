"""The gradients of a family's residuals at one point, as linear operators on arrays: J, Jᵀ, G = JJᵀ, and N[V].

A vector of R^D is a list with one array of d entries for each parameter of a coordinate.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Vector = Sequence[np.ndarray]


class Gradients(ABC):
    """J and the second derivatives of the residuals at one point."""

    @abstractmethod
    def along(self, vector: Vector) -> np.ndarray:
        """J v, (n) or (n, …)."""

    @abstractmethod
    def back(self, weights: np.ndarray) -> list[np.ndarray]:
        """Jᵀλ."""

    @abstractmethod
    def gram(self) -> np.ndarray:
        """G = JJᵀ, n×n."""

    @abstractmethod
    def contracted(self, columns: Vector) -> list[np.ndarray]:
        """N[V] = Σ_i (∇²f_i) V e_i, with V as one d×n array a parameter."""

    @abstractmethod
    def traces(self, covariance: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """τ_i = tr(∇²f_i A), with the diagonals (d) of A's blocks."""

    @abstractmethod
    def weighted(self, weights: np.ndarray) -> list[np.ndarray]:
        """N[Jᵀdiag(w)], ½ the gradient of Σ_i w_i |∇f_i|²."""

    @abstractmethod
    def leverage(self, whiten: Any) -> tuple[list[np.ndarray], np.ndarray]:
        """N[JᵀG⁻¹] and τ_i = tr(∇²f_i ∂Φ); `whiten` maps B to L⁻¹B, G = LLᵀ."""


@dataclass(frozen=True)
class SplitGradients(Gradients):
    """φ = a(z_ij) b(x_j): J's blocks are A diag(b_g), so that G = A diag(Σ b_g²) Aᵀ and one product with A serves all.

    Args:
        a: n×d, an array or a SciPy sparse array.
        slopes: b_g, (d) each.
        curvatures: b_gh, (d) each.
        squares: the rows of a∘a, wanted once for all points.
    """

    a: Any
    slopes: Vector
    curvatures: Sequence[Vector]
    squares: Any

    def along(self, vector: Vector) -> np.ndarray:
        return self.a @ _sum(_times(b, v) for b, v in zip(self.slopes, vector, strict=True))

    def back(self, weights: np.ndarray) -> list[np.ndarray]:
        common = self.a.T @ weights
        return [_times(b, common) for b in self.slopes]

    def gram(self) -> np.ndarray:
        size = np.sqrt(_sum(b * b for b in self.slopes))
        if isinstance(self.a, np.ndarray):
            scaled = self.a * size
            return scaled @ scaled.T  # one operand twice: BLAS computes half of it
        scaled = self.a.multiply(size).tocsr()
        return (scaled @ scaled.T).toarray()

    def contracted(self, columns: Vector) -> list[np.ndarray]:
        if isinstance(self.a, np.ndarray):
            common = [np.einsum("ij,ji->j", self.a, v) for v in columns]
        else:
            common = [np.asarray(self.a.multiply(v.T).sum(axis=0)).ravel() for v in columns]
        return [_sum(b * c for b, c in zip(row, common, strict=True)) for row in self.curvatures]

    def traces(self, covariance: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        pairs = zip(self.curvatures, covariance, strict=True)
        return self.a @ _sum(b * c for row, blocks in pairs for b, c in zip(row, blocks, strict=True))

    def weighted(self, weights: np.ndarray) -> list[np.ndarray]:
        column = weights @ self.squares
        return [column * c for c in self._bends()]

    def leverage(self, whiten: Any) -> tuple[list[np.ndarray], np.ndarray]:
        dense = self.a if isinstance(self.a, np.ndarray) else self.a.toarray()
        white = whiten(dense)
        q = np.einsum("ij,ij->j", white, white)
        diagonal = _sum(row[g] for g, row in enumerate(self.curvatures))
        inner = diagonal - q * _sum(b * c for b, c in zip(self.slopes, self._bends(), strict=True))
        return [q * c for c in self._bends()], self.a @ inner

    def _bends(self) -> list[np.ndarray]:
        """Σ_h b_gh b_h."""
        return [_sum(b * s for b, s in zip(row, self.slopes, strict=True)) for row in self.curvatures]


@dataclass(frozen=True)
class FullGradients(Gradients):
    """φ of any form: the blocks φ_g(z_ij, x_j) and φ_gh(z_ij, x_j) are held as n×d arrays.

    Args:
        slopes: φ_g, n×d each.
        curvatures: φ_gh, n×d each.
    """

    slopes: Vector
    curvatures: Sequence[Vector]

    def along(self, vector: Vector) -> np.ndarray:
        return _sum(s @ v for s, v in zip(self.slopes, vector, strict=True))

    def back(self, weights: np.ndarray) -> list[np.ndarray]:
        return [s.T @ weights for s in self.slopes]

    def gram(self) -> np.ndarray:
        return _sum(s @ s.T for s in self.slopes)

    def contracted(self, columns: Vector) -> list[np.ndarray]:
        return [_sum(np.einsum("ij,ji->j", c, v) for c, v in zip(row, columns, strict=True)) for row in self.curvatures]

    def traces(self, covariance: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        pairs = zip(self.curvatures, covariance, strict=True)
        return _sum(c @ a for row, blocks in pairs for c, a in zip(row, blocks, strict=True))

    def weighted(self, weights: np.ndarray) -> list[np.ndarray]:
        return [weights @ _sum(c * s for c, s in zip(row, self.slopes, strict=True)) for row in self.curvatures]

    def leverage(self, whiten: Any) -> tuple[list[np.ndarray], np.ndarray]:
        white = [whiten(s) for s in self.slopes]
        columns = [whiten.back(w).T for w in white]
        blocks = [
            [(1.0 if g == h else 0.0) - np.einsum("ij,ij->j", a, b) for h, b in enumerate(white)]
            for g, a in enumerate(white)
        ]
        return self.contracted(columns), self.traces(blocks)


def _times(scale: np.ndarray, v: np.ndarray) -> np.ndarray:
    return scale * v if v.ndim == 1 else scale[:, None] * v


def _sum(terms: Any) -> Any:
    total = None
    for term in terms:
        total = term if total is None else total + term
    return total
