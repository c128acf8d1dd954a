"""What rounding does to a formula, bounded at every point by a few operations beside it.

With u = 2⁻⁵³, to first order in u, and as long as nothing overflows or underflows: a product, a quotient and a root lose about one u
of their size, and so does a sum of terms of one sign. A sum z = a + b in which terms cancel loses what its terms have lost,
|a|/|z| times. So if no |a|/|z| is larger than κ, every entry of the formula has a relative error of at most c(κ)u, where c is known
beforehand; and whether that is so, Σ (a/z)² ≤ κ² tells where the formula is evaluated (a "running error analysis", Wilkinson 1986).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symbolic_sgd.algebra.graph import Graph, Node, reachable
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program

UNIT = 2.0**-53

PROMISED = 1e-12
"""Relative error of every entry that is allowed, where parameters are rounded to float64 and functions are of parameters alone."""

SMALLEST = Fraction(1, 10**100)
"""Constants are between this and its inverse, far from where float64 has no numbers."""

LARGEST, LEAST = 20, 3
"""κ is at most and at least 2 to these; below, common points would be refused."""

ELEMENTARY = frozenset(
    {"exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"}
)
"""Functions that libraries compute to a few units in the last place wherever they are, beside their zeros as well."""

FUNCTION = 4
"""Units in the last place that they are off for an exact argument, at most (the bound of NumPy's own vectors)."""

CANCELLATION = "cancellation"
"""The output that is at most 1 where no sum cancels by more than κ."""


@dataclass(frozen=True)
class Bounded:
    """A formula with a test of its own rounding.

    Args:
        program: the formula and, where a sum can cancel at all, the output `cancellation`: at most 1 where each entry is right to
            10⁻¹², relative to itself.
        factor: κ, by which no sum cancels there; 1 where none can.
    """

    program: Program
    factor: int

    @property
    def is_tested(self) -> bool:
        """Whether a sum can cancel."""
        return CANCELLATION in self.program.names


def bounded(program: Program) -> Bounded | None:
    """A program of one output with its test; None where that cannot be bounded so: functions of what is computed, powers that vary,
    or cancellation within cancellation so deep that hardly any would be allowed."""
    graph = Graph()
    outputs = program.on(graph)
    nodes = reachable(entry for matrix in outputs.values() for entry in matrix.entries)
    if not all(map(_is_bounded, nodes)):
        return None
    signs = _signs(nodes)
    tested = {node: _tested(node) for node in nodes if _cancels(node, signs)}
    entries = [entry for matrix in outputs.values() for entry in matrix.entries]
    for exponent in range(LARGEST, LEAST - 1, -1) if tested else (0,):
        factor = 2**exponent
        losses = _losses(nodes, tested, factor)
        if max((losses[entry] for entry in entries), default=0) * UNIT <= PROMISED:
            break
    else:
        return None
    if not tested:
        return Bounded(program, 1)
    ratios = [abs(a.value) / node if a.op == "constant" else a / node for node, a in tested.items()]
    test = graph.total(r * r for r in ratios) * Fraction(1, factor**2)
    return Bounded(Program.of({**outputs, CANCELLATION: Matrix.column([test])}), factor)


def _is_bounded(node: Node) -> bool:
    match node.op:
        case "constant":
            return node.value == 0 or SMALLEST < abs(node.value) < 1 / SMALLEST
        case "symbol" | "add" | "sub" | "neg" | "mul" | "div" | "sqrt" | "Abs":
            return True
        case "pow":
            return node.args[1].op == "constant"
        case op:
            return op in ELEMENTARY and node.args[0].op == "symbol"


def _signs(nodes: Iterable[Node]) -> dict[Node, int]:
    """1 for nodes that are nowhere negative, −1 for those that are nowhere positive, 0 for the others."""
    signs: dict[Node, int] = {}
    for node in nodes:
        below = [signs[a] for a in node.args]
        match node.op:
            case "constant":
                signs[node] = 1 if node.value >= 0 else -1
            case "add":
                signs[node] = below[0] if below[0] == below[1] else 0
            case "sub":
                signs[node] = below[0] if below[0] == -below[1] else 0
            case "neg":
                signs[node] = -below[0]
            case "mul" if node.args[0] is node.args[1]:
                signs[node] = 1
            case "mul" | "div":
                signs[node] = below[0] * below[1]
            case "sqrt" | "Abs" | "exp" | "cosh" | "pow":
                signs[node] = 1
            case _:
                signs[node] = 0
    return signs


def _cancels(node: Node, signs: Mapping[Node, int]) -> bool:
    """Whether terms of a sum may have different signs."""
    if node.op not in ("add", "sub"):
        return False
    a, b = (signs[arg] for arg in node.args)
    return not a or a != (b if node.op == "add" else -b)


def _tested(node: Node) -> Node:
    """The term with which a sum is compared: a constant if there is one; the other is at most 1 + κ times the sum, then."""
    return min(node.args, key=lambda a: a.op != "constant")


def _losses(nodes: Sequence[Node], tested: Mapping[Node, Node], factor: int) -> dict[Node, float]:
    """The relative error of each node in units of u."""
    losses: dict[Node, float] = {}
    for node in nodes:
        below = [losses[a] for a in node.args]
        match node.op:
            case "symbol":
                losses[node] = 1
            case "constant":
                losses[node] = float(Fraction(float(node.value)) != node.value)
            case "add" | "sub" if node in tested:
                compared, other = below if node.args[0] is tested[node] else reversed(below)
                losses[node] = factor * compared + (1 + factor) * other + 1
            case "add" | "sub":
                losses[node] = max(below) + 1
            case "mul":
                losses[node] = sum(below) + 1
            case "div":
                losses[node] = sum(below) + 2  # by way of the inverse
            case "neg" | "Abs":
                losses[node] = below[0]
            case "sqrt":
                losses[node] = below[0] / 2 + 1
            case "pow":
                losses[node] = abs(float(node.args[1].value)) * (below[0] + 1) + FUNCTION
            case _:
                losses[node] = FUNCTION
    return losses
