"""How far each tool gets: one drift, derived by the package and by its peers, on ladders of growing problems.

    python benchmarks/ladder.py [--limit SECONDS] [--tools ours,sympy,…] [--total MINUTES]

Every measurement is a fresh process with the same time limit for every tool; the median of three runs is printed (of
fewer where they take longer than the limit together). Seconds are those of the derivation, imports not counted. A rung
that stops a tool ends its ladder for that family and noise. No measurement starts after `--total` minutes (default 45),
so that the whole run ends within that time and a few minutes; with the defaults it takes about 26 minutes on two cores,
and at `--limit 120` give `--total 120`, or the last tools are not reached. Peers (see literal_theorem.py) are given the
equations of Γ, M and ∇²L = wJᵀJ, which the package finds by itself, and compute the drift only, while the package also
derives all other terms. Every peer's drift is compared with the package's at a rational point of Γ.

Maxima and Giac are Debian's packages `maxima` and `xcas`; where they are missing, the table says so.
"""

import argparse
import importlib.util
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from running import MEMORY, Measurement, python_tool, script_tool

SIZES = {"OLM": ("1,2", "2,3", "2,4", "3,5", "4,8", "5,10", "8,16"), "MF": ("2x2", "2x3")}
"""The rungs of models.ladders, by name: nothing that imports SymPy may be imported here (see running.py)."""

NOISES = ("isotropic", "label", "dense")

TOOLS = ("ours", "sympy", "domainmatrix", "domainmatrix-flint", "maxima", "giac")

COMMANDS = {"maxima": ["maxima", "--very-quiet", "--batch"], "giac": ["giac"]}

TARGETS = {"OLM 5,10 dense": 2.0, "OLM 8,16 dense": 10.0, "MF 2x2 dense": 3.0, "MF 2x3 dense": 3.0}
"""Seconds within which the package has to derive."""

AGREEMENT = 1e-20
"""Largest difference to the package's drift, relative to its largest entry."""

Results = dict[tuple[str, str], Measurement]
"""(tool, problem) → what was measured."""


@dataclass(frozen=True)
class Ladder:
    """The rungs of one family with one noise."""

    family: str
    noise: str

    @property
    def name(self) -> str:
        return f"{self.family} {self.noise}"

    @property
    def rungs(self) -> list[str]:
        return [f"{self.family} {size} {self.noise}" for size in SIZES[self.family]]


LADDERS = [Ladder(family, noise) for family in SIZES for noise in NOISES]


def missing(tool: str) -> str:
    """Why a tool cannot be run, "" if it can."""
    if tool in COMMANDS and shutil.which(COMMANDS[tool][0]) is None:
        return "not installed"
    if tool == "domainmatrix-flint" and importlib.util.find_spec("flint") is None:
        return "python-flint not installed"
    return ""


def measure(tool: str, rung: str, limit: float) -> Measurement:
    if tool in COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            return script_tool(tool, rung, limit, COMMANDS[tool], Path(folder))
    name, _, ground_types = tool.partition("-")
    return python_tool(name, rung, limit, {"SYMPY_GROUND_TYPES": ground_types or "python"})


def climb(tools: list[str], limit: float, deadline: float) -> Iterator[tuple[str, str, Measurement]]:
    """(tool, rung, measurement), rung by rung, the package first."""
    for tool in tools:
        for ladder in LADDERS:
            for rung in ladder.rungs:
                reason = missing(tool) or ("no time left" if time.monotonic() > deadline else "")
                progress(f"{tool}: {rung}")
                result = Measurement(stopped=reason) if reason else measure(tool, rung, limit)
                yield tool, rung, result
                if result.stopped:
                    break
    progress("")


def progress(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def difference(result: Measurement, ours: Measurement | None) -> float:
    """The largest difference of the drifts at the point, relative to the largest entry; nan where there is none."""
    if ours is None or ours.stopped or result.stopped:
        return math.nan
    a, b = ([Fraction(v) for v in each["values"]] for each in (result, ours))
    return float(max(abs(x - y) for x, y in zip(a, b, strict=True)) / max(map(abs, b)))


def quotient(result: Measurement, ours: Measurement | None, name: str) -> str:
    if ours is None or ours.stopped or result[name] is None:
        return "-"
    return f"{result[name] / ours[name]:.2g}" if result[name] < 10 * ours[name] else f"{result[name] / ours[name]:.0f}"


def whole(number: float | None) -> str:
    return "-" if number is None else f"{number:.0f}"


HEAD = (
    f"{'problem':<19}{'tool':<20}{'runs':>4}{'seconds':>9}{'ratio':>7}{'peak MB':>9}{'+ MB':>7}"
    f"{'operations':>12}{'ratio':>7}{'after cse':>11}{'cse s':>7}  agrees"
)


def row(tool: str, rung: str, result: Measurement, ours: Measurement | None) -> str:
    if result.stopped:
        return f"{rung:<19}{tool:<20}  stopped: {result.stopped}"
    apart = difference(result, ours)
    verdict = "-" if math.isnan(apart) or result is ours else "yes" if apart <= AGREEMENT else f"NO: {apart:.1e}"
    counting = "-" if result["cse_seconds"] is None else f"{result['cse_seconds']:.1f}"
    return (
        f"{rung:<19}{tool:<20}{result['runs']:>4}{result['seconds']:>9.3f}{quotient(result, ours, 'seconds'):>7}"
        f"{result['peak']:>9.0f}{result['increase']:>7.0f}{whole(result['operations']):>12}"
        f"{quotient(result, ours, 'operations'):>7}{whole(result['after_cse']):>11}{counting:>7}  {verdict}"
    )


def print_table(results: Results) -> None:
    """Rung by rung, the tools beside each other."""
    print(f"\n{HEAD}")
    for ladder in LADDERS:
        for rung in ladder.rungs:
            for tool in TOOLS:
                if (tool, rung) in results and not missing(tool):
                    print(row(tool, rung, results[tool, rung], results.get(("ours", rung))))


def print_stops(tools: list[str], results: Results) -> None:
    print("\nWhere each stops (last rung done; the next one's reason)")
    for tool in tools:
        if missing(tool):
            print(f"{tool:<20}{missing(tool)}")
            continue
        for ladder in LADDERS:
            tried = [rung for rung in ladder.rungs if (tool, rung) in results]
            done = [rung for rung in tried if not results[tool, rung].stopped]
            end = "all done" if len(done) == len(ladder.rungs) else f"{tried[-1]}: {results[tool, tried[-1]].stopped}"
            print(f"{tool:<20}{ladder.name:<15}{done[-1] if done else 'none':<19}{end}")


def slope(x: list[float], y: list[float]) -> float:
    """The least-squares slope of log y against log x."""
    a, b = [math.log(v) for v in x], [math.log(v) for v in y]
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    return sum((p - mean_a) * (q - mean_b) for p, q in zip(a, b, strict=True)) / sum((p - mean_a) ** 2 for p in a)


def print_growth(results: Results) -> None:
    """Exponents of the package's time in D and in M; D and M grow together, so that each is taken by itself."""
    print("\nGrowth of our seconds on OLM n,d: exponent in D = 2d and in M = n (least squares in log-log)")
    for noise in NOISES:
        done = [(r, results.get(("ours", r))) for r in Ladder("OLM", noise).rungs]
        points = [(*map(int, r.split()[1].split(",")), m["seconds"]) for r, m in done if m and not m.stopped]
        for words, part in (("all rungs", points), ("last four", points[-4:])):
            if len({d for _, d, _ in part}) > 1 and len({n for n, _, _ in part}) > 1:
                seconds = [t for *_, t in part]
                in_d = slope([2.0 * d for _, d, _ in part], seconds)
                in_m = slope([float(n) for n, _, _ in part], seconds)
                print(f"{noise:<11}{words:<11}seconds ~ D^{in_d:.2f}   seconds ~ M^{in_m:.2f}")


def print_targets(results: Results) -> None:
    print("\nTargets")
    for rung, most in TARGETS.items():
        result = results.get(("ours", rung))
        if result is not None:
            seconds = math.inf if result.stopped else result["seconds"]
            verdict = "met" if seconds <= most else "MISSED"
            print(f"{rung:<19}{seconds:>7.2f} s, at most {most:g} s: {verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=30, metavar="SECONDS", help="for each derivation (default 30)")
    parser.add_argument("--total", type=float, default=45, metavar="MINUTES", help="start nothing after (default 45)")
    parser.add_argument("--tools", default=",".join(TOOLS), help=f"some of {','.join(TOOLS)} (default: all)")
    options = parser.parse_args()
    unknown = set(options.tools.split(",")) - set(TOOLS)
    if unknown:
        parser.error(f"--tools: {', '.join(sorted(unknown))} not known; choose from {', '.join(TOOLS)}")
    tools = [tool for tool in TOOLS if tool in options.tools.split(",")]
    print(
        f"At most {options.limit:g} s and {MEMORY / 2**30:g} GB each; nothing starts after {options.total:g} minutes."
    )
    results: Results = {}
    for tool, rung, result in climb(tools, options.limit, time.monotonic() + 60 * options.total):
        results[tool, rung] = result
    print_table(results)
    print_stops(tools, results)
    print_growth(results)
    print_targets(results)
    return int(any(difference(r, results.get(("ours", rung))) > AGREEMENT for (_, rung), r in results.items()))


if __name__ == "__main__":
    sys.exit(main())
