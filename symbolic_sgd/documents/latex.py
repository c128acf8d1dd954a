"""Documents as LaTeX that pdflatex compiles with amsmath, amssymb, geometry, graphicx and longtable."""

import re
import unicodedata
from itertools import groupby

from symbolic_sgd.documents.document import (
    Block,
    Cell,
    Document,
    Formula,
    Items,
    Math,
    Paragraph,
    Section,
    Table,
    Verbatim,
)

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

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textquoteleft{}",
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "’": "'",
}
"""Characters that LaTeX would read as commands."""

MATHEMATICAL = {
    **{
        letter: rf"\{name}"
        for letters, names in (
            ("αβγδϵζηθικλμ", "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu"),
            ("νξπρστυϕχψω", "nu xi pi rho sigma tau upsilon phi chi psi omega"),
            ("ΓΔΘΛΞΠΣΥΦΨΩ", "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"),
            ("εφℓ", "varepsilon varphi ell"),
        )
        for letter, name in zip(letters, names.split(" "), strict=True)
    },
    "∂": r"\partial",
    "∇": r"\nabla",
    "∫": r"\int",
    "∮": r"\oint",
    "√": r"\surd",
    "∞": r"\infty",
    "−": "-",
    "±": r"\pm",
    "×": r"\times",
    "·": r"\cdot",
    "∘": r"\circ",
    "≠": r"\neq",
    "≈": r"\approx",
    "∼": r"\sim",
    "∝": r"\propto",
    "∑": r"\sum",
    "ℝ": r"\mathbb{R}",
    "≤": r"\leq",
    "≥": r"\geq",
    "→": r"\to",
    "↦": r"\mapsto",
    "∈": r"\in",
    "⟨": r"\langle",
    "⟩": r"\rangle",
    "†": r"{}^{\dagger}",
    "⊥": r"\perp",
    "∥": r"\parallel",
    "ᵀ": r"{}^{\top}",
    "₊": "{}_{+}",
    "⁺": "{}^{+}",
    "⁻": "{}^{-}",
    "½": r"\tfrac12",
    "¼": r"\tfrac14",
    "𝓛": r"\mathcal{L}",
    **{digit: f"{{}}^{{{k}}}" for k, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{digit: f"{{}}_{{{k}}}" for k, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
}
"""Letters and signs that the toolkit's own words hold."""

LATIN = "ßæÆœŒøØåÅłŁ"
ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030c\u0327"
"""Grave, acute, circumflex, tilde, diaeresis, caron, cedilla."""


def latex(document: Document) -> str:
    """The document as LaTeX, from \\documentclass to \\end{document}."""
    parts = [
        PREAMBLE + rf"\title{{{text(document.title)}}}" + "\n\\author{}\n\\date{}\n\\begin{document}\n\\maketitle",
        rf"\textbf{{Result.}} {_paragraph(document.result)}",
        *(_section(section) for section in document.without_figures().sections),
        r"\end{document}",
    ]
    return "\n\n".join(parts) + "\n"


def text(words: str) -> str:
    r"""Any text as LaTeX: what LaTeX would read as a command is escaped, what it has no letter for is named by its number.

    >>> text(r"\input{x} Γ 50%")
    '\\textbackslash{}input\\{x\\} $\\Gamma$ 50\\%'
    """
    runs = groupby(re.sub(r"\s+", " ", words), key=MATHEMATICAL.__contains__)
    return "".join(
        f"${' '.join(MATHEMATICAL[c] for c in run)}$" if is_math else "".join(map(_character, run))
        for is_math, run in runs
    )


def _character(c: str) -> str:
    if c in SPECIAL:
        return SPECIAL[c]
    return c if (c.isascii() and c.isprintable()) or c in LATIN or _accented(c) else f"[U+{ord(c):04X}]"


def _accented(c: str) -> bool:
    """Whether it is a Latin letter with one of the accents that every font of LaTeX can set."""
    base, *accents = unicodedata.normalize("NFD", c)
    return base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in ACCENTS


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
        return "\\begin{equation*}\n\\fitted{" + formula.lines[0] + "}\n\\end{equation*}"
    return "\\begin{align*}\n" + " \\\\\n".join(formula.lines) + "\n\\end{align*}"


def _table(table: Table) -> str:
    first = r"p{0.4\textwidth}"
    rows = [" & ".join(_inline(cell) for cell in row) + r" \\" for row in table.rows]
    head = " & ".join(rf"\textbf{{{_inline(cell)}}}" for cell in table.header) + r" \\ \hline \endhead"
    body = "\n".join([rf"\begin{{longtable}}{{{first}{'l' * (len(table.header) - 1)}}}", head, *rows])
    return f"{text(table.caption)}\n\n{{\\small\\renewcommand{{\\arraystretch}}{{1.1}}\n{body}\n\\end{{longtable}}}}"


def _paragraph(block: Paragraph) -> str:
    return "".join(map(_inline, block.parts))


def _inline(part: Cell) -> str:
    if isinstance(part, Paragraph):
        return _paragraph(part)
    return f"${part.tex}$" if isinstance(part, Math) else text(part)
