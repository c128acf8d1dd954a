"""Group network."""

from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, k, matrix, n, vector, y

MEANING = "At rest a weighted sum of norms of the rows of diag(u) V: groups."
"""Of the regularizer of label noise."""


def group_network(noise: Any = LABELS) -> MatrixFamily:
    """Σ_g u_g⟨z_ig, V_g⟩ = y_i: a scale for each row of V."""
    u, V, Z = vector("u", d), matrix("V", d, k), matrix("Z", d, k)
    f = sp.Trace(Z.T * DiagMatrix(u) * V)
    return MatrixFamily(residual=f - y, parameters=(u, V), data=(Z, y), samples=n, noise=noise)
