"""Zeros of b in a chart: in closed form where b = 0 is solved, by Newton's method in a stated parametrisation."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd import charts
from symbolic_sgd.algebra.arithmetic import FLOAT64, RELATIONS
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import determinant, mp, solved
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.charts.chart import Assignment, Chart, derivative
from symbolic_sgd.charts.interval import values_at, zeros_in
from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.rational.elimination import eliminations
from symbolic_sgd.rational.positive_functions import number_or_infinity
from symbolic_sgd.rational.real_zeros import between, sign

SEED = 5003

STARTS = 40
"""Starts of Newton's method in θ."""

STEPS, LENGTH = 400, 0.1
"""Euler steps towards where Newton's method begins, and their length in time (and at most, relative to 1 + |θ|)."""

SOLUTIONS = 32
"""Exact solutions that are looked at."""

HYPERBOLIC = 1e-20
"""An eigenvalue whose real part is smaller than this beside the largest entry decides nothing."""

IN_FLOAT64 = 1e-10
"""The same where float64 has found it."""

ROUNDED = 1e-70
"""Entries of ∂b smaller than this beside the largest are rounding."""


@dataclass(frozen=True)
class FixedPoint:
    """A zero of b.

    Args:
        coordinates: θ*, as expressions; numbers to 30 digits where `exact` is False.
        ambient: ψ(θ*).
        eigenvalues: of ∂b(θ*), as expressions for one coordinate, else as numbers.
        stability: "stable" (all real parts negative), "unstable" (one is positive), or "undecided".
        exact: whether θ* is known in closed form.
        over: what the coordinates are values of: the chart's θ, or, for a point that this chart does not hold, the
            parameters that are coordinates there.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> point = sde.in_chart().fixed_points[0]
    >>> point.coordinates, point.stability
    ((1,), 'stable')
    """

    coordinates: tuple[Expression, ...]
    ambient: tuple[Expression, ...]
    eigenvalues: tuple[Any, ...]
    stability: str
    exact: bool
    over: tuple[sp.Symbol, ...] = ()

    @property
    def place(self) -> str:
        """x = ψ(θ*), to six digits where it is not known exactly."""
        return f"x = ({', '.join(str(c if self.exact else c.evalf(6)) for c in self.ambient)})"

    def __str__(self) -> str:
        return f"{self.place}, {self.stability}"

    def __repr__(self) -> str:
        return f"FixedPoint({self})"

    def _repr_html_(self) -> str:
        return charts.fixed_point_tables.point_html(self)


# --- exactly --------------------------------------------------------------------------------


def exact_zeros(chart: Chart) -> tuple[list[FixedPoint], bool]:
    """Zeros of b in closed form, whether or not they are in the chart's interval, and whether these are all."""
    drift = chart.written("drift").flat()
    coordinates = chart.embedding.coordinates
    if len(coordinates) == 1:
        zeros = zeros_in(chart, drift[0], chart.bounds if chart.stated else None, chart.period)
        if zeros is not None:
            looked_at = [examined(chart, (z,)) for z in zeros]
            complete = all(_settled(chart, z, point) for z, point in zip(zeros, looked_at, strict=True))
            return [point for point in looked_at if point is not None], complete
    numerators = [sp.numer(sp.together(b)) for b in drift]
    found = []
    for solution in islice(eliminations(numerators, coordinates), SOLUTIONS):
        values = tuple(solution[t] for t in coordinates)
        if not any(set(coordinates) & v.free_symbols for v in values):
            point = examined(chart, values)
            if point is not None and point.coordinates not in [p.coordinates for p in found]:
                found.append(point)
    return found, False


def on_this_side(chart: Chart, values: Sequence[Expression]) -> bool | None:
    """Whether θ is in the chart's interval; None where the constants decide it."""
    sides = {_in_range(chart, values, known) for known in chart.points}
    return sides.pop() if len(sides) == 1 else None


def _in_range(chart: Chart, values: Sequence[Expression], known: Assignment) -> bool:
    if chart.bounds is None:
        return True
    numbers = [e.xreplace(values_at(known)) for e in (*values, *chart.bounds)]
    return bool(between(numbers[:-2], *numbers[-2:]))


def _settled(chart: Chart, zero: Expression, point: FixedPoint | None) -> bool:
    """Whether, for all values of the constants, a zero of b is a fixed point, or is none because ψ or the domain ends."""
    problem = chart.embedding.derivation.problem
    at_zero = {chart.embedding.coordinates[0]: zero}
    place = {x: e.xreplace(at_zero) for x, e in zip(problem.parameters, chart.embedding.expressions, strict=True)}
    signs = [(sign((c.lhs - c.rhs).xreplace(place)), c.rel_op) for c in problem.conditions]
    if point is not None:
        return all(known is not None for known, _ in signs)
    if any(known is not None and not RELATIONS[relation](known, 0) for known, relation in signs):
        return True
    deciding = zero.free_symbols.union(*(c.free_symbols for c in problem.domain))
    return not set(problem.constants) & deciding and not _within(chart, zero)


def _within(chart: Chart, zero: Expression) -> bool:
    """Whether ψ is real and smooth at a zero of b, and the domain's conditions hold, at any of the points."""
    assigned = (_assigned(chart, (zero,), known) for known in chart.points)
    return any(point is not None and chart.embedding.requirements.admissible(point) for point in assigned)


def examined(chart: Chart, values: tuple[Expression, ...]) -> FixedPoint | None:
    """The point, if ψ(θ*) is a regular point of Γ and b vanishes there, at every value of the constants looked at."""
    slopes = []
    for known in chart.points:
        point = _assigned(chart, values, known)
        try:
            if point is None or not _passes(chart, point):
                return None
            slopes.append(_slope(chart, point))
        except (SymbolicSGDError, ZeroDivisionError, OverflowError):
            return None
    place = dict(zip(chart.embedding.coordinates, values, strict=True))
    ambient = tuple(_with_one_exponential(e.xreplace(place)) for e in chart.embedding.expressions)
    constants = bool(chart.embedding.derivation.problem.constants)
    if len(values) == 1 and constants:
        eigenvalue = _symbolic_slope(chart, place)
        return FixedPoint(values, ambient, (eigenvalue,), _sign(eigenvalue), True, chart.embedding.coordinates)
    eigenvalues, verdict = spectrum(slopes[0])
    stability = "undecided" if constants else verdict
    return FixedPoint(values, ambient, eigenvalues, stability, True, chart.embedding.coordinates)


def _with_one_exponential(expression: Expression) -> Expression:
    """Products of exponentials as one of them, with its exponent multiplied out."""
    if not expression.has(sp.exp):
        return expression
    return sp.powsimp(expression, combine="exp").replace(
        lambda e: isinstance(e, sp.exp), lambda e: sp.exp(sp.expand(e.args[0]))
    )


def _assigned(chart: Chart, values: Sequence[Expression], known: Any) -> PrecisePoint | None:
    constants = {s: sp.Float(mp.nstr(known[s], 130), 125) for s in chart.embedding.derivation.problem.constants}
    assignment = {}
    for symbol, value in zip(chart.embedding.coordinates, values, strict=True):
        number = sp.N(value.xreplace(constants), 125)
        if not number.is_real:
            return None
        with mp.workdps(125):
            assignment[symbol] = mp.mpf(str(number))
    return PrecisePoint({**assignment, **{s: known[s] for s in constants}})


def _passes(chart: Chart, point: PrecisePoint) -> bool:
    requirements = chart.embedding.requirements
    if not requirements.admissible(point):
        return False
    requirements.check(point)
    graph = Graph()
    drift = chart.program.select("drift").on(graph)["drift"]
    return all(PrecisePoint(point.assignment).zeros(drift.entries))


def _slope(chart: Chart, point: PrecisePoint) -> Any:
    """∂b at a point, n×n."""
    graph = Graph()
    drift = chart.program.select("drift").on(graph)["drift"]
    slopes = Matrix.of(jacobian(drift.entries, [graph.symbol(t) for t in chart.embedding.coordinates]))
    return PrecisePoint(point.assignment).matrix(slopes)


def _symbolic_slope(chart: Chart, place: dict[sp.Symbol, Expression]) -> Expression:
    (variable,) = chart.embedding.coordinates
    slope = derivative(chart.written("drift")[0, 0], variable).xreplace(place)
    return sp.factor(sp.cancel(slope)) if operations(slope) < 100 else slope


def _sign(value: Expression) -> str:
    return "stable" if value.is_negative else "unstable" if value.is_positive else "undecided"


def _singular(slope: Any) -> bool:
    with mp.workdps(HIGH):
        return bool(abs(determinant(slope)) <= HYPERBOLIC * max(map(abs, slope)) ** slope.rows)


def spectrum(slope: Any) -> tuple[tuple[Any, ...], str]:
    """The eigenvalues of ∂b, and the stability that they decide."""
    with mp.workdps(HIGH):
        size = max(map(abs, slope))
        values, accuracy = eigenvalues_with_accuracy(slope.apply(lambda a: a if abs(a) > ROUNDED * size else mp.mpf(0)))
        small = accuracy * size
        parts = [mp.re(v) for v in values]
        verdict = "undecided"
        if any(p > small for p in parts):
            verdict = "unstable"
        elif all(p < -small for p in parts):
            verdict = "stable"
    return tuple(sp.sympify(mp.mpmathify(v)).n(15) for v in values), verdict


def eigenvalues_with_accuracy(matrix: Any) -> tuple[Sequence[Any], float]:
    """With their accuracy, beside the largest entry."""
    if matrix.rows == 1:
        return [matrix[0, 0]], HYPERBOLIC
    try:
        return mp.eig(matrix, left=False, right=False), HYPERBOLIC
    except RuntimeError:  # mpmath's QR iteration does not converge for every matrix; LAPACK's shifts are less simple
        return np.linalg.eigvals(np.array(matrix.tolist(), float)).tolist(), IN_FLOAT64


def thirty_digits(values: Iterable[Any]) -> tuple[Expression, ...]:
    return tuple(sp.Float(mp.nstr(mp.chop(a, mp.mpf(10) ** (20 - HIGH)), 40), 30) for a in values)


# --- numerically, in a stated parametrisation ------------------------------------------------


def numerical_zeros(chart: Chart, known: Sequence[FixedPoint]) -> Iterator[FixedPoint]:
    """Zeros that Newton's method finds where the flow of b, or of −b, has come to rest, where there are no constants."""
    if chart.embedding.derivation.problem.constants:
        return
    seen = [[float(c) for c in p.coordinates] for p in known]
    period = None if chart.period is None else number_or_infinity(chart.period, HIGH)
    for start in _starts(chart):
        found = _newton(chart, [mp.mpf(float(a)) for a in start])
        if found is None:
            continue
        if period is not None:
            with mp.workdps(HIGH):
                # Rounding must not put what is found at 0 to the end of the period.
                found = [a - period * mp.floor(a / period + HYPERBOLIC) for a in found]
        place = [float(a) for a in found]
        if any(_same(place, other, period) for other in seen):
            continue
        seen.append(place)
        point = PrecisePoint(dict(zip(chart.embedding.coordinates, found, strict=True)))
        if _in_range(chart, [sp.Float(place[0])], {}) and chart.embedding.requirements.admissible(point):
            slope = _slope(chart, point)
            eigenvalues, stability = spectrum(slope)
            if not _singular(slope):  # else it may be one of a continuum of fixed points
                ambient = thirty_digits(chart.embedding.ambient(point.assignment))
                over = chart.embedding.coordinates
                yield FixedPoint(thirty_digits(found), ambient, eigenvalues, stability, exact=False, over=over)


def _same(place: Sequence[float], other: Sequence[float], period: Any) -> bool:
    turns = [0.0] if period is None else [0.0, float(period), -float(period)]
    return any(np.allclose(np.add(place, turn), other, rtol=1e-9, atol=1e-9) for turn in turns)


def _starts(chart: Chart) -> np.ndarray:
    """Where θ̇ = b and θ̇ = −b lead from beside the points of the chart (and where they began), one a row."""
    rng = np.random.default_rng(SEED)
    symbols = chart.embedding.symbols
    known = np.array([[float(p[s]) for s in symbols] for p in chart.points])
    begin = known[np.arange(STARTS) % len(known)] * (1 + rng.normal(size=(STARTS, len(symbols))) / 2)
    program, ends = chart.program.select("drift"), [begin]
    with np.errstate(all="ignore"):
        for sign in (1, -1):
            current = begin
            for _ in range(STEPS):
                values = program.run(FLOAT64, dict(zip(symbols, current.T, strict=True)))["drift"]
                speed = np.stack([np.broadcast_to(v, STARTS) for v in values], axis=1)
                longest = LENGTH * (1 + np.abs(current))
                current = current + np.clip(sign * LENGTH * speed, -longest, longest)
            ends.append(current)
    together = np.concatenate(ends[::-1])
    rounded = np.round(together[np.isfinite(together).all(axis=1)], 3)
    return np.unique(rounded, axis=0)


def _newton(chart: Chart, start: list[Any]) -> list[Any] | None:
    """A zero of b to 100 digits, or None."""
    graph = Graph()
    drift = chart.program.select("drift").on(graph)["drift"]
    slopes = Matrix.of(jacobian(drift.entries, [graph.symbol(t) for t in chart.embedding.coordinates]))
    current = mp.matrix(start)
    with mp.workdps(HIGH + 10):
        for _ in range(40):
            point = PrecisePoint(dict(zip(chart.embedding.coordinates, current, strict=True)))
            try:
                value = mp.matrix(point.high(drift.entries))
                width = len(start)
                flat = point.high(slopes.entries)
                slope = mp.matrix([flat[i * width : (i + 1) * width] for i in range(width)])
                step = solved(slope, value)
            except (SymbolicSGDError, ZeroDivisionError, OverflowError):
                return None
            current = current - step
            size = 1 + max(map(abs, current))
            if not mp.isfinite(size) or size > 1e6:
                return None
            if max(map(abs, step)) < size * mp.mpf(10) ** (5 - HIGH):
                return [mp.chop(a, mp.mpf(10) ** (20 - HIGH)) for a in current]
    return None
