"""Tied linear network."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, k, matrix, n, vector, y

MEANING = "One matrix in three places: the places interfere."
"""Of the regularizer of label noise."""


def tied_linear_network(noise: Any = LABELS) -> MatrixFamily:
    """p_iᵀWWWq_i = y_i: one matrix in three layers."""
    W, p, q = matrix("W", k, k), vector("p", k), vector("q", k)
    return MatrixFamily(residual=sp.Trace(p.T * W**3 * q) - y, parameters=(W,), data=(p, q, y), samples=n, noise=noise)
