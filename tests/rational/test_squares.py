"""Squares of sums are found in what has been multiplied out, and nothing is changed where there are none."""

import pytest
import sympy as sp

from symbolic_sgd.rational.squares import with_complete_squares

a, v, w, x = sp.symbols("a v w x")


@pytest.mark.parametrize(
    "written",
    [
        (v + 2 * w + 3 * x) ** 2 + 14 * a**2,
        (v - w) ** 2 + (w - x) ** 2 + a,
        (a * v + w**2) ** 2 / 3 + v,
        (v + w + 1) ** 2,
    ],
)
def test_squares_are_found(written):
    found = with_complete_squares(sp.expand(written))
    assert sp.expand(found - written) == 0
    assert sp.count_ops(found) <= sp.count_ops(written)


@pytest.mark.parametrize(
    "expression", [v**2 + w**2, v * w, v**2 + v * w + x, sp.log(v**2 + 2 * v * w), sp.S(3), -(v**2)]
)
def test_what_holds_no_square_stays(expression):
    assert with_complete_squares(expression) == expression
