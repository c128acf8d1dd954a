"""The command `symbolic-sgd plot`."""

import argparse
from collections.abc import Callable, Mapping
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import sympy as sp

from symbolic_sgd import files
from symbolic_sgd.api.limiting_sde import LimitingSDE, derive_limiting_sde
from symbolic_sgd.command.console import progress, say
from symbolic_sgd.command.exits import DONE
from symbolic_sgd.command.optimizers import add_optimizer, stated_optimizer
from symbolic_sgd.command.targets import add_problem_file, check_places, numbers
from symbolic_sgd.errors import BadInput, MissingExtra
from symbolic_sgd.problems.problem_file import read_problem_file

STILL, MOVING = (".pdf", ".svg", ".png"), (".gif", ".html")
"""Endings of pictures, and of animations."""

OF_RUNS = ("start", "rate", "noise_scale", "time", "seed")
"""Options of the path of the optimizer."""

EXAMPLES = (
    "symbolic-sgd plot my_loss.toml --output manifold.pdf",
    "symbolic-sgd plot my_loss.toml --output manifold.png --window u=0:3,v=0:3 --start u=2,v=1 --width page",
    "symbolic-sgd plot my_loss.toml --output drift.gif",
    "symbolic-sgd plot my_loss.toml --kind regularizer --along u --output regularizer.svg",
    "symbolic-sgd plot my_loss.toml --optimizer sam --output sam.pdf",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_problem_file(parser)
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="F",
        help=f"the picture; F ends in {', '.join(STILL)}, or in {' or '.join(MOVING)} for an animation",
    )
    parser.add_argument("--kind", choices=tuple(KINDS), default="manifold", help="what is drawn (default: manifold)")
    parser.add_argument("--axes", metavar="u,v", help="the two or three parameters that are drawn (default: chosen)")
    parser.add_argument("--window", metavar="u=0:3,v=0:3", help="the range of each of them (default: chosen)")
    parser.add_argument("--constants", default="", metavar="s=0.1", help="values of the constants (default: none)")
    parser.add_argument("--start", metavar="u=1,v=1", help="where the optimizer begins (default: beside Γ)")
    parser.add_argument("--rate", type=float, metavar="η", help="of the run, where the optimizer leaves it open")
    parser.add_argument("--noise-scale", type=float, metavar="ε", help="of the run; the radius ρ of SAM")
    parser.add_argument("--time", type=float, metavar="T", help="of the run (default: chosen)")
    parser.add_argument("--seed", type=int, help="of the run (default 0)")
    parser.add_argument("--frames", type=int, metavar="N", help="of an animation, 20 a second (default 120)")
    parser.add_argument("--no-path", action="store_true", help="without the optimizer and its limit")
    parser.add_argument("--noise", action="store_true", help="with ellipses of the noise along Γ")
    parser.add_argument(
        "--along", metavar="u", help="with --kind regularizer: over this parameter (default: the length)"
    )
    parser.add_argument("--coordinates", metavar="u,v", help="with --kind chart: those of Γ (default: chosen)")
    parser.add_argument("--width", default="column", help="column, page, or inches (default: column)")
    add_optimizer(parser)


def run(options: argparse.Namespace) -> int:
    """Draw, and write the file."""
    _check(options)
    stated = read_problem_file(options.file)
    optimizer = stated_optimizer(options, stated)
    plots = _plots()
    progress("deriving")
    sde = derive_limiting_sde(stated.problem, optimizer=optimizer, progress=progress)
    progress("drawing")
    KINDS[options.kind](options, plots, sde)
    progress("")
    say(f"{options.output}: {_words(options)}")
    return DONE


def _check(options: argparse.Namespace) -> None:
    """Refuse what cannot be written, and options that would be ignored, before the work."""
    ending = options.output.suffix
    if ending not in (*STILL, *MOVING):
        raise BadInput(f"--output {options.output}: the file's name has to end in {', '.join((*STILL, *MOVING))}")
    check_places(("--output", options.output))
    if ending in MOVING and options.kind != "manifold":
        raise BadInput(
            f"--output {options.output}: --kind {options.kind} does not move; give a name that ends in {', '.join(STILL)}"
        )
    moving, drawn = ending in MOVING, options.kind
    ignored = [
        *(name for name in ("axes", "noise", "no_path", *OF_RUNS) if drawn != "manifold"),
        *(("along",) if drawn != "regularizer" else ()),
        *(("coordinates",) if drawn != "chart" else ()),
        *(("noise", "no_path") if moving else ("frames",)),
        *(OF_RUNS if options.no_path else ()),
    ]
    stated = [name for name in ignored if getattr(options, name) is not None and getattr(options, name) is not False]
    if stated:
        option = stated[0].replace("_", "-")
        raise BadInput(f"--{option} is not for this picture: leave it out")


def _plots() -> Any:
    try:
        plots = import_module("symbolic_sgd.plots")
    except ImportError as error:
        raise MissingExtra(str(error)) from error
    import_module("matplotlib").use("Agg")  # no window, and no display is asked for
    return plots


# --- kinds --------------------------------------------------------------------------------------


def _manifold(options: argparse.Namespace, plots: Any, sde: LimitingSDE) -> None:
    told = _about(options, sde) | {
        "axes": None if options.axes is None else _names(options.axes, sde, "--axes"),
        "start": None if options.start is None else _point(options.start, sde),
        "learning_rate": options.rate,
        "noise_scale": options.noise_scale,
        "time": options.time,
        "rng": options.seed or 0,
    }
    if options.output.suffix in MOVING:
        frames = {} if options.frames is None else {"frames": options.frames}
        plots.animate_drift(sde, options.output, **told, **frames)
        return
    stated = any(getattr(options, name) is not None for name in OF_RUNS)
    path = False if options.no_path else True if stated else None
    _save(plots.plot_manifold(sde, path=path, noise=options.noise, **told), options.output)


def _regularizer(options: argparse.Namespace, plots: Any, sde: LimitingSDE) -> None:
    _save(plots.plot_regularizer(sde, along=options.along, **_about(options, sde)), options.output)


def _chart(options: argparse.Namespace, plots: Any, sde: LimitingSDE) -> None:
    chosen = None if options.coordinates is None else _names(options.coordinates, sde, "--coordinates")
    chart = sde.in_chart(chosen)
    told = _about(options, sde)
    window = told.pop("window")
    if window is not None:
        missing = [str(s) for s in chart.coordinates if s not in window]
        if missing:
            raise BadInput(f"--window has no range for {', '.join(missing)}, a coordinate of the chart")
        told["window"] = [window[s] for s in chart.coordinates]
    _save(plots.plot_chart(chart, **told), options.output)


KINDS: Mapping[str, Callable[[argparse.Namespace, Any, LimitingSDE], None]] = {
    "manifold": _manifold,
    "regularizer": _regularizer,
    "chart": _chart,
}
"""name → what draws it into the file."""


def _save(ax: Any, target: Path) -> None:
    content = BytesIO()
    ax.figure.savefig(content, format=target.suffix[1:], dpi=300)
    files.write(target, content.getvalue())


def _words(options: argparse.Namespace) -> str:
    moving = "an animation of the optimizer and its limit on Γ"
    still = {"manifold": "Γ", "regularizer": "the regularizer along Γ", "chart": "the limit in a chart"}
    return moving if options.output.suffix in MOVING else still[options.kind]


# --- what was written ---------------------------------------------------------------------------


def _about(options: argparse.Namespace, sde: LimitingSDE) -> dict[str, Any]:
    constants = numbers(options.constants, {s.name for s in sde.problem.constants}, "--constants")
    missing = [s.name for s in sde.problem.constants if s.name not in constants]
    if missing:
        raise BadInput(
            f"no value for the constant {missing[0]}: give --constants {','.join(f'{name}=1' for name in missing)}"
        )
    return {
        "window": None if options.window is None else _window(options.window, sde),
        "constants": {s: constants[s.name] for s in sde.problem.constants},
        "width": options.width if options.width in ("column", "page") else _number(options.width, "--width"),
    }


def _window(text: str, sde: LimitingSDE) -> dict[sp.Symbol, tuple[float, float]]:
    names = {s.name: s for s in sde.problem.parameters}
    found = {}
    for part in text.split(","):
        name, equals, side = (piece.strip() for piece in part.partition("="))
        low, colon, high = side.partition(":")
        if name not in names or not equals or not colon:
            raise BadInput(f"--window: {part.strip()!r} is not NAME=LOW:HIGH with a name among {', '.join(names)}")
        found[names[name]] = (_number(low, "--window"), _number(high, "--window"))
    return found


def _names(text: str, sde: LimitingSDE, option: str) -> tuple[sp.Symbol, ...]:
    names = {s.name: s for s in sde.problem.parameters}
    chosen = [name.strip() for name in text.split(",")]
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise BadInput(f"{option}: {unknown[0]!r} is none of the parameters {', '.join(names)}")
    return tuple(names[name] for name in chosen)


def _point(text: str, sde: LimitingSDE) -> dict[sp.Symbol, float]:
    names = {s.name: s for s in sde.problem.parameters}
    return {names[name]: value for name, value in numbers(text, set(names), "--start").items()}


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{option}: {text.strip()!r} is not a number") from None
