"""The limiting SDE in vectors, as displays."""

from symbolic_sgd.printing.blocks import Block, Math, paragraph
from symbolic_sgd.printing.displays import broken_sum, displays, equation_lines
from symbolic_sgd.theorem.structural import StructuralFormulas

WRITTEN = 400
"""Operations of the f_i together up to which they are written out; the equations of Γ are these anyway."""


def structural(formulas: StructuralFormulas) -> tuple[Block, ...]:
    """What the letters stand for, and then the terms of the theorem, a line each."""
    given = [[rf"{g.left_tex} &= {g.right_tex}"] for g in formulas.given]
    lines = [[rf"{line.name.latex()} &= {line.value.latex()}"] for line in formulas.written]
    units = (", with the unit vectors ", Math("e_i", "eᵢ")) if formulas.bends else ()
    return (paragraph("In vectors and matrices, on Γ", *units, ":"), *displays([*_levels(formulas), *given, *lines]))


def _levels(formulas: StructuralFormulas) -> list[list[str]]:
    levels, f = formulas.levels(WRITTEN), formulas.level.tex
    names = [f] if len(levels) == 1 else [f"{f}_{{{i + 1}}}" for i in range(len(levels))]
    return [equation_lines(name, broken_sum(level)) for name, level in zip(names, levels, strict=True)]
