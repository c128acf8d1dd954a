"""An optimizer on a loss that every step perturbs: the mean of its gradients is another than ∇L."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.optimizers.kernel import Kernel
from symbolic_sgd.optimizers.optimizer import Iteration, Optimizer
from symbolic_sgd.problems.symbols import real_gradient

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class OnPerturbedLoss(Optimizer):
    """Steps with the gradient of L̂(x, εξ), whose mean is ∇L + ε²∇R₀ and whose noise is σ = ∂_x∂_ξL̂V^{1/2}, to second order in ε.

    In kγε², where R₀ is not constant on Γ, the drift is −∂Φ∇R₀ + γ·(that of the noise in kγ²ε²); where it is, t = kγ²ε².

    Args:
        base: the optimizer as stated, at a learning rate that stays.
        potential: R₀.
        leads: whether R₀ varies on Γ, so that t = kγε².

    Source: twice the derivative of Φ∘G = Φ with G_ξξ[V] = −2γ∇R₀ (theorem/map_limit.py).
    """

    base: Optimizer
    potential: Expression
    leads: bool

    @property
    def mean_potential(self) -> Expression | None:
        return self.potential if self.leads else None

    @property
    def stated(self) -> Optimizer:
        return self.base

    @property
    def label(self) -> str:  # type: ignore[override]
        return self.base.label

    @property
    def learning_rate(self) -> Expression:  # type: ignore[override]
        return self.base.learning_rate

    @property
    def effective_rate(self) -> Expression:
        return self.base.effective_rate

    @property
    def pace(self) -> Expression:
        return self.base.effective_rate if self.leads else sp.S.One

    @property
    def pace_words(self) -> tuple[str, ...]:
        shown, rate = self.potential, self.effective_rate
        if self.leads:
            return (
                f"The perturbed loss has the mean L + ε²R₀ with R₀ = {shown}, which varies on Γ or was not proved constant there: the time "
                f"is t = kγε², with γ = {rate}.",
            )
        return (
            f"The perturbed loss has the mean L + ε²R₀ with R₀ = {shown}, which is proved constant on Γ: the time is t = kγ²ε², with "
            f"γ = {rate}.",
        )

    @property
    def kernel(self) -> Kernel | None:
        return None if self.base.kernel is None else self.base.kernel.scaled(self.pace)

    @property
    def tangent_factor(self) -> Expression:
        return self.base.tangent_factor * self.pace

    @property
    def edge(self) -> Expression | None:
        return self.base.edge

    @property
    def curves_noise(self) -> bool:
        return self.leads

    @property
    def curvature_regularizes(self) -> bool:
        return self.leads

    @property
    def decay(self) -> Expression:
        return self.base.decay

    @property
    def slow_potential(self) -> Expression:
        return self.base.slow_potential

    @property
    def equation(self) -> str:
        return self.base.equation.replace(
            r"(\nabla L(x_k) + \text{noise})", r"\partial_x \hat L(x_k, \epsilon\,\xi_k)"
        ).replace(r"\nabla L(x_k) + \text{noise}", r"\partial_x \hat L(x_k, \epsilon\,\xi_k)").replace(
            r"(\nabla L(y^{(w)}_j) + \text{noise})", r"\partial_x \hat L(y^{(w)}_j, \epsilon\,\xi^{(w)}_j)"
        )  # fmt: skip

    @property
    def letters(self) -> dict[str, Expression]:
        return self.base.letters

    @property
    def iteration(self) -> Iteration:
        return self.base.iteration

    @property
    def own_symbols(self) -> tuple[sp.Symbol, ...]:
        return self.base.own_symbols

    def drift_fields(self, problem: "Problem") -> dict[str, tuple[Expression, ...]]:
        led = {"noise_curvature_drift": tuple(real_gradient(self.potential, problem.parameters))}
        return super().drift_fields(problem) | (led if self.leads else {})
