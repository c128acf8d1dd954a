"""Entrywise squares of a product, sensed."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d1, d2, matrix, n, r, y

MEANING = "The product U Vᵀ stands inside of each measurement."
"""Of the regularizer of label noise."""


def entrywise_square_sensing(noise: Any = LABELS) -> MatrixFamily:
    """⟨A_i, (UVᵀ)∘(UVᵀ)⟩ = y_i. R ∝ Σ_i ‖(A_i∘UVᵀ)V‖² + ‖(A_i∘UVᵀ)ᵀU‖²."""
    U, V, A = matrix("U", d1, r), matrix("V", d2, r), matrix("A", d1, d2)
    square = sp.HadamardProduct(U * V.T, U * V.T)
    return MatrixFamily(residual=sp.Trace(A.T * square) - y, parameters=(U, V), data=(A, y), samples=n, noise=noise)
