"""The range of a single coordinate: the open interval between the singularities beside a point, or a period."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.graph import Graph, Node, kinks
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.charts.chart import Assignment, Chart, tidied, vanish
from symbolic_sgd.charts.volume import volume_factors
from symbolic_sgd.errors import BadInput, ComplexValue, ExpressionTooLarge, NotSmooth, SymbolicSGDError
from symbolic_sgd.manifold.precise import POINT, PrecisePoint
from symbolic_sgd.rational.positive_functions import number_or_infinity
from symbolic_sgd.rational.real_zeros import between, neighbours, real_zeros, sign

Range = tuple[Expression, Expression]

SAMPLES = 64
"""Places along a stated interval or closed curve at which ψ is tested where its singularities are not known exactly."""

UNKNOWN = sp.Dummy("unknown")
"""Stands for an expression that is too large, whose zeros nobody knows."""

DIVISORS = (2, 3, 5, 7)
"""A period divided by these is tried, too."""


def with_range(
    chart: Chart, interval: Range | None, period: Expression | None, here: PreciseNumber | None = None
) -> Chart:
    """The chart with its interval or period: the one given, checked, or the one found.

    Args:
        chart: with one coordinate (others are returned as they are).
        interval: as the user states it.
        period: as the user states it.
        here: a value of θ in the interval meant; None for the first one at which ψ was tested.

    Raises:
        BadInput: ψ does not have the period given, or is singular inside the interval given.
    """
    if chart.dimension != 1:
        return chart
    if interval is not None:
        return replace(chart, bounds=interval, stated=True, sampled=_check_stated(chart, interval, None))
    if period is not None:
        if not _has_period(chart, period):
            name = chart.embedding.coordinates[0]
            raise BadInput(f"embedding= does not have the period {period}: ψ({name} + {period}) ≠ ψ({name})")
        return replace(chart, period=period, sampled=_check_stated(chart, None, period))
    period = _found_period(chart)
    barriers, complete = _barriers(chart, None, period)
    if not complete:
        return chart
    if period is not None and not barriers:
        return replace(chart, period=period)
    # A periodic ψ with barriers goes back and forth, or leaves its domain: one piece of it is a chart.
    return replace(chart, bounds=_beside(chart, barriers, period, here))


def _check_stated(chart: Chart, interval: Range | None, period: Expression | None) -> bool:
    """No singularity is known in the range that the user states; whether they were looked for on a grid only.

    Raises:
        BadInput: there is one.
    """
    (variable,) = chart.embedding.coordinates
    barriers, complete = _barriers(chart, interval, period)
    what, advice = ("interval=", "give one side") if period is None else ("period=", "it closes no curve on Γ")
    if barriers:
        raise BadInput(
            f"{what} reaches across {variable} = {barriers[0]}, where the chart, its SDE or the theorem is singular: {advice}"
        )
    if complete:
        return False
    requirements = chart.embedding.requirements
    for point in _grid(chart, interval, period):
        if not requirements.admissible(point):
            where = point.describe(chart.embedding.symbols)
            raise BadInput(
                f"{what} reaches across {where}, where embedding= is singular or leaves the domain: {advice}"
            )
        requirements.check(point)
    return True


def _grid(chart: Chart, interval: Range | None, period: Expression | None) -> Iterator[PrecisePoint]:
    """Places along a stated range, at the constants of the first point."""
    (variable,) = chart.embedding.coordinates
    first = chart.points[0]
    with mp.workdps(POINT):
        ends: Any = interval or (sp.S.Zero, period)
        low, high = (number_or_infinity(e.xreplace(values_at(first)), POINT) for e in ends)
        for k in range(1, SAMPLES):
            yield PrecisePoint({**first, variable: _part(low, high, mp.mpf(k) / SAMPLES)})


def _part(low: Any, high: Any, part: Any) -> Any:
    """An increasing map of (0, 1) on (low, high)."""
    if mp.isinf(low):
        return mp.log(part / (1 - part)) if mp.isinf(high) else high + 1 - 1 / part
    return low + part / (1 - part) if mp.isinf(high) else low + (high - low) * part


def zeros_in(
    chart: Chart, expression: Expression, bounds: Range | None, period: Expression | None
) -> list[Expression] | None:
    """All zeros in an interval, over a period, or on the line (both None); None where they are not known exactly."""
    (variable,) = chart.embedding.coordinates
    zeros = real_zeros(expression, variable)
    if zeros and expression.has(sp.sin, sp.cos):
        zeros = _repeated(expression, variable, zeros, bounds if period is None else (sp.S.Zero, period))
    if zeros is None:
        return None
    if period is None:
        return zeros if bounds is None else between(zeros, *bounds)
    inside = between(zeros, sp.S.Zero, period)
    return None if inside is None else [z for z in zeros if z in inside or sign(z) == 0]


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
    return {s: sp.Float(mp.nstr(a, 60), 50) for s, a in point.items()}


def _beside(
    chart: Chart, barriers: Sequence[Expression], period: Expression | None, here: PreciseNumber | None
) -> Range | None:
    """The barriers next to a value of θ, if ψ was tested between them, else next to the first value at which it was; None
    where constants decide which these are."""
    (variable,) = chart.embedding.coordinates
    first = values_at(chart.points[0])
    if here is not None:
        found = _around(sp.Float(mp.nstr(here, 60), 50), barriers, period, first)
        for point in map(values_at, chart.points):
            if found is not None and between([point[variable]], *(e.xreplace(point) for e in found)):
                return found
    return _around(first[variable], barriers, period, first)


def _around(
    place: Expression, barriers: Sequence[Expression], period: Expression | None, values: dict[sp.Symbol, Expression]
) -> Range | None:
    if period is not None:
        turn = sp.floor(sp.N(place / period))
        barriers = [z + period * (turn + k) for z in barriers for k in (-1, 0, 1)]
    return neighbours(place, barriers, values)


def _barriers(chart: Chart, bounds: Range | None, period: Expression | None) -> tuple[list[Expression], bool]:
    """Real θ where ψ, b or a is singular, ψ' = 0, a condition of the domain ends, or rank ∇²L drops; and whether these
    are all."""
    found: list[Expression] = []
    complete = True
    for obstacles in (_ambient_obstacles, _own_obstacles):
        try:
            for obstacle in obstacles(chart):
                zeros = zeros_in(chart, obstacle, bounds, period)
                complete = complete and zeros is not None
                found.extend(zeros or ())
        except (SymbolicSGDError, ZeroDivisionError):
            complete = False
    return list(dict.fromkeys(found)), complete


def _ambient_obstacles(chart: Chart) -> Iterator[Expression]:
    """Expressions in θ that vanish where ψ is not smooth, the domain ends, or the rank of ∇²L drops."""
    graph = Graph()
    composed = chart.embedding.compose(chart.embedding.derivation.guard.select("conditions"), graph)
    nodes = [zero for _, zero in kinks(chart.embedding.on(graph).values())]
    nodes.extend(composed["conditions"].entries)
    yield from _moving_parts(chart, [_expanded(node, chart.points) for node in nodes])
    volume = [_product(factors) for factors in volume_factors(chart.embedding, graph) if factors]
    yield from _moving_parts(chart, [_expanded(node, chart.points) for node in volume])


def _own_obstacles(chart: Chart) -> Iterator[Expression]:
    """Expressions in θ that vanish where ψ' does, or where a coefficient of the SDE is singular."""
    graph = Graph()
    (variable,) = chart.embedding.coordinates
    slopes = [_expanded(node, chart.points) for node in chart.embedding.jacobian(graph).entries]
    if chart.embedding.selected is None and not any(real_zeros(slope, variable) == [] for slope in slopes):
        yield from _moving_parts(chart, [chart.written("metric")[0, 0]])
    yield from _moving_parts(
        chart, [1 / sp.denom(sp.together(chart.written(name)[0, 0])) for name in ("drift", "covariance")]
    )


def _moving_parts(chart: Chart, expressions: Sequence[Expression]) -> Iterator[Expression]:
    """Numerators and denominators that θ moves."""
    for expression in expressions:
        for part in sp.fraction(sp.together(expression)):
            if part == UNKNOWN or chart.embedding.coordinates[0] in part.free_symbols:
                yield part


def _product(nodes: Sequence[Node]) -> Node:
    return reduce(lambda a, b: a * b, nodes)


def _expanded(node: Node, points: Sequence[Assignment]) -> Expression:
    program = Program.of({"value": Matrix.column([node])})
    try:
        return tidied(program.expand("value", budget=2000)[0, 0], points)
    except ExpressionTooLarge:
        return UNKNOWN


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
