"""Symmetric sensing."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, matrix, n, r, y

MEANING = "What a factorization says, with one factor on both sides."
"""Of the regularizer of label noise."""


def symmetric_sensing(noise: Any = LABELS) -> MatrixFamily:
    """⟨A_i, XXᵀ⟩ = y_i, with X d×r. R ∝ Σ_i ‖(A_i + A_iᵀ)X‖²."""
    X, A = matrix("X", d, r), matrix("A", d, d)
    return MatrixFamily(residual=sp.Trace(A.T * X * X.T) - y, parameters=(X,), data=(A, y), samples=n, noise=noise)
