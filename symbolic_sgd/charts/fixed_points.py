"""Deterministic limits θ̇ = b(θ): their fixed points, exactly where the equations are solved, their stability, and what is
known of those that a chart does not hold."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, islice
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd import charts
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.charts.chart import Chart, coefficients, vanish
from symbolic_sgd.charts.embedding import preimage
from symbolic_sgd.charts.graph_chart import graph_chart, holds
from symbolic_sgd.charts.interval import values_at, with_range
from symbolic_sgd.charts.rest_points import CLOSE, Rest, RestSearch, rest_points
from symbolic_sgd.charts.zeros_in_chart import (
    FixedPoint,
    exact_zeros,
    examined,
    numerical_zeros,
    on_this_side,
    spectrum,
    thirty_digits,
)
from symbolic_sgd.effort import FIXED_POINTS, Effort
from symbolic_sgd.errors import BudgetSpent, NotDeterministic, SymbolicSGDError, Undecided
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.rational.recognition import rational
from symbolic_sgd.theorem.sums_as_letters import in_sums

OTHER_CHARTS = 3
"""Other charts in which fixed points that this one does not hold are solved for."""

CHOICES, LOOKED_AT, LEAST = 3, 1000, 0.05
"""Choices of coordinates that are tried for each of them, choices that are ranked, and the least |det T_J| beside the largest."""

LARGEST_NUMERATOR = 300
"""Operations of a numerator of b up to which a factor common to all is sought."""

LARGEST_DENOMINATOR, SIMPLE = 10**9, 32
"""Coordinates are recognised as fractions with denominators up to the first from 100 digits, and tried up to the second where
few digits are known."""

DUST = 1e-7
"""Coordinates below this, relative to 1 + |x|, are written as 0."""

SAME = 1e-9
"""Points closer than this, relative to 1 + |x|, are one."""


@dataclass(frozen=True)
class FixedPoints:
    """The fixed points that were found in the chart, in a tuple's manner, and what is known beyond them.

    Args:
        points: isolated ones in the chart, sorted by their coordinates where these are numbers.
        complete: whether it was proved that there are no others in the chart.
        reason: in words, why these are all, or what was looked at, and where others may lie.
        elsewhere: isolated ones on Γ that the chart does not hold: beyond the ends of its interval, or where its ψ is singular
            or not defined.
        continua: zeros of b where ∂b has a kernel, so that they may be no isolated ones; one of each spectrum.
        other_charts: calls of `in_chart` for charts that hold points elsewhere.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> found = sde.in_chart().fixed_points
    >>> [point.coordinates for point in found], found.complete
    ([(1,)], True)
    """

    points: tuple[FixedPoint, ...]
    complete: bool
    reason: str = ""
    elsewhere: tuple[FixedPoint, ...] = ()
    continua: tuple[FixedPoint, ...] = ()
    other_charts: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[FixedPoint]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, i: int) -> FixedPoint:
        return self.points[i]

    def __str__(self) -> str:
        lines = [str(p) for p in self.points] or ["no isolated fixed point in this chart"]
        seen = [f"Those elsewhere are seen in {' or '.join(self.other_charts)}."] if self.other_charts else []
        return "\n".join([*lines, *(f"elsewhere on Γ: {p}" for p in self.elsewhere), f"{self.reason}.", *seen])

    def __repr__(self) -> str:
        known = "complete" if self.complete else "there may be others"
        return f"FixedPoints({len(self)} in the chart, {known}; {len(self.elsewhere)} elsewhere)"

    def _repr_html_(self) -> str:
        return charts.fixed_point_tables.points_html(self)


@dataclass(frozen=True)
class _Found:
    """Fixed points on their way: those of the chart, those it does not hold, and those with a kernel."""

    inside: tuple[FixedPoint, ...]
    outside: tuple[FixedPoint, ...]
    continua: tuple[FixedPoint, ...]
    charts: tuple[str, ...]

    def knows(self, point: FixedPoint, chart: Chart) -> bool:
        """Whether this point of Γ is among them."""
        return any(_alike(point, other, chart) for other in (*self.inside, *self.outside))


def find_fixed_points(chart: Chart, effort: Effort | None = None) -> FixedPoints:
    """The zeros of b where the limit has no noise: exactly where b = 0 is solved, and by Newton's method along Γ.

    Raises:
        NotDeterministic: it has noise.
        Undecided: every θ is a fixed point, so that their stability says nothing.
    """
    effort = effort or Effort(FIXED_POINTS)
    _check_moving(chart)
    effort.progress("solving b = 0 in the chart")
    solved, complete = exact_zeros(chart)
    sides = [on_this_side(chart, p.coordinates) for p in solved]
    complete = complete and None not in sides
    inside = [p for p, side in zip(solved, sides, strict=True) if side]
    # Points on Γ are put into a stated ψ numerically; a graph chart reads their exact coordinates off, so that these come first.
    graph = chart.embedding.selected is not None
    if not complete and not graph:
        inside.extend(numerical_zeros(chart, inside))
    found = _Found(tuple(inside), (), (), ())
    for point, side in zip(solved, sides, strict=True):
        if side is False and not chart.stated and not found.knows(point, chart):
            found = replace(found, outside=(*found.outside, point))
    search, suspects = RestSearch(()), list[np.ndarray]()
    try:
        effort.begin("looking for fixed points on Γ by Newton's method")
        search = rest_points(chart.embedding.derivation, effort)
        found = _with_rests(chart, found, search, effort)
        found, suspects = _with_suspects(chart, found, search)
        complete = complete and len(found.inside) == len(inside)
        effort.begin("looking for fixed points in the chart by Newton's method")
        for point in numerical_zeros(chart, found.inside) if graph and not complete else ():
            if not found.knows(point, chart):
                found = replace(found, inside=(*found.inside, point))
    except BudgetSpent as stopped:
        search = replace(search, words=f"it was stopped: {stopped}")
    return FixedPoints(
        _sorted(chart, found.inside),
        complete,
        _reason(chart, found, complete, search, suspects),
        _sorted(chart, found.outside),
        found.continua,
        found.charts,
    )


def _check_moving(chart: Chart) -> None:
    graph = Graph()
    if not vanish(chart.program.select("diffusion").on(graph)["diffusion"].entries, chart.points):
        raise NotDeterministic(
            "the limit is not deterministic: the noise has a part along Γ (tangent_noise is not zero), so that there are no "
            "fixed points; ask for stationary_density"
        )
    if vanish(chart.program.select("drift").on(graph)["drift"].entries, chart.points):
        raise Undecided(
            "the drift vanishes in the whole chart: every point is fixed, and nothing moves on this time scale"
        )


def _sorted(chart: Chart, points: Iterable[FixedPoint]) -> tuple[FixedPoint, ...]:
    known = values_at(chart.points[0])
    return tuple(sorted(points, key=lambda p: tuple(float(sp.N(c.xreplace(known))) for c in p.coordinates)))


# --- on Γ -----------------------------------------------------------------------------------


def _with_rests(chart: Chart, found: _Found, search: RestSearch, effort: Effort) -> _Found:
    """The zeros of b that were found on Γ, each put into the chart, or solved for in one that holds it."""
    for rest in search.rests:
        theta = _coordinates(chart, rest)
        point = _recognised(chart, rest, theta)
        if rest.kernel and chart.dimension > 1:
            found = replace(found, continua=(*found.continua, point))
        elif found.knows(point, chart):
            continue
        elif theta is not None and on_this_side(chart, point.coordinates):
            found = replace(found, inside=(*found.inside, point))
        elif chart.stated:
            continue
        elif theta is not None and chart.embedding.selected is not None:
            found = replace(found, outside=(*found.outside, point))
        else:
            found = _in_another_chart(chart, found, rest, point, effort)
    return found


def _with_suspects(chart: Chart, found: _Found, search: RestSearch) -> tuple[_Found, list[np.ndarray]]:
    """Places where b came to rest without a zero that Newton's method confirms, but for those beside known ones: simple
    fractions beside their coordinates are tried exactly, and the others are left."""
    selected, left = chart.embedding.selected, []
    for place in search.suspects:
        if selected is not None:
            simple = [Fraction(place[i]).limit_denominator(SIMPLE) for i in selected]
            point = examined(chart, tuple(sp.Rational(a.numerator, a.denominator) for a in simple))
            if point is not None and on_this_side(chart, point.coordinates) and not found.knows(point, chart):
                found = replace(found, inside=(*found.inside, point))
        known = [
            np.array([float(sp.N(c)) for c in p.ambient]) for p in (*found.inside, *found.outside, *found.continua)
        ]
        if all(np.abs(place - x).max() > CLOSE * (1 + np.abs(place).max()) for x in known):
            left.append(place)
    return found, left


def _recognised(chart: Chart, rest: Rest, theta: Sequence[Any] | None) -> FixedPoint:
    """In closed form where the chart's coordinates of a zero are rational, or square roots of rationals, and these pass."""
    numeric = _numeric(chart, rest, theta)
    if theta is None or rest.kernel:
        return numeric
    with mp.workdps(HIGH):
        values = [_closed_form(a) for a in theta]
    known = [value for value in values if value is not None]
    point = examined(chart, tuple(known)) if len(known) == len(values) else None
    return numeric if point is None else point


def _closed_form(value: Any) -> Expression | None:
    for power in (1, 2):
        fraction = rational(value**power, LARGEST_DENOMINATOR)
        if fraction is not None:
            root = sp.root(sp.Rational(fraction.numerator, fraction.denominator), power)
            return -root if power == 2 and value < 0 else root
    return None


def _coordinates(chart: Chart, rest: Rest) -> tuple[Any, ...] | None:
    """θ with ψ(θ) = x* where the chart is regular; None where there is none, or none was found."""
    embedding = chart.embedding
    if embedding.selected is not None:
        theta = {t: rest.point.assignment[t] for t in embedding.coordinates}
        held = holds(embedding, rest.point.assignment)
    else:
        place = preimage(embedding, [rest.point.assignment[x] for x in embedding.derivation.problem.parameters])
        theta, held = place or {}, place is not None
    try:
        if not held or not embedding.requirements.admissible(PrecisePoint(theta)):
            return None
        embedding.requirements.check(PrecisePoint(theta))
    except (SymbolicSGDError, ZeroDivisionError, OverflowError):
        return None
    return tuple(theta[t] for t in embedding.coordinates)


def _numeric(chart: Chart, rest: Rest, theta: Sequence[Any] | None) -> FixedPoint:
    """With the chart's coordinates, or its own where the chart has none for it."""
    parameters = chart.embedding.derivation.problem.parameters
    ambient = thirty_digits([rest.point.assignment[x] for x in parameters])
    eigenvalues, stability = spectrum(rest.slope)
    if theta is None:
        return FixedPoint(ambient, ambient, eigenvalues, stability, False, parameters)
    return FixedPoint(thirty_digits(theta), ambient, eigenvalues, stability, False, chart.embedding.coordinates)


def _alike(point: FixedPoint, other: FixedPoint, chart: Chart) -> bool:
    known = values_at(chart.points[0])
    here, there = (np.array([float(sp.N(c.xreplace(known))) for c in p.ambient]) for p in (point, other))
    return bool(np.abs(here - there).max() <= SAME * (1 + np.abs(here).max()))


def _in_another_chart(chart: Chart, found: _Found, rest: Rest, point: FixedPoint, effort: Effort) -> _Found:
    """The point, as a graph over other parameters knows it, together with whatever else is solved for there."""
    another = _chart_at(chart, rest, effort) if len(found.charts) < OTHER_CHARTS else None
    if another is None:
        return replace(found, outside=(*found.outside, point))
    effort.begin(f"solving b = 0 over {', '.join(map(str, another.embedding.coordinates))}")
    call = _call(another, rest)
    found = replace(found, charts=(*found.charts, call))
    for solved in [*exact_zeros(another)[0], _recognised(another, rest, _coordinates(another, rest))]:
        if not found.knows(solved, chart):
            found = replace(found, outside=(*found.outside, solved))
    return found


def _chart_at(chart: Chart, rest: Rest, effort: Effort) -> Chart | None:
    """A graph chart that holds a point of Γ, over parameters along which its tangent space lies."""
    derivation = chart.embedding.derivation
    parameters = derivation.problem.parameters
    near = {x: float(rest.point.assignment[x]) for x in parameters}
    sizes = {
        chosen: abs(np.linalg.det(rest.tangent[list(chosen)]))
        for chosen in islice(combinations(range(len(parameters)), chart.dimension), LOOKED_AT)
    }
    largest = max(sizes.values())
    ranked = sorted((c for c, size in sizes.items() if size >= LEAST * largest), key=lambda c: -round(sizes[c], 6))
    for chosen in ranked[:CHOICES]:
        effort.check()
        try:
            embedding = graph_chart(derivation, [parameters[i] for i in chosen], near)
            another = with_range(
                Chart(embedding, coefficients(embedding)), None, None, rest.point.assignment[parameters[chosen[0]]]
            )
        except (SymbolicSGDError, ZeroDivisionError):
            continue
        theta = _coordinates(another, rest)
        if theta is not None and on_this_side(another, thirty_digits(theta)):
            return another
    return None


def _call(another: Chart, rest: Rest) -> str:
    """How a user comes to a chart that holds the point."""
    names = ", ".join(map(str, another.embedding.coordinates))
    place = thirty_digits([rest.point.assignment[x] for x in another.embedding.derivation.problem.parameters])
    near = ", ".join(
        f"{x}: {float(a):.5g}" for x, a in zip(another.embedding.derivation.problem.parameters, place, strict=True)
    )
    return f"in_chart(({names}{',' if another.dimension == 1 else ''}), near={{{near}}})"


# --- in words -------------------------------------------------------------------------------


def _reason(chart: Chart, found: _Found, complete: bool, search: RestSearch, suspects: Sequence[np.ndarray]) -> str:
    sentences = [_how_sought(chart, found, complete, search)]
    if found.continua:
        sentences.append(_why_not_isolated(chart, found, search))
    if suspects and not complete:
        places = " and ".join(f"({', '.join(f'{a:.4g}' for a in without_dust(x))})" for x in suspects)
        sentences.append(
            f"b becomes ever smaller towards x ≈ {places}: whether it has a degenerate zero there was not decided"
        )
    if found.outside:
        count = len(found.outside)
        sentences.append(
            f"Γ has {count} fixed point{'s' * (count > 1)} that this chart does not hold, beyond where it ends"
        )
    return "; ".join(sentences)


def without_dust(place: np.ndarray) -> np.ndarray:
    """A place for reading: what is tiny beside the rest is 0."""
    return np.where(np.abs(place) > DUST * (1 + np.abs(place).max()), place, 0.0)


def _why_not_isolated(chart: Chart, found: _Found, search: RestSearch) -> str:
    kernels = sorted({rest.kernel for rest in search.rests if rest.kernel})
    dimensions = " or ".join(map(str, kernels))
    zero = found.continua[0]
    place = f"b vanishes at {zero.place} ({zero.stability}), and ∂b has a kernel of dimension {dimensions} there (to 50 digits)"
    common = next((f for f in (_common_factor(chart, rest) for rest in search.rests) if f is not None), None)
    if common is not None:
        return f"{place}: every entry of b has the factor {common}, and where it is 0 all points of the chart are fixed"
    if all(rest.continues for rest in search.rests if rest.kernel):
        return (
            f"{place}: other zeros were found on both sides along every axis of the kernel, as on a "
            f"{'curve' if kernels == [1] else 'continuum'} of fixed points, none of which is isolated"
        )
    return f"{place}: whether that point is isolated was not decided"


def _common_factor(chart: Chart, rest: Rest) -> Expression | None:
    """A factor of the numerators of b that is zero at a point and has a slope there, so that its zeros are a hypersurface."""
    theta = _coordinates(chart, rest) if rest.kernel and chart.dimension > 1 else None
    if theta is None:
        return None
    try:
        numerators = [sp.numer(sp.together(b)) for b in chart.written("drift").flat()]
    except SymbolicSGDError:
        return None
    coordinates = chart.embedding.coordinates
    if not all(n.is_polynomial(*coordinates) and operations(n) < LARGEST_NUMERATOR for n in numerators):
        return None
    point = PrecisePoint(dict(zip(coordinates, theta, strict=True)))
    graph = Graph()
    for factor, _ in sp.factor_list(sp.gcd_list(numerators), *coordinates)[1]:
        node = from_sympy(factor, graph)
        slope = gradient(node, [graph.symbol(t) for t in coordinates])
        if point.zeros([node])[0] and not all(point.zeros(slope)):
            return in_sums([factor], chart.sums)[0]
    return None


def _how_sought(chart: Chart, found: _Found, complete: bool, search: RestSearch) -> str:
    where = "in this chart"
    if chart.bounds is not None:
        where = f"for {chart.embedding.coordinates[0]} in ({chart.bounds[0]}, {chart.bounds[1]})"
    if complete:
        return f"b = 0 was solved exactly {where}: " + ("these are all" if found.inside else "b has no zero there")
    if search.words:
        return f"b = 0 was not solved completely {where}; it was not searched numerically, or not to the end: {search.words}"
    none = "" if found.inside or found.outside or found.continua else ", and found none"
    faded = f" (from {search.gone} of them b faded away towards infinity)" if search.gone else ""
    return (
        f"b = 0 was not solved completely {where}: Newton's method along Γ looked for zeros from {search.starts} points of "
        f"it{none}{faded}, and may have missed some"
    )
