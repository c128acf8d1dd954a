"""What the user asks for: a chart by coordinates or by a parametrisation, checked at the door."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.charts.chart import Chart, coefficients
from symbolic_sgd.charts.embedding import Embedding, draws, reached, tested, unchecked
from symbolic_sgd.charts.graph_chart import graph_chart
from symbolic_sgd.charts.interval import with_range
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol, ExpressionTooLarge
from symbolic_sgd.problems.problem import real_number
from symbolic_sgd.problems.symbols import check_atoms, check_expression, check_no_twins, check_symbols
from symbolic_sgd.theorem.derivation import Derivation


def find_chart(
    derivation: Derivation, coordinates: Any, embedding: Any, near: Any, interval: Any, period: Any
) -> Chart:
    """The SDE in a graph chart, or in the user's parametrisation; see `LimitingSDE.in_chart`."""
    n = derivation.problem.dimension - derivation.codimension
    if derivation.in_matrices is not None and coordinates is None and embedding is None:
        raise ExpressionTooLarge(
            f"a chart of Γ is written out entry by entry, and this problem is computed by matrices (D = {derivation.problem.dimension}, "
            f"M = {derivation.codimension}): state coordinates= or embedding= to have one tried all the same"
        )
    if embedding is None:
        chosen = None if coordinates is None else _parameters(derivation, coordinates, n)
        bounds = _interval(derivation, chosen or (), interval, n)
        start = _near(derivation.problem.parameters, derivation, near)
        found = graph_chart(derivation, chosen, start)
    else:
        expressions = _expressions(derivation, embedding)
        chosen = _free(derivation, expressions, coordinates, n)
        bounds = _interval(derivation, chosen, interval, n)
        stated = unchecked(derivation, chosen, expressions)
        start = _near(chosen, derivation, near)
        if start is None and bounds is None and derivation.problem.near is not None:
            start = _start(stated)
        limits = None if bounds is None else _numbers(derivation, bounds)
        found = replace(stated, points=tested(stated, draws(stated, start or {}, limits)))
        found = replace(found, words=f"Γ is parametrised by {', '.join(map(str, chosen))}, as stated and checked")
    here = None if start is None else mp.mpf(start[found.coordinates[0]])
    return with_range(Chart(found, coefficients(found)), bounds, _period(derivation, period, n, bounds), here)


def _parameters(derivation: Derivation, coordinates: Any, n: int) -> tuple[sp.Symbol, ...]:
    chosen = check_symbols(coordinates, where="coordinates")
    unknown = [t for t in chosen if t not in derivation.problem.parameters]
    if unknown:
        raise BadSymbol(
            f"coordinates: {unknown[0]} is no parameter of this problem; name {n} of "
            f"{', '.join(map(str, derivation.problem.parameters))}, or state a parametrisation with embedding="
        )
    return _counted(chosen, n)


def _counted(chosen: tuple[sp.Symbol, ...], n: int) -> tuple[sp.Symbol, ...]:
    if len(chosen) != n:
        raise BadInput(f"Γ has dimension {n}, but coordinates names {len(chosen)} of them: name {n}")
    return chosen


def _expressions(derivation: Derivation, embedding: Any) -> tuple[Expression, ...]:
    parameters = derivation.problem.parameters
    if isinstance(embedding, Mapping):
        missing = [x for x in parameters if x not in embedding]
        unknown = [x for x in embedding if x not in parameters]
        if missing or unknown:
            named = (
                f"has no entry for {missing[0]}" if missing else f"has an entry for {unknown[0]}, which is no parameter"
            )
            raise BadInput(f"embedding= {named}: give one expression for each of {', '.join(map(str, parameters))}")
        entries: Sequence[Any] = [embedding[x] for x in parameters]
    elif isinstance(embedding, sp.MatrixBase):
        if embedding.shape != (len(parameters), 1):
            raise BadShape(
                f"embedding= has shape {embedding.shape}; it has to be {len(parameters)}×1, one entry a parameter"
            )
        entries = embedding.flat()
    else:
        raise BadInput(
            f"embedding= is a {type(embedding).__name__}; give a dict {{parameter: expression in θ}} or a SymPy Matrix of one column"
        )
    free: set[Any] = set().union(*(e.free_symbols for e in entries if isinstance(e, sp.Expr)))
    symbols = sorted(free - set(derivation.problem.symbols), key=lambda s: s.name)
    check_no_twins([*check_symbols(symbols, where="embedding="), *derivation.problem.symbols])
    names = [*symbols, *derivation.problem.symbols]
    checked = []
    for x, entry in zip(parameters, entries, strict=True):
        checked.append(check_expression(entry, names, where=f"embedding[{x}]"))
        if x in free and entry != x:
            raise BadSymbol(
                f"embedding= uses the parameter {x} as a coordinate, but sets it to {entry}: use a new symbol"
            )
    return tuple(checked)


def _free(derivation: Derivation, expressions: Sequence[Expression], coordinates: Any, n: int) -> tuple[sp.Symbol, ...]:
    """θ: as named, or the one free symbol that is no constant."""
    used: set[sp.Symbol] = set().union(*(e.free_symbols for e in expressions)) - set(derivation.problem.constants)
    if coordinates is None:
        if len(used) != 1 or n != 1:
            named = ", ".join(sorted(map(str, used))) or "none"
            raise BadInput(
                f"Γ has dimension {n}, and embedding= is written in the symbols {named}: name the {n} coordinates in their order "
                "with coordinates= (and everything else among the problem's constants)"
            )
        return tuple(used)
    chosen = _counted(check_symbols(coordinates, where="coordinates"), n)
    check_no_twins([*chosen, *derivation.problem.symbols])
    unknown = sorted(used - set(chosen), key=str)
    if unknown:
        raise BadSymbol(
            f"embedding= depends on {unknown[0]}, which is neither in coordinates nor a constant of the problem"
        )
    constant = [t for t in chosen if t in derivation.problem.constants]
    if constant:
        raise BadSymbol(f"coordinates: {constant[0]} is a constant of the problem")
    return chosen


def _near(symbols: Iterable[sp.Symbol], derivation: Derivation, near: Any) -> dict[sp.Symbol, float] | None:
    if near is None:
        return None
    if not isinstance(near, Mapping):
        raise BadInput(f"near is a {type(near).__name__}; give a dict from symbols to numbers")
    missing = [s for s in symbols if s not in near]
    if missing:
        raise BadInput(f"near has no value for {', '.join(map(str, missing))}")
    unknown = [s for s in near if s not in (*symbols, *derivation.problem.symbols)]
    if unknown:
        raise BadSymbol(f"near: {unknown[0]} is neither a coordinate nor a symbol of the problem")
    return {s: real_number(value, where=f"near[{s}]") for s, value in near.items()}


def _start(stated: Embedding) -> dict[sp.Symbol, float]:
    """θ at the point of Γ beside the problem's near=."""
    found = reached(stated)
    if found is None:
        names = ", ".join(f"{t}: …" for t in stated.coordinates)
        raise BadInput(
            "embedding= was not seen to reach the point of Γ beside the problem's near=: it covers another part of Γ. Correct "
            f"it, or say with in_chart(…, near={{{names}}}) or interval= which part is meant"
        )
    return found


def _interval(
    derivation: Derivation, chosen: Sequence[sp.Symbol], interval: Any, n: int
) -> tuple[Expression, Expression] | None:
    if interval is None:
        return None
    if n != 1:
        raise BadInput(f"interval= belongs to one-dimensional charts; Γ has dimension {n}")
    if not isinstance(interval, (tuple, list)) or len(interval) != 2:
        raise BadInput(f"interval is {interval!r}; give the pair (low, high), with sympy.oo for infinity")
    low, high = (_exact(derivation, end, "interval") for end in interval)
    numbers = _numbers(derivation, (low, high))
    if not numbers[0] < numbers[1]:
        raise BadInput(f"interval is ({low}, {high}): its first end has to be below the second")
    return low, high


def _exact(derivation: Derivation, value: Any, where: str) -> Expression:
    if value in (sp.oo, -sp.oo, float("inf"), -float("inf")):
        return sp.oo if value > 0 else -sp.oo
    return check_expression(value, derivation.problem.constants, where=where)


def _numbers(derivation: Derivation, ends: tuple[Expression, Expression]) -> tuple[float, float]:
    known = {s: sp.Float(str(derivation.points[0][s]), 20) for s in derivation.problem.constants}
    low, high = (float(sp.N(end.xreplace(known))) for end in ends)
    return low, high


def _period(derivation: Derivation, period: Any, n: int, bounds: Any) -> Expression | None:
    if period is None:
        return None
    if n != 1:
        raise BadInput(f"period= belongs to one-dimensional charts; Γ has dimension {n}")
    if bounds is not None:
        raise BadInput("a chart has an interval= or a period=, not both")
    expression = _exact(derivation, period, "period")
    if not expression.is_positive:
        raise BadInput(f"period is {period}; it has to be positive")
    return expression


def chart_expression(chart: Chart, expression: Any, *, where: str) -> Expression:
    """An expression in the chart's coordinates or the ambient parameters, as a function of θ.

    Raises:
        BadInput: and its subclasses, as for everything that is stated.
    """
    derivation = chart.embedding.derivation
    symbols = list(dict.fromkeys([*chart.embedding.coordinates, *derivation.problem.symbols]))
    given: Expression = sp.sympify(expression) if isinstance(expression, int) else expression
    if not isinstance(given, sp.Expr):
        raise BadInput(f"{where} is a {type(expression).__name__}; give a SymPy expression")
    moving = {*chart.embedding.coordinates, *derivation.problem.parameters}
    # The constants of densities are integrals, over infinite intervals, too.
    numbers = {e: sp.Dummy("c", real=True) for e in given.atoms(sp.Integral) if not e.free_symbols & moving}
    named = given.xreplace(numbers)
    check_atoms(named, [*symbols, *numbers.values()], where=where)
    place = dict(zip(derivation.problem.parameters, chart.embedding.expressions, strict=True))
    bound = {s for e in named.atoms(ExprWithLimits) for s in e.bound_symbols}
    composed = (named.as_dummy() if bound & set(symbols) else named).xreplace(place)
    return composed.xreplace({stand_in: e for e, stand_in in numbers.items()})
