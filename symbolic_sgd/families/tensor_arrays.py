"""The limiting SDE of a family of matrices as array code, for data of any size, without a matrix of D columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadPoint, BadShape, IsolatedMinimum, OffManifold, SingularPoint
from symbolic_sgd.families.array_modules import NUMPY, ArrayModule
from symbolic_sgd.families.array_shapes import is_column, number_of, shaped, solved_sizes, stated_sizes
from symbolic_sgd.families.batches import batch_of
from symbolic_sgd.families.matrix_family import TARGETS, MatrixFamily
from symbolic_sgd.families.noise import AnyNoise
from symbolic_sgd.families.orbit_point import MatrixPair, OrbitPoint
from symbolic_sgd.families.slow_motion import PLAIN, SlowMotion
from symbolic_sgd.families.tensor_point import TensorPoint, Vector
from symbolic_sgd.numeric.guard import ON_MANIFOLD
from symbolic_sgd.numeric.points import real_array
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.tensors.evaluation import Arrays
from symbolic_sgd.tensors.forms import Tensor

ROUNDING = 1e-10
"""By how much probabilities may miss their sum."""

SIGMA_WANTED = "AnyNoise: give sigma=, for each parameter an array with the columns of σ as its last axis"
"""Where σ is not stated by the family, and not given."""

NEARBY = 3
"""At how many random points nearby the rank of dependent gradients is compared."""


@dataclass(frozen=True)
class MatrixArrays:
    """The terms of the limiting SDE of a `MatrixFamily` on arrays, for given data.

    Every method takes one array for each parameter, in the family's order, and returns a tuple of arrays of these shapes;
    batches of points have leading axes. With `AnyNoise` sigma is a tuple of arrays too, each with the columns of σ as its last axis.

    Args:
        family: what was stated.
        data: an array for each of its data, by name.
        numbers: values of constants, and of sizes that no array tells.
        check: whether points are tested: on Γ where the data tell it, and with gradients of a constant rank below D.
        home: NumPy, JAX or PyTorch.
        optimizer: whose limit it is.

    Raises:
        Unstable: the learning rate stays, and the point is beyond the edge of stability.
        BadPoint: wrong shapes, not real or not finite.
        OffManifold: a point off Γ.
        SingularPoint: the rank of the gradients is lower there than at random points nearby.

    >>> import numpy as np
    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> sde = derive_limiting_sde(models.matrix_sensing())
    >>> A, U, V = np.eye(3)[None], np.eye(3), np.eye(3)
    >>> f = sde.lambdify(A=A, y=np.array([3.0]))
    >>> [block.shape for block in f.drift(U, V)], f.codimension(U, V)
    ([(3, 3), (3, 3)], 1)
    """

    family: MatrixFamily
    data: Mapping[str, Any]
    numbers: Mapping[sp.Symbol, Any] = field(default_factory=dict)
    check: bool = True
    home: ArrayModule = NUMPY
    optimizer: Optimizer = PLAIN

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
        if point.proportion is not None:
            return tuple(0 * point.x)
        if point.isotropy is not None:
            drawn = Vector(
                self._array(shaped(a, p, BadPoint)) for a, p in zip(increments, self._parameters, strict=True)
            )
            return tuple(factor * float(np.sqrt(point.isotropy)) * point.projected(drawn))
        if point.sigma is None:
            raise BadInput(SIGMA_WANTED)
        weights = self._array(increments)
        return tuple(factor * Vector(a @ weights for a in point.tangent_noise))

    @property
    def _parameters(self) -> tuple[Tensor, ...]:
        return self.family.model.parameters

    def tangent_projection(self, *x: Any, vectors: Any) -> tuple[Any, ...]:
        """∂Φ applied to vectors, an array for each parameter, with or without columns, at a single point."""
        point = self._checked(self.at(*x))
        columns = len(np.shape(vectors[0])) > len(point.x[0].shape)
        point = replace(point, sigma=Vector(map(self._array, vectors))) if columns else point
        return tuple(point.projected(Vector(map(self._array, vectors))))

    def regularizer(self, *x: Any) -> float:
        """R: (c/4) tr ∇²L where Σ = c∇²L, (s²/4) ln|∇²L|₊ where Σ = s²I, or Σ F(λ) times c/2 or s²/2 by the optimizer's kernel, at a
        single point.

        Raises:
            BadInput: other noise, for which no R is known, or a kernel whose F is not written out.
        """
        point = self._checked(self.at(*x))
        share: Any = point.motion.share
        size = point.proportion if point.proportion is not None else point.isotropy
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
        """f, with the labels as its axes, at a single point; for outputs, these less the targets (or their softmax less them)."""
        point = self.at(*x)
        return self._residuals(point).reshape(point.label_shape)

    def corrected(self, *x: Any) -> tuple[Any, ...]:
        """x less H†∇L: one Newton step along the normals of Γ, at a single point."""
        point = self.at(*x)
        return tuple(point.x - self._newton_step(point))

    def codimension(self, *x: Any) -> int:
        """M, the rank of the gradients, at a single point."""
        return self.at(*x).rank

    def at(self, *x: Any, sigma: Any = None) -> TensorPoint:
        """What the theorem says at a single point, which is not tested.

        Raises:
            BadPoint: another number of arrays, or of other shapes.
        """
        family = self.family
        parameters = family.model.parameters
        if len(x) != len(parameters):
            raise BadPoint(f"a point has {len(parameters)} arrays, one for each parameter; {len(x)} were given")
        values = {p.name: self._array(shaped(a, p, BadPoint)) for p, a in zip(parameters, x, strict=True)}
        tensors = {**self.family.tensors, **{p.name: p for p in parameters}}
        shapes = {name: tuple(a.shape) for name, a in {**self._data, **values}.items()}
        numbers = solved_sizes(tensors, shapes, self.numbers, family.sizes)
        arrays = Arrays({**self._data, **values}, numbers, self.home.module, self.home.printer)
        value = lambda e: None if e is None else arrays.number(sp.sympify(e))  # noqa: E731 (numbers of one kind)
        made = TensorPoint if self._pair is None else partial(OrbitPoint, pair=self._pair)
        point = made(
            family.model,
            arrays,
            arrays.number(sp.sympify(family.model.samples)),
            proportion=value(family.proportion),
            isotropy=value(family.noise.isotropy),
            sigma=self._sigma(sigma, values),
            motion=self._motion.at(arrays.number, numbers, self.home.printer),
        )
        curvature = value(family.curvature)
        return replace(point, root=self._root_of_classes(point) if curvature is None else float(np.sqrt(curvature)))

    def checked(self, *x: Any) -> TensorPoint:
        """What the theorem says at a single point, which is tested where points are."""
        return self._checked(self.at(*x))

    # --- what is given ----------------------------------------------------------------------

    @cached_property
    def _pair(self) -> MatrixPair | None:
        return MatrixPair.of(self.family)

    @cached_property
    def _motion(self) -> SlowMotion[MatrixFamily]:
        return SlowMotion(self.family, self.optimizer)

    @cached_property
    def _data(self) -> dict[str, Any]:
        return {name: self._array(a) for name, a in self.data.items() if name != TARGETS}

    def _batched(self, x: Any, sigma: Any, term: Callable[[TensorPoint], Vector]) -> tuple[Any, ...]:
        parameters = self.family.model.parameters
        if sigma is None and isinstance(self.family.noise, AnyNoise):
            raise BadInput(SIGMA_WANTED)
        if len(x) == len(parameters):
            x = [
                np.squeeze(a, -1) if is_column(a, p) and len(p.shape) == 1 else a
                for a, p in zip(x, parameters, strict=True)
            ]
        axes = {np.ndim(a) - len(p.shape) for a, p in zip(x, parameters, strict=False)}
        if axes == {0} or len(x) != len(parameters):
            return tuple(term(self._checked(self.at(*x, sigma=sigma))))
        if len(axes) > 1 or min(axes) < 0:
            raise BadPoint("the parameters of a batch have the same leading axes; these have different numbers of them")
        lead = np.shape(x[0])[: axes.pop()]
        found = [term(self._checked(self.at(*(a[k] for a in x), sigma=sigma))) for k in np.ndindex(*lead)]
        stack = self.home.module.stack
        return tuple(stack(list(parts)).reshape((*lead, *parts[0].shape)) for parts in zip(*found, strict=True))

    def _checked(self, point: TensorPoint) -> TensorPoint:
        """The point, which is on Γ; with check=False, whatever it is."""
        if not self.check:
            return point
        dimension = sum(int(np.prod(a.shape)) for a in point.x)
        if point.rank == dimension:
            raise IsolatedMinimum(
                f"the gradients of the residuals span all {dimension} parameters: the minimum is a point, and does not move"
            )
        if point.rank < point.count:
            self._compare_ranks(point)
        point.check_edge(self.optimizer.label)
        if self.data.get(TARGETS) is not None or self.family.outputs is None:
            away = _norm(self._newton_step(point)) / (1 + _norm(point.x))
            if not away <= ON_MANIFOLD:
                raise OffManifold(
                    f"the point is not on Γ: the step to it is {away:.3g} of 1 + ‖x‖, and at most {ON_MANIFOLD:g} is allowed; "
                    "take corrected(…) steps first, or give data that the point fits"
                )
        return point

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
            found = _softmax(np.asarray(found))
        if np.shape(targets) != tuple(found.shape):
            raise BadShape(f"{TARGETS} has the shape {np.shape(targets)}; the outputs have {tuple(found.shape)}")
        return (found - self._array(targets)).reshape(point.count)

    def _newton_step(self, point: TensorPoint) -> Vector:
        """H†∇L = JᵀG†f, where f is R⁻¹∇ℓ for classes: (p − targets)/√p."""
        residuals = self._residuals(point)
        if self.family.curvature is None:
            return point.back(point.solve(residuals / self._array(np.sqrt(self._probabilities(point)).ravel())))
        return point.back(point.solve(point.rooted(residuals)))

    def _probabilities(self, point: TensorPoint) -> np.ndarray:
        """Of the classes, one row a sample."""
        return _softmax(np.asarray(point.arrays.value(self.family.model.f))).reshape(-1, point.label_shape[-1])

    def _root_of_classes(self, point: TensorPoint) -> Any:
        """R with the blocks diag(s)(I − ssᵀ), s = √p: RRᵀ has the blocks diag(p) − ppᵀ."""
        s = np.sqrt(self._probabilities(point))
        count, classes = s.shape
        whole = np.zeros((count, classes, count, classes))
        whole[np.arange(count), :, np.arange(count), :] = s[:, :, None] * (
            np.eye(classes) - s[:, :, None] * s[:, None, :]
        )
        return self._array(whole.reshape(point.count, point.count))

    def _array(self, given: Any) -> Any:
        return self.home.as_array(given)

    def _sigma(self, sigma: Any, values: Mapping[str, Any]) -> Vector | None:
        wanted = isinstance(self.family.noise, AnyNoise)
        if sigma is None:
            return None
        if not wanted:
            raise BadInput("the noise is stated by the family; leave sigma= out")
        parts = list(sigma)
        if len(parts) != len(self.family.model.parameters):
            raise BadPoint(
                f"sigma has {len(parts)} arrays; give one for each of the {len(self.family.model.parameters)} parameters"
            )
        columns = [shaped(s, p, BadPoint, further=1) for s, p in zip(parts, self.family.model.parameters, strict=True)]
        if any(
            c.shape[:-1] != tuple(v.shape) or c.shape[-1] != columns[0].shape[-1]
            for c, v in zip(columns, values.values(), strict=True)
        ):
            raise BadPoint(
                f"sigma has the shapes {[c.shape for c in columns]}; give the shape of each parameter with the columns of σ as a last axis"
            )
        return Vector(map(self._array, columns))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {'×'.join(map(str, a.shape)) or 'a number'}" for name, a in self._data.items())
        return f"MatrixArrays({shapes}{'' if self.check else '; points are not tested'})"


def family_arrays(
    motion: SlowMotion[MatrixFamily],
    data: Mapping[str, Any],
    *,
    check: bool,
    sizes: Mapping[Any, int],
    home: ArrayModule,
) -> MatrixArrays:
    """The array code of an optimizer on a family, for data that are given by name.

    Raises:
        BadInput: and its subclasses: names, shapes, or sizes that disagree.
    """
    family, known_sizes = motion.family, stated_sizes(sizes, motion.family.sizes)
    numbers = {s: number_of(data[s.name], s.name) for s in family.numbers if s.name in data}
    given = {name: value for name, value in data.items() if name not in {s.name for s in family.numbers}}
    optional = {TARGETS} if family.outputs is not None else set()
    expected = set(family.tensors) | {s.name for s in family.numbers}
    if set(data) - optional != expected:
        raise BadInput(f"the data given are {sorted(data)}; the family has {sorted(expected)}")
    if TARGETS in given:
        given[TARGETS] = real_array(given[TARGETS], TARGETS)
        if family.curvature is None:
            _check_probabilities(given[TARGETS])
    arrays = {name: value if name == TARGETS else shaped(value, family.tensors[name]) for name, value in given.items()}
    shapes = {n: a.shape for n, a in arrays.items() if n != TARGETS}
    _check_batch(family, solved_sizes(family.tensors, shapes, {**numbers, **known_sizes}, frozenset()))
    return MatrixArrays(family, arrays, {**numbers, **known_sizes}, check, home, motion.optimizer)


def _check_batch(family: MatrixFamily, known: Mapping[Any, Any]) -> None:
    batch, count = (sp.sympify(e).subs(known) for e in (batch_of(family.noise), family.model.samples))
    if batch.is_number and count.is_number and batch > count:
        raise BadInput(f"noise: batch_size is {batch}, and there are {count} samples")


def _check_probabilities(targets: np.ndarray) -> None:
    if not (targets > 0).all() or np.abs(targets.sum(axis=-1) - 1).max() > ROUNDING:
        raise BadInput(
            f"{TARGETS}: the probabilities of the classes of each sample are positive and add up to 1, to {ROUNDING:g}"
        )


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _norm(vector: Vector) -> float:
    return float(np.sqrt(sum(float((np.asarray(a) ** 2).sum()) for a in vector)))
