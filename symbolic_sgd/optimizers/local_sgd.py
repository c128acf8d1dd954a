"""Local SGD: workers run alone, and average their parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput
from symbolic_sgd.optimizers.kernel import A, B, Kernel
from symbolic_sgd.optimizers.optimizer import Forces, Iteration, Optimizer, stated_rate, whole_number


@dataclass(frozen=True)
class LocalSGD(Optimizer):
    """K workers start a round at the same point, take n steps of SGD each, and average.

    With q = (1−ηa)(1−ηb), k(a, b) = (1 − (1 − 1/K)(1 + q + … + qⁿ⁻¹)/n)/(a + b − ηab), τ = 1/K, and t = kη²ε² counts the steps of a
    worker. Γ attracts where ηλ₁ < 2.

    Args:
        workers: K.
        steps: n, of a worker in a round.
        learning_rate: η.

    Raises:
        BadInput: a number that makes no sense.

    >>> LocalSGD(workers=2, steps=1, learning_rate=0.5).tangent_factor
    1/2
    """

    label: ClassVar[str] = "Local SGD"

    workers: Any
    steps: Any = None
    learning_rate: Any = None

    def __post_init__(self) -> None:
        own = object.__setattr__
        own(self, "workers", whole_number(self.workers, "workers"))
        own(self, "steps", whole_number(self.steps, "steps"))
        own(self, "learning_rate", stated_rate(self.learning_rate))
        if self.learning_rate is None:
            raise BadInput("LocalSGD takes a learning rate: give learning_rate=η")

    @property
    def kernel(self) -> Kernel:
        q = sp.expand((1 - self.rate * A) * (1 - self.rate * B))
        together = sp.Add(*[q**t for t in range(self.steps)]) / self.steps
        form = (1 - (1 - sp.Rational(1, self.workers)) * together) / (A + B - self.rate * A * B)
        return Kernel.of("the kernel of Local SGD", form)

    @property
    def edge(self) -> Expression | None:
        return 2 / self.rate

    @property
    def tangent_factor(self) -> Expression:
        return sp.Rational(1, self.workers)

    @property
    def letters(self) -> dict[str, Expression]:
        return super().letters | {"K": sp.Integer(self.workers), "n": sp.Integer(self.steps)}

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
