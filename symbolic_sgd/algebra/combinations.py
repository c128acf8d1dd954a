"""Rational linear combinations of functions that vanish identically: a null space over a prime field, recognised and proved.

Rational functions have values at random points of a prime field, too. Combinations that vanish at enough of them are at least as
many, in dimension, as the rational ones that vanish identically: so a basis of them that is recognised and proved is all. Of other
functions the field knows some relations only, and what it does not know may hide a combination.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, lcm

import sympy as sp

from symbolic_sgd.algebra.arithmetic import Valuation
from symbolic_sgd.algebra.graph import JUMPS, Node, reachable, symbols_of
from symbolic_sgd.algebra.identities import DRAWS, HOPELESS, PRIMES, NoValue, Values, random_assignment, zero_functions
from symbolic_sgd.algebra.varieties import RATIONAL

SETTLED = 3
"""Draws in succession that leave the null space as it is, after which it is taken for that of all draws."""

Row = dict[int, int]
"""A vector over the field: index → what is not zero."""


@dataclass(frozen=True)
class Combinations:
    """Combinations c with Σ_k c_k v_k ≡ 0.

    Args:
        basis: independent ones that are proved, each with coprime integers.
        complete: whether they are proved to span all rational ones; only of rational functions can that be.
    """

    basis: tuple[tuple[Fraction, ...], ...]
    complete: bool


def vanishing_combinations(vectors: Sequence[Sequence[Node]]) -> Combinations:
    """The rational c with Σ_k c_k v_k ≡ 0 for some vectors of functions of one graph, all of one length.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.translation import from_sympy
    >>> x, graph = sp.Symbol("x"), Graph()
    >>> squares = [from_sympy(e, graph) for e in (sp.sin(x)**2, sp.exp(x), sp.cos(x)**2, sp.S(2))]
    >>> vanishing_combinations([[e] for e in squares]).basis
    ((Fraction(2, 1), Fraction(0, 1), Fraction(2, 1), Fraction(-1, 1)),)
    """
    nodes = [node for vector in vectors for node in vector]
    if not nodes or any(node.op in JUMPS for node in reachable(nodes)):
        return Combinations((), not vectors)
    for prime in PRIMES:
        field = _null_space(vectors, prime)
        if field is not None:
            found = [c for c in (_recognised(row, len(vectors), prime) for row in field) if c is not None]
            proved = zero_functions([part for c in found for part in _combined(vectors, c)])
            width = len(vectors[0])
            kept = tuple(c for k, c in enumerate(found) if all(proved[k * width : (k + 1) * width]))
            rational = all(node.op in RATIONAL for node in reachable(nodes))
            return Combinations(kept, rational and len(kept) == len(field))
    return Combinations((), False)


def rank_of(vectors: Sequence[Sequence[Node]]) -> int:
    """The largest rank of a matrix of functions of one graph, given by its rows; 0 where no point was found at which they are defined."""
    nodes = [node for vector in vectors for node in vector]
    for values in _drawn(nodes, PRIMES[0]):
        echelon, width = _Echelon(PRIMES[0]), len(vectors[0])
        for k in range(len(vectors)):
            echelon.add(dict(enumerate(values[k * width : (k + 1) * width])))
        return len(echelon.rows)
    return 0


class _Echelon:
    """Rows over the field, each led by a one at an index at which the others are zero."""

    def __init__(self, prime: int):
        self.prime = prime
        self.rows: dict[int, Row] = {}

    def add(self, row: Row) -> bool:
        """Take a row in; whether it was independent."""
        rest = {k: c % self.prime for k, c in row.items() if c % self.prime}
        for lead in [k for k in rest if k in self.rows]:
            self._subtract(rest, rest.get(lead, 0), self.rows[lead])
        if not rest:
            return False
        lead = min(rest)
        unit = pow(rest[lead], -1, self.prime)
        new = {k: c * unit % self.prime for k, c in rest.items()}
        for other in self.rows.values():
            self._subtract(other, other.get(lead, 0), new)
        self.rows[lead] = new
        return True

    def _subtract(self, row: Row, factor: int, other: Row) -> None:
        for k, c in other.items() if factor else ():
            value = (row.get(k, 0) - factor * c) % self.prime
            if value:
                row[k] = value
            else:
                row.pop(k, None)

    def kernel(self, width: int) -> list[Row]:
        """A basis of the vectors that are orthogonal to all rows; the last entry of each is the only one at its index."""
        free = [k for k in range(width) if k not in self.rows]
        return [{k: 1} | {lead: -row[k] % self.prime for lead, row in self.rows.items() if k in row} for k in free]


def _null_space(vectors: Sequence[Sequence[Node]], prime: int) -> list[Row] | None:
    nodes, width = [node for vector in vectors for node in vector], len(vectors[0])
    echelon, idle, seen = _Echelon(prime), 0, False
    for values in _drawn(nodes, prime):
        new = [echelon.add({k: values[k * width + i] for k in range(len(vectors))}) for i in range(width)]
        idle, seen = 0 if any(new) else idle + 1, True
        if idle == SETTLED or len(echelon.rows) == len(vectors):
            break
    return echelon.kernel(len(vectors)) if seen else None


def _drawn(nodes: Sequence[Node], prime: int) -> Iterator[list[int]]:
    """The values of nodes at random points of the field at which they are defined."""
    symbols = sorted(symbols_of(nodes), key=lambda s: s.name)
    met = 0
    for seed in range(DRAWS * (len(nodes) + SETTLED)):
        values = Values(seed, prime)
        try:
            found = Valuation(values.arithmetic, random_assignment(values, symbols))(nodes)
        except NoValue:
            if seed >= HOPELESS and not met:
                return
            continue
        met += 1
        yield found


def _recognised(row: Row, width: int, prime: int) -> tuple[Fraction, ...] | None:
    """The rational vector with these residues, times a number that makes it coprime integers."""
    entries = {k: _rational(c, prime) for k, c in row.items()}
    if None in entries.values():
        return None
    known = [entries.get(k) or Fraction(0) for k in range(width)]
    return coprime(known)


def coprime(vector: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The multiple of a vector by coprime integers, the first of which is positive."""
    scale = lcm(*(c.denominator for c in vector))
    common = sp.igcd(*(int(c * scale) for c in vector)) or 1
    first = next((c for c in vector if c), Fraction(1))
    return tuple(c * scale / (int(common) if first > 0 else -int(common)) for c in vector)


def _rational(residue: int, prime: int) -> Fraction | None:
    """The fraction n/d with |n|, d ≤ √(p/2) of a residue, if there is one (Wang 1981)."""
    bound = isqrt(prime // 2)
    (a, b), (s, t) = (prime, residue), (0, 1)
    while b > bound:
        q = a // b
        (a, b), (s, t) = (b, a - q * b), (t, s - q * t)
    return Fraction(b, t) if t and abs(t) <= bound else None


def _combined(vectors: Sequence[Sequence[Node]], c: Sequence[Fraction]) -> list[Node]:
    graph = vectors[0][0].graph
    return [
        graph.total(a * vector[i] for a, vector in zip(c, vectors, strict=True) if a) for i in range(len(vectors[0]))
    ]
