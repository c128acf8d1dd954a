"""The README's example runs as it stands, and prints what its comments say."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no block marked {marker}"
    return found.group(1)


MARKERS = ["example", "document", "regularizer", "limit", "chart", "family", "backends", "simulation"]


@pytest.mark.parametrize("marker", MARKERS)
def test_an_example_prints_what_it_says(tmp_path, marker):
    if marker == "backends":
        pytest.importorskip("llvmlite")
    code = block(marker)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    promised = [line.split("#", 1)[1].split(": ")[0].strip() for line in code.splitlines() if line.startswith("print(")]
    assert done.stdout.split("\n")[:-1] == promised
    if marker == "example":
        assert r"\begin{align*}" in (tmp_path / "hyperbola.tex").read_text(encoding="utf-8")


COMMANDS = re.findall(
    r"^(symbolic-sgd [^\n#]*)", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)), re.MULTILINE
)


def test_the_commands_run_in_their_order(tmp_path):
    """In a directory that holds derivations/, as a clone does."""
    (tmp_path / "derivations").symlink_to(Path(__file__).parents[1] / "derivations")
    assert len(COMMANDS) > 8
    for line in COMMANDS:
        command, *arguments = shlex.split(line)
        assert command == "symbolic-sgd"
        done = subprocess.run(
            [sys.executable, "-m", "symbolic_sgd", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_the_commands_name_files_that_exist():
    root = Path(__file__).parents[1]
    for path in re.findall(r"derivations/\w+\.toml|tests/\w+\.py", README):
        assert (root / path).exists(), path
