"""The limiting SDE of a family as array code, for data of any size, without a matrix of D columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadPoint, BadShape, IsolatedMinimum, OffManifold, SingularPoint
from symbolic_sgd.families.array_modules import NUMPY, ArrayModule
from symbolic_sgd.families.array_shapes import is_column, solved_sizes
from symbolic_sgd.families.batches import batch_of
from symbolic_sgd.families.data import check_signs, given_data
from symbolic_sgd.families.member_arrays import MemberArrays, softmax
from symbolic_sgd.families.noise import AnyNoise
from symbolic_sgd.families.slow_motion import SlowMotion
from symbolic_sgd.families.stated import TARGETS
from symbolic_sgd.families.tensor_point import TensorPoint, Vector
from symbolic_sgd.numeric.guard import ON_MANIFOLD

NO_POTENTIAL = "steps draw samples at a learning rate that stays, and S is no function of ∇²L"
"""Why batches have no R."""

SIGMA_WANTED = "AnyNoise: give sigma=, for each parameter an array with the columns of σ as its last axis"
"""Where σ is not stated by the family, and not given."""

NEARBY = 3
"""At how many random points nearby the rank of dependent gradients is compared."""


@dataclass(frozen=True)
class FamilyArrays(MemberArrays):
    """The terms of the limiting SDE of a family on arrays, for given data: O(n²d) time and O(nd) memory a point for n samples of d
    entries.

    Every method takes one array for each parameter, in the family's order, and returns a tuple of arrays of these shapes;
    batches of points have leading axes. With `AnyNoise` sigma is a tuple of arrays too, each with the columns of σ as its last axis.

    Args:
        family: what was stated.
        data: an array for each of its data, by name.
        numbers: values of constants, and of sizes that no array tells.
        check: whether points are tested: on Γ where the data tell it, with gradients of a constant rank below D, which are independent
            for a `Family`, and with the signs that were declared.
        home: NumPy, JAX or PyTorch.
        optimizer: whose limit it is.

    Raises:
        Unstable: the learning rate stays, and the point is beyond the edge of stability.
        BadPoint: wrong shapes, not real or not finite.
        OffManifold: a point off Γ.
        SingularPoint: the rank of the gradients is lower there than at random points nearby, or than the number of residuals for a
            `Family`.

    >>> import numpy as np
    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> sde = derive_limiting_sde(models.matrix_sensing())
    >>> A, U, V = np.eye(3)[None], np.eye(3), np.eye(3)
    >>> f = sde.lambdify(A=A, y=np.array([3.0]))
    >>> [block.shape for block in f.drift(U, V)], f.codimension(U, V)
    ([(3, 3), (3, 3)], 1)
    """

    check: bool = True

    # --- the terms --------------------------------------------------------------------------

    def drift(self, *x: Any, sigma: Any = None) -> tuple[Any, ...]:
        """½∂²Φ[Σ], the sum of the three, and the optimizer's own drift."""
        return self._batched(x, sigma, TensorPoint.total_drift)

    def tangent_noise_compensation(self, *x: Any, sigma: Any = None) -> tuple[Any, ...]:
        """−½ ∇²L† T[Σ_∥]."""
        return self._batched(x, sigma, TensorPoint.compensation)

    def mixed_regularization(self, *x: Any, sigma: Any = None) -> tuple[Any, ...]:
        """−∂Φ T[∇²L†Σ_⊥∥]."""
        return self._batched(x, sigma, TensorPoint.mixed)

    def normal_regularization(self, *x: Any, sigma: Any = None) -> tuple[Any, ...]:
        """−½ ∂Φ T[𝓛⁻¹(Σ_⊥)]."""
        return self._batched(x, sigma, TensorPoint.normal)

    def imposed_drift(self, *x: Any, sigma: Any = None) -> tuple[Any, ...]:
        """−∂Φg of weight decay and a slow potential; it is part of the drift."""
        return self._batched(x, sigma, TensorPoint.imposed)

    def tangent_noise(self, *x: Any, increments: Any, sigma: Any = None) -> tuple[Any, ...]:
        """√τ ∂Φσ dW at a single point, τ of the optimizer.

        Args:
            x: an array for each parameter, of its shape.
            increments: dW: an array for each parameter, of its shape, where Σ = s²I; with `AnyNoise` one number for each column of σ.
            sigma: σ, for `AnyNoise`.

        Raises:
            BadInput: and its subclasses: shapes, numbers that are not finite, or `AnyNoise` without σ.
            SingularPoint: the rank of the gradients cannot be told there.
        """
        point = self._checked(self.at(*x, sigma=sigma))
        factor = float(np.sqrt(point.motion.tangent))
        if point.proportion is not None or point.variance is not None:
            return tuple(0 * point.x)
        if point.isotropy is not None:
            drawn = self._columns(increments, "increments", point.x)
            return tuple(factor * float(np.sqrt(point.isotropy)) * point.projected(drawn))
        if point.sigma is None:
            raise BadInput(SIGMA_WANTED)
        weights = self._array(increments)
        return tuple(factor * Vector(a @ weights for a in point.tangent_noise))

    def tangent_projection(self, *x: Any, vectors: Any) -> tuple[Any, ...]:
        """∂Φ applied to vectors, an array for each parameter, with or without columns, at a single point."""
        point = self._checked(self.at(*x))
        further = int(all(len(np.shape(v)) > len(a.shape) for v, a in zip(vectors, point.x, strict=False)))
        columns = self._columns(vectors, "vectors", point.x, further)
        point = replace(point, sigma=columns) if further else point
        return tuple(point.projected(columns))

    def regularizer(self, *x: Any) -> float:
        """R: (c/4) tr ∇²L where Σ = c∇²L, (s²/4) ln|∇²L|₊ where Σ = s²I, or Σ F(λ) times c/2 or s²/2 by the optimizer's kernel, at a
        single point.

        Raises:
            BadInput: other noise, for which no R is known, or a kernel whose F is not written out.
        """
        point = self._checked(self.at(*x))
        share: Any = point.motion.share
        size = point.proportion if point.proportion is not None else point.isotropy
        if point.motion.batches is not None:
            raise BadInput(f"no regularizer is known: {NO_POTENTIAL}")
        if size is not None and share is None:
            primitive = self._motion.primitive_at({**self.numbers, **point.arrays.numbers})
            if primitive is None:
                raise BadInput(f"the integral of {self._motion.own} over a curvature is not written out: no R is known")
            return size / 2 * float(primitive(np.asarray(point.curvatures)).sum())
        if point.proportion is not None:
            return share * point.proportion / (4 * point.samples) * float(point.trace)
        if point.isotropy is not None:
            return share * point.isotropy / 4 * float(np.log(np.asarray(point.curvatures)).sum())
        raise BadInput("for a σ that is given as numbers no regularizer is known")

    def residuals(self, *x: Any) -> Any:
        """f, with the labels as its last axes; for outputs, these less the targets (or their softmax less them)."""
        shapes = [tuple(np.shape(a))[np.ndim(a) - len(p.shape) :] for a, p in zip(x, self._parameters, strict=False)]
        numbers = self._constants(tuple(shapes)).numbers if len(x) == len(self._parameters) else {}
        empty = lambda: (tuple(int(sp.sympify(i.size).subs(numbers)) for i in self.family.model.labels),)  # noqa: E731
        return self._at_each(x, lambda *at: (self._labelled(self.at(*at)),), empty)[0]

    def _labelled(self, point: TensorPoint) -> Any:
        return self._residuals(point).reshape(point.label_shape)

    def corrected(self, *x: Any) -> tuple[Any, ...]:
        """x less H†∇L: one Newton step along the normals of Γ, at a single point."""
        with np.errstate(all="ignore"):
            point = self.at(*x)
            return tuple(point.x - self._newton_step(point, self._residuals(point)))

    def condition(self, *x: Any) -> float:
        """A bound below of the ratio of the largest curvature to the smallest at a single point, times that of ℓ″(0); infinite where
        the rank of the gradients cannot be told."""
        try:
            return self.at(*x).inverse.condition
        except SingularPoint:
            return float("inf")

    def codimension(self, *x: Any) -> int:
        """M, the rank of the gradients, at a single point."""
        return self.at(*x).rank

    def checked(self, *x: Any) -> TensorPoint:
        """What the theorem says at a single point, which is tested where points are."""
        return self._checked(self.at(*x))

    def _batched(self, x: Any, sigma: Any, term: Callable[[TensorPoint], Vector]) -> tuple[Any, ...]:
        if sigma is None and isinstance(self.family.noise, AnyNoise):
            raise BadInput(SIGMA_WANTED)
        own = lambda: tuple(np.shape(a)[np.ndim(a) - len(p.shape) :] for a, p in zip(x, self._parameters, strict=True))  # noqa: E731
        return self._at_each(x, lambda *at: term(self._checked(self.at(*at, sigma=sigma))), own)

    def _at_each(self, x: Any, value: Callable[..., Any], shapes: Callable[[], Any]) -> tuple[Any, ...]:
        """Arrays at each point of a batch, whose leading axes they have; of these shapes where there is no point."""
        parameters = self._parameters
        if len(x) == len(parameters):
            x = self._without_columns(x)
        axes = {np.ndim(a) - len(p.shape) for a, p in zip(x, parameters, strict=False)}
        with np.errstate(all="ignore"):
            if axes == {0} or len(x) != len(parameters):
                return tuple(value(*x))
            if len(axes) > 1 or min(axes) < 0 or len({np.shape(a)[: min(axes)] for a in x}) > 1:
                raise BadPoint("the parameters of a batch have one shape of leading axes; these have different ones")
            lead = np.shape(x[0])[: axes.pop()]
            if 0 in lead:
                return tuple(self._array(np.zeros((*lead, *shape))) for shape in shapes())
            found = [value(*(a[k] for a in map(self._taken, x))) for k in np.ndindex(*lead)]
        stack = self.home.module.stack
        return tuple(stack(list(parts)).reshape((*lead, *parts[0].shape)) for parts in zip(*found, strict=True))

    def _without_columns(self, x: Any) -> Any:
        """Vectors that are given as columns without their last axis: a batch of vectors of one entry has that shape, too."""
        pairs = list(zip(x, self._parameters, strict=True))
        columns = [len(p.shape) == 1 and is_column(a, p) for a, p in pairs]
        if len({np.ndim(a) - len(p.shape) for a, p in pairs}) == 1 and any(columns):
            shapes = {name: tuple(a.shape) for name, a in self._data.items()}
            sizes = solved_sizes(self.family.tensors, shapes, self.numbers, frozenset())
            single = any(
                sp.sympify(p.shape[0]).subs(sizes) == 1 for (_, p), of in zip(pairs, columns, strict=True) if of
            )
            if single or not all(columns):
                return x
        return [np.squeeze(a, -1) if of else a for (a, _), of in zip(pairs, columns, strict=True)]

    @staticmethod
    def _taken(array: Any) -> Any:
        return array if hasattr(array, "shape") else np.asarray(array)

    def _checked(self, point: TensorPoint) -> TensorPoint:
        """The point, which is on Γ; with check=False, whatever it is."""
        if not self.check:
            return point
        for p, values in zip(self._parameters, point.x, strict=True):
            check_signs(p.name, self.family.symbols[p.name], np.asarray(values), BadPoint)
        tested = self.data.get(TARGETS) is not None or self.family.outputs is None
        residuals = self._residuals(point) if tested else None
        if tested:
            self._check_finite(point, residuals)
        self._check_rank(point)
        point.check_edge(self.optimizer.label)
        if tested:
            away = _norm(self._newton_step(point, residuals)) / (1 + _norm(point.x))
            if not away <= ON_MANIFOLD:
                raise OffManifold(
                    f"the point is not on Γ: the step to it is {away:.3g} of 1 + ‖x‖, and at most {ON_MANIFOLD:g} is allowed; "
                    "take corrected(…) steps first, or give data that the point fits"
                )
        return point

    def _check_finite(self, point: TensorPoint, residuals: Any) -> None:
        finite = np.isfinite(np.asarray(residuals))
        if not finite.all():
            at = ", ".join(str(k + 1) for k in np.unravel_index(int(np.argmin(finite)), point.label_shape))
            raise SingularPoint(f"the residual f_{at} is not a finite real number there")

    def _check_rank(self, point: TensorPoint) -> None:
        dimension = sum(int(np.prod(a.shape)) for a in point.x)
        if point.rank == dimension:
            raise IsolatedMinimum(
                f"the gradients of the residuals span all {dimension} parameters: the minimum is a point, and does not move"
            )
        if point.rank < point.count:
            if self.family.independent:
                raise SingularPoint(f"the gradients of the {point.count} residuals are dependent there")
            self._compare_ranks(point)

    def _compare_ranks(self, point: TensorPoint) -> None:
        rng = np.random.default_rng(0)
        scale = 0.1 * max(float(np.abs(np.asarray(a)).max()) for a in point.x)
        for _ in range(NEARBY):
            near = self.at(*(np.asarray(a) + scale * rng.standard_normal(a.shape) for a in point.x))
            full = replace(near, root=point.root).rank
            if full > point.rank:
                raise SingularPoint(
                    f"the gradients have the rank {point.rank} there, and {full} nearby: the point is singular"
                )

    def _residuals(self, point: TensorPoint) -> Any:
        found = point.arrays.value(self.family.model.f)
        if self.family.outputs is None:
            return found.reshape(point.count)
        targets = self.data.get(TARGETS)
        if targets is None:
            raise BadInput(f"give {TARGETS}= with the data: what the outputs are on Γ")
        if self.family.curvature is None:
            found = softmax(np.asarray(found))
        if np.shape(targets) != tuple(found.shape):
            raise BadShape(f"{TARGETS} has the shape {np.shape(targets)}; the outputs have {tuple(found.shape)}")
        return (found - self._array(targets)).reshape(point.count)

    def _newton_step(self, point: TensorPoint, residuals: Any) -> Vector:
        """H†∇L = JᵀG†f, where f is R⁻¹∇ℓ for classes: (p − targets)/√p."""
        if self.family.curvature is None:
            return point.back(point.solve(residuals / self._array(np.sqrt(self._probabilities(point)).ravel())))
        return point.back(point.solve(point.rooted(residuals)))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {'×'.join(map(str, a.shape)) or 'a number'}" for name, a in self._data.items())
        return f"FamilyArrays({shapes}{'' if self.check else '; points are not tested'})"


def family_arrays(
    motion: SlowMotion[Any],
    data: Mapping[str, Any],
    *,
    check: bool = True,
    sizes: Mapping[Any, int] | None = None,
    home: ArrayModule = NUMPY,
) -> FamilyArrays:
    """The array code of an optimizer on a family, for data that are given by name.

    Raises:
        BadInput: and its subclasses: names, shapes, signs, sizes that disagree, a loss without a minimum, or more samples than
            parameters where the gradients have to be independent.
    """
    family = motion.family
    arrays, numbers = given_data(family, data, sizes or {}, home)
    found = FamilyArrays(family, arrays, numbers, home, motion.optimizer, check)
    shapes = {name: tuple(a.shape) for name, a in arrays.items() if name != TARGETS}
    known = solved_sizes(family.tensors, shapes, numbers, family.sizes if family.independent else frozenset())
    batch, count = (sp.sympify(e).subs(known) for e in (batch_of(family.noise), family.model.samples))
    if batch.is_number and count.is_number and batch > count:
        raise BadInput(f"noise: batch_size is {batch}, and there are {count} samples")
    dimension = sp.Add(*(sp.Mul(*p.shape) for p in family.model.parameters)).subs(known)
    if family.independent and count > dimension:
        raise BadInput(
            f"there are {count} samples and D = {dimension} parameters: the gradients of more residuals "
            "than parameters are dependent, and Γ has no tangent space"
        )
    found.check_loss()
    return found


def _norm(vector: Vector) -> float:
    return float(np.sqrt(sum(float((np.asarray(a) ** 2).sum()) for a in vector)))
