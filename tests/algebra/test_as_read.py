"""SymPy's printers, and those of users, in a reader's order; functions that vanish as equations."""

import pytest
import sympy as sp
from sympy.printing.latex import LatexPrinter

from symbolic_sgd.algebra.as_read import ReadersLatex, ReadersText, equated_to_zero, reading

u, v, w, x, y = sp.symbols("u v w x y")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (sp.sqrt(1 - x**2 - y**2), "sqrt(1 - x**2 - y**2)"),
        (-2 / (x + sp.sqrt(3) * y - 4), "-2/(x + sqrt(3)*y - 4)"),
        (2 / (4 - x - sp.sqrt(3) * y), "2/(4 - x - sqrt(3)*y)"),
        (1 - u * v**2, "1 - u*v**2"),
        (u * (v**2 - u**2) / 2, "u*(v**2 - u**2)/2"),
        (x - u * (v / 2 + w / 2), "x - u*(v + w)/2"),
        (-u - v, "-u - v"),
    ],
    ids=str,
)
def test_a_positive_term_leads(expression, text):
    written = ReadersText().written(expression)
    assert written == text
    assert sp.expand(sp.sympify(written) - expression) == 0


def test_a_users_printer_keeps_its_ways():
    class Own(LatexPrinter):
        def _print_Symbol(self, expr, style="plain"):
            return rf"\mathsf{{{expr.name}}}"

    own = Own({"ln_notation": True})
    assert reading(own).written(sp.log(1 - u**2)) == r"\ln{\left(1 - \mathsf{u}^{2} \right)}"
    assert own.doprint(1 - u**2) == r"1 - \mathsf{u}^{2}" and own.doprint(v - u) == r"- \mathsf{u} + \mathsf{v}"
    assert reading(LatexPrinter({"order": "lex"})).written(v - u) == "- u + v"


def test_entries_of_matrices_have_their_numbers_before_brackets():
    assert ReadersLatex().written(sp.Matrix([[u / 2 + v / 2]])).count(r"\frac{u + v}{2}") == 1


@pytest.mark.parametrize(
    ("vanishing", "sides"),
    [
        (u * v - 1, (u * v, 1)),
        (2 - u * v, (u * v, 2)),
        (x**2 + y**2 - 1, (x**2 + y**2, 1)),
        (u - 2 * v, (u, 2 * v)),
        (2 * v - u, (2 * v, u)),
        (u + v, (u + v, 0)),
        (u - v - w, (u - v - w, 0)),
        (u * v, (u * v, 0)),
        (-u, (u, 0)),
        (u + 3, (u, -3)),
        (u - v - sp.log(2), (u - v, sp.log(2))),
    ],
    ids=str,
)
def test_a_function_that_vanishes_is_an_equation(vanishing, sides):
    assert equated_to_zero(vanishing) == sides
    assert sp.expand(sides[0] - sides[1] - vanishing) == 0 or sp.expand(sides[0] - sides[1] + vanishing) == 0
