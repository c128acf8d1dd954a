"""Optimizers on families of matrices: the explicit engine, the theorem by automatic differentiation, shares, words and refusals."""

import numpy as np
import pytest
import sympy as sp
from in_turn import pairs_in_turn, table_in_turn
from known_models import draw
from literal_models import Derivatives

from symbolic_sgd import (
    JAX,
    SAM,
    SGD,
    Adam,
    AnyNoise,
    ColouredNoise,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    LocalSGD,
    Nesterov,
    RandomReshuffling,
    RedrawnClasses,
    RedrawnLabels,
    RMSprop,
    derive_limiting_sde,
    models,
    verify,
)
from symbolic_sgd.errors import BadInput, BadSymbol, NoCharges, Undecided, Unstable
from symbolic_sgd.models.letters import n, r

eta, w = sp.symbols("eta w", positive=True)

# --- the explicit engine --------------------------------------------------------------------

A = np.array([[[1, 2], [0, 1]], [[2, -1], [1, 1]]])
U, V = np.array([[1.0], [2]]), np.array([[1.0], [-1]])
DATA = {"A": A.tolist(), "y": np.einsum("iab,ak,bk->i", A, U, V).astype(int).tolist()}
TENDING = {
    "heavy ball": HeavyBall(momentum=0.5),
    "friction, decay": HeavyBall(friction=2, weight_decay=0.5),
    "Nesterov": Nesterov(momentum=0.25),
    "rounds": LocalSGD(workers=3, round_time=0.5),
    "coloured": ColouredNoise(correlation=0.5),
    "decay": SGD(weight_decay=0.25),
}
STAYING = {
    "SGD": SGD(learning_rate=0.125),
    "heavy ball": HeavyBall(momentum=0.5, learning_rate=0.0625, weight_decay=0.5),
    "Nesterov": Nesterov(momentum=0.25, learning_rate=0.0625),
    "Local SGD": LocalSGD(workers=2, steps=3, learning_rate=0.0625),
    "coloured": ColouredNoise(correlation=0.25, learning_rate=0.0625),
}
SIGMA = sp.Matrix(4, 2, [1, 0, 2, 1, -1, 1, 0, 1])
NOISES = {"label": LabelNoise(1), "isotropic": IsotropicNoise(2), "given": AnyNoise()}
CASES = [(name, o, noise) for name, o in TENDING.items() for noise in NOISES]
CASES += [(f"{name} at a rate", o, noise) for name, o in STAYING.items() for noise in NOISES]


def _flat(blocks):
    return np.concatenate([np.ravel(b) for b in blocks])


@pytest.mark.parametrize(
    ("name", "optimizer", "noise"), table_in_turn(CASES, len(NOISES)), ids=[f"{a}, {b}" for a, _, b in CASES]
)
def test_the_explicit_problem(name, optimizer, noise):
    stated = NOISES[noise]
    if noise == "label" and optimizer.is_finite:
        stated = LabelNoise(1, batch_size=n)
    family = models.matrix_sensing(stated)
    arrays = derive_limiting_sde(family, optimizer=optimizer).lambdify(
        **{k: np.array(v, dtype=float) for k, v in DATA.items()}
    )
    sigma = SIGMA if noise == "given" else None
    problem = family.problem(sizes={r: 1}, sigma=sigma, **DATA)
    explicit = derive_limiting_sde(problem, optimizer=optimizer).lambdify()
    given = {}
    if sigma is not None:
        columns = np.array(SIGMA, dtype=float)
        given = {"sigma": (columns[:2].reshape(2, 1, 2), columns[2:].reshape(2, 1, 2))}
    point = _flat((U, V))
    found = _flat(arrays.drift(U, V, **given))
    assert np.abs(found).max() > 1e-3
    assert np.abs(found - explicit.drift(point)).max() < 1e-10
    for term in ("tangent_noise_compensation", "mixed_regularization", "normal_regularization"):
        assert np.abs(_flat(getattr(arrays, term)(U, V, **given)) - getattr(explicit, term)(point)).max() < 1e-10


@pytest.mark.parametrize("noise", ["isotropic", "given"])
def test_the_noise_along_the_manifold(noise):
    family, optimizer = models.matrix_sensing(NOISES[noise]), ColouredNoise(correlation=0.5)
    arrays = derive_limiting_sde(family, optimizer=optimizer).lambdify(
        **{k: np.array(v, dtype=float) for k, v in DATA.items()}
    )
    problem = family.problem(sizes={r: 1}, sigma=SIGMA if noise == "given" else None, **DATA)
    explicit = derive_limiting_sde(problem, optimizer=optimizer).lambdify().diffusion(_flat((U, V)))
    rng = np.random.default_rng(0)
    if noise == "isotropic":
        drawn = rng.standard_normal((2, 1)), rng.standard_normal((2, 1))
        found, right = arrays.tangent_noise(U, V, increments=drawn), explicit @ _flat(drawn)
    else:
        drawn, columns = rng.standard_normal(2), np.array(SIGMA, dtype=float)
        sigma = columns[:2].reshape(2, 1, 2), columns[2:].reshape(2, 1, 2)
        found, right = arrays.tangent_noise(U, V, increments=drawn, sigma=sigma), explicit @ drawn
    assert np.abs(right).max() > 1e-3
    assert np.abs(_flat(found) - right).max() < 1e-12


@pytest.mark.parametrize("optimizer", [TENDING["rounds"], STAYING["Nesterov"], TENDING["friction, decay"]])
def test_another_library(optimizer):
    member = draw("sensing", 1)
    sde = derive_limiting_sde(models.matrix_sensing(IsotropicNoise(1)), optimizer=optimizer)
    point = tuple(member.parameters.values())
    here, there = (sde.lambdify(backend=b, check=False, **member.given).drift(*point) for b in (None, JAX()))
    assert np.abs(_flat(here) - _flat(map(np.asarray, there))).max() < 1e-10


@pytest.mark.parametrize(
    ("optimizer", "batch"), [(SGD(learning_rate=0.03125), n), (LocalSGD(workers=3, round_time=0.5), 2), (SGD(), n)]
)
def test_regularizers_of_a_kernel_differ_as_the_explicit_ones_do(optimizer, batch):
    family = models.matrix_sensing(LabelNoise(1, batch_size=batch))
    arrays = derive_limiting_sde(family, optimizer=optimizer).lambdify(
        check=False, **{k: np.array(v, dtype=float) for k, v in DATA.items()}
    )
    sde = derive_limiting_sde(family.problem(sizes={r: 1}, **DATA), optimizer=optimizer)
    points = [(U, V), (2 * U, V / 2)]
    values = [
        float(sde.regularizer.subs(dict(zip(sde.problem.parameters, _flat(p), strict=True))).evalf(20)) for p in points
    ]
    found = [arrays.regularizer(*p) for p in points]
    assert abs(values[1] - values[0]) > 1e-3
    assert found[1] - found[0] == pytest.approx(values[1] - values[0], abs=1e-11)


# --- the theorem by automatic differentiation -----------------------------------------------

RATE = 0.01


@pytest.mark.parametrize(
    ("name", "noise"),
    pairs_in_turn(["two layers", "full", "deep", "CP", "softmax attention"], [IsotropicNoise(1), AnyNoise()]),
)
def test_a_rate_that_stays_is_the_kernel_in_the_eigenvectors(name, noise):
    member = draw(name, 1)
    right = Derivatives.of(member.loss, lambda x: member.values(x).ravel(), member.x)
    sigma = np.random.default_rng(1).standard_normal((member.x.size, 3))
    columns = np.eye(member.x.size) if isinstance(noise, IsotropicNoise) else sigma
    values, axes = np.linalg.eigh(right.hessian)
    kept = values > 1e-9 * values[-1]
    steep, slopes = axes[:, kept], values[kept]
    tangent, covariance = np.eye(member.x.size) - steep @ steep.T, columns @ columns.T
    across = steep.T @ covariance @ steep / (slopes[:, None] + slopes - RATE * slopes[:, None] * slopes)
    applied = np.einsum("ijk,jk->i", right.third, steep @ across @ steep.T)
    assert values[-1] < 2 / RATE
    sde = derive_limiting_sde(member.known.family(noise), optimizer=SGD(learning_rate=eta))
    arrays = sde.lambdify(eta=RATE, **member.given)
    given = {"sigma": member.blocks(sigma)} if isinstance(noise, AnyNoise) else {}
    found = _flat(arrays.normal_regularization(*member.parameters.values(), **given))
    expected = -0.5 * tangent @ applied
    assert np.abs(found - expected).max() < 1e-9 * (1 + np.abs(expected).max())
    plain = derive_limiting_sde(member.known.family(noise)).lambdify(**member.given)
    assert np.abs(_flat(plain.normal_regularization(*member.parameters.values(), **given)) - expected).max() > 1e-6


VERIFIED = [
    (models.two_layer_network(), HeavyBall(momentum=0.9, weight_decay=w)),
    (models.matrix_sensing(LabelNoise(2, batch_size=n)), SGD(learning_rate=eta)),
    (models.full_factorization(IsotropicNoise(2)), LocalSGD(workers=2, round_time=w)),
    (models.softmax_regression(AnyNoise()), Nesterov(momentum=0.5, learning_rate=eta)),
]


@pytest.mark.parametrize(("family", "optimizer"), VERIFIED)
def test_verify(family, optimizer):
    certificate = verify(derive_limiting_sde(family, optimizer=optimizer))
    assert certificate.passed, [c for c in certificate.checks if c.verdict != "passed"]
    assert any(c.name == "normal regularization" for c in certificate.checks)


def test_a_slow_potential_is_a_matrix_expression():
    family = models.matrix_sensing()
    u, v = family.parameters
    decay = derive_limiting_sde(family, optimizer=SGD(weight_decay=2))
    stated = derive_limiting_sde(family, optimizer=SGD(slow_potential=sp.Trace(u.T * u) + sp.Trace(v.T * v)))
    assert str(stated.drift[u]) == str(decay.drift[u]) == "Σ_i λ_i A_i V − 1/(2 n) Σ_i A_i A_iᵀ U − 2 U"
    assert str(decay.imposed_drift[v]) == "−2 V"
    assert verify(stated).passed


# --- shares, charges, R̂ ----------------------------------------------------------------------


def test_what_is_that_of_sgd_in_another_time():
    family = models.matrix_sensing()
    u = family.parameters[0]
    assert (
        derive_limiting_sde(family, optimizer=HeavyBall(momentum=0.5)).time_unit
        == 4 * sp.Symbol("eta", positive=True) ** 2
    )
    plain, coloured = (derive_limiting_sde(family, optimizer=o) for o in (SGD(), ColouredNoise(correlation=0.5)))
    assert str(plain.regularizer) == "1/(4 n) Σ_i (‖A_i V‖² + ‖A_iᵀ U‖²)"
    assert str(coloured.regularizer) == "1/n Σ_i (‖A_i V‖² + ‖A_iᵀ U‖²)"
    assert str(coloured.drift[u]) == "Σ_i λ_i A_i V − 2/n Σ_i A_i A_iᵀ U"
    assert "brings is 4 times that of SGD" in coloured.explain()
    v = family.parameters[1]
    assert (
        sp.simplify(coloured.induced_regularizer(u * v.T).expression / plain.induced_regularizer(u * v.T).expression)
        == 4
    )


def test_charges_of_a_decaying_family():
    (charge,) = derive_limiting_sde(models.full_factorization(), optimizer=SGD(weight_decay=w)).charges
    member = draw("full", 1)
    functions = derive_limiting_sde(models.full_factorization(), optimizer=SGD(weight_decay=w)).lambdify(
        w=0.7, **member.given
    )
    point = tuple(member.parameters.values())
    at = functions.at(*point)
    (u, v), (b, c) = map(np.asarray, point), functions.drift(*point)
    moved = u.T @ b + b.T @ u - v.T @ c - c.T @ v
    assert np.abs(moved - at.arrays.value(charge.drift.form)).max() < 1e-10


def test_what_is_not_that_of_sgd_says_so():
    sde = derive_limiting_sde(models.matrix_sensing(), optimizer=LocalSGD(workers=2, round_time=1))
    u, v = sde.family.parameters
    with pytest.raises(NoCharges, match="Local SGD"):
        _ = sde.charges
    with pytest.raises(Undecided, match="Local SGD"):
        sde.induced_regularizer(u * v.T)
    decaying = derive_limiting_sde(models.matrix_sensing(), optimizer=SGD(weight_decay=1))
    with pytest.raises(Undecided, match="drift of its own"):
        decaying.induced_regularizer(u * v.T)


# --- words -----------------------------------------------------------------------------------


def test_words_and_formulas_of_a_rate_that_stays():
    sde = derive_limiting_sde(models.matrix_sensing(LabelNoise(1, batch_size=n)), optimizer=SGD(learning_rate=eta))
    assert "F(μ) = -log(1 - eta*μ/2)/eta" in str(sde.regularizer)
    assert str(sde.where[1]) == "ζ = (1/n)K h(GK), h(μ) = 1/(2 - eta*μ) for the eigenvalues μ > 0, K = 1/n"
    assert "smaller than 2/eta" in sde.explain()
    assert r"t_{k+1} = t_k + \epsilon^{2} \eta^{2}" in sde.latex()
    assert sde.covariance_kernel(1, 2) == 1 / (3 - 2 * eta)


def test_letters_of_curvatures_are_free_ones():
    mu = sp.Symbol("mu", positive=True)
    sde = derive_limiting_sde(models.matrix_sensing(IsotropicNoise(1)), optimizer=SGD(learning_rate=mu))
    assert "h(a) = 1/(a*(2 - a*mu))" in str(sde.where[-1])


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "optimizer", "message"),
    [
        (models.matrix_sensing(), Nesterov(momentum=0.5, learning_rate=0.1), "draws a sample"),
        (
            models.matrix_sensing(LabelNoise(1, batch_size=2)),
            LocalSGD(workers=2, steps=3, learning_rate=0.1),
            "draws a sample",
        ),
        (models.softmax_regression(RedrawnClasses()), SGD(learning_rate=0.1), "do not rest on Γ"),
        (models.matrix_sensing(), RandomReshuffling(), "not derived for a family"),
        (
            models.matrix_sensing(),
            Adam(beta1=0.5, second_moment_rate=1),
            r"\.settled_moments\(optimizer\).*family\.problem",
        ),
        (models.matrix_sensing(), RMSprop(second_moment_rate=1), r"\.settled_moments\(optimizer\)"),
        (models.matrix_sensing(), SAM(learning_rate=0.1), "not derived for a family"),
        (
            models.matrix_sensing(),
            SGD(slow_potential=models.matrix_sensing().residual),
            "that all samples have in common",
        ),
    ],
)
def test_refused(family, optimizer, message):
    with pytest.raises(BadInput, match=message):
        derive_limiting_sde(family, optimizer=optimizer)


def test_redrawn_labels_and_a_symbol_of_an_optimizer():
    letter, half = sp.Symbol("r"), sp.Rational(1, 2)
    laws = tuple((half, sp.Lambda(letter, (letter - s) ** 2 / 2)) for s in (1, -1))
    decay = SGD(weight_decay=w)
    redrawn, label = (
        derive_limiting_sde(models.matrix_sensing(noise), optimizer=decay)
        for noise in (RedrawnLabels(laws), LabelNoise(1))
    )
    assert str(redrawn.drift) == str(label.drift)


def test_names_of_an_optimizer_are_its_own():
    with pytest.raises(BadSymbol, match="named 'r'"):
        derive_limiting_sde(models.matrix_sensing(), optimizer=SGD(weight_decay=sp.Symbol("r", positive=True)))
    with pytest.raises(BadSymbol, match="unit of time"):
        derive_limiting_sde(models.matrix_sensing(), optimizer=SGD(weight_decay=eta))


def test_beyond_the_edge():
    arrays = derive_limiting_sde(models.matrix_sensing(IsotropicNoise(1)), optimizer=SGD(learning_rate=eta)).lambdify(
        eta=1, **{k: np.array(v, dtype=float) for k, v in DATA.items()}
    )
    with pytest.raises(Unstable, match="edge of stability"):
        arrays.drift(U, V)


@pytest.mark.parametrize("batch", [0, 1.5, True, sp.Symbol("b")])
def test_what_is_no_batch(batch):
    with pytest.raises(BadInput, match="batch_size"):
        models.matrix_sensing(LabelNoise(1, batch_size=batch))


def test_a_batch_has_no_more_than_all_samples():
    family = models.matrix_sensing(LabelNoise(1, batch_size=3))
    with pytest.raises(BadInput, match="there are 2 samples"):
        derive_limiting_sde(family).lambdify(**DATA)
    with pytest.raises(BadInput, match="there are 2 samples"):
        family.problem(sizes={r: 1}, **DATA)
