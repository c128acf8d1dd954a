"""The potential of (x, v) for slow second moments v, where label noise makes one of both.

With Σ = κH and S(v) = V*(s(v)), s = ∇ω, the covariance that v learns is Σ + ηHCH = κH(1 − ηSH/2)⁻¹, so that both equations descend
E = −(2κ/η) tr log(1 − ηSH/2) − ⟨s(v), v⟩ + ω(v).
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
    reasons = [
        (derivation.proportion is None, "the noise is not seen to be a multiple of ∇²L on Γ"),
        (optimizer.is_finite and optimizer.first_momentum != 0, "there is momentum at a learning rate that stays"),
        (optimizer.weight_decay != 0, "weight decay beside the scaled step is no gradient in the metric of S"),
    ]
    for holds, reason in reasons:
        if holds:
            raise Undecided(
                f"no joint potential is known: {reason}; it is known for label noise without weight decay, and without momentum where the "
                "learning rate stays"
            )
    metric, size = optimizer.metric(problem), problem.dimension // 2
    spectrum, kappa = MetricSpectrum(derivation, metric), derivation.proportion
    moments, factors = problem.parameters[size:], metric.diagonal()[:size]
    own = sp.Add(*[optimizer.primitive(v) - s * v for v, s in zip(moments, factors, strict=True)])
    if not optimizer.is_finite:
        return kappa * spectrum.trace() + own
    eta: Any = optimizer.rate
    scale: Any = kappa
    return -2 * scale / eta * sp.log(spectrum.shifted(-eta / 2)) + own
