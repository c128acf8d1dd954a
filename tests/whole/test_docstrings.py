"""Docstrings of what users hold: there is one, with shapes, units, what is raised, and an example, wherever that can be told.

What is looked at: the public names, what the pages of the API show besides, and the public members of all classes among them. A
member that overrides another has its docstring, and an array is known by an annotation or by the name of an argument. The examples
themselves are run as doctests.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import symbolic_sgd
from symbolic_sgd import plots
from symbolic_sgd.errors import MissingExtra

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "api").glob("*.md"))
SHOWN = re.compile(r"^\.\. auto(?:class|function|exception):: ([\w.]+)", re.MULTILINE)

ARRAYS = re.compile(r"ndarray|ArrayLike|Matrix\b|Sequence\[float")
"""Annotations of arrays and matrices."""

ARRAY_NAMES = {"x", "B", "points", "start", "sigma", "covariance", "preconditioner"}
"""Arguments that are arrays or matrices wherever they are found."""

SHAPE = re.compile(
    r"""[\w′)]\s?×\s?[\w(]           # D×Ξ
    | \(\s?(…|\.\.\.|[A-Za-zΞ]\w*(\s[−+]\s\w+)?)(,\s?[\wΞ]+(\s[−+]\s\w+)?)*,?\s?\)\W   # (…, D), (replicas, D), (T,)
    | R\^D | ℝ                       # a space
    | \b(scalar|shape[sd]?|one\ (array|entry|number|column|row)\ (for|a)\b)
    """,
    re.VERBOSE,
)

ENUMERATION = re.compile(r"^(?:\s+\w[\w, ]*: |\s*)[A-Za-z]\.(?:\s|$)", re.MULTILINE)
"""A letter and a period alone, which Sphinx takes for the first item of a list: "D." """

UNITS = {"learning_rate": "η", "time": r"t = |\bT\b", "step": r"\bh\b", "noise_scale": "ε|ρ"}
"""Argument → its letter, which says by the formulas in what units it is."""

DRAWN = "docs/plots.md draws it, where matplotlib is installed"
OF_REPORTS = "it draws for `--document F.html --plots`, as tests/plots/test_report_figures.py does"
OF_REPORTS_ONLY = {"figure_of", "report_figures"}
WITHOUT_EXAMPLE = {
    f"symbolic_sgd.plots.{name}": OF_REPORTS if name in OF_REPORTS_ONLY else DRAWN for name in plots.__all__
}
"""Name → why its docstring has no example."""


@dataclass(frozen=True)
class Item:
    """A public name, or a member of a class.

    Args:
        name: where it is.
        value: what is found there.
        words: its docstring, and those of what it overrides; of a class, also that of its call.
        around: of a member, the docstring of its class where that speaks of every method.
    """

    name: str
    value: Any
    words: str
    around: str = ""

    @property
    def code(self) -> Callable[..., Any] | None:
        """The function behind it; of a class, its own constructor."""
        value = self.value
        if isinstance(value, (classmethod, staticmethod)):
            return value.__func__
        if isinstance(value, property):
            return value.fget
        if isinstance(value, cached_property):
            return value.func
        return value if inspect.isfunction(value) else None

    @property
    def is_member(self) -> bool:
        return ":" in self.name

    @property
    def annotations(self) -> dict[str, str]:
        """Argument, or "return" → its annotation."""
        found = getattr(self.value if inspect.isclass(self.value) else self.code, "__annotations__", {})
        return {name: str(annotation) for name, annotation in found.items() if not name.startswith("_")}

    @property
    def holds_arrays(self) -> bool:
        named = (words for name, words in self.annotations.items() if name in ARRAY_NAMES)
        return any(map(ARRAYS.search, self.annotations.values())) or any("Mapping" not in words for words in named)

    @property
    def raises(self) -> bool:
        """Whether an error is made in its body, or where an object of the class is made."""
        bodies = [self.code]
        if inspect.isclass(self.value):
            bodies = [self.value.__dict__.get(name) for name in ("__post_init__", "__new__", "__init__", "__call__")]
        return any(_makes_an_error(body) for body in bodies if inspect.isfunction(body))


def _makes_an_error(body: Callable[..., Any]) -> bool:
    if not body.__code__.co_filename.endswith(".py"):  # written by dataclasses
        return False
    tree = ast.parse(textwrap.dedent(inspect.getsource(body)))
    errors = (line.exc for line in ast.walk(tree) if isinstance(line, ast.Raise) and line.exc is not None)
    return any(
        "NotImplementedError" not in ast.unparse(error) for error in errors
    )  # that is a note to whoever derives a class


def _names() -> Iterator[tuple[str, Any]]:
    for name in sorted(symbolic_sgd._HOMES):
        try:
            yield name, getattr(symbolic_sgd, name)
        except MissingExtra:
            continue
    for page in PAGES:
        for path in SHOWN.findall(page.read_text(encoding="utf-8")):
            home, _, name = path.rpartition(".")
            if home != "symbolic_sgd":
                yield path, getattr(import_module(home), name)


def _members(kind: type) -> Iterator[tuple[str, Any, str]]:
    """Those that this package defines: where they are defined, what they are, and what is said of them there and above."""
    for name in dir(kind):
        homes = [base for base in kind.__mro__ if name in base.__dict__]
        if name.startswith("_") or not homes[0].__module__.startswith("symbolic_sgd"):
            continue
        value = homes[0].__dict__[name]
        if inspect.isfunction(value) or isinstance(value, (property, cached_property, classmethod, staticmethod)):
            words = (_doc(base.__dict__[name]) for base in homes)
            yield f"{homes[0].__module__}.{homes[0].__qualname__}:{name}", value, "\n".join(words)


def _doc(thing: Any) -> str:
    return getattr(thing, "__doc__", None) or ""


def _items() -> dict[str, Item]:
    found: dict[str, Item] = {}
    for name, value in _names():
        if inspect.isclass(value) or inspect.isfunction(value):
            words = f"{_doc(value)}\n{_doc(value.__dict__.get('__call__'))}"
            found.setdefault(f"{value.__module__}.{value.__qualname__}", Item(name, value, words))
        if inspect.isclass(value):
            around = _doc(value) if "Every method" in _doc(value) else ""
            for member, what, words in _members(value):
                found.setdefault(member, Item(member, what, words, around))
    return found


ITEMS = _items()
every_item = pytest.mark.parametrize("item", ITEMS.values(), ids=[item.name for item in ITEMS.values()])


def lacking(item: Item) -> list[str]:
    """What its docstring lacks."""
    if not item.words.strip():
        return ["a docstring"]
    needs_example = not item.is_member and item.name not in WITHOUT_EXAMPLE
    found = {
        "the shapes of its arrays": item.holds_arrays and not SHAPE.search(item.words + item.around),
        "Raises": item.raises and not re.search(r"\bRaises:", item.words),
        "an example": needs_example and ">>>" not in item.words,
        "more than a letter": ENUMERATION.search(item.words),
    }
    found |= {
        f"the letter of {name}": name in item.annotations and not re.search(letter, item.words)
        for name, letter in UNITS.items()
    }
    return [what for what, lacks in found.items() if lacks]


@every_item
def test_the_docstring_says_what_can_be_asked_of_it(item):
    assert not lacking(item)


def test_exceptions_are_needed():
    by_name = {item.name: item for item in ITEMS.values()}
    assert all(reason and ">>>" not in by_name[name].words for name, reason in WITHOUT_EXAMPLE.items())
    drawn = (DOCS / "plots.md").read_text(encoding="utf-8")
    assert all(f"{name.rpartition('.')[2]}(" in drawn for name, reason in WITHOUT_EXAMPLE.items() if reason == DRAWN)


def _bare(x: Any, learning_rate: float) -> None:
    raise ValueError


def _said(x: Any, learning_rate: float) -> None:
    """x − η∇L.

    Args:
        x: (…, D).

    Raises:
        ValueError: always.

    >>> 1 + 1
    2
    """
    raise ValueError


def test_what_is_lacking_is_seen():
    every = ["the shapes of its arrays", "Raises", "an example", "the letter of learning_rate"]
    assert lacking(Item("bare", _bare, "Words.")) == every and lacking(Item("bare", _bare, " ")) == ["a docstring"]
    assert lacking(Item("said", _said, _said.__doc__ or "")) == []
