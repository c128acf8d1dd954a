"""Derivatives of a graph by the reverse mode: one sweep gives the gradient of a scalar, whatever its dimension."""

from collections.abc import Sequence

from symbolic_sgd.algebra.functions import FUNCTIONS
from symbolic_sgd.algebra.graph import Node, reachable


def partial_derivatives(node: Node) -> tuple[Node | int, ...]:
    """∂node/∂(each operand), one entry an operand."""
    match node.op:
        case "add":
            return (1, 1)
        case "sub":
            return (1, -1)
        case "neg":
            return (-1,)
        case "mul":
            return node.args[1], node.args[0]
        case "div":
            return 1 / node.args[1], -node / node.args[1]
        case "pow":
            base, exponent = node.args
            return exponent * base ** (exponent - 1), node * node.graph.call("log", base)
        case name:
            slopes = FUNCTIONS[name].derivative(*node.args, node, node.graph.call)
            return slopes if isinstance(slopes, tuple) else (slopes,)


def pull_back(outputs: Sequence[Node], cotangents: Sequence[Node], variables: Sequence[Node]) -> list[Node]:
    """The vector ∇_x ⟨cotangents, outputs(x)⟩, with the cotangents held constant.

    Args:
        outputs: y_1(x) … y_m(x).
        cotangents: c_1 … c_m; they may depend on x, and are not differentiated.
        variables: x_1 … x_D.

    Returns:
        The D entries Σ_k c_k ∂y_k/∂x_i.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> import sympy as sp
    >>> graph = Graph(); x, y = (graph.symbol(s) for s in sp.symbols("x y"))
    >>> pull_back([x * y], [y], [x, y]) == [y * y, x * y]
    True
    """
    graph = variables[0].graph
    nodes = reachable(outputs)
    moving = {v.index for v in variables}
    for node in nodes:
        if any(a.index in moving for a in node.args):
            moving.add(node.index)
    adjoint: dict[int, Node] = {}

    def accumulate(node: Node, amount: Node) -> None:
        if node.index in moving and not amount.is_zero:
            present = adjoint.get(node.index)
            adjoint[node.index] = amount if present is None else present + amount

    for output, cotangent in zip(outputs, cotangents, strict=True):
        accumulate(output, cotangent)
    for node in reversed(nodes):
        if node.args and node.index in adjoint:
            bar = adjoint[node.index]
            for operand, partial in zip(node.args, _partials(node, moving), strict=True):
                if partial is not None:
                    accumulate(operand, bar * partial)
    return [adjoint.get(v.index, graph.constant(0)) for v in variables]


def least_operations(outputs: Sequence[Node], variables: Sequence[Node]) -> int:
    """Operations that `pull_back` needs at least: a multiplication for each operand that moves with the variables, but in sums."""
    moving, count = {v.index for v in variables}, 0
    for node in reachable(outputs):
        operands = sum(a.index in moving for a in node.args)
        if operands:
            moving.add(node.index)
            count += 0 if node.op in ("add", "sub", "neg") else operands
    return count


def _partials(node: Node, moving: set[int]) -> tuple[Node | int | None, ...]:
    # The derivative of a power by a constant exponent would ask for log(base), which need not exist.
    if node.op == "pow" and node.args[1].index not in moving:
        base, exponent = node.args
        return exponent * base ** (exponent - 1), None
    return partial_derivatives(node)


def gradient(scalar: Node, variables: Sequence[Node]) -> list[Node]:
    """∇f, the D first derivatives of a scalar."""
    return pull_back([scalar], [scalar.graph.constant(1)], variables)


def jacobian(vector: Sequence[Node], variables: Sequence[Node]) -> list[list[Node]]:
    """∂f, one row ∇f_i for each entry of the vector."""
    return [gradient(entry, variables) for entry in vector]


def contracted_hessian(scalar: Node, variables: Sequence[Node], b: Sequence[Sequence[Node]]) -> Node:
    """⟨∇²f, B⟩ = Σ_ij B_ij ∂_i∂_jf, with B held constant.

    Args:
        scalar: f.
        variables: x_1 … x_D.
        b: B, D×D.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> import sympy as sp
    >>> graph = Graph(); x, y, b = (graph.symbol(s) for s in sp.symbols("x y b"))
    >>> contracted_hessian(x * y, [x, y], [[b, b], [b, b]]) is 2 * b
    True
    """
    slope = gradient(scalar, variables)
    moving = [i for i, entry in enumerate(slope) if entry.op != "constant"]
    total = scalar.graph.constant(0)
    for j, variable in enumerate(variables):
        chosen = [i for i in moving if not b[i][j].is_zero]
        if chosen:
            total = total + pull_back([slope[i] for i in chosen], [b[i][j] for i in chosen], [variable])[0]
    return total
