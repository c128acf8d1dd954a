"""Problem files: what they state, every way of getting one wrong, and the files of `derivations/`."""

from pathlib import Path

import pytest
import sympy as sp
from work import calls, that_ends

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.errors import BadInput, BadSymbol, ExpressionSyntaxError, ProblemFileError, ProblemTooLarge
from symbolic_sgd.problems import problem_file
from symbolic_sgd.problems.noise import GradientNoise, IsotropicNoise, LabelNoise, SamplingNoise
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.problem_file import ASSUMPTIONS, problem_from_text, read_problem, read_problem_file

u, v = sp.Symbol("u", real=True), sp.Symbol("v", real=True)
DERIVATIONS = Path(__file__).parents[2] / "derivations"

UV = 'parameters = ["u", "v"]\n'
LOSS = 'loss = "(u*v - 1)**2/2"\n'
RESIDUALS = 'residuals = ["u*v - 1"]\n'
LABEL = 'noise = { kind = "label" }\n'
ISOTROPIC = 'noise = { kind = "isotropic" }\n'
SAMPLES = 'sample_losses = ["(u*v - 1)**2", "(u*v + 1)**2"]\n'


def with_noise(table: str) -> str:
    return f"{UV}{LOSS}noise = {{ {table} }}"


def refusal(text: str, kind: type[BadInput] = ProblemFileError) -> str:
    with pytest.raises(BadInput) as caught:
        problem_from_text(text, source="p.toml")
    assert type(caught.value) is kind, caught.value
    return str(caught.value)


# --- what files state ---------------------------------------------------------------------------


def test_label_noise() -> None:
    problem = problem_from_text(
        UV + RESIDUALS + '[noise]\nkind = "label"\namplitude = "s/2"\n[constants]\ns = "positive"'
    )
    s = sp.Symbol("s", positive=True)
    assert problem.parameters == (u, v)
    assert problem.constants == (s,)
    assert problem.residuals == (u * v - 1,)
    assert problem.loss == (u * v - 1) ** 2 / 2
    assert problem.noise == LabelNoise(s / 2)


def test_isotropic_noise() -> None:
    assert problem_from_text(UV + LOSS + ISOTROPIC).noise == IsotropicNoise(sp.Integer(1))
    assert problem_from_text(with_noise('kind = "isotropic", scale = 3')).noise == IsotropicNoise(sp.Integer(3))


def test_matrix_noise() -> None:
    problem = problem_from_text(UV + LOSS + '[noise]\nkind = "matrix"\nsigma = [["u", 1, "0.1"], [0, "-v", 2]]')
    assert problem.noise == GradientNoise(sp.ImmutableMatrix([[u, 1, sp.Rational(1, 10)], [0, -v, 2]]))


def test_sample_losses() -> None:
    problem = problem_from_text(UV + SAMPLES + 'weights = ["1/4", "0.75"]')
    assert problem.loss == (u * v - 1) ** 2 / 4 + sp.Rational(3, 4) * (u * v + 1) ** 2
    assert isinstance(problem.noise, SamplingNoise)
    assert problem_from_text(UV + SAMPLES).loss == (u * v - 1) ** 2 / 2 + (u * v + 1) ** 2 / 2


def test_manifold_domain_and_near() -> None:
    text = 'manifold = ["u*v - 1"]\ndomain = ["v > 0", "u >= 0.5"]\nnear = { u = "sqrt(2)/2", v = 1.5 }\n'
    problem = problem_from_text(UV + LOSS + text + ISOTROPIC)
    assert problem.manifold == (u * v - 1,)
    assert problem.domain == (v > 0, u >= sp.Rational(1, 2))
    assert problem.near == pytest.approx({u: 0.5**0.5, v: 1.5})


def test_a_loss_of_several_lines() -> None:
    assert problem_from_text(UV + 'loss = """\n(u*v\n  - 1)**2/2"""\n' + ISOTROPIC).loss == (u * v - 1) ** 2 / 2


@pytest.mark.parametrize("assumption", ASSUMPTIONS)
def test_assumptions_of_constants(assumption: str) -> None:
    problem = problem_from_text(UV + LOSS + ISOTROPIC + f'[constants]\na = "{assumption}"')
    (constant,) = problem.constants
    assert constant.is_real
    assert getattr(constant, f"is_{assumption}")


def test_title(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('title = "A hyperbola"\n' + UV + LOSS + ISOTROPIC, encoding="utf-8-sig")
    assert read_problem_file(path).title == "A hyperbola"
    assert read_problem_file(str(path)).problem == read_problem(path)
    path.write_text(UV + LOSS + ISOTROPIC)
    assert read_problem_file(path).title == ""


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (UV + LOSS + ISOTROPIC + "manifolds = []", "p.toml: key 'manifolds' is unknown; did you mean 'manifold'?"),
        (UV + LOSS + ISOTROPIC + "zzz = 1", "key 'zzz' is unknown; the keys here are "),
        (with_noise('kind = "isotropic", scael = 1'), "table [noise]: key 'scael' is unknown; did you mean 'scale'?"),
        (with_noise('kind = "isotropic", amplitude = 1'), "table [noise]: key 'amplitude' is unknown"),
        (UV + LOSS + ISOTROPIC + "near = { u = 1, w = 1 }", "table [near]: key 'w' is unknown"),
        (LOSS + ISOTROPIC, 'key \'parameters\' is missing; write parameters = ["u", "v"]'),
        (UV + LOSS, "key 'noise' is missing"),
        (UV + LOSS + "[noise]\nscale = 1", "table [noise]: key 'kind' is missing; write one of 'label', 'isotropic'"),
        (with_noise('kind = "matrix"'), "table [noise]: key 'sigma' is missing"),
        (with_noise('kind = "gauss"'), "key 'kind' is 'gauss'; the kinds of noise are label, isotropic, matrix"),
        (UV + ISOTROPIC, "give exactly one of residuals, loss, sample_losses, perturbed_loss; the file has none of them"),
        (UV + LOSS + RESIDUALS + ISOTROPIC, "the file has residuals and loss"),
        (UV + SAMPLES + ISOTROPIC, "key 'noise' does not go with sample_losses"),
        (UV + LOSS + ISOTROPIC + "weights = [1]", "key 'weights' goes with sample_losses only, not with loss"),
        (UV + LOSS + LABEL, "'label', which needs residuals"),
    ],
)  # fmt: skip
def test_keys(text: str, words: str) -> None:
    assert words in refusal(text)


# --- values of the wrong kind -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('parameters = "u"\n' + LOSS + ISOTROPIC, "key 'parameters' is a string ('u'); a list is wanted"),
        ("parameters = []\n" + LOSS + ISOTROPIC, "key 'parameters' is empty"),
        ('parameters = ["u", 1]\n' + LOSS + ISOTROPIC, "parameters[1] is an integer (1); a string is wanted"),
        (UV + "loss = 0.5\n" + ISOTROPIC, "an exact number is wanted; write it in quotes: \"0.5\""),
        (UV + "loss = true\n" + ISOTROPIC, "key 'loss' is a boolean (True); a string is wanted"),
        (UV + "loss = 2020-01-01\n" + ISOTROPIC, "key 'loss' is a date"),
        (UV + "loss = 2020-01-01T00:00:00\n" + ISOTROPIC, "key 'loss' is a date"),
        (UV + "loss = 10:00:00\n" + ISOTROPIC, "key 'loss' is a time"),
        (UV + "loss = [1]\n" + ISOTROPIC, "key 'loss' is a list ([...]); a string is wanted"),
        (UV + 'residuals = "u*v - 1"\n' + LABEL, "key 'residuals' is a string ('u*v - 1'); a list is wanted"),
        (UV + 'residuals = ["u", 0.1]\n' + LABEL, "residuals[1] is a float (0.1)"),
        (UV + 'residuals = ["u", ["v"]]\n' + LABEL, "residuals[1] is a list"),
        (UV + LOSS + ISOTROPIC + 'manifold = "u"', "key 'manifold' is a string"),
        (UV + LOSS + ISOTROPIC + "domain = [1]", "domain[0] is an integer (1); a string is wanted"),
        (UV + LOSS + ISOTROPIC + "title = 3", "key 'title' is an integer (3); a string is wanted"),
        (UV + LOSS + ISOTROPIC + "near = [1, 1]", "key 'near' is a list ([...]); a table is wanted"),
        (UV + LOSS + ISOTROPIC + "near = { u = true, v = 1 }", "table [near]: key 'u' is a boolean"),
        (UV + LOSS + 'noise = "label"', "key 'noise' is a string ('label'); a table is wanted"),
        (with_noise("kind = 1"), "table [noise]: key 'kind' is an integer"),
        (with_noise('kind = "isotropic", scale = 0.1'), "key 'scale' is a float (0.1) where an exact number"),
        (with_noise('kind = "isotropic", scale = {}'), "key 'scale' is a table"),
        (with_noise('kind = "matrix", sigma = "u"'), "key 'sigma' is a string"),
        (with_noise('kind = "matrix", sigma = ["u", "v"]'), "key 'sigma', row 0 is a string"),
        (with_noise('kind = "matrix", sigma = [["u", 0.5], [1, 2]]'), "sigma[0][1] is a float"),
        (with_noise('kind = "matrix", sigma = [["u", 1], [2]]'), "at least 1; the lengths are 2, 1"),
        (with_noise('kind = "matrix", sigma = []'), "the lengths are none"),
        (with_noise('kind = "matrix", sigma = [[], []]'), "the lengths are 0, 0"),
        (UV + LOSS + ISOTROPIC + "constants = 1", "key 'constants' is an integer"),
        (UV + LOSS + ISOTROPIC + "constants = { s = 1 }", "table [constants]: key 's' is an integer"),
        (UV + LOSS + ISOTROPIC + 'constants = { s = "big" }', "key 's' has an unknown assumption 'big'; the"),
    ],
)  # fmt: skip
def test_kinds(text: str, words: str) -> None:
    message = refusal(text)
    assert message.startswith("p.toml: ")
    assert words in message


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FUNCTIONS, *CONSTANTS])
def test_names_of_the_table_are_taken(name: str) -> None:
    assert f"the name '{name}' is taken" in refusal(f'parameters = ["u", "{name}"]\n' + LOSS + ISOTROPIC, BadSymbol)
    assert f"the name '{name}' is taken" in refusal(
        UV + LOSS + ISOTROPIC + f'constants = {{ {name} = "real" }}', BadSymbol
    )


@pytest.mark.parametrize("name", ["", "_u", "2u", "u.v", "u v", "θ", "u'", "u[0]", "u\\n", "__import__"])
def test_malformed_names(name: str) -> None:
    assert "is not allowed" in refusal(f'parameters = ["u", "{name}"]\n' + LOSS + ISOTROPIC, BadSymbol)
    assert "is not allowed" in refusal(UV + LOSS + ISOTROPIC + f'[constants]\n"{name}" = "real"', BadSymbol)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('parameters = ["u", "v", "u"]\n' + LOSS + ISOTROPIC, "key 'parameters' names 'u' 2 times"),
        (UV + LOSS + ISOTROPIC + 'constants = { v = "real" }', "'v' is both a parameter and a constant"),
        ('parameters = ["u", "lambda"]\n' + LOSS + ISOTROPIC, "'lambda' is a word of the Python language"),
    ],
)
def test_clashing_names(text: str, words: str) -> None:
    assert words in refusal(text, BadSymbol)


# --- expressions keep their place -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (UV + 'loss = "u^2"\n' + ISOTROPIC, "p.toml: key 'loss', column 2: "),
        (UV + 'residuals = ["u", "u^2"]\n' + LABEL, "p.toml: residuals[1], column 2: "),
        (UV + 'sample_losses = ["u", "u^2"]', "p.toml: sample_losses[1], column 2: "),
        (UV + SAMPLES + 'weights = ["1/2", "1^2"]', "p.toml: weights[1], column 2: "),
        (UV + LOSS + ISOTROPIC + 'manifold = ["u^2"]', "p.toml: manifold[0], column 2: "),
        (UV + LOSS + ISOTROPIC + 'domain = ["u > 0", "u^2 > 0"]', "p.toml: domain[1], column 2: "),
        (UV + LOSS + ISOTROPIC + 'near = { u = 1, v = "2^2" }', "p.toml: table [near]: key 'v', column 2: "),
        (with_noise('kind = "isotropic", scale = "u^2"'), "p.toml: table [noise]: key 'scale', column 2: "),
        (with_noise('kind = "matrix", sigma = [[1], ["u^2"]]'), "p.toml: table [noise]: sigma[1][0], column 2: "),
        (UV + 'loss = "(u*w - 1)**2"\n' + ISOTROPIC, "p.toml: key 'loss', column 4: 'w' is not a declared name"),
    ],
)  # fmt: skip
def test_expressions_are_refused_by_place(text: str, place: str) -> None:
    assert refusal(text, ExpressionSyntaxError).startswith(place)


# --- files and TOML -----------------------------------------------------------------------------


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ProblemFileError, match="there is no such file"):
        read_problem(tmp_path / "absent.toml")
    with pytest.raises(ProblemFileError, match="is a directory"):
        read_problem(tmp_path)
    with pytest.raises(ProblemFileError, match="cannot be read"):
        read_problem("a\x00b")
    with pytest.raises(ProblemFileError, match="cannot be read"):
        read_problem("a" * 5000)


def test_files_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(b'title = "\xff"')
    with pytest.raises(ProblemFileError, match=r"is not UTF-8 text \(byte 10\)"):
        read_problem(path)


def test_files_that_are_too_large(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    content = UV + LOSS + ISOTROPIC
    path.write_text(content + "#" * (problem_file.MAX_BYTES - len(content)))
    assert isinstance(read_problem(path), Problem)
    path.write_text(content + "#" * (problem_file.MAX_BYTES - len(content) + 1))
    with pytest.raises(ProblemTooLarge, match="1,048,576 bytes"):
        read_problem(path)
    assert "1,048,576 characters" in refusal("#" * (problem_file.MAX_BYTES + 1), ProblemTooLarge)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (UV + "loss = \n", "p.toml is not valid TOML: Invalid value (at line 2, column 8)"),
        (UV + UV, "is not valid TOML"),
        ("x = " + "9" * 5000, "is not valid TOML"),
    ],
)
def test_toml_errors(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "[" * 100_000, "nested too deeply"),
        ("x = " + "{a = " * 100_000, "nested too deeply"),
        (".".join(["a"] * 200_000) + " = 1", "p.toml, line 1: a dotted key of more than 8 parts"),
        ("\n[" + " . ".join(['"\\""'] * 100_000) + "]", "p.toml, line 2: a dotted key of more than 8 parts"),
        (".".join(["'a'"] * 9) + " = 1", "a dotted key of more than 8 parts"),
        (UV + f"loss = {10**60}\n" + ISOTROPIC, "integer of more than 60 digits"),
        (UV + f"loss = 0x{'f' * 100_000}\n" + ISOTROPIC, "integer of more than 60 digits"),
        (UV + 'residuals = ["u"' + ', "u"' * 10_000 + "]\n" + LABEL, "key 'residuals' has 10,001 entries"),
        ('parameters = ["u"' + ', "u"' * 10_000 + "]\n" + RESIDUALS + LABEL, "key 'parameters' has 10,001 entries"),
        (with_noise('kind = "matrix", sigma = [[' + "1," * 5_001 + "],[" + "1," * 5_001 + "]]"), "10,002 entries"),
        (UV + 'loss = "' + "u+" * 20_001 + 'u"\n' + ISOTROPIC, "20,001 operations"),
    ],
    ids=lambda value: value[:20],
)  # fmt: skip
def test_hostile_files_are_refused_at_once(text: str, words: str) -> None:
    work, message = calls(lambda: refusal(text, ProblemTooLarge))
    assert words in message and work < 500_000


@pytest.mark.parametrize(
    "text", ['\\"' * 500_000, ' "' * 500_000, "a" * 1_000_000, "a ." + " " * 1_000_000, "'" * 1_000_000]
)
def test_the_search_for_dotted_keys_is_linear(text: str) -> None:
    """A search that begins anew at every character would take hours."""
    with that_ends():
        refusal(text)


def test_dots_in_strings_are_no_keys() -> None:
    title = 'title = "a.b.c.d.e.f.g.h.i.j"\n'
    assert isinstance(problem_from_text(title + UV + LOSS + ISOTROPIC), Problem)


# --- the gallery --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(DERIVATIONS.glob("*.toml")), ids=lambda path: path.stem)
def test_files_of_the_gallery(path: Path) -> None:
    stated = read_problem_file(path)
    assert stated.title
    assert stated.problem.dimension >= 2


def test_gallery_olm() -> None:
    """n = 3 independent ±1 rows, d = 5, and the labels of w* = e_1."""
    problem = read_problem(DERIVATIONS / "olm_label.toml")
    assert (len(problem.residuals), problem.dimension) == (3, 10)
    squares = [[r.coeff(x**2) for x in problem.parameters] for r in problem.residuals]
    data = sp.Matrix(squares)[:, :5]
    assert data == -sp.Matrix(squares)[:, 5:]
    assert data.rank() == 3
    assert set(data) == {1, -1}
    sparse = {x: int(x.name == "u1") for x in problem.parameters}
    assert [r.subs(sparse) for r in problem.residuals] == [0, 0, 0]


def test_gallery_logistic_reaches_its_targets() -> None:
    """σ(f_i) is the smoothed target where every sample's gradient averages to zero, and there Σ = H."""
    problem = read_problem(DERIVATIONS / "logistic_redrawn.toml")
    assert isinstance(problem.noise, SamplingNoise)
    u1, u2, v1, v2 = problem.parameters
    first, second = sp.log(3), sp.log(sp.Rational(2, 3))
    point = {u1: 1, u2: 1, v1: (first + second) / 2, v2: (first - second) / 2}
    slopes = [sp.Matrix([loss.diff(x) for x in problem.parameters]) for loss in problem.noise.losses]
    weights = [sp.Rational(w.numerator, w.denominator) for w in problem.noise.weights]
    covariance = sum((w * g * g.T for w, g in zip(weights, slopes, strict=True)), sp.zeros(4))
    mean = sum((w * g for w, g in zip(weights, slopes, strict=True)), sp.zeros(4, 1))
    assert mean.subs(point).evalf(30).norm() < 1e-25
    assert (covariance - sp.hessian(problem.loss, problem.parameters)).subs(point).evalf(30).norm() < 1e-25
