"""Every back end computes the same functions, refuses the same points, and comes back from a pickle."""

import ctypes
import importlib.util
import multiprocessing
import os
import pickle
import subprocess
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from derived import NAMES, gallery_sde
from working_precision import working_digits

import symbolic_sgd
from symbolic_sgd import IsotropicNoise, LabelNoise, LimitingSDE, Problem, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.functions import FUNCTIONS
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.errors import (
    BadInput,
    BadPoint,
    InexactNumber,
    MissingExtra,
    OffManifold,
    SingularPoint,
    UnsupportedExpression,
)
from symbolic_sgd.numeric import backends
from symbolic_sgd.numeric.acceptance import doubt_program
from symbolic_sgd.numeric.backend import Backend
from symbolic_sgd.numeric.guard import check_points
from symbolic_sgd.numeric.host import BLOCK
from symbolic_sgd.numeric.lowering import demand_order, lower

u, v, w = sp.symbols("u v w")
a, s = sp.symbols("a s", positive=True)


def backend(name: str) -> Backend:
    """A back end, or a visible skip where its package is not installed."""
    row = backends.BACKENDS[name]
    if row.package and importlib.util.find_spec(row.package) is None:
        pytest.skip(f"{row.package} is not installed (extra {row.extra!r})")
    if name == "JAX":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
    return getattr(symbolic_sgd, name)()


def numbers(values) -> np.ndarray:
    return np.asarray(values.tolist(), dtype=float).reshape(tuple(values.shape))


@pytest.fixture(scope="module")
def scaled() -> LimitingSDE:
    return derive_limiting_sde(
        Problem(loss=(u * v - a) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(s), constants=(a, s))
    )


@pytest.fixture(scope="module")
def transcendental() -> LimitingSDE:
    return derive_limiting_sde(
        Problem(
            loss=(sp.exp(v) * sp.tanh(u) + sp.sin(w) * sp.log(2 + u**2) - sp.Rational(1, 2)) ** 2 / 2,
            parameters=(u, v, w),
            noise=sp.Matrix([[sp.sin(u), 1], [sp.exp(v / 3), w], [1, sp.cos(u * w)]]),
        )
    )


def points_of(sde: LimitingSDE, count: int, seed: int = 0) -> np.ndarray:
    """Points of Γ by Newton's steps −H†∇L from beside the known ones, rows of parameters and constants."""
    rng, symbols, d = np.random.default_rng(seed), sde.problem.symbols, sde.problem.dimension
    known = np.array([[float(p[symbol]) for symbol in symbols] for p in sde.derivation.points])
    x = known[rng.integers(len(known), size=count)]
    x[:, :d] += 0.1 * rng.standard_normal((count, d))
    guard = sde.derivation.guard.select("gradient", "hessian")
    for _ in range(60):
        values = evaluate(guard, symbols, x)
        curvature, axes = np.linalg.eigh(values["hessian"].reshape(count, d, d))
        normal = axes[:, :, -sde.manifold.codimension :]
        with np.errstate(invalid="ignore", divide="ignore"):
            along = np.einsum("bij,bi->bj", normal, values["gradient"]) / curvature[:, -sde.manifold.codimension :]
        moved = x[:, :d] - np.einsum("bij,bj->bi", normal, along)
        near = np.abs(moved).max(axis=1) < 1e3  # the others have left, and stay where they are
        x[near, :d] = moved[near]
    return x[[_accepted(sde, row) for row in x]]


def _accepted(sde: LimitingSDE, row: np.ndarray) -> bool:
    try:
        check_points(sde.derivation, row[None])
    except symbolic_sgd.SymbolicSGDError:
        return False
    return True


def arguments(sde: LimitingSDE, rows: np.ndarray) -> tuple[np.ndarray, dict]:
    d = sde.problem.dimension
    return rows[:, :d].copy(), {c.name: rows[:, d + k].copy() for k, c in enumerate(sde.problem.constants)}


def on_transcendental(count: int) -> np.ndarray:
    first, third = np.random.default_rng(0).uniform([[0.5], [-0.3]], [[1.5], [0.3]], (2, count))
    return np.stack([first, np.log((0.5 - np.sin(third) * np.log(2 + first**2)) / np.tanh(first)), third], axis=-1)


ALL = list(backends.BACKENDS)
FLOATS = ["NumPy", "LLVM", "JAX", "Torch"]


# --- lowering -------------------------------------------------------------------------------------


def test_lowering_computes_what_the_program_does(transcendental):
    symbols, x = transcendental.problem.symbols, on_transcendental(5)
    program = transcendental.program.select("drift", "tangent_noise")
    lowered = lower([program], symbols)
    slots = {i: x[:, i] for i in range(3)} | {3 + k: c for k, c in enumerate(lowered.constants)}
    results = np.empty((5, lowered.size))
    operations = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative}
    operations |= {name: row.numeric for name, row in FUNCTIONS.items()}
    for step in lowered.steps:
        operands = [slots[k] for k in step.operands]
        if step.op == "store":
            results[:, step.target] = operands[0]
        else:
            slots[step.target] = operations[step.op](*operands)
    expected = evaluate(program, symbols, x)
    np.testing.assert_array_equal(results, np.concatenate([expected["drift"], expected["tangent_noise"]], axis=1))


def test_registers_are_reused_and_operands_come_first(transcendental):
    program = transcendental.program.select("drift")
    lowered = lower([program], transcendental.problem.symbols)
    assert lowered.registers < lowered.operations / 4
    order = demand_order(program)
    place = {i: k for k, i in enumerate(order)}
    assert len(place) == len(order) == len(program.instructions)
    assert all(place[b] < place[i] for i in order for b in program.instructions[i].args)


def test_constants_are_folded_to_one_rounding():
    graph = Graph()
    x = graph.symbol(u)
    root = graph.call("sqrt", 2) * graph.call("exp", graph.call("pi"))
    lowered = lower([Program.of({"f": Matrix.column([x * root, root])})], (u,))
    with working_digits(50):
        assert lowered.constants == (float(mpmath.sqrt(2) * mpmath.exp(mpmath.pi)),)
    assert lowered.operations == 1


def test_the_hash_is_of_what_is_computed(scaled):
    symbols = scaled.problem.symbols
    drift, noise = (scaled.program.select(name) for name in ("drift", "tangent_noise"))
    assert lower([drift], symbols).source_hash == lower([drift], symbols).source_hash
    assert lower([drift], symbols).source_hash != lower([noise], symbols).source_hash
    assert lower([drift], symbols).source_hash != lower([drift], (*symbols[::-1],)).source_hash


def test_the_certificate_names_the_source_that_runs():
    sde = gallery_sde("hyperbola_label")
    certificate = symbolic_sgd.verify(sde)
    for term in ("drift", "tangent_noise"):
        assert certificate.source_hashes[term] == sde.lambdify().source_hash(term)
        assert certificate.source_hashes[term] in certificate.to_json()


# --- all back ends compute the same -----------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)], ids=str)
def test_shapes_and_values(scaled, name, batch):
    f, reference = scaled.lambdify(backend=backend(name)), scaled.lambdify()
    t = np.linspace(0.5, 2, int(np.prod(batch))).reshape(batch)
    x = np.stack([t, 1 / t], axis=-1)
    for method in ("drift", "diffusion", "tangent_noise_compensation", "normal_regularization", "stratonovich_drift"):
        ours, expected = getattr(f, method)(x, a=1, s=2), getattr(reference, method)(x, a=1, s=2)
        assert tuple(ours.shape) == expected.shape
        np.testing.assert_allclose(numbers(ours), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", FLOATS)
def test_constants_broadcast(scaled, name):
    f = scaled.lambdify(backend=backend(name))
    x, scale = np.array([[2.0, 0.5], [1.0, 1.0]]), np.array([1.0, 3.0])
    together = numbers(f.drift(x, a=1.0, s=scale))
    for k in range(2):
        np.testing.assert_allclose(together[k], numbers(f.drift(x[k], a=1.0, s=float(scale[k]))), rtol=1e-14)


@pytest.mark.parametrize("name", ["LLVM", "JAX", "Torch", "MPMath"])
def test_elementary_functions(transcendental, name):
    x = on_transcendental(9)
    for method in ("drift", "diffusion"):
        ours = numbers(getattr(transcendental.lambdify(backend=backend(name)), method)(x))
        np.testing.assert_allclose(ours, getattr(transcendental.lambdify(), method)(x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["NumPy", "LLVM"])
def test_every_function_of_the_table(name):
    """Also off its domain, where NumPy says NaN; the C library lacks the exponential integral, and LLVM says so."""
    graph = Graph()
    x, y = graph.symbol(u), graph.symbol(v)
    known = {key: row for key, row in FUNCTIONS.items() if name == "NumPy" or key != "Ei"}
    entries = [graph.call(key, *(x, y)[: row.arity]) for key, row in known.items()] + [graph.power(x, y)]
    f = backend(name).function(lower([Program.of({"f": Matrix.column(entries)})], (u, v)))
    points = np.array([[0.3, 0.7], [-0.4, 2.0], [0.0, 1.0], [1.5, -0.5], [-2.0, 0.5], [np.nan, 1.0]] * 3)
    with np.errstate(all="ignore"):
        values = [row.numeric(*points.T[: row.arity]) for row in known.values()]
        expected = np.stack([*values, np.power(*points.T)], axis=1)
    np.testing.assert_allclose(f(points), expected, rtol=4e-15, atol=1e-300)
    if name == "LLVM":
        integral = Program.of({"f": Matrix.column([graph.call("Ei", x)])})
        with pytest.raises(UnsupportedExpression, match="LLVM has no function 'Ei'"):
            backend(name).function(lower([integral], (u, v)))


def test_exact_numbers_are_exact():
    sde = derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    drift = sde.lambdify(backend=backend("Exact")).drift([Fraction(2), Fraction(1, 2)])
    assert drift.tolist() == [Fraction(-15, 17), Fraction(15, 68)]
    assert sde.lambdify(backend=backend("Exact")).drift(["2", "1/2"]).tolist() == drift.tolist()
    with working_digits(60):
        precise = sde.lambdify(backend=symbolic_sgd.MPMath(50)).drift([sp.Integer(2), sp.Rational(1, 2)])
        assert abs(precise[0] + mpmath.mpf(15) / 17) < mpmath.mpf("1e-50")


def test_what_is_not_rational_is_refused(transcendental):
    with pytest.raises(InexactNumber, match="MPMath"):
        transcendental.lambdify(backend=backend("Exact"), check=False).drift([1, 1, 1])
    with pytest.raises(BadPoint, match="rational"):
        transcendental.lambdify(backend=backend("Exact")).drift([sp.sqrt(2), 1, 1])
    with pytest.raises(SingularPoint):
        hyperbola = gallery_sde("hyperbola_isotropic")
        hyperbola.lambdify(backend=backend("Exact"), check=False).drift([0, 0])


# --- the same points are refused ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_points_off_the_manifold(scaled, name):
    f, reference = scaled.lambdify(backend=backend(name)), scaled.lambdify()
    for x in ([1, 2], [[2, 0.5], [1, 1 + 1e-5]], [1e-5, 1e-5]):
        with pytest.raises(OffManifold) as ours:
            f.drift(x, a=1, s=1)
        with pytest.raises(OffManifold) as expected:
            reference.drift(x, a=1, s=1)
        assert str(ours.value) == str(expected.value)
    with pytest.raises(BadPoint):
        f.drift([1, 1, 1], a=1, s=1)
    with pytest.raises(BadInput, match="no value for the constant"):
        f.drift([1, 1], a=1)
    with pytest.raises(BadInput, match="no constant"):
        f.drift([1, 1], a=1, s=1, t=2)


@pytest.mark.parametrize("name", FLOATS)
def test_points_that_are_not_finite(transcendental, name):
    f = transcendental.lambdify(backend=backend(name))
    for bad in (np.nan, np.inf):
        with pytest.raises(BadPoint, match="finite"):
            f.drift([bad, 1.0, 1.0])


@pytest.mark.parametrize("name", FLOATS)
def test_a_singular_point(name):
    """Where the gradient of the equation of Γ is not finite in the noise: log(u) at u < 0 on uv = 1."""
    sde = derive_limiting_sde(
        Problem(
            loss=(u * v - 1) ** 2 / 2,
            parameters=(u, v),
            noise=sp.Matrix([[sp.log(u)], [1]]),
            near={u: 2, v: sp.Rational(1, 2)},
        )
    )
    f = sde.lambdify(backend=backend(name))
    assert np.isfinite(numbers(f.drift([2.0, 0.5]))).all()
    with pytest.raises(SingularPoint, match="not a finite real number"):
        f.drift([-2.0, -0.5])
    with pytest.raises(SingularPoint):
        f.drift(np.array([[2.0, 0.5], [-2.0, -0.5]]))


@pytest.mark.parametrize("count", [60, pytest.param(600, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("name", NAMES)
def test_the_compiled_test_accepts_nothing_that_the_full_one_refuses(name, count):
    """At points of Γ, beside it at all distances, and at special places."""
    sde = gallery_sde(name)
    symbols, rows = sde.problem.symbols, points_of(sde, count)
    rng = np.random.default_rng(1)
    shifts = 10.0 ** rng.uniform(-17, 0, (len(rows), 1)) * rng.standard_normal(rows.shape)
    shifts[:, sde.problem.dimension :] = 0
    special = np.concatenate([np.zeros((1, len(symbols))), rows[:20] * np.array(0.0), rows[:20] * 1e200, -rows[:20]])
    doubt = doubt_program(sde.derivation)
    assert doubt is not None
    f = backend("NumPy").function(lower([doubt], symbols))
    good = f(rows)[:, 0] <= 1
    assert good.mean() > 0.5  # else nothing is gained; how many, depends on how steep the points found are
    for batch in (rows, rows + shifts, special):
        for row in batch[f(np.ascontiguousarray(batch))[:, 0] <= 1]:
            check_points(sde.derivation, row[None])


# --- the compiled back end ----------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_machine_code_of_a_point_and_of_batches_agree_bit_for_bit(transcendental, threads):
    backend("LLVM")
    f = transcendental.lambdify(backend=symbolic_sgd.LLVM(threads=threads))
    unchecked = transcendental.lambdify(backend=symbolic_sgd.LLVM(threads=threads), check=False)
    x = on_transcendental(BLOCK + 37)
    whole = f.drift(x)
    np.testing.assert_array_equal(unchecked.drift(x), whole)
    for i in (0, 1, 7, 8, BLOCK, BLOCK + 36):
        np.testing.assert_array_equal(f.drift(x[i]), whole[i])
    np.testing.assert_array_equal(f.drift(np.asfortranarray(x[100:117])), whole[100:117])


@pytest.mark.parametrize("count", [0, 1, 5, 100, 8191])
def test_threads_share_the_points(monkeypatch, transcendental, count):
    """Three threads, however little there is to do; the last share is smaller, or none."""
    machine = backend("LLVM").__class__.__module__
    monkeypatch.setattr(f"{machine}.WORTH", 1)
    x = on_transcendental(8192)[:count]
    one, three = (transcendental.lambdify(backend=symbolic_sgd.LLVM(threads=t), check=False) for t in (1, 3))
    np.testing.assert_array_equal(three.drift(x), one.drift(x))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_threads_after_a_fork(monkeypatch, transcendental):
    """A forked child has none of its parent's threads, and must not wait for them."""
    machine = backend("LLVM").__class__.__module__
    monkeypatch.setattr(f"{machine}.WORTH", 1)
    x = on_transcendental(512)
    f = transcendental.lambdify(backend=symbolic_sgd.LLVM(threads=2), check=False)
    f.drift(x)
    child = multiprocessing.get_context("fork").Process(target=f.drift, args=(x,))
    child.start()
    child.join(30)
    alive = child.is_alive()
    child.kill()
    assert not alive


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 31])
@pytest.mark.parametrize("width", [2, 4, 8])
def test_rows_become_columns_and_back(count, width):
    """Every number of columns, and every vector length: the shuffles are run here by hand."""
    vector_code = pytest.importorskip("symbolic_sgd.numeric.backends.vector_code")
    code, memory, values = vector_code.VectorCode(width, True), np.arange(3.0, 3 + count * width), {}
    code.load = lambda pointer, offset: _named(values, memory[offset : offset + width])
    code.let = lambda text: _named(values, _shuffled(text, values, width))
    columns = code.load_columns("%x", count)
    for j, name in enumerate(columns):
        np.testing.assert_array_equal(values[name], memory.reshape(width, count)[:, j])
    written = np.zeros(count * width)
    code.store = lambda name, pointer, offset: written.__setitem__(slice(offset, offset + width), values[name])
    for first in [0] if count <= width else vector_code.tiles(count, width):
        code.store_columns(columns[first : first + width], "%y", first, count)
    np.testing.assert_array_equal(written, memory)


def _named(values, vector):
    values[f"%n{len(values)}"] = np.array(vector)
    return f"%n{len(values) - 1}"


def _shuffled(text, values, width):
    left, right = (part.split()[-1] for part in text.split(",")[:2])
    mask = text[text.rindex("<") + 1 : text.rindex(">")].split(",")
    both = np.concatenate([values[left], values[right]])
    return [np.nan if "poison" in m else both[int(m.split()[-1])] for m in mask]


@pytest.mark.parametrize("name", ALL)
def test_pickling_rebuilds(scaled, name):
    f = scaled.lambdify(backend=backend(name))
    before = numbers(f.drift([2, 0.5], a=1, s=1))
    again = pickle.loads(pickle.dumps(f))
    assert again == f and again.backend == f.backend
    np.testing.assert_array_equal(numbers(again.drift([2, 0.5], a=1, s=1)), before)


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    real = backends.importlib.import_module

    def missing(name, *rest):
        if name.endswith(".llvm"):
            raise ModuleNotFoundError("No module named 'llvmlite'", name="llvmlite")
        return real(name, *rest)

    monkeypatch.setattr(backends.importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'symbolic-sgd\[fast\]'"):
        _ = symbolic_sgd.LLVM
    with pytest.raises(ImportError):
        _ = symbolic_sgd.LLVM
    with pytest.raises(AttributeError):
        _ = symbolic_sgd.Fortran


@pytest.mark.parametrize("wrong", ["numpy", None, object()])
def test_a_backend_is_an_object(scaled, wrong):
    with pytest.raises(BadInput, match="backend"):
        scaled.lambdify(backend=wrong)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_threads_are_a_positive_number(threads):
    backend("LLVM")
    with pytest.raises(BadInput, match="threads"):
        symbolic_sgd.LLVM(threads=threads)


# --- C ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["scaled", "transcendental"])
def test_the_c_file_compiles_and_agrees(which, request, tmp_path):
    sde = request.getfixturevalue(which)
    source, library = tmp_path / "sde.c", tmp_path / "sde.so"
    source.write_text(sde.to_c())
    command = [
        "cc",
        "-std=c99",
        "-O3",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-shared",
        "-fPIC",
        str(source),
        "-o",
        str(library),
    ]
    subprocess.run([*command, "-lm"], check=True, timeout=600)
    x = on_transcendental(11) if which == "transcendental" else np.array([[2, 0.5, 1, 3.0], [1, 3, 3, 1]])
    loaded, d, columns = (
        ctypes.CDLL(str(library)),
        sde.problem.dimension,
        sde.program.select("tangent_noise").outputs[0].shape[1],
    )
    given = {c.name: x[:, d + k] for k, c in enumerate(sde.problem.constants)}
    for name, width in (("drift", d), ("diffusion", d * columns), ("mixed_regularization", d)):
        result = np.empty((len(x), width))
        getattr(loaded, f"sde_{name}_batch")(
            ctypes.c_size_t(len(x)), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(result.ctypes.data)
        )
        expected = getattr(sde.lambdify(), name)(x[:, :d], **given).reshape(len(x), -1)
        np.testing.assert_allclose(result, expected, rtol=1e-13, atol=1e-14)


# --- transformations of JAX and PyTorch -----------------------------------------------------------------


def test_jax_transformations(scaled):
    f = scaled.lambdify(backend=backend("JAX"), check=False)
    jax = pytest.importorskip("jax")
    drift = lambda x: f.drift(x, a=1.0, s=2.0)  # noqa: E731
    x = np.array([[2.0, 0.5], [0.25, 4.0]])
    plain = np.asarray(drift(x))
    np.testing.assert_allclose(jax.jit(drift)(x), plain, rtol=1e-14)
    np.testing.assert_allclose(jax.vmap(drift)(x), plain, rtol=1e-14)
    _differentiates(jax.jacfwd(drift)(x[0]), scaled)
    with pytest.raises(BadInput, match="check=False"):
        jax.jit(lambda x: scaled.lambdify(backend=symbolic_sgd.JAX()).drift(x, a=1.0, s=2.0))(x)


def test_torch_transformations(scaled):
    f = scaled.lambdify(backend=backend("Torch"), check=False)
    torch = pytest.importorskip("torch")
    drift = lambda x: f.drift(x, a=1.0, s=2.0)  # noqa: E731
    x = torch.tensor([[2.0, 0.5], [0.25, 4.0]], dtype=torch.float64)
    np.testing.assert_allclose(torch.func.vmap(drift)(x).numpy(), drift(x).numpy(), rtol=1e-14)
    _differentiates(torch.func.jacrev(drift)(x[0]).numpy(), scaled)
    leaf = x[0].clone().requires_grad_()
    scaled.lambdify(backend=symbolic_sgd.Torch()).drift(leaf, a=1.0, s=2.0)[0].backward()
    np.testing.assert_allclose(leaf.grad.numpy(), torch.func.jacrev(drift)(x[0]).numpy()[0], rtol=1e-12)
    with pytest.raises(BadInput, match="check=False"):
        torch.func.vmap(lambda x: scaled.lambdify(backend=symbolic_sgd.Torch()).drift(x, a=1.0, s=2.0))(x)


def _differentiates(jacobian, sde):
    f, x, h = sde.lambdify(check=False), np.array([2.0, 0.5]), 1e-6
    ours = np.stack(
        [(f.drift(x + h * e, a=1.0, s=2.0) - f.drift(x - h * e, a=1.0, s=2.0)) / (2 * h) for e in np.eye(2)], -1
    )
    np.testing.assert_allclose(np.asarray(jacobian), ours, rtol=1e-7, atol=1e-8)


def test_jax_in_single_precision_is_refused(scaled):
    jax = pytest.importorskip("jax")
    single = backend("JAX")
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(BadInput, match="jax_enable_x64"):
            scaled.lambdify(backend=single).drift([1.0, 1.0], a=1, s=1)
    finally:
        jax.config.update("jax_enable_x64", True)


# --- digits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_accuracy_beside_fifty_digits(name):
    """No back end's largest error is more than twice that of the program as derived (or a few units of rounding): relative to the whole
    term, or to its median over the points where it is smaller, as beside a fixed point of the drift."""
    sde = gallery_sde(name)
    rows = points_of(sde, 12, seed=3)
    x, constants = arguments(sde, rows)
    for method, term in (("drift", "drift"), ("diffusion", "tangent_noise")):
        truth = [_precise(sde, term, row) for row in rows]
        typical = np.median([float(max(map(abs, t))) for t in truth])
        derived = evaluate(sde.program.select(term), sde.problem.symbols, rows)[term]
        own = max(_error(t, o, typical) for t, o in zip(truth, derived, strict=True))
        worst = {}
        for each in FLOATS:
            if importlib.util.find_spec(backends.BACKENDS[each].package or "numpy") is None:
                continue
            ours = numbers(getattr(sde.lambdify(backend=backend(each)), method)(x, **constants)).reshape(len(rows), -1)
            worst[each] = max(_error(t, o, typical) for t, o in zip(truth, ours, strict=True))
        assert all(error <= max(2 * own, 1e-15) for error in worst.values()), worst


def _precise(sde, term, row):
    with working_digits(50):
        point = {symbol: mpmath.mpf(float(value)) for symbol, value in zip(sde.problem.symbols, row, strict=True)}
        return sde.program.select(term).run(PRECISE, point)[term]


def _error(truth, ours, typical):
    with working_digits(50):
        size = max(*map(abs, truth), mpmath.mpf(typical))
        return float(max(abs(t - mpmath.mpf(float(o))) for t, o in zip(truth, ours, strict=True)) / (size or 1))


# --- what is no real number ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "x",
    [np.ma.array([1.0, 1.0], mask=[0, 1]), np.array([1 + 1j, 1]), np.array([True, True])],
    ids=["masked", "complex", "bool"],
)
def test_nothing_masked_complex_or_boolean_is_taken_for_a_point(name, x):
    f = gallery_sde("hyperbola_label").lambdify(backend=backend(name))
    with pytest.raises(symbolic_sgd.SymbolicSGDError):
        f.drift(x)


def test_constants_are_real(scaled):
    for value in (np.array([1 + 2j]), np.ma.array([1.0], mask=[1]), float("nan")):
        with pytest.raises(symbolic_sgd.SymbolicSGDError, match="constant"):
            scaled.lambdify().drift([[1.0, 1.0]], **dict.fromkeys([s.name for s in scaled.problem.constants], value))
