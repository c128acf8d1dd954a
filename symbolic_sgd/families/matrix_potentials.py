"""Regularizers of families that are functions of the eigenvalues of G, and no matrix formulas."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.families.curvature_letters import CurvatureLetters
from symbolic_sgd.families.slow_motion import SlowMotion
from symbolic_sgd.tensors.formula import MatrixFormula


@dataclass(frozen=True)
class LogarithmOfCurvature:
    """(s²/4) ln|∇²L|₊, the logarithm of the product of the nonzero eigenvalues, up to a constant: they are those of G, or of κ^½Gκ^½ for
    classes, times a constant.

    Args:
        variance: s².
        gram: G = JJᵀ, of two residuals.
        classes: whether the loss has curvatures κ of its own.

    >>> from symbolic_sgd import IsotropicNoise, derive_limiting_sde, models
    >>> print(derive_limiting_sde(models.circular_convolution(IsotropicNoise(2))).regularizer)
    (1) ln|G|₊, G = ⟨S_i v, S_j v⟩ + ⟨S_iᵀ u, S_jᵀ u⟩
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
class SpectralRegularizer:
    """(c/2) Σ F(λ) for Σ = c∇²L, (s²/2) Σ F(λ) for Σ = s²I, over the eigenvalues λ > 0 of ∇²L, which are those of G times ℓ″(0)/n, up
    to a constant: F′(λ) is λk(λ, λ), or k(λ, λ), for the kernel k of an optimizer.

    Args:
        motion: of the optimizer, whose R is no multiple of that of plain SGD.
        gram: G = JJᵀ, of two residuals.

    >>> from symbolic_sgd import SGD, IsotropicNoise, derive_limiting_sde, models
    >>> sde = derive_limiting_sde(models.symmetric_sensing(IsotropicNoise(1)), optimizer=SGD(learning_rate=1))
    >>> str(sde.regularizer).partition(", G =")[0]
    '(1/2) Σ_μ F(μ), F(μ) = (log(μ) - log(1 - μ/2))/2, over the eigenvalues μ > 0 of (1/n) G'
    """

    motion: SlowMotion[Any]
    gram: MatrixFormula

    @property
    def factor(self) -> Any:
        """c/2 or s²/2."""
        family = self.motion.family
        size: Any = family.noise.isotropy if family.proportion is None else family.proportion
        return size / 2

    @property
    def _inside(self) -> tuple[str, str]:
        """What has the eigenvalues, as text and as LaTeX."""
        family, letters = self.motion.family, CurvatureLetters.of(self.motion.family)
        if family.curvature is not None and not family.is_uniform:
            return "K^½ G K^½, K = diag(ℓ″(0))/n", r"K^{1/2}GK^{1/2},\qquad K = \mathrm{diag}(\ell''(0))/n"
        scale = (1 if family.curvature is None else family.curvature) / family.model.samples
        text, tex = ("κ^½Gκ^½", r"\kappa^{1/2}G\kappa^{1/2}") if family.curvature is None else ("G", "G")
        return f"({letters.text(scale)}) {text}", rf"{letters.latex(scale)}\,{tex}"

    @property
    def _of(self) -> tuple[str, Any]:
        """How F, or F′ where F is not written out, is called, and what it is."""
        return ("F'", self.motion.own) if self.motion.primitive is None else ("F", self.motion.primitive)

    def latex(self) -> str:
        """LaTeX, in math mode."""
        letters, (name, function) = CurvatureLetters.of(self.motion.family), self._of
        scale = "" if self.factor == 1 else letters.latex(self.factor)
        e, written = letters.first[1], letters.latex(function)
        where = rf"{name}({e}) = {written},\qquad {e} > 0\ \text{{of}}\ {self._inside[1]}"
        return rf"{scale}\sum_{{{e}}} F({e}),\qquad {where},\qquad G = {self.gram.latex()}"

    def __str__(self) -> str:
        letters, (name, function) = CurvatureLetters.of(self.motion.family), self._of
        scale = "" if self.factor == 1 else f"({letters.text(self.factor)}) "
        e, shown = letters.first[0], f"{name.replace(chr(39), '′')}({letters.first[0]}) = {letters.text(function)}"
        return f"{scale}Σ_{e} F({e}), {shown}, over the eigenvalues {e} > 0 of {self._inside[0]}, G = {self.gram}"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"
