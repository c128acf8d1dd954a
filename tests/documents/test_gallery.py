"""The gallery: every entry is derived anew, is what its kept document says, and prints in every format."""

import os
import re
import subprocess
import sys
from functools import cache
from unittest.mock import patch

import pytest
from chromium import CHROMIUM, browser
from derived import gallery_sde, shared_derivation
from in_turn import in_turn
from latex_document import compiled_document, needs_tex, overfull

from symbolic_sgd import verify
from symbolic_sgd.command import gallery
from symbolic_sgd.command.main import main
from symbolic_sgd.documents.markdown import REFUSED
from symbolic_sgd.documents.writers import WRITERS
from symbolic_sgd.errors import BadInput
from symbolic_sgd.printing.layout import COLUMN, Layout, laid_out

ENTRIES = gallery.entries()

DERIVATIONS = [entry for entry in ENTRIES if isinstance(entry, gallery.Derivation)]

every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "REQUIRE_CHROMIUM" not in os.environ, reason="chromium is not installed: no page is opened"
)


@cache
def derived(entry):
    """The document as a value: it is derived once, and printed in three formats."""
    with patch.object(gallery, "derive_limiting_sde", shared_derivation):
        return entry.document(lambda document: document)


def test_there_are_enough_entries_with_titles_of_their_own():
    assert len(ENTRIES) >= 20
    assert len({entry.title for entry in ENTRIES}) == len(ENTRIES)


def test_every_kept_document_belongs_to_an_entry():
    assert {path.stem for path in gallery.folder().glob("*.md")} == {entry.name for entry in ENTRIES}


@every_entry
def test_the_kept_document_is_what_is_derived(entry):
    """After a change of how formulas are written: `symbolic-sgd gallery --regenerate`, and read the difference."""
    assert WRITERS[".md"](derived(entry)) == entry.kept.read_text(encoding="utf-8")


@needs_tex
@every_entry
def test_latex_compiles_and_nothing_sticks_out(entry, tmp_path):
    page = WRITERS[".tex"](derived(entry))
    assert "[U+" not in page, "a character for which there is no letter in LaTeX"
    done = compiled_document(page, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    assert overfull(done) == []


@needs_tex
@pytest.mark.parametrize("entry", in_turn(ENTRIES, one_of=3, first=1), ids=lambda entry: entry.name)
def test_nothing_sticks_out_of_two_columns(entry, tmp_path):
    if isinstance(entry, gallery.Derivation):
        page = gallery_sde(entry.name).document(WRITERS[".tex"], line=COLUMN)
    else:
        with laid_out(Layout(line=COLUMN)):
            page = entry.document(WRITERS[".tex"])
    done = compiled_document(page.replace("[10pt,a4paper]", "[10pt,a4paper,twocolumn]"), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    assert overfull(done) == []


@every_entry
def test_github_allows_every_macro(entry):
    macros = set(re.findall(r"\\([A-Za-z]+)", WRITERS[".md"](derived(entry))))
    assert macros & REFUSED == set()


@every_entry
def test_every_formula_of_the_entry_is_on_the_page(entry):
    page = WRITERS[".md"](derived(entry))
    assert "too large" not in page
    assert "**(" not in page.split("-->", 1)[1] and r"\log" not in page


@every_entry
def test_a_name_has_one_meaning(entry):
    """t_1, t_2, … are defined once, and in the order in which they are met."""
    page = WRITERS[".md"](derived(entry))
    defined = [int(k) for k in re.findall(r"^t_\{(\d+)\} &= ", page, re.MULTILINE)]
    assert defined == list(range(1, len(defined) + 1))


@pytest.mark.parametrize("entry", DERIVATIONS, ids=lambda entry: entry.name)
def test_every_entry_is_certified_and_its_steps_confirmed_to_seven_digits(entry):
    check_certificate(entry, 1)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [0, 2, 3])
@pytest.mark.parametrize("entry", DERIVATIONS, ids=lambda entry: entry.name)
def test_other_seeds_certify_the_entry_too(entry, seed):
    check_certificate(entry, seed)


def check_certificate(entry, seed):
    certificate = verify(gallery_sde(entry.name), rng=seed)
    assert certificate.passed, str(certificate)
    steps = [check for check in certificate.checks if check.name.startswith("one step")]
    assert len(steps) == 10
    assert max(check.error for check in steps) <= 1e-7


# --- the command ----------------------------------------------------------------------------------------


def test_the_list_has_one_line_for_each(capsys):
    assert main(["gallery"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [entry.name for entry in ENTRIES]
    assert all(len(line.split(maxsplit=1)[1]) > 20 and "not derived" not in line for line in lines)


def test_an_entry_runs(capsys, tmp_path):
    target = tmp_path / "sphere.html"
    assert main(["gallery", "sphere", "--document", str(target)]) == 0
    assert capsys.readouterr().out.startswith("Sphere")
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_whoever_reads_may_stop_reading():
    command = f"{sys.executable} -m symbolic_sgd gallery"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -c 1"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stderr == "" and done.returncode == 0


def test_an_unknown_entry_is_refused_with_the_names(capsys):
    assert main(["gallery", "klein_bottle"]) == 2
    err = capsys.readouterr().err
    assert "no entry 'klein_bottle'" in err and "sphere" in err


def test_an_entry_is_a_file(monkeypatch, tmp_path, capsys):
    (tmp_path / "line.toml").write_text(
        'title = "L"\nparameters = ["a", "b"]\nloss = "(a + b)**2"\nnoise = { kind = "isotropic" }', encoding="utf-8"
    )
    monkeypatch.setattr(gallery, "PLACES", (tmp_path / "nowhere", tmp_path))
    assert gallery.entry("line").result == "not derived yet"
    assert main(["gallery", "--regenerate"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.split(maxsplit=1)[0] == "line" and "No regularization: noise along Γ" in first
    assert [line.split()[0] for line in others] == ["theorem"]


def test_a_gallery_that_is_nowhere_says_where_it_was_looked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(gallery, "PLACES", (tmp_path / "nowhere",))
    with pytest.raises(BadInput, match="nowhere"):
        gallery.entries()


# --- in a browser ---------------------------------------------------------------------------------------

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

CONTRASTS = """
(() => {
  const light = rgb => { const [r, g, b] = rgb.match(/\\d+/g).slice(0, 3).map(c => { c /= 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 }); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (!c.endsWith(', 0)')) return c } return 'rgb(255, 255, 255)' };
  return ['h1', 'h2', 'p', '.result', 'a', 'mi', 'mo', 'pre'].map(s => document.querySelector(s)).map(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) })
})()
"""

UNSEEN = "[...document.querySelectorAll('math')].filter(m => m.getBoundingClientRect().width < 4).length"


@pytest.fixture(scope="module")
def page():
    with browser() as found:
        yield found


@needs_chromium
@every_entry
def test_a_browser_shows_the_page(page, entry, tmp_path):
    target = tmp_path / "page.html"
    target.write_text(WRITERS[".html"](derived(entry)), encoding="utf-8")
    for width, dark in ((1000, False), (360, True)):
        page.open(target, width=width, dark=dark)
        assert page.requests == [] and page.complaints == []
        assert page.value(OVERFLOW) == 0, "the page itself must not scroll sideways"
        assert page.value(UNSEEN) == 0
        assert min(page.value(CONTRASTS)) >= 4.5
        assert page.value("document.querySelectorAll('merror').length") == 0


@needs_chromium
def test_the_keyboard_reaches_and_scrolls_a_formula(page, tmp_path):
    target = tmp_path / "page.html"
    (entry,) = (e for e in ENTRIES if e.name == "olm_label")
    target.write_text(WRITERS[".html"](derived(entry)), encoding="utf-8")
    page.open(target, width=360)
    wide = "[...document.querySelectorAll('.formula')].find(f => f.scrollWidth > f.clientWidth + 40)"
    page.value(f"{wide}.focus()")
    assert page.value(f"document.activeElement === {wide}")
    page.key("ArrowRight", 39)
    page.value("new Promise(done => setTimeout(done, 400))")
    assert page.value(f"{wide}.scrollLeft") > 0


@needs_chromium
def test_a_page_that_asks_for_something_would_be_noticed(page, tmp_path):
    target = tmp_path / "page.html"
    target.write_text('<html><body><img src="missing.png"><script>console.error("x")</script></body></html>')
    page.open(target)
    assert page.requests and page.complaints
