"""Φ of every loss of the table: its kind, its integrals, and its numbers against two independent roads."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from known_limits import EXACT, KNOWN, KnownLimit
from latex_document import compiled_snippet, needs_tex
from literal_flow import LiteralFlow
from work import that_ends
from working_precision import working_digits

from symbolic_sgd import Problem, gradient_flow_limit
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.manifold.walk import wander
from symbolic_sgd.theorem.derivation import derive

ERROR = 1e-10
DIGITS = 40


@pytest.fixture(scope="module")
def found():
    """name → Φ."""
    return {}


def limit_of(known: KnownLimit, found: dict):
    if known.name not in found:
        with that_ends():
            found[known.name] = gradient_flow_limit(known.problem)
    return found[known.name]


each = pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)


@each
def test_kind_and_number_of_integrals(known, found):
    phi = limit_of(known, found)
    assert phi.kind in known.kinds
    assert len(phi.first_integrals) == known.found
    assert phi.limit.dimension == known.needed
    assert f"{known.found} of {known.needed}" in phi.explain()
    assert (phi.expression is not None) == (phi.kind == "explicit")
    assert (len(phi.equations) == len(phi.image_symbols) == known.problem.dimension) == (phi.kind == "implicit")


@each
def test_integrals_are_conserved(known, found):
    """∇I·∇L at random points, by SymPy's derivatives, to 40 digits."""
    phi = limit_of(known, found)
    parameters = known.problem.parameters
    constants = {s: sp.Rational(str((known.constants or {})[s.name])) for s in known.problem.constants}
    rng = np.random.default_rng(5)
    for integral in phi.first_integrals:
        rate = [sp.diff(_real(integral), s) * sp.diff(_real(known.problem.loss), s) for s in map(_real, parameters)]
        point = {_real(s): sp.Float(str(a), 60) for s, a in zip(parameters, known.starts(rng, 1)[0], strict=True)}
        values = [term.subs({_real(s): v for s, v in constants.items()}).evalf(50, subs=point) for term in rate]
        assert abs(sum(values)) <= sp.Float(10) ** -DIGITS * (sum(abs(v) for v in values) or 1)


def _real(expression):
    return expression.xreplace(
        {s: sp.Symbol(s.name, real=True, positive=s.is_positive) for s in expression.free_symbols}
    )


def largest_error(known: KnownLimit, phi, starts: np.ndarray) -> float:
    """Relative to 1 + |Φ|, against the literal flow."""
    flow = LiteralFlow(known.loss, known.problem.parameters, phi.limit.codimension)
    limits = phi(starts, **(known.constants or {}))
    literal = np.array([flow.limit(x) for x in starts], dtype=float)
    return float((np.abs(limits - literal).max(axis=1) / (1 + np.abs(literal).max(axis=1))).max())


@each
def test_numbers_against_the_literal_flow(known, found):
    phi = limit_of(known, found)
    assert largest_error(known, phi, known.starts(np.random.default_rng(1), 3)) <= ERROR


@pytest.mark.parametrize("known", [k for k in KNOWN if k.formula], ids=lambda known: known.name)
def test_numbers_and_formula_against_hand_derivation(known, found):
    phi = limit_of(known, found)
    starts = known.starts(np.random.default_rng(2), 50)
    np.testing.assert_allclose(phi(starts), known.formula(starts), atol=1e-12, rtol=1e-12)
    for x in starts[:5]:
        point = {s: sp.Float(float(a), 30) for s, a in zip(known.problem.parameters, x, strict=True)}
        value = [complex(e.evalf(20, subs=point)) for e in phi.expression]
        np.testing.assert_allclose(value, known.formula(x[None])[0], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("known", [k for k in KNOWN if k.kinds != ("numeric",)], ids=lambda known: known.name)
def test_equations_and_derivatives_off_the_manifold(known, found):
    """The closed-form ∂Φ and ∂²Φ[B] against the variational equations; an implicit Φ satisfies its equations."""
    phi = limit_of(known, found)
    constants = known.constants or {}
    starts = known.starts(np.random.default_rng(3), 3)
    d = known.problem.dimension
    b = np.random.default_rng(4).standard_normal((3, d, d))
    numeric = type(phi)(_without_form(phi.limit))
    np.testing.assert_allclose(
        phi.jacobian_at(starts, **constants), numeric.jacobian_at(starts, **constants), atol=2e-9
    )
    second, other = (f.second_derivative_at(starts, b, **constants) for f in (phi, numeric))
    np.testing.assert_allclose(second, other, atol=1e-7 * (1 + np.abs(other).max()))
    if phi.kind == "implicit":
        values = phi(starts, **constants)
        for x, y in zip(starts, values, strict=True):
            if abs(known.loss.subs(dict(zip(known.problem.parameters, y, strict=True)))) > 1e-9:
                continue  # another part of Γ: local minimizers that are no zeros of the loss
            point = dict(zip((*known.problem.parameters, *phi.image_symbols), (*x, *y), strict=True))
            point |= {s: constants[s.name] for s in known.problem.constants}
            assert all(abs(complex(e.evalf(subs=point))) < 1e-9 for e in phi.equations)


def _without_form(limit):
    return type(limit)(**{**vars(limit), "form": None})


def second_road_error(known: KnownLimit, phi, count: int) -> mpmath.mpf:
    """|½∂²Φ[Σ] − drift| relative to the drift's natural size, at random points of Γ, for a dense σ that depends on x."""
    d, x = known.problem.dimension, known.problem.parameters
    entry = lambda i, j: sp.Rational((5 * i + 3 * j) % 11 - 5, 4) + sp.Rational((i + 2 * j) % 5 - 2, 3) * x[(i + j) % d]  # noqa: E731
    noisy = Problem(
        loss=known.problem.loss,
        parameters=x,
        noise=sp.Matrix(d, d + 1, entry),
        domain=known.problem.domain,
        constants=known.problem.constants,
    )
    derivation, form = derive(noisy), phi.limit.form
    worst = mpmath.mpf(0)
    for point in wander(noisy, derivation.codimension, derivation.points, np.random.default_rng(7), count):
        with working_digits(60):
            drift = derivation.program.run(PRECISE, point)["drift"]
            factor = derivation.blocks.run(PRECISE, point)["noise_factor"]
            sigma = mpmath.matrix([factor[i * (d + 1) : (i + 1) * (d + 1)] for i in range(d)])
            covariance = sigma * sigma.T
            known_values = dict(point)
            known_values |= {y: point[s] for y, s in zip(phi.image_symbols, x, strict=False)}
            symbols = form.derivatives.directions
            known_values |= {symbols[i, j]: covariance[i, j] for i in range(d) for j in range(i, d)}
            second = form.derivatives.second.run(PRECISE, known_values)["second_derivative"]
            size = max(*map(abs, drift), sum(covariance[i, i] for i in range(d)) / (1 + max(abs(point[s]) for s in x)))
            worst = max(worst, max(abs(a / 2 - b) for a, b in zip(second, drift, strict=True)) / size)
    return worst


@pytest.mark.parametrize("known", [k for k in KNOWN if set(k.kinds) & set(EXACT)], ids=lambda known: known.name)
def test_second_derivative_is_the_drift_to_forty_digits(known, found):
    phi = limit_of(known, found)
    assert second_road_error(known, phi, 2) <= mpmath.mpf(10) ** -DIGITS


@needs_tex
def test_latex_of_every_known_limit_compiles(found, tmp_path):
    done = compiled_snippet("\n\n".join(limit_of(known, found).latex() for known in KNOWN), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.campaign
def test_the_whole_table(found, sampled):
    """200 starts and 20 points of Γ a loss; prints the table."""
    print(f"\n{'loss':<30}{'kind':<10}{'integrals':>10}{'error':>10}{'½∂²Φ[Σ] − drift':>18}")
    for known in sampled(KNOWN):
        phi = limit_of(known, found)
        error = largest_error(known, phi, known.starts(np.random.default_rng(1), 200))
        second = second_road_error(known, phi, 20) if phi.kind != "numeric" else None
        print(
            f"{known.name:<30}{phi.kind:<10}{f'{known.found}/{known.needed}':>10}{error:>10.1e}"
            f"{'' if second is None else mpmath.nstr(second, 2):>18}"
        )
        assert error <= ERROR and phi.kind in known.kinds
        assert second is None or second <= mpmath.mpf(10) ** -DIGITS
