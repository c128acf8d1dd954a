"""exact(): floating-point data as the rationals that they print as."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde, exact
from symbolic_sgd.errors import BadInput, InexactNumber

u, v = sp.symbols("u v")


def rational(p, q):
    return sp.Rational(p, q)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, rational(1, 10)),
        (-2.5, rational(-5, 2)),
        (1e-3, rational(1, 1000)),
        (1e300, sp.Integer(10) ** 300),
        (5e-324, 5 * sp.Integer(10) ** -324),
        (0.0, sp.Integer(0)),
        (-0.0, sp.Integer(0)),
        (0.1 + 0.2, rational(30000000000000004, 10**17)),
        (3, sp.Integer(3)),
        (10**30, sp.Integer(10) ** 30),
        (Fraction(1, 3), rational(1, 3)),
        (np.float64(0.1), rational(1, 10)),
        (np.float32(0.1), rational(1, 10)),
        (np.float16(0.1), rational(1, 10)),
        (np.int64(-7), sp.Integer(-7)),
        (sp.Float(0.1), rational(1, 10)),
        (sp.Float("0.1", 50), rational(1, 10)),
        (sp.Rational(2, 7), rational(2, 7)),
        (sp.pi, sp.pi),
    ],
    ids=repr,
)
def test_numbers(value, expected):
    result = exact(value)
    assert result == expected
    assert isinstance(result, sp.Expr) and not result.atoms(sp.Float)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5 * u + 0.1, u / 2 + rational(1, 10)),
        (sp.exp(0.25 * u) ** 2, sp.exp(u / 2)),
        (u ** sp.Float(0.5), sp.sqrt(u)),
        (u * v - 1, u * v - 1),
    ],
    ids=str,
)
def test_expressions(value, expected):
    assert exact(value) == expected


def test_containers_keep_their_kind():
    assert exact([0.5, (0.25, 1)]) == [rational(1, 2), (rational(1, 4), sp.Integer(1))]
    assert isinstance(exact((0.5,)), tuple)
    assert exact(sp.Matrix([[0.5, 0.25 * u]])) == sp.Matrix([[rational(1, 2), u / 4]])
    assert isinstance(exact(sp.ImmutableMatrix([[0.5]])), sp.ImmutableMatrix)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 2), (0, 2)], ids=str)
def test_arrays_keep_their_shape(shape):
    data = np.random.default_rng(0).standard_normal(shape)
    result = exact(data)
    assert result.shape == shape
    assert result.dtype == object
    assert all(isinstance(entry, sp.Rational) for entry in result.ravel())
    np.testing.assert_array_equal(result.astype(float), data)


def test_an_array_of_no_dimension_is_a_number():
    assert exact(np.array(0.5)) == rational(1, 2)


def test_arrays_of_integers_and_of_expressions():
    assert exact(np.array([[1, 2]])).tolist() == [[1, 2]]
    assert exact(np.array([0.5 * u, 0.1], dtype=object)).tolist() == [u / 2, rational(1, 10)]


@pytest.mark.parametrize("value", [*np.random.default_rng(1).standard_normal(20).tolist(), 1e-17, 1 / 3, 2**0.5])
def test_a_double_comes_back(value):
    assert float(exact(value)) == value


def test_exact_data_is_what_a_problem_wants():
    data = np.array([0.5, 1.5])
    floats = [float(data[0]) * u * v - 1]
    with pytest.raises(InexactNumber, match=r"residuals\[0\].*exact\(\)"):
        Problem.least_squares(floats, parameters=(u, v), noise=LabelNoise(1))
    problem = Problem.least_squares(exact(floats), parameters=(u, v), noise=LabelNoise(exact(0.1)))
    assert problem.loss == (u * v / 2 - 1) ** 2 / 2
    assert derive_limiting_sde(problem).manifold.codimension == 1


@pytest.mark.parametrize(
    "value",
    [np.nan, -np.inf, 1j, np.complex128(1), "0.1", None, True, np.True_, {0.1}, {1: 0.1}, object()],
    ids=lambda value: f"{type(value).__name__} {value}".split(" object at")[0],
)
def test_refused(value):
    with pytest.raises(BadInput):
        exact(value)


@pytest.mark.parametrize("place", [np.array([0.5, np.nan]), [0.5, [np.inf]], (1, np.array([1j]))], ids=str)
def test_refused_inside(place):
    with pytest.raises(BadInput, match=r"exact value|real"):
        exact(place)


@pytest.mark.parametrize("value", [sp.oo, sp.zoo, sp.nan, sp.I, 0.5 * sp.I + u], ids=str)
def test_expressions_that_are_not_real_are_refused(value):
    with pytest.raises(BadInput):
        exact(value)


def test_masked_data_are_refused():
    with pytest.raises(BadInput):
        exact(np.ma.array([0.5, 1.0], mask=[False, True]))


def test_decimals():
    assert exact(Decimal("0.1")) == rational(1, 10)
