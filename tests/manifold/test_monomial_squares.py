"""(uw)² is a square though SymPy writes it u²w²: a zero of a target is an equation of Γ like every other."""

import pytest
import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.manifold.squares import root_of_monomial

u, v, w, k = sp.symbols("u v w k")


@pytest.mark.parametrize(
    ("product", "root"),
    [
        (u**2 * w**2, u * w),
        (u**2 * w**4, u * w**2),
        (u**2 * w, None),
        (u**2 * w**3, None),
        (u**2 / w**2, None),
        (u**2 * w**k, None),
        (u**2 * (w - 1) ** 2, None),  # u² is a weight of (w − 1)²
    ],
)
def test_the_root_of_a_monomial(product, root):
    assert root_of_monomial(product) == root


@pytest.mark.parametrize("noise", [IsotropicNoise(1), LabelNoise(1)])
def test_a_factorisation_with_a_zero_column(noise):
    a1, a2, b1, b2 = parameters = sp.symbols("a1 a2 b1 b2")
    residuals = [a1 * b1 - 1, a1 * b2, a2 * b1 - 2, a2 * b2]
    stated = Problem.least_squares(residuals, parameters=parameters, noise=noise)
    written = Problem(loss=stated.loss, parameters=parameters, noise=sp.Matrix(stated.noise_factor))
    sde = derive_limiting_sde(written)
    assert sde.component is None
    assert len(sde.manifold.equations) == 3
    assert set(sde.manifold.equations) <= set(residuals)
    assert sp.count_ops(sde.drift) < 150
    b = derive_limiting_sde(stated).drift
    at = {a1: sp.Rational(2, 3), a2: sp.Rational(4, 3), b1: sp.Rational(3, 2), b2: 0}
    assert (sde.drift - b).subs(at).applyfunc(sp.nsimplify) == sp.zeros(4, 1)


def test_one_beside_a_sum_is_on_all_of_the_manifold():
    sde = derive_limiting_sde(
        Problem(
            loss=(u * v - 1) ** 2 / 2 + k * u**2 * w**2, parameters=(u, v, w), noise=IsotropicNoise(1), constants=[k]
        )
    )
    assert sde.component is None
    assert set(sde.manifold.equations) == {u * v - 1, u * w}
