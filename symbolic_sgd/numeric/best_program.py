"""Which program of a term the callables run.

The derivation's own program is general, and long where the loss is composed of few functions; the formula for such losses is short
(theorem/composed.py), and so may be what is printed (theorem/canonical.py). All are the same function on Γ. What float64 makes of each is
measured at points of Γ that are known to 120 digits, near and far, and the shortest whose error there is not worse than that of the
derivation's own is run.

Only arithmetic is compared so: exponentials grow out of sight of any points that are looked at, and programs that hold them are run as
they were derived, in the forms that keep their digits far out (algebra/stable_forms.py).
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import nodes_of
from symbolic_sgd.errors import ComplexValue, ExpressionTooLarge, NotSmooth, SymbolicSGDError
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.manifold.search import FloatLandscape
from symbolic_sgd.manifold.walk import steps_along
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.theorem.canonical import AGREED, composed_programs, written
from symbolic_sgd.theorem.derivation import Derivation

SHORT = 40
"""Operations of a program beside which no shorter one is sought."""

WRITTEN = 2_000
"""Operations of a program up to which the form that is printed is tried, too: making it takes a second at most."""

LONG = 50_000
"""Operations of a program that is run as it is: to compare it with others would take seconds."""

STEPS, EACH = 8, 4
"""Steps of a walk along Γ from each of the first points of the derivation, and of how many the end is looked at."""

WALKS = 2
"""Points of the derivation from which walks begin."""

ARITHMETIC = frozenset({"constant", "symbol", "add", "sub", "mul", "div", "neg"})
"""Operations of programs that are compared."""

SEED = 7
"""The choice is the same in every run."""

ULPS = 8 * np.finfo(float).eps
"""An error, beside the largest entry, that is as good as none."""


@dataclass(frozen=True)
class Chosen:
    """The program of a term that is run.

    Args:
        program: of the term alone.
        road: in words, which form it is.
        error: of float64 beside the largest entry of the term, the largest at the points looked at.
        own: operations and error of the derivation's own program.
        points: how many points of Γ were looked at.
    """

    program: Program
    road: str
    error: float
    own: tuple[int, float]
    points: int

    def __str__(self) -> str:
        """A sentence."""
        operations, error = self.own
        if self.program.operations == operations:
            return f"{self.name} runs as the derivation's program, {operations} operations"
        return (
            f"{self.name} runs as {self.road}, {self.program.operations} operations with an error of {self.error:.1e} at {self.points} "
            f"points of Γ looked at; the derivation's program has {operations}, and {error:.1e}"
        )

    @property
    def name(self) -> str:
        """Of the term."""
        (name,) = self.program.names
        return name


_CHOSEN: WeakKeyDictionary[Derivation, dict[str, Chosen]] = WeakKeyDictionary()
_POINTS: WeakKeyDictionary[Derivation, list[dict[sp.Symbol, Any]]] = WeakKeyDictionary()


def best_program(derivation: Derivation, name: str) -> Chosen:
    """The program of a term that the callables run."""
    known = _CHOSEN.setdefault(derivation, {})
    if name not in known:
        known[name] = _chosen(derivation, name)
    return known[name]


def chosen_so_far(derivation: Derivation) -> tuple[Chosen, ...]:
    """Those that were asked for."""
    return tuple(_CHOSEN.get(derivation, {}).values())


def _chosen(derivation: Derivation, name: str) -> Chosen:
    own = derivation.program.select(name)
    plain = Chosen(own, "the derivation's program", 0.0, (own.operations, 0.0), 0)
    if not SHORT < own.operations <= LONG:
        return plain
    if not _is_arithmetic(own):
        return plain
    others = [(road, p.select(name)) for road, p in composed_programs(derivation, name)]
    if own.operations <= WRITTEN:
        with suppress(ExpressionTooLarge):
            form = written(derivation, name)
            others.append((form.road, Program.of({name: nodes_of(form.matrix, Graph())})))
    shorter = sorted((other for other in others if other[1].operations < own.operations), key=lambda o: o[1].operations)
    if not shorter:
        return plain
    points = _points(derivation)
    truth = _values(own, name, points)
    error = _error(derivation, own, name, points, truth)
    for road, program in shorter:
        if not _is_arithmetic(program) or not _agree(_values(program, name, points), truth):
            continue
        theirs = _error(derivation, program, name, points, truth)
        if theirs <= max(error, ULPS):
            return Chosen(program, road, theirs, (own.operations, error), len(points))
    return plain


def _is_arithmetic(program: Program) -> bool:
    return all(i.op in ARITHMETIC for i in program.instructions)


def _points(derivation: Derivation) -> list[PrecisePoint]:
    """Those of the derivation, and some that walks along Γ lead to."""
    if derivation not in _POINTS:
        landscape, rng = derivation.problem.landscape(), np.random.default_rng(SEED)
        floats = FloatLandscape(landscape, derivation.problem)
        found = [dict(point) for point in derivation.points]
        for point in derivation.points[-WALKS:]:
            with suppress(SymbolicSGDError):
                found.extend(_walked(derivation, landscape, floats, PrecisePoint(point), rng))
        _POINTS[derivation] = found
    return [PrecisePoint(point) for point in _POINTS[derivation]]


def _walked(
    derivation: Derivation, landscape: Landscape, floats: FloatLandscape, start: PrecisePoint, rng: np.random.Generator
) -> Iterator[dict[sp.Symbol, Any]]:
    """Some points of a walk away from a point, as far as the optimizer is stable."""
    here = start
    for step in range(1, STEPS + 1):
        ways = steps_along(landscape, floats, derivation.problem, here, derivation.codimension, rng)
        there = next(ways, None)
        if there is None or not _is_stable(derivation, there):
            return
        here = PrecisePoint(there.assignment)
        if step % EACH == 0:
            yield dict(here.assignment)


def _is_stable(derivation: Derivation, point: PrecisePoint) -> bool:
    if derivation.stable is None:
        return True
    symbols = derivation.problem.symbols
    with np.errstate(all="ignore"):
        return bool((evaluate(derivation.stable, symbols, point.floats(symbols)[None, :])["positive"] > 0).all())


def _values(program: Program, name: str, points: Sequence[PrecisePoint]) -> list[list[PreciseNumber] | None]:
    """A term at each point, to many digits; None where it is no real number."""
    nodes = program.on(Graph())[name].entries
    found: list[list[PreciseNumber] | None] = []
    for point in points:
        with mp.workdps(HIGH):
            try:
                found.append(PrecisePoint(point.assignment).high(nodes))
            except (NotSmooth, ComplexValue):
                found.append(None)
    return found


def _agree(ours: Sequence[list[PreciseNumber] | None], theirs: Sequence[list[PreciseNumber] | None]) -> bool:
    """Whether values are the same to 40 digits of the largest entry."""
    with mp.workdps(HIGH):
        for a, b in zip(ours, theirs, strict=True):
            if a is None or b is None:
                return False
            size = max(map(abs, b), default=mp.mpf(0)) * mp.mpf(10) ** -AGREED
            if any(abs(x - y) > size for x, y in zip(a, b, strict=True)):
                return False
    return True


def _error(
    derivation: Derivation,
    program: Program,
    name: str,
    points: Sequence[PrecisePoint],
    truth: Sequence[list[PreciseNumber] | None],
) -> float:
    """The largest error of float64 beside the largest entry; points are rounded, as a user's are."""
    symbols, worst = derivation.problem.symbols, 0.0
    rows = np.array([point.floats(symbols) for point in points])
    with np.errstate(all="ignore"):
        seen = evaluate(program, symbols, rows)[name].reshape(len(rows), -1)
    for value, exact in zip(seen, truth, strict=True):
        true = np.zeros(0) if exact is None else np.array([float(a) for a in exact])
        size = float(np.abs(true).max(initial=0.0))
        if size > 0:
            error = float(np.abs(value - true).max()) / size
            worst = max(worst, error if np.isfinite(error) else np.inf)
    return worst
