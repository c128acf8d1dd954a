"""Every block of the documentation runs as it stands, and prints what its comments say."""

import contextlib
import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from symbolic_sgd.command.main import main

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
KINDS = {"python", "console", "toml", "latex", "text"}


def blocks(page):
    text = page.read_text(encoding="utf-8")
    return [(m[1], m[2], text[: m.start()]) for m in BLOCK.finditer(text)]


def test_every_block_is_of_a_kind_that_is_run():
    kinds = {kind for page in PAGES for kind, _, _ in blocks(page)}
    assert kinds <= KINDS and {"python", "console"} <= kinds


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.stem)
def test_the_blocks_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    names: dict[str, object] = {}
    shown = ""
    for number, (kind, code, before) in enumerate(found):
        if kind == "python":
            shown = run_python(code, names)
            if [kind for kind, _, _ in found[number + 1 : number + 2]] != ["text"]:
                assert shown.splitlines() == promised(code)
        elif kind == "toml":
            Path(re.findall(r"`([\w.]+\.toml)`", before)[-1]).write_text(code, encoding="utf-8")
        elif kind == "console":
            shown = "".join(run_command(line.removeprefix("$ ")) for line in code.splitlines())
        elif kind == "text":  # of what the block before it shows
            assert code in shown
        else:
            compile_latex(code)


def run_python(code, names):
    """What a block prints."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "<docs>", "exec"), names)
    return shown.getvalue()


def promised(code):
    """What the comments beside the prints of a block say that these print."""
    return [m[1].strip() for m in re.finditer(r"^\s*(?:print|show)\(.*\)\s+# (.*)$", code, re.MULTILINE)]


def run_command(line):
    """What a command shows."""
    command, *arguments = shlex.split(line)
    assert command == "symbolic-sgd"
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert main(arguments) == 0, line
    return shown.getvalue()


@pytest.mark.parametrize(("name", "count"), [("formulas_from_papers", 30), ("optimizers_from_papers", 20)])
def test_the_formulas_beside_those_of_papers_are_what_is_printed(name, count):
    page = DOCS / f"{name}.md"
    cells = re.findall(r"^\| (\d+) \|.*?\| `([^`]+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    printed = [m[1] for _, code, _ in blocks(page) for m in re.finditer(r"^show\(.*\)\s+# (.*)$", code, re.MULTILINE)]
    assert [int(number) for number, _ in cells] == list(range(1, count + 1))
    assert sorted(written for _, written in cells) == sorted(printed)


def compile_latex(text):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    Path("paper.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
