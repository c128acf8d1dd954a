"""Certificates of global minima: granted only where R has no lower value, with a gap that is proved; and refused at spurious ends."""

from functools import cache

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import minimize

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.attractors import certificates
from symbolic_sgd.errors import BadInput, NotDeterministic, OffManifold

u, v, w = sp.symbols("u v w")
x = sp.symbols("x1:4")
LEFT, RIGHT = sp.Matrix(4, 2, sp.symbols("u1:9")), sp.Matrix(4, 2, sp.symbols("v1:9"))


def sde_of(residuals, parameters, **further):
    return derive_limiting_sde(Problem.least_squares(residuals, parameters=parameters, noise=LabelNoise(1), **further))


@cache
def sensing():
    """f_i = ⟨A_i, UVᵀ⟩ − y_i, nine of them, 4×4 matrices of rank 2: (A, the SDE, its fixed points)."""
    rng = np.random.default_rng(1)
    data, residuals = [], []
    for _ in range(9):
        a = rng.integers(-2, 3, 16).reshape(4, 4)
        data.append(a)
        residuals.append(sp.expand((sp.Matrix(a).T * LEFT * RIGHT.T).trace()) - int(rng.integers(-3, 4)))
    sde = sde_of(residuals, (*LEFT, *RIGHT))
    return np.array(data), sde, sde.attractors(starts=32, rng=2)


def test_a_certified_and_a_spurious_minimum_of_matrix_sensing():
    _, sde, points = sensing()
    stable = points.stable
    verdicts = {round(float(p.regularizer), 9): sde.optimality(p) for p in stable}
    assert len(verdicts) > 1
    (lowest, best), *others = sorted(verdicts.items())
    assert best.verdict == "global minimum" and 0 < float(best.gap) < 1e-30 and abs(best.dual_norm - 1) < 1e-9
    for height, spurious in others:
        assert height > lowest + 0.1
        assert spurious.verdict == "stable but not certified" and spurious.gap is None and spurious.dual_norm > 1.1
        assert "not bounded below" in spurious.reason


def test_the_dual_norm_is_that_of_the_literature():
    """‖C^{−1/2}A(λ)B^{−1/2}‖ with C = ΣA_iA_iᵀ, B = ΣA_iᵀA_i; with R = (1/4n) Σ(‖A_iV‖² + ‖A_iᵀU‖²), ∇²R has C/2n and B/2n."""
    data, sde, points = sensing()
    c, b = np.einsum("iab,icb->ac", data, data), np.einsum("iab,iac->bc", data, data)
    half = lambda m: np.linalg.inv(np.linalg.cholesky(m))  # noqa: E731
    for point in points.stable:
        found = sde.optimality(point)
        pull = np.einsum("i,iab->ab", np.array(found.multipliers, dtype=float), data) * 2 * len(data)
        norm = np.linalg.norm(half(c) @ pull @ half(b).T, 2)
        assert abs(found.dual_norm - norm) < 1e-8 * norm


def test_nothing_on_gamma_is_lower_than_a_certified_minimum():
    """Descents of R plus a penalty of f, from many starts, end higher, or at it."""
    _, sde, points = sensing()
    best = sde.optimality(points[0])
    assert best.verdict == "global minimum"
    symbols = sde.problem.parameters
    height = sp.lambdify([symbols], sde.regularizer)
    levels = sp.lambdify([symbols], list(sde.problem.residuals))
    rng = np.random.default_rng(4)
    for _ in range(4):
        penalised = lambda y: height(y) + 1e4 * np.sum(np.square(levels(y)))  # noqa: E731
        end = minimize(
            penalised, rng.normal(size=len(symbols)), method="L-BFGS-B", options={"maxiter": 400, "maxfun": 20000}
        ).x
        assert height(end) > float(best.regularizer) - 0.05


def test_exact_points_are_certified_exactly():
    sde = sde_of([u * v + w**2 - 2], (u, v, w))
    root = sp.sqrt(2)
    best = sde.optimality({u: root, v: root, w: 0})
    assert (best.verdict, best.gap, best.regularizer, best.multipliers) == (
        "global minimum",
        0,
        1,
        (sp.Rational(1, 2),),
    )
    assert best.eigenvalues == (-1, -1)
    saddle = sde.optimality({u: 0, v: 0, w: root})
    assert saddle.verdict == "unstable" and saddle.gap is None and abs(saddle.dual_norm - 2) < 1e-12


def test_the_overparametrised_linear_model():
    p, q = sp.symbols("p1:4"), sp.symbols("q1:4")
    rows, values = [(1, 2, 0), (0, 1, 1)], (1, 1)
    residuals = [
        sum(c * (s**2 - t**2) for c, s, t in zip(r, p, q, strict=True)) - y for r, y in zip(rows, values, strict=True)
    ]
    sde = sde_of(residuals, (*p, *q))
    verdicts = {(o.verdict, o.gap) for o in map(sde.optimality, sde.attractors().stable)}
    assert verdicts == {("global minimum", 0)}
    # R is a weighted ℓ1 norm of u² − v²: the linear programme has the same value.
    assert {point.regularizer for point in sde.attractors().stable} == {1}


def test_a_spurious_minimum_of_two_quadrics():
    sde = sde_of([x[0] ** 2 + 2 * x[0] * x[1] + 3 * x[2] ** 2 - 2, x[1] ** 2 - x[0] * x[2] + x[2] ** 2 - 1], x)
    points = sde.attractors()
    assert points.complete
    heights = sorted({round(float(p.regularizer), 9) for p in points.stable})
    assert len(heights) == 2
    for point in points.stable:
        lowest = round(float(point.regularizer), 9) == heights[0]
        assert sde.optimality(point).verdict == ("global minimum" if lowest else "stable but not certified")


def test_phase_retrieval_has_a_constant_regularizer():
    """∇f_i = 2⟨a_i, x⟩a_i has one length on Γ: R is constant, and every point is a minimum."""
    sde = sde_of([(x[0] + x[1] + x[2]) ** 2 - 1, (x[0] - 2 * x[1] + 3 * x[2]) ** 2 - 4], x)
    found = sde.optimality({x[0]: sp.Rational(4, 3), x[1]: sp.Rational(-1, 3), x[2]: 0})
    assert found.verdict == "global minimum" and found.gap == 0


def test_quadratic_measurements():
    """xᵀA_ix = y_i for matrices that are not of rank one."""
    sde = sde_of([x[0] ** 2 + x[1] ** 2 + 2 * x[2] ** 2 - 1, x[0] * x[1] - sp.Rational(1, 4)], x)
    points = sde.attractors()
    assert points.complete and len(points.stable)
    lowest = min(float(p.regularizer) for p in points)
    for point in points.stable:
        found = sde.optimality(point)
        if found.verdict == "global minimum":
            assert abs(float(point.regularizer) - lowest) < 1e-12
    assert any(sde.optimality(p).verdict == "global minimum" for p in points.stable)


def test_matrix_factorisation_with_dependent_gradients():
    a, b = sp.Matrix(sp.symbols("a1:3")), sp.Matrix(sp.symbols("b1:3"))
    sde = sde_of(list(a * b.T - sp.Matrix([[1, 2], [2, 4]])), (*a, *b))
    for point in sde.attractors():
        found = sde.optimality(point)
        assert found.verdict == "global minimum" and len(found.multipliers) == 4 and abs(found.dual_norm - 1) < 1e-12


def test_a_geometric_program():
    sde = sde_of([u**2 * v - 1], (u, v))
    (left, right) = sde.attractors()
    assert {sde.optimality(p).verdict for p in (left, right)} == {"global minimum"}
    assert "logarithms" in sde.optimality(left).reason
    # A sum of two monomials is none: there it is not said.
    curve = sde_of([u**2 * v + v**3 - 1], (u, v))
    assert {curve.optimality(p).verdict for p in curve.attractors().stable} == {"stable but not certified"}


def test_exact_points_of_functions_that_are_no_polynomials():
    """v = e^{−(u−5)²}: R has one minimum, and nothing here proves that it is the lowest."""
    sde = sde_of([v - sp.exp(-((u - 5) ** 2))], (u, v))
    found = sde.optimality({u: 5, v: 1})
    assert found.verdict == "stable but not certified" and found.dual_norm is None and float(found.multipliers[0]) == 0
    assert abs(found.eigenvalues[0] + 2) < 1e-12
    side = sde.optimality({u: 5 + 1 / sp.sqrt(2), v: sp.exp(-sp.Rational(1, 2))})
    assert side.verdict == "unstable"


def test_numbers_that_are_not_algebraic():
    """A parameter that nothing depends on may have any value."""
    sde = sde_of([u * v - 1], (u, v, w))
    found = sde.optimality({u: 1, v: 1, w: sp.pi})
    assert found.verdict == "global minimum" and float(found.gap) < 1e-30


def test_a_point_beside_a_fixed_point_is_judged_by_it():
    sde = sde_of([u * v - 1], (u, v))
    near = sde.optimality([1.0001, 1 / 1.0001])
    assert near.verdict == "global minimum" and 0 < near.distance < 1e-3 and "from the point given" in near.reason
    assert 0 < float(near.gap) < 1e-30 and abs(float(near.point[u]) - 1) < 1e-15
    off = sde.optimality({u: 2, v: sp.Rational(1, 2)})
    assert off.verdict == "not a fixed point" and off.gap is None and off.regularizer == sp.Rational(17, 16)


def test_a_gap_holds_for_every_point_of_gamma():
    """The bound of the dual is below R at points of Γ, and not below it by more than the gap at the minimum."""
    sde = sde_of([u * v + w**2 - 2], (u, v, w))
    found = sde.optimality([np.sqrt(2), np.sqrt(2), 0.0])
    low = found.regularizer - found.gap
    rng = np.random.default_rng(6)
    for a, c in rng.normal(size=(50, 2)):
        b = (2 - c**2) / a
        assert (a**2 + b**2) / 4 + c**2 >= float(low) - 1e-15
    assert sp.Float(low, 50) <= 1


def test_multipliers_that_are_too_large_give_no_bound():
    quadratic = certificates.QuadraticProblem(
        certificates.Quadratic.of((u**2 + v**2) / 4, (u, v)), (certificates.Quadratic.of(u * v - 1, (u, v)),)
    )
    bound = certificates.rounded_bound
    assert bound(quadratic, [sp.Rational(1, 2)]) is not None
    assert bound(quadratic, [sp.Rational(51, 100)]) is None
    assert certificates.exact_bound(quadratic, [sp.Rational(1, 2)]).value == sp.Rational(1, 2)
    assert certificates.exact_bound(quadratic, [sp.Rational(1, 4)]).value == sp.Rational(1, 4)
    assert certificates.exact_bound(quadratic, [sp.sqrt(2)]) is None


def test_linear_parts_are_minimised_exactly():
    """min over x of ½·2x² + 3x + 1 is −5/4; without a curvature there is none."""
    (t,) = sp.symbols("t,")
    q = certificates.QuadraticProblem(certificates.Quadratic.of(t**2 + 3 * t + 1, (t,)), ())
    assert certificates.exact_bound(q, []).value == sp.Rational(-5, 4)
    line = certificates.QuadraticProblem(certificates.Quadratic.of(3 * t + 1, (t,)), ())
    assert certificates.exact_bound(line, []) is None
    flat = certificates.QuadraticProblem(certificates.Quadratic.of(sp.Integer(2), (t,)), ())
    assert certificates.exact_bound(flat, []).value == 2


def test_what_is_refused():
    sde = sde_of([u * v - 1], (u, v))
    with pytest.raises(OffManifold):
        sde.optimality({u: 1, v: 2})
    with pytest.raises(BadInput, match="no value for v"):
        sde.optimality({u: 1})
    with pytest.raises(BadInput, match="give a dict from the 2 parameters"):
        sde.optimality([1, 2, 3])
    with pytest.raises(BadInput, match="not a finite real number"):
        sde.optimality([1, float("nan")])
    noisy = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1)))
    with pytest.raises(NotDeterministic):
        noisy.optimality([1, 1])


def test_how_it_is_shown():
    sde = sde_of([u * v - 1], (u, v))
    found = sde.optimality({u: 1, v: 1})
    assert str(found).startswith("global minimum: R = 1/2 at u = 1, v = 1; it is the least value of R on Γ")
    assert "global minimum" in found._repr_html_() and "<table>" in found._repr_html_()
