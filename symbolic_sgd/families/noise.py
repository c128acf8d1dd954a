"""Noise models that only families have; `problems.noise` holds those that problems have too."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput
from symbolic_sgd.problems.noise import FamilyNoise, LabelLaw, exact_expression

Array = Any
"""A SymPy IndexedBase."""

Place = Any
"""A SymPy Indexed."""

RESIDUAL = sp.Dummy("r", real=True)
"""The variable of every loss of a residual, so that it is no symbol of anybody's."""


SQUARES = sp.Lambda(RESIDUAL, RESIDUAL**2 / 2)
"""ℓ(r) = r²/2."""


def loss_of_residual(loss: Any, where: str) -> sp.Lambda:
    """ℓ as a `Lambda` in `RESIDUAL`."""
    if not isinstance(loss, sp.Lambda) or len(loss.variables) != 1:
        raise BadInput(f"{where}: give the loss of a residual as a SymPy Lambda, such as Lambda(r, r**2)")
    return sp.Lambda(RESIDUAL, loss(RESIDUAL))


@dataclass(frozen=True)
class AnyNoise(FamilyNoise):
    """σ is not stated: formulas hold it as a symbol, and numeric callables take its values.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> derive_limiting_sde(models.matrix_sensing(noise=AnyNoise())).family.noise
    AnyNoise()
    """

    @property
    def stated(self) -> tuple[Expression, ...]:
        return ()


@dataclass(frozen=True)
class RedrawnLabels(FamilyNoise):
    """Labels that are drawn anew each step: a sample i, and with probability p_k the loss ℓ_k(f_i) of its k-th label.

    The loss is ℓ = Σ_k p_k ℓ_k, and f_i = 0 has to be its minimizer; on Γ Σ = (1/n) Σ_i ν_i ∇f_i∇f_iᵀ with
    ν_i = Σ_k p_k ℓ_k′(0)². For log-likelihoods of labels that follow the model on Γ this is ∇²L itself.

    Args:
        laws: (p_k, ℓ_k) with ℓ_k a `Lambda`; both may hold data with the index of the sample.

    Raises:
        BadInput: laws that are no such pairs.

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
        checked = tuple((exact_expression(p, "a probability"), loss_of_residual(loss, "noise")) for p, loss in laws)
        if any(p.is_number and not p.is_positive for p, _ in checked):
            raise BadInput(
                f"noise: the probabilities are {', '.join(str(p) for p, _ in checked)}; they have to be positive"
            )
        object.__setattr__(self, "laws", checked)

    @property
    def stated(self) -> tuple[Expression, ...]:
        return tuple(e for p, loss in self.laws for e in (p, loss.expr))

    def laws_of(self, loss: sp.Lambda) -> tuple[LabelLaw, ...]:
        """The laws, of which `loss` is the mean."""
        return self.laws

    @property
    def loss(self) -> sp.Lambda:
        """ℓ = Σ_k p_k ℓ_k."""
        return sp.Lambda(RESIDUAL, sp.Add(*(p * loss(RESIDUAL) for p, loss in self.laws)))


def family_noise(noise: Any) -> FamilyNoise:
    """A noise that families take.

    Raises:
        BadInput: it is none.
    """
    if isinstance(noise, FamilyNoise):
        return noise
    raise BadInput(
        f"noise is a {type(noise).__name__}; families take LabelNoise(…), IsotropicNoise(…), RedrawnLabels(…), or AnyNoise() "
        "for a σ that is given as numbers later"
    )
