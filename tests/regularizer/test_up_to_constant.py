"""What only adds a constant to R is left out, and R is written as a person would."""

import pytest
import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.as_read import ReadersText
from symbolic_sgd.regularizer.over_residuals import traces_over_residuals
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


SCALED = [{u: u, v: -v}]
"""uv = const."""


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (sp.log(u**2 * v**2 * (u**2 + v**2)), sp.log(u**2 + v**2)),
        (sp.log(u**3 * v * (u**2 + v**2)), sp.log(u**2 * (u**2 + v**2))),
        (sp.log(u * v * (u**2 + v**2)), sp.log(u**2 + v**2)),
        (sp.log(u**60 * v**58 * (u**2 + v**2)), sp.log(u**2 * (u**2 + v**2))),  # too many products to look at each
        (sp.log(u * v * (u + v)), sp.log(u * v * (u + v))),  # uv < 0 where u + v < 0
        (sp.log(sp.Abs(u * v * (u + v))), sp.log(sp.Abs(u + v))),
        (sp.log(u**2 * (u**2 + v**2)), sp.log(u**2 * (u**2 + v**2))),
        (sp.log((u**2 + v**2) / (u**2 * v**2)), sp.log((u**2 + v**2) / (u**2 * v**2))),
        (u * v + u**2, u**2),
        (s**2 * sp.log(u**2 * v**2), 0),
        (sp.atan(u * v) + u, sp.atan(u * v) + u),
    ],
)
def test_what_is_constant_on_an_orbit(given, kept):
    found = up_to_constant(given, {u, v}, SCALED)
    assert sp.simplify(found - kept) == 0
    starts = {u: sp.Rational(3, 2), v: sp.Rational(2, 7), s: 2}, {u: 3, v: sp.Rational(1, 7), s: 2}  # uv is the same
    changes = [(found - given).subs(at) for at in starts]
    assert abs(sp.N(changes[0] - changes[1])) < 1e-12


def test_a_weight_may_be_a_constant_of_the_problem():
    """(u, v) ↦ (e^{kt}u, e^{-t}v) keeps uvᵏ, and no product of integer powers but 1."""
    assert up_to_constant(sp.log(u**2 * v**2 + u**4), {u, v}, [{u: k * u, v: -v}]) == sp.log(u**2 * v**2 + u**4)
    assert up_to_constant(sp.log(u**2 * v**2), {u, v}, [{u: k * u, v: -v}]) == sp.log(u**2 * v**2)
    assert up_to_constant(sp.log(u**2 * v**2), {u, v}, [{u: k * u, v: -k * v}]) == 0


def test_terms_whose_sum_is_constant():
    """A circle that turns while (w, x) ↦ (eᵗw, e⁻ᵗx)."""
    w, x = sp.symbols("w x")
    turning, scaling = {u: -v, v: u, w: 0, x: 0}, {u: 0, v: 0, w: w, x: -x}
    given = 5 * u**2 / 16 + 5 * v**2 / 16 + 2 * u**2 * w + w**2 + x**2 + sp.log(w**2)
    found = up_to_constant(given, {u, v, w, x}, [turning, scaling])
    assert sp.expand(found - (2 * u**2 * w + w**2 + x**2 + sp.log(w**2))) == 0
    assert up_to_constant(given, {u, v, w, x}, [turning]) == 2 * u**2 * w  # w and x do not move


def test_a_circle_and_a_hyperbola():
    """u² + v² = 1 while wx = 1: tr ∇²L holds both, R the one that varies."""
    w, x, y = sp.symbols("w x y")
    residuals = [u**2 + v**2 - 1, w * x - 1, y - w * x]
    problem = Problem.least_squares(residuals, parameters=(u, v, w, x, y), noise=LabelNoise(1))
    regularizer = derive_limiting_sde(problem).regularizer
    assert regularizer.free_symbols == {w, x}


@pytest.mark.parametrize("target", [(1, 2, 2, 4), (1, 0, 2, 0), (-1, 2, 2, -4)])
def test_a_rank_one_factorisation_without_what_is_constant(target):
    a1, a2, b1, b2 = parameters = sp.symbols("a1 a2 b1 b2")
    residuals = [x * y - t for (x, y), t in zip(((a1, b1), (a1, b2), (a2, b1), (a2, b2)), target, strict=True)]
    squares = sum(x**2 for x in parameters)
    for noise, regularizer in ((IsotropicNoise(1), sp.log(squares) / 4), (LabelNoise(1), sp.expand(squares / 8))):
        problem = Problem.least_squares(residuals, parameters=parameters, noise=noise)
        assert derive_limiting_sde(problem).regularizer == regularizer


def factorisation(power, target):
    """u_iᵖv_jᵖ = y_ij."""
    us, vs = sp.symbols(f"u1:{len(target) + 1}"), sp.symbols(f"v1:{len(target[0]) + 1}")
    residuals = [
        a**power * b**power - y for a, row in zip(us, target, strict=True) for b, y in zip(vs, row, strict=True)
    ]
    return us, vs, Problem.least_squares(residuals, parameters=(*us, *vs), noise=LabelNoise(1))


@pytest.mark.parametrize("target", [((1, 2), (2, 4)), ((1, 4), (9, 36)), ((1, 2, 3), (2, 4, 6))])
def test_squared_rank_one_is_a_sum_over_all_residuals(target):
    """‖∇f_ij‖² = 4u_i²v_j²(u_i² + v_j²) = 4y_ij(u_i² + v_j²): R = Σ y_ij (u_i² + v_j²)/N."""
    us, vs, problem = factorisation(2, target)
    by_hand = sum(y * (a**2 + b**2) for a, row in zip(us, target, strict=True) for b, y in zip(vs, row, strict=True))
    assert sp.expand(derive_limiting_sde(problem).regularizer - by_hand / len(problem.residuals)) == 0


def test_dependent_residuals_with_weights_that_vary():
    """∇²L = Σ k_i∇g_i∇g_iᵀ holds for every k_i(x), and for residuals that are named twice, beside the Hessian itself."""
    a, b, c, d = parameters = sp.symbols("a b c d")
    squares = [(1 + a**2, a * c - 1), (2 + sp.exp(d), a * d - 2), (1, b * c - 3), (3, b * d - 6), (1, 6 - b * d)]
    loss = sum(k * g**2 for k, g in squares) / 2
    problem = Problem(loss=loss, parameters=parameters, noise=IsotropicNoise(1))
    traces = traces_over_residuals(derive_limiting_sde(problem).derivation)
    at = {a: sp.Rational(2, 3), b: 2, c: sp.Rational(3, 2), d: 3}
    assert traces and all(sp.simplify((sp.hessian(loss, parameters).trace() - e).subs(at)) == 0 for e in traces)


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        ((u * v - 1) ** 2, "there are no more squares than M"),
        ((u * v - 1) ** 2 + (u * v - 2) ** 2 + (u * v - 3) ** 2, "the residuals do not vanish"),
        (sp.exp(u * v) - u * v, "the loss is no sum of squares"),
    ],
)
def test_no_sum_over_residuals(loss, why):
    derivation = derive_limiting_sde(Problem(loss=loss, parameters=(u, v), noise=IsotropicNoise(1))).derivation
    assert traces_over_residuals(derivation) == [], why


def test_nothing_is_divided_by_a_constant_that_may_be_zero():
    residual = k * u * v + u - 1
    problem = Problem.least_squares([residual, 2 * residual], parameters=(u, v), noise=LabelNoise(1), constants=[k])
    traces = traces_over_residuals(derive_limiting_sde(problem).derivation)
    assert traces and all(sp.fraction(sp.together(e))[1].is_number for e in traces)
    at = {k: 3, v: 2, u: sp.Rational(1, 7)}
    assert all((e - 5 * ((k * v + 1) ** 2 + k**2 * u**2) / 2).subs(at) == 0 for e in traces)


def test_attention_has_its_common_factors_before_brackets():
    """f = (c₁E + c₂)/(E + 1) − 1 for E = e^{q₁k₁ − q₂k₂}: (E + 1)²‖∇f‖² = (c₂ − 1)²(q₁² + q₂² + k₁² + k₂²) + E² + 1 on Γ."""
    q1, q2, k1, k2, c1, c2 = parameters = sp.symbols("q1 q2 k1 k2 c1 c2")
    e = sp.exp(q1 * k1 - q2 * k2)
    output = (c1 * sp.exp(q1 * k1) + c2 * sp.exp(q2 * k2)) / (sp.exp(q1 * k1) + sp.exp(q2 * k2))
    near = {q1: 1, q2: sp.Rational(1, 2), k1: 0, k2: 0, c1: 0, c2: 2}
    problem = Problem.least_squares([output - 1], parameters=parameters, noise=LabelNoise(1), near=near)
    found = derive_limiting_sde(problem).regularizer
    by_hand = ((c2 - 1) ** 2 * (q1**2 + q2**2 + k1**2 + k2**2) + e**2 + 1) / (4 * (e + 1) ** 2)
    assert sp.count_ops(found) <= sp.count_ops(by_hand)
    at = {q1: 1, q2: sp.Rational(1, 3), k1: 2, k2: -1, c2: 3}
    at[c1] = 1 - 2 / e.subs(at)  # (c₁ − 1)E + c₂ − 1 = 0
    assert abs((found - by_hand).subs(at).evalf(30)) < 1e-25


def test_isotropic_weight_normalisation():
    """FᵀF is eeᵀ + (g/‖v‖)²(I − eeᵀ) for e = v/‖v‖, and g is constant on Γ."""
    g, x, y = parameters = sp.symbols("g x y")
    residuals = [g * x / sp.sqrt(x**2 + y**2) - 3, g * y / sp.sqrt(x**2 + y**2) - 4]
    problem = Problem.least_squares(residuals, parameters=parameters, noise=IsotropicNoise(1))
    assert derive_limiting_sde(problem).regularizer == sp.log(g**2 / (x**2 + y**2)) / 4
