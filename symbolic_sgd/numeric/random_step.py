"""One random step x ↦ x′ as a program: what SGD does, and what a scheme for the limiting SDE does.

The program reads the state x, parameters of the step (η or h and √h, the problem's constants), a row of a table drawn
uniformly, a sign ±1 with equal odds, and independent standard normal numbers. A back end supplies these in its loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient, jacobian
from symbolic_sgd.algebra.graph import Graph, Node, replace_nodes
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import ProblemTooLarge
from symbolic_sgd.problems.law import noise_law
from symbolic_sgd.problems.noise import LabelNoise
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.theorem.derivation import Derivation

LARGEST_TABLE = 1 << 16
"""Rows of a table at most; probabilities p_k become rows repeated p_k·(common denominator) times."""

SIGN = sp.Dummy("sign")
"""±1 with equal odds, in every step that reads it."""


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

    Label noise draws a residual r_ξ and a sign: x − η(r_ξ ± δ)∇r_ξ. Where residuals are linear combinations of the same
    functions of x, r_ξ = Σ_m c_ξm φ_m, only the coefficients are drawn, so that a step costs one gradient, not n.
    """
    graph, rate = Graph(), sp.Dummy("learning_rate")
    table = _Table(graph)
    variables = [graph.symbol(s) for s in problem.parameters]
    displacement = _label_displacement if isinstance(problem.noise, LabelNoise) else _drawn_displacement
    moves = displacement(problem, table, variables, graph.symbol(rate))
    return RandomStep(
        Program.of({"step": Matrix.column(x - move for x, move in zip(variables, moves, strict=True))}),
        problem.parameters,
        (rate, *problem.constants),
        table.rows,
        tuple(table.symbols),
    )


def _label_displacement(problem: Problem, table: "_Table", variables: list[Node], rate: Node) -> list[Node]:
    """η(r_ξ ± δ)∇r_ξ with r_ξ = Σ_c c_ξ s_c, where s_c is the sum of the functions that share the coefficients c."""
    graph = table.graph
    split = [dict(_features(residual)) for residual in problem.residuals]
    sums: dict[Node, Node] = {}
    for feature in dict.fromkeys(feature for terms in split for feature in terms):
        coefficient = table.column([terms.get(feature, Fraction(0)) for terms in split])
        function, known = from_sympy(feature, graph), sums.get(-coefficient)
        if known is not None:
            sums[-coefficient] = known - function
        else:
            sums[coefficient] = sums.get(coefficient, graph.constant(0)) + function
    residual = dot(list(sums), list(sums.values()))
    amplitude = from_sympy(sp.sympify(problem.noise.amplitude, strict=True), graph)  # type: ignore[union-attr]
    perturbed = rate * (residual + graph.symbol(SIGN) * amplitude)
    factors = [perturbed * c for c in sums]
    slopes = [gradient(function, variables) for function in sums.values()]
    return [dot(factors, partials) for partials in zip(*slopes, strict=True)]


def _features(expression: Any) -> list[tuple[Any, Fraction]]:
    """The terms of a sum as (function, rational coefficient)."""
    terms: dict[Any, Fraction] = {}
    for term in sp.Add.make_args(expression):
        number, feature = term.as_coeff_Mul(rational=True)
        coefficient: Any = number
        terms[feature] = terms.get(feature, Fraction(0)) + Fraction(int(coefficient.p), int(coefficient.q))
    return list(terms.items())


def _drawn_displacement(problem: Problem, table: "_Table", variables: list[Node], rate: Node) -> list[Node]:
    """η(∇L + Σ_k 1[ξ = k] s_k), where of steps in pairs ± only one is kept, with the sign."""
    graph, law = table.graph, noise_law(problem)
    sign = graph.symbol(SIGN)
    steps = law.program.on(graph)["steps"]
    outcomes = steps.shape[1] // 2 if law.symmetric else steps.shape[1]
    weights = law.probabilities[:outcomes]
    total = sum(weights)
    rows = _repetitions([w / total for w in weights])
    chosen = [table.column([Fraction(int(k == drawn)) for drawn in rows]) for k in range(outcomes)]
    factor = [sign * c for c in chosen] if law.symmetric else chosen
    slopes = gradient(from_sympy(problem.loss, graph), variables)
    return [rate * (g + dot(factor, row[:outcomes])) for g, row in zip(slopes, steps.rows, strict=True)]


def _repetitions(weights: Sequence[Fraction]) -> list[int]:
    denominator = lcm(*(w.denominator for w in weights))
    if denominator > LARGEST_TABLE:
        raise ProblemTooLarge(
            f"the probabilities of the samples have the common denominator {denominator}, and a compiled step draws from "
            f"a table of at most {LARGEST_TABLE} rows: round the weights"
        )
    return [k for k, w in enumerate(weights) for _ in range(int(w * denominator))]


class _Table:
    """Columns of numbers, each kept once up to its sign; a column of equal numbers is a constant."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.columns: list[tuple[Fraction, ...]] = []
        self.symbols: list[sp.Symbol] = []
        self.height = 1

    def column(self, values: Sequence[Fraction]) -> Node:
        self.height = len(values)
        if len(set(values)) == 1:
            return self.graph.constant(values[0])
        key, opposite = tuple(values), tuple(-v for v in values)
        if opposite in self.columns:
            return -self.graph.symbol(self.symbols[self.columns.index(opposite)])
        if key not in self.columns:
            self.columns.append(key)
            self.symbols.append(sp.Dummy(f"c{len(self.symbols)}"))
        return self.graph.symbol(self.symbols[self.columns.index(key)])

    @property
    def rows(self) -> tuple[tuple[Fraction, ...], ...]:
        return tuple(zip(*self.columns, strict=True)) if self.columns else ((),) * self.height


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
    moving = [column for column in terms["tangent_noise"].T.rows if not all(a.is_zero for a in column)]
    normals = tuple(sp.Dummy(f"xi{k}") for k in range(len(moving)))
    driven = [graph.symbol(root) * graph.symbol(n) for n in normals]
    step = [
        x + graph.symbol(h) * b + (dot(driven, [column[i] for column in moving]) if moving else graph.constant(0))
        for i, (x, b) in enumerate(zip(variables, terms["drift"].entries, strict=True))
    ]
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
    back = j.T @ PositiveDefinite.factor(j @ j.T).solve(values)
    return [x - d for x, d in zip(point, back.entries, strict=True)]
