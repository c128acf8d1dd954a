"""Is a point one where the formulas of a large problem hold? By M×M matrices only.

Where f = 0 and J has rank M, H = JᵀKJ with K > 0 is positive semidefinite of rank M: a point is on Γ where the Newton step JᵀG⁻¹f is
small, and regular where the gradients ∇f_i are independent.
"""

from collections.abc import Sequence

import numpy as np
import sympy as sp

from symbolic_sgd.errors import OffManifold, SingularPoint
from symbolic_sgd.numeric.matrix_arrays import HostArrays
from symbolic_sgd.numeric.matrix_terms import MatrixTerms
from symbolic_sgd.theorem.matrix_stages import MatrixStages

ON_MANIFOLD = 1e-6
"""x is on Γ when |H†∇L|, here the Newton step, and |g|/|∇g| are at most this times 1 + |x|."""

INDEPENDENT = 1e-4
"""Smallest singular value s of the frame with columns of length 1. (FᵀF)⁻¹ costs float64 a factor s⁻² of its digits."""

SHOWN = 12
"""Coordinates of a point that a message names at most."""

PLAIN = HostArrays()


def check_stages(stages: MatrixStages, points: np.ndarray) -> None:
    """Raise unless every point is on Γ, with independent gradients."""
    check_terms(MatrixTerms(stages, points, PLAIN))


def check_terms(terms: MatrixTerms) -> None:
    """The same for points whose matrices are known.

    Raises:
        OffManifold: a point off Γ.
        SingularPoint: the gradients of the equations are dependent there, to float64.
    """
    points, symbols = terms.points, terms.stages.problem.parameters
    if not np.isfinite(terms.slopes).all():
        bad = int(np.argmin(np.isfinite(terms.slopes).all(axis=(1, 2))))
        raise OffManifold(
            f"x = {_named(symbols, points[bad])} is not on Γ: a derivative of the loss is not a finite real number there, or overflows "
            "float64"
        )
    lengths = np.linalg.norm(terms.slopes, axis=2)
    with np.errstate(all="ignore"):
        unit = terms.slopes / lengths[..., None]
    unit = np.where(np.isfinite(unit), unit, 0)
    weakest = np.sqrt(np.maximum(np.linalg.eigvalsh(unit @ np.swapaxes(unit, 1, 2))[:, 0], 0))
    singular = ~(weakest >= INDEPENDENT)
    if singular.any():
        worst = int(np.argmax(singular))
        raise SingularPoint(
            f"the gradients of the {terms.stages.codimension} equations of Γ are dependent at {_named(symbols, points[worst])} (smallest "
            f"singular value of them with length 1: {weakest[worst]:.3g}, and at least {INDEPENDENT:g} is needed): the formulas do not "
            "hold at such a point, or float64 has not their digits"
        )
    away = np.linalg.norm(terms.newton_step, axis=1) / (1 + np.linalg.norm(points, axis=1))
    off = ~(away <= ON_MANIFOLD)
    if off.any():
        worst = int(np.argmax(off))
        raise OffManifold(
            f"x = {_named(symbols, points[worst])} is not on Γ: |H†∇L|/(1 + |x|) there is {away[worst]:.3g}, and at most {ON_MANIFOLD:g} "
            "is allowed. Follow the gradient flow to its limit Φ(x) first, or use lambdify(check=False) at your own risk"
        )


def _named(symbols: Sequence[sp.Symbol], row: np.ndarray) -> str:
    shown = [f"{s} = {a:.6g}" for s, a in zip(symbols, row, strict=True)]
    return "(" + ", ".join(shown if len(shown) <= SHOWN else [*shown[: SHOWN // 2], "…", *shown[-SHOWN // 2 :]]) + ")"
