"""Factorized matrices, seen through measurements or as a whole."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, d1, d2, k, matrix, n, r, vector, y


def matrix_sensing(noise: Any = LABELS) -> MatrixFamily:
    """⟨A_i, UVᵀ⟩ = y_i, with U d1×r and V d2×r. R ∝ Σ_i ‖A_iV‖² + ‖A_iᵀU‖²."""
    U, V, A = matrix("U", d1, r), matrix("V", d2, r), matrix("A", d1, d2)
    return MatrixFamily(residual=sp.Trace(A.T * U * V.T) - y, parameters=(U, V), data=(A, y), samples=n, noise=noise)


def matrix_completion(noise: Any = LABELS) -> MatrixFamily:
    """p_iᵀUVᵀq_i = y_i, with unit vectors p_i and q_i that pick an entry. R ∝ Σ_i ‖Vᵀq_i‖² + ‖Uᵀp_i‖²."""
    U, V, p, q = matrix("U", d1, r), matrix("V", d2, r), vector("p", d1), vector("q", d2)
    return MatrixFamily(
        residual=sp.Trace(p.T * U * V.T * q) - y, parameters=(U, V), data=(p, q, y), samples=n, noise=noise
    )


def full_factorization(noise: Any = LABELS) -> MatrixFamily:
    """UVᵀ = Y, every entry of which is seen. R = ¼(‖U‖²/d1 + ‖V‖²/d2): the gradients are dependent."""
    U, V, Y = matrix("U", d1, r), matrix("V", d2, r), matrix("Y", d1, d2)
    return MatrixFamily(residual=U * V.T - Y, parameters=(U, V), data=(Y,), noise=noise)


def symmetric_sensing(noise: Any = LABELS) -> MatrixFamily:
    """⟨A_i, XXᵀ⟩ = y_i, with X d×r. R ∝ Σ_i ‖(A_i + A_iᵀ)X‖²."""
    X, A = matrix("X", d, r), matrix("A", d, d)
    return MatrixFamily(residual=sp.Trace(A.T * X * X.T) - y, parameters=(X,), data=(A, y), samples=n, noise=noise)


def low_rank_adaptation(noise: Any = LABELS) -> MatrixFamily:
    """(W0 + BA)x_i = t_i, with a matrix W0 that is not trained. R ∝ d1 Σ_i ‖Ax_i‖² + ‖B‖²Σ_i ‖x_i‖²."""
    W0, B, A, x, t = matrix("W0", d1, d), matrix("B", d1, r), matrix("A", r, d), vector("x", d), vector("t", d1)
    return MatrixFamily(
        residual=(W0 + B * A) * x - t, parameters=(B, A), data=(x, t), samples=n, noise=noise, constants=(W0,)
    )


def entrywise_square_sensing(noise: Any = LABELS) -> MatrixFamily:
    """⟨A_i, (UVᵀ)∘(UVᵀ)⟩ = y_i. R ∝ Σ_i ‖(A_i∘UVᵀ)V‖² + ‖(A_i∘UVᵀ)ᵀU‖²."""
    U, V, A = matrix("U", d1, r), matrix("V", d2, r), matrix("A", d1, d2)
    square = sp.HadamardProduct(U * V.T, U * V.T)
    return MatrixFamily(residual=sp.Trace(A.T * square) - y, parameters=(U, V), data=(A, y), samples=n, noise=noise)


def tied_linear_network(noise: Any = LABELS) -> MatrixFamily:
    """p_iᵀWWWq_i = y_i: one matrix in three layers."""
    W, p, q = matrix("W", k, k), vector("p", k), vector("q", k)
    return MatrixFamily(residual=sp.Trace(p.T * W**3 * q) - y, parameters=(W,), data=(p, q, y), samples=n, noise=noise)
