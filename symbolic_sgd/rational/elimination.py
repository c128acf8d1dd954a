"""Solving a system for several unknowns by elimination: each from the equation that gives it most simply.

Only roots that exist in a short closed form are taken (linear, quadratic in a power, one invertible function), so that
nothing here can run away. A solution is a candidate: which branch is meant, and whether it is real, is for its user to say.
"""

from collections.abc import Iterator, Sequence

import sympy as sp

from symbolic_sgd.algebra.functions import FUNCTIONS
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.rational.closed_form import LARGEST_EQUATION, LARGEST_POWER, Solution, roots

BRANCHES = 3
"""Pairs (equation, unknown) that are tried at each step, the simplest first."""


def eliminations(equations: Sequence[Expression], unknowns: Sequence[sp.Symbol]) -> Iterator[Solution]:
    """Solutions of `equations` = 0 for as many unknowns, in terms of all other symbols.

    >>> u, v, w, z = sp.symbols("u v w z")
    >>> next(eliminations([u*v - w, v**3 + w*z - 1], [u, z]))
    {z: (1 - v**3)/w, u: w/v}
    """
    if len(equations) != len(unknowns):
        return
    if not unknowns:
        yield {}
        return
    if any(operations(e) > LARGEST_EQUATION for e in equations):
        return
    for _, k, unknown in _simplest(equations, unknowns)[:BRANCHES]:
        others = [t for t in unknowns if t != unknown]
        found = False
        for root in solved_for(equations[k], unknown):
            rest = [e.xreplace({unknown: root}) for i, e in enumerate(equations) if i != k]
            for solution in eliminations([_numerator(e) for e in rest], others):
                found = True
                yield {**solution, unknown: root.xreplace(solution)}
        if found:
            return


def solved_for(equation: Expression, unknown: sp.Symbol) -> list[Expression]:
    """Roots of an equation that is, cleared of denominators, linear or quadratic in a power of its unknown, or in one
    invertible function of it."""
    if unknown not in equation.free_symbols:
        return []
    found = [r for r in roots(equation, unknown) if not r.has(sp.zoo, sp.nan, sp.oo)]
    if found:
        return found
    calls = [c for c in equation.atoms(sp.Function) if unknown in c.free_symbols]
    outer = [c for c in calls if not any(c is not d and d.has(c) for d in calls)]
    if len(outer) != 1 or type(outer[0]).__name__ not in FUNCTIONS or not hasattr(outer[0], "inverse"):
        return []
    (call,), value = outer, sp.Dummy("y")
    reduced = equation.xreplace({call: value})
    if unknown in reduced.free_symbols:
        return []
    inner = [call.args[0] - call.inverse()(y) for y in roots(reduced, value)]
    return [r for e in inner for r in solved_for(e, unknown)]


def degree(equation: Expression, unknown: sp.Symbol) -> int:
    """The degree in an unknown, and one beyond every degree where the equation is no polynomial in it."""
    if unknown not in equation.free_symbols:
        return 0
    if not equation.is_polynomial(unknown):
        return LARGEST_POWER + 1
    powers = [p.exp for p in equation.atoms(sp.Pow) if unknown in p.base.free_symbols and p.exp.is_Integer]
    return LARGEST_POWER if max(powers, default=1) > LARGEST_POWER else int(sp.Poly(equation, unknown).degree())


def _simplest(equations: Sequence[Expression], unknowns: Sequence[sp.Symbol]) -> list[tuple[tuple, int, sp.Symbol]]:
    pairs = []
    for k, equation in enumerate(equations):
        present = [t for t in unknowns if t in equation.free_symbols]
        for t in present:
            pairs.append(((degree(equation, t), len(present), operations(equation)), k, t))
    return sorted(pairs, key=lambda pair: pair[0])


def _numerator(equation: Expression) -> Expression:
    return sp.numer(sp.together(equation)) if operations(equation) <= LARGEST_EQUATION else equation
