"""A family of matrices at one point: the theorem's three lines over arrays, without a matrix of D columns.

J is held as forms only: Jv, Jᵀλ, G = JJᵀ and Σ ζ_L′L (∇²f_L)∇f_L′ are contractions of parameters and data. Where the loss has a
curvature K = RRᵀ of its own, J and f stand for RᵀJ and Rᵀf.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.errors import SingularPoint
from symbolic_sgd.families.tensor_model import TensorModel
from symbolic_sgd.optimizers.kernel import LYAPUNOV
from symbolic_sgd.tensors.evaluation import Arrays
from symbolic_sgd.tensors.forms import COLUMN, Form
from symbolic_sgd.theorem.drift import DriftLines
from symbolic_sgd.theorem.levels import Across, Along, LevelGeometry

ROUNDINGS = 16
"""An eigenvalue of the N×N Gram matrix is zero below so many roundings, N each, of its largest."""

CLEAR = 1000
"""It is not zero above so many times that; between the two nothing is said."""


class Vector(tuple[Any, ...]):
    """An array for each parameter."""

    def __neg__(self) -> "Vector":
        return Vector(-a for a in self)

    def __add__(self, other: Any) -> "Vector":
        return Vector(a + b for a, b in zip(self, other, strict=True))

    def __sub__(self, other: Any) -> "Vector":
        return Vector(a - b for a, b in zip(self, other, strict=True))

    def __rmul__(self, factor: Any) -> "Vector":
        return Vector(factor * a for a in self)


@dataclass(frozen=True)
class TensorPoint:
    """What the theorem says at one point.

    Args:
        model: f.
        arrays: data, and the parameters at the point.
        samples: n.
        root: R with K = RRᵀ, N×N for N residuals, or a number.
        proportion: c, where Σ = cH.
        isotropy: s², where Σ = s²I.
        sigma: else σ, for each parameter an array with the columns as its last axis.
    """

    model: TensorModel
    arrays: Arrays
    samples: float
    root: Any = 1.0
    proportion: float | None = None
    isotropy: float | None = None
    sigma: Vector | None = None

    @property
    def x(self) -> Vector:
        """The parameters."""
        return Vector(self.arrays.tensors[p.name] for p in self.model.parameters)

    @cached_property
    def label_shape(self) -> tuple[int, ...]:
        """The size of each label."""
        return tuple(int(self.arrays.number(i.size)) for i in self.model.labels)

    @property
    def count(self) -> int:
        """N, the number of residuals."""
        return int(np.prod(self.label_shape))

    # --- J ----------------------------------------------------------------------------------

    def along(self, vector: Vector) -> Any:
        """Jv, N×k for vectors with k columns as their last axis, else N."""
        columns = len(vector[0].shape) > len(self.model.parameters[0].shape)
        found = self._with(self._named(vector), self.model.along_columns if columns else self.model.along)
        return self.rooted(found.reshape((self.count, *found.shape[len(self.label_shape) :])))

    def back(self, weights: Any) -> Vector:
        """Jᵀλ."""
        return self._vector(self.model.back, {"λ": self._back_rooted(weights).reshape(self.label_shape)})

    @cached_property
    def gram(self) -> Any:
        """G, N×N."""
        found = self.arrays.value(self.model.gram).reshape((self.count, self.count))
        return self.rooted(self.rooted(found).T)

    def bent(self, weights: Any) -> Vector:
        """Σ_LL′ ζ_L′L (∇²f_L)∇f_L′, ζ with the rows L′."""
        return self._vector(self.model.bent, {"ζ": self._on_pairs(weights)})

    # --- G† ---------------------------------------------------------------------------------

    @cached_property
    def spectrum(self) -> tuple[Any, Any]:
        """The nonzero eigenvalues of G, and their eigenvectors.

        Raises:
            SingularPoint: a derivative is not finite, or an eigenvalue is neither zero nor not.
        """
        module = self.arrays.module
        if not bool(module.isfinite(self.gram).all()):
            raise SingularPoint("a derivative of a residual is not a finite real number there")
        values, axes = module.linalg.eigh(self.gram)
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
        return values[zeros:], axes[:, zeros:]

    @property
    def rank(self) -> int:
        """M, the number of independent gradients."""
        return len(self.spectrum[0])

    def solve(self, right: Any) -> Any:
        """G†b."""
        values, axes = self.spectrum
        inner = axes.T @ right
        return axes @ (inner / (values if len(inner.shape) == 1 else values[:, None]))

    @cached_property
    def gram_inverse(self) -> Any:
        """G†."""
        values, axes = self.spectrum
        return (axes / values) @ axes.T

    def projected(self, vector: Vector) -> Vector:
        """v − JᵀG†Jv; with columns, each."""
        weights = self.solve(self.along(vector))
        if len(weights.shape) == 1:
            return vector - self.back(weights)
        columns = [self.back(weights[:, k]) for k in range(weights.shape[1])]
        stack = self.arrays.module.stack
        return vector - Vector(stack(list(parts), -1) for parts in zip(*columns, strict=True))

    # --- the theorem ------------------------------------------------------------------------

    @cached_property
    def lines(self) -> "DriftLines[Any, Any]":
        """b_∥, b_⊥∥ and b_⊥, by the theorem."""
        return DriftLines(_OverArrays(self), self)

    def compensation(self) -> Vector:
        """b_∥."""
        still = self.sigma is None and self.isotropy is None
        return 0 * self.x if still else self.lines.tangent_noise_compensation

    def mixed(self) -> Vector:
        """b_⊥∥."""
        return 0 * self.x if self.sigma is None else self.lines.mixed_regularization

    def normal(self) -> Vector:
        """b_⊥."""
        return self.lines.normal_regularization

    # --- the blocks of Σ, as the theorem's lines ask for them --------------------------------

    @property
    def tangent_covariance(self) -> Along:
        """Σ_∥ = σ_∥σ_∥ᵀ, or s²∂Φ."""
        if self.sigma is not None:
            traces = self._with(self._named(self._tangent_noise), self.model.curved)
            return Along(self.rooted(traces.reshape(self.count)))
        assert self.isotropy is not None
        traces = self._with({}, self.model.laplacian)
        across = self._with({"G†": self._on_pairs(self.gram_inverse)}, self.model.curved_by_gradients)
        return Along(self.isotropy * self.rooted((traces - across).reshape(self.count)))

    @property
    def cross(self) -> Across:
        """N[∂Φ Σ JᵀG†]."""
        assert self.sigma is not None
        weights = self._back_rooted(self.solve(self.along(self.sigma)))
        values = {**self._named(self._tangent_noise), "ω": weights.reshape((*self.label_shape, weights.shape[1]))}
        return Across(self._vector(self.model.bent_along, values), 1.0)

    @property
    def stationary(self) -> Across:
        """T[S] = (2/n) N[ZG] for S = JᵀZJ, by the eigenvectors of G."""
        if self.proportion is not None:
            return Across(self._bent_by_all(), self.proportion / self.samples)
        if self.isotropy is not None:
            return Across(self.bent(self.gram_inverse), self.isotropy)
        assert self.sigma is not None
        values, axes = self.spectrum
        across = axes.T @ self.solve(self.along(self.sigma))
        scaled = values / self.samples
        inner = (across @ across.T) * LYAPUNOV.weight(scaled[:, None], scaled)
        return Across(self.bent(axes @ (inner * values) @ axes.T), 2 / self.samples)

    @cached_property
    def _tangent_noise(self) -> Vector:
        assert self.sigma is not None
        return self.projected(self.sigma)

    def _bent_by_all(self) -> Vector:
        """N[I], half the gradient of Σ_L ‖∇f_L‖²."""
        if len(np.shape(self.root)):
            return self.bent(self.arrays.module.eye(self.count, dtype=self.gram.dtype))
        return self.root**2 / 2 * self._vector(self.model.total_square_gradient, {})

    # --- arrays -----------------------------------------------------------------------------

    def rooted(self, values: Any) -> Any:
        """Rᵀ on the first axis."""
        return self.root.T @ values if len(np.shape(self.root)) else self.root * values

    def _back_rooted(self, values: Any) -> Any:
        """R on the first axis."""
        return self.root @ values if len(np.shape(self.root)) else self.root * values

    def _on_pairs(self, weights: Any) -> Any:
        """RCRᵀ, with the labels as its axes."""
        return self._back_rooted(self._back_rooted(weights).T).T.reshape((*self.label_shape, *self.label_shape))

    def _named(self, vector: Vector) -> dict[str, Any]:
        return {f"v:{p.name}": v for p, v in zip(self.model.parameters, vector, strict=True)}

    def _with(self, values: Mapping[str, Any], form: Form) -> Any:
        """A form in arguments that are given here."""
        numbers = {**self.arrays.numbers}
        if self.sigma is not None:
            numbers[COLUMN.size] = int(self.sigma[0].shape[-1])
        return replace(self.arrays, tensors={**self.arrays.tensors, **values}, numbers=numbers).value(form)

    def _vector(self, forms: Mapping[str, Form], values: Mapping[str, Any]) -> Vector:
        return Vector(self._with(values, forms[p.name]) for p in self.model.parameters)


@dataclass(frozen=True)
class _OverArrays(LevelGeometry):
    """With G† in the place of G⁻¹."""

    point: TensorPoint

    def tangent_part(self, vector: Vector) -> Vector:
        return self.point.projected(vector)

    def lifted(self, traces: Any) -> Vector:
        return self.point.back(self.point.solve(traces))
