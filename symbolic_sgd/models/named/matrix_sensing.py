"""Matrix sensing."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d1, d2, matrix, n, r, y

MEANING = "Factors are weighed by what the measurements see of them."
"""Of the regularizer of label noise."""


def matrix_sensing(noise: Any = LABELS) -> MatrixFamily:
    """⟨A_i, UVᵀ⟩ = y_i, with U d1×r and V d2×r. R ∝ Σ_i ‖A_iV‖² + ‖A_iᵀU‖²."""
    U, V, A = matrix("U", d1, r), matrix("V", d2, r), matrix("A", d1, d2)
    return MatrixFamily(residual=sp.Trace(A.T * U * V.T) - y, parameters=(U, V), data=(A, y), samples=n, noise=noise)
