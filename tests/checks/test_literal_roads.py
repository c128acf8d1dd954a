"""The roads of `verify` that follow the theorem's own words: literal terms, the regularizer, guards, drawn noise, schemes."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from slips import four_ellipses
from theorem_literal import literal_terms
from working_precision import working_digits

from symbolic_sgd import (
    GradientNoise,
    IsotropicNoise,
    LabelNoise,
    LimitingSDE,
    Problem,
    derive_limiting_sde,
    verify,
)
from symbolic_sgd.checks import witness as witnesses
from symbolic_sgd.checks.by_sympy import BySymPy, precise
from symbolic_sgd.checks.closed_curve import closed_curve
from symbolic_sgd.checks.drawn_noise import DrawnNoise
from symbolic_sgd.checks.flow_road import SecondRoad
from symbolic_sgd.checks.fresh_points import ROOM, farthest, floats, room
from symbolic_sgd.checks.guarded_points import GuardedPoints
from symbolic_sgd.checks.literal import LiteralTheorem
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.checks.regularizer_road import RegularizerRoad
from symbolic_sgd.checks.scheme_orders import SchemeOrders, normal_moments
from symbolic_sgd.checks.singular_points import singular_points
from symbolic_sgd.checks.stationary_points import stationary_points
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import BadInput, Undecided
from symbolic_sgd.problems.noise import SamplingNoise
from symbolic_sgd.regularizer.regularizer import Regularizer

u, v, w, x, y, z, q = sp.symbols("u v w x y z q")
HYPERBOLA = (u * v - 1) ** 2 / 2
DENSE = sp.Matrix([[1 + u / 3, v / 2], [sp.S.Half, 1 - w / 3], [v / 4, 1]])
CIRCLE = (x**2 + y**2 - 1) ** 2 / 8
TRACK = CIRCLE + (2 + x) * z**2 / 2


def witness_of(problem: Problem, seed: int = 0, count: int = 2) -> Witness:
    return Witness.of(derive_limiting_sde(problem).derivation, np.random.default_rng(seed), count)


def the_check(sde: LimitingSDE, method, **further):
    [check] = verify(sde, checks=[method], **further).checks
    return check


def claiming(sde: LimitingSDE, regularizer: Regularizer) -> LimitingSDE:
    other = LimitingSDE(sde.derivation)
    vars(other)["_regularizers"] = [regularizer]
    return other


# --- the literal theorem ------------------------------------------------------------------------


def test_the_literal_terms_are_those_of_full_difference_tensors():
    """By eigenvectors and SymPy's derivatives, and by central differences of the loss alone."""
    loss = (u * v - 1) ** 2 / 2 + (v * w + u - 2) ** 2 / 2
    witness = witness_of(Problem(loss=loss, parameters=(u, v, w), noise=DENSE, near={u: 1, v: 1, w: 1}), count=1)
    [point] = witness.points
    found = witness.literal.terms(point)
    expected = literal_terms(
        loss, (u, v, w), DENSE, [mp.mpf(float(point[s])) for s in (u, v, w)], digits=12, codimension=2
    )
    in_floats = witness.literal.float_terms(floats((u, v, w), point))
    for name in ("tangent_projection", "hessian_pinv", "lyapunov_solution", "tangent_noise", "drift"):
        literal = np.array(getattr(expected, name).tolist(), dtype=float)
        np.testing.assert_allclose(np.array(getattr(found, name).tolist(), dtype=float), literal, atol=1e-12)
        np.testing.assert_allclose(getattr(in_floats, name).reshape(literal.shape), literal, atol=1e-12)


def test_derivatives_along_gamma_are_those_of_a_parametrisation():
    """On uv = 1 the field (x₀², x₀x₁) is (t², 1) at (t, 1/t): its derivative along (1, −1/t²) is (2t, 0)."""
    theorem = LiteralTheorem(BySymPy(Problem(loss=HYPERBOLA, parameters=(u, v), noise=sp.eye(2))), 1)
    with working_digits(60):
        point = {u: mp.mpf(2), v: mp.mpf(1) / 2}
        direction = mp.matrix([1, -mp.mpf(1) / 4])
        along = theorem.along(point, direction, lambda p: mp.matrix([p[u] ** 2, p[u] * p[v]]))
        assert mp.norm(along - mp.matrix([4, 0])) < mp.mpf("1e-25")


def test_beside_gamma_the_foot_is_found_and_far_from_it_refused():
    theorem = LiteralTheorem(BySymPy(Problem(loss=HYPERBOLA, parameters=(u, v), noise=sp.eye(2))), 1)
    foot = theorem.onto({u: 2.0, v: 0.51})
    assert abs(float(foot[u] * foot[v]) - 1) < 1e-15
    with pytest.raises(Undecided, match="does not lead onto Γ"):
        LiteralTheorem(BySymPy(Problem(loss=sp.exp(u) + v**2, parameters=(u, v), noise=sp.eye(2))), 1).onto(
            {u: 0, v: 1}
        )


@pytest.mark.parametrize(
    ("problem", "sigma"),
    [
        (
            Problem.least_squares([u * v - 1, u + v], parameters=(u, v), noise=LabelNoise(sp.Rational(1, 3))),
            lambda a, b: sum(
                (
                    np.outer(g, g) / 4
                    for r, slope in (((a * b - 1), np.array([b, a])), (a + b, np.array([1.0, 1.0])))
                    for s in (1 / 3, -1 / 3)
                    for g in [(r + s) * slope - ((a * b - 1) * np.array([b, a]) + (a + b) * np.array([1.0, 1.0])) / 2]
                ),
                np.zeros((2, 2)),
            ),
        ),
        (
            Problem.from_sample_losses(
                [u**2, u * v], parameters=(u, v), weights=[sp.Rational(1, 4), sp.Rational(3, 4)]
            ),
            lambda a, b: 3 / 16 * np.outer(np.array([2 * a - b, -a]), np.array([2 * a - b, -a])),
        ),
        (Problem(loss=HYPERBOLA, parameters=(u, v), noise=IsotropicNoise(3)), lambda a, b: 9 * np.eye(2)),
        (
            Problem(loss=HYPERBOLA, parameters=(u, v), noise=GradientNoise(sp.Matrix([u, 2]))),
            lambda a, b: np.array([[a * a, 2 * a], [2 * a, 4]]),
        ),
    ],
    ids=["labels", "samples", "isotropic", "stated"],
)
def test_the_literal_noise_has_the_covariance_worked_out_by_hand(problem, sigma):
    factor = precise(BySymPy(problem).noise, {u: mp.mpf(2), v: mp.mpf(-0.75)})["noise_factor"]
    found = np.array((factor * factor.T).tolist(), dtype=float)
    np.testing.assert_allclose(found, sigma(2.0, -0.75), atol=1e-14)


def test_a_noise_of_the_users_own_is_taken_at_its_word():
    class Shifted(SamplingNoise):
        pass

    problem = Problem.from_sample_losses([u**2, (u - v) ** 2], parameters=(u, v))
    own = Problem(loss=problem.loss, parameters=(u, v), noise=Shifted(problem.noise.losses, problem.noise.weights))
    point = {u: mp.mpf(1), v: mp.mpf(3)}
    by_columns, literal = (precise(BySymPy(p).noise, point)["noise_factor"] for p in (own, problem))
    assert mp.norm(by_columns - literal) < mp.mpf("1e-14")


# --- where it is looked -------------------------------------------------------------------------


def test_room_is_the_distance_to_a_crossing():
    """On v = 0, L = (uv)²/2 has the curvature u²: λ/|∂λ| = |u|/2, beside 1 + |u|."""
    derivation = derive_limiting_sde(Problem(loss=(u * v) ** 2 / 2, parameters=(u, v), noise=sp.eye(2))).derivation
    for place in (0.01, 0.1, 2.0):
        point = {u: mp.mpf(place), v: mp.mpf(0)}
        assert room(derivation, point) == pytest.approx(place / 2 / (1 + place), rel=1e-5)
    assert room(derivation, {u: mp.mpf(1), v: mp.mpf(1)}) == -1


CROSSING = {
    "three lines": (u * v * (u + v - 1)) ** 2 / 2,
    "three lines, expanded": sp.expand((u * v * (u + v - 1)) ** 2 / 2),
    "two circles": sp.expand((u**2 + v**2 - 1) * ((u - 1) ** 2 + v**2 - 1)) ** 2 / 2,
    "a parabola and a line": sp.expand((v - u**2) * (v - u - 2)) ** 2 / 2,
}


@pytest.mark.parametrize("name", CROSSING)
def test_where_components_cross_the_verdict_does_not_depend_on_the_seed(name):
    """Random points close to a crossing left the integrated flow undecided: three lines at seeds 0, 2, 7, 12 and 13."""
    sde = derive_limiting_sde(Problem(loss=CROSSING[name], parameters=(u, v), noise=sp.Matrix([[1, 2], [0, 1]])))
    for seed in range(6):
        assert verify(sde, checks=[SecondRoad(), GuardedPoints()], rng=seed).passed, seed
    for seed in range(6, 20):
        witness = Witness.of(sde.derivation, np.random.default_rng(seed), 2)
        assert all(room(sde.derivation, point) >= ROOM for point in witness.points)


def test_the_farthest_points_are_spread_over_scales():
    rows = np.array([[0.0, 1.0], [0.0, 1.1], [1000.0, 0.0], [1001.0, 0.0], [0.0, 30.0]])
    chosen = farthest(rows, np.array([[0.0, 0.0]]), 3)
    assert chosen.tolist() == [[1001.0, 0.0], [0.0, 30.0], [0.0, 1.1]]
    assert farthest(rows[:0], rows, 2).shape == (0, 2)


def test_stationary_points_are_told_apart():
    """uv = 1 and the saddle at the origin; the branch u < 0 lies outside the domain."""
    problem = Problem(loss=HYPERBOLA, parameters=(u, v), noise=sp.eye(2), domain=[u > 0])
    loss = BySymPy(problem).smooth_loss
    found = stationary_points(problem, loss, 1, np.array([[1.0, 1.0]]), np.random.default_rng(0))
    assert np.allclose(found.minimizers.prod(axis=1), 1) and (found.minimizers > 0).all()
    assert np.abs(found.minimizers).max() > 10
    saddles = np.linalg.norm(found.others, axis=1) < 1e-9
    assert saddles.any() and (~saddles).any() and (found.others[~saddles] < 0).all()


def test_points_next_to_a_crossing_are_nothing_certain():
    """∇²L vanishes at the origin of (uv)²/2: what Newton's method leaves of it there is rounding."""
    problem = Problem(loss=(u * v) ** 2 / 2, parameters=(u, v), noise=sp.eye(2))
    found = stationary_points(
        problem, BySymPy(problem).smooth_loss, 1, np.array([[1.0, 0.0]]), np.random.default_rng(1)
    )
    assert len(found.others) == 0
    assert np.abs(found.minimizers).max(axis=1).min() > 1e-7


def test_singular_points_lie_on_gamma_and_in_the_zeros_of_the_determinant():
    """The p-columns of ∇²L on p² + pq + q² = 1 are dependent where 2p + q = 0."""
    witness = witness_of(four_ellipses(), count=1)
    found = singular_points(witness.literal, witness.derivation.minor, witness.points)
    assert found
    for point in found:
        row = floats(witness.derivation.problem.symbols, point).reshape(4, 2)
        np.testing.assert_allclose((row**2).sum(axis=1) + row.prod(axis=1), 1, atol=1e-14)
        assert np.abs(2 * row[:, 0] + row[:, 1]).min() < 1e-15


# --- the regularizer ----------------------------------------------------------------------------


def two_neurons(noise):
    a, b, p, r = sp.symbols("a1 a2 w1 w2")
    residuals = [a * sp.Max(0, p) + b * sp.Max(0, r) - 1]
    return Problem.least_squares(residuals, parameters=(a, b, p, r), noise=noise, near={a: 1, p: 1, b: 1, r: -1})


@pytest.mark.parametrize("noise", [LabelNoise(1), IsotropicNoise(1)], ids=["labels", "isotropic"])
def test_relu_the_right_regularizer_passes_and_none_by_another_cell_does_not(noise):
    """`verify` passed where R was said not to exist, by a curl in a cell that the callables refuse.

    In the cell w₁ > 0 > w₂, R is (a₁² + w₁²)/4 for label noise, and its logarithm for isotropic noise.
    """
    sde = derive_limiting_sde(two_neurons(noise))
    a, b, p, r = sde.problem.parameters
    right = (a**2 + p**2) / 4 if isinstance(noise, LabelNoise) else sp.log(a**2 + p**2) / 4
    assert the_check(claiming(sde, Regularizer(right, "by hand")), RegularizerRoad()).verdict == "measured"
    point = {a: 1.2703, b: 0.871583, p: 0.449991, r: 0.491494}
    excluded = the_check(claiming(sde, Regularizer(None, "a curl", curl=0.13, where=point)), RegularizerRoad())
    assert excluded.verdict == "failed" and "callables refuse" in excluded.detail
    inside = {a: 1.0, b: 0.7, p: 1.0, r: -0.5}
    flat = the_check(claiming(sde, Regularizer(None, "a curl", curl=1e-9, where=inside)), RegularizerRoad())
    assert flat.verdict == "failed"


def test_the_integral_round_a_track_is_that_of_quadrature():
    """TRACK with noise (1, 1 + y) across: S = Σ_⊥/(2(2 + x)), b = −¼(1 + (1 + y)²)/(2 + x) ∂Φ e_x, hence
    ∮⟨b, dY⟩ = ∮ ¼(1 + (1 + sin t)²) sin t/(2 + cos t) dt, by the trapezoidal rule."""
    noise = sp.Matrix([[0, 0], [0, 0], [1, 1 + y]])
    theorem = LiteralTheorem(BySymPy(Problem(loss=TRACK, parameters=(x, y, z), noise=noise)), 2)
    t = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    expected = np.mean((1 + (1 + np.sin(t)) ** 2) / 4 * np.sin(t) / (2 + np.cos(t))) * 2 * np.pi
    curve = closed_curve(theorem, np.array([0.6, 0.8, 0.0]), np.zeros((0, 3)))
    assert abs(curve.integral) == pytest.approx(abs(expected), abs=1e-9)
    np.testing.assert_allclose(np.linalg.norm(curve.nodes[:, :2], axis=1), 1, atol=1e-9)
    with pytest.raises(Undecided, match="not seen to close"):
        closed_curve(
            LiteralTheorem(BySymPy(Problem(loss=HYPERBOLA, parameters=(u, v), noise=sp.eye(2))), 1),
            np.ones(2),
            np.zeros((0, 2)),
        )


@pytest.mark.parametrize(
    ("loss", "parameters", "noise"),
    [
        (TRACK, (x, y, z), sp.Matrix([[0, 0], [0, 0], [1, 1 + y]])),
        (TRACK, (x, y, z, q), sp.Matrix([[0, 0], [0, 0], [1, 1 + y], [0, 0]])),
        ((u * v + w**2 - 1) ** 2 / 2, (u, v, w), DENSE),
    ],
    ids=["a closed curve", "a curve cut out by a plane", "a curl"],
)
def test_that_there_is_none_is_confirmed_with_its_number(loss, parameters, noise):
    sde = derive_limiting_sde(Problem(loss=loss, parameters=parameters, noise=noise))
    assert sde.regularizer is None
    check = the_check(sde, RegularizerRoad())
    assert check.verdict == "measured" and "none" in check.name
    assert check.observed == pytest.approx(check.predicted, rel=1e-7)


def test_what_is_not_claimed_is_not_checked_and_this_is_said(monkeypatch):
    def undecided(derivation):
        raise Undecided("neither found nor excluded")

    noise = sp.Matrix([[1, u], [0, 2]])
    sde = derive_limiting_sde(Problem(loss=HYPERBOLA, parameters=(u, v), noise=noise))
    witness = Witness.of(sde.derivation, np.random.default_rng(0), 1, lambda: undecided(sde.derivation))
    [check] = RegularizerRoad()(witness, np.random.default_rng(0))
    assert check.verdict == "not run" and "neither found nor excluded" in check.detail
    small = the_check(sde, RegularizerRoad(operations=5))
    assert small.verdict == "not run" and "RegularizerRoad(operations=" in small.detail
    assert "regularizer_evidence" not in vars(sde)


def test_claims_that_cannot_be_followed_are_not_passed():
    sde = derive_limiting_sde(Problem(loss=HYPERBOLA, parameters=(u, v), noise=IsotropicNoise(1)))
    nowhere = the_check(claiming(sde, Regularizer(None, "said", curl=1.0)), RegularizerRoad())
    assert nowhere.verdict == "undecided" and "no place" in nowhere.detail
    foreign = the_check(claiming(sde, Regularizer(sde.regularizer + q, "said")), RegularizerRoad())
    assert foreign.verdict == "failed" and "q" in foreign.detail
    for constant in (
        sp.log(u - u),
        sp.I * sp.pi,
        sp.log(u) - sp.log(-u),
    ):  # zoo, iπ, and what is complex on both branches
        claim = Regularizer(sde.regularizer + constant, "said")
        assert the_check(claiming(sde, claim), RegularizerRoad()).verdict == "failed"


def test_the_search_is_made_once(monkeypatch):
    """`verify` looks at the regularizer that the user already has."""
    calls = []
    find = witnesses.find_regularizer
    monkeypatch.setattr(witnesses, "find_regularizer", lambda derivation: calls.append(1) or find(derivation))
    sde = derive_limiting_sde(Problem(loss=HYPERBOLA, parameters=(u, v), noise=sp.Matrix([[1, 2], [0, 1]])))
    expected = sde.regularizer
    assert the_check(sde, RegularizerRoad()).verdict == "measured"
    assert sde.regularizer is expected and not calls


# --- far away, the guard, what is drawn, schemes ------------------------------------------------


def test_formulas_are_looked_at_on_every_part_that_the_callables_accept():
    """Points from near and far: both branches of the hyperbola, over two decades."""
    witness = witness_of(Problem(loss=HYPERBOLA, parameters=(u, v), noise=IsotropicNoise(1), near={u: 1, v: 1}))
    rows = np.array([floats((u, v), point) for point in witness.elsewhere])
    assert (rows[:, 0] > 0).any() and (rows[:, 0] < 0).any() and np.abs(rows).max() > 10
    checks = LiteralRoad()(witness, np.random.default_rng(0))
    assert len(checks) == 8 and all(check.verdict == "measured" for check in checks)


def test_points_that_the_callables_should_accept_and_do_not_are_noticed():
    """Curvatures eight decades apart: every exact point of Γ was refused, and `verify` did not say so."""
    problem = Problem.least_squares([u * v - 1, (w - u) / 10**4], parameters=(u, v, w), noise=IsotropicNoise(1))
    sde = derive_limiting_sde(problem)
    accepted = next(c for c in verify(sde, checks=[GuardedPoints()]).checks if "of Γ accepted" in c.name)
    place = [float(sde.derivation.points[0][s]) for s in problem.parameters]
    try:
        sde.lambdify().drift(place)
        assert accepted.verdict == "measured"
    except ValueError:
        assert accepted.verdict == "failed" and "refused is x = " in accepted.detail


@pytest.mark.parametrize("size", range(6))
def test_few_outcomes_have_the_moments_of_normal_numbers(size):
    points, weights = normal_moments(size)
    moments = (1, 0, 1, 0, 3, 0)
    rng = np.random.default_rng(0)
    for _ in range(40 if size else 1):
        powers = rng.multinomial(int(rng.integers(0, 6)), np.full(size, 1 / size)) if size else np.zeros(0, int)
        seen = weights @ np.prod(points ** powers[:, None], axis=0)
        assert seen == pytest.approx(np.prod([moments[k] for k in powers]), abs=1e-12)


def test_schemes_and_noise_of_problems_with_constants_and_without_noise():
    s = sp.Symbol("s", positive=True)
    valley = Problem(loss=v * u**2 / 2, parameters=(u, v), noise=sp.Matrix([s, 0]), domain=[v > 0], constants=(s,))
    still = Problem.from_sample_losses([(u * v - 1) ** 2, (u * v - 1) ** 2 / 3], parameters=(u, v))
    for problem in (valley, still):
        checks = verify(derive_limiting_sde(problem), checks=[DrawnNoise(), SchemeOrders()]).checks
        assert {check.verdict for check in checks} == {"measured"}
        assert len(checks) == 6 + 2 * 4


def test_schemes_with_too_many_outcomes_are_not_run():
    sde = derive_limiting_sde(Problem(loss=CIRCLE, parameters=(x, y), noise=IsotropicNoise(1)))
    checks = verify(sde, checks=[SchemeOrders(outcomes=100)]).checks
    assert {c.verdict for c in checks if "Ninomiya" in c.name} == {"not run"}
    assert {c.verdict for c in checks if "Euler" in c.name} == {"measured"}


@pytest.mark.parametrize("make", [lambda: RegularizerRoad(operations=0), lambda: SchemeOrders(outcomes=0.5)])
def test_settings_of_no_use_are_refused(make):
    with pytest.raises(BadInput):
        make()
