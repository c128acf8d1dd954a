"""Three-layer network."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, k, m, matrix, n, vector, y

MEANING = "Activations of both layers, and what is passed back through them."
"""Of the regularizer of label noise."""


def three_layer_network(noise: Any = LABELS, activation: Any = sp.tanh) -> MatrixFamily:
    """aᵀφ(W2 φ(W1x_i)) = y_i."""
    a, W2, W1, x = vector("a", m), matrix("W2", m, k), matrix("W1", k, d), vector("x", d)
    f = sp.Trace(a.T * (W2 * (W1 * x).applyfunc(activation)).applyfunc(activation))
    return MatrixFamily(residual=f - y, parameters=(a, W2, W1), data=(x, y), samples=n, noise=noise)
