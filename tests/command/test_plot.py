"""The command that draws: files of every kind, and options that would be ignored."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from symbolic_sgd.command.main import main

HYPERBOLA = str(Path(__file__).parents[2] / "derivations" / "hyperbola_label.toml")
CHEAP = ("--window", "u=0.2:3,v=0.2:3")


@pytest.mark.parametrize(
    ("ending", "begins"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".gif", b"GIF8")]
)
def test_a_file_of_every_kind(ending, begins, tmp_path, capsys):
    target = tmp_path / f"picture{ending}"
    frames = ("--frames", "5") if ending == ".gif" else ()
    assert main(["plot", HYPERBOLA, "--output", str(target), *CHEAP, "--time", "0.2", "--width", "2.5", *frames]) == 0
    assert target.read_bytes().startswith(begins)
    assert capsys.readouterr().out.startswith(str(target))


@pytest.mark.parametrize(
    "options",
    [
        ("--no-path", "--noise", "--axes", "u,v"),
        ("--kind", "regularizer", "--along", "u"),
        ("--kind", "chart", "--coordinates", "u"),
        ("--optimizer", "sam", "--start", "u=2,v=1"),
    ],
)
def test_what_is_drawn_is_chosen(options, tmp_path):
    target = tmp_path / "picture.svg"
    assert main(["plot", HYPERBOLA, "--output", str(target), *CHEAP, *options]) == 0
    assert "</svg>" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--output", "p.jpg"), "has to end in .pdf"),
        (("--output", "nowhere/p.pdf"), "--output"),
        (("--output", "p.gif", "--kind", "chart"), "does not move"),
        (("--output", "p.pdf", "--frames", "9"), "--frames is not for this picture"),
        (("--output", "p.gif", "--no-path"), "--no-path is not for this picture"),
        (("--output", "p.pdf", "--along", "u"), "--along is not for this picture"),
        (("--output", "p.pdf", "--no-path", "--seed", "0"), "--seed is not for this picture"),
        (("--output", "p.pdf", "--kind", "chart", "--axes", "u,v"), "--axes is not for this picture"),
        (("--output", "p.pdf", "--kind", "chart", "--seed", "0"), "--seed is not for this picture"),
        (("--output", "p.pdf", "--window", "u=0"), "NAME=LOW:HIGH"),
        (("--output", "p.pdf", "--axes", "u,x"), "none of the parameters u, v"),
        (("--output", "p.pdf", "--start", "u=1"), "start has no value for v"),
        (("--output", "p.pdf", "--width", "wide"), "--width: 'wide' is not a number"),
        (("--output", "p.pdf", "--constants", "s=1"), "is not NAME=NUMBER"),
    ],
)
def test_what_cannot_be_drawn_is_one_message_and_2(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plot", HYPERBOLA, *options]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_line_that_installs_it(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("symbolic_sgd.plots")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert main(["plot", HYPERBOLA, "--output", str(tmp_path / "p.pdf")]) == 2
    assert "pip install 'symbolic-sgd[plot]'" in capsys.readouterr().err
