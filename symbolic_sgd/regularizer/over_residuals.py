"""tr ∇²L over all residuals, also where they depend on one another: Σ k_i‖∇g_i‖² for L = ½ Σ k_i g_i² and a constant.

Where all g_i vanish, ∇²L = Σ k_i ∇g_i∇g_iᵀ, whatever the k_i depend on. M of the gradients span the normal space, but a sum over these is
not symmetric in what L is symmetric in; nor is a function that all equations of Γ have reduced. So each term is reduced by its own.
"""

from collections.abc import Sequence
from contextlib import suppress

import sympy as sp
from sympy.polys.polyerrors import CoercionFailed

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.manifold.equations import squared_terms
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.rational_forms import on_manifold

MOST = 40
"""Residuals of a sum that is written out."""

ORDER = "grevlex"
"""Of the monomials by which polynomials are divided."""


def traces_over_residuals(derivation: Derivation) -> list[Expression]:
    """tr ∇²L on Γ, each polynomial among the terms divided by its equation, and each term in the form that is least to read; nothing where
    L is not seen to be such a sum, or is one of exactly M squares, or where it is not proved that all g_i vanish on Γ."""
    landscape, parameters = derivation.problem.landscape(), derivation.problem.parameters
    squares = squared_terms(derivation.problem, landscape)
    if not derivation.codimension < len(squares) <= MOST or not _all_vanish(derivation, list(squares)):
        return []
    terms = (k * dot(slopes, slopes) for g, k in squares.items() for slopes in [gradient(g, landscape.variables)])
    try:
        forms = [_forms(term, g, parameters) for term, g in zip(terms, squares, strict=True)]
    except ExpressionTooLarge:
        return []
    totals = sp.Add(*(of[-1] for of in forms)), sp.Add(*(min(of, key=reading_cost) for of in forms))
    return [_by_monomials(total, parameters) for total in totals]


def _all_vanish(derivation: Derivation, residuals: list[Node]) -> bool:
    graph = residuals[0].graph
    known = set(derivation.guard.on(graph)["equations"].entries)
    others = [g for g in residuals if g not in known]
    return not others or all(zero_on(derivation.equations.on(graph)["defining"].entries, others))


def _forms(function: Node, equation: Node, parameters: Sequence[sp.Symbol]) -> list[Expression]:
    """A function on {equation = 0}: as it is, in rational forms, and last, for polynomials, without multiples of the equation."""
    program = Program.of({"function": Matrix.column([function]), "equation": Matrix.column([equation])})
    as_it_is, zero = (program.expand(name).flat()[0] for name in program.names)
    found = [as_it_is]
    with suppress(ExpressionTooLarge, ZeroDivisionError):
        writer, (ratio,) = on_manifold([function], [equation])
        found += [writer.quotient(ratio), writer.product(ratio)]
        found += [writer.product(form) for form in (writer.by_factors(ratio), writer.lowered(ratio))]
    polynomial = as_it_is.is_polynomial(*parameters) and zero.is_polynomial(*parameters)
    # Constants are coefficients, and the leading one is divided by.
    if polynomial and sp.Poly(zero, *parameters).LC(ORDER).is_nonzero:
        with suppress(sp.PolynomialError, CoercionFailed):
            found.append(sp.reduced(as_it_is, [zero], *parameters, order=ORDER, field=True, extension=True)[1])
    return found


def _by_monomials(total: Expression, parameters: Sequence[sp.Symbol]) -> Expression:
    """A polynomial with coefficients that are no rational numbers as a sum of monomials, each once."""
    if not total.is_polynomial(*parameters):
        return total
    terms = sp.Poly(total, *parameters).terms()
    if all(c.is_Rational for _, c in terms):
        return total
    return sp.Add(*(sp.factor(c) * sp.Mul(*(x**e for x, e in zip(parameters, m, strict=True))) for m, c in terms))
