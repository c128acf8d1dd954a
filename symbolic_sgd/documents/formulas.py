"""Expressions and matrices as displayed formulas that fit a page."""

from collections.abc import Iterator
from math import inf
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.printing.blocks import Block, Formula, Inline, Math, aligned, display, paragraph
from symbolic_sgd.printing.displays import (
    broken_sum,
    entry_lines,
    equation_lines,
    expression_latex,
    matrix_displays,
    visible_length,
    where,
)
from symbolic_sgd.printing.layout import LINE, fresh_names

WIDEST = 100
"""Characters of a line of an aligned formula that still fits (fractions count both their parts)."""

SHORT = 20
"""Characters of a sum that is not worth a name."""

TRIVIAL = 5
"""Characters of a common subexpression that is not: 2w, u², 1/w."""

PAGE = 600
"""Operations of a matrix that is printed entry by entry."""

Named = tuple[Expression, Expression]
"""A name and what it stands for."""


def equations(*pairs: tuple[str, Any]) -> tuple[Block, ...]:
    """left = expression for each pair, broken into lines, with names for sums that do not fit one."""
    taken = set().union(*(expression.free_symbols for _, expression in pairs))
    names = fresh_names("t", taken)
    named: list[Named] = []
    short = [(left, _shortened(expression, names, named)) for left, expression in pairs]
    lines = [line for left, expression in short for line in equation_lines(left, broken_sum(expression))]
    return (aligned(lines), *where(named, most=inf))


def matrix_equation(symbol: str, definition: str, matrix: SymbolicMatrix | None) -> tuple[Block, ...]:
    """symbol = definition = the matrix; without the matrix where it is too large for a page."""
    stated = "" if definition == symbol else definition
    if matrix is None or not printed(matrix):
        large = "" if matrix is None else f" ({size(matrix)} operations)"
        formula = (display(f"{symbol} = {stated}"),) if stated else ()
        return (*formula, paragraph("The entries of ", Math(symbol), f" are too large for a page{large}."))
    blocks = matrix_displays(symbol, f"{stated} = " if stated else "", matrix)
    if len(blocks) == 1 and all(map(_fits, blocks)):
        return tuple(blocks)
    return tuple(_with_names(symbol, stated, matrix) or _in_parts(symbol, stated, matrix))


def program_matrix(symbol: str, program: Program, name: str) -> tuple[Block, ...]:
    """A matrix of a program, where it is small enough for a page."""
    return () if program.expanded_size(name) > PAGE else matrix_equation(symbol, "", program.expand(name))


def printed(matrix: SymbolicMatrix | None) -> bool:
    """Whether the entries of a matrix are small enough for a page."""
    return matrix is not None and size(matrix) <= PAGE


def size(matrix: SymbolicMatrix) -> int:
    """Operations in all entries."""
    return sum(int(sp.count_ops(entry)) for entry in matrix.flat())


def inline(expression: Any) -> Math:
    """An expression in a line of text."""
    return Math(expression_latex(expression), str(expression))


def in_text(expression: Any) -> list[Inline]:
    """A sum in a line of text, term by term, so that it can be broken."""
    parts: list[Inline] = []
    for term in expression.as_ordered_terms():
        negative = bool(parts) and term.could_extract_minus_sign()
        parts += [" − " if negative else " + "] if parts else []
        parts.append(inline(-term if negative else term))
    return parts


def listed(expressions: Any) -> list[Inline]:
    """Expressions, separated by commas."""
    parts: list[Inline] = []
    for expression in expressions:
        parts += [", ", inline(expression)] if parts else [inline(expression)]
    return parts


# --- what is wider than a page ------------------------------------------------------------------


def _fits(block: Block) -> bool:
    return not isinstance(block, Formula) or not block.aligned or max(map(visible_length, block.lines)) <= WIDEST


def _with_names(symbol: str, definition: str, matrix: SymbolicMatrix) -> list[Block] | None:
    """In one display, with names for common subexpressions, where it then fits a line."""
    names, common, entries = _common(matrix)
    shown = matrix_displays(symbol, f"{definition} = " if definition else "", sp.Matrix(*matrix.shape, entries))
    whole = len(shown) == 1 and isinstance(shown[0], Formula) and not shown[0].aligned
    return [*shown, *where(_all_shortened(common, names), most=inf)] if whole else None


def _in_parts(symbol: str, definition: str, matrix: SymbolicMatrix) -> list[Block]:
    """Entry by entry, with names for common subexpressions and for sums that do not fit a line."""
    names, common, entries = _common(matrix)
    named: list[Named] = []
    lines = entry_lines(symbol, matrix.shape, [_shortened(entry, names, named) for entry in entries])
    first = [rf"{symbol} &= {definition}"] if definition else []
    shown = (line for entry, written in zip(entries, lines, strict=True) if entry != 0 for line in written)
    zeros = [paragraph("All other entries are zero.")] if 0 in entries else []
    return [aligned([*first, *shown]), *zeros, *where([*named, *_all_shortened(common, names)], most=inf)]


def _common(matrix: SymbolicMatrix) -> tuple[Iterator[sp.Symbol], list[Named], list[Expression]]:
    """Further names, the common subexpressions that are worth one, and the entries in these."""
    found: Any
    entries: Any
    found, entries = sp.cse(list(matrix.flat()), symbols=iter(sp.Dummy, None), order="none")
    names = fresh_names("t", matrix.free_symbols)
    meant: dict[Expression, Expression] = {}
    kept: list[Named] = []
    for dummy, value in found:
        value = value.xreplace(meant)
        if visible_length(expression_latex(value)) <= TRIVIAL:
            meant[dummy] = value
        else:
            meant[dummy] = next(names)
            kept.append((meant[dummy], value))
    return names, kept, [entry.xreplace(meant) for entry in entries]


def _all_shortened(common: list[Named], names: Iterator[sp.Symbol]) -> list[Named]:
    named: list[Named] = []
    for name, value in common:
        named.append((name, _shortened(value, names, named)))
    return named


def _shortened(expression: Expression, names: Iterator[sp.Symbol], named: list[Named]) -> Expression:
    """The expression with a name for each sum inside a term that is longer than a line; the sums are added to `named`."""
    terms = []
    for term in sp.Add.make_args(expression):
        if visible_length(expression_latex(term)) > LINE:
            for inner in _outermost_sums(term):
                if visible_length(expression_latex(inner)) > SHORT:
                    name = next(names)
                    term = term.xreplace({inner: name})
                    named.append((name, _shortened(inner, names, named)))
        terms.append(term)
    return sp.Add(*terms)


def _outermost_sums(term: Expression) -> list[Expression]:
    found: list[Expression] = []
    walk = sp.preorder_traversal(term)
    for part in walk:
        if isinstance(part, sp.Add):
            walk.skip()
            found += [part] if part not in found else []
    return found
