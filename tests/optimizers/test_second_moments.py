"""RMSprop and Adam: the joint motion of parameters and second moments, against their maps; its potential; runs."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from iterated import assert_iterated, assert_rejected, derived, failed

from symbolic_sgd import (
    Adam,
    IsotropicNoise,
    IteratedMap,
    LabelNoise,
    Preconditioned,
    Problem,
    RMSprop,
    derive_limiting_sde,
    simulate_sde,
    simulate_sgd,
    verify,
)
from symbolic_sgd.errors import BadInput, Undecided
from symbolic_sgd.optimizers.stated import optimizer_of, stated_document
from symbolic_sgd.problems.problem_file import file_from_document

R = sp.Rational
u, v, w, vu, vv, vw = sp.symbols("u v w v_u v_v v_w")
eta, c = sp.symbols("eta c", positive=True)
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
DENSE = Problem(loss=HYPERBOLA.loss, parameters=(u, v), noise=sp.Matrix([[1, u], [v, 0]]))
TWO = Problem.least_squares([u * v - 1, w + u**2 / 2 - v], parameters=(u, v, w), noise=LabelNoise(1, batch_size=2))
AT = {u: sp.Integer(2), v: R(1, 2), vu: R(3, 2), vv: R(7, 3)}
ALL = (
    RMSprop(8, learning_rate=R(1, 16)),
    RMSprop(R(1, 2)),
    RMSprop(2, exponent=1, stabilizer=R(1, 3), learning_rate=R(1, 16), weight_decay=R(1, 2)),
    Adam(R(1, 2), 2, learning_rate=R(1, 16)),
    Adam(R(3, 4), 1, weight_decay=1, stabilizer=R(1, 10)),
)


def test_the_worked_numbers():
    """η = ¼, 1 − β₂ = ε²/2, v = (1, 4): dx per η²ε², dv per ε²."""
    sde = derive_limiting_sde(HYPERBOLA, optimizer=RMSprop(8, learning_rate=R(1, 4)))
    drift = sde.drift.subs({u: 2, v: R(1, 2), vu: 1, vv: 4})
    assert list(drift[:2]) == [R(-112, 207), R(28, 207)]
    assert [a / 16 for a in drift[2:]] == [R(-15, 46), R(18, 23)]
    assert sde.slow_variables == (u, v, vu, vv)


@pytest.mark.parametrize("optimizer", ALL, ids=str)
@pytest.mark.parametrize("problem", [HYPERBOLA, DENSE, TWO], ids=["label", "dense", "two equations"])
def test_every_term_against_the_iteration_itself(problem, optimizer):
    certificate = verify(derived(problem, optimizer), rng=0)
    assert certificate.passed, failed(certificate)
    own = [check for check in certificate.checks if check.name.startswith("own iteration")]
    assert len(own) >= 6
    assert all(check.verdict == "measured" for check in own)


@pytest.mark.parametrize("optimizer", ALL[:2] + ALL[3:4], ids=str)
@pytest.mark.parametrize("seed", [5, *(pytest.param(k, marks=pytest.mark.campaign) for k in (1, 2, *range(6, 13)))])
def test_random_losses_against_the_iteration(seed, optimizer):
    """D = 3 to 5, M = 1 to 3, a dense σ(x): each block, drift and covariance; the learning rate is well below the edge there."""
    problem, *_ = random_problem(seed)
    if optimizer.is_finite:
        optimizer = replace(optimizer, learning_rate=R(1, 64))
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    assert_iterated(sde, rng=1, tolerance=1e-8 if optimizer.is_finite else 1e-6)


@pytest.mark.parametrize("beta", [0, R(1, 2)])
def test_the_map_in_all_slow_variables_says_the_same(beta):
    """By theorem/map_limit.py: G(x, v, m) with v⁺ = v + cη²g², of which −cη²v is a slow drift."""
    rate, rho, size = R(1, 16), 2, sp.Matrix([u, v])
    optimizer = Adam(beta, rho, learning_rate=rate) if beta else RMSprop(rho, learning_rate=rate)
    ours = derive_limiting_sde(DENSE, optimizer=optimizer)
    a, b, m, n = sp.symbols("a b m n")
    force = DENSE.noisy_gradient((a, b))
    moving = beta * sp.Matrix([m, n]) + (1 - beta) * force
    after = [s + rho * rate**2 * g**2 for s, g in zip((vu, vv), force, strict=True)]
    step = [x - rate * g / sp.sqrt(s) for x, g, s in zip(size, moving, after, strict=True)]
    memory = ((m, n), tuple(moving), (0, 0)) if beta else ((), (), ())
    stated = IteratedMap(
        state=(u, v, vu, vv, *memory[0]),
        update=(*step, *after, *memory[1]),
        noise=(a, b),
        slow_drift=(0, 0, -rho * rate**2 * vu, -rho * rate**2 * vv, *memory[2]),
    )
    theirs = derive_limiting_sde(ours.problem, optimizer=stated)
    for name in ("noise_curvature_drift", "imposed_drift", "drift"):  # maps split mixed and normal in their state
        mine, other = (sde.lambdify().term(name, [2, 0.5, 1.5, 7 / 3]) for sde in (ours, theirs))
        assert np.allclose(mine * float(rate) ** 2, other, rtol=1e-12, atol=1e-15), name


POTENTIALS = (
    RMSprop(R(1, 2), learning_rate=R(1, 16)),
    RMSprop(2),
    RMSprop(2, exponent=1, learning_rate=R(1, 16)),
    RMSprop(2, stabilizer=R(1, 3), learning_rate=R(1, 16)),
    RMSprop(1, exponent=R(1, 4)),
    Adam(R(9, 10), 3),
)


@pytest.mark.parametrize("optimizer", POTENTIALS, ids=str)
@pytest.mark.parametrize(("problem", "point"), [(HYPERBOLA, AT), (TWO, None)], ids=["M = 1", "M = 2"])
def test_the_joint_potential_drives_both(problem, point, optimizer):
    """dx = −¼PS∇_xE and dv = −c(−∂s)⁻¹∂_vE, to 10⁻¹²; and E decreases along the drift."""
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    if point is None:
        point = {u: sp.Integer(2), v: R(1, 2), w: R(1, 2) - 2, vu: R(3, 2), vv: R(7, 3), vw: R(5, 4)}
    energy, d, metric = sde.joint_potential, problem.dimension, optimizer.metric(sde.problem)
    slope = sp.Matrix([sp.diff(energy, s) for s in sde.slow_variables]).subs(point)
    moving = -(sde.tangent_projection.subs(point) * metric.subs(point) * slope)[:d, :] / 4
    moments = sde.slow_variables[d:]
    rates = [-sp.diff(metric[k, k], s).subs(point) for k, s in enumerate(moments)]
    learned = [-optimizer.second_moment_rate * e / r for e, r in zip(slope[d:], rates, strict=True)]
    drift = sde.lambdify().drift([float(point[s]) for s in sde.slow_variables])
    predicted = np.array([float(a) for a in (*moving, *learned)])
    assert np.allclose(predicted, drift, rtol=0, atol=1e-12 * np.abs(drift).max())
    assert np.array(slope.evalf(), dtype=float).ravel() @ drift < 0


def test_adam_in_the_end_minimises_the_roots_of_the_diagonal():
    """Where v has settled, v = κ diag H, E is (2/√κ)… of tr Diag(H)^{1/2}: R = ¼E = (√κ/2) tr Diag(H)^{1/2} (Li, Wen and Lyu 2025)."""
    kappa = 4
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(2))
    energy = derive_limiting_sde(problem, optimizer=Adam(R(9, 10), 1)).joint_potential
    a, b = sp.symbols("a b", positive=True)
    settled = energy.subs({vu: kappa * v**2, vv: kappa * u**2}).subs({u: a, v: b})
    assert sp.simplify(settled / 4 - sp.sqrt(kappa) / 2 * (a + b)) == 0


def test_fixed_moments_are_a_preconditioner():
    """c → 0: x moves as with S(v) frozen."""
    ours = derive_limiting_sde(DENSE, optimizer=RMSprop(c, learning_rate=R(1, 16)))
    frozen = sp.diag(1 / sp.sqrt(R(9, 4)), 1 / sp.sqrt(R(16, 9)))
    plain = derive_limiting_sde(DENSE, optimizer=Preconditioned(frozen, learning_rate=R(1, 16)))
    at = {**AT, vu: R(9, 4), vv: R(16, 9)}
    assert ours.drift.subs(at)[:2, :] == plain.drift.subs(at)
    assert ours.drift.subs(at).subs(c, 0)[2:, :] == sp.zeros(2, 1)


@pytest.mark.parametrize(
    ("optimizer", "other"),
    [
        (RMSprop(2, learning_rate=R(1, 16)), RMSprop(2)),
        (RMSprop(2, learning_rate=R(1, 16)), RMSprop(3, learning_rate=R(1, 16))),
        (RMSprop(2), RMSprop(2, exponent=1)),
        (Adam(R(1, 2), 2, learning_rate=R(1, 16)), RMSprop(2, learning_rate=R(1, 16))),
        (RMSprop(2, weight_decay=1), RMSprop(2, weight_decay=2)),
        (RMSprop(2, stabilizer=1), RMSprop(2)),
    ],
    ids=["η = 0", "c", "p", "β₁", "w", "e"],
)
def test_wrong_formulas_are_rejected(optimizer, other):
    assert_rejected(DENSE, optimizer, derived(DENSE, other).program)


def test_runs_converge_to_the_joint_limit_at_first_order():
    """1 − β₂ = cη², t = 1, c = 1: E u − limit = −0.0237, −0.0117 at η = 0.08, 0.04, from 4000 runs (standard error 0.002)."""
    sde = derive_limiting_sde(HYPERBOLA, optimizer=RMSprop(1))
    limit = simulate_sde(sde, [2, 0.5, 1, 1], time=1.0, step=0.001, replicas=1, rng=0).final[0]
    gaps = []
    for rate in (0.08, 0.04):
        steps = round(1 / rate**2)
        run = simulate_sgd(
            HYPERBOLA, [2, 0.5, 1, 1], optimizer=RMSprop(1), learning_rate=rate, steps=steps, replicas=4000, rng=1
        )
        gaps.append((run.final.mean(axis=0) - limit) / run.times[-1])
    assert np.allclose(np.abs(gaps[1][0] / gaps[0][0]), 0.5, atol=0.15)
    assert abs(gaps[0][0]) < 0.03
    wrong = derive_limiting_sde(HYPERBOLA, optimizer=RMSprop(2))
    elsewhere = simulate_sde(wrong, [2, 0.5, 1, 1], time=1.0, step=0.001, replicas=1, rng=0).final[0]
    assert np.abs(elsewhere - limit).max() > 4 * np.abs(gaps[1]).max()


def test_a_potential_is_claimed_only_where_it_is_one():
    for problem, optimizer, reason in (
        (DENSE, RMSprop(1), "not seen to be a multiple"),
        (HYPERBOLA, Adam(R(1, 2), 1, learning_rate=R(1, 16)), "momentum"),
        (HYPERBOLA, RMSprop(1, weight_decay=1), "weight decay"),
        (HYPERBOLA, RMSprop(1, exponent=R(1, 3), stabilizer=1), "not written out"),
    ):
        sde = derive_limiting_sde(problem, optimizer=optimizer)
        with pytest.raises(Undecided, match=reason):
            _ = sde.joint_potential
        with pytest.raises(Undecided, match="joint_potential"):
            _ = sde.regularizer
    assert derive_limiting_sde(HYPERBOLA).joint_potential is None


def test_isotropic_noise_moves_the_parameters_only():
    problem = Problem(loss=HYPERBOLA.loss, parameters=(u, v), noise=IsotropicNoise(3))
    sde = derive_limiting_sde(problem, optimizer=RMSprop(1))
    assert sde.diffusion[2:, :] == sp.zeros(2, 2)
    assert list(sde.noise_curvature_drift) == [0, 0, 9, 9]


def test_the_limit_states_itself_again():
    optimizer = Adam(0.5, 2, learning_rate=R(1, 16), weight_decay=1)
    sde = derive_limiting_sde(DENSE, optimizer=optimizer)
    document = stated_document(sde.problem, optimizer)
    again = file_from_document(document, source="the test")
    assert repr(optimizer_of(again.optimizer)) == repr(optimizer)
    repeated = derive_limiting_sde(again.problem, optimizer=optimizer_of(again.optimizer))
    assert [s.name for s in repeated.slow_variables] == ["u", "v", "v_u", "v_v"]
    text = sde.latex()
    for part in (r"b_{\xi\xi} &= c V[\Sigma]", r"\eta c V[\nabla^2 L S \nabla^2 L]", r"\beta_1 = \frac{1}{2}"):
        assert part in text
    assert text.count("c &= 2") == 1


REFUSED = [
    (lambda: RMSprop(0), "larger than 0"),
    (lambda: RMSprop(1, exponent=0), "larger than 0"),
    (lambda: RMSprop(1, stabilizer=-1), "0 or positive"),
    (lambda: Adam(1, 1), "smaller than 1"),
    (
        lambda: derive_limiting_sde(
            Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=vu * sp.eye(2), constants=(vu,)),
            optimizer=RMSprop(1),
        ),
        "v_u is what the second moment",
    ),
]


@pytest.mark.parametrize(("state", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_makes_no_sense_is_refused(state, words):
    with pytest.raises(BadInput, match=words):
        state()
