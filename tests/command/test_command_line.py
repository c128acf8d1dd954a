"""The command where the world is not as it should be: other encodings, full disks, closed pipes, interruptions, no files."""

import contextlib
import errno
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from symbolic_sgd import models
from symbolic_sgd.command import recovery
from symbolic_sgd.command import verify as verify_command
from symbolic_sgd.command.main import COMMANDS, main
from symbolic_sgd.command.main import _parsed as parsed
from symbolic_sgd.errors import BadInput
from symbolic_sgd.experiments.sparse_recovery import Trial, ladder, read, run_all
from symbolic_sgd.experiments.thresholds import Threshold, fit
from symbolic_sgd.models import named
from symbolic_sgd.models.meanings import MEANINGS

HYPERBOLA = str(Path(__file__).parents[2] / "derivations" / "hyperbola_label.toml")
FULL = "/dev/full"
NO_SPACE = os.strerror(errno.ENOSPC)

RECOVERY = ("--coordinates", "6", "--sparsity", "1", "--repeats", "1")
SIMULATE = ("simulate", HYPERBOLA, "--start", "u=1,v=1", "--replicas", "5", "--time", "0.01", "--seed", "1")

needs_full = pytest.mark.skipif(not os.path.exists(FULL), reason="this system has no device that is always full")
needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@pytest.fixture
def certificate(tmp_path, capsys):
    file = tmp_path / "certificate.json"
    assert main(["verify", HYPERBOLA, "--certificate", str(file)]) == 0
    capsys.readouterr()
    return file


# --- encodings ----------------------------------------------------------------------------------


def printed(monkeypatch, arguments, encoding):
    """What a command writes to a standard output of this encoding, and its exit code."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
    return code, stream.buffer.getvalue()


HELP = [[name, "--help"] for name in ("derive", "verify", "check", "simulate", "plot", "gallery", "serve", "recovery")]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *HELP,
        ["derive", HYPERBOLA, "--flow"],
        ["derive", HYPERBOLA, "--json"],
        ["derive", HYPERBOLA, "--latex", "-"],
        ["verify", HYPERBOLA],
        ["verify", HYPERBOLA, "--certificate", "-"],
        [*SIMULATE],
        ["gallery"],
        ["gallery", "hyperbola_label"],
        ["gallery", "theorem"],
    ],
    ids=" ".join,
)
def test_what_an_encoding_lacks_is_written_as_an_escape(arguments, monkeypatch):
    """Was: UnicodeEncodeError, and exit code 1 after a passed verification. Nothing else changes."""
    code, expected = printed(monkeypatch, arguments, "utf-8")
    assert code == 0
    for encoding in ("cp1252", *(["ascii"] if "--help" in arguments else [])):
        text = expected.decode("utf-8").encode(encoding, "backslashreplace")
        assert printed(monkeypatch, arguments, encoding) == (0, text)


def test_the_answers_of_check_and_recovery_in_another_encoding(certificate, tmp_path, monkeypatch):
    assert printed(monkeypatch, ["check", str(certificate)], "ascii")[0] == 0
    code, out = printed(monkeypatch, ["recovery", str(tmp_path / "κ"), *RECOVERY], "ascii")
    assert code == 0 and rb"\u03ba = 1" in out


def test_errors_in_another_encoding(tmp_path):
    """The words of an error hold Γ, η and the file's name; as a process, because its streams are the system's."""
    file = tmp_path / "κ.toml"
    file.write_text('parameters = ["u", "v"]\nloss = "u**2 + v**2"\nnoise = { kind = "isotropic" }\n', encoding="utf-8")
    command = [sys.executable, "-m", "symbolic_sgd", "derive", str(file)]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252:strict"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 2 and done.stdout == b""
    assert rb"\u03ba.toml" in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="file names are characters here, not bytes")
def test_a_file_whose_name_is_no_text(tmp_path, capfdbinary):
    """Was: UnicodeEncodeError, in UTF-8 as well, for what stands for a byte of the name."""
    folder = os.fsencode(tmp_path)
    with open(HYPERBOLA, "rb") as source, open(folder + b"/\xff.toml", "wb") as copy:
        copy.write(b"\n".join(line for line in source.read().splitlines() if not line.startswith(b"title")))
    file, document = os.fsdecode(folder + b"/\xff.toml"), str(tmp_path / "d.md")
    assert main(["derive", file, "--document", document]) == 0
    assert "\\udcff" in Path(document).read_text(encoding="utf-8")
    assert main(["verify", file]) == 0
    assert b"udcff.toml" in capfdbinary.readouterr().out


# --- help and version -----------------------------------------------------------------------------


def test_alone_it_says_its_help(capsys):
    """Was: an error."""
    assert main([]) == 0
    alone = capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out == alone and "examples:" in alone and "exit codes: 0 done" in alone


def test_its_version(capsys):
    """Was: an error."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"symbolic-sgd {version('symbolic-sgd')}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_commands(name, capsys):
    """Each is one that the parser takes; no word beside an option is without help."""
    with pytest.raises(SystemExit):
        main([name, "--help"])
    text = capsys.readouterr().out
    examples = text.partition("examples:\n")[2].splitlines()
    assert len(examples) >= 2
    for example in examples:
        _, *words = shlex.split(example.partition(" > ")[0].replace("\\", "\\\\"))
        assert words[0] in COMMANDS and parsed(words) is not None
    undescribed = re.findall(r"^  (?:-\S+|[A-Z]\S*)(?: \S+)?$(?!\n {10})", text.partition("examples:")[0], re.M)
    assert undescribed == []


@pytest.mark.parametrize(
    ("stated", "meant"),
    [("hyperbola", "hyperbola_label or hyperbola_isotropic"), ("motr", "motor"), ("teorem", "theorem")],
)
def test_an_entry_that_is_nearly_right(stated, meant, capsys):
    """Was: all 24 names."""
    assert main(["gallery", stated]) == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err
    assert main(["gallery", "qqq"]) == 2
    assert "it has attention, " in capsys.readouterr().err


# --- disks that are full ------------------------------------------------------------------------


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        [],
        ["--version"],
        *HELP,
        ["derive", HYPERBOLA],
        ["derive", HYPERBOLA, "--json"],
        ["verify", HYPERBOLA],
        [*SIMULATE],
        ["gallery"],
    ],
    ids=" ".join,
)
def test_standard_output_on_a_full_disk(arguments, monkeypatch, capsys):
    """Was: "None: No space left on device", or success (for a help), or the code of a failed check."""
    with open(FULL, "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(arguments) == 2
    assert capsys.readouterr().err == f"symbolic-sgd: standard output: {NO_SPACE}\n"


@needs_full
@pytest.mark.parametrize("name", ["--latex", "--document", "--certificate", "--output", "gallery", "theorem"])
def test_a_target_on_a_full_disk(name, tmp_path, capsys):
    """Was: "None: No space left on device", and after a verification or a simulation nothing of its result."""
    target = tmp_path / "target.md"
    target.symlink_to(FULL)
    arguments, result = {
        "--latex": (["derive", HYPERBOLA, "--latex"], "entry by entry"),
        "--document": (["derive", HYPERBOLA, "--document"], ""),
        "--certificate": (["verify", HYPERBOLA, "--certificate"], "certificate: passed"),
        "--output": ([*SIMULATE, "--output"], "5 replicas"),
        "gallery": (["gallery", "hyperbola_label", "--document"], ""),
        "theorem": (["gallery", "theorem", "--document"], ""),
    }[name]
    assert main([*arguments, str(target)]) == 2
    out, err = capsys.readouterr()
    assert err == f"symbolic-sgd: {target}: {NO_SPACE}\n" and result in out


@needs_full
def test_outcomes_on_a_full_disk(tmp_path, capsys):
    (tmp_path / "outcomes.jsonl").symlink_to(FULL)
    assert main(["recovery", str(tmp_path), *RECOVERY]) == 2
    assert "device" in capsys.readouterr().err  # it is no file that a run could go on from
    (tmp_path / "outcomes.jsonl").unlink()
    (tmp_path / "thresholds.json").symlink_to(FULL)
    assert main(["recovery", str(tmp_path), *RECOVERY]) == 2
    assert capsys.readouterr().err == f"symbolic-sgd: {tmp_path / 'thresholds.json'}: {NO_SPACE}\n"


@pytest.mark.parametrize("option", ["--latex", "--document", "--certificate"])
def test_a_place_where_nothing_can_be_written_is_noticed_before_the_work(option, tmp_path, monkeypatch, capsys):
    """Was: noticed after it."""
    for name in ("derive", "verify"):
        monkeypatch.setattr(f"symbolic_sgd.command.{name}.derive_limiting_sde", None)
    target = tmp_path / "absent" / "f.md"
    command = "verify" if option == "--certificate" else "derive"
    assert main([command, HYPERBOLA, option, str(target)]) == 2
    assert str(target) in capsys.readouterr().err


# --- pipes that are closed ----------------------------------------------------------------------


@pytest.mark.parametrize("passed", [True, False])
def test_a_closed_pipe_is_quiet_and_the_exit_code_is_the_checks(passed, monkeypatch, capsys):
    """Was: 0 for a verification that failed, where its reader had stopped reading."""
    real = verify_command.verify

    def verify(*args, **wishes):
        made = real(*args, **wishes)
        failed = tuple(asdict(check) | {"verdict": "failed"} for check in made.checks)
        return (
            made if passed else type(made)(**{**vars(made), "checks": tuple(type(made.checks[0])(**c) for c in failed)})
        )

    monkeypatch.setattr(verify_command, "verify", verify)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["verify", HYPERBOLA]) == (0 if passed else 1)
    assert capsys.readouterr().err == ""


@needs_pipes
@pytest.mark.parametrize("stops", [False, True])
def test_a_target_that_is_a_pipe(stops, tmp_path, monkeypatch, capsys):
    """`--latex >(head -1)`: who reads may stop, and the report is printed all the same."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading, real = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), os.set_blocking
    if stops:  # between the opening and the writing
        monkeypatch.setattr(os, "set_blocking", lambda *args: (real(*args), os.close(reading)))
    assert main(["derive", HYPERBOLA, "--latex", str(pipe)]) == 0
    assert "entry by entry" in capsys.readouterr().out
    if not stops:
        assert os.read(reading, 100).startswith(b"\\begin")
        os.close(reading)


@needs_pipes
def test_a_target_that_nobody_reads(tmp_path, capsys):
    """Was: waited for, without end."""
    os.mkfifo(tmp_path / "pipe")
    with at_most(60):
        assert main(["derive", HYPERBOLA, "--latex", str(tmp_path / "pipe")]) == 2
    out, err = capsys.readouterr()
    assert "entry by entry" in out and str(tmp_path / "pipe") in err


def test_the_named_models(capsys):
    assert main(["gallery", "--models", "matrix_sensing"]) == 0
    shown = capsys.readouterr().out
    assert "b_U = Σ_i λ_i A_i V − 1/(2 n) Σ_i A_i A_iᵀ U" in shown and MEANINGS["matrix_sensing"] in shown
    assert main(["gallery", "--models"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{name}\n  f = " in shown and meaning in shown for name, meaning in MEANINGS.items())
    assert set(MEANINGS) == set(models.__all__)
    files = {path.stem for path in Path(named.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(models.__all__), "a model is a file of its own and a line of models/__init__.py"


@pytest.mark.parametrize(
    ("arguments", "message"), [(["matrix_sensng"], "matrix_sensing"), (["--document", "m.md"], "leave --document")]
)
def test_models_that_are_refused(arguments, message, capsys):
    assert main(["gallery", "--models", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_streams_that_are_not_there(name, monkeypatch, capsys):
    """`>&-`. Was: AttributeError."""
    monkeypatch.setattr(sys, name, None)
    assert main(["gallery"]) == 0
    assert main(["derive", "absent.toml"]) == 2
    out, err = capsys.readouterr()
    assert "absent" not in out and ("absent" in err) is (name == "stdout")


# --- interruptions and faults -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ("symbolic_sgd.command.derive.derive_limiting_sde", ["derive", HYPERBOLA]),
        ("symbolic_sgd.command.verify.verify", ["verify", HYPERBOLA, "--full"]),
        ("symbolic_sgd.command.check.recheck", ["check"]),
        ("symbolic_sgd.command.simulate.simulate_sgd", [*SIMULATE]),
        ("symbolic_sgd.command.recovery.thresholds", ["recovery"]),
        ("symbolic_sgd.command.gallery.markdown", ["gallery", "theorem"]),
    ],
)
def test_an_interruption_is_one_line_and_130(place, arguments, monkeypatch, certificate, tmp_path, capsys):
    """Was: a traceback."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupted)
    arguments += {"check": [str(certificate)], "recovery": [str(tmp_path), *RECOVERY]}.get(arguments[-1], [])
    assert main(arguments) == 130
    assert capsys.readouterr().err == "symbolic-sgd: interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups to interrupt")
def test_an_interruption_from_the_keyboard_ends_the_workers_without_a_word(tmp_path):
    """It goes to the command and its workers alike. Was: a traceback from each of them. The run goes on from what it has."""
    command = [
        sys.executable,
        "-m",
        "symbolic_sgd",
        "recovery",
        str(tmp_path),
        "--coordinates",
        "120",
        "320",
        "640",
        "--repeats",
        "500",
        "--workers",
        "2",
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a job in the background of a shell ignores it
    )
    outcomes = tmp_path / "outcomes.jsonl"
    while process.poll() is None and not (outcomes.exists() and outcomes.stat().st_size):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()  # which waits for all who hold these pipes
    assert (process.returncode, out, err) == (130, "", "symbolic-sgd: interrupted\n")
    assert len(read(outcomes)) >= 1


def test_a_fault_of_the_toolkit_is_no_failed_check(monkeypatch, capsys):
    """Was: exit code 1, which says that a check failed."""

    def broken(_, **options):
        raise RuntimeError("the moon")

    monkeypatch.setattr(verify_command, "derive_limiting_sde", broken)
    assert main(["verify", HYPERBOLA]) == 3
    out, err = capsys.readouterr()
    assert out == "" and "the moon" in err and "fault of symbolic-sgd" in err


def test_a_worker_that_was_killed_is_no_traceback(monkeypatch, tmp_path, capsys):
    def lost(*_, **__):
        raise BrokenProcessPool("a process was terminated abruptly")

    monkeypatch.setattr(recovery, "run_all", lost)
    assert main(["recovery", str(tmp_path), *RECOVERY]) == 2
    assert "worker" in capsys.readouterr().err


# --- what is no file ------------------------------------------------------------------------------


@contextlib.contextmanager
def at_most(seconds):
    """A wait without end becomes an error."""

    def late(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@needs_pipes
@pytest.mark.parametrize("command", ["derive", "verify", "simulate", "check"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "directory"])
def test_what_is_no_file_is_refused_at_once(command, kind, tmp_path, monkeypatch, capsys):
    """Was: a pipe was waited for, and a device read, without end."""
    monkeypatch.chdir(tmp_path)  # the names of sockets are short
    path = Path("problem.toml")
    with contextlib.ExitStack() as stack:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
        elif kind == "device":
            path.symlink_to("/dev/zero")
        else:
            path.mkdir()
        stack.enter_context(at_most(30))
        assert main([command, str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and kind in err and str(path) in err


# --- the experiment's own errors ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seed", "-1"], "seed"),
        (["--repeats", "0"], "--repeats"),
        (["--workers", "0"], "--workers"),
        (["--coordinates", "0"], "1 ≤ κ ≤ d"),
        (["--sparsity", "0"], "1 ≤ κ ≤ d"),
    ],
)
def test_an_experiment_that_makes_no_sense(options, words, tmp_path, capsys):
    """Was: ValueError for most of these."""
    assert main(["recovery", str(tmp_path / "run"), *RECOVERY, *options]) == 2
    assert words in capsys.readouterr().err


def test_a_single_coordinate_and_thresholds_without_error_bars(tmp_path, capsys):
    """Was: a refusal of n = 0, which nobody asked for; NaN in the file, which is no JSON."""
    assert main(["recovery", str(tmp_path), "--coordinates", "1", "--sparsity", "1", "--repeats", "1"]) == 0
    text = (tmp_path / "thresholds.json").read_text(encoding="utf-8")
    assert all(t["error"] is None for t in json.loads(text)) and "NaN" not in text
    with pytest.raises(BadInput, match="error bars"):
        fit([Threshold(8, 1, "signs", "limit", 4.0, float("nan"), ())] * 3, intercept=True)
    with pytest.raises(BadInput, match="error bars"):
        fit([Threshold(8, 1, "signs", "limit", 4.0, 0.5, ())] * 3, intercept=True)


@pytest.mark.parametrize(
    "change",
    [
        {"kernel_error": "0.1"},
        {"time": None},
        {"reason": 3},
        {"trial": {"coordinates": "6"}},
        {"trial": {"samples": 2.5}},
        {"trial": 3},
    ],
)
def test_outcomes_of_other_types_are_refused(change, tmp_path):
    """Was: taken up, and a TypeError when thresholds were computed."""
    file = tmp_path / "outcomes.jsonl"
    (trial,) = list(ladder([6], [1], ["signs"], 1, 0, steps=2))[:1]
    run_all([trial], file)
    entry = json.loads(file.read_text(encoding="utf-8"))
    inner = change.get("trial")
    entry |= {"trial": entry["trial"] | inner} if isinstance(inner, dict) else change
    file.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match="line 1"):
        read(file)


def test_outcomes_that_are_no_text(tmp_path):
    file = tmp_path / "outcomes.jsonl"
    file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(BadInput, match="line 1"):
        read(file)
    with pytest.raises(BadInput, match="seed"):
        Trial(6, 1, 2, "signs", 0, -1)
    assert np.isfinite(run_all([Trial(6, 1, 2, "signs", 0, 10**30)], tmp_path / "huge.jsonl")[0].limit_error)
