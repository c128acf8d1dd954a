"""Where a command writes: standard output for `-`, else files, whose places are tried before the work and not after it."""

import argparse
from collections.abc import Callable
from pathlib import Path

from symbolic_sgd import files
from symbolic_sgd.command.console import say
from symbolic_sgd.documents.document import Document
from symbolic_sgd.documents.writers import WRITERS
from symbolic_sgd.effort import REGULARIZER
from symbolic_sgd.errors import BadInput
from symbolic_sgd.simulate.arguments import writable_place

GLANCE = 20.0
"""Seconds of processor time for the search for R, where it is not for a document."""


def write(path: Path, text: str) -> None:
    """To standard output for `-`; in a file, what is no character (of a file's name in a title) is written as an escape."""
    if str(path) == "-":
        say(text)
    else:
        files.write(path, text.encode("utf-8", "backslashreplace"))


def check_places(*targets: tuple[str, Path | None]) -> None:
    """`BadInput` where a file could not be written in the end: before the work, not after it."""
    for option, path in targets:
        if path is not None and str(path) != "-":
            writable_place(path, option)


def add_problem_file(command: argparse.ArgumentParser) -> None:
    """The problem that a command is about."""
    command.add_argument(
        "file",
        type=Path,
        metavar="FILE.toml",
        help="the problem: parameters, a loss (or residuals, or sample losses), the noise; data that is never executed. The "
        "files of the gallery are examples",
    )


def numbers(text: str, names: set[str], option: str) -> dict[str, float]:
    """What was written as u=1,v=2.

    Raises:
        BadInput: no such list; a name that is not among those given; no number.
    """
    found = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in names or not equals:
            raise BadInput(
                f"{option}: {part!r} is not NAME=NUMBER with a name among {', '.join(sorted(names)) or 'none'}"
            )
        try:
            found[name] = float(value)
        except ValueError:
            raise BadInput(f"{option}: {value!r} is not a number") from None
    return found


def add_document(command: argparse.ArgumentParser, what: str) -> None:
    """The options of commands that write a derivation as a document."""
    command.add_argument("--document", type=Path, metavar="F", help=f"write {what}; F ends in {', '.join(WRITERS)}")
    command.add_argument("--plots", action="store_true", help="with --document F.html: pictures (needs matplotlib)")
    command.add_argument("--checks", action="store_true", help="with --document: the table of a certificate")
    command.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help=f"processor time for the search for the regularizer (default {GLANCE:g}, with --document {REGULARIZER:g})",
    )


def document_writer(path: Path) -> Callable[[Document], str]:
    """The writer for a file's ending."""
    if path.suffix not in WRITERS:
        raise BadInput(f"--document {path}: the file's name has to end in {', '.join(WRITERS)}")
    return WRITERS[path.suffix]
