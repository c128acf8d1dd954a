"""Processor seconds of each derivation of the gallery: `derive_limiting_sde`, and the first drift.

    python benchmarks/gallery.py [NAME …]            # a part of the names is enough; RUNS=5 for more runs

Each run is a process of its own; the time begins after the imports. Shown are medians, and the regularizer's time, which is
asked for afterwards and is not part of the total.
"""

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

DERIVATIONS = Path(__file__).parents[1] / "derivations"
RUNS = int(os.environ.get("RUNS", "3"))
PARTS = ("derive", "drift", "regularizer")


def measure(name: str) -> None:
    """In a process of its own."""
    from symbolic_sgd import derive_limiting_sde  # noqa: PLC0415  # not before a process is asked to measure
    from symbolic_sgd.problems.problem_file import read_problem  # noqa: PLC0415

    problem = read_problem(DERIVATIONS / f"{name}.toml")
    moments = [time.process_time()]
    sde = derive_limiting_sde(problem)
    moments.append(time.process_time())
    _ = sde.drift
    moments.append(time.process_time())
    _ = sde.regularizer
    moments.append(time.process_time())
    print(json.dumps([b - a for a, b in pairwise(moments)]))


def seconds(name: str) -> list[float]:
    """Medians of the parts."""
    command = [sys.executable, __file__, "--measure", name]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(RUNS)]
    return [median(part) for part in zip(*runs, strict=True)]


def main(wanted: list[str]) -> None:
    names = [p.stem for p in sorted(DERIVATIONS.glob("*.toml"))]
    chosen = [name for name in names if not wanted or any(part in name for part in wanted)]
    print(f"processor seconds, medians of {RUNS} processes\n{'':<26}" + "".join(f"{part:>13}" for part in PARTS))
    found = []
    for name in chosen:
        found.append(seconds(name))
        print(f"{name:<26}" + "".join(f"{s:>13.3f}" for s in found[-1]), flush=True)
    totals = [sum(part) for part in zip(*found, strict=True)]
    print(f"{'total':<26}" + "".join(f"{s:>13.3f}" for s in totals))
    print(f"derive and first drift: {totals[0] + totals[1]:.2f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    else:
        main(sys.argv[1:])
