"""Decompositions of tensors, and convolutions as bilinear maps."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, d1, d2, d3, matrix, n, r, vector, y


def cp_decomposition(noise: Any = LABELS) -> MatrixFamily:
    """Σ_q U_aq V_bq W_cq = T_abc, every entry of which is seen: the gradients are dependent."""
    a, b, c, q = sp.symbols("a b c q", integer=True)
    U: Any
    V: Any
    W: Any
    U, V, W = (sp.IndexedBase(name, shape=(size, r)) for name, size in zip("UVW", (d1, d2, d3), strict=True))
    T: Any = sp.IndexedBase("T", shape=(d1, d2, d3))
    return MatrixFamily(
        residual=sp.Sum(U[a, q] * V[b, q] * W[c, q], (q, 1, r)) - T[a, b, c],
        parameters=(U, V, W),
        data=(T,),
        samples=((a, 1, d1), (b, 1, d2), (c, 1, d3)),
        noise=noise,
    )


def tucker_sensing(noise: Any = LABELS) -> MatrixFamily:
    """⟨A_i, USVᵀ⟩ = y_i. R ∝ Σ_i ‖A_iVSᵀ‖² + ‖UᵀA_iV‖² + ‖A_iᵀUS‖²."""
    U, S, V, A = matrix("U", d1, r), matrix("S", r, r), matrix("V", d2, r), matrix("A", d1, d2)
    return MatrixFamily(
        residual=sp.Trace(A.T * U * S * V.T) - y, parameters=(U, S, V), data=(A, y), samples=n, noise=noise
    )


def circular_convolution(noise: Any = LABELS) -> MatrixFamily:
    """uᵀS_iv = y_i. With the d matrices S_i of entries 0 and 1 that pick j + k = i (mod d) it is the convolution u * v."""
    u, v, S = vector("u", d), vector("v", d), matrix("S", d, d)
    return MatrixFamily(residual=sp.Trace(u.T * S * v) - y, parameters=(u, v), data=(S, y), samples=n, noise=noise)
