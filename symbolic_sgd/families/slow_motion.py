"""What an optimizer makes of the noise of a family: functions of the curvatures, and slow fields of its own.

The curvatures λ > 0 are the eigenvalues of GK, for H = JᵀKJ. With a kernel k of pairs of them the stationary covariance across Γ is
S = Σ_⊥∘k: c·h(H)(I − ∂Φ) with h(λ) = λk(λ, λ) where Σ = cH, and s²h(H)(I − ∂Φ) with h(λ) = k(λ, λ) where Σ = s²I. Plain SGD at a
learning rate that tends to 0 has h = ½ and h(λ) = 1/(2λ); what is a constant multiple of that has its R and its drift, times the share.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput
from symbolic_sgd.families.batches import batch_of, share_of_one_sample
from symbolic_sgd.families.minibatches import Minibatches
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.families.tensor_model import Blocks
from symbolic_sgd.optimizers.kernel import LYAPUNOV, A, B, Kernel
from symbolic_sgd.optimizers.optimizer import Optimizer, check_unit_of_time
from symbolic_sgd.optimizers.second_moments import EachByItself
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.noise import LabelNoise
from symbolic_sgd.regularizer.spectral import OneCurvature, sum_of_integrals
from symbolic_sgd.tensors.forms import added
from symbolic_sgd.theorem.response import KernelResponse

PLAIN = SGD()
"""SGD at a learning rate that tends to 0."""

AnyFamily = TypeVar("AnyFamily", bound=StatedFamily)
"""A family of either kind."""

Stated = TypeVar("Stated", bound=StatedFamily)
"""The same, where one is given."""

Number = Callable[[Any], float]
"""The value of a size, a constant or an expression in them."""


@dataclass(frozen=True)
class MotionNumbers:
    """The same at numbers, over arrays of curvatures.

    Args:
        pairs: k(λ, μ).
        own: h(λ); None where it is `share` times that of plain SGD, or the noise has no h.
        mixed: λk(λ, 0); None where it is 1.
        share: that number, or None.
        tangent: τ.
        edge: λ*, below which every curvature has to be; None where every curvature is small enough.
        slow: the forms of g, whose −∂Φg is added; None where there is none.
        batches: what a step draws, where that makes another S than any kernel; else None.
    """

    pairs: Callable[[Any, Any], Any] = LYAPUNOV.weight
    own: Callable[[Any], Any] | None = None
    mixed: Callable[[Any], Any] | None = None
    share: float | None = 1.0
    tangent: float = 1.0
    edge: float | None = None
    slow: Blocks | None = None
    batches: Minibatches | None = None


PLAIN_NUMBERS = MotionNumbers()
"""Of plain SGD."""


@dataclass(frozen=True)
class SlowMotion(Generic[AnyFamily]):
    """An optimizer on a family.

    Args:
        family: with the optimizer's symbols among its constants.
        optimizer: whose slow motion follows from a kernel.

    >>> from symbolic_sgd import HeavyBall, LocalSGD, models
    >>> SlowMotion.of(models.matrix_sensing(), HeavyBall(momentum=0.5)).share
    1
    >>> SlowMotion.of(models.matrix_sensing(), LocalSGD(workers=2, round_time=1)).share is None
    True
    """

    family: AnyFamily
    optimizer: Optimizer = PLAIN

    @staticmethod
    def of(family: Stated, optimizer: Optimizer) -> "SlowMotion[Stated]":
        """What was stated, checked.

        Raises:
            BadInput: the optimizer's slow motion on a family is not known, or not on this noise.
            BadSymbol: a symbol of the optimizer is one of the family's.
        """
        _check(family, optimizer)
        further = tuple(s for s in optimizer.symbols if s not in family.constants)
        found = SlowMotion(_with_constants(family, further) if further else family, optimizer)
        _ = found.slow  # which reads a potential
        return found

    @property
    def is_plain(self) -> bool:
        """Whether it is plain SGD at a learning rate that tends to 0, with nothing of its own."""
        return self.optimizer == PLAIN

    @property
    def draws_batches(self) -> bool:
        """Whether the learning rate stays and a step draws some of the samples: S is then that of a random map, and no function of the
        curvatures."""
        return self.optimizer.is_finite and self.family.draws_samples

    @property
    def share_of_one(self) -> Expression:
        """α = (n − b)/(b(n − 1)) of batches."""
        return share_of_one_sample(self.family.model.samples, batch_of(self.family.noise))

    @property
    def along(self) -> bool:
        """Whether Σ has other blocks than that across Γ: where labels are the only noise it has none."""
        return self.family.proportion is None and self.family.variance is None

    @property
    def kernel(self) -> Kernel:
        """k."""
        return self.response.kernel

    @cached_property
    def response(self) -> KernelResponse:
        """S of Σ_⊥."""
        assert self.optimizer.kernel is not None
        return KernelResponse(self.optimizer.kernel)

    @cached_property
    def own(self) -> Expression | None:
        """h, in the letter `A`; None where Σ is neither cH nor s²I, or S no function of the curvatures."""
        if self.draws_batches:
            return None
        if self.family.proportion is not None:
            return self.response.of_proportion()
        return None if self.family.noise.isotropy is None else self.response.of_isotropy()

    @cached_property
    def share(self) -> Expression | None:
        """By how much S is that of plain SGD, where it is a multiple of it; 1 for noise without h; None for batches at a rate that
        stays."""
        if self.draws_batches:
            return None
        if self.own is None:
            return sp.S.One
        plain = sp.Rational(1, 2) if self.family.proportion is not None else 1 / (2 * A)
        ratio = sp.simplify(self.own / plain)
        return None if ratio.has(A) else ratio

    @cached_property
    def primitive(self) -> Expression | None:
        """F with F′ = h, up to a constant; None where none is written out."""
        return None if self.own is None else sum_of_integrals(self.own, OneCurvature())

    @property
    def mixed(self) -> Expression:
        """λk(λ, 0), in the letter `A`."""
        return self.response.mixed

    @property
    def conserves(self) -> bool:
        """Whether its limit is that of plain SGD in another time, beside slow fields: then it has the charges of the gradient flow."""
        isotropic = self.family.proportion is None
        return (
            not self.optimizer.is_finite
            and self.share is not None
            and (not isotropic or self.share == self.optimizer.tangent_factor)
        )

    @cached_property
    def slow(self) -> Blocks | None:
        """g = wx + ∇R of weight decay and a slow potential, per unit of t; None where there is neither.

        Raises:
            BadInput: and its like: a potential that is no scalar in the parameters and the constants.
        """
        optimizer, model = self.optimizer, self.family.model
        if not optimizer.has_slow_field:
            return None
        fields = {p.name: [p.entry(*model.slots(p)).scaled(optimizer.decay)] for p in model.parameters}
        if optimizer.slow_potential != 0:
            for name, slope in model.gradient_of(self.family.common(optimizer.slow_potential)).items():
                fields[name].append(slope)
        return {name: added(parts).scaled(optimizer.pace) for name, parts in fields.items()}

    # --- words and numbers ------------------------------------------------------------------

    @property
    def words(self) -> tuple[str, ...]:
        """What the optimizer does to the limit, a sentence each; none for plain SGD."""
        if self.is_plain:
            return ()
        optimizer = self.optimizer
        lines = [f"{optimizer.limit_words}, {optimizer.label} adds {optimizer.time_unit} to t at every step."]
        if self.share is not None and self.own is not None:
            same = "the same as" if self.share == 1 else f"{self.share} times"
            lines.append(f"What the noise across Γ brings is {same} that of SGD at a learning rate that tends to 0.")
        elif self.draws_batches:
            batch, count = batch_of(self.family.noise), self.family.model.samples
            lines.append(
                f"Each step draws {batch} of {count} samples: the stationary covariance across Γ solves HS + SH − η(α E[HᵢSHᵢ] + "
                f"(1 − α)HSH) = Σ with α = {self.share_of_one}, η = {optimizer.rate}; array code solves it, and tells where it is unstable."
            )
        elif self.kernel is not LYAPUNOV:
            lines.append(
                f"The stationary covariance across Γ is by {self.kernel.name}, k(a, b) = {self.kernel.shown.expr}."
            )
        if optimizer.tangent_factor != 1 and self.along:
            lines.append(f"The covariance along Γ is {optimizer.tangent_factor} times that of SGD.")
        if optimizer.edge is not None and not self.draws_batches:
            lines.append(f"Γ attracts where every curvature is smaller than {optimizer.edge}.")
        if self.slow is not None:
            lines.append("The optimizer's own field g moves it along Γ by −∂Φg, beside the noise.")
        return tuple(lines)

    def at(self, value: Number, known: Mapping[Any, Any], printer: Any) -> MotionNumbers:
        """The same at values of its symbols, for arrays of a library."""
        if self.is_plain:
            return PLAIN_NUMBERS
        optimizer, numbers = self.optimizer, tuple((s, sp.sympify(v)) for s, v in known.items())
        function = lambda e, *letters: _function(e.xreplace(dict(numbers)), letters, printer)  # noqa: E731
        return MotionNumbers(
            function(self.kernel.function(A, B), A, B),
            None if self.own is None or self.share is not None else function(self.own, A),
            None if self.mixed == 1 else function(self.mixed, A),
            None if self.share is None else value(self.share),
            value(optimizer.tangent_factor),
            None if optimizer.edge is None or self.draws_batches else value(optimizer.edge),
            self.slow,
            self._batches(value) if self.draws_batches else None,
        )

    def _batches(self, value: Number) -> Minibatches:
        count = value(sp.sympify(self.family.model.samples))
        return Minibatches(value(self.optimizer.rate), value(self.share_of_one) if count > 1 else 0.0, round(count))

    def primitive_at(self, known: Mapping[Any, Any]) -> Callable[[Any], Any] | None:
        """F, on NumPy's arrays."""
        if self.primitive is None:
            return None
        numbers = {s: sp.sympify(v) for s, v in known.items()}
        return _function(self.primitive.xreplace(numbers), (A,), ("scipy", "numpy"))


def _with_constants(family: Stated, further: tuple[sp.Symbol, ...]) -> Stated:
    stated: Any = family
    return replace(stated, constants=(*stated.constants, *further))


@lru_cache(maxsize=256)
def _function(expression: Expression, letters: tuple[sp.Symbol, ...], printer: Any) -> Callable[..., Any]:
    found: Callable[..., Any] = sp.lambdify(letters, expression, list(printer))
    return lambda *values: found(*values) + 0 * values[0]  # of their shape where the expression is constant


def _check(family: StatedFamily, optimizer: Optimizer) -> None:
    if isinstance(optimizer, EachByItself):
        raise BadInput(
            f"{optimizer.label} is not derived for a family: its slow motion is no function of the curvatures alone. Where "
            "second moments have settled its limit is derive_limiting_sde(family).settled_moments(optimizer); else derive one member of "
            "the family, derive_limiting_sde(family.problem(sizes={…}, …), optimizer=…)"
        )
    other = optimizer.reshuffles or optimizer.cycles or optimizer.in_metric or not optimizer.uses_noise
    if other or optimizer.kernel is None:
        raise BadInput(
            f"{optimizer.label} is not derived for a family: its slow motion is no function of the curvatures alone. Use SGD, "
            "HeavyBall, Nesterov, LocalSGD or ColouredNoise, or derive one member of the family: "
            "derive_limiting_sde(family.problem(sizes={…}, …), optimizer=…)"
        )
    if optimizer.is_finite and family.draws_samples:
        _check_batches(family, optimizer)
    check_unit_of_time(optimizer)


def _check_batches(family: StatedFamily, optimizer: Optimizer) -> None:
    """What a step that draws samples asks for at a learning rate that stays."""
    remedy = (
        "State the noise of the full gradient (IsotropicNoise, AnyNoise, or LabelNoise(δ, batch_size=n) with the number n of samples), "
        "or leave learning_rate out"
    )
    if not isinstance(family.noise, LabelNoise):
        raise BadInput(
            "each step draws a sample and its label anew, and losses of single labels do not rest on Γ: their slopes there are not zero "
            "and do not become small, so that at a learning rate that stays SGD comes no nearer to Γ than these. Labels that are moved by "
            f"a small ±δ are LabelNoise(δ). {remedy}"
        )
    if not isinstance(optimizer, SGD):
        raise BadInput(
            f"each step draws a sample: at a learning rate that stays {optimizer.label} is then a random map in more than the parameters, "
            f"which is derived for SGD only. {remedy}"
        )
