"""The algebra of linear symmetries: known dimensions, invariance along e^{tX}, and a count by singular values."""

import numpy as np
import pytest
import sympy as sp
from charged_models import MODELS, problem

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.combinations import rank_of, vanishing_combinations
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import BadInput, ProblemTooLarge
from symbolic_sgd.rational.linear_algebra import independent, primitive, spanned, symmetric_part
from symbolic_sgd.rational.linear_symmetries import symmetries_of_polynomials
from symbolic_sgd.symmetries import symmetries as search

u, v, w, x = sp.symbols("u v w x")


def symmetries_of(model):
    return derive_limiting_sde(problem(model, "label")).symmetries


@pytest.mark.parametrize("model", MODELS)
def test_the_algebra_is_the_known_one(model):
    known, found = MODELS[model](), symmetries_of(model)
    assert (len(found.generators), len(found.symmetric), len(found.skew)) == known.algebra
    assert found.closed_under_transpose == known.closed
    assert all(g == g.T for g in found.symmetric) and all(g == -g.T for g in found.skew)
    assert found.complete == all(f.is_polynomial(*known.parameters) for f in known.residuals)


@pytest.mark.parametrize("model", MODELS)
def test_singular_values_at_random_points_count_as_many(model):
    """A road without exact arithmetic: the null space of X ↦ (∇f_i(x)ᵀXx) at random x, in float64."""
    known, rng = MODELS[model](), np.random.default_rng(5)
    constants = known.further.get("constants", ())
    slopes = sp.Matrix(known.residuals).jacobian(known.parameters)
    numbers = sp.lambdify((*known.parameters, *constants), slopes, "numpy")
    fixed = np.array([1.25, 0.75])[: len(constants)]
    d, rows = len(known.parameters), []
    for _ in range(3 * d * d):
        point = rng.uniform(0.3, 1.2, d)
        rows.extend(np.outer(slope, point).ravel() for slope in np.array(numbers(*point, *fixed), dtype=float))
    singular = np.linalg.svd(np.array(rows), compute_uv=False)
    assert int((singular < 1e-9 * singular[0]).sum()) == known.algebra[0]


@pytest.mark.parametrize("model", [m for m in MODELS if MODELS[m]().algebra[0]])
def test_functions_keep_their_values_along_the_group(model):
    known, found = MODELS[model](), symmetries_of(model)
    constants = {c: sp.Rational(3, 2) + k for k, c in enumerate(known.further.get("constants", ()))}
    point = sp.Matrix([sp.Rational(3 + k, 4) for k in range(len(known.parameters))])
    at = lambda y: [  # noqa: E731
        float(sp.N(f.xreplace(constants).subs(dict(zip(known.parameters, y, strict=True))), 20))
        for f in known.residuals
    ]
    for generator in found.generators:
        moved = (generator.xreplace(constants) * sp.Rational(3, 10)).evalf(30).exp() * point
        assert at(list(moved)) == pytest.approx(at(list(point)), abs=1e-12)


@pytest.mark.parametrize("model", ["uv", "OLM", "UVᵀ", "CP", "KᵀQ"])
def test_values_in_a_prime_field_give_the_algebra_that_coefficients_give(model):
    known = MODELS[model]()
    found, complete = search._by_values(known.residuals, known.parameters)
    assert complete and spanned(found) == spanned(symmetries_of_polynomials(known.residuals, known.parameters) or [])


def test_a_loss_is_taken_apart_and_samples_are_taken_one_by_one():
    inner = derive_limiting_sde(Problem(loss=(u * v * w - 1) ** 2 / 2, parameters=(u, v, w), noise=IsotropicNoise(1)))
    assert len(inner.symmetries.symmetric) == 2 and inner.symmetries.functions != (inner.problem.loss,)
    samples = Problem.from_sample_losses([(u * v - 1) ** 2, (u * v + u**2 * w**2 - 2) ** 2], parameters=(u, v, w))
    assert len(derive_limiting_sde(samples).symmetries.symmetric) == 1  # u ↦ eᵗu, v, w ↦ e⁻ᵗ(v, w)


def test_balancedness_is_the_trace_with_the_hessian():
    sde = derive_limiting_sde(problem("OLM", "label"))
    point = {s: sp.Float(str(a), 30) for s, a in sde.derivation.points[-1].items()}
    hessian = sp.hessian(sde.problem.loss, sde.problem.parameters).xreplace(point)
    for generator, condition in zip(sde.symmetries.symmetric, sde.symmetries.balancedness, strict=True):
        assert abs((generator * hessian).trace() - condition.xreplace(point)) < 1e-20


def test_orbits_have_the_dimension_of_the_group_but_at_special_points():
    found = symmetries_of("UVᵀ")
    assert found.orbit_dimension() == 4
    names = dict.fromkeys(found.parameters, 0)
    assert found.orbit_dimension(names) == 0
    assert found.orbit_dimension(names | {found.parameters[0]: 1}) == 2
    with pytest.raises(BadInput, match="no value for u01"):
        found.orbit_dimension({found.parameters[0]: 1})
    with pytest.raises(BadInput, match=r"0\.5 for u00"):
        found.orbit_dimension(names | {found.parameters[0]: 0.5})
    with pytest.raises(BadInput, match="give a dict"):
        found.orbit_dimension([1, 2])
    assert symmetries_of("eᵘv").orbit_dimension() == 0


def test_what_is_no_polynomial_and_large_is_refused():
    names = sp.symbols("x1:25")
    large = Problem.least_squares(
        [sp.tanh(sum(names)) + sum(s**2 for s in names) - 1], parameters=names, noise=LabelNoise()
    )
    with pytest.raises(ProblemTooLarge, match="576"):
        _ = derive_limiting_sde(large).symmetries


def test_it_says_what_was_found_and_what_is_not_claimed():
    assert str(symmetries_of("UVᵀ")) == (
        "The algebra of linear symmetries is 4-dimensional, closed under transpose, with 3 symmetric and 1 skew generators"
    )
    assert "at least 1 dimension," in str(symmetries_of("tanh(uv)"))
    assert "No linear symmetry was found" in str(symmetries_of("two tanh"))
    assert r"\nabla f_i(x)^{\top} X x = 0" in symmetries_of("uv")._repr_latex_()


# --- the linear algebra -----------------------------------------------------------------------------


def nodes(*expressions):
    graph = Graph()
    return [[from_sympy(sp.sympify(e), graph)] for e in expressions]


def test_combinations_are_proved_and_their_number_is_certain_for_rational_functions_only():
    found = vanishing_combinations(nodes(u**2, (u + v) ** 2, u * v, v**2, 1 / u))
    assert found.complete and found.basis == ((1, -1, 2, 1, 0),)
    assert vanishing_combinations(nodes(u, v, u / v)) == type(found)((), True)
    # asinh u = ln(u + √(u² + 1)) is no relation that the field knows: nothing is found, and nothing is claimed
    hidden = vanishing_combinations(nodes(sp.asinh(u), sp.log(u + sp.sqrt(u**2 + 1))))
    assert hidden.basis == () and not hidden.complete
    assert not vanishing_combinations(nodes(abs(u), u)).complete


def test_large_coefficients_are_recognised_and_larger_ones_left_out():
    n = 10**17 + 3
    assert vanishing_combinations(nodes(n * u, (n + 2) * u)).basis == ((n + 2, -n),)
    beyond = vanishing_combinations(nodes(10**40 * u, (10**40 + 1) * u))
    assert beyond.basis == () and not beyond.complete


def test_ranks_and_bases():
    graph = Graph()
    rows = [[from_sympy(sp.sympify(e), graph) for e in row] for row in ([u, v], [u * v, v**2], [1, w])]
    assert rank_of(rows) == 2 and rank_of(rows[:2]) == 1
    assert independent([[sp.sympify(e) for e in row] for row in ([1, 2], [2, 4], [0, 0], [0, x])]) == [0, 3]
    assert independent([]) == [] and spanned([]) == [] and symmetric_part([]) == []
    assert primitive([sp.S.Zero, sp.S.Zero]) == [0, 0]
    assert primitive([x / 2, -(x**2) / (3 * u)]) == [3 * u, -2 * x]
