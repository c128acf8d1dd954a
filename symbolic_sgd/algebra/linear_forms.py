"""Linear combinations of nodes in which what several terms share is computed once."""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

from symbolic_sgd.algebra.graph import Exact, Node
from symbolic_sgd.algebra.matrices import Matrix, dot


def combined(columns: Matrix, weights: Matrix) -> Matrix:
    """columns @ weights, a letter that stands in several columns of a row being multiplied once: x Σ_a c_a w_a."""
    return Matrix.of([_combination(row, column) for column in weights.T.rows] for row in columns.rows)


def _combination(row: Sequence[Node], weights: Sequence[Node]) -> Node:
    graph = weights[0].graph
    sums: dict[Node, Node] = {}
    for entry, weight in zip(row, weights, strict=True):
        if not entry.is_zero:
            factor, letter = split(entry)
            sums[letter] = sums.get(letter, graph.constant(0)) + factor * weight
    return dot(list(sums), list(sums.values())) if sums else graph.constant(0)


def linear_forms(sums: Sequence[Sequence[Node]]) -> list[Node]:
    """The sums, each with the same terms in the same places up to rational factors, as Σ_q c_q q with shared sums q.

    Places whose factors are equal in all the sums are added up first.
    """
    graph = sums[0][0].graph
    parted = [[split(term) for term in terms] for terms in sums]
    shared: dict[tuple[Exact, ...], Node] = {}
    for place in zip(*parted, strict=True):
        letter = next((y for c, y in place if c), None)
        if letter is None:
            continue
        if any(c and y is not letter for c, y in place):
            return [graph.total(terms) for terms in sums]
        factors = tuple(c for c, _ in place)
        shared[factors] = shared.get(factors, graph.constant(0)) + letter
    return [graph.total(factors[k] * q for factors, q in shared.items()) for k in range(len(sums))]


def content(entries: Sequence[Node]) -> Fraction:
    """The largest positive rational c for which every entry is an integer times c times a node."""
    factors = [abs(Fraction(split(entry)[0])) for entry in entries if not entry.is_zero]
    return Fraction(gcd(*(f.numerator for f in factors)), lcm(*(f.denominator for f in factors)))


def split(node: Node) -> tuple[Exact, Node]:
    """(c, y) with node = c·y, for a rational c."""
    if node.op == "constant":
        return node.value, node.graph.constant(1)
    if node.op == "neg":
        factor, rest = split(node.args[0])
        return -factor, rest
    if node.op == "mul" and node.args[0].op == "constant":
        return node.args[0].value, node.args[1]
    return 1, node
