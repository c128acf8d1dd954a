"""What the theorem says, block by block, and what its poster says wrong: each as something that has to vanish."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.checks.jets import Jet, Residual, vanishes

DIMENSIONS = ((2, 1), (3, 1), (3, 2), (4, 2), (4, 3))
"""(D, M) for which the identities are checked, each for every loss and every Σ."""


@dataclass(frozen=True)
class Statement:
    """An identity.

    Args:
        name: what it is called.
        formula: LaTeX.
        residual: what vanishes, left minus right.
    """

    name: str
    formula: str
    residual: Residual

    @property
    def holds(self) -> bool:
        """For every loss in these dimensions."""
        return all(vanishes(self.residual(Jet(*size))) for size in DIMENSIONS)


@dataclass(frozen=True)
class Erratum:
    """A formula of the poster beside the right one.

    Args:
        name: what is wrong.
        printed, corrected: LaTeX.
        wrong: what would vanish if the printed formula held; None where it has no meaning to be computed.
        right: what vanishes.
    """

    name: str
    printed: str
    corrected: str
    wrong: Callable[[], sp.Matrix] | None
    right: Callable[[], sp.Matrix]

    @property
    def confirmed(self) -> bool:
        """The right formula holds, and the printed one does not."""
        return vanishes(self.right()) and (self.wrong is None or not vanishes(self.wrong()))


def blocks(jet: Jet) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """Σ_∥, Σ_⊥∥, Σ_⊥ of a Σ of letters."""
    sigma, p = jet.covariance(), jet.projection
    q = sp.eye(jet.dimension) - p
    return p * sigma * p, q * sigma * p, q * sigma * q


def _lemma(jet: Jet) -> sp.Matrix:
    v, w = (sp.Matrix(sp.symbols(f"{name}1:{jet.dimension + 1}")) for name in "vw")
    left = jet.second_derivative(v * (jet.hessian * w).T) + jet.second_derivative(w * (jet.hessian * v).T)
    return left + jet.projection * jet.third(v * w.T)


def _compensation(jet: Jet) -> sp.Matrix:
    along, _, _ = blocks(jet)
    return jet.second_derivative(along) / 2 + jet.pinv * jet.third(along) / 2


def mixed(jet: Jet, factor: sp.Expr = sp.S.One) -> sp.Matrix:
    """½∂²Φ[Σ_⊥∥ + Σ_∥⊥] + factor · ∂Φ T[H†Σ_⊥∥]."""
    _, across, _ = blocks(jet)
    return jet.second_derivative(across + across.T) / 2 + factor * jet.projection * jet.third(jet.pinv * across)


def _normal(jet: Jet) -> sp.Matrix:
    _, _, normal = blocks(jet)
    return jet.second_derivative(normal) / 2 + jet.projection * jet.third(jet.lyapunov(normal)) / 2


def _whole(jet: Jet) -> sp.Matrix:
    along, across, normal = blocks(jet)
    terms = (
        -jet.pinv * jet.third(along) / 2
        - jet.projection * jet.third(jet.pinv * across)
        - jet.projection * jet.third(jet.lyapunov(normal)) / 2
    )
    return jet.second_derivative(jet.covariance()) / 2 - terms


def _label(jet: Jet) -> sp.Matrix:
    c = sp.Symbol("c")
    noise: Any = c * jet.hessian
    return jet.second_derivative(noise) / 2 + c / 4 * jet.projection * jet.third(sp.eye(jet.dimension))


def _isotropic(jet: Jet) -> sp.Matrix:
    s = sp.Symbol("s")
    tangent = jet.projection * jet.second_derivative(s**2 * sp.eye(jet.dimension)) / 2
    return tangent + s**2 / 4 * jet.projection * jet.volume_gradient()


def _lyapunov(jet: Jet) -> sp.Matrix:
    _, _, normal = blocks(jet)
    s = jet.lyapunov(normal)
    return jet.hessian * s + s * jet.hessian - normal


STATEMENTS = (
    Statement(
        "Lemma 1, differentiated twice",
        r"\partial^2\Phi[v\,(Hw)^{\top}] + \partial^2\Phi[w\,(Hv)^{\top}] = -\partial\Phi\,T[v w^{\top}]",
        _lemma,
    ),
    Statement(
        "no drift by ∂Φ (by the choice of T)",
        r"\partial\Phi\,T[\partial\Phi] = 0",
        lambda jet: jet.projection * jet.third(jet.projection),
    ),
    Statement("the Lyapunov inverse (its definition)", r"H S + S H = \Sigma_{\perp}", _lyapunov),
    Statement(
        "tangent-noise compensation",
        r"\tfrac{1}{2}\partial^2\Phi[\Sigma_{\parallel}] = -\tfrac{1}{2} H^{\dagger}\,T[\Sigma_{\parallel}]",
        _compensation,
    ),
    Statement(
        "mixed regularization",
        r"\tfrac{1}{2}\partial^2\Phi[\Sigma_{\perp\parallel} + \Sigma_{\parallel\perp}]"
        r" = -\partial\Phi\,T[H^{\dagger}\Sigma_{\perp\parallel}]",
        mixed,
    ),
    Statement(
        "normal regularization",
        r"\tfrac{1}{2}\partial^2\Phi[\Sigma_{\perp}] = -\tfrac{1}{2} \partial\Phi\,T[S]",
        _normal,
    ),
    Statement(
        "the drift is their sum",
        r"\tfrac{1}{2}\partial^2\Phi[\Sigma] = b_{\parallel} + b_{\perp\parallel} + b_{\perp}",
        _whole,
    ),
    Statement(
        "label noise, Σ = cH",
        r"\tfrac{1}{2}\partial^2\Phi[c H] = -\tfrac{c}{4} \partial\Phi\,\nabla\mathrm{tr}\, H",
        _label,
    ),
    Statement(
        "isotropic noise, Σ = s²I",
        r"\tfrac{1}{2} \partial\Phi\,\partial^2\Phi[s^2 I] = -\tfrac{s^2}{4} \partial\Phi\,\nabla\ln|H|_+",
        _isotropic,
    ),
)
"""Adding an identity is adding a row."""


# --- the errata -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LinearModel:
    """The overparametrised linear model f_i = Σ_j z_ij (u_j² − v_j²) with letters for its data, at y_i = f_i: on Γ.

    Args:
        samples: n.
        features: d.
    """

    samples: int = 2
    features: int = 2

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        return (*sp.symbols(f"u1:{self.features + 1}"), *sp.symbols(f"v1:{self.features + 1}"))

    @property
    def data(self) -> sp.Matrix:
        return sp.Matrix(self.samples, self.features, lambda i, j: sp.Symbol(f"z{i + 1}{j + 1}"))

    @property
    def residuals(self) -> list[sp.Expr]:
        u, v = self.parameters[: self.features], self.parameters[self.features :]
        squares = sp.Matrix([a**2 - b**2 for a, b in zip(u, v, strict=True)])
        return [f - sp.Symbol(f"y{i + 1}") for i, f in enumerate(self.data * squares)]

    def hessian(self, scale: sp.Expr) -> sp.Matrix:
        """∇²L on Γ for L = (scale/n) Σ r_i²."""
        loss = scale * sum(r**2 for r in self.residuals) / self.samples
        fitted = {sp.Symbol(f"y{i + 1}"): r + sp.Symbol(f"y{i + 1}") for i, r in enumerate(self.residuals)}
        return sp.hessian(loss, self.parameters).xreplace(fitted)

    def covariance(self, scale: sp.Expr) -> sp.Matrix:
        """Of the gradient of scale·(r_i ± 1)² on Γ, i and the sign uniform."""
        slopes = [sp.Matrix([sp.diff(r, x) for x in self.parameters]) for r in self.residuals]
        total = sp.zeros(2 * self.features)
        for slope in slopes:
            total += (2 * scale) ** 2 * slope * slope.T
        return total.applyfunc(lambda entry: entry / self.samples)

    @property
    def printed(self) -> sp.Expr:
        """R = (4/n) Σ_{j ≤ d} (Σ_i z_ij²)(u_j² + v_j²), as the poster prints it but for the end of the sum."""
        d, x = self.features, self.parameters
        z: Any = self.data
        weights = [sum(z[i, j] ** 2 for i in range(self.samples)) for j in range(d)]
        return sp.Rational(4, self.samples) * sum(a * (x[j] ** 2 + x[d + j] ** 2) for j, a in enumerate(weights))


HALF = sp.Rational(1, 2)
_MODEL = LinearModel()
_ONE_MORE = LinearModel(samples=1, features=3)


def _parallel(*, both_sides: bool) -> sp.Matrix:
    """The covariance of ∂Φσ dW, σ of letters, minus ∂ΦΣ (∂Φ)."""
    p, sigma = Jet(3, 2).projection, sp.Matrix(3, 2, sp.symbols("s1:7"))
    return p * sigma * (p * sigma).T - p * sigma * sigma.T * (p if both_sides else sp.eye(3))


def _of_printed_loss() -> sp.Matrix:
    """R = ½ tr ∇²L, and Σ = 2∇²L, so that label noise has the drift −∂Φ∇R."""
    covariance = _MODEL.covariance(sp.S.One) - 2 * _MODEL.hessian(sp.S.One)
    return sp.Matrix([*_traces(HALF, sp.S.One, _MODEL), *covariance])


def _traces(factor: sp.Expr, scale: sp.Expr, model: LinearModel) -> sp.Matrix:
    return sp.Matrix([factor * model.hessian(scale).trace() - model.printed])


ERRATA = (
    Erratum(
        "the factor of the mixed term",
        r"-\tfrac{1}{2} \partial\Phi\,T[H^{\dagger}\Sigma_{\perp\parallel}]",
        r"-\partial\Phi\,T[H^{\dagger}\Sigma_{\perp\parallel}]",
        lambda: mixed(Jet(3, 2), HALF),
        lambda: mixed(Jet(3, 2)),
    ),
    Erratum(
        "a projection on both sides of Σ_∥",
        r"\partial\Phi\,\Sigma\,\Phi",
        r"\partial\Phi\,\Sigma\,\partial\Phi",
        lambda: _parallel(both_sides=False),
        lambda: _parallel(both_sides=True),
    ),
    Erratum(
        "R of the linear model with L = (1/n) Σ r_i²",
        r"R = \mathrm{tr}\,\nabla^2 L",
        r"R = \tfrac{1}{2}\mathrm{tr}\,\nabla^2 L",
        lambda: _traces(sp.S.One, sp.S.One, _MODEL),
        _of_printed_loss,
    ),
    Erratum(
        "the end of the sum over j in R",
        r"\sum_{j=1}^{D}",
        r"\sum_{j=1}^{d},\quad D = 2d",
        None,  # there are no z_ij for j > d
        lambda: _traces(HALF, sp.S.One, _ONE_MORE),
    ),
    Erratum(
        "the covariance of label noise with L = (1/2n) Σ r_i²",
        r"\Sigma = \mathrm{tr}\,\nabla^2 L",
        r"\Sigma = \nabla^2 L",
        lambda: _MODEL.covariance(HALF) - _MODEL.hessian(HALF).trace() * sp.eye(4),
        lambda: _MODEL.covariance(HALF) - _MODEL.hessian(HALF),
    ),
)
"""By their numbers in the README."""
