"""What sticks out of a page is found, and the stylesheet of the documentation lets nothing of a block of code do so."""

import os
from pathlib import Path

import pytest
from chromium import CHROMIUM
from page_widths import main

STYLE = (Path(__file__).parents[2] / "docs" / "_static" / "pages.css").read_text(encoding="utf-8")
LONG = f"<article><pre>f({', '.join(['argument'] * 40)})\nshort</pre></article>"
PAGE = (
    '<!DOCTYPE html><meta name="viewport" content="width=device-width"><style>pre {{ overflow-x: auto }} {}</style>{}'
)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "REQUIRE_CHROMIUM" not in os.environ, reason="chromium is not installed: no page is opened"
)


def judged(folder, style, body, capsys):
    (folder / "page.html").write_text(PAGE.format(style, body), encoding="utf-8")
    done = main(folder)
    return done, capsys.readouterr().out.splitlines()


def test_a_long_line_is_cut_without_the_stylesheet_and_not_with_it(tmp_path, capsys):
    done, lines = judged(tmp_path, "", LONG, capsys)
    assert done == 1
    assert lines[0] == "1280 pixels: 1 blocks of code, 1 pages, 1 stick out"
    assert lines[2].startswith("page.html at 1280: a block of code is cut, 401 characters wide: f(argument, ")
    assert lines[3].startswith("page.html at 390: a block of code is cut")
    assert judged(tmp_path, STYLE, LONG, capsys)[0] == 0


def test_a_page_that_scrolls_sideways_is_found_where_it_does(tmp_path, capsys):
    done, lines = judged(tmp_path, "", '<div style="width: 600px">wide</div>', capsys)
    assert done == 1 and len(lines) == 3
    assert lines[2].startswith("page.html at 390: the page scrolls sideways by 2")


def test_a_formula_that_is_cut_is_found_unless_it_scrolls(tmp_path, capsys):
    wide = '<mjx-container style="display: inline-block; width: 600px">x</mjx-container>'
    body = f'<article style="overflow: hidden"><p>Text <span>{wide}</span></p></article>'
    done, lines = judged(tmp_path, "", body, capsys)
    assert done == 1 and lines[2:] == ["page.html at 390: a formula is cut: Text x"]
    assert judged(tmp_path, STYLE, body, capsys)[0] == 0
