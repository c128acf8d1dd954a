"""The notebooks run as they stand, show what is stored, and their sources say the same."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed (extra 'docs')")
jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed (extra 'docs')")
pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra 'docs')")
from notebook_runs import executed, is_picture, printed, sources  # noqa: E402

NEEDS = {"handing_over": ("diffrax",), "verification": ("flint",)}
"""Beside matplotlib, which each of them draws with, what a notebook shows or checks with."""


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored(source, tmp_path):
    for package in ("matplotlib", *NEEDS.get(source.stem, ())):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    stored, source_cells = jupytext.read(source.with_suffix(".ipynb")), jupytext.read(source).cells
    assert [(c.cell_type, c.source) for c in stored.cells] == [(c.cell_type, c.source) for c in source_cells]
    assert printed(executed(source, tmp_path)) == printed(stored)


def test_each_has_a_picture():
    for source in sources():
        outputs = [o for cell in jupytext.read(source.with_suffix(".ipynb")).cells for o in cell.get("outputs", ())]
        assert any(is_picture(o) for o in outputs), source.stem


def test_all_of_them_are_in_the_documentation():
    contents = (Path(__file__).parents[2] / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    listed = [line.removeprefix("notebooks/") for line in contents if line.startswith("notebooks/")]
    assert sorted(listed) == [path.stem for path in sources()]
