"""Any optimizer as a map: its limit against the kernels, against the derivatives of the map in float64, and by its iteration."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from known_optimizers import OPTIMIZERS
from map_identity import NoisyMap, derivatives, maps, slow_motion
from working_precision import working_digits

from symbolic_sgd import (
    SGD,
    HeavyBall,
    IteratedMap,
    LabelNoise,
    Problem,
    derive_limiting_sde,
    iteration_limit,
    simulate_sgd,
    verify,
)
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.stein import SteinOperator
from symbolic_sgd.checks.iteration_road import OwnIteration
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.checks.methods import FULL
from symbolic_sgd.checks.methods import verify as examined
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol, NotSmooth, Unstable

u, v, m, n, p, q, a, b = sp.symbols("u v m n p q a b")
HYPERBOLA = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=sp.eye(2))
AT = {u: sp.Integer(2), v: sp.Rational(1, 2)}
HALF, QUARTER, EIGHTH = sp.Rational(1, 2), sp.Rational(1, 4), sp.Rational(1, 8)
GRADIENT = HYPERBOLA.noisy_gradient((a, b))


def values_at(sde, point):
    with working_digits(40):
        exact = {s: mpmath.mpf(int(sp.Rational(e).p)) / int(sp.Rational(e).q) for s, e in point.items()}
        return {k: np.array(e, dtype=float) for k, e in sde.program.run(PRECISE, exact).items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("seed", [1, *(pytest.param(k, marks=pytest.mark.campaign) for k in (0, 2))])
def test_an_optimizer_that_is_stated_as_a_map_has_the_limit_of_its_kernel(seed, name):
    problem, loss, sigma, x, point, _ = random_problem(seed)
    noisy, gamma, steps = maps(loss, sigma, x)[name]
    ours = values_at(derive_limiting_sde(problem, optimizer=IteratedMap(noisy.state, noisy.update, noisy.draws)), point)
    known = values_at(derive_limiting_sde(problem, optimizer=OPTIMIZERS[name]), point)
    unit = float(gamma) ** 2 * steps
    size = np.abs(known["drift"]).max() * unit
    # A memory along Γ is fast, too: what is mixed and what is normal is split in the state. Rounds are nonlinear in their noise.
    for terms in (ours, known):
        parts = ("mixed_regularization", "normal_regularization", "noise_curvature_drift")
        terms["regularization"] = sum(terms[k] for k in parts if k in terms)
    for term in ("tangent_noise_compensation", "regularization", "drift"):
        np.testing.assert_allclose(ours[term], known[term] * unit, atol=1e-12 * size)
    covariances = [t["tangent_noise"].reshape(len(x), -1) for t in (ours, known)]
    (first, second) = (c @ c.T for c in covariances)
    np.testing.assert_allclose(first, second * unit, atol=1e-12 * np.abs(first).max())


def unnormalised_sam(problem, eta, rho):
    """x⁺ = x − ηg(x + ρg(x)), the same noisy gradient g at both places."""
    x, draws = sp.Matrix(problem.parameters), sp.symbols(f"xi0:{problem.noise_factor.cols}")
    force = sp.Matrix(problem.noisy_gradient(draws))
    ahead = dict(zip(x, x + rho * force, strict=True))
    return IteratedMap(state=tuple(x), update=tuple(x - eta * force.xreplace(ahead)), noise=draws)


@pytest.mark.parametrize("seed", [3, *(pytest.param(k, marks=pytest.mark.campaign) for k in (1, 2, 4))])
def test_sam_without_its_normalisation_by_eigenvectors(seed):
    """k = (1+ρa)²(1+ρb)²/(ã + b̃ − ηãb̃), ã = a(1+ρa), −½H†∂²(∇L)[Σ_∥], and −(ρ²/2η)∂Φ∂²(∇L)[Σ] − (ρ/η)∂Φ Σ_a ∂σ_aσ_a."""
    problem, loss, sigma, x, point, m = random_problem(seed)
    eta, rho = sp.Rational(1, 64), sp.Rational(1, 32)
    sde = derive_limiting_sde(problem, optimizer=unnormalised_sam(problem, eta, rho))
    number = lambda e: np.array(sp.Matrix(e).subs(point).tolist(), dtype=float)  # noqa: E731
    hessian = sp.hessian(loss, x)
    third = np.array([number(hessian.diff(s)) for s in x])
    curvatures, axes = np.linalg.eigh(number(hessian))
    curvatures[: len(x) - m] = 0
    h, r = float(eta), float(rho)
    ahead = curvatures * (1 + r * curvatures)
    with np.errstate(divide="ignore", invalid="ignore"):
        kernel = (1 + r * np.add.outer(curvatures, curvatures) + r**2 * np.outer(curvatures, curvatures)) ** 2 / (
            np.add.outer(ahead, ahead) - h * np.outer(ahead, ahead)
        )
    kernel[: len(x) - m, : len(x) - m] = 0
    noise = number(sigma)
    tangent = axes[:, : len(x) - m] @ axes[:, : len(x) - m].T
    covariance = noise @ noise.T
    bend = lambda c: np.einsum("kij,ij->k", third, c)  # noqa: E731
    turned = sum(number(sigma[:, k].jacobian(x)) @ noise[:, k] for k in range(sigma.cols))
    expected = {
        "tangent_noise_compensation": -np.linalg.pinv(number(hessian), rcond=1e-12)
        @ bend(tangent @ covariance @ tangent)
        / 2,
        "noise_curvature_drift": -tangent @ (r**2 / (2 * h) * bend(covariance) + r / h * turned),
        "regularization": -tangent @ bend(axes @ (axes.T @ covariance @ axes * kernel) @ axes.T) / 2,
    }
    found = values_at(sde, point)
    found["regularization"] = found["mixed_regularization"] + found["normal_regularization"]
    size = np.abs(found["drift"]).max()
    for name, value in expected.items():
        assert np.abs(found[name].ravel() - h**2 * value).max() < 1e-11 * size, name
    assert np.abs(expected["noise_curvature_drift"]).max() * h**2 > 0.01 * size


def test_sam_without_its_normalisation_descends_a_sum_over_the_curvatures():
    """Labels, Σ = H, at two curvatures: R′ = ½(1+ρλ)³/(2 − ηλ(1+ρλ)) + ρ(1+ρλ)/(2η), in units of η²."""
    w = sp.Symbol("w")
    residuals, x = sp.Matrix([u * v - 1, w + u**2 / 2 - v]), sp.Matrix([u, v, w])
    problem = Problem(loss=(residuals.T * residuals)[0] / 2, parameters=tuple(x), noise=residuals.jacobian(x).T)
    eta, rho = 1 / 64, 1 / 32
    sde = derive_limiting_sde(problem, optimizer=unnormalised_sam(problem, HALF**6, HALF**5))
    at = {u: sp.Integer(2), v: HALF, w: HALF - 2}
    number = lambda e: np.array(sp.Matrix(e).subs(at).tolist(), dtype=float)  # noqa: E731
    hessian = sp.hessian(problem.loss, x)
    curvatures, axes = np.linalg.eigh(number(hessian))
    weights = (1 + rho * curvatures) ** 3 / (2 - eta * curvatures * (1 + rho * curvatures)) / 2
    weights += rho * (1 + rho * curvatures) / (2 * eta)
    spread = axes[:, 1:] @ np.diag(weights[1:]) @ axes[:, 1:].T
    gradient = np.array([np.sum(spread * number(hessian.diff(s))) for s in x])  # Σ R′(λ_i)∇λ_i
    along = axes[:, 0]
    np.testing.assert_allclose(values_at(sde, at)["drift"].ravel(), -(eta**2) * along * (along @ gradient), rtol=1e-11)


def averaged():
    """A heavy ball that is drawn to the average of where it was; the average rests at x."""
    ball = [HALF * w + g for w, g in zip((m, n), GRADIENT, strict=True)]
    x = [c - EIGHTH * w + QUARTER * (d - c) for c, w, d in zip((u, v), ball, (p, q), strict=True)]
    average = [d + HALF * (c - d) for c, d in zip(x, (p, q), strict=True)]
    return IteratedMap((u, v, m, n, p, q), (*x, *ball, *average), (a, b), embedding={p: u, q: v})


def sharpness_aware():
    """x − ηg(x + ρg(x)) with the same labels 1 − ξ twice, ρ = η = 1/8."""
    g = lambda x, y: ((x * y - 1 - a) * y, (x * y - 1 - a) * x)  # noqa: E731
    moved = g(*(c + EIGHTH * e for c, e in zip((u, v), g(u, v), strict=True)))
    return IteratedMap((u, v), tuple(c - EIGHTH * e for c, e in zip((u, v), moved, strict=True)), (a,))


def drop_connect():
    """x − ¼∂L̂ with L̂ = L(x(1 + ξ))."""
    dropped = HYPERBOLA.loss.xreplace({u: u * (1 + a), v: v * (1 + b)})
    return IteratedMap((u, v), tuple(c - QUARTER * sp.diff(dropped, c) for c in (u, v)), (a, b))


def injected():
    """x − ¼∇L(x + ξ)."""
    slope = [sp.diff(HYPERBOLA.loss, c).xreplace({u: u + a, v: v + b}) for c in (u, v)]
    return IteratedMap((u, v), tuple(c - QUARTER * g for c, g in zip((u, v), slope, strict=True)), (a, b))


def preconditioned():
    """x − ηS∇L, S = [[2, ½], [½, 1]]: an oblique projection; a label is noisy."""
    matrix = sp.Matrix([[2, HALF], [HALF, 1]])
    slope = sp.Matrix([(u * v - 1 + a) * v, (u * v - 1 + a) * u])
    return IteratedMap((u, v), tuple(sp.Matrix([u, v]) - EIGHTH * matrix * slope), (a,))


WORKED = {
    # map, unit, drift per unit: rationals that were confirmed by iterating the maps in 80-bit numbers
    "sharpness-aware": (sharpness_aware, EIGHTH**2, ("-11074/1377", "5537/2754")),
    "DropConnect": (drop_connect, QUARTER**2, ("-64/17", "16/17")),
    "injection": (injected, QUARTER, ("-64/17", "16/17")),
    "preconditioned": (preconditioned, EIGHTH**2, ("-56/33", "14/33")),
}


@pytest.mark.parametrize("name", WORKED)
def test_worked_numbers_are_exact(name):
    stated, unit, drift = WORKED[name]
    sde = derive_limiting_sde(HYPERBOLA, optimizer=stated())
    assert list(sde.drift.subs(AT) / unit) == [sp.Rational(c) for c in drift]


STATED = {
    "averaged": averaged(),
    "a memory that rests at u²": IteratedMap(
        (u, v, p),
        (u - EIGHTH * GRADIENT[0] - (p - u**2) / 10, v - EIGHTH * GRADIENT[1], (p + u**2) / 2 + a / 10),
        (a, b),
        embedding={p: u**2},
    ),
    "sharpness-aware": sharpness_aware(),
    "DropConnect": drop_connect(),
    "preconditioned": preconditioned(),
    "correlated noise": IteratedMap(
        (u, v), tuple(sp.Matrix([u, v]) - EIGHTH * GRADIENT), (a, b), covariance=sp.Matrix([[2, 1], [1, 3]])
    ),
    "slow drift": IteratedMap((u, v), tuple(sp.Matrix([u, v]) - EIGHTH * GRADIENT), (a, b), slow_drift=(v**2, u - v)),
}


@pytest.mark.parametrize("name", STATED)
def test_the_limit_is_that_of_the_derivatives_of_the_map(name):
    stated = STATED[name]
    factor = stated.factor
    free = sp.symbols(f"w0:{factor.cols}")
    drawn = dict(zip(stated.noise, factor * sp.Matrix(free), strict=True))
    noisy = NoisyMap(stated.state, tuple(g.xreplace(drawn) for g in stated.update), free)
    at = AT | {s: e.subs(AT) for s, e in stated.embedding} | {s: 0 for s in stated.state if s in (m, n)}
    drift, covariance = slow_motion(*derivatives(noisy, at), 1)
    slope, *_ = derivatives(noisy, at)
    left = np.linalg.svd(np.eye(len(slope)) - slope)
    along, across = left[2][-1], left[0][:, -1]
    slow = np.array([float(sp.sympify(g).subs(at)) for g in stated.slow_drift])
    drift = drift + along * (across @ slow) / (across @ along)
    sde = derive_limiting_sde(HYPERBOLA, optimizer=stated)
    values = values_at(sde, AT)
    np.testing.assert_allclose(values["drift"], drift[:2], rtol=1e-11, atol=1e-13)
    noise = values["tangent_noise"].reshape(2, -1)
    np.testing.assert_allclose(noise @ noise.T, covariance[:2, :2], rtol=1e-11, atol=1e-13)
    parts = [values[k] for k in values if k.endswith(("regularization", "compensation", "_drift"))]
    np.testing.assert_allclose(np.sum(parts, axis=0), values["drift"], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(sde.lambdify().drift([2, 0.5]), values["drift"], rtol=1e-9)
    if name != "averaged":  # five directions across Γ, too long to be written out
        np.testing.assert_allclose(np.array(sde.drift.subs(AT), dtype=float).ravel(), values["drift"], rtol=1e-12)


@pytest.mark.parametrize("name", STATED)
def test_the_map_itself_confirms_its_limit(name):
    certificate = verify(derive_limiting_sde(HYPERBOLA, optimizer=STATED[name]), rng=0)
    assert certificate.passed, str(certificate)
    own = [c for c in certificate.checks if c.method == "OwnIteration"]
    assert own and all(c.verdict == "measured" and c.error < 1e-9 for c in own)


def test_every_other_method_takes_a_map():
    certificate = verify(derive_limiting_sde(HYPERBOLA, optimizer=drop_connect()), checks=FULL, rng=0)
    assert certificate.passed, str(certificate)
    methods = {check.method for check in certificate.checks if check.verdict != "not run"}
    assert {"OwnIteration", "LiteralRoad", "SchemeOrders", "FloatErrors", "Enclosures"} <= methods


def wrong(sde, name, change):
    graph = Graph()
    outputs = sde.derivation.program.on(graph)
    changed = outputs[name].scaled(change)
    outputs["drift"] = outputs["drift"] + changed - outputs[name]
    outputs[name] = changed
    return sde.derivation.with_program(Program.of(outputs))


@pytest.mark.parametrize(
    ("stated", "term", "factor"),
    [
        (sharpness_aware, "noise_curvature_drift", 0),  # G_ξξ dropped
        (sharpness_aware, "normal_regularization", 2),
        (injected, "noise_curvature_drift", 0),
        (averaged, "tangent_noise_compensation", 2),
        (averaged, "normal_regularization", 0),
        (lambda: STATED["slow drift"], "imposed_drift", -1),
    ],
)
@pytest.mark.parametrize("method", [OwnIteration(), LiteralRoad()], ids=lambda method: type(method).__name__)
def test_wrong_terms_of_a_map_are_rejected(stated, term, factor, method):
    sde = derive_limiting_sde(HYPERBOLA, optimizer=stated())
    assert not examined(wrong(sde, term, factor), [method], 0, lambda words: None).passed


def test_the_heavy_ball_as_a_map_runs_and_ends_as_the_heavy_ball():
    ball = [HALF * w + g for w, g in zip((m, n), GRADIENT, strict=True)]
    stated = IteratedMap((u, v, m, n), (u - EIGHTH * ball[0], v - EIGHTH * ball[1], *ball), (a, b))
    known = HeavyBall(momentum=HALF, learning_rate=EIGHTH)
    common = {"noise_scale": 0.1, "steps": 100, "replicas": 50, "rng": 0}
    ours, theirs = (simulate_sgd(HYPERBOLA, [2, 0.5], optimizer=o, **common) for o in (stated, known))
    np.testing.assert_allclose(ours.final, theirs.final, atol=1e-12)
    assert ours.times[-1] == pytest.approx(100 * 0.01)
    np.testing.assert_allclose(
        iteration_limit(HYPERBOLA, stated)([1.5, 0.6]), iteration_limit(HYPERBOLA, known)([1.5, 0.6])
    )
    assert derive_limiting_sde(HYPERBOLA, optimizer=stated).valid_where[-1] == (u**2 + v**2 < 24)


def test_the_memory_starts_where_it_rests():
    """An average that starts at x, noise of the stated covariance, and a slow drift: a loop by hand, step by step."""
    stated = replace(averaged(), slow_drift=(1, 0, 0, 0, 0, 2))
    run = simulate_sgd(HYPERBOLA, [1.5, 0.8], optimizer=stated, noise_scale=1e-9, steps=7, replicas=1, rng=0)
    x, ball = np.array([1.5, 0.8]), np.zeros(2)
    average = x.copy()
    for _ in range(7):
        ball = ball / 2 + (x[0] * x[1] - 1) * x[::-1]
        x = x - ball / 8 + (average - x) / 4
        average = average + (x - average) / 2
    np.testing.assert_allclose(run.final[0], x, atol=1e-7)


def test_drawn_noise_has_the_stated_covariance():
    """One step from a flat loss: all 4 atoms ±√2 V^{1/2}e_i, so that means over many replicas are those of V within 5 standard errors."""
    stated = STATED["correlated noise"]
    run = simulate_sgd(HYPERBOLA, [2, 0.5], optimizer=stated, noise_scale=1, steps=1, replicas=20000, rng=1)
    moved = (run.final - [2, 0.5]) * 8
    np.testing.assert_allclose(moved.T @ moved / len(moved), [[2, 1], [1, 3]], atol=5 * 6 / np.sqrt(20000))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_stein_equation_is_solved(size):
    rng = np.random.default_rng(size)
    graph = Graph()
    names = sp.symbols(f"e0:{size * size}"), sp.symbols(f"v0:{size * (size + 1) // 2}")
    entry = lambda i, j: graph.symbol(names[1][min(i, j) * size - min(i, j) * (min(i, j) - 1) // 2 + abs(i - j)])  # noqa: E731
    e = Matrix.of([graph.symbol(names[0][i * size + j]) for j in range(size)] for i in range(size))
    right = Matrix.of([entry(i, j) for j in range(size)] for i in range(size))
    operator = SteinOperator(e)
    program = Program.of({"x": operator.solution(right), "s": operator.criterion})
    for radius in (0.9, 1.1):
        inner = rng.standard_normal((size, size))
        inner *= radius / np.abs(np.linalg.eigvals(inner)).max()
        covariance = rng.standard_normal((size, size))
        covariance = covariance @ covariance.T
        packed = [covariance[i, j] for i in range(size) for j in range(i, size)]
        point = dict(
            zip((*names[0], *names[1]), map(mpmath.mpf, [*(np.eye(size) - inner).ravel(), *packed]), strict=True)
        )
        with working_digits(50):
            found = {k: np.array(w, dtype=float).reshape(size, size) for k, w in program.run(PRECISE, point).items()}
        np.testing.assert_allclose(
            found["x"] - inner @ found["x"] @ inner.T, covariance, atol=1e-12 * np.abs(found["x"]).max()
        )
        assert (np.linalg.eigvalsh(found["s"])[0] > 0) == (radius < 1)


XY = (u - EIGHTH * GRADIENT[0], v - EIGHTH * GRADIENT[1])


@pytest.mark.parametrize(
    ("state", "further", "error", "words"),
    [
        ((u, v), {"update": (u,)}, BadShape, "update has 1 entries, and the state has 2"),
        ((u, v, u), {}, BadSymbol, "more than once"),
        ((u, v, a), {"update": (*XY, a)}, BadSymbol, "both in the state and in the noise"),
        ((u, v), {"update": "uv"}, BadInput, "update is a str"),
        ((u, v), {"noise": ()}, BadInput, "noise is empty"),
        ((u, v), {"covariance": sp.eye(3)}, BadShape, "covariance has to be a 2×2"),
        ((u, v), {"covariance": sp.Matrix([[1, 2], [2, 1]])}, BadInput, "not known to be positive definite"),
        ((u, v), {"covariance": sp.Matrix([[1, 1], [0, 1]])}, BadInput, "not symmetric"),
        ((u, v), {"covariance": sp.Matrix([[u, 0], [0, 1]])}, BadSymbol, "multiply what is drawn"),
        ((u, v), {"slow_drift": (a, 0)}, BadSymbol, "slow_drift holds a symbol of the noise"),
        ((u, v), {"embedding": {m: 0}}, BadSymbol, "no symbol of the state"),
    ],
)
def test_what_makes_no_map_is_refused(state, further, error, words):
    stated = {"update": XY, "noise": (a, b)} | further
    with pytest.raises(error, match=words):
        IteratedMap(state, **stated)


@pytest.mark.parametrize(
    ("stated", "error", "words"),
    [
        (IteratedMap((u, m), (u - a, m / 2), (a,)), BadInput, "parameter v is no symbol of the state"),
        (IteratedMap((u, v), (u - EIGHTH, v), (a,)), BadInput, "moves u at a point of Γ"),
        (IteratedMap((u, v, m), (*XY, m / 2 + 1), (a, b)), BadInput, "moves m at a point of Γ"),
        (IteratedMap((u, v, m), (*XY, m), (a, b)), Unstable, "leaves Γ"),  # a memory that never fades
        (IteratedMap((u, v), (u - 3 * GRADIENT[0], v - 3 * GRADIENT[1]), (a, b)), Unstable, "leaves Γ"),
        (IteratedMap((u, v, m), (*XY, m / 2), (a, b), embedding={m: v}), BadInput, "moves m at a point of Γ"),
        (IteratedMap((u, v), (XY[0] + sp.Abs(a), XY[1]), (a, b)), NotSmooth, "not smooth where it rests"),
        (
            IteratedMap((u, v), (u - EIGHTH * sp.sign(GRADIENT[0]), XY[1]), (a, b)),
            NotSmooth,
            "not smooth where it rests",
        ),
        (IteratedMap((u, v), (XY[0] + 1 / a, XY[1]), (a, b)), NotSmooth, "where it rests"),
        (IteratedMap((u, v, m), (*XY, sp.sqrt(m)), (a, b)), NotSmooth, "not smooth where it rests"),
    ],
)
def test_what_is_no_map_of_this_problem_is_refused(stated, error, words):
    with pytest.raises(error, match=words):
        derive_limiting_sde(HYPERBOLA, optimizer=stated)


def test_a_loss_with_a_modulus_is_derived_in_its_cell():
    moduli = Problem(loss=(sp.Abs(u) * v - 1) ** 2 / 2, parameters=(u, v), noise=sp.eye(2), near={u: 1, v: 1})
    step = lambda problem: tuple(sp.Matrix([u, v]) - EIGHTH * problem.noisy_gradient((a, b)))  # noqa: E731
    ours, plain = (derive_limiting_sde(p, optimizer=IteratedMap((u, v), step(p), (a, b))) for p in (moduli, HYPERBOLA))
    np.testing.assert_allclose(values_at(ours, AT)["drift"], values_at(plain, AT)["drift"], rtol=1e-12)


def test_constants_of_the_map_stay_symbols():
    eta = sp.Symbol("eta", positive=True)
    labels = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
    stated = IteratedMap((u, v), tuple(sp.Matrix([u, v]) - eta * labels.noisy_gradient((a, b))), (a, b))
    sde = derive_limiting_sde(labels, optimizer=stated)
    drift = sp.simplify(sde.drift.subs(AT).subs(eta, QUARTER) / QUARTER**2)
    assert list(drift) == [sp.Rational(-32, 17), sp.Rational(8, 17)]
    assert sde.lambdify().drift([2, 0.5], eta=0.25) == pytest.approx([-2 / 17, 0.5 / 17])


@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.campaign) for k in range(1, 20))])
def test_random_maps_against_the_derivatives_of_the_map(seed):
    """Two memories that rest where they bend, leaning on x and on each other, and noise that enters bilinearly."""
    rng = np.random.default_rng(seed)
    r = lambda parts: sp.Rational(int(rng.integers(-3, 4)), parts)  # noqa: E731
    f = u * v - 1 if seed % 2 else u**2 * v + v - 2
    problem = Problem(loss=f**2 / 2, parameters=(u, v), noise=sp.eye(2))
    g = problem.noisy_gradient((a, b))
    rest = {m: r(4) * u**2 + r(4) * v, n: r(4) * u * v**2 + r(4)}
    x, y = m - rest[m], n - rest[n]
    update = (
        u - EIGHTH * (g[0] * (1 + r(8) * v) + r(4) * x + r(4) * x * y + r(2) * a * b + r(2) * a**2 * f),
        v - EIGHTH * (g[1] + r(4) * x * y + r(4) * y + r(2) * b * x),
        rest[m] + x / 2 + r(8) * y + r(2) * a + r(4) * f + r(4) * x * f,
        rest[n] + r(8) * x + y / 3 + r(2) * b * u + r(4) * f * u,
    )
    sde = derive_limiting_sde(problem, optimizer=IteratedMap((u, v, m, n), update, (a, b), embedding=rest))
    at = {u: sp.S.One, v: sp.S.One}
    at |= {s: e.subs(at) for s, e in rest.items()}
    drift, covariance = slow_motion(*derivatives(NoisyMap((u, v, m, n), update, (a, b)), at), 1)
    functions = sde.lambdify()
    np.testing.assert_allclose(functions.drift([1, 1]), drift[:2], atol=1e-11 * np.abs(drift[:2]).max())
    noise = functions.diffusion([1, 1])
    np.testing.assert_allclose(noise @ noise.T, covariance[:2, :2], atol=1e-11 * np.abs(covariance[:2, :2]).max())


def test_verify_knows_where_a_map_does_not_stay():
    """Points of Γ beyond the edge of a map are refused by the callables, and that is right."""
    problem = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=sp.Matrix([[1, u], [0, 1]]))
    a, b, m, n = sp.symbols("a b m n")
    g = problem.noisy_gradient((a, b))
    ball = IteratedMap(state=(u, v, m, n), update=(u - m / 8, v - n / 8, m / 2 + g[0], n / 2 + g[1]), noise=(a, b))
    for seed in range(3):
        assert verify(derive_limiting_sde(problem, optimizer=ball), rng=seed).passed


@pytest.mark.parametrize("kept", [-1, 1])
def test_a_memory_that_never_fades_is_refused(kept):
    problem = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=sp.eye(2))
    a, b, m = sp.symbols("a b m")
    slope = [sp.diff(problem.loss, s) for s in (u, v)]
    stated = IteratedMap(state=(u, v, m), update=(u - slope[0] / 8 - a, v - slope[1] / 8 - b, kept * m), noise=(a, b))
    with pytest.raises(Unstable):
        derive_limiting_sde(problem, optimizer=stated)


def test_slow_fields_that_jump_are_refused():
    a, b = sp.symbols("a b")
    with pytest.raises(BadInput, match="jumps or bends"):
        SGD(slow_potential=sp.Abs(u))
    with pytest.raises(BadInput, match="jumps or bends"):
        IteratedMap(state=(u, v), update=(u - a, v - b), noise=(a, b), slow_drift=(sp.sign(u), 0))
