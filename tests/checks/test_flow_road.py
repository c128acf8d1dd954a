"""The second road of `verify`: the integrated flow and its derivatives confirm the theorem, and reject what is wrong."""

from fractions import Fraction

import pytest
import sympy as sp
from scaled_terms import mutant

from symbolic_sgd import Problem, derive_limiting_sde, verify
from symbolic_sgd.checks.flow_road import OFF_MANIFOLD, ON_MANIFOLD, TOLERANCE, SecondRoad
from symbolic_sgd.checks.identities import Identities
from symbolic_sgd.checks.one_step import OneStep

u, v, w, z = sp.symbols("u v w z")
DENSE = sp.Matrix(2, 2, [sp.Rational(1, 3), 1, sp.Rational(1, 3), sp.Rational(4, 3)])


def second_road(certificate, name=""):
    return [check for check in certificate.checks if check.name.startswith(f"second road: {name}")]


@pytest.fixture(scope="module")
def hyperbola():
    return derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=DENSE))


def test_every_statement_is_confirmed_far_below_the_tolerance(hyperbola):
    checks = second_road(verify(hyperbola, checks=[SecondRoad()]))
    assert len(checks) == 2 * len(ON_MANIFOLD + OFF_MANIFOLD)
    assert all(check.verdict == "measured" for check in checks)
    assert max(check.error for check in checks) <= TOLERANCE / 100


@pytest.mark.parametrize(
    "term", ["tangent_noise_compensation", "mixed_regularization", "normal_regularization", "drift"]
)
@pytest.mark.parametrize("factor", [Fraction(-1), Fraction(1, 2), Fraction(1000001, 1000000)], ids=str)
def test_a_wrong_term_is_rejected(hyperbola, term, factor):
    checks = second_road(verify(mutant(hyperbola, **{term: factor}), checks=[SecondRoad()]), "½∂²Φ")
    assert any(check.verdict == "failed" for check in checks)


def test_a_wrong_projection_is_rejected(hyperbola):
    checks = second_road(
        verify(mutant(hyperbola, tangent_projection=Fraction(1000001, 1000000)), checks=[SecondRoad()]),
        "∂Φ = I − ∇²L ∇²L†",
    )
    assert [check.verdict for check in checks] == ["failed", "failed"]


def test_a_small_drift_is_not_excused():
    """Γ is nearly straight: the drift is 10⁻⁹ of tr Σ, and doubled it is still wrong."""
    sde = derive_limiting_sde(Problem(loss=(v + sp.Rational(1, 10**9) * u**2) ** 2 / 2, parameters=(u, v), noise=DENSE))
    assert verify(sde, checks=[Identities(), SecondRoad(), OneStep()]).passed
    assert not verify(mutant(sde, tangent_noise_compensation=Fraction(2)), checks=[SecondRoad()]).passed


@pytest.mark.campaign
def test_what_float64_cannot_see_is_measured_to_many_digits():
    """Curvatures eight decades apart: in float64 the integrated ∂²Φ had seven digits, which neither confirmed nor rejected."""
    noise = sp.Matrix(4, 4, lambda i, j: sp.Rational((5 * i + 3 * j) % 11 - 5, 4))
    loss = 10**8 * (u * v - 1) ** 2 / 2 + (w - u * z) ** 2 / 2
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w, z), noise=noise))
    certificate = verify(sde, checks=[SecondRoad()])
    assert {check.verdict for check in second_road(certificate)} == {"measured"}
    assert certificate.passed


def test_stiff_problems_are_certified():
    """Curvatures five decades apart, which an explicit integrator would not follow."""
    noise = sp.Matrix(4, 4, lambda i, j: sp.Rational((5 * i + 3 * j) % 11 - 5, 4))
    loss = 10**5 * (u * v - 1) ** 2 / 2 + (w - u * z) ** 2 / 2
    assert verify(derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w, z), noise=noise))).passed
