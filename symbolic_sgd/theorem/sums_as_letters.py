"""Functions of a sum that comes up again and again, written in that sum: w₁ + 2w₂ + 3w₃ is as good a letter as any."""

from collections.abc import Iterable, Iterator, Sequence

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.theorem.rational_forms import shortest_forms

MOST_SUMS = 3
"""Sums that are tried, the longest first."""


def in_sums(expressions: Sequence[Expression], sums: Iterable[Expression]) -> list[Expression]:
    """The shortest of each expression and what it is with s = a x + … in the place of x, cancelled as a function of s.

    The change of variables is invertible, so that nothing but the way of writing changes.

    >>> x, y, z = sp.symbols("x y z"); a = x + 2*y + z
    >>> in_sums([x**2 + 4*x*y + 2*x*z + 4*y**2 + 4*y*z + z**2 - 3], [a])
    [(x + 2*y + z)**2 - 3]
    """
    found = list(expressions)
    for form in sorted(set(sums), key=lambda e: (-len(e.args), sp.default_sort_key(e)))[:MOST_SUMS]:
        tried = _in_sum(found, form)
        found = [min(pair, key=reading_cost) for pair in zip(found, tried, strict=True)]
    return found


def _in_sum(expressions: Sequence[Expression], form: Expression) -> list[Expression]:
    x = min(form.free_symbols, key=sp.default_sort_key)
    letter = sp.Dummy("s", positive=form.is_positive, real=x.is_real)
    slope = form.coeff(x)
    graph = Graph()
    entries = [from_sympy(e.xreplace({x: (letter - (form - slope * x)) / slope}), graph) for e in expressions]
    try:
        return [e.xreplace({letter: form}) for e in shortest_forms(entries)]
    except (ExpressionTooLarge, ZeroDivisionError):
        return list(expressions)


def linear_sums(expressions: Iterable[Expression], symbols: Sequence[sp.Symbol]) -> Iterator[Expression]:
    """The sums c₁x₁ + c₂x₂ + … with rational c that stand in expressions, of at least two of the symbols and nothing else."""
    for expression in expressions:
        for total in expression.atoms(sp.Add):
            terms = [term.as_coeff_Mul() for term in total.args]
            if all(c.is_Rational and s in symbols for c, s in terms):
                yield total
