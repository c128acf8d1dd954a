"""Far out on Γ: the digits that every back end keeps, that it says how many, and what a back end has no function for."""

import ctypes
import importlib.util
import subprocess
from dataclasses import replace
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from working_precision import working_digits

import symbolic_sgd
from symbolic_sgd import (
    JAX,
    LLVM,
    IsotropicNoise,
    LabelNoise,
    LimitingSDE,
    MPMath,
    NumPy,
    Problem,
    derive_limiting_sde,
    verify,
)
from symbolic_sgd.algebra import functions, translation
from symbolic_sgd.algebra.arithmetic import PRECISE, Valuation
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.functions import ElementaryFunction
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, in_written_functions
from symbolic_sgd.checks.enclosures import Enclosures
from symbolic_sgd.checks.float_errors import FloatErrors
from symbolic_sgd.checks.region import far_points
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import OffManifold, UnsupportedExpression
from symbolic_sgd.numeric import backends
from symbolic_sgd.numeric.backend import Part
from symbolic_sgd.numeric.c_source import c_source
from symbolic_sgd.numeric.lowering import lower

u, v, w = sp.symbols("u v w")
DENSE = sp.Matrix([[1, u / (1 + u**2), v / (1 + v**2)], [sp.sin(w), 2, 0], [0, 1 / (1 + w**2), 1]])
FAR = [sign * t for t in (1, 10, 20, 30, 50, 100, 300, 700) for sign in (1, -1)]


@pytest.fixture(scope="module")
def softplus() -> LimitingSDE:
    """Two softplus residuals and a general σ(x): the drift was wrong by 10⁻³ at u = 30, by 10⁵ times at 50, and accepted."""
    residuals = (sp.log(1 + sp.exp(u)) - v, sp.log(1 + sp.exp(-u)) - w)
    loss = sp.Add(*(f**2 for f in residuals)) / 2
    return derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w), noise=DENSE))


def points(places=FAR) -> np.ndarray:
    return np.array([[t, np.logaddexp(0, t), np.logaddexp(0, -t)] for t in places], dtype=float)


def literal(sde: LimitingSDE, term: str, x: np.ndarray) -> list:
    """The term by the functions in which formulas are written, to 1500 digits."""
    program = in_written_functions(sde.program.select(term))
    with working_digits(1500):
        return [
            program.run(PRECISE, dict(zip(sde.problem.symbols, map(mpmath.mpf, row), strict=True)))[term]
            for row in x.tolist()
        ]


def errors(values, truth) -> list[float]:
    """Largest error beside the largest entry, a point."""
    with working_digits(60):
        return [
            float(max(abs(mpmath.mpf(float(a)) - b) for a, b in zip(row, true, strict=True)) / max(map(abs, true)))
            for row, true in zip(np.asarray(values).reshape(len(truth), -1), truth, strict=True)
        ]


@pytest.mark.parametrize("name", ["NumPy", "LLVM", "JAX", "Torch"])
@pytest.mark.parametrize("term", ["drift", "tangent_noise"])
def test_every_back_end_keeps_its_digits(softplus, name, term):
    row = backends.BACKENDS[name]
    if row.package and importlib.util.find_spec(row.package) is None:
        pytest.skip(f"{row.package} is not installed (extra {row.extra!r})")
    if name == "JAX":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
    # XLA has no numbers below 10⁻³⁰⁸, which e^{−700} times a derivative comes near.
    x = points([t for t in FAR if name != "JAX" or abs(t) < 700])
    functions = softplus.lambdify(backend=getattr(symbolic_sgd, name)())
    assert max(errors(functions.term(term, x), literal(softplus, term, x))) < 3e-15


def test_c_keeps_its_digits(softplus, tmp_path: Path):
    source = tmp_path / "sde.c"
    source.write_text(softplus.to_c())
    try:
        library = tmp_path / "sde.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", source, "-o", library, "-lm"], check=True)
    except FileNotFoundError:
        pytest.skip("there is no C compiler")
    drift, x = ctypes.CDLL(str(library)).sde_drift_batch, points()
    y, pointer = np.empty_like(x), ctypes.POINTER(ctypes.c_double)
    drift(ctypes.c_size_t(len(x)), x.ctypes.data_as(pointer), y.ctypes.data_as(pointer))
    assert max(errors(y, literal(softplus, "drift", x))) < 3e-15


@pytest.fixture(scope="module")
def as_stated(softplus) -> LimitingSDE:
    """The same derived from ln(1 + eᵘ) as it is written, differentiated operation by operation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translation, "stable_form", lambda expression: None)
        return derive_limiting_sde(softplus.problem)


def test_the_loss_as_stated_does_not(softplus, as_stated):
    """What the forms are for: by the operations of the loss no digit is right, and the points are accepted."""
    x = points([50.0, -50.0])
    assert min(errors(as_stated.lambdify().drift(x), literal(softplus, "drift", x))) > 1
    np.testing.assert_allclose(*(s.lambdify().drift(points([1.0, -2.0])) for s in (softplus, as_stated)), rtol=1e-13)


@pytest.mark.parametrize(
    ("residual", "at"),
    [
        (v + sp.tanh(u) - 1, lambda m, t: 1 - m.tanh(t)),
        (v + sp.log(sp.cosh(u)) - 1, lambda m, t: 1 - m.log(m.cosh(t))),
        (v + u / (1 + sp.exp(-u)) - 1, lambda m, t: 1 - t / (1 + m.exp(-t))),
        (v - sp.log(1 / (1 + sp.exp(-u))) - 1, lambda m, t: 1 - m.log1p(m.exp(-t))),
        (v + u * sp.tanh(sp.log(1 + sp.exp(u))) - 1, lambda m, t: 1 - t * m.tanh(m.log1p(m.exp(t)))),
        (v + sp.sech(u) - 1, lambda m, t: 1 - m.sech(t)),
        (v + (sp.exp(u) + 2 * sp.exp(-u)) / (sp.exp(u) + sp.exp(-u)) - 1, lambda m, t: m.tanh(t) / 2 - 0.5),
    ],
    ids=lambda a: str(a) if isinstance(a, sp.Expr) else "",
)
@pytest.mark.parametrize("noise", [IsotropicNoise(1), DENSE[:2, :2].subs(w, u)], ids=["isotropic", "dense"])
def test_neighbours_of_softplus(residual, at, noise):
    sde = derive_limiting_sde(Problem.least_squares([residual], parameters=(u, v), noise=noise))
    x = np.array([[t, float(at(mpmath, mpmath.mpf(t)))] for t in FAR if abs(t) <= 100])
    f = sde.lambdify()
    assert max(errors(f.drift(x), literal(sde, "drift", x))) < 2e-14
    if not sde.tangent_noise.is_zero_matrix:
        assert max(errors(f.diffusion(x), literal(sde, "tangent_noise", x))) < 2e-14


def test_softmax_far_out():
    """A share of three exponentials, and their logarithm, as residuals."""
    total = sp.exp(u) + sp.exp(v) + 1
    residuals = (w * sp.exp(u) / total - 1, sp.log(total) - 2 * w)
    sde = derive_limiting_sde(
        Problem(loss=sp.Add(*(f**2 for f in residuals)) / 2, parameters=(u, v, w), noise=DENSE, near={u: 1, v: 1, w: 1})
    )
    rows = []
    for t in (3.0, 30.0, 100.0, 700.0):  # e^u/(e^u + e^v + 1) = 1/w, ln(…) = 2w
        with working_digits(50):
            z = mpmath.mpf(t) / 2
            share = mpmath.exp(2 * z) / z
            rows.append([float(mpmath.log(share)), float(mpmath.log(mpmath.exp(2 * z) - share - 1)), float(z)])
    x = np.array(rows)
    # Γ is steep there, and the projection on it takes some digits.
    assert max(errors(sde.lambdify().drift(x), literal(sde, "drift", x))) < 1e-9


# --- that it is said ------------------------------------------------------------------------


def test_digits_are_told():
    """The projection on Γ subtracts nearly equal numbers on v eᵘ = 1 far out; the callables returned them without a word."""
    sde = derive_limiting_sde(Problem.least_squares([v * sp.exp(u) - 1], parameters=(u, v), noise=LabelNoise(1)))
    f, x = sde.lambdify(), np.array([[t, np.exp(-t)] for t in (0.0, -10.0, -30.0)])
    told, error = f.digits("drift", x), np.array(errors(f.drift(x), literal(sde, "drift", x)))
    error = np.maximum(error, 1e-18)
    np.testing.assert_allclose(np.minimum(told, 18), np.maximum(0, -np.log10(error)), atol=1e-6)
    assert told[0] > 14 and 1 < told[1] < 8 and told[2] == 0
    assert f.digits("tangent_noise", x[0]) == np.inf  # zero, exactly
    assert sde.lambdify(backend=MPMath(40)).digits("drift", x[0]) > 40
    assert f.digits("drift", np.empty((0, 2))).shape == (0,)


def test_digits_take_constants_batches_and_other_back_ends():
    a = sp.Symbol("a", positive=True)
    loss = (u * v - a) ** 2 / 2
    problem = Problem(loss=loss, parameters=(u, v), noise=IsotropicNoise(1), constants=(a,))
    sde, x = derive_limiting_sde(problem), np.array([[[2.0, 0.5]], [[1.0, 1.0]], [[4.0, 0.25]]])
    for backend in (NumPy(), LLVM()) if importlib.util.find_spec("llvmlite") else (NumPy(),):
        told = sde.lambdify(backend=backend).digits("drift", x, a=1.0)
        assert told.shape == (3, 1) and (told > 15).all()
    if importlib.util.find_spec("jax"):
        importlib.import_module("jax").config.update("jax_enable_x64", True)
        assert sde.lambdify(backend=JAX()).digits("drift", x[0, 0], a=1.0) > 15
    with pytest.raises(OffManifold):
        sde.lambdify().digits("drift", [2.0, 2.0], a=1.0)


def test_verification_says_how_many_digits_are_left_far_out(softplus, as_stated):
    checks = verify(softplus, checks=(FloatErrors(points=4),)).checks
    far = [c for c in checks if c.name.endswith("far out")]
    assert len(far) == 2 and all(c.verdict == "measured" and c.error < 1e-14 for c in far)
    assert max(place["|x|"] for place in far[0].observed) > 500
    assert min(place["digits"] for place in far[0].observed) > 14
    drift = next(c for c in verify(as_stated, checks=(FloatErrors(points=4),)).checks if "drift, far" in c.name)
    digits = {place["|x|"]: place["digits"] for place in drift.observed}
    assert "at least 0.0 digits" in drift.detail and drift.verdict == "measured"  # beside |σ|² the error is small
    assert min(digits.values()) == 0 and digits[min(digits)] > 10


def test_a_value_without_a_right_digit_fails(softplus):
    def spoiled(graph, op, args, value):  # w + (1 + e^{w/4}) − (1 + e^{w/4}): all is lost where that is 10¹⁶
        node = graph.operation(op, args, value)
        large = 1 + graph.call("exp", graph.symbol(w) / 4)
        return (node + large) - large if op == "symbol" and value == w else node

    derivation = softplus.derivation.with_program(softplus.program.rewritten(spoiled))
    rng = np.random.default_rng(0)
    checks = FloatErrors(points=4)(Witness.of(derivation, rng, 2), rng)
    assert {c.name: c.verdict for c in checks}["float64: diffusion, far out"] == "failed"


def test_what_was_seen_far_out_is_printed(softplus):
    certificate = verify(softplus, checks=(FloatErrors(points=4),))
    assert "digits of the largest entry are right" in certificate.details


def test_far_points_go_far_where_there_is_a_way(softplus):
    rng = np.random.default_rng(0)
    found = far_points(Witness.of(softplus.derivation, rng, 2), rng)
    assert np.abs(found[:, 0]).max() > 300 and (found[:, 0] > 0).any() and (found[:, 0] < 0).any()
    circle = derive_limiting_sde(
        Problem(loss=(u**2 + v**2 - 1) ** 2 / 8, parameters=(u, v), noise=IsotropicNoise(1))
    ).derivation
    assert not len(far_points(Witness.of(circle, rng, 2), rng))


# --- derivatives by automatic differentiation -----------------------------------------------


@pytest.mark.parametrize("place", [0.0, 3.0, -3.0, 300.0, -300.0])
def test_what_is_computed_has_the_right_derivative_where_its_branches_meet(place):
    """max(a, b) + ln(1 + e^{−|a−b|}) by |·| would have the second derivative 0 at a = b."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    operations = symbolic_sgd.JAX().operations
    computed = functions.FUNCTIONS["logaddexp"].computed
    f = lambda a: computed(0.0, a, lambda name, *x: operations[name](*x))  # noqa: E731
    share = 1 / (1 + np.exp(-place))
    assert jax.grad(f)(place) == pytest.approx(share, rel=1e-14, abs=1e-300)
    assert jax.grad(jax.grad(f))(place) == pytest.approx(share * (1 - share), rel=1e-12, abs=1e-16)


# --- a function that a back end has not -----------------------------------------------------


@pytest.fixture
def unknown(monkeypatch) -> Program:
    """erfi, in the table but in no back end's: LLVM ended the process, the others raised a KeyError, C wrote `erfi(`."""
    row = ElementaryFunction("erfi", sp.erfi, np.exp, lambda a: mpmath.erfi(a), lambda a, f, apply: f)
    monkeypatch.setitem(functions.FUNCTIONS, "erfi", row)
    graph = Graph()
    return Program.of({"drift": Matrix.column([graph.call("erfi", graph.symbol(u)), graph.symbol(v)])})


@pytest.fixture
def part(unknown) -> Part:
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
    return Part(derive_limiting_sde(problem).derivation, unknown, check=False)


@pytest.mark.parametrize("name", ["LLVM", "JAX", "Torch"])
def test_back_ends_refuse_a_function_that_they_have_not(part, name):
    row = backends.BACKENDS[name]
    if importlib.util.find_spec(row.package) is None:
        pytest.skip(f"{row.package} is not installed (extra {row.extra!r})")
    if name == "JAX":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
    with pytest.raises(UnsupportedExpression, match=f"{name} has no function 'erfi'.*MPMath"):
        getattr(symbolic_sgd, name)().compile(part)


def test_c_refuses_a_function_that_it_has_not(unknown):
    with pytest.raises(UnsupportedExpression, match="C has no function 'erfi'"):
        c_source({"f": unknown}, (u, v), "test")


def test_loops_refuse_a_function_that_they_have_not(unknown):
    """The fused loops of LLVM print the same operations."""
    pytest.importorskip("llvmlite")
    kernel = importlib.import_module("symbolic_sgd.numeric.backends.llvm_kernel")
    with pytest.raises(UnsupportedExpression, match="LLVM has no function 'erfi'"):
        kernel.kernel_source(lower([unknown], (u, v)), 4, True)


def test_balls_refuse_a_function_that_they_have_not(unknown, monkeypatch):
    """And verification goes on without its enclosures, saying why."""
    balls = pytest.importorskip("symbolic_sgd.algebra.balls", reason="needs python-flint")
    with pytest.raises(UnsupportedExpression, match="ball arithmetic has no function 'erfi'"):
        balls._apply("erfi", balls.exact_ball(0.5))
    sde = derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    lacking = replace(balls.BALLS, operations={**balls.BALLS.operations, "div": lambda a, b: balls._apply("erfi", a)})
    monkeypatch.setattr(balls, "BALLS", lacking)
    checks = Enclosures(points=2)(Witness.of(sde.derivation, np.random.default_rng(0), 2), np.random.default_rng(0))
    assert {c.verdict for c in checks} == {"not run"} and "erfi" in checks[0].detail


# --- a row that is added ----------------------------------------------------------------------


@pytest.fixture
def added(monkeypatch) -> Part:
    """2ᵃ as a row of the table, with every column but PyTorch's."""
    row = ElementaryFunction(
        "exp2",
        lambda a: 2**a,
        np.exp2,
        lambda a: mpmath.mpf(2) ** a,
        lambda a, f, apply: f * apply("log", a.graph.constant(2)),
        libraries={"c": "exp2", "jax": "numpy.exp2"},
    )
    monkeypatch.setitem(functions.FUNCTIONS, "exp2", row)
    graph = Graph()
    program = Program.of({"drift": Matrix.column([graph.call("exp2", graph.symbol(u)), graph.symbol(v)])})
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
    return Part(derive_limiting_sde(problem).derivation, program, check=False)


@pytest.mark.parametrize("name", ["NumPy", "LLVM", "JAX", "MPMath"])
def test_a_function_is_one_row(added, name):
    row = backends.BACKENDS[name]
    if row.package and importlib.util.find_spec(row.package) is None:
        pytest.skip(f"{row.package} is not installed (extra {row.extra!r})")
    if name == "JAX":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
    found = getattr(symbolic_sgd, name)().compile(added)(np.array([[1.5, 2.0], [-3.0, 4.0]]), {})
    np.testing.assert_allclose(np.array(found, dtype=float)[:, 0].ravel(), [2**1.5, 2**-3], rtol=1e-15)


def test_a_row_is_written_in_c_and_differentiated(added):
    assert "exp2(x[0])" in c_source({"f": added.program}, (u, v), "test")
    graph = Graph()
    (slope,) = gradient(graph.call("exp2", graph.symbol(u)), [graph.symbol(u)])
    assert float(Valuation(PRECISE, {u: mpmath.mpf(1)})([slope])[0]) == pytest.approx(2 * np.log(2), rel=1e-15)


# --- polynomials ------------------------------------------------------------------------------

x1, x2, x3, x4 = sp.symbols("x1:5")
LEANING = sp.Matrix([[1 + x1**2], [x1 * x2], [2]])


@pytest.mark.parametrize(
    ("loss", "sigma", "row"),
    [
        ((x1**2 - x2**2 - 2 * x3) ** 2 / 2, LEANING, [2.0**-6, 64.0, (2.0**-12 - 2.0**12) / 2]),
        ((x1**2 - x2**2 - 2 * x3) ** 2 / 2, LEANING, [-0.0101318359375, 528.0, -139391.99994867295]),
    ],
)
def test_short_formulas_that_cancel_there_do_not_run(loss, sigma, row):
    """The formula in F = (∇f_i) is as good as the program at points near by, and loses up to 11 digits here: what was looked at near by
    says nothing of it, so the program runs."""
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(x1, x2, x3), noise=sigma))
    assert sde.lambdify().digits("drift", row) > 11
