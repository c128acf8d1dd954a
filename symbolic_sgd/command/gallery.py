"""The gallery: problem files with their derived documents, and the theorem itself. Adding an entry is adding a problem file.

And the command `symbolic-sgd gallery`.
"""

import argparse
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from symbolic_sgd import models
from symbolic_sgd.api.limiting_sde import derive_limiting_sde
from symbolic_sgd.command.console import progress, say
from symbolic_sgd.command.derive import Wanted, derived
from symbolic_sgd.command.exits import CHECK_FAILED, DONE
from symbolic_sgd.command.targets import add_document, check_places, document_writer, write
from symbolic_sgd.documents.document import Document
from symbolic_sgd.documents.markdown import markdown
from symbolic_sgd.documents.theorem_document import TITLE, checked_theorem
from symbolic_sgd.errors import BadInput
from symbolic_sgd.models.meanings import MEANINGS
from symbolic_sgd.optimizers.stated import optimizer_of
from symbolic_sgd.problems.problem_file import read_problem_file

PLACES = tuple(Path(__file__).parents[k] / "derivations" for k in (1, 2))
"""Where the entries are: in an installed package, else in a clone."""

_RESULT = re.compile(r"<!-- result: (.*) -->")


@dataclass(frozen=True)
class Entry(ABC):
    """One entry.

    Args:
        kept: the document that was derived from it.
    """

    kept: Path

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.kept.stem

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is about."""

    @property
    def result(self) -> str:
        """Its outcome in one line, as its document has it."""
        found = _RESULT.match(self.kept.read_text(encoding="utf-8")) if self.kept.exists() else None
        return found[1] if found else "not derived yet"

    @abstractmethod
    def document(self, writer: Callable[[Document], str] = markdown) -> str:
        """Its document, derived anew."""


@dataclass(frozen=True)
class Derivation(Entry):
    """The limiting SDE of one problem, whose file stands beside its document."""

    @property
    def path(self) -> Path:
        """The problem file."""
        return self.kept.with_suffix(".toml")

    @property
    def picture(self) -> Path:
        """The picture on its card."""
        return self.kept.with_suffix(".svg")

    @property
    def title(self) -> str:
        return read_problem_file(self.path).title

    def document(self, writer: Callable[[Document], str] = markdown) -> str:
        stated = read_problem_file(self.path)
        sde = derive_limiting_sde(stated.problem, optimizer=optimizer_of(stated.optimizer))
        return sde.document(writer, title=stated.title)


@dataclass(frozen=True)
class Theorem(Entry):
    """The theorem itself: identities for every loss, and the errata of its source."""

    @property
    def title(self) -> str:
        return TITLE

    def document(self, writer: Callable[[Document], str] = markdown) -> str:
        return writer(checked_theorem().document)


def folder() -> Path:
    """Where the entries are.

    Raises:
        BadInput: nowhere that is known.
    """
    for place in PLACES:
        if place.is_dir():
            return place
    raise BadInput(
        f"the gallery is not in {' nor in '.join(map(str, PLACES))}: reinstall the package, or run it in a clone"
    )


def entries() -> tuple[Entry, ...]:
    """Every entry, by name.

    >>> [entry.name for entry in entries()][:2]
    ['attention', 'cubic_label']
    """
    problems = (Derivation(path.with_suffix(".md")) for path in folder().glob("*.toml"))
    return tuple(sorted((*problems, Theorem(folder() / "theorem.md")), key=lambda entry: entry.name))


def entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        BadInput: there is none.
    """
    found = {e.name: e for e in entries()}
    if name not in found:
        near = get_close_matches(name[:40], found, n=3)
        advice = (
            f"did you mean {' or '.join(near)}? `symbolic-sgd gallery` lists all"
            if near
            else f"it has {', '.join(found)}"
        )
        raise BadInput(f"the gallery has no entry {name[:40]!r}; {advice}")
    return found[name]


# --- the command ------------------------------------------------------------------------------

EXAMPLES = (
    "symbolic-sgd gallery",
    "symbolic-sgd gallery hyperbola_label",
    "symbolic-sgd gallery motor --document motor.html --plots",
    "symbolic-sgd gallery theorem",
    "symbolic-sgd gallery --models matrix_sensing",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("file", nargs="?", metavar="NAME", help="the entry to run (default: list all)")
    add_document(parser, "its derivation")
    parser.add_argument(
        "--models",
        action="store_true",
        help="the named models, for every size: f, R, and what it means (NAME: its drift, too)",
    )
    parser.add_argument("--regenerate", action="store_true", help="derive the kept documents anew (NAME, or all)")


def run(options: argparse.Namespace) -> int:
    """List the entries, derive one, or derive the kept documents anew."""
    name, options.file = options.file, options.file or "gallery"  # what messages name
    if options.models:
        return _models(name, options)
    if (options.plots or options.checks) and (options.regenerate or name in (None, "theorem")):
        raise BadInput("--plots and --checks are for one entry that is a derivation: name it")
    if options.document is not None and (options.regenerate or name is None):
        raise BadInput("--document is for one entry: name it")
    chosen = entries() if name is None else (entry(name),)
    if options.regenerate:
        for one in chosen:
            progress(one.name)
            write(one.kept, one.document())
    elif name is not None:
        return _theorem(options) if isinstance(chosen[0], Theorem) else _derivation(chosen[0], options)
    width = max(len(one.name) for one in chosen)
    progress("")
    say("\n".join(f"{one.name:<{width}}  {one.result}" for one in chosen))
    return DONE


def _models(name: str | None, options: argparse.Namespace) -> int:
    """The named models: all of them in a few lines each, or one with its drift."""
    if options.plots or options.checks or options.regenerate or options.document is not None:
        raise BadInput("--models prints formulas: leave --document, --plots, --checks and --regenerate out")
    if name is not None and name not in MEANINGS:
        near = get_close_matches(name[:40], MEANINGS, n=3) or list(MEANINGS)
        raise BadInput(f"there is no model {name[:40]!r}: {', '.join(near)}")
    for one in MEANINGS if name is None else (name,):
        progress(one)
        sde = derive_limiting_sde(getattr(models, one)())
        lines = str(sde).splitlines() if name is not None else [f"  f = {sde.residual}", f"  R = {sde.regularizer}"]
        progress("")
        say("\n".join([one, *lines, f"  {MEANINGS[one]}"]))
    return DONE


def _derivation(chosen: Entry, options: argparse.Namespace) -> int:
    options.file = chosen.kept.with_suffix(".toml")
    parts = {name: getattr(options, name) for name in ("document", "plots", "checks", "seconds")}
    return derived(Wanted(file=options.file, **parts))


def _theorem(options: argparse.Namespace) -> int:
    """Its checks are made as its document is."""
    writer = markdown if options.document is None else document_writer(options.document)
    check_places(("--document", options.document))
    progress("checking the identities")
    theorem = checked_theorem()
    page = writer(theorem.document)
    progress("")
    if options.document is None:
        say(page)
    else:
        write(options.document, page)
    return DONE if theorem.holds else CHECK_FAILED
