"""The gallery: problem files with their derived documents, and the theorem itself. Adding an entry is adding a problem file."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from symbolic_sgd.api.limiting_sde import derive_limiting_sde
from symbolic_sgd.documents.document import Document
from symbolic_sgd.documents.markdown import markdown
from symbolic_sgd.documents.theorem_document import TITLE, theorem_document
from symbolic_sgd.errors import BadInput
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
    def title(self) -> str:
        return read_problem_file(self.path).title

    def document(self, writer: Callable[[Document], str] = markdown) -> str:
        stated = read_problem_file(self.path)
        return derive_limiting_sde(stated.problem).document(writer, title=stated.title)


@dataclass(frozen=True)
class Theorem(Entry):
    """The theorem itself: identities for every loss, and the errata of its source."""

    @property
    def title(self) -> str:
        return TITLE

    def document(self, writer: Callable[[Document], str] = markdown) -> str:
        return writer(theorem_document())


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
        raise BadInput(f"the gallery has no entry {name[:40]!r}; it has {', '.join(found)}")
    return found[name]
