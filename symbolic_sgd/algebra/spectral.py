"""Functions of a matrix by its eigenvalues, in closed form for up to three of them: for kernels that are no quotients of
polynomials of moderate degree, and for what acts along the steepest axis."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix

MOST = 3
"""The largest M: roots of a cubic, by Viète's cosines, are the last that are written out."""

HALF = Fraction(1, 2)


def roots(e: Sequence[Node]) -> tuple[Node, ...]:
    """λ_1 ≥ … ≥ λ_M of a matrix whose nonzero eigenvalues are real, from their e_1 … e_M, M ≤ 3.

    >>> import numpy as np
    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.program import Program, evaluate
    >>> graph = Graph(); six, eleven = graph.constant(6), graph.constant(11)
    >>> found = Program.of({"roots": Matrix.column(roots([six, eleven, six]))})
    >>> [round(float(a), 12) for a in evaluate(found, (), np.zeros((1, 0)))["roots"][0]]
    [3.0, 2.0, 1.0]
    """
    graph, first = e[0].graph, e[0]
    root = lambda node: graph.power(node, graph.constant(HALF))  # noqa: E731
    if len(e) == 1:
        return (first,)
    if len(e) == 2:
        large = (first + root(first * first - 4 * e[1])) / 2
        return large, e[1] / large  # without the cancellation of e_1 − gap
    second, third = e[1:]
    spread = (first * first - 3 * second) / 9
    skew = (2 * first * first * first - 9 * first * second + 27 * third) / 54
    radius = root(spread)
    angle = graph.call("acos", skew / (spread * radius)) / 3
    near, far = graph.call("cos", angle), root(graph.constant(3)) * graph.call("sin", angle)
    cosines = (near, (far - near) / 2, -(far + near) / 2)
    return tuple(first / 3 + 2 * radius * cosine for cosine in cosines)


def projected(b: Matrix, e: Sequence[Node], right: Matrix) -> list[tuple[Node, Matrix]]:
    """(λ_i, E_i right) for the spectral projections E_i of B on its nonzero eigenvalues, where right lies in their range.

    Args:
        b: B.
        e: e_1 … e_M of the nonzero eigenvalues of B, M ≤ 3, which have to differ.
        right: any columns.

    >>> import sympy as sp
    >>> from symbolic_sgd.algebra.graph import Graph
    >>> graph = Graph(); b, y = (graph.symbol(s) for s in sp.symbols("b y"))
    >>> (value, part), = projected(Matrix.of([[b]]), [b], Matrix.of([[y]]))
    >>> value is b, part[0, 0] is y
    (True, True)
    """
    values, found = roots(e), []
    for i, value in enumerate(values):
        part = right
        for other in (a for j, a in enumerate(values) if j != i):
            part = (b @ part - part.scaled(other)).map(lambda entry, gap=value - other: entry / gap)
        found.append((value, part))
    return found


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
