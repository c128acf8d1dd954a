"""Φ as paragraphs and displays: what it is, what the flow conserves, and the formula or the system that it solves."""

from collections.abc import Iterator, Sequence

import sympy as sp

from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.flow.explicit import ExplicitLimit
from symbolic_sgd.flow.implicit import ImplicitLimit, image_symbols
from symbolic_sgd.flow.limit import FlowLimit
from symbolic_sgd.printing.blocks import Block, aligned, display, paragraph
from symbolic_sgd.printing.displays import (
    displays,
    equation,
    equation_lines,
    equations,
    expression_latex,
    filled,
    room,
    where,
    zeros,
)
from symbolic_sgd.printing.fitting import Fitted, with_common_parts
from symbolic_sgd.printing.width import visible_length

SHORT = 40
"""Characters of an entry up to which nothing in it is given a name."""


def limit_blocks(limit: FlowLimit) -> Iterator[Block]:
    """What is known of Φ.

    Args:
        limit: the finished search.
    """
    pieces = [r"\lim_{t\to\infty} x(t),", r"\quad \dot x = -\nabla L(x),\quad x(0) = x"]
    yield aligned(equation_lines(r"\Phi(x)", filled(pieces, room(r"\Phi(x)"))))
    yield from equations([("L", limit.problem.loss)])
    if isinstance(limit.form, ExplicitLimit):
        yield from _formula(image_symbols(limit.problem), limit.form.expressions)
    yield from _conserved(limit)
    if isinstance(limit.form, ImplicitLimit):
        yield paragraph("and")
        yield from zeros(limit.form.equations[: limit.codimension])


def _formula(images: Sequence[sp.Symbol], matrix: SymbolicMatrix) -> Iterator[Block]:
    left = max(map(expression_latex, images), key=visible_length)
    entries = Fitted(tuple(matrix.flat()), ())
    if max(visible_length(expression_latex(e)) for e in matrix.flat()) > SHORT:
        entries = with_common_parts(matrix, room(left), expression_latex)
    pairs = zip(images, entries.entries, strict=True)
    yield from displays([equation(expression_latex(s), e) for s, e in pairs])
    yield from where(entries.parts)


def _conserved(limit: FlowLimit) -> Iterator[Block]:
    if limit.integrals:
        yield paragraph("Conserved by the flow:")
        yield from equations([(f"I_{{{k}}}(x)", i.expression) for k, i in enumerate(limit.integrals, start=1)])
        yield display(r"I_k(\Phi(x)) = I_k(x)")
