"""The theorem's three lines for a model of any size, as forms: what every front end of the calculus prints.

With the gradients J of the residuals, G = JJᵀ and N[V] = Σ_L (∇²f_L) V_L (Li, Wang & Arora 2022, main theorem, corrected):

    tangent-noise compensation  −½ JᵀG†τ,   τ_L = tr(∇²f_L Σ_∥)
    mixed regularization        −∂Φ N[∂Φ Σ JᵀG†]
    normal regularization       −∂Φ N[JᵀZGK],   KGZ + ZGK = G†JΣJᵀG†

since S = JᵀZJ and ∂Φ T[S] = 2∂Φ Σ_L (∇²f_L) S ∇f_L K_L. For Σ = c∇²L the last N is (c/4)∇tr ∇²L, for Σ = s²I it is
(s²/4)∇⟨G†, G⟩ with G† frozen, and no equation has to be solved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.families.tensor_model import Blocks, TensorModel
from symbolic_sgd.tensors.forms import Form, added


@dataclass(frozen=True)
class DriftForms:
    """The lines before ∂Φ and G† are applied.

    Args:
        model: f and its derivatives.
        trace: tr ∇²L on Γ.
        proportion: c, where Σ = c∇²L on Γ.
        isotropy: s², where Σ = s²I.
        along: whether Σ has other blocks along Γ.
    """

    model: TensorModel
    trace: Form
    proportion: Any = None
    isotropy: Any = None
    along: bool = True

    @cached_property
    def regularizer(self) -> Form | None:
        """(c/4) tr ∇²L."""
        return None if self.proportion is None else self.trace.scaled(self.proportion / 4)

    @cached_property
    def traces(self) -> Form | None:
        """τ, of s²∂Φ in G†, or of Σ_∥ in the columns v of ∂Φσ; None where no noise is along Γ."""
        if self.isotropy is not None:
            return (self.model.laplacian - self.model.curved_by_gradients).scaled(self.isotropy)
        return self.model.curved if self.along else None

    @cached_property
    def mixed(self) -> Blocks:
        """−N[∂ΦΣJᵀG†], in the columns v of ∂Φσ and ω = G†Jσ."""
        return scaled(self.model.bent_along, -1) if self.along and self.isotropy is None else self.zero

    @cached_property
    def normal(self) -> Blocks:
        """−∇R, or −N[JᵀZGK] in ζ = ZGK."""
        if self.regularizer is not None:
            return scaled(self.model.gradient_of(self.regularizer), -1)
        if self.isotropy is None:
            return scaled(self.model.bent, -1)
        pairs = (self.model.gram * self.model.on_labels("G†", 0, 1, symmetric=True)).summed(
            *self.model.labels, *self.model.primed().values()
        )
        return scaled(self.model.gradient_of(pairs), -self.isotropy / 4)

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
