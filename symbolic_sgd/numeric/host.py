"""Terms on float64 arrays in memory: points validated, evaluated in blocks, and examined."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any, Protocol

import numpy as np

from symbolic_sgd.algebra.program import merged
from symbolic_sgd.algebra.shared_sums import with_inverses
from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.acceptance import doubt_program
from symbolic_sgd.numeric.backend import Backend, Evaluation, Part
from symbolic_sgd.numeric.feet import values_at
from symbolic_sgd.numeric.guard import check_finite, check_points
from symbolic_sgd.numeric.lowering import Lowered, lower
from symbolic_sgd.numeric.matrix_arrays import HostArrays
from symbolic_sgd.numeric.matrix_function import HostMatrixFunction
from symbolic_sgd.numeric.points import constant_columns, refuse_infinite, shaped
from symbolic_sgd.numeric.running_form import running_form
from symbolic_sgd.numeric.structured import Structured
from symbolic_sgd.theorem.matrix_stages import MatrixStages
from symbolic_sgd.theorem.terms import THEOREM

BLOCK = 16384
"""Points at most that are evaluated at a time, so that memory does not grow with the batch beyond the result itself."""

LONGEST = 150_000
"""A term whose program holds more operations is evaluated by linear algebra instead (`Structured`).

Overparametrised linear models with dense noise, NumPy, points a second by program / by linear algebra: 12,947 operations
(D = 16) 8.7e4 / 2.9e4; 38,633 (D = 24) 3.1e4 / 1.0e4; 92,005 (D = 32) 1.7e4 / 0.8e4, where the two lines meet beyond.
"""


class Kernel(Protocol):
    """A lowered program, ready to run."""

    def rows(self, points: np.ndarray, results: Sequence[np.ndarray]) -> float:
        """Evaluate at B points (C-contiguous rows) into one B×width array an output.

        Returns:
            The sum of the points and of the first output: finite only where all of them are.
        """
        ...

    def point(self, point: np.ndarray) -> Sequence[float] | None:
        """All results at one point; None where the kernel leaves that to `rows`."""


class HostBackend(Backend):
    """A back end on arrays in memory: only how a lowered program is run differs."""

    @abstractmethod
    def kernel(self, lowered: Lowered) -> Kernel:
        """A lowered program, ready to run."""

    @property
    def fuses(self) -> bool:
        """Whether a product that has one reader is rounded with that: a test beside a formula must not be another, then."""
        return False

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
        if best and part.output.name in THEOREM and part.output.name not in part.derivation.restated:
            structured = Structured(part.derivation, part.output.name, self.function)
            return HostFunction(part, structured, self.block, lambda: structured)
        form = running_form(part.derivation, part.output.name) if part.is_as_derived else None
        doubt = doubt_program(part.derivation) if part.check else None
        programs = [
            part.program if form is None else with_inverses(form.bounded.program),
            *([] if doubt is None else [with_inverses(doubt)]),
        ]
        symbols = part.derivation.problem.symbols
        return HostFunction(
            part,
            self.kernel(lower(programs if self.fuses else [merged(*programs)], symbols)),
            self.block,
            cache(lambda: self.kernel(lower([part.program], symbols))),
            bounded=form is not None and form.bounded.is_tested,
            examined=doubt is not None,
        )

    def compile_matrices(self, stages: MatrixStages, name: str, check: bool) -> Evaluation:
        return HostMatrixFunction(stages, name, check, HostArrays(self.stage))

    def stage(self, lowered: Lowered) -> Callable[[np.ndarray], np.ndarray]:
        """A scalar program between matrices, as a function of B rows; `function`, unless a back end has a shorter way to it."""
        return self.function(lowered)

    def function(self, lowered: Lowered) -> Callable[[np.ndarray], np.ndarray]:
        """A bare program as a function of B rows, B×size, without any test of the points.

        Raises:
            BadInput: a program with several outputs.
        """
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
        kernel: computes it and, a number each where there are such, what it loses by cancellation and the doubt about the point;
            both are at most 1 where nothing speaks against them.
        block: points at a time.
        derived: makes the kernel of the program as derived, for points where `kernel` loses digits.
        bounded: whether the kernel computes what it loses.
        examined: whether the kernel computes the doubt; otherwise `check_points` looks at every point.
    """

    part: Part
    kernel: Kernel
    block: int
    derived: Callable[[], Kernel]
    bounded: bool = False
    examined: bool = False

    def __call__(self, x: Any, constants: Mapping[str, Any]) -> np.ndarray:
        problem = self.part.derivation.problem
        if type(x) is np.ndarray and x.dtype == np.float64 and x.shape == (problem.dimension,) and not constants:
            result = None if problem.constants or not isfinite(sum(x.tolist())) else self._point(x)
            if result is not None:
                return result
        points = shaped(x, problem.dimension)
        given = constant_columns(problem.constants, constants, points.shape[:-1])
        flat = points.reshape(-1, problem.dimension)
        result = np.empty((len(flat), len(self.part.output.registers)))
        if len(flat) == 1 and not given:
            value = self._point(flat[0]) if isfinite(sum(flat[0].tolist())) else None
            if value is not None:
                return value.reshape(*points.shape[:-1], *self.part.shape)
        for start in range(0, len(flat), self.block):
            pieces = [column[start : start + self.block] for column in (flat, *given)]
            block = np.concatenate(pieces, axis=1) if given else np.ascontiguousarray(pieces[0])
            self._fill(points, block, result[start : start + self.block])
        return result.reshape(*points.shape[:-1], *self.part.shape)

    def _point(self, x: np.ndarray) -> np.ndarray | None:
        """The value at one point, or None where it needs a second look."""
        if self.part.check and not self.examined:
            return None
        values = self.kernel.point(x)
        tests = self.bounded + self.examined
        if values is None or not all(map(isfinite, values)) or not all(a <= 1 for a in values[len(values) - tests :]):
            return None
        return np.array(values[: len(values) - tests]).reshape(self.part.shape)

    def _fill(self, points: np.ndarray, block: np.ndarray, result: np.ndarray) -> None:
        """Evaluate at a block of the points; only those that the kernel doubts are examined in full."""
        tests = [np.empty((len(block), 1)) for _ in range(self.bounded + self.examined)]
        finite = isfinite(self.kernel.rows(block, [result, *tests]))
        if not finite:
            refuse_infinite(points)
        doubtful = _fails(tests.pop()) if self.examined else np.full(len(block), self.part.check)
        if self.bounded and (not finite or _fails(tests[0]).any()):
            lost = np.flatnonzero(_fails(tests[0]) | ~np.isfinite(result).all(axis=1))
            again = np.empty((len(lost), result.shape[1]))
            self.derived().rows(block[lost], [again])
            result[lost] = again
            finite = bool(np.isfinite(result).all())
        if self.part.check and (doubtful.any() or not finite):
            self._examine(block, result, doubtful)

    def _examine(self, block: np.ndarray, result: np.ndarray, doubtful: np.ndarray) -> None:
        for start in range(0, len(block), BLOCK):
            here = slice(start, start + BLOCK)
            examined = start + np.flatnonzero(doubtful[here])
            feet = check_points(self.part.derivation, block[examined])
            if feet:  # where curvatures are far apart, a value in float64 has not the digits that are promised
                result[examined[list(feet)]] = values_at(self.part.program, list(feet.values()))
            check_finite(result[here], self.part.output.name, block[here])


def _fails(test: np.ndarray) -> np.ndarray:
    """Where a test is not at most 1; NaN is not."""
    return ~(test[:, 0] <= 1)
