"""The terms of large problems by linear algebra at B points, in the letters of theorem/matrix_stages.py."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.theorem.drift import DriftLines
from symbolic_sgd.theorem.levels import Across, Along, LevelGeometry
from symbolic_sgd.theorem.matrix_stages import MatrixStages, Stage
from symbolic_sgd.theorem.terms import DRIFT_TERMS

Array = Any
"""Of a library: NumPy, JAX, PyTorch."""


class Arrays(Protocol):
    """What a library's arrays are computed with; everything has the points in front."""

    def run(self, stage: Stage, *inputs: Array) -> Array:
        """A scalar program on B×d arrays, B×rows×columns (B×rows for a column)."""
        ...

    def cholesky(self, matrix: Array) -> Array:
        """The lower triangular Λ with ΛΛᵀ = the matrix; NaN where there is none."""
        ...

    def solve_lower(self, lower: Array, right: Array, *, transposed: bool = False) -> Array:
        """Λ⁻¹ right, or Λ⁻ᵀ right."""
        ...

    def eigh(self, matrix: Array) -> tuple[Array, Array]:
        """Eigenvalues B×M and eigenvectors B×M×M of symmetric matrices."""
        ...

    def constant(self, values: Any, like: Array) -> Array:
        """An array of the library on the device of another."""
        ...


@dataclass(frozen=True)
class MatrixTerms(LevelGeometry):
    """Every term at B points of Γ, by its name in the theorem.

    Args:
        stages: the scalar programs.
        points: x, B×D.
        arrays: the library.
    """

    stages: MatrixStages
    points: Array
    arrays: Arrays

    def term(self, name: str) -> Array:
        """B×D, B×D×D or B×D×Ξ."""
        if name in DRIFT_TERMS:
            return self._line(name)
        return getattr(self, f"_{name}")()

    # --- Γ ----------------------------------------------------------------------------------

    @cached_property
    def slopes(self) -> Array:
        """J, B×M×D."""
        return self.arrays.run(self.stages.slopes, self.points)

    @cached_property
    def lower(self) -> Array:
        """Λ, B×M×M."""
        return self.arrays.cholesky(self.slopes @ _t(self.slopes))

    @cached_property
    def rows(self) -> Array:
        """Q, B×M×D."""
        return self.arrays.solve_lower(self.lower, self.slopes)

    @cached_property
    def newton_step(self) -> Array:
        """JᵀG⁻¹f, B×D."""
        levels = self.arrays.run(self.stages.levels, self.points)
        return _apply(_t(self.rows), self._whitened(levels))

    @property
    def _weighted_lower(self) -> Array:
        """KΛ."""
        return self.arrays.constant([float(k) for k in self.stages.weights], self.points)[:, None] * self.lower

    @cached_property
    def core(self) -> Array:
        """C = ΛᵀKΛ, B×M×M."""
        return _t(self.lower) @ self._weighted_lower

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """The curvatures, and the eigenvectors U of C."""
        return self.arrays.eigh(self.core)

    def _whitened(self, vector: Array) -> Array:
        """Λ⁻¹v."""
        return self.arrays.solve_lower(self.lower, vector[..., None])[..., 0]

    def _inverse_core(self, right: Array) -> Array:
        """C⁻¹ right, for C = (√KΛ)ᵀ(√KΛ)."""
        roots = self.arrays.constant([float(k) ** 0.5 for k in self.stages.weights], self.points)
        solved = self.arrays.solve_lower(self.lower, right, transposed=True) / (roots**2)[:, None]
        return self.arrays.solve_lower(self.lower, solved)

    # --- what the three lines of the theorem ask --------------------------------------------

    def tangent_part(self, vector: Array) -> Array:
        return vector - _apply(_t(self.rows), _apply(self.rows, vector))

    def lifted(self, traces: Array) -> Array:
        return _apply(_t(self.rows), self._whitened(traces))

    def _bent(self, rows: Array) -> Array:
        """N[V]."""
        count, m, d = rows.shape
        return self.arrays.run(self.stages.bent, self.points, rows.reshape(count, m * d))

    @property
    def tangent_covariance(self) -> Along:
        """Σ_∥."""
        tau = float(self.stages.optimizer.tangent_factor)
        if self.stages.known.isotropy is not None:
            trace = self.arrays.run(self.stages.laplacians, self.points) - self._second(_t(self.rows))
            return Along(tau * float(self.stages.known.isotropy) * trace)
        return Along(tau * self._second(self.along))

    @property
    def cross(self) -> Across:
        """N[PΣAᵀh(GK)], whose rows are those of Λ⁻ᵀh(C)(Qσ)(Pσ)ᵀ."""
        mixed, inner = self.stages.response.mixed, self.across
        if mixed != 1:
            values, vectors = self.spectrum
            inner = vectors @ (_number(mixed, values)[..., None] * (_t(vectors) @ inner))
        return Across(self._bent(self.arrays.solve_lower(self.lower, inner @ _t(self.along), transposed=True)), 1.0)

    @property
    def stationary(self) -> Across:
        """N[KΛXQ], twice."""
        return Across(self._bent(self._weighted_lower @ (self.inner @ self.rows)), 2.0)

    @property
    def inner(self) -> Array:
        """X, B×M×M: (UᵀYU)_ij k(λ_i, λ_j) in the eigenvectors of C."""
        known, response = self.stages.known, self.stages.response
        identity = self.arrays.constant(sp.eye(self.stages.codimension).tolist(), self.points) + 0 * self.lower
        if known.proportion is not None and response.is_lyapunov:
            return float(known.proportion) / 2 * identity
        if known.isotropy is not None and response.is_lyapunov:
            return float(known.isotropy) / 2 * self._inverse_core(identity)
        (values, vectors), kernel = self.spectrum, response.of_pairs
        if known.proportion is not None:
            weighted = float(known.proportion) * values[..., None] * identity
        elif known.isotropy is not None:
            weighted = float(known.isotropy) * identity
        else:
            turned = _t(vectors) @ self.across
            weighted = turned @ _t(turned)
        return vectors @ (weighted * kernel.weight(values[..., None], values[..., None, :])) @ _t(vectors)

    def _second(self, columns: Array) -> Array:
        """(⟨∇²f_i, VVᵀ⟩)_i for the columns of V, B×D×k."""
        b, d, k = columns.shape
        vectors = _t(columns).reshape(b * k, d)
        repeated = (self.points[:, None, :] + 0 * _t(columns)).reshape(b * k, d)
        return self.arrays.run(self.stages.second, repeated, vectors).reshape(b, k, self.stages.codimension).sum(1)

    # --- the noise --------------------------------------------------------------------------

    @cached_property
    def noise(self) -> Array:
        """σ, B×D×Ξ."""
        factor = self.arrays.run(self.stages.noise, self.points)
        return factor if factor.ndim == 3 else factor[..., None]

    @cached_property
    def across(self) -> Array:
        """Qσ."""
        return self.rows @ self.noise

    @cached_property
    def along(self) -> Array:
        """Pσ, which is zero where Σ = cH."""
        return 0 * self.noise if "tangent_noise" in self.stages.zeros else self.noise - _t(self.rows) @ self.across

    # --- the terms --------------------------------------------------------------------------

    @cached_property
    def _lines(self) -> DriftLines[Any, Any]:
        return DriftLines(self, self)

    def _line(self, name: str) -> Array:
        return 0 * self.points if name in self.stages.zeros else getattr(self._lines, name)

    def _drift(self) -> Array:
        total = sum((self._line(name) for name in DRIFT_TERMS), start=0 * self.points)
        if self.stages.slow is None:
            return total
        return total - self.tangent_part(self.arrays.run(self.stages.slow, self.points))

    def _imposed_drift(self) -> Array:
        assert self.stages.slow is not None
        return -self.tangent_part(self.arrays.run(self.stages.slow, self.points))

    def _tangent_projection(self) -> Array:
        identity = self.arrays.constant(sp.eye(self.stages.problem.dimension).tolist(), self.points)
        return identity - _t(self.rows) @ self.rows

    def _hessian_pinv(self) -> Array:
        return _t(self.rows) @ self._inverse_core(self.rows)

    def _lyapunov_solution(self) -> Array:
        return _t(self.rows) @ self.inner @ self.rows

    def _tangent_noise(self) -> Array:
        return float(self.stages.optimizer.tangent_factor) ** 0.5 * self.along


def _t(matrix: Array) -> Array:
    return matrix.swapaxes(-1, -2)


def _apply(matrices: Array, vectors: Array) -> Array:
    return (matrices @ vectors[..., None])[..., 0]


def _number(expression: Expression, values: Array) -> Array:
    """A function of the letter of eigenvalues."""
    function: Callable[[Any], Any] = sp.lambdify([A], expression, "numpy")
    return function(values) + 0 * values
