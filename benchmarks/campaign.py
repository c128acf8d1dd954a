"""Thousands of random losses, derived and compared with the literal theorem; and what is said of them, tested.

    python benchmarks/campaign.py run --from 0 --to 10000 --directory DIR [--processes 2]
    python benchmarks/campaign.py statements --from 0 --to 1000 --directory DIR [--processes 2]
    python benchmarks/campaign.py report DIR

Each loss is determined by its seed (tests/helpers/widened_losses.py) and judged by roads that share no code with the package
(tests/helpers/theorem_literal.py, regular_points.py, claims.py). One JSON line a seed is appended to DIR as soon as it is
judged; the same command goes on where it stopped, and a run that is killed loses the losses that it was at. A loss
that takes more than the limit of processor time is stopped and counted as slow.
"""

import argparse
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

PART = 50
"""Seeds of one process, and of one file: a new process starts with empty caches."""

LIMITS = {"run": 60, "statements": 120}
"""Processor seconds a loss."""

GRACE = 30
"""Processor seconds after the limit at which a process that does not listen is ended."""

MEMORY = 6 * 2**30
"""Bytes of address space of a process."""

POLL = 0.5

SHOWN = 40
"""Lines of each list in a report."""

Record = dict[str, Any]


class OutOfTime(BaseException):
    """The limit was reached; no handler of exceptions may take it for an error of the loss."""


# --- records on disk --------------------------------------------------------------------------


def part_file(directory: Path, kind: str, seed: int) -> Path:
    """The file that holds a seed."""
    return directory / f"{kind}-{seed // PART * PART:07d}.jsonl"


def records_of(file: Path) -> Iterator[Record]:
    """The records of a file; a last line that a killed process left unfinished is passed over."""
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def append(stream: TextIO, record: Record) -> None:
    """Write a record, and see to it that it is on disk."""
    stream.write(json.dumps(record) + "\n")
    stream.flush()
    os.fsync(stream.fileno())


def opened(file: Path) -> TextIO:
    """A file to append to, its last line ended."""
    unfinished = file.exists() and file.stat().st_size > 0 and not file.read_bytes().endswith(b"\n")
    stream = file.open("a")
    if unfinished:
        stream.write("\n")
    return stream


def missing(directory: Path, kind: str, seeds: Iterable[int]) -> list[int]:
    """The seeds that have no record yet."""
    known: dict[Path, set[int]] = {}
    for seed in seeds:
        file = part_file(directory, kind, seed)
        if file not in known:
            known[file] = {record["seed"] for record in records_of(file)}
    return [seed for seed in seeds if seed not in known[part_file(directory, kind, seed)]]


# --- one part ---------------------------------------------------------------------------------


def judged(kind: str) -> Callable[[int], Record]:
    """What judges a seed; imported late, so that reports start at once."""
    if kind == "run":
        from judged_losses import judge  # noqa: PLC0415

        return judge
    from judged_statements import judge_statements  # noqa: PLC0415

    return judge_statements


def work(kind: str, directory: Path, seeds: list[int], limit: float) -> None:
    """Judge the seeds of one file, one after the other."""
    judge = judged(kind)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, _stop)
    with opened(part_file(directory, kind, seeds[0])) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another process writes {stream.name}")
        for seed in missing(directory, kind, seeds):
            _begun(directory, kind, seed).write_text(str(seed))
            append(stream, _limited(judge, seed, limit))
            _begun(directory, kind, seed).unlink()


def _begun(directory: Path, kind: str, seed: int) -> Path:
    """The file that names the seed a process is at."""
    return part_file(directory, kind, seed).with_suffix(".begun")


def _stop(*_: Any) -> None:
    raise OutOfTime


def _limited(judge: Callable[[int], Record], seed: int, limit: float) -> Record:
    """The judge's record, or that it was stopped; a process that does not listen is ended by the system's own limit."""
    begun, allowed = time.process_time(), resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(begun + limit + GRACE), allowed[1]))
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        record = judge(seed)
    except OutOfTime:
        record = {"seed": seed, "outcome": "slow", "message": f"stopped after {limit:g} s of processor time"}
    except Exception as error:  # the judge itself failed: to be looked at
        record = {"seed": seed, "outcome": "not judged", "message": f"{type(error).__name__}: {error}"[:500]}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_CPU, allowed)
    return record | {"processor": round(time.process_time() - begun, 3)}


# --- all parts --------------------------------------------------------------------------------


def conduct(kind: str, directory: Path, seeds: range, processes: int, limit: float) -> None:
    """Run every part that is not complete, some at a time."""
    directory.mkdir(parents=True, exist_ok=True)
    parts = sorted({seed // PART * PART for seed in seeds})
    waiting = [[s for s in range(p, p + PART) if s in seeds] for p in parts]
    running: dict[subprocess.Popen, list[int]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                part = waiting.pop(0)
                if missing(directory, kind, part):
                    running[_started(kind, directory, part, limit)] = part
            time.sleep(POLL)
            for process in [p for p in running if p.poll() is not None]:
                part = running.pop(process)
                if missing(directory, kind, part):
                    _mourn(process, directory, kind, part)
                    waiting.insert(0, part)
                else:
                    print(f"{kind} {part[0]}–{part[-1]} done", flush=True)
    finally:
        for process in running:
            process.terminate()


def _started(kind: str, directory: Path, part: list[int], limit: float) -> subprocess.Popen:
    command = [sys.executable, __file__, "part", kind, str(directory), str(part[0]), str(part[-1] + 1), str(limit)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    return subprocess.Popen(command, env=environment)


def _mourn(process: subprocess.Popen, directory: Path, kind: str, part: list[int]) -> None:
    """Record the loss at which a process died; where it had begun none, nothing can be run."""
    begun = _begun(directory, kind, part[0])
    if not begun.exists():
        sys.exit(
            f"a process for seeds {part[0]}–{part[-1]} ended with status {process.returncode} before its first loss"
        )
    words = f"the process ended with status {process.returncode}"
    outcome = "slow" if process.returncode == -signal.SIGXCPU else "crashed"
    with opened(part_file(directory, kind, part[0])) as stream:
        append(
            stream, {"seed": int(begun.read_text()), "outcome": outcome, "message": words, "wrong": [{"crash": words}]}
        )
    begun.unlink()


# --- the report -------------------------------------------------------------------------------


def faults(directory: Path, kind: str, seeds: range) -> list[int]:
    """The seeds at which something wrong was said, or that crashed: with any of them the command ends with 1."""
    records = {r["seed"]: r for file in sorted(directory.glob(f"{kind}-*.jsonl")) for r in records_of(file)}
    return [s for s in seeds if s in records and (records[s].get("wrong") or records[s]["outcome"] == "crashed")]


def report(directory: Path) -> str:
    """What came of all seeds recorded in a directory."""
    lines: list[str] = []
    for kind, render in (("run", _report_run), ("statements", _report_statements)):
        records = {r["seed"]: r for file in sorted(directory.glob(f"{kind}-*.jsonl")) for r in records_of(file)}
        if records:
            lines += render(list(records.values()))
    return "\n".join(lines) if lines else f"{directory} holds no records"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({part / whole:.2%})" if whole else "")


def _report_run(records: list[Record]) -> list[str]:
    outcomes = Counter(r["outcome"] for r in records)
    regular = [r for r in records if r.get("regular")]
    derived = [r for r in regular if r["outcome"] == "derived"]
    wrong = [r for r in records if r.get("wrong")]
    given = [r for r in records if any("numbers" in w for w in r.get("wrong", []))]
    places, accepted, claims, undefined = (
        sum(r.get(key, 0) for r in records) for key in ("places", "accepted", "claims", "undefined")
    )
    lost = max((r.get("lost", 0) for r in records if not r.get("wrong")), default=0)
    lines = [
        f"{len(records)} losses: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()),
        f"regular by the independent test: {len(regular)}; of them derived: {_share(len(derived), len(regular))}",
    ]
    for words, chosen in (
        ("with near=", [r for r in regular if r["told"]]),
        ("without", [r for r in regular if not r["told"]]),
    ):
        lines.append(f"  {words}: {_share(sum(r['outcome'] == 'derived' for r in chosen), len(chosen))}")
    lines += [
        f"points: {places}; accepted by the callables: {_share(accepted, places)}; "
        f"formulas claimed there: {claims}, without a value at {undefined}",
        f"wrong: {len(wrong)} losses, {len(given)} of them in a number that was given",
        f"largest relative error of a number, of the losses without a fault: {lost:.1e}",
        *_times(records),
        *_listed("wrong", [(r["seed"], _words(r) + " " + _wrong_words(r)) for r in wrong]),
        *_refusals("refused though regular", [r for r in regular if r["outcome"] == "refused"]),
        *_refusals(
            "refused, and not regular", [r for r in records if not r.get("regular") and r["outcome"] == "refused"]
        ),
    ]
    for outcome in ("crashed", "slow", "not judged"):
        found = [(r["seed"], f"{_words(r)} {r['message'][-160:]}") for r in records if r["outcome"] == outcome]
        lines += _listed(outcome, found)
    lines += _by("kind", records) + _by("noise", records)
    return lines


def _times(records: list[Record]) -> list[str]:
    total = sum(r.get("processor", 0) for r in records)
    slowest = sorted(records, key=lambda r: -r.get("processor", 0))[:5]
    stages = Counter()
    for r in records:
        stages.update(r.get("seconds", {}))
    return [
        f"processor time: {total:.0f} s, {total / len(records):.2f} s a loss ("
        + ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in stages.most_common())
        + "); slowest: "
        + ", ".join(f"seed {r['seed']} {r.get('processor', 0):.1f} s" for r in slowest)
    ]


def _words(record: Record) -> str:
    return " | ".join(str(record[key]) for key in ("kind", "noise", "units") if record.get(key))


def _wrong_words(record: Record) -> str:
    """The first thing wrong, in a line."""
    return "; ".join(
        f"{kind}: {what}"[:200]
        for entry in record["wrong"][:1]
        for kind, what in entry.items()
        if kind not in ("point", "part")
    )


def _listed(title: str, rows: list[tuple[int, str]]) -> list[str]:
    if not rows:
        return []
    rest = [f"  and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return [f"{title}:", *(f"  seed {seed}: {words}" for seed, words in rows[:SHOWN]), *rest]


def _refusals(title: str, records: list[Record]) -> list[str]:
    if not records:
        return []
    lines = [f"{title}: {len(records)}"]
    for name, count in Counter(r["refusal"] for r in records).most_common():
        seeds = [r["seed"] for r in records if r["refusal"] == name]
        first = next(r for r in records if r["refusal"] == name)
        lines.append(f"  {name}: {count}, seeds {', '.join(map(str, seeds[:12]))}{' …' if count > 12 else ''}")
        lines.append(f"    {first['message'][:160]}")
    return lines


def _by(key: str, records: list[Record]) -> list[str]:
    lines = [f"by {key}: losses, derived, wrong"]
    for value, count in Counter(r[key] for r in records if key in r).most_common():
        chosen = [r for r in records if r.get(key) == value]
        derived, wrong = sum(r["outcome"] == "derived" for r in chosen), sum(bool(r.get("wrong")) for r in chosen)
        lines.append(f"  {value}: {count}, {derived}, {wrong}")
    return lines


def _report_statements(records: list[Record]) -> list[str]:
    derived = [r for r in records if r["outcome"] == "derived"]
    wrong = [r for r in records if r.get("wrong")]
    verdicts = Counter(r["regularizer"] for r in derived)
    undecided = Counter(r["undecided"] for r in derived if r["regularizer"] == "undecided")
    sums = Counter()
    for r in derived:
        sums.update({k: v for k, v in r["tested"].items() if isinstance(v, (int, float))})
    lines = [
        f"statements of {len(records)} losses, {len(derived)} of them derived",
        "regularizer: "
        + ", ".join(f"{_share(count, len(derived))} {verdict}" for verdict, count in verdicts.most_common()),
        *(f"  undecided: {count} {reason}" for reason, count in undecided.most_common(12)),
        "tested: " + ", ".join(f"{value:g} {key}" for key, value in sums.items()),
        f"wrong: {len(wrong)} losses",
        *_times(records),
        *_listed("wrong", [(r["seed"], f"{_words(r)} {json.dumps(r['wrong'])[:260]}") for r in wrong]),
        *_listed("not confirmed", [(r["seed"], f"{_words(r)} {r['open'][:200]}") for r in derived if r.get("open")]),
    ]
    for outcome in ("crashed", "slow", "not judged"):
        found = [(r["seed"], f"{_words(r)} {r['message'][-160:]}") for r in records if r["outcome"] == outcome]
        lines += _listed(outcome, found)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for kind, count in (("run", 10_000), ("statements", 1_000)):
        command = commands.add_parser(
            kind, help=f"judge the {'losses' if kind == 'run' else 'statements'} of these seeds"
        )
        command.add_argument("--from", dest="first", type=int, default=0)
        command.add_argument("--to", dest="end", type=int, default=count)
        command.add_argument("--directory", type=Path, required=True)
        command.add_argument("--processes", type=int, default=1)
        command.add_argument("--limit", type=float, default=LIMITS[kind], help="processor seconds a loss")
    commands.add_parser("report", help="what came of them").add_argument("directory", type=Path)
    part = commands.add_parser("part", help="(one process of a run)")
    for name, of_type in (("kind", str), ("directory", Path), ("first", int), ("end", int), ("limit", float)):
        part.add_argument(name, type=of_type)
    options = parser.parse_args()
    if options.command == "report":
        print(report(options.directory))
    elif options.command == "part":
        work(options.kind, options.directory, list(range(options.first, options.end)), options.limit)
    else:
        seeds = range(options.first, options.end)
        conduct(options.command, options.directory, seeds, options.processes, options.limit)
        print(report(options.directory))
        sys.exit(bool(faults(options.directory, options.command, seeds)))


if __name__ == "__main__":
    main()
