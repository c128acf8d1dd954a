"""Local SGD as η → 0 with rounds of a time, whose kernel is no rational function; and letters of kernels that are anybody's symbols."""

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from iterated import assert_iterated, assert_rejected

from symbolic_sgd import (
    SGD,
    ColouredNoise,
    GradientNoise,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    LocalSGD,
    Nesterov,
    Problem,
    derive_limiting_sde,
    simulate_sgd,
    verify,
)
from symbolic_sgd.checks.by_sympy import BySymPy
from symbolic_sgd.checks.iteration_road import OwnIteration
from symbolic_sgd.checks.literal import LiteralTheorem
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.errors import BadInput, BadSymbol, ProblemTooLarge, SingularPoint
from symbolic_sgd.optimizers.kernel import A, B
from symbolic_sgd.theorem.terms import DRIFT_TERMS

u, v, w, z, q = sp.symbols("u v w z q")
alpha = sp.Symbol("alpha", positive=True)
AT = {u: 2, v: sp.Rational(1, 2)}
NOISES = {
    "label": LabelNoise(1),
    "isotropic": IsotropicNoise(1),
    "matrix": GradientNoise(sp.Matrix([[1, u], [v, 0]])),
}


def hyperbola(noise):
    return Problem.least_squares([u * v - 1], parameters=(u, v), noise=noise)


def two_equations(noise):
    return Problem.least_squares([u * v - 1, w * z + u - 2], parameters=(u, v, w, z), noise=noise)


def four_equations(noise):
    return Problem.least_squares([u * v - 1, w - u, z - v, q - u**2], parameters=(u, v, w, z, q), noise=noise)


def by_steps(problem, workers, time, point):
    """The drift at rounds of n steps of η = α/n, n = 2, 3, …, extrapolated to η = 0: rational kernels, iterated in other tests."""
    counts = [1, 2, 3, 4, 6]
    values = []
    for n in counts:
        sde = derive_limiting_sde(problem, optimizer=LocalSGD(workers=workers, steps=n, learning_rate=time / n))
        values.append(sde.lambdify().drift(point))
    rates = np.array([1 / n for n in counts])
    weights = [np.prod([b / (b - a) for b in np.delete(rates, i)]) for i, a in enumerate(rates)]
    return np.tensordot(weights, np.array(values), 1)


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_rounds_of_a_time_are_the_limit_of_rounds_of_steps(noise):
    time = sp.Rational(1, 16)
    sde = derive_limiting_sde(hyperbola(noise), optimizer=LocalSGD(workers=3, round_time=time))
    expected = by_steps(hyperbola(noise), 3, time, [2.0, 0.5])
    assert np.allclose(sde.lambdify().drift([2.0, 0.5]), expected, rtol=3e-5, atol=0)
    plain = derive_limiting_sde(hyperbola(noise)).lambdify().drift([2.0, 0.5])
    assert not np.allclose(plain, expected, rtol=1e-2, atol=0)


MODERATE = (4, 6, 9, 13, 15, 16, 18, 21, 24)
"""Random losses with M = 1 or 2 whose curvatures are within a factor of five: others take many minutes each."""


@pytest.mark.parametrize("seed", [12, *(pytest.param(k, marks=pytest.mark.campaign) for k in MODERATE)])
def test_random_losses_against_rounds_of_ever_more_steps(seed):
    """D = 3 or 4, a dense σ(x): each block, drift and covariance, by rounds that are iterated, to 10⁻⁶."""
    problem, *_ = random_problem(seed)
    sde = derive_limiting_sde(problem, optimizer=LocalSGD(workers=2, round_time=sp.Rational(1, 16)))
    assert_iterated(sde, rng=seed, tolerance=1e-6)


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_rounds_of_ever_more_steps_reject_another_round(noise):
    problem, rounds = hyperbola(noise), LocalSGD(workers=2, round_time=sp.Rational(1, 32))
    other = derive_limiting_sde(problem, optimizer=LocalSGD(workers=2, round_time=sp.Rational(1, 16)))
    assert_rejected(problem, rounds, other.program, methods=(OwnIteration(),))


def test_the_kernel_is_the_limit_of_the_rational_one():
    """(1 − ηa)(1 − ηb) to the n-th → e^{−α(a + b)}, at 40 digits."""
    at = {A: sp.Rational(7, 5), B: sp.Rational(1, 3)}
    limit = LocalSGD(workers=4, round_time=2).kernel.function(A, B).subs(at).evalf(40)
    errors = []
    for n in (4, 8, 16, 32):
        steps = LocalSGD(workers=4, steps=n, learning_rate=sp.Rational(2, n)).kernel.function(A, B).subs(at)
        errors.append(abs(steps.evalf(40) - limit))
    assert all(1.8 < float(a / b) < 2.6 for a, b in pairwise(errors))  # first order in η


@pytest.mark.parametrize(
    ("along", "expected"), [(0, 1 / (4 * (A + B))), (sp.oo, 1 / (A + B))], ids=["batch of 4", "one worker"]
)
def test_short_and_long_rounds(along, expected):
    kernel = LocalSGD(workers=4, round_time=alpha).kernel.function(A, B)
    limit = sp.limit(kernel.subs({A: 2, B: 3}), alpha, along)
    assert limit == expected.subs({A: 2, B: 3})


def test_one_worker_is_sgd_whatever_the_round():
    one = derive_limiting_sde(hyperbola(LabelNoise(1)), optimizer=LocalSGD(workers=1, round_time=alpha))
    assert one.drift == derive_limiting_sde(hyperbola(LabelNoise(1))).drift


def test_r_for_label_noise_is_the_published_one():
    """(c/4)Σ[λ/K + (1 − 1/K)(λ − Ein(2αλ)/(2α))], Ein(x) = γ + ln x + E₁(x): Gu, Lyu, Huang and Arora (2023)."""
    workers, s = 3, u**2 + v**2
    sde = derive_limiting_sde(hyperbola(LabelNoise(1)), optimizer=LocalSGD(workers=workers, round_time=alpha))
    ein = sp.EulerGamma + sp.log(2 * alpha * s) - sp.Ei(-2 * alpha * s)
    known = (s / workers + (1 - sp.Rational(1, workers)) * (s - ein / (2 * alpha))) / 4
    for x in (u, v):
        assert sp.simplify(sp.diff(sde.regularizer - known, x)) == 0


@pytest.mark.parametrize("noise", [LabelNoise(1), IsotropicNoise(1)], ids=["label", "isotropic"])
def test_r_of_two_curvatures_has_the_gradient_that_it_should(noise):
    sde = derive_limiting_sde(two_equations(noise), optimizer=LocalSGD(workers=3, round_time=sp.Rational(1, 2)))
    point = {u: sp.Rational(6, 5), v: sp.Rational(5, 6), w: sp.Rational(7, 10), z: sp.Rational(8, 7)}
    slope = sp.Matrix([sp.diff(sde.regularizer, x) for x in (u, v, w, z)]).subs(point).evalf(30)
    expected = (sde.mixed_regularization + sde.normal_regularization).subs(point).evalf(30)
    pushed = -(sde.tangent_projection.subs(point) * slope)
    assert max(map(abs, pushed - expected)) < 1e-25


def test_two_curvatures_by_their_difference():
    """Formulas where λ₁ ≠ λ₂, which is a condition; numbers by eigenvectors everywhere, also where λ₁ = λ₂."""
    dense = GradientNoise(sp.Matrix([[1, u], [v, 0], [z, 1], [0, w * u]]))
    problem = two_equations(dense)
    sde = derive_limiting_sde(problem, optimizer=LocalSGD(workers=3, round_time=sp.Rational(1, 2)))
    (condition,) = sde.valid_where
    assert isinstance(condition, sp.Ne)
    x = np.array([1.2, 1 / 1.2, 0.7, 0.8 / 0.7])
    expected = by_steps(problem, 3, sp.Rational(1, 2), x)
    assert np.allclose(sde.lambdify().drift(x), expected, rtol=1e-3, atol=1e-4)
    certificate = verify(sde, rng=0)
    assert certificate.passed, certificate


def test_numbers_where_both_curvatures_are_equal():
    """L = (uv − 1)²/2 + (wz − 1)²/2 has λ₁ = λ₂ where |(u, v)| = |(w, z)|."""
    residuals = [u * v - 1, w * z - 1]
    problem = Problem.least_squares(residuals, parameters=(u, v, w, z), noise=IsotropicNoise(1))
    sde = derive_limiting_sde(problem, optimizer=LocalSGD(workers=2, round_time=sp.Rational(1, 2)))
    f = sde.lambdify().drift
    at, beside = f([2.0, 0.5, 0.5, 2.0]), f([2.0, 0.5, 0.5 * (1 + 1e-6), 2.0 / (1 + 1e-6)])
    assert np.all(np.isfinite(at))
    assert np.allclose(at, beside, rtol=0, atol=1e-5)


def test_what_is_not_written_out_is_refused():
    problem = four_equations(LabelNoise(1))
    with pytest.raises(ProblemTooLarge, match=r"M ≤ 3 of them; here M = 4"):
        derive_limiting_sde(problem, optimizer=LocalSGD(workers=2, round_time=1))
    plane = Problem(loss=(u**2 + v**2) / 2 + 0 * w, parameters=(u, v, w), noise=IsotropicNoise(1))
    with pytest.raises(BadInput, match="curvatures of Γ are equal on all of it"):
        derive_limiting_sde(plane, optimizer=LocalSGD(workers=2, round_time=1))


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"round_time": 1, "steps": 3}, "leave steps= and learning_rate= out"),
        ({"round_time": 1, "learning_rate": 0.1}, "leave steps= and learning_rate= out"),
        ({"round_time": 0}, "larger than 0"),
        ({"steps": 3}, "round_time=α"),
    ],
)
def test_a_round_is_stated_in_one_way(keywords, words):
    with pytest.raises(BadInput, match=words):
        LocalSGD(workers=2, **keywords)


def test_a_run_takes_a_rate_that_divides_the_round():
    problem, start = hyperbola(LabelNoise(1)), [2.0, 0.5]
    several = {"steps": 100, "replicas": 20, "rng": 1}
    ours = simulate_sgd(problem, start, optimizer=LocalSGD(workers=2, round_time=0.5), learning_rate=0.01, **several)
    same = simulate_sgd(problem, start, optimizer=LocalSGD(workers=2, steps=50, learning_rate=0.01), **several)
    assert np.array_equal(ours.final, same.final)
    assert np.array_equal(ours.times, same.times)
    with pytest.raises(BadInput, match="divides it"):
        simulate_sgd(problem, start, optimizer=LocalSGD(workers=2, round_time=0.5), learning_rate=0.03, **several)
    with pytest.raises(BadInput, match="multiple of 50"):
        simulate_sgd(
            problem,
            start,
            optimizer=LocalSGD(workers=2, round_time=0.5),
            learning_rate=0.01,
            steps=70,
            replicas=2,
            rng=1,
        )


# --- whatever a symbol is called ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "b", "l"])
@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_a_learning_rate_of_any_name(noise, name):
    """The letters of a kernel are nobody's symbols: a learning rate that is called like one of them is another."""
    rate = sp.Symbol(name, positive=True)
    sde = derive_limiting_sde(hyperbola(noise), optimizer=HeavyBall(momentum=sp.Rational(1, 2), learning_rate=rate))
    numeric = derive_limiting_sde(hyperbola(noise), optimizer=HeavyBall(momentum=0.5, learning_rate=0.125))
    assert sde.drift.subs(rate, sp.Rational(1, 8)).subs(AT) == numeric.drift.subs(AT)
    first, second = sde.covariance_kernel.variables
    assert rate not in (first, second)
    assert sde.covariance_kernel(1, 3).subs(rate, sp.Rational(1, 8)) == numeric.covariance_kernel(1, 3)
    at = {**AT, rate: sp.Rational(1, 8)}
    assert sde.structure.at(at)["b"] == pytest.approx(np.array(numeric.drift.subs(AT), float))


def test_constants_of_the_problem_may_be_called_like_letters():
    a = sp.Symbol("a", positive=True)
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=IsotropicNoise(a), constants=(a,))
    sde = derive_limiting_sde(problem, optimizer=SGD(learning_rate=sp.Rational(1, 8)))
    plain = derive_limiting_sde(hyperbola(IsotropicNoise(1)), optimizer=SGD(learning_rate=sp.Rational(1, 8)))
    assert (sde.drift - a**2 * plain.drift).applyfunc(sp.cancel) == sp.zeros(2, 1)


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(learning_rate=sp.Symbol("epsilon", positive=True)),
        HeavyBall(momentum=sp.Symbol("eta", positive=True)),
        LocalSGD(workers=2, round_time=sp.Symbol("eta", positive=True)),
    ],
    ids=str,
)
def test_a_symbol_of_the_unit_of_time_is_taken(optimizer):
    with pytest.raises(BadSymbol, match="give yours another name"):
        derive_limiting_sde(hyperbola(LabelNoise(1)), optimizer=optimizer)


# --- rounds of many steps -----------------------------------------------------------------------


@pytest.mark.parametrize("steps", [9, 40, 400])
def test_rounds_of_many_steps_keep_their_digits(steps):
    """By q ⁿ, and not by a polynomial of degree 2(n − 1): against the theorem in eigenvectors to 60 digits, near the edge, too."""
    dense = GradientNoise(sp.Matrix([[1, u], [v, 0], [z, 1], [0, w * u]]))
    for problem, rate in ((hyperbola(NOISES["matrix"]), sp.Rational(1, 4)), (two_equations(dense), sp.Rational(1, 8))):
        sde = derive_limiting_sde(problem, optimizer=LocalSGD(workers=3, steps=steps, learning_rate=rate))
        certificate = verify(sde, checks=(LiteralRoad(),), rng=0)
        assert certificate.passed, certificate
        point = [1.2, 1 / 1.2, 0.7, 0.8 / 0.7][: problem.dimension]
        literal = LiteralTheorem(BySymPy(problem), sde.manifold.codimension, sde.optimizer)
        expected = literal.terms(literal.onto(dict(zip(problem.parameters, point, strict=True))))
        predicted = sum(np.array(getattr(expected, name).tolist(), dtype=float).ravel() for name in DRIFT_TERMS)
        assert np.allclose(sde.lambdify().drift(point), predicted, rtol=1e-11, atol=1e-13)


def test_both_ways_to_write_the_kernel_are_one():
    ours = LocalSGD(workers=3, steps=9, learning_rate=sp.Rational(1, 16)).kernel.function(A, B)
    power = (1 - A / 16) * (1 - B / 16)
    known = (1 - sp.Rational(2, 27) * sum(power**t for t in range(9))) / (A + B - A * B / 16)
    assert sp.cancel(ours - known) == 0


def test_many_steps_and_four_curvatures_are_refused():
    four = four_equations(LabelNoise(1, batch_size=4))
    with pytest.raises(ProblemTooLarge, match="at most 8 steps"):
        derive_limiting_sde(four, optimizer=LocalSGD(workers=2, steps=9, learning_rate=sp.Rational(1, 16)))
    derive_limiting_sde(four, optimizer=LocalSGD(workers=2, steps=8, learning_rate=sp.Rational(1, 16)))


def test_the_printed_time_counts_what_the_printed_step_counts():
    """A round of 2 steps adds 2η²ε² to t."""
    sde = derive_limiting_sde(hyperbola(LabelNoise(1)), optimizer=LocalSGD(2, 2, sp.Rational(1, 8)))
    assert r"t = k\,\frac{\epsilon^{2}}{32}" in sde.latex()
    assert sde.time_unit == sp.Symbol("epsilon", positive=True) ** 2 / 64


@pytest.mark.parametrize(
    "optimizer",
    [
        HeavyBall(momentum=sp.Symbol("beta", positive=True), learning_rate=sp.Rational(1, 8)),
        Nesterov(momentum=sp.Symbol("beta", positive=True), learning_rate=sp.Rational(1, 8)),
        ColouredNoise(correlation=sp.Symbol("beta", positive=True), learning_rate=sp.Rational(1, 8)),
    ],
    ids=lambda o: o.label,
)
def test_a_momentum_that_is_a_symbol_has_to_be_below_one(optimizer):
    beta = sp.Symbol("beta", positive=True)
    sde = derive_limiting_sde(hyperbola(IsotropicNoise(1)), optimizer=optimizer)
    assert (beta < 1) in sde.valid_where
    f = sde.lambdify()
    f.drift([2.0, 0.5], beta=0.5)
    with pytest.raises(SingularPoint, match="beta < 1"):
        f.drift([2.0, 0.5], beta=1.5)
