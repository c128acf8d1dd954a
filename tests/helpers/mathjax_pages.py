"""What MathJax says of formulas: pages and texts are typeset in a real browser by MathJax 3 and 4, without network.

    python tests/helpers/mathjax_pages.py docs/_build/html

opens every page of the built documentation with both, and names page and formula of every error.
"""

import html
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import pytest
from chromium import CHROMIUM, Page, Served, browser

INSTALL = "npm install --no-save mathjax3@npm:mathjax@3 mathjax4@npm:mathjax@4"
MODULES = Path(os.environ.get("MATHJAX_MODULES", Path(__file__).parents[2] / "node_modules"))
FOLDERS = {3: MODULES / "mathjax3" / "es5", 4: MODULES / "mathjax4"}
"""Where npm puts the two versions."""

MISSING = [
    what
    for what, there in (
        ("chromium (apt-get install chromium)", CHROMIUM is not None),
        (f"MathJax ({INSTALL})", all(folder.is_dir() for folder in FOLDERS.values())),
    )
    if not there
]

needs_mathjax = pytest.mark.skipif(
    bool(MISSING) and "REQUIRE_MATHJAX" not in os.environ, reason=f"not installed: {', '.join(MISSING)}"
)

_LOADS = re.compile(r"<script[^>]*mathjax", re.IGNORECASE)
_PACKAGE = re.compile(r"/(mathjax|@mathjax/[\w-]+)(?:@[\w.-]+)?/(?:es5/)?(.*)")

JUDGE = r"""
(async () => {
  const slow = new Promise((_, fail) => setTimeout(() => fail(new Error("MathJax is not done after 60 s")), 60000));
  const done = promise => Promise.race([promise, slow]);
  if (!window.MathJax?.startup?.promise) throw new Error("MathJax was not loaded");
  await done(MathJax.startup.promise);
  const {document: formulas, typeset} = {...MathJax.startup, typeset: MathJax.config.startup.typeset};
  if (!typeset) await done(MathJax._.mathjax.mathjax.handleRetriesFor(() => formulas.findMath().compile()));
  const faults = [];
  const note = (place, formula, message) =>
    faults.push([place.closest("[data-source]")?.dataset.source ?? "", formula.trim(), message]);
  const left = new Map();
  let count = 0;
  for (const item of formulas.math) {
    count += 1;
    const place = item.typesetRoot ?? item.start.node.parentElement;
    item.root.walkTree(node => {
      const text = node.isKind("mtext") ? node.childNodes.map(child => child.text ?? "").join("") : "";
      if (node.isKind("merror")) note(place, item.math, node.attributes.get("data-mjx-error") ?? "an error");
      else if (/^\\[A-Za-z]/.test(text)) note(place, item.math, `${text} is not defined`);
    });
    if (!typeset)
      left.set(place, (left.get(place) ?? place.textContent).replace(item.start.delim + item.math + item.end.delim, () => ""));
  }
  for (const drawn of faults.length ? [] : document.querySelectorAll("mjx-merror"))
    note(drawn, drawn.textContent, "an error is drawn");
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode())
    if (!node.parentElement.closest("code, pre, script, style, textarea, mjx-container")) {
      const text = left.get(node.parentElement) ?? node.data;
      if (/\\\(|\\\[|\\begin\{|\$\$|\$.*\$/s.test(text)) note(node.parentElement, text, "is no formula to MathJax");
    }
  return [MathJax.version, count, faults];
})()
"""
"""Every error of the formulas of an open page: errors, commands without meaning, and what has been left as text."""


SILENT = """localStorage.setItem("MathJax-Menu-Settings", '{"speech":false,"braille":false,"enrich":false}')"""
"""MathJax leaves out what is spoken: it takes longer than all that is drawn."""


@dataclass(frozen=True)
class Judged:
    """What MathJax says of a page.

    Args:
        version: of MathJax.
        count: of formulas that were typeset.
        faults: a line for each error, with its place, the formula and what is said.
    """

    version: str
    count: int
    faults: tuple[str, ...]


@contextmanager
def typesetter(version: int) -> Iterator[Page]:
    """A browser in which every address of MathJax leads to the installed files of a version."""
    assert not MISSING, f"not installed: {', '.join(MISSING)}"
    with browser() as page:
        page.serve(installed(version))
        page.call("Page.addScriptToEvaluateOnNewDocument", source=SILENT)
        yield page


def installed(version: int) -> Served:
    """What stands at the addresses of MathJax: the files of a version."""

    def content(url: str) -> bytes | None:
        named = _PACKAGE.search(urlparse(url).path)
        if named is None:
            return None
        path = (FOLDERS[version] if named[1] == "mathjax" else MODULES / named[1]) / named[2]
        return path.read_bytes() if path.is_file() else None

    return content


def judged(page: Page, path: Path) -> Judged:
    """A page, which loads MathJax from wherever it does."""
    page.open(path.resolve())
    version, count, faults = page.value(JUDGE)
    places = ((f"{path.name}: {source}" if source else path.name, formula, said) for source, formula, said in faults)
    return Judged(version, count, tuple(f"{place}: {said}: {formula}" for place, formula, said in places))


def page_of(texts: Mapping[str, str]) -> str:
    """A page with texts that hold formulas between dollars, as notebooks and Markdown have them. They are read, not drawn.

    Args:
        texts: where each is from → the text.
    """
    sections = (f'<p data-source="{html.escape(name)}">{html.escape(text)}</p>' for name, text in texts.items())
    return _PAGE.replace("TEXTS", "\n".join(sections))


_PAGE = r"""<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Formulas</title>
<script>MathJax = {startup: {typeset: false}, tex: {
  inlineMath: [["$`", "`$"], ["$", "$"], ["\\(", "\\)"]], displayMath: [["$$", "$$"], ["\\[", "\\]"]],
  processEscapes: true, processEnvironments: true, maxBuffer: 1 << 20}};</script>
<script src="http://localhost/mathjax/tex-mml-chtml.js"></script>
</head><body>
TEXTS
</body></html>
"""


def main(folder: Path) -> int:
    """Both versions on every page of a folder: the errors, and how many formulas were looked at."""
    pages = sorted(folder.rglob("*.html"))
    lines: list[str] = []
    for version in FOLDERS:
        with typesetter(version) as page:
            of_math = [path for path in pages if _LOADS.search(path.read_text(encoding="utf-8"))]
            found = [judged(page, path) for path in of_math]
        faults = [fault for one in found for fault in one.faults]
        count = sum(one.count for one in found)
        print(f"MathJax {found[0].version}: {count} formulas on {len(found)} pages, {len(faults)} errors")
        lines += [f"MathJax {version}: {fault}" for fault in faults]
    print("\n".join(lines), end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
