"""Optimizers on families of coordinates: the explicit engine, samples that differ in curvature, words and refusals."""

import numpy as np
import pytest
import sympy as sp
from in_turn import table_in_turn
from literal_sums import interpreted

from symbolic_sgd import (
    SGD,
    Adam,
    AnyNoise,
    ColouredNoise,
    Family,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    LocalSGD,
    Nesterov,
    RandomReshuffling,
    RedrawnLabels,
    derive_limiting_sde,
)
from symbolic_sgd.errors import BadInput, BadSymbol, Undecided, Unstable
from symbolic_sgd.families.terms import COLUMNS

i, j = sp.symbols("i j", integer=True)
n, d = sp.symbols("n d", integer=True, positive=True)
u, v, y, z = map(sp.IndexedBase, "uvyz")
k = sp.IndexedBase("k", positive=True)
r = sp.Symbol("r", real=True)
eta, w = sp.symbols("eta w", positive=True)
RESIDUAL = sp.Sum(z[i, j] * (u[j] ** 2 - v[j] ** 3), (j, 1, d)) - y[i]
BENT = sp.Lambda(r, k[i] * (sp.cosh(r) - 1))


def _family(noise, loss=None):
    given = {} if loss is None else {"loss": loss}
    return Family(residual=RESIDUAL, sample=(i, 1, n), parameters=(u, v), noise=noise, **given)


U, V, Z = np.array([1, 2, -1]), np.array([2, 1, 1]), np.array([[1, 0, 2], [1, -1, 1]])
DATA = {"z": Z.tolist(), "y": (Z @ (U**2 - V**3)).tolist()}
CURVED = DATA | {"k": [1, 3]}
FLOATS = {name: np.array(a, dtype=float) for name, a in DATA.items()}
SIGMA = sp.Matrix(6, 2, [1, 0, 2, 1, -1, 1, 0, 1, 1, 1, -2, 1])
LAWS = RedrawnLabels(tuple((sp.Rational(1, 2), sp.Lambda(r, k[i] * (sp.cosh(r) - 1) + s * r)) for s in (1, -1)))
NOISES = {
    "label": (LabelNoise(1), None),
    "isotropic": (IsotropicNoise(2), BENT),
    "given": (AnyNoise(), BENT),
    "redrawn": (LAWS, None),
}
TENDING = {
    "heavy ball": HeavyBall(momentum=0.5),
    "friction, decay": HeavyBall(friction=2, weight_decay=0.5),
    "rounds": LocalSGD(workers=3, round_time=0.0625),
    "coloured": ColouredNoise(correlation=0.5),
}
STAYING = {
    "SGD": SGD(learning_rate=0.001953125, weight_decay=0.5),
    "Nesterov": Nesterov(momentum=0.25, learning_rate=0.001953125),
    "Local SGD": LocalSGD(workers=2, steps=3, learning_rate=0.001953125),
}
CASES = [(name, o, noise) for name, o in TENDING.items() for noise in NOISES]
CASES += [(f"{name} at a rate", o, noise) for name, o in STAYING.items() for noise in ("isotropic", "given")]


@pytest.mark.parametrize(
    ("name", "optimizer", "noise"), table_in_turn(CASES, len(NOISES)), ids=[f"{a}, {b}" for a, _, b in CASES]
)
def test_the_explicit_problem(name, optimizer, noise):
    stated, loss = NOISES[noise]
    family = _family(stated, loss)
    data = DATA if noise == "label" else CURVED
    sigma = SIGMA if noise == "given" else None
    arrays = derive_limiting_sde(family, optimizer=optimizer).lambdify(
        **{name: np.array(a, dtype=float) for name, a in data.items()}
    )
    explicit = derive_limiting_sde(family.problem(sigma=sigma, **data), optimizer=optimizer).lambdify()
    columns = np.array(SIGMA, dtype=float)
    given = {"sigma": (columns[:3], columns[3:])} if noise == "given" else {}
    point = np.concatenate([U, V]).astype(float)
    found = np.concatenate(arrays.drift(U, V, **given))
    assert np.abs(found).max() > 1e-3
    assert np.abs(found - explicit.drift(point)).max() < 1e-9 * (1 + np.abs(found).max())
    for term in ("tangent_noise_compensation", "mixed_regularization", "normal_regularization"):
        own = np.concatenate(getattr(arrays, term)(U, V, **given))
        assert np.abs(own - getattr(explicit, term)(point)).max() < 1e-9 * (1 + np.abs(own).max())


PRINTED = {
    "a share": (HeavyBall(friction=2, weight_decay=0.25), "label"),
    "shares across and along": (ColouredNoise(correlation=0.5), "isotropic"),
    "a function of the curvatures": (SGD(learning_rate=0.001953125, weight_decay=0.5), "isotropic"),
    "a kernel": (LocalSGD(workers=2, steps=3, learning_rate=0.001953125), "given"),
    "a kernel, labels": (LocalSGD(workers=3, round_time=0.0625), "redrawn"),
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_printed_formulas_say_what_the_arrays_compute(name):
    optimizer, noise = PRINTED[name]
    stated, loss = NOISES[noise]
    sde = derive_limiting_sde(_family(stated, loss), optimizer=optimizer)
    data = DATA if noise == "label" else CURVED
    arrays = sde.lambdify(**{a: np.array(b, dtype=float) for a, b in data.items()})
    jacobian = np.concatenate([2 * Z * U, -3 * Z * V**2], axis=1)
    columns = np.array(SIGMA, dtype=float)
    environment = {n: 2, d: 3, COLUMNS: 2, "u": U, "v": V, "z": Z, **{a: np.array(b) for a, b in data.items()}}
    for definition in sde.drift.definitions:
        letter = str(definition.place.base.label)
        environment[letter] = _in_words(letter, sde, noise, jacobian, columns)
        if environment[letter] is None:
            shape = (2,) * len(definition.place.indices)
            places = [dict(zip(definition.place.indices, at, strict=True)) for at in np.ndindex(shape)]
            environment[letter] = np.reshape(
                [interpreted(definition.value, environment | {s: a + 1 for s, a in at.items()}) for at in places], shape
            )
    given = {"sigma": (columns[:3], columns[3:])} if noise == "given" else {}
    for term in (
        "tangent_noise_compensation",
        "mixed_regularization",
        "normal_regularization",
        "imposed_drift",
        "drift",
    ):
        written = [[interpreted(c, environment | {j: a}) for a in (1, 2, 3)] for c in getattr(sde, term).components]
        expected = np.array(getattr(arrays, term)(U, V, **given))
        assert np.abs(written - expected).max() < 1e-10 * (1 + np.abs(expected).max()), term


def _in_words(letter, sde, noise, jacobian, columns):
    """What no sum defines, by the words that are printed for it."""
    gram = jacobian @ jacobian.T
    root = np.diag(np.sqrt(([1, 1] if noise == "label" else CURVED["k"]) / np.array(2)))
    slopes, axes = np.linalg.eigh(root @ gram @ root)
    kernel = np.array([[float(sde.covariance_kernel(a, b)) for b in (*slopes, 0)] for a in slopes])
    moved = np.linalg.solve(gram, jacobian @ columns)
    if letter == "G^{-1}":
        return np.linalg.inv(gram)
    if letter == "zeta" and noise == "isotropic":
        return 4 * root @ (axes * np.diag(kernel)) @ axes.T @ root
    if letter == "zeta":
        across = moved @ moved.T
        if noise == "redrawn":
            across = np.diag([0.5, 0.5])
        inner = axes.T @ np.linalg.solve(root, np.linalg.solve(root, across).T) @ axes
        return root @ axes @ (inner * kernel[:, :2]) @ axes.T @ root @ gram @ root @ root
    if letter == "omega":
        return root @ (axes * (slopes * kernel[:, 2])) @ axes.T @ np.linalg.solve(root, moved)
    if letter.startswith("X"):
        along = columns - jacobian.T @ moved
        return along[:3] if letter.endswith("{u}") else along[3:]
    return None


# --- words, symbols and refusals -------------------------------------------------------------


def test_a_slow_potential_is_a_sum_over_coordinates():
    family = _family(LabelNoise(1))
    decay = derive_limiting_sde(family, optimizer=SGD(weight_decay=2))
    squares = sp.Sum(u[j] ** 2 + v[j] ** 2, (j, 1, d))
    stated = derive_limiting_sde(family, optimizer=SGD(slow_potential=squares))
    assert stated.drift.components == decay.drift.components
    assert not decay.imposed_drift.is_zero
    for wrong in (z[i, j] * u[j], sp.Symbol("u")):
        with pytest.raises(BadInput):
            derive_limiting_sde(family, optimizer=SGD(slow_potential=wrong))


def test_symbols_of_an_optimizer_are_constants():
    stated = derive_limiting_sde(_family(LAWS), optimizer=HeavyBall(friction=2, weight_decay=w))
    given = {name: np.array(a, dtype=float) for name, a in CURVED.items()}
    fixed = derive_limiting_sde(_family(LAWS), optimizer=HeavyBall(friction=2, weight_decay=0.75)).lambdify(**given)
    assert np.allclose(stated.lambdify(w=0.75, **given).drift(U, V), fixed.drift(U, V), rtol=1e-13)
    with pytest.raises(BadSymbol, match="'z'"):
        derive_limiting_sde(_family(LAWS), optimizer=SGD(weight_decay=sp.Symbol("z", positive=True)))


def test_words():
    coloured = derive_limiting_sde(_family(IsotropicNoise(1)), optimizer=ColouredNoise(correlation=0.5))
    assert "The covariance along Γ is 4 times" in coloured.explain()
    assert coloured.diffusion == 2 * derive_limiting_sde(_family(IsotropicNoise(1))).diffusion
    staying = derive_limiting_sde(_family(AnyNoise()), optimizer=SGD(learning_rate=eta, weight_decay=w))
    assert "smaller than 2/eta" in staying.explain()
    assert staying.covariance_kernel(1, 2) == 1 / (3 - 2 * eta)
    for words in ("+ b^{g})", r"t_{k+1} &= t_k + \epsilon^{2} \eta^{2}", "k(a, b) ="):
        assert words in staying.latex()
    with pytest.raises(Undecided, match="known regularizer"):
        _ = staying.regularizer


def test_beyond_the_edge():
    arrays = derive_limiting_sde(_family(AnyNoise()), optimizer=SGD(learning_rate=eta)).lambdify(eta=1, **FLOATS)
    with pytest.raises(Unstable, match="edge of stability"):
        arrays.drift(U, V, sigma=(np.ones((3, 1)), np.ones((3, 1))))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (HeavyBall(momentum=0.5, learning_rate=0.1), "draws a sample"),
        (RandomReshuffling(), "not derived for a family"),
        (Adam(beta1=0.5, second_moment_rate=1), "family.problem"),
    ],
)
def test_refused(optimizer, message):
    with pytest.raises(BadInput, match=message):
        derive_limiting_sde(_family(LabelNoise(1)), optimizer=optimizer)
