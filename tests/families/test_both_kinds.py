"""One model stated in coordinates and in matrices: what one kind of family has, the other has too, and the same."""

import numpy as np
import pytest
import sympy as sp
from scipy import sparse

import symbolic_sgd
from symbolic_sgd import (
    SGD,
    AnyNoise,
    Family,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    MatrixFamily,
    RMSprop,
    derive_limiting_sde,
    models,
    simulate_family_sgd,
    verify,
)
from symbolic_sgd.errors import BadInput, BadPoint, BadSymbol, IsolatedMinimum, SingularPoint

i, j = sp.symbols("i j", integer=True)
n, d = sp.symbols("n d", integer=True, positive=True)
u, v, y, z = map(sp.IndexedBase, "uvyz")
k = sp.IndexedBase("k", positive=True)
r = sp.Symbol("r", real=True)
RESIDUAL = sp.Sum(z[i, j] * (u[j] ** 2 - v[j] ** 2), (j, 1, d)) - y[i]
RATE = sp.Rational(1, 512)
U, V, Z = np.array([1.0, 2, -1]), np.array([2.0, 1, 1]), np.array([[1.0, 0, 2], [1, -1, 1]])
DATA = {"z": Z, "y": Z @ (U**2 - V**2)}
EXACT = {"z": Z.astype(int).tolist(), "y": DATA["y"].astype(int).tolist()}
BENT = sp.Lambda(r, k[i] * (sp.cosh(r) - 1))


def _family(noise, **more):
    return Family(residual=RESIDUAL, sample=(i, 1, n), parameters=(u, v), noise=noise, **more)


def _pair(noise, optimizer=None):
    given = {} if optimizer is None else {"optimizer": optimizer}
    return [derive_limiting_sde(f, **given) for f in (_family(noise), models.difference_of_squares(noise))]


STATED = {
    "label": (LabelNoise(2), None),
    "batches": (LabelNoise(2, batch_size=2), HeavyBall(momentum=0.5)),
    "full gradient at a rate": (LabelNoise(2, batch_size=n), SGD(learning_rate=RATE, weight_decay=3)),
    "isotropic at a rate": (IsotropicNoise(3), SGD(learning_rate=RATE)),
    "given": (AnyNoise(), HeavyBall(friction=2)),
}


@pytest.mark.parametrize("name", STATED)
def test_both_kinds_say_the_same(name):
    first, second = _pair(*STATED[name])
    here, there = (sde.lambdify(**DATA) for sde in (first, second))
    sigma = {"sigma": np.random.default_rng(0).standard_normal((2, 3, 2))} if name == "given" else {}
    for term in (
        "drift",
        "tangent_noise_compensation",
        "mixed_regularization",
        "normal_regularization",
        "imposed_drift",
    ):
        expected = np.array(getattr(there, term)(U, V, **sigma))
        assert np.abs(np.array(getattr(here, term)(U, V, **sigma)) - expected).max() <= 1e-12 * (
            1 + np.abs(expected).max()
        ), term
    increments = np.ones(2) if name == "given" else np.ones((2, 3))
    moved = [np.array(f.tangent_noise(U, V, increments=increments, **sigma)) for f in (here, there)]
    assert np.allclose(*moved, rtol=1e-13) and (np.abs(moved[1]).max() > 0.1) == (first.family.proportion is None)
    if name != "given":
        assert here.regularizer(U, V) == pytest.approx(there.regularizer(U, V), rel=1e-13)
    assert here.codimension(U, V) == there.codimension(U, V) == 2
    assert here.condition(U, V) <= there.condition(U, V) * (1 + 1e-12)


def test_both_kinds_are_written_the_same():
    first, second = _pair(LabelNoise(1))
    for name in ("residual", "gram", "trace_hessian"):
        assert str(getattr(first, name)) == str(getattr(second, name))
    assert [str(e) for e in first.gradient.values()] == [str(e) for e in second.gradient.values()]
    assert str(first.codimension) == str(second.codimension)
    assert first.codimension.measured == second.codimension.measured != ()
    assert str(first.settled_moments(RMSprop(second_moment_rate=1))) == str(
        second.settled_moments(RMSprop(second_moment_rate=1))
    )
    assert first.charges == second.charges == ()
    assert first.jacobian == second.jacobian and first.hessian == second.hessian
    assert first.diffusion != second.diffusion  # (JJᵀ)⁻¹ in the one, G† in the other
    assert second.hessian_pinv.shape == second.lyapunov_solution.shape == (2 * d, 2 * d)


@pytest.mark.parametrize("batch", [None, 1, 2])
def test_the_explicit_problem_of_batches(batch):
    """On n = 2 samples; with amplitudes of their own the labels have no c."""
    q = sp.IndexedBase("q", positive=True)
    for amplitude, more in ((3, {}), (q[i], {"q": [1, 2]})):
        family = _family(LabelNoise(amplitude, batch_size=batch))
        found = derive_limiting_sde(family).lambdify(**DATA, **more).drift(U, V)
        explicit = derive_limiting_sde(family.problem(**EXACT, **more)).lambdify()
        expected = explicit.drift(np.concatenate([U, V]))
        assert np.abs(expected).max() > 0.1
        assert np.abs(np.concatenate(found) - expected).max() < 1e-11 * np.abs(expected).max()


CURVED = {
    "isotropic": (_family(IsotropicNoise(2), loss=BENT), {"k": [1.0, 3]}),
    "label": (_family(LabelNoise(2, batch_size=n)), {}),
}


@pytest.mark.parametrize("name", CURVED)
def test_a_regularizer_over_the_curvatures_has_the_slope_of_the_drift(name):
    family, more = CURVED[name]
    sde = derive_limiting_sde(family, optimizer=SGD(learning_rate=RATE))
    functions, step, x = sde.lambdify(check=False, **DATA, **more), 1e-5, np.array([U, V])
    slope = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[place] = step
        slope[place] = (functions.regularizer(*(x + e)) - functions.regularizer(*(x - e))) / (2 * step)
    descent = [-s for s in functions.tangent_projection(*x, vectors=slope)]
    assert np.allclose(functions.normal_regularization(*x), descent, rtol=1e-6, atol=1e-6)
    assert "z_j" not in str(sde.regularizer)  # j is a coordinate
    assert "Σ_μ F(μ)" in str(sde.regularizer) and r"\sum_{\mu} F(\mu)" in sde.latex() and "F(μ)" in repr(sde)


def test_settled_moments_where_samples_differ_in_curvature():
    """v = c Diag ∇²L, c = 1, ∇²L = (1/n) Σ k_i ∇f_i∇f_iᵀ."""
    law = tuple((sp.Rational(1, 2), sp.Lambda(r, k[i] * r**2 / 2 + s * sp.sqrt(k[i]) * r)) for s in (1, -1))
    sde = derive_limiting_sde(_family(symbolic_sgd.RedrawnLabels(law)))
    assert sde.family.proportion == 1
    settled = sde.settled_moments(RMSprop(second_moment_rate=1)).on(sde.lambdify(k=[1.0, 3], **DATA))
    jacobian = np.concatenate([2 * Z * U, -2 * Z * V], axis=1)
    moments = np.diag(jacobian.T @ np.diag([1.0, 3]) @ jacobian) / 2
    assert np.allclose(np.concatenate(settled.moments(U, V)), moments, rtol=1e-13)
    assert settled.regularizer(U, V) == pytest.approx(np.sqrt(moments).sum() / 2, rel=1e-13)


@pytest.mark.parametrize("backend", ["JAX", "Torch"])
def test_coordinates_on_other_arrays(backend):
    module = pytest.importorskip("jax" if backend == "JAX" else "torch")
    if backend == "JAX":
        module.config.update("jax_enable_x64", True)
    sde = derive_limiting_sde(_family(IsotropicNoise(2), loss=BENT))
    home = getattr(symbolic_sgd, backend)()
    here = sde.lambdify(k=[1.0, 3], **DATA).drift(U, V)
    there = sde.lambdify(backend=home, k=[1.0, 3], **DATA)
    assert np.allclose(here, [np.asarray(a) for a in there.drift(U, V)], rtol=1e-10)
    twice = {"z": Z[[0, 0]], "y": DATA["y"][[0, 0]]}
    with pytest.raises(SingularPoint, match="dependent"):
        sde.lambdify(backend=home, k=[1.0, 3], **twice).drift(U, V)


def test_a_simulation_draws_the_same_steps():
    runs = [
        simulate_family_sgd(sde.lambdify(**DATA), (U, V), learning_rate=0.01, steps=50, replicas=3, rng=5)
        for sde in _pair(LabelNoise(1))
    ]
    assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(runs[0].final, runs[1].final, strict=True))
    assert np.abs(runs[0].final[0] - U).max() > 1e-3


def test_as_many_samples_as_parameters_leave_a_point():
    square = {"z": np.eye(2), "y": np.ones(2)}
    family = Family(
        residual=sp.Sum(z[i, j] * u[j] ** 2, (j, 1, d)) - y[i], sample=(i, 1, n), parameters=(u,), noise=LabelNoise()
    )
    with pytest.raises(IsolatedMinimum):
        derive_limiting_sde(family).lambdify(**square).drift([1.0, 1.0])


def test_what_is_asked_of_both():
    first, second = _pair(LabelNoise(1))
    for sde in (first, second):
        functions = sde.lambdify(**DATA)
        assert functions.drift(np.ones((0, 3)), np.ones((0, 3)))[0].shape == (0, 3)
        assert functions.residuals(np.ones((4, 3)), np.ones((4, 3))).shape == (4, 2)
        assert functions.residuals(np.ones((0, 3)), np.ones((0, 3))).shape == (0, 2)
        for asked in (functions.corrected, functions.codimension):
            with pytest.raises(BadPoint, match="single point"):
                asked(np.ones((2, 3)), np.ones((2, 3)))
        with pytest.raises(BadPoint, match="leading axes"):
            functions.drift(np.ones((2, 3)), np.ones((4, 3)))
        with pytest.raises(BadInput, match="no value for y"):
            sde.lambdify(z=Z)
    with pytest.raises(BadSymbol, match="batch_size"):
        _family(LabelNoise(1, batch_size=d))
    with pytest.raises(BadInput, match="there are 2 samples"):
        derive_limiting_sde(_family(LabelNoise(1, batch_size=3))).lambdify(**DATA)


def test_matrices_have_the_signs_that_were_declared():
    c, x = sp.Symbol("c", positive=True), sp.MatrixSymbol("x", d, 1)
    w = sp.MatrixSymbol("w", d, 1)
    target = sp.Symbol("t", positive=True)
    family = MatrixFamily(
        residual=sp.log(c) * sp.Trace(w.T * x) - target,
        parameters=(c, w),
        data=(x, target),
        samples=n,
        noise=LabelNoise(1),
    )
    sde = derive_limiting_sde(family)
    with pytest.raises(BadInput, match="t is declared positive"):
        sde.lambdify(x=np.eye(2)[:1], t=[-1.0])
    with pytest.raises(BadPoint, match="c is declared positive"):
        sde.lambdify(x=np.eye(2)[:1], t=[1.0]).drift(-2.0, [1.0, 0])


UNEVEN = sp.Lambda(r, k[i] * r**2 / 2)
VERIFIED = {
    "label": (_family(LabelNoise(2)), None),
    "samples that differ": (_family(LabelNoise(2), loss=UNEVEN), None),
    "isotropic at a rate": (_family(IsotropicNoise(2), loss=BENT), SGD(learning_rate=sp.Rational(1, 4096))),
    "given, with a field": (_family(AnyNoise(), loss=BENT), HeavyBall(friction=2, weight_decay=3)),
    "batches": (_family(LabelNoise(2, batch_size=2), loss=UNEVEN), SGD(learning_rate=sp.Rational(1, 4096))),
}


@pytest.mark.parametrize("name", VERIFIED)
def test_sums_over_coordinates_are_verified(name):
    family, optimizer = VERIFIED[name]
    certificate = verify(derive_limiting_sde(family, **({} if optimizer is None else {"optimizer": optimizer})))
    assert certificate.passed, certificate
    assert any(check.name == "normal regularization" and check.verdict == "measured" for check in certificate.checks)


def test_a_wrong_term_of_coordinates_is_rejected(monkeypatch):
    slopes = Family.trace_gradient.func
    halved = lambda self: {name: form.scaled(sp.Rational(1, 2)) for name, form in slopes(self).items()}  # noqa: E731
    monkeypatch.setattr(Family, "trace_gradient", property(halved))
    assert not verify(derive_limiting_sde(_family(LabelNoise(2)))).passed


def test_a_simulation_takes_no_sparse_data():
    functions = derive_limiting_sde(_family(LabelNoise(1))).lambdify(z=sparse.csr_array(Z), y=DATA["y"])
    with pytest.raises(BadInput, match="dense"):
        simulate_family_sgd(functions, (U, V), learning_rate=0.01, steps=5)
