"""The theorem for a family of matrices as formulas: each term of the drift, and what it names.

A vector E of the parameters is projected by one set of multipliers: ∂ΦE = E + Jᵀλ with Gλ = −JE.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.families.drift_forms import DriftForms, scaled
from symbolic_sgd.families.matrix_definitions import Definition, definitions_of
from symbolic_sgd.families.matrix_potentials import LogarithmOfCurvature, SpectralRegularizer
from symbolic_sgd.families.slow_motion import PLAIN, SlowMotion
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.families.tensor_model import Blocks, TensorModel
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.tensors.forms import Applied, Form, Index, added
from symbolic_sgd.tensors.formula import MatrixFormula
from symbolic_sgd.tensors.layout import shown_label


@dataclass(frozen=True)
class MatrixTerms:
    """What is printed of a family.

    Args:
        family: what was stated.
        optimizer: whose limit it is.
    """

    family: StatedFamily
    optimizer: Optimizer = PLAIN

    @cached_property
    def motion(self) -> SlowMotion[Any]:
        """What the optimizer makes of the noise."""
        return SlowMotion(self.family, self.optimizer)

    @property
    def model(self) -> TensorModel:
        """f and its derivatives."""
        return self.family.model

    @property
    def subscript(self) -> str:
        """Of a residual, for a terminal."""
        return "_" + ",".join(shown_label(str(i.name)) for i in self.model.labels)

    # --- the model --------------------------------------------------------------------------

    @cached_property
    def residual(self) -> MatrixFormula:
        """f."""
        return self._formula(self.model.f)

    @cached_property
    def gradient(self) -> dict[str, MatrixFormula]:
        """∇f."""
        return self._blocks(self.model.gradient)

    @cached_property
    def gram(self) -> MatrixFormula:
        """G."""
        return self._formula(self.model.gram)

    @cached_property
    def trace_hessian(self) -> MatrixFormula:
        """tr ∇²L = (κ/n) S, or (1/n) Σ_i tr(K_i J_iJ_iᵀ)."""
        return self._formula(self.family.trace)

    # --- the theorem ------------------------------------------------------------------------

    @cached_property
    def _forms(self) -> DriftForms:
        return DriftForms(self.motion, self.family.trace)

    @cached_property
    def regularizer(self) -> "MatrixFormula | LogarithmOfCurvature | SpectralRegularizer | None":
        """R, where there is a formula."""
        motion, variance = self.motion, self.family.noise.isotropy
        if motion.own is None:
            return None
        if motion.share is None:
            return SpectralRegularizer(motion, self.gram)
        if self._forms.regularizer is not None:
            return self._formula(self._forms.regularizer)
        return LogarithmOfCurvature(variance * motion.share, self.gram, self.family.curvature is None)

    @cached_property
    def tangent_noise_compensation(self) -> dict[str, MatrixFormula]:
        """−½JᵀG†τ."""
        if self.family.proportion is not None:
            return self._blocks(self._forms.zero)
        labels, others = self.model.labels, tuple(self.model.primed().values())
        weights = (self.model.on_labels("G†", 0, 1, symmetric=True) * self.model.on_labels("τ", 1)).summed(*others)
        back = {name: (j * weights).summed(*labels) for name, j in self.model.gradient.items()}
        factor = (self.family.noise.isotropy or sp.S.One) * self.optimizer.tangent_factor
        return self._blocks(scaled(back, -factor / 2))

    @cached_property
    def mixed_regularization(self) -> dict[str, MatrixFormula]:
        """−Σ_L(∇²f_L)V_L, whose projection is the mixed term."""
        return self._blocks(self._forms.mixed)

    @cached_property
    def normal_regularization(self) -> dict[str, MatrixFormula]:
        """−∇R, or −N[C], whose projection is the normal term."""
        return self._blocks(self._forms.normal)

    @cached_property
    def imposed_drift(self) -> dict[str, MatrixFormula]:
        """−g, whose projection is the optimizer's own drift."""
        return self._blocks(self._forms.imposed)

    @cached_property
    def slow_field(self) -> dict[str, MatrixFormula]:
        """g."""
        return self._blocks(scaled(self._forms.imposed, -1))

    @cached_property
    def drift(self) -> dict[str, MatrixFormula]:
        """mixed + normal + imposed + Jᵀλ."""
        parts = (self._forms.normal, self._forms.mixed, self._forms.imposed, self.model.back)
        return self._blocks({p.name: added([part[p.name] for part in parts]) for p in self.model.parameters})

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        """λ, and what it and the other letters are made of."""
        return definitions_of(self.motion)

    # --- as formulas --------------------------------------------------------------------------

    def _blocks(self, blocks: Blocks) -> dict[str, MatrixFormula]:
        return {p.name: self._formula(blocks[p.name], self.model.slots(p)) for p in self.model.parameters}

    def _formula(self, form: Form, rows: tuple[Index, ...] = ()) -> MatrixFormula:
        return MatrixFormula(form, rows, self._functions)

    @cached_property
    def _functions(self) -> tuple[tuple[Any, str], ...]:
        """Names for functions that are composed: φ, ψ, …"""
        composed = [e for e in _functions_in(self.model.f) if not (len(e.args) == 1 and not e.args[0].args)]
        return tuple(zip(composed, "φψχϑ", strict=False))


def _functions_in(form: Form) -> list[Any]:
    found: dict[Any, None] = {}
    for factors in form.terms:
        for head, _ in factors:
            if isinstance(head, Applied):
                if head.function.power is None:
                    found[head.function.expression] = None
                found |= dict.fromkeys(_functions_in(head.inner))
    return list(found)
