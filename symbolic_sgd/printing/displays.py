"""Expressions and matrices as displays: lines that fit a page, sums broken, entries one by one where a matrix is too wide."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.printing.blocks import Block, Formula, aligned, display, paragraph
from symbolic_sgd.printing.layout import fresh_names, layout, symbol_latex
from symbolic_sgd.printing.named_parts import NamedParts

LEFT = 11
"""Characters that are kept free on a line that is broken: the left-hand side stands on it."""

LINES = 12
"""Lines of a display; more of them are several displays, between which a page may end."""

Write = Callable[[Any], str]
"""An expression in LaTeX."""


def expression_latex(expression: Any) -> str:
    """LaTeX with names as `symbol_latex` writes them."""
    names = {s: symbol_latex(s.name) for s in expression.free_symbols}
    return sp.latex(expression, symbol_names=names)


def equation_lines(left: str, pieces: list[str]) -> list[str]:
    """left = the pieces of a broken sum, for `aligned`."""
    return [f"{left} &= {pieces[0]}", *(rf"&\quad {piece}" for piece in pieces[1:])]


def broken_sum(expression: Any, write: Write = expression_latex) -> list[str]:
    """An expression as LaTeX, a sum broken after as many terms as fill a line.

    Args:
        expression: what is written.
        write: how a term is written.

    >>> u, v = sp.symbols("u v")
    >>> broken_sum(u - v)
    ['u - v']
    """
    lines, length, widest = [""], 0, layout().line - LEFT
    terms: Any = expression.as_ordered_terms()
    for term in terms:
        negative = term.could_extract_minus_sign()
        text = write(-term if negative else term)
        if lines[-1] and length + visible_length(text) > widest:
            lines.append("")
            length = 0
        sign = "-" if negative else "+"
        lines[-1] += f" {sign} {text}" if lines[-1] else (f"{sign} {text}" if len(lines) > 1 or negative else text)
        length += visible_length(text) + 2
    return lines


def visible_length(latex: str) -> int:
    """About how many characters a formula takes on the page: commands count as one, braces as none."""
    count, i = 0, 0
    while i < len(latex):
        if latex[i] == "\\":
            i += 1
            while i < len(latex) and latex[i].isalpha():
                i += 1
            count += 1
            continue
        count += latex[i] not in "{}_^ "
        i += 1
    return count


def displays(equations: Sequence[list[str]], most: float = LINES) -> list[Formula]:
    """Equations, each of one or more lines, in as many displays as keep them to `most` lines, fractions counted twice."""
    blocks: list[list[str]] = []
    filled = most
    for lines in equations:
        height = sum(2 if r"\frac" in line else 1 for line in lines)
        if not blocks or filled + height > most:
            blocks.append([])
            filled = 0
        blocks[-1].extend(lines)
        filled += height
    return list(map(aligned, blocks))


def where(
    parts: Sequence[tuple[Expression, Expression]], most: float = LINES, write: Write = expression_latex
) -> list[Block]:
    """What names stand for.

    Args:
        parts: (name, value).
        most: lines of a display.
        write: how names and terms are written.
    """
    lines = [equation_lines(write(name), broken_sum(value, write)) for name, value in parts]
    return [paragraph("where"), *displays(lines, most)] if lines else []


def entry_lines(
    symbol: str, shape: tuple[int, int], entries: Sequence[Expression], write: Write = expression_latex
) -> list[list[str]]:
    """(symbol)_ij = …, the lines of each entry."""
    places = product(range(1, shape[0] + 1), range(1, shape[1] + 1))
    return [
        equation_lines(rf"\bigl({symbol}\bigr)_{{{i if shape[1] == 1 else f'{i},{j}'}}}", broken_sum(entry, write))
        for (i, j), entry in zip(places, entries, strict=True)
    ]


def entry_displays(symbol: str, named: NamedParts, write: Write = expression_latex) -> list[Block]:
    """(symbol)_ij = …, and the parts in terms of which the entries are written."""
    lines = entry_lines(symbol, named.shape, named.entries, write)
    return [*displays(lines), *where(named.parts, write=write)]


def matrix_displays(symbol: str, definition: str, matrix: Any) -> list[Block]:
    """A matrix in one display, or entry by entry where it is too wide for a page."""
    if matrix.is_zero_matrix:
        return [display(f"{symbol} = {definition}0")]
    widest = sum(
        max(visible_length(expression_latex(matrix[i, j])) for i in range(matrix.rows)) + 2 for j in range(matrix.cols)
    )
    if widest + visible_length(symbol + definition) <= layout().line:
        return [display(f"{symbol} = {definition}{expression_latex(matrix)}")]
    found: Any = sp.cse(list(matrix.flat()), symbols=fresh_names("t", matrix.free_symbols), order="none")
    parts, entries = found
    first = [[rf"{symbol} &= {definition.removesuffix('= ')}"]] if definition else []
    return [*displays([*first, *entry_lines(symbol, matrix.shape, entries)]), *where(parts)]
