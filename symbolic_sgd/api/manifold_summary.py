"""Γ as users hold it: its equations and dimensions."""

from dataclasses import dataclass
from itertools import chain

import sympy as sp

from symbolic_sgd import printing
from symbolic_sgd.algebra.operations import operations

SHOWN_EQUATIONS = 100
"""Operations of the equations of Γ up to which `repr` shows them."""


@dataclass(frozen=True)
class ManifoldSummary:
    """Γ, the manifold of minimizers.

    Args:
        equations: expressions whose common zeros are Γ near the points of it that were found, and at all of whose common zeros
            ∇L = 0: M of them where such were found, else residuals that all vanish on Γ, or the entries of ∇L.
        dimension: D − M.
        codimension: M = rank ∇²L on Γ.
    """

    equations: tuple[sp.Expr, ...]
    dimension: int
    codimension: int

    def __repr__(self) -> str:
        size = sum(operations(e) for e in self.equations)
        equations = ", ".join(map(str, self.equations)) if size <= SHOWN_EQUATIONS else f"{size} operations"
        return f"ManifoldSummary({equations}; dimension={self.dimension}, codimension={self.codimension})"

    def _repr_latex_(self) -> str:
        lines = (printing.displays.equation_lines("0", printing.displays.broken_sum(e)) for e in self.equations)
        sizes = rf"\Gamma &: \quad \dim\Gamma = {self.dimension},\quad \text{{codimension }} {self.codimension}"
        return printing.blocks.one_output([printing.blocks.aligned([sizes, *chain.from_iterable(lines)])])
