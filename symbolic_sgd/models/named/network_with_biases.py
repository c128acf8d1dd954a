"""Network with biases."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, C, d, m, matrix, n, vector

MEANING = "What two layers say, for several outputs; the constant is of the last bias, which nothing can make smaller."
"""Of the regularizer of label noise."""


def network_with_biases(noise: Any = LABELS, activation: Any = sp.tanh) -> MatrixFamily:
    """Bφ(Wx_i + b) + c = t_i, with C outputs."""
    B, W, b, c = matrix("B", C, m), matrix("W", m, d), vector("b", m), vector("c", C)
    x, t = vector("x", d), vector("t", C)
    f = B * (W * x + b).applyfunc(activation) + c
    return MatrixFamily(residual=f - t, parameters=(B, W, b, c), data=(x, t), samples=n, noise=noise)
