"""Two ways to write the solution of Ax = b for a positive definite A: by elimination, and by Cramer's rule.

Elimination has the fewest operations, but written out it repeats every pivot in all that follow. By Cramer's rule there
is one denominator, det A, and minors are shared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite, dot
from symbolic_sgd.errors import ExpressionTooLarge


@dataclass(frozen=True)
class Solution:
    """A⁻¹B = numerators/denominator."""

    numerators: Matrix
    denominator: Node

    @property
    def value(self) -> Matrix:
        """A⁻¹B."""
        return self.over(self.numerators)

    def over(self, matrix: Matrix) -> Matrix:
        """matrix/denominator, for what has been made from the numerators."""
        return matrix.map(lambda entry: entry / self.denominator)


LARGEST_DETERMINANT = 6
"""The largest M for Cramer's rule: there are 2^M minors for each right-hand side."""

Solver = Callable[[Matrix, Matrix], Solution]
"""(A, B) ↦ A⁻¹B."""


def by_elimination(a: Matrix, right: Matrix) -> Solution:
    """A⁻¹B through A = LDLᵀ, with the denominator 1."""
    return Solution(PositiveDefinite.factor(a).solve(right), a[0, 0].graph.constant(1))


def by_cramers_rule(a: Matrix, right: Matrix) -> Solution:
    """A⁻¹B by determinants, expanded along the rows.

    >>> import sympy as sp
    >>> from symbolic_sgd.algebra.graph import Graph
    >>> graph = Graph(); p, q, r, x, y = (graph.symbol(s) for s in sp.symbols("p q r x y"))
    >>> solution = by_cramers_rule(Matrix.of([[p, q], [q, r]]), Matrix.column([x, y]))
    >>> solution.numerators[0, 0] is x * r - q * y, solution.denominator is p * r - q * q
    (True, True)

    Raises:
        ExpressionTooLarge: A is larger than 6×6.
    """
    m, width = right.shape
    if m > LARGEST_DETERMINANT:
        raise ExpressionTooLarge(f"Cramer's rule has too many minors for a system of {m} equations")
    minor = _minors(Matrix.of((*left, *beside) for left, beside in zip(a.rows, right.rows, strict=True)))
    n = tuple(range(m))
    replaced = lambda i, j: _signed(m - 1 - i, minor(0, (*n[:i], *n[i + 1 :], m + j)))  # noqa: E731
    return Solution(Matrix.of([replaced(i, j) for j in range(width)] for i in range(m)), minor(0, n))


def _minors(a: Matrix) -> Callable[[int, tuple[int, ...]], Node]:
    """(k, columns) ↦ the determinant of the rows from k on and of these columns, every one computed once."""

    @cache
    def minor(k: int, columns: tuple[int, ...]) -> Node:
        if len(columns) == 1:
            return a[k, columns[0]]
        smaller = [_signed(j, minor(k + 1, columns[:j] + columns[j + 1 :])) for j in range(len(columns))]
        return dot([a[k, c] for c in columns], smaller)

    return minor


def _signed(power: int, node: Node) -> Node:
    return -node if power % 2 else node


SOLVERS: dict[str, Solver] = {"elimination": by_elimination, "Cramer's rule": by_cramers_rule}
"""How a formula may be solved, by the words that say so."""
