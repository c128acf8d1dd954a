"""docs/gallery.md is what its script writes, with a picture for every derivation; its menus choose among the cards."""

import importlib.util
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from chromium import CHROMIUM, browser
from derived import gallery_sde

from symbolic_sgd.command.cards import MODELS, card_of
from symbolic_sgd.command.gallery import Derivation, entries
from symbolic_sgd.serve.page import STATIC

SCRIPT = Path(__file__).parents[2] / "docs" / "gallery.py"
LIMIT = 1_000_000
"""Bytes of all pictures together."""

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "REQUIRE_CHROMIUM" not in os.environ, reason="chromium is not installed: no page is opened"
)


def loaded():
    spec = importlib.util.spec_from_file_location("gallery_page", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


page = loaded()
ROOT = SCRIPT.parents[1]
DERIVATIONS = [entry for entry in entries() if isinstance(entry, Derivation)]


def test_the_kept_page_is_what_is_written():
    """After a change: `python docs/gallery.py`, and read the difference."""
    assert page.page() == page.PAGE.read_text(encoding="utf-8")
    assert page.PAGE.read_text(encoding="utf-8").count("{container} card ") == len(entries())


def test_there_is_a_picture_for_every_derivation_and_all_are_small():
    pictures = list((ROOT / "derivations").glob("*.svg"))
    assert {picture.name for picture in pictures} == {f"{entry.name}.svg" for entry in DERIVATIONS}
    assert sum(picture.stat().st_size for picture in pictures) < LIMIT


def test_what_is_filed_is_an_entry():
    assert set(MODELS) <= {entry.name for entry in DERIVATIONS}


@pytest.mark.parametrize("name", ["hyperbola_label", "sphere", "motor"])
def test_the_sizes_on_a_card_are_those_that_are_derived(name):
    (entry,) = (entry for entry in DERIVATIONS if entry.name == name)
    manifold = gallery_sde(name).manifold
    assert f"$D = {manifold.dimension + manifold.codimension}$, $M = {manifold.codimension}$" in "".join(
        page.written(card_of(entry))
    )


@pytest.mark.parametrize("name", ["hyperbola_label", "valley_normal_noise", "squared_parameters"])
def test_a_kept_picture_is_what_is_drawn(name, tmp_path, monkeypatch):
    """By all of its numbers, which other processors round in another way; pixels of surfaces are not among them."""
    pytest.importorskip("matplotlib")
    kept = (ROOT / "derivations" / f"{name}.svg").read_text(encoding="utf-8")
    monkeypatch.setattr(Derivation, "picture", property(lambda entry: tmp_path / f"{entry.name}.svg"))
    page.main([name])
    drawn = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    np.testing.assert_allclose(*map(numbers, (kept, drawn)), atol=0.05)


def numbers(picture: str) -> list[float]:
    lines = re.findall(r' (?:d|x|y|width|height)="([^"]*)"', picture)
    return [float(number) for line in lines for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", line)]


@needs_chromium
def test_the_menus_choose_among_the_cards(tmp_path):
    kinds = re.findall(r"\{container\} (card .*)", page.PAGE.read_text(encoding="utf-8"))
    script = (STATIC / "gallery.js").read_text(encoding="utf-8")
    cards = "".join(f'<div class="{kind}">{kind}</div>' for kind in kinds)
    target = tmp_path / "cards.html"
    target.write_text(f'<meta charset="utf-8"><script>{script}</script><div class="cards gallery">{cards}</div>')
    seen = "[...document.querySelectorAll('.card')].filter(card => card.checkVisibility()).map(card => card.className)"
    choose = "(menu => { menu.value = '%s'; menu.dispatchEvent(new Event('change', {bubbles: true})) })"
    menu = "document.querySelectorAll('.filters select')[%d]"
    with browser() as tab:
        tab.open(target)
        assert tab.value(seen) == kinds
        for k, wanted in ((1, "noise-isotropic"), (2, "codimension-1")):
            tab.value(f"{choose % wanted.split('-')[1]}({menu % k})")
            kinds = [kind for kind in kinds if wanted in kind.split()]
            assert 0 < len(kinds) < 10 and tab.value(seen) == kinds
        assert tab.value("document.querySelector('.filters output').textContent") == f"{len(kinds)} of {len(entries())}"
        assert tab.complaints == [] and tab.requests == []
