"""From symbols to numbers: how the kinds of number that are always there compute an operation.

A kind of number is one `Arithmetic` object. Balls are in `algebra/balls.py`; the libraries of the back ends are columns of the
table of functions.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS, ElementaryFunction
from symbolic_sgd.algebra.graph import Exact, Graph, Node
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.errors import ComplexValue, InexactNumber

PreciseNumber = Any
"""An `mpf` (mpmath has no type information)."""

PreciseMatrix = Any
"""A matrix of mpmath."""


def _precise(value: Exact) -> PreciseNumber:
    return mp.mpf(value.numerator) / value.denominator


def _real(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*args: Any) -> Any:
        value = function(*args)
        if hasattr(value, "_mpc_"):
            shown = ", ".join(str(mp.nstr(a, 6)) for a in args)
            raise ComplexValue(f"{name}({shown}) is not a real number")
        return value

    return checked


@dataclass(frozen=True)
class Arithmetic:
    """How one kind of number computes each operation.

    Args:
        constant: an exact rational as a number.
        operations: op → function of its operands, for arithmetic, functions, and named constants alike.
    """

    constant: Callable[[Exact], Any]
    operations: Mapping[str, Callable[..., Any]]


BY_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
}
"""Arithmetic of whatever has the operators + − * /."""


def nearest_float(value: Exact) -> float:
    """A rational in float64; beyond its range ±∞, as an operation there would give."""
    exact = Fraction(value)
    try:
        return float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


class Operations(dict[str, Callable[..., Any]]):
    """Arithmetic and named constants, and the functions of the table by a column of it."""

    def __init__(self, column: Callable[[str, ElementaryFunction], Callable[..., Any]], others: Mapping[str, Any]):
        super().__init__({**others, **{name: column(name, row) for name, row in FUNCTIONS.items()}})
        self._column = column

    def __missing__(self, name: str) -> Callable[..., Any]:
        """A row that the table has by now."""
        return self._column(name, FUNCTIONS[name])


FLOAT64 = Arithmetic(
    constant=nearest_float,
    operations=Operations(
        lambda name, row: row.numeric,
        {
            "add": np.add,
            "sub": np.subtract,
            "mul": np.multiply,
            "div": np.divide,
            "neg": np.negative,
            "pow": np.power,
            **{name: (lambda value=row[1]: value) for name, row in CONSTANTS.items()},
        },
    ),
)
"""NumPy arrays of float64, broadcasting over batches."""

RELATIONS: dict[str, Callable[..., Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "!=": np.not_equal,
}
"""Inequalities on float64, by SymPy's sign for them."""

PRECISE = Arithmetic(
    constant=_precise,
    operations=Operations(
        lambda name, row: _real(name, row.precise),
        {
            **BY_OPERATORS,
            "pow": _real("pow", lambda a, b: a**b),
            **{name: row[2] for name, row in CONSTANTS.items()},
        },
    ),
)
"""mpmath numbers at the working precision in force (`mp.workdps`)."""


def _rational(name: str) -> Callable[..., Fraction]:
    def exact(*args: Fraction) -> Fraction:
        known = [sp.Rational(a.numerator, a.denominator) for a in args]
        symbolic: Any = sp.Pow if name == "pow" else FUNCTIONS[name].symbolic if name in FUNCTIONS else None
        value = CONSTANTS[name][0] if symbolic is None else symbolic(*known)
        if not isinstance(value, sp.Rational):
            shown = f"{name}({', '.join(map(str, args))})" if args else name
            raise InexactNumber(f"{shown} is no rational number: evaluate with MPMath(digits=…) instead")
        return Fraction(int(value.p), int(value.q))

    return exact


EXACT = Arithmetic(
    constant=Fraction,
    operations=Operations(
        lambda name, row: _rational(name),
        {
            **BY_OPERATORS,
            "pow": _rational("pow"),
            **{name: _rational(name) for name in CONSTANTS},
        },
    ),
)
"""Rationals; what leaves them raises `InexactNumber`."""


class Valuation:
    """The values of a graph's nodes at one point, each computed once.

    Args:
        arithmetic: the kind of number.
        assignment: a number for every symbol.
    """

    def __init__(self, arithmetic: Arithmetic, assignment: Mapping[sp.Symbol, Any]):
        self.arithmetic = arithmetic
        self.assignment = dict(assignment)
        self._values: dict[int, Any] = {}
        self._graph: Graph | None = None

    def __call__(self, roots: Sequence[Node]) -> list[Any]:
        """The values of the roots, nodes of one graph in all calls."""
        values = self._values
        if roots:
            if self._graph is None:
                self._graph = roots[0].graph
            if roots[0].graph is not self._graph:
                raise RuntimeError("a valuation holds the values of one graph's nodes: make another for another graph")
        missing = [root for root in roots if root.index not in values]
        operations = self.arithmetic.operations
        for node in self._pending(missing):
            args = node.args
            if len(args) == 2:  # most operations have two operands: this loop is the cost of every zero test
                values[node.index] = operations[node.op](values[args[0].index], values[args[1].index])
            else:
                values[node.index] = self._value(node)
        return [values[root.index] for root in roots]

    def _pending(self, roots: Sequence[Node]) -> list[Node]:
        if not roots:
            return []
        seen: dict[int, Node] = {}
        stack = list(roots)
        while stack:
            node = stack.pop()
            if node.index not in seen and node.index not in self._values:
                seen[node.index] = node
                stack.extend(node.args)
        return [seen[index] for index in sorted(seen)]

    def _value(self, node: Node) -> Any:
        if node.op == "constant":
            return self.arithmetic.constant(node.value)
        if node.op == "symbol":
            return self.assignment[node.value]
        return self.arithmetic.operations[node.op](*(self._values[a.index] for a in node.args))
