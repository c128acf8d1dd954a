"""Ensembles at three learning rates: where their averages follow an expansion in η, and where they do not yet."""

import numpy as np
import pytest
import sympy as sp
from derived import gallery_sde
from scipy.stats import norm

from symbolic_sgd import GradientNoise, Problem, derive_limiting_sde, simulate_sgd, verify
from symbolic_sgd.checks.ensembles import LEVELS, RESTORING, Ensembles, Observed
from symbolic_sgd.checks.fluctuations import Fluctuations
from symbolic_sgd.checks.witness import Witness


def observed(f, error=1e-6):
    means = np.array([[f(1 / divisor)] for divisor in LEVELS])
    return Observed(np.zeros(1), {}, 1.0, 1.0, means, error**2 * np.eye(3)[None])


def test_a_parabola_is_extrapolated_exactly():
    seen = observed(lambda eta: 3 - 2 * eta + 0.25 * eta**2)
    assert seen.converges and seen.mean == pytest.approx(3, abs=1e-12)
    assert seen.error == pytest.approx(1e-6 * np.sqrt((1 / 3) ** 2 + 2**2 + (8 / 3) ** 2))


@pytest.mark.parametrize("cubic", [0.01, -0.05, 0.1])
def test_the_remainder_bounds_what_the_next_power_leaves(cubic):
    seen = observed(lambda eta: 1 + eta + 0.5 * eta**2 + cubic * eta**3)
    assert seen.converges
    assert abs(seen.mean[0] - 1) <= seen.remainder[0] + seen.error[0]


def test_corrections_that_do_not_shrink_are_no_expansion():
    assert not observed(lambda eta: 1 / (0.02 + eta)).converges
    assert not observed(lambda eta: np.where(eta == 0.25, 3.0, eta)).converges


def test_rounding_is_no_correction():
    """Where nothing moves, the means differ by their last digits, without any noise."""
    seen = observed(lambda eta: 1 + 1e-16 * np.sin(9 / eta), error=0.0)
    assert seen.converges and seen.remainder[0] < 1e-9


def test_chance_is_no_reason_for_smaller_learning_rates():
    rng = np.random.default_rng(0)
    error = 0.1
    for _ in range(200):
        seen = observed(lambda eta: 0.01 * eta + error * rng.standard_normal(), error)
        assert seen.converges and seen.remainder[0] <= seen.error[0]


@pytest.mark.parametrize("powers", [(0, 0, 0), (1, 0, 0), (13, 0.4, 0.3), (13, 2, 1), (50, -5, 2)])
def test_the_stated_alpha_holds_for_expansions(powers):
    """α = 0.01, seen in 40,000 draws of three means around c₁η + c₂η² + c₃η³ (in standard errors of a mean)."""
    draws, rng = 40_000, np.random.default_rng(0)
    eta = 1 / np.array(LEVELS)
    truth = sum(c * eta ** (k + 1) for k, c in enumerate(powers))
    means = truth[:, None] + rng.standard_normal((3, draws)) / 4
    seen = Observed(np.zeros(draws), {}, 1.0, 1.0, means, np.tile(np.eye(3) / 16, (draws, 1, 1)))
    alarms = np.abs(seen.mean) - seen.remainder > norm.isf(0.005) * seen.error
    assert alarms.mean() <= 0.01 + 3 * np.sqrt(0.01 / draws)


@pytest.fixture(scope="module")
def saturating():
    """tanh and arctan flatten: at moderate η, SGD leaves the neighbourhood of Γ for good now and then."""
    sde = gallery_sde("monotone_neurons")
    return sde, Witness.of(sde.derivation, np.random.default_rng(0), 1)


def test_sgd_does_not_leave_gamma_at_the_learning_rates_chosen(saturating):
    """At the stability bound's tenth, 65,536 replicas differ from the limit by 26 standard errors."""
    sde, witness = saturating
    method = Ensembles(replicas=2**9)
    rate, _ = method.horizon(witness, witness.points[0], method.stiffness)
    point = np.array([float(a) for a in witness.points[0].values()])
    fluctuations = Fluctuations.at(witness.smooth_loss, point, witness.noise_factor(witness.points[0]), 2)
    assert fluctuations.restoring(rate) >= RESTORING > fluctuations.restoring(2 * rate)
    seen = method.observe(witness, witness.points[0], np.random.default_rng(1))
    assert all(check.verdict == "consistent" for check in method.judge(sde.derivation, seen, np.random.default_rng(2)))


def test_fluctuations_are_those_of_sgd():
    """The covariance across Γ of an ensemble at small η against ηS from the Lyapunov equation, α = 1e-3 for all entries."""
    u, v, w = sp.symbols("u v w")
    problem = Problem(loss=u**2 + (v + w) ** 2 / 2, parameters=(u, v, w), noise=sp.Matrix([[1, 2], [0, 1], [1, 0]]))
    witness = Witness.of(derive_limiting_sde(problem).derivation, np.random.default_rng(0), 1)
    base = np.array([float(witness.points[0][s]) for s in (u, v, w)])
    fluctuations = Fluctuations.at(witness.smooth_loss, base, witness.noise_factor(witness.points[0]), 2)
    eta, replicas = 0.001, 2**14
    run = simulate_sgd(problem, base, learning_rate=eta, steps=6000, replicas=replicas, rng=0)
    across = np.array([run.final[:, 0], (run.final[:, 1] + run.final[:, 2]) / np.sqrt(2)])
    normal = np.array([[1, 0, 0], [0, 1, 1] / np.sqrt(2)])
    expected = eta * normal @ fluctuations.axes @ fluctuations.axes.T @ normal.T
    error = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / replicas)
    assert np.abs((np.cov(across) - expected) / error).max() < norm.isf(1e-3 / 6)


def test_what_follows_no_expansion_is_undecided(saturating):
    sde, _ = saturating
    method = Ensembles(replicas=2**11, stiffness=0.5)
    means = np.array([np.full(6, 4.0**k) for k in range(3)])
    seen = Observed(np.zeros(3), {}, 1.0, 0.5, means, np.tile(1e-12 * np.eye(3), (6, 1, 1)))
    [check] = method.judge(sde.derivation, seen, np.random.default_rng(2))
    assert check.verdict == "undecided" and "no expansion" in check.detail


def test_where_sgd_is_too_slow_the_check_is_not_run():
    a, b, c = sp.symbols("a b c")
    stiff = Problem(loss=10**6 * (a * b - 1) ** 2 / 2 + c**2 / 2, parameters=(a, b, c), noise=sp.Matrix([1, 0, 1]))
    witness = Witness.of(derive_limiting_sde(stiff).derivation, np.random.default_rng(0), 1)
    [check] = Ensembles()(witness, np.random.default_rng(0))
    assert check.verdict == "not run" and "too steep" in check.detail


@pytest.mark.parametrize(("of_loss", "of_noise"), [(-160, 160), (-30, 160), (160, 160), (-160, -160), (-120, 0)])
def test_scales_at_which_sgd_leaves_float64_are_not_run(of_loss, of_noise):
    """Was: ZeroDivisionError, where the learning rate times the flattest curvature underflows, or OverflowError from its square."""
    loss, noise = (sp.Integer(10) ** power for power in (of_loss, of_noise))
    u, v = sp.symbols("u v")
    noise = GradientNoise(noise * sp.Matrix([[v], [u]]))
    sde = derive_limiting_sde(Problem(loss=loss * (u * v - 1) ** 2 / 2, parameters=(u, v), noise=noise))
    with np.errstate(all="ignore"):
        (check,) = verify(sde, checks=[Ensembles(replicas=64)]).checks
    assert check.verdict == "not run" and ("float64" in check.detail or "steps" in check.detail)
