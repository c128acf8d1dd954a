"""The oracle of optimizers, which sees no formula, beside worked numbers and beside the theorem written out in NumPy."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import SGD, ColouredNoise, GradientNoise, HeavyBall, LabelNoise, LocalSGD, Nesterov, Problem
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.checks import extended, own_iteration
from symbolic_sgd.checks.own_iteration import observed
from symbolic_sgd.errors import FlowDidNotConverge, ProblemTooLarge

u, v, w = sp.symbols("u v w")
eta, beta = sp.symbols("eta beta", positive=True)
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
AT = {u: mp.mpf(2), v: mp.mpf(1) / 2}

WORKED = [
    (SGD(learning_rate=0.25), (Fraction(-32, 17), Fraction(8, 17))),
    (HeavyBall(momentum=0.5, learning_rate=0.125), (Fraction(-1440, 1343), Fraction(360, 1343))),
    (Nesterov(momentum=0.5, learning_rate=0.125), (Fraction(-31200, 25823), Fraction(7800, 25823))),
    (LocalSGD(workers=2, steps=2, learning_rate=0.125), (Fraction(-42705, 51136), Fraction(42705, 204544))),
]


@pytest.mark.parametrize(("optimizer", "drift"), WORKED, ids=str)
def test_worked_numbers_of_the_hyperbola_with_label_noise(optimizer, drift):
    seen = observed(HYPERBOLA, optimizer, AT, 1)
    value, accuracy = seen["drift"]
    np.testing.assert_allclose(value, [float(a) for a in drift], rtol=1e-12)
    assert accuracy < 1e-12
    for name in ("tangent_noise_compensation", "mixed_regularization", "imposed_drift", "covariance"):
        np.testing.assert_allclose(seen[name][0], 0, atol=1e-12)


@pytest.mark.parametrize("optimizer", [SGD(), HeavyBall(momentum=0.5), HeavyBall(momentum=beta)], ids=str)
def test_worked_numbers_where_the_learning_rate_tends_to_zero(optimizer):
    value, accuracy = observed(HYPERBOLA, optimizer, AT, 1)["drift"]
    np.testing.assert_allclose(value, [-15 / 17, 15 / 68], rtol=1e-8)
    assert accuracy < 1e-6


# Two curvatures, noise that depends on the point and is correlated along and across Γ, a slow field.
CURVED = Problem(
    loss=(u * v - 1) ** 2 / 2 + (w - u**2 / 4) ** 2 * (1 + v**2) / 2,
    parameters=(u, v, w),
    noise=GradientNoise(sp.Matrix([[1, u / 2], [w, v], [u * v / 2, 1]])),
)
ON = {u: mp.mpf(2), v: mp.mpf(1) / 2, w: mp.mpf(1)}


def theorem(optimizer):
    """The blocks and the covariance of the kernel k and the factor τ, all by SymPy's derivatives and NumPy's eigenvectors."""
    x, exact = CURVED.parameters, {s: sp.Rational(str(a)) for s, a in ON.items()}
    number = lambda matrix: np.array(sp.Matrix(matrix).subs(exact).tolist(), dtype=float)  # noqa: E731
    third = np.array([number(sp.hessian(sp.diff(CURVED.loss, s), x)) for s in x])
    curvature, axes = np.linalg.eigh(number(sp.hessian(CURVED.loss, x)))
    sigma = axes.T @ number(CURVED.noise_factor)
    covariance = sigma @ sigma.T
    flat, curved = slice(0, 1), slice(1, 3)
    tangent = np.zeros((3, 3))
    tangent[flat, flat] = covariance[flat, flat] * float(optimizer.tangent_factor)
    inverse = np.diag([0, *(1 / curvature[curved])])
    weighted = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            if max(i, j) > 0:
                a, b = (curvature[k] if k > 0 else 0.0 for k in (i, j))
                weighted[i, j] = covariance[i, j] * optimizer.kernel.weight(a, b)
    normal = np.zeros((3, 3))
    normal[curved, curved] = weighted[curved, curved]
    bent = lambda c: axes.T @ np.einsum("kij,ij->k", third, axes @ c @ axes.T)  # noqa: E731
    projected = np.diag([1.0, 0, 0])
    slow = -projected @ axes.T @ np.array([float(g.subs(exact)) for g in optimizer.slow_field(CURVED)])
    parts = {
        "tangent_noise_compensation": -inverse @ bent(tangent) / 2,
        "mixed_regularization": -projected @ bent(weighted - normal) / 2,
        "normal_regularization": -projected @ bent(normal) / 2,
        "imposed_drift": slow,
    }
    parts = {name: axes @ value for name, value in parts.items()}
    return parts | {"drift": sum(parts.values()), "covariance": (axes @ tangent @ axes.T).ravel()}


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(learning_rate=0.25, weight_decay=0.5, slow_potential=u * w),
        HeavyBall(momentum=0.75, learning_rate=0.125, weight_decay=2),
        HeavyBall(momentum=-0.5, learning_rate=0.125),
        Nesterov(momentum=0.75, learning_rate=0.0625),
        LocalSGD(workers=3, steps=2, learning_rate=0.125),
        LocalSGD(workers=1, steps=3, learning_rate=0.25),
        HeavyBall(friction=8, weight_decay=1),
        Nesterov(momentum=0.5),
    ],
    ids=str,
)
def test_the_theorem_with_a_kernel_is_what_the_iteration_does(optimizer):
    seen, known = observed(CURVED, optimizer, ON, 2, length=0.5), theorem(optimizer)
    size = np.abs(known["drift"]).max()
    for name, (value, accuracy) in seen.items():
        bound = 1e-11 if optimizer.is_finite else 1e-7
        np.testing.assert_allclose(value, known[name], atol=bound * size, err_msg=name)
        assert accuracy < (1e-10 if optimizer.is_finite else 1e-5) * size
    assert all(np.abs(known[name]).max() > 0.01 * size for name in known if name != "imposed_drift")


def test_a_wrong_kernel_is_far_off():
    """The equation of η → 0 in place of that of a finite rate is off by far more than the accuracy."""
    seen, wrong = observed(CURVED, SGD(learning_rate=0.25), ON, 2, length=0.5), theorem(SGD())
    apart = np.abs(seen["normal_regularization"][0] - wrong["normal_regularization"]).max()
    assert apart > 0.1 * np.abs(wrong["normal_regularization"]).max()
    np.testing.assert_allclose(seen["mixed_regularization"][0], wrong["mixed_regularization"], atol=1e-11)


def test_coloured_noise_of_a_constant_factor():
    problem = Problem(loss=CURVED.loss, parameters=CURVED.parameters, noise=sp.Matrix([[1, 1], [1, -1], [2, 1]]))
    optimizer = ColouredNoise(correlation=0.5, learning_rate=0.125)
    seen = observed(problem, optimizer, ON, 2, length=0.5)
    plain = observed(problem, SGD(learning_rate=0.125), ON, 2, length=0.5)
    np.testing.assert_allclose(seen["covariance"][0], 4 * plain["covariance"][0], atol=1e-10)
    compensation = "tangent_noise_compensation"
    np.testing.assert_allclose(seen[compensation][0], 4 * plain[compensation][0], atol=1e-10)


@pytest.mark.parametrize(
    ("residuals", "rank", "accurate"),
    [((u * v - 1, 2 * (u * v - 1)), 1, 1e-9), ((u * v - 1, u * v**2 - 1 + w - 1), 2, 1e-6)],
)
def test_samples_that_are_drawn_multiply_the_second_moments(residuals, rank, accurate):
    """Beside HC + CH − ηE[HᵢCHᵢ] = Σ, which is off by more than 1 % without the samples' own variance."""
    parameters = (u, v, w)[: rank + 1]
    problem = Problem.least_squares(residuals, parameters=parameters, noise=LabelNoise(1))
    point = {u: mp.mpf(2), v: mp.mpf(1) / 2, w: mp.mpf(3) / 2}
    exact, rate = {s: sp.Rational(str(a)) for s, a in point.items()}, 0.125
    number = lambda matrix: np.array(sp.Matrix(matrix).subs(exact).tolist(), dtype=float)  # noqa: E731
    hessian = number(sp.hessian(problem.loss, parameters))
    third = np.array([number(sp.hessian(sp.diff(problem.loss, s), parameters)) for s in parameters])
    normal = np.linalg.eigh(hessian)[1][:, -rank:]
    slopes = [normal.T @ number([sp.diff(r, s) for s in parameters]).ravel() for r in residuals]
    across, identity = normal.T @ hessian @ normal, np.eye(rank)

    def drift(samples):
        square = sum(np.kron(h, h) for h in samples) / len(samples)
        system = np.kron(across, identity) + np.kron(identity, across) - rate * square
        covariance = normal @ np.linalg.solve(system, across.ravel()).reshape(rank, rank) @ normal.T
        along = np.eye(rank + 1) - normal @ normal.T
        return -along @ np.einsum("kij,ij->k", third, covariance) / 2

    seen = observed(problem, SGD(learning_rate=rate), point, rank, length=0.5, sequences=64)
    known = drift([np.outer(a, a) for a in slopes])
    value, accuracy = seen["normal_regularization"]
    np.testing.assert_allclose(value, known, rtol=accurate)
    assert accuracy < 1e-6 * np.abs(known).max()
    assert np.abs(drift([across]) - known).max() > 0.01 * np.abs(known).max()


def test_more_sequences_of_samples_than_are_followed_are_refused():
    problem = Problem.least_squares([u * v - 1, 2 * (u * v - 1)], parameters=(u, v), noise=LabelNoise(1))
    with pytest.raises(ProblemTooLarge, match="one of 2 samples, and there are 4 sequences, more than 3"):
        observed(problem, SGD(learning_rate=0.125), AT, 1, sequences=3)
    with pytest.raises(ProblemTooLarge, match="a memory beside them"):
        observed(problem, HeavyBall(momentum=0.5, learning_rate=0.0625), AT, 1)


def test_more_sources_of_noise_than_are_followed_are_refused():
    optimizer = LocalSGD(workers=30, steps=10, learning_rate=0.125)
    with pytest.raises(ProblemTooLarge, match="600 independent sources of noise are drawn in a step, more than 400"):
        observed(HYPERBOLA, optimizer, AT, 1)


def test_symbols_take_the_values_of_the_point():
    optimizer = HeavyBall(momentum=beta, learning_rate=eta)
    seen = observed(HYPERBOLA, optimizer, AT | {eta: mp.mpf(1) / 8, beta: mp.mpf(1) / 2}, 1)
    np.testing.assert_allclose(seen["drift"][0], [-1440 / 1343, 360 / 1343], rtol=1e-12)


def test_many_digits_where_the_long_double_is_no_longer_than_a_float(monkeypatch):
    monkeypatch.setattr(own_iteration, "extended", lambda operations: extended.OBJECTS)
    monkeypatch.setattr(own_iteration, "LEVELS", 4)
    value, _ = observed(HYPERBOLA, SGD(learning_rate=0.25), AT, 1)["drift"]
    np.testing.assert_allclose(value, [-32 / 17, 8 / 17], rtol=1e-9)


def test_which_kind_of_number_has_a_function():
    assert extended.extended(["add", "exp", "logcosh", "tanh"]) is extended.LONG_DOUBLE
    assert extended.extended(["mul", "Ei"]) is extended.OBJECTS
    third = extended.LONG_DOUBLE.arithmetic.constant(Fraction(1, 3))
    assert abs(third * 3 - 1) < 2e-19
    pi = extended.LONG_DOUBLE.arithmetic.operations["pi"]()
    assert abs(pi - np.longdouble("3.14159265358979323846264338")) < 1e-18 and abs(float(np.sin(pi))) < 1e-18


def test_beyond_the_edge_it_does_not_come_to_rest():
    with pytest.raises(FlowDidNotConverge, match="at the point is beyond the edge of stability 4 of SGD"):
        observed(HYPERBOLA, SGD(learning_rate=0.5), AT, 1)
