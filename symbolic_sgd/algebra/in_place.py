"""A program on columns of replicas: NumPy's ufuncs with `out=`, their buffers reused as soon as nothing needs them."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import FLOAT64
from symbolic_sgd.algebra.program import Program, in_library_functions

KEPT = 8
"""Sets of arrays for which the calls are kept: a scheme of several stages alternates between a few."""

Call = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True)
class InPlaceProgram:
    """A program with one output as a function f(x, …, out) of arrays with one row an entry and one column a replica.

    The calls are prepared once for each set of arrays, so that a loop over the same arrays costs the arithmetic alone.
    It may be pickled, and called from several threads at a time.

    Args:
        program: what is computed, one output.
        inputs: for each array that is passed, the symbols of its rows.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.matrices import Matrix
    >>> graph = Graph(); u, v = sp.symbols("u v")
    >>> f = InPlaceProgram(Program.of({"f": Matrix.column([graph.symbol(u) * graph.symbol(v)])}), ((u, v),))
    >>> out = np.empty((1, 3)); f(np.array([[1., 2, 3], [4, 5, 6]]), out); out
    array([[ 4., 10., 18.]])
    """

    program: Program
    inputs: tuple[tuple[sp.Symbol, ...], ...]
    _prepared: threading.local = field(init=False, repr=False, compare=False, default_factory=threading.local)

    def __reduce__(self) -> Any:
        return InPlaceProgram, (self.program, self.inputs)

    def __call__(self, *arrays: np.ndarray) -> None:
        """Compute the output into the last array."""
        prepared: dict[tuple[int, ...], tuple[Any, list[Call]]] = self._prepared.__dict__.setdefault("calls", {})
        key = tuple(map(id, arrays))
        if key not in prepared:
            if len(prepared) >= KEPT:
                prepared.clear()
            # The arrays are kept with their calls, so that no other array can come to have their id.
            prepared[key] = arrays, _calls(self.program, self.inputs, arrays[:-1], arrays[-1])
        for function, operands in prepared[key][1]:
            function(*operands)


def _calls(
    program: Program, inputs: Sequence[Sequence[sp.Symbol]], arrays: Sequence[np.ndarray], out: np.ndarray
) -> list[Call]:
    """The ufunc calls, in order, that compute the program's output into `out`."""
    program = in_library_functions(program)
    rows = {
        s: row for symbols, array in zip(inputs, arrays, strict=True) for s, row in zip(symbols, array, strict=True)
    }
    (output,) = program.outputs
    place = {register: row for row, register in reversed(list(enumerate(output.registers)))}
    registers: list[Any] = [None] * len(program.instructions)
    owned: dict[int, np.ndarray] = {}
    idle: list[np.ndarray] = []
    calls: list[Call] = []
    for i, (instruction, free) in enumerate(zip(program.instructions, program.last_use, strict=True)):
        operands = [registers[a] for a in instruction.args]
        idle.extend(owned.pop(a) for a in free if a in owned)  # an operand's own buffer may take the result
        if instruction.op == "constant":
            registers[i] = FLOAT64.constant(instruction.value)
        elif instruction.op == "symbol":
            registers[i] = rows[instruction.value]
        elif not any(isinstance(a, np.ndarray) for a in operands):
            registers[i] = float(FLOAT64.operations[instruction.op](*operands))
        else:
            if i in place:
                registers[i] = out[place[i]]
            else:
                registers[i] = owned[i] = idle.pop() if idle else np.empty(out.shape[1])
            calls.append((FLOAT64.operations[instruction.op], (*operands, registers[i])))
    for row, register in enumerate(output.registers):
        if place[register] != row or not program.instructions[register].args or np.isscalar(registers[register]):
            calls.append((np.copyto, (out[row], registers[register])))
    return calls
