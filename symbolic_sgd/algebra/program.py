"""Straight-line programs: a graph's outputs as a list of instructions, frozen, printable, picklable."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import FLOAT64, Arithmetic
from symbolic_sgd.algebra.functions import FUNCTIONS, StableForm
from symbolic_sgd.algebra.graph import Graph, Node, reachable
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import as_written, sympy_operation
from symbolic_sgd.errors import ExpressionTooLarge

EXPANSION_BUDGET = 100_000
"""A matrix whose entries, written out as trees, hold more operations than this is not expanded."""


@dataclass(frozen=True)
class Instruction:
    """register[i] = op(register[args[0]], …); leaves hold their constant or symbol in `value`."""

    op: str
    args: tuple[int, ...]
    value: Any = None


@dataclass(frozen=True)
class Output:
    """A named matrix whose entries, row by row, stand in the given registers."""

    name: str
    shape: tuple[int, int]
    registers: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A straight-line program: each instruction uses only earlier ones.

    Args:
        instructions: register i holds the value of instruction i.
        outputs: the named results.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> graph = Graph(); u, v = (graph.symbol(s) for s in sp.symbols("u v"))
    >>> program = Program.of({"f": Matrix.column([u * v - 1, (u * v - 1) / u])})
    >>> print(program)
    t1 = u*v
    t2 = t1 - 1
    t3 = t2/u
    f = [t2, t3]
    >>> program.operations
    3
    """

    instructions: tuple[Instruction, ...]
    outputs: tuple[Output, ...]

    @staticmethod
    def of(outputs: Mapping[str, Matrix]) -> "Program":
        """The program of some named matrices of one graph, without anything they do not need."""
        return _frozen([(name, matrix.shape, matrix.entries) for name, matrix in outputs.items()])

    @property
    def operations(self) -> int:
        """The number of arithmetic operations and function calls."""
        return sum(bool(instruction.args) for instruction in self.instructions)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the program, instruction by instruction: the source of formulas and of callables."""
        digest = hashlib.sha256()
        for i in self.instructions:
            digest.update(f"{i.op} {i.args} {i.value}\n".encode())
        for o in self.outputs:
            digest.update(f"{o.name} {o.shape} {o.registers}\n".encode())
        return digest.hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its outputs."""
        return tuple(output.name for output in self.outputs)

    @property
    def symbols(self) -> frozenset[sp.Symbol]:
        """The symbols it reads."""
        return frozenset(i.value for i in self.instructions if i.op == "symbol")

    def select(self, *names: str) -> "Program":
        """The part of the program that computes the outputs of these names, in this order."""
        by_name = {output.name: output for output in self.outputs}
        outputs = [by_name[name] for name in names]
        needed = {register for output in outputs for register in output.registers}
        for i in reversed(range(len(self.instructions))):
            if i in needed:
                needed.update(self.instructions[i].args)
        new = {old: i for i, old in enumerate(sorted(needed))}
        return Program(
            tuple(
                Instruction(old.op, tuple(new[a] for a in old.args), old.value)
                for old in (self.instructions[i] for i in new)
            ),
            tuple(Output(o.name, o.shape, tuple(new[r] for r in o.registers)) for o in outputs),
        )

    @cached_property
    def last_use(self) -> tuple[tuple[int, ...], ...]:
        """For each instruction, the registers that nothing needs once it has run."""
        kept = {register for output in self.outputs for register in output.registers}
        free: list[list[int]] = [[] for _ in self.instructions]
        for i in reversed(range(len(self.instructions))):
            for a in self.instructions[i].args:
                if a not in kept:
                    kept.add(a)
                    free[i].append(a)
        return tuple(tuple(f) for f in free)

    def run(self, arithmetic: Arithmetic, assignment: Mapping[sp.Symbol, Any]) -> dict[str, list[Any]]:
        """Every output's entries as numbers, row by row; an intermediate result is dropped after its last use."""
        registers: list[Any] = [None] * len(self.instructions)
        for i, (instruction, free) in enumerate(zip(self.instructions, self.last_use, strict=True)):
            if instruction.op == "constant":
                registers[i] = arithmetic.constant(instruction.value)
            elif instruction.op == "symbol":
                registers[i] = assignment[instruction.value]
            else:
                registers[i] = arithmetic.operations[instruction.op](*(registers[a] for a in instruction.args))
            for register in free:
                registers[register] = None
        return {output.name: [registers[r] for r in output.registers] for output in self.outputs}

    def on(self, graph: Graph) -> dict[str, Matrix]:
        """Every output as a matrix of nodes of a graph, to go on computing with."""
        nodes = self._nodes(graph, Graph.operation)
        return {
            o.name: Matrix.of(
                [nodes[r] for r in o.registers[k * o.shape[1] : (k + 1) * o.shape[1]]] for k in range(o.shape[0])
            )
            for o in self.outputs
        }

    def rewritten(self, operation: "Operation") -> "Program":
        """The program in which each instruction is what `operation` makes of it."""
        nodes = self._nodes(Graph(), operation)
        return _frozen([(o.name, o.shape, [nodes[r] for r in o.registers]) for o in self.outputs])

    def _nodes(self, graph: Graph, operation: "Operation") -> list[Node]:
        nodes: list[Node] = []
        for i in self.instructions:
            nodes.append(operation(graph, i.op, tuple(nodes[a] for a in i.args), i.value))
        return nodes

    def expanded_size(self, name: str) -> int:
        """The number of operations of an output when it is written out, found without writing it out."""
        size: list[int] = []
        for instruction in self.instructions:
            size.append(sum(size[a] for a in instruction.args) + bool(instruction.args))
        return sum(size[r] for output in self.outputs if output.name == name for r in output.registers)

    def expand(
        self,
        name: str,
        *,
        budget: int = EXPANSION_BUDGET,
        operation: Callable[[str, Any, list[Any]], Any] = sympy_operation,
    ) -> sp.ImmutableDenseMatrix:
        """An output as a matrix of SymPy expressions in the user's own symbols.

        Args:
            name: which output.
            budget: the most operations.
            operation: how one operation is applied to expressions.

        Raises:
            ExpressionTooLarge: it holds more than `budget` operations when written out.
        """
        part = self.select(name)
        size = part.expanded_size(name)
        if size > budget:
            raise ExpressionTooLarge(
                f"{name} holds {size:.3g} operations when written out (budget {budget:,}). As a program it has "
                f"{part.operations:,}: use sde.program (named intermediate results), or sde.lambdify() for numbers"
            )
        values: list[sp.Expr] = []
        for i in part.instructions:
            values.append(operation(i.op, i.value, [values[a] for a in i.args]))
        (output,) = part.outputs
        return sp.ImmutableDenseMatrix(*output.shape, [values[r] for r in output.registers])

    def to_sympy(self) -> tuple[list[tuple[sp.Symbol, sp.Expr]], dict[str, sp.ImmutableDenseMatrix]]:
        """Named intermediate results and the outputs in terms of them, in the form that `sympy.cse` returns."""
        taken = {s.name for s in self.symbols}
        names = (sp.Symbol(name) for i in range(1, 10**9) if (name := f"t{i}") not in taken)
        return self._named(names)

    def _named(self, names: Iterator[sp.Symbol]) -> tuple[list, dict[str, sp.ImmutableDenseMatrix]]:
        definitions: list[tuple[sp.Symbol, sp.Expr]] = []
        registers: list[sp.Expr] = []
        for instruction in self.instructions:
            value = sympy_operation(instruction.op, instruction.value, [registers[a] for a in instruction.args])
            if instruction.args:
                definitions.append((next(names), value))
                value = definitions[-1][0]
            registers.append(value)
        return definitions, {
            o.name: sp.ImmutableDenseMatrix(*o.shape, [registers[r] for r in o.registers]) for o in self.outputs
        }

    def __repr__(self) -> str:
        outputs = ", ".join(f"{o.name} {o.shape[0]}×{o.shape[1]}" for o in self.outputs)
        return f"Program({self.operations} operations: {outputs})"

    def __str__(self) -> str:
        definitions, outputs = self.to_sympy()
        lines = [f"{name} = {value}" for name, value in definitions]
        return "\n".join(lines + [f"{name} = {matrix.flat()}" for name, matrix in outputs.items()])


Operation = Callable[[Graph, str, tuple[Node, ...], Any], Node]
"""(graph, op, operands, value) ↦ the node that computes one instruction."""


def _frozen(outputs: Sequence[tuple[str, tuple[int, int], Sequence[Node]]]) -> Program:
    nodes = reachable(entry for _, _, entries in outputs for entry in entries)
    register = {node.index: i for i, node in enumerate(nodes)}
    return Program(
        tuple(Instruction(n.op, tuple(register[a.index] for a in n.args), n.value) for n in nodes),
        tuple(Output(name, shape, tuple(register[e.index] for e in entries)) for name, shape, entries in outputs),
    )


def merged(*programs: Program) -> Program:
    """One program with the outputs of several, operation by operation; what they have in common is computed once."""
    instructions: dict[Instruction, int] = {}
    outputs: list[Output] = []
    for program in programs:
        places: list[int] = []
        for i in program.instructions:
            args = tuple(places[a] for a in i.args)
            key = Instruction(i.op, tuple(sorted(args)) if i.op in COMMUTATIVE else args, i.value)
            places.append(instructions.setdefault(key, len(instructions)))
        outputs += [Output(o.name, o.shape, tuple(places[r] for r in o.registers)) for o in program.outputs]
    return Program(tuple(instructions), tuple(outputs))


COMMUTATIVE = frozenset({"add", "mul"})


# --- the rows that formulas and libraries lack ------------------------------------------------


def in_library_functions(program: Program) -> Program:
    """The same values by functions that libraries have: every other row of the table is computed as it says."""
    lacking = any(isinstance(row := FUNCTIONS.get(i.op), StableForm) and row.computed for i in program.instructions)
    return program.rewritten(_computed) if lacking else program


def _computed(graph: Graph, op: str, args: tuple[Node, ...], value: Any) -> Node:
    row = FUNCTIONS.get(op)
    if isinstance(row, StableForm) and row.computed is not None:
        return row.computed(*args, graph.call)
    return graph.operation(op, args, value)


def in_written_functions(program: Program) -> Program:
    """The same values by the functions in which formulas are written, e^{a + ln b} being b eᵃ."""
    if not any(isinstance(FUNCTIONS.get(i.op), StableForm) for i in program.instructions):
        return program
    return program.rewritten(_written).rewritten(_without_logarithms)


def _written(graph: Graph, op: str, args: tuple[Node, ...], value: Any) -> Node:
    row = FUNCTIONS.get(op)
    if not isinstance(row, StableForm):
        return graph.operation(op, args, value)
    letters = {sp.Dummy(): a for a in args}
    shown = (sp.S.Zero if a.is_zero else s for s, a in letters.items())  # e⁰ is 1
    return as_written(row.symbolic(*shown), letters, graph)


def _without_logarithms(graph: Graph, op: str, args: tuple[Node, ...], value: Any) -> Node:
    return _exponential(args[0]) if op == "exp" else graph.operation(op, args, value)


def _exponential(exponent: Node) -> Node:
    """e^exponent, logarithms among its terms taken out."""
    if exponent.op == "log":
        return exponent.args[0]
    if exponent.op in ("add", "sub") and any(a.op == "log" for a in exponent.args):
        a, b = map(_exponential, exponent.args)
        return a * b if exponent.op == "add" else a / b
    if exponent.op == "neg" and exponent.args[0].op == "log":
        return 1 / exponent.args[0].args[0]
    return exponent.graph.call("exp", exponent)


def evaluate(program: Program, symbols: tuple[sp.Symbol, ...], points: np.ndarray) -> dict[str, np.ndarray]:
    """Every output of a program at B points (one a row), as B×entries arrays."""
    with np.errstate(all="ignore"):
        values = program.run(FLOAT64, dict(zip(symbols, points.T, strict=True)))
    return {
        name: np.stack([np.broadcast_to(e, len(points)) for e in entries], axis=1)
        if entries
        else np.empty((len(points), 0))
        for name, entries in values.items()
    }
