"""Random reshuffling: every epoch visits each sample once, in a fresh order."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput
from symbolic_sgd.optimizers.kernel import LARGEST_POWER, A, B, Kernel
from symbolic_sgd.optimizers.optimizer import (
    Forces,
    Iteration,
    Optimizer,
    stated_number,
    stated_potential,
    stated_rate,
)
from symbolic_sgd.problems.law import sums_to_zero
from symbolic_sgd.problems.noise import GradientNoise, LabelNoise, Noise, SamplingNoise

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem

STILL = Kernel("the kernel 0", sp.Lambda((A, B), 0))
"""Of a learning rate that tends to 0."""


@dataclass(frozen=True)
class RandomReshuffling(Optimizer):
    """Epochs of n steps x⁺ = x − η∇ℓ_a, one for each of n samples, in an order that is drawn anew for every epoch.

    The deviations σ_a = (∇ℓ_a − ∇L)/√n sum to zero, Σ = Σ_a σ_aσ_aᵀ, and t = kη² counts steps. As η → 0 no noise is left along Γ, and
    the drift is −½∂Φ Σ_a ∂σ_a σ_a, which for sample losses is −¼∂Φ∇tr Σ: R = ¼ tr Σ.

    At a learning rate that stays a step is x⁺ = x − η(∇L + ε√n σ_a) with ε → 0, σ stated as a matrix whose columns sum to zero, and
    t = kη²ε². Steps that are m apart are correlated by −(n−m)/(n(n−1)) in the mean over an epoch. So with p_a = 1 − ηa

        w(a) = Σ_{1≤m<n} (n−m) p_aᵐ⁻¹/(n(n−1)),   k(a, b) = (1 − p_a w(a) − p_b w(b))/(a + b − ηab),
        b = −½∂ΦT[Σ∘k] − ∂Φ Σ_a ∂σ_a w(∇²L)σ_a,

    where Σ∘k has no part along Γ. Γ attracts where ηλ₁ < 2.

    Args:
        learning_rate: η, a number or a positive symbol; None where it tends to 0.
        weight_decay: w: η·wx is added to the gradient (ηε²·wx at a rate that stays), so that −w∂Φx is added to the drift.
        slow_potential: R, an expression in the parameters; −∂Φ∇R is added likewise.
        samples: n, which is read off the problem.

    Raises:
        BadInput: a number that makes no sense; (with a problem) samples of different weights, or noise that is drawn anew at every step.

    Source: as η → 0, the modified loss L + (η/4)E‖∇ℓ‖² of Smith, Dherin, Barrett and De (ICLR 2021).

    >>> RandomReshuffling(learning_rate=0.25, samples=2).kernel.function(1, 1)
    1/7
    """

    label: ClassVar[str] = "random reshuffling"
    reshuffles: ClassVar[bool] = True

    learning_rate: Any = None
    weight_decay: Any = 0
    slow_potential: Any = 0
    samples: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        own = object.__setattr__
        own(self, "learning_rate", stated_rate(self.learning_rate))
        own(self, "weight_decay", stated_number(self.weight_decay, "weight_decay"))
        own(self, "slow_potential", stated_potential(self.slow_potential))

    def on(self, problem: "Problem") -> "RandomReshuffling":
        return replace(self, samples=samples_of(problem, rate_stays=self.is_finite))

    def check(self, problem: "Problem") -> None:
        samples_of(problem, rate_stays=self.is_finite)

    @property
    def epoch(self) -> int:
        """n, the samples of an epoch.

        Raises:
            BadInput: it was not yet read off a problem.
        """
        if self.samples is None:
            raise BadInput("random reshuffling takes the number of its samples from a problem: derive or simulate one")
        return self.samples

    @property
    def kernel(self) -> Kernel:
        """k of the class's docstring; 0 where η tends to 0."""
        if not self.is_finite:
            return STILL
        n, eta = self.epoch, self.rate
        led = (1 - eta * A) * earlier_steps(n, eta)
        above, below = 1 - led - led.subs(A, B), A + B - eta * A * B
        name = "the kernel of random reshuffling"
        if n - 1 > LARGEST_POWER:
            return Kernel(name, sp.Lambda((A, B), above / below))
        # below is irreducible, and 0 where p_a p_b = 1: there above is a sum of different powers of p_a.
        return Kernel.of_coprime(name, sp.expand(above), below)

    @property
    def edge(self) -> Expression | None:
        return 2 / self.rate if self.is_finite else None

    @property
    def tangent_factor(self) -> Expression:
        return sp.S.Zero

    @property
    def curves_noise(self) -> bool:
        return True

    @property
    def curvature_regularizes(self) -> bool:
        return True

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        return self.own_symbols  # the kernel, which needs n, has no others

    @property
    def decay(self) -> Expression:
        return self.weight_decay

    @property
    def letters(self) -> dict[str, Expression]:
        return super().letters | {"n": sp.Integer(self.epoch)}

    @property
    def equation(self) -> str:
        step = (
            r"\nabla L(x_k) + \epsilon\sqrt{n}\,\sigma_{a_k}(x_k)"
            if self.is_finite
            else r"\nabla L(x_k) + \sqrt{n}\,\sigma_{a_k}(x_k)"
        )
        return rf"x_{{k+1}} = x_k - \eta\,({step}), \quad (a_{{jn}}, \ldots, a_{{jn+n-1}}) \text{{ a permutation of }} 1, \ldots, n"

    @property
    def iteration(self) -> Iteration:
        return _epochs(self.epoch)

    def iteration_of(self, problem: "Problem") -> Iteration:
        return _epochs(samples_of(problem, rate_stays=self.is_finite))

    def noise_statement(self, problem: "Problem") -> str:
        n = samples_of(problem, rate_stays=self.is_finite)
        return f"that of {n} samples, each of which every epoch of {n} steps visits once, in an order drawn anew."


def earlier_steps(n: int, rate: Expression) -> Expression:
    """w in the letter `A`: by how much the steps before it in an epoch of n steps move a sample.

    >>> earlier_steps(2, sp.Rational(1, 4))
    1/2
    """
    return sp.Add(*[sp.Rational(n - m, n * (n - 1)) * (1 - rate * A) ** (m - 1) for m in range(1, n)])


def _epochs(n: int) -> Iteration:
    return Iteration(0, n, n, lambda state, forces, rate: _update(n, state, forces, rate))


def _update(n: int, state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
    (x,) = state
    for step in range(n):
        x = x - forces.force(x, step).scaled(rate)
    return (x,)


def samples_of(problem: "Problem", *, rate_stays: bool) -> int:
    """n, of the samples that an epoch visits.

    Args:
        problem: whose noise is that of samples.
        rate_stays: whether the noise is what tends to 0, and not the learning rate.

    Raises:
        BadInput: the noise is none of equally likely samples; sample losses at a learning rate that stays.
    """
    noise = problem.noise
    if isinstance(noise, SamplingNoise):
        return _of_losses(noise, rate_stays=rate_stays)
    if isinstance(noise, GradientNoise):
        return _of_columns(problem, noise)
    raise BadInput(_drawn_anew(noise))


def _of_losses(noise: SamplingNoise, *, rate_stays: bool) -> int:
    count = len(noise.losses)
    if len(set(noise.weights)) > 1:
        raise BadInput(
            "random reshuffling visits every sample once an epoch, so that it descends the mean of the losses with equal weights: leave "
            "weights= out, and multiply ℓ_a by n·p_a where its steps are meant to be longer, or state a loss twice that is to be visited "
            "twice"
        )
    if rate_stays:
        raise BadInput(
            "the steps of random reshuffling are those of sample losses whose gradients are of order one: at a learning rate that stays it "
            "does not come near Γ, however long it runs. Leave learning_rate out; or state the limit of samples that differ by ε times "
            "what these do: Problem(loss=problem.loss, …, noise=problem.noise_factor), in which ε is what tends to 0"
        )
    return _at_least_two(count, "sample loss")


def _of_columns(problem: "Problem", noise: GradientNoise) -> int:
    if noise.covariance is not None:
        raise BadInput(
            "random reshuffling needs the samples themselves, which a covariance does not tell: state σ(x) as a matrix with a column for "
            "each sample, (∇ℓ_a − ∇L)/√n"
        )
    columns = noise.columns(problem, problem.landscape())
    count = _at_least_two(columns.columns.shape[1], "column of σ")
    if not sums_to_zero(problem, columns):
        raise BadInput(
            "the columns of σ do not sum to zero for every x, so that they are not (∇ℓ_a − ∇L)/√n of samples whose mean is ∇L: each step "
            "then draws a sign anew, and there is nothing to reshuffle. Subtract their mean, or use SGD"
        )
    return count


def _at_least_two(count: int, what: str) -> int:
    if count < 2:
        raise BadInput(f"random reshuffling needs at least two samples, and here there is one {what}")
    return count


def _drawn_anew(noise: Noise) -> str:
    if isinstance(noise, LabelNoise):
        return (
            "the labels are drawn anew at every step, so that reshuffling changes only the order of the residuals, and the noise of "
            "different steps stays uncorrelated: as the learning rate tends to 0 the limit is that of SGD() where all residuals vanish on "
            "Γ. For labels that stay as they are state their losses: Problem.from_sample_losses(…)"
        )
    return (
        "the noise is drawn anew at every step, and there is nothing to reshuffle: use SGD, or state samples by "
        "Problem.from_sample_losses(…), or by the columns of a matrix σ"
    )
