"""CP decomposition."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d1, d2, d3, r

MEANING = "Products of the column norms of two factors at a time."
"""Of the regularizer of label noise."""


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
