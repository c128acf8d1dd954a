"""Documents as LaTeX that pdflatex compiles with amsmath, amssymb, geometry, graphicx and longtable."""

from symbolic_sgd.documents.document import Block, Document, Items, Section, Verbatim
from symbolic_sgd.printing.blocks import Formula, Paragraph, environment, inline_latex
from symbolic_sgd.printing.tables import Cell, Table
from symbolic_sgd.printing.text import text

PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage{amsmath,amssymb}
\usepackage[margin=25mm]{geometry}
\usepackage{graphicx,longtable}
\allowdisplaybreaks
\setlength{\emergencystretch}{3em}
\setcounter{MaxMatrixCols}{64}
\renewcommand{\arraystretch}{1.5}
\setlength{\parindent}{0pt}
\setlength{\parskip}{.4em plus .2em}
\newcommand{\fitted}[1]{\sbox0{$\displaystyle #1$}%
  \ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi}
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
    return "\n\n".join([rf"\section{{{text(section.title)}}}", *(_block(block) for block in section.blocks)])


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
    return "{\\small\n\\begin{verbatim}\n" + block.text.replace(r"\end{verbatim}", "") + "\n\\end{verbatim}\n}"


def _formula(formula: Formula) -> str:
    if not formula.aligned:
        # A matrix a little wider than the page is set a little smaller.
        return environment("equation*", [rf"\fitted{{{formula.lines[0]}}}"])
    return environment("align*", formula.lines)


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
