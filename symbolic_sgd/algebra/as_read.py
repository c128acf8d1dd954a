"""SymPy's printers in a reader's order: a positive term leads every sum, and a common number stands before its bracket."""

from copy import copy
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.printer import Printer
from sympy.printing.str import StrPrinter

from symbolic_sgd.algebra.reading import is_negative, positive_first, with_common_factors
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix


class ReadingOrder(Printer):
    """Sums of a printer of SymPy are led by a positive term, unless its user chose an order; numbers stand before brackets in each term."""

    def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:
        terms = [with_common_factors(term) if term.is_Mul else term for term in super()._as_ordered_terms(expr, order)]
        return terms if order or self.order else positive_first(terms)

    def written(self, expression: Expression | SymbolicMatrix) -> str:
        """An expression, or a matrix entry by entry, with common numbers before brackets, and no `mode` round it."""
        return self._print(with_common_factors(expression))


class ReadersLatex(ReadingOrder, LatexPrinter):
    r"""LaTeX.

    >>> x, y = sp.symbols("x y")
    >>> ReadersLatex().written(sp.sqrt(1 - x**2 - y**2))
    '\\sqrt{1 - x^{2} - y^{2}}'
    >>> ReadersLatex().written(sp.atan(x))
    '\\arctan{\\left(x \\right)}'
    """

    def __init__(self, settings: dict[str, Any] | None = None):
        super().__init__({"inv_trig_style": "full", **(settings or {})})


class ReadersText(ReadingOrder, StrPrinter):
    """What `str` prints.

    >>> u, v = sp.symbols("u v")
    >>> str(u*(v**2 - u**2)), ReadersText().written(u*(v**2 - u**2))
    ('u*(-u**2 + v**2)', 'u*(v**2 - u**2)')
    """


def reading(printer: Any) -> Any:
    """A printer like this one, which may be a user's own, in a reader's order."""
    found = copy(printer)
    found.__class__ = type(type(printer).__name__, (ReadingOrder, type(printer)), {})
    return found


def equated_to_zero(expression: Expression) -> tuple[Expression, Expression]:
    """The two sides of expression = 0 as a person states them: a constant, or what is subtracted from a single term, stands on the right.

    >>> u, v = sp.symbols("u v")
    >>> equated_to_zero(u*v - 1), equated_to_zero(u - 2*v), equated_to_zero(1 - u), equated_to_zero(u)
    ((u*v, 1), (u, 2*v), (u, 1), (u, 0))
    """
    constant, rest = expression.as_independent(*expression.free_symbols, as_Add=True)
    terms = sp.Add.make_args(rest)
    if all(map(is_negative, terms)):
        constant, rest, terms = -constant, -rest, [-term for term in terms]
    first, *others = positive_first(sp.Add(*terms).as_ordered_terms())
    if not constant and len(others) == 1 and is_negative(others[0]):
        return first, -others[0]
    return rest, -constant
