"""Large formulas with names for their parts: a straight-line program as equations that fit on lines."""

from collections.abc import Callable, Iterator
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.program import Instruction, Program
from symbolic_sgd.algebra.translation import Expression, bracketed_operation
from symbolic_sgd.printing.fitting import Fitted, Write, fitted

WIDEST = 30
"""Characters of an operand of a product, quotient or function; a wider one is given a name."""

PLAIN = 9
"""Characters up to which an expression is repeated rather than named."""


def named_parts(program: Program, name: str, widest: float, write: Write) -> Fitted:
    """The entries of an output of a program with names for what is used twice or would be too wide inside a product.

    The entries of the program's other outputs keep the names of those outputs: G_1_2, and all other parts are t1, t2, ….

    Args:
        program: with that output.
        name: of the output.
        widest: characters of a line.
        write: how expressions are written.
    """
    main = next(output for output in program.outputs if output.name == name)
    builder = _Builder(program, set(_needed(program, main.registers)))
    for i in sorted(builder.needed):
        builder.add(i, program.instructions[i])
    return fitted([builder.values[r] for r in main.registers], widest, write, builder.parts)


def _needed(program: Program, registers: tuple[int, ...]) -> Iterator[int]:
    seen, stack = set(registers), list(registers)
    while stack:
        i = stack.pop()
        yield i
        fresh = set(program.instructions[i].args) - seen
        seen |= fresh
        stack.extend(fresh)


class _Builder:
    """Expressions of the registers, with their widths in characters, and the names given so far."""

    def __init__(self, program: Program, needed: set[int]):
        self.needed = needed
        self.values: dict[int, Expression] = {}
        self.widths: dict[int, int] = {}
        self.parts: list[tuple[sp.Symbol, Expression]] = []
        self._uses = _uses(program, needed)
        taken = {s.name for s in program.symbols}
        self._given = {
            register: sp.Symbol(f"{output.name}_{k // output.shape[1] + 1}_{k % output.shape[1] + 1}")
            for output in program.outputs
            for k, register in reversed(list(enumerate(output.registers)))
            if output.name not in taken and len(output.name) == 1
        }

    def add(self, i: int, instruction: Instruction) -> None:
        if instruction.op not in ("add", "sub", "neg"):
            for a in instruction.args:
                if self.widths[a] > WIDEST:
                    self._name(a)
        operands = [self.values[a] for a in instruction.args]
        self.values[i] = bracketed_operation(instruction.op, instruction.value, operands)
        self.widths[i] = _WIDTHS.get(instruction.op, _width_of_call)(
            self.values[i], [self.widths[a] for a in instruction.args]
        )
        if instruction.args and (i in self._given or (self._uses[i] > 1 and self.widths[i] > PLAIN)):
            self._name(i)

    def _name(self, i: int) -> None:
        symbol = self._given.get(i) or sp.Dummy(f"t_{i}")
        self.parts.append((symbol, self.values[i]))
        self.values[i], self.widths[i] = symbol, 3


def _uses(program: Program, needed: set[int]) -> dict[int, int]:
    uses = dict.fromkeys(needed, 0)
    for i in needed:
        for a in program.instructions[i].args:
            uses[a] += 1
    return uses


def _width_of_call(value: Any, operands: list[int]) -> int:
    return sum(operands) + 5


_WIDTHS: dict[str, Callable[[Any, list[int]], int]] = {
    "constant": lambda value, operands: len(str(value)),
    "symbol": lambda value, operands: len(value.name),
    "add": lambda value, operands: sum(operands) + 3,
    "sub": lambda value, operands: sum(operands) + 3,
    "neg": lambda value, operands: sum(operands) + 3,
    "mul": lambda value, operands: sum(operands) + 3,
    "div": lambda value, operands: max(operands) + 2,
}
