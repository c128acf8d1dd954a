"""Low-rank adaptation."""

from typing import Any

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, d1, matrix, n, r, vector

MEANING = "The factor B is decayed, and A along the inputs only."
"""Of the regularizer of label noise."""


def low_rank_adaptation(noise: Any = LABELS) -> MatrixFamily:
    """(W0 + BA)x_i = t_i, with a matrix W0 that is not trained. R ∝ d1 Σ_i ‖Ax_i‖² + ‖B‖²Σ_i ‖x_i‖²."""
    W0, B, A, x, t = matrix("W0", d1, d), matrix("B", d1, r), matrix("A", r, d), vector("x", d), vector("t", d1)
    return MatrixFamily(
        residual=(W0 + B * A) * x - t, parameters=(B, A), data=(x, t), samples=n, noise=noise, constants=(W0,)
    )
