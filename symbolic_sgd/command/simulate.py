"""The command `symbolic-sgd simulate`."""

import argparse
import warnings
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from symbolic_sgd import files
from symbolic_sgd.api.limiting_sde import derive_limiting_sde
from symbolic_sgd.api.simulation import simulate_canonical_sde, simulate_sde, simulate_sgd
from symbolic_sgd.command.console import complain, progress, say, status, workers
from symbolic_sgd.command.exits import DONE
from symbolic_sgd.command.optimizers import add_optimizer, stated_optimizer
from symbolic_sgd.command.targets import add_problem_file, numbers
from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric import backends
from symbolic_sgd.optimizers.optimizer import Optimizer, with_symbols_of
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.problem_file import read_problem_file
from symbolic_sgd.simulate.arguments import learning_rate_of, positive, steps_of, writable_place
from symbolic_sgd.simulate.optimizers import Tuned
from symbolic_sgd.simulate.run import Run
from symbolic_sgd.simulate.stability import StabilityWarning
from symbolic_sgd.simulate.steps import NUMPY

RATE = 0.01
"""η of a run that states none."""

ROWS = 11
"""Moments that are printed."""

BAR = 40
"""Characters of the bar."""

COMPUTED_BY = {"numpy": "NumPy", "llvm": "LLVM"}
"""--backend → the back end."""

Simulation = Callable[..., Run]
"""A process that still has to be told its start, and the keywords that all processes share."""


EXAMPLES = (
    "symbolic-sgd simulate my_loss.toml --start u=2,v=1",
    "symbolic-sgd simulate my_loss.toml --start u=2,v=0.5 --process limit --time 2",
    "symbolic-sgd simulate my_loss.toml --constants s=0.1 --seed 0 --output my_run.npz",
    "symbolic-sgd simulate my_loss.toml --start u=2,v=1 --replicas 100000 --backend llvm",
    "symbolic-sgd simulate my_loss.toml --optimizer heavy_ball --momentum 9/10 --learning-rate 1/8 --noise-scale 0.1",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_problem_file(parser)
    parser.add_argument("--process", choices=tuple(PROCESSES), default="sgd", help="what is run (default: sgd)")
    parser.add_argument(
        "--time", type=float, default=1.0, help="T, on the scale t = kη², or the optimizer's own (default 1)"
    )
    parser.add_argument(
        "--learning-rate",
        metavar="η",
        help=f"of the run, where the optimizer of the file leaves it open (default {RATE:g}); with --optimizer, its own",
    )
    parser.add_argument(
        "--rate",
        metavar="η",
        help=f"with --optimizer: of the run, where the optimizer leaves it open (default {RATE:g})",
    )
    parser.add_argument("--noise-scale", type=float, metavar="ε", help="of the noise (default 1); the radius ρ of SAM")
    parser.add_argument("--step", type=float, metavar="h", help="of the limiting SDE (default T/100)")
    parser.add_argument("--start", metavar="u=1,v=1", help="where all replicas start (default: near of the file)")
    parser.add_argument("--constants", default="", metavar="s=0.1", help="values of the constants (default: none)")
    parser.add_argument("--replicas", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, help="of all random numbers (default: a fresh one, which is printed)")
    parser.add_argument(
        "--backend",
        choices=tuple(COMPUTED_BY),
        default="numpy",
        help="what computes --process sgd (default: numpy); llvm, the extra `fast`, compiles it, and draws other random numbers",
    )
    parser.add_argument("--processes", type=int, default=1, help="worker processes (default 1)")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="F",
        help="kept as the run goes on; resumed from if it exists (default: none)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="F.npz",
        help="write times, mean, covariance and final positions (default: they are not kept)",
    )
    add_optimizer(parser, "learning_rate")


def run(options: argparse.Namespace) -> int:
    """Run the process, and show its moments."""
    stated = read_problem_file(options.file)
    own = options.learning_rate if options.optimizer is not None else None
    optimizer = stated_optimizer(options, stated, learning_rate=own)
    problem = with_symbols_of(optimizer, stated.problem, iterated=True)
    if options.processes < 1:
        raise BadInput(f"--processes is {options.processes}; it has to be at least 1")
    if options.output is not None:
        writable_place(options.output, "--output")
    with workers(options.processes) as executor, warnings.catch_warnings():
        warnings.simplefilter("always", StabilityWarning)
        warnings.showwarning = _show_warning
        done = _run(options, problem, optimizer, executor)
    status("")
    say(_table(problem, done))
    if options.output is not None:
        content = BytesIO()
        np.savez(content, times=done.times, mean=done.mean, covariance=done.covariance, final=done.final)
        files.write(options.output, content.getvalue())
    return DONE


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    status("")
    complain(f"warning: {message}")


def _run(options: argparse.Namespace, problem: Problem, optimizer: Optimizer, executor: Any) -> Run:
    constants = numbers(options.constants, {s.name for s in problem.constants}, "--constants")
    missing = [s.name for s in problem.constants if s.name not in constants]
    if missing:
        raise BadInput(
            f"no value for the constant {missing[0]}: give --constants {','.join(f'{name}=1' for name in missing)}"
        )
    wishes = {
        "replicas": options.replicas,
        "rng": options.seed,
        "executor": executor,
        "progress": _bar,
        "checkpoint": options.checkpoint,
        **constants,
    }
    start = _start(options, problem)
    if options.process != "sgd" and COMPUTED_BY[options.backend] != NUMPY:
        raise BadInput(
            f"--backend {options.backend} compiles --process sgd alone: leave it out of --process {options.process}"
        )
    return PROCESSES[options.process](options, problem, optimizer)(start, **wishes)


def _sgd(options: argparse.Namespace, problem: Problem, optimizer: Optimizer) -> Simulation:
    named = numbers(options.constants, {s.name for s in problem.constants}, "--constants")
    values = {s: Fraction(named[s.name]) for s in problem.constants}
    rate, scale = _rate(options, optimizer), options.noise_scale
    tuned = Tuned.of(optimizer.on(problem), rate, scale, values)
    local = tuned.local_steps
    unit = tuned.time_unit * local
    steps = local * steps_of(positive(options.time, "time"), unit, "the unit of time")
    backend = getattr(backends, COMPUTED_BY[options.backend])()
    told = {"optimizer": optimizer, "learning_rate": rate, "noise_scale": scale, "backend": backend}
    return partial(simulate_sgd, problem, steps=steps, **told)


def _canonical(options: argparse.Namespace, problem: Problem, optimizer: Optimizer) -> Simulation:
    if optimizer != SGD() or options.noise_scale not in (None, 1):
        raise BadInput(
            "--process canonical is the SDE of plain SGD: leave --optimizer and --noise-scale out, or run --process sgd"
        )
    rate = learning_rate_of(_rate(options, optimizer))
    steps = steps_of(positive(options.time, "time"), rate**2, "η²")
    return partial(simulate_canonical_sde, problem, learning_rate=rate, steps=steps)


def _rate(options: argparse.Namespace, optimizer: Optimizer) -> float | None:
    """η of the run; None where the optimizer has its own."""
    given = {"--rate": options.rate} | (
        {} if options.optimizer is not None else {"--learning-rate": options.learning_rate}
    )
    stated = {option: text for option, text in given.items() if text is not None}
    if len(stated) > 1 or (stated and optimizer.is_finite):
        raise BadInput(f"{' and '.join(stated)}: the learning rate is given twice; {optimizer.label} has one")
    try:
        return None if optimizer.is_finite else float(next(iter(stated.values()), RATE))
    except ValueError:
        raise BadInput(f"{next(iter(stated))}: {next(iter(stated.values()))!r} is not a number") from None


def _limit(options: argparse.Namespace, problem: Problem, optimizer: Optimizer) -> Simulation:
    step = positive(options.time, "time") / 100 if options.step is None else options.step
    sde = derive_limiting_sde(problem, optimizer=optimizer, progress=progress)
    return partial(simulate_sde, sde, time=options.time, step=step)


PROCESSES: Mapping[str, Callable[[argparse.Namespace, Problem, Optimizer], Simulation]] = {
    "sgd": _sgd,
    "canonical": _canonical,
    "limit": _limit,
}
"""name → the process as the options state it."""


def _start(options: argparse.Namespace, problem: Problem) -> list[float]:
    names = [s.name for s in problem.parameters]
    if options.start is not None:
        given: Mapping[str, float] = numbers(options.start, set(names), "--start")
    else:
        given = {s.name: float(a) for s, a in (problem.near or {}).items()}
    missing = [name for name in names if name not in given]
    if missing:
        raise BadInput(f"no start for {', '.join(missing)}: give --start {','.join(f'{n}=1' for n in names[:3])}")
    return [given[name] for name in names]


def _bar(fraction: float) -> None:
    full = round(BAR * fraction)
    status(f"[{'#' * full}{'.' * (BAR - full)}] {fraction:4.0%}")


def _table(problem: Problem, run: Run) -> str:
    names = [s.name for s in problem.parameters]
    lines = [f"{len(run.final)} replicas, seed {run.seed}: mean ± standard deviation"]
    lines.append("  ".join(["t".rjust(8), *(name.rjust(19) for name in names)]))
    for i in np.unique(np.linspace(0, len(run.times) - 1, ROWS).astype(int)):
        spread = np.sqrt(np.diag(run.covariance[i]))
        cells = [f"{m:9.5f} ± {s:.1e}".rjust(19) for m, s in zip(run.mean[i], spread, strict=True)]
        lines.append("  ".join([f"{run.times[i]:8.4g}", *cells]))
    return "\n".join(lines)
