"""A card for each example: a picture, what is stated, and what comes out of it; and the page of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from symbolic_sgd.printing.blocks import Inline
from symbolic_sgd.printing.tables import html_inline
from symbolic_sgd.serve.page import STATIC


@dataclass(frozen=True)
class Card:
    """What there is to see of an example before it is opened.

    Args:
        name: of its file.
        title: what it is about.
        kinds: by what the menus choose it: "noise-label", "codimension-1", …
        lines: what is stated and what comes out, a paragraph each.
        picture: an SVG file, if there is one.
        alternative: what is said in place of the picture.
    """

    name: str
    title: str
    kinds: tuple[str, ...]
    lines: tuple[tuple[Inline, ...], ...]
    picture: Path | None
    alternative: str


def cards_page(cards: Sequence[Card], footer: str) -> str:
    """The page of all cards; `footer` is HTML."""
    template = Template((STATIC / "gallery.html").read_text(encoding="utf-8"))
    return template.substitute(cards="\n".join(map(_card, cards)), footer=footer)


def _card(card: Card) -> str:
    image = f'<img src="{escape(card.picture.name)}" alt="{escape(card.alternative)}">' if card.picture else ""
    title = f'<p><strong><a href="{escape(card.name)}.html">{escape(card.title)}</a></strong></p>'
    lines = "".join(f"<p>{html_inline(line)}</p>" for line in card.lines)
    return f'<div class="card {escape(" ".join(card.kinds))}">{image}{title}{lines}</div>'
