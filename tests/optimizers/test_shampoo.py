"""Shampoo against its map, its potential and where there is none; slow second moments that have settled; what is not slow."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from iterated import assert_iterated, assert_rejected, derived

from symbolic_sgd import (
    Adam,
    LabelNoise,
    Problem,
    RMSprop,
    Shampoo,
    derive_limiting_sde,
    simulate_sde,
    simulate_sgd,
)
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadInput, ProblemFileError, Undecided
from symbolic_sgd.optimizers.shampoo import matrix_power, trace_of_power
from symbolic_sgd.optimizers.stated import optimizer_of, stated_document
from symbolic_sgd.problems.problem_file import file_from_document

R = sp.Rational
a, b, c, d = X = sp.symbols("a b c d")
W = sp.Matrix([[a, b], [c, d]])
RESIDUAL = a * c + b * d / 2 + a * b / 3 + c**2 * d / 4 - 1
LABELS = Problem.least_squares([RESIDUAL], parameters=X, noise=LabelNoise(1))
DENSE = Problem(loss=RESIDUAL**2 / 2, parameters=X, noise=sp.Matrix([[1, a], [b, 0], [c, 1], [R(1, 2), d]]))
RATE = R(1, 32)
OPTIMIZERS = (
    Shampoo(W, 2, sides=1),
    Shampoo(W, 2, sides=1, learning_rate=RATE, stabilizer=R(1, 3), weight_decay=R(1, 2)),
    Shampoo(W, 3, learning_rate=RATE),
    Shampoo(W, 1, weight_decay=1),
    Shampoo(W, 2, exponent=1, stabilizer=1, learning_rate=RATE),
    Shampoo([sp.Matrix([[a, c]]), sp.Matrix([[b], [d]])], 2, learning_rate=RATE),
    Shampoo(sp.Matrix([a, c, b]).row_join(sp.zeros(3, 0)), 1, exponent=1, sides=1),
)


def gradient(residual, row):
    return np.array([float(sp.diff(residual, s).subs(dict(zip(X, row, strict=True)))) for s in X])


def on_the_manifold(row, residual=RESIDUAL):
    """The row moved along the gradient of the residual to its zero."""
    row = np.array(row, dtype=float)
    for _ in range(50):
        slope = gradient(residual, row)
        row -= float(residual.subs(dict(zip(X, row, strict=True)))) * slope / (slope @ slope)
    return row


@pytest.mark.parametrize("exponent", [R(-1, 2), R(-1, 4), R(1, 2), R(-3, 4), -1, 2, R(5, 8)])
def test_powers_are_those_by_eigenvectors(exponent):
    matrix = sp.ImmutableDenseMatrix([[2, R(1, 3)], [R(1, 3), 1]])
    values, axes = np.linalg.eigh(np.array(matrix, dtype=float))
    expected = axes @ np.diag(values ** float(exponent)) @ axes.T
    assert np.allclose(np.array(matrix_power(matrix, sp.S(exponent)).evalf(), dtype=float), expected, atol=1e-14)
    assert abs(float(trace_of_power(matrix, sp.S(exponent))) - np.trace(expected)) < 1e-13
    alike = matrix_power(sp.ImmutableDenseMatrix([[4, 0], [0, 4]]), sp.S(exponent))
    assert (alike - sp.eye(2) * sp.S(4) ** exponent).applyfunc(sp.simplify) == sp.zeros(2, 2)


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:6], ids=range(6))
@pytest.mark.parametrize("problem", [LABELS, DENSE], ids=["label", "dense"])
def test_every_term_against_the_iteration_itself(problem, optimizer):
    assert_iterated(derived(problem, optimizer), rng=0, tolerance=1e-8 if optimizer.is_finite else 1e-6, least=6)


def as_matrices(x):
    """The parameters in two rows, and what is left as a number: 2×1 and 1×1, 2×2, 2×2 and 1×1."""
    columns = len(x) // 2
    return [sp.Matrix(2, columns, x[: 2 * columns]), *(sp.Matrix([s]) for s in x[2 * columns :])]


SMALL = R(1, 64)
NUMBERS = ({"sides": 1, "learning_rate": SMALL}, {"learning_rate": SMALL}, {"sides": 1})


@pytest.mark.parametrize("numbers", [*NUMBERS[:2], pytest.param(NUMBERS[2], marks=pytest.mark.campaign)], ids=str)
@pytest.mark.parametrize("seed", [10, *(pytest.param(k, marks=pytest.mark.campaign) for k in range(1, 10))])
def test_random_losses_against_the_iteration(seed, numbers):
    """D = 3 to 5, M = 1 to 3, a dense σ(x), in one or two matrices: each block, drift and covariance, well below the edge."""
    problem, *_ = random_problem(seed)
    sde = derive_limiting_sde(problem, optimizer=Shampoo(as_matrices(problem.parameters), 2, **numbers))
    assert_iterated(sde, rng=1, tolerance=1e-8 if sde.optimizer.is_finite else 1e-6, least=6)


def test_three_rows_have_an_inverse():
    problem = Problem(loss=(a * b + c - 1) ** 2 / 2, parameters=(a, b, c), noise=sp.Matrix([[1, 0], [a, 1], [b, c]]))
    optimizer = replace(OPTIMIZERS[6], learning_rate=RATE)  # at some points V is nearly singular
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    assert [s.name for s in sde.slow_variables[3:]] == ["L_11", "L_12", "L_13", "L_22", "L_23", "L_33"]
    assert_iterated(sde, rng=0)


def at(sde, row, moments):
    return dict(zip(sde.slow_variables, [*row, *moments], strict=True))


@pytest.mark.parametrize("numbers", [{}, {"learning_rate": RATE}, {"exponent": R(3, 4)}, {"exponent": 1, "learning_rate": RATE},
                                     {"stabilizer": R(1, 3), "learning_rate": RATE}], ids=str)  # fmt: skip
def test_one_side_descends_its_potential(numbers):
    """dx = −¼PS∇_xE, and ⟨∂_vs, dv⟩ = −c ∂_vE in the entries of L, to 10⁻¹²; E decreases."""
    optimizer = Shampoo(W, 2, sides=1, **numbers)
    sde = derive_limiting_sde(LABELS, optimizer=optimizer)
    row, moments = on_the_manifold([1, 0.5, 0.75, 1.25]), [1.5, 0.25, 0.75]
    here = at(sde, row, moments)
    drift = sde.lambdify().drift([*row, *moments])
    slope = np.array([float(sp.diff(sde.joint_potential, s).subs(here)) for s in sde.slow_variables])
    metric = np.array(optimizer.metric(sde.problem).subs(here), dtype=float)
    normal = gradient(RESIDUAL, row)
    lifted = metric[:4, :4] @ normal
    projection = np.eye(4) - np.outer(lifted, normal) / (normal @ lifted)
    scale = np.abs(drift).max()
    assert np.abs(-projection @ metric[:4, :4] @ slope[:4] / 4 - drift[:4]).max() < 1e-12 * scale
    e, p = float(optimizer.stabilizer), float(optimizer.exponent)
    values, axes = np.linalg.eigh(np.array([moments[:2], moments[1:]]) + e * np.eye(2))
    divided = np.diag(-p * values ** (-p - 1))
    divided[0, 1] = divided[1, 0] = (values[0] ** -p - values[1] ** -p) / (values[0] - values[1])
    learned = np.array([[drift[4], drift[5]], [drift[5], drift[6]]])
    for k, direction in enumerate(([[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]])):
        change = axes @ (divided * (axes.T @ np.array(direction) @ axes)) @ axes.T
        assert abs(np.sum(change * learned) - 2 * slope[4 + k]) < 1e-12 * scale
    assert slope @ drift < 0


def test_the_potential_decreases_along_the_joint_flow():
    sde = derive_limiting_sde(LABELS, optimizer=Shampoo(W, 1, sides=1))
    start = [*on_the_manifold([1, 0.5, 0.75, 1.25]), 1, 0, 1]
    energy = sp.lambdify(sde.slow_variables, sde.joint_potential)
    values = [float(energy(*start))]
    for k in range(1, 7):
        run = simulate_sde(sde, start, time=0.05 * k, step=0.01, replicas=1, rng=0)
        values.append(float(energy(*run.final[0])))
    assert np.all(np.diff(values) < 0)
    assert values[0] - values[-1] > 0.1


SETTLING = (
    (RMSprop(1), lambda h: sp.sqrt(h) / 2),
    (Adam(R(9, 10), 1, stabilizer=R(1, 3)), lambda h: (sp.sqrt(h) - sp.log(sp.sqrt(h) + R(1, 3)) / 3) / 2),
    (RMSprop(1, exponent=R(1, 3)), lambda h: R(3, 8) * h ** R(2, 3)),
    (Shampoo(W, 1, sides=1), None),
    (Shampoo(W, 1, sides=1, stabilizer=R(1, 2)), None),
    (Shampoo(W.T, 1, sides=1, exponent=R(1, 4)), None),
)


@pytest.mark.parametrize(("optimizer", "formula"), SETTLING, ids=[str(k) for k in range(len(SETTLING))])
def test_where_second_moments_have_settled_there_is_a_regularizer(optimizer, formula):
    """−PS∇R is the drift of x at v = κV(H), where v rests; R is ¼ω(κV(H))."""
    kappa = 4
    problem = Problem.least_squares([RESIDUAL], parameters=X, noise=LabelNoise(2))
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    found, row = sde.quasi_static_regularizer, on_the_manifold([1, 0.5, 0.75, 1.25])
    normal = gradient(RESIDUAL, row)
    hessian = kappa * np.outer(normal, normal)
    moments = optimizer.second_moments(sde.problem).of(lambda i, j: hessian[i, j])
    drift = sde.lambdify().drift([*row, *moments])
    here = at(sde, row, moments)
    metric = np.array(optimizer.metric(sde.problem).subs(here), dtype=float)[:4, :4]
    slope = np.array([float(sp.diff(found, s).subs(here)) for s in X])
    lifted = metric @ normal
    projection = np.eye(4) - np.outer(lifted, normal) / (normal @ lifted)
    assert np.abs(-projection @ metric @ slope - drift[:4]).max() < 1e-12 * np.abs(drift).max() + 1e-13
    assert np.abs(drift[4:]).max() < 1e-12 * np.abs(moments).max()
    assert np.abs(drift[:4]).max() > 1e-3
    if formula is not None:
        expected = sum(formula(kappa * sp.diff(RESIDUAL, s) ** 2) for s in X)
        assert abs(float((found - expected).subs(here))) < 1e-12
    elif optimizer.exponent == R(1, 2) and optimizer.stabilizer == 0:
        held = np.array([[moments[0], moments[1]], [moments[1], moments[2]]]) / kappa
        expected = np.sqrt(kappa) / 2 * np.sqrt(np.linalg.eigvalsh(held)).sum()
        assert abs(float(found.subs(here)) - expected) < 1e-12


PAIR = (RESIDUAL, a * b + c**2 / 2 + a * d / 3 + d / 2 - R(3, 2))


def curl(optimizer, residuals):
    """The largest curl of ⟨S⁻¹ drift, dx⟩ on Γ at settled second moments, by central differences in a chart, beside the form itself."""
    problem = Problem.least_squares(residuals, parameters=X, noise=LabelNoise(1, batch_size=len(residuals)))
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    f, kappa, n = sde.lambdify(check=False), float(sde.derivation.proportion), len(residuals)
    metric = sp.lambdify(sde.slow_variables, optimizer.metric(sde.problem))
    values = sp.lambdify(X, sp.Matrix(residuals))
    slopes = sp.lambdify(X, sp.Matrix(residuals).jacobian(X))
    start = np.array([1, 0.5, 0.75, 1.25])
    for _ in range(60):
        start = start - np.linalg.pinv(slopes(*start)) @ values(*start).ravel()
    across = slopes(*start).astype(float)
    axes = np.linalg.svd(across)[2][n:]

    def form(y):
        row = start + y @ axes
        for _ in range(30):
            row = row - across.T @ np.linalg.solve(slopes(*row) @ across.T, values(*row).ravel())
        normals = np.array(slopes(*row), dtype=float)
        hessian = kappa / n * normals.T @ normals
        moments = optimizer.second_moments(sde.problem).of(lambda i, j: hessian[i, j])
        drift = f.drift([*row, *moments])[:4]
        covector = np.linalg.solve(np.array(metric(*row, *moments), dtype=float)[:4, :4], drift)
        return (axes - axes @ normals.T @ np.linalg.solve(across @ normals.T, across)) @ covector

    h, size = 1e-3, np.abs(form(np.zeros(4 - n))).max()
    around = np.eye(4 - n) * h
    changes = np.array([(form(y) - form(-y)) / (2 * h) for y in around])
    return max(abs(changes[i, j] - changes[j, i]) for i, j in combinations(range(4 - n), 2)) / size


def test_two_sides_have_a_curl_and_one_side_none():
    """On two equations in four parameters; the curl beside the form is 0.050 for two sides, and the error of the differences for one."""
    assert curl(Shampoo(W, 1, sides=1), PAIR) < 1e-5
    assert curl(RMSprop(1), PAIR) < 1e-5
    assert abs(curl(Shampoo(W, 1), PAIR) - 0.04996) < 1e-4
    sde = derive_limiting_sde(LABELS, optimizer=Shampoo(W, 1))
    for name in ("joint_potential", "quasi_static_regularizer"):
        with pytest.raises(Undecided, match=r"no V\*\(∇ω\)"):
            getattr(sde, name)


@pytest.mark.parametrize(
    ("optimizer", "other"),
    [
        (Shampoo(W, 2, sides=1, learning_rate=RATE), Shampoo(W, 2, sides=1)),
        (Shampoo(W, 2, sides=1, learning_rate=RATE), Shampoo(W, 3, sides=1, learning_rate=RATE)),
        (Shampoo(W, 2, sides=1), Shampoo(W, 2, sides=1, exponent=R(1, 4))),
        (Shampoo(W, 2, sides=1), Shampoo(W.T, 2, sides=1)),
        (Shampoo(W, 2, sides=1), Shampoo(W, 2, sides=1, stabilizer=R(1, 10))),
        (Shampoo(W, 2), Shampoo(W, 2, exponent=R(1, 2))),
    ],
    ids=["η = 0", "c", "p", "columns for rows", "e", "½ for ¼"],
)
def test_wrong_formulas_are_rejected(optimizer, other):
    assert_rejected(DENSE, optimizer, derived(DENSE, other).program)


def test_a_row_shares_one_second_moment():
    problem = Problem.least_squares([a * b - 1], parameters=(a, b), noise=LabelNoise(1))
    sde = derive_limiting_sde(problem, optimizer=Shampoo(sp.Matrix([[a, b]]), 1, sides=1))
    (moment,) = sde.slow_variables[2:]
    assert sp.expand(sde.drift[2] - (a**2 + b**2 - moment)) == 0
    assert sde.quasi_static_regularizer == sp.sqrt(a**2 + b**2) / 2


def test_runs_converge_to_the_joint_limit():
    """Column (a, b): full-matrix second moments; the largest gap of means is 0.223, 0.103, 0.049 at η = 0.1, 0.05, 0.025."""
    problem = Problem.least_squares([a * b - 1], parameters=(a, b), noise=LabelNoise(1))
    optimizer, start = Shampoo(sp.Matrix([a, b]), 1, sides=1, stabilizer=R(1, 2)), [2, 0.5, 1, 0, 1]
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    limit = simulate_sde(sde, start, time=1.0, step=0.001, replicas=1, rng=0).final[0]
    gaps = []
    for rate in (0.1, 0.05):
        steps = round(1 / rate**2)
        run = simulate_sgd(problem, start, optimizer=optimizer, learning_rate=rate, steps=steps, replicas=4000, rng=1)
        gaps.append(np.abs(run.final.mean(axis=0) - limit).max())
    assert gaps[0] < 0.25
    assert 0.3 < gaps[1] / gaps[0] < 0.7
    assert np.abs(limit - start).max() > 8 * gaps[1]


def test_files_and_options_state_it(tmp_path, capsys):
    for optimizer in (Shampoo(W, 2, sides=1, learning_rate=RATE, stabilizer=0.5), OPTIMIZERS[5]):
        sde = derive_limiting_sde(DENSE, optimizer=optimizer)
        again = file_from_document(stated_document(sde.problem, optimizer), source="the test")
        assert repr(optimizer_of(again.optimizer)) == repr(optimizer)
        repeated = derive_limiting_sde(again.problem, optimizer=optimizer_of(again.optimizer))
        assert [s.name for s in repeated.slow_variables] == [s.name for s in sde.slow_variables]
    file = tmp_path / "p.toml"
    file.write_text('parameters = ["a", "b"]\nresiduals = ["a*b - 1"]\n[noise]\nkind = "label"\n', encoding="utf-8")
    shared = ["derive", str(file), "--optimizer", "shampoo", "--second-moment-rate", "1", "--sides", "1"]
    assert main([*shared, "--matrices", "a | b"]) == 0
    assert "L2_11" in capsys.readouterr().out
    assert main([*shared, "--matrices", "a; b"]) == 0
    assert "L_12" in capsys.readouterr().out
    assert main([*shared, "--matrices", "a"]) == 2
    assert "stands in none of them" in capsys.readouterr().err


def test_latex_says_what_is_remembered():
    problem = Problem.least_squares([a * b - 1], parameters=(a, b), noise=LabelNoise(1))
    text = derive_limiting_sde(problem, optimizer=Shampoo(sp.Matrix([[a, b]]), 2, learning_rate=RATE)).latex()
    for part in (
        r"L_{k+1}^{-p}\,g_k\,R_{k+1}^{-p}",
        r"g_k g_k^{\top}",
        r"b_{\xi\xi} &= c V[\Sigma]",
        r"p = \frac{1}{4}",
    ):
        assert part in text


REFUSED = [
    (lambda: Shampoo(sp.eye(2), 1), "each a symbol"),
    (lambda: Shampoo(sp.Matrix([[a, a]]), 1), "twice"),
    (lambda: Shampoo(a, 1), "give a SymPy Matrix"),
    (lambda: Shampoo(W, 1, sides=3), "1, for"),
    (lambda: Shampoo(W, 1, exponent=R(1, 3)), "n/2ᵏ"),
    (lambda: Shampoo(sp.Matrix([a, b, c]), 1), "3 rows"),
    (lambda: Shampoo(W, 1, stabilizer=-1), "0 or positive"),
    (lambda: Shampoo(W, None), "Markov noise"),
    (lambda: RMSprop(None), "Markov noise"),
    (lambda: RMSprop(1, beta2=0.99), "beta2 is 0.99; a β₂ that stays"),
    (lambda: Adam(0.9, 1, beta2=0.999), "Markov noise"),
    (lambda: derive_limiting_sde(DENSE, optimizer=Shampoo(W[:1, :], 1)), "stands in none"),
    (lambda: derive_limiting_sde(DENSE, optimizer=Shampoo([W, sp.Matrix([sp.Symbol("q")])], 1)), "no parameter"),
]


@pytest.mark.parametrize(("state", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_makes_no_sense_is_refused(state, words):
    with pytest.raises(BadInput, match=words):
        state()


def test_a_file_with_another_beta_is_refused():
    document = stated_document(derive_limiting_sde(DENSE, optimizer=RMSprop(1)).problem, RMSprop(1))
    document["optimizer"]["beta2"] = "99/100"
    with pytest.raises(ProblemFileError, match="Markov noise"):
        optimizer_of(file_from_document(document, source="the test").optimizer)
