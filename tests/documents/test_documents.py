"""Documents: nothing in the user's text is a command, every section is there, and what is not known is said."""

import re
from html.parser import HTMLParser

import pytest
import sympy as sp
from derived import gallery_sde
from latex_document import compiled_document, needs_tex, overfull
from motor import motor

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde, verify
from symbolic_sgd.command import derive as cli
from symbolic_sgd.command.main import main
from symbolic_sgd.documents.derivation_document import SECTIONS
from symbolic_sgd.documents.document import Document, Figure, Items, Section, Table, Verbatim
from symbolic_sgd.documents.writers import WRITERS
from symbolic_sgd.errors import Undecided
from symbolic_sgd.printing.blocks import Formula, Paragraph, inline_latex, paragraph
from symbolic_sgd.printing.displays import matrix_latex
from symbolic_sgd.printing.prose import in_words
from symbolic_sgd.printing.text import text
from symbolic_sgd.theorem.terms import TERMS

u, v, w = sp.symbols("u v w")

HOSTILE = (
    r"\input{/etc/passwd} \write18{rm} $x$ %comment & # _ ^ ~ { } <script>alert(1)</script> "
    '<img src=x onerror=alert(1)> [a](javascript:b) `c` *d* --> "q" é Γ 漢 | ﬁ ∇²'
)
every_writer = pytest.mark.parametrize("suffix", list(WRITERS))


def hyperbola(noise=None):
    return derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=noise or LabelNoise(1)))


def hostile_document() -> Document:
    blocks = (
        paragraph(HOSTILE),
        Items((paragraph(HOSTILE),)),
        Table(HOSTILE, ("a", HOSTILE), ((HOSTILE, "b"),)),
        Formula(("x = 1",), aligned=False),
        Verbatim("a < b & c"),
    )
    return Document(HOSTILE, paragraph(HOSTILE), (Section(HOSTILE, blocks),))


class Outline(HTMLParser):
    """Tags, headings and text of a page."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


# --- the user's text ------------------------------------------------------------------------------------


def test_html_of_hostile_text_has_no_tag_of_its_own():
    page = Outline(WRITERS[".html"](hostile_document()))
    assert not {"script", "img", "iframe", "object"} & set(page.tags)
    assert not any(name.startswith("on") or name == "src" for _, found in page.attributes for name in found)
    assert any("<script>alert(1)</script>" in words for words in page.words)


def test_markdown_of_hostile_text_has_no_tag_and_no_link():
    page = WRITERS[".md"](hostile_document())
    prose = page.split("-->", 1)[1]
    assert not re.search(r"(?<!\\)<(script|img)", prose)
    assert not re.search(r"(?<!\\)\]\(", prose)
    assert page.count("-->") == 1


@needs_tex
def test_latex_of_hostile_text_compiles_and_runs_nothing(tmp_path):
    done = compiled_document(WRITERS[".tex"](hostile_document()), tmp_path)
    assert done.returncode == 0, done.stdout[-1500:]
    assert "/etc/passwd" not in re.sub(r"\s", "", "".join(re.findall(r"\(([^()\s]+)", done.stdout)))


def test_every_character_that_latex_reads_is_escaped():
    escaped = text(HOSTILE)
    assert r"\textbackslash{}input\{/etc/passwd\}" in escaped
    assert not re.search(r"(?<!\\)[#%&_](?!\{)", re.sub(r"\$[^$]*\$", "", escaped))
    assert "[U+6F22]" in escaped


# --- the derivation -------------------------------------------------------------------------------------


@every_writer
def test_every_section_and_every_term_is_there(suffix):
    sde = hyperbola(IsotropicNoise())
    drawn = [Figure("A picture", "What it shows", "<svg></svg>")]
    page = sde.document(WRITERS[suffix], title="A title", certificate=verify(sde), figures=drawn, predictor=[u * v])
    plain = page if suffix != ".tex" else re.sub(r"\\section\{(.*?)\}\n", r"\1", page)
    for title, _ in SECTIONS:
        if title == "Pictures" and suffix != ".html":
            assert title not in page
            continue
        assert ("".join(map(inline_latex, in_words(title))) if suffix == ".tex" else title) in plain
    for term in TERMS:
        assert term.symbol in page
    assert "Every check passed" in page


def test_markdown_is_the_default_and_the_result_comes_first():
    page = hyperbola().document()
    assert page.startswith("<!-- result: The regularization descends R = (u**2 + v**2)/4; no noise along Γ. -->\n")


def test_sections_with_nothing_to_say_are_left_out():
    assert "## Certificate" not in hyperbola().document()


def test_the_formulas_are_those_of_the_objects():
    sde = hyperbola(IsotropicNoise())
    page = sde.document()
    for name in ("tangent_projection", "drift", "normal_regularization"):
        assert matrix_latex(getattr(sde, name)) in page


def test_letters_in_headings_of_latex_are_formulas():
    page = hyperbola().document(WRITERS[".tex"])
    assert r"\section{$\nabla^{2}L$, $\partial \Phi$ and $\nabla^{2}L{}^{\dagger}$ on $\Gamma$}" in page


def test_the_source_is_cited_on_lines_as_long_as_those_of_formulas():
    wide, narrow = (hyperbola().document(WRITERS[".tex"], line=line) for line in (90, 45))
    assert "  booktitle = {International Conference on Learning Representations}," in wide.splitlines()
    cited = narrow.split(r"\begin{verbatim}")[1].split(r"\end{verbatim}")[0].splitlines()
    assert max(len(line) for line in cited if "http" not in line) <= 45


def test_where_nothing_moves_the_chart_has_no_coefficients():
    x, y = sp.symbols("x y")
    page = derive_limiting_sde(Problem.least_squares([x + 2 * y], parameters=(x, y), noise=LabelNoise())).document()
    assert r"d\theta = 0" in page and r"b_\theta" not in page and "fixed" not in page


def test_a_term_without_a_line_in_vectors_is_not_said_to_have_one():
    page = gallery_sde("factorisation_rank_one").document()
    assert r"The entries of $`\nabla^2 L^{\dagger}`$ have 756 operations and are not printed." in page
    assert r"The entries of $`S`$, which is short in vectors, have" in page


def test_no_regularizer_is_said_with_its_evidence():
    problem, _ = motor(sp.Symbol("t"))
    page = derive_limiting_sde(problem).document()
    assert "No regularizer" in page.splitlines()[0]
    assert "descends no function on $`\\Gamma`$" in page and "1.26268" in page


def test_an_undecided_regularizer_is_said_with_its_reason(monkeypatch):
    def undecided(derivation, effort):
        raise Undecided("neither found nor excluded")

    monkeypatch.setattr("symbolic_sgd.regularizer.regularizer.find_regularizer", undecided)
    page = hyperbola().document()
    assert "(undecided)" in page.splitlines()[0].replace("\\", "")
    assert "neither found nor excluded" in page


def test_a_missing_limit_is_said_with_its_reason(monkeypatch):
    def refused(problem):
        raise Undecided("the flow was not understood")

    monkeypatch.setattr("symbolic_sgd.documents.findings.find_limit", refused)
    assert "$`\\Phi`$ was not found: the flow was not understood" in hyperbola().document()


def test_a_missing_chart_is_said_with_its_reason():
    problem = Problem(loss=(sp.exp(u * v) + u + v - 3) ** 2, parameters=(u, v), noise=IsotropicNoise())
    assert "No chart was found by itself" in derive_limiting_sde(problem).document()


@needs_tex
def test_names_and_constants_of_every_kind_compile(tmp_path):
    theta, x_1, width, c = sp.symbols("theta x_1 width c", positive=True)
    problem = Problem(
        loss=(theta**2 * sp.tanh(x_1) - c) ** 2 * sp.exp(width) / 2,
        parameters=(theta, x_1, width),
        noise=sp.Matrix([[sp.sqrt(theta), 0], [sp.erf(x_1), 1], [1, sp.Rational(1, 3)]]),
        constants=(c,),
    )
    sde = derive_limiting_sde(problem)
    done = compiled_document(sde.document(WRITERS[".tex"]), tmp_path)
    assert done.returncode == 0, done.stdout[-1500:]
    assert overfull(done) == []
    assert "<math" in sde.document(WRITERS[".html"])


# --- the page itself ------------------------------------------------------------------------------------


def test_html_is_one_file_that_asks_for_nothing():
    page = Outline(hyperbola().document(WRITERS[".html"]))
    links = [found[name] for _, found in page.attributes for name in ("src", "href") if name in found]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert not {"script", "iframe"} & set(page.tags)
    assert page.attributes[0] == ("html", {"lang": "en"})
    assert [tag for tag in page.tags if tag in ("h1", "h3")] == ["h1"]


def test_formulas_can_be_reached_by_the_keyboard_and_have_names():
    page = Outline(hyperbola().document(WRITERS[".html"]))
    boxes = [found for tag, found in page.attributes if tag == "div"]
    assert boxes and all(found["tabindex"] == "0" and found["aria-label"] for found in boxes)
    assert all(found["alttext"] for tag, found in page.attributes if tag == "math")


# --- the command ----------------------------------------------------------------------------------------


@every_writer
def test_derive_writes_a_document(suffix, tmp_path, capsys):
    source, target = tmp_path / "p.toml", tmp_path / f"out{suffix}"
    source.write_text(
        'title = "My <b>loss</b>"\nparameters = ["u", "v"]\nresiduals = ["u*v - 1"]\nnoise = { kind = "label" }'
    )
    assert main(["derive", str(source), "--document", str(target)]) == 0
    assert capsys.readouterr().err == ""
    assert "<b>loss</b>" not in target.read_text(encoding="utf-8").replace(r"\<b\>", "")


def test_an_unknown_ending_is_refused_before_anything_is_derived(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "derive_limiting_sde", None)
    source = tmp_path / "p.toml"
    source.write_text('parameters = ["u", "v", "w"]\nloss = "(u*v + w - 1)**2"\nnoise = { kind = "isotropic" }')
    assert main(["derive", str(source), "--document", str(tmp_path / "out.pdf")]) == 2
    assert "has to end in .tex, .md, .html" in capsys.readouterr().err
    assert not (tmp_path / "out.pdf").exists()


def test_plain_text_of_a_paragraph():
    assert Paragraph(("a", "b")).plain == "ab"
