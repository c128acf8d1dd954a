"""Codimensions that are counted, against the rank of the gradients at sizes, where the condition holds and where it does not."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import LabelNoise, MatrixFamily, derive_limiting_sde, models
from symbolic_sgd.families.orbit_count import orbit_count
from symbolic_sgd.models.letters import LABELS, d, d1, d2, d3, matrix, n, r

X, Y, u, v = matrix("X", d, r), matrix("Y", d, d), matrix("u", d1, 1), matrix("v", d2, 1)
M = matrix("M", d1, d2)
d4 = sp.Symbol("d4", integer=True, positive=True)


def _fourth_order():
    a, b, c, e, q = sp.symbols("a b c e q", integer=True)
    parts = [sp.IndexedBase(name, shape=(s, r)) for name, s in zip("UVWZ", (d1, d2, d3, d4), strict=True)]
    T = sp.IndexedBase("T", shape=(d1, d2, d3, d4))
    product = sp.Mul(*(p[i, q] for p, i in zip(parts, (a, b, c, e), strict=True)))
    return MatrixFamily(
        residual=sp.Sum(product, (q, 1, r)) - T[a, b, c, e],
        parameters=tuple(parts),
        data=(T,),
        samples=((a, 1, d1), (b, 1, d2), (c, 1, d3), (e, 1, d4)),
        noise=LABELS,
    )


COUNTED = {
    "full": (models.full_factorization(), r * (d1 + d2 - r), [{d1: 4, d2: 3, r: 2}, {d1: 3, d2: 5, r: 3}]),
    "CP": (
        models.cp_decomposition(),
        r * (d1 + d2 + d3 - 2),
        [{d1: 3, d2: 4, d3: 3, r: 3}, {d1: 3, d2: 3, d3: 2, r: 3}, {d1: 2, d2: 4, d3: 3, r: 1}],
    ),
    "CP of order 4": (_fourth_order(), r * (d1 + d2 + d3 + d4 - 3), [{d1: 3, d2: 2, d3: 3, d4: 2, r: 2}]),
    "symmetric": (
        MatrixFamily(residual=X * X.T - Y, parameters=(X,), data=(Y,), noise=LabelNoise(1)),
        r * d - r * (r - 1) / 2,
        [{d: 4, r: 2}, {d: 3, r: 3}],
    ),
    "rank one": (
        MatrixFamily(residual=u * v.T - M, parameters=(u, v), data=(M,), noise=LabelNoise(1)),
        d1 + d2 - 1,
        [{d1: 3, d2: 4}],
    ),
}


CHAINS = {
    "a deep linear network": (models.deep_linear_network(), ["W3", "W2", "W1", "x"]),
    "an adapted layer": (models.low_rank_adaptation(), ["B", "A", "x"]),
    "three layers seen whole": (
        MatrixFamily(
            residual=matrix("P", d1, r) * matrix("Q", r, d) * matrix("R", d, d2) - M,
            parameters=(matrix("P", d1, r), matrix("Q", r, d), matrix("R", d, d2)),
            data=(M,),
            noise=LabelNoise(1),
        ),
        ["P", "Q", "R"],
    ),
    "data in the middle, and one output": (
        MatrixFamily(
            residual=sp.Trace(matrix("a", r, 1).T * matrix("E", r, d) * matrix("W", d, d1) * matrix("x", d1, 1))
            - sp.Symbol("t"),
            parameters=(matrix("a", r, 1), matrix("W", d, d1)),
            data=(matrix("x", d1, 1), sp.Symbol("t")),
            constants=(matrix("E", r, d),),
            samples=n,
            noise=LabelNoise(1),
        ),
        ["a", "E", "W", "x"],
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_counted(name):
    """At twelve sizes, wide and narrow."""
    family, names = CHAINS[name]
    count, rng = orbit_count(family), np.random.default_rng(3)
    (stated,) = {" ".join(names), " ".join(reversed(names))} & {
        count.condition.partition(" in ")[2].partition(" has")[0]
    }
    assert count.group is None and stated in str(count)
    found = []
    for _ in range(12):
        sizes = {s: int(rng.integers(1, 5)) for s in sorted(family.sizes, key=str)}
        found.append((_rank(family, sizes), int(count.expression.subs(sizes))))
    assert all(measured == counted for measured, counted in found)
    assert len({counted for _, counted in found}) > 3


def test_a_chain_of_smaller_rank_is_another():
    family = CHAINS["three layers seen whole"][0]
    sizes = {d1: 3, d2: 3, r: 2, d: 2}
    arrays = derive_limiting_sde(family).lambdify(check=False, sizes=sizes, M=np.zeros((3, 3)))
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((3, 2)), rng.standard_normal((2, 3))
    assert arrays.codimension(left, np.eye(2), right) == orbit_count(family).expression.subs(sizes) == 8
    assert arrays.codimension(left, np.ones((2, 2)), right) == 1 * (3 - 2) + 2 * (2 - 1) + 3 * 1


def _rank(family, sizes):
    rng = np.random.default_rng(2)
    draw = lambda t: rng.standard_normal([int(s.subs(sizes)) for s in map(sp.sympify, t.shape)])  # noqa: E731
    arrays = derive_limiting_sde(family).lambdify(
        check=False, sizes=sizes, **{name: draw(t) for name, t in family.tensors.items()}
    )
    return arrays.codimension(*map(draw, family.model.parameters))


@pytest.mark.parametrize("name", COUNTED)
def test_a_count_is_the_rank_at_sizes(name):
    family, expected, cases = COUNTED[name]
    count = orbit_count(family)
    assert sp.expand(count.expression - expected) == 0
    for sizes in cases:
        assert _rank(family, sizes) == count.expression.subs(sizes)


def test_where_the_condition_fails_the_rank_is_another():
    family = models.full_factorization()
    sizes = {d1: 2, d2: 4, r: 3}
    assert _rank(family, sizes) == 8 != orbit_count(family).expression.subs(sizes)


def test_what_is_not_counted():
    square = matrix("S", d, d)
    for family in (
        models.matrix_sensing(),
        models.two_layer_network(),
        models.softmax_regression(),
        models.bilinear_attention(),
        models.circular_convolution(),
        MatrixFamily(residual=square * square - Y, parameters=(square,), data=(Y,), noise=LABELS),
        MatrixFamily(residual=square * square.T * Y - Y, parameters=(square,), data=(Y,), noise=LABELS),
    ):
        assert orbit_count(family) is None, family


def test_it_is_said_what_is_proved_and_what_was_measured():
    words = derive_limiting_sde(models.full_factorization()).explain()
    assert (
        "the codimension is r*(d1 + d2 - r), by a count: where U and V have rank r, Γ is locally an orbit of GL(r)"
        in words
    )
    assert "measured at random points: d1 = " in words
    words = derive_limiting_sde(models.matrix_sensing()).explain()
    assert f"the codimension is {n}, as measured at random points" in words
