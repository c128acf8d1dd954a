"""Inside a cell the loss is smooth: |a|, sign(a), max and min are taken apart by the signs that they have at a point of Γ.

The theorem holds for Γ ∩ cell, up to the first exit from it; the inequalities that bound the cell are conditions of the
formulas.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.manifold.precise import PrecisePoint
from symbolic_sgd.problems.problem import Problem

JUMPING = (sp.Abs, sp.sign, sp.Max, sp.Min, sp.Heaviside)
"""What is not analytic where it is defined."""


def has_jumps(problem: Problem) -> bool:
    """Whether the loss or the noise has something to take apart."""
    return any(expression.has(*JUMPING) for expression in problem.expressions)


def in_cell(problem: Problem, point: PrecisePoint) -> tuple[Problem, tuple[Any, ...]]:
    """The problem in the cell of a point: smooth, with the inequalities of the cell as further conditions.

    What is not smooth at the point itself is left as it is.

    Returns:
        The problem, and the inequalities that were not stated.

    >>> from mpmath import mpf
    >>> from symbolic_sgd import IsotropicNoise
    >>> a, w = sp.symbols("a w")
    >>> relu = Problem(loss=(a*sp.Max(0, w) - 1)**2/2, parameters=(a, w), noise=IsotropicNoise())
    >>> smooth, cell = in_cell(relu, PrecisePoint({a: mpf(1), w: mpf(1)}))
    >>> smooth.loss, cell
    ((a*w - 1)**2/2, (w > 0,))
    """
    taken = _TakenApart(point)
    smooth = problem.map(taken)
    stated = set(problem.conditions)
    cell = tuple(c for c in dict.fromkeys(taken.conditions) if c not in stated and c != sp.true)
    near = {s: float(a) for s, a in point.assignment.items()}
    return replace(smooth, domain=(*smooth.domain, *cell), near=near), cell


def within_cell(
    expressions: Sequence[Expression], point: PrecisePoint, still: Mapping[sp.Symbol, Any], conditions: Sequence[Any]
) -> Sequence[Expression]:
    """Expressions in a cell whose inequalities are known; as they are where they would need others.

    Args:
        expressions: in the problem's symbols and in others.
        point: of the cell.
        still: what the others are.
        conditions: those of the cell.
    """
    taken = _TakenApart(PrecisePoint({**point.assignment, **still}))
    smooth = [taken(e) for e in expressions]
    needed = {c.xreplace(dict.fromkeys(still, sp.S.Zero)) for c in taken.conditions} - {sp.true}
    return smooth if needed <= set(conditions) else expressions


class _TakenApart:
    """An expression without the jumps that are none near a point; and the conditions under which that holds."""

    def __init__(self, point: PrecisePoint):
        self.point = PrecisePoint(point.assignment)
        self.graph = Graph()
        self.conditions: list[Any] = []

    def __call__(self, expression: Expression) -> Expression:
        if not expression.has(*JUMPING):
            return expression
        rebuilt = expression.func(*map(self, expression.args))
        rule = _RULES.get(type(rebuilt))
        return rebuilt if rule is None else rule(self, rebuilt)

    def sign(self, expression: Expression) -> int:
        """The sign at the point."""
        node = from_sympy(expression, self.graph)
        return 0 if self.point.zeros([node])[0] else int(self.point.low([node])[0] > 0) * 2 - 1

    def signed(self, expression: Expression) -> int:
        """The same, and from now on a condition."""
        sign = self.sign(expression)
        if sign:
            self.conditions.append(_inequality(expression, sign))
        return sign

    def largest(self, expression: Any, direction: int) -> Expression:
        first, *others = expression.args
        for other in others:
            first = other if direction * self.sign(other - first) > 0 else first
        rest = [a for a in expression.args if a != first]
        if not all(self.sign(first - other) for other in rest):
            return expression
        for other in rest:
            self.signed(first - other)
        return first


def _inequality(expression: Expression, sign: int) -> Any:
    """expression > 0 or < 0, with its constant on the right, and without a common factor or a leading minus."""
    constant, left = expression.as_independent(*expression.free_symbols, as_Add=True)
    content, left = left.primitive()
    constant = constant / content
    if left.could_extract_minus_sign():
        left, constant, sign = -left, -constant, -sign
    return sp.Gt(left, -constant) if sign > 0 else sp.Lt(left, -constant)


_RULES: dict[Any, Callable[[_TakenApart, Any], Expression]] = {
    sp.Abs: lambda at, e: sign * e.args[0] if (sign := at.signed(e.args[0])) else e,
    sp.sign: lambda at, e: at.signed(e.args[0]) or e,
    sp.Heaviside: lambda at, e: sp.Rational(1 + at.sign(e.args[0]), 2) if at.signed(e.args[0]) else e,
    sp.Max: lambda at, e: at.largest(e, 1),
    sp.Min: lambda at, e: at.largest(e, -1),
}
