"""Label noise on batches of b of n residuals, drawn without replacement, with a sign for each."""

from fractions import Fraction
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import (
    LLVM,
    SGD,
    FusedSGD,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    Problem,
    derive_limiting_sde,
    simulate_sde,
    simulate_sgd,
    verify,
)
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.checks.drawn_noise import DrawnNoise
from symbolic_sgd.checks.iteration_road import OwnIteration
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.errors import BadInput, SingularPoint
from symbolic_sgd.numeric.random_step import sgd_step
from symbolic_sgd.problems.as_data import problem_document
from symbolic_sgd.problems.noise import share_of_one
from symbolic_sgd.problems.problem_file import problem_from_text
from symbolic_sgd.simulate.increments import Batches

u, v, w = sp.symbols("u v w")
X = (u, v, w)
F = u * v - 1
CURVED = [F, sp.Rational(3, 2) * F * (1 + u), F * v, F * (u - 2)]
"""All are zero on Γ = {uv = 1}: the codimension is 1 for any number of them."""

TWO = [F, w - u**2, F * (1 + w) + sp.Rational(1, 2) * (w - u**2)]
"""Codimension 2."""

AMPLITUDES = [sp.Integer(1), sp.Rational(1, 2), sp.Integer(2), sp.Rational(3, 2)]
RATE = sp.Rational(1, 20)


def curved(n, b, amplitude=None):
    noise = LabelNoise(AMPLITUDES[:n] if amplitude is None else amplitude, batch_size=b)
    return Problem.least_squares(CURVED[:n], parameters=(u, v), noise=noise)


def steps(problem, at):
    """(1/b)Σ_{i∈B}(r_i ± δ_i)∇r_i for all batches and signs: equally likely, by hand."""
    residuals = [r.subs(at) for r in problem.residuals]
    slopes = [sp.Matrix([sp.diff(r, x) for x in problem.parameters]).subs(at) for r in problem.residuals]
    n, b = len(residuals), problem.noise.batch_size
    return [
        sum(
            ((residuals[i] + s * AMPLITUDES[i]) * slopes[i] for i, s in zip(batch, signs, strict=True)),
            sp.zeros(len(problem.parameters), 1),
        )
        / b
        for batch in combinations(range(n), b)
        for signs in product((1, -1), repeat=b)
    ]


def moments(drawn):
    mean = sum(drawn, sp.zeros(*drawn[0].shape)) / len(drawn)
    return mean, sum(((m - mean) * (m - mean).T for m in drawn), sp.zeros(len(mean))) / len(drawn)


@pytest.mark.parametrize(("n", "b"), [(2, 1), (2, 2), (3, 2), (4, 2), (4, 3), (4, 4)])
@pytest.mark.parametrize("x", [(3, sp.Rational(1, 3)), (2, sp.Rational(2, 7))], ids=["on Γ", "off Γ"])
def test_the_covariance_is_that_of_all_batches(n, b, x):
    """Off Γ, batch_size=n is the full gradient; its mean and covariance are the same sums."""
    problem, at = curved(n, b), dict(zip((u, v), x, strict=True))
    mean, covariance = moments(steps(problem, at))
    sigma = problem.noise_factor.subs(at)
    assert mean == sp.Matrix([sp.diff(problem.loss, s) for s in (u, v)]).subs(at)
    assert sp.simplify(sigma * sigma.T - covariance) == sp.zeros(2)


@pytest.mark.parametrize(("n", "b"), [(2, 1), (3, 2), (4, 2), (4, 3), (5, 4), (5, 5)])
def test_second_moments_of_batches(n, b):
    """E[H_BSH_B] over all batches is α E[H_iSH_i] + (1 − α)HSH."""
    rng = np.random.default_rng(n * 10 + b)
    slopes = [sp.Matrix(rng.integers(-4, 5, 3).tolist()) for _ in range(n)]
    hessians = [a * a.T for a in slopes]
    factor = sp.Matrix(rng.integers(-4, 5, (3, 3)).tolist())
    s = factor * factor.T
    average = lambda matrices: sum(matrices, sp.zeros(3)) / len(matrices)  # noqa: E731
    batches = [average(chosen) for chosen in combinations(hessians, b)]
    alpha = sp.Rational(str(share_of_one(n, b)))
    h = average(hessians)
    assert (
        average([m * s * m for m in batches])
        == alpha * average([m * s * m for m in hessians]) + (1 - alpha) * h * s * h
    )


def test_the_share_ends_in_one_sample_and_in_all():
    for n in range(2, 9):
        shares = [share_of_one(n, b) for b in range(1, n + 1)]
        assert shares[0] == 1 and shares[-1] == 0 and shares == sorted(shares, reverse=True)
    assert share_of_one(1, 1) == 1


@pytest.mark.parametrize("rate", [None, RATE], ids=["vanishing", "finite"])
def test_it_is_verified(rate):
    """The literal theorem, the iteration followed through all batches, and everything else that `verify` knows."""
    sde = derive_limiting_sde(curved(3, 2), optimizer=SGD(learning_rate=rate))
    certificate = verify(sde, rng=1)
    assert certificate.passed, str(certificate)
    assert any("simulators draw" in c.name or "noise of SGD: covariance" in c.name for c in certificate.checks)


@pytest.mark.parametrize(
    ("problem", "rate", "sequences"),
    [(curved(4, 2), RATE, 40), (curved(4, 3), RATE, 20)],
    ids=["2 of 4", "3 of 4"],
)
def test_the_iteration_through_all_batches(problem, rate, sequences):
    sde = derive_limiting_sde(problem, optimizer=SGD(learning_rate=rate))
    certificate = verify(sde, checks=(OwnIteration(sequences), LiteralRoad()), rng=0)
    assert certificate.passed, str(certificate)
    assert "measured" in {c.verdict for c in certificate.checks if c.name.startswith("own iteration: drift")}


def by_enumeration(problem, rate, x):
    """S across Γ with HS + SH − η·mean over all batches of H_BSH_B = Σ, and −½∂Φ∂²(∇L)[S], in float64."""
    at = dict(zip(problem.parameters, x, strict=True))
    hessian = lambda point: np.array(sp.hessian(problem.loss, problem.parameters).subs(point), dtype=float)  # noqa: E731
    h = hessian(at)
    slopes = [np.array([sp.diff(r, s).subs(at) for s in problem.parameters], dtype=float) for r in problem.residuals]
    values, axes = np.linalg.eigh(h)
    normal, tangent = axes[:, values > 1e-9], axes[:, values <= 1e-9]
    _, covariance = moments(steps(problem, at))
    inner = normal.T @ h @ normal
    batches = [
        normal.T @ np.mean([np.outer(a, a) for a in chosen], axis=0) @ normal
        for chosen in combinations(slopes, problem.noise.batch_size)
    ]
    one = np.eye(len(inner))
    system = np.kron(inner, one) + np.kron(one, inner) - rate * np.mean([np.kron(m, m) for m in batches], axis=0)
    right = normal.T @ np.array(covariance, dtype=float) @ normal
    s = normal @ np.linalg.solve(system, right.ravel()).reshape(right.shape) @ normal.T
    bent = sp.Matrix(
        [
            (sp.hessian(sp.diff(problem.loss, y), problem.parameters).subs(at) * sp.Matrix(s)).trace()
            for y in problem.parameters
        ]
    )
    return s, -tangent @ tangent.T @ np.array(bent, dtype=float).ravel() / 2, np.linalg.eigvals(system).real.min()


@pytest.mark.parametrize("b", [1, 2, 3])
def test_of_codimension_two_by_enumeration(b):
    """All batches by hand, against the derivation; for b = n that is the kernel, for b = 1 the map of one sample."""
    problem = Problem.least_squares(TWO, parameters=X, noise=LabelNoise(AMPLITUDES[:3], batch_size=b))
    sde = derive_limiting_sde(problem, optimizer=SGD(learning_rate=RATE))
    x = (sp.Rational(5, 4), sp.Rational(4, 5), sp.Rational(25, 16))
    s, normal, least = by_enumeration(problem, float(RATE), x)
    assert least > 0
    values = sde.lambdify()
    assert np.allclose(values.normal_regularization(np.array(x, dtype=float)), normal, rtol=1e-10, atol=1e-12)
    assert np.allclose(values.term("lyapunov_solution", np.array(x, dtype=float)), s, rtol=1e-10, atol=1e-12)


def test_where_it_is_stable_is_where_all_batches_are():
    """Callables accept rates below the edge of mean-square stability of the batches and refuse those above it."""
    edges, h, x = [], sp.Symbol("h", positive=True), (sp.Integer(1), sp.Integer(1))
    for b in (1, 2, 3):
        problem = curved(3, b)
        f = derive_limiting_sde(problem, optimizer=SGD(learning_rate=h)).lambdify()
        # One curvature: its moment vanishes at the edge, and is linear in the rate.
        at_zero, at_one = (by_enumeration(problem, rate, x)[2] for rate in (0.0, 1.0))
        edges.append(at_zero / (at_zero - at_one))
        assert np.isfinite(f.drift(np.ones(2), h=0.999 * edges[-1])).all()
        with pytest.raises(SingularPoint, match="beyond its edge of stability"):
            f.drift(np.ones(2), h=1.001 * edges[-1])
    assert edges[0] < edges[1] < edges[2]


def test_equal_amplitudes_give_a_multiple_of_the_curvature():
    problem = curved(3, 2, sp.Integer(3))
    sde = derive_limiting_sde(problem)
    assert sde.derivation.proportion == sp.Rational(9, 2)
    half = derive_limiting_sde(curved(3, 1, 3 / sp.sqrt(2)))
    assert sp.simplify(sde.drift - half.drift) == sp.zeros(2, 1)


@pytest.mark.parametrize(("n", "b"), [(3, 2), (4, 3)])
def test_simulated_steps_are_all_batches(n, b):
    """60,000 steps from a point off Γ: every end is one of the enumeration, and its frequency is within 5 standard deviations (fixed
    seed; each of the outcomes then fails by chance with probability 6·10⁻⁷)."""
    problem, at = curved(n, b), {u: 2, v: sp.Rational(2, 7)}
    eta, replicas = Fraction(1, 64), 60_000
    run = simulate_sgd(problem, [2, 2 / 7], learning_rate=float(eta), steps=1, replicas=replicas, rng=7)
    expected = np.array([[float(2 - e[0] / 64), float(sp.Rational(2, 7) - e[1] / 64)] for e in steps(problem, at)])
    assert len(expected) == comb(n, b) * 2**b
    nearest = np.linalg.norm(run.final[:, None] - expected, axis=2)
    assert nearest.min(axis=1).max() < 1e-12
    counts = np.bincount(nearest.argmin(axis=1), minlength=len(expected))
    p = 1 / len(expected)
    assert (np.abs(counts - replicas * p) < 5 * np.sqrt(replicas * p * (1 - p))).all()


def test_batches_list_all_that_they_draw():
    variants = np.arange(12.0).reshape(2, 1, 6)
    batches = Batches(variants, 3)
    columns = batches.outcomes(10**4)
    assert columns.shape == (3, batches.count) == (3, comb(6, 3) * 8)
    assert len(np.unique(columns, axis=1).T) == batches.count
    assert batches.outcomes(5).shape == (3, 5)
    assert batches.same_law(Batches(variants.copy(), 3)) and not batches.same_law(Batches(variants, 2))
    out, fill = np.empty((3, 2000)), batches.stream(np.random.default_rng(0), 2000)
    fill(out)
    assert {frozenset(c) for c in out.T} == {frozenset(c) for c in columns.T}


def test_simulation_moves_as_the_limit_says():
    """500 steps at ε = 1/16, from (1, 1): the mean of u − v is that of the limit, simulated, within 5 standard errors (fixed seeds; 1 in
    1.7 million fails by chance). HSH in the place of E[H_BSH_B] makes the drift (2λ − ηE[H_B²])/(2λ − ηλ²) times it, further away."""
    eta, epsilon, count, replicas = 0.1, 0.0625, 500, 10_000
    sde = derive_limiting_sde(curved(3, 2), optimizer=SGD(learning_rate=sp.Rational(1, 10)))
    run = simulate_sgd(
        sde.problem, [1, 1], optimizer=sde.optimizer, noise_scale=epsilon, steps=count, replicas=replicas, rng=3
    )
    t = count * (eta * epsilon) ** 2
    limit = simulate_sde(sde, [1, 1], time=t, step=t / 20, replicas=replicas, rng=4)
    moved, expected = (ends.final @ [1, -1] for ends in (run, limit))
    allowed = 5 * np.hypot(moved.std(), expected.std()) / np.sqrt(replicas)
    assert abs(moved.mean() - expected.mean()) < allowed
    # |∇r_i|² is 2, 18 and 2 there.
    mean, square = 22 / 3, (10**2 + 2**2 + 10**2) / 3
    full = (2 * mean - eta * square) / (2 * mean - eta * mean**2)
    assert abs(moved.mean() - full * expected.mean()) > allowed


def test_the_compiled_loop_says_that_it_draws_no_batches():
    with pytest.raises(BadInput, match=r"batch_size is 2.*one row of a table"):
        sgd_step(curved(3, 2))
    certificate = verify(derive_limiting_sde(curved(3, 2)), checks=(DrawnNoise(),), rng=0)
    reasons = {c.verdict: c.detail for c in certificate.checks if "compiled" in c.name}
    assert set(reasons) == {"not run"} and "batch_size is 2" in reasons["not run"]
    pytest.importorskip("llvmlite")
    with pytest.raises(BadInput, match=r"batch_size is 2.*one row of a table"):
        FusedSGD(curved(3, 2), LLVM())([2.0, 0.5], learning_rate=0.1, count=1, seed=0)


def test_files_hold_the_size_of_batches():
    problem = curved(3, 2)
    assert problem_document(problem)["noise"]["batch_size"] == 2
    text = 'residuals = ["u*v - 1", "u*v - 1", "u - v"]\nparameters = ["u", "v"]\nnoise = { kind = "label", batch_size = 2 }'
    assert problem_from_text(text).noise == LabelNoise(1, 2)
    with pytest.raises(BadInput, match=r"batch_size is 4; it can be a whole number from 1 .* to 3"):
        problem_from_text(text.replace("batch_size = 2", "batch_size = 4"))


@pytest.mark.parametrize("size", [0, -1, 4, True, 2.0, "2"])
def test_other_sizes_are_refused(size):
    with pytest.raises(BadInput, match=r"batch_size is .* from 1 .* to 3"):
        curved(3, size)


def test_what_batches_are_not_derived_for_is_refused():
    with pytest.raises(BadInput, match="a random map"):
        derive_limiting_sde(curved(3, 2), optimizer=HeavyBall(momentum=0.5, learning_rate=RATE))
    apart = Problem.least_squares([u * v - 1, u * v - 2, u * v], parameters=(u, v), noise=LabelNoise(1, batch_size=2))
    with pytest.raises(BadInput, match="not all of them rest on Γ"):
        derive_limiting_sde(apart, optimizer=SGD(learning_rate=RATE))


def test_it_is_told_in_words():
    sde = derive_limiting_sde(curved(3, 2), optimizer=SGD(learning_rate=RATE))
    assert "η(1/4 E[HᵢSHᵢ] + 3/4 HSH), of SGD on 2 of 3 samples" in sde.derivation.response.words
    amplitudes = "by ±δ of its own, δ = (1, 1/2, 2)."
    assert (
        sde.problem.noise.statement
        == f"label noise: each step takes 2 of the residuals, draws a sign for each, and moves its label {amplitudes}"
    )
    assert IsotropicNoise(1).batch(curved(3, 2)) == 1


def test_too_many_batches_are_not_followed():
    residuals = [F * (1 + k * u) for k in range(12)]
    problem = Problem.least_squares(residuals, parameters=(u, v), noise=LabelNoise(1, batch_size=6))
    sde = derive_limiting_sde(problem, optimizer=SGD(learning_rate=sp.Rational(1, 2000)))
    certificate = verify(sde, checks=(OwnIteration(),), rng=0)
    assert {c.verdict for c in certificate.checks} == {"not run"}
    assert "924 batches of 6 samples" in certificate.checks[0].detail
    three = derive_limiting_sde(curved(4, 2), optimizer=SGD(learning_rate=RATE))
    (first, *_) = verify(three, checks=(OwnIteration(),), rng=0).checks
    assert first.verdict == "not run" and "one of 6 batches, and there are 36 sequences, more than 20" in first.detail


@pytest.mark.parametrize("b", [1, 3])
def test_the_map_of_other_batches_is_rejected(b):
    """With the same Σ on Γ, but α = 1 or 0 in the place of 1/4: by the iteration, and by the literal theorem."""
    right = derive_limiting_sde(curved(3, 2), optimizer=SGD(learning_rate=RATE))
    scaled = [a * sp.sqrt(sp.Rational(b, 2)) for a in AMPLITUDES[:3]]
    other = derive_limiting_sde(curved(3, b, scaled), optimizer=SGD(learning_rate=RATE))
    graph = Graph()
    terms = other.derivation.program.on(graph)
    terms["tangent_noise"] = right.derivation.program.on(graph)["tangent_noise"]  # whose columns are others
    mutant = LimitingSDE(right.derivation.with_program(Program.of(terms)))
    for method in (OwnIteration(), LiteralRoad()):
        assert verify(right, checks=(method,), rng=0).passed
        verdicts = {c.verdict for c in verify(mutant, checks=(method,), rng=0).checks}
        assert "failed" in verdicts, type(method).__name__


def test_the_structural_formulas_say_it():
    sde = derive_limiting_sde(curved(3, 2), optimizer=SGD(learning_rate=RATE))
    x, y = sp.Rational(3, 2), sp.Rational(2, 3)
    found, (solution, normal, _) = sde.structure.at({u: x, v: y}), by_enumeration(sde.problem, float(RATE), (x, y))
    assert np.allclose(np.array(found["S"], dtype=float), solution, rtol=1e-10)
    assert np.allclose(np.array(found["b_⊥"], dtype=float).ravel(), normal, rtol=1e-10)
    (stated,) = (given for given in sde.structure.given if "E[" in str(given))
    assert "1/80 E[aᵢaᵢᵀ S aᵢaᵢᵀ] - 3/80 ∇²L S ∇²L, aᵢ = ∇rᵢ" in str(stated)
    assert r"\frac{3}{80}\,\nabla^2 L\,S\,\nabla^2 L" in sde.latex()
