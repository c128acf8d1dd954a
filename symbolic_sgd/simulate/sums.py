"""Functions f_1 … f_n as sums of shared terms, f_k = Σ_m A_km φ_m + e_k, so that a drawn k picks a column of numbers.

Evaluating one drawn sample then costs the terms once, however many samples there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import dot
from symbolic_sgd.algebra.translation import from_sympy


@dataclass(frozen=True)
class SharedTerms:
    """f_k = Σ_m A_km φ_m + e_k, exactly.

    Args:
        terms: φ_1 … φ_T.
        coefficients: A, n rows of T rationals.
        offsets: e_1 … e_n, nodes without parameters.
    """

    terms: tuple[Node, ...]
    coefficients: tuple[tuple[Fraction, ...], ...]
    offsets: tuple[Node, ...]

    @staticmethod
    def of(functions: Sequence[Any], parameters: Sequence[sp.Symbol], graph: Graph) -> "SharedTerms":
        """The decomposition by the summands that the functions are written with; those in proportion make one term."""
        rows: dict[Any, list[Fraction]] = {}
        offsets = [graph.constant(0)] * len(functions)
        for k, function in enumerate(functions):
            for summand in sp.Add.make_args(function):
                factor: Any
                factor, term = summand.as_coeff_Mul(rational=True)
                if term.free_symbols.isdisjoint(parameters):
                    offsets[k] = offsets[k] + from_sympy(summand, graph)
                else:
                    row = rows.setdefault(term, [Fraction(0)] * len(functions))
                    row[k] += Fraction(int(factor.p), int(factor.q))
        groups: dict[tuple[Fraction, ...], list[tuple[Fraction, Any]]] = {}
        for term, row in rows.items():
            size = next(a for a in row if a)
            groups.setdefault(tuple(a / size for a in row), []).append((size, term))
        terms = [
            dot([graph.constant(size) for size, _ in group], [from_sympy(term, graph) for _, term in group])
            for group in groups.values()
        ]
        return SharedTerms(tuple(terms), tuple(zip(*groups, strict=True)), tuple(offsets))

    @staticmethod
    def separate(functions: Sequence[Any], graph: Graph) -> "SharedTerms":
        """Each function its own term: A = I."""
        n = range(len(functions))
        identity = tuple(tuple(Fraction(int(i == j)) for j in n) for i in n)
        return SharedTerms(tuple(from_sympy(f, graph) for f in functions), identity, (graph.constant(0),) * len(n))
