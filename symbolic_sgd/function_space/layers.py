"""F as a product of matrices of parameters, or as a signed sum of squares: read off its entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import SymbolicMatrix

LARGEST_CHAIN = 6
"""Factors of a product."""


def factors(matrix: SymbolicMatrix, parameters: Sequence[sp.Symbol]) -> tuple[SymbolicMatrix, ...] | None:
    """(W_L, …, W_1) with F = W_L ⋯ W_1, all their entries different parameters; None where F is no such product of L ≥ 2."""
    trained = set(parameters)
    found = _peeled(matrix.applyfunc(sp.expand), trained, LARGEST_CHAIN)
    if found is None or len(found) < 2:
        return None
    entries = [e for factor in found for e in factor]
    if len(set(entries)) != len(entries):
        return None
    product = sp.Matrix(found[0])
    for factor in found[1:]:
        product = product * factor
    return tuple(found) if (product - matrix).applyfunc(sp.expand).is_zero_matrix else None


def _peeled(matrix: Any, trained: set[sp.Symbol], most: int) -> list[SymbolicMatrix] | None:
    if all(e in trained for e in matrix):
        return [sp.ImmutableDenseMatrix(matrix)]
    if most == 0:
        return None
    for turned in (False, True):
        peeled = _right_factor(matrix.T if turned else matrix, trained)
        if peeled is not None:
            rest, factor = peeled
            others = _peeled(rest.T if turned else rest, trained - set(factor), most - 1)
            if others is not None:
                return (
                    [sp.ImmutableDenseMatrix(factor.T), *others]
                    if turned
                    else [*others, sp.ImmutableDenseMatrix(factor)]
                )
    return None


def _right_factor(matrix: Any, trained: set[sp.Symbol]) -> tuple[SymbolicMatrix, SymbolicMatrix] | None:
    """(G, W) with F = GW, the entries of W parameters that stand in one column each."""
    if matrix.cols < 2:
        return None
    columns = [set[sp.Symbol]().union(*(e.free_symbols & trained for e in matrix[:, j])) for j in range(matrix.cols)]
    own = [c - set[sp.Symbol]().union(*(o for i, o in enumerate(columns) if i != j)) for j, c in enumerate(columns)]
    order: list[tuple[Any, ...]] = []
    weights: list[dict[tuple[Any, ...], sp.Symbol]] = []
    for j, symbols in enumerate(own):
        row: dict[tuple[Any, ...], sp.Symbol] = {}
        for p in sorted(symbols, key=str):
            slopes = tuple(sp.expand(sp.diff(e, p)) for e in matrix[:, j])
            if slopes in row or any(s.has(*symbols) for s in slopes):
                return None
            row[slopes] = p
        weights.append(row)
        order.extend(s for s in row if s not in order)
    if not order or any(set(row) != set(order) for row in weights):
        return None
    rest = sp.Matrix([[slopes[i] for slopes in order] for i in range(matrix.rows)])
    return rest, sp.Matrix([[row[slopes] for row in weights] for slopes in order])


@dataclass(frozen=True)
class SignedSquares:
    """F = Σ_k s_k w_k w_kᵀ.

    Args:
        rows: w_k, d parameters each.
        signs: s_k = ±1.
    """

    rows: tuple[tuple[sp.Symbol, ...], ...]
    signs: tuple[int, ...]


def signed_squares(matrix: SymbolicMatrix, parameters: Sequence[sp.Symbol]) -> SignedSquares | None:
    """F, where it is such a sum in d ≥ 2 dimensions."""
    d = matrix.rows
    if d < 2 or matrix.cols != d or matrix != matrix.T:
        return None
    rows, signs = [], []
    corner = sp.expand(matrix[0, 0])
    for p in sorted(corner.free_symbols & set(parameters), key=str):
        sign = corner.coeff(p, 2)
        others = [sp.expand(sp.diff(matrix[0, j], p)) / sign if sign != 0 else None for j in range(1, d)]
        if sign not in (1, -1) or any(q not in parameters for q in others):
            return None
        rows.append((p, *others))
        signs.append(int(sign))
    total = sp.zeros(d)
    for row, sign in zip(rows, signs, strict=True):
        total += sign * sp.Matrix(row) * sp.Matrix(row).T
    entries = [p for row in rows for p in row]
    whole = len(set(entries)) == len(entries) and (total - matrix).applyfunc(sp.expand).is_zero_matrix
    return SignedSquares(tuple(rows), tuple(signs)) if rows and whole else None
