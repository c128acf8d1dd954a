"""Parameters that are multiples of others on all of Γ: u₂ = 2u₁ where uvᵀ is a matrix of rank one."""

from fractions import Fraction
from weakref import WeakKeyDictionary

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.manifold.precise import HIGH
from symbolic_sgd.rational.recognition import rational
from symbolic_sgd.theorem.derivation import Derivation

LARGEST_DENOMINATOR = 10**6
"""Of the number that one parameter is times another."""

_KNOWN: WeakKeyDictionary[Derivation, dict[sp.Symbol, Expression]] = WeakKeyDictionary()


def multiples_on_manifold(derivation: Derivation) -> dict[sp.Symbol, Expression]:
    """{y: cx} for parameters with y = cx on Γ for a rational c, found at the points of the derivation and proved by its equations."""
    if derivation not in _KNOWN:
        _KNOWN[derivation] = _found(derivation)
    return _KNOWN[derivation]


def _found(derivation: Derivation) -> dict[sp.Symbol, Expression]:
    guesses: dict[sp.Symbol, Expression] = {}
    kept: list[sp.Symbol] = []
    for y in derivation.problem.parameters:
        ratios = ((x, _ratio(derivation, x, y)) for x in kept)
        guess = next((sp.Rational(c.numerator, c.denominator) * x for x, c in ratios if c is not None), None)
        if guess is None:
            kept.append(y)
        else:
            guesses[y] = guess
    graph = Graph()
    equations = derivation.equations.on(graph)["defining"].entries
    differences = [from_sympy(y - e, graph) for y, e in guesses.items()]
    proved = zero_on(equations, differences, derivation.codimension)
    return {y: e for (y, e), holds in zip(guesses.items(), proved, strict=True) if holds}


def _ratio(derivation: Derivation, x: sp.Symbol, y: sp.Symbol) -> Fraction | None:
    """y/x at all points, if it is one rational number and not 0."""
    if any(point[x] == 0 for point in derivation.points):
        return None
    with mp.workdps(HIGH):
        found = {rational(point[y] / point[x], LARGEST_DENOMINATOR) for point in derivation.points}
    return next(iter(found)) or None if len(found) == 1 else None
