"""Preconditioned SGD against its own map, written out once more; its potential in the metric S⁻¹; what it does not accept."""

import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from iterated import assert_iterated, assert_rejected, derived, failed
from map_identity import NoisyMap, derivatives, gradient_at, slow_motion

from symbolic_sgd import (
    SGD,
    IsotropicNoise,
    IteratedMap,
    LabelNoise,
    Preconditioned,
    Problem,
    derive_limiting_sde,
    iteration_limit,
    simulate_sgd,
    verify,
)
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol, Unstable
from symbolic_sgd.optimizers.stated import optimizer_of, stated_document
from symbolic_sgd.problems.problem_file import file_from_document

u, v, w = sp.symbols("u v w")
eta, c = sp.symbols("eta c", positive=True)
HALF, RATE = sp.Rational(1, 2), sp.Rational(1, 16)
CONSTANT = sp.Matrix([[2, HALF], [HALF, 1]])
BENT = sp.Matrix([[1 + u**2, HALF], [HALF, 2 + u * v + v**2]])
AT = {u: sp.Integer(2), v: HALF}
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
DENSE = Problem(loss=HYPERBOLA.loss, parameters=(u, v), noise=sp.Matrix([[1, u], [v, 0]]))


def random_metric(x, rng):
    """I + BBᵀ + a positive function of x on the diagonal: positive definite everywhere."""
    d = len(x)
    base = sp.Matrix(d, d, lambda i, j: sp.Rational(int(rng.integers(-3, 4)), 4))
    bent = sp.diag(*[sp.Rational(int(rng.integers(1, 4)), 4) * x[int(rng.integers(d))] ** 2 for _ in range(d)])
    return sp.eye(d) + base * base.T / d + bent


def by_the_map(problem, metric, rate, point, rank):
    """Drift and covariance per ε²η², by derivatives of x − ηS(∇L + σξ)."""
    x = problem.parameters
    draws = sp.symbols(f"xi0:{problem.noise.sigma.cols}")
    force = sp.Matrix(gradient_at(problem.loss, x, x)) + problem.noise.sigma * sp.Matrix(draws)
    update = sp.Matrix(x) - rate * metric * force
    b, second, noise, curvature = derivatives(NoisyMap(x, tuple(update), draws), point)
    drift, covariance = slow_motion(b, second, noise, curvature, len(x) - rank)
    return drift / float(rate) ** 2, covariance / float(rate) ** 2


def test_the_worked_number_of_a_constant_preconditioner():
    sde = derive_limiting_sde(HYPERBOLA, optimizer=Preconditioned(CONSTANT, learning_rate=sp.Rational(1, 8)))
    assert list(sde.drift.subs(AT)) == [sp.Rational(-56, 33), sp.Rational(14, 33)]
    assert sde.valid_where == (u**2 + u * v + 2 * v**2 < 16,)
    assert sde.covariance_kernel is None


@pytest.mark.parametrize("seed", [1, *(pytest.param(k, marks=pytest.mark.campaign) for k in (2, *range(5, 13)))])
def test_random_losses_in_random_metrics_against_their_map(seed):
    """D = 3 to 5, M = 1 to 3, dense σ(x) and S(x): by the derivatives of the map, and by iterating it."""
    problem, *_ = random_problem(seed)
    metric = random_metric(problem.parameters, np.random.default_rng(seed))
    sde = derive_limiting_sde(problem, optimizer=Preconditioned(metric, learning_rate=sp.Rational(1, 64)))
    for point in sde.derivation.points[:2]:
        expected, covariance = by_the_map(problem, metric, sp.Rational(1, 64), point, sde.manifold.codimension)
        row = [float(point[s]) for s in problem.parameters]
        f = sde.lambdify()
        scale = max(np.abs(expected).max(), np.abs(covariance).max())
        assert np.allclose(f.drift(row), expected, rtol=0, atol=1e-8 * scale)
        diffusion = f.diffusion(row)
        assert np.allclose(diffusion @ diffusion.T, covariance, rtol=0, atol=1e-8 * scale)
    assert_iterated(sde, rng=seed)


@pytest.mark.parametrize("rate", [None, eta], ids=["η → 0", "η"])
@pytest.mark.parametrize("problem", [HYPERBOLA, DENSE], ids=["label", "dense"])
def test_the_identity_is_sgd(problem, rate):
    ours = derive_limiting_sde(problem, optimizer=Preconditioned(sp.eye(2), learning_rate=rate))
    plain = derive_limiting_sde(problem, optimizer=SGD(learning_rate=rate))
    for name in ("tangent_noise_compensation", "mixed_regularization", "normal_regularization", "diffusion"):
        difference = getattr(ours, name) - getattr(plain, name)
        at = difference.subs({u: sp.Rational(7, 3), v: sp.Rational(3, 7), eta: sp.Rational(1, 5)})
        assert at.applyfunc(sp.simplify) == sp.zeros(*at.shape), name


@pytest.mark.parametrize("rate", [None, sp.Rational(1, 16)], ids=["η → 0", "η"])
def test_a_constant_metric_is_sgd_in_other_coordinates(rate):
    """S = diag(4, 9): x = S^{1/2}y makes it SGD in y on L(S^{1/2}y) with the noise S^{1/2}σ."""
    scale = sp.diag(2, 3)
    there = dict(zip((u, v), scale * sp.Matrix([u, v]), strict=True))
    moved = Problem(loss=DENSE.loss.xreplace(there), parameters=(u, v), noise=scale * DENSE.noise.sigma.xreplace(there))
    plain = derive_limiting_sde(moved, optimizer=SGD(learning_rate=rate))
    ours = derive_limiting_sde(DENSE, optimizer=Preconditioned(scale**2, learning_rate=rate))
    back = {u: AT[u] / 2, v: AT[v] / 3}
    for name in ("tangent_noise_compensation", "mixed_regularization", "normal_regularization", "diffusion"):
        assert getattr(ours, name).subs(AT) == scale * getattr(plain, name).subs(back), name


def test_a_map_says_the_same():
    """By theorem/map_limit.py, a second road inside the package, with weight decay."""
    a, b = sp.symbols("a b")
    update = sp.Matrix([u, v]) - RATE * BENT * DENSE.noisy_gradient((a, b))
    slow = tuple(-(RATE**2) * sp.Matrix([u, v]) / 3)
    stated = IteratedMap(state=(u, v), update=tuple(update), noise=(a, b), slow_drift=slow)
    ours = derive_limiting_sde(
        DENSE, optimizer=Preconditioned(BENT, learning_rate=RATE, weight_decay=sp.Rational(1, 3))
    )
    theirs = derive_limiting_sde(DENSE, optimizer=stated)
    for name in ("mixed_regularization", "normal_regularization", "imposed_drift", "drift"):
        assert RATE**2 * getattr(ours, name).subs(AT) == getattr(theirs, name).subs(AT), name
    spread = [sde.diffusion.subs(AT) * sde.diffusion.subs(AT).T for sde in (ours, theirs)]
    assert RATE**2 * spread[0] == spread[1]


@pytest.mark.parametrize("noise", [LabelNoise(1), IsotropicNoise(1)], ids=["label", "isotropic"])
def test_r_in_the_metric_is_the_spectrum_of_s_h(noise):
    """Label noise: R = −(1/2η) tr log(1 − ηSH/2) → ¼ tr SH; M = 2 included, where R is a determinant."""
    metric = sp.Matrix([[2, HALF, 0], [HALF, 1, 0], [0, 0, 3]])
    two = Problem.least_squares([u * v - 1, w + u**2 / 2 - v], parameters=(u, v, w), noise=LabelNoise(1, batch_size=2))
    for problem, s, rate in ((HYPERBOLA, CONSTANT, RATE), (HYPERBOLA, CONSTANT, None), (two, metric, RATE)):
        sde = derive_limiting_sde(problem, optimizer=Preconditioned(s, learning_rate=rate))
        assert sde.regularizer is not None
        check = verify(sde, rng=0)
        assert check.passed, failed(check)
        assert any(c.name.startswith("regularizer: −∂ΦS_P∇R") and c.verdict == "measured" for c in check.checks)
    if isinstance(noise, LabelNoise):
        sde = derive_limiting_sde(HYPERBOLA, optimizer=Preconditioned(CONSTANT))
        assert sp.expand(sde.regularizer - (2 * v**2 + u * v + u**2) / 4) == 0  # (1/4) tr SH


def test_a_bent_metric_has_no_r_of_this_kind_and_says_so_by_its_curl():
    """In a metric that depends on x the drift has curl, where dim Γ ≥ 2."""
    problem = Problem.least_squares([u * v * w - 1], parameters=(u, v, w), noise=LabelNoise(1))
    metric = sp.diag(1 + v**2, 1 + w**2, 1 + u**2)
    sde = derive_limiting_sde(problem, optimizer=Preconditioned(metric))
    assert sde.regularizer is None
    certificate = verify(sde, rng=0)
    assert certificate.passed, failed(certificate)
    assert any(check.name == "regularizer: none, by its curl" for check in certificate.checks)


MUTANTS = {
    "∂S dropped": lambda s: s.subs(AT),
    "another S": lambda s: 2 * s,
    "S forgotten": lambda s: sp.eye(2),
}


@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.parametrize("rate", [RATE, None], ids=["η", "η → 0"])
def test_wrong_formulas_are_rejected(name, rate):
    right, wrong = (Preconditioned(metric, learning_rate=rate) for metric in (BENT, MUTANTS[name](BENT)))
    assert_rejected(DENSE, right, derived(DENSE, wrong).program)


def test_a_wrong_pseudo_inverse_is_rejected():
    right = Preconditioned(BENT, learning_rate=RATE)
    terms = derived(DENSE, right).program.on(Graph())
    terms["hessian_pinv"] = terms["hessian_pinv"].map(lambda entry: 2 * entry)
    assert_rejected(DENSE, right, Program.of(terms), methods=(LiteralRoad(),))


def test_the_optimizer_itself_is_simulated():
    optimizer = Preconditioned(BENT, learning_rate=sp.Rational(1, 20))
    run = simulate_sgd(DENSE, [2, 0.5], optimizer=optimizer, noise_scale=0.1, steps=3, replicas=2000, rng=0)
    assert run.times[-1] == pytest.approx(3 * (0.05 * 0.1) ** 2)
    end = iteration_limit(DENSE, optimizer)([2.2, 0.6])
    x = np.array([2.2, 0.6])
    for _ in range(400):
        s = np.array(BENT.subs({u: x[0], v: x[1]}), dtype=float)
        x = x - 0.05 * s @ ((x[0] * x[1] - 1) * x[::-1])
    assert np.allclose(end, x, atol=1e-12)


REFUSED = [
    (lambda: Preconditioned("S"), BadInput, "give a SymPy Matrix"),
    (lambda: Preconditioned(sp.ones(2, 3)), BadShape, "it has to be square"),
    (lambda: Preconditioned(sp.Matrix([[1, 2], [3, 4]])), BadInput, "not symmetric"),
    (lambda: Preconditioned(sp.eye(2) * 0.5), BadInput, "floating-point"),
    (lambda: derive_limiting_sde(HYPERBOLA, optimizer=Preconditioned(sp.eye(3))), BadShape, "give a 2×2 Matrix"),
    (lambda: derive_limiting_sde(HYPERBOLA, optimizer=Preconditioned(w * sp.eye(2))), BadSymbol, "w"),
    (
        lambda: derive_limiting_sde(HYPERBOLA, optimizer=Preconditioned(sp.diag(-1, 1))),
        BadInput,
        "not positive definite at a point of Γ",
    ),
    (lambda: derive_limiting_sde(HYPERBOLA, optimizer=Preconditioned(9 * CONSTANT, learning_rate=1)), Unstable, "Γ"),
]


@pytest.mark.parametrize(("state", "kind", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_makes_no_sense_is_refused(state, kind, words):
    with pytest.raises(kind, match=words):
        state()


def test_samples_in_a_metric_are_refused():
    two = Problem.least_squares([u * v - 1, w + u**2 / 2 - v], parameters=(u, v, w), noise=LabelNoise(1))
    with pytest.raises(BadInput, match="derived for SGD"):
        derive_limiting_sde(two, optimizer=Preconditioned(sp.eye(3), learning_rate=RATE))
    derive_limiting_sde(two, optimizer=Preconditioned(sp.eye(3)))


def test_constants_of_the_problem_may_stand_in_s():
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1), constants=(c,))
    sde = derive_limiting_sde(problem, optimizer=Preconditioned(sp.diag(c, 1 + u**2), learning_rate=eta))
    numeric = derive_limiting_sde(HYPERBOLA, optimizer=Preconditioned(sp.diag(3, 1 + u**2), learning_rate=RATE))
    assert sde.drift.subs({c: 3, eta: RATE}).subs(AT) == numeric.drift.subs(AT)
    assert verify(numeric, rng=0).passed


def test_a_file_states_it(tmp_path, capsys):
    optimizer = Preconditioned(BENT, learning_rate=RATE)
    document = stated_document(DENSE, optimizer)
    again = file_from_document(document, source="the test")
    assert repr(optimizer_of(again.optimizer)) == repr(optimizer)
    file = tmp_path / "p.toml"
    file.write_text('parameters = ["u", "v"]\nresiduals = ["u*v - 1"]\n[noise]\nkind = "label"\namplitude = "1"\n')
    options = ["--optimizer", "preconditioned", "--preconditioner", "2, 1/2; 1/2, 1", "--learning-rate", "1/8"]
    assert main(["derive", str(file), *options]) == 0
    assert "preconditioned SGD" in capsys.readouterr().out
    assert main(["derive", str(file), *options[:3], "2, 1/2; 1", *options[4:]]) == 2
    assert "not equally long" in capsys.readouterr().err


def test_it_is_printed():
    sde = derive_limiting_sde(DENSE, optimizer=Preconditioned(BENT, learning_rate=RATE, weight_decay=1))
    text = sde.latex()
    assert r"S_{\!P}" in text
    assert r"\partial^2 F" in text
    assert "preconditioner" in sde.explain()
    assert r"\partial\Phi &= I - J J^{\#}" in text


def test_formulas_in_vectors_are_those_of_the_program():
    sde = derive_limiting_sde(DENSE, optimizer=Preconditioned(BENT, learning_rate=RATE, weight_decay=1))
    values = sde.structure.at(AT)
    named = {"∂Φ": "tangent_projection", "S": "lyapunov_solution", "b_⊥∥": "mixed_regularization", "b": "drift"}
    for letter, term in named.items():
        assert np.allclose(values[letter], np.array(getattr(sde, term).subs(AT), dtype=float), rtol=1e-12), term


def test_r_along_an_arc_and_in_a_chart_is_that_in_the_metric():
    sde = derive_limiting_sde(HYPERBOLA, optimizer=Preconditioned(CONSTANT))
    arc = sde.regularizer_along({u: 1, v: 1}, length=0.5)
    known = sp.lambdify((u, v), sde.regularizer, "numpy")(*arc.points.T)
    assert np.allclose(arc.values - arc.values[0], known - known[0], atol=1e-9)
    chart = sde.in_chart((u,))
    difference = sp.diff(chart.regularizer - sde.regularizer.subs(v, 1 / u), u)
    assert sp.simplify(difference) == 0


def christoffel(metric, x, covariance):
    """Γ^k_ij C_ij of the metric g = S⁻¹, D×1."""
    g, d = metric.inv(), range(len(x))
    lowered = sp.Matrix(
        [
            sum(
                (sp.diff(g[k, j], x[i]) + sp.diff(g[k, i], x[j]) - sp.diff(g[i, j], x[k])) * covariance[i, j] / 2
                for i in d
                for j in d
            )
            for k in d
        ]
    )
    return metric * lowered


def test_a_step_by_the_exponential_map_adds_its_christoffel_term():
    """x⁺ = x + s − ½Γ[s, s], s = −ηS(∇L + εσξ), stated as a map: −½PΓ[S(Σ + ηHCH)S] beside the plain step, C the stationary covariance."""
    metric, rate = sp.Matrix([[1 + u**2, 0], [0, 1 + v**2 / 4]]), sp.Rational(1, 16)
    draws = sp.symbols("xi0:2")
    step = -rate * metric * DENSE.noisy_gradient(draws)
    geodesic = sp.Matrix([u, v]) + step - christoffel(metric, (u, v), step * step.T) / 2
    as_map = IteratedMap(state=(u, v), update=tuple(geodesic), noise=draws)
    moved = derive_limiting_sde(DENSE, optimizer=as_map)
    plain = derive_limiting_sde(DENSE, optimizer=Preconditioned(metric, learning_rate=rate))
    point = {u: sp.Integer(2), v: HALF}
    here = lambda matrix: sp.Matrix(matrix).subs(point)  # noqa: E731
    hessian, sigma = here(sp.hessian(DENSE.loss, (u, v))), DENSE.noise.sigma
    seen = sigma * sigma.T + rate * hessian * plain.lyapunov_solution * hessian
    further = -plain.tangent_projection * christoffel(metric, (u, v), metric * seen * metric) / 2
    assert here(moved.drift) / rate**2 == here(plain.drift + further)


def test_geodesic_natural_gradient_follows_the_riemannian_gradient_of_the_trace():
    """Label noise, η → 0: the plain step has −(c/4)PS∇tr SH + (c/2)PΓ[SHS], the exponential map's removes the latter."""
    metric = sp.Matrix([[1 + u**2, 0], [0, 1 + v**2 / 4]])
    plain = derive_limiting_sde(HYPERBOLA, optimizer=Preconditioned(metric))
    hessian = sp.Matrix([[v**2, u * v], [u * v, u**2]])  # on Γ
    step = christoffel(metric, (u, v), metric * hessian * metric)
    trace = (metric * sp.hessian(HYPERBOLA.loss, (u, v))).trace()
    slope = sp.Matrix([sp.diff(trace, s) for s in (u, v)])
    projection = plain.tangent_projection
    geodesic = (plain.drift - projection * step / 2).subs(AT)
    assert geodesic == (-projection * metric * slope / 4).subs(AT)
    assert (projection * step).subs(AT) != sp.zeros(2, 1)
