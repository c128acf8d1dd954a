"""The range of a single coordinate: the open interval between the singularities beside a point, or a period."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce

import mpmath
import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node, kinks
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.real_zeros import between, real_zeros
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.derive.chart import Assignment, Chart, tidied, vanish
from symbolic_sgd.derive.precise import POINT, PrecisePoint
from symbolic_sgd.derive.volume import volume_factors
from symbolic_sgd.errors import BadInput, ComplexValue, ExpressionTooLarge, NotSmooth, SymbolicSGDError

Range = tuple[Expression, Expression]

SAMPLES = 64
"""Places along a closed curve at which ψ is tested where its singularities are not known exactly."""

DIVISORS = (2, 3, 5, 7)
"""A period divided by these is tried, too."""


def with_range(chart: Chart, interval: tuple[Expression, Expression] | None, period: Expression | None) -> Chart:
    """The chart with its interval or period: the one given, checked, or the one found.

    Raises:
        BadInput: ψ does not have the period given, or is singular inside the interval given.
    """
    if chart.dimension != 1:
        return chart
    if interval is not None:
        _check_inside(chart, interval)
        return replace(chart, bounds=interval, stated=True)
    if period is not None:
        return _with_period(chart, period)
    period = _found_period(chart)
    barriers = _barriers(chart, None, period)
    if period is not None:
        return replace(chart, period=period) if barriers == [] else chart
    bounds = None if barriers is None else _beside(chart, barriers)
    return replace(chart, bounds=bounds)


def _check_inside(chart: Chart, interval: Range) -> None:
    barriers = _barriers(chart, interval, None)
    if barriers:
        raise BadInput(
            f"interval= reaches across {chart.embedding.coordinates[0]} = {barriers[0]}, where the chart, its SDE or the theorem "
            "is singular: give one side"
        )


def _with_period(chart: Chart, period: Expression) -> Chart:
    """The period that the user states, if ψ has it and is regular at many places along the curve."""
    (variable,) = chart.embedding.coordinates
    if not _has_period(chart, period):
        raise BadInput(f"embedding= does not have the period {period}: ψ({variable} + {period}) ≠ ψ({variable})")
    if _barriers(chart, None, period) != []:
        requirements = chart.embedding.requirements
        for k in range(SAMPLES):
            shifted = dict(chart.points[0])
            with mpmath.workdps(POINT):
                length = mpmath.mpf(str(sp.N(period.xreplace(values_at(chart.points[0])), POINT)))
                shifted[variable] = shifted[variable] + length * k / SAMPLES
            point = PrecisePoint(shifted)
            if not requirements.admissible(point):
                where = point.describe(chart.embedding.symbols)
                raise BadInput(
                    f"period= does not close a curve on Γ: at {where} embedding= is singular or leaves the domain"
                )
            requirements.check(point)
    return replace(chart, period=period)


def zeros_in(
    chart: Chart, expression: Expression, bounds: Range | None, period: Expression | None
) -> list[Expression] | None:
    """All zeros in an interval, over a period, or on the line (both None); None where they are not known exactly."""
    (variable,) = chart.embedding.coordinates
    zeros = real_zeros(expression, variable)
    if zeros and period is None and expression.has(sp.sin, sp.cos):
        zeros = _repeated(expression, variable, zeros, bounds)
    if zeros is None or bounds is None:
        return zeros
    chosen = [tuple(between(zeros, *bounds, values_at(point))) for point in chart.points]
    # Constants may move zeros across the ends.
    return list(chosen[0]) if len(set(chosen)) == 1 else None


def _repeated(
    expression: Expression, variable: sp.Symbol, zeros: Sequence[Expression], bounds: Range | None
) -> list[Expression] | None:
    """Zeros in (−π, π] of a function of sine and cosine alone, repeated over a finite interval."""
    waves = {sp.sin(variable): sp.Dummy(), sp.cos(variable): sp.Dummy()}
    alone = variable not in sp.expand_trig(expression).xreplace(waves).free_symbols
    if not alone or bounds is None or not all(e.is_number and e.is_finite for e in (*bounds, *zeros)):
        return None
    first, last = (int(sp.floor(sp.N(end) / (2 * sp.pi.n()))) for end in bounds)
    return [z + 2 * sp.pi * k for k in range(first - 1, last + 2) for z in zeros] if last - first < 50 else None


def values_at(point: Assignment) -> dict[sp.Symbol, Expression]:
    """A point's coordinates as SymPy numbers."""
    return {s: sp.Float(mpmath.nstr(a, 60), 50) for s, a in point.items()}


def _beside(chart: Chart, barriers: Sequence[Expression]) -> Range | None:
    """The barriers next to the first point at which the chart was tested; None where constants decide which these are."""
    (variable,) = chart.embedding.coordinates
    here = values_at(chart.points[0])[variable]
    choices = {_next_to(here, barriers, values_at(point)) for point in chart.points}
    return choices.pop() if len(choices) == 1 else None


def _next_to(here: Expression, barriers: Sequence[Expression], values: dict[sp.Symbol, Expression]) -> Range:
    ordered = sorted(barriers, key=lambda e: sp.N(e.xreplace(values), 30))
    below = [z for z in ordered if sp.N(z.xreplace(values), 30) < here]
    above = [z for z in ordered if sp.N(z.xreplace(values), 30) > here]
    return (below or [-sp.oo])[-1], (above or [sp.oo])[0]


def _barriers(chart: Chart, bounds: Range | None, period: Expression | None) -> list[Expression] | None:
    """Real θ where ψ, b or a is singular, a condition of the domain ends, or rank ∇²L drops; None where undecided."""
    found: list[Expression] = []
    try:
        obstacles = list(_obstacles(chart))
    except (SymbolicSGDError, ZeroDivisionError):
        return None
    for obstacle in obstacles:
        zeros = zeros_in(chart, obstacle, bounds, period)
        if zeros is None:
            return None
        found.extend(zeros)
    return list(dict.fromkeys(found))


def _obstacles(chart: Chart) -> Iterator[Expression]:
    """Expressions in θ that vanish where something ends."""
    graph = Graph()
    (variable,) = chart.embedding.coordinates
    composed = chart.embedding.compose(chart.embedding.derivation.guard.select("conditions"), graph)
    nodes = [zero for _, zero in kinks(chart.embedding.on(graph).values())]
    nodes.extend(composed["conditions"].entries)
    nodes.extend(_product(factors) for factors in volume_factors(chart.embedding, graph) if factors)
    expressions = [_expanded(node, chart.points) for node in nodes]
    for name in ("drift", "covariance"):
        expressions.append(1 / sp.denom(sp.together(chart.written(name)[0, 0])))
    for expression in expressions:
        for part in sp.fraction(sp.together(expression)):
            if variable in part.free_symbols:
                yield part


def _product(nodes: Sequence[Node]) -> Node:
    return reduce(lambda a, b: a * b, nodes)


def _expanded(node: Node, points: Sequence[Assignment]) -> Expression:
    program = Program.of({"value": Matrix.column([node])})
    try:
        return tidied(program.expand("value", budget=2000)[0, 0], points)
    except ExpressionTooLarge:
        return sp.Symbol("unknown")


def _has_period(chart: Chart, period: Expression) -> bool:
    graph = Graph()
    (variable,) = chart.embedding.coordinates
    gaps = []
    for e in chart.embedding.expressions:
        gaps.append(from_sympy(e.xreplace({variable: variable + period}), graph) - from_sympy(e, graph))
    try:
        return vanish(gaps, chart.points)
    except (NotSmooth, ComplexValue):
        return False


def _found_period(chart: Chart) -> Expression | None:
    """The smallest period that the frequencies of sines and cosines in ψ allow."""
    (variable,) = chart.embedding.coordinates
    calls = {c for e in chart.embedding.expressions for c in e.atoms(sp.sin, sp.cos)}
    rates = {sp.diff(c.args[0], variable) for c in calls if variable in c.free_symbols}
    if not rates or not all(r.is_Rational and r != 0 for r in rates):
        return None
    period = 2 * sp.pi / reduce(sp.gcd, sorted(rates))
    if not _has_period(chart, period):
        return None
    for k in DIVISORS:
        while _has_period(chart, period / k):
            period = period / k
    return abs(period)
