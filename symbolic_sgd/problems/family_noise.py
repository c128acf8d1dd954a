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
        (r,) = loss.variables
        return tuple((sp.Rational(1, 2), sp.Lambda(r, loss(r + sign * self.amplitude))) for sign in (1, -1))


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

    >>> r, t = sp.symbols("r t")
    >>> RedrawnLabels(((sp.Rational(1, 2), sp.Lambda(r, (r - 1)**2)), (sp.Rational(1, 2), sp.Lambda(r, (r + 1)**2)))).loss
    Lambda(r, (r - 1)**2/2 + (r + 1)**2/2)
    """

    laws: tuple[tuple[Any, Any], ...]

    def __post_init__(self) -> None:
        laws = tuple(tuple(law) for law in self.laws)
        good = all(len(law) == 2 and isinstance(law[1], sp.Lambda) and len(law[1].variables) == 1 for law in laws)
        if not laws or not good:
            raise BadInput("noise: RedrawnLabels takes pairs (probability, Lambda(r, loss of that label))")
        object.__setattr__(self, "laws", tuple((sp.sympify(p, strict=True), loss) for p, loss in laws))

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(e for p, loss in self.laws for e in (p, loss.expr))

    def laws_of(self, loss: sp.Lambda) -> tuple[tuple[Expression, sp.Lambda], ...]:
        """The laws, of which `loss` is the mean."""
        return self.laws

    @property
    def loss(self) -> sp.Lambda:
        """ℓ = Σ_k p_k ℓ_k."""
        r = self.laws[0][1].variables[0]
        return sp.Lambda(r, sp.Add(*(p * loss(r) for p, loss in self.laws)))

    @property
    def variance(self) -> Expression:
        """ν = Σ_k p_k ℓ_k′(0)²."""
        total: Expression = sp.S.Zero
        for p, loss in self.laws:
            (r,) = loss.variables
            slope: Expression = sp.diff(loss.expr, r)
            total += p * slope.xreplace({r: sp.S.Zero}) ** 2
        return total


def family_noise(noise: Any) -> FamilyNoise:
    """The family's noise that a noise object means."""
    if isinstance(noise, FamilyNoise):
        return noise
    if isinstance(noise, LabelNoise):
        return LabelSigns(sp.sympify(noise.amplitude, strict=True))
    if isinstance(noise, IsotropicNoise):
        return Isotropic(sp.sympify(noise.scale, strict=True))
    raise BadInput(
        f"noise is a {type(noise).__name__}; families take LabelNoise(…), IsotropicNoise(…), RedrawnLabels(…), or AnyNoise() "
        "for a σ that is given as numbers later"
    )
