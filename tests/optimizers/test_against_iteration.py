"""Formulas against the optimizer itself, iterated from every atom of its noise; wrong formulas are rejected by that; one is added."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from iterated import ROADS, assert_iterated, assert_rejected, derived

from symbolic_sgd import (
    SGD,
    ColouredNoise,
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
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.optimizers import catalogue
from symbolic_sgd.optimizers.kernel import A, B, Kernel
from symbolic_sgd.optimizers.optimizer import Iteration, Optimizer, stated_rate
from symbolic_sgd.optimizers.stated import optimizer_of
from symbolic_sgd.problems.problem_file import StatedOptimizer

RATE = sp.Rational(1, 16)
ALL = (
    SGD(learning_rate=RATE),
    HeavyBall(momentum=0.5, learning_rate=RATE),
    HeavyBall(momentum=0.75, learning_rate=RATE, weight_decay=0.25),
    Nesterov(momentum=0.5, learning_rate=RATE),
    LocalSGD(workers=2, steps=2, learning_rate=RATE),
    ColouredNoise(correlation=0.25, learning_rate=RATE),
)
u, v, w = sp.symbols("u v w")
TWO = Problem.least_squares([u * v - 1, w + u**2 / 2 - v], parameters=(u, v, w), noise=LabelNoise(1))
DENSE = sp.Matrix([[1, u], [v, 2], [w, 1 - u]])
MATRIX = Problem(loss=TWO.loss, parameters=(u, v, w), noise=DENSE)


@pytest.mark.parametrize("optimizer", ALL, ids=str)
@pytest.mark.parametrize("seed", [1, *(pytest.param(k, marks=pytest.mark.campaign) for k in range(4, 13))])
def test_random_losses_against_the_iteration(seed, optimizer):
    """D = 3 to 5, M = 1 to 3, a dense σ(x): each block, drift and covariance, to 10⁻⁸."""
    problem, *_ = random_problem(seed)
    assert_iterated(derive_limiting_sde(problem, optimizer=optimizer), rng=seed)


MUTANTS = {
    "Lyapunov's equation at a learning rate that stays": (MATRIX, SGD(learning_rate=RATE), SGD()),
    "η for γ": (MATRIX, HeavyBall(momentum=0.5, learning_rate=RATE), SGD(learning_rate=RATE)),
    "γ for η": (MATRIX, HeavyBall(momentum=0.5, learning_rate=RATE), SGD(learning_rate=2 * RATE)),
    "the heavy ball's kernel for Nesterov's": (
        MATRIX,
        Nesterov(momentum=0.5, learning_rate=RATE),
        HeavyBall(momentum=0.5, learning_rate=RATE),
    ),
    "another momentum": (
        MATRIX,
        HeavyBall(momentum=0.5, learning_rate=RATE),
        HeavyBall(momentum=0.6, learning_rate=RATE),
    ),
    "one step fewer in a round": (MATRIX, LocalSGD(2, 2, RATE), LocalSGD(2, 1, RATE)),
    "another worker": (MATRIX, LocalSGD(2, 2, RATE), LocalSGD(3, 2, RATE)),
    "noise without memory": (MATRIX, ColouredNoise(0.25, RATE), SGD(learning_rate=RATE)),
    "no weight decay": (MATRIX, SGD(RATE, weight_decay=1), SGD(RATE)),
    "HSH for E[H_iSH_i]": (TWO, SGD(learning_rate=RATE), None),
    "the stationary equation of friction": (MATRIX, HeavyBall(friction=2), HeavyBall(friction=4)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_formulas_are_rejected_without_randomness(name):
    """The formulas of another optimizer in the place of its own; the method that needs no kernel rejects them alone."""
    problem, optimizer, other = MUTANTS[name]
    right = derived(problem, optimizer)
    if other is None:
        full = Problem.least_squares(
            problem.residuals, parameters=(u, v, w), noise=LabelNoise(sp.sqrt(2), batch_size=2)
        )
        wrong = derive_limiting_sde(full, optimizer=optimizer).program
        wrong = _with(wrong, right.program, "tangent_noise")  # whose columns are others
    else:
        wrong = derived(problem, other).program
        if "imposed_drift" in right.program.names and "imposed_drift" not in wrong.names:
            wrong = _with(wrong, right.program, "imposed_drift", factor=0)
    # At this rate samples are forgotten too slowly for their sequences to be followed: that method says so, and does not run.
    assert_rejected(problem, optimizer, wrong, methods=(LiteralRoad(),) if other is None else ROADS)


def _with(program, other, name, factor=1):
    """The program with a term of another."""
    graph = Graph()
    terms = program.on(graph)
    terms[name] = other.select(name).on(graph)[name].map(lambda entry: factor * entry)
    return Program.of(terms)


@dataclass(frozen=True)
class AveragedNoise(Optimizer):
    """x⁺ = x − η(∇L + ½(the noises of two draws)): a batch of two draws of the noise. Half the covariance of SGD's."""

    label: ClassVar[str] = "SGD with two draws"

    learning_rate: Any

    def __post_init__(self):
        object.__setattr__(self, "learning_rate", stated_rate(self.learning_rate))

    kernel = property(lambda self: Kernel.of("half of SGD's", 1 / (2 * (A + B - self.rate * A * B))))
    edge = property(lambda self: 2 / self.rate)
    tangent_factor = property(lambda self: sp.Rational(1, 2))
    equation = property(lambda self: r"x_{k+1} = x_k - \eta\,(\nabla L(x_k) + \tfrac12(\xi_k + \xi'_k))")

    @property
    def iteration(self):
        def update(state, forces, rate):
            (x,) = state
            noise = (forces.noise(x, 0) + forces.noise(x, 1)).map(lambda entry: entry / 2)
            return (x - (forces.gradient(x) + noise).scaled(rate),)

        return Iteration(0, 2, 1, update)


def test_an_optimizer_is_added_by_one_file_and_one_row(monkeypatch):
    """Formulas, LaTeX, numbers, verification, simulation and problem files take it."""
    monkeypatch.setitem(catalogue.OPTIMIZERS, "averaged_noise", AveragedNoise)
    stated = StatedOptimizer("averaged_noise", {"learning_rate": sp.Rational(1, 8)}, "p.toml: table [optimizer]")
    optimizer = optimizer_of(stated)
    assert optimizer == AveragedNoise(0.125)
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=IsotropicNoise(1))
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    plain = derive_limiting_sde(problem, optimizer=SGD(0.125))
    assert sp.simplify(sde.normal_regularization - plain.normal_regularization / 2) == sp.zeros(2, 1)
    assert sp.simplify(sde.diffusion * sde.diffusion.T - plain.diffusion * plain.diffusion.T / 2) == sp.zeros(2, 2)
    assert r"\tfrac12(\xi_k + \xi'_k)" in sde.latex()
    assert "SGD with two draws" in sde.document()
    assert verify(sde, rng=0).passed
    np.testing.assert_allclose(sde.lambdify().drift([2, 0.5]), plain.lambdify().drift([2, 0.5]) / 2, rtol=1e-12)
    run = simulate_sgd(problem, [2, 0.5], optimizer=optimizer, noise_scale=0.01, steps=100, replicas=400, rng=0)
    assert run.times[-1] == pytest.approx(100 * (0.125 * 0.01) ** 2)
    spread = np.trace(run.covariance[-1])
    other = simulate_sgd(problem, [2, 0.5], optimizer=SGD(0.125), noise_scale=0.01, steps=100, replicas=400, rng=0)
    assert 0.35 < spread / np.trace(other.covariance[-1]) < 0.7  # ½ ± 4 standard errors
