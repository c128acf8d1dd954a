"""One random step x ↦ x′ as a program: what SGD does, and what a scheme for the limiting SDE does.

The program reads the state x, parameters of the step (η or h and √h, the problem's constants), rows of a table, each drawn
uniformly, each with a sign ±1 with equal odds, and independent standard normal numbers. A back end supplies these in its loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import sympy as sp

from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph, Node, replace_nodes
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import BadInput, ProblemTooLarge
from symbolic_sgd.numeric.optimizer_move import OptimizerMove, sgd_as_optimizer
from symbolic_sgd.numeric.random_move import SIGN, RandomMove, driven_by, sgd_moves
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.theorem.derivation import Derivation

LARGEST_TABLE = 1 << 16
"""Rows of a table at most; probabilities p_k become rows repeated p_k·(common denominator) times."""


@dataclass(frozen=True)
class DrawnRow:
    """What one draw gives: the row's entries, and the sign.

    Args:
        columns: the symbols of a row's entries.
        sign: the symbol of the sign; read or not.
    """

    columns: tuple[sp.Symbol, ...]
    sign: sp.Symbol

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """All that the draw gives, the sign last."""
        return (*self.columns, self.sign)


@dataclass(frozen=True)
class RandomStep:
    """x′ = f(x, parameters, table[ξ_1], sign_1, …, table[ξ_q], sign_q, normals).

    Args:
        program: its output `step` is D×1.
        state: the symbols of x.
        parameters: symbols of what is given when steps are made.
        table: rows of numbers, of which each draw takes one.
        draws: the q draws.
        normals: symbols of independent standard normal numbers.
    """

    program: Program
    state: tuple[sp.Symbol, ...]
    parameters: tuple[sp.Symbol, ...]
    table: tuple[tuple[Fraction, ...], ...] = ((),)
    draws: tuple[DrawnRow, ...] = ()
    normals: tuple[sp.Symbol, ...] = ()

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """The inputs of the program, in the order above."""
        drawn = (symbol for row in self.draws for symbol in row.symbols)
        return (*self.state, *self.parameters, *drawn, *self.normals)

    def takes_word(self, row: DrawnRow) -> bool:
        """Whether a draw needs random bits: of a single row, whose sign is not read, it does not."""
        return bool(row.columns) or row.sign in self._read

    @property
    def words(self) -> int:
        """Words of 64 random bits that a step takes: one a draw, two for two normal numbers."""
        return sum(map(self.takes_word, self.draws)) + 2 * (-(-len(self.normals) // 2))

    @property
    def cost(self) -> int:
        """Operations, and numbers that are looked up."""
        return self.program.operations + sum(len(row.columns) for row in self.draws)

    @cached_property
    def _read(self) -> frozenset[sp.Symbol]:
        return self.program.symbols


def sgd_step(problem: Problem) -> RandomStep:
    """x − η(∇L + s_ξ), by the law of the problem's noise; the parameters are η, then the constants.

    Raises:
        BadInput: a step draws a batch of samples, 1 < batch_size < n.
        ProblemTooLarge: a table of the samples by their probabilities has too many rows.
    """
    rate = sp.Dummy("learning_rate")
    parameters = (rate, *problem.constants)
    moves = sgd_moves(problem, rate)
    return min((looked_up(sgd_as_optimizer(problem, m), m, parameters) for m in moves), key=lambda step: step.cost)


def looked_up(move: OptimizerMove, draw: RandomMove, parameters: Sequence[sp.Symbol] = ()) -> RandomStep:
    """A step of an optimizer in which each a is computed from the row and the sign that were drawn for it.

    Args:
        move: the step, in which each draw's a is left open.
        draw: how each is drawn.
        parameters: symbols of what is given when steps are made.

    Raises:
        BadInput: a draw is a batch of samples, 1 < batch_size < n.
        ProblemTooLarge: a table of the samples by their probabilities has too many rows.
    """
    if draw.batch > 1:
        raise BadInput(
            f"noise: batch_size is {draw.batch}, and a compiled step draws one row of a table: simulate with simulate_sgd without "
            "backend=, which draws batches, or state batch_size=1 or that of the full gradient"
        )
    if not draw.drawn:
        normals = tuple(a for symbols in move.draws for a in symbols)
        program = Program.of({"step": move.program.on(Graph())["state"]})
        return RandomStep(program, move.state, tuple(parameters), normals=normals)
    graph = draw.variables[0].graph
    rows = tuple(_row(draw, k) for k in range(len(move.draws)))
    drawn: dict[Node, Node] = {}
    for symbols, row in zip(move.draws, rows, strict=True):
        own = dict(zip((*draw.columns.values(), SIGN), row.symbols, strict=True))
        numbers = replace_nodes(draw.drawn, {graph.symbol(a): graph.symbol(b) for a, b in own.items()})
        drawn |= zip(map(graph.symbol, symbols), numbers, strict=True)
    moved = replace_nodes(move.program.on(graph)["state"].entries, drawn)
    table = tuple(tuple(column[k] for column in draw.columns) for k in _repetitions(draw.odds))
    return RandomStep(Program.of({"step": Matrix.column(moved)}), move.state, tuple(parameters), table, rows)


def _row(draw: RandomMove, number: int) -> DrawnRow:
    return DrawnRow(tuple(sp.Dummy(f"{c.name}_{number}") for c in draw.columns.values()), sp.Dummy(f"sign_{number}"))


def _repetitions(odds: Sequence[int]) -> list[int]:
    if sum(odds) > LARGEST_TABLE:
        raise ProblemTooLarge(
            f"the probabilities of the samples have the common denominator {sum(odds)}, and a compiled step draws from "
            f"a table of at most {LARGEST_TABLE} rows: round the weights"
        )
    return [k for k, c in enumerate(odds) for _ in range(c)]


def sde_step(derivation: Derivation, *, projections: int = 1) -> RandomStep:
    """Euler and Maruyama's step Y + b h + A √h ξ with A = ∂Φ σ, then Newton steps x − Jᵀ(JJᵀ)⁻¹g back to Γ = {g = 0}.

    The parameters are h and √h, then the constants. In the limit of small h the steps orthogonal to Γ leave the law of
    the SDE as it is, since b holds the compensation that keeps Y on Γ to first order.

    Args:
        derivation: the SDE.
        projections: Newton steps in each step.
    """
    graph, h, root = Graph(), sp.Dummy("h"), sp.Dummy("sqrt_h")
    problem = derivation.problem
    variables = [graph.symbol(s) for s in problem.parameters]
    terms = derivation.program.select("drift", "tangent_noise").on(graph)
    normals, driven = driven_by(terms["tangent_noise"])
    driven = replace_nodes(driven, {graph.symbol(a): graph.symbol(root) * graph.symbol(a) for a in normals})
    step = [x + graph.symbol(h) * b + n for x, b, n in zip(variables, terms["drift"].entries, driven, strict=True)]
    equations = list(derivation.equations.on(graph)["equations"].entries)
    slopes = Matrix.of(jacobian(equations, variables))
    for _ in range(projections):
        step = _newton(equations, slopes, variables, step)
    parameters = (h, root, *problem.constants)
    return RandomStep(Program.of({"step": Matrix.column(step)}), problem.parameters, parameters, normals=normals)


def _newton(equations: list[Node], slopes: Matrix, variables: list[Node], point: list[Node]) -> list[Node]:
    moved = dict(zip(variables, point, strict=True))
    values = Matrix.column(replace_nodes(equations, moved))
    j = slopes.replace(moved)
    # Compiled, JJᵀ costs 10 to 40 % of a step less than the orthogonal factors of J, by which `simulate.limit` goes.
    back = j.T @ PositiveDefinite.factor(j @ j.T).solve(values)
    return [x - d for x, d in zip(point, back.entries, strict=True)]
