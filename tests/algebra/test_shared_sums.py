"""Programs with fewer operations: the same values, for random sums and quotients."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate, merged
from symbolic_sgd.algebra.shared_sums import with_inverses, with_shared_sums
from symbolic_sgd.algebra.translation import from_sympy

X = sp.symbols("x1:6")


def program(expressions, name="f") -> Program:
    graph = Graph()
    return Program.of({name: Matrix.column([from_sympy(sp.sympify(e), graph) for e in expressions])})


def divisions(p: Program) -> int:
    return sum(i.op == "div" for i in p.instructions)


def random_expressions(rng) -> list:
    """Sums of monomials, quotients of them, and sums of those: some twice, some with other signs and factors."""

    def monomial():
        return sp.Rational(int(rng.integers(-6, 7)), int(rng.integers(1, 4))) * X[rng.integers(5)] ** int(
            rng.integers(0, 4)
        )

    def total():
        return sp.Add(*(monomial() for _ in range(rng.integers(1, 6))))

    sums = [total() for _ in range(3)]
    divisor = 1 + sum(x**2 for x in X[:3])
    return [
        sums[0] * sums[1],
        -2 * sums[0],
        sums[1] / divisor + sp.exp(sums[2] / 50),
        sums[2] / divisor**2 - 3,
        sp.Rational(-1, 4) * X[0] / divisor**2,
        sums[0] + 2 * sums[1] - sums[2],
        sp.Integer(int(rng.integers(-3, 4))),
    ]


@pytest.mark.parametrize("seed", range(40))
def test_the_values_are_the_same(seed):
    rng = np.random.default_rng(seed)
    before = program(random_expressions(rng))
    shared = with_shared_sums(before)
    inverted = with_inverses(shared)
    x = rng.uniform(0.3, 2, size=(20, 5)) * rng.choice([-1, 1], size=(20, 5))
    truth = evaluate(before, X, x)["f"]
    for after in (shared, inverted, with_inverses(before)):
        np.testing.assert_allclose(evaluate(after, X, x)["f"], truth, rtol=1e-11, atol=1e-11)
    assert divisions(inverted) <= divisions(before)


def test_pairs_of_many_sums_are_added_once():
    a, b, c, d, _ = (x**2 for x in X)
    sums = [a + b + c + d - 1, a + b - c - d + 2, 3 * a + 3 * b + c + d, -a - b + c]
    before = program([s * X[4] for s in sums])
    assert with_shared_sums(before).operations < before.operations
    # four squares, a + b, c + d; 2, 2, 2 and 1 operations for the sums; four products
    assert with_shared_sums(before).operations == 4 + 2 + 7 + 4


def test_large_sums_are_left_alone():
    before = program([sp.Add(*(k * X[0] ** k for k in range(1, 90))) * X[1], sp.Add(*X) * X[2]])
    after = with_shared_sums(before)
    x = np.full((1, 5), 0.5)
    np.testing.assert_allclose(evaluate(after, X, x)["f"], evaluate(before, X, x)["f"], rtol=1e-14)


def test_a_number_that_divides_once_is_not_inverted():
    before = program([X[0] / X[1]])
    assert with_inverses(before) == before


def test_merged_programs_share_what_they_have_in_common():
    first, second = program([X[0] * X[1] + 1], "f"), program([(X[1] * X[0] + 1) ** 2], "g")
    both = merged(first, second)
    assert both.names == ("f", "g") and both.operations == 3
    x = np.array([[2.0, 3.0, 0, 0, 0]])
    assert evaluate(both, X, x)["f"] == 7 and evaluate(both, X, x)["g"] == 49
