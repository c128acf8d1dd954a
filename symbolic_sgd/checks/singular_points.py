"""Points of Γ at which a determinant vanishes on whose being nonzero the formulas rest."""

from collections.abc import Iterable, Sequence

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.precision import determinant, mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.by_sympy import DIGITS, precise
from symbolic_sgd.checks.fresh_points import Point
from symbolic_sgd.checks.literal import LiteralTheorem
from symbolic_sgd.errors import ComplexValue, Undecided

ITERATIONS = 60
"""Newton steps along Γ at most."""

STEP = 1e-25
"""Of the differences, relative to 1 + |x|."""

LONGEST = 0.3
"""A step is at most this long, relative to 1 + |x|."""

VANISHED = 1e-32
"""What is left of the determinant, relative to its value at the start: its double zeros are then known to 16 digits."""


def singular_points(theorem: LiteralTheorem, minor: Program, starts: Iterable[Point]) -> list[Point]:
    """Zeros of det A on Γ, by Newton's method along Γ from points of it; those that are found.

    Args:
        theorem: which knows Γ.
        minor: the program of A.
        starts: points of Γ.
    """
    with mp.workdps(DIGITS):
        found = [_followed(theorem, minor, start) for start in starts]
    return [point for point in found if point is not None]


def _followed(theorem: LiteralTheorem, minor: Program, start: Point) -> Point | None:
    here, first = start, _determinant(minor, start)
    value = first
    try:
        for _ in range(ITERATIONS):
            if abs(value) <= VANISHED * abs(first):
                return here
            steps = [_stepped(theorem, minor, here, value, multiplicity) for multiplicity in (1, 2)]
            here, value = min(steps, key=lambda step: abs(step[1]))
    except (Undecided, ComplexValue, ZeroDivisionError):
        pass
    return None


def _stepped(
    theorem: LiteralTheorem, minor: Program, here: Point, value: PreciseNumber, multiplicity: int
) -> tuple[Point, PreciseNumber]:
    """A Newton step for a zero of this order, in the tangent direction in which the determinant changes most."""
    parameters = theorem.stated.problem.parameters
    extent = 1 + max(abs(here[s]) for s in parameters)
    tangent, h = theorem.tangent_axes(here), mp.mpf(STEP) * extent
    ends = [_determinant(minor, _moved(here, parameters, h * tangent[:, k])) for k in range(tangent.cols)]
    slope = tangent @ mp.matrix([(end - value) / h for end in ends])
    step = -multiplicity * value / mp.norm(slope) ** 2 * slope
    longest = LONGEST * extent
    length = mp.norm(step)
    there = theorem.onto(_moved(here, parameters, step * min(1, longest / length)))
    return there, _determinant(minor, there)


def _moved(point: Point, parameters: Sequence[sp.Symbol], step: PreciseMatrix) -> Point:
    return dict(point) | {s: point[s] + a for s, a in zip(parameters, step, strict=True)}


def _determinant(minor: Program, point: Point) -> PreciseNumber:
    return determinant(precise(minor, point)["minor"])
