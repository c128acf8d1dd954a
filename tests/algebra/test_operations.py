"""Operations are counted as SymPy counts them."""

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symbolic_sgd.algebra.operations import operations

x, y, p = sp.Symbol("x"), sp.Symbol("y", real=True), sp.Symbol("p", positive=True)

leaves = st.sampled_from([x, y, p, sp.E, sp.pi, sp.I, *map(sp.Rational, (1, -1, 2, -3)), sp.Rational(-2, 3)])
written = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.lists(parts, min_size=2, max_size=4).map(lambda a: sp.Add(*a)),
        st.lists(parts, min_size=2, max_size=4).map(lambda a: sp.Mul(*a)),
        st.tuples(parts, parts).map(lambda a: sp.Mul(sp.Rational(1, 2), *a, evaluate=False) if 0 not in a else a[0]),
        st.tuples(parts, st.sampled_from([-1, -2, 2, 3, sp.Rational(1, 2), sp.Rational(-1, 2), x, -p])).map(
            lambda a: sp.Pow(*a)
        ),
        st.tuples(parts, st.sampled_from([sp.exp, sp.sin, sp.log, sp.Abs, sp.Function("f")])).map(lambda a: a[1](a[0])),
        st.tuples(parts, parts).map(lambda a: sp.Max(*a) if all(e.is_extended_real for e in a) else a[0]),
        st.tuples(parts, parts).map(lambda a: sp.Piecewise((a[0], y > 0), (a[1], True))),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(written)
def test_the_count_is_that_of_sympy(expression):
    assert operations(expression) == sp.count_ops(expression)


@pytest.mark.parametrize(
    "expression",
    [sp.Integral(x**2, (x, 0, y)), sp.Derivative(sp.Function("f")(x), x), sp.Mod(x, 2), sp.zoo, sp.nan, sp.oo, 1 / x],
    ids=str,
)
def test_what_is_rarely_met(expression):
    assert operations(expression) == sp.count_ops(expression)
