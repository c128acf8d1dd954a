"""The page in a browser: what is typed is derived, nothing scrolls sideways, the keyboard is enough, and the kept site asks nothing."""

import json
import os
import shutil
import time
from urllib.parse import quote

import pytest
from asking import HYPERBOLA
from chromium import CHROMIUM, browser

from symbolic_sgd.command import gallery
from symbolic_sgd.command.main import main
from symbolic_sgd.command.serve import examples
from symbolic_sgd.serve.page import live_files

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "REQUIRE_CHROMIUM" not in os.environ, reason="chromium is not installed: no page is opened"
)

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SETTLED = (
    "document.querySelector('#answer').innerText.length > 20 && !document.querySelector('[aria-busy]') "
    "&& !document.querySelector('#status').innerText.includes('…')"
)
UNNAMED = (
    "[...document.querySelectorAll('input, textarea, select')].filter(e => !e.labels.length && !e.ariaLabel).length"
)


@pytest.fixture
def served(page):
    return page


@pytest.fixture(scope="module")
def tab():
    with browser() as found:
        yield found


def settle(tab):
    until = time.monotonic() + 60
    while not tab.value(SETTLED):
        assert time.monotonic() < until, tab.value("document.body.innerText")
        time.sleep(0.05)


def visit(tab, served, fields=None, **looks):
    fragment = "" if fields is None else "#" + quote(json.dumps(fields))
    tab.visit("about:blank")
    tab.visit(f"{served.server.address}{fragment}", **looks)
    settle(tab)


def errors(tab):
    """What the browser complains of, but that a refusal is none."""
    return [c for c in tab.complaints if c.get("entry", {}).get("source") != "network"]


def typed(tab, place, text):
    tab.value(f"document.querySelector('{place}').focus(); document.querySelector('{place}').select()")
    tab.call("Input.insertText", text=text)


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_and_names_its_fields(tab, served, width):
    visit(tab, served, width=width, dark=width == 390)
    assert tab.value(OVERFLOW) == 0 and tab.value(UNNAMED) == 0 and errors(tab) == []
    assert "The regularization descends" in tab.value("document.querySelector('#answer').innerText")
    assert tab.value("document.querySelectorAll('#answer math').length") > 10
    assert all(url.startswith(served.server.address) for url in tab.requests)


def test_a_wide_formula_scrolls_in_its_own_box(tab, served):
    sigma = "1 + u/3, v/2 - 1/5, u**2/4, 1/2 - u*v\nu/5, 1 - v/2, 1/3 + u/7, 1/8 + v**2/6"
    fields = {"statement": "loss", "formula": "(u*v - 1)**2/2", "parameters": "u, v", "noise": "matrix"}
    visit(tab, served, fields | {"noise_values": {"sigma": sigma}}, width=390)
    assert tab.value(OVERFLOW) == 0
    assert tab.value("[...document.querySelectorAll('.formula')].some(e => e.scrollWidth > e.clientWidth)")
    assert tab.value("[...document.querySelectorAll('.formula')].every(e => e.tabIndex === 0)")
    assert tab.value("document.querySelector('#noise_values-matrix-sigma').value") == sigma


def test_what_is_typed_is_derived_at_once(tab, served):
    visit(tab, served, HYPERBOLA)
    before = tab.value("document.querySelector('#answer').innerText")
    typed(tab, "#formula", "a*b*c - sin(1) - pi")
    assert tab.value("document.querySelector('#parameters').value") == "a, b, c"
    until = time.monotonic() + 60
    while tab.value("document.querySelector('#answer').innerText") == before and time.monotonic() < until:
        time.sleep(0.05)
    settle(tab)
    assert tab.value("document.querySelectorAll('#answer svg circle').length") > 100
    assert json.loads(tab.value("decodeURIComponent(location.hash.slice(1))"))["formula"] == "a*b*c - sin(1) - pi"
    assert errors(tab) == []


def test_parameters_that_were_written_stay(tab, served):
    visit(tab, served, HYPERBOLA)
    typed(tab, "#parameters", "v, u")
    typed(tab, "#formula", "u*v*w - 1")
    assert tab.value("document.querySelector('#parameters').value") == "v, u"
    settle(tab)


def test_a_refusal_is_text(tab, served):
    visit(tab, served, HYPERBOLA | {"formula": "u*v - <img src=x onerror=alert(1)>"})
    assert tab.value("document.querySelector('.refusal').innerText").startswith("problem: residuals[0], column 15:")
    assert tab.value("document.querySelectorAll('#answer img, #answer script').length") == 0 and errors(tab) == []


@pytest.mark.parametrize(
    "fragment", ["%", "#{", "#null", "#7", '#{"formula": 7, "noise_values": "x", "noise": {}}', "#" + "a" * 5000]
)
def test_links_that_hold_no_problem(tab, served, fragment):
    tab.visit("about:blank")
    tab.visit(f"{served.server.address}{fragment if fragment[0] == '#' else '#' + fragment}")
    time.sleep(0.1)
    assert errors(tab) == []


def test_the_keyboard_is_enough(tab, served):
    visit(tab, served, HYPERBOLA)
    tab.value("document.querySelector('[data-task=latex]').focus()")
    tab.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    until = time.monotonic() + 60
    while not tab.value("document.querySelector('#output pre')?.innerText") and time.monotonic() < until:
        time.sleep(0.05)
    assert r"\begin{align*}" in tab.value("document.querySelector('#output pre').innerText")
    assert tab.value("document.querySelector('#output pre').tabIndex") == 0


def test_examples_are_one_click_away(tab, served):
    visit(tab, served, HYPERBOLA)
    names = tab.value("[...document.querySelectorAll('#examples button')].map(b => b.value)")
    assert names == [example.name for example in examples()] and len(names) > 20
    tab.value("document.querySelector('#examples [value=valley_normal_noise]').click()")
    settle(tab)
    assert tab.value("document.querySelector('#constants').value") == "s positive"
    assert tab.value("document.querySelector('[data-key=sigma]').value") == "s\n0"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Of two examples with what is kept of them, and one without."""
    (tmp_path / "in").mkdir()
    for name in ("sphere", "linear_regression"):
        for end in (".toml", ".md", ".svg"):
            shutil.copy(gallery.entry(name).path.with_suffix(end), tmp_path / "in")
    text = gallery.entry("hyperbola_label").path.read_text(encoding="utf-8")
    (tmp_path / "in" / "new.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(gallery, "PLACES", (tmp_path / "in",))
    assert main(["serve", "--export", str(tmp_path / "out")]) == 0
    return tmp_path / "out"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_site_of_files_is_shown_from_files(tab, site, width):
    tab.open(site / "index.html", width=width)
    assert tab.value(OVERFLOW) == 0 and errors(tab) == []
    loaded = "[...document.querySelectorAll('.card img')].filter(image => image.naturalWidth > 0 && image.alt).length"
    assert tab.value(loaded) == 2 and tab.value("document.querySelectorAll('.card math').length") > 6
    seen = "[...document.querySelectorAll('.card')].filter(card => card.checkVisibility()).length"
    choose = "(menu => { menu.value = '%s'; menu.dispatchEvent(new Event('change', {bubbles: true})) })"
    assert tab.value(seen) == 3
    tab.value(f"{choose % 'isotropic'}(document.querySelectorAll('.filters select')[1])")
    assert tab.value(seen) == 1
    tab.value("document.querySelector('.card a[href=\"sphere.html\"]').click()")
    until = time.monotonic() + 60
    while not tab.value("document.querySelector('#formula')?.value ?? ''") and time.monotonic() < until:
        time.sleep(0.05)
    assert tab.value("document.querySelector('#formula').value") == "(x**2 + y**2 + z**2 - 1)**2/8"
    assert tab.value(OVERFLOW) == 0 and errors(tab) == []
    assert tab.value("getComputedStyle(document.querySelector('.live')).display") == "none"
    assert tab.value("document.querySelectorAll('details pre').length") >= 4
    assert tab.value("document.querySelector('#examples a[href=\"index.html\"]').innerText")


def test_every_word_of_a_formula_that_is_no_name_is_known():
    page = live_files([])["/"][1].decode()
    assert all(f" {word} " in page for word in ("exp", "log", "ln", "sqrt", "pi", "tanh"))
