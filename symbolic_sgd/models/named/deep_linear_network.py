"""Deep linear network."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, C, d, matrix, n, vector

MEANING = "Each layer is weighed by what is before and behind it."
"""Of the regularizer of label noise."""


def deep_linear_network(noise: Any = LABELS, depth: int = 3) -> MatrixFamily:
    """W_depth…W2W1x_i = t_i, with C outputs and hidden widths m1, m2, …"""
    widths = [d, *sp.symbols(f"m1:{depth}", integer=True, positive=True), C]
    layers = [matrix(f"W{layer + 1}", widths[layer + 1], widths[layer]) for layer in range(depth)]
    x, t = vector("x", d), vector("t", C)
    f = sp.MatMul(*reversed(layers), x)
    return MatrixFamily(residual=f - t, parameters=tuple(reversed(layers)), data=(x, t), samples=n, noise=noise)
