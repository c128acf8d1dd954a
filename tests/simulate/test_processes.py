"""What the simulators are given: the law of one step, exactly; orders of the schemes on Γ, against known answers."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from derived import NAMES, gallery_sde
from scipy.integrate import solve_ivp

from symbolic_sgd import GaussianLaw, GradientNoise, IsotropicNoise, LabelNoise, Problem, StatedLaw
from symbolic_sgd.algebra.arithmetic import FLOAT64, Valuation
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate, in_library_functions
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.numeric.in_place import InPlaceProgram
from symbolic_sgd.numeric.shared_terms import SharedTerms
from symbolic_sgd.problems.law import check_law, noise_law
from symbolic_sgd.simulate.increments import Outcomes
from symbolic_sgd.simulate.limit import WeakOrderOne, WeakOrderTwo, newton
from symbolic_sgd.simulate.recording import Recording
from symbolic_sgd.simulate.run import simulated
from symbolic_sgd.simulate.sgd import TrueLaw, canonical_sde

u, v, w, s = sp.symbols("u v w s")

PROBLEMS = {
    "labels": Problem.least_squares(
        [u * v - 1, 3 * u * v - 2 * w - 5], parameters=(u, v, w), noise=LabelNoise(sp.Rational(2, 3))
    ),
    "labels, one term": Problem.least_squares(
        [u * v * w - 1], parameters=(u, v, w), noise=LabelNoise(s), constants=(s,)
    ),
    "samples": Problem.from_sample_losses(
        [(u * v - 2) ** 2, (u + w) ** 2, sp.exp(u) + v**2],
        parameters=(u, v, w),
        weights=[sp.Rational(1, 2), sp.Rational(1, 3), sp.Rational(1, 6)],
    ),
    "isotropic": Problem(loss=(u * v - w) ** 2 / 2, parameters=(u, v, w), noise=IsotropicNoise(s), constants=(s,)),
    "matrix": Problem(loss=(u * v - w) ** 2 / 2, parameters=(u, v, w), noise=sp.Matrix([[u, 1], [v * w, 2], [0, 1]])),
    "columns that sum to zero": Problem(
        loss=(u * v - w) ** 2 / 2, parameters=(u, v, w), noise=GradientNoise(sp.Matrix([[u, -u], [v, -v], [1, -1]]))
    ),
}


def exact_moments(descent, x):
    """E m and E m mᵀ of one step from x, a finite sum over the outcomes."""
    law = descent.increments
    assert isinstance(law, Outcomes)
    weights = np.array(law.counts, float) / sum(law.counts)
    columns = np.repeat(np.array(x, float)[:, None], len(weights), axis=1)
    moves = np.empty_like(columns)
    descent.move(columns, np.ascontiguousarray(law.table), moves)
    return moves @ weights, (moves * weights) @ moves.T


@pytest.mark.parametrize("name", PROBLEMS)
def test_one_step_has_the_stated_mean_and_covariance(name):
    problem = PROBLEMS[name]
    values = {s: Fraction(3, 4)} if problem.constants else {}
    x, eta = [1.3, -0.7, 0.4], Fraction(1, 8)
    at = dict(zip(problem.parameters, x, strict=True)) | {s: sp.Rational(3, 4)}
    slope = np.array([float(sp.diff(problem.loss, p).subs(at)) for p in problem.parameters])
    sigma = np.array(problem.noise_factor.subs(at).evalf().tolist(), float)
    mean, second = exact_moments(TrueLaw().descent(problem, eta, values), x)
    np.testing.assert_allclose(mean, slope / 8, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(second, (sigma @ sigma.T + np.outer(slope, slope)) / 64, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["labels", "samples", "isotropic", "matrix"])
def test_the_gaussian_law_and_the_canonical_sde_have_them_too(name):
    problem = PROBLEMS[name]
    values = {s: Fraction(3, 4)} if problem.constants else {}
    x = np.array([1.3, -0.7, 0.4])
    at = dict(zip(problem.parameters, x.tolist(), strict=True)) | {s: sp.Rational(3, 4)}
    slope = np.array([float(sp.diff(problem.loss, p).subs(at)) for p in problem.parameters])
    sigma = np.array(problem.noise_factor.subs(at).evalf().tolist(), float)
    for descent, h in (
        (GaussianLaw().descent(problem, Fraction(1, 8), values), 1),
        (canonical_sde(problem, Fraction(1, 8), Fraction(1, 4), values), 0.25),
    ):
        count = descent.increments.rows
        a = np.concatenate([np.zeros((count, 1)), np.eye(count)], axis=1)
        moves = np.empty((3, count + 1))
        descent.move(np.repeat(x[:, None], count + 1, axis=1), a, moves)
        np.testing.assert_allclose(moves[:, 0], h * slope / 8, rtol=1e-12, atol=1e-14)
        factor = moves[:, 1:] - moves[:, :1]
        np.testing.assert_allclose(factor @ factor.T, h * sigma @ sigma.T / 64, rtol=1e-11, atol=1e-13)


def test_a_stated_law_is_checked_against_the_covariance():
    problem = PROBLEMS["isotropic"]
    root = sp.sqrt(3) * s
    steps = sp.Matrix.hstack(root * sp.eye(3), -root * sp.eye(3))
    law = StatedLaw(steps, [sp.Rational(1, 6)] * 6)
    mean, second = exact_moments(law.descent(problem, Fraction(1), {s: Fraction(1, 2)}), [0, 0, 0])
    np.testing.assert_allclose(second, np.eye(3) / 4, atol=1e-14)
    np.testing.assert_allclose(mean, 0, atol=1e-14)
    for wrong, words in (
        (StatedLaw(2 * steps, [sp.Rational(1, 6)] * 6), "covariance"),
        (StatedLaw(root * sp.eye(3), [sp.Rational(1, 3)] * 3), "mean"),
        (StatedLaw(steps, [sp.Rational(1, 5)] * 6), "sum 1"),
    ):
        with pytest.raises(BadInput, match=words):
            wrong.descent(problem, Fraction(1), {s: Fraction(1, 2)})
    with pytest.raises(BadShape, match="3×K"):
        StatedLaw(sp.eye(2), [1]).descent(problem, Fraction(1), {})


def test_a_law_is_judged_where_the_symbols_have_their_signs():
    x = sp.symbols("x1:13", negative=True)  # of twelve random signs, all are negative once in 4096 times
    roots = sp.Matrix([sp.sqrt(-a) for a in x])
    columns = sp.Matrix.hstack(roots, 2 * roots, -3 * roots)
    problem = Problem(loss=sum((a + 1) ** 2 for a in x) / 2, parameters=x, noise=columns)
    assert not noise_law(problem).symmetric
    third = sp.Rational(1, 3)
    assert not check_law(problem, sp.sqrt(3) * columns, [third] * 3).symmetric


def test_shared_terms_add_up_to_the_functions():
    functions = [u**2 - v**2 + 3, 2 * u**2 - 2 * v**2 + sp.sin(w) / 3, -sp.sin(w) + s]
    graph = Graph()
    sums = SharedTerms.of(functions, (u, v, w), graph)
    assert len(sums.terms) == 2  # u² − v² is one
    assert set(sums.offsets) == {1, s}
    terms = Valuation(FLOAT64, {u: 1.3, v: 0.4, w: 0.9})(sums.terms) + [float(f.subs(s, 2)) for f in sums.offsets]
    for function, *row in zip(functions, *sums.columns, *sums.offsets.values(), strict=True):
        value = sum(float(a) * t for a, t in zip(row, terms, strict=True))
        assert value == pytest.approx(float(function.subs({u: 1.3, v: 0.4, w: 0.9, s: 2})), rel=1e-14)


def test_seeded_results_depend_on_the_order_of_outcomes():
    """Both signs of a row side by side; of a law that is symmetric, all with one sign and then all with the other."""
    tables = {name: TrueLaw().descent(PROBLEMS[name], Fraction(1, 2), {s: Fraction(3)}).increments for name in PROBLEMS}
    assert tables["labels, one term"].table.tolist() == [[1, 1], [2, -4]]
    delta = 2 / 3
    assert tables["labels"].table.tolist() == [
        [1, 1, 3, 3],
        [0, 0, 1, 1],
        [-1 + delta, -1 - delta, -5 + delta, -5 - delta],
    ]
    assert tables["matrix"].table.tolist() == [[1, 0, -1, 0], [0, 1, 0, -1]]
    assert (tables["samples"].counts, tables["matrix"].counts) == ((3, 2, 1), (1, 1, 1, 1))


@pytest.mark.parametrize("name", NAMES)
def test_in_place_programs_give_the_bits_of_ordinary_evaluation(name):
    sde = gallery_sde(name)
    symbols = sde.problem.symbols
    rows = np.random.default_rng(0).uniform(0.5, 1.5, (33, len(symbols)))
    for name in ("drift", "tangent_noise", "hessian_pinv"):
        part = sde.program.select(name)
        out = np.full((len(part.outputs[0].registers), 33), np.nan)
        function = InPlaceProgram(part, symbols)
        for _ in range(2):
            function(np.ascontiguousarray(rows.T), out)
        np.testing.assert_array_equal(out.T, evaluate(in_library_functions(part), symbols, rows)[name])


def test_in_place_programs_store_what_is_asked_for_where_it_is_asked_for():
    """Inputs, constants, √2/3 folded in float64, entries that others are made of, and one entry at two places."""
    graph = Graph()
    x, y, z = (graph.symbol(a) for a in (u, v, w))
    root = graph.call("sqrt", graph.constant(2)) / 3
    product = x * y
    part = Program.of({"f": Matrix.column([product * z, z, root * x, product, graph.constant(3), root, product, z])})
    rows = np.random.default_rng(0).uniform(0.5, 1.5, (5, 3))
    out = np.full((8, 5), np.nan)
    InPlaceProgram(part, (u, v, w))(np.ascontiguousarray(rows.T), out)
    np.testing.assert_array_equal(out.T, evaluate(part, (u, v, w), rows)["f"])


def test_newton_steps_lead_to_the_manifold_along_the_normals():
    sde = gallery_sde("quadric_dense")
    x = np.array([[1.01], [0.74], [0.51]])
    step = np.empty_like(x)
    newton(sde.derivation, {})(x, step)
    a, b, c = x[:, 0]
    g, normal = a * b + c**2 - 1, np.array([b, a, 2 * c])
    np.testing.assert_allclose(step[:, 0], g * normal / (normal @ normal), rtol=1e-13)


def means(sde, scheme, start, time, steps, replicas):
    stepper = scheme.stepper(sde.derivation, time / steps, {})
    starts = np.tile(np.array(start, float), (replicas, 1))
    run = simulated(stepper, starts, [steps], np.array([time]), Recording(rng=3))
    return run.mean[-1], np.sqrt(np.diag(run.covariance[-1]) / replicas), run.final


def test_weak_order_two_on_the_sphere_against_the_heat_semigroup():
    """E Y(t) = e^{−t} Y(0) for Brownian motion on S² (its coordinates are eigenfunctions with eigenvalue −1)."""
    sde = gallery_sde("sphere")
    errors = []
    for steps in (2, 4, 8):
        mean, spread, final = means(sde, WeakOrderTwo(), [1, 0, 0], 1.0, steps, 2**18)
        np.testing.assert_allclose(np.linalg.norm(final, axis=1), 1, atol=1e-8)
        errors.append(mean[0] - np.exp(-1))
        assert abs(mean[1]) < 5 * spread[1]
    assert abs(errors[-1]) > 2 * spread[0]  # the error is seen, so that its order means something
    slack = np.log2(1 + 4 * spread[0] / abs(errors[1]))
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.5 + slack
    assert abs(4 * errors[2] - errors[1]) / 3 < 5 * spread[0]  # extrapolated, it is the semigroup's


def test_the_mean_of_euler_and_maruyama_converges_on_the_sphere():
    sde = gallery_sde("sphere")
    coarse, fine = (means(sde, WeakOrderOne(), [1, 0, 0], 1.0, steps, 2**18) for steps in (32, 64))
    spread = np.hypot(2 * fine[1][0], coarse[1][0])
    assert abs(2 * fine[0][0] - coarse[0][0] - np.exp(-1)) < 4 * spread
    np.testing.assert_allclose(np.linalg.norm(fine[2], axis=1), 1, atol=1e-8)


@pytest.mark.parametrize(("scheme", "order"), [(WeakOrderOne(), 1), (WeakOrderTwo(), 2)], ids=["one", "two"])
def test_orders_where_nothing_is_random(scheme, order):
    """Label noise on uv = 1, where u̇ = −u/2 + v/(u² + v²), v = 1/u: integrated by SciPy to 12 digits."""
    sde = gallery_sde("hyperbola_label")
    rate = lambda t, y: -y / 2 + (1 / y) / (y**2 + y**-2)  # noqa: E731 (du/dt on Γ, by hand)
    exact = solve_ivp(rate, (0, 1), [2.0], rtol=1e-12, atol=1e-13).y[0, -1]
    errors = [means(sde, scheme, [2, 0.5], 1.0, steps, 1)[0][0] - exact for steps in (50, 100)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.06)
