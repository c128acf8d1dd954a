"""Losses that lose their digits far out: read as functions that keep them, differentiated as those, written as stated."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from working_precision import working_digits

from symbolic_sgd.algebra.arithmetic import FLOAT64, PRECISE, Valuation
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.functions import FUNCTIONS, StableForm
from symbolic_sgd.algebra.graph import Graph, reachable
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, in_library_functions, in_written_functions
from symbolic_sgd.algebra.translation import as_written, from_sympy
from symbolic_sgd.errors import InexactNumber, UnsupportedExpression
from symbolic_sgd.rational.fractions import run_exactly

u, v, w = sp.symbols("u v w", real=True)
AT = {u: sp.Rational(3, 7), v: sp.Rational(-4, 5), w: sp.Rational(11, 10)}
e, erf, tanh = sp.exp, sp.erf, sp.tanh
HALF = sp.Rational(1, 2)

READ = [
    (sp.log(1 + e(u)), {"logaddexp"}),
    (sp.log(2 + 3 * e(-u)), {"logaddexp"}),
    (sp.log(e(u) + e(v) + e(w)), {"logaddexp"}),
    (sp.log(HALF + e(u * v) / 3 + e(w)), {"logaddexp"}),
    (1 / (1 + e(-u)), {"share"}),
    (u / (1 + e(-u)), {"share"}),
    (e(u) / (2 + 2 * e(u)), {"share"}),
    (e(-2 * u) / (1 + e(-u)) ** 2, {"share"}),
    (e(u) / (1 + e(u)) ** 3, {"share"}),
    (v * e(u) / (e(u) + e(v) + 3 * e(w)), {"share", "logaddexp"}),
    (1 / (e(u) + e(v)), {"logaddexp"}),
    (e(u + v) / (e(u) + e(v)) ** 2, {"logaddexp"}),
    ((v * e(u) + 2 * w) / (e(u) + 2), {"share"}),
    ((e(u) - e(-u)) / (e(u) + e(-u)), {"share"}),
    (1 - 1 / (1 + e(-u)), {"share"}),
    (sp.log(1 / (1 + e(-u))), {"logaddexp"}),
    (sp.log(e(u) / (e(u) + e(v) + e(w))), {"logaddexp"}),
    (1 - tanh(u) ** 2, {"sech2"}),
    (3 - 3 * tanh(u * v), {"tanhc"}),
    (1 + tanh(u), {"tanhc"}),
    (1 - sp.sinh(u) ** 2 / sp.cosh(u) ** 2, {"sech2"}),
    (v * sp.sinh(u) ** 2 / sp.cosh(u) ** 3, {"sech"}),
    (sp.sech(u), {"sech"}),
    (sp.coth(u), set()),
    (sp.log(2 * sp.cosh(u)), {"logcosh"}),
    (sp.log(1 + tanh(u)), {"logaddexp"}),
    (sp.log(sp.sech(u)), {"logcosh"}),
    (sp.erfc(u), {"erfc"}),
    (u * (1 + erf(u / sp.sqrt(2))) / 2, {"erfc"}),
    (sp.log(HALF - erf(u) / 2), {"logerfc"}),
    (sp.log(sp.erfc(u) ** 2), {"logerfc"}),
    (e(u) - 1, {"expm1"}),
    (v * (1 - e(u)), {"expm1"}),
    (sp.log(e(u) - 1), {"expm1"}),
    (sp.log(1 - e(-u)), {"log1p"}),
    (sp.log(1 + u**2), {"log1p"}),
    (u + v, set()),
    (sp.log(u) - e(u), set()),
    (sp.sqrt(1 + e(u)), set()),
]
"""(expression, rows of the table by which it is read)."""

CASES = pytest.mark.parametrize(("expression", "rows"), READ, ids=lambda a: str(a) if isinstance(a, sp.Expr) else "")


def at(graph_node, digits=60):
    with working_digits(digits):
        point = {s: mpmath.mpf(int(a.p)) / int(a.q) for s, a in AT.items()}
        return Valuation(PRECISE, point)([graph_node])[0]


def close(value, expression) -> bool:
    """To 45 digits, with SymPy's own evaluation."""
    with working_digits(60):
        truth = mpmath.mpf(str(sp.N(expression.xreplace(AT), 60)))
        return abs(value - truth) <= mpmath.mpf(10) ** -45 * (1 + abs(truth))


@CASES
def test_what_is_read_is_what_is_written(expression, rows):
    graph = Graph()
    node = from_sympy(expression, graph)
    assert {n.op for n in reachable([node]) if isinstance(FUNCTIONS.get(n.op), StableForm)} == rows
    assert close(at(node), expression)
    written = in_written_functions(Program.of({"f": Matrix.column([node])}))
    assert not any(isinstance(FUNCTIONS.get(i.op), StableForm) for i in written.instructions)
    assert close(at(written.on(Graph())["f"][0, 0]), expression)
    assert close(_value(written.expand("f")[0]), expression)


def _value(expression):
    with working_digits(60):
        return mpmath.mpf(str(sp.N(expression.xreplace(AT), 60)))


@CASES
def test_three_derivatives_are_those_of_sympy(expression, rows):
    graph = Graph()
    x, node, known = graph.symbol(u), from_sympy(expression, graph), expression
    for _ in range(3):
        (node,), known = gradient(node, [x]), sp.diff(known, u)
        assert close(at(node), known)


# --- far out --------------------------------------------------------------------------------

FAR = [
    (sp.log(1 + e(u)), (1, -1)),
    (1 / (1 + e(-u)), (1, -1)),
    (1 / (1 + e(-u)) ** 2, (1, -1)),
    (sp.log(e(u) + e(-u) + 3), (1, -1)),
    (e(u) / (e(u) + e(-u / 2) + 1), (1, -1)),
    ((2 * e(u) + 3) / (1 + e(u)), (1, -1)),
    (tanh(u), (1, -1)),
    (sp.coth(u), (1, -1)),
    (1 - tanh(u / 2), (1, -1)),
    (1 - tanh(u / 3) ** 2, (1, -1)),
    (sp.log(sp.cosh(u)), (1, -1)),
    (sp.sech(u), (1, -1)),
    (sp.log(1 / (1 + e(-u))), (1, -1)),
    (sp.log(e(u) - 1), (1,)),
    (sp.log(1 - e(-u)), (1,)),
    (sp.log(1 + tanh(u)), (1, -1)),
]
"""(function of u, signs of u)."""


@pytest.mark.parametrize(("expression", "signs"), FAR, ids=lambda a: str(a) if isinstance(a, sp.Expr) else "")
def test_no_digit_of_the_derivatives_is_lost(expression, signs):
    """At u = 30 three right digits were left of (ln(1 + eᵘ))″, at 100 none."""
    graph = Graph()
    x, stable, literal = graph.symbol(u), [from_sympy(expression, graph)], [as_written(expression, {}, graph)]
    for nodes in (stable, literal):
        for _ in range(3):
            nodes.extend(gradient(nodes[-1], [x]))
    places = [sign * a for a in (1, 10, 20, 30, 50, 100, 300, 350, 700) for sign in signs]
    with np.errstate(all="ignore"):
        ours = Valuation(FLOAT64, {u: np.array(places, dtype=float)})(stable)
    for k, place in enumerate(places):
        with working_digits(1000):
            truth = Valuation(PRECISE, {u: mpmath.mpf(place)})(literal)
            for order, (value, exact) in enumerate(zip(ours, truth, strict=True)):
                error = abs(mpmath.mpf(float(value[k])) - exact)
                # libm's own functions of 700 are right to some ulp; what is below 10⁻³⁰⁸ has no number.
                assert error <= 2e-13 * abs(exact) + mpmath.mpf(10) ** -307, (place, order)


def test_the_literal_forms_do_lose_them():
    graph = Graph()
    (first,) = gradient(as_written(sp.log(1 + e(u)), {}, graph), [graph.symbol(u)])
    (second,) = gradient(first, [graph.symbol(u)])
    value = Valuation(FLOAT64, {u: np.array(50.0)})([second])[0]
    assert abs(value / np.exp(-50.0) - 1) > 0.5


@pytest.mark.parametrize("u_value", [1e-3, 1e-8, 1e-12])
def test_nothing_is_lost_near_zero_either(u_value):
    graph = Graph()
    for expression in (e(u) - 1, sp.log(1 + u**2), sp.log(sp.cosh(u)), 1 - e(u), sp.log(1 + u)):
        value = Valuation(FLOAT64, {u: np.array(u_value)})([from_sympy(expression, graph)])[0]
        with working_digits(60):
            exact = Valuation(PRECISE, {u: mpmath.mpf(u_value)})([as_written(expression, {}, graph)])[0]
            assert abs(mpmath.mpf(float(value)) / exact - 1) < 1e-15


# --- formulas -------------------------------------------------------------------------------


def exact(expression) -> list:
    """Numbers of terms of numerator and denominator of an expression's exact form."""
    graph = Graph()
    run = run_exactly(Program.of({"f": Matrix.column([from_sympy(expression, graph)])}))
    (ratio,) = run.outputs["f"]
    return [sum(1 for _ in run.field.ring.terms(p)) for p in (ratio.numerator, ratio.denominator)]


def test_exact_forms_cancel_as_exponentials():
    """Generators are the exponentials as stated, e^{−a} being 1/eᵃ: shares add up to 1, and ln(eᵘ + eᵛ) has its power."""
    total = e(u) + e(v) + e(w)
    assert exact(e(u) / total + e(v) / total + e(w) / total - 1) == [0, 1]
    assert exact(1 / (1 + e(-u)) - e(u) / (1 + e(u))) == [0, 1]
    assert exact(e(u) / total) == [1, 3]
    assert exact((1 - tanh(u) ** 2) / (1 - tanh(u))) == [2, 1]
    assert exact(e(u - v) * e(v - u)) == [1, 1]


@pytest.mark.parametrize(
    ("expression", "derivative"),
    [
        (sp.log(1 + e(u)), "exp(u)/(exp(u) + 1)"),
        (tanh(u), "1 - tanh(u)**2"),
        (sp.log(sp.cosh(u)), "tanh(u)"),
        (sp.log(e(u) + e(v)), "exp(u)/(exp(u) + exp(v))"),
        (sp.erfc(u), "-2*exp(-u**2)/sqrt(pi)"),
    ],
)
def test_derivatives_are_written_in_the_functions_of_the_loss(expression, derivative):
    graph = Graph()
    (slope,) = gradient(from_sympy(expression, graph), [graph.symbol(u)])
    assert str(Program.of({"f": Matrix.column([slope])}).expand("f")[0]) == derivative


def test_programs_that_need_nothing_are_left_as_they_are():
    graph = Graph()
    program = Program.of({"f": Matrix.column([from_sympy(e(u) * sp.sin(v) + sp.sqrt(w), graph)])})
    assert in_library_functions(program) is program and in_written_functions(program) is program


def test_logarithms_of_rationals_come_out_of_functions():
    graph = Graph()
    three = graph.call("log", 3)
    assert graph.call("exp", three).value == 3
    assert graph.call("share", 0, three).value == sp.Rational(1, 4)
    assert graph.call("logaddexp", three, 0) is graph.call("log", 4)
    assert graph.call("exp", graph.call("log", -3)).op == "exp"  # not real: nothing is made of it


def test_an_undefined_function_of_the_same_name_is_none_of_ours():
    for name in ("share", "logaddexp", "exp", "sech2"):
        arguments = (u, v)[: FUNCTIONS[name].arity]
        with pytest.raises(UnsupportedExpression, match="not in the table"):
            from_sympy(sp.Function(name)(*arguments), Graph())


def test_what_is_an_equation_of_the_manifold_stays_one_expression():
    """(uv − 1)/(1 + eʷ) is no weighted mean of shares, though 1 is a summand of the denominator."""
    graph = Graph()
    for loss in ((u * v - 1) / (1 + e(w)), e(u * v - 1) / (e(u * v - 1) + e(w + u))):
        assert from_sympy(u * v - 1, graph) in reachable([from_sympy(loss, graph)])


def test_a_float_is_named_as_it_was_typed():
    for loss in (sp.log(1 + 2.5 * e(u)), 1 - 1.0 * tanh(u), u / (1 + 2.5 * e(u))):
        with pytest.raises(InexactNumber, match=r"(2\.5|1\.0)\d* is a floating-point number"):
            from_sympy(loss, Graph())


# --- random expressions ---------------------------------------------------------------------


def random_expression(rng: np.random.Generator, depth: int) -> sp.Expr:
    """Sums, products, powers and functions, with sums of exponentials and complements more often than chance has them."""
    if depth == 0:
        return [u, v, w, sp.Integer(1), sp.Integer(2), -u, sp.Rational(1, 3), u * v, u - v][rng.integers(9)]
    a, b, c = (random_expression(rng, depth - 1 - rng.integers(2) * (depth > 1)) for _ in range(3))
    sign = rng.choice([-1, 1])
    weights = [sp.Rational(int(k), int(m)) for k, m in rng.integers(1, 4, (3, 2))]
    total = weights[0] * e(a) + weights[1] * e(b) + (weights[2] if rng.random() < 0.5 else e(c))
    kinds = (
        lambda: a + sign * b,
        lambda: a * b,
        lambda: a / (1 + b**2),
        lambda: sp.log(total),
        lambda: c / total,
        lambda: e(a) * c / total ** rng.integers(1, 4),
        lambda: (c * e(a) + sign * weights[2] * e(b)) / total,
        lambda: sp.log(e(b) / total),
        lambda: 1 - e(a) / (e(a) + e(b)),
        lambda: weights[0] + sign * weights[0] * tanh(a),
        lambda: 1 - tanh(a) ** 2,
        lambda: weights[1] * (1 + sign * erf(a)),
        lambda: sp.sinh(a) ** rng.integers(0, 3) / sp.cosh(a) ** rng.integers(1, 3),
        lambda: sp.log(weights[0] * sp.cosh(a) * e(b)),
        lambda: sp.log(1 + sign * tanh(a)),
        lambda: sp.log((1 + sign * erf(a)) / 2),
        lambda: sp.log(1 + a**2),
        lambda: sign * (e(a) - 1),
        lambda: sp.log(e(1 + a**2) - 1),
        lambda: sp.log(1 - e(-1 - b**2)),
        lambda: sp.sech(a) + sp.coth(1 + b**2),
    )
    return kinds[rng.integers(len(kinds))]()


@pytest.mark.parametrize("seed", range(3))
def test_random_expressions_mean_what_they_say(seed):
    rng, seen = np.random.default_rng(seed), set()
    for _ in range(40):
        expression = random_expression(rng, int(rng.integers(1, 4)))
        graph = Graph()
        read, literal = from_sympy(expression, graph), as_written(expression, {}, graph)
        seen |= {n.op for n in reachable([read])}
        for node in (read, in_written_functions(Program.of({"f": Matrix.column([read])})).on(graph)["f"][0, 0]):
            value, truth = at(node), at(literal)
            assert abs(value - truth) <= mpmath.mpf(10) ** -45 * (1 + abs(truth)), expression
    assert {"share", "logaddexp", "tanhc", "sech2"} <= seen
