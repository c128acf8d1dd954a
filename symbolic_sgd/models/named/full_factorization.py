"""Full factorization."""

from typing import Any

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d1, d2, matrix, r

MEANING = "Weight decay, with a weight for each factor: at rest it is a multiple of the nuclear norm."
"""Of the regularizer of label noise."""


def full_factorization(noise: Any = LABELS) -> MatrixFamily:
    """UVᵀ = Y, every entry of which is seen. R = ¼(‖U‖²/d1 + ‖V‖²/d2): the gradients are dependent."""
    U, V, Y = matrix("U", d1, r), matrix("V", d2, r), matrix("Y", d1, d2)
    return MatrixFamily(residual=U * V.T - Y, parameters=(U, V), data=(Y,), noise=noise)
