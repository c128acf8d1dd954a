"""One random step x ↦ x′ as a program: what SGD does, and what a scheme for the limiting SDE does.

The program reads the state x, parameters of the step (η or h and √h, the problem's constants), a row of a table drawn
uniformly, a sign ±1 with equal odds, and independent standard normal numbers. A back end supplies these in its loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph, Node, replace_nodes
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import BadInput, ProblemTooLarge
from symbolic_sgd.numeric.random_move import SIGN, RandomMove, driven_by, sgd_moves
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.theorem.derivation import Derivation

LARGEST_TABLE = 1 << 16
"""Rows of a table at most; probabilities p_k become rows repeated p_k·(common denominator) times."""


@dataclass(frozen=True)
class RandomStep:
    """x′ = f(x, parameters, table[ξ], sign, normals).

    Args:
        program: its output `step` is D×1.
        state: the symbols of x.
        parameters: symbols of what is given when steps are made.
        table: rows of numbers, one of which is drawn in each step.
        columns: the symbols of a row's entries.
        sign: the symbol of the sign; read or not.
        normals: symbols of independent standard normal numbers.
    """

    program: Program
    state: tuple[sp.Symbol, ...]
    parameters: tuple[sp.Symbol, ...]
    table: tuple[tuple[Fraction, ...], ...] = ((),)
    columns: tuple[sp.Symbol, ...] = ()
    sign: sp.Symbol = SIGN
    normals: tuple[sp.Symbol, ...] = ()


def sgd_step(problem: Problem) -> RandomStep:
    """x − η(∇L + s_ξ), by the law of the problem's noise; the parameters are η, then the constants.

    Raises:
        BadInput: a step draws a batch of samples, 1 < batch_size < n; the loss is perturbed.
        ProblemTooLarge: a table of the samples by their probabilities has too many rows.
    """
    rate = sp.Dummy("learning_rate")
    steps = [_looked_up(problem, rate, move) for move in sgd_moves(problem, rate)]
    return min(steps, key=lambda step: step.program.operations + len(step.columns))


def _looked_up(problem: Problem, rate: sp.Symbol, move: RandomMove) -> RandomStep:
    """The step in which each a is computed from the row and the sign that were drawn."""
    if move.batch > 1:
        raise BadInput(
            f"noise: batch_size is {move.batch}, and a compiled step draws one row of a table: simulate with simulate_sgd, which draws "
            "batches, or state batch_size=1 or that of the full gradient"
        )
    if not move.drawn and move.symbols:
        raise BadInput(
            "noise: the loss is perturbed, and a compiled step draws one row of a table: simulate with simulate_sgd, which draws the "
            "perturbations"
        )
    graph = move.variables[0].graph
    moved = replace_nodes(move.entries, dict(zip(map(graph.symbol, move.symbols), move.drawn, strict=True)))
    return RandomStep(
        Program.of({"step": Matrix.column(x - m for x, m in zip(move.variables, moved, strict=True))}),
        problem.parameters,
        (rate, *problem.constants),
        tuple(tuple(column[k] for column in move.columns) for k in _repetitions(move.odds)),
        tuple(move.columns.values()),
    )


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
    return RandomStep(
        Program.of({"step": Matrix.column(step)}), problem.parameters, (h, root, *problem.constants), normals=normals
    )


def _newton(equations: list[Node], slopes: Matrix, variables: list[Node], point: list[Node]) -> list[Node]:
    moved = dict(zip(variables, point, strict=True))
    values = Matrix.column(replace_nodes(equations, moved))
    j = slopes.replace(moved)
    # Compiled, JJᵀ costs 10 to 40 % of a step less than the orthogonal factors of J, by which `simulate.limit` goes.
    back = j.T @ PositiveDefinite.factor(j @ j.T).solve(values)
    return [x - d for x, d in zip(point, back.entries, strict=True)]
