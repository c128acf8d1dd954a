"""One step of SGD, and of its canonical SDE, on a graph: x′ = x − m(x, a), and how a is drawn. Every simulator runs these.

NumPy's columns look the numbers a up (`simulate.sgd`); a compiled loop computes them from the row and the sign that it has
drawn (`numeric.random_step`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.differentiate import pull_back
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.numeric.shared_terms import Column, SharedTerms, unit_columns
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.law import NoiseLaw, noise_law
from symbolic_sgd.problems.noise import LabelNoise, SamplingNoise
from symbolic_sgd.problems.perturbation import LossPerturbation
from symbolic_sgd.problems.problem import Problem

SIGN, BOTH = sp.Dummy("sign"), (1, -1)
"""The symbol of the sign, and what it is with equal odds."""

ALL = Fraction(1)
"""ε of the noise as it is stated."""

Rate = Fraction | sp.Symbol
"""η, a number or a symbol of the programs."""


class Table:
    """Columns of numbers whose row ξ is drawn. Each is kept once up to its sign; a column of equal numbers is a constant."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.columns: dict[Column, sp.Symbol] = {}

    def column(self, values: Column) -> Node:
        """The number in row ξ."""
        if len(set(values)) == 1:
            return self.graph.constant(values[0])
        opposite = tuple(-v for v in values)
        if opposite in self.columns:
            return -self.graph.symbol(self.columns[opposite])
        return self.graph.symbol(self.columns.setdefault(values, sp.Dummy(f"c{len(self.columns)}")))

    def combination(self, terms: Mapping[Any, Column]) -> Node:
        """Σ_ψ c_ψ[ξ] ψ."""
        products = (self.column(c) * from_sympy(function, self.graph) for function, c in terms.items())
        return sum(products, self.graph.constant(0))


@dataclass(frozen=True)
class RandomMove:
    """x′ = x − m(x, a).

    Args:
        variables: x_1 … x_D.
        entries: m_1 … m_D.
        symbols: a_1 … a_K.
        drawn: each a by `SIGN`, the columns and the constants; () where they are independent standard normal numbers.
        columns: of the table, with their symbols.
        odds: c_1 … c_n, whole numbers: the row ξ is drawn with probability c_ξ/Σc.
        signs: those that the sign takes, with equal odds.
        batch: b rows are drawn without replacement, each with a sign of its own; a holds the numbers of one after the other, and
            `drawn` says them for each.
        gradient: ∇L, on the same graph; an optimizer other than plain SGD may use it by itself.
        noise: m without η∇L (ηh∇L).
    """

    variables: tuple[Node, ...]
    entries: Sequence[Node]
    symbols: tuple[sp.Symbol, ...]
    drawn: Sequence[Node] = ()
    columns: Mapping[Column, sp.Symbol] = field(default_factory=dict)
    odds: tuple[int, ...] = ()
    signs: tuple[int, ...] = (1,)
    gradient: Sequence[Node] = ()
    noise: Sequence[Node] = ()
    batch: int = 1

    @cached_property
    def program(self) -> Program:
        """Its output `move` is m, D×1."""
        return Program.of({"move": Matrix.column(self.entries)})


def sgd_moves(problem: Problem, rate: Rate, scale: Fraction = ALL) -> Iterable[RandomMove]:
    """SGD by the law of the problem: a uniform (or weighted) sample, a label's sign, a column of σ and its sign.

    Samples are written as sums of shared terms, and each by itself: which costs less depends on them and on the simulator.

    Args:
        problem: the loss and the noise.
        rate: η.
        scale: ε: of labels the amplitude is εδ, and the sample that is drawn stays; a loss is perturbed by εξ; of all else the noise is
            ε times what it was.
    """
    if isinstance(problem.noise, LossPerturbation):
        return (perturbed_move(problem, problem.noise, rate, scale),)
    if isinstance(problem.noise, LabelNoise) and problem.noise.draws_residuals(problem):
        return _label_moves(problem, problem.noise, rate, scale)
    if isinstance(problem.noise, SamplingNoise) and scale == ALL:
        return _sample_moves(problem, problem.noise, rate)
    return (drawn_move(problem, noise_law(problem), rate, scale),)


def _label_moves(problem: Problem, noise: LabelNoise, rate: Rate, scale: Fraction) -> Iterator[RandomMove]:
    """m = (η/b)Σ_{ξ∈B}(r_ξ ± εδ)∇r_ξ for residuals r_k = Σ_m A_km φ_m + e_k: a holds A_ξ1 … A_ξT and e_ξ ± εδ for each ξ ∈ B."""
    b = noise.batch(problem)
    for landscape, sums in _decompositions(problem.residuals, problem):
        variables, graph = landscape.variables, landscape.graph
        width = len(sums.terms) + 1
        symbols = _symbols(b * width)
        # Σ_ξ r_ξA_ξm before the slopes of φ_m, which are then needed once.
        onto = [graph.constant(0)] * len(sums.terms)
        for k in range(b):
            *chosen, offset = (graph.symbol(a) for a in symbols[k * width : (k + 1) * width])
            residual = _node(rate, graph) * (dot(chosen, sums.terms) + offset) * Fraction(1, b)
            onto = [total + residual * a for total, a in zip(onto, chosen, strict=True)]
        move = pull_back(sums.terms, onto, variables)
        table, amplitudes = Table(graph), noise.amplitudes(len(problem.residuals))
        which = {delta: tuple(Fraction(delta == other) for other in amplitudes) for delta in dict.fromkeys(amplitudes)}
        amplitude = scale * table.combination(which)
        drawn = [*map(table.column, sums.columns), table.combination(sums.offsets) + graph.symbol(SIGN) * amplitude]
        parts = _parts(move, landscape, rate)
        odds = (1,) * len(problem.residuals)
        yield RandomMove(variables, move, symbols, drawn, table.columns, odds, BOTH, *parts, batch=b)


def _sample_moves(problem: Problem, noise: SamplingNoise, rate: Rate) -> Iterator[RandomMove]:
    """m = η∇ℓ_ξ for sample losses ℓ_k = Σ_m A_km φ_m + e_k: a holds A_ξ1 … A_ξT."""
    for landscape, sums in _decompositions(noise.losses, problem):
        variables, graph = landscape.variables, landscape.graph
        symbols = _symbols(len(sums.terms))
        move = pull_back(sums.terms, [_node(rate, graph) * graph.symbol(a) for a in symbols], variables)
        table = Table(graph)
        drawn = [table.column(c) for c in sums.columns]
        parts = _parts(move, landscape, rate)
        yield RandomMove(variables, move, symbols, drawn, table.columns, _odds(noise.weights), (1,), *parts)


def _parts(move: Sequence[Node], landscape: Landscape, rate: Rate) -> tuple[Sequence[Node], Sequence[Node]]:
    """∇L, and what is left of m without η∇L."""
    slope = landscape.gradient.entries
    return slope, [m - _node(rate, m.graph) * g for m, g in zip(move, slope, strict=True)]


def _decompositions(functions: Sequence[Any], problem: Problem) -> Iterator[tuple[Landscape, SharedTerms]]:
    """The loss and the functions on a graph, by shared terms, and then each by itself."""
    landscape = problem.landscape()
    yield landscape, SharedTerms.of(functions, problem.parameters, landscape.graph)
    landscape = problem.landscape()
    yield landscape, SharedTerms.separate(functions, landscape.graph)


def drawn_move(problem: Problem, law: NoiseLaw, rate: Rate, scale: Fraction = ALL) -> RandomMove:
    """m = η(∇L + ε Σ_k a_k s_k) with a the unit vector of the outcome drawn (its sign, where −s_k is an outcome too)."""
    landscape = problem.landscape()
    graph, steps = landscape.graph, law.program.on(landscape.graph)["steps"]
    # Where the law is symmetric, the second half of the outcomes is the first with the other sign.
    count = steps.shape[1] // 2 if law.symmetric else steps.shape[1]
    symbols, table = _symbols(count), Table(graph)
    noise = [scale * _combined(row, range(count), symbols) for row in steps.rows]
    slope = landscape.gradient.entries
    move = [_node(rate, graph) * (g + s) for g, s in zip(slope, noise, strict=True)]
    sign, signs = (graph.symbol(SIGN), BOTH) if law.symmetric else (graph.constant(1), (1,))
    drawn = [sign * table.column(unit) for unit in unit_columns(count)]
    odds, part = _odds(law.probabilities[:count]), [_node(rate, graph) * s for s in noise]
    return RandomMove(landscape.variables, move, symbols, drawn, table.columns, odds, signs, slope, part)


def perturbed_move(problem: Problem, noise: LossPerturbation, rate: Rate, scale: Fraction = ALL) -> RandomMove:
    """m = η∂_xL̂(x, εV^{1/2}a) with a ~ N(0, I): only the covariance of ξ is stated, and only it matters as ε tends to 0."""
    landscape = problem.landscape()
    graph = landscape.graph
    symbols = _symbols(len(noise.perturbations))
    size = sp.Rational(scale.numerator, scale.denominator)
    perturbed = [from_sympy(e, graph) for e in noise.perturbed_gradient(problem, [size * a for a in symbols])]
    slope, eta = landscape.gradient.entries, _node(rate, graph)
    move = [eta * g for g in perturbed]
    beside = [eta * (g - s) for g, s in zip(perturbed, slope, strict=True)]
    return RandomMove(landscape.variables, move, symbols, gradient=slope, noise=beside)


def canonical_move(problem: Problem, rate: Rate, step: Fraction, scale: Fraction = ALL) -> RandomMove:
    """m = ηh∇L + η√h εσa with a ~ N(0, I), Euler–Maruyama for dX = −η∇L dt + ηεσ dW in steps h; h = 1 is SGD with Gaussian noise."""
    landscape = problem.landscape()
    graph = landscape.graph
    root = scale * graph.power(graph.constant(step), graph.constant(Fraction(1, 2)))
    symbols, driven = driven_by(problem.noise.columns(problem, landscape).factor)
    slope = [step * entry for entry in landscape.gradient.entries]
    move = [_node(rate, graph) * (g + root * s) for g, s in zip(slope, driven, strict=True)]
    noise = [_node(rate, graph) * (root * s) for s in driven]
    return RandomMove(landscape.variables, move, symbols, gradient=landscape.gradient.entries, noise=noise)


def driven_by(factor: Matrix) -> tuple[tuple[sp.Symbol, ...], list[Node]]:
    """A a with one increment for each column of A that is not zero: their symbols, and the D entries."""
    used = [k for k, column in enumerate(factor.T.rows) if not all(entry.is_zero for entry in column)]
    symbols = _symbols(len(used))
    return symbols, [_combined(row, used, symbols) for row in factor.rows]


def _combined(row: Sequence[Node], used: Sequence[int], symbols: Sequence[sp.Symbol]) -> Node:
    graph = row[0].graph
    return dot([row[k] for k in used], [graph.symbol(a) for a in symbols]) if used else graph.constant(0)


def _odds(weights: Sequence[Fraction]) -> tuple[int, ...]:
    total = sum(weights)
    parts = [w / total for w in weights]
    denominator = lcm(*(p.denominator for p in parts))
    return tuple(int(p * denominator) for p in parts)


def _symbols(count: int) -> tuple[sp.Symbol, ...]:
    return tuple(sp.Dummy(f"a{k}") for k in range(count))


def _node(rate: Rate, graph: Graph) -> Node:
    return graph.constant(rate) if isinstance(rate, Fraction) else graph.symbol(rate)
