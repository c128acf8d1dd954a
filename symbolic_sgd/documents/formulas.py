"""Expressions and matrices as displayed formulas that fit a page."""

from collections.abc import Sequence
from typing import Any, TypeGuard

from symbolic_sgd.algebra.as_read import ReadersText
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.reading import is_negative, positive_first, with_common_factors
from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.printing.blocks import Block, Inline, Math, paragraph
from symbolic_sgd.printing.displays import chained, expression_latex, matrix_displays
from symbolic_sgd.printing.theorem import size

PAGE = 200
"""Operations of a matrix whose entries are printed."""


IN_VECTORS = "which is short in vectors"
"""Why the entries of a term need not be printed."""


def matrix_equation(
    symbol: str, chain: Sequence[str], matrix: SymbolicMatrix | None, otherwise: str = ""
) -> tuple[Block, ...]:
    """symbol = … = the matrix; where its entries are long, what it is equal to, and how long they are.

    Args:
        symbol: LaTeX of its letter.
        chain: LaTeX of what it is equal to.
        matrix: its entries, None where they are too large to be written out at all.
        otherwise: what is said of it where its entries are not printed.
    """
    if printed(matrix):
        return tuple(matrix_displays(symbol, chain, matrix))
    stated = (chained(symbol, chain),) if chain else ()
    long = "more operations than can be written out" if matrix is None else f"{size(matrix)} operations"
    reason = f", {otherwise}," if otherwise else ""
    return (*stated, paragraph("The entries of ", Math(symbol), f"{reason} have {long} and are not printed."))


def program_matrix(symbol: str, program: Program, name: str) -> tuple[Block, ...]:
    """A matrix of a program, where it is short."""
    return () if program.expanded_size(name) > PAGE else matrix_equation(symbol, [], program.expand(name))


def printed(matrix: SymbolicMatrix | None) -> TypeGuard[SymbolicMatrix]:
    """Whether the entries of a matrix are short enough to be printed."""
    return matrix is not None and size(matrix) <= PAGE


def inline(expression: Any) -> Math:
    """An expression in a line of text."""
    return Math(expression_latex(expression), ReadersText().written(expression))


def in_text(expression: Any) -> list[Inline]:
    """A sum in a line of text, term by term, so that it can be broken; with a number before its bracket it is one formula."""
    if expression.is_Add and with_common_factors(expression) != expression:
        return [inline(expression)]
    parts: list[Inline] = []
    for term in positive_first(expression.as_ordered_terms()):
        negative = bool(parts) and is_negative(term)
        parts += [" − " if negative else " + "] if parts else []
        parts.append(inline(-term if negative else term))
    return parts


def listed(expressions: Any) -> list[Inline]:
    """Expressions, separated by commas."""
    parts: list[Inline] = []
    for expression in expressions:
        parts += [", ", inline(expression)] if parts else [inline(expression)]
    return parts
