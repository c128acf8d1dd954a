"""The limiting SDE as one formula, as SymPy's printers show it: one equation, or one line for each entry, in the user's settings."""

from collections.abc import Callable, Mapping, Sequence

import sympy as sp

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.reading import is_negative, over_one_denominator, with_common_factors
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.printing.blocks import Block, aligned, inside_math
from symbolic_sgd.printing.displays import entry_displays, room, signed
from symbolic_sgd.printing.fitting import Fitted, Write
from symbolic_sgd.printing.layout import LINE
from symbolic_sgd.printing.named_parts import named_parts
from symbolic_sgd.printing.theorem import NAMED, PRINTED
from symbolic_sgd.printing.width import visible_length
from symbolic_sgd.theorem.terms import TERMS

DIFFERENTIALS = {"drift": "dt", "tangent_noise": "dW"}
"""What the coefficients of the SDE multiply, in the order in which they are written."""


Matrices = Mapping[str, SymbolicMatrix]
"""The coefficients of the SDE."""


def equation(matrices: Matrices) -> Expression:
    """dY = b dt + A dW, without what is zero.

    >>> equation({"drift": sp.ImmutableMatrix([sp.Symbol("u")]), "tangent_noise": sp.ImmutableMatrix([0])})
    Eq(dY, Matrix([[u]])*dt)
    """
    # A symbol of a number would be printed before its matrix.
    terms = [
        sp.MatMul(with_common_factors(matrix), sp.MatrixSymbol(change, matrix.cols, 1))
        for name, change in DIFFERENTIALS.items()
        if not (matrix := matrices[name]).is_zero_matrix
    ]
    rows = matrices["drift"].rows
    total = sp.MatAdd(*terms) if len(terms) > 1 else (terms or [sp.ZeroMatrix(rows, 1)])[0]
    return sp.Eq(sp.MatrixSymbol("dY", rows, 1), total, evaluate=False)


def fits(matrix: SymbolicMatrix | None) -> bool:
    """Whether a matrix is small enough to be printed as it is."""
    return matrix is not None and sum(operations(entry) for entry in matrix.flat()) <= PRINTED


def display_latex(
    matrices: Mapping[str, SymbolicMatrix | None], program: Callable[[str], Program | None], write: Write
) -> str:
    """The SDE for use inside math mode.

    Args:
        matrices: the two coefficients, None where they are too large to be written out.
        program: name of a coefficient → its shortest program, None where it is computed by matrices.
        write: the user's printer.
    """
    moving = [name for name in DIFFERENTIALS if (matrix := matrices[name]) is None or not matrix.is_zero_matrix]
    short = {name: matrix for name in moving if (matrix := matrices[name]) is not None and fits(matrix)}
    if len(short) == len(moving):
        right = " ".join(_moving(short, write)) or "0"
        if visible_length(right) <= LINE:
            return f"dY = {right}"
    right = " + ".join(rf"{_symbol(name)}\,{DIFFERENTIALS[name]}" for name in moving) or "0"
    coefficients = (block for name in moving for block in _coefficient(name, matrices[name], program, write))
    return inside_math([aligned([f"dY &= {right}"]), *coefficients])


def _moving(terms: Matrices, write: Write) -> list[str]:
    """The terms of dY with their signs, each a matrix over one denominator times its differential."""
    texts, negative = [], []
    for name, matrix in terms.items():
        factor, whole = over_one_denominator(matrix)
        negative.append(is_negative(factor))
        before = "" if factor in (1, -1) else f"{write(-factor if negative[-1] else factor)} "
        texts.append(rf"{before}{write(whole)}\,{DIFFERENTIALS[name]}")
    return signed(texts, negative)


def _coefficient(
    name: str, matrix: SymbolicMatrix | None, program: Callable[[str], Program | None], write: Write
) -> Sequence[Block]:
    symbol = _symbol(name)
    if matrix is not None and fits(matrix):
        whole = write(matrix)
        if visible_length(whole) <= LINE * max(1, matrix.rows):
            return [aligned([f"{symbol} &= {whole}"])]
        return entry_displays(symbol, matrix.shape, Fitted(tuple(matrix.flat()), ()), write)
    shortest = program(name)
    if shortest is None:
        return [aligned([rf"{symbol} &: \text{{by matrices, see sde.structure}}"])]
    if shortest.operations > NAMED:
        return [aligned([rf"{symbol} &: \text{{{shortest.operations} operations, see sde.program}}"])]
    (output,) = (output for output in shortest.outputs if output.name == name)
    return entry_displays(symbol, output.shape, named_parts(shortest, name, room(symbol), write), write)


def _symbol(name: str) -> str:
    return next(term.symbol for term in TERMS if term.name == name)
