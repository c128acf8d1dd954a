"""Scalings x_p ↦ s^{w_p} x_p that leave expressions alone: the torus of a model, found by linear algebra in the exponents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd, lcm
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import SymbolicMatrix


class NotHomogeneous(Exception):
    """An expression has no weight."""


@dataclass(frozen=True)
class Weight:
    """The weight of an expression under unknown scalings.

    Args:
        form: v with weight ⟨v, w⟩.
        conditions: c with ⟨c, w⟩ = 0, without which it has no weight.
    """

    form: sp.ImmutableDenseMatrix
    conditions: tuple[SymbolicMatrix, ...]


def weight_of(expression: Any, parameters: Sequence[sp.Symbol]) -> Weight:
    """How an expression scales, by how it is written: sums need terms of one weight, functions arguments of weight 0."""
    zero = sp.ImmutableDenseMatrix.zeros(1, len(parameters))
    places = {p: i for i, p in enumerate(parameters)}
    conditions: list[SymbolicMatrix] = []

    def read(e: Any) -> SymbolicMatrix:
        if e in places:
            return sp.ImmutableDenseMatrix(1, len(parameters), lambda _, j: sp.Integer(int(j == places[e])))
        if not e.free_symbols & places.keys():
            return zero
        if e.is_Add:
            first, *others = map(read, e.args)
            conditions.extend(other - first for other in others)
            return first
        if e.is_Mul:
            return reduce(lambda a, b: a + b, map(read, e.args))
        if e.is_Pow and e.exp.is_Rational:
            return read(e.base) * e.exp
        if isinstance(e, sp.Abs):
            return read(e.args[0])
        conditions.extend(map(read, e.args))
        return zero

    return Weight(read(expression), tuple(dict.fromkeys(c for c in conditions if any(c))))


def scalings(invariants: Iterable[Any], parameters: Sequence[sp.Symbol]) -> SymbolicMatrix:
    """All w, as rows of integers, under which every invariant has weight 0."""
    rows: list[SymbolicMatrix] = []
    for expression in invariants:
        weight = weight_of(expression, parameters)
        rows.extend([weight.form, *weight.conditions])
    rows = [row for row in dict.fromkeys(rows) if any(row)]
    if not rows:
        return sp.ImmutableDenseMatrix.eye(len(parameters))
    kernel = sp.Matrix.vstack(*rows).nullspace()
    return sp.ImmutableDenseMatrix(len(kernel), len(parameters), [e for v in kernel for e in _whole(list(v))])


def _whole(vector: list[Any]) -> list[Any]:
    denominator = lcm(*(int(e.q) for e in vector))
    whole = [int(e * denominator) for e in vector]
    common = gcd(*whole) or 1
    return [sp.Integer(e // common) for e in whole]


def weights_of(expression: Any, parameters: Sequence[sp.Symbol], torus: SymbolicMatrix) -> tuple[Any, ...]:
    """The weights of an expression under each row of a torus.

    Raises:
        NotHomogeneous: it has none.
    """
    weight = weight_of(expression, parameters)
    if any(any(torus * c.T) for c in weight.conditions):
        raise NotHomogeneous(expression)
    return tuple(torus * weight.form.T)


def homogeneous_parts(
    expression: Any, parameters: Sequence[sp.Symbol], torus: sp.ImmutableDenseMatrix
) -> list[tuple[tuple[Any, ...], Any]]:
    """(weights, part) of an expression that is nowhere negative: itself, or its monomials if each of them is nowhere negative.

    Raises:
        NotHomogeneous: neither.
    """
    try:
        return [(weights_of(expression, parameters, torus), expression)]
    except NotHomogeneous:
        expanded = sp.expand(expression)
        if not expanded.is_Add or not all(never_negative(t, parameters) for t in expanded.args):
            raise
        return [(weights_of(t, parameters, torus), t) for t in expanded.args]


def never_negative(e: Any, parameters: Sequence[sp.Symbol]) -> bool:
    """Whether an expression in real parameters is nowhere negative, where it is defined, by how it is written."""
    if e.is_nonnegative or not e.free_symbols & set(parameters):
        return bool(e.is_nonnegative)
    if e.is_Add or e.is_Mul:
        return all(never_negative(part, parameters) for part in e.args)
    if e.is_Pow:
        even = e.exp.is_Rational and e.exp.p % 2 == 0 and e.exp.q % 2 == 1
        return even or (e.exp.is_Rational and e.exp.q % 2 == 0) or never_negative(e.base, parameters)
    return isinstance(e, (sp.Abs, sp.exp))
