"""Families of matrices: known numbers, the explicit engine, mutants, back ends, points and refusals."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from known_models import draw

import symbolic_sgd.families.tensor_model as tensor_model
from symbolic_sgd import (
    AnyNoise,
    CrossEntropy,
    IsotropicNoise,
    LabelNoise,
    MatrixFamily,
    RedrawnClasses,
    RedrawnLabels,
    derive_limiting_sde,
    models,
    verify,
)
from symbolic_sgd.errors import (
    BadInput,
    BadPoint,
    BadShape,
    BadSymbol,
    DegenerateMinimum,
    InexactNumber,
    IsolatedMinimum,
    NoMinimum,
    NotSmooth,
    OffManifold,
    SingularPoint,
    Undecided,
    UnsupportedExpression,
)
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.models.letters import d, d1, d2, m, matrix, n, r, vector, y
from symbolic_sgd.tensors.entrywise import Entrywise

# --- known numbers, from the theorem by automatic differentiation ------------------------------

A1 = np.array([[[1, 2, 0], [0, 1, 1]], [[2, -1, 1], [1, 1, 0]], [[0, 1, -1], [1, 0, 2]]])
U1, V1 = np.array([[1, 0], [2, 1]]), np.array([[1, 1], [0, -1], [2, 0]])
X2, a2, W2 = np.array([[1, 0], [1, 1], [0, 2]]), np.array([1, -1, 2]), np.array([[1, 0], [0.5, 0.5], [0, 1]])
U3, V3 = np.array([[1], [2], [2]]), np.array([[2], [-1]])

KNOWN = {
    "sensing": (
        models.matrix_sensing,
        {"A": A1, "y": np.einsum("iab,ak,bk->i", A1, U1, V1)},
        (U1, V1),
        10.5,
        (-1.684825783096, 1.068086211809, -0.099393299479, -0.728685873263, 0.639742236077, 0.123049591902,
         0.529027770795, 1.518402131832, -1.095010642399, 0.138778554310),
    ),
    "tanh": (
        models.two_layer_network,
        {"x": X2, "y": np.tanh(X2 @ W2.T) @ a2},
        (a2, W2),
        1.311652333756,
        (-0.694957238843, 0.351368232339, -0.328109823449, 0.060742706978, 0.048721748657, 0.090001284496,
         0.228816874419, 0.206086505423, 0.507629819305),
    ),
    "full": (
        models.full_factorization, {"Y": U3 @ V3.T}, (U3, V3), 1.375, (-1 / 56, -1 / 28, -1 / 28, 1 / 28, -1 / 56),
    ),
}  # fmt: skip


def _flat(blocks):
    return np.concatenate([np.ravel(b) for b in blocks])


@pytest.mark.parametrize("name", KNOWN)
def test_known_numbers(name):
    model, data, point, regularizer, drift = KNOWN[name]
    functions = derive_limiting_sde(model()).lambdify(**data)
    assert functions.regularizer(*point) == pytest.approx(regularizer, abs=1e-11)
    assert np.abs(_flat(functions.drift(*point)) - drift).max() < 2e-12
    assert functions.codimension(*point) == {"sensing": 3, "tanh": 3, "full": 4}[name]


# --- the explicit engine at a small size --------------------------------------------------------

Q = sp.Symbol("q")
SIGNS = RedrawnLabels(tuple((sp.Rational(1, 2), sp.Lambda(Q, (Q + s) ** 2 / 2)) for s in (2, -2)))
TWO = {r: 1}
SMALL = np.array([[1.0], [2]]), np.array([[1.0], [-1]])
EXPLICIT = {
    "sensing, label": (models.matrix_sensing(), {"A": A1[:2, :, :2], "y": [-3, 3]}, SMALL),
    "sensing, isotropic": (models.matrix_sensing(IsotropicNoise(2)), {"A": A1[:1, :, :2], "y": [-3]}, SMALL),
    "full": (models.full_factorization(), {"Y": [[3, -1], [6, -2]]}, (np.array([[1.0], [2]]), np.array([[3.0], [-1]]))),
    "squares, redrawn labels": (
        models.difference_of_squares(SIGNS),
        {"z": [[1, 2]], "y": [3]},
        (np.array([2.0, 2]), np.array([1.0, 2])),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLICIT)
def test_the_explicit_problem(name):
    family, data, point = EXPLICIT[name]
    arrays = derive_limiting_sde(family).lambdify(**{k: np.array(v, dtype=float) for k, v in data.items()})
    data = {k: np.asarray(v).tolist() for k, v in data.items()}
    explicit = derive_limiting_sde(family.problem(sizes=TWO if r in family.sizes else {}, **data)).lambdify()
    flat = _flat(point)
    found = _flat(arrays.drift(*point))
    assert np.abs(found).max() > 1e-3
    assert np.abs(found - explicit.drift(flat)).max() < 1e-10
    normal = _flat(arrays.normal_regularization(*point))
    assert np.abs(normal - explicit.normal_regularization(flat)).max() < 1e-10


# --- verification, and what it has to reject ----------------------------------------------------

VERIFIED = [models.two_layer_network, models.full_factorization, models.weight_normalization, models.softmax_regression]


@pytest.mark.parametrize("model", VERIFIED)
def test_verify(model):
    certificate = verify(derive_limiting_sde(model()))
    assert certificate.passed, certificate.details
    assert any(c.name == "normal regularization" for c in certificate.checks)


@pytest.mark.parametrize("noise", [IsotropicNoise(2), AnyNoise()])
def test_verify_other_noise(noise):
    assert verify(derive_limiting_sde(models.two_layer_network(noise))).passed


def _without_a_term(self):
    terms = dict(list(self.trace.terms.items())[1:])
    return self.model.gradient_of(type(self.trace)(self.trace.free, terms))


def _halved(self):
    return {name: form.scaled(sp.Rational(1, 2)) for name, form in self.model.gradient_of(self.trace).items()}


MUTANTS = {
    "a term of S is missing": lambda patch: patch.setattr(StatedFamily, "trace_gradient", property(_without_a_term)),
    "the field is halved": lambda patch: patch.setattr(StatedFamily, "trace_gradient", property(_halved)),
    "φ″ is left out": lambda patch: patch.setattr(Entrywise, "prime", _no_second),
    "δ is forgotten": lambda patch: patch.setattr(
        tensor_model.TensorModel, "squares", property(lambda self: self.gram.renamed({}).summed(*self.primed().values()))
    ),
}  # fmt: skip

PRIME = Entrywise.prime


def _no_second(self):
    return (sp.S.Zero, None) if self.order else PRIME(self)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_rejected(name, monkeypatch):
    MUTANTS[name](monkeypatch)
    certificate = verify(derive_limiting_sde(models.two_layer_network()))
    assert not certificate.passed
    assert max(c.error for c in certificate.checks if c.verdict == "failed") > 1e-3


def test_verify_takes_no_other_checks():
    with pytest.raises(BadInput, match="one check"):
        verify(derive_limiting_sde(models.matrix_sensing()), checks=[lambda *_: []])


# --- the drift as it is printed ------------------------------------------------------------------


def test_the_printed_drift_is_the_drift():
    """The forms of the drift, with multipliers from a dense Jacobian."""
    member = draw("two layers", 4)
    sde = derive_limiting_sde(member.known.family())
    functions, point = sde.lambdify(**member.given), tuple(member.parameters.values())
    at = functions.at(*point)
    value = at.arrays.value
    jacobian = np.concatenate(
        [value(at.model.gradient[p.name]).reshape(at.count, -1) for p in at.model.parameters], axis=1
    )
    slope = _flat([value(f) for f in at.model.gradient_of(sde.regularizer.form).values()])
    weights = np.linalg.pinv(jacobian @ jacobian.T) @ jacobian @ slope
    arrays = type(at.arrays)({**at.arrays.tensors, "λ": weights}, at.arrays.numbers, np)
    found = _flat([arrays.value(block.form) for block in sde.drift.values()])
    assert np.abs(found - _flat(functions.drift(*point))).max() < 1e-12


def test_definitions_and_words():
    sde = derive_limiting_sde(models.matrix_sensing())
    U, V = sde.family.parameters
    assert str(sde.gradient[U]) == "A_i V" and str(sde.gradient[V]) == "A_iᵀ U"
    assert str(sde.gram) == "⟨A_i V, A_j V⟩ + ⟨Uᵀ A_i, Uᵀ A_j⟩"
    assert str(sde.drift[U]) == "Σ_i λ_i A_i V − 1/(2 n) Σ_i A_i A_iᵀ U"
    assert [w.name for w in sde.where] == ["λ"] and sde.where == sde.definitions
    assert sde.codimension.expression == n and "rank 3 of 3" in sde.explain()
    assert derive_limiting_sde(models.circular_convolution()).codimension.count is None
    assert derive_limiting_sde(models.softmax_regression()).codimension.expression == n * (models.letters.C - 1)
    assert "ln|G|₊" in str(derive_limiting_sde(models.matrix_sensing(IsotropicNoise(1))).regularizer)
    with pytest.raises(Undecided, match="known regularizer"):
        _ = derive_limiting_sde(models.matrix_sensing(AnyNoise())).regularizer


# --- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["JAX", "Torch"])
def test_other_array_modules(backend):
    package = {"JAX": "jax", "Torch": "torch"}[backend]
    module = pytest.importorskip(package)
    if package == "jax":
        module.config.update("jax_enable_x64", True)
    import symbolic_sgd  # noqa: PLC0415 (the back end's package may be missing)

    member = draw("two layers", 3)
    for noise in (LabelNoise(1), IsotropicNoise(1)):
        sde = derive_limiting_sde(member.known.family(noise))
        point = tuple(member.parameters.values())
        here = _flat(sde.lambdify(**member.given).drift(*point))
        there = sde.lambdify(**member.given, backend=getattr(symbolic_sgd, backend)()).drift(*point)
        assert np.abs(_flat([np.asarray(b) for b in there]) - here).max() < 1e-9 * (1 + np.abs(here).max())


def test_the_printed_compensation_is_the_computed_one():
    """−(s²/2) JᵀG†τ with τ_L = tr(∇²f_L ∂Φ) by differences of the gradients."""
    member = draw("sensing", 5)
    sde = derive_limiting_sde(models.matrix_sensing(noise=IsotropicNoise(3)))
    functions, point = sde.lambdify(check=False, **member.given), list(member.parameters.values())
    at = functions.at(*point)
    count, sizes = at.count, [a.size for a in point]
    gradients = lambda x: np.stack([_flat(functions.at(*x).back(row)) for row in np.eye(count)])  # noqa: E731
    whole, step = _flat(point), 1e-6
    moved = lambda v: [part.reshape(a.shape) for part, a in zip(np.split(v, [sizes[0]]), point, strict=True)]  # noqa: E731
    bends = [
        (gradients(moved(whole + step * e)) - gradients(moved(whole - step * e))) / (2 * step)
        for e in np.eye(len(whole))
    ]
    jacobian = gradients(point)
    inverse = np.linalg.pinv(jacobian @ jacobian.T)
    projection = np.eye(len(whole)) - jacobian.T @ inverse @ jacobian
    traces = np.einsum("kib,kb->i", np.stack(bends), projection)
    arrays = replace(at.arrays, tensors={**at.arrays.tensors, "G†": inverse, "τ": traces})
    found = _flat([arrays.value(block.form) for block in sde.tangent_noise_compensation.values()])
    assert "G†" in str(sde.tangent_noise_compensation[sde.family.parameters[0]])
    assert np.abs(found).max() > 0.1
    assert np.allclose(found, -9 / 2 * jacobian.T @ inverse @ traces, rtol=1e-7, atol=1e-8)
    assert np.allclose(found, _flat(functions.tangent_noise_compensation(*point)), rtol=1e-7, atol=1e-8)


def test_batches_are_points():
    member = draw("sensing", 5)
    functions = derive_limiting_sde(models.matrix_sensing()).lambdify(check=False, **member.given)
    U, V = member.parameters.values()
    batch = np.stack([U, 2 * U]), np.stack([V, V / 2])
    together = functions.drift(*batch)
    for k in range(2):
        alone = functions.drift(batch[0][k], batch[1][k])
        assert all(np.array_equal(whole[k], one) for whole, one in zip(together, alone, strict=True))


def test_columns_may_be_columns():
    member = draw("two layers", 1)
    functions = derive_limiting_sde(models.two_layer_network()).lambdify(
        **{**member.given, "x": member.data["x"][:, :, None]}
    )
    a, W = member.parameters.values()
    assert np.array_equal(_flat(functions.drift(a[:, None], W)), _flat(functions.drift(a, W)))


def test_columns_of_noise_and_vectors_may_be_columns():
    W, b, x = matrix("W", d, d), vector("b", d), vector("x", d)
    family = MatrixFamily(
        residual=sp.Trace(x.T * W * b) - y, parameters=(b, W), data=(x, y), samples=n, noise=AnyNoise()
    )
    functions = derive_limiting_sde(family).lambdify(x=np.array([[1.0, 2.0]]), y=[3.0])
    point, rng = (np.ones(2), np.eye(2)), np.random.default_rng(0)
    sigma = rng.standard_normal((2, 3)), rng.standard_normal((2, 2, 3))
    plain = functions.drift(*point, sigma=sigma)
    assert np.array_equal(_flat(functions.drift(*point, sigma=(sigma[0][:, None], sigma[1]))), _flat(plain))
    plain = functions.tangent_projection(*point, vectors=(sigma[0][:, 0], sigma[1][..., 0]))
    columns = functions.tangent_projection(*point, vectors=(sigma[0][:, :1], sigma[1][..., 0]))
    assert np.array_equal(_flat(columns), _flat(plain))
    together = functions.tangent_projection(*point, vectors=sigma)
    assert np.abs(_flat(a[..., 0] for a in together) - _flat(plain)).max() < 1e-14


def test_a_batch_of_vectors_of_one_entry_is_no_column():
    functions = derive_limiting_sde(models.difference_of_squares()).lambdify(z=[[2.0]], y=[3.0])
    u = np.array([[2.0], [2.5], [1.5]])
    v = np.sqrt(u**2 - 1.5)
    together = functions.drift(u, v)
    assert [a.shape for a in together] == [(3, 1), (3, 1)]
    for k in range(3):
        assert np.array_equal(_flat(a[k] for a in together), _flat(functions.drift(u[k], v[k])))


def test_a_batch_of_networks_of_width_one_is_no_column():
    functions = derive_limiting_sde(models.two_layer_network()).lambdify(x=[[1.0, 2.0]], y=[0.5], check=False)
    a, W = np.array([[1.0], [2.0]]), np.array([[[0.3, 0.1]], [[0.2, 0.4]]])
    together = functions.drift(a, W)
    for k in range(2):
        assert np.array_equal(_flat(b[k] for b in together), _flat(functions.drift(a[k], W[k])))


def test_corrected_points_are_on_the_manifold():
    member = draw("sensing", 1)
    functions = derive_limiting_sde(models.matrix_sensing()).lambdify(**member.given)
    point = [a + 1e-3 for a in member.parameters.values()]
    with pytest.raises(OffManifold, match="corrected"):
        functions.drift(*point)
    for _ in range(4):
        point = functions.corrected(*point)
    assert np.abs(functions.residuals(*point)).max() < 1e-12
    functions.drift(*point)


def test_targets_are_probabilities():
    member = draw("softmax regression", 1)
    sde = derive_limiting_sde(models.softmax_regression())
    with pytest.raises(BadInput, match="add up to 1"):
        sde.lambdify(x=member.data["x"], targets=member.targets + 0.1)
    with pytest.raises(BadShape, match="the outputs have"):
        sde.lambdify(x=member.data["x"], targets=member.targets[:1]).residuals(*member.parameters.values())
    without = sde.lambdify(x=member.data["x"])
    here, there = (_flat(f.drift(*member.parameters.values())) for f in (without, sde.lambdify(**member.given)))
    assert np.array_equal(here, there)
    with pytest.raises(BadInput, match="targets="):
        without.residuals(*member.parameters.values())


def test_corrected_points_of_classes():
    member = draw("softmax regression", 1)
    functions = derive_limiting_sde(models.softmax_regression()).lambdify(**member.given)
    point = [a + 1e-3 for a in member.parameters.values()]
    with pytest.raises(OffManifold):
        functions.drift(*point)
    for _ in range(8):
        point = functions.corrected(*point)
    assert np.abs(functions.residuals(*point)).max() < 1e-12


def test_singular_and_isolated_points():
    functions = derive_limiting_sde(models.full_factorization()).lambdify(Y=np.zeros((3, 3)))
    with pytest.raises(SingularPoint, match="nearby"):
        functions.drift(np.zeros((3, 2)), np.eye(3)[:, :2])
    functions = derive_limiting_sde(models.full_factorization()).lambdify(Y=np.zeros((3, 2)))
    with pytest.raises(SingularPoint, match="vanish"):
        functions.drift(np.zeros((3, 1)), np.zeros((2, 1)))
    linear = MatrixFamily(
        residual=sp.Trace(vector("x", d).T * vector("w", d)) - y,
        parameters=vector("w", d),
        data=(vector("x", d), y),
        samples=n,
        noise=LabelNoise(1),
    )
    with pytest.raises(IsolatedMinimum):
        derive_limiting_sde(linear).lambdify(x=np.eye(2), y=[1, 1]).drift([1.0, 1.0])


def test_constants_and_scales():
    """A mean over the width, and a constant of one's own."""
    a, W, x, c = vector("a", m), matrix("W", m, d), vector("x", d), sp.Symbol("c")
    f = c * sp.Trace(a.T * (W * x).applyfunc(sp.tanh)) / sp.sqrt(m)
    sde = derive_limiting_sde(
        MatrixFamily(residual=f - y, parameters=(a, W), data=(x, y), samples=n, noise=LabelNoise(1), constants=c)
    )
    scale = 3 / np.sqrt(len(a2))
    functions = sde.lambdify(x=X2, y=scale * np.tanh(X2 @ W2.T) @ a2, c=3)
    plain = derive_limiting_sde(models.two_layer_network()).lambdify(x=X2, y=np.tanh(X2 @ W2.T) @ a2)
    assert functions.regularizer(a2, W2) == pytest.approx(scale**2 * plain.regularizer(a2, W2), rel=1e-13)
    assert np.allclose(_flat(functions.drift(a2, W2)), scale**2 * _flat(plain.drift(a2, W2)), rtol=1e-12)
    assert verify(sde).passed


def test_undefined_functions_print():
    phi = sp.Function("phi")
    sde = derive_limiting_sde(models.two_layer_network(activation=phi))
    assert str(sde.regularizer) == "1/(4 n) Σ_i (‖a ∘ phi′(W x_i)‖² ‖x_i‖² + ‖phi(W x_i)‖²)"
    assert r"\phi'" in sde.regularizer.latex()


# --- refusals -------------------------------------------------------------------------------------

U, V, A, X = matrix("U", d1, r), matrix("V", d2, r), matrix("A", d1, d2), matrix("X", d, d)


def _family(**change):
    stated = {
        "residual": sp.Trace(A.T * U * V.T) - y,
        "parameters": (U, V),
        "data": (A, y),
        "samples": n,
        "noise": LabelNoise(1),
    }
    return MatrixFamily(**{**stated, **change})


F = sp.Trace(A.T * U * V.T)
SIGMA = sp.Symbol("sigma")
RELU = sp.Lambda(Q, sp.Max(Q, 0))
BLOCKS = sp.BlockMatrix([[X, X]])
SQUARE_OF_BLOCKS = sp.Trace(BLOCKS.T * BLOCKS)

REFUSED = {
    "an inverse": (UnsupportedExpression, r"\(-1\): name it", {"residual": sp.Trace(X.inverse()) - y, "parameters": (X,), "data": (y,)}),
    "a determinant": (UnsupportedExpression, "Determinant", {"residual": sp.Determinant(X) - y, "parameters": (X,), "data": (y,)}),
    "a kink": (NotSmooth, "slopes", {"residual": sp.Trace((U * V.T).applyfunc(lambda t: sp.Max(t, 0)).T * A) - y}),
    "a float": (InexactNumber, "0.5", {"residual": 0.5 * F - y}),
    "an entry": (UnsupportedExpression, "0 is not summed over: pick entries by data", {"residual": F - y + U[0, 0]}),
    "a block matrix": (UnsupportedExpression, "BlockMatrix", {"residual": SQUARE_OF_BLOCKS - y, "parameters": (X,), "data": y}),
    "an undeclared symbol": (BadSymbol, "declared", {"residual": F - sp.Symbol("q")}),
    "an undeclared matrix": (BadSymbol, "declared", {"data": (y,)}),
    "an unused parameter": (BadInput, "does not depend", {"parameters": (U, V, X)}),
    "no parameters": (BadSymbol, "empty", {"parameters": ()}),
    "a set": (BadInput, "ordered", {"parameters": {U, V}}),
    "both": (BadInput, "one of the two", {"outputs": U}),
    "no samples": (BadInput, "samples=n", {"samples": None}),
    "a keyword": (BadSymbol, "means something else", {"data": (A, SIGMA), "residual": F - SIGMA}),
    "twice": (BadSymbol, "two different", {"data": (A, y, sp.MatrixSymbol("y", d1, 1))}),
    "no minimum": (NoMinimum, "does not minimise", {"loss": sp.Lambda(sp.Symbol("q"), sp.exp(sp.Symbol("q")))}),
    "labels of another loss": (BadInput, "quadratic", {"loss": sp.Lambda(sp.Symbol("q"), sp.cosh(sp.Symbol("q")))}),
    "classes without outputs": (BadInput, "outputs", {"loss": CrossEntropy()}),
    "classes of residuals": (BadInput, "CrossEntropy", {"noise": RedrawnClasses()}),
    "noise": (BadInput, "noise is", {"noise": 3}),
    "a maximum": (DegenerateMinimum, "ℓ″", {"loss": sp.Lambda(Q, -(Q**2))}),
    "a curvature of unknown sign": (DegenerateMinimum, "not known to be positive", {"loss": sp.Lambda(Q, sp.Symbol("k") * Q**2)}),
    "probabilities": (BadInput, "add up to 1/2", {"noise": RedrawnLabels(((sp.Rational(1, 2), sp.Lambda(Q, Q**2)),))}),
    "an undeclared amplitude": (BadSymbol, "constants=", {"noise": LabelNoise(Q)}),
    "an undeclared scale": (BadSymbol, "constants=", {"noise": IsotropicNoise(Q)}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    error, words, change = REFUSED[name]
    with pytest.raises(error, match=words):
        _family(**change)


def test_arrays_that_are_refused():
    sde = derive_limiting_sde(_family())
    good = {"A": A1, "y": [1, 1, 1]}
    for change, error, words in [
        ({"A": A1[0]}, BadShape, "A has the shape"),
        ({"y": [1, 1]}, BadShape, "disagree on n"),
        ({"z": 1}, BadInput, "'z' is no array"),
        ({"A": A1 * np.nan}, BadInput, "finite"),
    ]:
        with pytest.raises(error, match=words):
            sde.lambdify(**{**good, **change})
    functions = sde.lambdify(**good)
    with pytest.raises(BadPoint, match="2 arrays"):
        functions.drift(U1)
    with pytest.raises(BadInput, match="disagree on r"):
        functions.drift(U1, V1[:, :1])
    with pytest.raises(BadInput, match="leave sigma= out"):
        functions.drift(U1, V1, sigma=(U1, V1))
    with pytest.raises(BadInput, match="backend"):
        sde.lambdify(**good, backend=3)
    with pytest.raises(BadPoint, match="one for each"):
        derive_limiting_sde(_family(noise=AnyNoise())).lambdify(**good).drift(U1, V1, sigma=(U1[..., None],))
    with pytest.raises(BadInput, match="sigma="):
        derive_limiting_sde(_family(noise=AnyNoise())).lambdify(**good).drift(U1, V1)


def test_an_amplitude_may_be_a_constant():
    q = sp.Symbol("q", positive=True)
    sde = derive_limiting_sde(_family(noise=LabelNoise(q), constants=q))
    assert str(sde.regularizer) == "q^2/(4 n) Σ_i (‖A_i V‖² + ‖A_iᵀ U‖²)"
    data = {"A": A1, "y": np.einsum("iab,ak,bk->i", A1, U1, V1)}
    assert sde.lambdify(**data, q=3).regularizer(U1, V1) == pytest.approx(9 * 10.5)


def test_nearly_dependent_gradients_are_refused():
    """Two samples that differ by 10⁻⁶: the rank is neither one nor two in float64."""
    x = np.array([[1.0, 2], [1, 2 + 3e-6]])
    functions = derive_limiting_sde(models.two_layer_network()).lambdify(x=x, y=np.tanh(x @ W2.T) @ a2)
    with pytest.raises(SingularPoint, match="cannot be told"):
        functions.drift(a2, W2)
    twice = x[[0, 0]]
    functions = derive_limiting_sde(models.two_layer_network()).lambdify(x=twice, y=np.tanh(twice @ W2.T) @ a2)
    once = derive_limiting_sde(models.two_layer_network()).lambdify(x=twice[:1], y=np.tanh(twice[:1] @ W2.T) @ a2)
    assert functions.codimension(a2, W2) == 1
    assert np.allclose(_flat(functions.drift(a2, W2)), _flat(once.drift(a2, W2)), atol=1e-12)
