"""Sphinx: the documentation of symbolic_sgd. Notebooks and kept derivations are shown as stored; the tests make them anew."""

import os
import re
import shutil
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path

from sphinx.ext.napoleon.docstring import GoogleDocstring

HERE = Path(__file__).parent
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
(HERE / "notebooks").mkdir()
for notebook in (HERE.parent / "notebooks").glob("*.ipynb"):  # beside the pages, to which they lead
    text = notebook.read_text(encoding="utf-8").replace("](../docs/", "](../")
    (HERE / "notebooks" / notebook.name).write_text(text, encoding="utf-8")

shutil.rmtree(HERE / "derivations", ignore_errors=True)
(HERE / "derivations").mkdir()
for kept in (HERE.parent / "derivations").glob("*.md"):  # formulas are $`…`$ for GitHub, $…$ here
    page = re.sub(r"\$`(.*?)`\$", r"$\1$", kept.read_text(encoding="utf-8"))
    page = f"---\norphan: true\n---\n\n{page}"  # the gallery leads to it
    (HERE / "derivations" / kept.name).write_text(page, encoding="utf-8")
for picture in (HERE.parent / "derivations").glob("*.svg"):
    shutil.copy(picture, HERE / "derivations")

project = "symbolic_sgd"
copyright = "the symbolic_sgd developers"
author = "The symbolic_sgd developers"
version = release = version_of("symbolic-sgd")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
exclude_patterns = ["_build", "_offline"]
smartquotes_action = "D"  # quotes stay as messages have them, 'u*v'; dashes are Sphinx's own
html_theme = "furo"
html_title = "symbolic_sgd"
served = HERE.parent / "symbolic_sgd" / "serve" / "static"  # cards are the same there
html_static_path = ["_static", str(served / "cards.css"), str(served / "gallery.js")]
html_css_files = ["cards.css", "pages.css"]
html_js_files = ["gallery.js"]
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True}
autodoc_mock_imports = [name for name in ("llvmlite", "jax", "torch", "diffrax") if find_spec(name) is None]  # of extras
napoleon_custom_sections = [("Source", "notes_style"), ("Warns", "warns_style")]
napoleon_use_ivar = True

_parsed = GoogleDocstring._parse


def _as_of_a_method(docstring: GoogleDocstring) -> None:
    """What stands before a colon in the first sentence of a property is no type, and its sections are sections."""
    docstring._what = "method" if docstring._what in {"property", "attribute", "data"} else docstring._what
    _parsed(docstring)


GoogleDocstring._parse = _as_of_a_method

shutil.rmtree(HERE / "_offline", ignore_errors=True)
modules = HERE.parent / os.environ.get("MATHJAX_MODULES", "node_modules") / "mathjax3" / "es5"
if modules.is_dir():  # npm's MathJax goes with the pages, whose formulas need no network then
    own = HERE / "_offline" / "mathjax"
    own.mkdir(parents=True)
    shutil.copy(modules / "tex-mml-chtml.js", own)
    shutil.copytree(modules / "output" / "chtml" / "fonts", own / "output" / "chtml" / "fonts")
    html_static_path.append("_offline")
    mathjax_path = "mathjax/tex-mml-chtml.js"

suppress_warnings = ["mystnb.unknown_mime_type"]
