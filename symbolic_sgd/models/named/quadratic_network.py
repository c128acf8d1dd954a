"""Quadratic network."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, m, matrix, n, vector, y

MEANING = "Fourth moments of the inputs, seen through the units."
"""Of the regularizer of label noise."""


def quadratic_network(noise: Any = LABELS, *, trained: bool = True) -> MatrixFamily:
    """Σ_k a_k(w_kᵀx_i)² = y_i; with trained=False the outer weights are given (and all samples have them in common)."""
    a, W, x = vector("a", m), matrix("W", m, d), vector("x", d)
    f = sp.Trace(a.T * sp.HadamardPower(W * x, 2))
    parameters, constants = ((a, W), ()) if trained else ((W,), (a,))
    return MatrixFamily(residual=f - y, parameters=parameters, data=(x, y), samples=n, noise=noise, constants=constants)
