"""A term of a large problem as a function of points, by matrices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic_sgd.numeric.guard import check_finite
from symbolic_sgd.numeric.matrix_arrays import HostArrays
from symbolic_sgd.numeric.matrix_guard import check_terms
from symbolic_sgd.numeric.matrix_terms import MatrixTerms
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.theorem.matrix_stages import MatrixStages

MEMORY = 1 << 25
"""Bytes that the gradients of a block of points may take."""


@dataclass(frozen=True)
class HostMatrixFunction:
    """One term on float64 arrays in memory.

    Args:
        stages: what is evaluated.
        name: of the term.
        check: whether points are examined.
        arrays: how.
    """

    stages: MatrixStages
    name: str
    check: bool
    arrays: HostArrays

    def __call__(self, x: Any, constants: Mapping[str, Any]) -> np.ndarray:
        d = self.stages.problem.dimension
        points = as_points(x, d)
        constant_columns((), constants, points.shape[:-1])
        flat = points.reshape(-1, d)
        length = max(1, MEMORY // (8 * d * (self.stages.codimension + 1)))
        blocks = [self._values(flat[start : start + length]) for start in range(0, max(len(flat), 1), length)]
        values = np.concatenate(blocks)
        return values.reshape(*points.shape[:-1], *values.shape[1:])

    def _values(self, block: np.ndarray) -> np.ndarray:
        terms = MatrixTerms(self.stages, block, self.arrays)
        examined = self.check and len(block) > 0
        if examined:
            check_terms(terms)
        with np.errstate(all="ignore"):
            values = terms.term(self.name)
        if examined:
            check_finite(values.reshape(len(block), -1), self.name, block)
        return values
