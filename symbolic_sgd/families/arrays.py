"""The limiting SDE of a family as array code: O(n²d) time and O(nd) memory a point, for n and d of any size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadInput, BadPoint, BadShape, OffManifold, SingularPoint
from symbolic_sgd.families.data import FamilyData
from symbolic_sgd.families.gram_inverse import Triangular
from symbolic_sgd.families.noise import AnyNoise
from symbolic_sgd.families.tensor_point import TensorPoint, Vector
from symbolic_sgd.numeric.guard import ON_MANIFOLD
from symbolic_sgd.numeric.points import real_array


@dataclass(frozen=True)
class FamilyArrays:
    """The terms of a family's limiting SDE on float64 arrays, for given data.

    Every method takes one array (…, d) for each parameter of a coordinate, in the family's order, and returns a tuple of
    arrays of these shapes. With `AnyNoise`, sigma is a tuple of arrays (d, Ξ) too, the rows of σ.

    Args:
        data: of the family's member.
        check: whether points are tested: on Γ, with independent gradients.

    Raises:
        BadPoint: wrong shapes, not real or not finite.
        OffManifold: a point off Γ.
        SingularPoint: the gradients of the residuals are dependent.
        Unstable: the learning rate stays, and the point is beyond the edge of stability.
    """

    data: FamilyData
    check: bool = True

    def __repr__(self) -> str:
        n, d = self.shape
        return f"FamilyArrays(n = {n}, d = {d}{'' if self.check else ', points are not tested'})"

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.data.shape

    # --- the terms --------------------------------------------------------------------------

    def drift(self, *x: Any, sigma: Any = None) -> tuple[np.ndarray, ...]:
        """½∂²Φ[Σ], the sum of the three, and the optimizer's own drift."""
        return self._batched(x, sigma, TensorPoint.total_drift)

    def tangent_noise_compensation(self, *x: Any, sigma: Any = None) -> tuple[np.ndarray, ...]:
        """−½ ∇²L† T[Σ_∥]."""
        return self._batched(x, sigma, TensorPoint.compensation)

    def mixed_regularization(self, *x: Any, sigma: Any = None) -> tuple[np.ndarray, ...]:
        """−∂Φ T[∇²L†Σ_⊥∥]."""
        return self._batched(x, sigma, TensorPoint.mixed)

    def normal_regularization(self, *x: Any, sigma: Any = None) -> tuple[np.ndarray, ...]:
        """−½ ∂Φ T[𝓛⁻¹(Σ_⊥)]."""
        return self._batched(x, sigma, TensorPoint.normal)

    def imposed_drift(self, *x: Any, sigma: Any = None) -> tuple[np.ndarray, ...]:
        """−∂Φg of weight decay and a slow potential; it is part of the drift."""
        return self._batched(x, sigma, TensorPoint.imposed)

    def tangent_projection(self, *x: Any, vectors: Any) -> tuple[np.ndarray, ...]:
        """∂Φ applied to vectors, one array (d) or (d, k) for each parameter, at a single point."""
        columns = self._columns(vectors, "vectors", widths=(1, 2))
        with np.errstate(all="ignore"):
            point = self._checked(self.data.point(self._single(x), columns if columns[0].ndim == 2 else None))
            return tuple(point.projected(columns))

    def residuals(self, *x: Any) -> np.ndarray:
        """f_1 … f_n, (…, n)."""
        points = self._points(x)
        found = np.empty((len(points[0]), self.shape[0]))
        for k in range(len(found)):
            found[k] = self.data.residuals(Vector(p[k] for p in points))
        return found.reshape(*np.shape(x[0])[:-1], self.shape[0])

    def corrected(self, *x: Any) -> tuple[np.ndarray, ...]:
        """x − Jᵀ G⁻¹ f: one Newton step along the normals of Γ, at a single point."""
        with np.errstate(all="ignore"):
            point = self.data.point(self._single(x))
            return tuple(point.x - self._newton_step(point))

    def condition(self, *x: Any) -> float:
        """A bound below of the condition number of JJᵀ at a single point, infinite where it is singular."""
        arrays = self.data.point(self._single(x)).arrays
        try:
            diagonal = np.diag(Triangular.of(arrays.value(self.data.family.model.gram), np).lower)
        except SingularPoint:
            return float("inf")
        return float((diagonal.max() / diagonal.min()) ** 2)

    # --- what is given ----------------------------------------------------------------------

    def _batched(self, x: Any, sigma: Any, term: Callable[[TensorPoint], Vector]) -> tuple[np.ndarray, ...]:
        points, rows = self._points(x), self._sigma(sigma)
        found = tuple(np.empty_like(p) for p in points)
        for k in range(len(points[0])):
            at = Vector(p[k] for p in points)
            self._check_signs(at)
            with np.errstate(all="ignore"):
                value = term(self._checked(self.data.point(at, rows)))
            for array, block in zip(found, value, strict=True):
                array[k] = block
        return tuple(array.reshape(np.shape(x[0])) for array in found)

    def _checked(self, point: TensorPoint) -> TensorPoint:
        """The point, which is on Γ; with check=False, whatever it is."""
        if not self.check:
            return point
        finite = np.isfinite(self.data.residuals(point.x))
        if not finite.all():
            raise SingularPoint(f"the residual f_{int(np.argmin(finite)) + 1} is not a finite real number there")
        away = _norm(self._newton_step(point)) / (1 + _norm(point.x))
        if not away <= ON_MANIFOLD:
            raise OffManifold(
                f"the point is not on Γ: the step JᵀG⁻¹f to it is {away:.3g} of 1 + |x|, and at most {ON_MANIFOLD:g} is "
                "allowed; take corrected(…) steps first"
            )
        point.check_edge(self.data.optimizer.label)
        return point

    def _newton_step(self, point: TensorPoint) -> Vector:
        """JᵀG⁻¹f: x less this is a Newton step along the normals of Γ."""
        return point.back(point.solve(point.rooted(self.data.residuals(point.x))))

    def _check_signs(self, x: Vector) -> None:
        """SymPy has used that parameters declared positive are positive."""
        for base, values in zip(self.data.family.parameters, x, strict=True):
            if self.check and base.is_positive and not (values > 0).all():
                raise BadPoint(f"{base.label} is declared positive, and has the entry {values.min():.6g}")

    def _single(self, x: Sequence[Any]) -> Vector:
        if any(np.ndim(a) != 1 for a in x):
            raise BadPoint("this is computed at a single point: give one array (d) for each parameter")
        return Vector(p[0] for p in self._points(x))

    def _points(self, x: Sequence[Any]) -> list[np.ndarray]:
        """One array (points, d) for each parameter."""
        count, d = len(self.data.family.parameters), self.shape[1]
        if len(x) != count:
            raise BadPoint(f"a point has {count} arrays, one for each parameter of a coordinate; {len(x)} were given")
        arrays = []
        for value in x:
            array = real_array(value, "a parameter", BadPoint)
            if array.ndim == 0 or array.shape[-1] != d or array.shape != np.shape(x[0]):
                raise BadPoint(f"a parameter has shape {array.shape}; all of them have one shape (…, {d})")
            arrays.append(array.reshape(-1, d))
        return arrays

    def _columns(self, given: Any, name: str, widths: tuple[int, ...]) -> Vector:
        """One array (d) or (d, k) for each parameter."""
        try:
            rows = [real_array(r, name) for r in given]
        except TypeError as error:
            raise BadShape(f"{name}: give one array for each parameter") from error
        good = len(rows) == len(self.data.family.parameters) and rows[0].ndim in widths
        if not good or any(r.shape != (self.shape[1], *rows[0].shape[1:]) or not r.size for r in rows):
            raise BadShape(
                f"{name} has shapes {[r.shape for r in rows]}; give one array for each parameter, with {self.shape[1]} rows"
            )
        return Vector(rows)

    def _sigma(self, sigma: Any) -> Vector | None:
        stated = not isinstance(self.data.family.noise, AnyNoise)
        if (sigma is None) != stated:
            raise BadInput(
                "the noise is stated by the family; leave sigma= out"
                if stated
                else "AnyNoise: give sigma=, one array (d, Ξ) for each parameter"
            )
        return None if stated else self._columns(sigma, "sigma", widths=(2,))


def _norm(vector: Vector) -> float:
    return np.sqrt(sum(float(v @ v) for v in vector))
