"""Random reshuffling beside the average over all orders of its samples, beside simulations, and what it refuses."""

from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem

from symbolic_sgd import (
    SGD,
    GaussianLaw,
    GradientNoise,
    IsotropicNoise,
    LabelNoise,
    Problem,
    RandomReshuffling,
    derive_limiting_sde,
    gradient_flow_limit,
    iteration_limit,
    recheck,
    simulate_sde,
    simulate_sgd,
    verify,
)
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.checks.by_sympy import precise
from symbolic_sgd.checks.iteration_road import OwnIteration
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.checks.methods import FULL
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadInput, Unstable
from symbolic_sgd.optimizers.kernel import A, B
from symbolic_sgd.optimizers.random_reshuffling import earlier_steps
from symbolic_sgd.optimizers.stated import optimizer_document, optimizer_of
from symbolic_sgd.problems.problem_file import StatedOptimizer
from symbolic_sgd.theorem.structural_lines import agrees

R = sp.Rational
u, v, w = sp.symbols("u v w")
AT = {u: sp.Integer(2), v: R(1, 2)}
BENT = (u * v - 1 + w**2 / 3) ** 2 / 2
RATE = R(1, 8)


def with_deviations(loss, deviations, parameters):
    """Sample losses L + d_a for d_1 … d_{n−1} and what makes their sum zero."""
    return Problem.from_sample_losses([loss + d for d in (*deviations, -sum(deviations))], parameters=parameters)


def as_columns(problem):
    """The same deviations as a matrix beside the full gradient: they are what tends to 0."""
    return Problem(loss=problem.loss, parameters=problem.parameters, noise=problem.noise_factor)


def labels(*deltas):
    """Samples of one residual whose labels stay."""
    return Problem.from_sample_losses([(u * v - 1 - R(d)) ** 2 / 2 for d in deltas], parameters=(u, v))


THREE = with_deviations(BENT, (u + v**2 * w, u**2 - u * w), (u, v, w))
COLUMNS = as_columns(THREE)
TURNING = Problem(
    loss=BENT, parameters=(u, v, w), noise=sp.Matrix([[1, u, -1 - u], [v, 2, -2 - v], [w * u, 1 - u, u - 1 - w * u]])
)  # no gradients

# --- exact numbers ----------------------------------------------------------------------------------------------------------


def test_fixed_labels_regularize_as_labels_that_are_drawn():
    """Σ = cH: R = ¼ tr Σ = (c/4) tr H, whatever n is, as for drawing with replacement; exactly."""
    for deltas, c in (((1, -1), 1), ((1, -2, 1), 2), ((1, -2, 1, 0), R(3, 2))):
        problem = labels(*deltas)
        sde = derive_limiting_sde(problem, optimizer=RandomReshuffling())
        drawn = derive_limiting_sde(problem)
        assert tuple(sde.drift.subs(AT)) == (R(-15, 17) * c, R(15, 68) * c)
        assert sde.drift.subs(AT) == drawn.drift.subs(AT)
        assert sp.simplify((sde.regularizer - c * (u**2 + v**2) / 4).subs(v, 1 / u)).is_number
        assert sde.noise_curvature_drift == sde.drift
        for nothing in (sde.mixed_regularization, sde.normal_regularization, sde.tangent_noise, sde.lyapunov_solution):
            assert nothing.is_zero_matrix


def test_two_samples_at_a_learning_rate_that_stays():
    """k = (η/2)(a + b)/(a + b − ηab), w = ½: at λ = 17/4 the normal part is −½ηλ/(2 − ηλ)·P∇λ, and −¼P∇tr Σ stays."""
    sde = derive_limiting_sde(as_columns(labels(1, -1)), optimizer=RandomReshuffling(learning_rate=RATE))
    slope, eta, steep = sp.Matrix([R(60, 17), R(-15, 17)]), RATE, R(17, 4)
    expected = -(eta * steep / (2 - eta * steep) / 2 + R(1, 4)) * slope
    assert tuple(sde.drift.subs(AT)) == tuple(expected)
    first, second = sde.covariance_kernel.variables
    assert (
        sp.simplify(sde.covariance_kernel.expr - eta * (first + second) / 2 / (first + second - eta * first * second))
        == 0
    )
    assert sde.valid_where == (u**2 + v**2 < 16,)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 12])
def test_the_kernel_is_the_sum_over_an_epoch(n):
    """k is the mean covariance over an epoch: the fluctuation that an epoch begins with, and what its steps so far have made."""
    eta = R(1, 5)
    k = RandomReshuffling(learning_rate=eta, samples=n).kernel.function
    for a, b in ((R(1, 2), R(3)), (R(2), R(0)), (R(7), R(7))):
        p, q = 1 - eta * a, 1 - eta * b
        powers = lambda count, x: sum((x**s for s in range(count)), R(0))  # noqa: E731
        made = lambda t: R(n, n - 1) * (powers(t, p * q) - powers(t, p) * powers(t, q) / n)  # noqa: E731, B023
        begins = made(n) / (1 - (p * q) ** n)
        assert k(a, b) == eta * sum((p * q) ** t * begins + made(t) for t in range(n)) / n
    assert k(A, B).subs({A: 1, B: 2}) == k(2, 1)
    assert earlier_steps(n, eta).subs(A, 0) == R(1, 2)


def test_as_the_learning_rate_falls_it_becomes_that_of_vanishing_ones():
    eta = sp.Symbol("h", positive=True)
    for problem in (as_columns(labels(1, -2, 1)), COLUMNS, TURNING):
        at = [2, 0.5, 0][: problem.dimension]
        small = derive_limiting_sde(problem, optimizer=RandomReshuffling(learning_rate=eta)).lambdify()
        none = derive_limiting_sde(problem, optimizer=RandomReshuffling()).lambdify().drift(at)
        halves = [small.drift(at, h=2e-5), small.drift(at, h=1e-5)]
        np.testing.assert_allclose(2 * halves[1] - halves[0], none, atol=1e-7)
        assert np.abs(small.drift(at, h=0.1) - none).max() > 0.01


def test_nothing_moves_where_every_sample_rests():
    """Interpolation: σ = 0 on Γ."""
    problem = Problem.from_sample_losses([(u * v - 1) ** 2, (u * v - 1) ** 2 * (1 + u**2)], parameters=(u, v))
    assert derive_limiting_sde(problem, optimizer=RandomReshuffling()).drift.is_zero_matrix
    other = derive_limiting_sde(as_columns(problem), optimizer=RandomReshuffling(learning_rate=RATE))
    assert other.drift.is_zero_matrix


# --- by all orders ----------------------------------------------------------------------------------------------------------


def random_samples(seed):
    """n = 2, 3 or 4 samples of a random loss, and a point of Γ."""
    _, loss, _, x, point, _ = random_problem(seed)
    rng, n = np.random.default_rng(seed), 2 + seed % 3
    number = lambda: sp.Rational(int(rng.integers(-4, 5)), 4)  # noqa: E731
    deviations = [
        sum(number() * a * b for a in x for b in x) + sum(number() * a for a in x) + number() * x[0] ** 3 / 3
        for _ in range(n - 1)
    ]
    return with_deviations(loss, deviations, x), point


class Epochs:
    """Epochs of sample losses in every order, in 80-bit floats; nothing of the package is used."""

    def __init__(self, problem, point):
        x, losses = problem.parameters, problem.noise.losses
        self.start = np.array([Fraction(str(point[s])) for s in x]).astype(np.longdouble)[:, None]
        listed = [sp.lambdify(x, [sp.diff(loss, s) for s in x], "numpy") for loss in losses]
        self.slopes = [lambda z, f=f: np.array([e + 0 * z[0] for e in f(*z)]) for f in listed]
        hessian = sp.hessian(problem.loss, x).subs(point)
        curvatures, axes = np.linalg.eigh(np.array(hessian.tolist(), dtype=float))
        self.steepest, flat = float(curvatures[-1]), axes[:, curvatures < 1e-12 * curvatures[-1]]
        self.projection = flat @ flat.T
        self.n, self.orders = len(losses), np.array(list(permutations(range(len(losses)))))

    def mean_slope(self, z):
        return sum(slope(z) for slope in self.slopes) / self.n

    def epoch(self, eta, scale, signs):
        """x after an epoch with ±ε times the deviations, in every order."""
        z = np.repeat(self.start, len(self.orders) * len(signs), axis=1)
        sign, orders = np.repeat(signs, len(self.orders)), np.concatenate([self.orders] * len(signs))
        for step in range(self.n):
            mean = self.mean_slope(z)
            drawn = np.choose(orders[:, step], [slope(z) - mean for slope in self.slopes])
            z = z - np.longdouble(eta) * (mean + np.longdouble(scale) * sign * drawn)
        return z

    def shift(self, eta, z):
        """The mean of z − x, a step and η²."""
        return (z - self.start).sum(axis=1) / z.shape[1] / (self.n * np.longdouble(eta) ** 2)

    def vanishing(self, eta):
        """Along Γ: x_n − x is O(η²), so that what gradient flow makes of its square is O(η⁴)."""
        return self.projection @ self.shift(eta, self.epoch(eta, 1, [1]))

    def staying(self, eta, scale):
        """Where gradient descent at this rate leads after an epoch, per ε²."""
        z, before = self.epoch(eta, scale, [1, -1]), np.inf
        for step in range(20_000):
            move = np.longdouble(eta) * self.mean_slope(z)
            z = z - move
            if step % 20 == 0:
                length = np.abs(move).max()
                if length < 1e-17 and length > before / 2:  # what is left is rounding
                    break
                before = length
        return self.shift(eta, z) / np.longdouble(scale) ** 2


def extrapolated(nodes, values):
    """The value at 0 of the polynomial through all."""
    row, nodes = list(values), [np.longdouble(h) for h in nodes]
    for order in range(1, len(nodes)):
        row = [
            (nodes[i] * row[i + 1] - nodes[i + order] * row[i]) / (nodes[i] - nodes[i + order])
            for i in range(len(row) - 1)
        ]
    return row[0].astype(float)


SEEDS = [1, *(pytest.param(k, marks=pytest.mark.campaign) for k in range(2, 11))]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_losses_by_the_average_over_all_orders(seed):
    """D = 3 to 5, M = 1 to 3, n = 2 to 4: true sample losses as η → 0, and ε → 0 at two learning rates, to 10⁻⁸."""
    problem, point = random_samples(seed)
    epochs = Epochs(problem, point)
    x = np.array([float(point[s]) for s in problem.parameters])
    size = max(1, float(np.abs(np.array(problem.noise_factor.subs(point).tolist(), dtype=float)).max()))
    rates = [0.03 / (size * epochs.steepest * 2**k) for k in range(9)]
    seen = extrapolated(rates, [epochs.vanishing(eta) for eta in rates])
    drift = derive_limiting_sde(problem, optimizer=RandomReshuffling()).lambdify().drift(x)
    assert np.abs(drift).max() > 1e-3
    assert np.abs(seen - drift).max() < 1e-8 * max(1, np.abs(drift).max())
    for share in (0.5, 1.4):
        eta = R(round(1024 * share / epochs.steepest), 1024)
        # Elsewhere on Γ this learning rate may be beyond the edge.
        stated = replace(as_columns(problem), near=point)
        sde = derive_limiting_sde(stated, optimizer=RandomReshuffling(learning_rate=eta))
        scales = [0.1 / (size * 2**k) for k in range(6)]
        ends = [epochs.staying(float(eta), e) for e in scales]
        drift = sde.lambdify().drift(x)
        assert np.abs(extrapolated([e**2 for e in scales], ends) - drift).max() < 1e-8 * max(1, np.abs(drift).max())


CASES = {
    "losses": (THREE, RandomReshuffling(weight_decay=R(1, 3))),
    "columns": (COLUMNS, RandomReshuffling(slow_potential=u**2)),
    "no gradients": (TURNING, RandomReshuffling()),
    "a learning rate": (COLUMNS, RandomReshuffling(learning_rate=RATE, weight_decay=R(1, 3))),
    "no gradients at a learning rate": (TURNING, RandomReshuffling(learning_rate=RATE)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_method_agrees(name):
    problem, optimizer = CASES[name]
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    certificate = verify(sde, rng=3)
    assert certificate.passed, certificate
    own = [check for check in certificate.checks if check.name.startswith("own iteration")]
    assert len(own) >= 12
    assert all(check.verdict == "measured" and check.error < 1e-8 for check in own)
    assert agrees(sde.derivation, sde.structure)


def test_more_orders_than_are_followed_are_said_not_to_be():
    sde = derive_limiting_sde(with_deviations(BENT, (u, v, w, u * v), (u, v, w)), optimizer=RandomReshuffling())
    own = verify(sde, checks=(OwnIteration(),), rng=0).checks
    assert {check.verdict for check in own} == {"not run"}
    assert "5 samples in any of 120 orders" in own[0].detail


def _with(program, terms):
    graph = Graph()
    outputs = program.on(graph)
    return Program.of({name: terms(outputs, graph).get(name, matrix) for name, matrix in outputs.items()})


def _scaled(name, factor):
    """A term times a factor, and the drift with it."""

    def terms(outputs, graph):
        changed = outputs[name].map(lambda entry: factor * entry)
        return {name: changed, "drift": outputs["drift"] - outputs[name] + changed}

    return terms


def _of_sgd(problem, *names):
    """Terms of drawing with replacement, and the drift with them."""
    learning_rate = None if problem is THREE else RATE
    other = derive_limiting_sde(problem, optimizer=SGD(learning_rate)).program

    def terms(outputs, graph):
        changed = {name: other.select(name).on(graph)[name] for name in names}
        drift = outputs["drift"]
        for name in names:
            drift = drift if name == "tangent_noise" else drift - outputs[name] + changed[name]
        return {**changed, "drift": drift}

    return terms


BLOCKS = ("tangent_noise_compensation", "mixed_regularization", "normal_regularization")
MUTANTS = {
    "½ for ¼": (THREE, lambda: _scaled("noise_curvature_drift", 2)),
    "no Dσσ": (COLUMNS, lambda: _scaled("noise_curvature_drift", 0)),
    "w = ½ at a learning rate": (COLUMNS, None),
    "the drift of drawing with replacement": (THREE, lambda: _of_sgd(THREE, *BLOCKS)),
    "the kernel of drawing with replacement": (COLUMNS, lambda: _of_sgd(COLUMNS, "normal_regularization")),
    "its mixed term": (COLUMNS, lambda: _of_sgd(COLUMNS, "mixed_regularization")),
    "its compensation": (COLUMNS, lambda: _of_sgd(COLUMNS, "tangent_noise_compensation")),
    "its tangent noise": (THREE, lambda: _of_sgd(THREE, "tangent_noise")),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_formulas_are_rejected(name):
    """By each of the two methods alone, which need no randomness."""
    problem, change = MUTANTS[name]
    optimizer = RandomReshuffling() if problem is THREE else RandomReshuffling(learning_rate=RATE)
    right = derive_limiting_sde(problem, optimizer=optimizer)
    if change is None:
        slow = derive_limiting_sde(problem, optimizer=RandomReshuffling()).program

        def terms(outputs, graph):
            changed = slow.select("noise_curvature_drift").on(graph)["noise_curvature_drift"]
            drift = outputs["drift"] - outputs["noise_curvature_drift"] + changed
            return {"noise_curvature_drift": changed, "drift": drift}
    else:
        terms = change()
    mutant = LimitingSDE(right.derivation.with_program(_with(right.derivation.program, terms)))
    for method in (OwnIteration(), LiteralRoad()):
        assert verify(right, checks=(method,), rng=0).passed
        assert not verify(mutant, checks=(method,), rng=0).passed, type(method).__name__


# --- the regularizer --------------------------------------------------------------------------------------------------------


def along_gamma(sde, claimed, at):
    """−P∇R at a point, by SymPy."""
    slope = sp.Matrix([sp.diff(claimed, s) for s in sde.problem.parameters])
    return (-sde.tangent_projection * slope).subs(at)


@pytest.mark.parametrize("optimizer", [RandomReshuffling(), RandomReshuffling(learning_rate=RATE)], ids=str)
def test_the_regularizer_is_the_potential_of_the_drift(optimizer):
    problem = labels(1, -2, 1, 0) if optimizer.learning_rate is None else as_columns(labels(1, -2, 1, 0))
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    assert sp.simplify(along_gamma(sde, sde.regularizer, AT) - sde.drift.subs(AT)) == sp.zeros(2, 1)
    road = [check for check in verify(sde, rng=1).checks if check.name.startswith("regularizer")]
    assert [check.verdict for check in road] == ["measured"]


def test_every_noise_of_sample_losses_has_one_as_the_learning_rate_vanishes():
    """R = ¼ tr Σ; drawing with replacement has none for this noise, nor has the same noise at a learning rate that stays."""
    sde = derive_limiting_sde(THREE, optimizer=RandomReshuffling())
    at = AT | {w: 0}
    assert "¼ tr Σ" in str(sde.find_regularizer())
    assert sp.simplify(along_gamma(sde, sde.regularizer, at) - sde.drift.subs(at)) == sp.zeros(3, 1)
    assert sp.simplify(
        along_gamma(sde, sum(e**2 for e in THREE.noise_factor) / 4, at) - sde.drift.subs(at)
    ) == sp.zeros(3, 1)
    assert derive_limiting_sde(COLUMNS, optimizer=RandomReshuffling()).regularizer is not None
    assert derive_limiting_sde(THREE).regularizer is None
    assert derive_limiting_sde(COLUMNS, optimizer=RandomReshuffling(learning_rate=RATE)).regularizer is None


def test_deviations_that_are_no_gradients_may_have_none():
    found = derive_limiting_sde(TURNING, optimizer=RandomReshuffling()).find_regularizer()
    assert found.expression is None
    assert found.curl > 1e-3


# --- simulation -------------------------------------------------------------------------------------------------------------

START = [2.0, 0.5, 0.3]


def test_the_weak_error_is_of_first_order_and_no_noise_is_left_along_gamma():
    """At t = 0.3 with η = 0.02 and 0.01, 400 replicas. What differs from the limit halves with η, where means are known to five standard
    errors (α < 10⁻⁶). The standard deviation falls with η, to below 1 % of what drawing with replacement has (0.3 to 1.9 per coordinate):
    a tangent noise of 1 % of σ would be seen."""
    limit = derive_limiting_sde(THREE, optimizer=RandomReshuffling())
    begins = gradient_flow_limit(THREE)(START)
    apart, spreads = [], []
    for eta in (0.02, 0.01):
        steps = 3 * round(0.1 / eta**2)
        run = simulate_sgd(
            THREE, START, learning_rate=eta, steps=steps, replicas=400, rng=3, optimizer=RandomReshuffling()
        )
        assert run.times[-1] == pytest.approx(steps * eta**2)
        end = simulate_sde(limit, begins, time=float(run.times[-1]), step=0.002, replicas=1).final[0]
        spread = np.sqrt(np.diag(run.covariance[-1]))
        apart.append(np.abs(run.mean[-1] - end).max())
        spreads.append(spread.max())
        assert apart[-1] > 5 * spread.max() / np.sqrt(400)  # there is an error to be seen
    assert 1.6 < apart[0] / apart[1] < 2.5
    assert spreads[1] < 0.7 * spreads[0]
    drawn = simulate_sgd(THREE, START, learning_rate=0.01, steps=steps, replicas=400, rng=3)
    assert np.sqrt(np.diag(drawn.covariance[-1])).max() > 100 * spreads[1]


def test_small_noise_at_a_large_learning_rate():
    """ηλ ≈ 1.1: the limit begins where the noiseless iteration ends; means to five standard errors and what is of second order in ε."""
    optimizer = RandomReshuffling(learning_rate=R(1, 4))
    begins = iteration_limit(COLUMNS, optimizer)(START)
    sde = derive_limiting_sde(COLUMNS, optimizer=optimizer)
    apart = []
    for scale in (0.04, 0.02):
        steps = 3 * round(0.05 / (0.25 * scale) ** 2)
        run = simulate_sgd(COLUMNS, START, optimizer=optimizer, noise_scale=scale, steps=steps, replicas=2000, rng=1)
        end = simulate_sde(sde, begins, time=float(run.times[-1]), step=0.001, replicas=1).final[0]
        spread = np.sqrt(np.diag(run.covariance[-1]).max() / 2000)
        apart.append(np.abs(run.mean[-1] - end).max() - 5 * spread)
    assert apart[1] < max(apart[0] / 2.5, 0)
    other = derive_limiting_sde(COLUMNS, optimizer=RandomReshuffling())
    end = simulate_sde(other, begins, time=float(run.times[-1]), step=0.001, replicas=1).final[0]
    assert np.abs(run.mean[-1] - end).max() > 20 * spread


def test_an_epoch_visits_every_sample_once_and_is_reproducible():
    """L = 0·x: a step adds −ηd_a, so that whole epochs return, and 3! orders of the first half are equally likely."""
    problem = with_deviations((u - v) ** 2, (u + v, 4 * (u + v)), (u, v))
    two = simulate_sgd(problem, [1, 1], learning_rate=0.25, steps=6, replicas=50, rng=5, optimizer=RandomReshuffling())
    assert np.abs(two.final - 1).max() < 1e-12
    runs = [
        simulate_sgd(
            THREE, START, learning_rate=0.02, steps=300, replicas=20, rng=5, optimizer=RandomReshuffling()
        ).final
        for _ in range(2)
    ]
    assert np.array_equal(*runs)
    assert len(np.unique(runs[0][:, 0])) == 20


def test_every_order_is_equally_likely():
    """ℓ_a = a·u + c·u²: where an epoch ends tells its order; 6 orders in 60,000 epochs, each within five standard errors (α < 10⁻⁵)."""
    losses = [u**2 / 2 + v**2 / 2 + d for d in (0, u * v, -u * v + v)]
    problem = Problem.from_sample_losses([e.subs(v, v - w) for e in losses], parameters=(u, v, w))
    final = simulate_sgd(
        problem, [1.0, 0.5, 0.0], learning_rate=0.1, steps=3, replicas=60_000, rng=2, optimizer=RandomReshuffling()
    ).final
    _, counts = np.unique(final.round(10), axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(60_000 * 5 / 36)


def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    told = {"learning_rate": 0.02, "replicas": 5, "rng": 1, "optimizer": RandomReshuffling()}
    whole = simulate_sgd(THREE, START, steps=600, **told)
    again = simulate_sgd(THREE, START, steps=600, checkpoint=tmp_path / "c.npz", **told)
    once_more = simulate_sgd(THREE, START, steps=600, checkpoint=tmp_path / "c.npz", **told)
    assert np.array_equal(whole.final, again.final)
    assert np.array_equal(whole.final, once_more.final)


# --- what is refused --------------------------------------------------------------------------------------------------------

REFUSED = {
    "labels drawn anew": (
        Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)),
        RandomReshuffling(),
        "drawn anew at every step, so that reshuffling changes only the order .* the limit is that of SGD",
    ),
    "isotropic noise": (
        Problem(loss=BENT, parameters=(u, v, w), noise=IsotropicNoise(1)),
        RandomReshuffling(),
        "drawn anew at every step, and there is nothing to reshuffle",
    ),
    "a covariance": (
        Problem(loss=BENT, parameters=(u, v, w), noise=GradientNoise(covariance=sp.eye(3))),
        RandomReshuffling(),
        "a covariance does not tell",
    ),
    "columns with a sum": (
        Problem(loss=BENT, parameters=(u, v, w), noise=sp.Matrix([[u, v], [1, 2], [1, 1]])),
        RandomReshuffling(),
        "do not sum to zero for every x",
    ),
    "columns that sum to zero on Γ only": (
        Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=sp.Matrix([[u * v, -1], [u, -u]])),
        RandomReshuffling(),
        "do not sum to zero for every x",
    ),
    "weights": (
        Problem.from_sample_losses([BENT + u, BENT - u / 2], parameters=(u, v, w), weights=[R(1, 3), R(2, 3)]),
        RandomReshuffling(),
        "leave weights= out, and multiply",
    ),
    "one sample": (Problem.from_sample_losses([BENT], parameters=(u, v, w)), RandomReshuffling(), "at least two samples"),
    "losses at a learning rate": (THREE, RandomReshuffling(learning_rate=RATE), "does not come near Γ,.* noise=problem.noise_factor"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sample_of_an_epoch_is_refused(name):
    problem, optimizer, words = REFUSED[name]
    with pytest.raises(BadInput, match=words):
        derive_limiting_sde(problem, optimizer=optimizer)
    told = {} if optimizer.is_finite else {"learning_rate": 0.01}
    with pytest.raises(BadInput, match=words):
        simulate_sgd(problem, [2, 0.5, 0][: problem.dimension], steps=6, optimizer=optimizer, **told)


def test_equal_weights_may_be_written_out():
    problem = Problem.from_sample_losses([BENT + u, BENT - u], parameters=(u, v, w), weights=[R(1, 2), R(1, 2)])
    assert not derive_limiting_sde(problem, optimizer=RandomReshuffling()).problem.noise_factor.is_zero_matrix


def test_a_learning_rate_beyond_the_edge_parts_of_epochs_and_other_laws_are_refused():
    with pytest.raises(Unstable, match="random reshuffling leaves Γ"):
        derive_limiting_sde(COLUMNS, optimizer=RandomReshuffling(learning_rate=100))
    with pytest.raises(BadInput, match="makes them 3 at a time: give a multiple of 3"):
        simulate_sgd(THREE, START, learning_rate=0.01, steps=10, optimizer=RandomReshuffling())
    with pytest.raises(BadInput, match="visits the samples themselves: leave law= out"):
        simulate_sgd(THREE, START, learning_rate=0.01, steps=9, optimizer=RandomReshuffling(), law=GaussianLaw())
    with pytest.raises(BadInput, match="learning_rate is -1"):
        RandomReshuffling(learning_rate=-1)
    with pytest.raises(BadInput, match="takes the number of its samples from a problem"):
        _ = RandomReshuffling().iteration


# --- files, documents, numbers ----------------------------------------------------------------------------------------------


def test_files_state_it_and_certificates_are_checked_again():
    stated = StatedOptimizer("random_reshuffling", {"learning_rate": RATE}, "p.toml: table [optimizer]")
    optimizer = optimizer_of(stated)
    assert optimizer == RandomReshuffling(learning_rate=0.125)
    assert optimizer_document(optimizer) == {"kind": "random_reshuffling", "learning_rate": "1/8"}
    sde = derive_limiting_sde(COLUMNS, optimizer=optimizer)
    assert sde.optimizer == optimizer
    assert optimizer_document(sde.optimizer) == optimizer_document(optimizer)
    certificate = verify(sde, checks=(LiteralRoad(),), rng=0)
    assert certificate.problem is not None
    assert certificate.problem["optimizer"] == {"kind": "random_reshuffling", "learning_rate": "1/8"}
    assert recheck(certificate.to_json()).holds


def test_documents_define_every_letter():
    slow = derive_limiting_sde(labels(1, -2, 1), optimizer=RandomReshuffling())
    assert r"-\tfrac14\,\partial\Phi\,\nabla\,\mathrm{tr}\,\Sigma" in slow.document()
    assert "b_ξξ = -¼ ∂Φ∇tr Σ" in str(slow.structure)
    assert "S = 0, because the noise of an epoch sums to zero" in slow.explain()
    sde = derive_limiting_sde(as_columns(labels(1, -2, 1)), optimizer=RandomReshuffling(learning_rate=RATE))
    document = sde.document()
    assert r"\frac{1 - (1-\eta a)\,w(a) - (1-\eta b)\,w(b)}{a + b - \eta a b}" in document
    assert "each of which every epoch of 3 steps visits once" in document
    assert r"b_{\perp\parallel} + b_{\perp} + b_{\xi\xi} = -" in document  # what R is asked for
    assert "b_ξξ = -∂Φ ∂σ[w(B) σ]" in str(sde.structure)
    assert "w(B) = Σ_m (2 - m) Bᵐ/6, m = 0 … 1" in str(sde.structure)
    sde.latex()


def test_many_samples_keep_their_powers():
    """12 samples, two curvatures: no polynomials of degree 11 in B's characteristic polynomial; the callables agree with 60 digits."""
    loss = (u * v - 1 + w**2 / 3) ** 2 / 2 + (w + u - v**2) ** 2
    deviations = [sp.Integer(k) * u - (k % 3) * w * v + (k % 4 - 1) * u**2 for k in range(1, 12)]
    problem = as_columns(with_deviations(loss, deviations, (u, v, w)))
    sde = derive_limiting_sde(problem, optimizer=RandomReshuffling(learning_rate=R(1, 64)))
    assert verify(sde, checks=(LiteralRoad(),), rng=0).passed
    point = sde.derivation.points[0]
    exact = precise(sde.derivation.program.select("drift"), point)["drift"]
    numbers = sde.lambdify().drift([float(point[s]) for s in (u, v, w)])
    np.testing.assert_allclose(numbers, [float(entry) for entry in exact], rtol=1e-9)


@pytest.mark.campaign
def test_every_other_method_agrees_too():
    assert verify(derive_limiting_sde(THREE, optimizer=RandomReshuffling()), checks=FULL, rng=0).passed


PROBLEM_FILE = """
parameters = ["u", "v"]
sample_losses = ["(u*v - 2)**2/2", "(u*v)**2/2"]
"""


def test_the_command_line_takes_it(tmp_path, capsys):
    file = tmp_path / "p.toml"
    file.write_text(PROBLEM_FILE, encoding="utf-8")
    assert main(["derive", str(file), "--optimizer", "random_reshuffling"]) == 0
    shown = capsys.readouterr().out
    assert "The optimizer is random reshuffling, n = 2." in shown
    assert "b_ξξ = -∂Φ∇R with, up to a constant," in shown
    options = ["--optimizer", "random_reshuffling", "--start", "u=2,v=0.5", "--time", "0.01", "--replicas", "3"]
    assert main(["simulate", str(file), "--rate", "0.02", *options]) == 0
    assert "3 replicas" in capsys.readouterr().out
    file.write_text(
        PROBLEM_FILE + '[optimizer]\nkind = "random_reshuffling"\nlearning_rate = "1/8"\n', encoding="utf-8"
    )
    assert main(["derive", str(file)]) == 2
    assert "does not come near Γ" in capsys.readouterr().err
