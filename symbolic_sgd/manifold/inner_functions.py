"""Losses that depend on x through M functions only: L = h(g_1, …, g_M), and so ∇L = ∂gᵀ ∂h(g).

Where ∂h(g) = 0, ∇L = 0, everywhere; and H = ∂gᵀ ∂²h(g) ∂g there, so that ∂g has rank M, and ∂²h is not singular, wherever
rank H = M: near such a point Γ is {∂h(g) = 0}, and {g = v} for the value v that g has at the point.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import sympy as sp

from symbolic_sgd.algebra.convexity import is_convex
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import UnsupportedExpression
from symbolic_sgd.manifold.affine_span import AffineSpan, parts
from symbolic_sgd.manifold.critical_equations import component_equations, independent
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.manifold.shifts import rebuilt
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.rational.recognition import rational

DEEPEST = 3
"""Levels of sums inside one another at which functions are looked for."""

LARGEST_DENOMINATOR = 10**9


@dataclass(frozen=True)
class InnerFunctions:
    """L = h(g) and a constant.

    Args:
        functions: g_1 … g_M, independent as linear combinations of what they are sums of.
        letters: t_1 … t_M.
        outer: h(t).
        sums: every sum through which parameters go into the loss, as an affine function of t.
    """

    functions: tuple[Expression, ...]
    letters: tuple[sp.Symbol, ...]
    outer: Expression
    sums: dict[Expression, Expression]

    @cached_property
    def slopes(self) -> tuple[Expression, ...]:
        """∂h(t)."""
        return tuple(sp.diff(self.outer, t) for t in self.letters)

    def slopes_at(self, values: Sequence[Expression]) -> tuple[Expression, ...]:
        """∂h at values of g."""
        at = dict(zip(self.letters, values, strict=True))
        return tuple(slope.xreplace(at) for slope in self.slopes)

    @cached_property
    def bends(self) -> tuple[tuple[Expression, ...], ...]:
        """∂²h(t)."""
        return tuple(tuple(sp.diff(slope, t) for t in self.letters) for slope in self.slopes)

    def bends_at(self, values: Sequence[Expression]) -> list[list[Expression]]:
        """∂²h at values of g."""
        at = dict(zip(self.letters, values, strict=True))
        return [[bend.xreplace(at) for bend in row] for row in self.bends]

    @cached_property
    def has_one_zero(self) -> bool:
        """Whether ∂h is proved to have one zero, at which h is lowest."""
        one_each = all(_has_one_zero(slope, t) for slope, t in zip(self.slopes, self.letters, strict=True))
        return one_each or is_convex(self.outer, self.letters)


@dataclass(frozen=True)
class FunctionLevels:
    """Γ for L = h(g): the level set {g = v} for the one v with ∂h(v) = 0, if it is known, else {∂h(g) = 0}.

    Args:
        levels: g − v, or g.
        vanishing: M nodes that are zero on Γ.
        curvature: ∂²h(g), at v if it is known.
        values: (node, its value on Γ), for every sum in the loss, if v is known.
        lowest: whether ∂h is proved to have one zero, at which h is lowest, and with it L.
    """

    levels: tuple[Node, ...]
    vanishing: tuple[Node, ...]
    curvature: Matrix
    values: tuple[tuple[Node, Node], ...]
    lowest: bool


def levels_of_functions(
    problem: Problem, landscape: Landscape, points: Sequence[PrecisePoint], codimension: int
) -> FunctionLevels | None:
    """Γ by M functions through which all the parameters go into the loss, if their gradients are independent at the points.

    v is used where there is no other: where h is convex, because ∂²h(v) is regular, or a sum of functions of one g_i each whose
    slope has one zero.
    """
    graph = landscape.graph
    exact = lambda e: from_sympy(sp.sympify(e), graph)  # noqa: E731
    for inner in inner_functions(problem, codimension):
        level = _level(inner, landscape, points) if inner.has_one_zero else None
        at = inner.functions if level is None else level
        try:
            curvature = Matrix.of(map(exact, row) for row in inner.bends_at(at))
        except UnsupportedExpression:  # SymPy's second derivative of |t|^r holds δ(t)
            continue
        if level is not None:
            vanishing = _differences(inner, level, landscape)
            known = dict(zip(inner.letters, level, strict=True))
            values = tuple((exact(e), exact(affine.xreplace(known))) for e, affine in inner.sums.items())
            return FunctionLevels(vanishing, vanishing, curvature, values, inner.has_one_zero)
        slopes = inner.slopes_at(inner.functions)
        vanishing = component_equations([exact(slope) for slope in slopes], points)
        if independent(vanishing, landscape, points):
            return FunctionLevels(tuple(map(exact, inner.functions)), vanishing, curvature, (), inner.has_one_zero)
    return None


def _has_one_zero(slope: Any, letter: Any) -> bool:
    """Whether a rational function of e^t has exactly one zero (Sturm)."""
    power = sp.Symbol("E", positive=True)
    rational_form = sp.numer(sp.together(sp.expand(slope).subs(letter, sp.log(power))))
    if rational_form.free_symbols != {power} or not rational_form.is_polynomial(power):
        return False
    _, polynomial = sp.Poly(rational_form, power).terms_gcd()
    return polynomial.count_roots(0, None) == 1


def equations_by_functions(
    problem: Problem, landscape: Landscape, points: Sequence[PrecisePoint], codimension: int
) -> tuple[Node, ...]:
    """M equations whose zeros are zeros of ∇L, and which are Γ near the points; () where L was not seen to be such a loss."""
    graph = landscape.graph
    for inner in inner_functions(problem, codimension):
        level = _level(inner, landscape, points)
        if level is not None:
            return _differences(inner, level, landscape)
        slopes = inner.slopes_at(inner.functions)
        equations = component_equations([from_sympy(slope, graph) for slope in slopes], points)
        if independent(equations, landscape, points):
            return equations
    return ()


def sums_on_component(
    problem: Problem, landscape: Landscape, points: Sequence[PrecisePoint], codimension: int
) -> dict[Expression, Expression]:
    """Values that sums inside the loss have on the part of Γ through the points; {} where L was not seen to be such a loss."""
    for inner in inner_functions(problem, codimension):
        level = _level(inner, landscape, points)
        if level is not None:
            at = dict(zip(inner.letters, level, strict=True))
            return {e: affine.xreplace(at) for e, affine in inner.sums.items()}
    return {}


def _level(
    inner: InnerFunctions, landscape: Landscape, points: Sequence[PrecisePoint]
) -> tuple[Expression, ...] | None:
    """v, if Γ is {g = v} near the points, for numbers that are recognised and checked exactly."""
    values = tuple(_value(g, landscape, points) for g in inner.functions)
    if None in values or any(map(sp.expand, inner.slopes_at(values))):
        return None
    return values if independent(_differences(inner, values, landscape), landscape, points) else None


def _differences(inner: InnerFunctions, values: Sequence[Expression], landscape: Landscape) -> tuple[Node, ...]:
    return tuple(from_sympy(g - v, landscape.graph) for g, v in zip(inner.functions, values, strict=True))


def inner_functions(problem: Problem, count: int) -> Iterator[InnerFunctions]:
    """So many functions through which all the parameters go into the loss: the largest polynomials in it, or sums inside it at
    each of a few depths."""
    known = _KNOWN.setdefault(problem, {})
    for depth in (POLYNOMIALS, *range(DEEPEST)):
        if (count, depth) not in known:
            known[count, depth] = _on_road(problem, count, depth)
        found = known[count, depth]
        if found is not None:
            yield found


POLYNOMIALS = -1
"""In the place of a depth: the largest polynomials, wherever they are."""

_KNOWN: WeakKeyDictionary[Problem, dict[tuple[int, int], "InnerFunctions | None"]] = WeakKeyDictionary()
"""By how many functions and the depth, kept while their problem lives: Γ is described on more than one graph."""


def _on_road(problem: Problem, count: int, depth: int) -> InnerFunctions | None:
    trained = set(problem.parameters)
    factor, loss = problem.loss.as_independent(*trained, as_Add=False)
    if depth == POLYNOMIALS:
        return _by_polynomials(factor, loss, trained, count)
    terms = [term for term in sp.Add.make_args(loss) if term.free_symbols & trained]
    return _at_depth(factor, terms, trained, depth, count)


def _by_polynomials(factor: Any, loss: Any, trained: set[sp.Symbol], count: int) -> InnerFunctions | None:
    inner: list[Any] = []
    rebuilt(loss, trained, lambda e: inner.append(e) or e)
    span = AffineSpan.of(list(dict.fromkeys(inner)), trained)
    if span is None or len(span.basis) != count:
        return None
    outer = rebuilt(loss, trained, lambda e: span.images[e])
    return (
        None if outer.free_symbols & trained else InnerFunctions(span.basis, span.letters, factor * outer, span.images)
    )


def _at_depth(
    factor: Any, terms: Sequence[Any], trained: set[sp.Symbol], depth: int, count: int
) -> InnerFunctions | None:
    """Functions among the sums at this depth, if the terms of the loss that are not functions of them are terms of them."""
    sums = {term: _sums(term, trained, depth) for term in terms}
    known = {part for inner in sums.values() for e in inner or () for part in parts(e, trained)}
    linear = [term for term in terms if set(parts(term, trained)) <= known]
    others = [term for term in terms if term not in linear]
    functions = sorted({e for term in others for e in sums[term] or ()}, key=lambda e: (operations(e), str(e)))
    if any(sums[term] is None for term in others) or len(functions) < count:
        return None
    rest = sp.Add(*linear)
    span = AffineSpan.of([*functions, rest], trained)
    if span is None or len(span.basis) != count or {rest, -rest} & set(span.basis):
        return None
    sums_only = {e: span.images[e] for e in functions}
    outer = span.images[rest] + sp.Add(*(term.xreplace(sums_only) for term in others))
    if outer.free_symbols & trained:
        return None
    return InnerFunctions(span.basis, span.letters, factor * outer, sums_only)


def _sums(e: Any, trained: set[sp.Symbol], depth: int) -> list[Any] | None:
    """The sums inside e, after so many others that contain them, through which all its parameters go; None if there are none.

    A sum of one term and constants counts as that term, if there are sums in it. A polynomial without sums counts as one where it
    is the argument of a function.
    """
    if not e.free_symbols & trained:
        return []
    proper = e.is_Add and len(parts(e, trained)) > 1
    if proper and depth == 0:
        return [e]
    inner = [_sums(a, trained, depth - proper) for a in e.args] or [None]
    if None in inner and e.is_Function and e.args[0].is_polynomial(*trained):
        return [e.args[0]]
    if None in inner:
        return [e] if e.is_Add else None
    return [found for part in inner if part is not None for found in part]


def _value(function: Any, landscape: Landscape, points: Sequence[PrecisePoint]) -> Expression | None:
    """The value at all points, if it is a rational or the logarithm of one."""
    for inverse, node in ((lambda q: q, function), (sp.log, sp.exp(function))):
        with mp.workdps(HIGH):
            found = {rational(p.high([from_sympy(node, landscape.graph)])[0], LARGEST_DENOMINATOR) for p in points}
        (first, *others) = found
        if first is not None and not others:
            return inverse(sp.Rational(first.numerator, first.denominator))
    return None
