"""Whole documents through a real pdflatex."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PDFLATEX = shutil.which("pdflatex")

needs_tex = pytest.mark.skipif(
    PDFLATEX is None and "REQUIRE_LATEX" not in os.environ, reason="pdflatex is not installed: LaTeX is not compiled"
)


SNIPPET = r"""\documentclass{article}
\usepackage{amsmath}
\begin{document}
%s
\end{document}
"""


TWO_COLUMNS = SNIPPET.replace(r"\documentclass{", r"\documentclass[twocolumn]{")


def compiled_snippet(snippet: str, folder: Path, article: str = SNIPPET) -> subprocess.CompletedProcess[str]:
    """A snippet in the smallest article that its own comment asks for."""
    return compiled_document(article % snippet, folder)


def compiled_document(page: str, folder: Path) -> subprocess.CompletedProcess[str]:
    assert PDFLATEX is not None
    (folder / "f.tex").write_text(page, encoding="utf-8")
    command = [PDFLATEX, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "f.tex"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=600, check=False
    )


def overfull(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines that stick out of the page."""
    return re.findall(r"Overfull \\hbox \(.*?\).*", done.stdout)


def pages(done: subprocess.CompletedProcess[str]) -> int:
    """How many there are."""
    found = re.search(r"Output written on \S+ \((\d+) page", done.stdout)
    return int(found[1]) if found else 0
