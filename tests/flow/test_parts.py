"""The parts of the search for Φ, each against what defines it."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symbolic_sgd import IsotropicNoise, Problem
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix, Orthogonal
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.flow.affine_equations import straightened
from symbolic_sgd.flow.ansatz import FAMILIES, LARGEST_ANSATZ, ansatz
from symbolic_sgd.flow.first_integrals import IntegralSearch, independent_on, sparse_null_supports
from symbolic_sgd.flow.forms import coordinate_forms, principal_forms
from symbolic_sgd.flow.links import Exponential, Linear, Logarithm, Power
from symbolic_sgd.flow.newton import System, solve_damped
from symbolic_sgd.manifold.manifold import find_manifold
from symbolic_sgd.rational.closed_form import candidates, contracted, roots

u, v, w = sp.symbols("u v w")
numbers = st.integers(-6, 6)


def problem_of(loss, parameters, **further):
    return Problem(loss=loss, parameters=parameters, noise=IsotropicNoise(), **further)


# --- closed forms ---------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(numbers, numbers, numbers, st.integers(1, 3), st.booleans())
def test_roots_of_quadratics_in_a_power(a, b, c, step, positive):
    t = sp.Symbol("t", real=True, positive=positive or None)
    equation = a * t ** (2 * step) + b * t**step + c
    if equation.is_number or b * b < 4 * a * c:  # no equation, or no real roots
        return
    found = roots(equation, t)
    for root in found:
        assert abs(complex(equation.subs(t, root).evalf())) < 1e-9
    exact = [r for r in np.roots([float(e) for e in sp.Poly(equation, t).all_coeffs()]) if abs(r.imag) < 1e-9]
    wanted = [r for r in exact if r.real > 1e-9] if positive else exact
    values = [complex(root.evalf()) for root in found]
    for r in wanted:
        assert any(abs(value - r) < 1e-5 for value in values), (equation, r, values)


def test_systems_are_solved_one_unknown_after_the_other():
    x, y, k = sp.symbols("x y k", real=True)
    solutions = list(candidates([x - 2, x * y**2 - k], [x, y]))
    assert {s[x] for s in solutions} == {sp.Integer(2)}
    assert {s[y] for s in solutions} == {sp.sqrt(2) * sp.sqrt(k) / 2, -sp.sqrt(2) * sp.sqrt(k) / 2}
    assert list(candidates([x**3 + x - k], [x])) == []
    assert list(candidates([x * y - 1, x + sp.exp(y)], [x, y])) == []


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-3, 3), min_size=3, max_size=3), st.integers(1, 3))
def test_contraction_changes_no_value(powers, degree):
    expression = sp.Mul((u - v) ** powers[0], (u + v) ** powers[1], sp.Abs(u + v) ** powers[2]) + (u + v) ** degree
    here = {u: sp.Rational(3, 7), v: sp.Rational(-5, 3)}
    assert sp.simplify(contracted(expression).subs(here) - expression.subs(here)) == 0


@pytest.mark.parametrize(
    ("equation", "point", "expected"),
    [
        (sp.exp(u - 3 * v) - 5, {u: np.log(5), v: 0}, u - 3 * v - sp.log(5)),
        ((2 * u + 4 * v) ** 2 - 9, {u: -1.5, v: 0}, u + 2 * v + sp.Rational(3, 2)),
        (u * v - 1, {u: 1, v: 1}, u * v - 1),
        (sp.sin(u) + v, {u: 0, v: 0}, sp.sin(u) + v),
    ],
)
def test_functions_of_one_form_are_straightened(equation, point, expected):
    found = straightened(equation, (u, v), point)
    assert sp.simplify(found - expected) == 0


# --- forms and links ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("residuals", "rational"),
    [
        ([u * v - 1], True),
        ([u**2 + 3 * u * v + v**2 + v * w - 1], False),
        ([u * (v + 2 * w) - 1], False),
        ([(u + v) ** 2 + (u - v) ** 2 + w**2 - 3, u * v - w**2 - 1], True),
    ],
)
def test_principal_forms_diagonalise_every_residual(residuals, rational):
    forms = principal_forms(Problem.least_squares(residuals, parameters=(u, v, w), noise=IsotropicNoise()))
    if forms is None:
        assert not rational
        return
    f = np.array(forms.matrix.evalf().tolist(), float)
    gram = f @ f.T
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-12
    np.testing.assert_allclose(f @ np.array(forms.inverse.evalf().tolist(), float), np.eye(3), atol=1e-12)
    for residual, row in zip(residuals, forms.eigenvalues.tolist(), strict=True):
        s = np.array((sp.hessian(residual, (u, v, w)) / 2).tolist(), float)
        np.testing.assert_allclose(s @ f.T, f.T * np.array([float(e) for e in row]), atol=1e-10)


def test_no_common_axes_are_no_forms():
    assert (
        principal_forms(Problem.least_squares([u * v - 1, u**2 - 2], parameters=(u, v), noise=IsotropicNoise())) is None
    )
    assert principal_forms(problem_of((u * sp.exp(v) - 1) ** 2, (u, v))) is None
    assert coordinate_forms(problem_of((u * v - 1) ** 2, (u, v))).are_parameters


@pytest.mark.parametrize(
    "link", [Linear(), Logarithm(), Power(sp.Integer(-1)), Power(sp.Rational(1, 2)), Exponential(sp.Integer(2))]
)
def test_links_move_as_they_say(link):
    x = 1.7
    shift = sp.Rational(1, 20)
    moved = link.moved(sp.Symbol("x", positive=True), shift)
    there = sp.Symbol("x", positive=True)
    difference = link.of(there).subs(there, moved) - link.of(there) - shift
    assert abs(difference.evalf(20, subs={there: x})) < 1e-15


# --- first integrals ------------------------------------------------------------------------


def test_every_family_finds_what_it_is_for():
    cases = {
        "linear": problem_of((u + v - 1) ** 2, (u, v)),
        "quadratic": problem_of((u * v - 1) ** 2, (u, v)),
        "logarithm": problem_of((u**2 + 2 * v**2 - 1) ** 2, (u, v)),
        "power": problem_of(
            (sp.Symbol("a", positive=True) ** 3 - sp.Symbol("b", positive=True) ** 3 - 1) ** 2,
            sp.symbols("a b", positive=True),
        ),
        "exponential": problem_of((sp.exp(u) - sp.exp(2 * v) - 1) ** 2, (u, v)),
        "quartic": problem_of((u**2 * v - 1) ** 2 * (1 + u**2), (u, v)),
    }
    assert set(cases) == set(FAMILIES)
    for family, problem in cases.items():
        manifold = find_manifold(problem)
        search = IntegralSearch(problem, manifold.landscape, np.random.default_rng(0))
        terms = [t for t in ansatz(problem, problem.parameters) if t.family == family]
        assert terms
        if family != "quartic":
            assert independent_on(manifold, search.find(terms)), family


def test_the_ansatz_keeps_to_its_size():
    x = sp.symbols("x1:31")
    constants = sp.symbols("a1:6", positive=True)
    problem = problem_of((x[0] * x[1] - constants[0]) ** 2, x, constants=constants)
    assert len(ansatz(problem, x)) <= LARGEST_ANSATZ


def test_null_vectors_are_sparse_and_complete():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((40, 4))
    values = np.stack([a[:, 0], a[:, 1], a[:, 0] - 2 * a[:, 1], a[:, 2], a[:, 3], 5 * a[:, 3]], axis=1)
    assert sorted(sparse_null_supports(values)) == [[0, 1, 2], [4, 5]]


# --- numbers --------------------------------------------------------------------------------


def test_damped_newton_reaches_the_zero_of_a_convex_gradient_from_far_away():
    """e^y − a and its batch: undamped steps overflow from y = −30."""
    y, a = sp.symbols("y a")
    graph = Graph()
    residual = graph.call("exp", graph.symbol(y)) - graph.symbol(a)
    outputs = {"residual": Matrix.column([residual]), "slope": Matrix.column([residual + graph.symbol(a)])}
    system = System((y,), Program.of({**outputs, "reach": Matrix.column([])}))
    values = np.array([[1.0], [50.0], [1e-3], [-1.0]])
    found = solve_damped(system, (a,), values, np.full((4, 1), -30.0))
    np.testing.assert_allclose(found[:3, 0], np.log(values[:3, 0]), rtol=1e-12, atol=1e-14)
    assert np.isnan(found[3, 0])


def test_the_shortest_solution():
    rng = np.random.default_rng(1)
    graph = Graph()
    frame, right = rng.integers(-4, 5, (5, 3)), rng.integers(-4, 5, (3, 2))
    lift = lambda a: Matrix.of([graph.constant(int(e)) for e in row] for row in a)  # noqa: E731
    solved = Orthogonal.factor(lift(frame)).least_norm(lift(right))
    values = np.array([float(e.value) for e in solved.entries]).reshape(5, 2)
    np.testing.assert_allclose(values, np.linalg.pinv(frame.T) @ right, atol=1e-12)
