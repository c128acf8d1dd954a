"""R along arcs of a one-dimensional Γ, where it always exists: against the literal theorem, by SciPy's quadrature."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from theorem_literal import literal_terms
from working_precision import working_digits

from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde
from symbolic_sgd.errors import BadInput, NoRegularizerFormula, OffManifold

u, v, x, y, z, t = sp.symbols("u v x y z t")

BELL = Problem(
    loss=(y - sp.exp(-(x**2))) ** 2 / 2, parameters=(x, y), noise=sp.Matrix([sp.atan(x) + sp.Rational(1, 3), 1 + x**2])
)
"""R has no closed form."""

TRACK = Problem(
    loss=(x**2 + y**2 - 1) ** 2 / 8 + (2 + x) * z**2 / 2,
    parameters=(x, y, z),
    noise=sp.Matrix([[0, 0], [0, 0], [1, 1 + y]]),
)
"""The integral round the circle is not zero."""


def literal_regularizer(problem: Problem, curve: tuple[sp.Expr, ...], begin: float, end: float) -> float:
    """−∫⟨mixed + normal, dY⟩ along Y(t) by the literal theorem."""
    place, velocity = (sp.lambdify(t, e, "mpmath") for e in (list(curve), [sp.diff(c, t) for c in curve]))

    def rate(at: float) -> float:
        with working_digits(40):
            terms = literal_terms(problem.loss, problem.parameters, problem.noise_factor, place(mp.mpf(at)), digits=12)
            b = terms.mixed_regularization + terms.normal_regularization
            return float(mp.fsum(b[i] * a for i, a in enumerate(velocity(mp.mpf(at)))))

    return -quad(rate, begin, end, epsabs=1e-9, epsrel=1e-9, limit=20)[0]


def test_the_values_along_an_arc_are_the_literal_integral():
    arc = derive_limiting_sde(BELL).regularizer_along({x: 0, y: 1}, length=1)
    places = arc.points[:, 0]
    assert np.allclose(arc.points[:, 1], np.exp(-(places**2)), atol=1e-12)
    assert np.all(np.diff(places) * np.sign(places[-1] - places[0]) > 0) and np.all(np.diff(arc.lengths) > 0)
    assert arc.lengths[0] == pytest.approx(-1, abs=1e-2) and arc.lengths[-1] == pytest.approx(1, abs=1e-2)
    for k in (0, 9, len(places) - 1):
        assert arc.values[k] == pytest.approx(literal_regularizer(BELL, (t, sp.exp(-(t**2))), 0, places[k]), abs=1e-8)
    assert arc.errors.max() < 1e-8 and arc.values[arc.lengths == 0] == [0]


def test_a_document_says_that_it_exists_along_arcs(monkeypatch):
    def no_formula(derivation, effort):
        raise NoRegularizerFormula("no closed form of it was found")

    monkeypatch.setattr("symbolic_sgd.regularizer.regularizer.find_regularizer", no_formula)
    page = derive_limiting_sde(
        Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1))
    ).document()
    assert "along every arc of Γ" in page.splitlines()[0] and "Along every arc of it" in page
    assert "no closed form of it was found" in page


def test_round_a_closed_curve_the_values_do_not_come_back():
    sde = derive_limiting_sde(TRACK)
    arc = sde.regularizer_along({x: 1, y: 0, z: 0}, length=2 * np.pi)
    gain = np.interp(2 * np.pi, arc.lengths, arc.values)
    assert abs(gain) == pytest.approx(sde.regularizer_evidence.loop_integral, rel=1e-2)
    assert abs(arc.values[0] + gain) < 1e-2 * abs(gain)  # the same on the way back


def test_the_integral_in_a_chart():
    integral = derive_limiting_sde(BELL).in_chart((x,)).regularizer
    assert isinstance(integral, sp.Integral)
    gained, _ = quad(sp.lambdify(x, sp.diff(integral, x)), -0.25, 0.9)
    assert gained == pytest.approx(literal_regularizer(BELL, (t, sp.exp(-(t**2))), -0.25, 0.9), abs=1e-8)


def test_the_integral_in_a_chart_in_closed_form():
    circle = Problem(loss=(x**2 + y**2 - 1) ** 2 / 8, parameters=(x, y), noise=sp.diag(1, 2))
    found = derive_limiting_sde(circle).in_chart((t,), embedding={x: sp.cos(t), y: sp.sin(t)}).regularizer
    expected = -3 * sp.cos(t) ** 2 / 2  # R = −3x²/2
    assert sp.simplify(sp.diff(found - expected, t)) == 0


def test_an_arc_ends_where_gamma_does():
    problem = Problem(loss=(y - sp.log(x)) ** 2 / 2, parameters=(x, y), noise=IsotropicNoise(1))
    arc = derive_limiting_sde(problem).regularizer_along({x: 1, y: 0}, length=3)
    expected = np.log(1 + arc.points[:, 0] ** -2.0) / 4
    assert np.allclose(arc.values, expected - np.log(2) / 4, atol=1e-10) and arc.points[:, 0].min() > 0


@pytest.mark.parametrize(
    "point, length, kind, words",
    [
        ({u: 1, v: 2}, 1, OffManifold, "not on Γ"),
        ({u: 1}, 1, BadInput, "no value for v"),
        ({u: 1, v: 1}, -1, BadInput, "positive number"),
        ({u: 1, v: 1}, float("inf"), BadInput, "positive number"),
    ],
)
def test_what_is_no_point_or_no_length_is_refused(point, length, kind, words):
    sde = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1)))
    with pytest.raises(kind, match=words):
        sde.regularizer_along(point, length=length)


def test_a_surface_has_no_arc_of_its_own():
    sde = derive_limiting_sde(Problem(loss=(x - y * z) ** 2 / 2, parameters=(x, y, z), noise=IsotropicNoise(1)))
    with pytest.raises(BadInput, match="dimension 2"):
        sde.regularizer_along({x: 0, y: 0, z: 0})
    with pytest.raises(BadInput, match="one-dimensional charts"):
        _ = sde.in_chart().regularizer
