"""Local SGD: workers run alone, and average their parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput
from symbolic_sgd.optimizers.kernel import LARGEST_POWER, LYAPUNOV, A, B, Kernel
from symbolic_sgd.optimizers.optimizer import Forces, Iteration, Optimizer, stated_number, stated_rate, whole_number


@dataclass(frozen=True)
class LocalSGD(Optimizer):
    """K workers start a round at the same point, take n steps of SGD each, and average.

    With q = (1−ηa)(1−ηb), k(a, b) = (1 − (1 − 1/K)(1 + q + … + qⁿ⁻¹)/n)/(a + b − ηab), τ = 1/K, and t = kη²ε² counts the steps of a
    worker. Γ attracts where ηλ₁ < 2.

    As η → 0 with rounds of the time ηn = α, k(a, b) = (αs − (1 − 1/K)(1 − e^{−αs}))/(αs²) with s = a + b, and t = kη²: from SGD with K
    times the batch, as α → 0, to the drift of one worker with the noise of K, as α → ∞.

    Args:
        workers: K, how many.
        steps: n, of a worker in a round.
        learning_rate: η.
        round_time: α, instead of steps and learning_rate.

    Raises:
        BadInput: a number that makes no sense, or both ways to state a round.

    Source: Gu, Lyu, Huang and Arora (ICLR 2023), for label noise as η → 0.

    >>> LocalSGD(workers=2, steps=1, learning_rate=0.5).tangent_factor
    1/2
    >>> LocalSGD(workers=1, round_time=3).kernel.shown
    Lambda((a, b), 1/(a + b))
    """

    takes_perturbations: ClassVar[bool] = True

    label: ClassVar[str] = "Local SGD"

    workers: Any
    steps: Any = None
    learning_rate: Any = None
    round_time: Any = None

    def __post_init__(self) -> None:
        own = object.__setattr__
        own(self, "workers", whole_number(self.workers, "workers"))
        if self.round_time is not None:
            if self.steps is not None or self.learning_rate is not None:
                raise BadInput("with round_time= the learning rate tends to 0: leave steps= and learning_rate= out")
            own(self, "round_time", stated_number(self.round_time, "round_time", least=0))
            return
        if self.learning_rate is None:
            raise BadInput("LocalSGD takes steps=n and learning_rate=η, or round_time=α for ηn = α as η → 0")
        own(self, "steps", whole_number(self.steps, "steps"))
        own(self, "learning_rate", stated_rate(self.learning_rate))

    @property
    def kernel(self) -> Kernel:
        if self.round_time is not None:
            return self._kernel_of_rounds
        alone, below = 1 - sp.Rational(1, self.workers), A + B - self.rate * A * B
        if self.steps > LARGEST_POWER:
            decayed = ((1 - self.rate * A) * (1 - self.rate * B)) ** self.steps
            together = (1 - decayed) / (self.steps * self.rate * below)
            return Kernel("the kernel of Local SGD", sp.Lambda((A, B), (1 - alone * together) / below))
        q = sp.expand((1 - self.rate * A) * (1 - self.rate * B))
        above = 1 - alone * sp.Add(*[q**t for t in range(self.steps)]) / self.steps
        # below is irreducible, and 0 where q = 1: there above is 1/K.
        return Kernel.of_coprime("the kernel of Local SGD", above, below)

    @property
    def _kernel_of_rounds(self) -> Kernel:
        """α → 0 of the other, in q ⁿ → e^{−α(a + b)}."""
        both, alone = A + B, 1 - sp.Rational(1, self.workers)
        if alone == 0:
            return LYAPUNOV
        along = self.round_time * both
        return Kernel.of("the kernel of Local SGD", (along - alone * (1 - sp.exp(-along))) / (along * both))

    @property
    def edge(self) -> Expression | None:
        return 2 / self.rate if self.is_finite else None

    @property
    def whole_time(self) -> Expression | None:
        return self.round_time

    def at(self, rate: Expression) -> Optimizer:
        ratio = self.round_time / rate
        steps = max(1, round(ratio))
        if float(self.round_time / steps) != float(rate):  # a number is the float that it is closest to
            raise BadInput(
                f"at the learning rate {float(rate):.6g} a round of the time {self.round_time} is {float(ratio):.6g} steps: give a "
                "learning rate that divides it"
            )
        return LocalSGD(workers=self.workers, steps=steps, learning_rate=self.round_time / steps)

    @property
    def tangent_factor(self) -> Expression:
        return sp.Rational(1, self.workers)

    @property
    def map_unit(self) -> Expression:
        if self.round_time is not None:
            return self.round_time * self.rate
        return super().map_unit

    @property
    def letters(self) -> dict[str, Expression]:
        round_of = {"n": sp.Integer(self.steps)} if self.is_finite else {r"\eta n": self.round_time}
        return super().letters | {"K": sp.Integer(self.workers), **round_of}

    @property
    def equation(self) -> str:
        return (
            r"y^{(w)}_0 = x_k, \quad y^{(w)}_{j+1} = y^{(w)}_j - \eta\,(\nabla L(y^{(w)}_j) + \text{noise}), "
            r"\quad x_{k+1} = \tfrac1K \textstyle\sum_w y^{(w)}_n"
        )

    @property
    def iteration(self) -> Iteration:
        return Iteration(0, self.workers * self.steps, self.steps, self._update)

    def _update(self, state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
        (x,) = state
        ends = []
        for worker in range(self.workers):
            y = x
            for step in range(self.steps):
                y = y - forces.force(y, worker * self.steps + step).scaled(rate)
            ends.append(y)
        total = ends[0]
        for end in ends[1:]:
            total = total + end
        return (total.map(lambda entry: entry / self.workers),)
