"""A family of matrices at one point: the theorem's three lines over arrays, without a matrix of D columns.

J is held as forms only: Jv, Jᵀλ, G = JJᵀ and Σ ζ_L′L (∇²f_L)∇f_L′ are contractions of parameters and data. Where the loss has a
curvature K = RRᵀ of its own, J and f stand for RᵀJ and Rᵀf.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.errors import Unstable
from symbolic_sgd.families.gram_inverse import GramInverse, Spectral
from symbolic_sgd.families.minibatches import Minibatches
from symbolic_sgd.families.slow_motion import PLAIN_NUMBERS, MotionNumbers
from symbolic_sgd.families.tensor_model import Blocks, TensorModel
from symbolic_sgd.tensors.evaluation import Arrays
from symbolic_sgd.tensors.forms import COLUMN, Form
from symbolic_sgd.theorem.drift import DriftLines
from symbolic_sgd.theorem.levels import Across, Along, LevelGeometry


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
        root: R with K = RRᵀ, N×N for N residuals, the diagonal of such a matrix, or a number.
        proportion: c, where Σ = cH.
        isotropy: s², where Σ = s²I.
        sigma: else σ, for each parameter an array with the columns as its last axis.
        variance: or (ν/κ)_L with Σ = (1/n) Σ_L ν_L ∇f_L∇f_Lᵀ.
        trace_gradient: ∇ tr H; None for classes, whose curvature is no data.
        inverted: how G† is found.
        motion: what the optimizer makes of the noise.
    """

    model: TensorModel
    arrays: Arrays
    samples: float
    root: Any = 1.0
    proportion: float | None = None
    isotropy: float | None = None
    sigma: Vector | None = None
    variance: Any = None
    trace_gradient: Blocks | None = None
    inverted: Callable[[Any, Any], GramInverse] = Spectral.of
    motion: MotionNumbers = PLAIN_NUMBERS

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
        """Jᵀλ, for one column or several."""
        forms = self.model.back if len(weights.shape) == 1 else self.model.back_columns
        return self._vector(forms, {"λ": self._back_rooted(weights).reshape((*self.label_shape, *weights.shape[1:]))})

    @cached_property
    def gram(self) -> Any:
        """G, N×N."""
        found = self.arrays.value(self.model.gram).reshape((self.count, self.count))
        return self.rooted(self.rooted(found).T)

    @property
    def trace(self) -> Any:
        """tr G."""
        if len(np.shape(self.root)):
            return self.gram.trace()
        return self.root**2 * self.arrays.value(self.model.total_square)

    def bent(self, weights: Any) -> Vector:
        """Σ_LL′ ζ_L′L (∇²f_L)∇f_L′, ζ with the rows L′."""
        return self._vector(self.model.bent, {"ζ": self._on_pairs(weights)})

    # --- G† ---------------------------------------------------------------------------------

    @cached_property
    def inverse(self) -> GramInverse:
        """G†.

        Raises:
            SingularPoint: the rank of the gradients cannot be told, or is not what it has to be.
        """
        return self.inverted(self.gram, self.arrays.module)

    @cached_property
    def spectrum(self) -> tuple[Any, Any]:
        """The nonzero eigenvalues of G, and their eigenvectors."""
        return self.inverse.spectrum

    @property
    def rank(self) -> int:
        """M, the number of independent gradients."""
        return self.inverse.rank

    def solve(self, right: Any) -> Any:
        """G†b."""
        return self.inverse.solve(right)

    @cached_property
    def _inverse_on_pairs(self) -> Any:
        """G†, one array wherever it stands, so that products with it are formed once."""
        return self._on_pairs(self.inverse.matrix)

    def projected(self, vector: Vector) -> Vector:
        """v − JᵀG†Jv; with columns, each."""
        return vector - self.back(self.solve(self.along(vector)))

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

    def imposed(self) -> Vector:
        """−∂Φg."""
        return 0 * self.x if self.motion.slow is None else -self.projected(self._vector(self.motion.slow, {}))

    def total_drift(self) -> Vector:
        """b_∥ + b_⊥∥ + b_⊥ − ∂Φg."""
        return self.compensation() + self.mixed() + self.normal() + self.imposed()

    def check_edge(self, label: str) -> None:
        """Of the optimizer with this name.

        Raises:
            Unstable: a curvature is too large for its learning rate.
        """
        edge = self.motion.edge
        if edge is None:
            return
        largest = float(np.asarray(self.curvatures).max())
        if not largest < edge:
            raise Unstable(
                f"{label} does not stay near Γ there, beyond its edge of stability: the largest curvature is {largest:.6g}, "
                f"and it has to be smaller than {edge:.6g}; make the learning rate smaller"
            )

    @property
    def curvatures(self) -> Any:
        """The eigenvalues λ > 0 of H."""
        return self.spectrum[0] / self.samples

    # --- the blocks of Σ, as the theorem's lines ask for them --------------------------------

    @property
    def tangent_covariance(self) -> Along:
        """τΣ_∥, Σ_∥ = σ_∥σ_∥ᵀ or s²∂Φ."""
        if self.sigma is not None:
            traces = self._with(self._named(self.tangent_noise), self.model.curved)
            return Along(self.motion.tangent * self.rooted(traces.reshape(self.count)))
        assert self.isotropy is not None
        traces = self._with({}, self.model.laplacian)
        across = self._with({"G†": self._inverse_on_pairs}, self.model.curved_by_gradients)
        return Along(self.motion.tangent * self.isotropy * self.rooted((traces - across).reshape(self.count)))

    @property
    def cross(self) -> Across:
        """N[∂Φ Σ JᵀG† m(GK)], m(λ) = λk(λ, 0)."""
        assert self.sigma is not None
        slopes = self.solve(self.along(self.sigma))
        if self.motion.mixed is not None:
            axes = self.spectrum[1]
            slopes = axes @ (self.motion.mixed(self.curvatures)[:, None] * (axes.T @ slopes))
        weights = self._back_rooted(slopes)
        values = {**self._named(self.tangent_noise), "ω": weights.reshape((*self.label_shape, weights.shape[1]))}
        return Across(self._vector(self.model.bent_along, values), 1.0)

    @property
    def stationary(self) -> Across:
        """T[S] = (2/n) N[ZG] for S = JᵀZJ, by the eigenvectors of G."""
        motion, size = self.motion, self.proportion if self.proportion is not None else self.isotropy
        if motion.batches is not None:
            return self._of_batches(motion.batches)
        if size is not None and motion.own is not None:
            axes = self.spectrum[1]
            return Across(self.bent((axes * motion.own(self.curvatures)) @ axes.T), 2 * size / self.samples)
        if self.proportion is not None:
            return Across(self._bent_by_all(), self._share * self.proportion / self.samples)
        if self.isotropy is not None:
            return Across(self._vector(self.model.bent, {"ζ": self._inverse_on_pairs}), self._share * self.isotropy)
        values, axes = self.spectrum
        scaled = self.curvatures
        inner = self._across(axes) * motion.pairs(scaled[:, None], scaled)
        return Across(self.bent(axes @ (inner * values) @ axes.T), 2 / self.samples)

    def _of_batches(self, batches: Minibatches) -> Across:
        values, axes = self.spectrum
        noise = np.ones(self.count) * np.asarray(self.variance if self.proportion is None else self.proportion)
        inner = batches.stationary(np.asarray(self.curvatures), np.asarray(axes), noise / self.samples)
        weights = axes @ (self.arrays.module.asarray(inner) * values) @ axes.T
        return Across(self.bent(weights), 2 / self.samples)

    def _across(self, axes: Any) -> Any:
        """G†JΣJᵀG† in the eigenvectors of G."""
        if self.variance is not None:
            return (axes.T * self.variance) @ axes / self.samples
        assert self.sigma is not None
        across = axes.T @ self.solve(self.along(self.sigma))
        return across @ across.T

    @property
    def _share(self) -> float:
        assert self.motion.share is not None
        return self.motion.share

    @cached_property
    def tangent_noise(self) -> Vector:
        """∂Φσ."""
        assert self.sigma is not None
        return self.projected(self.sigma)

    def _bent_by_all(self) -> Vector:
        """N[K], half the gradient of Σ_L κ_L‖∇f_L‖²."""
        if self.trace_gradient is None:
            return self.bent(self.arrays.module.eye(self.count, dtype=self.gram.dtype))
        return self.samples / 2 * self._vector(self.trace_gradient, {})

    # --- arrays -----------------------------------------------------------------------------

    def rooted(self, values: Any) -> Any:
        """Rᵀ on the first axis."""
        return _times(self.root.T if len(np.shape(self.root)) == 2 else self.root, values)

    def _back_rooted(self, values: Any) -> Any:
        """R on the first axis."""
        return _times(self.root, values)

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


def _times(root: Any, values: Any) -> Any:
    """A matrix, a diagonal matrix by its diagonal, or a number, times columns."""
    axes = len(np.shape(root))
    if axes == 2:
        return root @ values
    return (root[:, None] if axes and len(values.shape) > 1 else root) * values


@dataclass(frozen=True)
class _OverArrays(LevelGeometry):
    """With G† in the place of G⁻¹."""

    point: TensorPoint

    def tangent_part(self, vector: Vector) -> Vector:
        return self.point.projected(vector)

    def lifted(self, traces: Any) -> Vector:
        return self.point.back(self.point.solve(traces))
