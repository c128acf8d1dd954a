"""Sphinx: the documentation of symbolic_sgd. Notebooks are shown as stored; the tests execute them."""

import symbolic_sgd

project = "symbolic_sgd"
copyright = "the symbolic_sgd developers"
author = "The symbolic_sgd developers"
version = release = "0.1.0"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"
exclude_patterns = ["_build", "notebooks/*.py"]
html_theme = "furo"
html_title = "symbolic_sgd"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_custom_sections = [("Source", "notes_style"), ("Warns", "warns_style")]
napoleon_use_ivar = True
suppress_warnings = ["mystnb.unknown_mime_type"]
doctest_test_doctest_blocks = ""  # pytest runs the doctests of the package

BACK_ENDS = [name for name in symbolic_sgd.__all__]
