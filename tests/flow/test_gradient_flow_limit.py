"""Φ as users hold it: branches, refusals, batches, precision, words."""

import pickle

import mpmath
import numpy as np
import pytest
import sympy as sp
from known_limits import hyperbola_by_hand
from scipy.integrate import solve_ivp
from working_precision import working_digits

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, SymbolicSGDError, gradient_flow_limit
from symbolic_sgd.errors import BadInput, BadPoint, BadShape, FlowDidNotConverge, IsolatedMinimum, NoClosedForm

u, v, w = sp.symbols("u v w")


def limit_of(loss, parameters, **further):
    return gradient_flow_limit(Problem(loss=loss, parameters=parameters, noise=IsotropicNoise()), **further)


@pytest.fixture(scope="module")
def hyperbola():
    return limit_of((u * v - 1) ** 2 / 2, (u, v))


@pytest.fixture(scope="module")
def sphere():
    x = sp.symbols("x1:4")
    problem = Problem(loss=(sum(a**2 for a in x) - 1) ** 2 / 8, parameters=x, noise=IsotropicNoise())
    return gradient_flow_limit(problem)


@pytest.fixture(scope="module")
def cubic():
    """Implicit: Φ_v is the root of a cubic."""
    return limit_of((u**2 * v - 1) ** 2 / 2, (u, v))


@pytest.fixture(scope="module")
def sine():
    """Numeric: one first integral of two."""
    return limit_of((u * v + sp.sin(w) - 1) ** 2 / 2, (u, v, w))


# --- branches -------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [(2, 1), (-2, 1), (-2, -1), (2, -1), (0.3, 3), (-0.01, 0.02), (1e3, 2), (1, -0.999)])
def test_hyperbola_from_every_quadrant(hyperbola, start):
    expected = hyperbola_by_hand(np.array([start], float))[0]
    np.testing.assert_allclose(hyperbola(start), expected, rtol=1e-12, atol=1e-14 * abs(expected).max())


@pytest.mark.parametrize("start", [(1, -1), (0, 0), (-3, 3), (1e-9, -1e-9)])
def test_hyperbola_on_the_separatrix_is_refused(hyperbola, start):
    with pytest.raises(FlowDidNotConverge, match="saddle") as error:
        hyperbola([[2.0, 1.0], start])
    assert f"u = {float(start[0]):.6g}" in str(error.value)


def test_hyperbola_beside_the_separatrix(hyperbola):
    for distance in (1e-6, -1e-6, 1e-12):
        start = np.array([[1.0, -1.0 + distance]])
        np.testing.assert_allclose(hyperbola(start), hyperbola_by_hand(start), rtol=1e-9)


def test_hyperbola_formula_is_one_for_both_branches(hyperbola):
    k, r = u**2 - v**2, sp.sqrt(sp.sqrt((u**2 - v**2) ** 2 + 4) + 2)
    expected = sp.sign(u + v) * (r + k / r) / 2
    for point in ({u: 2, v: sp.Rational(1, 3)}, {u: -3, v: 1}, {u: -1, v: sp.Rational(5, 2)}):
        assert abs((hyperbola.expression[0] - expected).evalf(40, subs=point)) < 1e-38


def test_no_start_on_the_separatrix_is_answered(hyperbola):
    product = limit_of((u * v * w - 1) ** 2 / 2, (u, v, w))
    rng = np.random.default_rng(0)
    for a, c in rng.uniform(0.1, 20, (40, 2)):
        for phi, start in ((hyperbola, [a, -a]), (product, [a, -a, a + c])):
            with pytest.raises(FlowDidNotConverge):
                phi(start)


def test_minima_where_the_curvature_fades_are_refused():
    """At u = 0, v < 0 of (u³v − 1)² the Hessian vanishes, and the flow arrives like a power of t."""
    for loss, start in (
        ((u**3 * v - 1) ** 2 / 2, [1, -3]),
        ((u**3 * v**3 - 1) ** 2 / 2, [0.2, -0.5]),
        ((u**4 - v**4 - 1) ** 2 / 2, [0, 0.5]),
    ):
        phi = limit_of(loss, (u, v))
        for ask in (phi, phi.jacobian_at, lambda x, phi=phi: phi.precisely(x, 20)):
            with pytest.raises(FlowDidNotConverge, match="flatter than quadratic"):
                ask(start)


def test_starts_beside_a_degenerate_minimum_are_refused_though_the_flow_stands_still():
    """v² + u⁴ is flatter than quadratic at 0; at 10⁻⁵ from there rounding takes the gradient for zero."""
    loss = (v**2 + u**4) * ((u - 4) ** 2 + (v - 4) ** 2 - 1) ** 2
    phi = gradient_flow_limit(Problem(loss=loss, parameters=(u, v), noise=IsotropicNoise(), near={u: 4, v: 5}))
    np.testing.assert_allclose(phi([[4, 5], [5, 4]]), [[4, 5], [5, 4]])
    for start in ([1e-5, 0], [0, 0], [1e-3, 1e-3]):
        with pytest.raises(FlowDidNotConverge, match="flatter than quadratic"):
            phi(start)


def test_orbits_that_end_before_the_zero_are_left_to_the_flow():
    """p^{3/2}: the flow reaches p = 0, where the loss ends, in finite time, though the orbit goes on to a zero."""
    p, q, r = sp.symbols("p q r", positive=True)
    h = sp.Rational(3, 2)
    phi = limit_of(10**4 * (p**h + q**h - 1) ** 2 / 2 + (p**h + r**h - sp.Rational(178, 10)) ** 2 / 2, (p, q, r))
    with pytest.raises(FlowDidNotConverge):
        phi([0.25, 9, 0.01])


def test_derivatives_where_the_formula_cancels():
    """uv = −1 beside its separatrix u = v: √(2k + √(4k² + δ²)) has no digits left for small δ, the system has them all."""
    k = sp.Symbol("k")
    problem = Problem(loss=(u * v - k) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(), constants=(k,))
    phi = gradient_flow_limit(problem)
    assert phi.kind == "explicit"
    for delta, expected in ((1e-3, [0.75037377930, 0.24887396992]), (1e-7, [0.7500000375, 0.2499998875])):
        found = phi.second_derivative_at([1 + delta, 1.0], np.diag([1.0, 0]), k=-1)
        np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_starts_far_away():
    """What the flow conserves is lost in rounding there, but not in the system."""
    phi = limit_of((u * v * w - 1) ** 2 / 2, (u, v, w))
    np.testing.assert_allclose(phi([1e5] * 3), 1, rtol=1e-12)
    assert all(abs(a - 1) < sp.Float("1e-18", 20) for a in phi.precisely([10**6] * 3, 20))
    with pytest.raises(FlowDidNotConverge, match="rounding decides"):
        phi([1e6] * 3)


def test_kinks_are_refused():
    phi = limit_of((sp.Abs(u) - v - 1) ** 2 / 2, (u, v))
    np.testing.assert_allclose(phi([1e-6, 3.0])[0], 2, rtol=1e-6)
    with pytest.raises(FlowDidNotConverge, match="a derivative of the loss jumps"):
        phi([0, 3.0])


def test_flows_that_cross_a_kink_are_refused():
    """Beyond it the integrator, and J, know nothing of the jump of ∇L; by hand Φ(½, 3) = (−¾, 5/2)."""
    phi = limit_of((sp.Abs(u) + 3 * u + v - 1) ** 2 / 2, (u, v))
    np.testing.assert_allclose(phi([1.0, 1.0]), [1 - 16 / 17, 1 - 4 / 17], rtol=1e-12)
    for ask in (phi, phi.jacobian_at, phi.precisely):
        with pytest.raises(FlowDidNotConverge, match="a derivative of the loss jumps"):
            ask([0.5, 3.0])
    rectified = limit_of((sp.Max(u, 0) ** 2 + u + v - 1) ** 2 / 2, (u, v))
    with pytest.raises(FlowDidNotConverge, match="a derivative of the loss jumps"):
        rectified.second_derivative_at([0.6, 3.0], np.eye(2))


def test_flows_that_leave_what_the_symbols_were_declared_to_be_are_refused():
    a, b, c = sp.symbols("a b c", positive=True)
    phi = limit_of((5 * (a - b) + a + b + c - 6) ** 2 / 2 + (a + 3 * b - 4) ** 2 / 60, (a, b, c))
    assert phi([1, 1, 1]).min() > 0
    with pytest.raises(FlowDidNotConverge, match="leaves the part of"):
        phi([0.04506435, 0.24842264, 1.72449237])


def test_precise_values_are_refused_where_numbers_are():
    positive = gradient_flow_limit(
        Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(), domain=[u > 0])
    )
    a, b = sp.symbols("a b", positive=True)
    for phi, start in ((positive, [-2, -1]), (limit_of((a * b - 1) ** 2 / 2, (a, b)), [-2, -1])):
        with pytest.raises(FlowDidNotConverge):
            phi.precisely(start, 20)


def test_passing_a_saddle(hyperbola):
    """Slowly, from 5·10⁻⁹ off its stable set, or at 10⁻²⁰ with more digits than that."""
    slow = limit_of((w - v) ** 2 + (u**2 - 1) ** 2 / 80, (u, v, w))
    np.testing.assert_allclose(slow([5e-9, 1, 2]), [1, 1.5, 1.5], rtol=1e-9)
    value = hyperbola.precisely([1, -1 + sp.Rational(1, 10**20)], 30)
    assert abs(value[0] - 1) < sp.Float("1e-19", 30)
    with pytest.raises(FlowDidNotConverge, match="saddle"):
        hyperbola.precisely([1, -1], 30)


def test_the_same_loss_in_other_words():
    squares = (u + v) ** 2 + 2 * (u - v) ** 2
    for loss in ((squares - 1) ** 2, (sp.expand(squares) - 1) ** 2, sp.log(sp.cosh(sp.expand(squares) - 1))):
        assert limit_of(loss, (u, v)).kind == "explicit"


def test_precise_points_may_be_what_precise_values_are(hyperbola):
    value = hyperbola.precisely([2, 1], 20)
    assert abs(hyperbola.precisely(value, 20)[0] - value[0]) < sp.Float("1e-18", 20)
    assert hyperbola.precisely([sp.Float(2), 1], 20) == value


def test_other_basins_are_not_claimed():
    """1 − cos((u − v)/10): the nearest of infinitely many lines."""
    phi = limit_of(1 - sp.cos((u - v) / 10), (u, v))
    assert phi.kind != "explicit"
    np.testing.assert_allclose(phi([40.0, -40.0]), [10 * np.pi, -10 * np.pi])


def test_irrational_coefficients():
    line = limit_of((sp.sqrt(2) * u + v - 1) ** 2, (u, v))
    assert line.kind == "explicit"
    assert sp.simplify(sp.sqrt(2) * line.expression[0] + line.expression[1] - 1) == 0
    for loss in ((u**2 + u * v - 1) ** 2, (sp.sqrt(2) * u**2 + v**2 - 1) ** 2):
        phi = limit_of(loss, (u, v))
        assert phi.kind == "implicit"
        value = dict(zip((u, v), phi.precisely([2, 1], 40), strict=True))
        assert abs(phi.problem.loss.evalf(40, subs=value)) < 1e-60


def test_quadratic_losses_over_the_constants():
    a, b, k = sp.symbols("a b k", positive=True)
    problem = Problem(
        loss=(a * u + b * v - k) ** 2 + (w - u) ** 2, parameters=(u, v, w), noise=IsotropicNoise(), constants=(a, b, k)
    )
    phi = gradient_flow_limit(problem)
    assert phi.kind == "explicit"
    matrix, right = np.array([[2, 3, 0], [-1, 0, 1]]), np.array([5, 0])
    x = np.array([0.3, -1, 2])
    expected = x - np.linalg.pinv(matrix) @ (matrix @ x - right)
    np.testing.assert_allclose(phi(x, a=2, b=3, k=5), expected, rtol=1e-12)


def test_sphere_from_near_its_centre(sphere):
    for size in (1e-3, 1e-9, 1e-150):
        np.testing.assert_allclose(sphere([0, 3 * size, 4 * size]), [0, 0.6, 0.8], rtol=1e-12)
    with pytest.raises(FlowDidNotConverge, match=r"maximum|saddle"):
        sphere([0, 0, 0])


def test_coordinate_hyperplanes(sphere):
    """Where the logarithms of the integrals are singular, the formula is not."""
    np.testing.assert_allclose(sphere([0, 0, -2]), [0, 0, -1])
    np.testing.assert_allclose(sphere.jacobian_at([0, 0, -2]), np.diag([0.5, 0.5, 0]), atol=1e-12)


def test_local_minimizers_on_another_component_are_limits_too(cubic):
    """½(u²v − 1)² has the minimizers u = 0, v < 0, where it is ½; the equations of {u²v = 1} do not hold there."""
    np.testing.assert_allclose(cubic([0.5, -2]), [0, -np.sqrt(4 - 0.125)], rtol=1e-11)
    assert "another part of Γ" in cubic.explain()
    np.testing.assert_allclose(
        cubic.jacobian_at([0.5, -2]), [[0, 0], [0.25 / np.sqrt(3.875), 2 / np.sqrt(3.875)]], atol=1e-10
    )


def test_domain_is_respected():
    phi = limit_of((u * v - 1) ** 2 / 2, (u, v))
    positive = gradient_flow_limit(
        Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(), domain=[u > 0])
    )
    np.testing.assert_allclose(positive([2, 1]), phi([2, 1]))
    with pytest.raises(FlowDidNotConverge, match="outside the part of Γ meant"):
        positive([-2, -1])


def test_starts_against_the_assumptions_are_refused():
    a, b = sp.symbols("a b", positive=True)
    phi = limit_of((sp.sqrt(a * b) - 1) ** 2 / 2, (a, b))
    assert phi([2, 1]).min() > 0
    with pytest.raises(FlowDidNotConverge, match="declared"):
        phi([-2, 1])


@pytest.mark.parametrize(
    ("start", "words"), [((3, 0.1), "does not reach Γ"), ((1, -1), "does not reach Γ"), ((0, -1), "does not reach Γ")]
)
def test_flows_that_do_not_reach_the_manifold(start, words):
    phi = gradient_flow_limit(Problem(loss=v * u**2 / 2, parameters=(u, v), noise=IsotropicNoise(), domain=[v > 0]))
    with pytest.raises(FlowDidNotConverge, match=words):
        phi(start)
    np.testing.assert_allclose(phi([1, 1]), [0, np.sqrt(0.5)])


# --- numbers of every kind ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hyperbola", "cubic", "sine"])
def test_batches_of_every_shape(kind, request):
    phi = request.getfixturevalue(kind)
    d = phi.problem.dimension
    x = 0.5 + np.random.default_rng(0).random((2, 3, d))
    values = phi(x)
    assert values.shape == (2, 3, d)
    assert phi.jacobian_at(x).shape == (2, 3, d, d)
    assert phi.second_derivative_at(x, np.eye(d)).shape == (2, 3, d)
    np.testing.assert_allclose(phi(x[1, 2]), values[1, 2], rtol=1e-12)
    assert phi(np.empty((0, d))).shape == (0, d)
    np.testing.assert_allclose(phi(values), values, rtol=1e-12)


@pytest.mark.parametrize("kind", ["hyperbola", "cubic", "sine"])
def test_derivatives_against_differences(kind, request):
    phi = request.getfixturevalue(kind)
    d = phi.problem.dimension
    x, h = np.array([1.3, 0.6, 0.4])[:d], 1e-3
    steps = h * np.eye(d)
    # Fourth-order central differences.
    central = lambda f: (8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * h)  # noqa: E731
    jacobian = central(lambda k: phi(x + k * steps)).T
    np.testing.assert_allclose(phi.jacobian_at(x), jacobian, atol=1e-8)
    b = np.arange(d * d).reshape(d, d) - 2.0
    second = np.einsum("jki,ij->k", central(lambda k: phi.jacobian_at(x + k * steps)).transpose(0, 1, 2), b)
    np.testing.assert_allclose(phi.second_derivative_at(x, b), second, atol=1e-7)


def test_expressions_of_derivatives_agree_with_numbers(hyperbola, cubic):
    b = sp.Matrix([[1, u], [3, -v]])
    for phi in (hyperbola, cubic):
        x = np.array([1.3, 0.6])
        values = dict(zip((u, v, *phi.image_symbols), (*x, *phi(x)), strict=False))
        numbers = lambda matrix, values=values: np.array(matrix.subs(values).evalf().tolist(), float)  # noqa: E731
        np.testing.assert_allclose(numbers(phi.jacobian), phi.jacobian_at(x), rtol=1e-10)
        directions = numbers(b)
        np.testing.assert_allclose(
            numbers(phi.second_derivative(b)).ravel(), phi.second_derivative_at(x, directions), rtol=1e-9
        )


def test_constants_go_by_keyword():
    s = sp.Symbol("s", positive=True)
    problem = Problem(loss=(u * v - s) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(), constants=(s,))
    phi = gradient_flow_limit(problem)
    assert phi.kind == "explicit"
    np.testing.assert_allclose(phi([2, 1], s=3).prod(), 3)
    np.testing.assert_allclose(phi([[2, 1], [1, 1]], s=[3, 5]).prod(axis=1), [3, 5])
    with pytest.raises(BadInput, match="no value for the constant s"):
        phi([2, 1])


@pytest.mark.parametrize(("kind", "digits"), [("hyperbola", 60), ("cubic", 60), ("sine", 25)])
def test_precise_values(kind, digits, request):
    phi = request.getfixturevalue(kind)
    d = phi.problem.dimension
    point = [sp.Rational(13, 10), sp.Rational(3, 5), sp.Rational(2, 5)][:d]
    value = phi.precisely(point, digits)
    np.testing.assert_allclose([float(a) for a in value], phi([float(a) for a in point]), rtol=1e-11)
    with working_digits(digits):
        assert abs(phi.problem.loss.subs(dict(zip(phi.problem.parameters, value, strict=True)))) < 10.0 ** (2 - digits)
        if kind == "hyperbola":
            k = mpmath.mpf("1.69") - mpmath.mpf("0.36")
            assert abs(value[0] - mpmath.sqrt((k + mpmath.sqrt(k**2 + 4)) / 2)) < mpmath.mpf(10) ** (1 - digits)
        if kind == "cubic":
            conserved = value[0] ** 2 - 2 * value[1] ** 2 - (mpmath.mpf("1.69") - mpmath.mpf("0.72"))
            assert abs(conserved) < mpmath.mpf(10) ** (2 - digits)
        if kind == "sine":
            assert abs(value[0] ** 2 - value[1] ** 2 - mpmath.mpf("1.33")) < mpmath.mpf(10) ** (2 - digits)


def test_pickles(cubic):
    again = pickle.loads(pickle.dumps(cubic))
    np.testing.assert_array_equal(again([1.2, 0.7]), cubic([1.2, 0.7]))
    assert again.jacobian == cubic.jacobian


# --- what was found -------------------------------------------------------------------------


def test_conserved_quantities_of_the_user_are_used():
    """uv + sin w also conserves ln|u + v| − ln|sec w + tan w|, which no ansatz holds: then Φ is implicit."""
    x, y, z = sp.symbols("x y z", positive=True)
    loss = (x * y + sp.sin(z) - 1) ** 2 / 2
    known = sp.log(x + y) - sp.log((1 + sp.sin(z)) / sp.cos(z))
    without = limit_of(loss, (x, y, z))
    phi = limit_of(loss, (x, y, z), first_integrals=[known])
    assert (without.kind, phi.kind) == ("numeric", "implicit")
    assert known in phi.first_integrals
    start = [1.1, 0.4, 0.3]
    np.testing.assert_allclose(phi(start), without(start), rtol=1e-11)
    np.testing.assert_allclose(phi.jacobian_at(start), without.jacobian_at(start), atol=1e-10)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([u * v], r"first_integrals\[0\] = u\*v is not conserved"),
        ([u**2 - v**2, u + v], r"first_integrals\[1\]"),
        (["u"], "not a SymPy expression"),
        ([w], "neither a parameter nor a constant"),
        ([sp.Float(0.5) * u], "floating-point"),
        ("u", "give a list"),
        (u**2 - v**2, "give a list"),
        ([sp.log(-1 - u**2)], "not real"),
        ([sp.Integer(7)], "depends on no parameter"),
        ([u**2 - v**2 + sp.sign(u)], "jumps"),
        ([u**2 - v**2 + u / sp.Integer(10) ** 80], "not conserved"),
    ],
)
def test_wrong_integrals_are_refused(given, words):
    with pytest.raises(BadInput, match=words):
        limit_of((u * v - 1) ** 2 / 2, (u, v), first_integrals=given)


def test_dependent_integrals_are_counted_once():
    phi = limit_of((u * v - 1) ** 2 / 2, (u, v), first_integrals=[(u**2 - v**2) ** 3, v**2 - u**2])
    assert len(phi.first_integrals) == 1
    assert phi.kind == "explicit"


def test_words(hyperbola, cubic, sine):
    assert "1 of 1" in hyperbola.explain() and "explicit" in hyperbola.explain()
    assert "u**2 - 2*v**2 is conserved" in cubic.explain()
    assert "1 of 2" in sine.explain() and "numerically" in sine.explain()
    assert repr(sine) == "GradientFlowLimit(numeric, 1 of 2 first integrals)"
    for phi in (hyperbola, cubic, sine):
        assert r"\Phi" in phi.latex() and phi._repr_latex_().startswith(r"$\displaystyle ")


# --- bad input ------------------------------------------------------------------------------


def test_numeric_formulas_name_the_numbers(sine):
    assert sine.expression is None and sine.equations == () and sine.image_symbols == ()
    with pytest.raises(NoClosedForm, match=r"1 of 2.*jacobian_at"):
        _ = sine.jacobian
    with pytest.raises(NoClosedForm, match="second_derivative_at"):
        sine.second_derivative(sp.eye(3))


def test_bad_points_and_directions(hyperbola, sine):
    for phi in (hyperbola, sine):
        d = phi.problem.dimension
        for bad in ([1.0] * (d + 1), 1.0, [np.nan] * d, [np.inf] * d, ["a"] * d, [1j] * d, None):
            with pytest.raises(BadPoint):
                phi(bad)
        for bad in (np.eye(d + 1), "B", np.ones((3, d, d)) * np.nan):
            with pytest.raises(BadInput):
                phi.second_derivative_at([0.5] * d, bad)
        with pytest.raises(BadInput, match="no constants"):
            phi([0.5] * d, s=1)
    for bad in (sp.eye(3), [[1, 0], [0, 1]], sp.Matrix([[w, 0], [0, 1]]), sp.Matrix([[0.5, 0], [0, 1]])):
        with pytest.raises(BadInput):
            hyperbola.second_derivative(bad)
    with pytest.raises(BadShape):
        hyperbola.second_derivative(sp.eye(3))


@pytest.mark.parametrize(
    ("point", "digits"),
    [
        ([1], 30),
        ({u: 1}, 30),
        ("12", 30),
        ([1, sp.I], 30),
        ([1, 2], 5),
        ([1, 2], "many"),
        ([1, w], 30),
        ([1, np.nan], 30),
    ],
)
def test_bad_precise_points(hyperbola, point, digits):
    with pytest.raises(BadInput):
        hyperbola.precisely(point, digits)


def test_losses_without_a_manifold_are_refused():
    with pytest.raises(IsolatedMinimum):
        limit_of(u**2 + v**2, (u, v))
    with pytest.raises(BadInput, match="takes a Problem"):
        gradient_flow_limit((u * v - 1) ** 2)
    with pytest.raises(SymbolicSGDError):
        limit_of((u * v) ** 4, (u, v))


def test_the_noise_does_not_matter(hyperbola):
    phi = gradient_flow_limit(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    assert phi.expression == hyperbola.expression


@pytest.mark.parametrize(
    "loss",
    [
        (u * v - 1) ** 2 / 2 * (2 + sp.tanh(60 * (u - 3))),
        (u * v - 1) ** 2 / 2 * (2 + sp.tanh(60 * (v + 4))),
        (u * v - 1) ** 2 / 2 * (3 + sp.tanh(60 * (u - 3)) + sp.tanh(50 * (v - 3))),
    ],
)
def test_a_loss_that_has_first_integrals_only_nearly(loss):
    """Was: TypeError from a linear solve in the search for first integrals. The flow ends on Γ where a solver says."""
    phi = gradient_flow_limit(Problem(loss=loss, parameters=(u, v), noise=IsotropicNoise()))
    slope = sp.lambdify((u, v), [-loss.diff(u), -loss.diff(v)])
    for start in ([2.0, 1.0], [1.0, 3.5]):
        flow = solve_ivp(lambda _, x: slope(*x), (0, 40), start, method="LSODA", rtol=1e-10, atol=1e-12)
        end = phi(start)
        assert abs(end.prod() - 1) < 1e-9
        assert np.allclose(end, flow.y[:, -1], atol=1e-6), (end, flow.y[:, -1])
