"""The theorem, word for word, by automatic differentiation: the whole Hessian, ∂³L and an eigen-decomposition. It shares no formula with
the calculus of `symbolic_sgd.tensors`.
"""

from dataclasses import dataclass

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)


@dataclass(frozen=True)
class Derivatives:
    """What automatic differentiation says of a loss at one point.

    Args:
        gradients: J, N×D, of the residuals.
        hessian, third: of the loss, D×D and D×D×D.
    """

    gradients: np.ndarray
    hessian: np.ndarray
    third: np.ndarray

    @staticmethod
    def of(loss, residuals, x) -> "Derivatives":
        """At x, all in one compilation."""
        everything = jax.jit(
            lambda at: (jax.jacrev(residuals)(at), jax.hessian(loss)(at), jax.jacfwd(jax.hessian(loss))(at))
        )
        return Derivatives(*map(np.asarray, everything(np.asarray(x, dtype=float))))

    def terms(self, factor) -> dict[str, np.ndarray]:
        """The three terms of the drift for the noise σ, D×Ξ, on Γ."""
        values, axes = np.linalg.eigh(self.hessian)
        kept = values > 1e-9 * values[-1]
        tangent = axes[:, ~kept] @ axes[:, ~kept].T
        inverse = (axes[:, kept] / values[kept]) @ axes[:, kept].T
        covariance = factor @ factor.T
        across = axes[:, kept].T @ covariance @ axes[:, kept]
        stationary = axes[:, kept] @ (across / (values[kept][:, None] + values[kept])) @ axes[:, kept].T

        def apply(b):
            return np.einsum("ijk,jk->i", self.third, b)

        return {
            "tangent_noise_compensation": -0.5 * inverse @ apply(tangent @ covariance @ tangent),
            "mixed_regularization": -tangent @ apply(inverse @ covariance @ tangent),
            "normal_regularization": -0.5 * tangent @ apply(stationary),
        }


def square_root(hessian):
    """σ with σσᵀ = H."""
    values, axes = np.linalg.eigh(hessian)
    return axes * np.sqrt(np.maximum(values, 0))
