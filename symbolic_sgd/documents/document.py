"""A document as a value: titled sections of paragraphs, formulas and tables, which one small writer per format prints.

Formulas are LaTeX of the small vocabulary that `printing.latex` writes, so that every format prints the same formula.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from symbolic_sgd.errors import BadInput


@dataclass(frozen=True)
class Math:
    """A formula.

    Args:
        tex: LaTeX, without delimiters.
        plain: the same for a terminal.
    """

    tex: str
    plain: str = ""


Inline = str | Math
"""Text (any characters: writers escape it) or a formula in it."""


@dataclass(frozen=True)
class Paragraph:
    """A run of text with formulas in it."""

    parts: tuple[Inline, ...]

    @property
    def plain(self) -> str:
        """The paragraph for a terminal."""
        return "".join(part if isinstance(part, str) else part.plain or part.tex for part in self.parts)


Cell = Inline | Paragraph
"""What stands in a table."""


@dataclass(frozen=True)
class Formula:
    """Displayed formulas.

    Args:
        lines: LaTeX of each.
        aligned: whether they are aligned at their &.
    """

    lines: tuple[str, ...]
    aligned: bool = True


@dataclass(frozen=True)
class Items:
    """A list of short paragraphs."""

    items: tuple[Paragraph, ...]


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column names the row.

    Args:
        caption: what the table shows.
        header: names of the columns.
        rows: cells.
    """

    caption: str
    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Verbatim:
    """Lines that are printed as they are."""

    text: str


_FOREIGN = re.compile(
    r"<(?:script|style|foreignObject)|[\s\"']on\w+\s*=|href\s*=\s*[\"'](?!#|data:image/)", re.IGNORECASE
)
"""What a picture must not bring into a page."""


@dataclass(frozen=True)
class Figure:
    """A picture, for writers that can show one.

    Args:
        title: what it shows, in a few words.
        description: the same for readers who cannot see it, and under it for those who can.
        svg: an <svg> element without scripts, styles or links of its own.

    Raises:
        BadInput: it is no such element.
    """

    title: str
    description: str
    svg: str

    def __post_init__(self) -> None:
        whole = isinstance(self.svg, str) and self.svg.startswith("<svg") and self.svg.endswith("</svg>")
        if not whole or _FOREIGN.search(self.svg):
            raise BadInput(f"the picture {self.title!r} has to be one <svg> element without scripts, events and links")


Block = Paragraph | Formula | Items | Table | Verbatim | Figure


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A derivation, ready for the writers.

    Args:
        title: the heading; the user's own text.
        result: the outcome in one line.
        sections: the parts, in order.
    """

    title: str
    result: Paragraph
    sections: tuple[Section, ...]

    def without_figures(self) -> "Document":
        """For writers of formats that hold no SVG."""
        kept = (replace(s, blocks=tuple(b for b in s.blocks if not isinstance(b, Figure))) for s in self.sections)
        return replace(self, sections=tuple(section for section in kept if section.blocks))


def paragraph(*parts: Inline) -> Paragraph:
    """A paragraph of these parts."""
    return Paragraph(parts)


_DISPLAY = re.compile(r"\\begin\{(align|equation)\*\}\n(.*?)\n\\end\{\1\*\}", re.DOTALL)


def blocks_of(latex: str | Sequence[str]) -> tuple[Block, ...]:
    r"""The displays, and the words between them, of LaTeX that `printing.latex` wrote.

    >>> blocks_of(r'''where
    ... \begin{equation*}
    ... h = 1
    ... \end{equation*}''')
    (Paragraph(parts=('where',)), Formula(lines=('h = 1',), aligned=False))
    """
    return tuple(_blocks(latex if isinstance(latex, str) else "\n".join(latex)))


def _blocks(latex: str) -> Iterator[Block]:
    end = 0
    for display in _DISPLAY.finditer(latex):
        yield from _words(latex[end : display.start()])
        yield Formula(tuple(display[2].split(" \\\\\n")), aligned=display[1] == "align")
        end = display.end()
    yield from _words(latex[end:])


def _words(latex: str) -> Iterator[Paragraph]:
    """Text with $…$ in it."""
    if latex.strip():
        pieces = " ".join(latex.split()).split("$")
        yield Paragraph(tuple(Math(p) if k % 2 else p for k, p in enumerate(pieces) if p))
