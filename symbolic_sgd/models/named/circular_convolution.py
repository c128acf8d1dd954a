"""Circular convolution."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, matrix, n, vector, y

MEANING = "With the matrices of a convolution it is ¼(‖u‖² + ‖v‖²)."
"""Of the regularizer of label noise."""


def circular_convolution(noise: Any = LABELS) -> MatrixFamily:
    """uᵀS_iv = y_i. With the d matrices S_i of entries 0 and 1 that pick j + k = i (mod d) it is the convolution u * v."""
    u, v, S = vector("u", d), vector("v", d), matrix("S", d, d)
    return MatrixFamily(residual=sp.Trace(u.T * S * v) - y, parameters=(u, v), data=(S, y), samples=n, noise=noise)
