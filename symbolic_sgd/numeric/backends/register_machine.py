"""NumPy: ufuncs on registers that are reused, in blocks that fit the cache; floats for a single point."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.algebra.arithmetic import FLOAT64
from symbolic_sgd.numeric.host import BLOCK, HostBackend
from symbolic_sgd.numeric.in_place import Call, ufunc_calls
from symbolic_sgd.numeric.lowering import STORE, Lowered, Step

CACHE = 1 << 22
"""Bytes that the registers of a block may take."""

SHORTEST = 4096
"""A block is at least so long: below, the calls cost more than the arithmetic."""

WRITTEN_OUT = 20_000
"""A longer program is not written as Python source for single points: compiling it takes longer than a second."""

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


@dataclass(frozen=True)
class NumPy(HostBackend):
    """The default back end; it needs nothing beyond NumPy, and its memory does not grow with the batch.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> sde.lambdify(backend=NumPy()).drift([[2.0, 0.5], [1.0, 1.0]]).shape
    (2, 2)
    """

    def kernel(self, lowered: Lowered) -> "RegisterMachine":
        return RegisterMachine(lowered)


@dataclass(frozen=True)
class RegisterMachine:
    """A lowered program, run step by step on arrays."""

    lowered: Lowered

    @cached_property
    def length(self) -> int:
        """Points a block, so that the registers stay in the cache."""
        slots = self.lowered.inputs + self.lowered.registers + 1
        return int(np.clip(CACHE // (8 * slots), SHORTEST, BLOCK))

    def rows(self, points: np.ndarray, results: Sequence[np.ndarray]) -> float:
        lowered, total = self.lowered, 0.0
        length = min(self.length, len(points))
        memory = np.empty((lowered.inputs + lowered.registers, length))
        with np.errstate(all="ignore"):
            for start in range(0, len(points), max(length, 1)):
                stop = min(start + length, len(points))
                active = memory[:, : stop - start]
                active[: lowered.inputs] = points[start:stop].T
                columns = [column for result in results for column in result[start:stop].T]
                slots = [*active[: lowered.inputs], *lowered.constants, *active[lowered.inputs :], *columns]
                for function, operands in self._calls:
                    function(*operands(slots))
                total += float(points[start:stop].sum() + results[0][start:stop].sum())
        return total

    @cached_property
    def _calls(self) -> tuple[Call, ...]:
        return ufunc_calls(self.lowered)

    def point(self, point: np.ndarray) -> Sequence[float] | None:
        if self._function is None:
            return None
        try:
            if self._quiet:
                return self._function(*point.tolist())
            with np.errstate(all="ignore"):
                return self._function(*point.tolist())
        except ZeroDivisionError:
            return None  # IEEE 754 goes on with ±∞

    @cached_property
    def _quiet(self) -> bool:
        """Whether Python's floats do it all, which never warn."""
        return all(step.op in {STORE, "neg", *INFIX} for step in self.lowered.steps)

    @cached_property
    def _function(self) -> Callable[..., Sequence[float]] | None:
        return _python_function(self.lowered) if self.lowered.operations <= WRITTEN_OUT else None


def _python_function(lowered: Lowered) -> Callable[..., Sequence[float]]:
    """The program on Python floats: the same IEEE operations, and NumPy's own functions, so that no bit differs."""
    scope: dict[str, Any] = {f"f_{op}": f for op, f in FLOAT64.operations.items()} | {"float": float}
    scope |= {f"s{lowered.inputs + k}": value for k, value in enumerate(lowered.constants)}
    names = ", ".join(f"s{i}" for i in range(lowered.inputs))
    body = "".join(f"    {_line(step)}\n" for step in lowered.steps)
    results = ", ".join(f"y{k}" for k in range(lowered.size))
    exec(f"def evaluate({names}):\n{body}    return [{results}]\n", scope)
    return scope["evaluate"]


def _line(step: Step) -> str:
    operands = [f"s{a}" for a in step.operands]
    if step.op == STORE:
        return f"y{step.target} = {operands[0]}"
    if step.op in INFIX:
        return f"s{step.target} = {operands[0]} {INFIX[step.op]} {operands[1]}"
    if step.op == "neg":
        return f"s{step.target} = -{operands[0]}"
    return f"s{step.target} = float(f_{step.op}({', '.join(operands)}))"
