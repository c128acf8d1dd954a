"""The command `serve`: where it says it is, how it ends, what it leaves behind, and the site of files."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from symbolic_sgd.command import gallery
from symbolic_sgd.command.main import main

LINE = 'title = "A <b>line</b>"\nparameters = ["a", "b"]\nloss = "(a + b)**2"\nnoise = { kind = "isotropic" }'


def children(pid):
    """The processes that a process has started (Linux)."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda sent: sent.name)
def test_nothing_is_left_behind(sent, tmp_path):
    """SIGKILL, too: a worker ends when nobody can ask it any more."""
    root = Path(__file__).parents[2]
    (tmp_path / "sympy.py").write_text("raise SystemExit", encoding="utf-8")  # no module of a worker
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "symbolic_sgd", "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root), "TMPDIR": str(tmp_path)},
        start_new_session=True,
        # Shells let commands in the background ignore Ctrl-C, and what these start inherits it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    address = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address) and process.stdout.readline() == "Ctrl-C ends it.\n"
    with urllib.request.urlopen(address) as page:
        assert b"<form" in page.read()
    workers = children(process.pid)
    assert len(workers) == 2
    os.kill(process.pid, sent)
    out, err = process.communicate(timeout=60)
    assert (out.strip(), err) == ("", "")
    assert process.returncode == (-signal.SIGKILL if sent == signal.SIGKILL else 0)
    until = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, workers))
    assert [path.name for path in tmp_path.iterdir()] == ["sympy.py"]


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none(port, capsys):
    assert main(["serve", f"--port={port}"]) == 2
    assert f"--port {port} is no port" in capsys.readouterr().err


def test_a_port_that_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_site_of_files(tmp_path, monkeypatch, capsys):
    entries, place = tmp_path / "entries", tmp_path / "site"
    entries.mkdir()
    (entries / "line.toml").write_text(LINE, encoding="utf-8")
    monkeypatch.setattr(gallery, "PLACES", (entries,))
    assert main(["serve", "--export", str(place)]) == 0
    assert "2 pages" in capsys.readouterr().out
    names = ["cards.css", "gallery.js", "index.html", "line.html", "page.css", "page.js"]
    assert sorted(path.name for path in place.iterdir()) == names
    cards = (place / "index.html").read_text(encoding="utf-8")
    assert "A &lt;b&gt;line&lt;/b&gt;" in cards and "<b>" not in cards and "<img" not in cards
    assert 'class="card model-other noise-isotropic"' in cards and 'href="line.html"' in cards
    page = (place / "line.html").read_text(encoding="utf-8")
    assert "A &lt;b&gt;line&lt;/b&gt;" in page and "<b>" not in page
    for words in ("<math", "<svg", "Every check passed", "void sde_drift(", "derive_limiting_sde(problem)", "dY"):
        assert words in page
    assert not re.search(r'(?:src|href)="(?!page\.|line\.html|index\.html|data:,|#)', page)


def test_a_site_of_what_is_refused_is_not_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "point.toml").write_text(LINE.replace("(a + b)**2", "a**2 + b**2"), encoding="utf-8")
    monkeypatch.setattr(gallery, "PLACES", (tmp_path,))
    assert main(["serve", "--export", str(tmp_path / "site")]) == 2
    assert "point: " in capsys.readouterr().err


def test_what_does_not_go_together(tmp_path, capsys):
    assert main(["serve", "--export", str(tmp_path), "--open"]) == 2
    assert "--export writes files" in capsys.readouterr().err
