"""The notebooks run as they stand, show what is stored, and their sources say the same."""

import importlib.util

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed (extra 'docs')")
jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed (extra 'docs')")
pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra 'docs')")
from notebook_runs import executed, printed, sources  # noqa: E402

NEEDS = {
    "first_steps": ("matplotlib",), "gradient_flow": ("matplotlib",), "motor": ("matplotlib",), "sparse_recovery": ("matplotlib",),
    "handing_over": ("diffrax",), "verification": ("flint",), "one_loss": ("matplotlib",),
}  # fmt: skip


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored(source, tmp_path):
    for package in NEEDS.get(source.stem, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    stored, source_cells = jupytext.read(source.with_suffix(".ipynb")), jupytext.read(source).cells
    assert [(c.cell_type, c.source) for c in stored.cells] == [(c.cell_type, c.source) for c in source_cells]
    assert printed(executed(source, tmp_path)) == printed(stored)


def test_there_are_eight():
    assert {path.stem for path in sources()} >= {
        "first_steps", "your_own_loss", "motor", "gradient_flow", "verification", "sparse_recovery", "handing_over", "one_loss",
    }  # fmt: skip
