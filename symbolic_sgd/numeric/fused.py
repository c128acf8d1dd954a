"""SGD and the limiting SDE, compiled with their random numbers into one loop (`pip install 'symbolic-sgd[fast]'`)."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.guard import check_starts
from symbolic_sgd.numeric.host import HostBackend
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.numeric.random_step import RandomStep, sde_step, sgd_step
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.theorem.derivation import Derivation

EXAMINED = 4096
"""Points examined at a time."""

Loop = Callable[[np.ndarray, np.ndarray, np.ndarray, int], None]
"""(x, states, parameters, count): make `count` steps from each row of x, in place."""


class LoopBackend(HostBackend):
    """A back end that also compiles a random step with the generation of its random numbers."""

    @abstractmethod
    def loop(self, step: RandomStep) -> Loop:
        """Many steps in one call, of B rows of points, B×D; row i of `states`, B×4, is the state of replica i's own generator.

        Args:
            step: one step of h or η, which the loop is given with its numbers.
        """


@dataclass(frozen=True)
class FusedSGD:
    """x(k+1) = x(k) − η(∇L + s_ξ), compiled: each row of x is a replica with a random number generator of its own.

    A replica's path depends on the seed, its row, and x, but not on the threads nor on the processor's vectors (beyond
    rounding). Samples are drawn with odds that differ from the exact ones by at most n/2³², where n is their number (and
    not at all for powers of 2).

    Args:
        problem: the loss and its noise.
        backend: an LLVM object.

    Raises:
        BadInput: a replica has left the numbers of float64: the learning rate is too large.

    >>> import sympy as sp
    >>> from symbolic_sgd import LLVM, LabelNoise
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> FusedSGD(problem, LLVM())([[1.0, 1.0]] * 3, learning_rate=0.1, count=10, seed=0).shape
    (3, 2)
    """

    problem: Problem
    backend: LoopBackend

    def __post_init__(self) -> None:
        _check(self.problem, Problem, self.backend)

    def __call__(self, x: Any, /, *, learning_rate: float, count: int, seed: Any, **constants: float) -> np.ndarray:
        """`count` steps from x, (..., D)."""
        rate = _positive("learning_rate", learning_rate)
        moved = _run(self._loop, self.problem, x, [rate], count, seed, constants)
        if not np.isfinite(moved).all():
            lost = int((~np.isfinite(moved).all(axis=-1)).sum())
            raise BadInput(f"{lost} replicas diverged within {count} steps: learning_rate={rate:g} is too large there")
        return moved

    @cached_property
    def _loop(self) -> Loop:
        return self.backend.loop(sgd_step(self.problem))

    def __reduce__(self) -> tuple[Any, ...]:
        return FusedSGD, (self.problem, self.backend)


@dataclass(frozen=True)
class FusedSDE:
    """Euler and Maruyama's scheme for the limiting SDE with Newton steps back to Γ, compiled; see `sde_step`.

    Args:
        derivation: the SDE (`sde.derivation`).
        backend: an LLVM object.
        projections: Newton steps after each step.
        check: whether the first and the last points are examined as `lambdify` examines them.

    Raises:
        OffManifold, SingularPoint: the first or the last points are not where the formulas hold.

    >>> import sympy as sp
    >>> from symbolic_sgd import LLVM, IsotropicNoise, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=IsotropicNoise(1)))
    >>> FusedSDE(sde.derivation, LLVM())([[1.0, 1.0]] * 3, time_step=0.01, count=10, seed=0).shape
    (3, 2)
    """

    derivation: Derivation
    backend: LoopBackend
    projections: int = 2
    check: bool = True

    def __post_init__(self) -> None:
        _check(self.derivation, Derivation, self.backend)
        if not isinstance(self.projections, int) or self.projections < 0:
            raise BadInput(f"projections is {self.projections!r}; give the number of Newton steps, an integer ≥ 0")

    def __call__(self, x: Any, /, *, time_step: float, count: int, seed: Any, **constants: float) -> np.ndarray:
        """`count` steps of length h from x, (..., D)."""
        h, problem = _positive("time_step", time_step), self.derivation.problem
        self._examine(as_points(x, problem.dimension), constants)
        moved = _run(self._loop, problem, x, [h, np.sqrt(h)], count, seed, constants)
        self._examine(moved, constants)
        return moved

    def _examine(self, points: np.ndarray, constants: Mapping[str, Any]) -> None:
        problem = self.derivation.problem
        columns = constant_columns(problem.constants, constants, points.shape[:-1])
        rows = np.concatenate([points.reshape(-1, problem.dimension), *columns], axis=1)
        for start in range(0, len(rows) if self.check else 0, EXAMINED):
            check_starts(self.derivation, rows[start : start + EXAMINED])

    @cached_property
    def _loop(self) -> Loop:
        return self.backend.loop(sde_step(self.derivation, projections=self.projections))

    def __reduce__(self) -> tuple[Any, ...]:
        return FusedSDE, (self.derivation, self.backend, self.projections, self.check)


def _run(
    loop: Loop, problem: Problem, x: Any, lengths: list[float], count: int, seed: Any, constants: Mapping[str, Any]
) -> np.ndarray:
    points = as_points(x, problem.dimension)
    moved = np.array(points, dtype=float, order="C").reshape(-1, problem.dimension)
    columns = constant_columns(problem.constants, constants, ())
    if not isinstance(count, int | np.integer) or count < 0:
        raise BadInput(f"count is {count!r}; give the number of steps, an integer ≥ 0")
    try:
        generator = np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise BadInput(f"seed is {seed!r}; give an integer ≥ 0 or a NumPy Generator") from error
    states = generator.integers(0, 2**64, size=(len(moved), 4), dtype=np.uint64)
    if count and len(moved):
        loop(moved, states, np.array([*lengths, *(float(c[0, 0]) for c in columns)]), int(count))
    return moved.reshape(points.shape)


def _check(stated: Any, kind: type, backend: Any) -> None:
    if not isinstance(stated, kind):
        raise BadInput(f"the first argument is a {type(stated).__name__}; give a {kind.__name__}")
    if not isinstance(backend, LoopBackend):
        raise BadInput(f"backend is {backend!r}, which does not compile loops; give LLVM()")


def _positive(name: str, value: Any) -> float:
    if not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
        raise BadInput(f"{name} is {value!r}; give a positive number")
    return float(value)
