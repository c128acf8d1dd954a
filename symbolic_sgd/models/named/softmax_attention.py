"""Softmax attention."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, matrix, n, p, r, vector, y

MEANING = "The softmax is a quotient of exponentials: printed as such."
"""Of the regularizer of label noise."""


def softmax_attention(noise: Any = LABELS) -> MatrixFamily:
    """softmax(X_iKᵀQq_i)ᵀX_iv = y_i, over the p tokens of a sample."""
    K, Q, v, X, q = matrix("K", r, d), matrix("Q", r, d), vector("v", d), matrix("X", p, d), vector("q", d)
    e = (X * K.T * Q * q).applyfunc(sp.exp)
    f = sp.Trace(e.T * X * v) / sp.Trace(sp.OneMatrix(1, p) * e)
    return MatrixFamily(residual=f - y, parameters=(K, Q, v), data=(X, q, y), samples=n, noise=noise)
