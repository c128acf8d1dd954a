"""How wide pages are: nothing of a block of code or of a formula is beyond its margin, and no page scrolls sideways; and that they need
no network.

    python tests/helpers/page_widths.py docs/_build/html

opens every page of the built documentation in a real browser, as wide as a desk's screen and as a phone's, and names what is cut.
MathJax is the one that the pages carry with them: a formula that is not typeset has another width.
"""

import sys
from pathlib import Path

from chromium import Page, browser
from mathjax_pages import FOLDERS, SILENT

WIDTHS = (1280, 390)
"""Of the windows, in pixels of CSS: a desk and a phone."""

CUT = r"""
(async () => {
  await document.fonts.ready;
  if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
  const wide = element => element.scrollWidth > element.clientWidth;
  const blocks = [...document.querySelectorAll("pre")].filter(pre => pre.clientWidth > 0);
  const hasBar = element => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  const scrolls = element => element && (hasBar(element) || scrolls(element.parentElement));
  const margin = document.querySelector("article")?.getBoundingClientRect().right ?? Infinity;
  const formulas = [...document.querySelectorAll("article mjx-container")];
  const beyond = formulas.filter(formula => formula.getBoundingClientRect().right > margin + 2 && !scrolls(formula.parentElement));
  return [blocks.length, blocks.filter(wide).map(pre => pre.textContent.split("\n").reduce((a, b) => a.length < b.length ? b : a)),
          document.documentElement.scrollWidth - document.documentElement.clientWidth,
          performance.getEntriesByType("resource").map(entry => entry.name).filter(name => /^https?:/.test(name)),
          beyond.map(formula => formula.parentElement.parentElement.textContent.trim())];
})()
"""
"""How many blocks of code are seen, the longest line of each that is cut, by how much the page is too wide, what it fetches, and the
text round each formula that is cut."""


def widths(page: Page, path: Path) -> dict[int, tuple[int, list[str]]]:
    """How many blocks of code a page has at each width of the window, and a line for everything that sticks out."""
    found = {}
    page.open(path.resolve(), width=WIDTHS[0], height=900)
    for width in WIDTHS:
        page.resize(width, 900)
        count, cut, beyond, fetched, formulas = page.value(CUT)
        said = [f"a block of code is cut, {len(line)} characters wide: {line.strip()[:60]}" for line in cut]
        said += [f"a formula is cut: {text[:60]}" for text in formulas]
        said += [f"the page scrolls sideways by {beyond} pixels"] if beyond > 0 else []
        said += [f"the page fetches {address}" for address in fetched if FOLDERS[3].is_dir()]
        found[width] = count, [f"{path.name} at {width}: {what}" for what in said]
    return found


def main(folder: Path) -> int:
    """Every page of a folder at every width."""
    pages = sorted(folder.rglob("*.html"))
    with browser() as page:
        page.call("Page.addScriptToEvaluateOnNewDocument", source=SILENT)
        found = [widths(page, path) for path in pages]
    lines: list[str] = []
    for width in WIDTHS:
        faults = [fault for one in found for fault in one[width][1]]
        print(
            f"{width} pixels: {sum(one[width][0] for one in found)} blocks of code, {len(pages)} pages, {len(faults)} stick out"
        )
        lines += faults
    print("\n".join(lines), end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
