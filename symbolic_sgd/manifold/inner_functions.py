"""Losses that depend on x through M functions only: L = h(g_1, …, g_M), and so ∇L = ∂gᵀ ∂h(g).

Where ∂h(g) = 0, ∇L = 0, everywhere; and H = ∂gᵀ ∂²h(g) ∂g there, so that ∂g has rank M, and ∂²h is not singular, wherever
rank H = M: near such a point Γ is {∂h(g) = 0}, and {g = v} for the value v that g has at the point.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.manifold.critical_equations import component_equations, independent
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.rational.recognition import rational

DEEPEST = 3
"""Levels of sums inside one another at which functions are looked for."""

LARGEST_DENOMINATOR = 10**9


@dataclass(frozen=True)
class InnerFunctions:
    """L = c h(g) and a constant, for a factor c without parameters.

    Args:
        functions: g_1 … g_M, independent as linear combinations of what they are sums of.
        letters: t_1 … t_M.
        slopes: ∂h(t).
        sums: every sum through which parameters go into the loss, as an affine function of t.
    """

    functions: tuple[Expression, ...]
    letters: tuple[sp.Symbol, ...]
    slopes: tuple[Expression, ...]
    sums: dict[Expression, Expression]

    def slopes_at(self, values: Sequence[Expression]) -> tuple[Expression, ...]:
        """∂h at values of g."""
        at = dict(zip(self.letters, values, strict=True))
        return tuple(slope.xreplace(at) for slope in self.slopes)


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
    """So many functions through which all the parameters go into the loss: sums inside it, at each of a few depths."""
    trained = set(problem.parameters)
    _, loss = problem.loss.as_independent(*trained, as_Add=False)
    terms = [term for term in sp.Add.make_args(loss) if term.free_symbols & trained]
    for depth in range(DEEPEST):
        found = _at_depth(terms, trained, depth, count)
        if found is not None:
            yield found


def _at_depth(terms: Sequence[Any], trained: set[sp.Symbol], depth: int, count: int) -> InnerFunctions | None:
    """Functions among the sums at this depth, if the terms of the loss that are not functions of them are terms of them."""
    sums = {term: _sums(term, trained, depth) for term in terms}
    parts = {part for inner in sums.values() for e in inner or () for part in _parts(e, trained)}
    linear = [term for term in terms if set(_parts(term, trained)) <= parts]
    others = [term for term in terms if term not in linear]
    functions = sorted({e for term in others for e in sums[term] or ()}, key=lambda e: (e.count_ops(), str(e)))
    if any(sums[term] is None for term in others) or len(functions) < count:
        return None
    rest = sp.Add(*linear)
    rows = [_parts(e, trained) for e in (*functions, rest)]
    used = sorted({part for row in rows for part in row}, key=str)
    if not all(c.is_Rational for row in rows for c in row.values()):
        return None
    combinations, chosen = sp.Matrix([[row.get(part, 0) for row in rows] for part in used]).rref()
    if len(chosen) != count or chosen[-1] == len(functions):
        return None
    letters = sp.symbols(f"t1:{count + 1}", real=True, cls=sp.Dummy)
    basis = [functions[k] for k in chosen]

    def in_letters(k: int, e: Any) -> Any:
        weights = [combinations[j, k] for j in range(count)]
        constant = _constant(e, trained) - sp.Add(
            *(w * _constant(g, trained) for w, g in zip(weights, basis, strict=True))
        )
        return sp.Add(constant, *(w * t for w, t in zip(weights, letters, strict=True)))

    replaced = {e: in_letters(k, e) for k, e in enumerate(functions)}
    outer = in_letters(len(functions), rest) + sp.Add(*(term.xreplace(replaced) for term in others))
    if outer.free_symbols & trained:
        return None
    return InnerFunctions(tuple(basis), letters, tuple(sp.diff(outer, t) for t in letters), replaced)


def _sums(e: Any, trained: set[sp.Symbol], depth: int) -> list[Any] | None:
    """The sums inside e, after so many others that contain them, through which all its parameters go; None if there are none.

    A sum of one term and constants counts as that term, if there are sums in it.
    """
    if not e.free_symbols & trained:
        return []
    proper = e.is_Add and len(_parts(e, trained)) > 1
    if proper and depth == 0:
        return [e]
    inner = [_sums(a, trained, depth - proper) for a in e.args] or [None]
    if None in inner:
        return [e] if e.is_Add else None
    return [found for part in inner if part is not None for found in part]


def _parts(e: Any, trained: set[sp.Symbol]) -> dict[Any, Any]:
    """{m: c} for e = Σ c m and a constant."""
    found: dict[Any, Any] = {}
    for term in sp.Add.make_args(e):
        if term.free_symbols & trained:
            c, m = term.as_independent(*trained, as_Add=False)
            found[m] = found.get(m, sp.S.Zero) + c
    return found


def _constant(e: Any, trained: set[sp.Symbol]) -> Any:
    return sp.Add(*(term for term in sp.Add.make_args(e) if not term.free_symbols & trained))


def _value(function: Any, landscape: Landscape, points: Sequence[PrecisePoint]) -> Expression | None:
    """The value at all points, if it is a rational or the logarithm of one."""
    for inverse, node in ((lambda q: q, function), (sp.log, sp.exp(function))):
        with mp.workdps(HIGH):
            found = {rational(p.high([from_sympy(node, landscape.graph)])[0], LARGEST_DENOMINATOR) for p in points}
        (first, *others) = found
        if first is not None and not others:
            return inverse(sp.Rational(first.numerator, first.denominator))
    return None
