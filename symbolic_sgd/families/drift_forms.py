"""The theorem's three lines for a model of any size, as forms: what every front end of the calculus prints.

With the gradients J of the residuals, G = JJᵀ and N[V] = Σ_L (∇²f_L) V_L (Li, Wang & Arora 2022, main theorem, corrected):

    tangent-noise compensation  −½ JᵀG†τ,   τ_L = tr(∇²f_L Σ_∥)
    mixed regularization        −∂Φ N[∂Φ Σ JᵀG†]
    normal regularization       −∂Φ N[JᵀZGK],   KGZ + ZGK = G†JΣJᵀG†

since S = JᵀZJ and ∂Φ T[S] = 2∂Φ Σ_L (∇²f_L) S ∇f_L K_L. For Σ = c∇²L the last N is (c/4)∇tr ∇²L, for Σ = s²I it is
(s²/4)∇⟨G†, G⟩ with G† frozen, and no equation has to be solved. These are the lines of plain SGD; see `slow_motion` for others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.families.slow_motion import SlowMotion
from symbolic_sgd.families.tensor_model import Blocks, TensorModel
from symbolic_sgd.tensors.forms import Form, added


@dataclass(frozen=True)
class DriftForms:
    """The lines before ∂Φ and G† are applied.

    Across Γ the noise of an optimizer is `share` times that of plain SGD, or h(H) in ζ; along Γ it is τ times that.

    Args:
        motion: what the optimizer makes of the noise.
        trace: tr ∇²L on Γ.
    """

    motion: SlowMotion[Any]
    trace: Form

    @property
    def model(self) -> TensorModel:
        """f and its derivatives."""
        return self.motion.family.model

    @property
    def isotropy(self) -> Any:
        """s², where Σ = s²I."""
        return self.motion.family.noise.isotropy

    @cached_property
    def regularizer(self) -> Form | None:
        """(c/4) tr ∇²L times the share, where Σ = c∇²L."""
        c, share = self.motion.family.proportion, self.motion.share
        return None if c is None or share is None else self.trace.scaled(c * share / 4)

    @cached_property
    def traces(self) -> Form | None:
        """tr(∇²f_L τΣ_∥), of s²∂Φ in G†, or of Σ_∥ in the columns v of ∂Φσ; None where no noise is along Γ."""
        factor = self.motion.optimizer.tangent_factor
        if self.isotropy is not None:
            return (self.model.laplacian - self.model.curved_by_gradients).scaled(factor * self.isotropy)
        return self.model.curved.scaled(factor) if self.motion.along else None

    @cached_property
    def mixed(self) -> Blocks:
        """−N[∂ΦΣJᵀG† m(GK)], m(λ) = λk(λ, 0), in the columns v of ∂Φσ and in ω."""
        return scaled(self.model.bent_along, -1) if self.motion.along and self.isotropy is None else self.zero

    @cached_property
    def normal(self) -> Blocks:
        """−∇R, or −N[JᵀZGK] in ζ = ZGK."""
        if self.regularizer is not None:
            return scaled(self.model.gradient_of(self.regularizer), -1)
        if self.isotropy is None or self.motion.share is None:
            return scaled(self.model.bent, -1)
        pairs = (self.model.gram * self.model.on_labels("G†", 0, 1, symmetric=True)).summed(
            *self.model.labels, *self.model.primed().values()
        )
        return scaled(self.model.gradient_of(pairs), -self.motion.share * self.isotropy / 4)

    @cached_property
    def imposed(self) -> Blocks:
        """−g of the optimizer's weight decay and slow potential."""
        return self.zero if self.motion.slow is None else scaled(self.motion.slow, -1)

    @property
    def zero(self) -> Blocks:
        """0."""
        return scaled(self.model.back, 0)

    def along_gradients(self, blocks: Blocks) -> Form:
        """(JE)_L."""
        parts = [
            (self.model.gradient[p.name] * blocks[p.name]).summed(*self.model.slots(p)) for p in self.model.parameters
        ]
        return added(parts)


def scaled(blocks: Blocks, factor: Any) -> Mapping[str, Form]:
    """A multiple of a vector."""
    return {name: form.scaled(sp.sympify(factor)) for name, form in blocks.items()}
