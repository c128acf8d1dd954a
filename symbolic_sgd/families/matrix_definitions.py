"""What the formulas of a family name: the multipliers, and matrices of the size of G, each with its equation."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.families.curvature_letters import CurvatureLetters
from symbolic_sgd.families.slow_motion import SlowMotion
from symbolic_sgd.optimizers.kernel import A, B


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
"""Text and LaTeX of the multipliers where the drift is −∂Φ∇R."""

PLAIN_MULTIPLIERS = (
    "λ = −G†JE, G = JJᵀ, where E is the drift without λ",
    r"\lambda = -G^{\dagger}J E,\qquad G = J J^{\top}",
)
"""Where there is no noise along Γ."""

TRACES = "τ_L = tr(∇²f_L ∂Φ), for the residual L", r"\tau_L = \mathrm{tr}(\nabla^2 f_L\,\partial\Phi)"
"""Of what curvature brings, where Σ = s²I."""

CURVES = (
    "τ_L = Σ_ξ v_ξᵀ(∇²f_L)v_ξ, v = ∂Φσ",
    r"\tau_L = \sum_\xi v_\xi^{\top}(\nabla^2 f_L)v_\xi,\qquad v = \partial\Phi\,\sigma",
)
"""The same, where σ is not stated."""

CLASSES = (
    "κ_i = diag(p_i) − p_ip_iᵀ with p_i = softmax(z_i), constant on Γ; G† is κ^½(κ^½Gκ^½)†κ^½",
    r"\kappa_i = \mathrm{diag}(p_i) - p_i p_i^{\top},\quad p_i = \mathrm{softmax}(z_i),\quad "
    r"G^{\dagger} := \kappa^{1/2}(\kappa^{1/2}G\kappa^{1/2})^{\dagger}\kappa^{1/2}",
)
"""Of the curvature of a cross-entropy."""

ACROSS = (
    "ζ = ZGK where KGZ + ZGK = ωωᵀ, K = ℓ″(0)/n",
    r"\zeta = ZGK,\qquad KGZ + ZGK = \omega\omega^{\top},\qquad K = \ell''(0)/n",
)
"""Of a σ that is not stated, for plain SGD."""


def batch_equation(motion: SlowMotion[Any]) -> str:
    """ZGK of batches, in LaTeX: Σ = JᵀNJ."""
    c, n = motion.family.proportion, sp.latex(motion.family.model.samples)
    if c is None:
        right = rf"N,\ N = \mathrm{{diag}}({sp.latex(motion.family.variance)})/{n}"
    else:
        right = "K" if c == 1 else rf"\left({sp.latex(c)}\right) K"
    return (
        rf"ZGK,\qquad KGZ + ZGK - \eta K\left(\alpha\,{n}\,D + (1 - \alpha)\,GZG\right)K = {right},\qquad "
        rf"D\ \text{{the blocks of}}\ GZG\ \text{{on single samples}},\qquad \eta = {sp.latex(motion.optimizer.rate)},\qquad "
        rf"\alpha = {sp.latex(motion.share_of_one)}"
    )


def definitions_of(motion: SlowMotion[Any]) -> tuple[Definition, ...]:
    """Every name in the drift, in the order in which they are needed."""
    return tuple(_Named(motion).all())


@dataclass(frozen=True)
class _Named:
    motion: SlowMotion[Any]

    @cached_property
    def letters(self) -> CurvatureLetters:
        return CurvatureLetters.of(self.motion.family)

    def all(self) -> Iterator[Definition]:
        family = self.motion.family
        stated = family.proportion is not None or family.noise.isotropy is not None
        yield self._multipliers()
        if family.proportion is None:
            yield Definition("τ", *(TRACES if stated else CURVES))
        if not stated:
            yield self._slopes()
            yield self._across()
        elif self.motion.draws_batches:
            yield self._of_batches()
        elif self.motion.share is None:
            yield self._own()
        if family.curvature is None:
            yield Definition("κ", *CLASSES)

    def _multipliers(self) -> Definition:
        motion, family = self.motion, self.motion.family
        if family.proportion is not None:
            simple = motion.share is not None and motion.slow is None
            return Definition("λ", *(MULTIPLIERS if simple else PLAIN_MULTIPLIERS))
        size = (family.noise.isotropy or sp.S.One) * motion.optimizer.tangent_factor / 2
        written = r"\tfrac12" if size == sp.S.Half else "" if size == 1 else sp.latex(size)
        shown = "τ/2" if size == sp.S.Half else f"({size})τ"
        return Definition(
            "λ",
            f"λ = −G†(JE + {shown}), where E is the drift without λ",
            rf"\lambda = -G^{{\dagger}}\left(J E + {written}\tau\right)",
        )

    def _slopes(self) -> Definition:
        """ω, which the mixed term holds."""
        m = self.motion.mixed
        if m == 1:
            return Definition("ω", "ω = G†Jσ", r"\omega = G^{\dagger}J\sigma")
        (e, e_tex), write = self.letters.first, self.letters
        return Definition(
            "ω",
            f"ω = m(GK)G†Jσ, m({e}) = {write.text(m)}",
            rf"\omega = m(GK)\,G^{{\dagger}}J\sigma,\qquad m({e_tex}) = {write.latex(m)}",
        )

    def _across(self) -> Definition:
        """ζ of a σ that is not stated."""
        if self.motion.response.is_lyapunov:
            return Definition("ζ", *ACROSS)
        write, k = self.letters, self.motion.kernel.function(A, B)
        (a, b), (a_tex, b_tex) = ([f(e) for e in (A, B)] for f in (write.text, write.latex))
        return Definition(
            "ζ",
            f"ζ = ZGK, Z_{a}{b} = k({a}, {b})(G†JΣJᵀG†)_{a}{b} in the eigenvectors of GK, k({a}, {b}) = {write.text(k)}, K = ℓ″(0)/n",
            rf"\zeta = ZGK,\qquad Z_{{{a_tex} {b_tex}}} = k({a_tex}, {b_tex})"
            rf"\left(G^{{\dagger}}J\Sigma J^{{\top}}G^{{\dagger}}\right)_{{{a_tex} {b_tex}}}"
            rf"\ \text{{in the eigenvectors of}}\ GK,\qquad k({a_tex}, {b_tex}) = {write.latex(k)},\qquad K = \ell''(0)/n",
        )

    def _of_batches(self) -> Definition:
        motion, write = self.motion, self.letters.text
        c, n = motion.family.proportion, motion.family.model.samples
        count = write(n) if n.is_Atom else f"({write(n)})"
        text = (
            f"ζ = ZGK, KGZ + ZGK − ηK(α {count} D + (1 − α) GZG)K = {'' if c == 1 else f'({write(c)})'}K, D the blocks of GZG on single "
            f"samples, η = {write(motion.optimizer.rate)}, α = {write(motion.share_of_one)}, K = {write(motion.family.curvature / n)}"
        )
        scale = sp.latex(motion.family.curvature / motion.family.model.samples)
        return Definition("ζ", text, rf"\zeta = {batch_equation(motion)},\qquad K = {scale}")

    def _own(self) -> Definition:
        """ζ where Σ = cH, or s²I."""
        family, write, h = self.motion.family, self.letters, self.motion.own
        size = family.noise.isotropy if family.proportion is None else family.proportion
        scale, scale_tex = ("", "") if size == 1 else (f"({size})", sp.latex(size) + r"\,")
        (e, e_tex), k = write.first, ("κ/n", r"\kappa/n")
        if family.curvature is not None:
            k = (
                write.text(family.curvature / family.model.samples),
                write.latex(family.curvature / family.model.samples),
            )
        return Definition(
            "ζ",
            f"ζ = {scale}K h(GK), h({e}) = {write.text(h)} for the eigenvalues {e} > 0, K = {k[0]}",
            rf"\zeta = {scale_tex}K\,h(GK),\qquad h({e_tex}) = {write.latex(h)},\qquad K = {k[1]}",
        )
