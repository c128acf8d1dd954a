"""Every row of the table of functions: one symbolic, one float64, one precise, one differentiated value, all equal."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from working_precision import working_digits

from symbolic_sgd.algebra.arithmetic import FLOAT64, PRECISE, Valuation
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.algebra.graph import Graph, kinks
from symbolic_sgd.algebra.translation import REDUCED, from_sympy

X = sp.Symbol("x", real=True)
INSIDE = {"acosh": sp.Rational(17, 10), "atanh": sp.Rational(3, 10), "asin": sp.Rational(3, 10)}


def argument(name):
    return INSIDE.get(name, sp.Rational(3, 7))


def arguments(name, first):
    """`first`, and 1/5 for a second argument."""
    return (first, sp.Rational(1, 5))[: FUNCTIONS[name].arity if name in FUNCTIONS else 1]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_three_kinds_of_number_agree_with_sympy(name):
    graph = Graph()
    node = graph.call(name, *(from_sympy(a, graph) for a in arguments(name, X)))
    truth = FUNCTIONS[name].symbolic(*arguments(name, argument(name))).evalf(60)
    with working_digits(55):
        precise = Valuation(PRECISE, {X: mpmath.mpf(argument(name).p) / argument(name).q})([node])[0]
        assert abs(precise - mpmath.mpf(str(truth))) < mpmath.mpf("1e-50")
    floats = Valuation(FLOAT64, {X: np.array([float(argument(name))] * 3)})([node])[0]
    np.testing.assert_allclose(floats, float(truth), rtol=1e-15)


@pytest.mark.parametrize("name", [*FUNCTIONS, *sorted(set(REDUCED) - {"Max", "Min", "re", "conjugate"})])
def test_derivative_is_the_limit_of_differences(name):
    graph = Graph()
    inner = X**2 * sp.Rational(9, 10) if name != "acosh" else X
    if name in FUNCTIONS:  # both arguments vary
        others = (X, sp.sin(X))[: FUNCTIONS[name].arity - 1]
        node = graph.call(name, *(from_sympy(a, graph) for a in (inner, *others)))
    else:
        node = from_sympy(getattr(sp, name)(inner), graph)
    (slope,) = gradient(node, [graph.symbol(X)])
    at = argument(name)
    with working_digits(60):
        value = lambda y, n: Valuation(PRECISE, {X: y})([n])[0]  # noqa: E731
        centre = mpmath.mpf(at.p) / at.q
        h = mpmath.mpf("1e-15")
        difference = (value(centre + h, node) - value(centre - h, node)) / (2 * h)
        assert abs(difference - value(centre, slope)) < mpmath.mpf("1e-27")


@pytest.mark.parametrize("name", ["log", "sqrt", "Abs", "sign", "asin", "acos", "acosh", "atanh"])
def test_every_function_with_a_singularity_names_it(name):
    graph = Graph()
    (zero,) = FUNCTIONS[name].kinks(graph.symbol(X))
    singular = 0 if name in ("log", "sqrt", "Abs", "sign") else 1
    assert Valuation(FLOAT64, {X: np.array(float(singular))})([zero])[0] == 0
    assert (from_sympy(FUNCTIONS[name].symbolic(X), graph), zero) in kinks(
        [from_sympy(FUNCTIONS[name].symbolic(X), graph)]
    )


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name):
    symbolic, value, precise = CONSTANTS[name]
    assert value == float(symbolic)
    with working_digits(50):
        assert abs(precise() - mpmath.mpf(str(symbolic.evalf(60)))) < mpmath.mpf("1e-48")


@pytest.mark.parametrize("symbolic", [sp.Max, sp.Min])
@pytest.mark.parametrize("x", [-1.5, 2.5])
def test_maximum_and_minimum(symbolic, x):
    graph = Graph()
    node = from_sympy(symbolic(X, 1, X**2 / 3), graph)
    assert Valuation(FLOAT64, {X: np.array(x)})([node])[0] == pytest.approx(float(symbolic(x, 1, x**2 / 3)))
