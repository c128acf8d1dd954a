"""Expressions and matrices as displays: lines that fit a page, sums broken, entries one by one where a matrix is too wide."""

import re
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.as_read import ReadersLatex, equated_to_zero
from symbolic_sgd.algebra.reading import is_negative, over_one_denominator, positive_first
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.printing.blocks import Block, Formula, aligned, display, paragraph
from symbolic_sgd.printing.fitting import Fitted, Write, fitted, with_common_parts
from symbolic_sgd.printing.layout import layout, symbol_latex
from symbolic_sgd.printing.width import is_high, visible_length

LEFT = 11
"""Characters that are kept free on a line that is broken: the left-hand side stands on it."""

INDENT = 2.2
"""Characters by which the further lines of a sum are indented."""

LINES = 12
"""Lines of a display; more of them are several displays, between which a page may end."""

LETTER = r"[A-Za-z]|\\[A-Za-z]+"
"""A symbol that may have indices as it is."""

LARGEST_MATRIX = 10
"""Columns of amsmath's matrices."""


def expression_latex(expression: Any) -> str:
    """LaTeX with names as `symbol_latex` writes them."""
    names = {s: symbol_latex(s.name) for s in expression.free_symbols}
    return ReadersLatex({"symbol_names": names, "ln_notation": True}).written(expression)


# --- lines ----------------------------------------------------------------------------------------


def room(left: str = "") -> float:
    """Characters that are free beside a left-hand side."""
    return layout().line - max(LEFT, visible_length(f"{left} = ")) - INDENT


def equation_lines(left: str, pieces: list[str]) -> list[str]:
    """left = the pieces of a broken sum, for `aligned`."""
    return [f"{left} &= {pieces[0]}", *(rf"&\quad {piece}" for piece in pieces[1:])]


def equation(left: str, expression: Any, write: Write = expression_latex) -> list[str]:
    """left = expression, a sum broken into lines."""
    return equation_lines(left, broken_sum(expression, write, room(left)))


def broken_sum(expression: Any, write: Write = expression_latex, widest: float | None = None) -> list[str]:
    """An expression as LaTeX, a sum broken after as many terms as fill a line.

    Args:
        expression: what is written.
        write: how a term is written.
        widest: characters of a line (default: those that a short left-hand side leaves).

    >>> u, v = sp.symbols("u v")
    >>> broken_sum(u - v)
    ['u - v']
    """
    widest = room() if widest is None else widest
    whole = write(expression)
    if not expression.is_Add or visible_length(whole) <= widest:
        return [whole]
    terms = positive_first(expression.as_ordered_terms())
    negative = list(map(is_negative, terms))
    texts = (write(-term if minus else term) for term, minus in zip(terms, negative, strict=True))
    return filled(signed(texts, negative), widest)


def signed(terms: Iterable[str], negative: Iterable[bool]) -> list[str]:
    """Terms of a sum with their signs, the first without its plus."""
    pairs = enumerate(zip(terms, negative, strict=True))
    return [f"- {term}" if minus else f"+ {term}" if k else term for k, (term, minus) in pairs]


def filled(pieces: Sequence[str], widest: float) -> list[str]:
    """Pieces one after the other, on as few lines as hold them."""
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if visible_length(f"{lines[-1]} {piece}") > widest:
            lines.append(piece)
        else:
            lines[-1] += f" {piece}"
    return lines


def height(lines: Iterable[str]) -> int:
    """Lines of text that these take: one with a fraction takes two, one with a matrix as many as its rows."""
    return sum((2 if is_high(line) else 1) * (1 + line.count(r"\\")) for line in lines)


def displays(equations: Sequence[list[str]], most: float = LINES) -> list[Formula]:
    """Equations, each of one or more lines, in as many displays as keep them to `most` lines of text."""
    blocks: list[list[str]] = []
    reached = most
    for lines in equations:
        if not blocks or reached + height(lines) > most:
            blocks.append([])
            reached = 0
        blocks[-1].extend(lines)
        reached += height(lines)
    return list(map(aligned, blocks))


def where(parts: Sequence[tuple[Expression, Expression]], write: Write = expression_latex) -> list[Block]:
    """What names stand for.

    Args:
        parts: (name, value).
        write: how names and terms are written.
    """
    lines = [equation(write(name), value, write) for name, value in parts]
    return [paragraph("where"), *displays(lines)] if lines else []


def equations(pairs: Sequence[tuple[str, Any]], write: Write = expression_latex) -> list[Block]:
    """left = expression for each pair, broken into lines, with names for what does not fit one."""
    left = max((left for left, _ in pairs), key=visible_length)
    found = fitted([expression for _, expression in pairs], room(left), write)
    lines = [equation(left, entry, write) for (left, _), entry in zip(pairs, found.entries, strict=True)]
    return [*displays(lines), *where(found.parts, write)]


def zeros(expressions: Iterable[Any], write: Write = expression_latex) -> list[Block]:
    """expression = 0 for each, with its constant on the right, and with names for what does not fit a line.

    >>> u, v = sp.symbols("u v")
    >>> zeros([u*v - 1, u - v])[0].lines
    ('&u v = 1', '&u = v')
    """
    sides = [equated_to_zero(e) for e in expressions]
    found = fitted([side for pair in sides for side in pair], room(), write)
    lines = [_equated(*pair, write) for pair in zip(found.entries[::2], found.entries[1::2], strict=True)]
    return [*displays(lines), *where(found.parts, write)]


def equated(expression: Any) -> str:
    """expression = 0 on one line."""
    return " = ".join(map(expression_latex, equated_to_zero(expression)))


def _equated(left: Any, right: Any, write: Write) -> list[str]:
    *others, last = broken_sum(left, write)
    first, *further = [*others, f"{last} = {write(right)}"]
    return [f"&{first}", *(rf"&\quad {piece}" for piece in further)]


# --- matrices -------------------------------------------------------------------------------------


def matrix_latex(matrix: SymbolicMatrix, write: Write = expression_latex) -> str:
    """A matrix over one denominator, or a single entry without brackets.

    Rows are apart where they hold fractions, and further apart where these hold fractions.
    """
    if matrix.shape == (1, 1):
        return write(matrix[0, 0])
    factor, matrix = over_one_denominator(matrix)
    before = {1: "", -1: "-"}.get(factor, f"{write(factor)} ")
    rows = [" & ".join(write(matrix[i, j]) for j in range(matrix.cols)) for i in range(matrix.rows)]
    gap = "[12pt]" if any(map(_nests, matrix.flat())) else "[6pt]" if any(map(is_high, rows)) else ""
    body = rf"\\{gap}".join(rows)
    if matrix.cols <= LARGEST_MATRIX:
        return rf"{before}\left[\begin{{matrix}}{body}\end{{matrix}}\right]"
    return rf"{before}\left[\begin{{array}}{{{'c' * matrix.cols}}}{body}\end{{array}}\right]"


def _over_a_name(matrix: SymbolicMatrix, widest: float, write: Write) -> Fitted | None:
    """With a name for the one denominator of a matrix, if it then fits a line."""
    factor, numerators = over_one_denominator(matrix)
    number, rest = factor.as_coeff_Mul()
    constant, below = sp.fraction(rest, exact=True)
    if not below.is_Add:
        return None
    name = sp.Dummy("t_1")
    entries = [number * constant * entry / name for entry in numerators.flat()]
    whole = matrix_latex(sp.ImmutableDenseMatrix(*matrix.shape, entries), write)
    return fitted(entries, widest, write, [(name, below)]) if visible_length(whole) <= widest else None


def _nests(entry: Expression) -> bool:
    """Whether a fraction in it holds another, or a root."""
    quotients = (sp.fraction(part) for part in sp.preorder_traversal(entry) if part.is_Mul or part.is_Pow)
    halves = (half for numerator, below in quotients if below != 1 for half in (numerator, below))
    return any(_is_high(part) for half in halves for part in sp.preorder_traversal(half))


def _is_high(part: Any) -> bool:
    """Whether it is printed as a fraction or as a root."""
    if part.is_Pow:
        return not (part.exp.is_integer and part.exp.is_positive)
    return part.is_Rational and not part.is_Integer


def matrix_displays(
    symbol: str, chain: Sequence[str], matrix: SymbolicMatrix, write: Write = expression_latex
) -> list[Block]:
    r"""symbol = … = the matrix: in one display if it fits a line, perhaps with names for parts of it, else entry by entry.

    Args:
        symbol: LaTeX of its letter.
        chain: LaTeX of what it is equal to.
        matrix: its entries.
        write: how they are written.
    """
    if matrix.is_zero_matrix:
        return [chained(symbol, [*chain, "0"])]
    whole = matrix_latex(matrix, write)
    if visible_length(whole) <= room(symbol):
        return [chained(symbol, [*chain, whole])]
    found = _over_a_name(matrix, room(symbol), write) or with_common_parts(matrix, room(symbol), write)
    whole = matrix_latex(sp.ImmutableDenseMatrix(*matrix.shape, found.entries), write)
    if visible_length(whole) <= room(symbol):
        return [chained(symbol, [*chain, whole]), *where(found.parts, write)]
    stated = [chained(symbol, chain)] if chain else []
    return [*stated, *entry_displays(symbol, matrix.shape, found, write)]


def chained(symbol: str, chain: Sequence[str]) -> Formula:
    """symbol = a = b = …, on one line or one below the other."""
    line = " = ".join([symbol, *chain])
    if visible_length(line) <= layout().line:
        return display(line)
    return aligned([f"{symbol} &= {chain[0]}", *(f"&= {link}" for link in chain[1:])])


def entry_displays(
    symbol: str, shape: tuple[int, int], entries: Fitted, write: Write = expression_latex
) -> list[Block]:
    """symbol_ij = … for what is not zero, of a symmetric matrix not below the diagonal, and the parts in which they are written."""
    rows, columns = shape
    square = sp.ImmutableDenseMatrix(rows, columns, entries.entries)
    symmetric = rows == columns > 1 and square == square.T
    shown = [
        (index, entry)
        for index, entry in zip(_indices(shape), entries.entries, strict=True)
        if entry != 0 and not (symmetric and index[0] > index[1])
    ]
    lines = [equation(entry_name(symbol, index, columns), entry, write) for index, entry in shown]
    words = _left_out(symmetric, 0 in entries.entries)
    return [*displays(lines), *([paragraph(words)] if words else []), *where(entries.parts, write)]


def _indices(shape: tuple[int, int]) -> Iterable[tuple[int, int]]:
    return product(range(1, shape[0] + 1), range(1, shape[1] + 1))


def entry_name(symbol: str, index: tuple[int, int], columns: int) -> str:
    r"""An entry of a matrix, or of a column.

    >>> entry_name("S", (1, 2), 3), entry_name(r"b_{\\perp}", (2, 1), 1), entry_name("S", (1, 11), 11)
    ('S_{12}', '(b_{\\\\perp})_{2}', 'S_{1,11}')
    """
    i, j = index
    indices = str(i) if columns == 1 else f"{i}{j}" if max(i, j) < 10 else f"{i},{j}"
    return f"{symbol if re.fullmatch(LETTER, symbol) else f'({symbol})'}_{{{indices}}}"


def _left_out(symmetric: bool, zeros: bool) -> str:
    if symmetric:
        return "and the entries below the diagonal by symmetry" + ("; all others are zero." if zeros else ".")
    return "All other entries are zero." if zeros else ""
