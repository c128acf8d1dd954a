"""The command `symbolic-sgd recovery`."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from io import BytesIO
from pathlib import Path

from symbolic_sgd import files
from symbolic_sgd.checks.certificate import written
from symbolic_sgd.command.console import complain, progress, say, workers
from symbolic_sgd.command.exits import DONE
from symbolic_sgd.errors import BadInput
from symbolic_sgd.experiments.sparse_recovery import DATA, ladder, run_all
from symbolic_sgd.experiments.thresholds import Threshold, fit, measured, thresholds

EXAMPLES = (
    "symbolic-sgd recovery results",
    "symbolic-sgd recovery results --coordinates 40 80 160 320 --sparsity 2 --workers 4",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "file", type=Path, metavar="DIRECTORY", help="where results go; an interrupted run goes on there"
    )
    parser.add_argument(
        "--coordinates",
        type=int,
        nargs="+",
        default=[40, 80, 160],
        metavar="d",
        help="coordinates of the truth (default 40 80 160)",
    )
    parser.add_argument(
        "--sparsity",
        type=int,
        nargs="+",
        default=[2, 4],
        metavar="κ",
        help="non-zero entries of the truth (default 2 4)",
    )
    parser.add_argument(
        "--data", nargs="+", choices=sorted(DATA), default=["signs"], help="the law of the data (default signs)"
    )
    parser.add_argument("--repeats", type=int, default=10, help="trials for each n (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default 0)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1); results do not depend on it")


def run(options: argparse.Namespace) -> int:
    """Run what is missing of the trials, and fit the thresholds."""
    for name in ("repeats", "workers"):
        if getattr(options, name) < 1:
            raise BadInput(f"--{name} is {getattr(options, name)}; it has to be at least 1")
    options.file.mkdir(parents=True, exist_ok=True)
    trials = ladder(options.coordinates, options.sparsity, options.data, options.repeats, options.seed)
    report = lambda done, of: progress(f"trial {done} of {of}")  # noqa: E731
    with workers(options.workers) as executor:
        outcomes = run_all(trials, options.file / "outcomes.jsonl", executor=executor, progress=report)
    progress("error bars")
    found = thresholds(outcomes)
    progress("")
    files.write(
        options.file / "thresholds.json",
        json.dumps(written([asdict(t) for t in found]), indent=1, allow_nan=False).encode(),
    )
    for t in found:
        say(f"{t.data:9} d = {t.coordinates:<5} κ = {t.sparsity:<3} {t.method:7} n = {t.samples:.1f} ± {t.error:.1f}")
    for law in options.data:
        _recovery_fits(law, [t for t in found if t.data == law], options.file)
    return DONE


def _recovery_fits(law: str, found: Sequence[Threshold], directory: Path) -> None:
    limit, kernel = (measured(t for t in found if t.method == method) for method in ("limit", "kernel"))
    for name, points in (
        ("", limit),
        *(
            (f", κ = {kappa}", [t for t in limit if t.sparsity == kappa])
            for kappa in sorted({t.sparsity for t in limit})
        ),
    ):
        if len(points) > 2:
            line = fit(points, intercept=True)
            say(
                f"{law}: label-noise limit n = ({line.slope:.3f} ± {line.slope_error:.3f}) κ ln d {line.intercept:+.2f}{name}, "
                f"misfit {line.misfit:.1%}"
            )
    if kernel:
        line = fit(kernel, intercept=False)
        say(f"{law}: gradient flow without noise n = ({line.slope:.3f} ± {line.slope_error:.3f}) d")
    try:
        figure = import_module("symbolic_sgd.experiments.figure")
    except ImportError:
        complain("no figure: it needs matplotlib, pip install 'symbolic-sgd[plot]'")
        return
    picture = BytesIO()
    figure.recovery_figure(found, law).savefig(picture, format="png", dpi=150)
    files.write(directory / f"recovery_{law}.png", picture.getvalue())
