"""Short formulas run where they are known to keep their digits: the bound on rounding holds, and elsewhere the program as derived runs."""

from collections.abc import Iterator

import mpmath
import numpy as np
import pytest
import sympy as sp
from overparametrised import overparametrised
from working_precision import working_digits

from symbolic_sgd import IsotropicNoise, NumPy, Problem, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.shared_sums import with_inverses, with_shared_sums
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import BadPoint, OffManifold
from symbolic_sgd.numeric.backend import Part
from symbolic_sgd.numeric.rounding import CANCELLATION, PROMISED, bounded
from symbolic_sgd.numeric.running_form import running_form

u, v, w = X = sp.symbols("u v w")


def program(*expressions) -> Program:
    graph = Graph()
    return Program.of({"f": Matrix.column([from_sympy(sp.sympify(e), graph) for e in expressions])})


def precise(p: Program, row) -> list:
    with working_digits(60):
        return p.run(PRECISE, dict(zip(X, map(mpmath.mpf, row), strict=True)))["f"]


def rational_functions(rng) -> Iterator[sp.Expr]:
    for _ in range(4):
        top = sp.Add(*(int(rng.integers(-3, 4)) * sp.Mul(*rng.choice(X, 2)) for _ in range(3))) + int(rng.integers(3))
        below = 1 + rng.choice(X) ** 2 + int(rng.integers(2)) * (u * v - 1) ** 2
        yield rng.choice(X) * top / below
    yield sp.sqrt(u**2 + 1) * (v - 1) + sp.Abs(w)


@pytest.mark.parametrize("seed", range(30))
def test_where_the_test_is_passed_every_entry_has_its_digits(seed):
    """Points near and far, and as close to a zero of a sum as float64 has numbers; those that lose digits do not pass."""
    rng = np.random.default_rng(seed)
    stated = program(*rational_functions(rng))
    found = bounded(with_shared_sums(stated))
    assert found is not None
    x = np.exp(rng.uniform(-6, 6, (400, 3))) * rng.choice([-1, 1], (400, 3))
    x[:100, 1] = 1 / x[:100, 0]  # uv = 1 to rounding
    x[100:200, 1] = 1 + np.exp(rng.uniform(-36, -1, 100))
    values = evaluate(with_inverses(found.program), X, x)
    passed = values[CANCELLATION][:, 0] <= 1 if found.is_tested else np.full(400, True)
    assert passed.sum() > 100
    for row, value in zip(x[passed], values["f"][passed], strict=True):
        for a, b in zip(value, precise(stated, row), strict=True):
            assert abs(a - float(b)) <= PROMISED * abs(float(b))


def test_what_cancels_does_not_pass():
    found = bounded(program(u * (u * v - 1)))
    assert found is not None and found.is_tested and found.factor > 100
    test = lambda *row: evaluate(found.program, X, np.array([row]))[CANCELLATION][0, 0] <= 1  # noqa: E731
    assert test(2.0, 3.0, 0.0) and not test(2.0, 0.5, 0.0) and not test(3.0, 1 / 3, 0.0)
    assert not test(2.0, 0.5 + 1e-9, 0.0) and not test(np.nan, 1.0, 0.0)


def test_what_cannot_cancel_has_no_test():
    found = bounded(program(u / (u**2 + v**2), -(w**2) - 3 * v**4, sp.exp(u)))
    assert found is not None and not found.is_tested and found.factor == 1


@pytest.mark.parametrize(
    "e", [sp.exp(u * v), sp.sin(u + 1), u**v, sp.log(1 + sp.exp(u * v)), sp.Ei(u), sp.erf(u)], ids=str
)
def test_functions_of_what_is_computed_and_special_functions_are_not_bounded(e):
    assert bounded(program(e)) is None


@pytest.mark.parametrize("constant", [10**400, sp.Rational(1, 10**400), 10**120])
def test_constants_beyond_float64_are_not_bounded(constant):
    assert bounded(program(constant * u - v)) is None


def test_cancellation_within_cancellation_is_not_bounded():
    nested = u - 1
    for k in range(2, 9):
        nested = nested * v - k
    assert bounded(program(nested)) is None


# --- what runs ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return derive_limiting_sde(overparametrised(2, 4, IsotropicNoise(1), seed=3))


def test_the_short_form_is_a_small_part_of_the_program(model):
    form = running_form(model.derivation, "drift")
    assert form is not None
    assert 10 * with_inverses(form.bounded.program).operations < model.program.select("drift").operations


@pytest.mark.parametrize("check", [True, False])
def test_points_that_do_not_pass_run_as_derived(check):
    """u² = 3v² on uv = 1, where an entry of the drift vanishes, and its neighbours: the values are those of the program, to the bit."""
    sde = derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=IsotropicNoise(1)))
    form = running_form(sde.derivation, "drift")
    assert form is not None and form.bounded.is_tested
    s = 3**0.25 * np.array([1.0, 1 + 1e-12, 1 - 1e-5, 1.5, 3.0])
    x = np.stack([s, 1 / s], axis=1)
    cancellation = evaluate(with_inverses(form.bounded.program), sde.problem.symbols, x)[CANCELLATION][:, 0]
    assert list(cancellation <= 1) == [False, False, False, True, True]
    own = evaluate(sde.program.select("drift"), sde.problem.symbols, x)["drift"]
    f = sde.lambdify(check=check)
    np.testing.assert_array_equal(f.drift(x)[:3], own[:3])
    np.testing.assert_array_equal(f.drift(x[0]), own[0])
    np.testing.assert_allclose(f.drift(x), own, rtol=1e-13, atol=1e-16)
    np.testing.assert_array_equal(np.array([f.drift(row) for row in x]), f.drift(x))


def test_every_entry_is_right_on_all_of_the_manifold(model):
    """Entries of very different sizes, against the program in 50 digits at the same numbers."""
    rng, d = np.random.default_rng(5), model.problem.dimension
    rows = np.array([[float(p[s]) for s in model.problem.symbols] for p in model.derivation.points])
    form = running_form(model.derivation, "drift")
    assert form is not None
    values = model.lambdify().drift(rows)
    for row, value in zip(rows, values, strict=True):
        with working_digits(50):
            point = dict(zip(model.problem.symbols, map(mpmath.mpf, row), strict=True))
            truth = model.program.select("drift").run(PRECISE, point)["drift"]
        np.testing.assert_allclose(value, [float(t) for t in truth], rtol=2e-12)
    with pytest.raises(OffManifold):
        model.lambdify().drift(rows + 1e-4 * rng.standard_normal((len(rows), d)))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("shape", [(8,), (1, 8), (3, 8)])
@pytest.mark.parametrize("check", [True, False])
def test_points_that_are_not_finite_are_refused(model, bad, shape, check):
    x = np.ones(shape)
    x[..., 3] = bad
    with pytest.raises(BadPoint, match="not finite"):
        model.lambdify(check=check).drift(x)


def test_a_program_that_is_not_the_derivations_runs_as_it_is(model):
    part = model.program.select("drift")
    other = Part(
        model.derivation,
        part.rewritten(
            lambda graph, op, args, value: (
                -graph.operation(op, args, value) if op == "sub" else graph.operation(op, args, value)
            )
        ),
        check=False,
    )
    assert Part(model.derivation, part, check=False).is_as_derived and not other.is_as_derived
    x = np.array([[float(p[s]) for s in model.problem.symbols] for p in model.derivation.points])
    found = NumPy().compile(other)(x, {})
    np.testing.assert_array_equal(found, evaluate(other.program, model.problem.symbols, x)["drift"])


def test_explain_says_what_runs():
    sde = derive_limiting_sde(Problem.least_squares([u * v - 3], parameters=(u, v), noise=IsotropicNoise(1)))
    assert "NumPy and LLVM run" not in sde.explain()  # only what was asked for
    sde.lambdify().drift([1.0, 3.0])
    told = sde.explain().splitlines()[-1]
    assert (
        "NumPy and LLVM run drift as a cancelled rational form" in told and "the program as derived runs where" in told
    )
