"""SGD: x⁺ = x − η(∇L + noise)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.optimizers.kernel import LYAPUNOV, A, B, Kernel
from symbolic_sgd.optimizers.optimizer import (
    Forces,
    Iteration,
    Optimizer,
    stated_number,
    stated_potential,
    stated_rate,
)


@dataclass(frozen=True)
class SGD(Optimizer):
    """x⁺ = x − η(∇L + noise).

    With learning_rate=None η tends to 0 and t = kη² (Li, Wang & Arora 2022). With a learning rate that stays the noise tends to 0,
    t = kη²ε², k(a, b) = 1/(a + b − ηab), and Γ attracts where ηλ₁ < 2.

    Args:
        learning_rate: η, a number or a positive symbol.
        weight_decay: w: ηε²·wx is added to the gradient (η·wx where η tends to 0), so that −w∂Φx is added to the drift.
        slow_potential: R, an expression in the parameters; −∂Φ∇R is added likewise.

    Raises:
        BadInput: a number that makes no sense.

    >>> SGD(learning_rate=0.25).edge
    8
    """

    takes_perturbations: ClassVar[bool] = True

    label: ClassVar[str] = "SGD"

    learning_rate: Any = None
    weight_decay: Any = 0
    slow_potential: Any = 0

    def __post_init__(self) -> None:
        own = object.__setattr__
        own(self, "learning_rate", stated_rate(self.learning_rate))
        own(self, "weight_decay", stated_number(self.weight_decay, "weight_decay"))
        own(self, "slow_potential", stated_potential(self.slow_potential))

    @property
    def kernel(self) -> Kernel:
        if not self.is_finite:
            return LYAPUNOV
        return Kernel.of("the inverse of C ↦ HC + CH − ηHCH", 1 / (A + B - self.rate * A * B))

    @property
    def edge(self) -> Expression | None:
        return 2 / self.rate if self.is_finite else None

    @property
    def decay(self) -> Expression:
        return self.weight_decay

    @property
    def equation(self) -> str:
        return r"x_{k+1} = x_k - \eta\,(\nabla L(x_k) + \text{noise})"

    @property
    def iteration(self) -> Iteration:
        return Iteration(0, 1, 1, _update)


def _update(state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
    (x,) = state
    return (x - forces.force(x, 0).scaled(rate),)
