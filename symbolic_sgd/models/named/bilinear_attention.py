"""Bilinear attention."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, matrix, n, r, vector, y

MEANING = "Queries and keys, each along the inputs of the other."
"""Of the regularizer of label noise."""


def bilinear_attention(noise: Any = LABELS) -> MatrixFamily:
    """x_iᵀKᵀQz_i = y_i. R ∝ Σ_i ‖Qz_i‖²‖x_i‖² + ‖Kx_i‖²‖z_i‖²."""
    K, Q, x, z = matrix("K", r, d), matrix("Q", r, d), vector("x", d), vector("z", d)
    f = sp.Trace(x.T * K.T * Q * z)
    return MatrixFamily(residual=f - y, parameters=(K, Q), data=(x, z, y), samples=n, noise=noise)
