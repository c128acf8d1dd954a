"""The formats of documents, by the ending of the file's name."""

from collections.abc import Callable

from symbolic_sgd.documents.document import Document
from symbolic_sgd.documents.html import html
from symbolic_sgd.documents.latex import latex
from symbolic_sgd.documents.markdown import markdown

WRITERS: dict[str, Callable[[Document], str]] = {".tex": latex, ".md": markdown, ".html": html}
"""A further format is a further row."""
