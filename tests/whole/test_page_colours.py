"""Pictures on dark pages: those that are drawn on white are cards, and those that are transparent stay so."""

import os
from pathlib import Path

import pytest
from chromium import CHROMIUM, browser

STYLE = (Path(__file__).parents[2] / "docs" / "_static" / "pages.css").read_text(encoding="utf-8")
SVG = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
PAGE = '<style>{}</style><body data-theme="{}"><article><img src="{}"><div class="card"><img src="{}"></div></article>'
LOOKS = "[...document.images].map(image => [getComputedStyle(image).backgroundColor, getComputedStyle(image).filter])"

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "REQUIRE_CHROMIUM" not in os.environ, reason="chromium is not installed: no page is opened"
)


@pytest.mark.parametrize(
    ("theme", "system", "dimmed"),
    [
        ("light", True, False),
        ("light", False, False),
        ("dark", False, True),
        ("auto", True, True),
        ("auto", False, False),
    ],
)
def test_pictures_on_white_are_cards_and_thumbnails_are_not(theme, system, dimmed, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(STYLE, theme, SVG, SVG), encoding="utf-8")
    with browser() as tab:
        tab.visit(page.as_uri(), dark=system)
        white, through = tab.value(LOOKS)
    assert white == ["rgb(255, 255, 255)", "brightness(0.88)" if dimmed else "none"]
    assert through == ["rgba(0, 0, 0, 0)", "none"]
