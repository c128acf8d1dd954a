"""The one-step check rejects what is wrong with the theorem; that it accepts the gallery, is in test_gallery."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from derived import gallery_sde
from scaled_terms import mutant

from symbolic_sgd import Problem, derive_limiting_sde, verify
from symbolic_sgd.checks.exact_steps import ExactSteps
from symbolic_sgd.checks.identities import Identities
from symbolic_sgd.checks.observation import extrapolate
from symbolic_sgd.checks.one_step import TOLERANCE, OneStep
from symbolic_sgd.checks.witness import Witness

STEPS = [Identities(), OneStep()]


def checks_of(certificate, name):
    return [check for check in certificate.checks if check.name.startswith(f"one step: {name}")]


@pytest.fixture(scope="module")
def quadric():
    return gallery_sde("quadric_dense")


def test_the_posters_mixed_factor_is_rejected_far_beyond_the_tolerance(quadric):
    wrong = mutant(quadric, mixed_regularization=Fraction(1, 2))
    certificate = verify(wrong, checks=STEPS, rng=1)
    assert not certificate.passed
    for check in checks_of(certificate, "mixed"):
        assert check.verdict == "failed"
        assert check.error >= 1e4 * TOLERANCE


@pytest.mark.parametrize(
    "term", ["tangent_noise_compensation", "mixed_regularization", "normal_regularization", "tangent_noise"]
)
@pytest.mark.parametrize("factor", [Fraction(-1), Fraction(100001, 100000)], ids=["sign", "1 + 1e-5"])
def test_each_term_by_itself_is_tested(quadric, term, factor):
    certificate = verify(mutant(quadric, **{term: factor}), checks=STEPS, rng=1)
    observed = {
        "tangent_noise_compensation": "tangent-noise",
        "mixed_regularization": "mixed",
        "normal_regularization": "normal",
        "tangent_noise": "diffusion",
    }[term]
    if term == "tangent_noise" and factor == -1:
        assert [c.name for c in certificate.checks if c.verdict == "failed"] == ["tangent noise = ∂Φ σ"]
    else:
        # A factor of 1 + 1e-5 shows where the term is not small beside the drift, which need not be at every point.
        rejected = [check.verdict == "failed" for check in checks_of(certificate, observed)]
        assert all(rejected) if factor == -1 else any(rejected)


def test_identities_alone_reject_a_wrong_inverse(quadric):
    certificate = verify(mutant(quadric, hessian_pinv=Fraction(2)), checks=STEPS, rng=1)
    failed = {check.name for check in certificate.checks if check.verdict == "failed"}
    assert {"∇²L ∇²L† ∇²L = ∇²L", "∇²L ∇²L† = I − ∂Φ"} <= failed


def test_verdict_does_not_depend_on_the_seed_and_repeats_with_it(quadric):
    first, again, other = verify(quadric, rng=3), verify(quadric, rng=3), verify(quadric, rng=np.random.default_rng(4))
    assert first.to_json() == again.to_json()
    assert first.passed and other.passed
    assert first.checks != other.checks


def test_noise_that_is_not_symmetric_needs_every_power_of_the_learning_rate():
    u, v = sp.symbols("u v")
    r = u * v - 1
    problem = Problem.from_sample_losses(
        [(r + 3) ** 2 / 2, (r - 1) ** 2 / 2], parameters=(u, v), weights=[sp.Rational(1, 4), sp.Rational(3, 4)]
    )
    assert verify(derive_limiting_sde(problem)).passed


@pytest.mark.parametrize("name", ["quadric_dense", "olm_label"])
def test_one_step_is_the_first_of_several(name):
    witness, rng = Witness.of(gallery_sde(name).derivation, np.random.default_rng(2), 1), np.random.default_rng(0)
    drift, *_, diffusion = OneStep()(witness, rng)
    for one, first in zip((drift, diffusion), ExactSteps(1)(witness, rng), strict=True):
        assert first.verdict == "measured" and first.name == one.name.replace("one step", "1 steps")
        np.testing.assert_array_equal(first.observed, one.observed)


def test_extrapolation_removes_every_power_asked_for():
    etas = 0.5 ** np.arange(6)
    odd, _ = extrapolate([np.array([1 + 3 * h - 2 * h**2 + h**3]) for h in etas], 1)
    even, _ = extrapolate([np.array([1 + 3 * h**2 - 2 * h**4]) for h in etas], 2)
    np.testing.assert_allclose([odd[0], even[0]], 1, rtol=1e-12)
