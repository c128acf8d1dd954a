"""Two SDEs that are handed to solvers of other packages, and Euler's scheme for them."""

from collections.abc import Callable
from functools import cache

import numpy as np
import sympy as sp

from symbolic_sgd import IsotropicNoise, LimitingSDE, Problem, derive_limiting_sde
from symbolic_sgd.algebra.program import evaluate

u, v, w = sp.symbols("u v w")
TIME = 0.25


@cache
def hyperbola() -> LimitingSDE:
    return derive_limiting_sde(
        Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(sp.Rational(1, 2)))
    )


@cache
def quadric() -> LimitingSDE:
    sigma = sp.Matrix(
        [
            [sp.Rational(1, 2), u / 4, 0, sp.Rational(1, 3)],
            [0, sp.Rational(1, 2), v / 5, 0],
            [w / 3, 0, sp.Rational(1, 2), sp.Rational(1, 4)],
        ]
    )
    return derive_limiting_sde(Problem(loss=(u * v + w**2 - 1) ** 2 / 2, parameters=(u, v, w), noise=sigma))


STARTS = {"hyperbola": [1.25, 0.8], "quadric": [1.25, 0.6, 0.5]}
CHARTS = {
    "hyperbola": lambda y, xp: xp.stack([y[0], 1 / y[0]]),
    "quadric": lambda y, xp: xp.stack([y[0], (1 - y[1] ** 2) / y[0], y[1]]),
}
"""Γ as a graph over (u) and over (u, w)."""
KEPT = {"hyperbola": [0], "quadric": [0, 2]}
SDES: dict[str, Callable[[], LimitingSDE]] = {"hyperbola": hyperbola, "quadric": quadric}


def euler(sde, start, increments, h):
    """Euler and Maruyama's scheme in NumPy, in ambient coordinates, without projection: by the program as derived, since it leaves Γ,
    where the formulas for Γ differ."""
    y, part = np.array(start), sde.program.select("drift", "tangent_noise")
    for dw in increments:
        terms = {name: rows[0] for name, rows in evaluate(part, sde.problem.symbols, y[None]).items()}
        y = y + h * terms["drift"] + terms["tangent_noise"].reshape(len(y), -1) @ dw
    return y
