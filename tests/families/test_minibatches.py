"""Batches at a learning rate that stays: the explicit engine, and the true map iterated with exact averages over its batches."""

import itertools

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import SGD, Family, LabelNoise, MatrixFamily, RedrawnLabels, derive_limiting_sde, models, verify
from symbolic_sgd.errors import BadInput, Undecided, Unstable
from symbolic_sgd.models.letters import d1, d2, matrix
from symbolic_sgd.models.letters import r as rank

i, j = sp.symbols("i j", integer=True)
n, d = sp.symbols("n d", integer=True, positive=True)
u, v, y, z = map(sp.IndexedBase, "uvyz")
q = sp.IndexedBase("q", positive=True)
r = sp.Symbol("r", real=True)
RESIDUAL = sp.Sum(z[i, j] * (u[j] ** 2 - v[j] ** 2), (j, 1, d)) - y[i]
RATE = sp.Rational(1, 64)
U, V, Z = np.array([1, 2, -1]), np.array([2, 1, 1]), np.array([[1, 0, 2], [1, -1, 1], [0, 1, 3]])
EXACT = {"z": Z.tolist(), "y": (Z @ (U**2 - V**2)).tolist()}
DATA = {name: np.array(a, dtype=float) for name, a in EXACT.items()}


def _family(noise, **more):
    return Family(residual=RESIDUAL, sample=(i, 1, n), parameters=(u, v), noise=noise, **more)


def _literal(residuals, symbols, point, drawn, rate, weights=1.0, amplitude=1.0):
    """The drift −½∂Φ T[C/η] where C ← E[(I − ηH_B)C(I − ηH_B)ᵀ] + η²Σ has settled, batches B of b samples being counted out."""
    count, batch = drawn
    at = dict(zip(symbols, point, strict=True))
    slopes = np.array([[sp.diff(f, s).subs(at) for s in symbols] for f in residuals], dtype=float)
    bent = np.array([sp.hessian(f, symbols).subs(at) for f in residuals], dtype=float)
    kappa = np.broadcast_to(np.asarray(weights, dtype=float), (len(residuals),))
    per_sample = len(residuals) // count
    scaled = slopes * np.sqrt(kappa)[:, None]
    each = [a.T @ a for a in np.split(scaled, count)]
    batches = [sum(each[k] for k in chosen) / batch for chosen in itertools.combinations(range(count), batch)]
    moved = slopes * (kappa * amplitude)[:, None]
    noise = rate**2 * moved.T @ moved / (count * batch)
    settled, steps = 0 * noise, [np.eye(len(symbols)) - rate * h for h in batches]
    for _ in range(20000):
        before, settled = settled, sum(a @ settled @ a for a in steps) / len(steps) + noise
        if np.abs(settled - before).max() < 1e-16 * np.abs(settled).max():
            break
    assert per_sample * count == len(residuals)
    third = sum(
        k * (2 * h @ settled @ g + np.trace(h @ settled) * g) for k, h, g in zip(kappa, bent, slopes, strict=True)
    )
    tangent = np.eye(len(symbols)) - np.linalg.pinv(slopes) @ slopes
    return -tangent @ third / (2 * count * rate)


def _arrays(family, optimizer=SGD(learning_rate=RATE), **data):  # noqa: B008 (a value)
    return derive_limiting_sde(family, optimizer=optimizer).lambdify(**data)


@pytest.mark.parametrize("batch", [None, 2, 3])
def test_the_explicit_problem(batch):
    optimizer = SGD(learning_rate=RATE, weight_decay=3)
    family = _family(LabelNoise(2, batch_size=batch))
    found = np.concatenate(_arrays(family, optimizer, **DATA).drift(U, V))
    explicit = derive_limiting_sde(family.problem(**EXACT), optimizer=optimizer).lambdify()
    expected = explicit.drift(np.concatenate([U, V]).astype(float))
    tending = derive_limiting_sde(family, optimizer=SGD(weight_decay=3)).lambdify(**DATA).drift(U, V)
    assert np.abs(found - expected).max() < 1e-12 * np.abs(expected).max()
    assert np.abs(found - np.concatenate(tending)).max() > 0.01 * np.abs(expected).max()


def test_the_explicit_problem_of_matrices():
    data = {"A": [[[1, 2], [0, 1]], [[2, -1], [1, 1]]], "y": [-3, 3]}
    family, optimizer = models.matrix_sensing(LabelNoise(2)), SGD(learning_rate=sp.Rational(1, 32))
    arrays = _arrays(family, optimizer, **{k: np.array(a, dtype=float) for k, a in data.items()})
    point = np.array([[1.0], [2]]), np.array([[1.0], [-1]])
    problem = family.problem(sizes={rank: 1}, **data)
    expected = derive_limiting_sde(problem, optimizer=optimizer).lambdify().drift(np.ravel(point))
    assert np.abs(expected).max() > 0.1
    assert np.abs(np.ravel(arrays.drift(*point)) - expected).max() < 1e-12 * np.abs(expected).max()


WEIGHTS = {
    "curvatures": (LabelNoise(2, batch_size=2), sp.Lambda(r, q[i] * r**2 / 2), [1, 2, 3], 2),
    "amplitudes": (LabelNoise(q[i], batch_size=2), None, 1, np.array([1, 2, 3])),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_samples_that_differ(name):
    noise, loss, kappa, amplitude = WEIGHTS[name]
    optimizer = SGD(learning_rate=sp.Rational(1, 256))
    found = _arrays(_family(noise, loss=loss), optimizer, q=[1.0, 2, 3], **DATA).drift(U, V)
    symbols = sp.symbols("u1:4 v1:4")
    residuals = [sum(a * (s**2 - t**2) for a, s, t in zip(row, symbols[:3], symbols[3:], strict=True)) for row in Z]
    expected = _literal(residuals, symbols, [*U, *V], (3, 2), 1 / 256, kappa, amplitude)
    assert np.abs(expected).max() > 0.1
    assert np.abs(np.concatenate(found) - expected).max() < 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("batch", [1, 2])
def test_a_sample_with_several_outputs_is_drawn_whole(batch):
    W, S, x, t = matrix("W", d1, d2), matrix("S", d2, d2), matrix("x", d2, 1), matrix("t", d1, 1)
    family = MatrixFamily(
        residual=W * S * x - t, parameters=(W, S), data=(x, t), samples=n, noise=LabelNoise(1, batch_size=batch)
    )
    a, b = np.array([[1.0, 2], [0, 1]]), np.array([[1.0, 0], [1, 1]])
    inputs = np.array([[1.0, 2], [2, -1], [1, 0]])
    arrays = _arrays(family, SGD(learning_rate=sp.Rational(1, 64)), x=inputs, t=inputs @ (a @ b).T)
    symbols = sp.symbols("w1:5 s1:5")
    product = sp.Matrix(2, 2, symbols[:4]) * sp.Matrix(2, 2, symbols[4:])
    residuals = [f for row in inputs.astype(int) for f in product * sp.Matrix(row)]
    assert arrays.codimension(a, b) < len(residuals)
    expected = _literal(residuals, symbols, [*a.ravel(), *b.ravel()], (3, batch), 1 / 64)
    assert np.abs(expected).max() > 0.01
    assert np.abs(np.concatenate([e.ravel() for e in arrays.drift(a, b)]) - expected).max() < 1e-10


def test_entries_of_a_product_are_samples():
    """Four entries whose gradients have the rank 3."""
    left, right = np.array([[1.0], [2]]), np.array([[1.0], [3]])
    arrays = _arrays(models.full_factorization(LabelNoise(1)), Y=left @ right.T)
    symbols = sp.symbols("a1:3 b1:3")
    residuals = [s * t for s in symbols[:2] for t in symbols[2:]]
    expected = _literal(residuals, symbols, [1, 2, 1, 3], (4, 1), float(RATE))
    assert np.abs(expected).max() > 0.01
    assert np.abs(np.ravel(arrays.drift(left, right)) - expected).max() < 1e-10


def test_where_single_samples_are_unstable():
    """At this learning rate the full gradient is stable, and SGD on single samples is not."""
    optimizer = SGD(learning_rate=sp.Rational(1, 32))
    assert np.isfinite(_arrays(_family(LabelNoise(1, batch_size=n)), optimizer, **DATA).drift(U, V)).all()
    with pytest.raises(Unstable, match="mean square"):
        _arrays(_family(LabelNoise(1)), optimizer, **DATA).drift(U, V)
    with pytest.raises(Unstable, match="below 2"):
        _arrays(_family(LabelNoise(1, batch_size=2)), SGD(learning_rate=1), **DATA).drift(U, V)


def test_the_edge_is_that_of_the_second_moments():
    """Just inside of it the drift is large, and outside it is refused."""
    family = _family(LabelNoise(1))
    low, high = 1e-3, 1.0
    for _ in range(40):
        rate = (low + high) / 2
        try:
            _arrays(family, SGD(learning_rate=sp.Rational(rate)), **DATA).drift(U, V)
            low = rate
        except Unstable:
            high = rate
    slopes = np.concatenate([2 * Z * U, -2 * Z * V], axis=1)
    axes = np.linalg.svd(slopes, full_matrices=False)[2]
    steps = [np.eye(3) - low * np.outer(axes @ g, axes @ g) for g in slopes]
    radius = np.abs(np.linalg.eigvals(sum(np.kron(a, a) for a in steps) / 3)).max()
    assert radius == pytest.approx(1, abs=1e-9)


def test_words_and_what_is_not_known():
    sde = derive_limiting_sde(_family(LabelNoise(2, batch_size=2)), optimizer=SGD(learning_rate=RATE))
    assert "Each step draws 2 of n samples" in sde.explain() and "(n - 2)/(2*n - 2)" in sde.explain()
    assert sde.covariance_kernel is None
    assert r"\alpha\,n\,D" in sde.latex()
    with pytest.raises(Undecided, match="no function of ∇²L"):
        _ = sde.regularizer
    with pytest.raises(BadInput, match="no function of ∇²L"):
        sde.lambdify(**DATA).regularizer(U, V)
    printed = derive_limiting_sde(models.matrix_sensing(LabelNoise(2)), optimizer=SGD(learning_rate=RATE))
    assert (
        str(printed.where[1])
        == "ζ = ZGK, KGZ + ZGK − ηK(α n D + (1 − α) GZG)K = (4)K, D the blocks of GZG on single samples, η = 1/64, α = 1, K = 1/n"
    )
    assert r"\alpha\,n\,D" in printed.latex()
    law = RedrawnLabels(tuple((sp.Rational(1, 2), sp.Lambda(r, (r - s) ** 2 / 2)) for s in (1, -1)))
    with pytest.raises(BadInput, match="do not rest on Γ"):
        derive_limiting_sde(_family(law), optimizer=SGD(learning_rate=RATE))


@pytest.mark.parametrize("batch", [1, 2])
def test_verified(batch):
    optimizer = SGD(learning_rate=sp.Rational(1, 512))
    certificate = verify(
        derive_limiting_sde(models.matrix_sensing(LabelNoise(2, batch_size=batch)), optimizer=optimizer)
    )
    assert certificate.passed, certificate
    assert any(c.name == "normal regularization" and c.verdict == "measured" for c in certificate.checks)
