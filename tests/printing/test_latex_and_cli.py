"""What leaves the theory: LaTeX that compiles as it is, and the commands derive and verify."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache

import mpmath
import pytest
import sympy as sp
from derived import DERIVATIONS, NAMES, gallery_sde, shared_derivation
from latex_document import SNIPPET, TWO_COLUMNS, compiled_snippet, needs_tex, overfull, pages
from overparametrised import overparametrised
from working_precision import working_digits

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde, gradient_flow_limit
from symbolic_sgd.algebra.arithmetic import PRECISE, Valuation
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.command import derive as cli
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadInput
from symbolic_sgd.printing.displays import expression_latex
from symbolic_sgd.printing.layout import COLUMN
from symbolic_sgd.printing.named_parts import named_parts
from symbolic_sgd.printing.plain import plain, plainly_zero
from symbolic_sgd.problems.expressions import parse_expression
from symbolic_sgd.problems.problem_file import read_problem, read_problem_file
from symbolic_sgd.theorem import terms
from symbolic_sgd.theorem.canonical import shortest_program
from symbolic_sgd.theorem.terms import TERMS

u, v = sp.symbols("u v")

FILES = sorted(DERIVATIONS.glob("*.toml"))
QUICK = [path for path in FILES if path.stem.startswith("hyperbola") or path.stem in ("quadric_dense", "sphere")]

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
quick_file = pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)


def test_the_gallery_is_there():
    assert len(FILES) >= 6
    assert {"hyperbola_label", "hyperbola_isotropic", "quadric_dense", "sphere"} == {path.stem for path in QUICK}


# --- LaTeX ------------------------------------------------------------------------------------------

PLACEHOLDERS = (
    r"\ldots",
    r"\cdots",
    r"\dots",
    "...",
    "…",
    "TODO",
    "None",
    "nan",
    r"\infty",
    "??",
    "mpf",
    "Matrix(",
    "**",
    "<",
)
"""What would show that a block was not filled in, or was filled with something that is no formula."""


@needs_tex
@pytest.mark.parametrize("name", NAMES)
def test_no_line_leaves_its_column_and_a_small_problem_takes_two_pages(name, tmp_path):
    sde = gallery_sde(name)
    one = compiled_snippet(sde.latex(), tmp_path)
    assert one.returncode == 0, one.stdout[-2000:]
    assert overfull(one) == []
    if sde.problem.dimension <= 6:
        assert pages(one) <= 2
    two = compiled_snippet(sde.latex(line=COLUMN), tmp_path, TWO_COLUMNS)
    assert two.returncode == 0, two.stdout[-2000:]
    assert overfull(two) == []


@needs_tex
@pytest.mark.parametrize("name", ["quadric_dense", "olm_label", "motor"])
def test_no_line_leaves_its_column_where_all_entries_are_asked_for(name, tmp_path):
    for line, article in ((None, SNIPPET), (COLUMN, TWO_COLUMNS)):
        done = compiled_snippet(gallery_sde(name).latex(line=line, entries=True, labels="eq:"), tmp_path, article)
        assert done.returncode == 0, done.stdout[-2000:]
        assert overfull(done) == []


@needs_tex
def test_the_terms_can_be_referred_to(tmp_path):
    text = gallery_sde("quadric_dense").latex(labels="eq:")
    assert text.count(r"\label{eq:drift}") == text.count(r"\label{eq:tangent_projection}") == 1
    done = compiled_snippet(text + r"By \eqref{eq:drift} and \eqref{eq:drift_entries}.", tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    assert r"\label" not in gallery_sde("quadric_dense").latex()


@pytest.mark.parametrize("line", [COLUMN, None])
@pytest.mark.parametrize("name", NAMES)
def test_a_snippet_begins_its_names_with_one(name, line):
    """Also where entries were looked at that are too long to be printed."""
    defined = [int(k) for k in re.findall(r"^t_\{(\d+)\} &= ", gallery_sde(name).latex(line=line), re.MULTILINE)]
    assert defined == list(range(1, len(defined) + 1))


def test_labels_are_letters_and_signs_only():
    with pytest.raises(BadInput, match="give what labels begin with"):
        gallery_sde("quadric_dense").latex(labels=r"}\input{x}")


@needs_tex
def test_latex_of_awkward_names_and_functions_compiles(tmp_path):
    """Subscripts, Greek, a constant, a condition of validity, functions, a root."""
    theta, x_1, lambda_max, c = sp.symbols("theta x_1 lambda_max c", positive=True)
    problem = Problem(
        loss=(theta**2 * sp.tanh(x_1) - c) ** 2 * sp.exp(lambda_max) / 2,
        parameters=(theta, x_1, lambda_max),
        noise=sp.Matrix([[sp.sqrt(theta), 0], [sp.erf(x_1), sp.atan(lambda_max)], [1, sp.Rational(1, 3)]]),
        constants=(c,),
    )
    sde = derive_limiting_sde(problem)
    done = compiled_snippet(sde.latex(), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]


@needs_tex
def test_a_snippet_that_is_no_latex_would_be_noticed(tmp_path):
    assert compiled_snippet(r"\begin{align*} u_{ \end{align*}", tmp_path).returncode != 0


@every_file
def test_latex_has_every_block_and_no_placeholder(path):
    sde = gallery_sde(path.stem)
    text = sde.latex()
    assert [mark for mark in PLACEHOLDERS if mark in text] == []
    assert not re.search(r"=\s*(\\\\\s*)?\\end", text), "a display ends with an equals sign"
    assert text.isascii()
    for term in TERMS:
        assert term.symbol in text
    for symbol in sde.problem.parameters:
        assert sp.latex(symbol) in text


def test_latex_shows_the_loss_the_manifold_and_its_dimension():
    text = gallery_sde("hyperbola_isotropic").latex()
    assert r"\frac{\left(u v - 1\right)^{2}}{2}" in text
    assert r"\Gamma &= \{x : u v = 1\}" in text and "f &= u v - 1" in text
    assert r"\dim\Gamma = 1" in text


def test_latex_states_where_the_formulas_hold():
    """Four circles, weighted and expanded: too large for formulas without a frame, so a minor of H is assumed nonsingular, and said."""
    pairs = [sp.symbols(f"p{k} q{k}") for k in range(4)]
    loss = sp.expand(sum((p**2 + q**2 - 1) ** 2 * (1 + p**2) for p, q in pairs))
    parameters = tuple(s for pair in pairs for s in pair)
    sde = derive_limiting_sde(Problem(loss=loss, parameters=parameters, noise=IsotropicNoise(1)))
    assert sde.valid_where
    assert r"\text{valid where }" in sde.latex()
    circle = sp.expand((pairs[0][0] ** 2 + pairs[0][1] ** 2 - 1) ** 2)
    whole = derive_limiting_sde(Problem(loss=circle, parameters=pairs[0], noise=IsotropicNoise(1)))
    assert whole.valid_where == () and "valid where" not in whole.latex()


# --- large formulas ---------------------------------------------------------------------------------

LARGE = [
    overparametrised(4, 8, LabelNoise(), 0),
    overparametrised(3, 5, IsotropicNoise(), 0),
    overparametrised(3, 5, sp.Matrix(10, 2, lambda i, j: sp.Rational((7 * i + 3 * j) % 11 - 5, 10)), 0),
]
LARGE_NAMES = ["OLM 4,8 label", "OLM 3,5 isotropic", "OLM 3,5 dense"]

each_large = pytest.mark.parametrize("number", range(len(LARGE)), ids=LARGE_NAMES)


@cache
def large(number):
    return derive_limiting_sde(LARGE[number])


@needs_tex
@each_large
def test_a_large_formula_is_printed_by_named_parts_on_lines_that_fit(number, tmp_path):
    text, dimension = large(number).latex(entries=True), LARGE[number].dimension
    assert "G_{1,1} &= " in text and rf"_{{{dimension}}} &=" in text
    done = compiled_snippet(text, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


@each_large
def test_named_parts_are_the_formula(number):
    """Part after part evaluated at points of Γ, to 50 digits: the values of the derivation's own program."""
    derivation = large(number).derivation
    named = named_parts(shortest_program(derivation, "drift"), "drift", 64, expression_latex)
    for point in derivation.points:
        with working_digits(60):
            values = dict(point)
            waiting = list(named.parts)
            while waiting:
                known = [part for part in waiting if part[1].free_symbols <= values.keys()]
                assert known, "the parts are defined in terms of one another"
                for name, definition in known:
                    (values[name],) = Valuation(PRECISE, values)([from_sympy(definition, Graph())])
                waiting = [part for part in waiting if part[0] not in values]
            graph = Graph()
            ours = Valuation(PRECISE, values)([from_sympy(e, graph) for e in named.entries])
            theirs = derivation.program.run(PRECISE, point)["drift"]
            assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < mpmath.mpf(10) ** -50


def test_a_formula_past_the_budget_says_so():
    problem = overparametrised(5, 10, IsotropicNoise(), 0)
    # With a domain it is derived entry by entry.
    sde = derive_limiting_sde(replace(problem, domain=[problem.parameters[0] > -100]))
    assert "operations, more than the 2000 that are printed" in sde.latex(entries=True)
    assert "are what stands above in vectors; their entries, of up to 16062 operations, are not printed" in sde.latex()
    assert r"operations, see sde.program" in sp.latex(sde)


def test_the_loss_of_a_large_model_is_stated_by_its_residuals():
    assert r"L &= \frac{r_{1}^{2} + " in large(0).latex()


# --- SymPy's printers -------------------------------------------------------------------------------


def hyperbola(noise):
    return derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=noise))


def test_printers_show_the_equation():
    label, isotropic = hyperbola(LabelNoise()), hyperbola(IsotropicNoise())
    drift = "Matrix([\n[u*(v**2 - u**2)/(2*(u**2 + v**2))],\n[v*(u**2 - v**2)/(2*(u**2 + v**2))]])*dt"
    assert str(label) == repr(label) == f"dY = {drift}"
    assert "dY =" in sp.pretty(label) and "v  - u" in sp.pretty(label)
    entries = r"u \left(v^{2} - u^{2}\right)\\v \left(u^{2} - v^{2}\right)"
    shown = rf"\frac{{1}}{{2 \left(u^{{2}} + v^{{2}}\right)}} \left[\begin{{matrix}}{entries}\end{{matrix}}\right]"
    assert sp.latex(label) == rf"dY = {shown}\,dt"
    assert str(isotropic).index("*dt + Matrix") < str(isotropic).index("*dW")
    assert re.fullmatch(r"dY = .*\\,dt \+ .*\\,dW", sp.latex(isotropic))


def test_a_users_order_of_terms_is_kept():
    assert "- u^{2} + v^{2}" in sp.latex(hyperbola(LabelNoise()), order="lex")


@pytest.mark.parametrize("noise", [LabelNoise(), IsotropicNoise()], ids=["short", "in lines"])
def test_printers_follow_the_users_settings(noise):
    sde = hyperbola(noise)
    text = sp.latex(sde, symbol_names={u: r"\mathcal{U}"}, mat_delim="(")
    assert r"\mathcal{U}" in text and r"\left(\begin{matrix}" in text
    assert r"\mathcal{U}" not in sp.latex(sde) and r"\left[\begin{matrix}" in sp.latex(sde)


@needs_tex
def test_jupyter_shows_the_equation_in_math_mode(tmp_path):
    """As notebooks do, also where init_printing wraps what `latex` returns: between dollars."""
    sdes = [
        hyperbola(LabelNoise()),
        hyperbola(IsotropicNoise()),
        large(0),
        derive_limiting_sde(overparametrised(2, 4, IsotropicNoise(), 0)),
    ]
    assert all(sde._repr_latex_() == rf"$\displaystyle {sp.latex(sde)}$" for sde in sdes)
    assert r"\text{where}" in sdes[2]._repr_latex_()
    done = compiled_snippet("\n\n".join(sde._repr_latex_() for sde in sdes), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_large_sde_prints_as_its_sizes():
    assert str(large(0)) == "LimitingSDE(D=16, M=4, drift of 1000 operations)"
    assert "LimitingSDE(D=16, M=4" in sp.pretty(large(0))


def test_nothing_moves():
    x, y = sp.symbols("x y")
    sde = derive_limiting_sde(Problem.least_squares([x + 2 * y], parameters=(x, y), noise=LabelNoise()))
    assert str(sde) == sp.latex(sde) == "dY = 0"


# --- derive -----------------------------------------------------------------------------------------


@pytest.fixture
def derived_once(monkeypatch):
    """The command derives a problem of the gallery only if no test has before."""
    monkeypatch.setattr(cli, "derive_limiting_sde", shared_derivation)


@every_file
def test_derive_prints_a_report(path, capsys, derived_once):
    assert main(["derive", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(read_problem_file(path).title)
    assert "Γ = {" in out and "codimension" in out
    assert all(f"  {term.name} " in out for term in TERMS)


LONG = ("factorisation_rank_two", "olm_label")
"""Whose terms take many seconds to be written out, all of them."""


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.campaign) if path.stem in LONG else path for path in FILES],
    ids=lambda path: path.stem,
)
def test_derive_as_json(path, capsys, derived_once):
    assert main(["derive", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    summary = json.loads(out)
    sde = gallery_sde(path.stem)
    assert summary["parameters"] == [s.name for s in sde.problem.parameters]
    assert summary["manifold"]["codimension"] == sde.manifold.codimension
    assert summary["manifold"]["dimension"] == sde.problem.dimension - sde.manifold.codimension
    assert list(summary["terms"]) == [term.name for term in TERMS]
    assert summary["terms"]["drift"]["operations"] == sde.program.select("drift").operations


@quick_file
def test_derive_with_the_flow(path, capsys, tmp_path, monkeypatch, derived_once):
    assert main(["derive", str(path), "--flow", "--latex", str(tmp_path / "f.tex")]) == 0
    out, err = capsys.readouterr()
    phi = gradient_flow_limit(read_problem(path))
    assert err == ""
    words = " ".join(out.split())
    assert " ".join(phi.explain().split()) in words
    assert all(written in words for written in (*map(plainly_zero, phi.equations), *map(plain, phi.expression or ())))
    assert (tmp_path / "f.tex").read_text(encoding="utf-8").endswith(phi.latex())
    monkeypatch.setattr(cli, "gradient_flow_limit", lambda problem: phi)
    assert main(["derive", str(path), "--flow", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)["flow"]
    assert summary["kind"] == phi.kind
    assert summary["needed"] == phi.limit.dimension == len(summary["first_integrals"])
    assert (summary["expression"] is None) == (phi.kind != "explicit")


def test_the_matrices_in_the_json_are_the_formulas(capsys):
    path = DERIVATIONS / "hyperbola_label.toml"
    main(["derive", str(path), "--json"])
    terms = json.loads(capsys.readouterr().out)["terms"]
    sde = gallery_sde(path.stem)
    names = {s.name: s for s in sde.problem.parameters}
    somewhere = dict(zip(sde.problem.parameters, (sp.Integer(2), sp.Rational(1, 3)), strict=True))
    for term in TERMS:
        printed = [
            [parse_expression(entry, names, where="JSON").subs(somewhere) for entry in row]
            for row in terms[term.name]["matrix"]
        ]
        assert sp.Matrix(printed) == sp.Matrix(getattr(sde, term.name).subs(somewhere))


def test_latex_to_a_file(tmp_path, capsys):
    path, target = DERIVATIONS / "sphere.toml", tmp_path / "sphere.tex"
    assert main(["derive", str(path), "--latex", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == gallery_sde("sphere").latex()
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("Sphere")


def test_latex_to_stdout_and_nothing_else(capsys):
    path = DERIVATIONS / "sphere.toml"
    assert main(["derive", str(path), "--latex", "-"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.strip() == gallery_sde("sphere").latex().strip()


def test_two_documents_are_not_mixed_on_stdout(capsys):
    code = main(["derive", str(DERIVATIONS / "sphere.toml"), "--latex", "-", "--json"])
    out = capsys.readouterr().out
    assert code == 2 or json.loads(out)


# --- verify -----------------------------------------------------------------------------------------


@quick_file
def test_verify_writes_a_certificate(path, tmp_path, capsys):
    target = tmp_path / "certificate.json"
    assert main(["verify", str(path), "--certificate", str(target)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "certificate: passed" in out
    certificate = json.loads(target.read_text(encoding="utf-8"))
    assert certificate["passed"] is True
    assert {check["verdict"] for check in certificate["checks"]} == {"proved", "measured"}
    assert len(certificate["checks"]) >= 20
    assert certificate["problem"]["parameters"] == [s.name for s in read_problem(path).parameters]
    assert certificate["versions"]["sympy"] == sp.__version__


def test_certificate_to_stdout_and_nothing_else(capsys):
    assert main(["verify", str(DERIVATIONS / "hyperbola_label.toml"), "--certificate", "-", "--seed", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True


def test_the_seed_decides_the_points(tmp_path):
    texts = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        target = tmp_path / name
        main(["verify", str(DERIVATIONS / "hyperbola_isotropic.toml"), "--certificate", str(target), "--seed", seed])
        texts.append(target.read_text())
    assert texts[0] == texts[1] != texts[2]


# --- exit code 1 --------------------------------------------------------------------------------------

QUADRIC = str(DERIVATIONS / "quadric_dense.toml")


def with_wrong(monkeypatch, name, factor):
    """Every derivation from now on has one term (and the drift, so that they still add up) computed with a wrong factor."""

    def change(term):
        if term.name == name:
            return replace(term, matrix=lambda *stages: factor * term.matrix(*stages))
        if term.name == "drift":
            return replace(term, matrix=lambda *stages: term.matrix(*stages) + (factor - 1) * right.matrix(*stages))
        return term

    (right,) = (term for term in TERMS if term.name == name)
    monkeypatch.setattr(terms, "TERMS", tuple(change(term) for term in TERMS))


@pytest.mark.parametrize("name", ["tangent_noise_compensation", "mixed_regularization", "normal_regularization"])
def test_a_failed_check_is_exit_code_1(name, monkeypatch, tmp_path, capsys):
    with_wrong(monkeypatch, name, 2)
    target = tmp_path / "certificate.json"
    assert main(["verify", QUADRIC, "--certificate", str(target)]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert "certificate: NOT passed" in out and "failed" in out
    certificate = json.loads(target.read_text(encoding="utf-8"))
    assert certificate["passed"] is False
    failed = [check["name"] for check in certificate["checks"] if check["verdict"] == "failed"]
    assert any(check.startswith(f"one step: {name.split('_')[0]}") for check in failed)
    assert any(check.startswith("one step: drift") for check in failed)


def test_the_right_factor_passes(monkeypatch, capsys):
    with_wrong(monkeypatch, "mixed_regularization", 1)
    assert main(["verify", QUADRIC]) == 0
    assert "certificate: passed" in capsys.readouterr().out


def test_derive_does_not_verify(monkeypatch, capsys):
    monkeypatch.setattr(cli, "verify", None)
    assert main(["derive", str(DERIVATIONS / "hyperbola_label.toml")]) == 0
    assert capsys.readouterr().err == ""


# --- the process ----------------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "symbolic_sgd", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False)


def test_help():
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: symbolic-sgd")
    assert "derive" in done.stdout and "verify" in done.stdout


def test_derive_as_a_process(tmp_path):
    target = tmp_path / "f.tex"
    done = run("derive", str(DERIVATIONS / "hyperbola_label.toml"), "--latex", str(target))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Hyperbola")
    assert r"\Gamma" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["derive", "verify"])
def test_help_of_commands(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "FILE.toml" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["derive"], ["integrate", "f.toml"], ["derive", "f.toml", "--pdf"]], ids=str)
def test_wrong_usage_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: symbolic-sgd" in err and "Traceback" not in err


def test_a_factor_of_minus_one_is_a_sign():
    x = sp.symbols("x1:4")
    sde = derive_limiting_sde(Problem(loss=(sum(a**2 for a in x) - 1) ** 2 / 8, parameters=x, noise=IsotropicNoise(1)))
    assert sde.drift == -sp.Matrix(x)
    assert r"= -\left[" in sde.latex() and r"-1 \left[" not in sde.latex()
