"""Expressions as a hash-consed graph: equal subexpressions are one node, made once.

A node is made by ordinary arithmetic on other nodes. Only rewritings that hold for every real value of the operands
(and that never make the graph larger) are applied, so a graph is a faithful record of how a value is computed.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.errors import ProblemTooLarge, UnsupportedExpression

Exact = int | Fraction

SMOOTH_POWER = 3
"""|a|^r with a larger r than this has three continuous derivatives at a = 0, and they are zero there."""

MAXIMAL_NODES = 1_500_000
"""A graph that grows past this raises `ProblemTooLarge` (about half a minute)."""


SMALLER = "state a smaller problem (fewer parameters, a simpler σ), or give Γ by `manifold=` to shorten it"


class Node:
    """One value of a graph. Two nodes of a graph are the same object exactly when they were built alike."""

    __slots__ = ("args", "graph", "index", "op", "value")

    def __init__(self, graph: "Graph", index: int, op: str, args: tuple["Node", ...], value: Any):
        self.graph = graph
        self.index = index
        self.op = op
        self.args = args
        self.value = value

    def __add__(self, other: "Node | Exact") -> "Node":
        return self.graph.add(self, self.graph.lift(other))

    def __radd__(self, other: Exact) -> "Node":
        return self.graph.add(self.graph.lift(other), self)

    def __sub__(self, other: "Node | Exact") -> "Node":
        return self.graph.subtract(self, self.graph.lift(other))

    def __rsub__(self, other: Exact) -> "Node":
        return self.graph.subtract(self.graph.lift(other), self)

    def __mul__(self, other: "Node | Exact") -> "Node":
        return self.graph.multiply(self, self.graph.lift(other))

    def __rmul__(self, other: Exact) -> "Node":
        return self.graph.multiply(self.graph.lift(other), self)

    def __truediv__(self, other: "Node | Exact") -> "Node":
        return self.graph.divide(self, self.graph.lift(other))

    def __rtruediv__(self, other: Exact) -> "Node":
        return self.graph.divide(self.graph.lift(other), self)

    def __neg__(self) -> "Node":
        return self.graph.negate(self)

    def __pow__(self, exponent: "Node | Exact") -> "Node":
        return self.graph.power(self, self.graph.lift(exponent))

    @property
    def is_zero(self) -> bool:
        """Whether the node is the constant 0 (a node that merely vanishes everywhere is not)."""
        return self.op == "constant" and self.value == 0

    def __repr__(self) -> str:
        return f"Node({self.index}: {self.op}{'' if self.value is None else f' {self.value}'})"


class Graph:
    """Where nodes are made and shared.

    >>> graph = Graph()
    >>> u, v = (graph.symbol(s) for s in sp.symbols("u v"))
    >>> (u * v) is (v * u), (u - u).is_zero, len(graph)
    (True, True, 4)
    """

    def __init__(self) -> None:
        self._table: dict[tuple, Node] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def _intern(self, op: str, args: tuple[Node, ...] = (), value: Any = None) -> Node:
        key = (op, value, *(a.index for a in args))
        node = self._table.get(key)
        if node is None:
            if self._size >= MAXIMAL_NODES:
                raise ProblemTooLarge(f"the derivation needs more than {MAXIMAL_NODES:,} operations: {SMALLER}")
            node = self._table[key] = Node(self, self._size, op, args, value)
            self._size += 1
        return node

    def expect(self, count: float, what: str) -> None:
        """Refuse at once what is known to need so many further nodes, where there is no room for them.

        Raises:
            ProblemTooLarge: there is none.
        """
        if self._size + count > MAXIMAL_NODES:
            raise ProblemTooLarge(
                f"{what} needs at least {count:.2g} operations beside the {self._size:.2g} that the derivation has by then, and the "
                f"limit is {MAXIMAL_NODES:,}: {SMALLER}"
            )

    # --- leaves -----------------------------------------------------------------------------

    def constant(self, value: Exact) -> Node:
        if isinstance(value, Fraction) and value.denominator == 1:
            value = value.numerator
        return self._intern("constant", value=value)

    def symbol(self, symbol: sp.Symbol) -> Node:
        return self._intern("symbol", value=symbol)

    def lift(self, value: "Node | Exact") -> Node:
        return value if isinstance(value, Node) else self.constant(value)

    # --- arithmetic -------------------------------------------------------------------------

    def add(self, a: Node, b: Node) -> Node:
        if a.op == "constant" and b.op == "constant":
            return self.constant(a.value + b.value)
        if a.is_zero:
            return b
        if b.is_zero:
            return a
        if a is b:
            return self.multiply(self.constant(2), a)
        if b.op == "neg":
            return self.subtract(a, b.args[0])
        if a.op == "neg":
            return self.subtract(b, a.args[0])
        return self._intern("add", (a, b) if a.index < b.index else (b, a))

    def total(self, nodes: Iterable[Node]) -> Node:
        """Σ of the nodes, one after the other; 0 for none."""
        return sum(nodes, self.constant(0))

    def subtract(self, a: Node, b: Node) -> Node:
        if b.op == "constant":
            return self.add(a, self.constant(-b.value))
        if a is b:
            return self.constant(0)
        if a.is_zero:
            return self.negate(b)
        if b.op == "neg":
            return self.add(a, b.args[0])
        if a.op == "neg":
            return self.negate(self.add(a.args[0], b))
        if b.op == "sub" and b.args[0] is a:
            return b.args[1]
        return self._intern("sub", (a, b))

    def negate(self, a: Node) -> Node:
        if a.op == "constant":
            return self.constant(-a.value)
        if a.op == "neg":
            return a.args[0]
        if a.op == "sub":
            return self.subtract(a.args[1], a.args[0])
        if a.op == "mul" and a.args[0].op == "constant":
            return self.multiply(self.constant(-a.args[0].value), a.args[1])
        return self._intern("neg", (a,))

    def multiply(self, a: Node, b: Node) -> Node:
        if b.op == "constant":
            a, b = b, a
        if a.op == "constant":
            return self._scale(a.value, b)
        # Signs and rational factors move outwards, where they meet and cancel.
        for x, y in ((a, b), (b, a)):
            if x.op == "neg":
                return self.negate(self.multiply(x.args[0], y))
            if x.op == "mul" and x.args[0].op == "constant":
                return self._scale(x.args[0].value, self.multiply(x.args[1], y))
            if x.op == "div" and x.args[0].op == "constant":
                return self._scale(x.args[0].value, self.divide(y, x.args[1]))
        if a is b and a.op == "sqrt":
            return a.args[0]
        return self._intern("mul", (a, b) if a.index < b.index else (b, a))

    def _scale(self, factor: Exact, a: Node) -> Node:
        if factor == 0:
            return self.constant(0)
        if factor == 1:
            return a
        if a.op == "constant":
            return self.constant(factor * a.value)
        if factor == -1:
            return self.negate(a)
        if a.op == "neg":
            return self._scale(-factor, a.args[0])
        if a.op == "mul" and a.args[0].op == "constant":
            return self._scale(factor * a.args[0].value, a.args[1])
        if a.op == "div" and a.args[0].op == "constant":
            return self._intern("div", (self.constant(factor * a.args[0].value), a.args[1]))
        return self._intern("mul", (self.constant(factor), a))

    def divide(self, a: Node, b: Node) -> Node:
        if b.op == "constant":
            return self._scale(Fraction(1) / b.value, a)
        if a.is_zero:
            return a
        if a is b:
            return self.constant(1)
        if b.op == "neg":
            return self.negate(self.divide(a, b.args[0]))
        if b.op == "mul" and b.args[0].op == "constant":
            return self._scale(Fraction(1) / b.args[0].value, self.divide(a, b.args[1]))
        if b.op == "div":
            return self.divide(self.multiply(a, b.args[1]), b.args[0])
        if a.op == "neg":
            return self.negate(self.divide(a.args[0], b))
        if a.op == "mul" and a.args[0].op == "constant":
            return self._scale(a.args[0].value, self.divide(a.args[1], b))
        return self._intern("div", (a, b))

    def power(self, base: Node, exponent: Node) -> Node:
        """base**exponent; integer powers become products, so that they hold for negative bases too."""
        if exponent.op != "constant":
            return self._intern("pow", (base, exponent))
        r = exponent.value
        if r < 0:
            return self.divide(self.constant(1), self.power(base, self.constant(-r)))
        if base.op == "constant" and base.value in (0, 1) and r > 0:
            return base
        if base.op == "mul" and base.args[0] is base.args[1] and not isinstance(r, int) and 2 * r > SMOOTH_POWER:
            return self.power(self.call("Abs", base.args[0]), self.constant(2 * r))
        if base.op == "Abs" and r not in (1, Fraction(1, 2)):
            return self._power_of_size(base, r)
        if isinstance(r, int):
            return self._integer_power(base, r)
        if r.denominator == 2:
            return self._integer_power(self.call("sqrt", base), r.numerator)
        return self._intern("pow", (base, exponent))

    def _power_of_size(self, size: Node, r: Exact) -> Node:
        """|a|^r as one operation where that has a derivative more than its factors: at a = 0 none of them may be asked."""
        if isinstance(r, int) and (r % 2 == 0 or r <= SMOOTH_POWER):
            even = self._integer_power(size.args[0], r - r % 2)
            return self.multiply(even, size) if r % 2 else even
        return self._intern("pow", (size, self.constant(r)))

    def _integer_power(self, base: Node, exponent: int) -> Node:
        if base.op == "constant":
            return self.constant(base.value**exponent)
        result = None
        while exponent:
            if exponent & 1:
                result = base if result is None else self.multiply(result, base)
            exponent >>= 1
            if exponent:
                base = self.multiply(base, base)
        return self.constant(1) if result is None else result

    def operation(self, op: str, args: tuple[Node, ...], value: Any = None) -> Node:
        """Any operation by its name."""
        match op:
            case "constant":
                return self.constant(value)
            case "symbol":
                return self.symbol(value)
            case "add":
                return self.add(*args)
            case "sub":
                return self.subtract(*args)
            case "mul":
                return self.multiply(*args)
            case "div":
                return self.divide(*args)
            case "neg":
                return self.negate(*args)
            case "pow":
                return self.power(*args)
            case name:
                return self.call(name, *args)

    def call(self, name: str, *args: "Node | Exact") -> Node:
        """A row of the table of functions or of constants.

        Rational values, and logarithms of rational numbers, are found at once where the arguments are such numbers.
        """
        if name not in FUNCTIONS and name not in CONSTANTS:
            raise UnsupportedExpression(f"{name!r} is not in the table of functions: {', '.join(sorted(FUNCTIONS))}")
        nodes = tuple(self.lift(a) for a in args)
        numbers = [_rational_or_logarithm(node) for node in nodes]
        if not nodes or None in numbers:
            return self._intern(name, nodes)
        value: Any = FUNCTIONS[name].symbolic(*numbers)
        if value.is_Rational:
            return self.constant(Fraction(int(value.p), int(value.q)))
        power: Any = sp.exp(value) if isinstance(value, sp.log) else sp.nan
        if power.is_Rational:
            return self._intern("log", (self.constant(Fraction(int(power.p), int(power.q))),))
        return self._intern(name, nodes)


def _rational_or_logarithm(node: Node) -> sp.Expr | None:
    """A constant, or the logarithm of a positive one, as SymPy knows it; None for any other node."""
    if node.op == "log" and node.args[0].op == "constant" and node.args[0].value > 0:
        return sp.log(sp.Rational(node.args[0].value))
    return sp.Rational(node.value) if node.op == "constant" else None


def reachable(roots: Iterable[Node]) -> list[Node]:
    """All nodes that the roots are computed from, operands before what uses them."""
    seen: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.index not in seen:
            seen[node.index] = node
            stack.extend(node.args)
    return [seen[index] for index in sorted(seen)]


def rebuild(node: Node, args: tuple[Node, ...]) -> Node:
    """The operation of `node`, applied to other operands (with every simplification that they allow)."""
    return node if not node.args else node.graph.operation(node.op, args, node.value)


def replace_nodes(roots: Iterable[Node], replacement: dict[Node, Node]) -> list[Node]:
    """The roots with every occurrence of a key of `replacement` computed by its value instead."""
    roots = list(roots)
    new: dict[Node, Node] = {}
    for node in reachable(roots):
        if node in replacement:
            new[node] = replacement[node]
        else:
            args = tuple(new[a] for a in node.args)
            new[node] = node if all(a is b for a, b in zip(args, node.args, strict=True)) else rebuild(node, args)
    return [new[root] for root in roots]


def symbols_of(roots: Iterable[Node]) -> Iterator[sp.Symbol]:
    """The symbols that the roots depend on."""
    return (node.value for node in reachable(roots) if node.op == "symbol")


JUMPS = ("Abs", "sign")
"""Operations that are not analytic where they are defined; Max, Min and Heaviside are made of them."""


def is_analytic(roots: Iterable[Node]) -> bool:
    """Whether what holds for the roots on an open set holds on the whole connected set where they are smooth."""
    return not any(node.op in JUMPS for node in reachable(roots))


def kinks(roots: Iterable[Node]) -> list[tuple[Node, Node]]:
    """Pairs (operation, expression) where the operation is not smooth, or not defined, when the expression is zero.

    Smooth means three continuous derivatives: |a|^r with r > 3 has no kink at a = 0, and |a| none where it only stands
    inside of such powers.
    """
    roots = list(roots)
    nodes = reachable(roots)
    bare = {root.index for root in roots} | {a.index for node in nodes if not _is_smooth_power(node) for a in node.args}
    found: list[tuple[Node, Node]] = []
    varying: set[int] = set()
    for node in nodes:
        if node.op == "symbol" or any(a.index in varying for a in node.args):
            varying.add(node.index)
        if node.op == "Abs" and node.index not in bare:
            continue
        if node.op in FUNCTIONS:
            found.extend((node, zero) for zero in FUNCTIONS[node.op].kinks(*node.args))
        elif node.op == "pow" and not _is_smooth_power(node):
            found.append((node, node.args[0]))
        elif node.op == "div":
            found.append((node, node.args[1]))
    return [(node, zero) for node, zero in found if any(a.index in varying for a in node.args)]


def _is_smooth_power(node: Node) -> bool:
    """Whether it is |a|^r with r > 3."""
    return (
        node.op == "pow"
        and node.args[0].op == "Abs"
        and node.args[1].op == "constant"
        and node.args[1].value > SMOOTH_POWER
    )
