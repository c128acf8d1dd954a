"""The formats of documents, by the ending of the file's name."""

from collections.abc import Callable

from symbolic_sgd.export.document import Document
from symbolic_sgd.export.document_html import html
from symbolic_sgd.export.document_latex import latex
from symbolic_sgd.export.document_markdown import markdown

WRITERS: dict[str, Callable[[Document], str]] = {".tex": latex, ".md": markdown, ".html": html}
"""A further format is a further row."""
