"""Momentum: the heavy ball, and Nesterov's step."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput
from symbolic_sgd.optimizers.kernel import LYAPUNOV, A, B, Kernel
from symbolic_sgd.optimizers.optimizer import (
    Forces,
    Iteration,
    Optimizer,
    stated_number,
    stated_rate,
)

EFFECTIVE_RATE = sp.Symbol("gamma", positive=True)
"""γ = η/(1 − β) where it tends to 0 together with 1 − β."""


class Momentum(Optimizer):
    """m⁺ = βm + g with a fixed β: t = kγ²ε² (kγ² where η tends to 0), γ = η/(1 − β)."""

    takes_perturbations: ClassVar[bool] = True

    momentum: Any

    @property
    def effective_rate(self) -> Expression:
        return self.rate / (1 - self.momentum)

    @property
    def kernel(self) -> Kernel:
        return self._finite_kernel if self.is_finite else LYAPUNOV

    @property
    def positive_numbers(self) -> tuple[Expression, ...]:
        beta = self.momentum
        return (1 - beta,) if self.is_finite and beta is not None and not beta.is_number else ()

    @property
    def letters(self) -> dict[str, Expression]:
        return super().letters | {r"\beta": self.momentum}

    @property
    @abstractmethod
    def _finite_kernel(self) -> Kernel:
        """k at a learning rate that stays."""


@dataclass(frozen=True)
class HeavyBall(Momentum):
    """m⁺ = βm + ∇L + noise, x⁺ = x − ηm⁺ (Polyak; PyTorch's momentum).

    With γ = η/(1 − β), t = kγ²ε² and k(a, b) = (1−β²)/((1−β²)(a+b) − γ(a−βb)(b−βa)); Γ attracts where ηλ₁ < 2(1+β). Where η tends
    to 0 at a fixed β it is SGD at γ. With friction=c, 1 − β = cγ and γ tend to 0 together: k(a, b) = 2c/(2c(a+b) + (a−b)²), t = kγ².

    Args:
        momentum: β, −1 < β < 1.
        learning_rate: η; None where it tends to 0.
        weight_decay: w: γε²·wx is added to the gradient, so that −w∂Φx is added to the drift.
        friction: c, instead of momentum and learning_rate.

    Raises:
        BadInput: a number that makes no sense, or both momentum and friction.

    >>> HeavyBall(momentum=0.5, learning_rate=0.125).edge
    24
    """

    label: ClassVar[str] = "the heavy ball"

    momentum: Any = None
    learning_rate: Any = None
    weight_decay: Any = 0
    friction: Any = None

    def __post_init__(self) -> None:
        own = object.__setattr__
        own(self, "weight_decay", stated_number(self.weight_decay, "weight_decay"))
        if (self.momentum is None) == (self.friction is None):
            raise BadInput("HeavyBall takes momentum=β, or friction=c for 1 − β = cγ → 0: give one of the two")
        if self.friction is not None:
            if self.learning_rate is not None:
                raise BadInput("with friction= the learning rate tends to 0: leave learning_rate= out")
            own(self, "friction", stated_number(self.friction, "friction", least=0))
            return
        own(self, "momentum", stated_number(self.momentum, "momentum", least=-1, below=1))
        own(self, "learning_rate", stated_rate(self.learning_rate))

    @property
    def rate(self) -> Expression:
        return super().rate if self.friction is None else EFFECTIVE_RATE

    @property
    def effective_rate(self) -> Expression:
        return super().effective_rate if self.friction is None else EFFECTIVE_RATE

    @property
    def kernel(self) -> Kernel:
        c = self.friction
        if c is None:
            return super().kernel
        return Kernel.of("the kernel 2c/(2c(a + b) + (a − b)²)", 2 * c / (2 * c * (A + B) + (A - B) ** 2))

    @property
    def letters(self) -> dict[str, Expression]:
        return super().letters if self.friction is None else {"c": self.friction}

    @property
    def _finite_kernel(self) -> Kernel:
        beta, gamma = self.momentum, self.effective_rate
        sum_of_both = (1 - beta**2) * (A + B)
        form = (1 - beta**2) / (sum_of_both - gamma * (A - beta * B) * (B - beta * A))
        return Kernel.of("the kernel of the heavy ball", form)

    @property
    def edge(self) -> Expression | None:
        return 2 * (1 + self.momentum) / self.rate if self.is_finite else None

    def at(self, rate: Expression) -> Optimizer:
        if self.friction is None:
            return super().at(rate)
        gap = self.friction * rate
        if gap >= 2:
            raise BadInput(
                f"at γ = {rate} the friction {self.friction} makes β = 1 − cγ = {1 - gap}: make γ smaller than 2/c"
            )
        return HeavyBall(momentum=1 - gap, learning_rate=gap * rate, weight_decay=self.weight_decay)

    @property
    def decay(self) -> Expression:
        return self.weight_decay

    @property
    def equation(self) -> str:
        step = r"m_{k+1} = \beta m_k + \nabla L(x_k) + \text{noise}, \quad x_{k+1} = x_k - \eta\,m_{k+1}"
        return step if self.friction is None else rf"{step}, \quad \beta = 1 - c\gamma, \quad \eta = c\gamma^2"

    @property
    def iteration(self) -> Iteration:
        return Iteration(1, 1, 1, self._update)

    def _update(self, state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
        x, m = state
        if self.friction is None:
            beta, eta = from_sympy(self.momentum, rate.graph), rate
        else:  # the rate is γ
            gap = from_sympy(self.friction, rate.graph) * rate
            beta, eta = 1 - gap, rate * gap
        m = m.scaled(beta) + forces.force(x, 0)
        return x - m.scaled(eta), m


@dataclass(frozen=True)
class Nesterov(Momentum):
    """m⁺ = βm + g, x⁺ = x − η(g + βm⁺) with g = ∇L + noise (PyTorch's `nesterov=True`).

    With γ = η/(1 − β), t = kγ²ε², and Γ attracts where ηλ₁ < 2(1+β)/(1+2β).

    Args:
        momentum: β, 0 ≤ β < 1.
        learning_rate: η; None where it tends to 0.

    Raises:
        BadInput: a number that makes no sense.

    >>> Nesterov(momentum=0.5, learning_rate=0.125).edge
    12
    """

    label: ClassVar[str] = "Nesterov's method"

    momentum: Any
    learning_rate: Any = None

    def __post_init__(self) -> None:
        momentum = stated_number(self.momentum, "momentum", below=1)
        if momentum.is_nonnegative is False:
            raise BadInput(f"momentum is {self.momentum}; Nesterov's method takes 0 ≤ β < 1")
        object.__setattr__(self, "momentum", momentum)
        object.__setattr__(self, "learning_rate", stated_rate(self.learning_rate))

    @property
    def _finite_kernel(self) -> Kernel:
        """X₁₁/γ with X = A_a X A_bᵀ + nnᵀ for the modes (x, m): A_λ = [[1 − η(1+β)λ, −ηβ²], [λ, β]], n = (−η(1+β), 1)."""
        beta, eta = self.momentum, self.rate
        mode = lambda a: sp.Matrix([[1 - eta * (1 + beta) * a, -eta * beta**2], [a, beta]])  # noqa: E731
        n = sp.Matrix([-eta * (1 + beta), 1])
        entries = sp.Matrix(2, 2, sp.symbols("x_:4"))
        equation = entries - mode(A) * entries * mode(B).T - n * n.T
        covariance = sp.solve(equation.flat(), entries.flat(), dict=True)[0][entries[0, 0]]
        return Kernel.of("the kernel of Nesterov's method", covariance / self.effective_rate)

    @property
    def edge(self) -> Expression | None:
        return 2 * (1 + self.momentum) / ((1 + 2 * self.momentum) * self.rate) if self.is_finite else None

    @property
    def equation(self) -> str:
        return (
            r"g_k = \nabla L(x_k) + \text{noise}, \quad m_{k+1} = \beta m_k + g_k, "
            r"\quad x_{k+1} = x_k - \eta\,(g_k + \beta m_{k+1})"
        )

    @property
    def iteration(self) -> Iteration:
        return Iteration(1, 1, 1, self._update)

    def _update(self, state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
        x, m = state
        beta, g = from_sympy(self.momentum, rate.graph), forces.force(x, 0)
        m = m.scaled(beta) + g
        return x - (g + m.scaled(beta)).scaled(rate), m
