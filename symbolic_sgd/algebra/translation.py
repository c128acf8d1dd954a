"""The border between SymPy expressions and graphs, both ways."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.stable_forms import stable_form
from symbolic_sgd.errors import ComplexValue, InexactNumber, UnsupportedExpression

Expression = Any
"""A SymPy expression (its own annotations say Basic, or an element of a matrix, where it returns an Expr)."""

SymbolicMatrix = Any
"""A SymPy matrix of expressions."""


def _maximum(graph: Graph, args: tuple[Node, ...], sign: int) -> Node:
    result = args[0]
    for other in args[1:]:
        result = (result + other + sign * graph.call("Abs", result - other)) / 2
    return result


REDUCED: dict[str, Callable[[Graph, tuple[Node, ...]], Node]] = {
    "cot": lambda graph, a: graph.call("cos", *a) / graph.call("sin", *a),
    "sec": lambda graph, a: 1 / graph.call("cos", *a),
    "csc": lambda graph, a: 1 / graph.call("sin", *a),
    "coth": lambda graph, a: 1 / graph.call("tanh", *a),
    "csch": lambda graph, a: 1 / graph.call("sinh", *a),
    "Max": lambda graph, a: _maximum(graph, a, 1),
    "Min": lambda graph, a: _maximum(graph, a, -1),
    "Heaviside": lambda graph, a: (1 + graph.call("sign", a[0])) / 2,
    "conjugate": lambda graph, a: a[0],  # every symbol stands for a real number
    "re": lambda graph, a: a[0],
}
"""Functions that are written by others; rows of SymPy class name → construction."""


def from_sympy(expression: sp.Expr, graph: Graph) -> Node:
    """The node that computes a SymPy expression, by functions that keep their digits in float64 where there are some.

    Raises:
        UnsupportedExpression: a function or object outside the tables.
        InexactNumber: a floating-point number.
        ComplexValue: the imaginary unit, or an infinity.
    """
    return _translated(expression, graph, {}, stable_form)


def as_written(expression: sp.Expr, given: Mapping[Any, Node], graph: Graph) -> Node:
    """The node that computes an expression operation by operation, with nodes for some of its symbols."""
    return _translated(expression, graph, dict(given), lambda head: None)


def _translated(
    expression: sp.Expr, graph: Graph, done: dict[Any, Node], reading: Callable[[Expression], Expression | None]
) -> Node:
    """The node of an expression, each operation of which is taken for `reading` of it where that is not None."""
    stack: list[Any] = [expression]
    read: dict[Any, Any] = {}
    while stack:
        head = stack[-1]
        if head in done:
            stack.pop()
            continue
        _check_known(head)
        if head not in read:
            read[head] = None if head.is_Atom else reading(head)
        needed = head.args if read[head] is None else (read[head],)
        missing = [] if head.is_Atom else [a for a in needed if a not in done]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        args = [] if head.is_Atom else [done[a] for a in needed]
        done[head] = _node(head, args, graph) if read[head] is None else args[0]
    return done[expression]


def _check_known(expression: Any) -> None:
    if expression.is_Add or expression.is_Mul or expression.is_Pow or expression.is_Symbol or expression.is_Rational:
        return
    name = type(expression).__name__
    known = (name in FUNCTIONS or name in REDUCED) and not isinstance(expression, AppliedUndef)
    if known or any(expression == row[0] for row in CONSTANTS.values()):
        return
    if expression.is_Float:
        raise InexactNumber(
            f"{expression} is a floating-point number: write it exactly, or pass the data through exact()"
        )
    if expression is sp.I or expression.is_infinite or expression is sp.nan:
        raise ComplexValue(f"{expression} is not a real number: losses and noises are real-valued")
    if hasattr(expression, "doit") and name in ("Derivative", "Integral", "Sum", "Product", "Subs", "Limit"):
        raise UnsupportedExpression(f"{expression} is not evaluated: use its .doit()")
    table = ", ".join(sorted({*FUNCTIONS, *REDUCED} - {"conjugate", "re"}))
    raise UnsupportedExpression(f"{expression} ({name}) is not in the table of functions; known are {table}")


def _node(expression: Any, args: list[Node], graph: Graph) -> Node:
    if expression.is_Symbol:
        return graph.symbol(expression)
    if expression.is_Rational:
        return graph.constant(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Add:
        return sum(args[1:], args[0])
    if expression.is_Mul:
        return _product(expression, args, graph)
    if expression.is_Pow:
        return args[0] ** args[1]
    return _atom_or_call(expression, args, graph)


def _product(expression: sp.Mul, args: list[Node], graph: Graph) -> Node:
    numerator, denominator = graph.constant(1), graph.constant(1)
    for factor, node in _with_moduli_as_powers(list(zip(expression.args, args, strict=True))):
        if factor.is_Pow and factor.args[1].is_negative and node.op == "div":
            denominator = denominator * node.args[1]
            numerator = numerator * node.args[0]
        else:
            numerator = numerator * node
    return numerator / denominator


def _with_moduli_as_powers(factors: list[tuple[Any, Node]]) -> list[tuple[Any, Node]]:
    """Factors, with aⁿ and |a| as |a|ⁿ⁺¹ for even n: so SymPy writes odd powers of |a|, which are smoother than |a|."""
    powers = {f.base: (f, node) for f, node in factors if f.is_Pow and f.exp.is_Integer and f.exp.is_even and f.exp > 0}
    for modulus, node in [pair for pair in factors if isinstance(pair[0], sp.Abs) and pair[0].args[0] in powers]:
        power = powers[modulus.args[0]]
        factors = [pair for pair in factors if pair[0] not in (modulus, power[0])]
        whole = modulus.func(modulus.args[0], evaluate=False)
        factors.append((whole, node ** node.graph.constant(int(power[0].exp) + 1)))
    return factors


def _atom_or_call(expression: Any, args: list[Node], graph: Graph) -> Node:
    name = type(expression).__name__
    for constant, (symbolic, _, _) in CONSTANTS.items():
        if expression == symbolic:
            return graph.call(constant)
    return graph.call(name, *args) if name in FUNCTIONS else REDUCED[name](graph, tuple(args))


# --- back to SymPy --------------------------------------------------------------------------


_SYMPY_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": sp.Add,
    "sub": lambda a, b: sp.Add(a, -b),
    "mul": sp.Mul,
    "div": lambda a, b: sp.Mul(a, sp.Pow(b, -1)),
    "neg": lambda a: -a,
    "pow": sp.Pow,
}


def nodes_of(matrix: Any, graph: Graph) -> Matrix:
    """A SymPy matrix of expressions on a graph."""
    return Matrix.of([from_sympy(matrix[i, j], graph) for j in range(matrix.cols)] for i in range(matrix.rows))


def sympy_operation(op: str, value: Any, args: list[Any]) -> Any:
    """One operation of a graph or program, applied to SymPy expressions."""
    if op == "constant":
        return sp.Rational(value.numerator, value.denominator)
    if op == "symbol":
        return value
    if op in CONSTANTS:
        return CONSTANTS[op][0]
    return _SYMPY_OPERATIONS[op](*args) if op in _SYMPY_OPERATIONS else FUNCTIONS[op].symbolic(*args)


def bracketed_operation(op: str, value: Any, args: list[Any]) -> Any:
    """The same, but a rational factor of a sum stays before its bracket, so that the sum remains one subexpression.

    >>> x, y = sp.symbols("x y")
    >>> bracketed_operation("sub", None, [x, bracketed_operation("add", None, [x, y])])
    x - (x + y)
    """
    match op, args:
        case "mul", [factor, total] if factor.is_Rational and total.is_Add:
            return sp.Mul(factor, total, evaluate=False)
        case "neg", [total] if total.is_Add:
            return sp.Mul(-1, total, evaluate=False)
        case "sub", [first, total] if total.is_Add:
            return sp.Add(first, sp.Mul(-1, total, evaluate=False))
    return sympy_operation(op, value, args)
