"""Equations of Γ from ∇L = 0, without the factors that vanish elsewhere only.

An entry of ∇L vanishes on more than Γ: w₂(w₁w₂ − 2) is zero for w₂ = 0, where ∇L is not. Its numerator, as a polynomial in
the parameters and in the functions of them, is factored, and the factors are kept that vanish at points of Γ. Where M = 1,
an equation of Γ divides every entry, and so their greatest common divisor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.manifold.precise import HessianRank, PrecisePoint, matrix_rank
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.rational.fractions import ExactRun, Polynomial, run_exactly

LARGEST_TREE = 20_000
"""Operations of the entries, written out, up to which they are factored."""


@dataclass(frozen=True)
class CriticalEquations:
    """Equations from ∇L = 0.

    Args:
        defining: M equations that hold on all of Γ, perhaps not only there.
        kept: M whose common zeros near the points are Γ, products of factors of those.
        shown: the same zeros, as a person would write them; zeros of ∇L, all of them, only where `divides`.
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
        numerators = [reduce(run.field.ring.gcd, numerators)]
    parted = [_Factors.of(run, p, landscape.graph, points) for p in numerators]
    defining, kept = tuple(f.possible for f in parted), tuple(f.kept for f in parted)
    if not independent(kept, landscape, points):
        return CriticalEquations(rows, rows, rows, False, False)
    complete = all(f.complete for f in parted)
    shown = tuple(_shown(g) for g in kept)
    return CriticalEquations(defining, kept, shown, rank.rank == 1, complete)


def stationary_equations(landscape: Landscape, points: Sequence[PrecisePoint]) -> tuple[Node, ...]:
    """∇L = 0, each entry without the factors that vanish at none of the points: no other zeros than ∇L has, and Γ near them."""
    entries = [entry for entry in landscape.gradient.entries if not entry.is_zero]
    return tuple(dict.fromkeys(map(_shown, component_equations(entries, points))))


def component_equations(equations: Sequence[Node], points: Sequence[PrecisePoint]) -> tuple[Node, ...]:
    """The equations without those factors that vanish at none of the points: of the components on which the points lie."""
    try:
        run = _exact_run(equations)
    except (ExpressionTooLarge, ZeroDivisionError):
        return tuple(equations)
    graph = equations[0].graph
    return tuple(_Factors.of(run, ratio.numerator, graph, points).kept for ratio in run.outputs["entries"])


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
    return min(divided, key=operations)


def _split(term: Expression) -> tuple[Expression, Expression]:
    """(c, f) with term = c e^f."""
    exponents: list[Any] = [f.exp for f in sp.Mul.make_args(term) if isinstance(f, sp.exp)]
    return term / sp.exp(sp.Add(*exponents)), sp.Add(*exponents)


def _node(run: ExactRun, polynomial: Polynomial, graph: Graph) -> Node:
    return from_sympy(_expression(run, polynomial), graph)


@dataclass(frozen=True)
class _Factors:
    """A polynomial taken apart, each factor taken once.

    Args:
        possible: the product of the factors that are not proved to have no zero.
        kept: the product of those that vanish at points.
        complete: whether these are the same.
    """

    possible: Node
    kept: Node
    complete: bool

    @staticmethod
    def of(run: ExactRun, polynomial: Polynomial, graph: Graph, points: Sequence[PrecisePoint]) -> "_Factors":
        _, factors = run.field.ring.factors(polynomial)
        nodes = [_node(run, factor, graph) for factor, _ in factors if not _never_zero(run, factor)]
        kept = [node for node in nodes if any(point.zeros([node])[0] for point in points)]
        kept = kept or nodes  # what vanishes only nearly, as where an exponential is below all digits, stays whole
        possible, product = (reduce(lambda a, b: a * b, ns, graph.constant(1)) for ns in (nodes, kept))
        return _Factors(possible, product, len(kept) == len(nodes))


POSITIVE = (sp.exp, sp.cosh)


def _never_zero(run: ExactRun, factor: Polynomial) -> bool:
    """Whether a factor is proved to have no zero where the loss is smooth.

    It has none if its terms have one sign, none of them being able to vanish or one of them being a constant; or if it is a
    polynomial without real roots in one monomial. Square roots are positive where they are smooth.
    """
    terms = run.field.ring.terms(factor)
    positive = [isinstance(m, POSITIVE) or (m.is_Pow and m.exp == sp.Rational(1, 2)) for m in run.field.meanings]
    same_sign = len({c > 0 for _, c in terms}) == 1
    even = all(p or e % 2 == 0 for exponents, _ in terms for p, e in zip(positive, exponents, strict=False))
    strict = any(all(p or e == 0 for p, e in zip(positive, exponents, strict=False)) for exponents, _ in terms)
    return (same_sign and even and strict) or _has_no_root_in_a_monomial(terms)


def _has_no_root_in_a_monomial(terms: Sequence[tuple[tuple[int, ...], int]]) -> bool:
    first = next((exponents for exponents, _ in reversed(terms) if any(exponents)), None)
    if first is None:
        return bool(terms)
    step = gcd(*first)
    unit, letter = tuple(e // step for e in first), sp.Symbol("m")
    polynomial = sp.S.Zero
    for exponents, c in terms:
        power = next((e // u for e, u in zip(exponents, unit, strict=True) if u), 0)
        if tuple(power * u for u in unit) != exponents:
            return False
        polynomial += c * letter**power
    return sp.Poly(polynomial, letter).count_roots() == 0


def independent(equations: Sequence[Node], landscape: Landscape, points: Sequence[PrecisePoint]) -> bool:
    """Whether the equations hold at the points, and their gradients are independent there."""
    slopes = Matrix.of(gradient(g, landscape.variables) for g in equations)
    return all(all(point.zeros(equations)) and matrix_rank(point.matrix(slopes)) == len(equations) for point in points)
