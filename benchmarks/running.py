"""Running a tool in a process of its own, with a time limit and a memory limit, and what came of it.

Nothing heavy is imported here: a new process is charged with the memory of the one that starts it.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent

MEMORY = 8 * 2**30
"""Bytes of address space that a measurement may take."""

COUNT_SHARE = 4
"""Counting operations by `sympy.cse` gets the time limit divided by this."""

LONGEST_TEXT = 300_000
"""A drift that Maxima or Giac prints with more characters than this is not read back to be counted."""

RUNS = 3
POLL = 0.002

NUMBER = re.compile(r"-?\d+(/\d+)?")


@dataclass(frozen=True)
class Process:
    """What a finished or killed process left: its output, wall-clock seconds, peak memory in MB, and how it ended."""

    output: str
    seconds: float
    peak: float
    status: int
    killed: bool


@dataclass(frozen=True)
class Measurement:
    """One tool on one problem: named figures, or why it stopped."""

    figures: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""

    def __getitem__(self, name: str) -> Any:
        return self.figures.get(name)


def run(
    command: list[str], limit: float, environment: dict[str, str] | None = None, folder: Path | None = None
) -> Process:
    """Run a command (in a folder), and kill it and all that it started after `limit` seconds."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | (environment or {}),
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
        )
        killed = False
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            if time.perf_counter() - start > limit and not killed:
                os.killpg(process.pid, signal.SIGKILL)
                killed = True
            time.sleep(POLL)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Process(text, seconds, ended[2].ru_maxrss / 1024, process.returncode, killed)


def repeated(once: Any, limit: float) -> Measurement:
    """The median of RUNS runs, or of fewer where they take longer than the time limit together; one failure stops."""
    first = once(True)
    runs = [first]
    while not runs[-1].stopped and len(runs) < RUNS and sum(r["seconds"] for r in runs) < limit:
        runs.append(once(False))
    if runs[-1].stopped:
        return runs[-1]
    medians = {name: median(r[name] for r in runs) for name in ("seconds", "peak", "increase")}
    return Measurement(first.figures | medians | {"runs": len(runs)})


def python_tool(tool: str, model: str, limit: float, environment: dict[str, str]) -> Measurement:
    """A tool that measure_one.py runs."""

    def once(counted: bool) -> Measurement:
        count_limit = limit / COUNT_SHARE if counted else 0
        command = [*_measure_one(tool, model), str(limit), str(count_limit)]
        process = run(command, 3 * limit + 300, environment)
        figures = _lines(process)
        if "values" in figures:
            return Measurement(figures)
        if "seconds" in figures:
            return Measurement(
                stopped=f"derived in {figures['seconds']:.1f} s, but its value at the point did not come"
            )
        return Measurement(stopped=_reason(process, limit, figures))

    return repeated(once, limit)


def script_tool(tool: str, model: str, limit: float, command: list[str], folder: Path) -> Measurement:
    """A computer algebra system, whose script algebra_systems.py writes; its limit includes evaluating and printing."""
    script, empty = folder / "script", folder / "empty"
    script.write_text(run([sys.executable, str(HERE / "algebra_systems.py"), tool, model], limit).output)
    empty.write_text("1;\n")
    baseline = run([*command, str(empty)], limit, folder=folder).peak

    def once(counted: bool) -> Measurement:
        process = run([*command, str(script)], limit, folder=folder)
        tagged = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in process.output.splitlines() if " " in line}
        if "VALUES" not in tagged or "DRIFT" not in tagged:
            return Measurement(stopped=_reason(process, limit, {}))
        figures = {
            "seconds": float(tagged["SECONDS"].strip("[] ").split(",")[-1]),
            "peak": process.peak,
            "increase": process.peak - baseline,
            "values": [value.strip() for value in tagged["VALUES"].strip("[] ").split(",")],
        }
        if not all(NUMBER.fullmatch(value) for value in figures["values"]):
            return Measurement(stopped=f"the value at the point is no number: {tagged['VALUES'][:60]}")
        return Measurement(figures | (_counted(tagged["DRIFT"], model, limit, folder) if counted else {}))

    return repeated(once, limit)


def _measure_one(tool: str, model: str) -> list[str]:
    return [sys.executable, str(HERE / "measure_one.py"), tool, model]


def _counted(text: str, model: str, limit: float, folder: Path) -> dict[str, Any]:
    if len(text) > LONGEST_TEXT:
        return {}
    drift, share = folder / "drift", str(limit / COUNT_SHARE)
    drift.write_text(text)
    return _lines(run([*_measure_one("count", model), share, share, str(drift)], limit))


def _lines(process: Process) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for line in process.output.splitlines():
        if line.startswith("{"):
            figures |= json.loads(line)
    return figures


def _reason(process: Process, limit: float, figures: dict[str, Any]) -> str:
    if process.killed or process.status == -signal.SIGALRM:
        return f"> {limit:g} s"
    if figures.get("stopped") == "memory" or "emory" in process.output[-2000:]:
        return f"> {MEMORY / 2**30:g} GB"
    last = (process.output.strip().splitlines() or [""])[-1]
    return f"ended with status {process.status}: {last[:80]}"
