"""Diagonal network."""

from functools import reduce
from typing import Any

import sympy as sp

from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, d, n, vector, y

MEANING = "With three layers at rest a weighted sum of powers 4/3 of the entries of their product."
"""Of the regularizer of label noise."""


def diagonal_network(noise: Any = LABELS, depth: int = 3) -> MatrixFamily:
    """⟨z_i, u1∘u2∘…⟩ = y_i, of any depth."""
    layers, z = [vector(f"u{layer + 1}", d) for layer in range(depth)], vector("z", d)
    f = sp.Trace(z.T * reduce(sp.HadamardProduct, layers))
    return MatrixFamily(residual=f - y, parameters=tuple(layers), data=(z, y), samples=n, noise=noise)
