"""Structure of the noise is recognised on Γ, used, and reported; regularizers; the drift in Stratonovich's sense."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from comparison import compare

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde, verify
from symbolic_sgd.errors import OffManifold
from symbolic_sgd.manifold.manifold import find_manifold
from symbolic_sgd.theorem.normal_space import ComposedFrame

u, v, w = sp.symbols("u v w")
a, s = sp.symbols("a s", positive=True)


def sde_of(loss, parameters, noise, **further):
    return derive_limiting_sde(Problem(loss=loss, parameters=parameters, noise=noise, **further))


SMALL, WIDE = ((1, -1), (2, 1)), ((1, -1, 1), (1, 1, 1))
"""Two samples of two and of three features."""


def overparametrised(noise, rows=SMALL):
    """u ⊙ u − v ⊙ v on the samples; c = 1."""
    us, vs = sp.symbols(f"u1:{len(rows[0]) + 1}"), sp.symbols(f"v1:{len(rows[0]) + 1}")
    residuals = [sum(z * (p**2 - q**2) for z, p, q in zip(row, us, vs, strict=True)) - 1 for row in rows]
    return Problem.least_squares(residuals, parameters=(*us, *vs), noise=noise)


@pytest.mark.parametrize(
    ("rows", "noise", "words"),
    [
        (WIDE, LabelNoise(1), "with c = 1:"),
        (SMALL, LabelNoise(sp.Rational(3, 2)), "with c = 9/4:"),
        (SMALL, IsotropicNoise(2), "with s² = 4:"),
        (SMALL, sp.Matrix(4, 4, lambda i, j: sp.Rational(int(i == j)) * 2), "with s² = 4:"),
        (SMALL, sp.Matrix(4, 2, lambda i, j: sp.Rational((2 * i + j) % 5 - 2)), "No structure of Σ_⊥"),
    ],
)
def test_what_is_recognised(rows, noise, words):
    sde = derive_limiting_sde(overparametrised(noise, rows))
    assert words in sde.explain()
    assert verify(sde).passed


@pytest.mark.parametrize("across", [lambda g: g**2 / 2, sp.cosh], ids=["in a frame", "without a frame"])
def test_noise_that_commutes_with_the_hessian(across):
    """Two hyperbolas with noise of different strength across them; columns ∇g scaled, so that Σ_⊥ and ∇²L commute."""
    p, q = sp.symbols("p q")
    loss = across(u * v - 1) + 3 * across(p * q - 2)
    noise = sp.Matrix.hstack(sp.Matrix([v, u, 0, 0]) * 2, sp.Matrix([0, 0, q, p]) * p)
    problem = Problem(loss=loss, parameters=(u, v, p, q), noise=noise)
    sde = derive_limiting_sde(problem)
    assert "Σ_⊥ commutes with ∇²L" in sde.explain()
    point = [sp.Integer(2), sp.Rational(1, 2), sp.Integer(4), sp.Rational(1, 2)]
    assert compare(problem, noise, [point], written=("drift",)).precise < 1e-30


def test_noise_that_has_the_structure_by_other_means_is_recognised():
    """σ = a ∇(uv): Σ = a²∇²L on Γ, though it is stated as a matrix."""
    sde = sde_of((u * v - 1) ** 2 / 2, (u, v), sp.Matrix([a * v, a * u]), constants=(a,))
    assert sde.derivation.proportion == a**2
    assert sde.regularizer == a**2 * (u**2 + v**2) / 4
    other = sde_of((u * v - 1) ** 2 / 2, (u, v), sp.Matrix([a * v, a * u / v]), constants=(a,))
    assert other.derivation.proportion is None


def test_label_noise_prints_its_drift_as_a_paper_does():
    sde = derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    expected = sp.Matrix([-(u - 2 * v / (u**2 + v**2)) / 2, -(v - 2 * u / (u**2 + v**2)) / 2])
    assert all(sp.simplify(e.subs(v, 1 / u)) == 0 for e in sde.drift - expected)
    assert sp.count_ops(sde.drift) <= 30


def test_the_shortcuts_agree_with_the_literal_theorem():
    """Label and isotropic noise with several normal directions, at points of Γ to 50 digits."""
    for noise in (LabelNoise(sp.Rational(3, 2)), IsotropicNoise(sp.Rational(2, 3))):
        problem = overparametrised(noise)
        sde = derive_limiting_sde(problem)
        points = [[p[x] for x in problem.parameters] for p in sde.derivation.points[:2]]
        worst = compare(problem, problem.noise_factor, points)
        assert worst.precise <= 1e-40 and worst.float64 <= 1e-10


def test_structure_that_holds_on_one_part_of_the_manifold_only_is_not_used():
    """By hand: the drift of Σ = c(x)∇²L with a constant c on each part is −(c/4)∂Φ∇tr ∇²L there."""
    n = sp.Matrix([v, u])
    clipped = n * (1 + 20 / sp.sqrt(u**2 + v**2) - sp.Abs(1 - 20 / sp.sqrt(u**2 + v**2))) / 2
    for loss, noise, point, c in (
        (((u * v - 1) * (u * v - 50)) ** 2 / 2, u * v * n, {u: 10, v: 5}, sp.Rational(50, 49) ** 2),
        ((u * v - 1) ** 2 / 2, clipped, {u: 60, v: sp.Rational(1, 60)}, None),
        ((u * v - 1) ** 2 / 2, n * (2 - sp.Abs(u) / u), {u: -2, v: -sp.Rational(1, 2)}, 9),
    ):
        sde = sde_of(loss, (u, v), noise, near=point)
        assert sde.derivation.proportion == c  # in the cell of the point |u|/u is a number
        found = [float(e) for e in sde.drift.subs(point).evalf()]
        if c == sp.Rational(50, 49) ** 2:  # on the other component it is 1/2401
            assert sde.component.equations == (u * v - 50,)
            with pytest.raises(OffManifold):
                sde.lambdify().drift([2, 0.5])
        elif c is not None:
            slope, unit = np.array([-4.0, -1.0]), np.array([2.0, -0.5]) / np.hypot(2, 0.5)
            np.testing.assert_allclose(found, -c / 4 * unit * (unit @ slope), rtol=1e-12)
    far = {u: 60, v: sp.Rational(1, 60)}
    clipped_drift = sde_of((u * v - 1) ** 2 / 2, (u, v), clipped, near=far).drift.subs(far).evalf()
    np.testing.assert_allclose([float(e) for e in clipped_drift], [-3.33333, 9.26e-4], rtol=1e-3)


def test_constants_that_near_names_stay_symbolic():
    problem = Problem.least_squares(
        [u * v - 1], parameters=(u, v), noise=LabelNoise(a), constants=(a,), near={u: 1, v: 1, a: 1}
    )
    sde = derive_limiting_sde(problem)
    assert sde.derivation.proportion == a**2
    np.testing.assert_allclose(sde.lambdify().drift([2, 0.5], a=3), 9 * np.array([-0.8823529, 0.2205882]), rtol=1e-6)
    vanishing = sde_of(
        (u * v - 1) ** 2 / 2, (u, v), sp.Matrix([(a - 2) * u, v]), constants=(a,), near={u: 1, v: 1, a: 2}
    )
    assert a in vanishing.tangent_noise.free_symbols


@pytest.mark.parametrize("noise", [IsotropicNoise(a + s), LabelNoise(a + s)], ids=["isotropic", "label"])
def test_what_the_noise_model_says_of_its_size_is_used(noise):
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=noise, constants=(a, s))
    assert sp.simplify(derive_limiting_sde(problem).regularizer.subs({a: 1, s: 2}).subs({u: 2, v: 3})) in (
        9 * sp.log(13) / 4,
        sp.Rational(9 * 13, 4),
    )


# --- the regularizer ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)), (u**2 + v**2) / 4),
        (
            Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(s), constants=(s,)),
            s**2 * sp.log(u**2 + v**2) / 4,
        ),
        (
            Problem.least_squares([u**2 * v - 1], parameters=(u, v), noise=LabelNoise(1)),
            (4 * v + v**-2) / 4,  # EXAMPLES 3, with u² = 1/v
        ),
        (
            Problem(loss=v * u**2 / 2, parameters=(u, v), noise=sp.Matrix([s, 0]), domain=[v > 0], constants=(s,)),
            s**2 * sp.log(v) / 4,
        ),
        (Problem(loss=(u**2 + v**2 - 1) ** 2 / 8, parameters=(u, v), noise=IsotropicNoise(1)), sp.S.Zero),
        (
            Problem.from_sample_losses([(u * v - 1) ** 2, 3 * (u * v - 1) ** 2], parameters=(u, v)),
            sp.S.Zero,
        ),
    ],
    ids=["label", "isotropic", "cubic", "normal noise", "circle", "interpolating"],
)
def test_regularizers_by_hand(problem, expected):
    """Up to a constant on Γ: the tangential derivatives of the difference vanish at points of Γ."""
    sde = derive_limiting_sde(problem)
    difference = sp.sympify(sde.regularizer) - expected
    for point in sde.derivation.points:
        values = {x: sp.Float(mpmath.nstr(point[x], 70), 60) for x in problem.symbols}
        slope = sp.Matrix([sp.diff(difference, x) for x in problem.parameters])
        along = (sde.tangent_projection * slope).evalf(40, subs=values)
        assert max(abs(e) for e in along) < 1e-35


@pytest.mark.parametrize("noise", [LabelNoise(1), IsotropicNoise(1)], ids=["label", "isotropic"])
def test_the_regularization_is_the_projected_gradient(noise):
    sde = derive_limiting_sde(overparametrised(noise))
    parameters = sde.problem.parameters
    slope = sp.lambdify(parameters, [sp.diff(sde.regularizer, x) for x in parameters])
    f = sde.lambdify()
    for point in sde.derivation.points:
        x = np.array([float(point[s]) for s in parameters])
        projected = f.term("tangent_projection", x) @ np.array(slope(*x), float)
        found = f.mixed_regularization(x) + f.normal_regularization(x)
        np.testing.assert_allclose(found, -projected, atol=1e-12)


def test_no_regularizer_where_the_regularization_turns():
    noise = sp.Matrix(3, 2, [1, u, v, 2, w, 1])
    sde = sde_of((u * v + w**2 - 1) ** 2 / 2, (u, v, w), noise)
    assert sde.regularizer is None
    assert "curl" in sde.regularizer_evidence.words


# --- Stratonovich ---------------------------------------------------------------------------


def test_brownian_motion_on_the_sphere_has_no_stratonovich_drift():
    sde = sde_of((u**2 + v**2 + w**2 - 1) ** 2 / 8, (u, v, w), IsotropicNoise(s), constants=(s,))
    values = {u: sp.Rational(2, 3), v: sp.Rational(1, 3), w: sp.Rational(2, 3)}
    assert all(sp.simplify(e.subs(values)) == 0 for e in sde.stratonovich_drift)


def test_the_stratonovich_drift_is_tangent_and_the_itô_drift_corrected():
    """By SymPy's own derivatives, at a point of Γ where the noise depends on x."""
    sde = sde_of((u * v + w**2 - 1) ** 2 / 2, (u, v, w), sp.Matrix(3, 2, [1, u, v, 2, w, 1]))
    noise, x = sde.tangent_noise, sp.Matrix([u, v, w])
    correction = sum((noise[:, k].jacobian(x) * noise[:, k] for k in range(2)), sp.zeros(3, 1)) / 2
    values = {u: sp.Rational(3, 4), v: sp.Integer(1), w: sp.Rational(1, 2)}
    found = sde.stratonovich_drift.subs(values)
    assert all(sp.simplify(e) == 0 for e in found - (sde.drift - correction).subs(values))
    assert all(sp.simplify(e) == 0 for e in sde.tangent_projection.subs(values) * found - found)


def test_the_stratonovich_drift_as_numbers():
    """Of a problem whose formula is too long to be written out, against differences along Γ of the callables."""
    w1, x1 = sp.symbols("w x")
    residuals = [u * v - 1, w1 * x1 - u - 2]
    sde = derive_limiting_sde(Problem.least_squares(residuals, parameters=(u, v, w1, x1), noise=IsotropicNoise(1)))
    f = sde.lambdify(check=False)
    point = np.array([float(sde.derivation.points[0][p]) for p in sde.problem.parameters])
    noise, h = f.diffusion(point), 1e-4
    along = sum(
        (f.diffusion(point + h * noise[:, k])[:, k] - f.diffusion(point - h * noise[:, k])[:, k]) / (2 * h)
        for k in range(noise.shape[1])
    )
    found = f.stratonovich_drift(point)
    np.testing.assert_allclose(found, f.drift(point) - along / 2, atol=1e-6)
    np.testing.assert_allclose(f.term("tangent_projection", point) @ found, found, atol=1e-9)


# --- composed losses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outer", "recognised"),
    [
        (sp.cosh, True),
        (lambda f: 1 - sp.cos(f), False),  # f is zero on one of the sheets of Γ only
        (lambda f: sp.log(1 + f**2), True),
        (lambda f: f**2 / 2 + f**4, True),
        (lambda f: f**2 * sp.exp(f), True),
        (lambda f: (1 + u**2) * sp.cosh(f) - u**2, False),  # h(0, x) of the first term depends on x
        (lambda f: sp.exp(f) - f, True),  # a convex function of f, though ∂h(0) of neither term vanishes
    ],
)
def test_losses_composed_of_functions_of_equations(outer, recognised):
    """H = Σ h″(0) ∇f∇fᵀ on Γ is used where each term shows it; the literal theorem sees the loss only."""
    noise = sp.Matrix([[1, u], [v, 2], [w, u]])
    problem = Problem(loss=outer(u * v + w**2 - 1), parameters=(u, v, w), noise=noise)
    derivation = derive_limiting_sde(problem).derivation
    assert isinstance(derivation.normal_space, ComposedFrame) == recognised
    assert derivation.component is None or recognised
    if outer is sp.cosh:  # what is known of Φ for ½ Σ k_i g_i² does not hold here
        assert not find_manifold(problem).equations.squares
    points = [[point[s] for s in (u, v, w)] for point in derivation.points[:2]]
    assert compare(problem, noise, points, written=("drift",)).precise < 1e-30
