"""Documents as Markdown with $`…`$ and $$ formulas, as GitHub and GitLab read them."""

import re

from symbolic_sgd.documents.document import Block, Document, Items, Section, Verbatim
from symbolic_sgd.printing.blocks import Code, Formula, Math, Paragraph, environment
from symbolic_sgd.printing.tables import Cell, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|$~&!])")
"""Characters with a meaning in Markdown or in HTML, which Markdown lets through."""


REFUSED = frozenset(
    (
        "operatorname",
        "mbox",
        "phantom",
        "hphantom",
        "vphantom",
        "DeclareMathOperator",
        "def",
        "let",
        "newcommand",
        "renewcommand",
    )
)
"""Macros that GitHub does not allow in formulas."""


def markdown(document: Document) -> str:
    """The document as Markdown; its result stands in a comment at the top as well, for programs."""
    parts = [
        f"<!-- result: {_comment(document.result.plain)} -->",
        f"# {_text(document.title)}",
        f"**Result.** {_paragraph(document.result)}",
        *(_section(section) for section in document.without_figures().sections),
    ]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    return "\n\n".join([f"## {_text(section.title)}", *(_block(block) for block in section.blocks)])


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return _paragraph(block)
    if isinstance(block, Formula):
        return _formula(block)
    if isinstance(block, Items):
        return "\n".join(f"- {_paragraph(item)}" for item in block.items)
    if isinstance(block, Table):
        return _table(block)
    assert isinstance(block, Verbatim)
    return f"```\n{block.text}\n```"


def _formula(formula: Formula) -> str:
    body = environment("aligned", formula.lines) if formula.aligned else formula.lines[0]
    return f"$$\n{_allowed(body)}\n$$"


def _allowed(tex: str) -> str:
    """A formula with the names of functions in the way that GitHub allows."""
    return tex.replace(r"\operatorname{", r"\mathrm{")


def _table(table: Table) -> str:
    rows = [table.header, ("---",) * len(table.header), *table.rows]
    cells = [[_inline(cell) if k != 1 else str(cell) for cell in row] for k, row in enumerate(rows)]
    return "\n".join([f"*{_text(table.caption)}*", "", *("| " + " | ".join(row) + " |" for row in cells)])


def _paragraph(block: Paragraph) -> str:
    return "".join(_inline(part) for part in block.parts)


def _inline(part: Cell) -> str:
    if isinstance(part, Paragraph):
        return _paragraph(part)
    if isinstance(part, Code):
        return f"`{part.name}`"
    # $`…`$ keeps the underscores and stars of a formula out of the reach of Markdown.
    return f"$`{_allowed(part.tex)}`$" if isinstance(part, Math) else _text(part)


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", text))


def _comment(text: str) -> str:
    return " ".join(text.split()).replace("--", "−−").replace(">", "›")
