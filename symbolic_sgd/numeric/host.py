"""Terms on float64 arrays in memory: points validated, evaluated in blocks, and examined."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

import numpy as np

from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.acceptance import doubt_program
from symbolic_sgd.numeric.backend import Backend, Evaluation, Part
from symbolic_sgd.numeric.feet import values_at
from symbolic_sgd.numeric.guard import check_finite, check_points
from symbolic_sgd.numeric.lowering import Lowered, lower
from symbolic_sgd.numeric.matrix_arrays import HostArrays
from symbolic_sgd.numeric.matrix_function import HostMatrixFunction
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.numeric.structured import Structured
from symbolic_sgd.theorem.matrix_stages import MatrixStages
from symbolic_sgd.theorem.terms import THEOREM

BLOCK = 8192
"""Points at most that are evaluated at a time, so that memory does not grow with the batch beyond the result itself."""

LONGEST = 150_000
"""A term whose program holds more operations is evaluated by linear algebra instead (`Structured`).

Overparametrised linear models with dense noise, NumPy, points a second by program / by linear algebra: 12,947 operations
(D = 16) 8.7e4 / 2.9e4; 38,633 (D = 24) 3.1e4 / 1.0e4; 92,005 (D = 32) 1.7e4 / 0.8e4, where the two lines meet beyond.
"""


class Kernel(Protocol):
    """A lowered program, ready to run."""

    def rows(self, points: np.ndarray, results: Sequence[np.ndarray]) -> None:
        """Evaluate at B points (C-contiguous rows) into one B×width array an output."""

    def point(self, point: np.ndarray) -> Sequence[float] | None:
        """All results at one point; None where the kernel leaves that to `rows`."""


class HostBackend(Backend):
    """A back end on arrays in memory: only how a lowered program is run differs."""

    @abstractmethod
    def kernel(self, lowered: Lowered) -> Kernel:
        """A lowered program, ready to run."""

    @property
    def block(self) -> int:
        """Points that are handed to a kernel at a time."""
        return BLOCK

    def compile(self, part: Part) -> Evaluation:
        kernel = part.derivation.response.kernel
        # A kernel that is not rational is written with the differences of curvatures, which cancel where they are close.
        irrational = kernel is not None and not kernel.by_polynomials
        best = part.derivation.optimizer.follows_hessian and (
            irrational or (kernel is not None and part.program.operations > LONGEST)
        )
        if best and part.output.name in THEOREM:
            structured = Structured(part.derivation, part.output.name, self.function)
            return HostFunction(part, structured, examined=False, block=self.block)
        doubt = doubt_program(part.derivation) if part.check else None
        programs = [part.program] if doubt is None else [part.program, doubt]
        kernel = self.kernel(lower(programs, part.derivation.problem.symbols))
        return HostFunction(part, kernel, examined=doubt is not None, block=self.block)

    def compile_matrices(self, stages: MatrixStages, name: str, check: bool) -> Evaluation:
        return HostMatrixFunction(stages, name, check, HostArrays(self.stage))

    def stage(self, lowered: Lowered) -> Callable[[np.ndarray], np.ndarray]:
        """A scalar program between matrices, as a function of B rows; `function`, unless a back end has a shorter way to it."""
        return self.function(lowered)

    def function(self, lowered: Lowered) -> Callable[[np.ndarray], np.ndarray]:
        """A bare program as a function of B rows, B×size, without any test of the points."""
        if len(lowered.widths) != 1:
            raise BadInput(f"a function has one output, and the program has {len(lowered.widths)}")
        kernel, block = self.kernel(lowered), self.block

        def values(points: np.ndarray) -> np.ndarray:
            result = np.empty((len(points), lowered.size))
            for start in range(0, len(points), block):
                chunk = np.ascontiguousarray(points[start : start + block], dtype=float)
                kernel.rows(chunk, [result[start : start + block]])
            return result

        return values


@dataclass(frozen=True)
class HostFunction:
    """A term as a function of points and constants.

    Args:
        part: which term, and whether points are examined.
        kernel: computes it and, where `examined`, the doubt about each point, which is at most 1 where there is none.
        examined: whether the kernel computes the doubt; otherwise `check_points` looks at every point.
        block: points at a time.
    """

    part: Part
    kernel: Kernel
    examined: bool
    block: int

    def __call__(self, x: Any, constants: Mapping[str, Any]) -> np.ndarray:
        problem = self.part.derivation.problem
        if type(x) is np.ndarray and x.dtype == np.float64 and x.shape == (problem.dimension,) and not constants:
            result = None if problem.constants or not isfinite(sum(x.tolist())) else self._point(x)
            if result is not None:
                return result
        points = as_points(x, problem.dimension)
        given = constant_columns(problem.constants, constants, points.shape[:-1])
        flat = points.reshape(-1, problem.dimension)
        result = np.empty((len(flat), len(self.part.output.registers)))
        if len(flat) == 1 and not given:
            value = self._point(flat[0])
            if value is not None:
                return value.reshape(*points.shape[:-1], *self.part.shape)
        for start in range(0, len(flat), self.block):
            pieces = [column[start : start + self.block] for column in (flat, *given)]
            block = np.concatenate(pieces, axis=1) if given else np.ascontiguousarray(pieces[0])
            self._fill(block, result[start : start + self.block])
        return result.reshape(*points.shape[:-1], *self.part.shape)

    def _point(self, x: np.ndarray) -> np.ndarray | None:
        """The value at one point, or None where it needs a second look."""
        if self.part.check and not self.examined:
            return None
        values = self.kernel.point(x)
        if values is None or not all(map(isfinite, values)):
            return None
        if self.part.check:
            if not values[-1] <= 1:
                return None
            values = values[:-1]
        return np.array(values).reshape(self.part.shape)

    def _fill(self, block: np.ndarray, result: np.ndarray) -> None:
        """Evaluate at a block of points; only those that the kernel doubts are examined in full."""
        doubt = np.empty((len(block), 1))
        self.kernel.rows(block, [result, doubt] if self.examined else [result])
        if not self.part.check:
            return
        doubtful = ~(doubt[:, 0] <= 1) if self.examined else np.ones(len(block), dtype=bool)
        with np.errstate(all="ignore"):
            total = result.sum()
        if not doubtful.any() and isfinite(total):
            return
        for start in range(0, len(block), BLOCK):
            here = slice(start, start + BLOCK)
            examined = start + np.flatnonzero(doubtful[here])
            feet = check_points(self.part.derivation, block[examined])
            if feet:  # where curvatures are far apart, a value in float64 has not the digits that are promised
                result[examined[list(feet)]] = values_at(self.part.program, list(feet.values()))
            check_finite(result[here], self.part.output.name, block[here])
