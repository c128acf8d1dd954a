"""Optimizers with their own random noise beside their limits: the weak error shrinks at its order, and the edge is as it is said.

Seeds are fixed. Bounds are five standard errors (α < 10⁻⁶ each); what would be missed are biases below them.
"""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import SGD, HeavyBall, Nesterov, Problem, derive_limiting_sde, simulate_sde, simulate_sgd
from symbolic_sgd.errors import Diverged

x, y = sp.symbols("x y")
VALLEY = Problem(loss=(1 + x**2) * y**2 / 2, parameters=(x, y), noise=sp.Matrix([0, 1]))
START = [0.8, 0]
FIVE = 5.0


def error_and_spread(optimizer, scale, replicas, limit=None):
    """E x − the limit at t = 1, and five standard errors; the limit of another optimizer on request."""
    sde = derive_limiting_sde(VALLEY, optimizer=optimizer)
    steps = round(1 / (float(sde.time_unit / sde.noise_scale**2) * scale**2))
    run = simulate_sgd(VALLEY, START, optimizer=optimizer, noise_scale=scale, steps=steps, replicas=replicas, rng=1)
    compared = sde if limit is None else limit
    end = simulate_sde(compared, START, time=float(run.times[-1]), step=0.002, replicas=1).final[0, 0]
    return run.mean[-1, 0] - end, FIVE * np.sqrt(run.covariance[-1, 0, 0] / replicas)


@pytest.mark.parametrize(
    ("optimizer", "replicas"),
    [(HeavyBall(momentum=0.5, learning_rate=0.75), 20_000), (Nesterov(momentum=0.5, learning_rate=0.375), 20_000)],
    ids=str,
)
def test_the_weak_error_is_of_second_order_in_the_noise(optimizer, replicas):
    """At a large learning rate (ηλ₁ = 1.2): halving ε divides the error by 4, up to what is of higher order."""
    errors, spreads = zip(*(error_and_spread(optimizer, scale, replicas) for scale in (0.2, 0.1)), strict=True)
    assert abs(errors[0]) > spreads[0]  # there is an error to be seen
    assert abs(errors[1]) < abs(errors[0]) / 2.5 + spreads[1]
    fine, spread = error_and_spread(optimizer, 0.025, replicas)
    assert abs(fine) < abs(errors[0]) / 2.5**3 + spread


def test_the_limit_of_small_learning_rates_is_rejected_at_a_large_one():
    """SGD at η = 1, ηλ₁ = 1.64: its own limit fits, and that of η → 0 is 0.3 away."""
    optimizer = SGD(learning_rate=1)
    own, spread = error_and_spread(optimizer, 0.05, 20_000)
    assert abs(own) < spread
    other, _ = error_and_spread(optimizer, 0.05, 20_000, derive_limiting_sde(VALLEY))
    assert abs(other) > 100 * spread


def reached(ratio, scale, replicas=8000):
    """The share of runs of SGD with ηλ ≥ 2 before t = ¼, for L = (1 + x)y²/2, η = 1, from x = 0.6: near there x is a Bessel process of
    dimension 1 + ratio/2. Written out, as a run that has passed the edge may leave every bound."""
    rng = np.random.default_rng(2)
    a, b, past = np.full(replicas, 0.6), np.zeros(replicas), np.zeros(replicas, bool)
    for _ in range(round(0.25 / scale**2)):
        first, second = scale * rng.choice([-1.0, 1.0], (2, replicas))
        a, b = a - b**2 / 2 - first, b - (1 + a) * b - np.sqrt(ratio) * second
        past |= a >= 1
        lost = past | (np.abs(b) > 100)
        a, b = np.where(lost, 0, a), np.where(lost, 0, b)
    return float(past.mean())


def test_the_edge_is_reached_where_its_dimension_is_below_two_and_not_above():
    """δ = 3/2: the share does not go to 0; δ = 5: it does. (α < 10⁻⁶; the shares seen are near 0.23, and 0.03, 0.01.)"""
    coarse, fine = 0.1, 0.05
    assert reached(1, coarse) > 0.15 and reached(1, fine) > 0.15
    many, few = reached(8, coarse), reached(8, fine)
    assert many < 0.06
    assert few < many * 0.7


def test_a_path_of_the_limit_that_comes_to_the_edge_is_an_error():
    """δ = 3/2: about a quarter of the paths reach x = 1 before t = ¼, and no path goes on beyond it."""
    slope = Problem(loss=(1 + x) * y**2 / 2, parameters=(x, y), noise=sp.eye(2), near={x: 0, y: 0}, domain=[x > -1])
    sde = derive_limiting_sde(slope, optimizer=SGD(learning_rate=1))
    with pytest.raises(Diverged, match="edge of stability"):
        simulate_sde(sde, [0.6, 0], time=0.25, step=0.002, replicas=200, rng=0)
    early = simulate_sde(sde, [-0.5, 0], time=0.01, step=0.002, replicas=50, rng=0)
    assert (early.final[:, 0] < 1).all()
