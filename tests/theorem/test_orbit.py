"""Γ as an orbit of linear symmetries: when it is seen, that the formulas in T are the theorem's, and how they are written."""

import numpy as np
import pytest
import sympy as sp
from comparison import compare
from theorem_literal import literal_terms

from symbolic_sgd import HeavyBall, IsotropicNoise, LabelNoise, Problem, derive_limiting_sde, verify
from symbolic_sgd.theorem.canonical import agreeing_programs, shared_operations
from symbolic_sgd.theorem.orbit import orbit_of
from symbolic_sgd.theorem.structural_lines import agrees

u1, u2, v1, v2, v3 = names = sp.symbols("u1 u2 v1 v2 v3")
u, v, w = sp.symbols("u v w")

DENSE = sp.Matrix(5, 2, lambda i, j: sp.Rational((3 * i + 2 * j) % 7 - 3, 2) + int(i == j) * u1)


def rank_one(noise):
    """u vᵀ = (1, 2)(1, 2, 3)ᵀ: six residuals, M = 4, dim Γ = 1."""
    residuals = [a * b - (i + 1) * (j + 1) for i, a in enumerate((u1, u2)) for j, b in enumerate((v1, v2, v3))]
    return Problem.least_squares(residuals, parameters=names, noise=noise)


def orthogonal(noise):
    """WWᵀ = I for a 2×2 matrix."""
    a, b, c, d = parameters = sp.symbols("a b c d")
    residuals = [a**2 + b**2 - 1, a * c + b * d, c**2 + d**2 - 1]
    return Problem.least_squares(residuals, parameters=parameters, noise=noise)


@pytest.mark.parametrize("noise", [IsotropicNoise(1), LabelNoise(1), DENSE], ids=["isotropic", "label", "dense"])
def test_rank_one_factorisation(noise):
    problem = rank_one(noise)
    sde = derive_limiting_sde(problem)
    orbit = orbit_of(sde.derivation)
    assert orbit is not None and orbit.generators == (sp.ImmutableMatrix.diag(1, 1, -1, -1, -1),)
    points = [[t, 2 * t, 1 / t, 2 / t, 3 / t] for t in (sp.Integer(2), sp.Rational(-2, 3))]
    assert compare(problem, problem.noise_factor, points, written=("drift",)).precise < 1e-30
    assert agrees(sde.derivation, sde.structure)


def test_its_drift_by_hand():
    """With x = (u, v), ξ = (u, −v): b = ((I − P)x + (m − n − ξᵀx/|ξ|²)ξ)/(2|ξ|²), for Xξ = x; a few operations where there were 786."""
    sde = derive_limiting_sde(rank_one(IsotropicNoise(1)))
    x, moved = sp.Matrix(names), sp.Matrix([u1, u2, -v1, -v2, -v3])
    length = moved.dot(moved)
    by_hand = (x - moved * moved.dot(x) / length + (2 - 3 - moved.dot(x) / length) * moved) / (2 * length)
    at = dict(zip(names, (sp.Rational(1, 3), sp.Rational(2, 3), 3, 6, 9), strict=True))
    assert sde.drift.subs(at) == by_hand.subs(at)
    assert shared_operations(list(sde.drift)) < 40


def test_it_agrees_with_the_iteration_of_the_map():
    assert verify(derive_limiting_sde(rank_one(IsotropicNoise(1)))).passed


@pytest.mark.parametrize(
    "noise", [IsotropicNoise(1), sp.Matrix(4, 2, lambda i, j: 1 + i - 2 * j)], ids=["isotropic", "dense"]
)
def test_an_orbit_of_isometries(noise):
    problem = orthogonal(noise)
    sde = derive_limiting_sde(problem)
    (generator,) = orbit_of(sde.derivation).generators
    assert -generator == generator.T
    points = [[sp.Rational(3, 5), sp.Rational(4, 5), sp.Rational(-4, 5), sp.Rational(3, 5)]]
    assert compare(problem, problem.noise_factor, points, written=("drift",)).precise < 1e-30
    assert agrees(sde.derivation, sde.structure)
    if isinstance(noise, IsotropicNoise):
        assert sde.regularizer == 0 and sde.normal_regularization == sp.zeros(4, 1)


@pytest.mark.parametrize(
    "noise", [IsotropicNoise(1), LabelNoise(1), sp.Matrix([1, u, v, w])], ids=["iso", "label", "dense"]
)
def test_a_generator_that_holds_a_constant(noise):
    """Hyperbolic rotations that keep u² − kv²."""
    k, x = sp.Symbol("k", positive=True), sp.Symbol("x")
    residuals = [u**2 - k * v**2 - 1, u * w - k * v * x, w**2 - k * x**2 + 1]
    problem = Problem.least_squares(residuals, parameters=(u, v, w, x), noise=noise, constants=[k])
    sde = derive_limiting_sde(problem)
    assert any(generator.has(k) for generator in orbit_of(sde.derivation).generators)
    assert agrees(sde.derivation, sde.structure)
    loss, sigma = sde.problem.loss.subs(k, 4), sp.Matrix(sde.problem.noise_factor).subs(k, 4)
    point = [sp.Rational(5, 3), sp.Rational(2, 3), sp.Rational(4, 3), sp.Rational(5, 6)]
    literal = literal_terms(loss, (u, v, w, x), sigma, point).drift
    lines = sde.structure.at({k: 4, **dict(zip((u, v, w, x), point, strict=True))})
    assert np.allclose(lines["b"].ravel(), [float(entry) for entry in literal], rtol=0, atol=1e-13)


p, q = sp.symbols("p q", positive=True)
TWO = (u1, u2, v1, v2)
ROOT = sp.sqrt(2)
TARGETS = {
    "symbols": (((p * q, p), (q, 1)), [p, q], [p, 1, q, 1], {}),
    "irrational": (((1, 2), (ROOT, 2 * ROOT)), [], [1, ROOT, 1, 2], {}),
    "transcendental": (((1, 2), (sp.pi, 2 * sp.pi)), [], [1, sp.pi, 1, 2], {}),
    "invariant on Γ only": (((1, 3), (2, 6)), [], [1, 2, 1, 3], {"manifold": [u1 * v1 - 1, u2 - 2 * u1, v2 - 3 * v1]}),
}
"""y, its constants, a point of Γ, what is stated of Γ."""


@pytest.mark.parametrize(
    "noise",
    [sp.Matrix(4, 2, lambda i, j: 1 + i - 2 * j), sp.eye(4), None],
    ids=["dense", "isotropic", "label"],
)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_targets_without_a_frame_of_rational_curvature(noise, target):
    """The symmetries are those of L itself, and ‖H‖₊ = κ det TᵀT is proved modulo the equations of Γ."""
    numbers, constants, point, stated = target
    residuals = [TWO[i] * TWO[2 + j] - numbers[i][j] for i in range(2) for j in range(2)]
    columns = sp.Matrix.hstack(*(sp.Matrix([f]).jacobian(TWO).T / 2 for f in residuals))  # of label noise
    sigma = columns if noise is None else noise
    loss = sum(f**2 for f in residuals) / 8
    problem = Problem(loss=loss, parameters=TWO, noise=sigma, constants=constants, **stated)
    sde = derive_limiting_sde(problem)
    orbit = orbit_of(sde.derivation)
    assert orbit is not None and orbit.generators == (sp.ImmutableMatrix.diag(1, 1, -1, -1),)
    assert agrees(sde.derivation, sde.structure)
    at = {p: sp.Rational(3, 2), q: 5}
    place = [
        sp.sympify(e).subs(at) * s for e, s in zip(point, (2, 2, sp.Rational(1, 2), sp.Rational(1, 2)), strict=True)
    ]
    values = dict(zip(TWO, place, strict=True))
    hessian = sp.hessian(loss.subs(at), TWO).subs(values)
    moved = sp.Matrix([u1, u2, -v1, -v2]).subs(values)
    volume = sum(hessian.extract(rows, rows).det() for rows in ([0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]))
    assert sp.simplify(volume - orbit.ratio.subs(at).subs(values) * moved.dot(moved)) == 0
    literal = literal_terms(loss.subs(at), TWO, sp.Matrix(sigma).subs(at), [sp.N(e, 60) for e in place]).drift
    lines = sde.structure.at({**{c: at[c] for c in constants}, **values})
    assert np.allclose(lines["b"].ravel(), [float(entry) for entry in literal], rtol=0, atol=1e-13)
    if noise == sp.eye(4):
        assert sde.regularizer == sp.log(u1**2 + u2**2 + v1**2 + v2**2) / 4 or stated


def test_the_minors_of_both_frames():
    derivation = derive_limiting_sde(orthogonal(LabelNoise(1))).derivation
    orbit, parameters = orbit_of(derivation), derivation.problem.parameters
    normal = derivation.equations.expand("levels").jacobian(parameters)
    moved = orbit.generators[0] * sp.Matrix(parameters)
    assert sp.expand((normal * normal.T).det() / 27 - orbit.ratio * moved.dot(moved)) == 0  # K = I/3


def test_several_generators():
    """u v = (1, 1)ᵀ(1, 1) twice, with a generator each: d = 2 < M."""
    pairs = sp.symbols("a1 a2 b1 b2"), sp.symbols("p1 p2 q1 q2")
    residuals = [x * y - 1 for x1, x2, y1, y2 in pairs for x in (x1, x2) for y in (y1, y2)]
    parameters = (*pairs[0], *pairs[1])
    noise = sp.Matrix(8, 1, lambda i, j: 1 + i % 3)
    sde = derive_limiting_sde(Problem.least_squares(residuals, parameters=parameters, noise=noise))
    assert len(orbit_of(sde.derivation).generators) == 2
    points = [[2, 2, sp.Rational(1, 2), sp.Rational(1, 2), -1, -1, -1, -1]]
    assert compare(sde.problem, noise, points).precise < 1e-30
    assert "b_∥ = ½ Q ∑ᵢ Xᵢ Σ_∥U eᵢ" in str(sde.structure) and agrees(sde.derivation, sde.structure)


def test_heavy_ball_has_the_same_orbit():
    """Another tangent factor τ and another response."""
    sde = derive_limiting_sde(rank_one(IsotropicNoise(1)), optimizer=HeavyBall(momentum=sp.Rational(1, 2)))
    roads = [road for road, _ in agreeing_programs(sde.derivation, "drift")]
    assert sum(road.startswith("a formula in T = (X_1x, …)") for road in roads) == 2
    assert agrees(sde.derivation, sde.structure)


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        ((1 + u**2) * (u * v - 1) ** 2 + (u * w - 2) ** 2, "the f_i are invariant, and L is not"),
        ((u**2 + w**2) / 2, "every Xx vanishes somewhere on Γ, where M = 2 all the same"),
        ((u * v - 1) ** 2 + (w - u**2 - u) ** 2, "there is no symmetry"),
    ],
)
def test_what_is_no_orbit(loss, why):
    noise = sp.Matrix([1, u, v])
    assert orbit_of(derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w), noise=noise)).derivation) is None, why


def test_how_it_is_written():
    assert str(derive_limiting_sde(rank_one(IsotropicNoise(1))).structure).splitlines() == [
        "ξ = Xx = (u1, u2, -v1, -v2, -v3)",
        "N = ξᵀξ",
        "∂Φ = ξξᵀ/N",
        "Q = I - ∂Φ",
        "Σ = σσᵀ",
        "Σ_∥ = ∂ΦΣ∂Φ",
        "S = ½ ∇²L†",
        "σ_∥ = ∂Φσ",
        "b_∥ = QXΣ_∥ξ/(2N)",
        "b_⊥∥ = 0",
        "b_⊥ = tr(XQ) ξ/(2N)",
        "b = b_∥ + b_⊥",
        "R = ¼ ln |∇²L|₊",
    ]
