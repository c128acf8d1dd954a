"""Programs lowered to float64: constants folded, results stored when they are known, registers reused.

Every float64 back end prints this one list of steps; which multiplications and additions it fuses is left to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, Arithmetic
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Instruction, Program, in_library_functions
from symbolic_sgd.errors import ComplexValue

FOLDED_DIGITS = 40
"""Constants are computed to so many digits and rounded once."""

STORE = "store"


@dataclass(frozen=True)
class Step:
    """slot[target] = op(slot[operands[0]], …); for `store`, entry `target` of the results is slot[operands[0]]."""

    op: str
    target: int
    operands: tuple[int, ...]


@dataclass(frozen=True)
class Lowered:
    """A program on float64 slots: first the inputs, then the constants, then the registers.

    Args:
        inputs: how many numbers a point has.
        constants: the values of the constant slots.
        registers: how many slots are written.
        steps: in order; a register is written again once nothing needs what it holds.
        widths: the number of entries of each output; the results hold them one output after the other.
    """

    inputs: int
    constants: tuple[float, ...]
    registers: int
    steps: tuple[Step, ...]
    widths: tuple[int, ...]

    @property
    def first_register(self) -> int:
        """The slot of the first register."""
        return self.inputs + len(self.constants)

    @property
    def size(self) -> int:
        """The number of results."""
        return sum(self.widths)

    @property
    def operations(self) -> int:
        """The number of arithmetic operations and function calls."""
        return sum(step.op != STORE for step in self.steps)

    @cached_property
    def source_hash(self) -> str:
        """SHA-256 of everything above: two programs with this hash compute the same."""
        return sha256(repr((self.inputs, self.constants, self.steps, self.widths)).encode()).hexdigest()


def lower(programs: Iterable[Program], symbols: Sequence[sp.Symbol], folding: Arithmetic = PRECISE) -> Lowered:
    """Some programs, one after the other, as steps on the values of `symbols`.

    Args:
        programs: whose outputs are stored one after the other.
        symbols: one for each input.
        folding: how constants are computed from constants; in `FLOAT64` the results have the bits of `algebra.program.evaluate`.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.matrices import Matrix
    >>> graph = Graph(); u, v = (graph.symbol(s) for s in sp.symbols("u v"))
    >>> lowered = lower([Program.of({"f": Matrix.column([(u * v - 1) * u, u * v])})], sp.symbols("u v"))
    >>> lowered.constants, lowered.registers, lowered.operations
    ((-1.0,), 1, 3)
    """
    code = _Code(len(symbols), folding)
    inputs = {symbol: i for i, symbol in enumerate(symbols)}
    widths: list[int] = []
    for program in programs:
        code.append(in_library_functions(program), inputs, sum(widths))
        widths.extend(len(output.registers) for output in program.outputs)
    return _allocated(code, tuple(widths))


class _Code:
    """Steps that never write a slot twice; constants have the names −1, −2, … until their number is known."""

    def __init__(self, inputs: int, folding: Arithmetic):
        self.folding = folding
        self.inputs = inputs
        self.names = inputs
        self.constants: dict[float | str, int] = {}
        self.values: list[float] = []
        self.steps: list[Step] = []

    def append(self, program: Program, inputs: dict[sp.Symbol, int], first: int) -> None:
        slots: dict[int, int] = {}
        folded: dict[int, object] = {}
        wanted = _places(program, first)
        with mp.workdps(FOLDED_DIGITS), np.errstate(all="ignore"):
            for i in demand_order(program):
                instruction = program.instructions[i]
                if instruction.op == "symbol":
                    slots[i] = inputs[instruction.value]
                elif all(a in folded for a in instruction.args):
                    folded[i] = self._value(instruction, [folded[a] for a in instruction.args])
                    slots[i] = self._constant(float(folded[i]))  # type: ignore[arg-type]
                else:
                    slots[i] = self.names
                    self.steps.append(Step(instruction.op, self.names, tuple(slots[a] for a in instruction.args)))
                    self.names += 1
                self.steps.extend(Step(STORE, place, (slots[i],)) for place in wanted.get(i, ()))

    def _value(self, instruction: Instruction, operands: list) -> object:
        try:
            if instruction.op == "constant":
                return self.folding.constant(instruction.value)
            return self.folding.operations[instruction.op](*operands)
        except (ComplexValue, ZeroDivisionError):
            return mp.nan

    def _constant(self, value: float) -> int:
        key = repr(value)  # −0.0 and 0.0 differ, and NaN is itself
        if key not in self.constants:
            self.constants[key] = -1 - len(self.values)
            self.values.append(value)
        return self.constants[key]


def demand_order(program: Program) -> list[int]:
    """The instructions in the order in which the outputs ask for them, the deeper operand first.

    About half as many registers are alive at a time as in the order of the derivation (cf. Sethi & Ullman 1970, whose
    order is optimal for trees); every operation stays the same, and so does every bit of the results.
    """
    depth: list[int] = []
    for instruction in program.instructions:
        depth.append(1 + max((depth[a] for a in instruction.args), default=0))
    order: list[int] = []
    seen: set[int] = set()
    for root in (r for output in program.outputs for r in output.registers):
        stack = [(root, False)]
        while stack:
            i, ready = stack.pop()
            if ready:
                order.append(i)
            elif i not in seen:
                seen.add(i)
                stack.append((i, True))
                stack.extend((a, False) for a in sorted(program.instructions[i].args, key=depth.__getitem__))
    return order


def _places(program: Program, first: int) -> dict[int, list[int]]:
    places: dict[int, list[int]] = {}
    for output in program.outputs:
        for register in output.registers:
            places.setdefault(register, []).append(first)
            first += 1
    return places


def _allocated(code: _Code, widths: tuple[int, ...]) -> Lowered:
    """Linear scan: a register is free for the very step that reads it last."""
    last = {a: i for i, step in enumerate(code.steps) for a in step.operands}
    first = code.inputs + len(code.values)
    slot = {i: i for i in range(code.inputs)}
    slot |= {-1 - k: code.inputs + k for k in range(len(code.values))}
    free: list[int] = []
    count = 0
    steps: list[Step] = []
    for i, step in enumerate(code.steps):
        operands = tuple(slot[a] for a in step.operands)
        free.extend(slot[a] for a in set(step.operands) if a >= code.inputs and last[a] == i)
        if step.op == STORE:
            steps.append(Step(STORE, step.target, operands))
            continue
        if not free:
            free.append(first + count)
            count += 1
        slot[step.target] = free.pop()
        steps.append(Step(step.op, slot[step.target], operands))
        if step.target not in last:
            free.append(slot[step.target])
    used = {a for step in steps for a in step.operands}
    return _without_unused_constants(Lowered(code.inputs, tuple(code.values), count, tuple(steps), widths), used)


def _without_unused_constants(lowered: Lowered, used: set[int]) -> Lowered:
    """Constants that were folded into others leave no slot."""
    kept = [k for k in range(len(lowered.constants)) if lowered.inputs + k in used]
    new = {lowered.inputs + k: lowered.inputs + i for i, k in enumerate(kept)}
    shift = len(lowered.constants) - len(kept)

    def move(a: int) -> int:
        return a if a < lowered.inputs else new[a] if a in new else a - shift

    steps = tuple(
        Step(s.op, s.target if s.op == STORE else move(s.target), tuple(move(a) for a in s.operands))
        for s in lowered.steps
    )
    constants = tuple(lowered.constants[k] for k in kept)
    return Lowered(lowered.inputs, constants, lowered.registers, steps, lowered.widths)
