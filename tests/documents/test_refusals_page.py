"""docs/refusals.md is what its script writes; every error is on it, raised by its question. The docs' own tests run its blocks."""

import importlib.util
import re
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import symbolic_sgd
from symbolic_sgd.errors import SymbolicSGDError

SCRIPT = Path(__file__).parents[2] / "docs" / "refusals.py"
DECIMAL = re.compile(r"-?\d+\.\d+(e[+-]?\d+)?")


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("refusals_page", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def asked(page):
    return page.asked()


def every_error():
    """The public errors and warnings of the toolkit, wherever they are defined."""
    for module in walk_packages(symbolic_sgd.__path__, "symbolic_sgd."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):  # of an extra that is not installed
                import_module(module.name)
    found, todo = set(), [SymbolicSGDError, Warning]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        found |= {kind.__name__} if kind.__module__.startswith("symbolic_sgd.") else set()
    return {name for name in found if not name.startswith("_")}


def test_no_error_is_missing(page):
    assert set(page.CASES) | set(page.ROOTS) == every_error()
    assert not set(page.CASES) & set(page.ROOTS)


def test_every_question_raises_its_error(page, asked):
    assert {name: kind for name, (kind, _) in asked.items()} == {name: name for name in page.CASES}


def test_the_kept_page_is_what_is_said(page, asked, monkeypatch):
    """After a change: `python docs/refusals.py`, and read the difference. Decimals are of points, which round otherwise elsewhere."""
    monkeypatch.setattr(page, "asked", lambda: asked)
    assert DECIMAL.sub("#", page.page() + "\n") == DECIMAL.sub("#", page.PAGE.read_text(encoding="utf-8"))
