"""The formulas as they are written out: how large they are, and that every form of them is the same function on Γ.

`tests/helpers/comparison.py` compares them with the literal theorem for every fixed and random loss.
"""

import random
from dataclasses import replace

import mpmath
import pytest
import sympy as sp
from overparametrised import overparametrised
from working_precision import working_digits

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.linear_forms import combined, content, linear_forms
from symbolic_sgd.algebra.lyapunov import closed_form, elementary_symmetric
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.solvers import SOLVERS
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.rational import division, fractions
from symbolic_sgd.theorem.canonical import composed_programs, shared_operations
from symbolic_sgd.theorem.terms import TERMS

u, v, w = sp.symbols("u v w")

LIBRARIES = [fractions.flint, None] if fractions.flint else [None]


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: "flint" if library else "sympy")
@pytest.mark.parametrize(
    ("problem", "most"),
    [
        (Problem.least_squares([u * v - 1], parameters=(u, v), noise=IsotropicNoise()), 21),
        (Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise()), 12),
        (overparametrised(2, 4, IsotropicNoise(), 0), 180),
        (overparametrised(2, 4, LabelNoise(), 0), 84),
        *(
            pytest.param(overparametrised(2, 4, noise, seed), most, marks=pytest.mark.campaign)
            for noise, most in ((IsotropicNoise(), 180), (LabelNoise(), 84))
            for seed in (1, 2)
        ),
    ],
)
def test_operations_of_the_drift(problem, most, library, monkeypatch):
    monkeypatch.setattr(fractions, "flint", library)
    assert shared_operations(derive_limiting_sde(problem).drift) <= most


DATA = [(-1, 1), (-1, 0, 1), (-2, -1, 0, 1, 2), (-3, -2, -1, 1, 2, 3)]


def check_that_it_is_printed(n, d, data, seed, most):
    sde = derive_limiting_sde(overparametrised(n, d, LabelNoise(), seed, data))
    assert shared_operations(sde.drift) <= most
    assert len(str(sde.drift)) < 10**6
    assert "as a formula in F = (∇f_i)" in sde.explain()


@pytest.mark.parametrize(
    ("n", "d", "data", "most"), [(4, 8, DATA[0], 520), (3, 6, DATA[3], 220), (2, 4, DATA[1], 84)], ids=str
)
def test_the_overparametrised_model_is_printed(n, d, data, most):
    check_that_it_is_printed(n, d, data, 0, most)


@pytest.mark.campaign
@pytest.mark.parametrize("data", DATA, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_overparametrised_model_with_four_samples_of_eight_features_is_printed(data, seed):
    check_that_it_is_printed(4, 8, data, seed, 520)


def test_a_formula_that_is_too_large_is_refused():
    sde = derive_limiting_sde(overparametrised(5, 10, LabelNoise(), 0))
    with pytest.raises(ExpressionTooLarge, match=r"sde\.program"):
        _ = sde.drift


COMPOSED = {
    "curvatures that depend on x": (1 + w**2) * (u * v - 1) ** 2 / 2 + sp.exp(u) * (w - u) ** 2,
    "no squares": sp.cosh(u * v - 1) + sp.log(1 + (w - v) ** 2) * 3,
    "one level": (2 + sp.sin(u)) * (u * v * w - 1) ** 2,
}
NOISES = {
    "dense": sp.Matrix([[1, u], [w, 2], [sp.Rational(1, 3), u * v]]),
    "isotropic": IsotropicNoise(2),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("loss", COMPOSED)
def test_the_formulas_of_composed_losses_are_the_theorem(loss, noise):
    """Without third derivatives of L, by both ways to solve, and every term: the program's values at points of Γ."""
    problem = Problem(loss=COMPOSED[loss], parameters=(u, v, w), noise=NOISES[noise])
    derivation = derive_limiting_sde(problem).derivation
    for term in TERMS:
        part, made = derivation.program.select(term.name), dict(composed_programs(derivation, term.name))
        assert len(made) == len(SOLVERS)
        for program in made.values():
            for point in derivation.points:
                with working_digits(60):
                    ours, theirs = (p.run(PRECISE, point)[term.name] for p in (program, part))
                    size = max(1, *map(abs, theirs))
                    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < mpmath.mpf(10) ** -50 * size


def test_both_ways_to_solve_a_linear_system():
    rng = random.Random(1)
    graph = Graph()
    for m in range(1, 6):
        frame = sp.Matrix(m, m + 1, lambda i, j: rng.randint(-5, 5))
        a, right = frame * frame.T, sp.Matrix(m, 2, lambda i, j: rng.randint(-5, 5))
        exact = lambda b: Matrix.of([[graph.constant(int(e)) for e in b.row(i)] for i in range(b.rows)])  # noqa: E731
        for solve in SOLVERS.values():
            x = solve(exact(a), exact(right)).value
            found = sp.Matrix(m, 2, [sp.Rational(e.value.numerator, e.value.denominator) for e in x.entries])
            assert a * found == right


def test_sums_with_the_same_letters_share_them():
    """x + 2y + 2z and 3x − 4y − 4z: y + z is added once."""
    graph = Graph()
    x, y, z = (graph.symbol(s) for s in sp.symbols("x y z"))
    first, second = linear_forms([[x, 2 * y, 2 * z], [3 * x, -4 * y, -4 * z]])
    assert first is x + 2 * (y + z) and second is 3 * x + -4 * (y + z)
    assert linear_forms([[x], [y]]) == [x, y]
    assert content([4 * x, 6 * y, graph.constant(0)]) == 2
    assert combined(Matrix.of([[2 * x, -x]]), Matrix.column([y, z]))[0, 0] is x * (2 * y - z)


def test_the_hyperbola_with_label_noise_reads_as_in_a_paper():
    sde = derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise()))
    square = u**2 + v**2
    assert sde.tangent_projection == sp.ImmutableMatrix([[u**2, -1], [-1, v**2]]) / square
    assert sde.drift == sp.ImmutableMatrix([u * (v**2 - u**2), v * (u**2 - v**2)]) / square / 2


def test_the_hyperbola_with_isotropic_noise_has_one_denominator():
    """Factors are reduced on Γ (uv² is v), sums keep their degree, and a minus sign turns v² − 3u² instead of standing before it."""
    sde = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise()))
    fourth = (u**2 + v**2) ** 2
    assert sde.tangent_noise_compensation == sp.ImmutableMatrix([v, u]) / fourth
    assert sde.normal_regularization == sp.ImmutableMatrix([u * (v**2 - u**2), v * (u**2 - v**2)]) / (2 * fourth)
    assert sde.drift == sp.ImmutableMatrix([u * (3 * v**2 - u**2), v * (3 * u**2 - v**2)]) / (2 * fourth)


def test_on_the_circle_what_is_left_of_a_denominator_is_one():
    sde = derive_limiting_sde(Problem(loss=(u**2 + v**2 - 1) ** 2 / 8, parameters=(u, v), noise=IsotropicNoise()))
    assert sde.tangent_projection == sp.ImmutableMatrix([[v**2, -u * v], [-u * v, u**2]])


def test_a_sphere_is_written_alike_in_all_its_coordinates():
    loss = (u**2 + v**2 + w**2 - 1) ** 2 / 8
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w), noise=IsotropicNoise()))
    turned = {u: v, v: w, w: u}
    assert [sde.hessian_pinv[i, i] for i in range(3)] == [u**2, v**2, w**2]
    assert sde.tangent_projection[1, 1] == sde.tangent_projection[0, 0].xreplace(turned)
    assert sde.tangent_projection[2, 2] == sde.tangent_projection[1, 1].xreplace(turned)


def test_the_sphere_reads_as_in_a_textbook():
    """Brownian motion on S²: drift −(D − 1)/2 x."""
    loss = (u**2 + v**2 + w**2 - 1) ** 2 / 8
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w), noise=IsotropicNoise()))
    assert sde.drift == sp.ImmutableMatrix([-u, -v, -w])
    assert "reduced by the equations of Γ" in sde.explain()


def test_functions_are_generators():
    """Roots, exponentials and constants with names stay as they are; what they multiply is cancelled."""
    a = sp.Symbol("a", positive=True)
    loss = (sp.exp(u) * v - a) ** 2 / 2
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(u, v), noise=IsotropicNoise(sp.sqrt(a)), constants=(a,)))
    normal = sp.Matrix([a, sp.exp(u)])
    projection = sp.eye(2) - normal * normal.T / (normal.T * normal)[0]
    point = {u: sp.log(2), v: a / 2}
    assert (sde.tangent_projection.subs(point) - projection.subs(point)).applyfunc(sp.simplify).is_zero_matrix
    assert shared_operations(sde.drift) <= 30


def test_relations_between_functions_are_used():
    """√(u² + v²) = 1 on the circle, and sin² + cos² = 1: neither remains, and the values are the program's."""
    radius = sp.sqrt(u**2 + v**2)
    circle = derive_limiting_sde(
        Problem(loss=(radius - 1) ** 2 / 2 + w**2 * (2 + u / radius), parameters=(u, v, w), noise=IsotropicNoise())
    )
    assert not circle.drift.atoms(sp.Pow) & {radius, 1 / radius}
    f = circle.lambdify()
    point = {u: sp.Rational(3, 5), v: sp.Rational(-4, 5), w: 0}
    assert (
        max(
            abs(a - float(b))
            for a, b in zip(f.drift(list(map(float, point.values()))), circle.drift.subs(point), strict=True)
        )
        < 1e-14
    )
    wave = Problem(
        loss=(v - sp.sin(u)) ** 2 / 2 + (w - sp.cos(u)) ** 2 / 2, parameters=(u, v, w), noise=IsotropicNoise()
    )
    helix = derive_limiting_sde(wave)
    assert helix.tangent_projection[0, 0] == sp.Rational(1, 2)


@pytest.mark.parametrize(("m", "d"), [(1, 1), (1, 3), (2, 2), (2, 4), (3, 3), (3, 5)])
def test_the_closed_form_of_the_lyapunov_equation(m, d):
    """BZ + ZBᵀ = Y in rational arithmetic, for B of rank m with positive eigenvalues."""
    rng = random.Random(10 * m + d)
    frame = sp.Matrix(d, m, lambda i, j: rng.randint(-5, 5))
    b, y = frame * frame.T, frame * sp.Matrix(m, m, lambda i, j: i + j + 1) * frame.T
    graph = Graph()
    exact = lambda a: Matrix.of([[graph.constant(int(e)) for e in a.row(i)] for i in range(d)])  # noqa: E731
    z = closed_form(exact(b), elementary_symmetric(exact(b), m), exact(y))
    found = sp.Matrix(d, d, [sp.Rational(e.value.numerator, e.value.denominator) for e in z.entries])
    assert b * found + found * b.T == y and found == found.T


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: "flint" if library else "sympy")
def test_rational_functions_past_the_budget_are_given_up(library, monkeypatch):
    monkeypatch.setattr(fractions, "flint", library)
    graph = Graph()
    nodes = [graph.symbol(s) for s in sp.symbols("x1:9")]
    total = nodes[0]
    for k, node in enumerate(nodes[1:], start=2):
        total = total + node * k
    power = (total**12) / (nodes[0] + nodes[1])
    with pytest.raises(fractions.ExpressionTooLarge):
        fractions.run_exactly(Program.of({"f": Matrix.column([power])}))


def test_division_leaves_what_no_leading_monomial_divides():
    """u³ = (u² + v²)·u − uv², and uv = 1 makes the rest −v: exponents of (u, v)."""
    quotients, rest = division.divided(
        {(3, 0): 1}, [{(2, 0): 1, (0, 2): 1}, {(1, 1): 1, (0, 0): -1}], division.led_by(0)
    )
    assert quotients[0] == {(1, 0): 1} and rest == {(0, 1): -1}


@pytest.mark.parametrize(
    "products",
    [p if p % 300 == 0 else pytest.param(p, marks=pytest.mark.campaign) for p in range(0, 2400, 50)],
)
def test_wherever_the_budget_ends_the_program_is_still_written_out(products, monkeypatch):
    """The exact arithmetic may be given up at any step, also when the forms are made from its result."""
    sde = derive_limiting_sde(Problem.least_squares([u * v + w**2 - 1], parameters=(u, v, w), noise=IsotropicNoise()))
    limited = lambda names, whole=fractions.ring: replace(whole(names), budget=fractions.Budget(400, products))  # noqa: E731
    monkeypatch.setattr(fractions, "ring", limited)
    assert shared_operations(sde.drift) <= shared_operations(sde.program.expand("drift"))
