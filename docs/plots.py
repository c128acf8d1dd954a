"""Draws the pictures of docs/plots.md by the code that stands there: `python docs/plots.py`."""

import os
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # the same bytes for the same picture

HERE = Path(__file__).parent
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks(page: str) -> list[str]:
    """The blocks of Python of the page, in order."""
    return BLOCK.findall(page)


def main(place: Path = HERE) -> None:
    """Run them in one session, in which files are written to the place."""
    code = "\n".join(blocks((HERE / "plots.md").read_text(encoding="utf-8")))
    with matplotlib.rc_context({"svg.hashsalt": "symbolic_sgd"}):
        exec(compile(code.replace('"plots_', f'"{place.as_posix()}/plots_'), "docs/plots.md", "exec"), {})


if __name__ == "__main__":
    main()
