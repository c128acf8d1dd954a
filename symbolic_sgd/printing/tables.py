"""Tables, and how HTML writes them and what stands in a line of text."""

from dataclasses import dataclass
from html import escape

from symbolic_sgd.printing.blocks import Code, Inline, Math, Paragraph
from symbolic_sgd.printing.mathml import mathml

Cell = Inline | Paragraph
"""What stands in a table."""


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


def html_table(table: Table) -> str:
    """The table, which the keyboard can scroll where it is wider than its page."""
    head = "".join(f'<th scope="col">{_cell(cell)}</th>' for cell in table.header)
    rows = "\n".join(map(_row, table.rows))
    caption = escape(table.caption)
    return (
        f'<div class="table" tabindex="0" role="group" aria-label="{caption}"><table>\n<caption>{caption}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def html_inline(parts: tuple[Inline, ...]) -> str:
    """A run of text with formulas in it."""
    return "".join(map(_inline, parts))


def _row(cells: tuple[Cell, ...]) -> str:
    first, *rest = map(_cell, cells)
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'


def _cell(cell: Cell) -> str:
    return html_inline(cell.parts if isinstance(cell, Paragraph) else (cell,))


def _inline(part: Inline) -> str:
    if isinstance(part, Math):
        return mathml((part.tex,), aligned=False, block=False)
    return f"<code>{escape(part.name)}</code>" if isinstance(part, Code) else escape(part)
