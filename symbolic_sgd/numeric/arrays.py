"""Terms as pure functions of a library's own arrays (JAX, PyTorch): differentiable, and without side effects."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from symbolic_sgd.algebra.functions import check_supported
from symbolic_sgd.errors import BadInput, BadPoint
from symbolic_sgd.numeric.backend import Backend, Evaluation, Part
from symbolic_sgd.numeric.feet import Foot, check_digits
from symbolic_sgd.numeric.guard import check_finite, check_points
from symbolic_sgd.numeric.lowering import STORE, Lowered, lower
from symbolic_sgd.numeric.matrix_guard import check_stages
from symbolic_sgd.numeric.matrix_terms import MatrixTerms
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.theorem.matrix_stages import MatrixStages, Stage

TRACED = (
    "points have no numbers while a function is traced (jit, vmap, grad), and cannot be examined there: "
    "use lambdify(check=False, backend=…), and examine the points outside"
)


class ArrayBackend(Backend):
    """A back end on arrays of a library that traces or differentiates what is done with them."""

    @property
    @abstractmethod
    def operations(self) -> Mapping[str, Callable[..., Any]]:
        """op → the library's function."""

    @abstractmethod
    def array(self, x: Any) -> Any:
        """x, of any shape, as a float64 array of the library.

        Raises:
            BadPoint: no array, or entries that are no real numbers.
        """

    @abstractmethod
    def concrete(self, x: Any) -> np.ndarray | None:
        """The numbers in an array, in its shape; None inside a transformation, where it has none."""

    @abstractmethod
    def stack(self, values: Sequence[Any], shape: tuple[int, ...], like: Any) -> Any:
        """Entries of the shape of `like` (or plain numbers), stacked to `like.shape + shape`."""

    def compile(self, part: Part) -> Evaluation:
        lowered = lower([part.program], part.derivation.problem.symbols)
        operations = (step.op for step in lowered.steps if step.op != STORE)
        check_supported(operations, self.operations, f"The back end {type(self).__name__}")

        def evaluate(x: Any, constants: Mapping[str, Any]) -> Any:
            points = self._points(part, x)
            given = [self.array(constants[s.name]) for s in self._declared(part, constants)]
            feet = self._examine(part, points, constants)
            columns = [*(points[..., j] for j in range(points.shape[-1])), *given]
            result = self.stack(self._run(lowered, columns), part.shape, sum(given, points[..., 0]))
            if part.check:
                self._check_result(part, result, points, feet)
            return result

        return evaluate

    @abstractmethod
    def cholesky(self, matrix: Any) -> Any:
        """Λ with ΛΛᵀ = the matrix, for batches."""

    @abstractmethod
    def solve_triangular(self, matrix: Any, right: Any, *, lower: bool) -> Any:
        """The solution of a triangular system, for batches."""

    @abstractmethod
    def eigh(self, matrix: Any) -> Any:
        """Eigenvalues and eigenvectors, for batches."""

    def compile_matrices(self, stages: MatrixStages, name: str, check: bool) -> Evaluation | None:
        if not stages.response.kernel.by_polynomials:
            return None  # its functions would have to be those of the library
        arrays, d = LibraryArrays(self), stages.problem.dimension

        def evaluate(x: Any, constants: Mapping[str, Any]) -> Any:
            points = self._checked_shape(x, d)
            constant_columns((), constants, ())
            flat = points.reshape(-1, d)
            if check:
                numbers = self.concrete(flat)
                if numbers is None:
                    raise BadInput(TRACED)
                rows = as_points(numbers, d)
                if len(rows):
                    check_stages(stages, rows)
            values = MatrixTerms(stages, flat, arrays).term(name)
            return values.reshape(*points.shape[:-1], *values.shape[1:])

        return evaluate

    def run(self, lowered: Lowered, columns: Sequence[Any], shape: tuple[int, ...]) -> Any:
        """A bare program on arrays of one shape, stacked to that shape + `shape`."""
        return self.stack(self._run(lowered, columns), shape, columns[0])

    def _points(self, part: Part, x: Any) -> Any:
        return self._checked_shape(x, part.derivation.problem.dimension)

    def _checked_shape(self, x: Any, d: int) -> Any:
        points = self.array(x)
        if points.ndim == 0 or points.shape[-1] != d:
            raise BadPoint(
                f"x has shape {tuple(points.shape)}; its last dimension has to be {d}, one entry a parameter"
            )
        return points

    def _declared(self, part: Part, constants: Mapping[str, Any]) -> tuple[Any, ...]:
        declared = part.derivation.problem.constants
        constant_columns(declared, dict.fromkeys(constants, 0.0), ())  # names only: values may be traced
        return declared

    def _examine(self, part: Part, points: Any, constants: Mapping[str, Any]) -> dict[int, Foot]:
        if not part.check:
            return {}
        numbers = self.concrete(points)
        values = {name: self.concrete(self.array(value)) for name, value in constants.items()}
        if numbers is None or any(value is None for value in values.values()):
            raise BadInput(TRACED)
        problem = part.derivation.problem
        rows = as_points(numbers, problem.dimension)
        columns = constant_columns(problem.constants, values, rows.shape[:-1])
        return check_points(part.derivation, np.concatenate([rows.reshape(-1, problem.dimension), *columns], axis=1))

    def _check_result(self, part: Part, result: Any, points: Any, feet: Mapping[int, Foot]) -> None:
        values, numbers = self.concrete(result), self.concrete(points)
        if values is not None and numbers is not None and numbers.size:
            rows = numbers.reshape(-1, numbers.shape[-1])
            check_finite(values.reshape(len(rows), -1), part.output.name, rows)
            check_digits(part.derivation, part.program, feet, values.reshape(len(rows), -1))

    def _run(self, lowered: Lowered, columns: Sequence[Any]) -> list[Any]:
        slots: dict[int, Any] = dict(enumerate([*columns, *lowered.constants]))
        results: list[Any] = [None] * lowered.size
        for step in lowered.steps:
            operands = [slots[a] for a in step.operands]
            if step.op == STORE:
                results[step.target] = operands[0]
            else:
                slots[step.target] = self.operations[step.op](*operands)
        return results


@dataclass(frozen=True)
class LibraryArrays:
    """Batches of a library's matrices, for the terms of large problems.

    Args:
        backend: of the library.
    """

    backend: ArrayBackend

    def run(self, stage: Stage, *inputs: Any) -> Any:
        """A scalar program on B×d arrays, B×rows×columns (B×rows for a column)."""
        (output,) = stage.program.outputs
        shape = output.shape if output.shape[1] > 1 else output.shape[:1]
        columns = [array[:, j] for array in inputs for j in range(array.shape[1])]
        return self.backend.run(_lowered(stage), columns, shape)

    def cholesky(self, matrix: Any) -> Any:
        """Λ."""
        return self.backend.cholesky(matrix)

    def solve_lower(self, lower: Any, right: Any, *, transposed: bool = False) -> Any:
        """Λ⁻¹ right, or Λ⁻ᵀ right."""
        if transposed:
            return self.backend.solve_triangular(lower.swapaxes(-1, -2), right, lower=False)
        return self.backend.solve_triangular(lower, right, lower=True)

    def eigh(self, matrix: Any) -> Any:
        """Eigenvalues and eigenvectors."""
        return self.backend.eigh(matrix)

    def constant(self, values: Any, like: Any) -> Any:
        """An array of the library on the device of another."""
        return self.backend.array(np.array(values, dtype=float)) + 0 * like.sum()


@cache
def _lowered(stage: Stage) -> Lowered:
    return lower([stage.program], stage.inputs)
