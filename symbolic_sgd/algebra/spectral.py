"""Functions of a matrix by its eigenvalues, in closed form for one or two of them: for kernels that are no rational functions."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix

MOST = 2
"""The largest M: the roots of a cubic are no formulas that anybody reads."""


def projected(b: Matrix, e: Sequence[Node], right: Matrix) -> list[tuple[Node, Matrix]]:
    """(λ_i, E_i right) for the spectral projections E_i of B on its nonzero eigenvalues, where right lies in their range.

    Args:
        b: B.
        e: e_1 … e_M of the nonzero eigenvalues of B, M ≤ 2; two of them have to differ.
        right: any columns.

    >>> import sympy as sp
    >>> from symbolic_sgd.algebra.graph import Graph
    >>> graph = Graph(); b, y = (graph.symbol(s) for s in sp.symbols("b y"))
    >>> (value, part), = projected(Matrix.of([[b]]), [b], Matrix.of([[y]]))
    >>> value is b, part[0, 0] is y
    (True, True)
    """
    if len(e) == 1:
        return [(e[0], right)]
    first, second = e
    gap = first.graph.power(first * first - 4 * second, first.graph.constant(Fraction(1, 2)))
    large = (first + gap) / 2
    small = second / large  # without the cancellation of e_1 − gap
    image = b @ right
    by_gap = lambda matrix: matrix.map(lambda entry: entry / gap)  # noqa: E731
    return [(large, by_gap(image - right.scaled(small))), (small, by_gap(right.scaled(large) - image))]


def by_eigenvalues(b: Matrix, e: Sequence[Node], right: Matrix, h: Callable[[Node], Node]) -> Matrix:
    """h(B) right, with the arguments of `projected`."""
    return _total(part.scaled(h(value)) for value, part in projected(b, e, right))


def by_pairs_of_eigenvalues(b: Matrix, e: Sequence[Node], y: Matrix, k: Callable[[Node, Node], Node]) -> Matrix:
    """Σ_ij k(λ_i, λ_j) E_i Y E_jᵀ, with the arguments of `projected`, for a symmetric Y."""
    return _total(
        part.scaled(k(left, right)) for left, half in projected(b, e, y) for right, part in _across(b, e, half)
    )


def _across(b: Matrix, e: Sequence[Node], half: Matrix) -> list[tuple[Node, Matrix]]:
    """(λ_j, half E_jᵀ)."""
    return [(value, part.T) for value, part in projected(b, e, half.T)]


def _total(parts: Iterable[Matrix]) -> Matrix:
    first, *others = parts
    for other in others:
        first = first + other
    return first
