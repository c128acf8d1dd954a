"""One member of a family on arrays: its data, and what the theorem says at a point of it, without a matrix of D columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadPoint, BadShape
from symbolic_sgd.families.array_modules import NUMPY, ArrayModule
from symbolic_sgd.families.array_shapes import is_column, shaped, solved_sizes
from symbolic_sgd.families.gram_inverse import Spectral, Triangular
from symbolic_sgd.families.noise import AnyNoise
from symbolic_sgd.families.orbit_point import MatrixPair, OrbitPoint
from symbolic_sgd.families.slow_motion import PLAIN, MotionNumbers, SlowMotion
from symbolic_sgd.families.stated import TARGETS, StatedFamily
from symbolic_sgd.families.tensor_point import TensorPoint, Vector
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.tensors.evaluation import Arrays
from symbolic_sgd.tensors.forms import Form, Tensor
from symbolic_sgd.tensors.sparse_products import is_sparse


@dataclass(frozen=True)
class _Constants:
    """What is the same at all points of these shapes."""

    numbers: Mapping[Any, Any]
    samples: float
    proportion: float | None
    isotropy: float | None
    root: Any
    variance: Any
    motion: MotionNumbers


@dataclass(frozen=True)
class MemberArrays:
    """A family with its data, on arrays.

    Args:
        family: what was stated.
        data: an array for each of its data, by name.
        numbers: values of constants, and of sizes that no array tells.
        home: NumPy, JAX or PyTorch.
        optimizer: whose limit it is.
    """

    family: StatedFamily
    data: Mapping[str, Any]
    numbers: Mapping[sp.Symbol, Any] = field(default_factory=dict)
    home: ArrayModule = NUMPY
    optimizer: Optimizer = PLAIN

    @cached_property
    def curvature(self) -> np.ndarray:
        """κ = ℓ″(0), a number or one for each sample."""
        return self._of_samples(self.family.curvature)

    @cached_property
    def variance(self) -> np.ndarray | None:
        """ν, where labels are the only noise: a number or one for each sample."""
        return None if self.family.variance is None else self._of_samples(self.family.variance)

    def check_loss(self) -> None:
        """ℓ″(0) and the probabilities of labels, for these data.

        Raises:
            BadInput: one that is not positive.
        """
        family = self.family
        if family.at_zero is None:
            return
        if not (self.curvature > 0).all():
            raise BadInput(f"ℓ″(0) is not positive for sample {int(np.argmin(self.curvature)) + 1}")
        for p, _ in family.at_zero.laws or ():
            if not (self._of_samples(p) > 0).all():
                raise BadInput("noise: a label's probability is not positive for these data")

    def at(self, *x: Any, sigma: Any = None) -> TensorPoint:
        """What the theorem says at a single point, which is not tested.

        Raises:
            BadPoint: another number of arrays, or of other shapes.
        """
        values = self._single(x)
        known = self._constants(tuple(tuple(a.shape) for a in values.values()))
        arrays = Arrays({**self._data, **values}, known.numbers, self.home.module, self.home.printer)
        made = TensorPoint if self._pair is None else partial(OrbitPoint, pair=self._pair)
        triangular = self.family.independent and self.home.module is np
        point = made(
            self.family.model,
            arrays,
            known.samples,
            root=known.root,
            proportion=known.proportion,
            isotropy=known.isotropy,
            sigma=self._sigma(sigma, tuple(values.values())),
            variance=known.variance,
            trace_gradient=self.family.trace_gradient,
            inverted=Triangular.of if triangular else Spectral.of,
            motion=known.motion,
        )
        return replace(point, root=self._root_of_classes(point)) if self.family.curvature is None else point

    @property
    def _parameters(self) -> tuple[Tensor, ...]:
        return self.family.model.parameters

    @cached_property
    def _pair(self) -> MatrixPair | None:
        return MatrixPair.of(self.family)

    @cached_property
    def _motion(self) -> SlowMotion[Any]:
        return SlowMotion(self.family, self.optimizer)

    @cached_property
    def _data(self) -> dict[str, Any]:
        return {name: self._array(a) for name, a in self.data.items() if name != TARGETS}

    def _of_samples(self, expression: Any) -> np.ndarray:
        family = self.family
        shapes = {name: tuple(a.shape) for name, a in self._data.items()}
        form = family.per_sample(expression) if sp.sympify(expression).atoms(sp.Indexed) else Form.constant(expression)
        numbers = solved_sizes(family.tensors, shapes, self.numbers, frozenset(expression.free_symbols & family.sizes))
        data = {name: np.asarray(self._data[name]) for name in {t.name for t in form.tensors}}
        return np.asarray(Arrays(data, numbers, np).value(form))

    @cached_property
    def _known(self) -> dict[Any, _Constants]:
        return {}

    def _constants(self, shapes: tuple[tuple[int, ...], ...]) -> _Constants:
        """Of points whose parameters have these shapes."""
        if shapes not in self._known:
            self._known[shapes] = self._found(shapes)
        return self._known[shapes]

    def _found(self, shapes: tuple[tuple[int, ...], ...]) -> _Constants:
        family, parameters = self.family, self._parameters
        tensors = {**family.tensors, **{p.name: p for p in parameters}}
        every = {name: tuple(a.shape) for name, a in self._data.items()}
        every |= {p.name: shape for p, shape in zip(parameters, shapes, strict=True)}
        try:
            numbers = solved_sizes(tensors, every, self.numbers, family.sizes)
        except BadShape as error:
            raise BadPoint(f"the shapes of a point do not fit: {error}") from error
        arrays = Arrays({}, numbers, self.home.module, self.home.printer)
        value = lambda e: None if e is None else arrays.number(sp.sympify(e))  # noqa: E731 (numbers of one kind)
        varies = self.variance is not None and family.proportion is None
        return _Constants(
            numbers,
            arrays.number(sp.sympify(family.model.samples)),
            value(family.proportion),
            value(family.noise.isotropy),
            1.0 if family.curvature is None else self._per_sample(np.sqrt(self.curvature)),
            self._per_sample(self.variance / self.curvature) if varies else None,
            self._motion.at(arrays.number, numbers, self.home.printer),
        )

    def _per_sample(self, values: Any) -> Any:
        return self._array(values) if np.ndim(values) else float(values)

    def _single(self, x: Any) -> dict[str, Any]:
        """One array for each parameter, by name."""
        parameters = self._parameters
        if len(x) != len(parameters):
            raise BadPoint(f"a point has {len(parameters)} arrays, one for each parameter; {len(x)} were given")
        more = [np.ndim(a) - len(p.shape) - is_column(a, p) for a, p in zip(x, parameters, strict=True)]
        if min(more) > 0:
            raise BadPoint(
                "this is computed at a single point: give one array for each parameter, without leading axes"
            )
        return {p.name: self._array(shaped(a, p, BadPoint)) for p, a in zip(parameters, x, strict=True)}

    def _columns(self, given: Any, name: str, x: Any, further: int = 0) -> Vector:
        """An array for each parameter, of its shape, with so many further axes."""
        try:
            parts = list(given)
        except TypeError as error:
            raise BadPoint(f"{name}: give an array for each parameter") from error
        if len(parts) != len(x):
            raise BadPoint(f"{name} has {len(parts)} arrays; give one for each of the {len(x)} parameters")
        found = [shaped(a, p, BadPoint, further, name) for a, p in zip(parts, self._parameters, strict=True)]
        own = [tuple(a.shape)[: len(tuple(a.shape)) - further] for a in found]
        if (
            own != [tuple(a.shape) for a in x]
            or len({tuple(a.shape)[len(o) :] for a, o in zip(found, own, strict=True)}) > 1
        ):
            raise BadPoint(
                f"{name} has the shapes {[tuple(a.shape) for a in found]}; give the shape of each parameter"
                f"{' with the columns as a last axis' if further else ''}"
            )
        return Vector(map(self._array, found))

    def _sigma(self, sigma: Any, x: tuple[Any, ...]) -> Vector | None:
        if sigma is None:
            return None
        if not isinstance(self.family.noise, AnyNoise):
            raise BadInput("the noise is stated by the family; leave sigma= out")
        return self._columns(sigma, "sigma", x, 1)

    def _probabilities(self, point: TensorPoint) -> np.ndarray:
        """Of the classes, one row a sample."""
        return softmax(np.asarray(point.arrays.value(self.family.model.f))).reshape(-1, point.label_shape[-1])

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
        return given if is_sparse(given) else self.home.as_array(given)


def softmax(z: np.ndarray) -> np.ndarray:
    """Of the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
