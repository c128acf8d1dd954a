"""The printed equations of Γ: M of them where these are found, and nowhere a zero at which ∇L is not zero."""

from dataclasses import dataclass

import numpy as np
import pytest
import sympy as sp
from regular_points import settled

from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde

STARTS, SPREAD, SEED = 40, 2.0, 3
NOT_ZERO, DEPENDENT = 1e-6, 1e-6

x1, x2, x3, x4, x5 = x = sp.symbols("x1:6", real=True)
FIRST, SECOND = x1 * x3 - x2 + x4**2 - 1, x1 * x2 + sp.tanh(x3) - x4 / 2 - 1
THIRD = x2 * x5 - sp.exp(x1 - x4) + 1


@dataclass(frozen=True)
class Loss:
    """A loss, and how many equations of Γ are printed."""

    name: str
    loss: sp.Expr
    parameters: tuple[sp.Symbol, ...]
    printed: int
    near: dict[sp.Symbol, float] | None = None


def _mixed(*weights: tuple[int, int, int]) -> sp.Expr:
    return sp.Add(*[1 - sp.cos(sp.expand(a * FIRST + b * SECOND + c * THIRD)) for a, b, c in weights])


LOSSES = (
    Loss("a sine and a hyperbolic cosine", sp.sin(FIRST) ** 2 + sp.log(sp.cosh(SECOND)), x[:4], 2),
    Loss("1 − cos and a root", 3 - 3 * sp.cos(FIRST) + sp.sqrt(1 + SECOND**2), x[:4], 2),
    Loss("dependent samples", _mixed((1, 0, 2), (1, -1, 0), (0, 2, 1), (3, 1, 0)), x, 3),
    Loss("e^g − g, multiplied out", 2 * sp.exp(FIRST) - sp.expand(2 * FIRST) + SECOND**2 / 2, x[:4], 2),
    Loss("residuals that do not vanish", (FIRST + SECOND - 1) ** 2 + (FIRST + SECOND + 1) ** 2 + (FIRST - 2 * SECOND) ** 2, x[:4], 2),
    Loss("softmax", sp.log(1 + sp.exp(FIRST) + sp.exp(SECOND)) - sp.expand((FIRST + SECOND) / 3), x[:4], 2),
    Loss(
        "a product with a part of another dimension",
        (FIRST**2 + (x1 * x2 - 1) ** 2) * (x3 + 2 * x4 - 5) ** 2 / 200,
        x[:4],
        2,
        near={x1: 1, x2: 1, x3: 2, x4: 0},
    ),
    Loss("coupled and weighted", (1 + x1**2) * FIRST**2 + FIRST * SECOND + (2 + x2**2) * SECOND**2, x[:4], 4),
    Loss("more residuals than equations", ((x1 - x2) ** 2 + (x1 - x2) ** 2 * (x3 - 1) ** 2 + (x3 - x1) ** 2) / 2, x[:4], 2),
)  # fmt: skip


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
def test_the_gradient_vanishes_at_every_zero_of_the_printed_equations(case):
    """Was: M rows of ∇L, which have other common zeros than ∇L has."""
    problem = Problem(loss=case.loss, parameters=case.parameters, noise=IsotropicNoise(1), near=case.near)
    sde = derive_limiting_sde(problem)
    equations = sde.manifold.equations
    assert len(equations) == case.printed
    slope = sp.lambdify(case.parameters, [sp.diff(case.loss, p) for p in case.parameters], "math")
    zeros = _zeros(equations, case.parameters, sde.derivation.points[0])
    assert len(zeros) > STARTS / 4
    for zero in zeros:
        assert np.abs(slope(*zero)).max() < NOT_ZERO * (1 + np.abs(zero).max()), zero


def _zeros(equations: tuple, parameters: tuple, point: dict) -> list[np.ndarray]:
    """Common zeros that Gauss and Newton's method finds from about a point of Γ."""
    rng, found = np.random.default_rng(SEED), []
    centre = np.array([float(point[p]) for p in parameters])
    for _ in range(STARTS):
        start = centre + SPREAD * rng.standard_normal(len(centre))
        try:
            zero = settled(equations, parameters, start, dependent=DEPENDENT)
            size = np.abs(sp.lambdify(parameters, list(equations), "math")(*zero)).max()
        except (ValueError, ZeroDivisionError, OverflowError, TypeError):
            continue
        if size < 1e-9 * (1 + np.abs(zero).max()) and np.abs(zero).max() < 20:
            found.append(zero)
    return found
