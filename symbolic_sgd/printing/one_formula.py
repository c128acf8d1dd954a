"""The limiting SDE as one formula, as SymPy's printers show it: one equation, or one line for each entry, in the user's settings."""

from collections.abc import Callable, Sequence

import sympy as sp

from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.printing.blocks import Block, aligned, inside_math
from symbolic_sgd.printing.displays import entry_displays, room
from symbolic_sgd.printing.fitting import Fitted, Write
from symbolic_sgd.printing.layout import LINE
from symbolic_sgd.printing.named_parts import named_parts
from symbolic_sgd.printing.theorem import COEFFICIENTS, NAMED, PRINTED
from symbolic_sgd.printing.width import visible_length
from symbolic_sgd.theorem.derivation import TERMS

DIFFERENTIALS: dict[str, str] = dict(zip(COEFFICIENTS, ("dW", "dt"), strict=True))


def equation(diffusion: SymbolicMatrix, drift: SymbolicMatrix) -> Expression:
    """dY = A dW + b dt, without what is zero.

    >>> equation(sp.ImmutableMatrix([0]), sp.ImmutableMatrix([sp.Symbol("u")]))
    Eq(dY, dt*Matrix([[u]]))
    """
    noise = sp.MatMul(diffusion, sp.MatrixSymbol("dW", diffusion.cols, 1))
    motion = sp.MatMul(sp.Symbol("dt"), drift)
    terms = [term for term, matrix in ((noise, diffusion), (motion, drift)) if not matrix.is_zero_matrix]
    change = sp.MatrixSymbol("dY", drift.rows, 1)
    return sp.Eq(change, sp.MatAdd(*terms) if len(terms) > 1 else (terms or [motion])[0], evaluate=False)


def fits(matrix: SymbolicMatrix | None) -> bool:
    """Whether a matrix is small enough to be printed as it is."""
    return matrix is not None and sum(int(sp.count_ops(entry)) for entry in matrix.flat()) <= PRINTED


def display_latex(matrices: dict[str, SymbolicMatrix | None], program: Callable[[str], Program], write: Write) -> str:
    """The SDE for use inside math mode.

    Args:
        matrices: the two coefficients, None where they are too large to be written out.
        program: name of a coefficient → its shortest program.
        write: the user's printer.
    """
    if all(fits(matrix) for matrix in matrices.values()):
        whole = write(equation(*matrices.values()))
        if visible_length(whole) <= LINE:
            return whole
    moving = [name for name, matrix in matrices.items() if matrix is None or not matrix.is_zero_matrix]
    right = " + ".join(rf"{_symbol(name)}\,{DIFFERENTIALS[name]}" for name in moving) or "0"
    coefficients = (block for name in moving for block in _coefficient(name, matrices[name], program, write))
    return inside_math([aligned([f"dY &= {right}"]), *coefficients])


def _coefficient(
    name: str, matrix: SymbolicMatrix | None, program: Callable[[str], Program], write: Write
) -> Sequence[Block]:
    symbol = _symbol(name)
    if matrix is not None and fits(matrix):
        whole = write(matrix)
        if visible_length(whole) <= LINE * max(1, matrix.rows):
            return [aligned([f"{symbol} &= {whole}"])]
        return entry_displays(symbol, matrix.shape, Fitted(tuple(matrix.flat()), ()), write)
    shortest = program(name)
    if shortest.operations > NAMED:
        return [aligned([rf"{symbol} &: \text{{{shortest.operations} operations, see sde.program}}"])]
    (output,) = (output for output in shortest.outputs if output.name == name)
    return entry_displays(symbol, output.shape, named_parts(shortest, name, room(symbol), write), write)


def _symbol(name: str) -> str:
    return next(term.symbol for term in TERMS if term.name == name)
