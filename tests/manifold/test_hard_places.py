"""Places where an engine like this one goes wrong: each was wrong once, and is right or refused now."""

import numpy as np
import pytest
import sympy as sp
from theorem_literal import literal_terms, point_on_manifold

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde, verify
from symbolic_sgd.errors import NoManifold, NotSmooth, OffManifold, SingularPoint, SymbolicSGDError

U, V, W, X, Y, Z = sp.symbols("u v w x y z")
R = sp.Rational


def drift(problem):
    return derive_limiting_sde(problem).lambdify().drift


def assert_literal(problem, sigma, equations, start, tolerance=1e-9):
    point = point_on_manifold(equations, problem.parameters, start, digits=70)
    truth = np.array([float(a) for a in literal_terms(problem.loss, problem.parameters, sigma, point).drift])
    ours = drift(problem)([float(a) for a in point])
    assert np.abs(ours - truth).max() <= tolerance * np.abs(truth).max()


# --- frames: right on all of Γ, or refused -------------------------------------------------------------


ELLIPSOID = X**2 + 2 * Y**2 - 1
DENSE = sp.Matrix([[1, X], [Y, 2]])
TILTED = sp.Matrix([[1, U], [R(1, 3), 1]])


@pytest.mark.parametrize("angle", np.linspace(0, 2 * np.pi, 9))
def test_no_point_of_an_ellipse_is_singular(angle):
    problem = Problem(loss=sp.cosh(ELLIPSOID), parameters=(X, Y), noise=DENSE)
    assert_literal(problem, DENSE, [ELLIPSOID], [np.cos(angle), np.sin(angle) / np.sqrt(2)])


@pytest.mark.parametrize("height", [1e-6, 1e-8, 1e-10, 1e-12, 1e-14, 0])
def test_near_a_zero_pivot_of_the_hessian(height):
    """The loss is written out, so that no inner expression of it makes a frame, and a column of H has to."""
    g = X**2 + Y**2 + Z**2 - 1
    loss = sp.expand(g**2) / 8
    sigma = sp.Matrix([[1, X], [Y, 2], [Z, 1]])
    f = drift(Problem(loss=loss, parameters=(X, Y, Z), noise=sigma))
    x = np.array([np.sqrt(0.36 - height**2 / 2), 0.8, height])
    x /= np.linalg.norm(x)
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):  # whichever column was chosen meets the small entry
        point = x[order]
        exact = point_on_manifold([g], (X, Y, Z), list(point), digits=70)
        truth = np.array([float(a) for a in literal_terms(loss, (X, Y, Z), sigma, exact).drift])
        try:
            ours = f([float(a) for a in exact])
        except SingularPoint:
            continue
        assert np.abs(ours - truth).max() <= 1e-8 * np.abs(truth).max()


def motor():
    r = sp.sqrt(U**2 + V**2)
    y = sp.symbols("y1:4")
    loss, sigma = (r**2 - 1) ** 2 / 8, sp.zeros(5, 6)
    for j in range(3):
        c, s = sp.cos(2 * sp.pi * (j + 1) / 3), sp.sin(2 * sp.pi * (j + 1) / 3)
        cosine, sine = (U * c + V * s) / r, (V * c - U * s) / r
        loss += R(1, 2) * (2 + cosine) * y[j] ** 2
        sigma[2 + j, 2 * j], sigma[2 + j, 2 * j + 1] = cosine / sp.sqrt(2), (1 + sine) / sp.sqrt(2)
    return Problem(loss=loss, parameters=(U, V, *y), noise=sigma)


def test_the_motor_turns_at_every_angle():
    """θ̇ = −¼ Σ s_j ∂_θ ln a_j with s_j = 1 + sin φ_j, a_j = 2 + cos φ_j, φ_j = θ − 2πj/3."""
    theta = np.linspace(0, 2 * np.pi, 25)
    x = np.stack([np.cos(theta), np.sin(theta), *(0 * theta,) * 3], axis=1)
    b = drift(motor())(x)
    phi = theta[:, None] - 2 * np.pi * np.arange(1, 4) / 3
    speed = 0.25 * np.sum((1 + np.sin(phi)) * np.sin(phi) / (2 + np.cos(phi)), axis=1)
    np.testing.assert_allclose(-np.sin(theta) * b[:, 0] + np.cos(theta) * b[:, 1], speed, rtol=1e-12)
    assert 0.141 < speed.min() < speed.max() < 0.259


def test_a_state_dependent_weight_keeps_the_frame_of_the_equation():
    circle = X**2 + Y**2 - 1
    problem = Problem(loss=circle**2 * (2 + sp.sin(3 * Y + X)), parameters=(X, Y), noise=DENSE)
    assert derive_limiting_sde(problem).valid_where == ()
    assert_literal(problem, DENSE, [circle], [1.0, 0.0])


# --- what was found to vanish at some points need not vanish elsewhere ---------------------------------


def test_noise_that_is_normal_on_one_component_only():
    nearly = sp.Matrix([V + R(1, 10**4) * (U * V - 1) * U, U - R(1, 10**4) * (U * V - 1) * V])
    problem = Problem(loss=1 - sp.cos(U * V - 1), parameters=(U, V), noise=nearly, near={U: 1, V: 1})
    f = derive_limiting_sde(problem).lambdify()
    assert not f.diffusion([2, 0.5]).any()
    with pytest.raises(OffManifold, match="another part"):
        f.diffusion([2, (1 + 2 * np.pi) / 2])


def test_noise_that_changes_its_formula_along_the_manifold():
    kinked = sp.Matrix([V + R(1, 2000) * U * sp.Max(0, U - 5), U - R(1, 2000) * V * sp.Max(0, U - 5)])
    problem = Problem(loss=(U * V - 1) ** 2 / 2, parameters=(U, V), noise=kinked, near={U: 1, V: 1})
    f = derive_limiting_sde(problem).lambdify()
    with pytest.raises(OffManifold):
        f.diffusion([6, 1 / 6])


# --- points of another rank, kinks, poles --------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1], ids=["rank 2", "saddle"])
def test_a_point_of_another_rank_is_refused(sign):
    loss = X**2 * ((X - 5) ** 2 + sign * R(1, 10**5) * Y**2 * (1 + Z**2))
    problem = Problem(loss=loss, parameters=(X, Y, Z), noise=sp.eye(3), near={X: 0, Y: 1, Z: 1})
    with pytest.raises(OffManifold, match="rank 1"):
        drift(problem)([5, 0, 1])


@pytest.mark.parametrize(
    ("loss", "point"),
    [((U * V - 1) ** 2 / 2 * (1 + sp.Abs(U - 2)), [2, 0.5]), ((sp.Abs(U) + 2 * sp.Abs(V) - 1) ** 2, [1, 0])],
)
def test_a_kink_of_the_loss_on_the_manifold_is_refused_there(loss, point):
    f = drift(Problem(loss=loss, parameters=(U, V), noise=sp.eye(2)))
    with pytest.raises(OffManifold, match="for the cell in which"):
        f(point)


@pytest.mark.parametrize("pole", [sp.tan(sp.pi * U * V / 2), sp.log(U * V - 1), sp.atanh(U * V), 1 / (U**2 * V**2 - 1)])
def test_noise_that_is_singular_on_the_manifold_is_refused(pole):
    problem = Problem(loss=(U * V - 1) ** 2 / 2, parameters=(U, V), noise=sp.Matrix([pole, 1]))
    with pytest.raises(NotSmooth, match="noise"):
        derive_limiting_sde(problem)


def test_a_term_that_overflows_is_refused():
    problem = Problem(loss=(U * V - 1) ** 2 / 2, parameters=(U, V), noise=IsotropicNoise(sp.exp(100 * U**2)))
    with pytest.raises(SymbolicSGDError):
        drift(problem)([3, 1 / 3])


@pytest.mark.parametrize(
    ("loss", "near"),
    [
        (X**2 / 2 + sp.exp(-(Y**2)), None),
        (X**2 / 2 + sp.exp(-Y), {X: 0, Y: 1000}),
        (X**2 / 2 + sp.exp(-1 / Y**2), {X: 0, Y: R(2, 100)}),
    ],
)
def test_a_gradient_that_is_merely_tiny_is_no_minimum(loss, near):
    with pytest.raises(NoManifold):
        derive_limiting_sde(Problem(loss=loss, parameters=(X, Y), noise=sp.eye(2), near=near))


def test_bad_conditioning_does_not_cost_the_digits():
    """With ε = 10⁻¹⁰ the point was refused."""
    for epsilon in (R(1, 10**6), R(1, 10**10)):
        g, h = U * V - 1, U + W**2 - Z
        sigma = sp.Matrix([[1, U], [V, 1], [W, 2], [1, Z]])
        problem = Problem(loss=g**2 / 2 + epsilon * h**2 / 2, parameters=(U, V, W, Z), noise=sigma)
        start = [1.3, 1 / 1.3, 0.4, 1.3 + 0.16]
        assert_literal(problem, sigma, [g, h], start, tolerance=1e-7)


def test_points_as_accurate_as_the_contract_asks_are_accepted():
    f = drift(Problem(loss=(U * V + W**2 - 1) ** 2 / 2, parameters=(U, V, W), noise=sp.eye(3)))
    x = np.array([1.2, 0.5, np.sqrt(0.4)])
    for distance in (1e-9, 1e-7, 5e-7):
        np.testing.assert_allclose(f(x * (1 + distance)), f(x), atol=1e-4)
    with pytest.raises(OffManifold, match="1e-6 is allowed"):
        f(x * (1 + 1e-5))


# --- verify --------------------------------------------------------------------------------------------


def test_noise_that_vanishes_on_the_manifold_is_certified():
    """Minibatch noise on an interpolating loss: Σ = 0 on Γ, nothing moves."""
    problem = Problem.from_sample_losses([(U * V - W) ** 2, (U + V - 2) ** 2], parameters=(U, V, W))
    sde = derive_limiting_sde(problem)
    assert sde.drift.is_zero_matrix
    assert sde.diffusion.is_zero_matrix
    assert verify(sde).passed


@pytest.mark.parametrize("piece", [sp.Abs(U), sp.Max(U, U / 2), sp.re(U)])
def test_pieces_that_are_smooth_on_the_manifold_are_certified(piece):
    problem = Problem(loss=(piece * V - 1) ** 2 / 2, parameters=(U, V), noise=TILTED)
    assert verify(derive_limiting_sde(problem)).passed


def test_a_wide_network_is_derived_and_its_conditions_come_when_asked_for():
    inputs = [(1, -1, 2), (2, 1, -1), (1, 1, 1)]
    a, b, c = sp.symbols("a1:5"), sp.symbols("b1:5"), sp.symbols("c1:5")
    outputs = [sum(a[j] * sp.tanh(b[j] * z[0] + c[j] * z[1]) for j in range(4)) - R(z[2], 3) for z in inputs]
    problem = Problem(
        loss=sum(sp.log(sp.cosh(f)) for f in outputs),
        parameters=(*a, *b, *c),
        noise=sp.Matrix(12, 2, lambda i, j: R((3 * i + 5 * j) % 7 - 3, 4)),
    )
    sde = derive_limiting_sde(problem)
    assert sde.manifold.codimension == 3
    assert "Γ has codimension M = 3" in sde.explain()


def test_label_noise_amplitude_scales_the_drift_by_its_square():
    x = [2, 0.5]
    one, three = (
        drift(Problem.least_squares([U * V - 1], parameters=(U, V), noise=LabelNoise(delta)))(x) for delta in (1, 3)
    )
    np.testing.assert_allclose(three, 9 * one, rtol=1e-13)


# --- minimizers on the edge of the domain --------------------------------------------------------


@pytest.mark.parametrize(
    ("residual", "domain", "expected"),
    [
        ("u*v", ["u > 0"], "v"),
        ("u*v", ["v < 0"], "u"),
        ("u*(v**2 - 1)", ["u > 0", "v > 0"], "v**2 - 1"),
        ("u**2*v*w", ["u > 0", "v > 0"], "w"),
    ],
)
def test_minimizers_on_the_edge_of_an_open_domain_are_none(residual, domain, expected):
    """A descent that goes to u = 0 leaves u > 0; it was taken for a minimizer, whose manifold could not be walked along."""
    parameters = sp.symbols("u v w")
    loss = sp.sympify(residual, {str(s): s for s in parameters})
    problem = Problem.least_squares(
        [loss], parameters=parameters, noise=LabelNoise(1), domain=[sp.sympify(c) for c in domain]
    )
    sde = derive_limiting_sde(problem)
    for point in sde.derivation.points:
        assert abs(sp.sympify(expected).subs(point)) < 1e-50
        assert all(bool(c.subs({s: float(a) for s, a in point.items()})) for c in problem.domain)
