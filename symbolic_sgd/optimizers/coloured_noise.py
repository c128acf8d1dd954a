"""SGD whose noise remembers: an autoregressive sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.optimizers.kernel import A, B, Kernel
from symbolic_sgd.optimizers.optimizer import (
    Forces,
    Iteration,
    Optimizer,
    stated_number,
    stated_rate,
)


@dataclass(frozen=True)
class ColouredNoise(Optimizer):
    """n⁺ = rn + σ(x)ξ, x⁺ = x − η(∇L + n⁺): Σ = σσᵀ is the covariance of the innovations, Σ/(1−r²) that of the noise.

    With p_a = 1 − ηa, k(a, b) = (1 + rp_a/(1−rp_a) + rp_b/(1−rp_b))/((1−r²)(a + b − ηab)), τ = 1/(1−r)², and t = kη²ε² (kη² where η
    tends to 0: then k(a, b) = 1/((1−r)²(a + b))). Γ attracts where ηλ₁ < 2.

    Args:
        correlation: r, −1 < r < 1, between the noises of successive steps.
        learning_rate: η; None where it tends to 0.

    Raises:
        BadInput: a number that makes no sense.

    >>> ColouredNoise(correlation=0.5).tangent_factor
    4
    """

    label: ClassVar[str] = "SGD with coloured noise"

    correlation: Any
    learning_rate: Any = None

    def __post_init__(self) -> None:
        correlation = stated_number(self.correlation, "correlation", least=-1, below=1)
        object.__setattr__(self, "correlation", correlation)
        object.__setattr__(self, "learning_rate", stated_rate(self.learning_rate))

    @property
    def kernel(self) -> Kernel:
        r, eta = self.correlation, self.rate if self.is_finite else 0
        memory = lambda a: r * (1 - eta * a) / (1 - r * (1 - eta * a))  # noqa: E731
        form = (1 + memory(A) + memory(B)) / ((1 - r**2) * (A + B - eta * A * B))
        return Kernel.of("the kernel of coloured noise", form)

    @property
    def edge(self) -> Expression | None:
        return 2 / self.rate if self.is_finite else None

    @property
    def tangent_factor(self) -> Expression:
        return 1 / (1 - self.correlation) ** 2

    @property
    def positive_numbers(self) -> tuple[Expression, ...]:
        return () if self.correlation.is_number else (1 - self.correlation,)

    @property
    def letters(self) -> dict[str, Expression]:
        return super().letters | {"r": self.correlation}

    @property
    def equation(self) -> str:
        return r"n_{k+1} = r\,n_k + \text{noise}, \quad x_{k+1} = x_k - \eta\,(\nabla L(x_k) + n_{k+1})"

    @property
    def iteration(self) -> Iteration:
        return Iteration(1, 1, 1, self._update)

    def _update(self, state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
        x, memory = state
        memory = memory.scaled(from_sympy(self.correlation, rate.graph)) + forces.noise(x, 0)
        return x - (forces.gradient(x) + memory).scaled(rate), memory
