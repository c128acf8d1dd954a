"""docs/plots.md: the code that stands there draws its pictures."""

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_draws_what_it_shows(tmp_path):
    spec = importlib.util.spec_from_file_location("plots_page", DOCS / "plots.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(tmp_path)
    shown = set(re.findall(r"```{image} (\S+)", (DOCS / "plots.md").read_text(encoding="utf-8")))
    assert shown and shown == {file.name for file in tmp_path.iterdir()}
    assert all((DOCS / name).exists() for name in shown)
