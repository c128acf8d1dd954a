"""Conditions under which formulas hold are written as the distinct factors that must not vanish."""

import sympy as sp

from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde
from symbolic_sgd.theorem.derivation import _of_same_zeros

u, v, w = sp.symbols("u v w")
PROBLEM = Problem(loss=(u * v - 1) ** 2 + w**2, parameters=(u, v, w), noise=IsotropicNoise(1))


def of_same_zeros(*rows):
    return list(_of_same_zeros(sp.Matrix(rows), PROBLEM))


def test_powers_numbers_and_positive_factors_are_left_out():
    assert of_same_zeros([4 * u**2 * v**4 * (u - v) ** 2 * (1 + w**2)])[-1] == u * v * (u - v)
    assert of_same_zeros([u**2, u * v], [u * v, u**2])[-1] == u * (u - v) * (u + v)
    assert of_same_zeros([1 + u**4])[-1] == 1  # is nowhere zero
    assert of_same_zeros([u**2 + v**2])[-1] == u**2 + v**2


def test_what_is_no_polynomial_is_not_factored():
    assert of_same_zeros([sp.exp(u) * v]) == [v * sp.exp(u)]


def test_the_condition_of_a_frame_says_where_it_is_singular():
    """Six products p_i q_j of unknown numbers: the gradients of four of them are independent where u₁v₁ ≠ 0."""
    us, vs, numbers = sp.symbols("u1 u2"), sp.symbols("v1 v2 v3"), sp.symbols("p q r s t", positive=True)
    target = [(i, j, numbers[i] * numbers[2 + j]) for i in range(2) for j in range(3)]
    residuals = [us[i] * vs[j] - y for i, j, y in target]
    noise = IsotropicNoise(1)
    sde = derive_limiting_sde(Problem.least_squares(residuals, parameters=(*us, *vs), noise=noise, constants=numbers))
    (condition,) = sde.valid_where
    frame = sp.Matrix(sde.derivation.equations.expand("levels").flat()).jacobian((*us, *vs))
    factored = sp.factor_list((frame * frame.T).det())[1]
    assert sp.expand(condition.lhs - sp.Mul(*(f for f, _ in factored))) == 0
    assert {us[0], vs[0]} <= {f for f, _ in factored}
