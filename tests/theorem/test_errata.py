"""The five errors of the poster, by their numbers in the README: each implemented right, and each distinguishable."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from theorem_literal import literal_terms, point_on_manifold

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde

U, V, W = sp.symbols("u v w")
QUADRIC = U * V + W**2 - 1
DENSE = sp.Matrix([[1, U, sp.Rational(1, 2)], [V, 1, W], [U * W, sp.Rational(1, 3), 1]])


def on_manifold(equations, parameters, seed):
    rng = np.random.default_rng(seed)
    return np.array(
        [
            float(a)
            for a in point_on_manifold(equations, parameters, list(1 + 0.3 * rng.standard_normal(len(parameters))))
        ]
    )


def test_erratum_1_the_mixed_term_has_factor_one():
    problem = Problem(loss=QUADRIC**2 / 2, parameters=(U, V, W), noise=DENSE)
    mixed = derive_limiting_sde(problem).lambdify().mixed_regularization
    for seed in range(3):
        point = point_on_manifold([QUADRIC], (U, V, W), [1.2, 0.5, 0.6 + 0.1 * seed], digits=70)
        literal = literal_terms(problem.loss, problem.parameters, DENSE, point)
        right = np.array([float(a) for a in literal.mixed_regularization])
        printed = right / 2
        ours = mixed([float(a) for a in point])
        np.testing.assert_allclose(ours, right, rtol=1e-11)
        assert np.abs(ours - printed).max() > 1e-2


def test_erratum_2_the_parallel_covariance_has_a_projection_on_both_sides():
    problem = Problem(loss=QUADRIC**2 / 2, parameters=(U, V, W), noise=DENSE)
    sde = derive_limiting_sde(problem)
    x = on_manifold([QUADRIC], (U, V, W), 1)
    values = sde.at(dict(zip((U, V, W), x, strict=True)))
    projection = values["tangent_projection"]
    sigma = np.array(DENSE.subs(dict(zip((U, V, W), x, strict=True))), dtype=float)
    parallel = sde.lambdify().diffusion(x) @ sde.lambdify().diffusion(x).T
    np.testing.assert_allclose(parallel, projection @ sigma @ sigma.T @ projection, atol=1e-13)
    assert np.abs(parallel - projection @ sigma @ sigma.T).max() > 1e-2


def model(n, d, seed=0):
    """OLM residuals ⟨z_i, u² − v²⟩ − y_i with ±1 data of rank n, and the data."""
    rng = np.random.default_rng(seed)
    z = rng.choice([-1, 1], size=(n, d))
    while np.linalg.matrix_rank(z) < n:
        z = rng.choice([-1, 1], size=(n, d))
    u, v = sp.symbols(f"u1:{d + 1}"), sp.symbols(f"v1:{d + 1}")
    residuals = [sum(int(z[i, j]) * (u[j] ** 2 - v[j] ** 2) for j in range(d)) - 1 for i in range(n)]
    return residuals, (*u, *v), z


@pytest.mark.parametrize("halved", [True, False], ids=["(1/2n) Σ", "(1/n) Σ"])
def test_erratum_3_the_constants_of_the_overparametrised_linear_model(halved):
    n, d = 2, 3
    residuals, x, z = model(n, d)
    scale = sp.Rational(1, 2) if halved else 1
    loss = scale * sum(r**2 for r in residuals) / n
    printed_r = sp.Rational(4, n) * sum(
        sum(int(z[i, j]) ** 2 for i in range(n)) * (x[j] ** 2 + x[d + j] ** 2) for j in range(d)
    )
    point = on_manifold(residuals, x, 5)
    at = dict(zip(x, point, strict=True))
    trace = sp.diff(loss, x[0], x[0]) + sum(sp.diff(loss, s, s) for s in x[1:])
    assert float(trace.subs(at)) == pytest.approx(float(printed_r.subs(at)) * (1 if halved else 2), rel=1e-12)
    # One sample and one label sign a step: the per-sample loss is (r_i ± 1)² for the printed loss, ½(r_i ± 1)² halved.
    samples = [scale * (r + sign) ** 2 for r in residuals for sign in (1, -1)]
    problem = Problem.from_sample_losses(samples, parameters=x)
    sde = derive_limiting_sde(problem)
    drift, projection = sde.lambdify().drift(point), sde.lambdify().term("tangent_projection", point)
    gradient = np.array([float(sp.diff(printed_r, s).subs(at)) for s in x])
    np.testing.assert_allclose(drift, -(0.25 if halved else 1.0) * projection @ gradient, atol=1e-12)


def test_erratum_4_the_sum_over_j_runs_over_the_d_coordinates():
    n, d = 2, 3
    residuals, x, z = model(n, d)
    half = sum(r**2 for r in residuals) / (2 * n)
    point = dict(zip(x, on_manifold(residuals, x, 5), strict=True))
    trace = float(sum(sp.diff(half, s, s) for s in x).subs(point))
    to_d = 4 / n * sum((z[:, j] ** 2).sum() * (point[x[j]] ** 2 + point[x[d + j]] ** 2) for j in range(d))
    assert trace == pytest.approx(to_d, rel=1e-12)
    assert z.shape == (n, d) != (n, 2 * d), "there are no z_ij for j > d: the printed sum to D = 2d has no meaning"


def test_erratum_5_label_noise_has_the_hessian_as_its_covariance():
    residuals, x, _ = model(2, 3)
    problem = Problem.least_squares(residuals, parameters=x, noise=LabelNoise(1))
    point = on_manifold(residuals, x, 7)
    at = dict(zip(x, point, strict=True))
    sigma = np.array(problem.noise_factor.subs(at), dtype=float)
    hessian = np.array(sp.hessian(problem.loss, x).subs(at), dtype=float)
    np.testing.assert_allclose(sigma @ sigma.T, hessian, atol=1e-12)
    assert np.abs(sigma @ sigma.T - np.trace(hessian)).max() > 1


def test_isotropic_noise_has_no_mixed_term():
    problem = Problem(loss=QUADRIC**2 / 2, parameters=(U, V, W), noise=IsotropicNoise(sp.Rational(3, 2)))
    assert derive_limiting_sde(problem).mixed_regularization.is_zero_matrix
    assert mpmath.mp.dps == 15, "the working precision of the caller is left alone"
