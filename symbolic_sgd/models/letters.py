"""The sizes and letters that the models are written in."""

from typing import Any

import sympy as sp

from symbolic_sgd.problems.noise import LabelNoise

n, d, d1, d2, d3, m, k, p, r, C = sp.symbols("n d d1 d2 d3 m k p r C", integer=True, positive=True)

y = sp.Symbol("y")

LABELS = LabelNoise(1)
"""The noise of every model where no other is given: labels ±1."""


def matrix(name: str, rows: Any, columns: Any) -> Any:
    """A MatrixSymbol."""
    return sp.MatrixSymbol(name, rows, columns)


def vector(name: str, size: Any) -> Any:
    """A column."""
    return sp.MatrixSymbol(name, size, 1)
