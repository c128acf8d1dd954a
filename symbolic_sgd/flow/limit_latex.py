"""Φ as LaTeX that compiles with amsmath: what it is, what the flow conserves, and the formula or the system that it solves."""

from collections.abc import Iterator, Sequence
from typing import Any

import sympy as sp

from symbolic_sgd.flow.explicit import ExplicitLimit
from symbolic_sgd.flow.implicit import ImplicitLimit, image_symbols
from symbolic_sgd.flow.limit import FlowLimit
from symbolic_sgd.printing.latex import (
    aligned,
    broken_sum,
    equation_lines,
    expression_latex,
    visible_length,
)
from symbolic_sgd.printing.layout import fresh_names, symbol_latex

SHORT = 40
"""Characters of an entry up to which nothing in it is given a name."""


def limit_snippet(limit: FlowLimit) -> str:
    """What is known of Φ.

    Args:
        limit: the finished search.
    """
    definition = r"\Phi(x) &= \lim_{t\to\infty} x(t),\qquad \dot x = -\nabla L(x),\quad x(0) = x"
    parts = [aligned([definition, *equation_lines("L", broken_sum(limit.problem.loss))])]
    if isinstance(limit.form, ExplicitLimit):
        parts.extend(_formula(image_symbols(limit.problem), list(limit.form.expressions.flat())))
    parts.extend(_conserved(limit))
    if isinstance(limit.form, ImplicitLimit):
        equations = limit.form.equations[: limit.codimension]
        parts.extend(["and", aligned([line for e in equations for line in equation_lines("0", broken_sum(e))])])
    return "\n".join(parts) + "\n"


def _formula(images: Sequence[sp.Symbol], entries: Any) -> Iterator[str]:
    named: Any = []
    if max(visible_length(expression_latex(e)) for e in entries) > SHORT:
        taken = {s for e in entries for s in e.free_symbols}
        named, entries = sp.cse(entries, symbols=fresh_names("t", taken), order="none")
    pairs = zip(images, entries, strict=True)
    yield aligned([line for s, e in pairs for line in equation_lines(symbol_latex(s.name), broken_sum(e))])
    if named:
        yield "where"
        yield aligned([line for s, e in named for line in equation_lines(expression_latex(s), broken_sum(e))])


def _conserved(limit: FlowLimit) -> Iterator[str]:
    if limit.integrals:
        yield "Conserved by the flow:"
        lines = [
            line
            for k, integral in enumerate(limit.integrals, start=1)
            for line in equation_lines(f"I_{{{k}}}(x)", broken_sum(integral.expression))
        ]
        yield aligned([*lines, r"I_k(\Phi(x)) &= I_k(x)"])
