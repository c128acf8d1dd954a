"""The same values by fewer operations: sums share their parts, and what is divided by often is inverted once.

Nothing else is rewritten, so that values change by rounding alone. The fewest additions are hard to find ("ensemble computation",
Garey & Johnson 1979, PO9); the pair of terms that stands in most sums is shared, again and again.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from heapq import heappop, heappush
from math import gcd, lcm

from symbolic_sgd.algebra.graph import Exact, Graph, Node, reachable
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Instruction, Output, Program

LONGEST = 64
"""Terms of a sum that is taken apart."""

LARGEST = 20_000
"""Pairs of terms, of all the sums together, up to which they are shared."""

OFTEN = 2
"""Divisions by one number from which it is inverted: a division takes as long as several products."""

LARGE = 1 << 20
"""Integers up to which coefficients are made coprime."""

ONE = -1
"""Where 1 stands among the terms."""

Combination = dict[int, Fraction]
"""Σ_i c_i t_i, by the places of the terms t_i."""


def with_shared_sums(program: Program) -> Program:
    """A program in which every sum is Σ positive terms − Σ negative terms, and sums share what they have in common.

    >>> import sympy as sp
    >>> from symbolic_sgd.algebra.translation import from_sympy
    >>> a, b, c = sp.symbols("a b c"); graph = Graph()
    >>> entries = [from_sympy(e, graph) for e in ((a + b + c) * a, (2*a + 2*b - 3*c) * b)]
    >>> print(with_shared_sums(Program.of({"f": Matrix.column(entries)})))
    t1 = a + b
    t2 = c + t1
    t3 = a*t2
    t4 = 3*c
    t5 = 2*t1
    t6 = -t4 + t5
    t7 = b*t6
    f = [t3, t7]
    """
    outputs = program.on(Graph())
    sums = _Sums([entry for matrix in outputs.values() for entry in matrix.entries])
    if not sums.are_few:
        return program
    sums.share()
    graph = Graph()
    entries = iter(sums.built(graph))
    return Program.of(
        {
            name: Matrix.of([[next(entries) for _ in range(matrix.shape[1])] for _ in range(matrix.shape[0])])
            for name, matrix in outputs.items()
        }
    )


class _Sums:
    """The sums of a graph as combinations of its other nodes, which are called terms.

    Args:
        roots: what is computed.
    """

    def __init__(self, roots: Sequence[Node]):
        self.roots = roots
        self.combinations: dict[Node, Combination] = {}  # sums by their terms
        self.expanded: dict[Node, Combination] = {}  # the same for all nodes, a term being once itself
        self.parts: dict[int, Combination] = {}  # the place of a shared part → what it is
        self.kept: list[Combination] = []  # the sums, once each, with integer coefficients and the parts as terms
        self.primitive: dict[Node, tuple[Fraction, int]] = {}  # a sum is a number times one of those kept
        self.wanted = self._wanted()
        numbers: dict[tuple[tuple[int, Fraction], ...], int] = {}
        for node in self.wanted:
            if len(self.combinations.get(node, ())) > 1:
                size, combination = _primitive(self.combinations[node])
                number = numbers.setdefault(tuple(sorted(combination.items())), len(self.kept))
                if number == len(self.kept):
                    self.kept.append(combination)
                self.primitive[node] = size, number

    @property
    def are_few(self) -> bool:
        """Whether looking at all pairs is quick."""
        return sum(len(c) ** 2 for c in self.kept) <= LARGEST

    def _wanted(self) -> list[Node]:
        """What is computed once sums are taken apart, operands first."""
        terms = {node.index: node for node in reachable(self.roots)}
        for node in terms.values():
            self._expand(node)
        seen: dict[int, Node] = {}
        stack = list(self.roots)
        while stack:
            node = stack.pop()
            if node.index not in seen:
                seen[node.index] = node
                own = self.combinations.get(node)
                stack.extend(node.args if own is None else (terms[place] for place in own if place != ONE))
        return [seen[index] for index in sorted(seen)]

    def _expand(self, node: Node) -> None:
        """A node as a combination of terms; its operands are known."""
        if node.op == "constant":
            self.expanded[node] = {ONE: Fraction(node.value)} if node.value else {}
            return
        total: Combination = {}
        for factor, summand in _summands(node):
            for place, size in self.expanded[summand].items():
                total[place] = total.get(place, Fraction(0)) + factor * size
        total = {place: size for place, size in total.items() if size}
        if total and len(total) <= LONGEST:
            self.combinations[node] = self.expanded[node] = total
        else:
            self.expanded[node] = {node.index: Fraction(1)}

    def share(self) -> None:
        """Make the pair that stands in most sums a term, until none stands in two."""
        pairs, place = _Pairs(self.kept), ONE - 1
        while (pair := pairs.most_frequent()) is not None:
            first, second, ratio = pair
            self.parts[place] = {first: Fraction(1), second: Fraction(*ratio)}
            for number in sorted(pairs.holders[pair]):
                pairs.replace(number, first, second, place)
            place -= 1

    def built(self, graph: Graph) -> list[Node]:
        """The roots on another graph."""
        made: dict[Node, Node] = {}
        terms: dict[int, Node] = {ONE: graph.constant(1)}

        def term(place: int) -> Node:
            if place not in terms:
                terms[place] = total(self.parts[place])
            return terms[place]

        def total(combination: Combination) -> Node:
            return _total(graph, {term(place): size for place, size in combination.items()})

        for node in self.wanted:
            if node in self.primitive:
                size, number = self.primitive[node]
                made[node] = total(self.kept[number]) * size
            elif node in self.combinations:
                made[node] = total(self.combinations[node])
            else:
                made[node] = graph.operation(node.op, tuple(made[a] for a in node.args), node.value)
            terms[node.index] = made[node]
        return [made[root] for root in self.roots]


def _summands(node: Node) -> list[tuple[Fraction, Node]]:
    """The operands of a sum with their factors; none of any other node."""
    match node.op:
        case "add":
            return [(Fraction(1), a) for a in node.args]
        case "sub":
            return [(Fraction(1), node.args[0]), (Fraction(-1), node.args[1])]
        case "neg":
            return [(Fraction(-1), node.args[0])]
        case "mul" if node.args[0].op == "constant":
            return [(Fraction(node.args[0].value), node.args[1])]
        case _:
            return []


def _primitive(combination: Combination) -> tuple[Fraction, Combination]:
    """(c, the combination/c) with coprime integers as coefficients, the first of them positive; as it is, where they would be large."""
    sizes = combination.values()
    size = Fraction(gcd(*(s.numerator for s in sizes)), lcm(*(s.denominator for s in sizes)))
    if max(map(abs, sizes)) > size * LARGE:
        return Fraction(1), dict(combination)
    if combination[min(combination)] < 0:
        size = -size
    return size, {place: s / size for place, s in combination.items()}


_Pair = tuple[int, int, tuple[int, int]]
"""Two terms, the smaller place first, with how often there is the second for each of the first, as a reduced fraction."""


class _Pairs:
    """The pairs of terms of some combinations, and which of these hold them.

    Args:
        combinations: by their numbers; they are changed by `replace`.
    """

    def __init__(self, combinations: Sequence[Combination]):
        self.combinations = combinations
        self.holders: dict[_Pair, set[int]] = {}
        self._queue: list[tuple[int, int, int, _Pair]] = []
        for number, combination in enumerate(combinations):
            for first, second in itertools.combinations(combination, 2):
                self.holders.setdefault(_pair(combination, first, second), set()).add(number)
        for pair in self.holders:
            self._count(pair)

    def most_frequent(self) -> _Pair | None:
        """The pair that most combinations hold, if more than one does."""
        while self._queue:
            count, _, _, pair = heappop(self._queue)
            if -count == len(self.holders[pair]):
                return pair
        return None

    def replace(self, number: int, first: int, second: int, place: int) -> None:
        """Put a term for two others into a combination."""
        combination = self.combinations[number]
        kept = [t for t in combination if t not in (first, second)]
        lost = [(first, second), *((t, old) for t in kept for old in (first, second))]
        for one, other in lost:
            pair = _pair(combination, one, other)
            self.holders[pair].discard(number)
            self._count(pair)
        combination[place] = combination.pop(first)
        del combination[second]
        for t in kept:
            pair = _pair(combination, t, place)
            self.holders.setdefault(pair, set()).add(number)
            self._count(pair)

    def _count(self, pair: _Pair) -> None:
        """Queue a pair by how often there is one now; what was queued of it before is out of date."""
        count = len(self.holders[pair])
        if count > 1:
            heappush(self._queue, (-count, -pair[0], -pair[1], pair))


def _pair(combination: Combination, one: int, other: int) -> _Pair:
    first, second = (one, other) if one < other else (other, one)
    p, q = combination[first], combination[second]
    top, bottom = q.numerator * p.denominator, q.denominator * p.numerator
    common = gcd(top, bottom) if bottom > 0 else -gcd(top, bottom)
    return first, second, (top // common, bottom // common)


def _total(graph: Graph, terms: Mapping[Node, Fraction]) -> Node:
    """Σ c t as the positive terms minus the negative ones, those with one factor added up before they are multiplied."""
    halves: list[Node] = []
    for sign in (1, -1):
        groups: dict[Fraction, list[Node]] = {}
        for term, size in terms.items():
            if sign * size > 0:
                groups.setdefault(abs(size), []).append(term)
        halves.append(graph.total(graph.total(group) * size for size, group in groups.items()))
    return halves[0] - halves[1]


def with_inverses(program: Program) -> Program:
    """The program with a product for a division, where several divisions are by one number or by its square.

    >>> import sympy as sp
    >>> from symbolic_sgd.algebra.translation import from_sympy
    >>> a, b, c = sp.symbols("a b c"); graph = Graph()
    >>> print(with_inverses(Program.of({"f": Matrix.column([from_sympy(e, graph) for e in (a/c, b/c**2)])})))
    t1 = 1/c
    t2 = a*t1
    t3 = t1**2
    t4 = b*t3
    f = [t2, t4]
    """
    return _Inverses(program).rewritten()


class _Inverses:
    def __init__(self, program: Program):
        self.program = program
        divisors = {i.args[1] for i in program.instructions if i.op == "div"}
        self.roots = {d: self._root(d, divisors) for d in divisors}
        self.uses = Counter(self.roots[i.args[1]] for i in program.instructions if i.op == "div")
        self.new: list[Instruction] = []
        self.places: dict[Instruction, int] = {}

    def _root(self, divisor: int, divisors: set[int]) -> int:
        """The number of which a divisor is the square, where that divides as well; else the divisor."""
        square = self.program.instructions[divisor]
        is_square = square.op == "mul" and square.args[0] == square.args[1]
        return square.args[0] if is_square and square.args[0] in divisors else divisor

    def _place(self, op: str, args: tuple[int, ...], value: object = None) -> int:
        instruction = Instruction(op, args, value)
        if instruction not in self.places:
            self.places[instruction] = len(self.new)
            self.new.append(instruction)
        return self.places[instruction]

    def rewritten(self) -> Program:
        places: list[int] = []
        for i in self.program.instructions:
            args = tuple(places[a] for a in i.args)
            quotient = self._inverted_quotient(i)
            if quotient is None:
                places.append(self._place(i.op, args, i.value))
                continue
            factor, numerator, divisor = quotient
            weight = self._inverse(places[self.roots[divisor]], square=self.roots[divisor] != divisor)
            if factor != 1:
                weight = self._place("mul", (self._place("constant", (), factor), weight))
            top = self.program.instructions[numerator]
            is_one = top.op == "constant" and top.value == 1
            places.append(weight if is_one else self._place("mul", (places[numerator], weight)))
        outputs = tuple(Output(o.name, o.shape, tuple(places[r] for r in o.registers)) for o in self.program.outputs)
        return Program(tuple(self.new), outputs).select(*self.program.names)

    def _inverted_quotient(self, i: Instruction) -> tuple[Exact, int, int] | None:
        """(c, a, b) of an instruction c·a/b whose b is inverted; the product of c and 1/b then stands for all that have it."""
        instructions = self.program.instructions
        factor: Exact = 1
        if i.op == "mul" and instructions[i.args[0]].op == "constant":
            factor, i = instructions[i.args[0]].value, instructions[i.args[1]]
        if i.op != "div" or self.uses[self.roots[i.args[1]]] < OFTEN:
            return None
        numerator, divisor = i.args
        return factor, numerator, divisor

    def _inverse(self, place: int, *, square: bool) -> int:
        inverse = self._place("div", (self._place("constant", (), 1), place))
        return self._place("mul", (inverse, inverse)) if square else inverse
