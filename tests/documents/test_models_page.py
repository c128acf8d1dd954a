"""docs/models.md is what its script writes, with a section for every named model."""

import importlib.util
from pathlib import Path

from symbolic_sgd import models

SCRIPT = Path(__file__).parents[2] / "docs" / "models.py"


def test_the_page_is_what_is_derived():
    """After a change: `python docs/models.py`, and read the difference."""
    spec = importlib.util.spec_from_file_location("models_page", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert set(script.MEANINGS) == set(models.__all__)
    assert script.PAGE.read_text(encoding="utf-8") == script.page() + "\n"
