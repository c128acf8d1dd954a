"""Weight normalization."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, n, vector, y

MEANING = "The scale g is weighed by what the direction w/‖w‖ does not see of the inputs."
"""Of the regularizer of label noise."""


def weight_normalization(noise: Any = LABELS) -> MatrixFamily:
    """g⟨x_i, w⟩/‖w‖ = y_i."""
    g, w, x = sp.Symbol("g"), vector("w", d), vector("x", d)
    f = g * sp.Trace(x.T * w) / sp.sqrt(sp.Trace(w.T * w))
    return MatrixFamily(residual=f - y, parameters=(g, w), data=(x, y), samples=n, noise=noise)
