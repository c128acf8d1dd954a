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


def compiled_snippet(snippet: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A snippet in the smallest article that its own comment asks for."""
    return compiled_document(SNIPPET % snippet, folder)


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
