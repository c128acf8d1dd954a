"""The theorem for a family of matrices as formulas: each term of the drift, and what it names.

A vector E of the parameters is projected by one set of multipliers: ∂ΦE = E + Jᵀλ with Gλ = −JE.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.families.drift_forms import DriftForms, scaled
from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.families.tensor_model import Blocks, TensorModel
from symbolic_sgd.tensors.forms import Applied, Form, Index, Tensor, added
from symbolic_sgd.tensors.formula import MatrixFormula
from symbolic_sgd.tensors.layout import shown_label


@dataclass(frozen=True)
class Definition:
    """A name in a formula.

    Args:
        name: what is named.
        text: its equation, for a terminal.
        latex: the same, in math mode.
    """

    name: str
    text: str
    latex: str

    def __str__(self) -> str:
        return self.text


MULTIPLIERS = r"λ = G†J∇R, G = JJᵀ", r"\lambda = G^{\dagger}J\,\nabla R,\qquad G = J J^{\top}"
"""Text and LaTeX of the multipliers where Σ = c∇²L."""

TRACES = "τ_L = tr(∇²f_L ∂Φ), for the residual L", r"\tau_L = \mathrm{tr}(\nabla^2 f_L\,\partial\Phi)"
"""Of what curvature brings, where Σ = s²I."""

CLASSES = (
    "κ_i = diag(p_i) − p_ip_iᵀ with p_i = softmax(z_i), constant on Γ; G† is κ^½(κ^½Gκ^½)†κ^½",
    r"\kappa_i = \mathrm{diag}(p_i) - p_i p_i^{\top},\quad p_i = \mathrm{softmax}(z_i),\quad "
    r"G^{\dagger} := \kappa^{1/2}(\kappa^{1/2}G\kappa^{1/2})^{\dagger}\kappa^{1/2}",
)
"""Of the curvature of a cross-entropy."""

GENERAL = {
    "λ": (
        "λ = −G†(JE + τ/2), where E is the drift without λ",
        r"\lambda = -G^{\dagger}\left(J E + \tfrac12\tau\right)",
    ),
    "τ": (
        "τ_L = Σ_ξ v_ξᵀ(∇²f_L)v_ξ, v = ∂Φσ",
        r"\tau_L = \sum_\xi v_\xi^{\top}(\nabla^2 f_L)v_\xi,\qquad v = \partial\Phi\,\sigma",
    ),
    "ω": ("ω = G†Jσ", r"\omega = G^{\dagger}J\sigma"),
    "ζ": (
        "ζ = ZGK where KGZ + ZGK = ωωᵀ, K = ℓ″(0)/n",
        r"\zeta = ZGK,\qquad KGZ + ZGK = \omega\omega^{\top},\qquad K = \ell''(0)/n",
    ),
}
"""Of a σ that is not stated."""


@dataclass(frozen=True)
class LogarithmOfCurvature:
    """(s²/4) ln|∇²L|₊, the logarithm of the product of the nonzero eigenvalues, up to a constant: they are those of G, or of κ^½Gκ^½ for
    classes, times a constant.

    Args:
        variance: s².
        gram: G.
        classes: whether the loss has curvatures κ of its own.
    """

    variance: Any
    gram: MatrixFormula
    classes: bool = False

    def latex(self) -> str:
        """LaTeX, in math mode."""
        scale = "" if self.variance == 4 else sp.latex(self.variance / 4)
        inside = r"\kappa^{1/2}G\kappa^{1/2}" if self.classes else "G"
        return rf"{scale}\ln \lvert {inside} \rvert_{{+}},\qquad G = {self.gram.latex()}"

    def __str__(self) -> str:
        inside = "κ^½Gκ^½" if self.classes else "G"
        return f"({self.variance / 4}) ln|{inside}|₊, G = {self.gram}"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"


@dataclass(frozen=True)
class MatrixTerms:
    """What is printed of a family.

    Args:
        family: what was stated.
    """

    family: MatrixFamily

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
        return self._formula(self._trace)

    @cached_property
    def _trace(self) -> Form:
        if self.family.curvature is not None:
            return self.model.total_square.scaled(self.family.curvature / self.model.samples)
        own, other = self.model.labels[-1], self.model.primed()[self.model.labels[-1]]
        names = {b: a for a, b in self.model.primed().items() if a != own}
        blocks = self.model.gram.renamed(names)
        count = len(self.model.labels) - 1
        k = Tensor(
            "κ",
            tuple(i.size for i in (*self.model.labels, other)),
            labels=count,
            swaps=((*range(count + 2),), (*range(count), count + 1, count)),
        )
        return (
            (blocks * k.entry(*self.model.labels, other))
            .summed(*self.model.labels, other)
            .scaled(1 / self.model.samples)
        )

    # --- the theorem ------------------------------------------------------------------------

    @cached_property
    def _forms(self) -> DriftForms:
        family = self.family
        return DriftForms(
            self.model, self._trace, family.proportion, family.noise.isotropy, along=family.proportion is None
        )

    @cached_property
    def regularizer(self) -> "MatrixFormula | LogarithmOfCurvature | None":
        """R, where there is a formula."""
        if self._forms.regularizer is not None:
            return self._formula(self._forms.regularizer)
        variance = self.family.noise.isotropy
        return None if variance is None else LogarithmOfCurvature(variance, self.gram, self.family.curvature is None)

    @cached_property
    def compensation(self) -> dict[str, MatrixFormula]:
        """−½JᵀG†τ."""
        if self._forms.traces is None:
            return self._blocks(self._forms.zero)
        labels, others = self.model.labels, tuple(self.model.primed().values())
        weights = (self.model.on_labels("G†", 0, 1, symmetric=True) * self.model.on_labels("τ", 1)).summed(*others)
        back = {name: (j * weights).summed(*labels) for name, j in self.model.gradient.items()}
        return self._blocks(scaled(back, -(self.family.noise.isotropy or sp.S.One) / 2))

    @cached_property
    def mixed(self) -> dict[str, MatrixFormula]:
        """−Σ_L(∇²f_L)V_L, whose projection is the mixed term."""
        return self._blocks(self._forms.mixed)

    @cached_property
    def normal(self) -> dict[str, MatrixFormula]:
        """−∇R, or −N[C], whose projection is the normal term."""
        return self._blocks(self._forms.normal)

    @cached_property
    def drift(self) -> dict[str, MatrixFormula]:
        """mixed + normal + Jᵀλ."""
        parts = (self._forms.normal, self._forms.mixed, self.model.back)
        return self._blocks({p.name: added([part[p.name] for part in parts]) for p in self.model.parameters})

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        """λ, and what it and the other letters are made of."""
        if self.family.proportion is not None:
            found = [Definition("λ", *MULTIPLIERS)]
        elif self.family.noise.isotropy is not None:
            s = self.family.noise.isotropy / 2
            drawn = rf"\lambda = -G^{{\dagger}}\left(J E + {'' if s == 1 else sp.latex(s)}\tau\right)"
            found = [
                Definition("λ", f"λ = −G†(JE + ({s})τ), where E is the drift without λ", drawn),
                Definition("τ", *TRACES),
            ]
        else:
            found = [Definition(name, *lines) for name, lines in GENERAL.items()]
        return (*found, *([Definition("κ", *CLASSES)] if self.family.curvature is None else []))

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
