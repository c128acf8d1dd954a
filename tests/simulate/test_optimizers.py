"""Optimizers that are run: each beside a loop in NumPy written by hand, and everything that can be asked wrongly of them."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import (
    SGD,
    ColouredNoise,
    GaussianLaw,
    GradientNoise,
    HeavyBall,
    LabelNoise,
    LocalSGD,
    Nesterov,
    Problem,
    StabilityWarning,
    StatedLaw,
    TrueLaw,
    simulate_sgd,
)
from symbolic_sgd.errors import BadCheckpoint, BadInput
from symbolic_sgd.simulate.increments import Normals, Outcomes, Repeated
from symbolic_sgd.simulate.optimizers import Tuned

u, v, c = sp.symbols("u v c")
eta, beta = sp.symbols("eta beta", positive=True)
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
SIGMA = sp.Matrix([[1, u], [c * v, 2]])
ADDITIVE = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=GradientNoise(SIGMA), constants=(c,))
SAMPLES = Problem.from_sample_losses([(u * v - 1) ** 2, (u * v**2 - 1) ** 2 / 3, u**2], parameters=(u, v))
STEPS, EPS = 5, 0.25

RATE, MOMENTUM, WEIGHT, CORRELATION, FRICTION = 0.125, 0.5, 0.25, 0.5, 4.0
GAMMA = RATE / (1 - MOMENTUM)


def slope(x):
    return (x[0] * x[1] - 1) * x[::-1]


def noise(x, a):
    """σ(x)a with c = 3."""
    return EPS * np.array([a[0] + x[0] * a[1], 3 * x[1] * a[0] + 2 * a[1]])


def by_sgd(x, draws):
    for a in draws:
        x = x - RATE * (slope(x) + noise(x, a[0]) + RATE * EPS**2 * (WEIGHT * x + np.array([2 * x[0], 0])))
    return x


def by_heavy_ball(x, draws):
    m = 0 * x
    for a in draws:
        m = MOMENTUM * m + slope(x) + noise(x, a[0]) + GAMMA * EPS**2 * WEIGHT * x
        x = x - RATE * m
    return x


def by_heavy_ball_with_friction(x, draws):
    """γ = 1/8: 1 − β = cγ = ½ and η = γ(1 − β); where the rate tends to 0 decay has no ε²."""
    m = 0 * x
    for a in draws:
        m = (1 - FRICTION * RATE) * m + slope(x) + noise(x, a[0]) + RATE * WEIGHT * x
        x = x - RATE * FRICTION * RATE * m
    return x


def by_nesterov(x, draws):
    m = 0 * x
    for a in draws:
        g = slope(x) + noise(x, a[0])
        m = MOMENTUM * m + g
        x = x - RATE * (g + MOMENTUM * m)
    return x


def by_local_sgd(x, draws):
    for a in draws:
        ends = []
        for worker in range(3):
            y = x
            for step in range(2):
                y = y - RATE * (slope(y) + noise(y, a[2 * worker + step]))
            ends.append(y)
        x = sum(ends) / 3
    return x


def by_coloured_noise(x, draws):
    n = 0 * x
    for a in draws:
        n = CORRELATION * n + noise(x, a[0])
        x = x - RATE * (slope(x) + n)
    return x


BY_HAND = {
    SGD(learning_rate=RATE, weight_decay=WEIGHT, slow_potential=u**2): by_sgd,
    HeavyBall(momentum=MOMENTUM, learning_rate=RATE, weight_decay=WEIGHT): by_heavy_ball,
    HeavyBall(friction=FRICTION, weight_decay=WEIGHT): by_heavy_ball_with_friction,
    Nesterov(momentum=MOMENTUM, learning_rate=RATE): by_nesterov,
    Nesterov(momentum=MOMENTUM): by_nesterov,
    LocalSGD(workers=3, steps=2, learning_rate=RATE): by_local_sgd,
    ColouredNoise(correlation=CORRELATION, learning_rate=RATE): by_coloured_noise,
    ColouredNoise(correlation=CORRELATION): by_coloured_noise,
}


def tuned(optimizer, problem, values=None):
    rate = None if optimizer.is_finite else RATE
    return Tuned.of(optimizer, rate, Fraction(EPS), {c: Fraction(3)} if values is None else values), problem


@pytest.mark.parametrize("optimizer", BY_HAND, ids=str)
def test_steps_are_those_of_a_loop_by_hand(optimizer):
    numbers, problem = tuned(optimizer, ADDITIVE)
    stepper = numbers.stepper(problem, GaussianLaw())
    replicas, draws = 4, optimizer.iteration.draws
    rng = np.random.default_rng(0)
    a = rng.standard_normal((STEPS, draws, 2, replicas))
    x = np.array([[2.0, 1.0, 0.5, 1.5], [0.5, 1.2, 1.0, 0.7]])
    z = np.concatenate([x, np.zeros((stepper.dimension - 2, replicas))])
    step = stepper.bind(replicas)
    for row in a:
        step(z, row.reshape(-1, replicas))
    for k in range(replicas):
        np.testing.assert_allclose(z[:2, k], BY_HAND[optimizer](x[:, k], a[..., k]), rtol=1e-13)


def test_the_symbols_of_an_optimizer_take_values_by_keyword():
    stated = HeavyBall(momentum=0.5, learning_rate=0.125)
    common = {"steps": 40, "replicas": 30, "rng": 1, "noise_scale": 0.5}
    known = simulate_sgd(HYPERBOLA, [2, 0.5], optimizer=stated, **common)
    by_name = HeavyBall(momentum=beta, learning_rate=eta)
    run = simulate_sgd(HYPERBOLA, [2, 0.5], optimizer=by_name, eta=0.125, beta=0.5, **common)
    np.testing.assert_array_equal(run.times, known.times)
    np.testing.assert_allclose(run.final, known.final, rtol=1e-12)
    open_rate = simulate_sgd(
        HYPERBOLA, [2, 0.5], optimizer=HeavyBall(momentum=beta), learning_rate=0.125, beta=0.5, **common
    )
    np.testing.assert_allclose(open_rate.final, known.final, rtol=1e-12)
    with pytest.raises(BadInput, match="no value for the constant beta"):
        simulate_sgd(HYPERBOLA, [2, 0.5], optimizer=by_name, eta=0.125, **common)


@pytest.mark.parametrize(
    ("optimizer", "rate", "unit"),
    [
        (SGD(), 0.03, 0.03**2),
        (SGD(learning_rate=0.125), None, (0.125 * 0.5) ** 2),
        (HeavyBall(momentum=0.5, learning_rate=0.125), None, (0.25 * 0.5) ** 2),
        (HeavyBall(momentum=0.5), 0.125, 0.25**2),
        (HeavyBall(friction=4), 0.125, 0.125**2),
        (Nesterov(momentum=0.75, learning_rate=0.125), None, (0.5 * 0.5) ** 2),
        (LocalSGD(workers=2, steps=5, learning_rate=0.125), None, (0.125 * 0.5) ** 2),
        (ColouredNoise(correlation=0.5, learning_rate=0.125), None, (0.125 * 0.5) ** 2),
    ],
    ids=str,
)
def test_times_count_units_of_the_limit(optimizer, rate, unit):
    run = simulate_sgd(
        HYPERBOLA, [1.5, 0.5], optimizer=optimizer, learning_rate=rate, noise_scale=0.5, steps=20, replicas=3, rng=0
    )
    assert run.times[-1] == pytest.approx(20 * unit, rel=1e-14) and run.steps == 20
    assert run.final.shape == (3, 2) and run.mean.shape[1] == 2


@pytest.mark.parametrize(
    ("problem", "law"),
    [
        (HYPERBOLA, TrueLaw()),
        (HYPERBOLA, GaussianLaw()),
        (SAMPLES, TrueLaw()),
        (SAMPLES, StatedLaw(sp.Matrix([[u - 1, 1 - u], [v, -v]]), [sp.Rational(1, 2)] * 2)),
    ],
)
def test_the_noise_scale_multiplies_the_noise_and_leaves_the_mean(problem, law):
    """One step from one point, averaged exactly over the outcomes (over a = ±√q e_i of a Gaussian): mean −η∇L, covariance ε²η²Σ."""
    if isinstance(law, StatedLaw):
        problem = Problem(loss=problem.loss, parameters=(u, v), noise=sp.Matrix([u - 1, v]))
    x, rate = np.array([1.3, 0.8]), 0.25
    numbers = Tuned.of(SGD(learning_rate=rate), None, Fraction(EPS), {})
    mean, covariance = exact_step(numbers.stepper(problem, law), x)
    at = dict(zip(problem.parameters, x.tolist(), strict=True))
    gradient = np.array([float(sp.diff(problem.loss, s).subs(at)) for s in problem.parameters])
    np.testing.assert_allclose(mean, -rate * gradient, atol=1e-14)
    factor = np.array(problem.noise_factor.subs(at).tolist(), dtype=float)
    np.testing.assert_allclose(covariance, (rate * EPS) ** 2 * factor @ factor.T, atol=1e-14)


def test_of_labels_the_sample_that_is_drawn_stays():
    """r_k ± εδ: at ε → 0 a step is still that of one sample, off Γ, and its mean is −η∇L."""
    problem = Problem.least_squares([u * v - 1, u - v], parameters=(u, v), noise=LabelNoise(2))
    x, scale = np.array([1.5, 0.5]), 2.0**-30
    stepper = Tuned.of(SGD(learning_rate=0.5), None, Fraction(scale), {}).stepper(problem, TrueLaw())
    mean, covariance = exact_step(stepper, x)
    steps = -0.5 * np.array([(x[0] * x[1] - 1) * x[::-1], (x[0] - x[1]) * np.array([1, -1])])
    np.testing.assert_allclose(mean, steps.mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(covariance, np.cov(steps.T, bias=True), atol=1e-8)


def exact_step(stepper, x):
    law = stepper.increments
    if isinstance(law, Normals):
        columns = np.sqrt(law.count) * np.concatenate([np.eye(law.count), -np.eye(law.count)], axis=1)
        weights = np.full(2 * law.count, 0.5 / law.count)
    else:
        assert isinstance(law, Outcomes)
        columns, weights = law.table, np.array(law.counts) / sum(law.counts)
    z = np.tile(x[:, None], columns.shape[1])
    stepper.bind(z.shape[1])(z, np.ascontiguousarray(columns))
    moved = z - x[:, None]
    mean = moved @ weights
    return mean, (moved * weights) @ moved.T - np.outer(mean, mean)


def test_repeated_draws_are_independent_and_their_streams_can_be_taken_up_again():
    law = Outcomes(np.array([[1.0, -1.0], [2.0, 3.0]]), (1, 1))
    repeated = Repeated(law, 3)
    out = np.empty((6, 4000))
    fill = repeated.stream(np.random.default_rng(0), 4000)
    fill(out)
    signs = out[::2]
    assert np.abs(np.corrcoef(signs) - np.eye(3)).max() < 0.06
    assert repeated.same_law(Repeated(law, 3)) and not repeated.same_law(Repeated(law, 2))
    assert not repeated.same_law(law)


@pytest.mark.parametrize(
    "optimizer", [HeavyBall(momentum=0.5, learning_rate=0.1), LocalSGD(workers=2, steps=2, learning_rate=0.1)], ids=str
)
def test_bits_depend_neither_on_the_executor_nor_on_interruptions(optimizer, tmp_path):
    common = {"optimizer": optimizer, "noise_scale": 0.5, "steps": 80, "replicas": 2500, "rng": 3, "records": 20}
    known = simulate_sgd(HYPERBOLA, [2, 0.5], paths=True, **common)
    with ThreadPoolExecutor(2) as executor:
        run = simulate_sgd(HYPERBOLA, [2, 0.5], paths=True, executor=executor, **common)
    assert np.array_equal(run.final, known.final) and np.array_equal(run.paths, known.paths)

    class Stopped(Exception):
        pass

    def stop(fraction):
        if fraction > 0.4:
            raise Stopped

    file = tmp_path / "run.npz"
    with pytest.raises(Stopped):
        simulate_sgd(HYPERBOLA, [2, 0.5], paths=True, checkpoint=file, progress=stop, **common)
    resumed = simulate_sgd(HYPERBOLA, [2, 0.5], paths=True, checkpoint=file, **common)
    assert np.array_equal(resumed.final, known.final) and np.array_equal(resumed.mean, known.mean)
    for changed in ({"noise_scale": 0.25}, {"optimizer": SGD(learning_rate=0.1)}):
        with pytest.raises(BadCheckpoint, match="another run"):
            simulate_sgd(HYPERBOLA, [2, 0.5], paths=True, checkpoint=file, **common | changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"optimizer": SGD(learning_rate=0.1), "learning_rate": 0.1},
            "SGD has its own, 1/10; leave learning_rate= out",
        ),
        ({}, "SGD leaves it open: give learning_rate=eta"),
        ({"optimizer": HeavyBall(friction=4)}, "give learning_rate=gamma"),
        ({"optimizer": HeavyBall(friction=4), "learning_rate": 1}, "make γ smaller than 2/c"),
        ({"optimizer": "sgd", "learning_rate": 0.1}, "optimizer is 'sgd'"),
        ({"learning_rate": 0.1, "noise_scale": 0}, "noise_scale is 0"),
        ({"optimizer": LocalSGD(workers=2, steps=3, learning_rate=0.1), "steps": 10}, "give a multiple of 3"),
        ({"optimizer": SGD(learning_rate=eta)}, "no value for the constant eta"),
        ({"optimizer": SGD(learning_rate=eta), "eta": 0.1, "beta": 2}, "'beta' is no constant"),
    ],
)
def test_what_cannot_be_run_is_refused(changed, words):
    with pytest.raises(BadInput, match=words):
        simulate_sgd(HYPERBOLA, [2, 0.5], **{"steps": 12, "replicas": 2, "rng": 0} | changed)


@pytest.mark.parametrize(
    ("optimizer", "rate", "edge"),
    [
        (HeavyBall(momentum=0.5, learning_rate=0.8), None, 3.75),
        (HeavyBall(momentum=0.5), 0.8, 3.75),
        (Nesterov(momentum=0.5, learning_rate=0.4), None, 3.75),
        (LocalSGD(workers=2, steps=2, learning_rate=0.5), None, 4),
    ],
    ids=str,
)
def test_a_learning_rate_beyond_the_optimizers_own_edge_is_said(optimizer, rate, edge):
    """λ = 17/4 at (2, ½)."""
    common = {"noise_scale": 1e-6, "steps": 2, "replicas": 2, "rng": 0}
    with pytest.warns(StabilityWarning, match=f"is the curvature {edge:g}.*λ = 4.25"):
        simulate_sgd(HYPERBOLA, [2, 0.5], optimizer=optimizer, learning_rate=rate, **common)
