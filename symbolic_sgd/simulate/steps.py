"""One step of each process, for all replicas of a chunk at once. Steppers take increments; they own no generator. (Compiled steps,
`ManySteps`, are many of them, with the generators of their replicas.)

Arrays hold one row a coordinate and one column a replica. A stepper's `bind(replicas)` makes its work space and gives the
function step(x, a) that changes x in place, a being the increments of the step.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from symbolic_sgd.errors import BadInput, Diverged
from symbolic_sgd.simulate.increments import FairSignAndNormals, Increments, Normals

Field = Callable[[np.ndarray, np.ndarray], None]
"""f(x, out): a vector field at x (D×R), written to `out` (D×R)."""

DrivenField = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""f(x, a, out): a vector field that depends on increments a (K×R), written to `out` (D×R)."""

Step = Callable[[np.ndarray, np.ndarray], None]
"""step(x, a): moves x (D×R) in place."""

NEWTON_STEPS = 4
"""Steps back to Γ after each step along it; each squares the distance."""

BACK = 1e-5
"""Length of the last of them, relative to 1 + |x|, after which x counts as on Γ: the next would be of its square."""


class Stepper(Protocol):
    """A rule by which replicas move from one step to the next."""

    @property
    def dimension(self) -> int:
        """Rows of the state: those of the starts, and then a memory that is 0 at the start and is not recorded."""
        ...

    @property
    def increments(self) -> Increments:
        """The law of what one step takes."""
        ...

    def bind(self, replicas: int, done: int = 0) -> Step:
        """The step for so many replicas that have made so many steps, with its own work space."""
        ...


class ManySteps(ABC):
    """A rule that makes many steps at once, and draws their random numbers itself.

    Each replica has a generator of its own (`lanes`), so that its path depends on nothing else.
    """

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Numbers of a state: a position, and then a memory that is 0 at the start and is not recorded."""

    @property
    @abstractmethod
    def words(self) -> int:
        """Words that a replica's generator gives in each step."""

    @property
    @abstractmethod
    def arithmetic(self) -> str:
        """What computes: the last bits are its own."""

    @abstractmethod
    def run(self, x: np.ndarray, states: np.ndarray, count: int) -> None:
        """So many steps of the states x (R×D) with the generators `states` (R×4), in place."""


Mover = Stepper | ManySteps
"""How replicas move."""

NUMPY = "NumPy"
"""What computes the steps of a `Stepper`."""


def arithmetic_of(mover: Mover) -> str:
    """What computes."""
    return mover.arithmetic if isinstance(mover, ManySteps) else NUMPY


@dataclass(frozen=True)
class Descent:
    """x ← x − m(x, a): SGD with m = η(∇L + noise), or the Euler–Maruyama step of its canonical SDE.

    Args:
        dimension: D.
        move: m.
        increments: the law of a.
    """

    dimension: int
    move: DrivenField
    increments: Increments

    def bind(self, replicas: int, done: int = 0) -> Step:
        moved = np.empty((self.dimension, replicas))

        def step(x: np.ndarray, a: np.ndarray) -> None:
            self.move(x, a, moved)
            np.subtract(x, moved, out=x)

        return step


@dataclass(frozen=True)
class Iterated:
    """z ← G(z, a), z = (x, memory): a step of any optimizer.

    Args:
        dimension: of z.
        move: G.
        increments: the law of a.
    """

    dimension: int
    move: DrivenField
    increments: Increments

    def bind(self, replicas: int, done: int = 0) -> Step:
        moved = np.empty((self.dimension, replicas))

        def step(z: np.ndarray, a: np.ndarray) -> None:
            self.move(z, a, moved)
            z[:] = moved

        return step


@dataclass(frozen=True)
class Coupled:
    """The same SGD at several learning rates η/s, side by side in one state of D rows each, with common random numbers.

    A step of the smallest η takes 1/s² of the time of one at η; a slower level moves at every so many steps, with the draw of
    that step. Each level so keeps its own law exactly, and where the averages of several levels are combined (extrapolated
    to η = 0, say) part of the noise cancels.

    Args:
        levels: (rule, at how many steps it moves once).

    Raises:
        BadInput: the levels do not draw by the same law.
    """

    levels: tuple[tuple[Descent, int], ...]

    def __post_init__(self) -> None:
        if not all(rule.increments.same_law(self.increments) for rule, _ in self.levels):
            raise BadInput("levels that share their random numbers must draw them by the same law")

    @property
    def dimension(self) -> int:
        return sum(rule.dimension for rule, _ in self.levels)

    @property
    def increments(self) -> Increments:
        return self.levels[0][0].increments

    def bind(self, replicas: int, done: int = 0) -> Step:
        ends = np.cumsum([rule.dimension for rule, _ in self.levels])
        rules = [
            (slice(end - rule.dimension, end), every, rule.bind(replicas))
            for end, (rule, every) in zip(ends, self.levels, strict=True)
        ]
        count = [done]
        seen: list[Any] = [
            None,
            (),
        ]  # the rows as the same views in every step: programs are prepared for arrays, not for values

        def step(x: np.ndarray, a: np.ndarray) -> None:
            if seen[0] is not x:
                seen[:] = x, [x[rows] for rows, _, _ in rules]
            for view, (_, every, move) in zip(seen[1], rules, strict=True):
                if count[0] % every == 0:
                    move(view, a)
            count[0] += 1

        return step


@dataclass(frozen=True)
class EulerMaruyama:
    """Y ← π(Y + h b(Y) + √h A(Y) a), a ~ N(0, I), with π Newton steps along the normals; weak order 1.

    The projection keeps the order: on Γ a scheme of weak order p has E[g(Y′)φ(Y′)] = O(h^{p+1}) for the equations g of Γ,
    since the SDE's own g(Y) stays 0.

    Args:
        dimension: D.
        sources: Ξ.
        step: h.
        drift: b.
        noise: A(x)a.
        newton: the step back to Γ is x − newton(x).

    Source: Kloeden and Platen, Numerical Solution of Stochastic Differential Equations (1992), section 14.1.
    """

    dimension: int
    sources: int
    step: float
    drift: Field
    noise: DrivenField | None
    newton: Field

    @property
    def increments(self) -> Increments:
        return Normals(0 if self.noise is None else self.sources)

    def bind(self, replicas: int, done: int = 0) -> Step:
        along, across = np.empty((2, self.dimension, replicas))
        root = np.sqrt(self.step)

        def step(x: np.ndarray, a: np.ndarray) -> None:
            self.drift(x, along)
            np.multiply(along, self.step, out=along)
            if self.noise is not None:
                self.noise(x, a, across)
                np.multiply(across, root, out=across)
                np.add(along, across, out=along)
            np.add(x, along, out=x)
            back_to_manifold(self.newton, x, along)

        return step


@dataclass(frozen=True)
class NinomiyaVictoir:
    """Y ← π exp(½hV₀) exp(√h a_Ξ A_Ξ) ⋯ exp(√h a_1 A_1) exp(½hV₀) Y, or its inverse order, each with probability ½; weak order 2.

    V₀ is the Stratonovich drift and A_k are the columns of the diffusion, all tangent to Γ, so that each factor is a flow
    along Γ. The flow of V₀ is followed by Heun's step (error h³), those of A_k by Runge's and Kutta's of order 4, whose
    error (√h a)⁵ has mean zero. Projections keep the order as in `EulerMaruyama`.

    Args:
        dimension: D.
        sources: Ξ.
        step: h.
        drift: V₀.
        noise: A(x)a.
        newton: the step back to Γ is x − newton(x).

    Source: Ninomiya and Victoir, Applied Mathematical Finance 15 (2008) 107–121, theorem 2.1.
    """

    dimension: int
    sources: int
    step: float
    drift: Field
    noise: DrivenField | None
    newton: Field

    @property
    def increments(self) -> Increments:
        return FairSignAndNormals(0 if self.noise is None else self.sources)

    def bind(self, replicas: int, done: int = 0) -> Step:
        shape = (self.dimension, replicas)
        stages = [np.empty(shape) for _ in range(3)]
        one = np.zeros((self.sources, replicas))
        root = np.sqrt(self.step)

        def step(x: np.ndarray, a: np.ndarray) -> None:
            heun(self.drift, x, self.step / 2, stages)
            if self.noise is not None:
                forward, normals = a[0] > 0, a[1:]
                for first in range(self.sources):
                    last = self.sources - 1 - first
                    one[:] = 0
                    one[first] = np.where(forward, normals[first], 0)
                    one[last] += np.where(forward, 0, normals[last])
                    one[:] *= root
                    runge_kutta(self.noise, x, one, stages)
            heun(self.drift, x, self.step / 2, stages)
            back_to_manifold(self.newton, x, stages[0])

        return step


@dataclass(frozen=True)
class Within:
    """Steps along Γ of replicas that have to stay where some numbers are positive: where the optimizer is stable.

    Args:
        along: the steps.
        count: of the numbers.
        positive: x ↦ the numbers.
    """

    along: EulerMaruyama | NinomiyaVictoir
    count: int
    positive: Field

    @property
    def dimension(self) -> int:
        return self.along.dimension

    @property
    def increments(self) -> Increments:
        return self.along.increments

    @property
    def noise(self) -> DrivenField | None:
        """A(x)a."""
        return self.along.noise

    def bind(self, replicas: int, done: int = 0) -> Step:
        move, numbers = self.along.bind(replicas, done), np.empty((self.count, replicas))

        def step(x: np.ndarray, a: np.ndarray) -> None:
            move(x, a)
            self.positive(x, numbers)
            lost = int((~(numbers > 0)).any(axis=0).sum())
            if lost:
                raise Diverged(
                    f"{lost} of {replicas} paths of the limit come to the edge of stability, beyond which the theorem says nothing: "
                    "simulate a shorter time, or a smaller learning rate"
                )

        return step


def heun(field: Field, x: np.ndarray, h: float, stages: list[np.ndarray]) -> None:
    """x ← x + ½h(k₁ + k₂), k₁ = f(x), k₂ = f(x + hk₁), in place."""
    first, second, moved = stages
    field(x, first)
    np.multiply(first, h, out=moved)
    np.add(moved, x, out=moved)
    field(moved, second)
    np.add(first, second, out=first)
    np.multiply(first, h / 2, out=first)
    np.add(x, first, out=x)


RUNGE_KUTTA = ((0.5, 1 / 6), (0.5, 1 / 3), (1.0, 1 / 3), (0.0, 1 / 6))
"""(where the next stage is taken, weight of this stage) of the classical method of order 4."""


def runge_kutta(field: DrivenField, x: np.ndarray, a: np.ndarray, stages: list[np.ndarray]) -> None:
    """One classical Runge–Kutta step of length 1 along x ↦ f(x, a), in place."""
    slope, moved, total = stages
    total[:] = x
    for number, (where, weight) in enumerate(RUNGE_KUTTA):
        field(moved if number else x, a, slope)
        np.multiply(slope, where, out=moved)
        np.add(moved, x, out=moved)
        np.multiply(slope, weight, out=slope)
        np.add(total, slope, out=total)
    x[:] = total


def back_to_manifold(newton: Field, x: np.ndarray, work: np.ndarray) -> None:
    """x ← x − newton(x), a fixed number of times, in place.

    Raises:
        Diverged: the last of the steps was not small: the path has not come back.
    """
    for _ in range(NEWTON_STEPS):
        newton(x, work)
        np.subtract(x, work, out=x)
    left = float(np.abs(work).max(initial=0.0))
    if left > BACK * (1 + float(np.abs(x).max(initial=0.0))):
        raise Diverged(
            f"a step of the limit ends beside Γ, from where {NEWTON_STEPS} Newton steps do not lead back (the last one is {left:.1e} "
            "long): make step smaller"
        )
