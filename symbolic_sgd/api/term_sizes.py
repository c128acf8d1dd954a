"""How large a term of the limiting SDE is, and in what form it is written out."""

from dataclasses import dataclass


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
