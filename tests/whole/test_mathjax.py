"""MathJax 3 and 4 accept every formula of the project: what objects show in notebooks, what is stored there, and the kept documents."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sympy as sp
from derived import DERIVATIONS, NAMES, gallery_problem, gallery_sde
from mathjax_pages import FOLDERS, Judged, judged, main, needs_mathjax, page_of, typesetter

from symbolic_sgd import Family, LabelNoise, derive_limiting_sde, gradient_flow_limit
from symbolic_sgd.errors import SymbolicSGDError

pytestmark = needs_mathjax
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
TWO_VERSIONS = pytest.mark.parametrize("version", FOLDERS)
SHOWN = ("hyperbola_label", "hyperbola_isotropic", "motor", "sphere", "valley_normal_noise")


def typeset(texts: dict[str, str], version: int, folder: Path) -> Judged:
    page = folder / "formulas.html"
    page.write_text(page_of(texts), encoding="utf-8")
    with typesetter(version) as tab:
        return judged(tab, page)


@TWO_VERSIONS
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (r"$\nonsense{x}$", r"formulas.html: here: \nonsense is not defined: \nonsense{x}"),
        (r"$\frac{1}$", r"formulas.html: here: Missing argument for \frac: \frac{1}"),
        (r"$x$ and \[ y", r"formulas.html: here: is no formula to MathJax: and \[ y"),
    ],
)
def test_an_error_is_named_with_its_place_and_formula(text, said, version, tmp_path):
    found = typeset({"right": r"$u^2$", "here": text}, version, tmp_path)
    assert found.faults == (said,)
    assert found.version.startswith(str(version))


def test_what_only_the_newer_version_refuses_is_found(tmp_path):
    nested = r"\[\begin{split}\begin{equation*}x\end{equation*}\end{split}\]"
    (fault,) = typeset({"chart": nested}, 4, tmp_path).faults
    assert fault.startswith("formulas.html: chart: Erroneous nesting of equation structures")


def test_the_command_fails_on_a_page_with_an_error(tmp_path, capsys):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "wrong.html").write_text(page_of({"first": r"$x$ $\wrong$"}), encoding="utf-8")
    (tmp_path / "plain.html").write_text("a page about mathjax", encoding="utf-8")
    assert main(tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "formulas on" in line and "2 formulas on 1 pages, 1 errors" in line] == [
        *lines[:2]
    ]
    assert lines[2:] == [rf"MathJax {v}: wrong.html: first: \wrong is not defined: \wrong" for v in FOLDERS]


@TWO_VERSIONS
def test_the_kept_documents(version, tmp_path):
    texts = {path.name: _without_code(path.read_text(encoding="utf-8")) for path in sorted(DERIVATIONS.glob("*.md"))}
    found = typeset(texts, version, tmp_path)
    assert not found.faults
    assert found.count > 20 * len(texts)


def _without_code(markdown: str) -> str:
    """A kept document without what stands in it as it is: the citation."""
    return "".join(markdown.split("```")[::2])


@TWO_VERSIONS
def test_the_stored_outputs_of_notebooks(version, tmp_path):
    texts = {
        f"{path.name}, cell {k}": "".join(output["data"]["text/latex"])
        for path in NOTEBOOKS
        for k, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"])
        for output in cell.get("outputs", ())
        if "text/latex" in output.get("data", ())
    }
    found = typeset(texts, version, tmp_path)
    assert not found.faults
    assert found.count == len(texts)


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    problems = {text: tex for name in SHOWN for text, tex in shown_of(name)}
    return {**problems, **dict(formulas("family", derive_limiting_sde(family())))}


@TWO_VERSIONS
def test_what_objects_show(shown, version, tmp_path):
    found = typeset(shown, version, tmp_path)
    assert not found.faults
    assert found.count >= len(shown) > 60


@pytest.mark.campaign
@pytest.mark.parametrize("name", NAMES)
def test_what_objects_of_the_gallery_show(name, tmp_path):
    texts = dict(shown_of(name))
    for version in FOLDERS:
        assert not typeset(texts, version, tmp_path).faults


def shown_of(name: str) -> Iterator[tuple[str, str]]:
    """Everything that one gallery problem shows in a notebook, and the snippet for a paper."""
    sde, limit = gallery_sde(name), gradient_flow_limit(gallery_problem(name))
    yield from formulas(f"{name}.problem", sde.problem)
    yield from formulas(name, sde)
    yield from formulas(f"{name}.structure", sde.structure)
    yield from formulas(f"{name}.limit", limit)
    yield f"{name}.latex()", sde.latex()
    yield f"{name}.limit.latex()", limit.latex()
    try:
        chart = sde.in_chart()
    except SymbolicSGDError:
        return
    yield from formulas(f"{name}.chart", chart)


def formulas(name: str, value: object) -> Iterator[tuple[str, str]]:
    """What an object and its public attributes show as LaTeX."""
    shown = getattr(value, "_repr_latex_", None)
    if shown is not None:
        yield name, shown()
    if isinstance(value, sp.Basic | sp.MatrixBase):
        return
    for attribute in (a for a in dir(value) if not a.startswith("_")):
        try:
            part = getattr(value, attribute)
        except SymbolicSGDError:
            continue
        parts = part if isinstance(part, tuple) else part.values() if isinstance(part, dict) else (part,)
        for k, one in enumerate(parts):
            tex = getattr(one, "_repr_latex_", lambda: None)() if not isinstance(one, type) else None
            if tex is not None:
                yield f"{name}.{attribute}[{k}]", tex


def family() -> Family:
    x, z, y = (sp.IndexedBase(name) for name in "xzy")
    n, d = sp.symbols("n d", integer=True, positive=True)
    i, j = sp.symbols("i j", integer=True)
    residual = sp.Sum(z[i, j] * x[j] ** 2, (j, 1, d)) - y[i]
    return Family(residual=residual, sample=(i, 1, n), parameters=(x,), noise=LabelNoise(1))
