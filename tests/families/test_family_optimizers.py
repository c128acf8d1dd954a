"""Optimizers on families of coordinates: the explicit engine, samples that differ in curvature, words and refusals."""

import numpy as np
import pytest
import sympy as sp

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

i, j = sp.symbols("i j", integer=True)
n, d = sp.symbols("n d", integer=True, positive=True)
u, v, y, z, k = map(sp.IndexedBase, ("u", "v", "y", "z", "k"))
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


@pytest.mark.parametrize(("name", "optimizer", "noise"), CASES, ids=[f"{a}, {b}" for a, _, b in CASES])
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
