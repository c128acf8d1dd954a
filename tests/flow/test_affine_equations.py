"""Equations that hold an affine function fixed: with constants, and a transcendental one that does not, with little work."""

import sympy as sp
from work import calls

from symbolic_sgd.flow.affine_equations import straightened

x, y, z, a = sp.symbols("x y z a")


def test_a_slope_may_hold_constants():
    assert sp.expand(straightened(sp.exp(x + a * y) - 2, (x, y), {x: sp.log(2), y: 0, a: 3})) == x + a * y - sp.log(2)


def test_what_is_not_affine_is_left_as_it_is_and_costs_nothing():
    p, q = x * z + y, x * z - y
    equation = x * (sp.exp(p) / (8 * (sp.exp(p) + 1)) - 3 * sp.exp(-p) / (8 * (sp.exp(-p) + 1)))
    equation += x * (3 * sp.exp(q) / (10 * (sp.exp(q) + 1)) - sp.exp(-q) / (5 * (sp.exp(-q) + 1)))
    work, result = calls(lambda: straightened(equation, (x, y, z), {x: 1, y: 1, z: 1}))
    assert result == equation
    assert work < 3_000_000  # cancelling quotients of exponentials takes many times as many
