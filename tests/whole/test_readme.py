"""The README's example runs as it stands, and prints what its comments say."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from symbolic_sgd.command.main import main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def block(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no block marked {marker}"
    return found.group(1)


MARKERS = [
    "document",
    "regularizer",
    "function_space",
    "limit",
    "chart",
    "family",
    "backends",
    "simulation",
    "optimizers",
]


def promised(code: str) -> list[str]:
    return [line.split("#", 1)[1].split(": ")[0].strip() for line in code.splitlines() if line.startswith("print(")]


def test_the_first_example_prints_what_it_says(tmp_path):
    """In a new Python."""
    code = block("example")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout.split("\n")[:-1] == promised(code)
    assert r"\begin{align*}" in (tmp_path / "hyperbola.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize("marker", MARKERS)
def test_an_example_prints_what_it_says(tmp_path, marker, monkeypatch, capsys):
    """In this one, with no name but its own."""
    if marker == "backends":
        pytest.importorskip("llvmlite")
    monkeypatch.chdir(tmp_path)
    exec(compile(block(marker), "<README>", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.split("\n")[:-1] == promised(block(marker))


def test_the_screen_is_what_the_command_shows(capsys, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main(["derive", "derivations/hyperbola_label.toml"]) == 0
    assert capsys.readouterr().out.startswith(block("screen") + "\nHow it was found\n")


COMMANDS = re.findall(
    r"^(symbolic-sgd [^\n#]*)", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)), re.MULTILINE
)


@pytest.mark.parametrize(
    "wide",
    ["derivations/hyperbola_label", pytest.param("derivations/olm_label", marks=pytest.mark.campaign)],
)
def test_the_commands_run_in_their_order(wide, tmp_path, monkeypatch, capsys):
    """In a directory that holds derivations/, as a clone does; the full set of checks on a smaller model than the README's."""
    (tmp_path / "derivations").symlink_to(Path(__file__).parents[2] / "derivations")
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) > 8 and any("derivations/olm_label" in line for line in COMMANDS)
    for line in COMMANDS:
        command, *arguments = shlex.split(line.replace("derivations/olm_label", wide))
        assert command == "symbolic-sgd"
        code, (out, err) = main(arguments), capsys.readouterr()
        assert code == 0, f"{line}\n{err}"
        assert ("consistent" in out) == ("--full" in arguments), line


def test_the_commands_name_files_that_exist():
    root = Path(__file__).parents[2]
    for path in re.findall(r"derivations/\w+\.toml|tests/\w+\.py", README):
        assert (root / path).exists(), path
