"""What formulas are printed as: paragraphs and displays. They are values, and every format is one writing of them.

Here they are written as LaTeX, for a page and for one formula; `documents` writes them as pages. Formulas hold LaTeX of the small
vocabulary of `printing.signs`, so that every format prints the same formula.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from symbolic_sgd.printing.text import text


@dataclass(frozen=True)
class Math:
    """A formula in a line of text.

    Args:
        tex: LaTeX, without delimiters.
        plain: the same for a terminal.
    """

    tex: str
    plain: str = ""


@dataclass(frozen=True)
class Code:
    """A name as it is typed."""

    name: str


Inline = str | Math | Code
"""Text (any characters: writers escape it), a formula in it, or a name."""


@dataclass(frozen=True)
class Paragraph:
    """A run of text with formulas in it."""

    parts: tuple[Inline, ...]

    @property
    def plain(self) -> str:
        """The paragraph for a terminal."""
        return "".join(map(_plain, self.parts))


@dataclass(frozen=True)
class Formula:
    """Displayed formulas.

    Args:
        lines: LaTeX of each.
        aligned: whether they are aligned at their &.
    """

    lines: tuple[str, ...]
    aligned: bool = True


Block = Paragraph | Formula


def paragraph(*parts: Inline) -> Paragraph:
    """A paragraph of these parts."""
    return Paragraph(parts)


def display(tex: str) -> Formula:
    """One formula on lines of its own."""
    return Formula((tex,), aligned=False)


def aligned(lines: Iterable[str]) -> Formula:
    """Formulas aligned at their &."""
    return Formula(tuple(lines))


_COVARIANCES = {
    "Σ_⊥∥": r"\Sigma_{\perp\parallel}",
    "Σ_∥⊥": r"\Sigma_{\parallel\perp}",
    "Σ_⊥": r"\Sigma_{\perp}",
    "Σ_∥": r"\Sigma_{\parallel}",
    "|∇²L|₊": r"|\nabla^2 L|_{+}",
}


def words(text: str) -> Paragraph:
    """A sentence of the derivation with its covariances as formulas."""
    pieces = re.split("(" + "|".join(map(re.escape, _COVARIANCES)) + ")", text)
    return Paragraph(tuple(Math(_COVARIANCES[p], p) if p in _COVARIANCES else p for p in pieces if p))


# --- as LaTeX -------------------------------------------------------------------------------------


def snippet(blocks: Iterable[Block]) -> str:
    r"""LaTeX that compiles with amsmath, to be pasted or \input.

    >>> print(snippet([paragraph("where"), display("h = 1")]), end="")
    where
    \begin{equation*}
    h = 1
    \end{equation*}
    """
    return "".join(f"{_written(block)}\n" for block in blocks)


def inside_math(blocks: Iterable[Block]) -> str:
    """One formula, for use inside math mode; words stand on lines of their own."""
    return environment("aligned", [line for block in blocks for line in _lines(block)])


def one_output(blocks: Iterable[Block]) -> str:
    """One formula as the output of a notebook cell, in the form that every version of MathJax accepts."""
    return rf"$\displaystyle {inside_math(blocks)}$"


def environment(name: str, lines: Iterable[str]) -> str:
    """The lines in an environment of LaTeX."""
    return f"\\begin{{{name}}}\n" + " \\\\\n".join(lines) + f"\n\\end{{{name}}}"


def inline_latex(part: Inline) -> str:
    """A part of a paragraph."""
    if isinstance(part, Math):
        return f"${part.tex}$"
    return rf"\texttt{{{text(part.name)}}}" if isinstance(part, Code) else text(part)


def _written(block: Block) -> str:
    if isinstance(block, Paragraph):
        return "".join(map(inline_latex, block.parts))
    return environment("align*" if block.aligned else "equation*", block.lines)


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield rf"&\text{{{''.join(map(inline_latex, block.parts))}}}"
    else:
        yield from block.lines if block.aligned else (f"&{line}" for line in block.lines)


def _plain(part: Inline) -> str:
    if isinstance(part, Math):
        return part.plain or part.tex
    return part.name if isinstance(part, Code) else part
