"""An optimizer compiled with its random numbers into one loop, as the simulators take it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.backends.register_machine import NumPy
from symbolic_sgd.numeric.fused import Loop, LoopBackend
from symbolic_sgd.numeric.optimizer_move import OptimizerMove, optimizer_move, sgd_as_optimizer
from symbolic_sgd.numeric.random_move import ALL, RandomMove
from symbolic_sgd.numeric.random_step import RandomStep, looked_up
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.simulate.sgd import Law, Values, with_values
from symbolic_sgd.simulate.steps import ManySteps

NO_NUMBERS = np.empty(0)
"""What is given to steps whose numbers are all in them."""


@dataclass(frozen=True)
class CompiledSteps(ManySteps):
    """z ← G(z, ξ), z = (x, memory), with the random numbers that ξ is made of.

    Args:
        step: G, with numbers for all its parameters.
        backend: what compiles it.
    """

    step: RandomStep
    backend: LoopBackend

    @property
    def dimension(self) -> int:
        return len(self.step.state)

    @property
    def words(self) -> int:
        return self.step.words

    @property
    def arithmetic(self) -> str:
        return type(self.backend).__name__

    def run(self, x: np.ndarray, states: np.ndarray, count: int) -> None:
        self._loop(x, states, NO_NUMBERS, count)

    @cached_property
    def _loop(self) -> Loop:
        return self.backend.loop(self.step)

    def __reduce__(self) -> tuple[Any, ...]:
        return CompiledSteps, (self.step, self.backend)


def compiling(backend: Any) -> LoopBackend | None:
    """The back end that compiles a simulation; None of NumPy, which does not.

    Raises:
        BadInput: it is neither.
    """
    if backend is None or isinstance(backend, NumPy):
        return None
    if not isinstance(backend, LoopBackend):
        raise BadInput(f"backend is {backend!r}; simulations run by NumPy() (default) or LLVM()")
    return backend


def compiled_sgd(
    problem: Problem, law: Law, rate: Fraction, scale: Fraction, values: Values, backend: LoopBackend
) -> CompiledSteps:
    """SGD with learning rate η, noise scale ε and these values of the constants; see `simulate.sgd`.

    Raises:
        BadInput, ProblemTooLarge: its draws are not made by one row of a table.
    """
    moves = law.moves(problem, rate, scale)
    return _cheapest(((sgd_as_optimizer(problem, move), move) for move in moves), values, backend)


def compiled_iteration(
    optimizer: Optimizer,
    problem: Problem,
    law: Law,
    rate: Fraction | None,
    scale: Fraction,
    values: Values,
    backend: LoopBackend,
) -> CompiledSteps:
    """Any optimizer, whose draws are independent; the arguments are those of `simulate.sgd.iterated`.

    Raises:
        BadInput, ProblemTooLarge: its draws are not each made by one row of a table.
    """
    if optimizer.reshuffles:
        raise BadInput(
            f"{optimizer.label} draws an order of all samples, and a compiled step draws rows of a table one by one: leave backend= out"
        )
    draws = law.moves(optimizer.noise_source(problem), ALL, scale)
    return _cheapest(((optimizer_move(optimizer, problem, d, rate, scale), d) for d in draws), values, backend)


def _cheapest(moves: Iterator[tuple[OptimizerMove, RandomMove]], values: Values, backend: LoopBackend) -> CompiledSteps:
    step = min((looked_up(*move) for move in moves), key=lambda step: step.cost)
    return CompiledSteps(replace(step, program=with_values(step.program, values)), backend)
