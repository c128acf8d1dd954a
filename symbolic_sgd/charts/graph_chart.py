"""Graph charts: n = D − M of the parameters as coordinates, the others solved for, x_I = h(x_J)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, islice

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.charts.chart import vanish
from symbolic_sgd.charts.embedding import Embedding, tested
from symbolic_sgd.errors import (
    ComplexValue,
    ExpressionTooLarge,
    ManifoldMismatch,
    NoClosedForm,
    NotSmooth,
    SymbolicSGDError,
)
from symbolic_sgd.manifold.precise import POINT, PrecisePoint
from symbolic_sgd.manifold.walk import wander
from symbolic_sgd.rational.elimination import degree, eliminations
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.rational_forms import shortest_forms

CHOICES = 3000
"""Choices of coordinates that are ranked at most."""

TRIED = 24
"""Choices of coordinates that are solved for at most."""

BRANCHES = 16
"""Solutions of the equations that are looked at for each choice."""

FRESH = 6
"""New random points of Γ at which a chart is tested."""

SEED = 911

Point = Mapping[sp.Symbol, PreciseNumber]


def graph_chart(
    derivation: Derivation, coordinates: Sequence[sp.Symbol] | None, near: Mapping[sp.Symbol, float] | None
) -> Embedding:
    """The graph over the given parameters, or over the ones that give the shortest: rational before radicals.

    Args:
        derivation: of the SDE on Γ.
        coordinates: x_J; None to have them chosen.
        near: a point beside the branch meant; None for the branch that holds most of the points found.

    Raises:
        NoClosedForm: the equations of Γ were not solved, or no solution passes the tests.
    """
    equations = _equations(derivation)
    rng = np.random.default_rng(SEED)
    fresh = wander(derivation.problem, derivation.codimension, derivation.points, rng, FRESH)
    points = [*derivation.points, *fresh]
    found: list[Embedding] = []
    for chosen in islice(_choices(derivation, equations, coordinates), TRIED):
        branch = _best_branch(derivation, equations, chosen, points, near)
        if branch is not None:
            found.append(branch)
    for embedding in sorted(found, key=lambda e: _length(e.expressions)):
        try:
            return _in_lowest_terms(_tested(embedding, points, near))
        except SymbolicSGDError:
            continue
    over = f"over {', '.join(map(str, coordinates))}" if coordinates else "over any choice of the parameters tried"
    raise NoClosedForm(
        f"Γ was not written as a graph {over}: its equations have no short closed solution there (or none that passes the tests at "
        "points of Γ). Choose other coordinates, or parametrise Γ yourself with embedding={parameter: expression in θ, …}"
    )


def _equations(derivation: Derivation) -> list[Expression]:
    try:
        return [sp.numer(sp.together(e)) for e in derivation.equations.expand("equations", budget=2000).flat()]
    except ExpressionTooLarge as error:
        raise NoClosedForm(
            "the equations of Γ are too large to be solved for some of the parameters: parametrise Γ yourself with "
            "embedding={parameter: expression in θ, …}, or state shorter equations with manifold=[…]"
        ) from error


def _choices(
    derivation: Derivation, equations: Sequence[Expression], coordinates: Sequence[sp.Symbol] | None
) -> Iterator[tuple[sp.Symbol, ...]]:
    if coordinates is not None:
        yield tuple(coordinates)
        return
    parameters = derivation.problem.parameters
    n = len(parameters) - derivation.codimension
    degrees = {t: sorted((degree(e, t) for e in equations), reverse=True) for t in parameters}
    # The unknowns should stand in the equations with low degrees.
    unknown_degrees = lambda chosen: sorted((degrees[t] for t in parameters if t not in chosen), reverse=True)  # noqa: E731
    yield from sorted(islice(combinations(parameters, n), CHOICES), key=unknown_degrees)


def _best_branch(
    derivation: Derivation,
    equations: Sequence[Expression],
    chosen: tuple[sp.Symbol, ...],
    points: Sequence[Point],
    near: Mapping[sp.Symbol, float] | None,
) -> Embedding | None:
    """The solution that holds nearest to `near`, else at most of the points of Γ."""
    parameters = derivation.problem.parameters
    unknowns = [t for t in parameters if t not in chosen]
    best: tuple[tuple, Embedding] | None = None
    for solution in islice(eliminations(equations, unknowns), BRANCHES):
        # Cleared of denominators, an equation holds e^(−u²) and e^(2u) apart.
        whole = (sp.powsimp(solution.get(x, x), combine="exp") for x in parameters)
        expressions = tuple(_written(e, derivation, x) for e, x in zip(whole, parameters, strict=True))
        selected = tuple(parameters.index(t) for t in chosen)
        candidate = Embedding(derivation, chosen, expressions, selected)
        covered = [p for p in points if holds(candidate, p)]
        distance = 0.0 if near is None else _distance(candidate, near)
        if (near is None and not covered) or not np.isfinite(distance):
            continue
        # Coarse, so that chance in the choice of points does not decide between branches that are alike.
        share = round(2 * len(covered) / len(points))
        rank = (distance, -share, _length(expressions), str(expressions))
        if best is None or rank < best[0]:
            best = (rank, candidate)
    return None if best is None else best[1]


def _written(expression: Expression, derivation: Derivation, x: sp.Symbol) -> Expression:
    """x = h(x_J) with numbers before roots, and without sign and modulus where the domain says that x > 0."""
    stated = any(isinstance(c, (sp.Gt, sp.Ge)) and c.args == (x, 0) for c in derivation.problem.domain)
    for inner in (sign.args[0] for sign in expression.atoms(sp.sign) if stated or x.is_nonnegative):
        power = expression.as_powers_dict().get(sp.Abs(inner), sp.S.Zero)
        if expression == sp.sign(inner) * sp.Abs(inner) ** power:
            expression = inner**power
    return expression.replace(lambda e: e.is_Pow and e.base.is_Add and not e.exp.is_Integer, _number_first)


def _number_first(root: sp.Pow) -> Expression:
    """(c p)^q = c^q p^q for a number c > 0."""
    number, rest = root.base.primitive()
    return number**root.exp * rest**root.exp


def _in_lowest_terms(embedding: Embedding) -> Embedding:
    shortest = _cancelled(embedding.expressions)
    pairs = zip(embedding.expressions, shortest, strict=True)
    chosen = replace(embedding, expressions=tuple(min(pair, key=reading_cost) for pair in pairs))
    graph = Graph()
    gaps = [
        from_sympy(a, graph) - from_sympy(b, graph)
        for a, b in zip(chosen.expressions, embedding.expressions, strict=True)
    ]
    return chosen if vanish(gaps, embedding.points) else embedding


def _cancelled(expressions: Sequence[Expression]) -> Sequence[Expression]:
    graph = Graph()
    try:
        return shortest_forms([from_sympy(e, graph) for e in expressions])
    except (ExpressionTooLarge, ZeroDivisionError):
        return expressions


def holds(embedding: Embedding, point: Point) -> bool:
    """Whether x_I = h(x_J) at a point of Γ."""
    graph = Graph()
    parameters = embedding.derivation.problem.parameters
    try:
        gaps = [graph.symbol(x) - from_sympy(e, graph) for x, e in zip(parameters, embedding.expressions, strict=True)]
        return all(PrecisePoint(point).zeros(gaps))
    except (NotSmooth, ComplexValue, OverflowError):
        return False


def _distance(embedding: Embedding, near: Mapping[sp.Symbol, float]) -> float:
    """How far (near_J, h(near_J)) is from `near`; ∞ where h is not real."""
    try:
        values = embedding.ambient(_completed(embedding, near))
    except (NotSmooth, ComplexValue, OverflowError, ZeroDivisionError):
        return float("inf")
    return float(max(abs(v - near[x]) for v, x in zip(values, embedding.derivation.problem.parameters, strict=True)))


def _completed(embedding: Embedding, near: Mapping[sp.Symbol, float]) -> dict[sp.Symbol, PreciseNumber]:
    """near_J, with the constants as at the points of Γ where it does not name them."""
    known = embedding.derivation.points[0]
    return {s: mp.mpf(near[s]) if s in near else known[s] for s in embedding.symbols}


def _length(expressions: Sequence[Expression]) -> tuple[int, int, int]:
    """Rational expressions first, then the ones without poles, then the shorter ones."""
    powers = [p for e in expressions for p in e.atoms(sp.Pow)]
    radicals = sum(not p.exp.is_Integer for p in powers) + sum(len(e.atoms(sp.Function)) for e in expressions)
    poles = sum(bool(p.exp.is_negative and p.base.free_symbols) for p in powers)
    return radicals, poles, sum(operations(e) for e in expressions)


def _tested(embedding: Embedding, points: Sequence[Point], near: Mapping[sp.Symbol, float] | None) -> Embedding:
    """Tested at the points of Γ on this branch and beside them, off the points from which it was chosen."""
    on_branch = [{s: p[s] for s in embedding.symbols} for p in points if holds(embedding, p)]
    begin = on_branch if near is None else [_completed(embedding, near), *on_branch]
    checked = tested(embedding, iter([*begin[:5], *_beside(embedding, begin), *begin[5:]]))
    if not checked:
        raise ManifoldMismatch("the graph holds no point of Γ")
    left = [f"{x} = {e}" for x, e in zip(embedding.derivation.problem.parameters, embedding.expressions, strict=True)]
    solved = [text for i, text in enumerate(left) if i not in (embedding.selected or ())]
    words = (
        f"Γ is the graph {'; '.join(solved)}, which holds {len(on_branch)} of the {len(points)} points of Γ looked at"
        if len(on_branch) < len(points)
        else f"Γ is the graph {'; '.join(solved)}, at every point of Γ looked at"
    )
    return replace(embedding, points=checked, words=words)


def _beside(embedding: Embedding, points: Sequence[Point]) -> Iterator[Point]:
    rng = np.random.default_rng(SEED)
    with mp.workdps(POINT):
        for point in points:
            shifts = {s: mp.mpf(float(0.05 * rng.uniform(-1, 1))) for s in point}
            # A point on u = 0 has others beside it that are not: what holds on u = 0 alone should not pass for all θ.
            yield {s: a * (1 + shifts[s]) if a else shifts[s] for s, a in point.items()}
