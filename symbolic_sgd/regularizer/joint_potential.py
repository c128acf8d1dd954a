"""The potential of (x, v) for slow second moments v, where label noise makes one of both, and that of x where v has settled.

With Σ = κH and S(v) = V*(s(v)), s = ∇ω, the covariance that v learns is Σ + ηHCH = κH(1 − ηSH/2)⁻¹, so that both equations descend
E = −(2κ/η) tr log(1 − ηSH/2) − ⟨s(v), v⟩ + ω(v). As η → 0, ∂_vE = 0 at v = κV(H), where E = ω(κV(H)).
"""

from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import Undecided
from symbolic_sgd.optimizers.second_moments import SlowSecondMoments
from symbolic_sgd.regularizer.spectral import MetricSpectrum
from symbolic_sgd.theorem.derivation import Derivation


def joint_potential(derivation: Derivation) -> Expression | None:
    """E, up to a constant; None where there are no second moments.

    Raises:
        Undecided: none is known.
    """
    optimizer, problem = derivation.optimizer, derivation.problem
    if not isinstance(optimizer, SlowSecondMoments):
        return None
    _check(
        derivation,
        optimizer,
        "joint potential",
        (optimizer.is_finite and optimizer.first_momentum != 0, "there is momentum at a learning rate that stays"),
    )
    moments = optimizer.parted(problem)[1]
    own = optimizer.primitive(moments) - optimizer.paired(moments)
    spectrum, kappa = MetricSpectrum(derivation, optimizer.metric(problem)), derivation.proportion
    if not optimizer.is_finite:
        return kappa * spectrum.trace() + own
    eta: Any = optimizer.rate
    scale: Any = kappa
    return -2 * scale / eta * sp.log(spectrum.shifted(-eta / 2)) + own


def quasi_static_regularizer(derivation: Derivation) -> Expression | None:
    """R = ¼ω(κV(H)), up to a constant; None where there are no second moments.

    Raises:
        Undecided: none is known.
        ExpressionTooLarge: H is too large to be written out.
    """
    optimizer = derivation.optimizer
    if not isinstance(optimizer, SlowSecondMoments):
        return None
    finite = (
        optimizer.is_finite,
        "v settles at a solution of v = κV(H(1 − ηS(v)H/2)⁻¹), which is not written out, where η stays",
    )
    _check(derivation, optimizer, "quasi-static regularizer", finite)
    hessian, kappa = derivation.blocks.expand("hessian"), derivation.proportion
    assert kappa is not None
    settled = optimizer.second_moments(derivation.problem).of(lambda i, j: kappa * hessian[i, j])
    return optimizer.primitive(settled) / 4


def _check(derivation: Derivation, optimizer: SlowSecondMoments, what: str, own: tuple[bool, str]) -> None:
    reasons = [
        (bool(derivation.restated), "terms of the drift were stated here, and not derived"),
        (derivation.proportion is None, "the noise is not seen to be a multiple of ∇²L on Γ"),
        own,
        (optimizer.weight_decay != 0, "weight decay beside the scaled step is no gradient in the metric of S"),
    ]
    for holds, reason in reasons:
        if holds:
            raise Undecided(
                f"no {what} is known: {reason}; it is known for label noise without weight decay, and without momentum where the "
                "learning rate stays"
                if what == "joint potential"
                else f"no {what} is known: {reason}; it is known for label noise without weight decay as the learning rate tends to 0"
            )
