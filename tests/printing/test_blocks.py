"""What is printed is a list of values: each format writes the same blocks, and a further block is a further value."""

from itertools import pairwise

import pytest
import sympy as sp
from derived import gallery_sde

from symbolic_sgd import printing
from symbolic_sgd.documents.document import Document, Section
from symbolic_sgd.documents.writers import WRITERS
from symbolic_sgd.printing.blocks import Code, Formula, Math, aligned, display, inside_math, paragraph, snippet
from symbolic_sgd.printing.displays import entry_displays, matrix_displays, matrix_latex, zeros
from symbolic_sgd.printing.fitting import Fitted
from symbolic_sgd.theorem.terms import TERMS

BLOCKS = (
    paragraph("With ", Math("n"), " = ∇f, see ", Code("sde.program"), ":"),
    display(r"b = \frac{n}{2}"),
    aligned(["A &= 1", "N &= 2"]),
)


def test_blocks_as_latex_for_a_page_and_for_one_formula():
    assert snippet(BLOCKS) == (
        "With $n$ = $\\nabla$f, see \\texttt{sde.program}:\n"
        "\\begin{equation*}\nb = \\frac{n}{2}\n\\end{equation*}\n"
        "\\begin{align*}\nA &= 1 \\\\\nN &= 2\n\\end{align*}\n"
    )
    assert inside_math(BLOCKS) == (
        "\\begin{aligned}\n&\\text{With $n$ = $\\nabla$f, see \\texttt{sde.program}:} \\\\\n"
        "&b = \\frac{n}{2} \\\\\nA &= 1 \\\\\nN &= 2\n\\end{aligned}"
    )


@pytest.mark.parametrize(
    "suffix, name",
    {".tex": r"\texttt{sde.program}", ".md": "`sde.program`", ".html": "<code>sde.program</code>"}.items(),
)
def test_blocks_in_every_document(suffix, name):
    page = WRITERS[suffix](Document("A title", BLOCKS[0], (Section("A section", BLOCKS),)))
    assert page.count(name) == 2
    assert all(tex in page for tex in (r"b = \frac{n}{2}", "A &amp;= 1" if suffix == ".html" else "A &= 1"))
    assert BLOCKS[0].plain == "With n = ∇f, see sde.program:"


def test_the_theorem_is_a_list_of_blocks():
    """One that is added stands in the snippet as it is."""
    sde = gallery_sde("hyperbola_label")
    matrices = {term.name: getattr(sde, term.name) for term in TERMS}
    blocks = list(
        printing.theorem.theorem(sde.derivation, sde.structure, matrices, lambda name: sde.program.select(name))
    )
    assert snippet(blocks) == sde.latex()
    assert snippet([*blocks, *BLOCKS]) == sde.latex() + snippet(BLOCKS)
    lines = [line for block in blocks if isinstance(block, Formula) for line in block.lines]
    assert {term.symbol for term in TERMS} <= {line.replace("&", "").split(" = ")[0].strip() for line in lines}


def test_entries_have_their_indices_and_what_follows_from_others_is_left_out():
    u = sp.Symbol("u")
    (column,) = entry_displays(r"b_{\perp}", (2, 1), Fitted((u, -u), ()))
    assert column == Formula((r"(b_{\perp})_{1} &= u", r"(b_{\perp})_{2} &= - u"))
    square, words = entry_displays("S", (2, 2), Fitted((u, u**2, u**2, sp.S.Zero), ()))
    assert square == Formula(("S_{11} &= u", "S_{12} &= u^{2}"))
    assert words == paragraph("and the entries below the diagonal by symmetry; all others are zero.")


def test_labels_number_what_has_a_name_and_nothing_else():
    named = Formula(("a &= 1", "b &= 2"), names=((1, "drift"),))
    assert snippet([named]) == "\\begin{align*}\na &= 1 \\\\\nb &= 2\n\\end{align*}\n"
    assert snippet([named, display("c")], "eq:") == (
        "\\begin{align}\na &= 1 \\notag \\\\\nb &= 2 \\label{eq:drift}\n\\end{align}\n"
        "\\begin{equation*}\nc\n\\end{equation*}\n"
    )


def test_a_matrix_is_written_over_its_one_denominator():
    u, v = sp.symbols("u v")
    square = u**2 + v**2
    assert matrix_latex(sp.ImmutableMatrix([u / square, -v / square])) == (
        r"\frac{1}{u^{2} + v^{2}} \left[\begin{matrix}u\\- v\end{matrix}\right]"
    )
    assert matrix_latex(sp.ImmutableMatrix([[u / square]])) == r"\frac{u}{u^{2} + v^{2}}"
    assert r"\\[12pt]" in matrix_latex(sp.ImmutableMatrix([u * (v - u / sp.sqrt(square)), 1]))


def test_a_long_denominator_of_a_matrix_has_a_name():
    letters = sp.symbols("a:h")
    long = sum(s**2 * t**2 for s, t in pairwise(letters))
    wide = sp.ImmutableMatrix([[s * (1 - s) / long for s in letters[:4]]])
    shown, words, meaning = matrix_displays("b", [], wide)
    assert shown.lines[0].startswith(r"b = \frac{1}{t_{1}} \left[\begin{matrix}a \left(1 - a\right) &")
    assert words == paragraph("where") and meaning.lines[0].startswith("t_{1} &= a^{2} b^{2} + ")


def test_functions_that_vanish_are_equations_with_names_for_what_is_wide():
    u, v, w = sp.symbols("u v w")
    assert zeros([u * v - 1, v - w]) == [Formula(("&u v = 1", "&v = w"))]
    product = sp.Mul(*(u + k * v - w for k in range(12)))
    (first, *_), words, *_ = (block if block == paragraph("where") else block.lines for block in zeros([product - 3]))
    assert first.endswith("= 3") and "t_{1}" in first and words == paragraph("where")
