"""Diagonal networks: models that are products entry by entry."""

from functools import reduce
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, k, matrix, n, vector, y


def difference_of_squares(noise: Any = LABELS) -> MatrixFamily:
    """⟨z_i, u∘u − v∘v⟩ = y_i, the overparametrised linear model. R = (1/n) Σ_i ‖z_i∘u‖² + ‖z_i∘v‖²."""
    u, v, z = vector("u", d), vector("v", d), vector("z", d)
    f = sp.Trace(z.T * (sp.HadamardProduct(u, u) - sp.HadamardProduct(v, v)))
    return MatrixFamily(residual=f - y, parameters=(u, v), data=(z, y), samples=n, noise=noise)


def diagonal_network(noise: Any = LABELS, depth: int = 3) -> MatrixFamily:
    """⟨z_i, u1∘u2∘…⟩ = y_i, of any depth."""
    layers, z = [vector(f"u{layer + 1}", d) for layer in range(depth)], vector("z", d)
    f = sp.Trace(z.T * reduce(sp.HadamardProduct, layers))
    return MatrixFamily(residual=f - y, parameters=tuple(layers), data=(z, y), samples=n, noise=noise)


def group_network(noise: Any = LABELS) -> MatrixFamily:
    """Σ_g u_g⟨z_ig, V_g⟩ = y_i: a scale for each row of V."""
    u, V, Z = vector("u", d), matrix("V", d, k), matrix("Z", d, k)
    f = sp.Trace(Z.T * DiagMatrix(u) * V)
    return MatrixFamily(residual=f - y, parameters=(u, V), data=(Z, y), samples=n, noise=noise)


def weight_normalization(noise: Any = LABELS) -> MatrixFamily:
    """g⟨x_i, w⟩/‖w‖ = y_i."""
    g, w, x = sp.Symbol("g"), vector("w", d), vector("x", d)
    f = g * sp.Trace(x.T * w) / sp.sqrt(sp.Trace(w.T * w))
    return MatrixFamily(residual=f - y, parameters=(g, w), data=(x, y), samples=n, noise=noise)
