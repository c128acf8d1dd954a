"""NumPy's matrices at B points, with scalar programs by any back end of arrays in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.numeric.lowering import Lowered, lower
from symbolic_sgd.theorem.matrix_stages import Stage

Compiled = Callable[[np.ndarray], np.ndarray]
"""Rows of inputs to rows of results."""


@dataclass(frozen=True, eq=False)
class HostArrays:
    """Batches of float64 matrices.

    Args:
        compiler: of scalar programs; None for `evaluate`, which needs no compilation.
    """

    compiler: Callable[[Lowered], Compiled] | None = None
    _compiled: dict[int, tuple[Program, Compiled]] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return HostArrays, (self.compiler,)

    def run(self, stage: Stage, *inputs: np.ndarray) -> np.ndarray:
        rows = np.ascontiguousarray(np.concatenate(inputs, axis=1))
        (output,) = stage.program.outputs
        shape = output.shape if output.shape[1] > 1 else output.shape[:1]
        with np.errstate(all="ignore"):
            values = self._function(stage)(rows) if len(rows) else np.empty(0)
        return values.reshape(len(rows), *shape)

    def _function(self, stage: Stage) -> Compiled:
        key = id(stage.program)  # the entry keeps the program alive
        if key not in self._compiled:
            if self.compiler is None:
                (name,) = stage.program.names
                compiled: Compiled = lambda rows: evaluate(stage.program, stage.inputs, rows)[name]  # noqa: E731
            else:
                compiled = self.compiler(lower([stage.program], stage.inputs))
            self._compiled[key] = stage.program, compiled
        return self._compiled[key][1]

    def cholesky(self, matrix: np.ndarray) -> np.ndarray:
        try:
            return np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            return np.stack([_factor(one) for one in matrix])

    def solve_lower(self, lower: np.ndarray, right: np.ndarray, *, transposed: bool = False) -> np.ndarray:
        whole = _whole(lower)
        safe = np.where(whole, lower, np.eye(lower.shape[-1]))
        solved = np.linalg.solve(np.swapaxes(safe, 1, 2) if transposed else safe, right)
        return np.where(whole, solved, np.nan)

    def eigh(self, matrix: np.ndarray) -> Any:
        whole = _whole(matrix)
        values, vectors = np.linalg.eigh(np.where(whole, matrix, np.eye(matrix.shape[-1])))
        return np.where(whole[..., 0], values, np.nan), vectors

    def constant(self, values: Any, like: np.ndarray) -> np.ndarray:
        return np.array(values, dtype=float)


def _whole(matrix: np.ndarray) -> np.ndarray:
    """Which of them are finite, B×1×1."""
    return np.asarray(np.isfinite(matrix).all(axis=(1, 2), keepdims=True))


def _factor(matrix: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.full(matrix.shape, np.nan)
