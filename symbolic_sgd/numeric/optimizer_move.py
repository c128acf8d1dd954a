"""One step of an optimizer on a graph: z′ = G(z, a_1 … a_q) with z = (x, memory), each a_k drawn as one step of SGD draws its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node, replace_nodes
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.numeric.random_move import ALL, RandomMove
from symbolic_sgd.optimizers.iterated_map import IteratedMap
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class OptimizerMove:
    """z′ = G(z, a_1 … a_q).

    Args:
        program: its output `state` is z′, x first.
        state: the symbols of z, the parameters first.
        draws: the symbols of a_1 … a_q.
    """

    program: Program
    state: tuple[sp.Symbol, ...]
    draws: tuple[tuple[sp.Symbol, ...], ...]


def optimizer_move(
    optimizer: Optimizer,
    problem: Problem,
    move: RandomMove,
    rate: Fraction | None = None,
    scale: Fraction = ALL,
    *,
    slow: Sequence[Node] | None = None,
) -> OptimizerMove:
    """One step of an optimizer.

    Args:
        optimizer: whose step it is.
        problem: the loss.
        move: ∇L and the noise of one draw, ε in it: a step of SGD at η = 1.
        rate: η, where the optimizer has none of its own.
        scale: ε, whose square slow fields have where the learning rate stays; ρ of SAM.
        slow: what stands for weight decay and the like, D entries; theirs where it is None.
    """
    if isinstance(optimizer, IteratedMap):
        return _stated_move(optimizer, problem, move, scale if slow is None else Fraction(0))
    graph, iteration = move.variables[0].graph, optimizer.iteration_of(problem)
    stated = optimizer.rate if rate is None else sp.Rational(rate.numerator, rate.denominator)
    decay = optimizer.effective_rate.xreplace({optimizer.rate: stated})
    decay *= sp.Rational(scale.numerator, scale.denominator) ** (2 if optimizer.is_finite else 0)
    fields = [from_sympy(decay * g, graph) for g in optimizer.slow_field(problem)] if slow is None else slow
    draws = tuple(tuple(sp.Dummy(f"{a.name}_{k}") for a in move.symbols) for k in range(iteration.draws))
    memory = tuple(sp.Dummy(f"m{k}") for k in range(iteration.memory * problem.dimension))
    state = (*problem.parameters, *memory)
    parts = [Matrix.column(map(graph.symbol, part)) for part in _parted(state, problem.dimension)]
    after = iteration.update(parts, _DrivenForces(move, fields, draws, scale), from_sympy(stated, graph))
    entries = [entry for part in after for entry in part.entries]
    return OptimizerMove(Program.of({"state": Matrix.column(entries)}), state, draws)


def sgd_as_optimizer(problem: Problem, move: RandomMove) -> OptimizerMove:
    """x − m(x, a), a step of SGD with η in it."""
    after = Matrix.column(x - m for x, m in zip(move.variables, move.entries, strict=True))
    return OptimizerMove(Program.of({"state": after}), problem.parameters, (move.symbols,))


def _stated_move(optimizer: IteratedMap, problem: Problem, move: RandomMove, scale: Fraction) -> OptimizerMove:
    """A map as it is stated, with the noise of the move, in which ε is, in the place of ξ, and the slow drift times `scale`²."""
    graph = move.variables[0].graph
    draws = tuple(sp.Dummy(a.name) for a in move.symbols)
    drawn = dict(zip(map(graph.symbol, move.symbols), map(graph.symbol, draws), strict=True))
    noise = dict(zip(map(graph.symbol, optimizer.noise), replace_nodes(move.noise, drawn), strict=True))
    memory = tuple(sp.Dummy(f"m{k}") for k in range(len(optimizer.state) - problem.dimension))
    weight = sp.Rational(scale.numerator, scale.denominator) ** 2
    update = optimizer.centred(problem, memory, weight)
    after = replace_nodes([from_sympy(g, graph) for g in update], noise)
    return OptimizerMove(Program.of({"state": Matrix.column(after)}), (*problem.parameters, *memory), (draws,))


def no_slow_fields(problem: Problem, graph: Graph) -> list[Node]:
    """D zeros."""
    return [graph.constant(0)] * problem.dimension


def noiseless_move(problem: Problem) -> RandomMove:
    """m = ∇L, of the problem or of an optimizer's `noise_source`."""
    landscape = problem.landscape()
    slope = landscape.gradient.entries
    return RandomMove(landscape.variables, slope, (), gradient=slope, noise=[landscape.graph.constant(0)] * len(slope))


class _DrivenForces:
    """`Forces` by substitution in the nodes of one draw."""

    def __init__(self, move: RandomMove, slow: Sequence[Node], draws: Sequence[Sequence[sp.Symbol]], scale: Fraction):
        graph = move.variables[0].graph
        self.scale = scale
        self._variables = move.variables
        self._gradient = [g + s for g, s in zip(move.gradient, slow, strict=True)]
        self._noise, self._drawn, self._slow = move.noise, move.entries, slow
        self._force = [m + s for m, s in zip(move.entries, slow, strict=True)]
        self._draws = [{graph.symbol(a): graph.symbol(b) for a, b in zip(move.symbols, d, strict=True)} for d in draws]

    def gradient(self, x: Matrix) -> Matrix:
        return self._at(self._gradient, x, {})

    def noise(self, x: Matrix, draw: int) -> Matrix:
        return self._at(self._noise, x, self._draws[draw])

    def force(self, x: Matrix, draw: int) -> Matrix:
        return self._at(self._force, x, self._draws[draw])

    def drawn(self, x: Matrix, draw: int) -> Matrix:
        return self._at(self._drawn, x, self._draws[draw])

    def slow(self, x: Matrix) -> Matrix:
        return self._at(self._slow, x, {})

    def _at(self, nodes: Sequence[Node], x: Matrix, drawn: dict[Node, Node]) -> Matrix:
        return Matrix.column(replace_nodes(nodes, dict(zip(self._variables, x.entries, strict=True)) | drawn))


def _parted(symbols: Sequence[sp.Symbol], size: int) -> list[Sequence[sp.Symbol]]:
    return [symbols[i : i + size] for i in range(0, len(symbols), size)]
