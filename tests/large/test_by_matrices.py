"""Large problems, derived and evaluated by matrices."""

import pickle
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import sympy as sp

import symbolic_sgd
from symbolic_sgd import (
    LLVM,
    SGD,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    LimitingSDE,
    LocalSGD,
    MPMath,
    NumPy,
    Problem,
    WeakOrderOne,
    derive_limiting_sde,
    simulate_sde,
    verify,
)
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.checks.matrix_road import MatrixFlows, MatrixRegularizer, MatrixRoad
from symbolic_sgd.checks.recheck import recheck
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadInput, ExpressionTooLarge, NotSmooth, OffManifold, SingularPoint
from symbolic_sgd.manifold.interpolation import LARGEST_WRITTEN, is_large
from symbolic_sgd.theorem.terms import THEOREM

RNG = np.random.default_rng(7)

SIGNS = RNG.choice([-1, 1], (5, 10))


def overparametrised(n, d, noise, **further):
    u, v = sp.symbols(f"u1:{d + 1}"), sp.symbols(f"v1:{d + 1}")
    residuals = [sum(int(SIGNS[i, j]) * (u[j] ** 2 - v[j] ** 2) for j in range(d)) - 1 - i for i in range(n)]
    return Problem.least_squares(residuals, parameters=(*u, *v), noise=noise, **further)


def factorisation(d, r, noise):
    u, v = (sp.Matrix(d, r, lambda i, j, a=a: sp.Symbol(f"{a}{i}_{j}")) for a in "uv")
    target = sp.Matrix(d, d, lambda i, j: 3 if i == j else (i - j) % 3)
    return Problem.least_squares(list(u * v.T - target), parameters=(*u, *v), noise=noise)


def network(n, m, d, noise):
    rng = np.random.default_rng(3)
    a, w = sp.symbols(f"a1:{m + 1}"), sp.Matrix(m, d, lambda k, j: sp.Symbol(f"w{k}_{j}"))
    x = rng.integers(-9, 10, (n, d))
    value = lambda a, w, x: sum(a[k] * sp.tanh(sum(w[k, j] * int(x[j]) for j in range(d)) / 10) for k in range(m))  # noqa: E731
    teacher = (
        [sp.Rational(int(t), 7) for t in rng.integers(1, 9, m)],
        sp.Matrix(m, d, lambda k, j: sp.Rational(k - j, 3)),
    )
    residuals = [value(a, w, row) - value(*teacher, row) for row in x]
    return Problem.least_squares(residuals, parameters=(*a, *w), noise=noise)


def ball(d, copies):
    x = sp.symbols(f"x:{d}")
    return Problem.least_squares([sum(s**2 for s in x) - 1] * copies, parameters=x, noise=IsotropicNoise(1))


def dense(dimension, columns=3):
    rng = np.random.default_rng(5)
    return sp.Matrix(dimension, columns, lambda i, j: sp.Rational(int(rng.integers(-9, 10)), 10))


def varying(dimension):
    """A noise that depends on the parameters of `overparametrised`."""
    u = sp.symbols(f"u1:{dimension // 2 + 1}")
    return sp.Matrix(dimension, 2, lambda i, j: u[(i + j) % len(u)] if (i + j) % 3 == 0 else sp.Rational(i - j, 7))


PROBLEMS = {
    "label": lambda: overparametrised(5, 10, LabelNoise(sp.Rational(1, 2))),
    "labels of their own": lambda: overparametrised(5, 10, LabelNoise((1, 2, 1, 3, 1))),
    "isotropic": lambda: overparametrised(5, 10, IsotropicNoise(2)),
    "dense": lambda: overparametrised(5, 10, dense(20)),
    "varying": lambda: overparametrised(5, 10, varying(20)),
    "one column": lambda: overparametrised(5, 10, dense(20, 1)),
    "network": lambda: network(4, 5, 4, IsotropicNoise(1)),
}


@pytest.fixture(scope="module")
def derived():
    return {name: derive_limiting_sde(problem()) for name, problem in PROBLEMS.items()}


def known_points(sde):
    return np.array([[float(p[s]) for s in sde.problem.parameters] for p in sde.derivation.points])


@pytest.mark.parametrize("name", ["label", "labels of their own", "isotropic", "dense"])
def test_every_term_is_that_of_the_program_of_entries(derived, name):
    sde = derived[name]
    assert sde.derivation.in_matrices is not None
    x, functions = known_points(sde), sde.lambdify()
    for term in THEOREM:
        value = functions.term(term, x)
        other = evaluate(sde.program.select(term), sde.problem.parameters, x)[term].reshape(value.shape)
        assert np.abs(value - other).max() <= 3e-12 * max(1, np.abs(other).max()), term


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(weight_decay=sp.Rational(1, 3)),
        HeavyBall(friction=sp.Rational(1, 3)),
        LocalSGD(2, round_time=sp.Rational(1, 2)),
    ],
)
@pytest.mark.parametrize("noise", [IsotropicNoise(1), dense(20, 2), LabelNoise(1)], ids=["isotropic", "dense", "label"])
def test_other_kernels(optimizer, noise):
    problem = overparametrised(5, 10, noise)
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    assert sde.derivation.in_matrices is not None
    x = known_points(sde)[:2]
    checks = MatrixRoad(points=1)(
        Witness(sde.derivation, sde.derivation.points, 0, lambda: None), np.random.default_rng(1)
    )
    assert {c.verdict for c in checks} == {"measured"} and max(c.error for c in checks) < 1e-11
    assert sde.lambdify().drift(x).shape == (2, 20)


def test_what_is_known_of_the_noise_makes_terms_zero(derived):
    assert derived["label"].tangent_noise.is_zero_matrix and derived["label"].mixed_regularization.is_zero_matrix
    assert derived["isotropic"].mixed_regularization.is_zero_matrix
    with pytest.raises(ExpressionTooLarge, match=r"computed by matrices \(D = 20, M = 5\).*sde.structure"):
        _ = derived["isotropic"].drift
    assert derived["dense"].derivation.zeros == frozenset()


def test_the_regularizer_of_labels_is_the_trace(derived):
    regularizer, x = derived["label"].regularizer, known_points(derived["label"])[0]
    at = dict(zip(derived["label"].problem.parameters, x, strict=True))
    # R = (c/4) tr ∇²L, c = 1/4, tr ∇²L = (4/n) Σ_j (Σ_i z_ij²)(u_j² + v_j²) = 4|x|².
    assert abs(float(regularizer.subs(at)) - x @ x / 4) < 1e-12 * (x @ x)


def test_the_drift_of_labels_of_the_model_of_the_poster(derived):
    x = known_points(derived["label"])
    drift = derived["label"].lambdify().drift(x)
    for row, found in zip(x, drift, strict=True):
        slopes = 2 * np.concatenate([SIGNS * row[:10], -SIGNS * row[10:]], axis=1)
        projection = np.eye(20) - np.linalg.pinv(slopes) @ slopes
        np.testing.assert_allclose(found, -projection @ row / 2, atol=1e-13 * np.abs(row).max())


def test_back_ends_agree(derived):
    x = known_points(derived["dense"])
    by_numpy = derived["dense"].lambdify(backend=NumPy()).drift(x)
    np.testing.assert_allclose(derived["dense"].lambdify(backend=LLVM()).drift(x), by_numpy, rtol=1e-11)
    by_entries = derived["dense"].lambdify(backend=MPMath(30)).drift(x[:1])
    assert abs(by_entries[0, 0] - mpmath.mpf(by_numpy[0, 0])) < 1e-11 * np.abs(by_numpy[0]).max()


def test_jax_differentiates(derived):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    sde, x = derived["dense"], known_points(derived["dense"])
    own = sde.lambdify().drift(x)
    found = np.asarray(sde.lambdify(backend=symbolic_sgd.JAX()).drift(x))
    np.testing.assert_allclose(found, own, rtol=1e-9, atol=1e-11 * np.abs(own).max())
    step = 1e-6 * np.eye(x.shape[1])[3]
    (slope,) = jax.jvp(sde.lambdify(check=False, backend=symbolic_sgd.JAX()).drift, (x[0],), (step,))[1:]
    unchecked = sde.lambdify(check=False).drift
    difference = (unchecked(x[0] + step) - unchecked(x[0] - step)) / 2
    np.testing.assert_allclose(slope, difference, atol=1e-6 * np.abs(difference).max())


def test_torch_differentiates(derived):
    torch = pytest.importorskip("torch")
    sde, x = derived["dense"], known_points(derived["dense"])
    own = sde.lambdify().drift(x)
    np.testing.assert_allclose(sde.lambdify(backend=symbolic_sgd.Torch()).drift(x).numpy(), own, rtol=1e-9)
    leaf = torch.tensor(x[0], requires_grad=True)
    sde.lambdify(check=False, backend=symbolic_sgd.Torch()).drift(leaf).sum().backward()
    unchecked, step = sde.lambdify(check=False).drift, 1e-6 * np.eye(20)[3]
    difference = (unchecked(x[0] + step) - unchecked(x[0] - step)) / 2e-6
    assert abs(float(leaf.grad[3]) - difference.sum()) < 1e-5 * np.abs(difference).sum()


def test_shapes(derived):
    x, functions = known_points(derived["one column"]), derived["one column"].lambdify()
    assert functions.drift(x[0]).shape == (20,) and functions.diffusion(x[0]).shape == (20, 1)
    assert functions.drift(x.reshape(2, 2, 20)).shape == (2, 2, 20)
    assert functions.drift(np.empty((0, 20))).shape == (0, 20)
    assert functions.term("tangent_projection", x[0]).shape == (20, 20)


def test_points_off_the_manifold_are_refused(derived):
    x, functions = known_points(derived["dense"]), derived["dense"].lambdify()
    with pytest.raises(OffManifold, match=r"u1 = .*…, .*is not on Γ: \|H†∇L\|/\(1 \+ \|x\|\) there is"):
        functions.drift(x + 1e-3)
    x[1, 0] += 1e-8  # near enough
    functions.drift(x)
    with pytest.raises(OffManifold, match="Follow the gradient flow"):
        derived["dense"].at(dict(zip(derived["dense"].problem.parameters, x[0] + 1, strict=True)))
    assert functions.drift(x).shape == derived["dense"].lambdify(check=False).drift(x + 1).shape


def test_points_with_dependent_gradients_are_refused():
    sde = derive_limiting_sde(factorisation(4, 4, LabelNoise(1)))
    x, names = known_points(sde)[0], [str(s) for s in sde.problem.parameters]
    u, v = x[:16].reshape(4, 4).copy(), x[16:].reshape(4, 4)
    left, values, right = np.linalg.svd(u)
    values[-1] = 1e-9
    u = left * values @ right
    v = np.array(sde.problem.residuals).reshape(4, 4)
    target = np.array([[-float(e.subs(dict.fromkeys(sde.problem.parameters, 0))) for e in row] for row in v])
    other = np.linalg.solve(u, target).T
    with pytest.raises(SingularPoint, match="16 equations of Γ are dependent"):
        sde.lambdify().drift(np.concatenate([u.ravel(), other.ravel()]))
    assert names[0] == "u0_0"


def test_what_is_large_counts_entries_of_the_slopes():
    separable = [sp.Symbol(f"u{i}") * sp.Symbol(f"v{i}") - 1 for i in range(20)]
    parameters = [sp.Symbol(f"{a}{i}") for i in range(20) for a in "uv"]
    assert not is_large(Problem.least_squares(separable, parameters=parameters, noise=LabelNoise(1)))
    assert is_large(overparametrised(5, 10, LabelNoise(1))) and LARGEST_WRITTEN < 5 * 20
    assert [is_large(ball(*size)) for size in ((30, 3), (100, 1))] == [False, True]
    point = np.eye(100)[0]
    np.testing.assert_allclose(derive_limiting_sde(ball(100, 1)).lambdify().drift(point), -99 / 2 * point)


@pytest.mark.parametrize(
    "further", [{"constants": (sp.Symbol("c"),)}, {"domain": [sp.Symbol("u1") > 0]}], ids=["constants", "domain"]
)
def test_what_needs_more_is_derived_entry_by_entry(further):
    assert not is_large(overparametrised(5, 10, LabelNoise(1), **further))


def test_other_optimizers_are_derived_entry_by_entry():
    at_rate = SGD(learning_rate=sp.Rational(1, 1000))
    sde = derive_limiting_sde(overparametrised(5, 10, IsotropicNoise(1)), optimizer=at_rate)
    assert sde.derivation.in_matrices is None and sde.derivation.codimension == 5


def test_residuals_that_cannot_all_vanish():
    u = sp.symbols("u1:19")
    residuals = [sum(s**2 for s in u) - 1 - i for i in range(6)]
    problem = Problem.least_squares(residuals, parameters=u, noise=IsotropicNoise(1))
    assert is_large(problem)
    sde = derive_limiting_sde(problem)
    assert sde.derivation.in_matrices is None and sde.derivation.codimension == 1


def test_near_names_where_points_are_sought():
    problem = overparametrised(5, 10, LabelNoise(1))
    known = known_points(derive_limiting_sde(problem))[0]
    near = dict(zip(problem.parameters, np.round(10 * known, 1).tolist(), strict=True))
    sde = derive_limiting_sde(replace(problem, near=near))
    found = known_points(sde)
    start = np.array(list(near.values()))
    assert np.linalg.norm(found - start, axis=1).max() < np.linalg.norm(start)


def test_noise_that_is_singular_on_the_manifold_is_refused():
    residuals, sigma = PROBLEMS["label"]().residuals, sp.zeros(20, 1)
    sigma[0, 0] = 1 / residuals[0]
    problem = overparametrised(5, 10, sigma)
    with pytest.raises(NotSmooth, match="divides by zero"):
        derive_limiting_sde(problem)


# --- verification ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["label", "isotropic", "varying", "network"])
def test_it_is_verified(derived, name):
    certificate = verify(derived[name])
    assert certificate.passed, certificate
    assert {c.method for c in certificate.checks} <= {"MatrixRoad", "MatrixRegularizer"}
    assert max(c.error for c in certificate.checks) < 1e-10


@pytest.mark.parametrize("optimizer", [SGD(), HeavyBall(friction=sp.Rational(1, 3))], ids=["sgd", "heavy ball"])
def test_the_flow_agrees(optimizer):
    sde = derive_limiting_sde(PROBLEMS["dense"](), optimizer=optimizer)
    checks = MatrixFlows()(Witness(sde.derivation, sde.derivation.points, 0, lambda: None), np.random.default_rng(1))
    assert [c.verdict for c in checks] == ["measured"] * 2 and max(c.error for c in checks) < 1e-7


def spoiled(sde, stage, change):
    """The SDE, with one scalar program of its stages changed."""
    stages = replace(sde.derivation.in_matrices)
    own = getattr(stages, stage)
    name = own.program.names[0]
    graph_matrix = own.program.on(Graph())[name]
    wrong = replace(own, program=Program.of({name: change(graph_matrix)}))
    stages.__dict__[stage] = wrong
    return LimitingSDE(replace(sde.derivation, in_matrices=stages))


def scaled(matrix: Matrix) -> Matrix:
    return matrix.map(lambda e: e * 2)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("varying", "bent"),
        ("varying", "second"),
        ("varying", "noise"),
        ("network", "laplacians"),
        ("network", "second"),
        ("label", "bent"),
    ],
)
def test_mutants_are_rejected(derived, name, stage):
    mutant = spoiled(derived[name], stage, scaled)
    assert not verify(mutant).passed


def test_a_wrong_regularizer_is_rejected(derived):
    sde = derived["label"]
    claimed = replace(sde.regularizer_evidence, expression=2 * sde.regularizer)
    (check,) = MatrixRegularizer()(
        Witness(sde.derivation, sde.derivation.points, 0, lambda: claimed), np.random.default_rng(1)
    )
    assert check.verdict == "failed" and check.error > 0.1


# --- what else is made of it ----------------------------------------------------------------------


def test_it_is_pickled(derived):
    x = known_points(derived["dense"])
    again = pickle.loads(pickle.dumps(derived["dense"].lambdify()))
    np.testing.assert_array_equal(again.drift(x), derived["dense"].lambdify().drift(x))


def test_it_is_simulated(derived):
    x = known_points(derived["label"])[0]
    run = simulate_sde(derived["label"], x, time=0.4, step=0.02, replicas=2)
    # Without noise along Γ, R decreases along Y, and all charges u_j v_j decay as exp(−(16c/4n)Σ_i z_ij² t), c/4 = 1/16, Σ z² = n.
    decay = run.final[0, :10] * run.final[0, 10:] / (x[:10] * x[10:])
    np.testing.assert_allclose(decay, decay[0], rtol=1e-4)
    assert decay[0] < 1 and run.final[0] @ run.final[0] < x @ x
    with pytest.raises(BadInput, match="WeakOrderOne"):
        simulate_sde(derived["dense"], known_points(derived["dense"])[0], time=0.1, step=0.05)
    moved = simulate_sde(
        derived["dense"],
        known_points(derived["dense"])[0],
        time=0.02,
        step=0.01,
        replicas=3,
        scheme=WeakOrderOne(),
        rng=1,
    )
    derived["dense"].lambdify().drift(moved.final)  # on Γ


def test_what_is_printed(derived):
    sde = derived["label"]
    assert repr(sde) == "LimitingSDE(D=20, M=5, by matrices)"
    assert "b_⊥ = -1/16 ∂Φ" in str(sde.structure) and "by matrices" in sde.explain()
    assert r"\text{by matrices" in sp.latex(sde)
    text = sde.document()
    assert "computed by matrices" in text and "too large for a page" not in text
    values = sde.at(sde.derivation.points[0])
    assert values["drift"].shape == (20, 1) and not values["tangent_noise"].any()


def test_no_chart_is_sought_unasked(derived):
    with pytest.raises(ExpressionTooLarge, match="coordinates="):
        derived["label"].in_chart()


def test_a_certificate_is_checked_again(derived):
    certificate = verify(derived["label"])
    assert certificate.problem is not None and recheck(certificate.to_json()).holds


def test_the_command_derives_and_verifies(derived, tmp_path, capsys):
    problem, path = derived["label"].problem, tmp_path / "olm.toml"
    listed = lambda items: "[" + ", ".join(f'"{item}"' for item in items) + "]"  # noqa: E731
    path.write_text(
        f"parameters = {listed(problem.parameters)}\nresiduals = {listed(problem.residuals)}\n"
        '[noise]\nkind = "label"\namplitude = "1/2"\n',
        encoding="utf-8",
    )
    assert main(["derive", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "by matrices" in shown and "R = " in shown
    assert main(["verify", str(path)]) == 0
    assert "passed" in capsys.readouterr().out
