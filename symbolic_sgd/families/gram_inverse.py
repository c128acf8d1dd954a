"""G† for the Gram matrix G = JJᵀ of gradients: by eigenvectors, or by Cholesky's factor where they have to be independent."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from symbolic_sgd.errors import SingularPoint

ROUNDINGS = 16
"""An eigenvalue of the N×N Gram matrix is zero below so many roundings, N each, of its largest."""

CLEAR = 1000
"""It is not zero above so many times that; between the two nothing is said."""

SMALLEST_RCOND = 1e-14
"""Independent gradients have a G whose reciprocal condition number is larger: else no digit of G⁻¹ is left."""


class GramInverse(ABC):
    """G†."""

    @abstractmethod
    def solve(self, right: Any) -> Any:
        """G†b, for one column or several."""

    @property
    @abstractmethod
    def matrix(self) -> Any:
        """G†."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """Of G."""

    @property
    @abstractmethod
    def condition(self) -> float:
        """A bound below of the ratio of the largest eigenvalue of G to the smallest that is not zero."""

    @property
    @abstractmethod
    def spectrum(self) -> tuple[Any, Any]:
        """The nonzero eigenvalues of G, and their eigenvectors."""


@dataclass(frozen=True, eq=False)
class Spectral(GramInverse):
    """By the eigenvectors of eigenvalues that are not zero."""

    values: Any
    axes: Any

    @staticmethod
    def of(gram: Any, module: Any) -> "Spectral":
        """For any rank.

        Raises:
            SingularPoint: a derivative is not finite, or an eigenvalue is neither zero nor not.
        """
        _check_finite(gram, module)
        values, axes = module.linalg.eigh(gram)
        sizes = np.asarray(values)
        top = float(sizes[-1])
        if top <= 0:
            raise SingularPoint("the gradients of all residuals vanish there")
        zero = ROUNDINGS * len(sizes) * np.finfo(float).eps * top
        unclear = sizes[(np.abs(sizes) > zero) & (sizes < CLEAR * zero)]
        if len(unclear):
            raise SingularPoint(
                "the rank of the gradients of the residuals cannot be told there: JJᵀ has an eigenvalue that is "
                f"{unclear[0] / top:.1g} of its largest"
            )
        zeros = int((sizes < CLEAR * zero).sum())
        return Spectral(values[zeros:], axes[:, zeros:])

    def solve(self, right: Any) -> Any:
        inner = self.axes.T @ right
        return self.axes @ (inner / (self.values if len(inner.shape) == 1 else self.values[:, None]))

    @property
    def matrix(self) -> Any:
        return (self.axes / self.values) @ self.axes.T

    @property
    def rank(self) -> int:
        return len(self.values)

    @property
    def condition(self) -> float:
        return float(self.values[-1] / self.values[0])

    @property
    def spectrum(self) -> tuple[Any, Any]:
        return self.values, self.axes


@dataclass(frozen=True, eq=False)
class Triangular(GramInverse):
    """By G = LLᵀ, of full rank, on NumPy's arrays."""

    gram: np.ndarray
    lower: np.ndarray

    @staticmethod
    def of(gram: np.ndarray, module: Any) -> "Triangular":
        """For independent gradients.

        Raises:
            SingularPoint: a derivative is not finite, or the gradients are dependent.
        """
        _check_finite(gram, module)
        factor, condition = lapack.get_lapack_funcs(("potrf", "pocon"), (gram,))
        lower, failed = factor(gram, lower=1, clean=1)
        rcond = 0.0 if failed else condition(lower, np.abs(gram).sum(axis=0).max(), uplo="L")[0]
        if rcond > SMALLEST_RCOND:
            return Triangular(gram, lower)
        raise SingularPoint(
            f"the gradients of the {len(gram)} residuals are dependent there (reciprocal condition number of JJᵀ: {rcond:.2g}): "
            "the theorem does not hold at such a point. Either the data allow no more than a smaller rank, or the point is singular"
        )

    def solve(self, right: np.ndarray) -> np.ndarray:
        return linalg.cho_solve((self.lower, True), right, check_finite=False)

    @property
    def matrix(self) -> np.ndarray:
        """By NumPy, like JJᵀ: SciPy's BLAS has threads of its own, and on two cores a turn between the two costs 8 ms."""
        inverse = np.linalg.inv(self.lower)
        return inverse.T @ inverse

    @property
    def rank(self) -> int:
        return len(self.gram)

    @property
    def condition(self) -> float:
        diagonal = np.diag(self.lower)
        return float((diagonal.max() / diagonal.min()) ** 2)

    @property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        return np.linalg.eigh(self.gram)


def _check_finite(gram: Any, module: Any) -> None:
    if not bool(module.isfinite(gram).all()):
        raise SingularPoint("a derivative of a residual is not a finite real number there")
