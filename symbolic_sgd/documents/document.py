"""A document as a value: titled sections of paragraphs, formulas and tables, which one small writer per format prints."""

import re
from dataclasses import dataclass, replace

from symbolic_sgd.errors import BadInput
from symbolic_sgd.printing import blocks as printed
from symbolic_sgd.printing.blocks import Paragraph
from symbolic_sgd.printing.tables import Table


@dataclass(frozen=True)
class Items:
    """A list of short paragraphs."""

    items: tuple[Paragraph, ...]


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


Block = printed.Block | Items | Table | Verbatim | Figure


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
