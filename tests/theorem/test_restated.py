"""Terms that a user states: `verify` passes what is right and rejects what is wrong, and nothing else is said of them."""

import numpy as np
import pytest
import sympy as sp
from mutants import two_equations

from symbolic_sgd import (
    IsotropicNoise,
    LabelNoise,
    LocalSGD,
    Problem,
    RMSprop,
    derive_limiting_sde,
    recheck,
    simulate_sde,
    verify,
)
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol, InexactNumber, Undecided

u, v, w = x = sp.symbols("u v w")
SIGMA = sp.Matrix([[1, u, 0], [v, 1, w], [0, 1, 2]])
QUADRIC = Problem(loss=(u * v + w**2 - 1) ** 2 / 2, parameters=x, noise=SIGMA)


@pytest.fixture(scope="module")
def sde():
    return derive_limiting_sde(QUADRIC)


def by_hand(factor):
    """factor · P T[H†Σ_⊥∥] on the quadric, where H = nnᵀ, by SymPy's derivatives."""
    n = sp.Matrix([u * v + w**2 - 1]).jacobian(x).T
    square = n.dot(n)
    p = sp.eye(3) - n * n.T / square
    inner = n * n.T / square**2 * (sp.eye(3) - p) * SIGMA * SIGMA.T * p
    third = [sum(inner[i, j] * sp.diff(QUADRIC.loss, x[i], x[j], y) for i in range(3) for j in range(3)) for y in x]
    return factor * p * sp.Matrix(third)


def test_the_right_term_written_by_hand_passes(sde):
    certificate = verify(sde.with_terms(mixed_regularization=by_hand(-1)), rng=0)
    assert certificate.passed and any("mixed" in check.name for check in certificate.checks)


def test_the_posters_factor_is_rejected_and_nothing_else_is(sde):
    certificate = verify(sde.with_terms(mixed_regularization=by_hand(-sp.S.Half)), rng=0)
    failed = {check.name for check in certificate.checks if check.verdict == "failed"}
    assert any("mixed" in name for name in failed)
    assert all("mixed" in name or "drift" in name for name in failed)


@pytest.mark.parametrize("name", ["tangent_noise_compensation", "mixed_regularization"])
def test_a_term_of_two_equations_that_is_halved_is_rejected(name):
    sde = derive_limiting_sde(two_equations())
    assert not verify(sde.with_terms(**{name: sde.term(name) / 2}), rng=0).passed


def test_a_normal_regularization_that_is_halved_is_rejected(sde):
    assert not verify(sde.with_terms(normal_regularization=sde.normal_regularization / 2), rng=0).passed


def test_the_drift_is_the_sum_and_the_callables_and_the_simulation_take_it(sde):
    stated = sde.with_terms(normal_regularization=sp.Matrix([0, 0, u]), mixed_regularization=sp.zeros(3, 1))
    point = np.array([2.0, 0.5, 0.0])
    f, own = sde.lambdify(), stated.lambdify()
    expected = f.tangent_noise_compensation(point) + np.array([0, 0, 2])
    np.testing.assert_allclose(own.drift(point), expected, rtol=1e-13)
    np.testing.assert_allclose(own.mixed_regularization(point), 0)
    assert own.diffusion(point) == pytest.approx(f.diffusion(point))
    drift = stated.drift - stated.tangent_noise_compensation
    assert drift.subs({u: 2, v: sp.S.Half, w: 0}).equals(sp.Matrix([0, 0, 2]))
    assert "Stated, and not derived: mixed_regularization, normal_regularization." in stated.explain()
    assert "Stated" not in sde.explain()


def test_terms_stated_one_after_the_other_are_both_stated(sde):
    once = sde.with_terms(mixed_regularization=sp.zeros(3, 1))
    twice = once.with_terms(normal_regularization=sp.zeros(3, 1))
    assert twice.drift == sde.tangent_noise_compensation
    assert "mixed_regularization, normal_regularization" in twice.explain()


def hyperbola(noise=None, **further):
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=noise or LabelNoise(1))
    return derive_limiting_sde(problem, **further)


def test_what_was_recognised_of_the_noise_says_nothing_of_a_stated_term():
    """Σ = H gives R = (1/4) tr H for the term that was derived; twice that term has twice that R, and turned by 90° none of it."""
    sde = hyperbola()
    doubled = sde.with_terms(normal_regularization=2 * sde.normal_regularization)
    assert sp.simplify(doubled.regularizer - 2 * sde.regularizer).is_number
    still = sde.with_terms(normal_regularization=sp.zeros(2, 1))
    assert still.regularizer == 0
    moved = simulate_sde(still, [2, 0.5], time=1, step=0.1, replicas=1)
    np.testing.assert_allclose(moved.final[0], [2, 0.5], atol=1e-12)


@pytest.mark.parametrize("factor", [1, 2])
def test_a_kernel_that_is_evaluated_by_eigenvectors_gives_way_to_what_is_stated(factor):
    sde = hyperbola(IsotropicNoise(1), optimizer=LocalSGD(workers=2, round_time=1))
    stated = sde.with_terms(normal_regularization=factor * sde.normal_regularization)
    f, own = sde.lambdify(), stated.lambdify()
    drift = f.drift([2, 0.5]) + (factor - 1) * f.normal_regularization([2, 0.5])
    np.testing.assert_allclose(own.drift([2, 0.5]), drift, rtol=1e-10)


def test_a_certificate_of_stated_terms_does_not_hold_of_the_problem():
    sde = hyperbola()
    certificate = verify(sde.with_terms(normal_regularization=2 * sde.normal_regularization), rng=0)
    assert recheck(certificate.to_json()).void


@pytest.mark.parametrize(
    "question",
    [
        lambda sde: sde.structure,
        lambda sde: sde.latex(),
        lambda sde: sde.document(),
        lambda sde: sde.charges,
        lambda sde: sde.in_charges(),
    ],
)
def test_what_tells_of_the_derivation_is_refused(question):
    stated = hyperbola().with_terms(normal_regularization=sp.zeros(2, 1))
    with pytest.raises(BadInput, match=r"derived, and normal_regularization was stated here"):
        question(stated)


def test_second_moments_beside_stated_terms_have_no_known_potential():
    sde = hyperbola(optimizer=RMSprop(second_moment_rate=1))
    stated = sde.with_terms(normal_regularization=2 * sde.normal_regularization)
    for question in (
        lambda: stated.joint_potential,
        lambda: stated.quasi_static_regularizer,
        lambda: stated.induced_regularizer([u * v]),
    ):
        with pytest.raises(Undecided, match="stated here, and not derived"):
            question()


def test_a_chart_and_r_in_function_space_are_of_what_is_stated():
    sde = hyperbola()
    doubled = sde.with_terms(normal_regularization=2 * sde.normal_regularization)
    assert (doubled.in_chart().drift - 2 * sde.in_chart().drift).applyfunc(sp.simplify).is_zero_matrix
    expressions = [one.induced_regularizer([u * v], symbols=(w,)).expression for one in (doubled, sde)]
    assert sp.simplify(expressions[0] - 2 * expressions[1]) == 0


@pytest.mark.parametrize(
    ("terms", "error", "words"),
    [
        ({}, BadInput, "no term is stated"),
        ({"drift": sp.zeros(3, 1)}, BadInput, "'drift' is no term that can be stated"),
        ({"tangent_noise": sp.zeros(3, 3)}, BadInput, "'tangent_noise' is no term that can be stated"),
        ({"imposed_drift": sp.zeros(3, 1)}, BadInput, "'imposed_drift' is no term that can be stated"),
        ({"mixed_regularization": sp.zeros(2, 1)}, BadShape, r"shape \(2, 1\); it has to be 3×1"),
        ({"mixed_regularization": sp.zeros(1, 3)}, BadShape, r"shape \(1, 3\); it has to be 3×1"),
        ({"mixed_regularization": [0, 0, 0]}, BadInput, "is a list"),
        ({"mixed_regularization": sp.Matrix([0, 0.5, 0])}, InexactNumber, r"mixed_regularization\[1\]"),
        ({"mixed_regularization": sp.Matrix([0, 0, sp.Symbol("q")])}, BadSymbol, "depends on q"),
    ],
)
def test_what_is_no_term_is_refused(sde, terms, error, words):
    with pytest.raises(error, match=words):
        sde.with_terms(**terms)


def test_a_large_problem_has_no_terms_to_state():
    left, right = sp.Matrix(6, 6, sp.symbols("a1:37")), sp.Matrix(6, 6, sp.symbols("b1:37"))
    residuals = list(left * right.T - sp.eye(6))
    large = derive_limiting_sde(Problem.least_squares(residuals, parameters=(*left, *right), noise=LabelNoise(1)))
    with pytest.raises(BadInput, match=r"computed by matrices here \(D = 72, M = 36\)"):
        large.with_terms(normal_regularization=sp.zeros(72, 1))
