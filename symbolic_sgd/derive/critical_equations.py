"""Equations of Γ from ∇L = 0, without the factors that vanish elsewhere only.

An entry of ∇L vanishes on more than Γ: w₂(w₁w₂ − 2) is zero for w₂ = 0, where ∇L is not. Its numerator, as a polynomial in
the parameters and in the functions of them, is factored, and the factors are kept that vanish at points of Γ. Where M = 1,
an equation of Γ divides every entry, and so their greatest common divisor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.fractions import ExactRun, Polynomial, run_exactly
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.derive.precise import HessianRank, PrecisePoint, matrix_rank
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.problems.landscape import Landscape

LARGEST_TREE = 20_000
"""Operations of the entries, written out, up to which they are factored."""


@dataclass(frozen=True)
class CriticalEquations:
    """Equations from ∇L = 0.

    Args:
        defining: M equations that hold on all of Γ, perhaps not only there.
        kept: M whose common zeros near the points are Γ, products of factors of those.
        shown: the same zeros, as a person would write them.
        divides: whether M = 1 and ∇L = g w for the one shown equation g.
        complete: whether nothing that vanishes with ∇L was left out of the shown equations.
    """

    defining: tuple[Node, ...]
    kept: tuple[Node, ...]
    shown: tuple[Node, ...]
    divides: bool
    complete: bool


def critical_equations(landscape: Landscape, points: Sequence[PrecisePoint], rank: HessianRank) -> CriticalEquations:
    """M equations of Γ, as short as they were found.

    Args:
        landscape: the loss on its graph.
        points: points of Γ.
        rank: M, and rows of ∇²L that are independent at the first point.
    """
    rows = tuple(landscape.gradient[i, 0] for i in sorted(rank.pivots))
    try:
        run = _exact_run(landscape.gradient.entries if rank.rank == 1 else rows)
    except (ExpressionTooLarge, ZeroDivisionError):
        return CriticalEquations(rows, rows, rows, False, False)
    numerators = [ratio.numerator for ratio in run.outputs["entries"] if ratio.numerator]
    if rank.rank == 1:
        numerators = [reduce(lambda a, b: a.gcd(b), numerators)]
    graph = landscape.graph
    defining = tuple(_node(run, p, graph) for p in numerators)
    factors = [_kept(run, p, graph, points) for p in numerators]
    kept = tuple(product for product, _ in factors)
    if not _independent(kept, landscape, points):
        return CriticalEquations(rows, rows, rows, False, False)
    complete = all(whole for _, whole in factors)
    shown = tuple(_shown(g) for g in kept)
    return CriticalEquations(defining, kept, shown, rank.rank == 1, complete)


def component_equations(equations: Sequence[Node], points: Sequence[PrecisePoint]) -> tuple[Node, ...]:
    """The equations without those factors that vanish at none of the points: of the components on which the points lie."""
    try:
        run = _exact_run(equations)
    except (ExpressionTooLarge, ZeroDivisionError):
        return tuple(equations)
    graph = equations[0].graph
    return tuple(_kept(run, ratio.numerator, graph, points)[0] for ratio in run.outputs["entries"])


def _exact_run(entries: Sequence[Node]) -> ExactRun:
    program = Program.of({"entries": Matrix.column(entries)})
    if program.expanded_size("entries") > LARGEST_TREE:
        raise ExpressionTooLarge("the gradient is too large to be factored")
    return run_exactly(program)


def _expression(run: ExactRun, polynomial: Polynomial) -> Expression:
    terms = run.field.ring.terms(polynomial)
    powers = [
        sp.Mul(c, *(m**e for m, e in zip(run.field.meanings, exponents, strict=False) if e)) for exponents, c in terms
    ]
    return sp.Add(*powers)


def _shown(equation: Node) -> Node:
    written: Expression = Program.of({"equation": Matrix.column([equation])}).expand("equation")[0, 0]
    factors = map(_over_an_exponential, sp.Mul.make_args(written))
    return from_sympy(sp.Mul(*factors), equation.graph)


def _over_an_exponential(equation: Expression) -> Expression:
    """The same zeros: a sum in which every term has an exponential, divided by the one that leaves the shortest sum."""
    terms = [_split(term) for term in sp.Add.make_args(equation)]
    if len(terms) < 2 or not all(exponent for _, exponent in terms):
        return equation
    divided = (sp.Add(*(c * sp.exp(sp.expand(e - f)) for c, e in terms)) for _, f in terms)
    return min(divided, key=sp.count_ops)


def _split(term: Expression) -> tuple[Expression, Expression]:
    """(c, f) with term = c e^f."""
    exponents: list[Any] = [f.exp for f in sp.Mul.make_args(term) if isinstance(f, sp.exp)]
    return term / sp.exp(sp.Add(*exponents)), sp.Add(*exponents)


def _node(run: ExactRun, polynomial: Polynomial, graph: Graph) -> Node:
    return from_sympy(_expression(run, polynomial), graph)


def _kept(run: ExactRun, polynomial: Polynomial, graph: Graph, points: Sequence[PrecisePoint]) -> tuple[Node, bool]:
    """The product of the factors, each taken once, that vanish at points; and whether these are all that depend on x."""
    _, factors = run.field.ring.factors(polynomial)
    nodes = [_node(run, factor, graph) for factor, _ in factors]
    vanishing = [any(point.zeros([node])[0] for point in points) for node in nodes]
    kept = [node for node, zero in zip(nodes, vanishing, strict=True) if zero]
    return reduce(lambda a, b: a * b, kept, graph.constant(1)), all(vanishing)


def _independent(equations: Sequence[Node], landscape: Landscape, points: Sequence[PrecisePoint]) -> bool:
    """Whether the equations hold at the points, and their gradients are independent there."""
    slopes = Matrix.of(gradient(g, landscape.variables) for g in equations)
    return all(all(point.zeros(equations)) and matrix_rank(point.matrix(slopes)) == len(equations) for point in points)
