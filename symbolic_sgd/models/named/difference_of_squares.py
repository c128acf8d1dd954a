"""Difference of squares."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, n, vector, y

MEANING = "Weight decay with a weight for each coordinate."
"""Of the regularizer of label noise."""


def difference_of_squares(noise: Any = LABELS) -> MatrixFamily:
    """⟨z_i, u∘u − v∘v⟩ = y_i, the overparametrised linear model. R = (1/n) Σ_i ‖z_i∘u‖² + ‖z_i∘v‖²."""
    u, v, z = vector("u", d), vector("v", d), vector("z", d)
    f = sp.Trace(z.T * (sp.HadamardProduct(u, u) - sp.HadamardProduct(v, v)))
    return MatrixFamily(residual=f - y, parameters=(u, v), data=(z, y), samples=n, noise=noise)
