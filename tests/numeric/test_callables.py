"""The numeric contract: shapes, constants, blocks, pickling, memory, and the digits of float64."""

import pickle
import tracemalloc

import mpmath
import numpy as np
import pytest
import sympy as sp
from derived import gallery_sde
from working_precision import working_digits

from symbolic_sgd import IsotropicNoise, LimitingSDE, Problem, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.errors import OffManifold
from symbolic_sgd.numeric.host import BLOCK
from symbolic_sgd.theorem.terms import TERMS

u, v, w = sp.symbols("u v w")
a, s = sp.symbols("a s", positive=True)

VECTORS = ("drift", "tangent_noise_compensation", "mixed_regularization", "normal_regularization")
METHODS = (*VECTORS, "diffusion")


@pytest.fixture(scope="module")
def hyperbola() -> LimitingSDE:
    return gallery_sde("hyperbola_isotropic")


@pytest.fixture(scope="module")
def quadric() -> LimitingSDE:
    """Its noise has Ξ = 4 columns, so that Ξ ≠ D."""
    return gallery_sde("quadric_dense")


@pytest.fixture(scope="module")
def scaled() -> LimitingSDE:
    """uv = a with noise s I: two constants, of which one moves Γ."""
    return derive_limiting_sde(
        Problem(loss=(u * v - a) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(s), constants=(a, s))
    )


@pytest.fixture(scope="module")
def transcendental() -> LimitingSDE:
    """exp(v) tanh(u) + sin(w) log(2 + u²) = 1/2: functions whose vector and scalar loops may differ in NumPy."""
    return derive_limiting_sde(
        Problem(
            loss=(sp.exp(v) * sp.tanh(u) + sp.sin(w) * sp.log(2 + u**2) - sp.Rational(1, 2)) ** 2 / 2,
            parameters=(u, v, w),
            noise=sp.Matrix([[sp.sin(u), 1], [sp.exp(v / 3), w], [1, sp.cos(u * w)]]),
        )
    )


def on_hyperbola(count, seed=0):
    t = np.exp(np.random.default_rng(seed).uniform(-1.5, 1.5, count))
    return np.stack([t, 1 / t], axis=-1)


def on_quadric(count, seed=0):
    first, third = np.random.default_rng(seed).uniform([[0.5], [-0.7]], [[2], [0.7]], (2, count))
    return np.stack([first, (1 - third**2) / first, third], axis=-1)


def on_transcendental(count, seed=0):
    first, third = np.random.default_rng(seed).uniform([[0.5], [-0.3]], [[1.5], [0.3]], (2, count))
    second = np.log((0.5 - np.sin(third) * np.log(2 + first**2)) / np.tanh(first))
    return np.stack([first, second, third], axis=-1)


# --- shapes and kinds of x ----------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (2, 1, 3), (0,), (4, 0)], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_shapes(quadric, method, batch):
    x = on_quadric(int(np.prod(batch))).reshape(*batch, 3)
    result = getattr(quadric.lambdify(), method)(x)
    assert result.shape == ((*batch, 3, 4) if method == "diffusion" else (*batch, 3))
    assert result.dtype == np.float64
    assert np.isfinite(result).all()


def test_one_column_of_noise_keeps_its_axis():
    sde = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=sp.Matrix([1, u])))
    f = sde.lambdify()
    assert f.diffusion([1, 1]).shape == (2, 1)
    assert f.diffusion(np.ones((7, 2))).shape == (7, 2, 1)
    assert f.drift(np.ones((7, 2))).shape == (7, 2)


@pytest.mark.parametrize("name", ["tangent_projection", "hessian_pinv", "lyapunov_solution"])
def test_matrices_by_name(quadric, name):
    f, x = quadric.lambdify(), on_quadric(6)
    assert f.term(name, x.reshape(2, 3, 3)).shape == (2, 3, 3, 3)
    point = dict(zip(quadric.problem.parameters, map(float, x[0]), strict=True))
    np.testing.assert_allclose(f.term(name, x[0]), quadric.at(point)[name], rtol=4e-15)


@pytest.mark.parametrize(
    "x",
    [
        [2, 1],
        (2, 1),
        [2.0, 1],
        np.array([2, 1], dtype=np.int8),
        np.array([2, 1], dtype=np.uint64),
        np.array([2, 1], dtype=np.float32),
        np.array([sp.Integer(2), sp.Rational(1)], dtype=object),
    ],
    ids=lambda x: f"{type(x).__name__} of {getattr(x, 'dtype', 'numbers')}",
)
def test_lists_and_integers(scaled, x):
    f = scaled.lambdify()
    expected = f.drift(np.array([2.0, 1.0]), a=2.0, s=1.0)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_array_equal(f.drift(x, a=2, s=1), expected)


def test_x_is_not_changed(quadric):
    x = on_quadric(10)
    kept = x.copy()
    quadric.lambdify().drift(x)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: x[::-1][::-1], lambda x: np.repeat(x, 2, 0)[::2]])
def test_the_layout_in_memory_does_not_matter(transcendental, layout):
    x, f = on_transcendental(50), transcendental.lambdify()
    np.testing.assert_array_equal(f.drift(layout(x)), f.drift(x))


# --- constants ------------------------------------------------------------------------------------


def test_constants_scale_as_they_should(scaled):
    """On uv = a with noise s I the drift is s² times a function that is homogeneous of degree −1 in (u, v)."""
    f, x = scaled.lambdify(), on_hyperbola(20)
    np.testing.assert_allclose(f.drift(2 * x, a=4, s=3), 9 / 2 * f.drift(x, a=1, s=1), rtol=1e-12)
    np.testing.assert_allclose(f.diffusion(2 * x, a=4, s=3), 3 * f.diffusion(x, a=1, s=1), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_constants_broadcast(scaled, method, shape):
    f = scaled.lambdify()
    x = on_hyperbola(6).reshape(2, 3, 2)
    values = np.linspace(0.5, 2, int(np.prod(shape))).reshape(shape)
    spread = np.broadcast_to(values, (2, 3))
    result = getattr(f, method)(x, a=1, s=values)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(result[index], getattr(f, method)(x[index], a=1, s=spread[index]))


def test_a_constant_that_moves_the_manifold(scaled):
    f = scaled.lambdify()
    level = np.array([1.0, 2.0, 5.0])
    x = np.stack([np.ones(3), level], axis=-1)
    assert f.drift(x, a=level, s=1).shape == (3, 2)
    with pytest.raises(OffManifold):
        f.drift(x, a=level[::-1], s=1)


def test_at_takes_constants_as_symbols(scaled):
    report = scaled.at({u: 2, v: sp.Rational(1, 2), a: 1, s: sp.Rational(1, 3)})
    np.testing.assert_allclose(report["drift"].ravel(), scaled.lambdify().drift([2, 0.5], a=1, s=1 / 3), rtol=4e-15)
    assert all(term.name in str(report) for term in TERMS)
    assert "u = 2, v = 1/2, a = 1, s = 1/3" in str(report)


# --- blocks, and one number whatever the batch --------------------------------------------------------

EDGES = (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("name", "points"), [("hyperbola", on_hyperbola), ("quadric", on_quadric), ("transcendental", on_transcendental)]
)
def test_batch_and_point_agree_bit_for_bit(name, points, method, request):
    evaluate = getattr(request.getfixturevalue(name).lambdify(), method)
    x = points(2 * BLOCK + 3)
    whole = evaluate(x)
    for i in EDGES:
        np.testing.assert_array_equal(whole[i], evaluate(x[i]))
    np.testing.assert_array_equal(whole[BLOCK - 5 : BLOCK + 6], evaluate(x[BLOCK - 5 : BLOCK + 6]))


def test_a_batch_of_batches_across_a_block(quadric):
    x, f = on_quadric(2 * BLOCK + 2), quadric.lambdify()
    np.testing.assert_array_equal(f.diffusion(x.reshape(2, BLOCK + 1, 3)).reshape(-1, 3, 4), f.diffusion(x))


def test_constants_across_a_block(scaled):
    x, f = on_hyperbola(BLOCK + 2), scaled.lambdify()
    values = np.linspace(1, 2, BLOCK + 2)
    whole = f.drift(x, a=1, s=values)
    for i in (0, BLOCK - 1, BLOCK, BLOCK + 1):
        np.testing.assert_array_equal(whole[i], f.drift(x[i], a=1, s=values[i]))


def test_memory_does_not_grow_with_the_batch(hyperbola):
    """Beside the result, only the points themselves (a checked copy, and one beside the constants) may grow with it."""
    f = hyperbola.lambdify()
    f.drift(on_hyperbola(10))
    peaks, held = [], []
    for count in (100_000, 200_000):
        x = on_hyperbola(count)
        tracemalloc.start()
        result = f.drift(x)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        held.append(result.nbytes + 2.5 * x.nbytes)
    assert peaks[1] - peaks[0] <= held[1] - held[0]
    assert peaks[1] - held[1] < 2e6


def test_memory_is_that_of_the_result(hyperbola):
    f, x = hyperbola.lambdify(), on_hyperbola(200_000)
    f.drift(x[:10])
    tracemalloc.start()
    result = f.drift(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - result.nbytes < 2e6


# --- pickling --------------------------------------------------------------------------------------


def test_pickled_functions_give_equal_numbers(quadric):
    f, x = quadric.lambdify(), on_quadric(20)
    before = pickle.loads(pickle.dumps(f))
    for method in METHODS:
        np.testing.assert_array_equal(getattr(before, method)(x), getattr(f, method)(x))
    after = pickle.loads(pickle.dumps(f))  # now with whatever the calls have cached
    np.testing.assert_array_equal(after.drift(x), f.drift(x))
    with pytest.raises(OffManifold):
        after.drift([1, 1, 1])


def test_pickling_keeps_the_choice_of_check(quadric):
    assert np.isfinite(pickle.loads(pickle.dumps(quadric.lambdify(check=False))).drift([1, 1, 1])).all()


@pytest.mark.parametrize("name", ["hyperbola", "quadric", "scaled"])
def test_a_pickled_sde_is_the_same(name, request):
    sde = request.getfixturevalue(name)
    copy = pickle.loads(pickle.dumps(sde))
    assert copy == sde
    assert copy.tangent_projection == sde.tangent_projection and copy.tangent_noise == sde.tangent_noise
    assert copy.problem.parameters == sde.problem.parameters
    constants = {c.name: 1.0 for c in sde.problem.constants}
    x = on_quadric(4) if sde.problem.dimension == 3 else on_hyperbola(4)
    np.testing.assert_array_equal(copy.lambdify().drift(x, **constants), sde.lambdify().drift(x, **constants))


def test_a_frozen_sde_can_be_a_key(hyperbola):
    assert {hyperbola: 1, hyperbola.lambdify(): 2, hyperbola.problem: 3}


# --- the check, and the digits ----------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_check_can_be_left_out(quadric, method):
    checked, unchecked = quadric.lambdify(), quadric.lambdify(check=False)
    off = [1.0, 1.0, 1.0]
    with pytest.raises(OffManifold):
        getattr(checked, method)(off)
    assert np.isfinite(getattr(unchecked, method)(off)).all()
    x = on_quadric(30)
    np.testing.assert_array_equal(getattr(unchecked, method)(x), getattr(checked, method)(x))


@pytest.mark.parametrize("distance", [1e-8, 1e-9])
def test_a_point_nearly_on_the_manifold_is_accepted(hyperbola, distance):
    assert np.isfinite(hyperbola.lambdify().drift([1 + distance, 1])).all()


@pytest.mark.parametrize("distance", [1e-3, 1e-5])
def test_a_point_a_little_off_the_manifold_is_not(hyperbola, distance):
    with pytest.raises(OffManifold):
        hyperbola.lambdify().drift([1 + distance, 1])


@pytest.mark.parametrize("method", [*METHODS, "tangent_projection", "hessian_pinv", "lyapunov_solution"])
@pytest.mark.parametrize(("name", "points"), [("hyperbola", on_hyperbola), ("quadric", on_quadric)])
def test_float64_against_fifty_digits(name, points, method, request):
    """The same program on the same numbers: what is lost is rounding alone, measured by the size of the whole term."""
    sde = request.getfixturevalue(name)
    term = "tangent_noise" if method == "diffusion" else method
    program = sde.program.select(term)
    x = points(25, seed=7)
    numbers = sde.lambdify().term(term, x).reshape(len(x), -1)
    for row, ours in zip(x, numbers, strict=True):
        with working_digits(50):
            point = {symbol: mpmath.mpf(float(a)) for symbol, a in zip(sde.problem.symbols, row, strict=True)}
            truth = program.run(PRECISE, point)[term]
            error = max(abs(a - mpmath.mpf(float(b))) for a, b in zip(truth, ours, strict=True))
            size = max(abs(a) for a in truth)
        assert error <= 1e-12 * size


def test_the_formulas_and_the_callables_agree(scaled):
    """sde.drift and sde.diffusion, in the user's own symbols, are what f.drift and f.diffusion compute."""
    f = scaled.lambdify()
    constants = {a: sp.Rational(3, 2), s: sp.Rational(1, 3)}
    for first in (sp.Rational(1, 2), sp.Integer(-3)):
        point = {u: first, v: sp.Rational(3, 2) / first, **constants}
        x = [float(point[u]), float(point[v])]
        drift, diffusion = (np.array(m.subs(point), dtype=float) for m in (scaled.drift, scaled.diffusion))
        assert np.abs(drift).max() > 1e-3
        np.testing.assert_allclose(f.drift(x, a=1.5, s=1 / 3), drift.ravel(), rtol=1e-12)
        np.testing.assert_allclose(f.diffusion(x, a=1.5, s=1 / 3), diffusion, rtol=1e-12)
