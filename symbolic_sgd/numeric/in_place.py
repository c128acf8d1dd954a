"""Lowered programs as calls of NumPy's ufuncs, each writing into an array that is there."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import FLOAT64
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.numeric.lowering import STORE, Lowered, Step, lower

KEPT = 8
"""Sets of arrays for which the calls are kept: a scheme of several stages alternates between a few."""

Call = tuple[Callable[..., Any], Callable[[Sequence[Any]], tuple[Any, ...]]]
"""A function of NumPy, and what takes its operands and its target from the slots."""


def ufunc_calls(lowered: Lowered) -> tuple[Call, ...]:
    """A lowered program as calls on its slots: the inputs, the constants, the registers, then the results.

    What is computed to be stored is computed in its place among the results, and read there.
    """
    first_result = lowered.first_register + lowered.registers
    place = list(range(first_result))
    calls: list[Call] = []
    for step, following in pairwise([*lowered.steps, Step("end", 0, ())]):
        operands = [place[a] for a in step.operands]
        if step.op != STORE:
            stored = following.op == STORE and following.operands == (step.target,)
            place[step.target] = first_result + following.target if stored else step.target
            calls.append((FLOAT64.operations[step.op], itemgetter(*operands, place[step.target])))
        elif operands != [first_result + step.target]:
            calls.append((np.positive, itemgetter(*operands, first_result + step.target)))
    return tuple(calls)


@dataclass(frozen=True)
class InPlaceProgram:
    """A program as a function f(x, …, out) of arrays with one row an entry and one column a replica.

    The calls are prepared once for each set of arrays, so that a loop over the same arrays costs the arithmetic alone.
    It may be pickled, and called from several threads at a time. Arrays of long doubles are computed in long doubles, but for the
    program's own constants, which are rounded to float64.

    Args:
        program: what is computed.
        symbols: those of the rows of x, …, one array after the other.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.matrices import Matrix
    >>> graph = Graph(); u, v = sp.symbols("u v")
    >>> f = InPlaceProgram(Program.of({"f": Matrix.column([graph.symbol(u) * graph.symbol(v)])}), (u, v))
    >>> out = np.empty((1, 3)); f(np.array([[1., 2, 3], [4, 5, 6]]), out); out
    array([[ 4., 10., 18.]])
    """

    program: Program
    symbols: tuple[sp.Symbol, ...]
    _prepared: threading.local = field(init=False, repr=False, compare=False, default_factory=threading.local)

    def __reduce__(self) -> Any:
        return InPlaceProgram, (self.program, self.symbols)

    def __call__(self, *arrays: np.ndarray) -> None:
        """Compute the outputs into the last array."""
        prepared: dict[tuple[int, ...], tuple[Any, list[Any]]] = self._prepared.__dict__.setdefault("calls", {})
        key = tuple(map(id, arrays))
        if key not in prepared:
            if len(prepared) >= KEPT:
                prepared.clear()
            # The arrays are kept with their calls, so that no other array can come to have their id.
            prepared[key] = arrays, self._bound(*arrays)
        for function, operands in prepared[key][1]:
            function(*operands)

    def _bound(self, *arrays: np.ndarray) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
        lowered, calls = self._code
        # Each register by itself: rows that lie a multiple of 4096 bytes apart evict one another from the cache.
        registers = [np.empty(arrays[-1].shape[1], arrays[-1].dtype) for _ in range(lowered.registers)]
        slots = [*chain(*arrays[:-1]), *lowered.constants, *registers, *arrays[-1]]
        return [(function, operands(slots)) for function, operands in calls]

    @cached_property
    def _code(self) -> tuple[Lowered, tuple[Call, ...]]:
        lowered = lower([self.program], self.symbols, FLOAT64)
        return lowered, ufunc_calls(lowered)
