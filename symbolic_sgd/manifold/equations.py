"""Equations of Γ that the loss itself contains: their gradients make frames without poles, and they vanish on Γ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Node, reachable, replace_nodes, symbols_of
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.algebra.varieties import every_component_is_met, zero_on
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.manifold.critical_equations import CriticalEquations, critical_equations, stationary_equations
from symbolic_sgd.manifold.inner_functions import FunctionLevels, equations_by_functions, levels_of_functions
from symbolic_sgd.manifold.level_curvature import constant_curvature, curvature_of_square
from symbolic_sgd.manifold.precise import HIGH, HessianRank, PrecisePoint
from symbolic_sgd.manifold.squares import root_of_monomial
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.rational.ideals import are_in_ideal
from symbolic_sgd.rational.recognition import rational

INDEPENDENT = (0.03, 1e-4)
"""Smallest singular values of unit gradients that are accepted, tried in turn."""

INDEPENDENT_FAR = 1e-10
"""The same at points far from the origin, where gradients grow at different rates."""

LARGEST_DENOMINATOR = 10**9
"""A constant value on Γ is recognised as a rational up to this denominator."""

CANDIDATES = 60
"""How many inner expressions of the loss are looked at, the smallest first."""

LARGEST_SPANNED = 300
"""Operations of residuals that are divided by M of them."""


@dataclass(frozen=True)
class Equations:
    """What is known to be constant on Γ.

    Args:
        vanishing: nodes that are zero on Γ.
        levels: M nodes that are constant on every part of Γ, with independent gradients at every point found (these are normal
            to Γ); empty where there are not enough.
        curvature: K, M×M, with H = F K Fᵀ on Γ for F = (∇g_1 … ∇g_M) and exactly the M levels g, so that F has rank M wherever
            rank H = M: diagonal where L = Σ h_i(g_i), ∂²h(g) where L = h(g_1, …, g_M), numbers where these are proved to do; else None.
        rigid: whether K is constant along Γ even where it is written with parameters; else it is diagonal.
        squares: whether L = ½ Σ k_i g_i² and a constant, everywhere.
        independent: whether the gradients of the levels are proved to be independent wherever rank H = M.
        everywhere: whether `vanishing`, `curvature` and `values` are proved on all of Γ, or Γ is by definition where they hold.
        steady: whether the levels are proved to be constant on every part of Γ.
        defining: M equations that hold on all of Γ, perhaps not only there.
        shown: M equations whose common zeros near the points found are Γ; farther from them they may have other zeros.
        printed: equations with the same zeros near the points, and nowhere any at which ∇L is not zero: M where such were
            found (then they are `shown`), else all the residuals, or ∇L.
        values: (node, its value on Γ), for nodes that are not zero there.
    """

    vanishing: tuple[Node, ...]
    levels: tuple[Node, ...]
    curvature: Matrix | None
    rigid: bool
    squares: bool
    independent: bool
    everywhere: bool
    steady: bool
    defining: tuple[Node, ...]
    shown: tuple[Node, ...]
    printed: tuple[Node, ...]
    values: tuple[tuple[Node, Node], ...] = ()


@dataclass(frozen=True)
class Component:
    """The part of Γ that the formulas are for.

    Args:
        point: a point of it, symbol → number.
        equations: what is zero on it, where that is known.
        words: what is known of it.
    """

    point: Mapping[sp.Symbol, float]
    equations: tuple[Expression, ...]
    words: str

    def __str__(self) -> str:
        return self.words


def component_of(point: PrecisePoint, problem: Problem, equations: Equations) -> Component:
    """The part of Γ through a point on which the equations hold."""
    written = Program.of({"levels": Matrix.column(equations.levels)}).expand("levels").flat()
    zero = set(equations.levels) <= set(equations.vanishing)
    held = " = ".join([*map(str, written), "0"]) if zero else f"{', '.join(map(str, written))} are what they are there"
    return Component(
        {s: float(a) for s, a in point.assignment.items()},
        tuple(written) if zero else (),
        f"the part of Γ through {point.describe(problem.symbols)} on which {held} (other minimizers were not excluded, and the "
        "formulas are not for them)",
    )


def find_equations(
    problem: Problem, landscape: Landscape, points: Sequence[PrecisePoint], rank: HessianRank
) -> Equations:
    """Equations of Γ: by M squares that vanish, by M functions that the loss is composed of, else by what is stationary.

    Args:
        problem: what was stated, in a cell where it is smooth.
        landscape: the loss on its graph.
        points: points of Γ.
        rank: M, and rows of ∇²L that are independent at the first point.
    """
    squares = squared_terms(problem, landscape)
    if len(squares) == rank.rank and all(_vanishes(s, points) for s in squares):
        return _of_levels(squares, squares=True)
    functions = levels_of_functions(problem, landscape, points, rank.rank)
    if functions is not None and functions.lowest:
        return _of_functions(functions, everywhere=True)
    composed = _composed_terms(problem, landscape, points)
    if len(composed) == rank.rank:
        return _of_levels(composed, squares=False)
    critical = critical_equations(landscape, points, rank)
    if functions is not None and not critical.divides:
        return _of_functions(functions, everywhere=all(zero_on(critical.defining, functions.vanishing)))
    return _by_stationarity(problem, landscape, points, rank, squares, critical)


def _of_levels(curvatures: Mapping[Node, Node], *, squares: bool) -> Equations:
    """M levels in which H is diagonal, by their curvatures; a sum of squares is as low as it can be where all vanish, and only there."""
    levels = tuple(curvatures)
    return Equations(
        vanishing=levels,
        levels=levels,
        curvature=Matrix.diagonal(levels[0].graph, tuple(curvatures.values())),
        rigid=False,
        squares=squares,
        independent=True,
        everywhere=squares,
        steady=squares,
        defining=levels,
        shown=levels,
        printed=levels,
    )


def _of_functions(found: FunctionLevels, *, everywhere: bool) -> Equations:
    """Of L = h(g_1, …, g_M): the zeros of ∂h(g), each part of them a level set of g."""
    return Equations(
        vanishing=found.vanishing,
        levels=found.levels,
        curvature=found.curvature,
        rigid=True,
        squares=False,
        independent=True,
        everywhere=everywhere,
        steady=True,
        defining=found.vanishing,
        shown=found.vanishing,
        printed=found.vanishing,
        values=found.values,
    )


def _by_stationarity(
    problem: Problem,
    landscape: Landscape,
    points: Sequence[PrecisePoint],
    rank: HessianRank,
    squares: Mapping[Node, Node],
    critical: CriticalEquations,
) -> Equations:
    """By what is stated, by inner expressions that are proved to be constant where ∇L = 0, and by ∇L itself."""
    stated = [from_sympy(e, landscape.graph) for e in problem.manifold]
    # At one common zero of all the squared terms their sum is as low as it can be: Γ is where they all vanish.
    interpolated = [s for s in squares if _vanishes(s, points)]
    all_vanish = len(interpolated) == len(squares)
    shared = interpolated if all_vanish else _proved(interpolated, critical.defining)
    known = tuple(dict.fromkeys([*stated, *shared]))
    if critical.divides:
        return _of_divisor(problem, landscape, points, critical, known)
    levels = _chosen_levels([*known, *_inner_expressions(landscape)], landscape, points, rank.rank)
    fixed = {level: _known_value(level, points[0], critical.defining) for level in levels if level not in known}
    by_levels = bool(levels) and set(levels) <= set(known)
    residuals = tuple(squares) if all_vanish else ()
    # Beside Γ they may vanish where their gradients depend on one another: {uv = uw = 0} is an axis and a plane.
    met = not by_levels or every_component_is_met(levels) or (bool(residuals) and _span(levels, residuals))
    are_all = (
        by_levels and met and (set(levels) <= set(stated) or (bool(residuals) and all(zero_on(levels, residuals))))
    )
    shown = printed = levels if are_all else equations_by_functions(problem, landscape, points, rank.rank)
    if not printed:
        shown = levels if by_levels else critical.shown
        printed = residuals or stationary_equations(landscape, points)
    steady = None not in fixed.values()
    written = tuple(fixed.get(level) or level for level in levels)
    curvature = constant_curvature(landscape, written, points) if levels and steady else None
    return Equations(
        vanishing=tuple(dict.fromkeys([*known, *(node for node in fixed.values() if node is not None)])),
        levels=written,
        curvature=curvature,
        rigid=curvature is not None,
        squares=False,
        independent=curvature is not None and met,
        everywhere=met,
        steady=steady,
        defining=levels if by_levels else critical.defining,
        shown=shown,
        printed=printed,
    )


def _of_divisor(
    problem: Problem,
    landscape: Landscape,
    points: Sequence[PrecisePoint],
    critical: CriticalEquations,
    known: tuple[Node, ...],
) -> Equations:
    """∇L = g w, so that ∇²L = ∇g wᵀ where g = 0: its rank is 1 only where ∇g is not zero."""
    levels = critical.kept
    complete = critical.complete or (bool(known) and all(zero_on(known, levels)))
    constant = constant_curvature(landscape, levels, points) if complete else None
    curvature = curvature_of_square(problem, levels[0]) if complete and constant is None else constant
    return Equations(
        vanishing=tuple(dict.fromkeys([*known, *levels])) if complete else known,
        levels=levels,
        curvature=curvature,
        rigid=constant is not None,
        squares=False,
        independent=True,
        everywhere=True,
        steady=complete,
        defining=levels if complete else critical.defining,
        shown=critical.shown,
        printed=critical.shown,
    )


def _proved(candidates: Sequence[Node], defining: Sequence[Node]) -> list[Node]:
    return [node for node, zero in zip(candidates, zero_on(defining, candidates), strict=True) if zero]


def _span(levels: Sequence[Node], residuals: Sequence[Node]) -> bool:
    """Whether the residuals vanish, and their gradients are combinations of ∇g_j, wherever all levels g_j vanish."""
    columns = {"levels": Matrix.column(levels), "residuals": Matrix.column(residuals)}
    try:
        given, asked = (Program.of(columns).expand(name, budget=LARGEST_SPANNED).flat() for name in columns)
    except ExpressionTooLarge:
        return False
    return are_in_ideal(asked, given)


def _known_value(level: Node, point: PrecisePoint, defining: Sequence[Node]) -> Node | None:
    """level − c for the rational c that is proved to be its value on Γ."""
    with mp.workdps(HIGH):
        value = rational(point.high([level])[0], LARGEST_DENOMINATOR)
    difference = None if value is None else level - value
    return difference if difference is not None and zero_on(defining, [difference])[0] else None


def _chosen_levels(
    candidates: Sequence[Node], landscape: Landscape, points: Sequence[PrecisePoint], codimension: int
) -> tuple[Node, ...]:
    levels: tuple[Node, ...] = ()
    for independent in INDEPENDENT:
        levels = levels or _independent_levels(candidates, landscape, points, codimension, independent)
    return levels


def squared_terms(problem: Problem, landscape: Landscape) -> dict[Node, Node]:
    """{g_i: k_i} when the loss is written as ½ Σ k_i g_i² (and a constant), whatever the k_i depend on; else {}."""
    graph = landscape.graph
    squares: dict[Node, Node] = {}
    if problem.residuals:
        for residual in problem.residuals:
            node = from_sympy(residual, graph)
            squares[node] = squares.get(node, graph.constant(0)) + Fraction(1, len(problem.residuals))
        return squares
    trained = set(problem.parameters)
    for term in sp.Add.make_args(problem.loss):
        weight, rest = term.as_independent(*trained, as_Add=False)
        if rest == 1:
            continue
        base = root_of_monomial(rest)
        if base is None:
            factors = sp.Mul.make_args(rest)
            square = [f for f in factors if f.is_Pow and f.args[1] == 2]
            if len(square) != 1:
                return {}
            base, weight = square[0].as_base_exp()[0], weight * sp.Mul(*(f for f in factors if f not in square))
        node = from_sympy(base, graph)
        squares[node] = squares.get(node, graph.constant(0)) + 2 * from_sympy(weight, graph)
    return squares


def _composed_terms(problem: Problem, landscape: Landscape, points: Sequence[PrecisePoint]) -> dict[Node, Node]:
    """{f_i: k_i} when L = Σ h_i(f_i, x) with f_i = 0 on Γ, h_i(0, x) constant and ∂_1h_i(0, x) = 0; k_i = ∂_1²h_i(0, x).

    Then H = Σ k_i ∇f_i∇f_iᵀ on {f = 0}, as for ½ Σ k_i f_i²: all other terms of ∂²h_i(f_i, x) vanish there.
    """
    trained = set(problem.parameters)
    found: dict[Node, Node] = {}
    for term in sp.Add.make_args(_expanded(problem.loss)):
        if not term.free_symbols & trained:
            continue
        for outer, t, inner in _compositions(term, trained, landscape):
            curvature = _curvature(outer, t, landscape)
            if curvature is not None and _vanishes(inner, points):
                found[inner] = found.get(inner, landscape.graph.constant(0)) + curvature
                break
        else:
            return {}
    return found


def _compositions(term: Expression, trained: set[sp.Symbol], landscape: Landscape) -> Iterator[tuple[Node, Node, Node]]:
    """(h(t, x), t, f) with term = h(f, x), for sums f in it, and for products whose squares SymPy has taken apart: f²g² is (fg)²."""
    graph = landscape.graph
    node = from_sympy(term, graph)
    sums = sorted((e for e in term.atoms(sp.Add) if e.free_symbols & trained), key=operations)
    for e in sums[:CANDIDATES]:
        t, inner = graph.symbol(sp.Dummy("t")), from_sympy(e, graph)
        yield replace_nodes([node], {inner: t})[0], t, inner
    for product in sorted(term.atoms(sp.Mul), key=operations)[:CANDIDATES]:
        squares = [
            e for e in product.args if e.is_Pow and e.args[1].is_Integer and e.args[1] % 2 == 0 and e.args[1] > 0
        ]
        squares = [e for e in squares if e.free_symbols & trained]
        if len(squares) > 1:
            letter = sp.Dummy("t")
            root = sp.Mul(*[e.args[0] ** (e.args[1] / 2) for e in squares])
            others = sp.Mul(*[e for e in product.args if e not in squares])
            outer = term.xreplace({product: others * letter**2})
            yield from_sympy(outer, graph), graph.symbol(letter), from_sympy(root, graph)


def _expanded(loss: Expression) -> Expression:
    """c (A + B) as cA + cB."""
    return sp.expand_mul(loss, deep=False)


def _curvature(outer: Node, t: Node, landscape: Landscape) -> Node | None:
    """∂_t²h(0, x) for h(t, x), if h(0, x) does not depend on x and ∂_th(0, x) is 0 by the rules of the graph."""
    zero = landscape.graph.constant(0)
    (slope,) = gradient(outer, [t])
    (bend,) = gradient(slope, [t])
    try:
        value, slope, bend = replace_nodes([outer, slope, bend], {t: zero})
    except ZeroDivisionError:
        return None
    constant = not set(symbols_of([value])) & {node.value for node in landscape.variables}
    return bend if constant and slope.is_zero else None


def _inner_expressions(landscape: Landscape) -> Iterator[Node]:
    """Sums and parameters inside the loss, the ones that are computed first (and are smallest) first."""
    inner = (n for n in reachable([landscape.loss]) if n.op in ("add", "sub") or n in landscape.variables)
    return (node for node, _ in zip((n for n in inner if n is not landscape.loss), range(CANDIDATES), strict=False))


def _vanishes(node: Node, points: Sequence[PrecisePoint]) -> bool:
    return all(point.zeros([node])[0] for point in points)


def _independent_levels(
    candidates: Sequence[Node], landscape: Landscape, points: Sequence[PrecisePoint], count: int, independent: float
) -> tuple[Node, ...]:
    """The first `count` candidates that are constant on Γ and whose unit gradients are independent at every point."""
    levels: list[Node] = []
    frames = [np.empty((0, landscape.dimension))] * len(points)
    for candidate in candidates:
        if len(levels) == count:
            break
        if not _constant(candidate, points):
            continue
        slopes = gradient(candidate, landscape.variables)
        if any(all(point.zeros(slopes)) for point in points):
            continue
        extended = [np.vstack([f, _unit(p, slopes)]) for f, p in zip(frames, points, strict=True)]
        weakest = [np.linalg.svd(f, compute_uv=False)[-1] if len(f) <= landscape.dimension else 1.0 for f in extended]
        if all(w > (independent if near else INDEPENDENT_FAR) for w, near in zip(weakest, _near(points), strict=True)):
            levels.append(candidate)
            frames = extended
    return tuple(levels) if len(levels) == count else ()


def _near(points: Sequence[PrecisePoint]) -> list[bool]:
    """Which points are about as close to the origin as the closest."""
    sizes = [float(max(map(abs, point.assignment.values()))) for point in points]
    return [size <= 3 * (1 + min(sizes)) for size in sizes]


def _constant(node: Node, points: Sequence[PrecisePoint]) -> bool:
    first = float(points[0].low([node])[0])
    if any(abs(float(p.low([node])[0]) - first) > 1e-9 * (1 + abs(first)) for p in points):
        return False
    return all(points[0].agrees(point, node) for point in points[1:])


def _unit(point: PrecisePoint, slopes: Sequence[Node]) -> np.ndarray:
    precise = point.low(slopes)
    largest = max(map(abs, precise))  # which float64 may not hold
    values = np.array([float(v / largest) for v in precise])
    return values / np.linalg.norm(values)
