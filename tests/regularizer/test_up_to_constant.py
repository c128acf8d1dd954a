"""What only adds a constant to R is left out, and R is written as a person would."""

import pytest
import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.as_read import ReadersText
from symbolic_sgd.regularizer.up_to_constant import up_to_constant

u, v, k = sp.symbols("u v k")
s = sp.Symbol("s", positive=True)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (u**2 / 4 + 3 + k, u**2 / 4),
        (s**2 * sp.log(u**2 / 2 + v / 2) / 4, s**2 * sp.log(u**2 + v) / 4),
        (sp.log(9 * (u**2 / 4 + v) * u**2), sp.log((u**2 + 4 * v) * u**2)),
        (sp.log(-3 * u), sp.log(-u)),
        (sp.log(10 / (u**2 + v**2)), -sp.log(u**2 + v**2)),
        (sp.log(sp.Abs(2 * u - 4 * v)) + sp.log(7), sp.log(sp.Abs(u - 2 * v))),
        (3 * (sp.log(2 * u) + 1 + v), 3 * (sp.log(u) + v)),
        (u * sp.log(2 * v), u * sp.log(2 * v)),
        (sp.log(k * u), sp.log(k * u)),
    ],
)
def test_what_is_kept(given, kept):
    found = up_to_constant(given, {u, v})
    assert found == kept
    assert all(sp.simplify(sp.diff(found - given, x)) == 0 for x in (u, v))


def test_what_is_printed():
    a1, a2, b1, b2, c1, c2 = parameters = sp.symbols("a1 a2 b1 b2 c1 c2")
    residuals = [
        (a1 * b1 + a2 * b2) * z + (a1 * c1 + a2 * c2) * w - (z + 2 * w) for z, w in ((1, 0), (0, 1), (1, 1), (1, -1))
    ]
    problem = Problem.least_squares(residuals, parameters=parameters, noise=IsotropicNoise(1))
    found = derive_limiting_sde(problem).regularizer
    assert ReadersText().written(found) == (
        "log((a1**2 + a2**2 + b1**2 + b2**2)*(a1**2 + a2**2 + c1**2 + c2**2) - (b1*c1 + b2*c2)**2)/4"
    )


def test_a_network_of_swish_is_a_sum_of_squares_of_factored_entries():
    a, w = sp.symbols("a w")
    swish = lambda z: z / (1 + sp.exp(-z))  # noqa: E731
    residuals = [a * swish(w) + k * swish(u) - 1, a * swish(2 * w) + k * swish(2 * u) - sp.Rational(3, 2)]
    problem = Problem.least_squares(residuals, parameters=(a, w, k, u), noise=LabelNoise(1))
    found = derive_limiting_sde(problem).regularizer
    assert sp.count_ops(found) < 150
    trace = sum(sp.diff(r, x) ** 2 for r in residuals for x in (a, w, k, u)) / 8
    at = {a: 2, w: sp.Rational(1, 3), k: -1, u: sp.Rational(3, 4)}
    assert abs((found - trace).subs(at).evalf(30)) < 1e-25


def test_rank_one_factorisation_has_the_determinant_of_a_paper():
    """The eigenvalues of ∇²L are |u|² + |v|² once, |u|² for every further v_j, and |v|² for every further u_i, times 1/6."""
    us, vs = sp.symbols("u1 u2"), sp.symbols("v1 v2 v3")
    residuals = [a * b - (i + 1) * (j + 1) for i, a in enumerate(us) for j, b in enumerate(vs)]
    problem = Problem.least_squares(residuals, parameters=(*us, *vs), noise=IsotropicNoise(1))
    p, q = sum(a**2 for a in us), sum(b**2 for b in vs)
    difference = derive_limiting_sde(problem).regularizer - sp.log(p**2 * q * (p + q)) / 4
    values = [
        difference.subs({**{a: (i + 1) * t for i, a in enumerate(us)}, **{b: (j + 1) / t for j, b in enumerate(vs)}})
        for t in (sp.Integer(1), sp.Rational(7, 3))
    ]
    assert abs((values[0] - values[1]).evalf(30)) < 1e-25
    assert sp.count_ops(difference) < 60
