"""Functions f_1 … f_n as sums of shared terms, f_k = Σ_m A_km φ_m + e_k, so that a drawn k picks a column of numbers.

Evaluating one drawn sample then costs the terms once, however many samples there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import dot
from symbolic_sgd.algebra.translation import from_sympy

Column = tuple[Fraction, ...]
"""One number for each k."""


@dataclass(frozen=True)
class SharedTerms:
    """f_k = Σ_m A_km φ_m + e_k, exactly.

    Args:
        terms: φ_1 … φ_T.
        columns: those of A, T times n rationals.
        offsets: e_k = Σ_ψ B_kψ ψ, by the functions ψ that it is made of, without parameters: ψ ↦ B_1ψ … B_nψ.
    """

    terms: tuple[Node, ...]
    columns: tuple[Column, ...]
    offsets: Mapping[Any, Column]

    @staticmethod
    def of(functions: Sequence[Any], parameters: Sequence[sp.Symbol], graph: Graph) -> "SharedTerms":
        """The decomposition by the summands that the functions are written with; those in proportion make one term."""
        rows: dict[Any, list[Fraction]] = {}
        for k, function in enumerate(functions):
            for summand in sp.Add.make_args(function):
                factor: Any
                factor, term = summand.as_coeff_Mul(rational=True)
                row = rows.setdefault(term, [Fraction(0)] * len(functions))
                row[k] += Fraction(int(factor.p), int(factor.q))
        offsets: dict[Any, Column] = {}
        groups: dict[Column, list[tuple[Fraction, Any]]] = {}
        for term, row in rows.items():
            if term.free_symbols.isdisjoint(parameters):
                offsets[term] = tuple(row)
            else:
                size = next(a for a in row if a)
                groups.setdefault(tuple(a / size for a in row), []).append((size, term))
        terms = [
            dot([graph.constant(size) for size, _ in group], [from_sympy(term, graph) for _, term in group])
            for group in groups.values()
        ]
        return SharedTerms(tuple(terms), tuple(groups), offsets)

    @staticmethod
    def separate(functions: Sequence[Any], graph: Graph) -> "SharedTerms":
        """Each function its own term: A = I."""
        return SharedTerms(tuple(from_sympy(f, graph) for f in functions), unit_columns(len(functions)), {})


def unit_columns(n: int) -> tuple[Column, ...]:
    """The columns of the identity."""
    zero, one = Fraction(0), Fraction(1)
    return tuple(tuple(one if i == j else zero for i in range(n)) for j in range(n))
