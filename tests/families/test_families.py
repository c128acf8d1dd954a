"""Families with symbolic n and d against the explicit engine at given sizes, term by term, and the printed formulas too."""

import itertools

import numpy as np
import pytest
import sympy as sp
from family_members import (
    CASES,
    HALF,
    OLM,
    PRINTED,
    Member,
    d,
    family,
    i,
    j,
    n,
    of_depth,
    p,
    q,
    r,
    u,
    up,
    v,
    y,
    z,
)
from in_turn import pairs_in_turn
from literal_sums import interpreted
from scipy import sparse

from symbolic_sgd import (
    AnyNoise,
    Family,
    GradientNoise,
    IsotropicNoise,
    LabelNoise,
    RedrawnLabels,
    SymbolicSGDError,
    derive_limiting_sde,
)
from symbolic_sgd.errors import (
    BadInput,
    BadPoint,
    BadShape,
    BadSymbol,
    CoupledCoordinates,
    DegenerateMinimum,
    InexactNumber,
    NoMinimum,
    OffManifold,
    SingularPoint,
)
from symbolic_sgd.families.terms import COLUMNS

TERMS = ("tangent_noise_compensation", "mixed_regularization", "normal_regularization", "drift")
SIZES = [(1, 2), (2, 3), (2, 4), (3, 5)]


@pytest.mark.parametrize(("name", "size"), pairs_in_turn(CASES, SIZES), ids=str)
def test_array_code_and_the_explicit_engine_agree_term_by_term(name, size):
    member = Member(*CASES[name], size)
    arrays, explicit = member.arrays(), member.explicit().lambdify()
    scale = np.abs(explicit.drift(np.concatenate(member.x))).max()
    for term in TERMS:
        found = np.concatenate(getattr(arrays, term)(*member.x, **member.rows))
        expected = getattr(explicit, term)(np.concatenate(member.x))
        assert np.abs(found - expected).max() <= 1e-12 * max(scale, 1), term


# --- the printed formulas -------------------------------------------------------------------


def definitions(vector, member, environment):
    """The named arrays of a formula, each computed as it says."""
    samples, coordinates = member.size
    ranges = {i: samples, j: coordinates}
    jacobian = jacobian_of(member)
    for definition in vector.definitions:
        name, indices = str(definition.place.base.label), definition.place.indices
        if definition.value is None:
            environment[name] = in_words(name, member, jacobian)
            continue
        shape = tuple(ranges.get(index, samples) for index in indices)
        array = np.empty(shape)
        for place in itertools.product(*map(range, shape)):
            at = {index: k + 1 for index, k in zip(indices, place, strict=True)}
            array[place] = interpreted(definition.value, {**environment, **at})
        environment[name] = array
    return environment


def jacobian_of(member):
    """J by its definition, n×D."""
    symbols = [*(base[j] for base in member.family.parameters), z[i, j], q[j], *member.family.constants]
    stand_ins = [sp.Dummy() for _ in symbols]
    phi = member.family.summand.xreplace(dict(zip(symbols, stand_ins, strict=True)))
    values = [*member.x, member.data["z"], member.data.get("q", 0), *member.constants.values()]
    blocks = [sp.lambdify(stand_ins, sp.diff(phi, s))(*values) for s in stand_ins[: len(member.x)]]
    return np.concatenate([np.broadcast_to(b, member.size) for b in blocks], axis=1)


def of_samples(values, member):
    """One for each sample."""
    return np.broadcast_to(values, member.size[:1])


def in_words(name, member, jacobian):
    """The arrays that the formulas describe in words."""
    gram = jacobian @ jacobian.T
    if name == "G^{-1}":
        return np.linalg.inv(gram)
    if name.startswith("X^"):
        rows = np.split(
            (np.eye(jacobian.shape[1]) - jacobian.T @ np.linalg.inv(gram) @ jacobian) @ member.sigma, len(member.x)
        )
        return rows[[f"X^{{{b.label}}}" for b in member.family.parameters].index(name)]
    across = None if member.sigma is None else np.linalg.inv(gram) @ jacobian @ member.sigma
    if name == "omega":
        return across
    assert name == "zeta"
    kappa = of_samples(member.arrays().curvature, member) / member.size[0]
    right = (
        np.diag(of_samples(member.arrays().variance, member) / member.size[0]) if across is None else across @ across.T
    )
    left = np.kron(np.diag(kappa) @ gram, np.eye(len(gram))) + np.kron(np.eye(len(gram)), np.diag(kappa) @ gram)
    return np.linalg.solve(left, right.ravel()).reshape(gram.shape) @ gram @ np.diag(kappa)


@pytest.mark.parametrize("name", CASES)
def test_the_printed_formulas_say_what_the_arrays_compute(name):
    member = Member(*CASES[name], (2, 3))
    sde, arrays = derive_limiting_sde(member.family), member.arrays()
    base = {
        n: member.size[0],
        d: member.size[1],
        **{str(b.label): x for b, x in zip(member.family.parameters, member.x, strict=True)},
    }
    base |= {COLUMNS: 3} | member.data | {c: member.constants[c.name] for c in member.family.constants}
    for term in TERMS:
        vector = getattr(sde, term)
        environment = definitions(vector, member, dict(base))
        found = [[interpreted(c, {**environment, j: k + 1}) for k in range(member.size[1])] for c in vector.components]
        expected = getattr(arrays, term)(*member.x, **member.rows)
        assert np.allclose(found, expected, rtol=1e-11, atol=1e-11), term


@pytest.mark.parametrize(
    "name", [k for k in CASES if "label" in k or "isotropic" in k or "redrawn" in k or "equal" in k]
)
def test_the_regularizer_has_the_slope_that_the_drift_descends(name):
    if "equal" in name and "isotropic" not in name:
        with pytest.raises(SymbolicSGDError, match="regularizer"):
            _ = derive_limiting_sde(CASES[name][0]).regularizer
        return
    member = Member(*CASES[name], (2, 3))
    sde, arrays = derive_limiting_sde(member.family), member.arrays()

    def potential(x):
        environment = {
            n: 2,
            d: 3,
            **{str(b.label): e for b, e in zip(member.family.parameters, x, strict=True)},
        } | member.data
        environment |= {c: member.constants[c.name] for c in member.family.constants}
        if isinstance(member.family.noise, type(family(noise=IsotropicNoise()).noise)):
            moved = Member.__new__(Member)
            moved.__dict__ |= member.__dict__ | {"x": list(x)}
            jacobian = jacobian_of(moved)
            return float(member.family.noise.scale**2) / 4 * np.linalg.slogdet(jacobian @ jacobian.T)[1]
        return interpreted(sde.regularizer, environment)

    x, step = np.array(member.x), 1e-5
    slope = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[place] = step
        slope[place] = (potential(x + e) - potential(x - e)) / (2 * step)
    descent = [-s for s in arrays.tangent_projection(*member.x, vectors=slope)]
    found = arrays.normal_regularization(*member.x)
    assert np.allclose(found, descent, rtol=1e-6, atol=1e-6)


def test_the_poster_prints_this_regularizer():
    """Li, Wang & Arora 2022: R(x) = (4/n) Σ_j (Σ_i z_ij²)(u_j² + v_j²), with the errata: this is ½ tr ∇²L for the printed loss."""
    sde = derive_limiting_sde(family(loss=PRINTED))
    expected = 4 / n * sp.Sum(sp.Sum(z[i, j] ** 2, (i, 1, n)) * (u[j] ** 2 + v[j] ** 2), (j, 1, d))
    assert sde.family.proportion == 2
    assert sde.regularizer == expected
    assert r"\sum_{j=1}^{d}" in sde.latex()
    halved = derive_limiting_sde(family())
    assert halved.family.proportion == 1
    assert sp.simplify(halved.regularizer / expected) == sp.Rational(1, 4)


def test_redrawn_logistic_labels_have_the_covariance_of_the_hessian():
    assert derive_limiting_sde(CASES["logistic redrawn"][0]).family.proportion == 1


# --- sparse data, batches, many coordinates -------------------------------------------------


def at_random(samples, coordinates, *, density=None, noise=None, seed=1):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((samples, coordinates))
    if density is not None:
        data *= rng.random(data.shape) < density
    x = rng.uniform(0.5, 1.5, (2, coordinates))
    return derive_limiting_sde(family(noise=noise)), data, data @ (x[0] ** 2 - x[1] ** 2), x


@pytest.mark.parametrize("noise", [LabelNoise(), IsotropicNoise(HALF), AnyNoise()], ids=["label", "isotropic", "dense"])
def test_sparse_data_give_what_dense_data_give(noise):
    sde, data, target, x = at_random(6, 40, density=0.3, noise=noise)
    sigma = {"sigma": np.random.default_rng(0).standard_normal((2, 40, 3))} if isinstance(noise, AnyNoise) else {}
    dense = sde.lambdify(z=data, y=target).drift(*x, **sigma)
    scattered = sde.lambdify(z=sparse.csr_array(data), y=target).drift(*x, **sigma)
    assert np.allclose(dense, scattered, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "name",
    ["OLM label as printed", "v∘v label", "logistic redrawn", "labels of unequal variance", "tanh, data inside, label"],
)
def test_the_labels_of_the_member_have_the_covariance_of_the_family(name):
    """Σ = Σ_i ν_i ∇f_i∇f_iᵀ/n on Γ, with the noise of the member's sample losses ℓ_k(f_i)."""
    stated, constants = CASES[name]
    member = Member(stated, constants, (2, 3))
    variance, jacobian, problem = member.arrays().variance, jacobian_of(member), member.problem()
    sigma = sp.lambdify(problem.parameters, problem.noise_factor)(*np.concatenate(member.x))
    assert variance is not None
    expected = jacobian.T @ np.diag(of_samples(variance, member) / 2) @ jacobian
    assert np.allclose(sigma @ sigma.T, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("noise", [LabelNoise(), IsotropicNoise(HALF), AnyNoise()], ids=["label", "isotropic", "dense"])
@pytest.mark.parametrize(
    "phi",
    [
        (z[i, j] + q[j]) * (u[j] ** 2 - v[j] ** 2),
        sp.tanh(z[i, j]) * u[j] ** 3 + z[i, j] ** 2 * v[j] ** 2,
        sp.atan(z[i, j]) * u[j] ** 2 * v[j],
    ],
    ids=["added weights", "functions of data", "coupled parameters"],
)
def test_sparse_data_stay_sparse_in_other_formulas(phi, noise):
    rng = np.random.default_rng(3)
    data = rng.standard_normal((4, 12)) * (rng.random((4, 12)) < 0.4)
    x = rng.uniform(0.5, 1.5, (2, 12))
    more = {"q": rng.standard_normal(12)} if phi.has(q) else {}
    sde = derive_limiting_sde(family(sp.Sum(phi, (j, 1, d)) - y[i], noise=noise))
    sigma = {"sigma": rng.standard_normal((2, 12, 3))} if isinstance(noise, AnyNoise) else {}
    rest = sde.lambdify(z=data, y=np.zeros(4), **more).residuals(*x)
    dense = sde.lambdify(z=data, y=rest, **more).drift(*x, **sigma)
    scattered = sde.lambdify(z=sparse.csr_array(data), y=rest, **more).drift(*x, **sigma)
    assert np.abs(np.array(dense)).max() > 1e-3
    assert np.allclose(dense, scattered, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("phi", [sp.cos(z[i, j]) * u[j] ** 2, sp.tanh(z[i, j] * u[j])], ids=["cos 0", "of both"])
def test_zeros_that_do_not_stay_zero_are_refused(phi):
    sde = derive_limiting_sde(family(sp.Sum(phi, (j, 1, d)) - y[i], (u,)))
    with pytest.raises(BadInput, match="z is sparse"):
        sde.lambdify(z=sparse.csr_array(np.eye(2, 3)), y=np.ones(2))


@pytest.mark.parametrize("noise", [LabelNoise(), IsotropicNoise(2)], ids=["label", "isotropic"])
def test_a_network_of_symbolic_width(noise):
    """Σ_k a_k tanh(w_k x_i): no data tell m. The drift is that of the explicit problem."""
    k, m = sp.Symbol("k", integer=True), sp.Symbol("m", integer=True, positive=True)
    a, w, x = map(sp.IndexedBase, "awx")
    residual = sp.Sum(a[k] * sp.tanh(w[k] * x[i]), (k, 1, m)) - y[i]
    network = Family(residual=residual, sample=(i, 1, n), parameters=(a, w), noise=noise)
    sde, point = derive_limiting_sde(network), ([1.0, 2.0], [0.5, -1.0])
    target = np.tanh(np.outer([1, 2], point[1])) @ point[0]
    found = sde.lambdify(x=[1, 2], y=target, sizes={m: 2}, check=False).drift(*point)
    explicit = derive_limiting_sde(network.problem(x=[1, 2], y=[0, 0], sizes={m: 2})).lambdify(check=False)
    assert np.allclose(np.concatenate(found), explicit.drift(np.concatenate(point)), rtol=1e-9)
    for ask in (sde.lambdify, network.problem):
        with pytest.raises(BadInput, match="tells the size m"):
            ask(x=[1, 2], y=[1, 1])
        with pytest.raises(BadInput, match="no size of the family"):
            ask(x=[1, 2], y=[1, 1], sizes={p: 2})
        with pytest.raises(BadShape, match="disagree"):
            ask(x=[1, 2], y=[1, 1], sizes={m: 2, n: 3})


def test_what_couples_coordinates_is_sent_elsewhere():
    k, b = sp.symbols("k b", integer=True)
    m = sp.Symbol("m", integer=True, positive=True)
    a, w, x = map(sp.IndexedBase, "awx")
    inner = sp.Sum(w[k, b] * x[i, b], (b, 1, d))
    for residual in (sp.Sum(a[k] * sp.tanh(inner), (k, 1, m)) - y[i], sp.Sum(a[k] * a[b], (b, 1, d), (k, 1, m)) - y[i]):
        with pytest.raises(CoupledCoordinates, match="as a MatrixFamily"):
            Family(residual=residual, sample=(i, 1, n), parameters=(a, w), noise=LabelNoise())


@pytest.mark.parametrize("phi", [2 ** u[j] * z[i, j], up[j] ** v[j] * z[i, j], p ** u[j] * z[i, j]], ids=str)
def test_exponents_that_are_trained(phi):
    """b^x by its logarithm, against the drift of the explicit problem."""
    bases = tuple(b for b in (u, up, v) if phi.has(b))
    stated = family(sp.Sum(phi, (j, 1, d)) - y[i], bases, constants=(p,) if phi.has(p) else ())
    constants = {"p": 3} if phi.has(p) else {}
    point = [np.array([1.0, 2.0, 0.5])] * len(bases)
    functions = derive_limiting_sde(stated).lambdify(z=[[1, 2, -1]], y=[0], **constants, check=False)
    explicit = derive_limiting_sde(stated.problem(z=[[1, 2, -1]], y=[2], **constants)).lambdify(check=False)
    assert np.allclose(np.concatenate(functions.drift(*point)), explicit.drift(np.concatenate(point)), rtol=1e-9)


def test_points_come_in_batches():
    sde, data, target, x = at_random(2, 5)
    functions = sde.lambdify(z=data, y=target)
    signs = np.array([[1.0], [-1.0]])
    drift = functions.drift(x[0] * signs, x[1] * signs)
    one = functions.drift(*x)
    assert drift[0].shape == (2, 5)
    assert np.allclose(drift[1], one[1] * signs, rtol=1e-14)


def test_a_newton_step_leads_back_to_the_manifold():
    sde, data, target, x = at_random(3, 8)
    functions = sde.lambdify(z=data, y=target)
    moved = x + 1e-3
    with pytest.raises(OffManifold, match="corrected"):
        functions.drift(*moved)
    for _ in range(4):
        moved = np.array(functions.corrected(*moved))
    assert np.abs(functions.residuals(*moved)).max() < 1e-12
    functions.drift(*moved)


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "residual, error, words",
    [
        (sp.Sum(z[i, j] * u[j] * u[j + 1], (j, 1, d)) - y[i], CoupledCoordinates, "couples"),
        (sp.exp(sp.Sum(z[i, j] * u[j], (j, 1, d))) - y[i], CoupledCoordinates, "Sum"),
        (sp.Sum(z[i, j] * u[j], (j, 1, d)) ** 2 - y[i], CoupledCoordinates, "Sum"),
        (sp.Sum(z[i, j] * u[j], (j, 1, d)) * u[j], CoupledCoordinates, "outside"),
        (sp.Sum(z[i, j] * u[j], (j, 1, d)) * sp.Sum(z[i, j] * v[j], (j, 1, d)), CoupledCoordinates, "Sum"),
        (sp.Sum(z[i, j] * u[i], (j, 1, d)) - y[i], CoupledCoordinates, "index j only"),
        (sp.Sum(z[j, i] * u[j], (j, 1, d)) - y[i], BadInput, "indexed by"),
        (sp.Sum(z[i, j], (j, 1, d)) - y[i], BadInput, "any parameter"),
        (sp.Sum(z[i, j] * u[j], (j, 0, d)) - y[i], BadInput, "runs over"),
        (sp.Sum(z[i, j] * u[j] * p, (j, 1, d)) - y[i], BadSymbol, "constants="),
        (sp.Sum(0.5 * z[i, j] * u[j], (j, 1, d)) - y[i], InexactNumber, "exactly"),
        (u[j] - y[i], BadInput, "no Sum"),
        ("sum", BadInput, "SymPy expression"),
    ],
)
def test_what_is_no_family_is_refused(residual, error, words):
    with pytest.raises(error, match=words):
        family(residual)


@pytest.mark.parametrize(
    "residual, error, words",
    [
        (sp.Sum(u[j] ** 2 * sp.Sum(z[i, j], (j, 1, d)), (j, 1, d)) - y[i], CoupledCoordinates, "inside"),
        (sp.Sum(z[i, j] * sp.Product(u[j], (j, 1, d)), (j, 1, d)) - y[i], CoupledCoordinates, "inside"),
        (OLM / d, BadInput, "only count"),
        (sp.Sum(j * z[i, j] * u[j], (j, 1, d)) - y[i], BadInput, "only count"),
        (sp.I * OLM, SymbolicSGDError, "imaginary"),
        (sp.Sum(z[i, j] * sp.Function("h")(u[j]), (j, 1, d)) - y[i], BadInput, "h"),
        (sp.Sum(z[i, j] * abs(u[j]), (j, 1, d)) - y[i], SymbolicSGDError, "kink"),
        (sp.Sum(z[i, j] * u[j], (j, 1, -2)) - y[i], BadInput, "runs over"),
    ],
)
def test_what_only_looks_like_a_family_is_refused(residual, error, words):
    with pytest.raises(error, match=words):
        family(residual)


@pytest.mark.parametrize(
    "further, error, words",
    [
        ({"noise": IsotropicNoise(u[j])}, BadInput, "parameter"),
        ({"noise": IsotropicNoise(z[i, j])}, BadInput, "no meaning"),
        ({"noise": IsotropicNoise(p)}, BadSymbol, "p"),
        ({"noise": IsotropicNoise(0.5)}, InexactNumber, "0.5"),
        ({"noise": IsotropicNoise(sp.I)}, SymbolicSGDError, "imaginary"),
        ({"noise": IsotropicNoise("a")}, BadInput, "exact"),
        ({"noise": LabelNoise(u[j])}, BadInput, "parameter"),
        ({"noise": LabelNoise(i)}, BadInput, "only count"),
        ({"noise": LabelNoise(sp.Symbol("m", integer=True))}, BadSymbol, "m"),
        ({"loss": sp.Lambda(r, u[j] * r**2)}, BadInput, "parameter"),
        ({"loss": sp.Lambda(r, z[i, j] * r**2)}, BadInput, "no meaning"),
        ({"loss": sp.Lambda(r, abs(r) ** 3 + r**2)}, SymbolicSGDError, "kink"),
        ({"constants": (sp.Symbol("n"),)}, BadSymbol, "named"),
        ({"constants": "c"}, BadInput, "str"),
        ({"noise": RedrawnLabels(((1, PRINTED), (1, PRINTED)))}, BadInput, "add up to 2"),
        ({"noise": RedrawnLabels(((q[i], PRINTED), (q[i], PRINTED)))}, BadInput, "add up"),
    ],
)
def test_noise_and_loss_know_residuals_only(further, error, words):
    with pytest.raises(error, match=words):
        derive_limiting_sde(family(**further))


def test_probabilities_are_positive():
    with pytest.raises(BadInput, match="positive"):
        RedrawnLabels(((2, PRINTED), (-1, PRINTED)))
    law = RedrawnLabels(((q[i], sp.Lambda(r, (r - 1 + q[i]) ** 2)), (1 - q[i], sp.Lambda(r, (r + q[i]) ** 2))))
    with pytest.raises(BadInput, match="not positive"):
        derive_limiting_sde(family(noise=law)).lambdify(z=[[1, 2]], y=[1], q=[2])


def test_a_constant_may_be_called_like_the_variable_of_the_loss():
    """The amplitude r is not the residual r."""
    losses = [
        family(loss=PRINTED, noise=LabelNoise(c), constants=(c,))
        .problem(z=[[1, 2, 1]], y=[4], **{c.name: 2})
        .noise.losses
        for c in (r, p)
    ]
    assert losses[0] == losses[1] and len(set(losses[0])) == 2
    assert derive_limiting_sde(family(noise=LabelNoise(r), constants=(r,))).family.proportion == r**2


def test_a_family_holds_the_noise_that_was_stated():
    """One class for a kind of noise, whether a problem or a family has it."""
    for noise in (LabelNoise(HALF), IsotropicNoise(p), AnyNoise()):
        stated = family(noise=noise, constants=(p,))
        assert stated.noise is noise and repr(noise) in repr(stated)
    with pytest.raises(BadInput, match="families take LabelNoise"):
        family(noise=GradientNoise(sp.eye(2)))
    for kind in (LabelNoise, IsotropicNoise):
        with pytest.raises(BadInput, match="give an exact number or a SymPy expression"):
            family(noise=kind("a"))
        with pytest.raises(BadInput, match="belongs to AnyNoise"):
            family(noise=kind()).problem(z=[[1, 2]], y=[1], sigma=sp.eye(4))
    with pytest.raises(BadInput, match="belongs to AnyNoise"):
        family(noise=AnyNoise()).problem(z=[[1, 2]], y=[1])


def test_sizes_that_are_stated_have_to_hold():
    fixed = Family(
        residual=sp.Sum(z[i, j] * u[j] ** 2, (j, 1, 3)) - y[i], sample=(i, 1, 2), parameters=(u,), noise=LabelNoise()
    )
    assert derive_limiting_sde(fixed).lambdify(z=np.eye(2, 3), y=[1, 1]).residuals(np.ones((4, 3))).shape == (4, 2)
    for shape in ((2, 4), (1, 3)):
        with pytest.raises(BadShape, match="disagree"):
            derive_limiting_sde(fixed).lambdify(z=np.ones(shape), y=np.ones(shape[0]))
        with pytest.raises(BadShape, match="disagree"):
            fixed.problem(z=np.ones(shape, int).tolist(), y=[1] * shape[0])
    square = family(sp.Sum(z[i, j] * u[j] ** 2, (j, 1, n)) - y[i], (u,))
    with pytest.raises(BadShape, match="disagree"):
        derive_limiting_sde(square).lambdify(z=np.ones((1, 3)), y=[1])


def test_repeated_entries_of_sparse_data_are_added_first():
    dense = np.array([[1.0, 0, 2, 1], [1, 2, 0, -1]])
    twice = sparse.csr_array(
        (np.repeat(dense.ravel(), 2) / 2, np.tile(np.repeat(np.arange(4), 2), 2), [0, 8, 16]), shape=(2, 4)
    )
    stated = derive_limiting_sde(family(sp.Sum(z[i, j] ** 2 * (u[j] ** 2 - v[j] ** 2), (j, 1, d)) - y[i]))
    x = np.array([1.0, 2, 0.5, 1]), np.array([0.5, 1, 1, 2])
    target = dense**2 @ (x[0] ** 2 - x[1] ** 2)
    expected, found = (stated.lambdify(z=data, y=target).drift(*x) for data in (dense, twice))
    assert np.allclose(expected, found, rtol=1e-13)


def test_what_is_declared_positive_is_positive():
    stated = derive_limiting_sde(family(sp.Sum(sp.sqrt(up[j] ** 2) * z[i, j], (j, 1, d)) - y[i], (up,)))
    with pytest.raises(BadPoint, match="positive"):
        stated.lambdify(z=[[1, 2]], y=[-3]).drift([-1, -1])
    zp = sp.IndexedBase("z", positive=True)
    stated = derive_limiting_sde(family(sp.Sum(sp.sqrt(zp[i, j] ** 2) * u[j] ** 2, (j, 1, d)) - y[i], (u,)))
    with pytest.raises(BadInput, match="positive"):
        stated.lambdify(z=[[-1, -1]], y=[-2])


def test_nothing_imaginary_masked_or_infinite_is_dropped():
    stated = derive_limiting_sde(family())
    for data in (
        np.array([[1, 2 + 1j]]),
        sparse.csr_array([[1, 2j]]),
        [[1, np.nan]],
        np.ma.array([[1, 2]], mask=[[0, 1]]),
    ):
        with pytest.raises(BadInput, match="z "):
            stated.lambdify(z=data, y=[1])
    general = derive_limiting_sde(family(noise=AnyNoise())).lambdify(z=[[1, 2, 1]], y=[4])
    point = ([2.0, 1, 1], [1.0, 1, 0])
    for sigma in (np.full((2, 3, 1), np.nan), np.ones((2, 3, 1)) * 1j, np.ones((2, 3, 0)), np.ones((1, 3, 1)), "ab"):
        with pytest.raises(BadInput, match="sigma"):
            general.drift(*point, sigma=sigma)
    with pytest.raises(BadInput, match="vectors"):
        general.tangent_projection(*point, vectors=[[1, 2, np.nan]] * 2)
    with pytest.raises(BadPoint, match="single point"):
        general.corrected(np.ones((2, 3)), np.ones((2, 3)))
    assert stated.lambdify(z=[[1, 2, 1]], y=[4]).drift(np.ones((0, 3)), np.ones((0, 3)))[0].shape == (0, 3)


def test_powers_with_a_symbol_are_finite_at_zero():
    """p u^{p−1} at u = 0 for p = 2."""
    stated, constants = of_depth(2, LabelNoise())
    point = ([2.0, 1, 0], [1.0, 0.5, 0.5])
    target = float(np.array([1, 2, 1]) @ (np.square(point[0]) - np.square(point[1])))
    functions = derive_limiting_sde(stated).lambdify(z=[[1, 2, 1]], y=[target], **constants, check=False)
    expected = derive_limiting_sde(family()).lambdify(z=[[1, 2, 1]], y=[target])
    assert np.allclose(functions.drift(*point), expected.drift(*point), rtol=1e-14)


def test_losses_that_zero_does_not_minimise_are_refused():
    with pytest.raises(NoMinimum, match="ℓ′"):
        derive_limiting_sde(family(loss=sp.Lambda(r, (r - 1) ** 2)))
    with pytest.raises(DegenerateMinimum, match="ℓ″"):
        derive_limiting_sde(family(loss=sp.Lambda(r, r**4)))
    with pytest.raises(BadInput, match="RedrawnLabels"):
        derive_limiting_sde(family(loss=sp.Lambda(r, sp.cosh(r))))


def test_dependent_data_are_refused_with_the_rank():
    sde, data, target, x = at_random(2, 4)
    data[1], target[1] = 2 * data[0], 2 * target[0]
    with pytest.raises(SingularPoint, match="dependent"):
        sde.lambdify(z=data, y=target).drift(*x)
    with pytest.raises(BadInput, match="more residuals"):
        sde.lambdify(z=np.ones((9, 4)), y=np.ones(9))


def test_wrong_arrays_are_named():
    sde, data, target, x = at_random(2, 4)
    with pytest.raises(BadInput, match="no value for y"):
        sde.lambdify(z=data)
    with pytest.raises(BadInput, match="'w'"):
        sde.lambdify(z=data, y=target, w=1)
    with pytest.raises(BadShape, match="disagree"):
        sde.lambdify(z=data, y=np.ones(3))
    with pytest.raises(BadShape, match="its indices have the sizes"):
        sde.lambdify(z=data[0], y=target)
    functions = sde.lambdify(z=data, y=target)
    with pytest.raises(BadPoint, match="one for each"):
        functions.drift(x[0])
    with pytest.raises(BadPoint, match="shape"):
        functions.drift(x[0], x[1][:3])
    with pytest.raises(BadPoint, match="finite"):
        functions.drift(x[0] * np.nan, x[1])
    with pytest.raises(BadInput, match="sigma"):
        functions.drift(*x, sigma=np.ones((2, 4, 1)))
    with pytest.raises(BadInput, match="sigma"):
        derive_limiting_sde(family(noise=AnyNoise())).lambdify(z=data, y=target).drift(*x)
