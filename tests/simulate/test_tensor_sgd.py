"""SGD of families on arrays: its steps by hand, its law against `simulate_sgd` of the explicit problem, and refusals."""

import jax
import numpy as np
import pytest
import sympy as sp
from known_models import draw
from scipy import stats

from symbolic_sgd import (
    AnyNoise,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    RedrawnClasses,
    RedrawnLabels,
    derive_limiting_sde,
    models,
    simulate_sgd,
)
from symbolic_sgd.api.family_simulation import _process, simulate_family_sgd
from symbolic_sgd.errors import BadInput, BadPoint, Diverged
from symbolic_sgd.models.letters import r

A = np.array([[[1, 2], [0, 1]], [[2, -1], [1, 1]], [[0, 1], [1, 0]]])
U, V = np.array([[1.0], [2]]), np.array([[1.0], [-1]])
Y = np.einsum("iab,ak,bk->i", A, U, V)
ALPHA = 1e-4
"""Of each comparison of laws."""


def _family_arrays(noise, data=None):
    family = models.matrix_sensing(noise)
    return family, derive_limiting_sde(family).lambdify(**(data or {"A": A, "y": Y}))


# --- a step, by hand ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["sensing", "two layers", "deep", "full", "CP", "softmax attention", "weight normalization"]
)
def test_all_steps_of_one_draw_are_those_of_its_sample(name):
    """The mean over all samples and signs is ∇L; one sample's step is its own gradient, by automatic differentiation."""
    member = draw(name, 1)
    arrays = derive_limiting_sde(member.known.family(LabelNoise(2))).lambdify(**member.given)
    start = tuple(np.asarray(p) + 0.1 for p in member.parameters.values())
    process = _process(arrays, start)
    many = tuple(np.repeat(a[None], 400, axis=0) for a in start)
    found = np.concatenate([g.reshape(400, -1) for g in process.gradient(many, np.random.default_rng(0))], axis=1)
    x = np.concatenate([a.ravel() for a in start])
    values = (np.asarray(member.values(x)) - member.targets).reshape(process.count, -1)
    slopes = np.asarray(jax.jacobian(lambda a: member.values(a))(x)).reshape(*values.shape, -1)
    signs = np.array(np.meshgrid(*[[1, -1]] * values.shape[1])).reshape(values.shape[1], -1).T
    possible = np.einsum("nso,nod->nsd", values[:, None, :] + 2 * signs, slopes).reshape(-1, len(x))
    gaps = np.abs(found[:, None, :] - possible[None]).max(axis=2)
    assert gaps.min(axis=1).max() < 1e-10 * (1 + np.abs(possible).max())
    if len(possible) <= 24:
        assert set(gaps.argmin(axis=1)) == set(range(len(possible)))


def test_the_full_batch_of_classes_is_the_gradient():
    member = draw("softmax regression", 1)
    family = models.softmax_regression(IsotropicNoise(1))
    arrays = derive_limiting_sde(family).lambdify(check=False, **member.given)
    start = tuple(np.asarray(p) + 0.1 for p in member.parameters.values())
    process = _process(arrays, start)
    w2, w1 = start
    x, targets = member.given["x"], member.given["targets"]
    z = x @ (w2 @ w1).T
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    (g2, g1) = process.gradient(tuple(a[None] for a in start), np.random.default_rng(0))
    e = (p - targets) / len(x)
    assert np.abs(g2[0] - e.T @ (x @ w1.T)).max() < 1e-12
    assert np.abs(g1[0] - (e @ w2).T @ x).max() < 1e-12


# --- its law, against the explicit problem ---------------------------------------------------

RATE, STEPS, REPLICAS = 0.05, 60, 4000
NOISES = {
    "label": LabelNoise(1),
    "batch of two": LabelNoise(1, batch_size=2),
    "full": LabelNoise(1, batch_size=models.letters.n),
    "isotropic": IsotropicNoise(sp.Rational(1, 2)),
    "redrawn": RedrawnLabels(
        (
            (sp.Rational(1, 3), sp.Lambda(models.letters.y, (models.letters.y - 2) ** 2 / 2)),
            (sp.Rational(2, 3), sp.Lambda(models.letters.y, (models.letters.y + 1) ** 2 / 2)),
        )
    ),
}


@pytest.mark.parametrize("name", NOISES)
def test_the_law_is_that_of_the_explicit_problem(name):
    """Each entry after 60 steps, by Kolmogorov and Smirnov's two-sample test, at α = 1e-4 each."""
    family, arrays = _family_arrays(NOISES[name])
    run = simulate_family_sgd(arrays, (U, V), learning_rate=RATE, steps=STEPS, replicas=REPLICAS, rng=1)
    found = np.concatenate([a.reshape(REPLICAS, -1) for a in run.final], axis=1)
    problem = family.problem(sizes={r: 1}, A=A.tolist(), y=[int(k) for k in Y])
    right = simulate_sgd(problem, [1, 2, 1, -1], learning_rate=RATE, steps=STEPS, replicas=REPLICAS, rng=2).final
    for k in range(4):
        assert stats.ks_2samp(found[:, k], right[:, k]).pvalue > ALPHA, k
    assert np.abs(found.std(axis=0)).min() > 1e-2


def test_another_law_is_told_apart():
    _, one = _family_arrays(LabelNoise(1))
    _, two = _family_arrays(LabelNoise(sp.Rational(3, 2)))
    runs = [
        simulate_family_sgd(a, (U, V), learning_rate=RATE, steps=STEPS, replicas=REPLICAS, rng=k)
        for k, a in enumerate((one, two))
    ]
    assert stats.ks_2samp(runs[0].final[0][:, 0, 0], runs[1].final[0][:, 0, 0]).pvalue < ALPHA


def test_classes_are_drawn_with_their_probabilities():
    member = draw("softmax regression", 1)
    arrays = derive_limiting_sde(models.softmax_regression(RedrawnClasses())).lambdify(check=False, **member.given)
    start = tuple(np.asarray(p) for p in member.parameters.values())
    process = _process(arrays, start)
    many = tuple(np.repeat(a[None], 20000, axis=0) for a in start)
    found = process.gradient(many, np.random.default_rng(0))
    mean, error = found[0].mean(axis=0), found[0].std(axis=0) / np.sqrt(20000)
    assert (np.abs(mean) < 5 * error + 1e-12).all()  # 0 on Γ
    squares = sum(float((g.reshape(20000, -1) ** 2).sum(axis=1).mean()) for g in found)
    trace = 4 * arrays.regularizer(*start)  # Σ = ∇²L there
    assert squares == pytest.approx(trace, rel=0.05)


# --- records and refusals --------------------------------------------------------------------


def test_what_is_observed():
    _, arrays = _family_arrays(LabelNoise(1))
    run = simulate_family_sgd(
        arrays,
        (U, V),
        learning_rate=0.02,
        steps=50,
        replicas=3,
        rng=0,
        records=5,
        observe=lambda u, v: (u**2).sum((1, 2)),
    )
    assert run.observed.shape == (6, 3) and run.observed[0].tolist() == [5, 5, 5]
    assert run.times[-1] == pytest.approx(0.02)
    again = simulate_family_sgd(arrays, (U, V), learning_rate=0.02, steps=50, replicas=3, rng=0)
    assert all((a == b).all() for a, b in zip(run.final, again.final, strict=True)) and run.seed == 0
    assert repr(run) == "TensorRun(3 replicas, 50 steps to t = 0.02, seed 0)"


def test_refusals():
    _, arrays = _family_arrays(AnyNoise())
    with pytest.raises(BadInput, match="not stated"):
        simulate_family_sgd(arrays, (U, V), learning_rate=0.1, steps=5)
    _, arrays = _family_arrays(LabelNoise(1))
    ball = derive_limiting_sde(models.matrix_sensing(), optimizer=HeavyBall(momentum=0.5)).lambdify(A=A, y=Y)
    with pytest.raises(BadInput, match="heavy ball is not simulated"):
        simulate_family_sgd(ball, (U, V), learning_rate=0.1, steps=5)
    with pytest.raises(BadPoint, match="2 arrays"):
        simulate_family_sgd(arrays, (U,), learning_rate=0.1, steps=5)
    with pytest.raises(BadInput, match="learning_rate"):
        simulate_family_sgd(arrays, (U, V), learning_rate=0, steps=5)
    with pytest.raises(Diverged, match="learning rate smaller"):
        simulate_family_sgd(arrays, (U, V), learning_rate=5, steps=50, rng=0)
