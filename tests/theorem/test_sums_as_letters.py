"""Functions of a sum that comes up again and again are written in it, and stay the same functions."""

import pytest
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.theorem.sums_as_letters import in_sums, linear_sums

x, y, z = sp.symbols("x y z")


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ((2 * x - y) ** 3 / (1 + (2 * x - y) ** 2), 2 * x - y),
        (z * (x + y) ** 2 - (x + y) + z, x + y),
        (sp.exp(x + 2 * y) * (x + 2 * y + 3) ** 2, x + 2 * y),
        ((x / 2 + sp.Rational(2, 3) * y - z) ** 4 - 7, x / 2 + sp.Rational(2, 3) * y - z),
    ],
    ids=str,
)
def test_what_is_multiplied_out_comes_back(written, form):
    (found,) = in_sums([sp.expand(written)], [form])
    assert sp.simplify(found - written) == 0
    assert reading_cost(found) <= reading_cost(written)


def test_what_is_no_function_of_a_sum_stays():
    assert in_sums([x * y + z], [x + y]) == [x * y + z]


def test_sums_of_symbols_are_found_and_no_others():
    assert set(linear_sums([(x + 2 * y) ** 2 / (x * y + z), x + 1], (x, y, z))) == {x + 2 * y}
    assert not list(linear_sums([x + y], (x,)))


def test_the_drift_of_a_neuron_in_its_chart():
    a, w, v = sp.symbols("a w v")
    sde = derive_limiting_sde(Problem.least_squares([a * (w + 2 * v) - 1], parameters=(a, w, v), noise=LabelNoise(1)))
    s = w + 2 * v
    first, second = sde.in_chart((w, v)).drift
    assert sp.simplify(first - s * (5 - s**4) / (2 * (s**4 + 5))) == 0
    assert sp.simplify(second - 2 * first) == 0
    assert reading_cost(first) < 45 < reading_cost(sp.cancel(first))
