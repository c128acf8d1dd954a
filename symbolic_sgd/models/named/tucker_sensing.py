"""Tucker sensing."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d1, d2, matrix, n, r, y

MEANING = "The core, and each factor, seen through the other two."
"""Of the regularizer of label noise."""


def tucker_sensing(noise: Any = LABELS) -> MatrixFamily:
    """⟨A_i, USVᵀ⟩ = y_i. R ∝ Σ_i ‖A_iVSᵀ‖² + ‖UᵀA_iV‖² + ‖A_iᵀUS‖²."""
    U, S, V, A = matrix("U", d1, r), matrix("S", r, r), matrix("V", d2, r), matrix("A", d1, d2)
    return MatrixFamily(
        residual=sp.Trace(A.T * U * S * V.T) - y, parameters=(U, S, V), data=(A, y), samples=n, noise=noise
    )
