"""SGD of a problem, its canonical SDE, and other optimizers, as the simulators take them: a map of the state and of a, with a's law."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import FLOAT64
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Instruction, Program, evaluate
from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.in_place import InPlaceProgram
from symbolic_sgd.numeric.optimizer_move import OptimizerMove, noiseless_move, optimizer_move
from symbolic_sgd.numeric.random_move import ALL, SIGN, RandomMove, canonical_move, drawn_move, sgd_moves
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.problems.law import check_law
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.simulate.increments import Batches, Increments, Normals, Outcomes, Repeated
from symbolic_sgd.simulate.steps import Descent, Iterated

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
    def moves(self, problem: Problem, rate: Fraction, scale: Fraction) -> Iterable[RandomMove]:
        """The ways to write one step of SGD with learning rate η and noise scale ε."""

    def descent(self, problem: Problem, rate: Fraction, values: Values, scale: Fraction = ALL) -> Descent:
        """SGD with learning rate η and these values of the constants."""
        return _descent(problem, self.move(problem, rate, scale), values)

    def move(self, problem: Problem, rate: Fraction, scale: Fraction) -> RandomMove:
        """The cheapest of `moves`."""
        return min(self.moves(problem, rate, scale), key=_cost)


@dataclass(frozen=True)
class TrueLaw(Law):
    """The problem's own law: a uniform (or weighted) sample, a label's sign, a column of σ and its sign.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, simulate_sgd
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> simulate_sgd(problem, [1, 1], learning_rate=0.1, steps=10, replicas=3, rng=0, law=TrueLaw()).final.shape
    (3, 2)
    """

    def moves(self, problem: Problem, rate: Fraction, scale: Fraction) -> Iterable[RandomMove]:
        return sgd_moves(problem, rate, scale)


@dataclass(frozen=True)
class StatedLaw(Law):
    """Steps s_1 … s_K with probabilities p: Σ p_k s_k = 0 and Σ p_k s_k s_kᵀ = Σ are checked.

    Args:
        steps: D×K, a SymPy Matrix in the problem's symbols.
        probabilities: K positive rationals with sum 1.

    >>> import sympy as sp
    >>> from symbolic_sgd import simulate_sgd
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=sp.Matrix([1, 0]))
    >>> skew = StatedLaw(sp.Matrix([[2, -sp.Rational(1, 2)], [0, 0]]), [sp.Rational(1, 5), sp.Rational(4, 5)])
    >>> simulate_sgd(problem, [1, 1], learning_rate=0.1, steps=10, replicas=3, rng=0, law=skew).final.shape
    (3, 2)
    """

    steps: Any
    probabilities: Sequence[Any]

    @property
    def identity(self) -> str:
        return f"StatedLaw({sp.srepr(sp.Matrix(self.steps))}, {[str(p) for p in self.probabilities]})"

    def moves(self, problem: Problem, rate: Fraction, scale: Fraction) -> Iterable[RandomMove]:
        _check_linear(problem, "StatedLaw states the steps of noise that is added to ∇L")
        return (drawn_move(problem, check_law(problem, self.steps, self.probabilities), rate, scale),)


@dataclass(frozen=True)
class GaussianLaw(Law):
    """Noise σ(x)a with a ~ N(0, I): Gaussian with the stated Σ.

    >>> import sympy as sp
    >>> from symbolic_sgd import IsotropicNoise, simulate_sgd
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=IsotropicNoise(1))
    >>> simulate_sgd(problem, [1, 1], learning_rate=0.1, steps=10, replicas=3, rng=0, law=GaussianLaw()).final.shape
    (3, 2)
    """

    def moves(self, problem: Problem, rate: Fraction, scale: Fraction) -> Iterable[RandomMove]:
        _check_linear(problem, "GaussianLaw draws noise that is added to ∇L")
        return (canonical_move(problem, rate, Fraction(1), scale),)


def _check_linear(problem: Problem, words: str) -> None:
    """Refuse a perturbed loss, whose noise is not linear in what is drawn."""
    if problem.noise.mean_potential is not None:
        raise BadInput(
            f"{words}, and here the loss itself is perturbed: simulate it with SGD(learning_rate=…) and the law that it has, "
            "Gaussian perturbations"
        )


@dataclass(frozen=True)
class NoNoise(Law):
    """Of an optimizer that draws nothing."""

    def moves(self, problem: Problem, rate: Fraction, scale: Fraction) -> Iterable[RandomMove]:
        return (noiseless_move(problem),)


def canonical_sde(problem: Problem, rate: Fraction, step: Fraction, values: Values) -> Descent:
    """Euler–Maruyama for dX = −η∇L dt + ησ dW, in steps h of time (one step of SGD takes time 1)."""
    _check_linear(problem, "the canonical SDE is driven by noise that is added to ∇L")
    return _descent(problem, canonical_move(problem, rate, step), values)


def iterated(
    optimizer: Optimizer,
    problem: Problem,
    law: Law,
    rate: Fraction | None,
    scale: Fraction,
    values: Values,
) -> Iterated:
    """Any optimizer, whose every draw is one of SGD's.

    Args:
        optimizer: which.
        problem: the loss and the noise.
        law: by which each draw is made.
        rate: η, where the optimizer has none of its own.
        scale: ε; ρ of SAM.
        values: of the constants, the optimizer's own symbols among them.
    """
    if optimizer.reshuffles:
        return _reshuffled(optimizer, problem, law, rate, scale, values)
    draw = law.move(optimizer.noise_source(problem), ALL, scale)
    move = optimizer_move(optimizer, problem, draw, rate, scale)
    increments = _increments(draw, values)
    repeated = increments if len(move.draws) == 1 else Repeated(increments, len(move.draws))
    return _iterated(move, repeated, values)


def _reshuffled(
    optimizer: Optimizer, problem: Problem, law: Law, rate: Fraction | None, scale: Fraction, values: Values
) -> Iterated:
    """An optimizer whose draws are all samples in a random order: b = n of n without replacement."""
    if not isinstance(law, TrueLaw):
        raise BadInput(
            f"{optimizer.label} visits the samples themselves: leave law= out, or simulate SGD by another law"
        )
    draw = law.move(problem, ALL, scale)
    move = optimizer_move(optimizer, problem, draw, rate, scale)
    return _iterated(move, Batches(np.stack(_variants(draw, values)), len(move.draws)), values)


def _iterated(move: OptimizerMove, increments: Increments, values: Values) -> Iterated:
    drawn = tuple(a for symbols in move.draws for a in symbols)
    program = InPlaceProgram(with_values(move.program, values), (*move.state, *drawn))
    return Iterated(len(move.state), program, increments)


# --- in columns of replicas ---------------------------------------------------------------------


def _cost(move: RandomMove) -> int:
    return move.program.operations + GATHER * len(move.symbols)


def _descent(problem: Problem, move: RandomMove, values: Values) -> Descent:
    program, symbols = with_values(move.program, values), move.symbols
    in_place = InPlaceProgram(program, (*problem.parameters, *symbols))
    return Descent(problem.dimension, in_place, _increments(move, values))


def _increments(move: RandomMove, values: Values) -> Increments:
    if not move.drawn:
        return Normals(len(move.symbols))
    if move.batch > 1:
        return Batches(np.stack(_variants(move, values)), move.batch)
    return _outcomes(move, values)


def _outcomes(move: RandomMove, values: Values) -> Outcomes:
    """Every row with every sign. Seeded results depend on their order: both signs of a row side by side, but of a law that is symmetric
    all outcomes with one sign, and then all with the other."""
    if sum(move.odds) >= MAX_DENOMINATOR:
        raise BadInput(
            f"the probabilities have the common denominator {sum(move.odds):.3g}, beyond 2⁶²: round them to simpler fractions"
        )
    plus, *others = _variants(move, values)
    if not others:
        return Outcomes(plus, move.odds)
    (minus,) = others
    if np.array_equal(minus, -plus):
        return Outcomes(np.hstack([plus, minus]), move.odds * 2)
    return Outcomes(np.stack([plus, minus], axis=2).reshape(len(plus), -1), tuple(np.repeat(move.odds, 2).tolist()))


def _variants(move: RandomMove, values: Values) -> list[np.ndarray]:
    """The numbers of every row, with each of the signs."""
    program = with_values(Program.of({"a": Matrix.column(move.drawn)}), values)
    return [_with_sign(program, move, sign) for sign in move.signs]


def _with_sign(program: Program, move: RandomMove, sign: int) -> np.ndarray:
    """a_1 … a_K (the rows) for every row of the table (the columns)."""
    numbers = [[FLOAT64.constant(c) for c in column] for column in move.columns]
    rows = np.array([*numbers, [sign] * len(move.odds)], dtype=float).T
    return np.ascontiguousarray(evaluate(program, (*move.columns.values(), SIGN), rows)["a"].T)


def with_values(program: Program, values: Values) -> Program:
    """The program with numbers in place of some of its symbols."""
    return Program(
        tuple(
            Instruction("constant", (), values[i.value]) if i.op == "symbol" and i.value in values else i
            for i in program.instructions
        ),
        program.outputs,
    )
