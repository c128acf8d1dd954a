"""Charges against the SDE's own drift and noise, their laws by hand and beside ensembles of SGD, and what is refused."""

import re

import numpy as np
import pytest
import sympy as sp
from charged_models import MODELS, NOISES, problem
from in_turn import pairs_in_turn
from scipy.special import ndtri

from symbolic_sgd import (
    SAM,
    SGD,
    Adam,
    ColouredNoise,
    GradientNoise,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    LocalSGD,
    MirrorDescent,
    Nesterov,
    Preconditioned,
    Problem,
    derive_limiting_sde,
    gradient_flow_limit,
    simulate_sgd,
)
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.charges.laws import START, TIME, Constant, Decay, Linear, Martingale, Open, Steady
from symbolic_sgd.charts.chart import coefficients
from symbolic_sgd.checks.by_sympy import precise
from symbolic_sgd.errors import BadInput, BadSymbol, NoCharges, NoClosedForm, ProblemTooLarge, SymbolicSGDError
from symbolic_sgd.rational import linear_symmetries

u, v, w, s = sp.symbols("u v w s")
half = sp.Rational(1, 2)
hyperbola = [u * v - 1]


PLAIN = SGD()


def derived(residuals, parameters, noise, optimizer=PLAIN, **further):
    stated = Problem.least_squares(residuals, parameters=parameters, noise=noise, **further)
    return derive_limiting_sde(stated, optimizer=optimizer)


# --- the identity -----------------------------------------------------------------------------------


def by_noise_alone(sde, charge, row):
    """½⟨∇²I, Σ⟩ and ∇IᵀΣ∇I at a point, by SymPy from the σ that was stated."""
    at = dict(zip(sde.problem.symbols, map(float, row), strict=True))
    smooth = charge.expression.replace(sp.Abs, lambda e: e)  # ln|ℓ| has the derivatives of ln ℓ
    slope = np.array([sp.diff(smooth, x).xreplace(at) for x in sde.problem.parameters], dtype=complex).real
    bend = np.array(sp.hessian(smooth, sde.problem.parameters).xreplace(at).tolist(), dtype=complex).real
    sigma = np.array(sde.problem.noise_factor.xreplace(at).tolist(), dtype=float)
    return np.trace(bend @ sigma @ sigma.T) / 2, slope @ sigma @ sigma.T @ slope, slope, bend


@pytest.mark.parametrize(("model", "noise"), pairs_in_turn(MODELS, NOISES))
def test_the_program_of_the_sde_moves_charges_as_their_derivatives_and_the_noise_say(model, noise):
    """∇I·b + ½⟨∇²I, Σ_∥⟩ = ½⟨∇²I, Σ⟩ and ∇IᵀΣ_∥∇I = ∇IᵀΣ∇I, to 10⁻¹⁰; and so do the charge's own drift, diffusion and law."""
    sde = derive_limiting_sde(problem(model, noise))
    program, symbols = sde.lambdify(), sde.problem.symbols
    assert len(sde.charges) >= MODELS[model]().algebra[1]
    for charge in sde.charges:
        for point in sde.derivation.points:
            row = np.array([float(point[x]) for x in symbols])
            constants = {c.name: float(point[c]) for c in sde.problem.constants}
            x = row[: sde.problem.dimension]
            drift, variance, slope, bend = by_noise_alone(sde, charge, row)
            tangent = program.diffusion(x, **constants)
            along = slope @ program.drift(x, **constants) + np.trace(bend @ tangent @ tangent.T) / 2
            size = 1e-10 * (abs(drift) + abs(bend).sum() + abs(slope).sum())
            assert abs(along - drift) < size and abs(slope @ tangent @ tangent.T @ slope - variance) < size
            at = dict(zip(symbols, map(float, row), strict=True))
            own = np.array(charge.diffusion.xreplace(at).tolist(), dtype=complex).real
            assert abs(complex(charge.drift.xreplace(at)).real - drift) < size
            assert abs((own @ own.T).item() - variance) < size
            law = charge.law.drift_at(charge.expression)
            assert law is None or abs(complex(law.xreplace(at)).real - drift) < size


@pytest.mark.parametrize("model", MODELS)
def test_charges_are_constant_along_the_flow(model):
    """By the numerical gradient flow from points off Γ, which knows no first integral."""
    stated = problem(model, "isotropic")
    sde, flow = derive_limiting_sde(stated), gradient_flow_limit(stated)
    constants = {c.name: 1.0 for c in stated.constants}
    for point in sde.derivation.points[:2]:
        start = np.array([float(point[x]) for x in stated.parameters])
        start = start * (1 + 0.02 * np.cos(np.arange(len(start))))
        end = flow(start, **constants)
        for charge in sde.charges:
            value = sp.lambdify(stated.symbols, charge.expression, "numpy")
            fixed = [1.0] * len(stated.constants)
            assert value(*start, *fixed) == pytest.approx(value(*end, *fixed), abs=1e-7)


# --- laws -------------------------------------------------------------------------------------------


def laws(sde):
    return {charge.expression: charge.law for charge in sde.charges}


def test_exponential_laws_are_found_with_their_rates():
    """uv: c; the overparametrised model with z: 4δ²Σ_i z_ij²/n for u_jv_j; square UVᵀ: δ²/d for all of UᵀU − VᵀV."""
    delta = sp.Symbol("delta", positive=True)
    assert laws(derived(hyperbola, (u, v), LabelNoise(delta), constants=(delta,))) == {
        u**2 - v**2: Decay(delta**2, sp.S.Zero, True)
    }
    z = sp.Matrix([[1, 2, -1], [0, 1, 3]])
    found = laws(derive_limiting_sde(problem("OLM", "label")))
    for j in range(3):
        product = sp.Symbol(f"u{j + 1}") * sp.Symbol(f"v{j + 1}")
        rate = 4 * half**2 * sum(z[i, j] ** 2 for i in range(2)) / 2
        assert found[product] == Decay(rate, sp.S.Zero, True)
    square = [charge.law for charge in derive_limiting_sde(problem("UVᵀ", "label")).charges]
    assert square == [Decay(half**2 / 2, sp.S.Zero, True)] * 3


def test_the_printed_model_of_the_poster_says_its_law_by_itself():
    """L = (1/n)Σ(⟨z_i, u² − v²⟩ − y_i)², labels moved by ±1: u_jv_j decays as exp(−(16/n)Σ_i z_ij² t)."""
    u1, u2, v1, v2, z1, z2, z3 = sp.symbols("u1 u2 v1 v2 z1 z2 z3")
    forms = [z1 * (u1**2 - v1**2) + z2 * (u2**2 - v2**2) - 1, z3 * (u1**2 - v1**2) + (u2**2 - v2**2) - 2]
    slopes = sp.Matrix([[sp.diff(f, x) for f in forms] for x in (u1, u2, v1, v2)])
    printed = Problem(
        loss=sum(f**2 for f in forms) / 2,
        parameters=(u1, u2, v1, v2),
        noise=GradientNoise(2 * slopes / sp.sqrt(2)),  # ±2∇f_i with probability 1/n
        constants=(z1, z2, z3),
    )
    found = {charge.expression: charge for charge in derive_limiting_sde(printed).charges}
    rate = found[u1 * v1].law.rate
    assert sp.expand(rate - 16 * (z1**2 + z3**2) / 2) == 0 and found[u1 * v1].law.still
    assert found[u1 * v1].sentence.startswith("u1*v1 decays exactly as exp(")
    assert sp.expand(found[u2 * v2].law.rate - 8 * (z2**2 + 1)) == 0


@pytest.mark.parametrize(
    ("loss", "parameters", "noise", "law"),
    [
        ((u * v - 1) ** 2 / 2, (u, v), IsotropicNoise(1), Martingale()),
        ((u * v - 1) ** 2 / 2, (u, v), sp.Matrix([u, 0]), Open(False)),  # the drift u² is no linear function of u² − v²
        ((u * v + w - 1) ** 2 / 2, (u, v, w), sp.Matrix([1, 0, 0]), Steady(sp.S.One, False)),
        ((u * v + w - 1) ** 2 / 2, (u, v, w), sp.Matrix([v, u, 1]), Decay(sp.S.One, sp.S.Zero, True)),
        ((u * v + w - 1) ** 2 / 2, (u, v, w), sp.Matrix([[u, 0], [v, 1], [0, 2]]), Decay(-sp.S.One, sp.S.One, False)),
    ],
)
def test_every_kind_of_law(loss, parameters, noise, law):
    (charge,) = derive_limiting_sde(Problem(loss=loss, parameters=parameters, noise=noise)).charges
    assert charge.expression == u**2 - v**2 and charge.law == law
    if charge.law.solution is not None:
        moving = sp.diff(charge.law.solution, TIME).subs(TIME, 0).xreplace({START: charge.expression})
        assert sp.expand(moving - charge.law.drift_at(charge.expression)) == 0


def test_charges_that_mix_are_taken_apart_into_those_that_do_not():
    """σ = (x₂, x₁, y₂, y₁): the drift of x₁² − y₁² is x₂² − y₂², and the other way round."""
    x, y = sp.symbols("x1:3"), sp.symbols("y1:3")
    turned = sp.Matrix([x[1], x[0], y[1], y[0]])
    stated = Problem.least_squares(
        [x[0] * y[0] - 1, x[1] * y[1] - 2], parameters=(x[0], x[1], y[0], y[1]), noise=GradientNoise(turned)
    )
    sde = derive_limiting_sde(stated)
    first, second = x[0] ** 2 - y[0] ** 2, x[1] ** 2 - y[1] ** 2
    found = {sp.expand(charge.expression): charge.law for charge in sde.charges}
    assert set(found) == {sp.expand(first + second), sp.expand(first - second)}
    assert {law.rate for law in found.values()} == {1, -1} and all(law.level == 0 for law in found.values())
    assert all(charge.generator == sp.hessian(charge.expression, stated.parameters) for charge in sde.charges)


def test_a_system_with_irrational_rates_stays_a_system():
    x, y = sp.symbols("x1:3"), sp.symbols("y1:3")
    turned = sp.Matrix([x[1], sp.sqrt(2) * x[0], y[1], sp.sqrt(2) * y[0]])
    stated = Problem.least_squares(
        [x[0] * y[0] - 1, x[1] * y[1] - 2], parameters=(x[0], x[1], y[0], y[1]), noise=GradientNoise(turned)
    )
    found = derive_limiting_sde(stated).charges
    assert all(isinstance(charge.law, Linear) for charge in found)
    coefficients = {(charge.expression, *pair) for charge in found for pair in charge.law.coefficients}
    first, second = x[0] ** 2 - y[0] ** 2, x[1] ** 2 - y[1] ** 2
    assert coefficients == {(first, second, 1), (second, first, 2)}
    assert "which is linear in the charges, up to a local martingale" in found[0].sentence


def test_weight_decay_adds_to_the_rate_and_momentum_does_not():
    for optimizer in (SGD(), HeavyBall(momentum=0.9), Nesterov(momentum=0.5)):
        assert laws(derived(hyperbola, (u, v), LabelNoise(1), optimizer)) == {u**2 - v**2: Decay(1, 0, True)}
    for optimizer in (SGD(weight_decay=sp.Rational(1, 3)), HeavyBall(momentum=0.5, weight_decay=sp.Rational(1, 3))):
        assert laws(derived(hyperbola, (u, v), LabelNoise(1), optimizer))[u**2 - v**2].rate == sp.Rational(5, 3)
    # Σ/(1 − r)² of coloured noise
    coloured = derived(hyperbola, (u, v), LabelNoise(1), ColouredNoise(correlation=half))
    assert laws(coloured)[u**2 - v**2].rate == 4


def test_sgd_follows_the_law_of_the_hyperbola():
    """uv = 1, labels ±1, (u² − v²)(0) = 15/4: E(u² − v²)(1) → 15/4e as η → 0. Errors of SGD are O(η): three rates, extrapolated.

    α = 10⁻³; a rate that was off by 3 % would move the prediction by 0.04, ten standard errors."""
    sde = derived(hyperbola, (u, v), LabelNoise(1))
    (law,) = laws(sde).values()
    predicted = float(law.solution.subs({START: sp.Rational(15, 4), TIME: 1}))
    means, errors = [], []
    for k, rate in enumerate((0.1, 0.05, 0.025)):
        run = simulate_sgd(
            sde.problem,
            [2, 0.5],
            learning_rate=rate,
            steps=round(rate**-2),
            replicas=2**14,
            rng=np.random.default_rng(31 + k),
        )
        values = run.final[:, 0] ** 2 - run.final[:, 1] ** 2
        means.append(values.mean())
        errors.append(values.std() / np.sqrt(len(values)))
    weights = np.array([1, -6, 8]) / 3
    error = np.linalg.norm(weights * errors)
    assert error < 4e-3
    assert abs(weights @ means - predicted) < -ndtri(0.5e-3) * error + 2e-3  # O(η³) is left
    assert abs(means[0] - predicted) > 0.2  # at a finite rate the law does not hold, and is not claimed to


# --- the steps of other optimizers --------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(learning_rate=0.01),
        HeavyBall(momentum=0.5, learning_rate=0.01),
        HeavyBall(friction=2),
        Nesterov(momentum=0.5, learning_rate=0.01),
        LocalSGD(workers=2, steps=3, learning_rate=0.01),
        LocalSGD(workers=2, round_time=1),
        ColouredNoise(correlation=half, learning_rate=0.01),
        SAM(),
        Adam(0.9, second_moment_rate=1),
        Preconditioned(sp.diag(2, 1)),
        MirrorDescent(u**4 + v**4),
    ],
    ids=lambda o: f"{type(o).__name__} {o.is_finite}",
)
def test_laws_of_the_flow_are_not_claimed_for_steps_that_break_them(optimizer):
    sde = derived(hyperbola, (u, v), LabelNoise(1, batch_size=1), optimizer, domain=[u > 0, v > 0])
    with pytest.raises(NoCharges, match=r"SGD\(\), HeavyBall\(momentum=…\)"):
        _ = sde.charges
    with pytest.raises(NoCharges):
        sde.in_charges()


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(learning_rate=sp.Rational(1, 50), weight_decay=2),
        SGD(learning_rate=sp.Symbol("eta_1", positive=True)),
        HeavyBall(friction=2),
        Nesterov(momentum=0.5, learning_rate=0.01),
        LocalSGD(workers=2, steps=2, learning_rate=0.01),
    ],
    ids=lambda o: type(o).__name__,
)
def test_linear_charges_belong_to_every_optimizer_that_steps_along_gradients(optimizer):
    noise = sp.Matrix([[u, 1, 0], [v, 0, w], [0, 1, u]])
    sde = derived([(u - v) * w - 1], (u, v, w), noise, optimizer, near={u: 2, v: 1, w: 1})
    (charge,) = sde.charges
    assert charge.expression == u + v
    decay = 2 if isinstance(optimizer, SGD) and optimizer.weight_decay else 0
    assert charge.law == (Decay(decay, 0, False) if decay else Martingale())
    strength = sp.sqrt(optimizer.tangent_factor)
    assert sp.simplify(charge.diffusion - strength * sp.Matrix([[u + v, 1, w]])).is_zero_matrix


def test_sgd_keeps_angles_at_a_learning_rate_that_stays():
    """L = (|x|² − 1)²/8: steps move along the ray, so that u/v is conserved by them, too."""
    rate = sp.Symbol("eta_1", positive=True)
    stated = Problem(loss=(u**2 + v**2 - 1) ** 2 / 8, parameters=(u, v), noise=IsotropicNoise(1))
    (charge,) = derive_limiting_sde(stated, optimizer=SGD(learning_rate=rate)).charges
    assert charge.expression == sp.log(sp.Abs(u)) - sp.log(sp.Abs(v)) and "I(x − η∇L) − I(x)" in charge.proof
    assert sp.cancel(charge.drift - (1 / v**2 - 1 / u**2) / 2).subs({u: sp.Rational(3, 5), v: sp.Rational(4, 5)}) == 0
    with pytest.raises(NoCharges):
        _ = derive_limiting_sde(stated, optimizer=HeavyBall(momentum=0.5, learning_rate=rate)).charges


# --- the limit in charges -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("residuals", "parameters", "noise"),
    [
        (hyperbola, (u, v), LabelNoise(1)),
        (hyperbola, (u, v), sp.Matrix([[u, 1], [v, 2]])),
        ([u**2 - v**2 - 1], (u, v), IsotropicNoise(2)),
        ([u**2 - v**2 + 2 * w - 1, w - 1], (u, v, w), IsotropicNoise(1)),
    ],
)
def test_the_limit_over_charges_is_that_of_the_chart_with_the_same_embedding(residuals, parameters, noise):
    """Itô's formula the other way: b_q = ψ'⁺(b − ½ψ''[Σ_q]) from the SDE's drift, to 40 digits."""
    sde = derived(residuals, parameters, noise)
    found = sde.in_charges()
    other = coefficients(found.chart.embedding)
    for point in found.chart.points:
        ours, theirs = precise(found.program, point), precise(other, point)
        with mp.workdps(60):
            for name in ("drift", "covariance"):
                assert mp.norm(ours[name] - theirs[name]) < mp.mpf(10) ** -40 * (1 + mp.norm(theirs[name]))


def test_coordinates_are_the_charges_themselves():
    (q,) = sp.symbols("q_0,", real=True)
    found = derived(hyperbola, (u, v), LabelNoise(1)).in_charges(coordinates=(q,))
    assert found.drift == sp.Matrix([-q]) and found.diffusion.is_zero_matrix
    x, y = found.embedding
    assert sp.simplify(x * y - 1) == 0 and sp.simplify((x**2 - y**2).subs(q, 3) - 3) == 0
    assert "parametrised by the charges q_0 = u**2 - v**2" in found.explain()
    named = Problem.least_squares([sp.Symbol("q") * v - 1], parameters=(sp.Symbol("q"), v), noise=LabelNoise(1))
    assert derive_limiting_sde(named).in_charges().coordinates[0].name == "p"


def test_what_is_missing_for_the_limit_over_charges_is_said():
    with pytest.raises(NoCharges, match="Γ has dimension 4, and of independent charges 3 were found: 1 is missing"):
        derive_limiting_sde(problem("UVᵀ", "label")).in_charges()
    with pytest.raises(NoCharges, match="0 were found: 3 are missing"):
        derive_limiting_sde(problem("two tanh", "label")).in_charges()
    with pytest.raises(NoClosedForm, match="were not solved for the parameters"):
        derive_limiting_sde(problem("uvw", "label")).in_charges()
    sde = derived(hyperbola, (u, v), LabelNoise(1))
    with pytest.raises(BadInput, match="Γ has dimension 1, but coordinates names 2"):
        sde.in_charges(coordinates=sp.symbols("p q"))
    with pytest.raises(BadSymbol):
        sde.in_charges(coordinates=(u,))
    with pytest.raises(SymbolicSGDError):
        sde.in_charges(coordinates="q")


def overparametrised(d, n):
    """The overparametrised model with signs for data; it is computed by matrices."""
    signs = np.random.default_rng(7).choice([-1, 1], (n, d))
    first, second = sp.symbols(f"u1:{d + 1}"), sp.symbols(f"v1:{d + 1}")
    squares = [a**2 - b**2 for a, b in zip(first, second, strict=True)]
    forms = [sum(int(z) * e for z, e in zip(row, squares, strict=True)) - 1 - i for i, row in enumerate(signs)]
    return derived(forms, (*first, *second), LabelNoise(half))


def test_a_large_problem_has_the_charges_of_its_symmetries(monkeypatch):
    sde = overparametrised(16, 5)
    assert sde.derivation.in_matrices is not None
    found = laws(sde)
    products = {sp.Symbol(f"u{j}") * sp.Symbol(f"v{j}") for j in range(1, 17)}
    assert products <= set(found)  # columns of z that are alike up to a sign have products with each other, too
    assert set(found.values()) == {Decay(4 * half**2, sp.S.Zero, True)}
    monkeypatch.setattr(linear_symmetries, "LARGEST_SYSTEM", 0)
    with pytest.raises(ProblemTooLarge, match="state fewer parameters"):
        _ = overparametrised(15, 5).charges


def test_no_charges_are_no_error_where_the_flow_was_searched():
    assert derive_limiting_sde(problem("two tanh", "label")).charges == ()


# --- how they are shown -------------------------------------------------------------------------------


def test_they_are_printed_as_sentences_and_as_formulas():
    still = derived(hyperbola, (u, v), LabelNoise(1))
    assert str(still.charges[0]) == "u**2 - v**2 decays exactly as exp(-t)."
    assert repr(still.charges) == "(Charge(u**2 - v**2 decays exactly as exp(-t)),)"
    assert re.sub(r"\s+", " ", still.charges[0].latex()) == (
        r"I &= u^{2} - v^{2} \\ dI &= \left(v^{2} - u^{2}\right) dt \\ I(t) &= I_{0} e^{- t}"
    )
    noisy = derive_limiting_sde(
        Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=sp.Matrix([[u, 0], [0, s]]), constants=(s,))
    )
    assert r"+ \nabla I^{\top} \sigma\,dW" in noisy.charges[0]._repr_latex_()
    martingale = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1)))
    assert martingale.charges[0].latex().endswith(r"I(t) &= I_{0} + \int_0^t \nabla I^{\top} \sigma\,dW_s")
    conserved = derived([(u - v) * w - 1], (u, v, w), LabelNoise(1), near={u: 2, v: 1, w: 1})
    sentences = {charge.expression: charge for charge in conserved.charges}
    assert isinstance(sentences[u + v].law, Constant) and "dI &= 0" in sentences[u + v].latex()


def test_explain_tells_the_charges_that_were_asked_for():
    sde = derived(hyperbola, (u, v), LabelNoise(1))
    assert "decays" not in sde.explain()
    assert sde.charges[0].sentence in sde.explain()
