"""Numbers with more digits than float64, many at once: NumPy's long double where it has 64 bits, else mpmath's in arrays."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import BY_OPERATORS, FLOAT64, PRECISE, Arithmetic, Operations
from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.algebra.graph import Exact
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Instruction, Program
from symbolic_sgd.numeric.in_place import InPlaceProgram

DIGITS = 30
"""Of mpmath's numbers in arrays."""

WRITTEN = 25
"""Digits with which a number is handed to a long double."""


@dataclass(frozen=True)
class Extended:
    """A kind of number in arrays.

    Args:
        arithmetic: how it computes.
        dtype: of its arrays.
        epsilon: its relative rounding.
    """

    arithmetic: Arithmetic
    dtype: Any
    epsilon: float

    def number(self, value: Any) -> Any:
        """A number of mpmath, or a float, of this kind."""
        return _long(value) if self.dtype is np.longdouble else mp.mpf(value)

    def function(
        self, program: Program, state: Sequence[sp.Symbol], known: Mapping[sp.Symbol, Any], width: int
    ) -> Callable[[np.ndarray, np.ndarray], None]:
        """The first output of a program as f(z, out) of arrays with one row an entry and so many columns.

        Args:
            program: what is computed.
            state: the symbols of the rows of z.
            known: of all other symbols, numbers of this kind or arrays of columns.
            width: the number of columns.
        """
        if self.dtype is not np.longdouble:
            return self._evaluated(program, state, known)
        held, constants = _without_constants(program)
        others = tuple(s for s in sorted(held.symbols, key=str) if s not in state)
        values = {**known, **{s: self._value(i) for s, i in constants.items()}}
        rows = np.array([np.broadcast_to(values[s], (width,)) for s in others], self.dtype).reshape(len(others), width)
        in_place = InPlaceProgram(held, (*state, *others))
        return lambda z, out: in_place(z, rows, out)

    def _evaluated(
        self, program: Program, state: Sequence[sp.Symbol], known: Mapping[sp.Symbol, Any]
    ) -> Callable[[np.ndarray, np.ndarray], None]:
        def function(z: np.ndarray, out: np.ndarray) -> None:
            (entries,) = program.run(self.arithmetic, {**known, **dict(zip(state, z, strict=True))}).values()
            for row, entry in zip(out, entries, strict=True):
                row[:] = entry

        return function

    def _value(self, instruction: Instruction) -> Any:
        exact = instruction.op == "constant"
        return self.arithmetic.constant(instruction.value) if exact else self.arithmetic.operations[instruction.op]()


def _without_constants(program: Program) -> tuple[Program, dict[sp.Symbol, Instruction]]:
    """The program with symbols in place of its constants, which float64 would round."""
    constants = {k: sp.Dummy(f"c{k}") for k, i in enumerate(program.instructions) if not i.args and i.op != "symbol"}
    instructions = (
        Instruction("symbol", (), constants[k]) if k in constants else i for k, i in enumerate(program.instructions)
    )
    held = Program(tuple(instructions), program.outputs)
    return held, {symbol: program.instructions[k] for k, symbol in constants.items()}


def extended(operations: Iterable[str]) -> Extended:
    """The fastest kind that has all of these operations.

    >>> third = extended(["add"]).arithmetic.constant(1) / 3
    >>> abs(float(3 * third - 1)) < 1e-18
    True
    """
    has = np.finfo(np.longdouble).eps < 1e-18 and all(op not in FUNCTIONS or _in_long_double(op) for op in operations)
    return LONG_DOUBLE if has else OBJECTS


def _long(value: Any) -> Any:
    with mp.workdps(DIGITS):
        return np.longdouble(mp.nstr(+mp.mpf(value), WRITTEN))


def _exact(value: Exact) -> Any:
    with mp.workdps(DIGITS):
        return _long(PRECISE.constant(value))


def _named(name: str) -> Any:
    with mp.workdps(DIGITS):
        return _long(CONSTANTS[name][2]())


@cache
def _in_long_double(name: str) -> bool:
    row = FUNCTIONS[name]
    with np.errstate(all="ignore"):
        try:
            value = row.numeric(*[np.full(1, 0.25, np.longdouble)] * row.arity)
        except TypeError:
            return False
    return np.asarray(value).dtype == np.longdouble


def _named_constants() -> dict[str, Any]:
    return {name: (lambda name=name: _named(name)) for name in CONSTANTS}


def _on_objects(function: Any, arity: int) -> Any:
    return np.frompyfunc(function, arity, 1)


LONG_DOUBLE = Extended(
    Arithmetic(_exact, Operations(lambda name, row: row.numeric, {**FLOAT64.operations, **_named_constants()})),
    np.longdouble,
    float(np.finfo(np.longdouble).eps),
)
"""The long double of the platform."""

OBJECTS = Extended(
    Arithmetic(
        PRECISE.constant,
        Operations(
            lambda name, row: _on_objects(PRECISE.operations[name], row.arity),
            {
                **BY_OPERATORS,
                "pow": _on_objects(PRECISE.operations["pow"], 2),
                **{c: PRECISE.operations[c] for c in CONSTANTS},
            },
        ),
    ),
    object,
    10.0**-DIGITS,
)
"""Arrays of numbers of mpmath, to be computed with `mp.workdps(DIGITS)`."""
