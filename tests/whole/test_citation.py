"""What is cited agrees with what is installed, wherever it is written."""

import re
import tomllib
from pathlib import Path

from symbolic_sgd.citation import PAPER, bibtex

ROOT = Path(__file__).parents[2]


def test_the_citation_file_is_the_package_that_is_built():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {project['version']}\n" in text
    assert f"title: {project['name']}\n" in text
    assert f"license: {project['license']}\n" in text
    assert project["authors"][0]["name"] in text


def test_the_paper_is_the_same_in_both():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    flat = re.sub(r"[{}\n]| {2,}", " ", PAPER)
    assert "What Happens after SGD Reaches Zero Loss?" in text
    for name in ("Li", "Wang", "Arora", re.findall(r"url\s+=\s+\{(.*)\}", PAPER)[0]):
        assert name in flat and name in text


def test_bibtex_has_two_entries_with_balanced_braces():
    text = bibtex()
    assert [line.split("{")[0] for line in text.splitlines() if line.startswith("@")] == ["@inproceedings", "@software"]
    assert text.count("{") == text.count("}")


def test_the_page_of_the_documentation_has_it():
    assert f"```{{code-block}} bibtex\n{bibtex()}```" in (ROOT / "docs" / "citation.md").read_text(encoding="utf-8")
