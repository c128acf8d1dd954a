"""Checkpoints: whole or not there, believed only as far as they agree with themselves, whoever else writes them."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import GradientNoise, LabelNoise, Problem
from symbolic_sgd.api.simulation import simulate_sgd
from symbolic_sgd.errors import BadCheckpoint
from symbolic_sgd.simulate import checkpoint as checkpoints
from symbolic_sgd.simulate.ensemble import CHUNK
from symbolic_sgd.simulate.recording import Recording
from symbolic_sgd.simulate.run import simulated
from symbolic_sgd.simulate.sgd import TrueLaw

u, v = sp.symbols("u v")
PROBLEM = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
MARKS = [0, 7, 40, 75]


def run(file, *, replicas=10, seed=5, marks=MARKS, identity=(), **wishes):
    start = np.ones((replicas, 2)) + np.arange(2 * replicas).reshape(replicas, 2) / 100
    stepper = TrueLaw().descent(PROBLEM, Fraction(1, 50), {})
    recording = Recording(rng=seed, checkpoint=file, **wishes)
    return simulated(stepper, start, marks, np.array(marks, float), recording, identity=identity)


def interrupted(file, **wishes):
    """A run that ends after about a half."""

    def interrupt(fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(file, progress=interrupt, **wishes)


def rewritten(file, change, *, signed=True):
    with np.load(file) as stored:
        arrays = dict(stored)
    head = json.loads(str(arrays.pop("head")))
    old = head.pop("digest")
    change(arrays, head)
    digest = checkpoints.digest_of(head, arrays) if signed else old
    np.savez(file, head=np.array(json.dumps(head | {"digest": digest})), **arrays)


def shifted(name, where, by):
    def change(arrays, head):
        arrays[name] = arrays[name].copy()
        arrays[name][where] += by

    return change


CHANGES = [
    lambda arrays, head: arrays.update(x0=arrays["x0"][:, :2]),
    lambda arrays, head: arrays.update(x0=arrays["x0"] * np.nan),
    lambda arrays, head: arrays.update(x0=arrays["x0"].astype(str)),
    lambda arrays, head: arrays.update(x0=arrays["x0"] * 1e200),
    lambda arrays, head: arrays.update(mean=arrays["mean"][:, :1]),
    lambda arrays, head: arrays.update(scatter=arrays["scatter"][:1]),
    lambda arrays, head: head["chunks"][0].update(done=10**9),
    lambda arrays, head: head["chunks"][0].update(done=7),
    lambda arrays, head: head["chunks"][0].update(done=3),
    lambda arrays, head: head["chunks"][0].update(generator={}),
    lambda arrays, head: head["chunks"][0]["generator"].update(bit_generator="MT19937"),
    lambda arrays, head: head["chunks"][0]["generator"]["state"].update(inc=1),
    lambda arrays, head: head["chunks"][0]["generator"]["state"].update(inc=-1),
    lambda arrays, head: head["chunks"].clear(),
    lambda arrays, head: head.update(count=3),
    lambda arrays, head: head.update(seed="6"),
    lambda arrays, head: head.update(seed="05"),
    lambda arrays, head: head.update(seed="five"),
    lambda arrays, head: head.update(seed="٥"),  # five, in Arabic: int() reads it
    lambda arrays, head: head.update(seed=5),
    lambda arrays, head: head.update(seed=None),
    shifted("x0", (0, 3), 1e-6),
    shifted("x0", (1, 9), -3.0),
    shifted("mean", (-1, 0), 1e-6),
    shifted("mean", (0, 0), 1e-6),
    shifted("scatter", (-1, 1, 1), 1e-3),
    shifted("paths", (1, 4, 0), 1e-3),
    shifted("paths", (-1, 4, 0), 1e-13),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_no_such_run_writes_is_refused_under_a_right_digest(tmp_path, change):
    """Was: a seed that the random numbers do not come from, and replicas that were moved, were taken up; "five" was a traceback."""
    file = tmp_path / "run.npz"
    run(file, paths=True)
    rewritten(file, change)
    with pytest.raises(BadCheckpoint):
        run(file, paths=True)


def test_it_is_the_change_that_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    whole = run(file, paths=True)
    rewritten(file, lambda arrays, head: None)
    assert np.array_equal(run(file, paths=True).paths, whole.paths)


def test_a_change_that_agrees_with_itself_is_found_by_the_digest(tmp_path):
    file = tmp_path / "run.npz"
    interrupted(file)
    rewritten(file, shifted("mean", (1, 0), 1e-3), signed=False)  # the positions at that moment are not kept
    with pytest.raises(BadCheckpoint, match="digest"):
        run(file)


WRONG = (None, True, -1, 0.5, "x", [], [1], {}, {"a": []}, 10**30)


def put(path, value):
    """A change of one entry of the head, whose place is written with dots."""

    def change(arrays, head):
        *way, last = (int(name) if name.isdigit() else name for name in path.split("."))
        place = head
        for name in way:
            place = place[name]
        place[last] = value

    return change


def test_a_head_of_wrong_types_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    run(file, replicas=2)
    good = file.read_bytes()
    for path in (
        "format",
        "fingerprint",
        "seed",
        "count",
        "chunks",
        "chunks.0",
        "chunks.0.generator",
        "chunks.0.done",
        "arithmetic",
    ):
        for wrong in WRONG:
            file.write_bytes(good)
            rewritten(file, put(path, wrong))
            with pytest.raises(BadCheckpoint):
                run(file, replicas=2)


def test_bytes_that_were_damaged_are_refused_or_do_not_matter(tmp_path):
    """Was: NotImplementedError from a zip file's version that does not exist."""
    file = tmp_path / "run.npz"
    whole = run(file, replicas=2)
    good, rng = file.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        content = bytearray(good)
        for place in rng.integers(0, len(content), 3):
            content[place] = rng.integers(0, 256)
        file.write_bytes(content[: rng.integers(1, 2 * len(content))])
        try:
            assert run(file, replicas=2).final.tobytes() == whole.final.tobytes()
        except BadCheckpoint:
            refused += 1
    assert refused > 100


def test_the_seed_that_was_asked_for_is_the_files(tmp_path):
    """Was: a file of another seed under this run's fingerprint was taken up, and the other seed's result returned for this one."""
    file, other = tmp_path / "run.npz", tmp_path / "other.npz"
    wishes = {"learning_rate": 0.05, "steps": 40, "replicas": 5}
    mine = simulate_sgd(PROBLEM, [1, 1], checkpoint=file, rng=1, **wishes)
    simulate_sgd(PROBLEM, [1, 1], checkpoint=other, rng=2, **wishes)
    with np.load(file) as stored:
        fingerprint = json.loads(str(stored["head"]))["fingerprint"]
    rewritten(other, lambda arrays, head: head.update(fingerprint=fingerprint))
    with pytest.raises(BadCheckpoint, match="its seed is 2"):
        simulate_sgd(PROBLEM, [1, 1], checkpoint=other, rng=1, **wishes)
    assert simulate_sgd(PROBLEM, [1, 1], checkpoint=file, rng=1, **wishes).final.tobytes() == mine.final.tobytes()


def test_a_run_without_a_seed_goes_on_with_the_files(tmp_path):
    file = tmp_path / "run.npz"
    first = simulate_sgd(PROBLEM, [1, 1], learning_rate=0.05, steps=40, replicas=5, checkpoint=file)
    again = simulate_sgd(PROBLEM, [1, 1], learning_rate=0.05, steps=40, replicas=5, checkpoint=file)
    assert first.seed == again.seed and first.final.tobytes() == again.final.tobytes()
    alone = simulate_sgd(PROBLEM, [1, 1], learning_rate=0.05, steps=40, replicas=5, rng=first.seed)
    assert alone.final.tobytes() == first.final.tobytes()


def test_a_coordinate_that_stays_at_zero_is_no_forgery(tmp_path):
    problem = Problem(loss=(u - 1) ** 2 / 2 + v**2 * 0, parameters=(u, v), noise=GradientNoise(sp.Matrix([[1], [0]])))
    stepper = TrueLaw().descent(problem, Fraction(1, 50), {})
    start, recording = np.zeros((CHUNK + 3, 2)), Recording(rng=5, checkpoint=tmp_path / "run.npz")
    runs = [simulated(stepper, start, MARKS, np.array(MARKS, float), recording) for _ in range(2)]
    assert runs[0].final.tobytes() == runs[1].final.tobytes() and not runs[0].final[:, 1].any()


# --- who else writes --------------------------------------------------------------------------------------------------------


def test_threads_on_one_file(tmp_path):
    """Was: the part had the process's number in its name, so that one thread took away the other's: FileNotFoundError."""
    file, failures, finals = tmp_path / "run.npz", [], []
    together = threading.Barrier(4)

    def work():
        try:
            together.wait()
            finals.append(run(file, marks=list(range(40))).final.tobytes())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(finals) == 4 and len(set(finals)) == 1
    assert run(file, marks=list(range(40))).final.tobytes() == finals[0]
    assert os.listdir(tmp_path) == ["run.npz"]


def test_processes_on_one_file(tmp_path):
    file, there = tmp_path / "run.npz", tmp_path / "there"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        other = executor.submit(_run_in_a_process, file, there)
        while not there.exists() and not other.done():
            time.sleep(0.01)
        finals = {run(file, marks=list(range(40))).final.tobytes(), other.result()}
    assert finals == {run(None, marks=list(range(40))).final.tobytes()}
    assert sorted(os.listdir(tmp_path)) == ["run.npz", "there"]


def _run_in_a_process(file, there):
    there.touch()
    return run(file, marks=list(range(40))).final.tobytes()


def test_another_runs_checkpoint_is_not_overwritten(tmp_path):
    """Was: of two runs that began on one new name, the later one threw the other's checkpoint away."""
    file = tmp_path / "run.npz"

    def meanwhile(_):
        if not file.exists():
            run(file, identity="the other")

    with pytest.raises(BadCheckpoint, match="another run"):
        run(file, identity="the one", progress=meanwhile)
    run(file, identity="the other")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("kind", ["pipe", "directory", "device"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    """Was: a pipe was waited for, without end."""
    file = tmp_path / "run.npz"
    if kind == "device":
        file.symlink_to(os.devnull)
    else:
        os.mkfifo(file) if kind == "pipe" else file.mkdir()
    with pytest.raises(BadCheckpoint, match=kind):
        run(file)


# --- what interrupts ----------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    """Was: "None: No space left on device", and the part stayed behind."""
    file = tmp_path / "run.npz"
    whole = run(None, marks=list(range(76)))
    interrupted(file, marks=list(range(76)))
    before, sync = file.read_bytes(), os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        run(file, marks=list(range(76)))
    assert caught.value.filename == str(file)
    assert file.read_bytes() == before and os.listdir(tmp_path) == ["run.npz"]
    monkeypatch.setattr(os, "fsync", sync)
    assert run(file, marks=list(range(76))).final.tobytes() == whole.final.tobytes()


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
from symbolic_sgd.command.main import main
print([main(["simulate", *sys.argv[3:], option, file]) for option, file in zip(("--checkpoint", "--output"), sys.argv[1:3])])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limits here")
def test_a_disk_that_is_full_as_seen_by_the_command(tmp_path):
    """The system itself refuses the bytes after the 3000th. Was: "None: File too large", and no table of the run."""
    problem, files = tmp_path / "p.toml", [str(tmp_path / "run.npz"), str(tmp_path / "out.npz")]
    problem.write_text('parameters = ["u", "v"]\nresiduals = ["u*v - 1"]\nnoise = { kind = "label" }\n')
    arguments = [*files, str(problem), "--start", "u=1,v=1", "--replicas", "300", "--time", "0.1"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *arguments], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.stderr == "".join(f"symbolic-sgd: {file}: {os.strerror(errno.EFBIG)}\n" for file in files)
    assert "300 replicas" in done.stdout and "[2, 2]" in done.stdout
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == []


def test_parts_that_a_killed_run_left_are_removed(tmp_path):
    """Was: they stayed for ever."""
    file = tmp_path / "run[1].npz"
    old, young, others = (
        file.with_name(f"{file.name}.{name}") for name in ("0123456789abcdef.part", "f" * 16 + ".part", "my.part")
    )
    for part in (old, young, others):
        part.write_bytes(b"x")
    an_hour_ago = time.time() - checkpoints.remove_abandoned_parts.__globals__["ABANDONED"] - 1
    for part in (old, others):
        os.utime(part, (an_hour_ago, an_hour_ago))
    run(file)
    assert not old.exists() and young.exists() and others.exists()


def test_a_link_is_followed(tmp_path):
    place, link = tmp_path / "disk" / "run.npz", tmp_path / "run.npz"
    place.parent.mkdir()
    link.symlink_to(place)
    run(link)
    assert link.is_symlink() and place.exists()
    assert run(link).final.tobytes() == run(None).final.tobytes()


def test_a_checkpoint_of_another_run_or_no_checkpoint_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    run(file, identity="one")
    with pytest.raises(BadCheckpoint, match="another run"):
        run(file, identity="two")
    with pytest.raises(BadCheckpoint, match="another run"):
        run(file, replicas=5, identity="one")
    file.write_bytes(b"nonsense")
    with pytest.raises(BadCheckpoint, match="no checkpoint"):
        run(file, identity="one")
    np.savez(file, head=np.array([{"a": 1}], dtype=object))  # a pickle is never read
    with pytest.raises(BadCheckpoint, match="no checkpoint"):
        run(file, identity="one")
