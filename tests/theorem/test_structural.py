"""The formulas in vectors: they are the program's, on the gallery and on random losses, and print as a person writes them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from widened_losses import widened_loss

from symbolic_sgd import WRITERS, IsotropicNoise, LabelNoise, Problem, SymbolicSGDError, derive_limiting_sde
from symbolic_sgd.algebra.vector_expressions import IDENTITY, Name, apply
from symbolic_sgd.printing.blocks import Formula
from symbolic_sgd.printing.mathml import mathml
from symbolic_sgd.printing.structural import structural
from symbolic_sgd.problems.problem_file import read_problem
from symbolic_sgd.theorem.structural import StructuralFormulas
from symbolic_sgd.theorem.structural_lines import agrees, structural_formulas

GALLERY = sorted((Path(__file__).parents[2] / "derivations").glob("*.toml"))

u, v, w = sp.symbols("u v w", real=True)


def _structure(problem: Problem) -> StructuralFormulas:
    return derive_limiting_sde(problem).structure


@pytest.mark.parametrize("file", GALLERY, ids=lambda f: f.stem)
def test_gallery(file: Path) -> None:
    sde = derive_limiting_sde(read_problem(file))
    formulas = structural_formulas(sde.derivation)
    assert agrees(sde.derivation, formulas)
    functions = sde.lambdify(check=False)
    point = sde.derivation.points[-1]
    values = formulas.at(point)
    constants = {s.name: float(point[s]) for s in sde.problem.constants}
    x = [float(point[s]) for s in sde.problem.parameters]
    for line in formulas.lines:
        if line.term is not None:
            ours = np.ravel(values[line.name.name])
            theirs = np.ravel(functions.term(line.term, x, **constants))
            assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-9), line


@pytest.mark.parametrize(
    "seed", [*range(100, 106), *(pytest.param(k, marks=pytest.mark.campaign) for k in range(106, 130))]
)
def test_random_losses(seed: int) -> None:
    try:
        derivation = derive_limiting_sde(widened_loss(seed).problem()).derivation
    except SymbolicSGDError:
        pytest.skip("refused")
    assert agrees(derivation, structural_formulas(derivation))


def test_one_level_as_a_person_writes_it() -> None:
    noise = sp.Matrix([[1, u], [v, 1], [w, 2]])
    formulas = _structure(Problem(loss=(u * v + w**2 - 1) ** 2 / 2, parameters=(u, v, w), noise=noise))
    assert str(formulas).splitlines() == [
        "n = ∇f",
        "A = ∇²f",
        "N = nᵀn",
        "∂Φ = I - nnᵀ/N",
        "∇²L† = nnᵀ/N²",
        "Σ = σσᵀ",
        "Σ_∥ = ∂ΦΣ∂Φ",
        "S = (nᵀΣn) nnᵀ/(2N³)",
        "σ_∥ = ∂Φσ",
        "b_∥ = -tr(AΣ_∥) n/(2N)",
        "b_⊥∥ = -∂ΦA∂ΦΣn/N",
        "b_⊥ = -(nᵀΣn) ∂ΦAn/(2N²)",
        "b = b_∥ + b_⊥∥ + b_⊥",
    ]
    assert formulas.definitions["n"] == sp.Matrix([v, u, 2 * w])


def test_label_noise_is_minus_the_gradient_of_the_regularizer() -> None:
    formulas = _structure(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))
    assert str(formulas.terms["normal_regularization"]) == "-½ ∂ΦAn"
    assert str(formulas.lines[-1].value) == "¼ N"
    assert r"b_{\perp} &= -\frac{1}{2}\,\partial\Phi A n" in formulas.latex()


def test_constants_can_be_substituted() -> None:
    s = sp.Symbol("s", positive=True)
    problem = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(s), constants=(s,))
    formulas = _structure(problem)
    named, numbers = formulas.at({u: 2, v: 0.5, s: 3}), formulas.subs({s: 3}).at({u: 2, v: 0.5})
    assert np.allclose(named["b_⊥"], numbers["b_⊥"], rtol=1e-14)
    assert named["R"] == pytest.approx(9 / 4 * np.log(4.25))


def test_numbers_and_scalars_stand_before_what_is_linear() -> None:
    a, b, k = Name("A", "A"), Name("B", "B"), Name("k", "k", number=True)
    assert str(apply("trace", Fraction(3, 2) * (k @ a @ b))) == "3/2 k tr(AB)"
    assert str((a @ b).T) == "(AB)ᵀ"
    assert str(IDENTITY - a @ b / (k @ k)) == "I - AB/k²"
    assert (a - b).subs({"A": b @ a}).text() == "BA - B"


def test_letters_of_the_problem_are_left_to_it() -> None:
    n, s, sigma = sp.symbols("n s sigma", real=True)
    noise = IsotropicNoise(s + 1)
    problem = Problem(loss=(n * sigma - 1) ** 2 / 2, parameters=(n, sigma), noise=noise, constants=(s,))
    sde = derive_limiting_sde(problem)
    assert "∂Φ = I - 𝐧𝐧ᵀ/N" in str(sde.structure)
    assert "𝐬² = (s + 1)**2" in str(sde.structure)
    assert str(sde.structure.terms["tangent_noise"]) == "∂Φ𝛔"
    assert r"\mathbf{n} &= \nabla f" in sde.latex()
    assert "<math" in sde.document(WRITERS[".html"])


def _cross_terms() -> Problem:
    a, b, x, y = sp.symbols("a b x y", real=True)
    loss = (a * b - 1) ** 2 + (a * b - 1) * (x * y - 1) + (x * y - 1) ** 2
    return Problem(loss=loss, parameters=(a, b, x, y), noise=sp.Matrix([[1, a], [b, 2], [x, 0], [0, y]]))


def test_points_of_float64_are_good_enough_without_levels() -> None:
    """Was: H of full rank beside Γ, so that ∂Φ = 0."""
    sde = derive_limiting_sde(_cross_terms())
    x = (1.3, 1 / 1.3, 0.7, 1 / 0.7)
    values = sde.structure.at(dict(zip(sde.problem.parameters, x, strict=True)))
    assert np.allclose(values["b"].ravel(), sde.lambdify().drift(x), rtol=1e-12)


def test_parameters_can_be_substituted_in_the_third_derivative() -> None:
    sde = derive_limiting_sde(_cross_terms())
    a, b, x, y = sde.problem.parameters
    values = sde.structure.subs({y: 1 / x}).at({a: 2, b: 0.5, x: 4})
    assert np.allclose(values["b"].ravel(), sde.lambdify().drift([2, 0.5, 4, 0.25]), rtol=1e-12)


def test_what_is_zero_has_its_shape() -> None:
    problem = Problem.least_squares([u * v - 1, w - u], parameters=(u, v, w), noise=LabelNoise(1))
    values = derive_limiting_sde(problem).structure.at({u: 1, v: 1, w: 1})
    assert values["σ_∥"].shape == (3, 4) and values["b_∥"].shape == (3, 1) and values["S"].shape == (3, 3)


@pytest.mark.parametrize("file", GALLERY, ids=lambda f: f.stem)
def test_every_line_has_mathml(file: Path) -> None:
    blocks = structural(derive_limiting_sde(read_problem(file)).structure)
    assert all("<m" in mathml(b.lines, aligned=b.aligned) for b in blocks if isinstance(b, Formula))


def test_lines_without_levels_have_mathml() -> None:
    blocks = structural(derive_limiting_sde(_cross_terms()).structure)
    assert all("<m" in mathml(b.lines, aligned=b.aligned) for b in blocks if isinstance(b, Formula))
    assert "∇²L† = ∇²L†" not in str(derive_limiting_sde(_cross_terms()).structure)


def test_there_is_no_r_where_the_mixed_term_is_not_zero() -> None:
    """Σ_⊥ = ∇²L, and a block across: −¼ ∂Φ∇tr ∇²L is b_⊥ alone."""
    problem = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=sp.Matrix([u + v, u - v]))
    sde = derive_limiting_sde(problem)
    assert sde.derivation.proportion == 1
    names = [line.name.name for line in sde.structure.lines]
    assert "b_⊥∥" in str(sde.structure.terms["drift"]) and "R" not in names
