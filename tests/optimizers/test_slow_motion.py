"""The limits of optimizers against the derivatives of their own maps, on random losses; and what they become in limits."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from known_optimizers import OPTIMIZERS
from map_identity import BETA, RATE, derivatives, maps, slow_motion
from working_precision import working_digits

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
    iteration_limit,
    simulate_sgd,
)
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.errors import BadInput, BadSymbol, SingularPoint, Unstable
from symbolic_sgd.optimizers.kernel import LYAPUNOV, A, B, Kernel

u, v, w = sp.symbols("u v w")
eta, beta, r = (sp.Symbol(name, positive=True) for name in ("eta", "beta", "r"))
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
AT = {u: 2, v: sp.Rational(1, 2)}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(k, marks=pytest.mark.campaign) for k in (2, 3))])
def test_the_limit_is_that_of_the_optimizers_own_map(seed, name):
    problem, loss, sigma, x, point, m = random_problem(seed)
    sde = derive_limiting_sde(problem, optimizer=OPTIMIZERS[name])
    noisy, gamma, steps = maps(loss, sigma, x)[name]
    drift, covariance = slow_motion(*derivatives(noisy, point), len(x) - m)
    unit = float(gamma) ** 2 * steps
    with working_digits(40):
        exact = {s: mpmath.mpf(int(a.p)) / int(a.q) for s, a in point.items()}
        values = {k: np.array(e, dtype=float) for k, e in sde.program.run(PRECISE, exact).items()}
    size = np.abs(drift).max() / unit
    np.testing.assert_allclose(values["drift"], drift[: len(x)] / unit, atol=1e-10 * size)
    noise = values["tangent_noise"].reshape(len(x), -1)
    np.testing.assert_allclose(
        noise @ noise.T, covariance[: len(x), : len(x)] / unit, atol=1e-10 * np.abs(covariance).max() / unit
    )
    row = np.array([[float(point[s]) for s in x]])
    structural = sde.structure.at(point)
    np.testing.assert_allclose(structural["b"].ravel(), values["drift"], atol=1e-11 * size)
    if seed == 0:  # the others are dense, and too long to be written out
        written = np.array(sde.drift.subs(point), dtype=float).ravel()
        np.testing.assert_allclose(written, values["drift"], atol=1e-11 * size)
    np.testing.assert_allclose(sde.lambdify().drift(row[0]), values["drift"], atol=1e-9 * size)
    stable = evaluate(sde.derivation.guard.select("stability"), x, row)["stability"].reshape(len(x), -1)
    steepest = np.linalg.eigvalsh(np.array(sp.hessian(loss, x).subs(point), dtype=float))[-1]
    np.testing.assert_allclose(np.linalg.eigvalsh(stable)[0], 1 - steepest / float(OPTIMIZERS[name].edge), atol=1e-11)


WORKED = {
    SGD(): ("-15/17", "15/68"),
    SGD(learning_rate=0.25): ("-32/17", "8/17"),
    HeavyBall(momentum=0.5, learning_rate=0.125): ("-1440/1343", "360/1343"),
    Nesterov(momentum=0.5, learning_rate=0.125): ("-31200/25823", "7800/25823"),
    LocalSGD(workers=2, steps=2, learning_rate=0.125): ("-42705/51136", "42705/204544"),
    HeavyBall(momentum=0.9): ("-15/17", "15/68"),
    HeavyBall(friction=3): ("-15/17", "15/68"),
}


@pytest.mark.parametrize("optimizer", WORKED, ids=str)
def test_worked_numbers_on_the_hyperbola_are_exact(optimizer):
    """Label noise, x = (2, ½), λ = 17/4: rationals that iterations of the maps confirm."""
    sde = derive_limiting_sde(HYPERBOLA, optimizer=optimizer)
    assert list(sde.drift.subs(AT)) == [sp.Rational(a) for a in WORKED[optimizer]]


IDENTITIES = {
    "SGD, η → 0": (SGD(eta), {eta: 0}, LYAPUNOV.function(A, B)),
    "the heavy ball, β = 0": (HeavyBall(beta, eta), {beta: 0}, SGD(eta).kernel.function(A, B)),
    "the heavy ball, γ → 0": (HeavyBall(beta, eta), {eta: 0}, LYAPUNOV.function(A, B)),
    "Nesterov, β = 0": (Nesterov(beta, eta), {beta: 0}, SGD(eta).kernel.function(A, B)),
    "Nesterov, η → 0": (Nesterov(beta, eta), {eta: 0}, LYAPUNOV.function(A, B)),
    "one worker": (LocalSGD(1, 5, eta), {}, SGD(eta).kernel.function(A, B)),
    "white noise": (ColouredNoise(r, eta), {r: 0}, SGD(eta).kernel.function(A, B)),
    "coloured noise, η → 0": (ColouredNoise(r, eta), {eta: 0}, ColouredNoise(r).kernel.function(A, B)),
    "one local step": (LocalSGD(3, 1, eta), {}, SGD(eta).kernel.function(A, B) / 3),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_limits_of_kernels_are_identities(name):
    optimizer, at, expected = IDENTITIES[name]
    assert sp.cancel(optimizer.kernel.function(A, B).subs(at) - expected) == 0


def test_large_friction_is_sgd():
    c = sp.Symbol("c", positive=True)
    limit = sp.limit(HeavyBall(friction=c).kernel.function(A, B), c, sp.oo)
    assert sp.cancel(limit - LYAPUNOV.function(A, B)) == 0


def test_the_friction_kernel_is_the_limit_of_the_heavy_ball():
    """1 − β = cγ, η = γ(1 − β), γ → 0."""
    c, gamma = sp.symbols("c gamma", positive=True)
    ball = HeavyBall(beta, eta).kernel.function(A, B).subs(eta, gamma * (1 - beta)).subs(beta, 1 - c * gamma)
    assert sp.cancel(sp.limit(sp.cancel(ball), gamma, 0) - HeavyBall(friction=c).kernel.function(A, B)) == 0


@pytest.mark.parametrize(
    "optimizer", [SGD(eta), HeavyBall(beta, eta), Nesterov(beta, eta), ColouredNoise(r, eta)], ids=lambda o: o.label
)
def test_the_edge_is_the_pole_of_the_kernel(optimizer):
    """k(λ, λ) has its first pole on λ > 0 at λ*."""
    _, below = sp.fraction(sp.cancel(A * optimizer.kernel.diagonal))
    numbers = {eta: sp.Rational(1, 5), beta: sp.Rational(2, 3), r: sp.Rational(1, 2)}
    poles = [p for p in sp.roots(sp.Poly(below.subs(numbers), A)) if p > 0]
    assert min(poles) == optimizer.edge.subs(numbers)


@pytest.mark.parametrize(
    "optimizer", [*OPTIMIZERS.values(), SGD(eta), HeavyBall(beta, eta), HeavyBall(friction=2)], ids=str
)
@pytest.mark.parametrize(
    "noise", [LabelNoise(2, batch_size=2), IsotropicNoise(3)], ids=lambda noise: type(noise).__name__
)
def test_the_regularizer_of_functions_of_the_hessian(optimizer, noise):
    """−∂Φ∇R = b_⊥ for M = 2, label and isotropic noise."""
    problem = Problem.least_squares([u * v - 1, w + u**2 / 2 - v], parameters=(u, v, w), noise=noise)
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    found = sde.regularizer
    point = {
        u: sp.Rational(4, 5),
        v: sp.Rational(5, 4),
        w: sp.Rational(5, 4) - sp.Rational(8, 25),
        eta: RATE,
        beta: BETA,
    }
    slope = sp.Matrix([sp.diff(found, a) for a in (u, v, w)])
    descent = -(sde.tangent_projection * slope).subs(point)
    expected = sde.normal_regularization.subs(point)
    assert max(abs(e) for e in (descent - expected).evalf(30)) < 1e-20 * max(abs(e) for e in expected.evalf(30))


def test_samples_at_a_learning_rate_that_stays_are_a_random_map():
    """HS + SH − ηE[H_iSH_i] = Σ: against the map's second moments in D×D, and not the kernel's HSH."""
    x = sp.symbols("x0:3")
    residuals = [x[0] * x[1] - 1, x[0] + x[2] ** 2 - 2, x[0] * x[1] + 2 * x[0] + 2 * x[2] ** 2 - 5]
    problem = Problem.least_squares(residuals, parameters=x, noise=LabelNoise(1))
    rate = sp.Rational(1, 40)
    sde = derive_limiting_sde(problem, optimizer=SGD(learning_rate=rate))
    assert sde.covariance_kernel is None
    point = {x[0]: sp.Integer(1), x[1]: sp.Integer(1), x[2]: sp.Integer(1)}
    d, loss = len(x), problem.loss
    hessian = np.array(sp.hessian(loss, x).subs(point), dtype=float)
    samples = [np.array(sp.hessian(e**2 / 2, x).subs(point), dtype=float) for e in residuals]
    third = np.array([np.array(sp.hessian(sp.diff(loss, a), x).subs(point), dtype=float) for a in x])
    eta_ = float(rate)
    further = [(1 / 3, -eta_ * (h - hessian)) for h in samples]
    drift, _ = slow_motion(np.eye(d) - eta_ * hessian, -eta_ * third, -eta_ * _root(hessian), np.zeros(d), 1, further)
    ours = np.array(sde.drift.subs(point), dtype=float).ravel()
    np.testing.assert_allclose(ours, drift / eta_**2, atol=1e-11 * np.abs(drift).max() / eta_**2)
    full = derive_limiting_sde(
        Problem.least_squares(residuals, parameters=x, noise=LabelNoise(sp.sqrt(3), batch_size=3)), optimizer=SGD(rate)
    )
    kernel = np.array(full.drift.subs(point).evalf(20), dtype=float).ravel()
    assert np.abs(ours - kernel).max() > 1e-3 * np.abs(ours).max()
    np.testing.assert_allclose(sde.structure.at(point)["b"].ravel(), ours, atol=1e-12)


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.clip(values, 0, None))


def test_orthogonal_samples_have_the_edge_of_each():
    """R = −(c/2nη) Σ ln(1 − η|∇f_i|²/2) where per-sample gradients are orthogonal: two hyperbolas in different coordinates."""
    x = sp.symbols("x0:4")
    problem = Problem.least_squares([x[0] * x[1] - 1, x[2] * x[3] - 1], parameters=x, noise=LabelNoise(1))
    rate = sp.Rational(1, 8)
    sde = derive_limiting_sde(problem, optimizer=SGD(rate))
    squares = [x[0] ** 2 + x[1] ** 2, x[2] ** 2 + x[3] ** 2]
    known = -sum(sp.log(1 - rate * s / 2) for s in squares) / (4 * rate)
    point = {x[0]: 2, x[1]: sp.Rational(1, 2), x[2]: sp.Rational(5, 4), x[3]: sp.Rational(4, 5)}
    slope = sp.Matrix([sp.diff(known, a) for a in x])
    difference = (sde.tangent_projection * slope + sde.drift).subs(point)
    assert all(sp.simplify(e) == 0 for e in difference)
    far = {**point, x[0]: 4, x[1]: sp.Rational(1, 4)}  # |∇f_1|²η/2 = 16.06/16 > 1, though λ₁ = |∇f_1|²/2 is below 2/η
    with pytest.raises(SingularPoint, match="edge of stability"):
        sde.lambdify().drift([float(far[a]) for a in x])


def test_weight_decay_and_a_potential_of_ones_own_are_imposed():
    decay = sp.Rational(1, 10)
    for optimizer in (SGD(weight_decay=decay, slow_potential=u**4), SGD(0.25, decay, u**4)):
        sde = derive_limiting_sde(HYPERBOLA, optimizer=optimizer)
        field = sp.Matrix([4 * u**3 + decay * u, decay * v])
        assert (sde.imposed_drift + sde.tangent_projection * field).subs(AT) == sp.zeros(2, 1)
        plain = derive_limiting_sde(HYPERBOLA, optimizer=SGD(optimizer.learning_rate))
        assert (sde.drift - plain.drift - sde.imposed_drift).subs(AT) == sp.zeros(2, 1)
        assert plain.imposed_drift == sp.zeros(2, 1)


def test_symbols_of_an_optimizer_are_constants():
    sde = derive_limiting_sde(HYPERBOLA, optimizer=HeavyBall(beta, eta))
    assert sde.problem.constants == (beta, eta)
    f = sde.lambdify()
    numbers = derive_limiting_sde(HYPERBOLA, optimizer=HeavyBall(0.5, 0.125)).lambdify()
    np.testing.assert_allclose(f.drift([2, 0.5], beta=0.5, eta=0.125), numbers.drift([2, 0.5]), rtol=1e-13)
    assert sde.time_unit == sde.noise_scale**2 * eta**2 / (1 - beta) ** 2
    _, condition = sde.valid_where  # after β < 1
    assert condition.subs({**AT, beta: sp.Rational(1, 2), eta: sp.Rational(1, 8)}) is sp.true
    assert condition.subs({**AT, beta: 0, eta: sp.Rational(1, 2)}) is sp.false
    with pytest.raises(SingularPoint, match="edge of stability"):
        f.drift([2, 0.5], beta=0.5, eta=0.75)


def test_numbers_beyond_the_edge_are_refused_in_batches_and_alone():
    f = derive_limiting_sde(HYPERBOLA, optimizer=SGD(0.25)).lambdify()
    inside, outside = [2, 0.5], [4, 0.25]
    assert np.isfinite(f.drift([inside, [1, 1]])).all()
    for points in (outside, [inside, outside], [[1, 1]] * 50 + [outside]):
        with pytest.raises(SingularPoint, match=r"u\*\*2 \+ v\*\*2 < 8"):
            f.drift(points)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS.values(), SGD(eta)], ids=str)
def test_what_is_said_of_the_edge(optimizer):
    """Label noise descends an R that is infinite there; with noise along Γ, or a force of one's own, nothing is promised."""
    never, ends = "never reaches the edge", "it ends"
    assert never in derive_limiting_sde(HYPERBOLA, optimizer=optimizer).explain()
    moving = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1))
    assert ends in derive_limiting_sde(moving, optimizer=optimizer).explain()
    assert ends in derive_limiting_sde(HYPERBOLA, optimizer=SGD(0.25, slow_potential=u)).explain()
    assert "edge" not in derive_limiting_sde(HYPERBOLA).explain()


def test_a_learning_rate_beyond_the_edge_everywhere_is_refused():
    """λ ≥ 2 on uv = 1, so that no point of it is stable for η ≥ 1; a flat part may be named."""
    with pytest.raises(Unstable, match="at every one of the"):
        derive_limiting_sde(HYPERBOLA, optimizer=SGD(learning_rate=1.5))
    valley = Problem(loss=(1 + u**2) ** 2 * v**2 / 2, parameters=(u, v), noise=sp.eye(2), near={u: 0, v: 0})
    derive_limiting_sde(valley, optimizer=SGD(learning_rate=1.5))  # λ = (1 + u²)² is below 4/3 near u = 0
    derive_limiting_sde(HYPERBOLA, optimizer=SGD(learning_rate=eta))


REFUSED = [
    (lambda: SGD(learning_rate=0), "larger than 0"),
    (lambda: SGD(learning_rate=sp.Symbol("h")), "declare it positive"),
    (lambda: SGD(learning_rate="fast"), "give a number"),
    (lambda: SGD(learning_rate=True), "give a number"),
    (lambda: SGD(learning_rate=float("nan")), "give a number"),
    (lambda: HeavyBall(momentum=1), "smaller than 1"),
    (lambda: HeavyBall(), "give one of the two"),
    (lambda: HeavyBall(momentum=0.5, friction=1), "give one of the two"),
    (lambda: HeavyBall(friction=1, learning_rate=0.1), "leave learning_rate"),
    (lambda: Nesterov(momentum=-0.5), "0 ≤ β < 1"),
    (lambda: LocalSGD(workers=0, steps=1, learning_rate=1), "at least 1"),
    (lambda: LocalSGD(workers=2, steps=2), "steps=n and learning_rate=η"),
    (lambda: ColouredNoise(correlation=-1), "larger than -1"),
    (lambda: SGD(slow_potential="u"), "SymPy expression"),
    (lambda: SGD(slow_potential=0.5 * u), "floating-point"),
    (lambda: derive_limiting_sde(HYPERBOLA, optimizer="adam"), "give one such as"),
    (lambda: derive_limiting_sde(HYPERBOLA, optimizer=SGD(slow_potential=w)), "slow_potential"),
    (
        lambda: Problem.least_squares([u * v - 1, w - u], parameters=(u, v, w), noise=LabelNoise(1, batch_size=3)),
        "from 1 .* to 2",
    ),
]


@pytest.mark.parametrize(("state", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_makes_no_sense_is_refused(state, words):
    with pytest.raises(BadInput, match=words):
        state()


def test_a_symbol_that_is_a_parameter_is_refused():
    clash = sp.Symbol("u", positive=True)
    problem = Problem.least_squares([clash * v - 1], parameters=(clash, v), noise=LabelNoise(1))
    with pytest.raises(BadSymbol, match="u is a parameter"):
        derive_limiting_sde(problem, optimizer=SGD(learning_rate=clash))
    with pytest.raises(BadSymbol, match="u is a parameter"):
        simulate_sgd(problem, [1, 1], optimizer=SGD(learning_rate=clash), steps=1, replicas=1, rng=0)
    with pytest.raises(BadSymbol, match="u is a parameter"):
        iteration_limit(problem, SGD(learning_rate=clash))


def test_a_kernel_keeps_its_sign():
    """Also where it is negative near 0, as no kernel of an optimizer is."""
    form = (A - 2) ** 3 * (B - 2) ** 3 / ((A - 1) * (B - 1) * (3 + A + B))
    for kernel in (Kernel.of("one", form), Kernel.of("its negative", -form)):
        assert sp.cancel(kernel.diagonal - kernel.function(A, A)) == 0
        assert sp.cancel(kernel.mixed - A * kernel.function(A, 0)) == 0


def test_minibatches_that_do_not_rest_on_the_manifold_are_refused():
    losses = [(u * v - 2) ** 2 / 2, (u * v) ** 2 / 2]
    with pytest.raises(BadInput, match="does not vanish on Γ"):
        derive_limiting_sde(Problem.from_sample_losses(losses, parameters=(u, v)), optimizer=SGD(0.1))
    apart = Problem.least_squares([u * v - 2, u * v], parameters=(u, v), noise=LabelNoise(1))
    with pytest.raises(BadInput, match="not all of them rest"):
        derive_limiting_sde(apart, optimizer=SGD(0.1))
    two = Problem.least_squares([u * v - 1, w - u], parameters=(u, v, w), noise=LabelNoise(1))
    with pytest.raises(BadInput, match="a random map"):
        derive_limiting_sde(two, optimizer=HeavyBall(0.5, 0.1))
    assert derive_limiting_sde(two, optimizer=HeavyBall(0.5)).optimizer == HeavyBall(0.5)
