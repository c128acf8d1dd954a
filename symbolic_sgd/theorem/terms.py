"""The named parts of a limiting SDE: how each is called, written and defined, for every optimizer, and read off the stages."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.optimizers.iterated_map import IteratedMap
from symbolic_sgd.optimizers.mirror_descent import MirrorDescent
from symbolic_sgd.optimizers.nonlinear_update import NonlinearUpdate
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.perturbed import OnPerturbedLoss
from symbolic_sgd.optimizers.second_moments import SlowSecondMoments
from symbolic_sgd.theorem.drift import DriftTerms
from symbolic_sgd.theorem.geometry import NodeGeometry
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold
from symbolic_sgd.theorem.response import LeadingResponse, ReshuffledResponse, Response


@dataclass(frozen=True)
class Term:
    """One named part of the result: what it is called, written and defined as, and where it comes from.

    Args:
        name: the public name.
        symbol: LaTeX of the letter.
        definition: LaTeX of the right-hand side.
        source: where in the theorem it stands.
        matrix: how it is read off the finished stages.
    """

    name: str
    symbol: str
    definition: str
    source: str
    matrix: Callable[[NodeGeometry, NoiseOnManifold, DriftTerms], Matrix]


def _identity(normal: NodeGeometry) -> Matrix:
    landscape = normal.frame.manifold.landscape
    return Matrix.identity(landscape.graph, landscape.dimension)


TERMS: list[Term] = [
    Term(
        "tangent_projection",
        r"\partial\Phi",
        r"I - \nabla^2 L\,\nabla^2 L^{\dagger}",
        "Lemma 2",
        lambda normal, noise, drift: normal.tangent_part(_identity(normal)),
    ),
    Term(
        "hessian_pinv",
        r"\nabla^2 L^{\dagger}",
        r"\nabla^2 L^{\dagger}",
        "notation of the main theorem",
        lambda normal, noise, drift: normal.hessian_pinv,
    ),
    Term(
        "lyapunov_solution",
        r"S",
        r"\mathcal{L}^{-1}_{\nabla^2 L}(\Sigma_{\perp})",
        "notation of the main theorem",
        lambda normal, noise, drift: drift.normal_noise.solution,
    ),
    Term(
        "tangent_noise",
        r"\sigma_{\parallel}",
        r"\partial\Phi\,\sigma",
        "main theorem, first term",
        lambda normal, noise, drift: noise.tangent.factor,
    ),
    Term(
        "tangent_noise_compensation",
        r"b_{\parallel}",
        r"-\tfrac12\,\nabla^2 L^{\dagger}\,\partial^2(\nabla L)[\Sigma_{\parallel}]",
        "main theorem, second term",
        lambda normal, noise, drift: drift.tangent_noise_compensation,
    ),
    Term(
        "mixed_regularization",
        r"b_{\perp\parallel}",
        r"-\partial\Phi\,\partial^2(\nabla L)[\nabla^2 L^{\dagger}\,\Sigma_{\perp\parallel}]",
        "main theorem, third term, with its factor corrected from 1/2 to 1",
        lambda normal, noise, drift: drift.mixed_regularization,
    ),
    Term(
        "normal_regularization",
        r"b_{\perp}",
        r"-\tfrac12\,\partial\Phi\,\partial^2(\nabla L)[S]",
        "main theorem, fourth term",
        lambda normal, noise, drift: drift.normal_regularization,
    ),
    Term(
        "drift",
        r"b",
        r"\tfrac12\,\partial^2\Phi[\Sigma] = b_{\parallel} + b_{\perp\parallel} + b_{\perp}",
        "main theorem",
        lambda normal, noise, drift: drift.total,
    ),
]
"""Every named part of the limiting SDE, in the order of the theorem: formulas, LaTeX, numbers, documents and tests walk this
list, and what else is to be shown of every derivation is a further row."""

THEOREM = tuple(term.name for term in TERMS)
"""The terms of the theorem itself, which have shorter formulas for composed losses, are evaluated by linear algebra where they
are long, and are checked by the theorem's own words."""

DRIFT_TERMS = ("tangent_noise_compensation", "mixed_regularization", "normal_regularization")
"""Those of the drift."""

IMPOSED = Term(
    "imposed_drift",
    r"b_{\mathrm{own}}",
    r"-\partial\Phi\,g",
    "weight decay and the slow potential of the optimizer",
    lambda normal, noise, drift: _stated(drift.imposed),
)
"""Of optimizers that have a slow field g of their own."""

BY_KERNEL = {
    "lyapunov_solution": r"\Sigma_{\perp} \circ \kappa",
    "mixed_regularization": r"-\partial\Phi\,\partial^2(\nabla L)[\Sigma_{\perp\parallel} \circ \kappa]",
}
"""How terms are defined for an optimizer with another kernel κ than plain SGD's."""

BY_SAMPLES = {"lyapunov_solution": r"\mathcal{M}^{-1}[\Sigma_{\perp}]"}
"""For SGD on samples: 𝓜[S] = ∇²L S + S ∇²L − η E[H_B S H_B]."""

CURVED = Term(
    "noise_curvature_drift",
    r"b_{\xi\xi}",
    r"\tfrac12\,P\,G_{\xi\xi}[V]",
    "the second derivative of the map in its noise",
    lambda normal, noise, drift: _stated(drift.curved),
)
"""Of maps into which the noise enters nonlinearly."""

BY_MAP = {
    "lyapunov_solution": r"C_{xx}, \quad C = \partial G\,C\,\partial G^{\top} + (I - P)\,\Sigma\,(I - P)^{\top}",
    "tangent_noise": r"P\,G_{\xi} V^{1/2}",
    "tangent_noise_compensation": r"\tfrac12\,A^{\#}\,G''[P \Sigma P^{\top}]",
    "mixed_regularization": r"P\,G''[A^{\#} \Sigma P^{\top}]",
    "normal_regularization": r"\tfrac12\,P\,G''[C]",
    "imposed_drift": r"P\,g",
    "drift": r"b_{\parallel} + b_{\perp\parallel} + b_{\perp}",
}
"""For any map z⁺ = G(z, εξ): A = I − ∂G, P the projection on ker A along the range of A, Σ = G_ξVG_ξᵀ."""

BY_METRIC = {
    "tangent_projection": r"I - J\,J^{\#}, \quad J = S_{\!P}\,\nabla^2 L",
    "lyapunov_solution": r"((I - \partial\Phi)\,W\,(I - \partial\Phi)^{\top}) \circ \kappa, \quad W = S_{\!P}\,\Sigma\,S_{\!P}",
    "tangent_noise": r"\partial\Phi\,S_{\!P}\,\sigma",
    "tangent_noise_compensation": r"-\tfrac12\,J^{\#}\,\partial^2 F[\partial\Phi\,W\,\partial\Phi^{\top}], \quad F = S_{\!P}\,\nabla L",
    "mixed_regularization": r"-\partial\Phi\,\partial^2 F[J^{\#}\,W\,\partial\Phi^{\top}]",
    "normal_regularization": r"-\tfrac12\,\partial\Phi\,\partial^2 F[S]",
    "imposed_drift": r"-\partial\Phi\,g",
    "noise_curvature_drift": r"c\,V[\Sigma]",
    "drift": r"b_{\parallel} + b_{\perp\parallel} + b_{\perp}",
}
"""For the fast field F = S_P∇L of a preconditioner S_P: κ in the eigenvectors of J = ∂F, J^# its group inverse."""

BY_STEPS = {
    "lyapunov_solution": r"((I - \partial\Phi)\,W\,(I - \partial\Phi)^{\top}) \circ \kappa",
    "tangent_noise": r"\partial\Phi\,W^{1/2}",
    "tangent_noise_compensation": r"-\tfrac12\,J^{\#}\,\partial^2 F[\partial\Phi\,W\,\partial\Phi^{\top}]",
}
"""For steps along ψ(∇L + n): F = E ψ(∇L + n), S_P = E Dψ(n), and W = E ψ(n)ψ(n)ᵀ on Γ."""

BY_MIRROR = {
    "normal_regularization": r"-\tfrac12\,\partial\Phi\,(\partial^2 F[S] - \eta\,x''[\nabla^2 L\,S\,\nabla^2 L])",
}
"""For mirror descent at a learning rate that stays, with the second derivative x'' of x(y), y = ∇ψ(x)."""

BY_DUAL = {"noise_curvature_drift": r"\tfrac12\,\partial\Phi\,x''[\Sigma]"}
"""For mirror descent."""

BY_MOMENTUM = {
    "mixed_regularization": r"-\partial\Phi\,\partial^2 F[(\lambda\kappa(\lambda, 0))(J)\,J^{\#}\,W\,\partial\Phi^{\top}]",
}
"""With momentum, where λκ(λ, 0) is not 1."""

BY_MOMENTS = {
    "normal_regularization": r"-\tfrac12\,\partial\Phi\,\partial^2 F[S] + c\,\eta\,V[\nabla^2 L\,S\,\nabla^2 L]",
}
"""For slow second moments at a learning rate that stays: V is the diagonal, in their rows."""

BY_PERTURBATION = {
    "noise_curvature_drift": r"-\partial\Phi\,\nabla R_0, \quad R_0 = \tfrac12\,\mathrm{tr}\,V\,\partial_{\xi}^2 \hat L(x, 0)",
}
"""For a loss that every step perturbs by ξ of covariance V: the mean of its gradients is ∇L + ε²∇R₀."""

BY_RESHUFFLING = {
    "lyapunov_solution": r"\Sigma_{\perp} \circ \kappa",
    "tangent_noise": "0",
    "tangent_noise_compensation": "0",
    "mixed_regularization": r"-\partial\Phi\,\partial^2(\nabla L)[\Sigma_{\perp\parallel} \circ \kappa]",
    "noise_curvature_drift": r"-\partial\Phi \textstyle\sum_a \partial\sigma_a\,w(\nabla^2 L)\,\sigma_a",
    "drift": r"b_{\parallel} + b_{\perp\parallel} + b_{\perp}",
}
"""For samples that every epoch visits once, at a learning rate that stays: w(λ) = Σ_m (n − 1 − m)(1 − ηλ)ᵐ/(n(n − 1)), m ≤ n − 2."""

BY_RESHUFFLING_SLOWLY = {
    "lyapunov_solution": "0",
    "tangent_noise": "0",
    "tangent_noise_compensation": "0",
    "mixed_regularization": "0",
    "normal_regularization": "0",
    "noise_curvature_drift": r"-\tfrac12\,\partial\Phi \textstyle\sum_a \partial\sigma_a\,\sigma_a",
    "drift": r"b_{\parallel} + b_{\perp\parallel} + b_{\perp}",
}
"""The same where the learning rate tends to 0: w = ½."""

OF_GRADIENTS = {"noise_curvature_drift": r"-\tfrac14\,\partial\Phi\,\nabla\,\mathrm{tr}\,\Sigma"}
"""Of sample losses, whose deviations are gradients."""

BY_LEADING = {
    "lyapunov_solution": r"s(\lambda_1)\,u_1 u_1^{\top}",
    "tangent_noise": "0",
    "tangent_noise_compensation": "0",
    "mixed_regularization": "0",
    "drift": r"b_{\perp}",
}
"""For what goes down the largest curvature, whose axis is u_1."""

BY_FACTOR = {
    "tangent_noise": r"\sqrt{\tau}\,\partial\Phi\,\sigma",
    "tangent_noise_compensation": r"-\tfrac12\,\nabla^2 L^{\dagger}\,\partial^2(\nabla L)[\tau\,\Sigma_{\parallel}]",
}
"""With another factor τ than 1."""


def terms_of(optimizer: Optimizer, response: Response) -> list[Term]:
    """The terms of the limit of an optimizer."""
    others = {} if optimizer.tangent_factor == 1 else BY_FACTOR
    if isinstance(optimizer, IteratedMap):
        others = BY_MAP
    elif isinstance(optimizer, MirrorDescent):
        others = BY_METRIC | BY_DUAL | (BY_MIRROR if optimizer.is_finite else {})
    elif optimizer.in_metric:
        remembers = optimizer.is_finite and isinstance(optimizer, SlowSecondMoments)
        others = BY_METRIC | (BY_MOMENTS if remembers else {}) | (BY_MOMENTUM if response.mixed != 1 else {})
        others = others | (BY_STEPS if isinstance(optimizer, NonlinearUpdate) else {})
    elif isinstance(response, LeadingResponse):
        others = BY_LEADING
    elif isinstance(response, ReshuffledResponse):
        others = BY_RESHUFFLING_SLOWLY if response.is_still else BY_RESHUFFLING
        others = others | (OF_GRADIENTS if response.is_still and response.of_losses else {})
    elif not response.is_lyapunov:
        others = others | (BY_SAMPLES if response.kernel is None else BY_KERNEL)
    others = others | (BY_PERTURBATION if isinstance(optimizer, OnPerturbedLoss) else {})
    own = own_terms(optimizer)
    stated: Callable[[Term], Term] = lambda t: replace(t, definition=others[t.name]) if t.name in others else t  # noqa: E731
    terms = [stated(term) for term in TERMS]
    place = [term.name for term in terms].index("drift")  # rows that are added stand behind it
    total = replace(terms[place], definition=" + ".join([terms[place].definition, *(t.symbol for t in own)]))
    return [*terms[:place], *map(stated, own), total, *terms[place + 1 :]]


def own_terms(optimizer: Optimizer) -> list[Term]:
    """Those that the optimizer adds to the three of the theorem."""
    return [*([IMPOSED] if optimizer.has_slow_field else []), *([CURVED] if optimizer.curves_noise else [])]


def _stated(matrix: Matrix | None) -> Matrix:
    assert matrix is not None
    return matrix
