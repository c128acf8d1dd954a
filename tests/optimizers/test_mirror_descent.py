"""Mirror descent against its own iteration in the dual coordinates, and against the map that it is."""

import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from iterated import assert_iterated, assert_rejected, derived, failed
from map_identity import NoisyMap, derivatives, gradient_at, slow_motion

from symbolic_sgd import (
    SGD,
    IteratedMap,
    LabelNoise,
    MirrorDescent,
    Preconditioned,
    Problem,
    derive_limiting_sde,
    iteration_limit,
    simulate_sgd,
    verify,
)
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import BadInput, BadSymbol, NoClosedForm
from symbolic_sgd.optimizers.stated import optimizer_of, stated_document
from symbolic_sgd.problems.problem_file import file_from_document

R = sp.Rational
u, v, w = sp.symbols("u v w")
POSITIVE = [u > 0, v > 0]
LABEL = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1), domain=POSITIVE)
DENSE = Problem(loss=LABEL.loss, parameters=(u, v), noise=sp.Matrix([[1, u], [v, 0]]), domain=POSITIVE)
ENTROPY = u * sp.log(u) + v * sp.log(v)
EXPONENTIAL = sp.exp(u) + sp.exp(2 * v)
QUARTIC = u**2 / 2 + u**4 / 12 + v**2 / 2 + v**4 / 12
MIXED = u**2 + u * v + v**2 + (u + v) ** 4 / 12
AT = {u: sp.Integer(2), v: R(1, 2)}


@pytest.mark.parametrize("rate", [R(1, 16), None], ids=["η", "η → 0"])
@pytest.mark.parametrize("potential", [ENTROPY, EXPONENTIAL], ids=["entropy", "exponential"])
@pytest.mark.parametrize("problem", [LABEL, DENSE], ids=["label", "dense"])
def test_every_term_against_the_iteration_itself(problem, potential, rate):
    certificate = verify(derive_limiting_sde(problem, optimizer=MirrorDescent(potential, learning_rate=rate)), rng=0)
    assert certificate.passed, failed(certificate)
    own = [check for check in certificate.checks if check.name.startswith("own iteration")]
    assert len(own) >= 6
    assert all(check.verdict == "measured" for check in own)


@pytest.mark.parametrize("seed", [1, *(pytest.param(k, marks=pytest.mark.campaign) for k in range(2, 11))])
def test_random_losses_against_the_iteration(seed):
    """D = 3 to 5, M = 1 to 3, a dense σ(x), and a mirror that bends: each block, drift and covariance, to 10⁻⁸."""
    problem, *_ = random_problem(seed)
    potential = sp.Add(*[8 * k * sp.cosh(s / 4) for k, s in enumerate(problem.parameters, start=2)])
    sde = derive_limiting_sde(problem, optimizer=MirrorDescent(potential, learning_rate=R(1, 64)))
    assert_iterated(sde, rng=seed)


@pytest.mark.parametrize("potential", [QUARTIC, MIXED], ids=["quartic", "of both parameters"])
@pytest.mark.parametrize("problem", [LABEL, DENSE], ids=["label", "dense"])
def test_potentials_without_a_written_inverse(problem, potential):
    """By the derivatives of the map: x(y) to second order at ∇ψ(x), where no inverse is needed."""
    rate = R(1, 16)
    optimizer = MirrorDescent(potential, learning_rate=rate)
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    x, sigma = problem.parameters, sp.Matrix(problem.noise_factor)
    hessian = sp.hessian(potential, x)
    metric, bends = hessian.inv(), [hessian.diff(s) for s in x]
    draws = sp.symbols(f"xi0:{sigma.cols}")
    at = {s: a.subs(AT) for s, a in zip(x, sp.Matrix(x), strict=True)}
    dual = sp.Matrix([sp.diff(potential, s) for s in x])
    shift = dual - rate * (sp.Matrix(gradient_at(problem.loss, x, x)) + sigma * sp.Matrix(draws)) - dual.subs(at)
    metric, bends = metric.subs(at), [b.subs(at) for b in bends]
    moved = metric * shift
    second = [-(moved.T * b * moved)[0] / 2 for b in bends]
    update = sp.Matrix([at[s] for s in x]) + moved + metric * sp.Matrix(second)
    b, bent, noise, curvature = derivatives(NoisyMap(x, tuple(update), draws), at)
    drift, covariance = slow_motion(b, bent, noise, curvature, 1)
    f, row = sde.lambdify(), [2.0, 0.5]
    assert np.allclose(f.drift(row), drift / float(rate) ** 2, rtol=1e-10, atol=1e-12)
    diffusion = f.diffusion(row)
    assert np.allclose(diffusion @ diffusion.T, covariance / float(rate) ** 2, rtol=1e-10, atol=1e-12)
    certificate = verify(sde, rng=0)
    assert certificate.passed, failed(certificate)
    own = [check for check in certificate.checks if check.name.startswith("own iteration")]
    assert all(check.verdict == "not run" for check in own)  # and the certificate says why


def test_the_entropic_step_as_a_map():
    """x⁺ = x e^{−η(∇L + noise)}, by theorem/map_limit.py."""
    rate = R(1, 16)
    a, b = sp.symbols("a b")
    force = DENSE.noisy_gradient((a, b))
    update = [s * sp.exp(-rate * g) for s, g in zip((u, v), force, strict=True)]
    theirs = derive_limiting_sde(DENSE, optimizer=IteratedMap(state=(u, v), update=update, noise=(a, b)))
    ours = derive_limiting_sde(DENSE, optimizer=MirrorDescent(ENTROPY, learning_rate=rate))
    for name in ("mixed_regularization", "normal_regularization", "noise_curvature_drift", "drift"):
        assert rate**2 * getattr(ours, name).subs(AT) == getattr(theirs, name).subs(AT), name


@pytest.mark.parametrize("rate", [R(1, 16), None], ids=["η", "η → 0"])
def test_half_the_square_is_sgd(rate):
    ours = derive_limiting_sde(DENSE, optimizer=MirrorDescent((u**2 + v**2) / 2, learning_rate=rate))
    plain = derive_limiting_sde(DENSE, optimizer=SGD(learning_rate=rate))
    for name in ("tangent_noise_compensation", "mixed_regularization", "normal_regularization", "diffusion"):
        assert getattr(ours, name).subs(AT) == getattr(plain, name).subs(AT), name
    assert ours.noise_curvature_drift.is_zero_matrix


def test_label_noise_at_a_vanishing_rate():
    """drift = −¼ PS T[S]: less than the gradient of ¼ tr SH in the metric S⁻¹, by ¼ PSψ‴[SHS]."""
    sde = derive_limiting_sde(LABEL, optimizer=MirrorDescent(ENTROPY))
    metric = sp.diag(u, v)
    third = sp.Matrix(
        [sp.Add(*[sp.diff(LABEL.loss, a, a, s) * metric[i, i] for i, a in enumerate((u, v))]) for s in (u, v)]
    )
    expected = -(sde.tangent_projection * metric * third).subs(AT) / 4
    assert sde.drift.subs(AT) == expected.applyfunc(sp.nsimplify)


def test_curl_where_the_mirror_bends():
    """ψ″ = 1 + x², dim Γ = 2: the drift of label noise has no potential in the metric."""
    problem = Problem.least_squares([u * v + w**2 - 2 * w * u - 1], parameters=(u, v, w), noise=LabelNoise(1))
    potential = sp.Add(*[s**2 / 2 + s**4 / 12 for s in (u, v, w)])
    sde = derive_limiting_sde(problem, optimizer=MirrorDescent(potential))
    assert sde.regularizer is None
    certificate = verify(sde, rng=0)
    assert certificate.passed, failed(certificate)
    assert any(check.name == "regularizer: none, by its curl" for check in certificate.checks)


@pytest.mark.parametrize("rate", [R(1, 16), None], ids=["η", "η → 0"])
def test_a_preconditioner_is_not_the_same_and_is_rejected(rate):
    """Without what the step bends: ½P x″[Σ] and ½ηP x″[HCH]."""
    right, wrong = MirrorDescent(ENTROPY, learning_rate=rate), Preconditioned(sp.diag(u, v), learning_rate=rate)
    assert_rejected(DENSE, right, _with(derived(DENSE, wrong).program, derived(DENSE, right).program))


def _with(program, other):
    graph = Graph()
    terms = program.on(graph)
    name = "noise_curvature_drift"
    terms[name] = other.select(name).on(graph)[name].map(lambda entry: 0 * entry)
    return Program.of(terms)


def test_runs_and_limits():
    optimizer = MirrorDescent(ENTROPY, learning_rate=R(1, 20))
    run = simulate_sgd(DENSE, [2, 0.5], optimizer=optimizer, noise_scale=0.1, steps=3, replicas=50, rng=0)
    assert np.all(run.final > 0)
    x = np.array([2.2, 0.6])
    for _ in range(600):
        x = x * np.exp(-0.05 * (x[0] * x[1] - 1) * x[::-1])
    assert np.allclose(iteration_limit(DENSE, optimizer)([2.2, 0.6]), x, atol=1e-11)
    with pytest.raises(NoClosedForm, match="IteratedMap"):
        simulate_sgd(DENSE, [2, 0.5], optimizer=MirrorDescent(QUARTIC, R(1, 20)), steps=3, replicas=2, rng=0)
    with pytest.raises(NoClosedForm, match="sum of functions of one parameter"):
        simulate_sgd(DENSE, [2, 0.5], optimizer=MirrorDescent(MIXED, R(1, 20)), steps=3, replicas=2, rng=0)


REFUSED = [
    (lambda: MirrorDescent("psi"), BadInput, "SymPy expression"),
    (lambda: MirrorDescent(sp.Abs(u)), BadInput, "jumps or bends"),
    (lambda: MirrorDescent(0.5 * u**2), BadInput, "floating-point"),
    (lambda: derive_limiting_sde(DENSE, optimizer=MirrorDescent(u**2)), BadInput, "singular everywhere"),
    (lambda: derive_limiting_sde(DENSE, optimizer=MirrorDescent(u**2 - v**2)), BadInput, "not positive definite"),
    (lambda: derive_limiting_sde(DENSE, optimizer=MirrorDescent(u**2 + v**2 + w**2)), BadSymbol, "w"),
]


@pytest.mark.parametrize(("state", "kind", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_makes_no_sense_is_refused(state, kind, words):
    with pytest.raises(kind, match=words):
        state()


def test_files_and_print():
    optimizer = MirrorDescent(ENTROPY, learning_rate=R(1, 16))
    again = file_from_document(stated_document(DENSE, optimizer), source="the test")
    assert repr(optimizer_of(again.optimizer)) == repr(optimizer)
    sde = derive_limiting_sde(DENSE, optimizer=optimizer)
    text = sde.latex()
    assert r"b_{\xi\xi} &= \frac{1}{2}\,\partial\Phi x''[\Sigma]" in text
    assert "x''[\\nabla^2 L S \\nabla^2 L]" in text
    values = sde.structure.at(AT)
    assert np.allclose(values["b"], np.array(sde.drift.subs(AT), dtype=float), rtol=1e-12)
    assert (
        r"\Sigma_{\perp} &= \nabla^2 L\,S" not in derive_limiting_sde(DENSE, optimizer=MirrorDescent(ENTROPY)).latex()
    )
