"""Γ is the lowest manifold of minimizers that is found, also where the first starts all lead to a higher one."""

import sympy as sp
from judged_losses import judge

from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde

x, y = sp.symbols("x y", real=True)


def test_a_lower_manifold_far_away_is_taken() -> None:
    z = x - y
    problem = Problem(loss=(1 + z**2 - z**4 / 100) ** 2 / 2, parameters=(x, y), noise=IsotropicNoise(1))
    points = derive_limiting_sde(problem).derivation.points
    assert all(abs(1 + (p[x] - p[y]) ** 2 - (p[x] - p[y]) ** 4 / 100) < 1e-10 for p in points)


def test_near_names_the_higher_one() -> None:
    z = x - y
    loss = (1 + z**2 - z**4 / 100) ** 2 / 2
    problem = Problem(loss=loss, parameters=(x, y), noise=IsotropicNoise(1), near={x: 1, y: 1})
    assert all(abs(p[x] - p[y]) < 1e-10 for p in derive_limiting_sde(problem).derivation.points)


def test_a_lower_manifold_of_another_codimension() -> None:
    """Was: M = 3, for a valley of positive loss that all starts led to; the zeros of the residuals have M = 2."""
    record = judge(6806)
    assert record["derived codimension"] == 2
    assert not record["wrong"]


def test_what_vanishes_only_nearly_is_an_equation_as_it_is() -> None:
    """Was: Γ = {1 = 0}, where x e^(…) is below all digits, and yet not 0."""
    loss = 1 - sp.exp(-(x**2) / 20) - 2 * sp.exp(-300 * (x - 7) ** 2)
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(x, y), noise=IsotropicNoise(1)))
    assert all(e.free_symbols for e in sde.manifold.equations)
