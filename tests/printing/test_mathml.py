"""The reader of LaTeX formulas: the same formula by a second road (SymPy's own MathML), and what it refuses."""

import re
import xml.etree.ElementTree as ET

import pytest
import sympy as sp

from symbolic_sgd.errors import UnsupportedExpression
from symbolic_sgd.printing.displays import expression_latex
from symbolic_sgd.printing.mathml import mathml
from symbolic_sgd.printing.signs import GREEK
from symbolic_sgd.theorem.terms import TERMS

x, y, u1, theta, width = sp.symbols("x y u1 theta width")
ARITY = {"mfrac": 2, "msup": 2, "msub": 2, "munder": 2, "mover": 2, "mroot": 2, "msubsup": 3, "munderover": 3}

EXPRESSIONS = (
    x**2 + y / 3 - 1,
    -x / (y + 1) ** 2,
    sp.sqrt(x) + sp.root(y, 5) + x ** sp.Rational(2, 3),
    sp.log(x) ** 2 * sp.atan(y) + sp.erf(x) - sp.sign(y),
    sp.exp(-(x**2)) + 2 * 3**x,
    sp.Abs(x - sp.Abs(y)),
    sp.Matrix([[x, 1 / y], [u1**2, theta]]),
    sp.Integral(sp.exp(x), (x, 0, y)),
    sp.Piecewise((x, x > 0), (0, True)),
    sp.Ne(x, 0),
    sp.Determinant(sp.Matrix([[x, 1], [y, 2]])),
    sp.pi * theta + width,
    sp.tanh(x) / sp.cosh(y) - sp.sin(x) ** 2,
    sp.Integer(12) ** x,
)


def tree(tex: str) -> ET.Element:
    return ET.fromstring(mathml((tex,), aligned=False))


def shape_is_right(element: ET.Element) -> bool:
    return all(len(e) == ARITY[e.tag] for e in element.iter() if e.tag in ARITY)


def leaves(element: ET.Element) -> list[str]:
    """Numbers and names, in order."""
    return [t for e in element.iter() if e.tag in ("mn", "mi") and (t := (e.text or "").strip())]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_what_sympy_prints_is_read(expression):
    found = tree(expression_latex(expression))
    assert shape_is_right(found)
    assert found.get("alttext") == expression_latex(expression)


@pytest.mark.parametrize("expression", [EXPRESSIONS[k] for k in (0, 1, 4, 6, 12)], ids=str)
def test_numbers_and_names_are_those_of_sympys_own_mathml(expression):
    printed = sp.mathml(expression, printer="presentation").replace("&ExponentialE;", "e")
    theirs = ET.fromstring(f"<r>{re.sub(r'&[A-Za-z]+;', '', printed)}</r>")
    ours = leaves(tree(sp.latex(expression)))
    assert sorted(ours) == sorted(leaves(theirs))


def test_scripts_fractions_and_roots():
    assert ET.tostring(tree("x_{1}^{2}")[0], encoding="unicode") == (
        "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>"
    )
    assert ET.tostring(tree(r"\frac{a}{b}")[0], encoding="unicode") == "<mfrac><mi>a</mi><mi>b</mi></mfrac>"
    assert ET.tostring(tree(r"\sqrt[3]{x}")[0], encoding="unicode") == "<mroot><mi>x</mi><mn>3</mn></mroot>"
    assert ET.tostring(tree(r"\tfrac12")[0], encoding="unicode") == "<mfrac><mn>1</mn><mn>2</mn></mfrac>"


def test_a_leading_minus_is_a_prefix_and_a_later_one_is_not():
    signs = [e.get("form") for e in tree("- a - b = - c").iter("mo") if e.text == "−"]
    assert signs == ["prefix", None, "prefix"]


def test_lines_are_aligned_at_their_ampersands():
    table = ET.fromstring(mathml(("a &= b", r"&\quad + c"), aligned=True))
    assert [len(row) for row in table.iter("mtr")] == [2, 2]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_the_notation_of_every_term_is_read(term):
    assert shape_is_right(tree(f"{term.symbol} = {term.definition}"))


@pytest.mark.parametrize("name", sorted(GREEK))
def test_every_greek_letter_is_a_letter(name):
    (letter,) = leaves(tree(rf"\{name}"))
    assert len(letter) == 1 and not letter.isascii()


@pytest.mark.parametrize(
    "tex", [r"\input{x}", r"\write18", "a & b", "a }", r"\frac{a}", "a é", r"\left( a", r"\begin{matrix} a"], ids=str
)
def test_anything_else_is_refused(tex):
    with pytest.raises((UnsupportedExpression,)):
        mathml((tex,), aligned=False)
