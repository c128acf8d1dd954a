"""The command `symbolic-sgd serve`."""

import argparse
import signal
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from symbolic_sgd.command.cards import card_of
from symbolic_sgd.command.console import complain, progress, say
from symbolic_sgd.command.exits import DONE
from symbolic_sgd.command.gallery import Derivation, entries
from symbolic_sgd.errors import BadInput
from symbolic_sgd.problems.problem_file import read_content
from symbolic_sgd.serve.form import fields_of
from symbolic_sgd.serve.kept import kept_site
from symbolic_sgd.serve.page import Example, live_files
from symbolic_sgd.serve.pool import Pool
from symbolic_sgd.serve.server import Server

EXAMPLES = (
    "symbolic-sgd serve --open",
    "symbolic-sgd serve --port 8000",
    "symbolic-sgd serve --export site",
)

PORTS = 1 << 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--port", type=int, default=0, metavar="N", help="on 127.0.0.1 (default 0: any that is free)")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="do not serve: write the page with the gallery's examples, derived, as files that need no server",
    )
    parser.set_defaults(file="serve")


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted, or write the site."""
    if options.export is not None:
        return _export(options)
    if not 0 <= options.port < PORTS:
        raise BadInput(f"--port {options.port} is no port; give a number from 0 to {PORTS - 1}")
    pool = Pool()
    try:
        with Server(options.port, live_files(examples()), pool, complain) as server:
            say(f"{server.address}\nCtrl-C ends it.")
            if options.open:
                webbrowser.open(server.address)
            with _ended_politely():
                server.serve_forever()
    except KeyboardInterrupt:
        progress("")
    finally:
        pool.close()
    return DONE


def examples() -> list[Example]:
    """The derivations of the gallery."""
    found = [(entry, read_content(entry.path)) for entry in entries() if isinstance(entry, Derivation)]
    return [Example(entry.name, content.get("title", entry.name), fields_of(content)) for entry, content in found]


@contextmanager
def _ended_politely() -> Iterator[None]:
    """Whoever ends the process by its number means the same as Ctrl-C."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _export(options: argparse.Namespace) -> int:
    if options.port or options.open:
        raise BadInput("--export writes files and serves nothing: leave --port and --open out")
    cards = [card_of(entry) for entry in entries() if isinstance(entry, Derivation)]
    written = kept_site(options.export, examples(), cards, progress)
    progress("")
    say(f"{written} pages in {options.export}: open {options.export / 'index.html'}")
    return DONE
