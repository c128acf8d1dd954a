"""Terms of a form in matrix notation: chains, entrywise products, diagonals, norms, inner products and traces.

A term is a graph: indices that are no labels are its vertices, factors with two of them its edges, those with one sit on a vertex.
What hangs at the end of an edge is multiplied in, edges in a row become one, parallel ones an entrywise product; so every graph
that is built by these three has a formula, and no other.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from symbolic_sgd.tensors.forms import COLUMN, DELTA, Applied, Factor, Factors, Form, Index, Tensor
from symbolic_sgd.tensors.notation import (
    IDENTITY,
    ONES,
    Function,
    Hadamard,
    Name,
    Node,
    Product,
    Total,
    Transposed,
    Wrapped,
    entrywise,
    flat,
    product,
    transposed,
    upright,
)


class NoMatrixForm(Exception):
    """A term that no formula in matrices is known for: it is written with its indices."""


SECOND = {"i": "j", "j": "l"}
"""How a second and a third sample are called."""


def shown_label(name: str) -> str:
    """The name of a label as it is printed: i′ is j."""
    plain = name.rstrip("′")
    for _ in range(len(name) - len(plain)):
        plain = SECOND.get(plain, f"{plain}′")
    return plain


@dataclass
class Graph:
    """A term that is being reduced.

    Args:
        free: the vertices that are not summed over.
        on: what sits on each vertex.
        edges: (row, column, matrix).
        scalars: what has come off.
    """

    free: tuple[Index, ...]
    on: dict[Index, list[Node]] = field(default_factory=dict)
    edges: list[tuple[Index, Index, Node]] = field(default_factory=list)
    scalars: list[Node] = field(default_factory=list)

    def ends(self, vertex: Index) -> int:
        """How many ends of edges meet there."""
        return sum((a == vertex) + (b == vertex) for a, b, _ in self.edges)

    @property
    def bound(self) -> list[Index]:
        """The vertices that are summed over."""
        found = dict.fromkeys([*self.on, *(i for a, b, _ in self.edges for i in (a, b))])
        return [i for i in found if i not in self.free]

    def reduce(self) -> None:
        """Until nothing is left to be done."""
        while self._leaf() or self._series() or self._loop() or self._parallel() or self._alone():
            pass

    def take(self, vertex: Index) -> Node:
        """What sits on a vertex, as one vector."""
        return entrywise(self.on.pop(vertex, []))

    def _leaf(self) -> bool:
        ends = [v for v in self.bound if self.ends(v) == 1]
        if not ends:
            return False
        vertex = min(ends, key=lambda v: len(repr(self.on.get(v))))  # data before what is made of them
        (edge,) = [e for e in self.edges if vertex in e[:2]]
        self.edges.remove(edge)
        a, b, matrix = edge
        at, oriented = (a, matrix) if b == vertex else (b, transposed(matrix))
        self.on.setdefault(at, []).append(product(oriented, self.take(vertex)))
        return True

    def _series(self) -> bool:
        for vertex in self.bound:
            meeting = [e for e in self.edges if vertex in e[:2]]
            if len(meeting) == 2 and self.ends(vertex) == 2:
                first, second = meeting
                self.edges.remove(first)
                self.edges.remove(second)
                a, left = (first[0], first[2]) if first[1] == vertex else (first[1], transposed(first[2]))
                b, right = (second[1], second[2]) if second[0] == vertex else (second[0], transposed(second[2]))
                self.edges.append((a, b, product(left, *_diagonals(self.on.pop(vertex, [])), right)))
                return True
        return False

    def _loop(self) -> bool:
        for edge in self.edges:
            vertex, b, matrix = edge
            if vertex != b:
                continue
            self.edges.remove(edge)
            if vertex in self.free or self.ends(vertex) or (self.on.get(vertex) and not _root(self.on[vertex])):
                self.on.setdefault(vertex, []).append(Wrapped("diagonal", (matrix,)))
            else:
                self.scalars.append(trace(product(*_diagonals(self.on.pop(vertex, [])), matrix)))
            return True
        return False

    def _parallel(self) -> bool:
        for k, (a, b, left) in enumerate(self.edges):
            for other in self.edges[k + 1 :]:
                if {a, b} == set(other[:2]):
                    right = other[2] if other[0] == a else transposed(other[2])
                    self.edges.remove(other)
                    parts = [f for m in (left, right) for f in (m.factors if isinstance(m, Hadamard) else (m,))]
                    self.edges[k] = (a, b, Hadamard(tuple(parts), vectors=False))
                    return True
        return False

    def _alone(self) -> bool:
        for vertex in self.bound:
            if not self.ends(vertex):
                self.scalars.append(inner(self.on.pop(vertex)))
                return True
        return False


def total(form: Form, rows: Sequence[Index], labels: Iterable[Index]) -> Total:
    """A form as a sum of terms in matrices.

    Args:
        form: whose free indices are labels and rows.
        rows: the row and the column, or the index of a vector.
        labels: the other free indices.

    Raises:
        NoMatrixForm: one of its terms has none.
    """
    fixed = {i: shown_label(str(i.name)) for i in labels}
    return Total(flat(_term(c, factors, tuple(rows), fixed) for factors, c in in_order(form)))


def in_order(form: Form) -> list[tuple[Factors, Any]]:
    """The terms, in an order that does not change."""
    return sorted(form.terms.items(), key=lambda item: [f.key for f in item[0]])


def summed_labels(factors: Factors, taken: Mapping[Index, str]) -> dict[Index, str]:
    """Summed indices that number samples, with names that are not taken."""
    found: dict[Index, str] = {}
    found |= {i: "ξ" for f in factors for i in f.at if i.bound and i.size == COLUMN.size}
    for at in _label_places(factors):
        if at.bound and at not in found:
            name = "i"
            while name in taken.values() or name in found.values():
                name = SECOND.get(name, f"{name}′")
            found[at] = name
    return found


def _label_places(factors: Factors) -> Iterable[Index]:
    for head, at in factors:
        if isinstance(head, Tensor):
            yield from at[: head.labels]
        elif isinstance(head, Applied):
            places = dict(zip(head.inner.free, at, strict=True))
            yield from (places[i] for inside in head.inner.terms for i in _label_places(inside) if i in places)


def _term(
    c: Any, factors: Factors, rows: tuple[Index, ...], fixed: Mapping[Index, str]
) -> tuple[Any, tuple[str, ...], tuple[Node, ...], Node | None]:
    summed = summed_labels(factors, fixed)
    labels = {**fixed, **summed}
    graph = Graph(rows)
    for factor in factors:
        _place(factor, graph, labels)
    graph.reduce()
    matrix = _left_over(graph, rows)
    return (
        c,
        tuple(summed.values()),
        tuple(sorted(graph.scalars, key=lambda n: (not isinstance(n, Name), repr(n)))),
        matrix,
    )


def _place(factor: Factor, graph: Graph, labels: Mapping[Index, str]) -> None:
    head, at = factor
    rows = [i for i in at if i not in labels]
    subscripts = tuple(labels[i] for i in at if i in labels)
    if head is DELTA:
        node: Node = IDENTITY if len(rows) == 2 else Name("e" if rows else "δ", subscripts)
    elif isinstance(head, Tensor):
        behind = any(i in labels and labels[i] != "ξ" for i in at[at.index(rows[0]) :]) if rows else False
        if behind and len(at) > 2:
            raise NoMatrixForm
        node = Name(head.name, (":", *subscripts) if behind else subscripts)
    else:
        assert isinstance(head, Applied)
        node = _function(head, tuple(labels.get(i) for i in at))
    if not rows:
        graph.scalars.append(node)
    elif len(rows) == 1:
        graph.on.setdefault(rows[0], []).append(node)
    elif len(rows) == 2:
        graph.edges.append((rows[0], rows[1], node))
    else:
        raise NoMatrixForm


@lru_cache(maxsize=4096)
def _function(head: Applied, labels: tuple[str | None, ...]) -> Node:
    """φ(E) with these labels at its indices, None at rows and columns."""
    names = {
        slot: Index(f"@{i}", slot.size) for i, slot in enumerate(head.inner.free)
    }  # numbers are summed over inside
    fixed = {name: label for name, label in zip(names.values(), labels, strict=True) if label is not None}
    rows = tuple(name for name in names.values() if name not in fixed)
    if len(rows) > 2:
        raise NoMatrixForm
    terms = flat(_term(c, f, rows, fixed) for f, c in in_order(head.inner.renamed(names)))
    if head.is_sum:
        return upright(Total(tuple(sorted(terms, key=lambda term: term[3] != IDENTITY))))
    return Function(head.function, Total(terms), not rows)


def _left_over(graph: Graph, rows: tuple[Index, ...]) -> Node | None:
    """What the reduced graph is a formula of."""
    if graph.bound or len(graph.edges) > 1:
        raise NoMatrixForm
    if not rows:
        return None
    if len(rows) == 1:
        return graph.take(rows[0])
    row, column = rows
    if not graph.edges:
        return product(graph.take(row), transposed(graph.take(column)))
    ((a, _, matrix),) = graph.edges
    oriented = matrix if a == row else transposed(matrix)
    return product(*_diagonals(graph.on.pop(row, [])), oriented, *_diagonals(graph.on.pop(column, [])))


def _diagonals(vectors: list[Node]) -> list[Node]:
    """diag of their entrywise product, as two equal factors where it is a square."""
    if not vectors:
        return []
    half = _root(vectors)
    return [Wrapped("diag", (entrywise(vectors),))] if half is None else [Wrapped("diag", (entrywise(half),))] * 2


def _root(vectors: list[Node]) -> list[Node] | None:
    """Half of them, where every one stands an even number of times."""
    counts = Counter(vectors)
    if any(k % 2 for k in counts.values()):
        return None
    return [v for v, k in counts.items() for _ in range(k // 2)]


def inner(vectors: list[Node]) -> Node:
    """The sum of the entries of their entrywise product."""
    half = _root(vectors)
    if half:
        return Wrapped("norm", (entrywise(half),))
    if len(vectors) == 1:
        return Wrapped("inner", (ONES, vectors[0]))
    first, rest = [v for v in vectors if not _second(v)], [v for v in vectors if _second(v)]
    if not rest:
        return Wrapped("inner", (vectors[0], entrywise(vectors[1:])))
    common = _root([v for v in first if not _subscripts(v)])
    if common:
        own = [v for v in first if _subscripts(v)]
        first, rest = common + own, common + rest
    return Wrapped("inner", (entrywise(first), entrywise(rest)))


def trace(matrix: Node) -> Node:
    """tr M, as ‖X‖² where M is XXᵀ in a cyclic order, and as ⟨X, Y⟩ where one half is of one label, the other of another."""
    word: list[Node] = list(matrix.factors) if isinstance(matrix, Product) else [matrix]
    count = len(word)
    if count == 1 and isinstance(word[0], Hadamard):
        first, *rest = word[0].factors
        half = _root(list(word[0].factors))
        return Wrapped("norm", (entrywise(half),)) if half else Wrapped("inner", (first, entrywise(rest)))
    turns = [word[k:] + word[:k] for k in range(count)]
    squares = [t[: count // 2] for t in turns if count % 2 == 0 and _mirror(t[count // 2 :]) == t[: count // 2]]
    if squares:
        return Wrapped("norm", (product(*min(squares, key=_turned)),))
    for cut in sorted(range(1, count), key=lambda k: abs(2 * k - count)):
        halves = [(t[:cut], _mirror(t[cut:])) for t in turns]
        apart = [
            (x, y)
            for x, y in halves
            if not any(map(_second, x)) and all(not _first(f) for f in y) and any(map(_second, y))
        ]
        if apart:
            x, y = min(apart, key=lambda pair: _turned(pair[0]) + _turned(pair[1]))
            return Wrapped("inner", (product(*x), product(*y)))
    named = [t for t in turns if _subscripts(t[0])]
    if named and count > 1:
        letter, *rest = min(named, key=lambda t: (not isinstance(t[0], Transposed), repr(t)))
        return Wrapped("inner", (transposed(letter), product(*rest)))
    return Wrapped(
        "tr",
        (min((product(*t) for t in turns), key=lambda m: _turned(list(m.factors) if isinstance(m, Product) else [m])),),
    )


def _mirror(word: Sequence[Node]) -> list[Node]:
    return [transposed(f) for f in reversed(word)]


def _turned(word: Sequence[Node]) -> tuple[int, str]:
    """How many factors are transposed; the first is preferred not to be."""
    return sum(isinstance(f, Transposed) for f in word), repr(word)


def _subscripts(node: Any) -> set[str]:
    if isinstance(node, Name):
        return set(node.subscripts)
    if isinstance(node, (tuple, list)):
        return set().union(*map(_subscripts, node)) if node else set()
    parts = (getattr(node, name, ()) for name in ("inner", "factors", "parts", "terms"))
    return set().union(*(_subscripts(p) for p in parts if not isinstance(p, str)))


def _second(node: Node) -> bool:
    """Whether it belongs to a second sample or output."""
    return any(s == "j" or s.endswith("′") for s in _subscripts(node))


def _first(node: Node) -> bool:
    """Whether it belongs to the first."""
    return any(s != "j" and not s.endswith("′") for s in _subscripts(node))
