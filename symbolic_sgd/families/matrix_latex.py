"""The limiting SDE of a family of matrices as paragraphs and displays."""

import re
from collections.abc import Iterable, Iterator

import sympy as sp

from symbolic_sgd.families.matrix_terms import MatrixTerms
from symbolic_sgd.printing.blocks import Block, Formula, aligned, paragraph
from symbolic_sgd.printing.broken import broken
from symbolic_sgd.printing.displays import LINES, equation_lines, filled, height, room
from symbolic_sgd.printing.width import visible_length


def matrix_family_blocks(terms: MatrixTerms) -> Iterator[Block]:
    """The residual, R, the drift of each parameter, and what it names."""
    family = terms.family
    labels = ",".join(str(i.name) for i in terms.model.labels)
    factor = sp.sqrt(terms.optimizer.tangent_factor)
    times = "" if factor == 1 else sp.latex(factor) + r"\,"
    noise = "" if family.proportion is not None else rf" + {times}\partial\Phi\,\sigma\,dW"
    if not terms.motion.is_plain:
        yield from _step(terms)
    yield from displayed([
        (rf"f_{{{labels}}}", terms.residual.latex()),
        ("dY", rf"b\,dt{noise}\qquad\text{{on }}\Gamma = \{{f = 0\}}"),
    ])  # fmt: skip
    if terms.regularizer is not None:
        yield from displayed([("R", terms.regularizer.latex())])
    yield from displayed((rf"b_{{{name}}}", block.latex()) for name, block in terms.drift.items())
    yield paragraph("where")
    yield from displayed(pair for d in terms.definitions for pair in _equations(d.latex))


def displayed(equations: Iterable[tuple[str, str]]) -> Iterator[Formula]:
    """Equations as left and right sides in LaTeX, on lines that fit, in displays between which, and in no other place, a page may end."""
    lines: list[str] = []
    for left, right in equations:
        for line in equation_lines(left, broken(right, room(left))):
            if lines and height([*lines, line]) > LINES:
                yield aligned(lines)
                lines = []
            lines.append(line)
    if lines:
        yield aligned(lines)


def _equations(tex: str) -> list[tuple[str, str]]:
    """Sides of an equation, or of a definition by :=; of a list of such that is wider than a line, those of each."""
    left, _, right = tex.partition(" = ")
    if visible_length(tex) <= room():
        return [(left, right)]
    sides = [re.split(" :?= ", part, maxsplit=1) for part in re.split(r",\\q?quad ", tex)]
    return [(a, b) for a, b in sides] if all(len(pair) == 2 for pair in sides) else [(left, right)]


def _step(terms: MatrixTerms) -> Iterator[Block]:
    """The optimizer, and what a step of it adds to t."""
    optimizer = terms.optimizer
    pieces = filled(re.split(r"(?=\\quad )", optimizer.stated_equation), room())
    yield aligned([f"& {piece}" for piece in pieces] + [rf"& t_{{k+1}} = t_k + {sp.latex(optimizer.map_unit)}"])
    if terms.motion.slow is not None:
        yield from displayed((rf"g_{{{name}}}", block.latex()) for name, block in terms.slow_field.items())
