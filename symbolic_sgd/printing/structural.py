"""The limiting SDE in vectors, as displays."""

from collections.abc import Iterator, Sequence

from symbolic_sgd.algebra.vector_expressions import Sum, VectorExpression
from symbolic_sgd.printing.blocks import Block, Formula, Math, paragraph
from symbolic_sgd.printing.displays import LINES, equation, equation_lines, filled, height, room
from symbolic_sgd.printing.layout import renamed
from symbolic_sgd.printing.width import visible_length
from symbolic_sgd.theorem.structural import BETWEEN, StructuralFormulas

WRITTEN = 400
"""Operations of the f_i together up to which they are written out; the equations of Γ are these anyway."""


def structural(formulas: StructuralFormulas, most: float = LINES) -> Iterator[Block]:
    """What the letters stand for, and then the terms of the theorem, a line each.

    Args:
        formulas: the equations.
        most: lines of a display.
    """
    given = [(_given_lines(renamed(g.left_tex), renamed(g.right_tex)), "") for g in formulas.given]
    lines = [(vector_lines(line.name.latex(), line.value), line.term or "") for line in formulas.written]
    units = (", with the unit vectors ", Math("e_i", "eᵢ")) if formulas.bends else ()
    yield paragraph("In vectors and matrices, on ", Math(r"\Gamma", "Γ"), *units, ":")
    yield from _named_displays([*((level, "") for level in _levels(formulas)), *given, *lines], most)


def _given_lines(left: str, right: str) -> list[str]:
    """left = right, a long list of entries broken between them."""
    *first, last = right.split(BETWEEN)
    if not first or visible_length(right) <= room(left):
        return equation_lines(left, [right])
    return equation_lines(left, filled([*(entry + BETWEEN for entry in first), last], room(left)))


def vector_lines(left: str, value: VectorExpression) -> list[str]:
    """left = an expression in vectors, a sum broken into lines."""
    return equation_lines(left, filled(vector_pieces(value), room(left)))


def vector_pieces(value: VectorExpression) -> list[str]:
    """The terms of an expression in vectors with their signs."""
    if not isinstance(value, Sum):
        return [renamed(value.latex())]
    first, *others = (renamed(term.latex()) for term in value.terms)
    return [first, *(f"- {term[1:]}" if term.startswith("-") else f"+ {term}" for term in others)]


def _levels(formulas: StructuralFormulas) -> list[list[str]]:
    f = formulas.level.tex
    names = ((f"{f}_{{{i}}}" if formulas.bends else f, e) for i, e in enumerate(formulas.levels(WRITTEN), start=1))
    return [equation(name, level) for name, level in names]


def _named_displays(equations: Sequence[tuple[list[str], str]], most: float) -> list[Formula]:
    """Displays in which the terms of the theorem have names."""
    displays: list[Formula] = []
    lines: list[str] = []
    names: list[tuple[int, str]] = []
    for written, name in equations:
        if lines and height(lines) + height(written) > most:
            displays.append(Formula(tuple(lines), names=tuple(names)))
            lines, names = [], []
        lines.extend(written)
        names += [(len(lines) - 1, name)] if name else []
    return [*displays, Formula(tuple(lines), names=tuple(names))]
