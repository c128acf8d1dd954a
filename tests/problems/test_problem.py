"""How a problem is stated: constructors, weights, symbols and their assumptions, near, domain, σ."""

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import GradientNoise, IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.errors import BadInput
from symbolic_sgd.theorem.terms import TERMS

u, v = sp.symbols("u v")
x, y, z = sp.symbols("x y z")
d, s = sp.symbols("d s", positive=True)
HYPERBOLA = (u * v - 1) ** 2 / 2
HALF, THIRD = sp.Rational(1, 2), sp.Rational(1, 3)


def isotropic(loss=HYPERBOLA, parameters=(u, v), **further):
    return Problem(loss=loss, parameters=parameters, noise=IsotropicNoise(1), **further)


def covariance(problem):
    factor = problem.noise_factor
    return (factor * factor.T).applyfunc(sp.expand)


# --- the statement ------------------------------------------------------------------------------------


def test_fields_are_normalised():
    problem = isotropic(parameters=[u, v], manifold=[u * v - 1], constants=[s], domain=[v > 0])
    assert problem.parameters == (u, v)
    assert problem.symbols == (u, v, s)
    assert problem.manifold == (u * v - 1,)
    assert problem.dimension == 2
    assert isinstance(problem.domain, tuple) and isinstance(problem.constants, tuple)


def test_a_problem_is_frozen():
    problem = isotropic()
    with pytest.raises(FrozenInstanceError):
        problem.loss = u  # pyright: ignore[reportAttributeAccessIssue]


def test_the_order_of_the_parameters_is_the_order_of_the_entries():
    forward, backward = isotropic(x**2 * y / 2 + y**2, (x, y, z)), isotropic(x**2 * y / 2 + y**2, (z, y, x))
    assert forward.noise_factor.shape == backward.noise_factor.shape == (3, 3)
    one = derive_limiting_sde(isotropic(parameters=(u, v))).lambdify().drift([2, 0.5])
    other = derive_limiting_sde(isotropic(parameters=(v, u))).lambdify().drift([0.5, 2])
    assert np.abs(one[0] - one[1]) > 0.1
    np.testing.assert_allclose(one, other[::-1], rtol=1e-13)


def test_noise_is_required():
    with pytest.raises(TypeError, match="noise"):
        Problem(loss=HYPERBOLA, parameters=(u, v))  # pyright: ignore[reportCallIssue]


def test_an_integer_is_an_expression():
    assert isotropic(loss=1).loss == sp.Integer(1)
    assert Problem(loss=HYPERBOLA, parameters=(u, v), noise=IsotropicNoise(3)).noise_factor == 3 * sp.eye(2)


def test_replacing_a_field_states_the_same_problem_again():
    problem = isotropic(domain=[v > 0], constants=(s,))
    assert replace(problem) == problem


# --- least squares -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("residuals", "loss"),
    [
        ([u * v - 1], (u * v - 1) ** 2 / 2),
        ([u * v - 1, u + v], (u * v - 1) ** 2 / 4 + (u + v) ** 2 / 4),
        ([u, u, v], u**2 / 3 + v**2 / 6),
    ],
    ids=str,
)
def test_least_squares(residuals, loss):
    problem = Problem.least_squares(residuals, parameters=(u, v), noise=IsotropicNoise(1))
    assert sp.expand(problem.loss - loss) == 0
    assert problem.residuals == tuple(residuals)


@pytest.mark.parametrize(
    "kind", [tuple, list, iter, lambda r: np.array(r, dtype=object)], ids=["tuple", "list", "iterator", "array"]
)
def test_kinds_of_residuals(kind):
    residuals = [u * v - 1, u + v]
    problem = Problem.least_squares(kind(residuals), parameters=(u, v), noise=LabelNoise(1))
    assert problem.residuals == tuple(residuals)


def test_least_squares_passes_the_rest_on():
    problem = Problem.least_squares(
        [u * v - s], parameters=(u, v), noise=LabelNoise(d), constants=(s, d), near={u: 1, v: 1}, manifold=[u * v - s]
    )
    assert problem.constants == (s, d)
    assert problem.near == {u: 1, v: 1}
    assert problem.manifold == (u * v - s,)


def test_residuals_and_their_loss_give_the_same_limit():
    residuals = [x * y - 1, y * z - 1]
    loss = sum(r**2 for r in residuals) / 4
    noise = sp.Matrix([[1, x], [y, 0], [z, 2]])
    by_residuals = Problem.least_squares(residuals, parameters=(x, y, z), noise=noise)
    by_loss = Problem(loss=loss, parameters=(x, y, z), noise=noise)
    points = [[2, 0.5, 2], [-0.8, -1.25, -0.8]]
    one, other = (derive_limiting_sde(p).lambdify() for p in (by_residuals, by_loss))
    assert np.abs(one.drift(points)).max() > 0.01
    for term in TERMS:
        np.testing.assert_allclose(one.term(term.name, points), other.term(term.name, points), rtol=1e-10, atol=1e-12)


# --- sample losses ---------------------------------------------------------------------------------------

LOSSES = [(u * v - 1) ** 2, (u * v + 1) ** 2, (u * v - 2) ** 2]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, (THIRD, THIRD, THIRD)),
        ([HALF, THIRD, sp.Rational(1, 6)], (HALF, THIRD, sp.Rational(1, 6))),
        ((Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)), (HALF, HALF / 2, HALF / 2)),
        (np.array([HALF, HALF / 2, HALF / 2], dtype=object), (HALF, HALF / 2, HALF / 2)),
    ],
    ids=["default", "SymPy", "fractions", "array"],
)
def test_weights(weights, expected):
    problem = Problem.from_sample_losses(LOSSES, parameters=(u, v), weights=weights)
    assert sp.expand(problem.loss - sum(p * loss for p, loss in zip(expected, LOSSES, strict=True))) == 0
    assert sum(problem.noise.weights) == 1
    # The definition: σ_ξ = √p_ξ (∇ℓ_ξ − ∇L), column by column.
    for p, loss, column in zip(expected, LOSSES, range(3), strict=True):
        sigma = [sp.sqrt(p) * sp.diff(loss - problem.loss, symbol) for symbol in (u, v)]
        difference = problem.noise_factor[:, column] - sp.Matrix(sigma)
        assert difference.applyfunc(sp.expand).is_zero_matrix


def test_the_noise_of_sample_losses_has_mean_zero():
    weights = [HALF, THIRD, sp.Rational(1, 6)]
    problem = Problem.from_sample_losses(LOSSES, parameters=(u, v), weights=weights)
    mean = problem.noise_factor * sp.Matrix([sp.sqrt(p) for p in weights])
    assert mean.applyfunc(sp.expand).is_zero_matrix


def test_a_repeated_sample_is_a_sample_of_twice_the_weight():
    twice = Problem.from_sample_losses([LOSSES[0], LOSSES[0], LOSSES[1]], parameters=(u, v))
    weighted = Problem.from_sample_losses(LOSSES[:2], parameters=(u, v), weights=[2 * THIRD, THIRD])
    assert sp.expand(twice.loss - weighted.loss) == 0
    assert covariance(twice) == covariance(weighted) != sp.zeros(2)


def test_sample_losses_have_one_noise():
    with pytest.raises(BadInput, match="noise"):
        Problem.from_sample_losses(LOSSES, parameters=(u, v), noise=IsotropicNoise(1))


# --- σ -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [sp.Matrix, sp.ImmutableMatrix, sp.SparseMatrix, GradientNoise], ids=lambda k: k.__name__
)
def test_a_matrix_is_its_own_factor(kind):
    entries = sp.Matrix([[1, u, HALF], [v, 0, u * v]])
    problem = Problem(loss=HYPERBOLA, parameters=(u, v), noise=kind(entries))
    assert isinstance(problem.noise, GradientNoise)
    assert problem.noise_factor == sp.ImmutableMatrix(entries)


def test_a_matrix_that_is_changed_later_changes_nothing():
    entries = sp.Matrix([[1, 0], [0, 1]])
    problem = Problem(loss=HYPERBOLA, parameters=(u, v), noise=entries)
    entries[0, 0] = 99
    assert problem.noise_factor == sp.eye(2)


@pytest.mark.parametrize("scale", [1, HALF, s, s * u + v], ids=str)
def test_isotropic_noise(scale):
    problem = Problem(loss=HYPERBOLA, parameters=(u, v), noise=IsotropicNoise(scale), constants=(s,))
    assert problem.noise_factor == sp.S(scale) * sp.eye(2)


def test_label_noise_off_the_manifold():
    """Σ = mean of (r_i² + δ²) g_i g_iᵀ − ∇L ∇Lᵀ: the labels' part, and that of drawing one sample of n."""
    residuals = [u * v - 1, u + v - 2]
    problem = Problem.least_squares(residuals, parameters=(u, v), noise=LabelNoise(d), constants=(d,))
    assert problem.noise_factor.shape == (2, 4)
    slopes = [sp.Matrix([r]).jacobian((u, v)).T for r in residuals]
    loss = sp.Matrix([problem.loss]).jacobian((u, v)).T
    expected = sum(((r**2 + d**2) * g * g.T for r, g in zip(residuals, slopes, strict=True)), sp.zeros(2)) / 2
    assert covariance(problem) == (expected - loss * loss.T).applyfunc(sp.expand)


def test_label_noise_on_the_manifold_is_the_hessian():
    problem = Problem.least_squares([x * y - 1, y * z - 2], parameters=(x, y, z), noise=LabelNoise(3))
    here = {x: HALF, y: 2, z: 1}
    assert covariance(problem).subs(here) == 9 * sp.hessian(problem.loss, (x, y, z)).subs(here)


# --- symbols and their assumptions -------------------------------------------------------------------------


def hyperbola_of(first, second, constant, **further):
    noise = sp.Matrix([[constant, first, 0], [second, 1, HALF]])
    return Problem(
        loss=(first * second - 1) ** 2 / 2, parameters=(first, second), noise=noise, constants=(constant,), **further
    )


ASSUMED = {
    name: sp.symbols("u v c", **given)
    for name, given in {"plain": {}, "real": {"real": True}, "finite": {"finite": True}}.items()
}


@pytest.mark.parametrize("kind", ["real", "finite"])
def test_real_and_plain_symbols_give_the_same_result_in_the_users_own(kind):
    plain, other = ASSUMED["plain"], ASSUMED[kind]
    one, two = derive_limiting_sde(hyperbola_of(*plain)), derive_limiting_sde(hyperbola_of(*other))
    renamed = dict(zip(plain, other, strict=True))
    point = dict(zip(other, (HALF, 2, 3), strict=True))
    for term in TERMS:
        first, second = getattr(one, term.name), getattr(two, term.name)
        assert first.free_symbols <= set(plain) and second.free_symbols <= set(other)
        assert not second.subs(point).free_symbols
        assert (first.xreplace(renamed) - second).subs(point).applyfunc(sp.nsimplify).is_zero_matrix
    assert one.drift.free_symbols == set(plain) and two.drift.free_symbols == set(other)
    assert [e.xreplace(renamed) for e in one.manifold.equations] == list(two.manifold.equations)


def test_positive_parameters_pick_a_component_and_simplify():
    """sqrt(u²) is u for positive u, and Γ is the branch in the positive quadrant."""
    p, q = sp.symbols("p q", positive=True)
    sde = derive_limiting_sde(isotropic((sp.sqrt(p**2) * q - 1) ** 2 / 2, (p, q)))
    assert [str(c) for c in sde.problem.conditions] == ["p > 0", "q > 0"]
    assert all(point[p] > 0 and point[q] > 0 for point in sde.derivation.points)
    plain = derive_limiting_sde(isotropic()).lambdify()
    np.testing.assert_allclose(sde.lambdify().drift([2, 0.5]), plain.drift([2, 0.5]), rtol=1e-12)
    with pytest.raises(ValueError, match="p > 0"):
        sde.lambdify().drift([-2, -0.5])


@pytest.mark.parametrize(
    ("assumption", "condition"),
    [
        ("positive", "q > 0"),
        ("negative", "q < 0"),
        ("nonnegative", "q >= 0"),
        ("nonpositive", "q <= 0"),
        ("nonzero", "Ne(q, 0)"),
    ],
)
def test_assumptions_are_conditions(assumption, condition):
    q = sp.Symbol("q", **{assumption: True})
    problem = isotropic((u * q - 1) ** 2 / 2 + 0 * v, (u, q))
    assert [str(c) for c in problem.conditions] == [condition]
    sign = -1 if assumption in ("negative", "nonpositive") else 1
    assert np.isfinite(derive_limiting_sde(problem).lambdify().drift([sign, sign])).all()


def test_a_positive_constant_is_used():
    """uv² − c = 0 with c > 0: without the assumption, c < 0 would be drawn as well."""
    c = sp.Symbol("c", positive=True)
    sde = derive_limiting_sde(isotropic((u**2 + v**2 - c) ** 2 / 4, constants=(c,)))
    assert all(point[c] > 0 for point in sde.derivation.points)
    x = np.array([3.0, 4.0])
    np.testing.assert_allclose(sde.lambdify().drift(x, c=25), -x / 50, rtol=1e-12)


# --- which part of Γ ------------------------------------------------------------------------------------------

CIRCLES = (x**2 + y**2 - 1) ** 2 * ((x - 6) ** 2 + y**2 - 4) ** 2


@pytest.mark.parametrize(
    ("near", "on_it", "radius"),
    [({x: 1, y: 0}, [0.6, -0.8], 1), ({x: 6, y: HALF}, [7.2, 1.6], 2), ({x: 4.5, y: -0.3}, [4, 0], 2)],
)
def test_near_names_a_component(near, on_it, radius):
    """Two circles of minimizers, of radius 1 and 2."""
    sde = derive_limiting_sde(isotropic(CIRCLES, (x, y), near=near))
    centre = 0 if radius == 1 else 6
    distances = [abs(float((p[x] - centre) ** 2 + p[y] ** 2) ** 0.5 - radius) for p in sde.derivation.points]
    assert max(distances) < 1e-12
    assert np.isfinite(sde.lambdify().drift(on_it)).all()


def test_near_takes_any_real_number():
    values = (1, 1.0, np.float64(1), Fraction(1), sp.Integer(1), sp.cos(0), sp.sqrt(2) / sp.sqrt(2))
    assert {isotropic(near={u: value, v: 1}).near[u] for value in values} == {1.0}


def test_near_may_name_constants():
    sde = derive_limiting_sde(isotropic((u * v - s) ** 2 / 2, near={u: 2, v: 3, s: 6}, constants=(s,)))
    values = [float(point[s]) for point in sde.derivation.points]
    assert values[0] == 6
    # The others are near, and not the same: what holds for s = 6 alone must not be taken for an identity.
    assert all(abs(value / 6 - 1) < 0.2 for value in values) and len(set(values)) > 1


@pytest.mark.parametrize("sign", [1, -1])
def test_domain_names_a_component(sign):
    sde = derive_limiting_sde(isotropic(domain=[sign * v > 0]))
    assert all(sign * point[v] > 0 for point in sde.derivation.points)
    f = sde.lambdify()
    assert np.isfinite(f.drift([sign * 2, sign * 0.5])).all()
    with pytest.raises(ValueError, match="v > 0 does not hold"):
        f.drift([-sign * 2, -sign * 0.5])


def test_a_condition_that_is_always_true_says_nothing():
    assert isotropic(domain=[sp.true, True]).domain == ()


def test_a_stated_manifold_changes_nothing_but_the_equations():
    equations = [u * v - 1]
    one, two = derive_limiting_sde(isotropic(manifold=equations)), derive_limiting_sde(isotropic())
    assert one.manifold.equations == tuple(equations)
    x = [[2, 0.5], [-1, -1]]
    for term in TERMS:
        np.testing.assert_allclose(
            one.lambdify().term(term.name, x), two.lambdify().term(term.name, x), rtol=1e-12, atol=1e-14
        )
