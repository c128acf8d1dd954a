"""Where noiseless iterations end, beside loops written by hand; and every place where they do not."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import (
    SGD,
    ColouredNoise,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    LocalSGD,
    Nesterov,
    Problem,
    gradient_flow_limit,
    iteration_limit,
)
from symbolic_sgd.errors import BadInput, BadPoint, FlowDidNotConverge
from symbolic_sgd.flow import iteration

u, v, w, a = sp.symbols("u v w a")
eta, beta = sp.symbols("eta beta", positive=True)
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
STARTS = np.array([[1.0, 2.0], [0.5, 0.3], [2.0, 0.6]])


def by_hand(x, rate, beta=0.0, nesterov=False):
    m = 0 * x
    for _ in range(5000):
        g = (x[0] * x[1] - 1) * x[::-1]
        m = beta * m + g
        x = x - rate * (g + beta * m if nesterov else m)
    return x


@pytest.mark.parametrize(
    ("optimizer", "known"),
    [
        (SGD(learning_rate=0.25, weight_decay=1), (0.25,)),
        (LocalSGD(workers=3, steps=5, learning_rate=0.25), (0.25,)),
        (ColouredNoise(correlation=0.5, learning_rate=0.25), (0.25,)),
        (HeavyBall(momentum=0.9, learning_rate=0.0625), (0.0625, 0.9)),
        (HeavyBall(momentum=-0.5, learning_rate=0.125), (0.125, -0.5)),
        (Nesterov(momentum=0.5, learning_rate=0.125), (0.125, 0.5, True)),
    ],
    ids=str,
)
def test_the_end_is_that_of_a_loop_by_hand(optimizer, known):
    found = iteration_limit(HYPERBOLA, optimizer)(STARTS)
    np.testing.assert_allclose(found, [by_hand(x, *known) for x in STARTS], rtol=3e-13)
    np.testing.assert_allclose(found.prod(axis=1), 1, rtol=1e-15 * 4)


def test_a_small_learning_rate_ends_where_the_flow_does():
    phi = gradient_flow_limit(HYPERBOLA)(STARTS)
    rates = np.array([1e-2, 5e-3, 2.5e-3])
    run = iteration_limit(HYPERBOLA, SGD(learning_rate=eta))
    apart = [np.abs(run(STARTS, eta=rate) - phi).max() for rate in rates]
    np.testing.assert_allclose(apart / rates, apart[0] / rates[0], rtol=0.05)


def test_shapes_and_constants_broadcast():
    problem = Problem.least_squares([u * v - a], parameters=(u, v), noise=LabelNoise(1), constants=(a,))
    limit = iteration_limit(problem, HeavyBall(momentum=beta, learning_rate=eta))
    values = np.array([1.0, 2.0, 0.5])
    found = limit(np.tile(STARTS, (2, 1, 1)), a=values, eta=0.0625, beta=np.array([[0.9], [0.5]]))
    assert found.shape == (2, 3, 2)
    np.testing.assert_allclose(found.prod(axis=-1), np.tile(values, (2, 1)), rtol=1e-14)
    np.testing.assert_allclose(found[0, 0], by_hand(STARTS[0], 0.0625, 0.9), rtol=1e-12)
    assert np.array_equal(limit(STARTS[0], a=1.0, eta=0.0625, beta=0.9), found[0, 0])


@pytest.mark.parametrize(
    ("problem", "optimizer", "start", "words"),
    [
        (HYPERBOLA, SGD(learning_rate=0.25), [9.0, 9.0], "leaves the range of float64"),
        (HYPERBOLA, SGD(learning_rate=1.01), [1.0, 1.2], "ends in a cycle"),
        (HYPERBOLA, LocalSGD(workers=2, steps=2, learning_rate=1.01), [1.0, 1.2], "no regular point of Γ: ∇L is not 0"),
        (HYPERBOLA, SGD(learning_rate=0.5), [2.0, 0.5], "largest curvature 4.25 is beyond the edge of stability 4"),
        (HYPERBOLA, HeavyBall(momentum=0.5, learning_rate=0.75), [2.0, 0.5], "4.25 is beyond.*4 of the heavy ball"),
        (HYPERBOLA, SGD(learning_rate=0.25), [0.5, -0.5], "no regular point of Γ"),
    ],
)
def test_where_it_does_not_end_on_the_manifold_below_the_edge(problem, optimizer, start, words):
    with pytest.raises(FlowDidNotConverge, match=words):
        iteration_limit(problem, optimizer)(start)


def test_what_is_not_at_rest_in_time_is_said(monkeypatch):
    monkeypatch.setattr(iteration, "MOST", 2**10)
    problem = Problem(loss=u**2 * (1 + w**2), parameters=(u, w), noise=IsotropicNoise())
    with pytest.raises(FlowDidNotConverge, match="after 1,024 steps: a curvature is near 0"):
        iteration_limit(problem, SGD(learning_rate=1e-4))([0.5, 0.5])


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (SGD(), "learning rate of SGD tends to 0"),
        (HeavyBall(friction=2), "give it a learning_rate= of its own"),
        ("sgd", "optimizer is 'sgd'"),
    ],
)
def test_an_optimizer_without_a_learning_rate_is_refused(optimizer, words):
    with pytest.raises(BadInput, match=words):
        iteration_limit(HYPERBOLA, optimizer)


def test_bad_points_and_constants():
    with pytest.raises(BadPoint, match="last dimension"):
        iteration_limit(HYPERBOLA, SGD(learning_rate=0.25))([1, 2, 3])
    with pytest.raises(BadInput, match="no value for the constant eta"):
        iteration_limit(HYPERBOLA, SGD(learning_rate=eta))([1, 2])
    with pytest.raises(BadInput, match="takes a Problem"):
        iteration_limit(3, SGD(learning_rate=0.25))
