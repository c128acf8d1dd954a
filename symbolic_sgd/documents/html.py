"""Documents as one HTML file with native MathML: no script, no request, dark and light, readable on a phone."""

import re
from collections.abc import Iterator
from html import escape
from itertools import count

from symbolic_sgd.documents.document import Block, Document, Figure, Items, Section
from symbolic_sgd.printing.blocks import Formula, Paragraph
from symbolic_sgd.printing.mathml import mathml
from symbolic_sgd.printing.tables import Table, html_inline, html_table

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1f; --paper: #ffffff; --soft: #55555f; --line: #c9c9d2; --band: #f3f3f7;
  --link: #1a4fb4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ee; --paper: #16161a; --soft: #a9a9b6; --line: #44444f;
  --band: #212128; --link: #8ab4ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.05rem/1.6 Georgia, "Times New Roman", serif; }
main { max-width: 46rem; margin: 0 auto; padding: 1.2rem 1rem 4rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .6rem 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--line); }
.result { background: var(--band); border-left: 4px solid var(--link); padding: .6rem .9rem; }
.formula, .table, pre { overflow: auto hidden; margin: .9rem 0; padding: .5rem 0; }
.formula:focus-visible, .table:focus-visible, pre:focus-visible, a:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
math { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", "Libertinus Math", math; font-size: 1.05em; }
mtable.aligned > mtr > mtd { text-align: left; padding: .3em 0; } mtable.aligned > mtr > mtd:first-child { text-align: right;
  padding-right: .15em; }
mtd { padding: .3em .5em; } .bold { font-weight: bold; }
table { border-collapse: collapse; font-size: .92rem; } caption { text-align: left; color: var(--soft); padding: .3rem 0; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th[scope=row] { font-weight: normal; }
figure { margin: 1.2rem 0; } figure svg { max-width: 100%; height: auto; color: var(--ink); }
figcaption { color: var(--soft); font-size: .92rem; }
pre { background: var(--band); padding: .8rem; font-size: .85rem; line-height: 1.45; }
nav ol { columns: 2; padding-left: 1.3rem; } nav a { color: var(--link); }
@media (max-width: 34rem) { body { font-size: 1rem; } nav ol { columns: 1; } }
@media print { .formula, .table, pre { overflow: visible; } }
"""


def html(document: Document) -> str:
    """The document as one self-contained HTML file."""
    return _Page().page(document)


def html_sections(document: Document) -> str:
    """Result and sections, for a page that has a heading of its own."""
    return _Page().content(document)


class _Page:
    """One file while it is written: its formulas and pictures are numbered."""

    def __init__(self) -> None:
        self.formulas: Iterator[int] = count(1)
        self.figures: Iterator[int] = count(1)

    def page(self, document: Document) -> str:
        contents = "\n".join(
            f'<li><a href="#s{k}">{_text(section.title)}</a></li>' for k, section in enumerate(document.sections, 1)
        )
        sections = self.sections(document)
        return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{_text(document.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{_text(document.title)}</h1>
{self.result(document)}
<nav aria-label="Contents"><ol>
{contents}
</ol></nav>
{sections}
</main>
</body>
</html>
"""

    def content(self, document: Document) -> str:
        return f"{self.result(document)}\n{self.sections(document)}"

    def result(self, document: Document) -> str:
        return f'<p class="result"><strong>Result.</strong> {html_inline(document.result.parts)}</p>'

    def sections(self, document: Document) -> str:
        return "\n".join(self.section(k, section) for k, section in enumerate(document.sections, 1))

    def section(self, number: int, section: Section) -> str:
        blocks = "\n".join(map(self.block, section.blocks))
        title = f'<h2 id="s{number}">{_text(section.title)}</h2>'
        return f'<section aria-labelledby="s{number}">\n{title}\n{blocks}\n</section>'

    def block(self, block: Block) -> str:
        if isinstance(block, Paragraph):
            return f"<p>{html_inline(block.parts)}</p>"
        if isinstance(block, Formula):
            # Focusable, because the keyboard has to be able to scroll it.
            label = f'role="group" aria-label="formula {next(self.formulas)}"'
            return f'<div class="formula" tabindex="0" {label}>{mathml(block.lines, aligned=block.aligned)}</div>'
        if isinstance(block, Items):
            return "<ul>\n" + "\n".join(f"<li>{html_inline(item.parts)}</li>" for item in block.items) + "\n</ul>"
        if isinstance(block, Table):
            return html_table(block)
        if isinstance(block, Figure):
            return self.figure(block)
        return f'<pre tabindex="0" role="group" aria-label="text to copy">{escape(block.text)}</pre>'

    def figure(self, figure: Figure) -> str:
        number = next(self.figures)
        named = f'<svg role="img" aria-labelledby="f{number}t f{number}d"'
        title = f'<title id="f{number}t">{_text(figure.title)}</title><desc id="f{number}d">{_text(figure.description)}</desc>'
        drawn = re.sub(r"<svg\b([^>]*)>", lambda m: f"{named}{m[1]}>{title}", figure.svg, count=1)
        drawn = re.sub(r'(\bid="|"#|url\(#)(?!f\d+[td]")', rf"\1p{number}-", drawn)
        return f"<figure>{drawn}<figcaption>{_text(figure.description)}</figcaption></figure>"


def _text(words: str) -> str:
    return escape(words)
