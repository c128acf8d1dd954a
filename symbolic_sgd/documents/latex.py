"""Documents as LaTeX that pdflatex compiles with amsmath, amssymb, geometry and longtable."""

from textwrap import TextWrapper

from symbolic_sgd.documents.document import Block, Document, Items, Section, Verbatim
from symbolic_sgd.printing.blocks import Formula, Paragraph, environment, inline_latex
from symbolic_sgd.printing.layout import layout
from symbolic_sgd.printing.prose import in_words
from symbolic_sgd.printing.tables import Cell, Table
from symbolic_sgd.printing.text import text

PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage{amsmath,amssymb}
\usepackage[margin=25mm]{geometry}
\usepackage{longtable}
\allowdisplaybreaks
\setlength{\emergencystretch}{3em}
\setcounter{MaxMatrixCols}{64}
\renewcommand{\arraystretch}{1.2}
\setlength{\parindent}{0pt}
\setlength{\parskip}{.4em plus .2em}
"""


def latex(document: Document) -> str:
    """The document as LaTeX, from \\documentclass to \\end{document}."""
    parts = [
        PREAMBLE + rf"\title{{{text(document.title)}}}" + "\n\\author{}\n\\date{}\n\\begin{document}\n\\maketitle",
        rf"\textbf{{Result.}} {_paragraph(document.result)}",
        *(_section(section) for section in document.without_figures().sections),
        r"\end{document}",
    ]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    written = [rf"\section{{{''.join(map(inline_latex, in_words(section.title)))}}}"]
    for block in section.blocks:
        # A paragraph that begins with a display begins with an empty line.
        written.append(("\n" if isinstance(block, Formula) else "\n\n") + _block(block))
    return "".join(written)


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return _paragraph(block)
    if isinstance(block, Formula):
        return _formula(block)
    if isinstance(block, Items):
        items = "\n".join(rf"\item {_paragraph(item)}" for item in block.items)
        return "\\begin{itemize}\n" + items + "\n\\end{itemize}"
    if isinstance(block, Table):
        return _table(block)
    assert isinstance(block, Verbatim)
    return f"{{\\footnotesize\n\\begin{{verbatim}}\n{_on_lines(block)}\n\\end{{verbatim}}\n}}"


def _on_lines(block: Verbatim) -> str:
    """Its characters, of \\footnotesize, on lines that are broken at spaces where they are longer than those of formulas."""
    wrapper = TextWrapper(layout().line, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    whole = block.text.replace(r"\end{verbatim}", "").splitlines()
    return "\n".join(part for line in whole for part in wrapper.wrap(line) or [""])


def _formula(formula: Formula) -> str:
    return environment("align*" if formula.aligned else "equation*", formula.lines)


def _table(table: Table) -> str:
    first = r"p{0.4\textwidth}"
    rows = [" & ".join(_inline(cell) for cell in row) + r" \\" for row in table.rows]
    head = " & ".join(rf"\textbf{{{_inline(cell)}}}" for cell in table.header) + r" \\ \hline \endhead"
    body = "\n".join([rf"\begin{{longtable}}{{{first}{'l' * (len(table.header) - 1)}}}", head, *rows])
    return f"{text(table.caption)}\n\n{{\\small\\renewcommand{{\\arraystretch}}{{1.1}}\n{body}\n\\end{{longtable}}}}"


def _paragraph(block: Paragraph) -> str:
    return "".join(map(inline_latex, block.parts))


def _inline(cell: Cell) -> str:
    return _paragraph(cell) if isinstance(cell, Paragraph) else inline_latex(cell)
