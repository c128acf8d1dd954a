"""Steps compiled with their random numbers: their law is exact, whatever the threads; what cannot be stepped is refused."""

import pickle

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.errors import BadInput, OffManifold, ProblemTooLarge
from symbolic_sgd.numeric.fused import FusedSDE, FusedSGD
from symbolic_sgd.numeric.random_step import RandomStep, sde_step, sgd_step
from symbolic_sgd.problems.law import noise_law

pytest.importorskip("llvmlite")
from symbolic_sgd import LLVM

u, v = sp.symbols("u v")
x1, x2, x3, x4 = x = sp.symbols("x1:5")
a = sp.symbols("a", positive=True)
ALPHA = 1e-6
"""Odds of a false alarm in each of the tests below; seeds are fixed."""

LINEAR = [x1**2 - x2**2 + x3**2 - x4**2 - 1, x1**2 - x2**2 - 2 * x3**2 + 2 * x4**2 - 2, x1 * x2 + sp.exp(x3) - 3]
PROBLEMS = {
    "label": Problem.least_squares(LINEAR[:2], parameters=x, noise=LabelNoise(sp.Rational(1, 2))),
    "label, different functions": Problem.least_squares(LINEAR, parameters=x, noise=LabelNoise(a), constants=(a,)),
    "isotropic": Problem(loss=(x1 * x2 - a) ** 2 / 2, parameters=(x1, x2), noise=IsotropicNoise(3), constants=(a,)),
    "matrix, columns with zero sum": Problem(
        loss=(x1 * x2 - 1) ** 2 / 2, parameters=(x1, x2), noise=sp.Matrix([[1, x1, -1 - x1], [x2, 0, -x2]])
    ),
    "samples with weights": Problem.from_sample_losses(
        [(u * v - 1) ** 2, (u * v - 2) ** 2 * sp.exp(u), (u - v) ** 2],
        parameters=(u, v),
        weights=[sp.Rational(1, 2), sp.Rational(1, 3), sp.Rational(1, 6)],
    ),
    "a long table": Problem.from_sample_losses(
        [(u * v - 1) ** 2 * (1 + sp.Rational(k, 7)) + k * u for k in range(-5, 6)], parameters=(u, v)
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_one_step_takes_each_outcome_with_its_probability(name):
    """Every step is one of the law's finitely many, and a chi-squared test of their frequencies."""
    problem, count, rate = PROBLEMS[name], 40_000, 0.25
    constants = {c.name: 1.5 for c in problem.constants}
    start = np.linspace(0.5, 0.9, problem.dimension)
    moved = FusedSGD(problem, LLVM())(np.tile(start, (count, 1)), learning_rate=rate, count=1, seed=7, **constants)
    row = np.array([[*start, *constants.values()]])
    law, gradient = noise_law(problem), problem.landscape().gradient
    slope = evaluate(Program.of({"g": gradient}), problem.symbols, row)["g"][0]
    steps = evaluate(law.program, problem.symbols, row)["steps"].reshape(len(slope), -1)
    outcomes = (start - rate * (slope + steps.T)).round(9)
    places, owner = np.unique(outcomes, axis=0, return_inverse=True)
    expected = np.bincount(owner.ravel(), weights=[float(p) for p in law.probabilities]) * count
    distance = np.abs(moved[:, None] - places[None]).max(axis=2)
    assert distance.min(axis=1).max() < 1e-8
    seen = np.bincount(distance.argmin(axis=1), minlength=len(places))
    assert stats.chisquare(seen, expected).pvalue > ALPHA


def test_steps_are_independent_between_and_within_replicas():
    """Linear loss: x moves by −ηs a step, so that after k steps it is a sum of k independent signs."""
    problem = Problem(loss=(x1 * x2 - 1) ** 2 / 2, parameters=(x1, x2), noise=sp.Matrix([0, 1]))
    step = sgd_step(problem)
    assert [row.columns for row in step.draws] == [()]  # one column, and its sign
    single = sgd_step(Problem(loss=(x1 - x1) + x1**2 / 2, parameters=(x1, x2), noise=sp.Matrix([0, 1])))
    loop, rng = LLVM().loop(single), np.random.default_rng(3)
    state = rng.integers(0, 2**64, size=(4096, 4), dtype=np.uint64)
    signs = []
    for _ in range(16):
        x = np.zeros((4096, 2))
        loop(x, state, np.array([1.0]), 1)
        signs.append(x[:, 1])
    signs = np.array(signs)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    bound = -stats.norm.ppf(ALPHA / 1000)
    assert abs(signs.mean()) * np.sqrt(signs.size) < bound
    for lag in (1, 2, 8):
        assert abs((signs[lag:] * signs[:-lag]).mean()) * np.sqrt(signs[lag:].size) < bound  # in time
        assert abs((signs[:, lag:] * signs[:, :-lag]).mean()) * np.sqrt(signs[:, lag:].size) < bound  # between lanes


def test_normal_numbers():
    """Kolmogorov–Smirnov on 400,000, moments, independence of the pair, and the far tail."""
    state, xi = sp.symbols("y1:5"), tuple(sp.Dummy(f"xi{k}") for k in range(4))
    graph_step = _as_step(state, xi)
    x = np.zeros((100_000, 4))
    LLVM(threads=2).loop(graph_step)(
        x, np.random.default_rng(5).integers(0, 2**64, (100_000, 4), dtype=np.uint64), np.zeros(0), 1
    )
    assert stats.kstest(x.ravel(), "norm").pvalue > ALPHA
    for p, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        spread = np.sqrt(stats.norm.moment(2 * p) - moment**2)
        assert abs((x**p).mean() - moment) < -stats.norm.ppf(ALPHA) * spread / np.sqrt(x.size)
    assert np.abs(np.corrcoef(x.T) - np.eye(4)).max() < 6 / np.sqrt(len(x))
    assert np.abs(np.corrcoef((x**2).T) - np.eye(4)).max() < 6 / np.sqrt(len(x))
    assert np.abs(x).max() > 4


def _as_step(state, xi):
    graph = Graph()
    entries = [graph.symbol(y) * 0 + graph.symbol(n) for y, n in zip(state, xi, strict=True)]
    return RandomStep(Program.of({"step": Matrix.column(entries)}), tuple(state), (), normals=xi)


def test_a_row_is_the_same_whatever_the_threads_and_the_rest_of_the_batch():
    problem = PROBLEMS["label"]
    start = np.random.default_rng(0).uniform(0.5, 1, (37, 4))
    one, two = (FusedSGD(problem, LLVM(threads))(start, learning_rate=0.01, count=50, seed=1) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, FusedSGD(problem, LLVM())(start, learning_rate=0.01, count=50, seed=2))
    few = FusedSGD(problem, LLVM())(start[:5], learning_rate=0.01, count=50, seed=1)
    np.testing.assert_array_equal(few, one[:5])
    again = pickle.loads(pickle.dumps(FusedSGD(problem, LLVM())))
    np.testing.assert_array_equal(again(start, learning_rate=0.01, count=50, seed=1), one)


def test_gradient_descent_is_what_remains_without_noise():
    """δ = 0 and one sample: many steps against the same steps in NumPy."""
    problem = Problem.least_squares([u**2 * v - 1], parameters=(u, v), noise=LabelNoise(0))
    y = np.array([[1.5, 0.3], [0.7, 1.9]])
    moved = FusedSGD(problem, LLVM())(y, learning_rate=0.02, count=200, seed=0)
    for _ in range(200):
        r = (y[:, 0] ** 2 * y[:, 1] - 1)[:, None]
        y = y - 0.02 * r * np.stack([2 * y[:, 0] * y[:, 1], y[:, 0] ** 2], axis=1)
    np.testing.assert_allclose(moved, y, rtol=1e-11)


def test_a_step_of_the_sde_has_the_mean_and_covariance_of_the_scheme():
    sde = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1)))
    h, count, f = 1e-6, 200_000, sde.lambdify()
    start = np.array([2.0, 0.5])
    moved = FusedSDE(sde.derivation, LLVM(2))(np.tile(start, (count, 1)), time_step=h, count=1, seed=11)
    assert np.abs(moved.prod(axis=1) - 1).max() < 1e-12
    tangent = np.array([2.0, -0.5]) / np.hypot(2, 0.5)
    along = (moved - start) @ tangent / np.sqrt(h)
    variance = float(tangent @ f.diffusion(start) @ f.diffusion(start).T @ tangent)
    assert abs(along.var() / variance - 1) < 5 * np.sqrt(2 / count) + 1e-3
    assert stats.kstest(along / np.sqrt(variance), "norm").pvalue > ALPHA


def test_the_scheme_follows_the_ode_of_label_noise():
    """Without tangent noise the SDE is u̇ = −(c/4)P∇tr H: on uv = 1, d(u² − v²)/dt = −(u² − v²)."""
    sde = derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    moved = FusedSDE(sde.derivation, LLVM())(np.array([2.0, 0.5]), time_step=1e-4, count=10_000, seed=0)
    k0, k1 = 4 - 0.25, moved[0] ** 2 - moved[1] ** 2
    assert abs(k1 / (k0 * np.exp(-1)) - 1) < 1e-3
    assert len(sde_step(sde.derivation).normals) == 0


# --- refusals ---------------------------------------------------------------------------------------


def test_refusals():
    problem = PROBLEMS["label"]
    f, start = FusedSGD(problem, LLVM()), np.ones((3, 4))
    for bad in (0, -1.0, np.inf, "0.1", None):
        with pytest.raises(BadInput, match="learning_rate"):
            f(start, learning_rate=bad, count=1, seed=0)
    for bad in (-1, 1.5, None):
        with pytest.raises(BadInput, match="count"):
            f(start, learning_rate=0.1, count=bad, seed=0)
    with pytest.raises(BadInput, match="seed"):
        f(start, learning_rate=0.1, count=1, seed="x")
    with pytest.raises(BadInput, match="last dimension"):
        f(np.ones((3, 5)), learning_rate=0.1, count=1, seed=0)
    with pytest.raises(BadInput, match="diverged"):
        f(start * 3, learning_rate=10.0, count=50, seed=0)
    np.testing.assert_array_equal(f(start, learning_rate=0.1, count=0, seed=0), start)
    assert f(np.empty((0, 4)), learning_rate=0.1, count=3, seed=0).shape == (0, 4)


def test_the_sde_refuses_points_off_the_manifold():
    sde = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1)))
    f = FusedSDE(sde.derivation, LLVM())
    with pytest.raises(OffManifold):
        f([[1.0, 1.0], [1.0, 1.1]], time_step=1e-3, count=1, seed=0)
    with pytest.raises(OffManifold):  # steps so long that the projection does not bring them back
        f(np.ones((500, 2)), time_step=4.0, count=1, seed=0)
    with pytest.raises(BadInput, match="time_step"):
        f([1.0, 1.0], time_step=0, count=1, seed=0)


def test_weights_without_a_small_denominator_are_refused():
    problem = Problem.from_sample_losses(
        [(u * v - 1) ** 2, (u * v - 1) ** 2 * (1 + u**2)],
        parameters=(u, v),
        weights=[sp.Rational(1, 10**6 + 3), sp.Rational(10**6 + 2, 10**6 + 3)],
    )
    with pytest.raises(ProblemTooLarge, match="denominator"):
        sgd_step(problem)
