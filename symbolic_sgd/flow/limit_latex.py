"""Φ as paragraphs and displays: what it is, what the flow conserves, and the formula or the system that it solves."""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

import sympy as sp

from symbolic_sgd.flow.explicit import ExplicitLimit
from symbolic_sgd.flow.implicit import ImplicitLimit, image_symbols
from symbolic_sgd.flow.limit import FlowLimit
from symbolic_sgd.printing.blocks import Block, aligned, paragraph
from symbolic_sgd.printing.displays import broken_sum, equation_lines, expression_latex, visible_length, where
from symbolic_sgd.printing.layout import fresh_names

SHORT = 40
"""Characters of an entry up to which nothing in it is given a name."""


def limit_blocks(limit: FlowLimit) -> Iterator[Block]:
    """What is known of Φ.

    Args:
        limit: the finished search.
    """
    definition = r"\Phi(x) &= \lim_{t\to\infty} x(t),\qquad \dot x = -\nabla L(x),\quad x(0) = x"
    yield aligned([definition, *equation_lines("L", broken_sum(limit.problem.loss))])
    if isinstance(limit.form, ExplicitLimit):
        yield from _formula(image_symbols(limit.problem), list(limit.form.expressions.flat()))
    yield from _conserved(limit)
    if isinstance(limit.form, ImplicitLimit):
        yield paragraph("and")
        yield aligned(
            line for e in limit.form.equations[: limit.codimension] for line in equation_lines("0", broken_sum(e))
        )


def _formula(images: Sequence[sp.Symbol], entries: Any) -> Iterator[Block]:
    named: Any = []
    if max(visible_length(expression_latex(e)) for e in entries) > SHORT:
        taken = {s for e in entries for s in e.free_symbols}
        named, entries = sp.cse(entries, symbols=fresh_names("t", taken), order="none")
    pairs = zip(images, entries, strict=True)
    yield aligned(line for s, e in pairs for line in equation_lines(expression_latex(s), broken_sum(e)))
    yield from where(named, most=inf)


def _conserved(limit: FlowLimit) -> Iterator[Block]:
    if limit.integrals:
        yield paragraph("Conserved by the flow:")
        lines = [
            line
            for k, integral in enumerate(limit.integrals, start=1)
            for line in equation_lines(f"I_{{{k}}}(x)", broken_sum(integral.expression))
        ]
        yield aligned([*lines, r"I_k(\Phi(x)) &= I_k(x)"])
