"""Sums whose terms have polynomials of one letter in common are written with these before brackets."""

import pytest
import sympy as sp

from symbolic_sgd.rational.grouping import with_common_polynomials

a, b, c, x, y = sp.symbols("a b c x y")


@pytest.mark.parametrize(
    "short",
    [
        (a**2 + b**2 + c**2) * (x - 1) ** 2 + y**2 + 1,
        ((a**2 + b**2) * (x - 1) ** 2 + sp.exp(2 * a * b) + 1) / (4 * (1 + sp.exp(a * b)) ** 2),
        (a**2 - 3 * b**2 + c) * (2 - x + x**3) + y * (1 - a),
    ],
)
def test_what_is_found(short):
    above, below = sp.fraction(short)
    found = with_common_polynomials(sp.expand(above) / below)
    assert sp.expand(found * below - above) == 0
    assert sp.count_ops(found) <= sp.count_ops(short)


@pytest.mark.parametrize(
    "kept", [a + b, sp.sqrt(2) * a + b**2 + c + x + y + 1, a * b + b * c + c * x + x * y + y + 1, sp.exp(a), sp.S(3)]
)
def test_what_is_kept(kept):
    assert with_common_polynomials(kept) == kept
