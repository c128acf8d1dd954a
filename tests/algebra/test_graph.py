"""A graph computes what SymPy's expression says, and so do its derivatives, programs and expansions."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from working_precision import working_digits

from symbolic_sgd.algebra.arithmetic import FLOAT64, PRECISE, Valuation
from symbolic_sgd.algebra.differentiate import gradient, jacobian
from symbolic_sgd.algebra.graph import Graph, kinks, reachable, replace_nodes
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import ComplexValue, ExpressionTooLarge, InexactNumber, UnsupportedExpression

U, V = sp.symbols("u v", real=True)
POINT = {U: sp.Rational(3, 7), V: sp.Rational(-11, 5)}

leaves = st.sampled_from([U, V, sp.Integer(2), sp.Rational(-3, 4), sp.pi, sp.sqrt(2)])


def grow(children):
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda ab: ab[0] + ab[1]),
        pairs.map(lambda ab: ab[0] - ab[1]),
        pairs.map(lambda ab: ab[0] * ab[1]),
        pairs.map(lambda ab: ab[0] / (ab[1] ** 2 + 1)),
        children.map(lambda a: a**3),
        children.map(lambda a: (a**2 + 1) ** sp.Rational(-5, 3)),
        children.map(lambda a: sp.sqrt(a**2 + 2)),
        children.map(sp.sin),
        children.map(lambda a: sp.exp(-(a**2))),
        children.map(sp.tanh),
    )


expressions = st.recursive(leaves, grow, max_leaves=8)


def precise(nodes):
    with working_digits(50):
        return Valuation(PRECISE, {s: mpmath.mpf(a.p) / a.q for s, a in POINT.items()})(nodes)


def truth(expression):
    with working_digits(55):
        return mpmath.mpf(str(sp.sympify(expression).subs(POINT).evalf(60)))


def close(a, b):
    with working_digits(50):
        return abs(a - b) <= mpmath.mpf("1e-38") * (1 + abs(b))


@settings(deadline=None, max_examples=80)
@given(expressions)
def test_value_and_gradient_agree_with_sympy(expression):
    graph = Graph()
    node = from_sympy(expression, graph)
    slopes = gradient(node, [graph.symbol(U), graph.symbol(V)])
    value, du, dv = precise([node, *slopes])
    assert close(value, truth(expression))
    assert close(du, truth(sp.diff(expression, U)))
    assert close(dv, truth(sp.diff(expression, V)))


@settings(deadline=None, max_examples=60)
@given(expressions)
def test_expansion_and_float64_agree_with_sympy(expression):
    graph = Graph()
    program = Program.of({"f": Matrix.column([from_sympy(expression, graph)])})
    assert close(truth(program.expand("f")[0, 0]), truth(expression))
    (value,) = program.run(FLOAT64, {s: float(a) for s, a in POINT.items()})["f"]
    np.testing.assert_allclose(float(value), float(truth(expression)), rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(expressions, expressions)
def test_second_derivatives_commute(a, b):
    graph = Graph()
    variables = [graph.symbol(U), graph.symbol(V)]
    hessian = jacobian(gradient(from_sympy(a * b, graph), variables), variables)
    uv, vu = precise([hessian[0][1], hessian[1][0]])
    assert close(uv, vu)


def test_equal_subexpressions_are_one_node():
    graph = Graph()
    a = from_sympy((U * V - 1) ** 2 + sp.sin(U * V - 1), graph)
    residual = from_sympy(U * V - 1, graph)
    assert sum(node is residual for node in reachable([a])) == 1


def test_replacing_a_node_simplifies_what_uses_it():
    graph = Graph()
    residual = from_sympy(U * V - 1, graph)
    slope = gradient(residual * residual * residual, [graph.symbol(U)])
    assert replace_nodes(slope, {residual: graph.constant(0)})[0].is_zero


@pytest.mark.parametrize(
    ("power", "smooth"),
    [
        (sp.Abs(U - V) ** sp.Rational(7, 2), True),
        (sp.Abs(U - V) ** sp.Rational(13, 4), True),
        (sp.Abs(U - V) ** 5, True),
        (((U - V) ** 2) ** sp.Rational(7, 4), True),
        (sp.Abs(U - V) ** 4, True),
        (sp.Abs(U - V) ** 3, False),
        (sp.Abs(U - V) ** sp.Rational(5, 2), False),
        (sp.Abs(U - V) ** sp.Rational(7, 2) + sp.Abs(U - V), False),
    ],
)
def test_powers_above_three_of_a_modulus_have_three_derivatives_where_it_vanishes(power, smooth):
    """|a|^{7/2} was √|a|⁷: a kink, with derivatives 0/0 at a = 0, though three of them are continuous and zero there."""
    graph = Graph()
    u, v = graph.symbol(U), graph.symbol(V)
    node = from_sympy(power, graph)
    assert (u - v in [zero for _, zero in kinks([node])]) is not smooth
    derivatives = [node]
    for _ in range(3):
        derivatives.append(gradient(derivatives[-1], [u])[0])
    with working_digits(40):
        values = Valuation(PRECISE, {U: mpmath.mpf(2), V: mpmath.mpf(1) / 3})(derivatives)
        on_one_side = power.replace(sp.Abs, lambda a: a)  # u > v here
        for order, value in enumerate(values):
            expected = sp.diff(on_one_side, U, order).subs({U: 2, V: sp.Rational(1, 3)})
            assert abs(value - mpmath.mpf(str(expected.evalf(45)))) < mpmath.mpf("1e-30")
        if smooth:
            assert Valuation(PRECISE, {U: mpmath.mpf(2), V: mpmath.mpf(2)})(derivatives) == [0] * 4


def test_program_selects_and_frees():
    graph = Graph()
    u, v = graph.symbol(U), graph.symbol(V)
    program = Program.of({"f": Matrix.column([u * v, u + v]), "g": Matrix.column([u / v])})
    part = program.select("g")
    assert (part.operations, program.operations) == (1, 3)
    assert part.run(FLOAT64, {U: 6.0, V: 3.0}) == {"g": [2.0]}
    assert sorted(r for freed in program.last_use for r in freed) == [0, 1]


def test_expansion_is_refused_past_the_budget_before_it_is_tried():
    graph = Graph()
    node = graph.symbol(U) + 1
    for _ in range(60):
        node = node * node + graph.symbol(V)
    program = Program.of({"big": Matrix.column([node])})
    assert program.operations < 200
    with pytest.raises(ExpressionTooLarge, match=r"big holds .* operations .*program"):
        program.expand("big")


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        (sp.Symbol("u") * 0.5, InexactNumber),
        (sp.I * U, ComplexValue),
        (sp.gamma(U), UnsupportedExpression),
        (sp.Function("f")(U), UnsupportedExpression),
        (sp.Piecewise((U, U > 0), (0, True)), UnsupportedExpression),
        (sp.Integral(U, U), UnsupportedExpression),
    ],
)
def test_what_is_outside_the_tables_is_refused(expression, error):
    with pytest.raises(error):
        from_sympy(expression + V**2, Graph())
