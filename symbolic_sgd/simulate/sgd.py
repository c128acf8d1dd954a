"""SGD of a problem, and its canonical SDE, as the simulators take them: x ← x − m(x, a) with the law of a."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.differentiate import pull_back
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Instruction, Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.in_place import InPlaceProgram
from symbolic_sgd.problems.law import NoiseLaw, check_law, noise_law
from symbolic_sgd.problems.noise import LabelNoise, SamplingNoise
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.simulate.increments import Increments, Normals, Outcomes
from symbolic_sgd.simulate.steps import Descent
from symbolic_sgd.simulate.sums import SharedTerms

GATHER = 4
"""What picking one number by a random index costs, in operations."""

MAX_DENOMINATOR = 2**62
"""Common denominator of probabilities that are drawn exactly."""

Values = Mapping[sp.Symbol, Fraction]


class Law(ABC):
    """By which law SGD draws its noise: a choice of the simulator."""

    @property
    def identity(self) -> str:
        """What it is known by in checkpoints."""
        return repr(self)

    @abstractmethod
    def descent(self, problem: Problem, rate: Fraction, values: Values) -> Descent:
        """SGD with learning rate η and these values of the constants."""


@dataclass(frozen=True)
class TrueLaw(Law):
    """The problem's own law: a uniform (or weighted) sample, a label's sign, a column of σ and its sign."""

    def descent(self, problem: Problem, rate: Fraction, values: Values) -> Descent:
        if isinstance(problem.noise, LabelNoise):
            return _cheaper(_label_descents(problem, rate, values))
        if isinstance(problem.noise, SamplingNoise):
            return _cheaper(_sample_descents(problem, rate, values))
        return _drawn_descent(problem, noise_law(problem), rate, values)


@dataclass(frozen=True)
class StatedLaw(Law):
    """Steps s_1 … s_K with probabilities p: Σ p_k s_k = 0 and Σ p_k s_k s_kᵀ = Σ are checked.

    Args:
        steps: D×K, a SymPy Matrix in the problem's symbols.
        probabilities: K positive rationals with sum 1.
    """

    steps: Any
    probabilities: Sequence[Any]

    @property
    def identity(self) -> str:
        return f"StatedLaw({sp.srepr(sp.Matrix(self.steps))}, {[str(p) for p in self.probabilities]})"

    def descent(self, problem: Problem, rate: Fraction, values: Values) -> Descent:
        return _drawn_descent(problem, check_law(problem, self.steps, self.probabilities), rate, values)


@dataclass(frozen=True)
class GaussianLaw(Law):
    """Noise σ(x)a with a ~ N(0, I): Gaussian with the stated Σ."""

    def descent(self, problem: Problem, rate: Fraction, values: Values) -> Descent:
        return canonical_sde(problem, rate, Fraction(1), values)


def canonical_sde(problem: Problem, rate: Fraction, step: Fraction, values: Values) -> Descent:
    """Euler–Maruyama for dX = −η∇L dt + ησ dW, in steps h of time (one step of SGD takes time 1).

    m = ηh∇L + η√h σa with a ~ N(0, I); h = 1 is SGD with Gaussian noise. Columns of σ that are zero need no numbers.
    """
    landscape = problem.landscape()
    graph = landscape.graph
    sigma = problem.noise.columns(problem, landscape).factor
    used = [k for k, column in enumerate(sigma.T.rows) if not all(entry.is_zero for entry in column)]
    symbols = _symbols(len(used))
    root = graph.power(graph.constant(step), graph.constant(Fraction(1, 2)))
    slope = [step * entry for entry in landscape.gradient.entries]
    noise = [root * _combined(row, used, symbols) for row in sigma.rows]
    return _descent(
        problem, [rate * (g + s) for g, s in zip(slope, noise, strict=True)], symbols, Normals(len(used)), values
    )


def _combined(row: Sequence[Node], used: Sequence[int], symbols: Sequence[sp.Symbol]) -> Node:
    graph = row[0].graph
    return dot([row[k] for k in used], [graph.symbol(a) for a in symbols]) if used else graph.constant(0)


# --- what is drawn ------------------------------------------------------------------------------


def _label_descents(problem: Problem, rate: Fraction, values: Values) -> list[Descent]:
    """m = η(r_i ± δ)∇r_i for residuals r_k = Σ_m A_km φ_m + e_k: a holds A_i1 … A_iT and e_i ± δ."""
    descents = []
    for shared in (True, False):
        landscape = problem.landscape()
        graph = landscape.graph
        sums = _terms(problem.residuals, problem, graph, shared)
        symbols = _symbols(len(sums.terms) + 1)
        *chosen, offset = (graph.symbol(a) for a in symbols)
        residual = rate * (dot(chosen, sums.terms) + offset)
        move = pull_back(sums.terms, [residual * a for a in chosen], landscape.variables)
        amplitude = from_sympy(sp.sympify(problem.noise.amplitude, strict=True), graph)  # type: ignore[attr-defined]
        ends = _numbers([*sums.offsets, amplitude], values)
        columns = [
            (*map(float, row), offset + sign * ends[-1])
            for row, offset in zip(sums.coefficients, ends, strict=False)
            for sign in (1, -1)
        ]
        outcomes = Outcomes(np.array(columns).T.copy(), (1,) * len(columns))
        descents.append(_descent(problem, move, symbols, outcomes, values))
    return descents


def _sample_descents(problem: Problem, rate: Fraction, values: Values) -> list[Descent]:
    """m = η∇ℓ_ξ for sample losses ℓ_k = Σ_m A_km φ_m + e_k: a holds A_ξ1 … A_ξT."""
    noise = problem.noise
    assert isinstance(noise, SamplingNoise)
    descents = []
    for shared in (True, False):
        landscape = problem.landscape()
        graph = landscape.graph
        sums = _terms(noise.losses, problem, graph, shared)
        symbols = _symbols(len(sums.terms))
        move = pull_back(sums.terms, [rate * graph.symbol(a) for a in symbols], landscape.variables)
        outcomes = Outcomes(np.array(sums.coefficients, dtype=float).T.copy(), _counts(noise.weights))
        descents.append(_descent(problem, move, symbols, outcomes, values))
    return descents


def _drawn_descent(problem: Problem, law: NoiseLaw, rate: Fraction, values: Values) -> Descent:
    """m = η(∇L + Σ_k a_k s_k) with a the unit vector of the outcome drawn (its sign, where −s_k is an outcome too)."""
    landscape = problem.landscape()
    steps = law.program.on(landscape.graph)["steps"]
    count = steps.shape[1]
    table = np.eye(count)
    if law.symmetric:  # the second half of the outcomes is the first with the other sign
        count //= 2
        table = np.hstack([np.eye(count), -np.eye(count)])
    symbols = _symbols(count)
    noise = [_combined(row, range(count), symbols) for row in steps.rows]
    move = [rate * (g + s) for g, s in zip(landscape.gradient.entries, noise, strict=True)]
    return _descent(problem, move, symbols, Outcomes(table, _counts(law.probabilities)), values)


def _terms(functions: Sequence[Any], problem: Problem, graph: Graph, shared: bool) -> SharedTerms:
    return SharedTerms.of(functions, problem.parameters, graph) if shared else SharedTerms.separate(functions, graph)


def _cheaper(descents: Sequence[Descent]) -> Descent:
    return min(descents, key=lambda d: d.move.program.operations + GATHER * d.increments.rows)  # type: ignore[attr-defined]


def _counts(weights: Sequence[Fraction]) -> tuple[int, ...]:
    total = lcm(*(w.denominator for w in weights))
    if total >= MAX_DENOMINATOR:
        raise BadInput(
            f"the probabilities have the common denominator {total:.3g}, beyond 2⁶²: round them to simpler fractions"
        )
    return tuple(int(w * total) for w in weights)


# --- programs -----------------------------------------------------------------------------------


def _symbols(count: int) -> tuple[sp.Symbol, ...]:
    return tuple(sp.Dummy(f"a{k}") for k in range(count))


def _descent(
    problem: Problem, move: Sequence[Node], symbols: Sequence[sp.Symbol], increments: Increments, values: Values
) -> Descent:
    program = with_values(Program.of({"move": Matrix.column(move)}), values)
    return Descent(problem.dimension, InPlaceProgram(program, (*problem.parameters, *symbols)), increments)


def with_values(program: Program, values: Values) -> Program:
    """The program with numbers in place of some of its symbols."""
    return Program(
        tuple(
            Instruction("constant", (), values[i.value]) if i.op == "symbol" and i.value in values else i
            for i in program.instructions
        ),
        program.outputs,
    )


def _numbers(nodes: Sequence[Node], values: Values) -> list[float]:
    """Nodes without parameters in float64."""
    program = Program.of({"numbers": Matrix.column(nodes)})
    function = InPlaceProgram(with_values(program, values), ())
    out = np.empty((len(nodes), 1))
    function(out)
    return out[:, 0].tolist()
