"""The command `symbolic-sgd check`."""

import argparse
from pathlib import Path

from symbolic_sgd import files
from symbolic_sgd.checks.recheck import MAX_CHARACTERS, recheck
from symbolic_sgd.command.console import progress, say
from symbolic_sgd.command.exits import CHECK_FAILED, DONE

EXAMPLES = (
    "symbolic-sgd verify my_loss.toml --certificate my_loss.json",
    "symbolic-sgd check my_loss.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("file", type=Path, metavar="CERTIFICATE", help="what verify --certificate has written")


def run(options: argparse.Namespace) -> int:
    """Repeat every check, and say what no longer holds."""
    with files.opened(options.file) as file:
        text = file.read(MAX_CHARACTERS + 1).decode("utf-8")
    result = recheck(text, progress=progress)
    progress("")
    heading = f"{options.file}: " + ("holds" if result.holds else "VOID")
    say("\n".join([heading, *(f"  {words}" for words in (*result.void, *result.remarks))]))
    return DONE if result.holds else CHECK_FAILED
