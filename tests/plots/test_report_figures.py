"""Pictures in documents: the same bytes again, readable on dark and light pages, named for readers who hear them."""

import os
import re
import sys
from dataclasses import replace

import pytest
import sympy as sp
from chromium import CHROMIUM, browser

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde, plots  # noqa: E402
from symbolic_sgd.checks.certificate import Check  # noqa: E402
from symbolic_sgd.command import derive as cli  # noqa: E402
from symbolic_sgd.command.main import main  # noqa: E402
from symbolic_sgd.documents.document import Figure  # noqa: E402
from symbolic_sgd.documents.writers import WRITERS  # noqa: E402
from symbolic_sgd.errors import BadInput  # noqa: E402
from symbolic_sgd.plots import figure_of, plot_manifold, report_figures  # noqa: E402

u, v, w = sp.symbols("u v w")

SEEN = """[...document.querySelectorAll('figure svg text')].map(t => getComputedStyle(t).fill)
  .every(c => c === getComputedStyle(document.querySelector('figure svg')).color)"""
WIDTHS = "[...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().width)"


@pytest.fixture(scope="module")
def hyperbola():
    return derive_limiting_sde(Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)))


@pytest.fixture(scope="module")
def figures(hyperbola):
    return report_figures(hyperbola)


@pytest.fixture(scope="module")
def document(hyperbola, figures):
    return hyperbola.document(WRITERS[".html"], figures=figures)


def test_the_same_pictures_again(hyperbola, figures):
    assert [f.title for f in figures] == [
        "The manifold of minimizers", "SGD beside its limit", "The distance of SGD from its limit over the learning rate",
    ]  # fmt: skip
    assert report_figures(hyperbola) == figures


def test_pictures_have_names_and_identifiers_of_their_own(document):
    assert document.count('<svg role="img" aria-labelledby="') == 3
    identifiers = re.findall(r'\bid="([^"]+)"', document)
    assert len(identifiers) == len(set(identifiers))
    targets = set(re.findall(r'"#([^"]+)"|url\(#([^)]+)\)', document))
    assert {a or b for a, b in targets} <= set(identifiers)
    for picture in re.findall(r"<svg.*?</svg>", document, re.DOTALL):
        [names] = re.findall(r'aria-labelledby="(\w+) (\w+)"', picture)
        assert all(f'id="{name}"' in picture for name in names)
    assert all(tag not in document for tag in ("<script", "<metadata", "<style "))


@pytest.mark.skipif(CHROMIUM is None and "REQUIRE_CHROMIUM" not in os.environ, reason="chromium is not installed")
def test_a_browser_shows_them_dark_and_light_and_on_a_phone(document, tmp_path):
    target = tmp_path / "page.html"
    target.write_text(document, encoding="utf-8")
    with browser() as page:
        for width, dark in ((1000, False), (360, True)):
            page.open(target, width=width, dark=dark)
            assert page.requests == [] and page.complaints == []
            assert page.value(SEEN)
            assert max(page.value(WIDTHS)) <= width - 16 and min(page.value(WIDTHS)) > 250


def test_formats_without_pictures_leave_them_out(hyperbola, figures):
    for ending in (".tex", ".md"):
        assert hyperbola.document(WRITERS[ending], figures=figures) == hyperbola.document(WRITERS[ending])


def test_hostile_titles_are_text(hyperbola):
    page = hyperbola.document(WRITERS[".html"], figures=[Figure("<b>x</b>", '"><script>', "<svg></svg>")])
    assert "<script" not in page and "<b>" not in page


def test_a_surface_in_three_dimensions_is_drawn():
    sphere = Problem(loss=(u**2 + v**2 + w**2 - 1) ** 2 / 8, parameters=(u, v, w), noise=IsotropicNoise())
    axes = plot_manifold(derive_limiting_sde(sphere), path=False)
    assert figure_of(axes, "a sphere", "a sphere").svg.endswith("</svg>")


def test_four_parameters_have_all_three():
    a, b, c, d = parameters = sp.symbols("a b c d")
    problem = Problem.least_squares([a * b + c * d - 1], parameters=parameters, noise=LabelNoise(1))
    assert [f.title[:3] for f in report_figures(derive_limiting_sde(problem))] == ["The", "SGD", "The"]


# --- the command ----------------------------------------------------------------------------------------


@pytest.fixture
def stated(tmp_path):
    source = tmp_path / "p.toml"
    source.write_text('parameters = ["u", "v"]\nresiduals = ["u*v - 1"]\nnoise = { kind = "label" }')
    return source


def test_derive_draws_and_checks(stated, figures, tmp_path, monkeypatch):
    monkeypatch.setattr(
        plots, "report_figures", lambda sde: figures
    )  # of the same problem; drawn anew by the README's command
    target = tmp_path / "out.html"
    assert main(["derive", str(stated), "--document", str(target), "--plots", "--checks"]) == 0
    page = target.read_text(encoding="utf-8")
    assert page.count("<figure>") == 3 and "Checks of the certificate" in page


def test_what_needs_a_document_says_so(stated, tmp_path, capsys, monkeypatch):
    assert main(["derive", str(stated), "--plots"]) == 2
    assert "give --document F as well" in capsys.readouterr().err
    assert main(["derive", str(stated), "--plots", "--document", str(tmp_path / "out.tex")]) == 2
    assert "HTML documents only" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "symbolic_sgd.plots", None)
    assert main(["derive", str(stated), "--plots", "--document", str(tmp_path / "out.html")]) == 2
    assert "--plots" in capsys.readouterr().err


def test_a_certificate_that_is_not_passed_ends_with_one_and_is_said_first(stated, tmp_path, monkeypatch):
    real = cli.verify
    failing = lambda sde, **kw: replace(real(sde), checks=(Check("x", 0, 1, 1.0, 0.1, "failed"),))  # noqa: E731
    monkeypatch.setattr(cli, "verify", failing)
    target = tmp_path / "out.md"
    assert main(["derive", str(stated), "--document", str(target), "--checks"]) == 1
    assert "NOT every check of the certificate passed" in target.read_text(encoding="utf-8").splitlines()[0]


def test_options_that_would_be_ignored_are_refused(tmp_path):
    for arguments in (["theorem", "--plots"], ["--document", str(tmp_path / "x.html")], ["--regenerate", "--checks"]):
        assert main(["gallery", *arguments]) == 2


@pytest.mark.parametrize(
    "svg", ["<svg onload='x()'></svg>", "<svg><script>x</script></svg>", "<p>", None, '<svg><a href="x"/></svg>']
)
def test_pictures_that_bring_more_than_themselves_are_refused(svg):
    with pytest.raises(BadInput, match="one <svg>"):
        Figure("t", "d", svg)


def test_words_in_pictures_stay(hyperbola):
    axes = plot_manifold(hyperbola, window=[(0.2, 2), (0.2, 2)], path=False)
    axes.set_title("a black box")
    assert "a black box" in figure_of(axes, "t", "d").svg


def test_noise_at_which_sgd_diverges_leaves_gamma_alone():
    circle = Problem(loss=(u**2 + v**2 - 1) ** 2 / 8, parameters=(u, v), noise=IsotropicNoise(1000))
    assert len(report_figures(derive_limiting_sde(circle))) >= 1
