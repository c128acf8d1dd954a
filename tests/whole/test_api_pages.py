"""The pages of the API: every public name is on them once, and every entry is there to be imported."""

import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

import symbolic_sgd
from symbolic_sgd.errors import MissingExtra

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "api").glob("*.md"))
ENTRY = re.compile(r"^\.\. auto(?:class|function|exception|data):: ([\w.]+)\.(\w+)$", re.MULTILINE)
ENTRIES = [entry for page in PAGES for entry in ENTRY.findall(page.read_text(encoding="utf-8"))]


def test_every_public_name_is_there_once():
    """Under `symbolic_sgd` itself, or under the module that holds it, where that has the words about it."""
    shown = Counter(name for home, name in ENTRIES if home in ("symbolic_sgd", symbolic_sgd._HOMES.get(name)))
    assert shown == dict.fromkeys(symbolic_sgd._HOMES, 1)


def test_every_name_of_a_room_for_users_is_there():
    """Of plots by its entry; of models by their module's."""
    plots = import_module("symbolic_sgd.plots")
    assert {name for home, name in ENTRIES if home == plots.__name__} == set(plots.__all__)
    assert ".. automodule:: symbolic_sgd.models" in (DOCS / "api" / "models.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("home", "name"), ENTRIES)
def test_an_entry_can_be_imported(home, name):
    try:
        assert getattr(import_module(home), name) is not None
    except MissingExtra as missing:
        assert name in str(missing)


def test_no_entry_stands_twice():
    assert max(Counter(ENTRIES).values()) == 1


def test_every_page_is_in_the_contents():
    assert set(re.findall(r"^api/(\w+)$", (DOCS / "api.md").read_text(encoding="utf-8"), re.MULTILINE)) == {
        page.stem for page in PAGES
    }
