"""Softmax regression."""

from typing import Any

from symbolic_sgd.families.cross_entropy import CrossEntropy, RedrawnClasses
from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import C, d, m, matrix, n, vector

MEANING = "Curvatures κ_i of the classes weigh both layers."
"""Of the regularizer of label noise."""


def softmax_regression(noise: Any = None) -> MatrixFamily:
    """Classes with the logits W2W1x_i and the cross-entropy, by default with classes drawn anew.

    tr ∇²L = (1/n) Σ_i tr K_i ‖W1x_i‖² + ⟨K_i, W2W2ᵀ⟩‖x_i‖².
    """
    W2, W1, x = matrix("W2", C, m), matrix("W1", m, d), vector("x", d)
    return MatrixFamily(
        outputs=W2 * W1 * x,
        parameters=(W2, W1),
        data=(x,),
        samples=n,
        loss=CrossEntropy(),
        noise=RedrawnClasses() if noise is None else noise,
    )
