"""Notebooks executed afresh: `python tests/helpers/notebook_runs.py [NAME …]` writes the .ipynb beside their sources anew."""

import sys
import tempfile
from pathlib import Path

import jupytext
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def sources() -> list[Path]:
    return sorted(NOTEBOOKS.glob("*.py"))


def executed(source: Path, directory: str | Path):
    """The notebook of a source, run in a kernel of its own in that directory."""
    notebook = jupytext.read(source)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(directory)}}
    ).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.stem}-{number}"
        cell.metadata.pop("execution", None)  # the times of day at which it ran
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "jupytext": {"formats": "ipynb,py:percent"},
    }
    return notebook


def printed(notebook) -> list[str]:
    """What each code cell shows, but for pictures; in how many pieces a kernel sends it is chance."""
    return [
        "".join("".join(o.get("text") or o["data"]["text/plain"]) for o in cell.outputs if not is_picture(o))
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def is_picture(output) -> bool:
    """Whether a cell shows it as a picture."""
    return "image/png" in output.get("data", {})


if __name__ == "__main__":
    for source in sources():
        if len(sys.argv) == 1 or source.stem in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as directory:
                jupytext.write(executed(source, directory), source.with_suffix(".ipynb"))
            print(source.stem)
