"""Gated network."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, m, matrix, n, vector, y

MEANING = "A ReLU network in one cell of its activations."
"""Of the regularizer of label noise."""


def gated_network(noise: Any = LABELS) -> MatrixFamily:
    """aᵀ(s_i∘(Wx_i)) = y_i, with s_i the slopes of a ReLU network in one of its cells (0 or 1, as data)."""
    a, W, s, x = vector("a", m), matrix("W", m, d), vector("s", m), vector("x", d)
    f = sp.Trace(a.T * sp.HadamardProduct(s, W * x))
    return MatrixFamily(residual=f - y, parameters=(a, W), data=(s, x, y), samples=n, noise=noise)
