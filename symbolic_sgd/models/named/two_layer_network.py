"""Two-layer network."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, m, matrix, n, vector, y

MEANING = "Activations, and outer weights where the units are not saturated."
"""Of the regularizer of label noise."""


def two_layer_network(noise: Any = LABELS, activation: Any = sp.tanh) -> MatrixFamily:
    """aᵀφ(Wx_i) = y_i, with W m×d. R ∝ Σ_i ‖φ(Wx_i)‖² + ‖a∘φ′(Wx_i)‖²‖x_i‖²."""
    a, W, x = vector("a", m), matrix("W", m, d), vector("x", d)
    f = sp.Trace(a.T * (W * x).applyfunc(activation))
    return MatrixFamily(residual=f - y, parameters=(a, W), data=(x, y), samples=n, noise=noise)
