"""Noise models of families. Where it is diag-weighted in the gradients of the residuals, Σ = Σ_i ν_i ∇f_i∇f_iᵀ/n on Γ."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput
from symbolic_sgd.problems.noise import IsotropicNoise, LabelNoise

Array = Any
"""A SymPy IndexedBase."""

Place = Any
"""A SymPy Indexed."""

RESIDUAL = sp.Dummy("r", real=True)
"""The variable of every loss of a residual, so that it is no symbol of anybody's."""


def loss_of_residual(loss: Any, where: str) -> sp.Lambda:
    """ℓ as a `Lambda` in `RESIDUAL`."""
    if not isinstance(loss, sp.Lambda) or len(loss.variables) != 1:
        raise BadInput(f"{where}: give the loss of a residual as a SymPy Lambda, such as Lambda(r, r**2)")
    return sp.Lambda(RESIDUAL, loss(RESIDUAL))


class FamilyNoise(ABC):
    """What a family has to know of its noise on Γ."""

    @property
    @abstractmethod
    def expressions(self) -> tuple[Expression, ...]:
        """What of it may hold data or constants."""


@dataclass(frozen=True)
class LabelSigns(FamilyNoise):
    """r_i → r_i ± δ with a sample and a sign drawn each step."""

    amplitude: Expression

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return (self.amplitude,)

    def laws_of(self, loss: sp.Lambda) -> tuple[tuple[Expression, sp.Lambda], ...]:
        """(½, ℓ(r + δ)) and (½, ℓ(r − δ))."""
        half = sp.Rational(1, 2)
        return tuple((half, sp.Lambda(RESIDUAL, loss(RESIDUAL + sign * self.amplitude))) for sign in (1, -1))


@dataclass(frozen=True)
class Isotropic(FamilyNoise):
    """Σ = s² I."""

    scale: Expression

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return (self.scale,)


@dataclass(frozen=True)
class AnyNoise(FamilyNoise):
    """σ is not stated: formulas hold it as a symbol, and numeric callables take its values."""

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return ()


@dataclass(frozen=True)
class RedrawnLabels(FamilyNoise):
    """Labels that are drawn anew each step: a sample i, and with probability p_k the loss ℓ_k(f_i) of its k-th label.

    The loss is ℓ = Σ_k p_k ℓ_k, and f_i = 0 has to be its minimizer; on Γ Σ = (1/n) Σ_i ν_i ∇f_i∇f_iᵀ with
    ν_i = Σ_k p_k ℓ_k′(0)². For log-likelihoods of labels that follow the model on Γ this is ∇²L itself.

    Args:
        laws: (p_k, ℓ_k) with ℓ_k a `Lambda`; both may hold data with the index of the sample.

    >>> r = sp.Symbol("r")
    >>> half = sp.Rational(1, 2)
    >>> RedrawnLabels(((half, sp.Lambda(r, (r - 1)**2)), (half, sp.Lambda(r, (r + 1)**2)))).loss(r)
    (r - 1)**2/2 + (r + 1)**2/2
    """

    laws: tuple[tuple[Any, Any], ...]

    def __post_init__(self) -> None:
        laws = tuple(tuple(law) for law in self.laws)
        if not laws or any(len(law) != 2 for law in laws):
            raise BadInput("noise: RedrawnLabels takes pairs (probability, Lambda(r, loss of that label))")
        checked = tuple((_exact(p, "a probability"), loss_of_residual(loss, "noise")) for p, loss in laws)
        if any(p.is_number and not p.is_positive for p, _ in checked):
            raise BadInput(
                f"noise: the probabilities are {', '.join(str(p) for p, _ in checked)}; they have to be positive"
            )
        object.__setattr__(self, "laws", checked)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(e for p, loss in self.laws for e in (p, loss.expr))

    def laws_of(self, loss: sp.Lambda) -> tuple[tuple[Expression, sp.Lambda], ...]:
        """The laws, of which `loss` is the mean."""
        return self.laws

    @property
    def loss(self) -> sp.Lambda:
        """ℓ = Σ_k p_k ℓ_k."""
        return sp.Lambda(RESIDUAL, sp.Add(*(p * loss(RESIDUAL) for p, loss in self.laws)))

    @property
    def variance(self) -> Expression:
        """ν = Σ_k p_k ℓ_k′(0)²."""
        total: Expression = sp.S.Zero
        for p, loss in self.laws:
            slope: Expression = sp.diff(loss.expr, RESIDUAL)
            total += p * slope.xreplace({RESIDUAL: sp.S.Zero}) ** 2
        return total


def family_noise(noise: Any) -> FamilyNoise:
    """The family's noise that a noise object means."""
    if isinstance(noise, FamilyNoise):
        return noise
    if isinstance(noise, LabelNoise):
        return LabelSigns(_exact(noise.amplitude, "amplitude"))
    if isinstance(noise, IsotropicNoise):
        return Isotropic(_exact(noise.scale, "scale"))
    raise BadInput(
        f"noise is a {type(noise).__name__}; families take LabelNoise(…), IsotropicNoise(…), RedrawnLabels(…), or AnyNoise() "
        "for a σ that is given as numbers later"
    )


def _exact(value: Any, name: str) -> Expression:
    try:
        return sp.sympify(value, strict=True)
    except sp.SympifyError as error:
        raise BadInput(f"noise: {name} is {value!r}; give an exact number or a SymPy expression") from error
