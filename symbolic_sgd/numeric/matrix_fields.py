"""Terms of large problems as the steppers take them: f(x, …, out) with one row an entry and one column a replica."""

from dataclasses import dataclass

import numpy as np

from symbolic_sgd.numeric.matrix_guard import PLAIN
from symbolic_sgd.numeric.matrix_terms import MatrixTerms
from symbolic_sgd.theorem.matrix_stages import MatrixStages


@dataclass(frozen=True)
class MatrixField:
    """A term, D×R.

    Args:
        stages: what is evaluated.
        name: of the term; `newton_step` for the way back to Γ.
    """

    stages: MatrixStages
    name: str

    def __call__(self, x: np.ndarray, out: np.ndarray) -> None:
        terms = MatrixTerms(self.stages, np.ascontiguousarray(x.T), PLAIN)
        out[...] = (terms.newton_step if self.name == "newton_step" else terms.term(self.name)).T


@dataclass(frozen=True)
class DrivenMatrixField:
    """∂Φ(x)σ(x)a, D×R, for a of Ξ×R."""

    stages: MatrixStages

    def __call__(self, x: np.ndarray, a: np.ndarray, out: np.ndarray) -> None:
        diffusion = MatrixTerms(self.stages, np.ascontiguousarray(x.T), PLAIN).term("tangent_noise")
        out[...] = np.einsum("rdk,kr->dr", diffusion, a)
