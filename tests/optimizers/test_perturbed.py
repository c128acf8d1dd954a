"""Perturbed losses: both time scales, by exact rationals, by the true nonlinear step iterated, and as maps; what is refused."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from iterated import ROADS, assert_iterated, assert_rejected, derived, failed

from symbolic_sgd import (
    SGD,
    Adam,
    ColouredNoise,
    GaussianLaw,
    HeavyBall,
    IteratedMap,
    LabelNoise,
    LocalSGD,
    Nesterov,
    Preconditioned,
    Problem,
    derive_limiting_sde,
    simulate_canonical_sde,
    simulate_sde,
    simulate_sgd,
    verify,
)
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.own_iteration import observed
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol, ProblemFileError
from symbolic_sgd.optimizers.stated import stated_document
from symbolic_sgd.problems.problem_file import problem_from_document, problem_from_text

R = sp.Rational
QUARTER = R(1, 4)
u, v, w, a, b, c = sp.symbols("u v w a b c")
u1, v1, u2, v2 = sp.symbols("u1 v1 u2 v2")
HYPERBOLA = (u * v - 1) ** 2 / 2
INJECTED = Problem.perturbed(HYPERBOLA.xreplace({u: u + a, v: v + b}), (u, v), (a, b))
DROPPED = Problem.perturbed((u1 * v1 * (1 + a) + u2 * v2 * (1 + b) - 1) ** 2 / 2, (u1, v1, u2, v2), (a, b))
DROPPED_WEIGHTS = Problem.perturbed(HYPERBOLA.xreplace({u: u * (1 + a), v: v * (1 + b)}), (u, v), (a, b))
LABELS = Problem.perturbed((u * v - 1 - a) ** 2 / 2, (u, v), (a,))
TWO = ((u * v - 1) ** 2 + (w + u**2 / 2 - v) ** 2) / 2
AT = {u: sp.Integer(2), v: R(1, 2)}
EXACT = {
    "injection": (INJECTED, AT, (R(-64, 17), R(16, 17)), QUARTER),
    "dropout of units": (
        DROPPED,
        {u1: sp.Integer(1), v1: R(1, 2), u2: R(1, 2), v2: sp.Integer(1)},
        (R(-3, 55), R(3, 110), R(3, 110), R(-3, 55)),
        QUARTER,
    ),
    "dropout of weights, R₀ = 1 on Γ": (DROPPED_WEIGHTS, AT, (R(-64, 17), R(16, 17)), QUARTER**2),
    "labels, as those of LabelNoise(batch_size=n)": (LABELS, AT, (R(-32, 17), R(8, 17)), QUARTER**2),
}


@pytest.mark.parametrize("name", EXACT)
def test_drifts_and_units_of_time_are_these_rationals(name):
    problem, point, drift, unit = EXACT[name]
    sde = derive_limiting_sde(problem, optimizer=SGD(learning_rate=QUARTER))
    assert tuple(sde.drift.subs(point)) == drift
    assert sde.time_unit == unit * sde.noise_scale**2
    assert sde.optimizer == SGD(learning_rate=QUARTER)
    assert verify(sde, rng=0).passed


def test_both_scales_stay_for_a_symbol_of_the_learning_rate():
    """Per ηε²: −∂Φ∇R₀ as η → 0; the remainder is η times SGD's drift on Σ = ∇²L²."""
    eta = sp.Symbol("eta0", positive=True)
    sde = derive_limiting_sde(INJECTED, optimizer=SGD(learning_rate=eta))
    assert sde.time_unit == eta * sde.noise_scale**2
    leading = sde.drift.subs(eta, 0).subs(AT)
    assert tuple(leading) == (R(-30, 17), R(15, 34))
    assert sde.noise_curvature_drift.subs(AT) == leading
    assert tuple(sde.drift.subs(AT).subs(eta, QUARTER)) == (R(-64, 17), R(16, 17))
    assert any("varies on Γ" in sentence for sentence in sde.road)


def test_a_constant_mean_is_proved_and_said():
    sde = derive_limiting_sde(DROPPED_WEIGHTS, optimizer=SGD(learning_rate=QUARTER))
    assert any("proved constant on Γ" in sentence for sentence in sde.road)
    assert sde.noise_curvature_drift == sp.zeros(2, 1)
    assert "noise_curvature_drift" not in sde.program.names


def random_perturbed(seed):
    """L̂ of a random loss with three perturbations of a dense covariance: injected, multiplied and added, tangent to Γ and across."""
    _, loss, _, x, _, m = random_problem(seed)
    rng = np.random.default_rng(1000 + seed)
    number = lambda: R(int(rng.integers(-4, 5)), 4)  # noqa: E731
    drawn = sp.symbols("p:3")
    moved = loss.xreplace({x[0]: x[0] + drawn[0], x[-1]: x[-1] * (1 + drawn[1])})
    bend = sum((number() * drawn[2] ** 2 * s * t for s in x for t in x), sp.S.Zero)
    push = drawn[2] * sum((number() * s + number() * s**2 for s in x), sp.S.Zero)
    root = sp.eye(3) + sp.Matrix(3, 3, lambda i, j: number() / 4 if i > j else 0)
    return Problem.perturbed(moved + push + bend / 4, x, drawn, root * root.T), m


@pytest.mark.parametrize("seed", [1, *(pytest.param(k, marks=pytest.mark.campaign) for k in range(2, 11))])
def test_random_perturbed_losses_against_the_step_itself(seed):
    """The true step with every atom of ξ, and then the noiseless iteration: drift, blocks, the mean's part, covariance."""
    problem, _ = random_perturbed(seed)
    rates = R(1, 16), R(1, 32)
    for optimizer in (SGD(learning_rate=rates[0]), HeavyBall(momentum=R(1, 2), learning_rate=rates[1])):
        sde = derive_limiting_sde(problem, optimizer=optimizer)
        assert_iterated(sde, rng=seed, least=12)


@pytest.mark.parametrize("seed", [1, pytest.param(5, marks=pytest.mark.campaign)])
def test_as_a_map_it_is_the_same(seed):
    """A road without kernels and without a split of the noise: the identity for any map z⁺ = G(z, εξ)."""
    problem, _ = random_perturbed(seed)
    sde = derive_limiting_sde(problem, optimizer=SGD(learning_rate=R(1, 16)))
    noise = problem.noise
    update = [x - sp.diff(noise.loss, x) / 16 for x in problem.parameters]
    step = IteratedMap(state=problem.parameters, update=update, noise=noise.perturbations, covariance=noise.covariance)
    as_map = derive_limiting_sde(replace(problem, noise=sp.eye(problem.dimension)), optimizer=step)
    point = sde.derivation.points[-1]
    row = [float(point[s]) for s in problem.parameters]
    drift, diffusion = (getattr(sde.lambdify(check=False), name)(row) for name in ("drift", "diffusion"))
    per_step = float(sde.time_unit / as_map.time_unit)
    other = as_map.lambdify(check=False)
    np.testing.assert_allclose(other.drift(row), per_step * drift, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(
        other.diffusion(row) @ other.diffusion(row).T, per_step * diffusion @ diffusion.T, rtol=1e-9, atol=1e-11
    )


def test_anti_pgd_is_injection():
    """x⁺ = x − η∇L + ε(ξ′ − ξ) keeps ξ in its memory; per ε², that is η times the drift of L(x + εξ)."""
    p, r = sp.symbols("p r")
    slope = [sp.diff(HYPERBOLA, s) for s in (u, v)]
    anti = IteratedMap(
        state=(u, v, p, r), update=(u - slope[0] / 4 + a - p, v - slope[1] / 4 + b - r, a, b), noise=(a, b)
    )
    problem = Problem(loss=HYPERBOLA, parameters=(u, v), noise=sp.eye(2))
    drift = derive_limiting_sde(problem, optimizer=anti).drift.subs(AT)
    assert drift == derive_limiting_sde(INJECTED, optimizer=SGD(learning_rate=QUARTER)).drift.subs(AT) / 4


@pytest.mark.parametrize(
    "optimizer",
    [
        HeavyBall(momentum=R(1, 2), learning_rate=R(1, 16)),
        Nesterov(momentum=R(1, 2), learning_rate=R(1, 16)),
        LocalSGD(workers=2, steps=2, learning_rate=R(1, 8)),
        SGD(learning_rate=R(1, 8), weight_decay=1, slow_potential=u**2),
    ],
    ids=str,
)
@pytest.mark.parametrize("problem", [INJECTED, DROPPED_WEIGHTS], ids=["leading mean", "constant mean"])
def test_other_optimizers_take_it(problem, optimizer):
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    gamma = optimizer.effective_rate
    assert sde.time_unit == gamma ** (1 if problem is INJECTED else 2) * sde.noise_scale**2
    assert not failed(verify(sde, checks=ROADS, rng=0))


def test_injection_descends_a_logarithm_of_the_curvature():
    """R = −(s²/η) Σ ln(1 − ηλ/2) for V = s²I, with two curvatures; its gradient is the drift to rounding."""
    injected = Problem.perturbed(TWO.xreplace({u: u + a, v: v + b, w: w + c}), (u, v, w), (a, b, c), 4 * sp.eye(3))
    eta = R(1, 8)
    sde = derive_limiting_sde(injected, optimizer=SGD(learning_rate=eta))
    hessian = sp.hessian(TWO, (u, v, w))
    expected = -4 / eta * sp.log((sp.eye(3) - eta / 2 * hessian).det())
    for point in sde.derivation.points[:2]:
        slope = sp.Matrix([sp.diff(sde.regularizer - expected, s) for s in (u, v, w)])
        along = sde.tangent_projection * slope
        exact = {s: sp.Float(mpmath.nstr(value, 50), 40) for s, value in point.items()}
        assert max(abs(e) for e in along.subs(exact).evalf(30)) < 1e-18
    assert verify(sde, rng=0).passed


@pytest.mark.parametrize("further", [u**2 * a**2, u**4 * a**2 / 2, v**2 * a * b + u**2 * b**2])
def test_a_mean_that_is_not_that_of_injection_has_its_own_regularizer(further):
    """Σ is s²(∇²L)² as for injection, and R₀ is not (s²/2) tr ∇²L: they were given the R of injection."""
    loss = HYPERBOLA.xreplace({u: u + a, v: v + b}) + further
    sde = derive_limiting_sde(Problem.perturbed(loss, (u, v), (a, b)), optimizer=SGD(learning_rate=QUARTER))
    slope = sp.Matrix([sp.diff(sde.regularizer, s) for s in (u, v)])
    assert (sde.drift + sde.tangent_projection * slope).subs(AT).applyfunc(sp.simplify) == sp.zeros(2, 1)
    assert verify(sde, rng=0).passed


def test_units_dropped_out_descend_no_function():
    sde = derive_limiting_sde(DROPPED, optimizer=SGD(learning_rate=QUARTER))
    assert sde.regularizer is None
    found = sde.find_regularizer()
    place = {s: float(found.where[s]) for s in DROPPED.parameters}
    assert sum(value**2 for value in place.values()) < 8  # within the edge, where the formulas hold


MUTANTS = {
    "no drift of the mean": lambda terms: {"noise_curvature_drift": 0},
    "half of it": lambda terms: {"noise_curvature_drift": R(1, 2)},
    "the time of the noise": lambda terms: dict.fromkeys(("normal_regularization", "mixed_regularization"), 16),
    "no noise": lambda terms: {"normal_regularization": 0},
}


@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_formulas_are_rejected_without_randomness(name):
    optimizer = SGD(learning_rate=R(1, 16))
    terms = derived(INJECTED, optimizer).program.on(Graph())
    scaled = {
        term: terms[term].map(lambda entry, factor=factor: entry.graph.constant(0) if factor == 0 else entry * factor)
        for term, factor in MUTANTS[name](terms).items()
    }
    terms |= scaled
    first, *others = (n for n in terms if n.endswith(("_drift", "regularization", "compensation")) and n != "drift")
    total = terms[first]
    for other in others:
        total = total + terms[other]
    assert_rejected(INJECTED, optimizer, Program.of(terms | {"drift": total}))


def test_the_oracle_takes_the_step_itself():
    """Without the curvature of L̂ in ξ its drift would be that of the noise alone."""
    sde = derive_limiting_sde(INJECTED, optimizer=SGD(learning_rate=QUARTER))
    seen = observed(sde.derivation.stated, sde.derivation.optimizer, sde.derivation.points[0] | AT_PRECISE, 1)
    np.testing.assert_allclose(seen["drift"][0], [-64 / 17, 16 / 17], atol=1e-10)
    np.testing.assert_allclose(seen["noise_curvature_drift"][0], [-30 / 17, 15 / 34], atol=1e-10)


AT_PRECISE = {u: sp.Integer(2)._to_mpmath(200), v: R(1, 2)._to_mpmath(200)}


def weak_error(scale, replicas):
    """E|x| of ½(u₁² + v₁²) − ½(u₂² + v₂²) at t = ½ beside the limit, and five standard errors."""
    optimizer = SGD(learning_rate=QUARTER)
    sde = derive_limiting_sde(DROPPED, optimizer=optimizer)
    start = [1.0, 0.5, 0.4, 1.25]
    steps = round(0.5 / (0.25 * scale**2))
    run = simulate_sgd(DROPPED, start, optimizer=optimizer, noise_scale=scale, steps=steps, replicas=replicas, rng=1)
    assert run.times[-1] == pytest.approx(0.5, rel=1e-9)
    limit = simulate_sde(sde, start, time=0.5, step=0.005, replicas=1).final[0]
    spread = 5 * np.sqrt(np.diagonal(run.covariance[-1]) / replicas)
    return run.mean[-1] - limit, spread, limit - np.array(start)


def test_ensembles_of_dropout_come_to_the_limit_at_second_order():
    """Gaussian perturbations; ε halved: the error is a quarter. α < 10⁻⁶ for each bound (five standard errors); the wrong time scale,
    η²ε² for ηε², is 10 of these away."""
    coarse, _, _ = weak_error(0.2, 20_000)
    fine, spread, moved = weak_error(0.1, 20_000)
    assert np.abs(coarse).max() > 5 * spread.max()
    assert (np.abs(fine) < np.abs(coarse).max() / 2.5 + spread).all()
    assert np.abs(moved * 0.75).max() > 10 * spread.max() + np.abs(fine).max()


REFUSED = {
    "a learning rate that tends to 0": (SGD(), "learning_rate"),
    "friction": (HeavyBall(friction=1), "learning rate that stays"),
    "Adam": (Adam(R(1, 2), 1, learning_rate=R(1, 8)), "IteratedMap"),
    "coloured noise": (ColouredNoise(R(1, 2), learning_rate=R(1, 8)), "IteratedMap"),
    "a preconditioner": (Preconditioned(sp.eye(2), learning_rate=R(1, 8)), "IteratedMap"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_optimizers_that_do_not_take_it_say_so(name):
    optimizer, words = REFUSED[name]
    with pytest.raises(BadInput, match=words):
        derive_limiting_sde(INJECTED, optimizer=optimizer)


def test_bad_statements_are_refused_in_two_dimensions():
    loss = HYPERBOLA.xreplace({u: u + a})
    for rough in (sp.Abs(a), a ** R(5, 2), sp.sqrt(u**2 * a**2), sp.sqrt(a**2) ** 3, sp.Max(a, b), sp.exp(a) / a):
        with pytest.raises(BadInput, match="not smooth there"):
            Problem.perturbed(HYPERBOLA + rough * u, (u, v), (a, b))
    with pytest.raises(BadSymbol, match="mean 0"):  # SymPy would write p for |p|
        p = sp.Symbol("p", positive=True)
        Problem.perturbed(HYPERBOLA + sp.Abs(p) * u, (u, v), (p,))
    assert Problem.perturbed(HYPERBOLA + sp.sqrt(1 + a**2) * u + sp.Abs(u) * b, (u, v), (a, b)).loss.has(u)
    with pytest.raises(BadSymbol, match="u is a parameter"):
        Problem.perturbed(loss, (u, v), (u,))
    with pytest.raises(BadSymbol):
        Problem.perturbed(loss, (u, v), (b,))
    with pytest.raises(BadInput, match="empty"):
        Problem.perturbed(HYPERBOLA, (u, v), ())
    with pytest.raises(BadShape, match="1×1"):
        Problem.perturbed(loss, (u, v), (a,), sp.eye(2))
    with pytest.raises(BadInput, match="positive definite"):
        Problem.perturbed(loss, (u, v), (a,), sp.Matrix([[0]]))
    with pytest.raises(BadSymbol, match="depends on a parameter"):
        Problem.perturbed(loss, (u, v), (a,), sp.Matrix([[1 + u**2]]))
    with pytest.raises(BadSymbol):
        Problem.perturbed(loss, (u, v), (a,), sp.Matrix([[sp.Symbol("s", positive=True)]]))
    with pytest.raises(BadInput, match="leave noise= out"):
        Problem.perturbed(loss, (u, v), (a,), noise=LabelNoise(1))


def test_what_does_not_move_has_no_edge_to_come_to():
    still = Problem.perturbed(HYPERBOLA + a * b, (u, v), (a, b))
    sde = derive_limiting_sde(still, optimizer=SGD(learning_rate=R(1, 8)))
    assert sde.drift.is_zero_matrix
    assert "edge of stability" not in sde.explain()


def test_simulators_of_added_noise_refuse_it():
    with pytest.raises(BadInput, match="canonical"):
        simulate_canonical_sde(INJECTED, [2, 0.5], learning_rate=0.1, steps=2, replicas=2, rng=0)
    with pytest.raises(BadInput, match="GaussianLaw"):
        simulate_sgd(
            INJECTED, [2, 0.5], optimizer=SGD(learning_rate=0.125), law=GaussianLaw(), steps=2, replicas=2, rng=0
        )


FILE = """
parameters = ["u", "v"]
perturbed_loss = "((u + a)*(v + b) - 1)**2/2"
perturbations = ["a", "b"]
covariance = [["1", "0"], ["0", "1"]]
"""


def test_files_state_it():
    stated = problem_from_text(FILE)
    sde = derive_limiting_sde(stated, optimizer=SGD(learning_rate=QUARTER))
    at = dict(zip(stated.parameters, AT.values(), strict=True))
    assert tuple(sde.drift.subs(at)) == (R(-64, 17), R(16, 17))
    document = stated_document(stated, SGD(learning_rate=QUARTER))
    assert document["perturbations"] == ["a", "b"]
    again = problem_from_document({k: e for k, e in document.items() if k != "optimizer"}, source="again")
    assert again == stated
    with pytest.raises(ProblemFileError, match="goes with perturbed_loss only"):
        problem_from_text('parameters = ["u"]\nloss = "u**2"\nperturbations = ["a"]\nnoise = { kind = "isotropic" }')
    with pytest.raises(BadSymbol, match="taken"):
        problem_from_text(FILE.replace('["a", "b"]', '["a", "u"]'))
    with pytest.raises(ProblemFileError, match="brings its own noise"):
        problem_from_text(FILE + 'noise = { kind = "isotropic" }')


def test_paper_and_screen_state_the_perturbed_loss():
    latex = derive_limiting_sde(DROPPED, optimizer=SGD(learning_rate=QUARTER)).latex()
    assert r"\hat L(x, \xi)" in latex and r"\partial_x \hat L(x_k, \epsilon\,\xi_k)" in latex and "R_0" in latex
