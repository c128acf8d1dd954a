"""How large a term of the limiting SDE is, and in what form it is written out."""

from dataclasses import dataclass

from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.theorem.canonical import shortest_program, written
from symbolic_sgd.theorem.derivation import Derivation


@dataclass(frozen=True)
class TermSize:
    """Operations of one term.

    Args:
        name: of the term.
        program: of its straight-line program.
        written: of the form in which it is written out, with common subexpressions counted once; of the shortest program of a
            term that is too large to be written out.
        road: in words, that form; "" where it is too large.
        expanded: of the program's own form without common subexpressions, where the term is too large.
        zero: whether it vanishes on Γ.
        by_matrices: whether it is computed by matrices, and not counted.
    """

    name: str
    program: int
    written: int
    road: str = ""
    expanded: float = 0.0
    zero: bool = False
    by_matrices: bool = False

    def __str__(self) -> str:
        if self.zero:
            return "zero on Γ"
        if self.by_matrices:
            return "by matrices"
        program = f"{self.program} operations as a program"
        if self.road:
            return f"{program}, {self.written} as {self.road}"
        shorter = f"{self.written} by the formula for composed losses, " if self.written < self.program else ""
        return f"{program}, {shorter}{self.expanded:.3g} written out"


def written_or_none(derivation: Derivation, name: str) -> SymbolicMatrix | None:
    """A term as a matrix; None where it does not expand within the size budget."""
    try:
        return written(derivation, name).matrix
    except ExpressionTooLarge:
        return None


def size_of(derivation: Derivation, name: str) -> TermSize:
    """How large a term is, and in what form it is written out."""
    matrix = written_or_none(derivation, name)
    if derivation.in_matrices is not None:
        return TermSize(name, 0, 0, zero=matrix is not None, by_matrices=True)
    part = derivation.program.select(name)
    if matrix is None:
        shortest = shortest_program(derivation, name).operations
        return TermSize(name, part.operations, shortest, expanded=float(part.expanded_size(name)))
    form = written(derivation, name)
    return TermSize(name, part.operations, form.operations, form.road, zero=bool(matrix.is_zero_matrix))
