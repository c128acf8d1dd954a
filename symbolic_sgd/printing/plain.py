"""Expressions and lines as characters, for a terminal: u₁² + 2u₁v₁ - 1."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import sympy as sp
from sympy.printing.precedence import PRECEDENCE

from symbolic_sgd.algebra.as_read import ReadersText, equated_to_zero
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.algebra.vector_expressions import SUPERSCRIPTS
from symbolic_sgd.printing.signs import LETTERS, UPRIGHT

WIDTH = 80
"""Characters of a line of a terminal."""

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

RELATIONS = {">=": "≥", "<=": "≤", "!=": "≠", "==": "="}

_NAME = re.compile(r"([A-Za-z]+?)_?([0-9]*)")
_CLOSE = re.compile(r"(?:[0-9]+|[^\W0-9_]|\(.*\))[₀-₉]*[⁰¹²³⁴-⁹]*")
"""Factors that need no space between them: numbers, letters with their scripts, and brackets."""


def plain(expression: Any) -> str:
    """An expression as it is written by hand, for readers only: products without a sign, powers and indices raised and lowered.

    >>> u1, v, theta = sp.symbols("u1 v theta")
    >>> plain(2*u1**2*v - v/(3*theta) + sp.log(u1*v)), plain(sp.sqrt(3)*v/2 >= 1), plain(v**theta)
    ('2u₁²v + ln(u₁v) - v/(3θ)', '√3 v/2 ≥ 1', 'v^θ')
    """
    return _Plain(_names(expression.free_symbols)).written(expression)


def plainly_zero(expression: Any) -> str:
    """expression = 0, with its constant on the right.

    >>> u, v = sp.symbols("u v")
    >>> plainly_zero(u*v - 1)
    'uv = 1'
    """
    return " = ".join(map(plain, equated_to_zero(expression)))


def _inverted(factor: Any) -> bool:
    """Whether it stands below the line."""
    exponent = factor.as_base_exp()[1]
    return exponent.is_Rational and exponent < 0 and not isinstance(factor, sp.exp)


def _names(symbols: Iterable[sp.Symbol]) -> dict[sp.Symbol, str]:
    """Letters with lowered digits; the names as they are, where two symbols would be written alike."""
    written = {s: _symbol(s.name) for s in symbols}
    return written if len(set(written.values())) == len(written) else {s: s.name for s in written}


def _symbol(name: str) -> str:
    found = _NAME.fullmatch(name)
    if found is None:
        return name
    letter = (LETTERS | UPRIGHT).get(found[1], found[1])
    return letter + found[2].translate(SUBSCRIPTS) if len(letter) == 1 else name


class _Plain(ReadersText):
    """A reader's order of terms, SymPy's of factors, in other characters."""

    def __init__(self, names: dict[sp.Symbol, str]):
        super().__init__()
        self._names = names

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return self._names.get(expr, expr.name)

    def _print_Mul(self, expr: Any) -> str:
        number, rest = expr.as_coeff_Mul()
        if number.could_extract_minus_sign():
            positive = rest if number == -1 else sp.Mul(-number, rest, evaluate=False)
            return f"-({self._print(positive)})" if positive.is_Add else f"-{self._print(positive)}"
        above: list[Expression] = [sp.Integer(number.p)] if number.p != 1 else []
        below: list[Expression] = [sp.Integer(number.q)] if number.q != 1 else []
        for factor in sp.Mul.make_args(rest):
            base, exponent = factor.as_base_exp()
            (below if _inverted(factor) else above).append(base**-exponent if _inverted(factor) else factor)
        over, under = self._product(above), self._product(below)
        return f"{over}/{under if len(below) == 1 else f'({under})'}" if below else over

    def _product(self, factors: Sequence[Any]) -> str:
        pieces = [
            self.parenthesize(f, PRECEDENCE["Mul"]) for f in sp.Mul(*factors, evaluate=False).as_ordered_factors()
        ]
        text = pieces[0]
        for before, piece in pairwise(pieces):
            text += (
                piece
                if _CLOSE.fullmatch(before) and _CLOSE.fullmatch(piece) and not piece[0].isdigit()
                else f" {piece}"
            )
        return text

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        base, exponent = expr.as_base_exp()
        if _inverted(expr):
            return f"1/{self.parenthesize(base**-exponent, PRECEDENCE['Mul'])}"
        if exponent == sp.Rational(1, 2):
            return f"√{self._print(base)}" if base.is_Symbol or base.is_Integer else f"√({self._print(base)})"
        raised = self.parenthesize(base, PRECEDENCE["Pow"])
        if exponent.is_Integer:
            return raised + str(exponent).translate(SUPERSCRIPTS)
        return f"{raised}^{self.parenthesize(exponent, PRECEDENCE['Pow'])}"

    def _print_Pi(self, expr: Any) -> Any:
        return "π"

    def _print_log(self, expr: Any) -> str:
        return f"ln({self._print(expr.args[0])})"

    def _print_Abs(self, expr: Any) -> str:
        return f"|{self._print(expr.args[0])}|"

    def _print_Relational(self, expr: Any) -> str:
        return f"{self._print(expr.lhs)} {RELATIONS.get(expr.rel_op, expr.rel_op)} {self._print(expr.rhs)}"


# --- lines ----------------------------------------------------------------------------------------


def wrapped(text: str, *, indent: str = "") -> list[str]:
    """A line as lines of a terminal, broken at spaces, before a sign rather than after it; further ones are indented.

    >>> wrapped("  f = " + 10 * "long + " + 10 * "longer + " + "w² - 1", indent="    ")
    ['  f = long + long + long + long + long + long + long + long + long + long',
     '    + longer + longer + longer + longer + longer + longer + longer + longer',
     '    + longer + longer + w² - 1']
    """
    bare = text.lstrip(" ")
    return filled(_pieces(bare), text[: len(text) - len(bare)], indent)


def filled(pieces: Iterable[str], first: str, indent: str) -> list[str]:
    """Pieces, which stay whole, on lines of a terminal.

    Args:
        pieces: what stands on the lines, one space apart.
        first: what the first line begins with.
        indent: what further lines begin with.
    """
    lines, line, empty = [], first, True
    for piece in pieces:
        if not empty and len(line) + 1 + len(piece) > WIDTH:
            lines.append(line)
            line, empty = indent, True
        line, empty = f"{line}{piece}" if empty else f"{line} {piece}", False
    return [*lines, line]


def _pieces(text: str) -> Iterator[str]:
    """Words, signs together with the word that follows."""
    sign = ""
    for word in text.split(" "):
        if word in ("+", "-"):
            sign = f"{word} "
        else:
            yield sign + word
            sign = ""
