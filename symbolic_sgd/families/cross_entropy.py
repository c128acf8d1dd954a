"""Softmax and the cross-entropy, as a loss of vector outputs, and the noise of classes that are drawn anew."""

from dataclasses import dataclass

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.problems.noise import FamilyNoise


@dataclass(frozen=True)
class CrossEntropy:
    """ℓ(z) = −Σ_o p_o ln softmax(z)_o, for outputs z of a sample whose classes have the probabilities p > 0.

    Its Hessian where softmax(z) = p is K = diag(p) − ppᵀ, of rank C − 1, and Γ has the codimension n(C − 1) at most.

    >>> from symbolic_sgd import models
    >>> models.softmax_regression().loss
    CrossEntropy()
    """


@dataclass(frozen=True)
class RedrawnClasses(FamilyNoise):
    """Each step draws a sample, and its class with the probabilities p that the model has on Γ: Σ = ∇²L there.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> models.softmax_regression(noise=RedrawnClasses()).noise
    RedrawnClasses()
    """

    @property
    def stated(self) -> tuple[Expression, ...]:
        return ()
