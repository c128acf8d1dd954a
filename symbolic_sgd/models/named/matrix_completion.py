"""Matrix completion."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d1, d2, matrix, n, r, vector, y

MEANING = "Each row of a factor counts as often as its entries are seen."
"""Of the regularizer of label noise."""


def matrix_completion(noise: Any = LABELS) -> MatrixFamily:
    """p_iᵀUVᵀq_i = y_i, with unit vectors p_i and q_i that pick an entry. R ∝ Σ_i ‖Vᵀq_i‖² + ‖Uᵀp_i‖²."""
    U, V, p, q = matrix("U", d1, r), matrix("V", d2, r), vector("p", d1), vector("q", d2)
    return MatrixFamily(
        residual=sp.Trace(p.T * U * V.T * q) - y, parameters=(U, V), data=(p, q, y), samples=n, noise=noise
    )
