"""The command `symbolic-sgd`: its commands, one row each; the module of that name is loaded when it is asked for."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from importlib import import_module
from importlib.metadata import version
from textwrap import fill
from typing import Any

from symbolic_sgd.command import console
from symbolic_sgd.command.console import complain, progress, say
from symbolic_sgd.command.exits import BAD_INPUT, DONE, FAULT, INTERRUPTED
from symbolic_sgd.errors import SymbolicSGDError, said_of

COMMANDS = {
    "derive": "derive the limiting SDE of a problem file",
    "verify": "derive the limiting SDE, and check by computation that it is right",
    "check": "repeat what a certificate claims; a changed formula voids it",
    "simulate": "run SGD, its canonical SDE, or the limiting SDE, on many replicas",
    "plot": "draw Γ with a path of the optimizer and of its limit, the regularizer, or a chart, into a file",
    "gallery": "list the derivations that come with the toolkit, or run one",
    "serve": "serve a local page: a loss in a field, and at once the limiting SDE, R and a picture",
    "recovery": "sparse recovery by label-noise SGD: the limiting flow of the overparametrised linear model over n and d",
}
"""Each is a module of this room: `EXAMPLES`, `add_arguments(parser)`, and `run(options)`, which returns the exit code."""

WIDTH = 80
"""Characters of a line of help that is not argparse's own."""

EXAMPLES = (
    "symbolic-sgd gallery hyperbola_label",
    "symbolic-sgd derive my_loss.toml",
    "symbolic-sgd verify my_loss.toml",
    "symbolic-sgd derive --help",
)

CODES = """exit codes: 0 done; 1 a check failed; 2 bad input, or a file that cannot be read
or written; 3 a fault of symbolic-sgd itself; 130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 for done, 1 for a failed check, 2 for bad input (or a file that cannot be read or written), 3 for a fault of the
        toolkit itself, 130 for an interruption.
    """
    console.escape_what_cannot_be_shown()
    try:
        return _run(arguments)
    except OSError as error:
        progress("")
        complain(f"{error.filename}: {error.strerror}" if error.filename is not None else str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        progress("")
        complain("interrupted")
        return INTERRUPTED
    except Exception:
        progress("")
        complain(
            f"{traceback.format_exc()}this is a fault of symbolic-sgd, and says nothing of the problem: please report it with "
            "these lines"
        )
        return FAULT


def _run(arguments: Sequence[str] | None) -> int:
    options = _parsed(sys.argv[1:] if arguments is None else list(arguments))
    if options is None:
        return DONE
    try:
        return options.run(options)
    except SymbolicSGDError as error:
        message = said_of(options.file, error)
    except UnicodeDecodeError:
        message = f"{options.file} is not UTF-8 text"
    except BrokenExecutor:
        message = f"{options.file}: a worker process was ended from outside; run the command again, with fewer of them"
    progress("")
    complain(message)
    return BAD_INPUT


class _Parser(argparse.ArgumentParser):
    """It says its help as results are said; argparse itself takes no notice of a disk that is full."""

    def print_help(self, file: Any = None) -> None:
        if file is None:
            say(self.format_help().rstrip("\n"))
        else:
            super().print_help(file)


def parser_of(*names: str) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of the command line, and that of each of its commands.

    Args:
        names: the commands whose options are wanted; the modules of others are not loaded.

    >>> parser_of("check")[1]["check"].prog
    'symbolic-sgd check'
    """
    parser = _Parser(
        prog="symbolic-sgd",
        description="Derive and check the SDE that SGD follows along a manifold of minimizers.",
        epilog=f"{_listed(EXAMPLES)}\n\n{CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="show the version of symbolic-sgd")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parsers: dict[str, argparse.ArgumentParser] = {
        name: commands.add_parser(
            name,
            help=words,
            description=fill(f"{words[0].upper()}{words[1:]}.", WIDTH),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, words in COMMANDS.items()
    }
    for name in names:
        command = import_module(f"symbolic_sgd.command.{name}")
        command.add_arguments(parsers[name])
        parsers[name].epilog = _listed(command.EXAMPLES)
        parsers[name].set_defaults(run=command.run)
    return parser, parsers


def _parsed(arguments: Sequence[str]) -> argparse.Namespace | None:
    """The options of a command; None where there is none, and what was asked for has been said."""
    name = next((argument for argument in arguments if argument in COMMANDS), None)
    parser, _ = parser_of(*(() if name is None else (name,)))
    options = parser.parse_args(arguments)
    if "run" in options:
        return options
    if options.version:
        say(f"symbolic-sgd {version('symbolic-sgd')}")
    else:
        parser.print_help()
    return None


def _listed(examples: Sequence[str]) -> str:
    return "\n  ".join(["examples:", *examples])
