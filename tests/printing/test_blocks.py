"""What is printed is a list of values: each format writes the same blocks, and a further block is a further value."""

import pytest
import sympy as sp
from derived import gallery_sde

from symbolic_sgd import printing
from symbolic_sgd.documents.document import Document, Section
from symbolic_sgd.documents.writers import WRITERS
from symbolic_sgd.printing.blocks import Code, Formula, Math, aligned, display, inside_math, paragraph, snippet
from symbolic_sgd.printing.displays import entry_lines
from symbolic_sgd.theorem.derivation import TERMS

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
    symbols = {line.split(" = ")[0] for block in blocks if isinstance(block, Formula) for line in block.lines}
    assert {term.symbol for term in TERMS} <= symbols


def test_entries_have_their_indices():
    u = sp.Symbol("u")
    assert entry_lines("b", (2, 1), (u, -u)) == [[r"\bigl(b\bigr)_{1} &= u"], [r"\bigl(b\bigr)_{2} &= - u"]]
    assert entry_lines("S", (1, 2), (u, u**2))[1] == [r"\bigl(S\bigr)_{1,2} &= u^{2}"]
