"""The limiting SDE of a family as array code: O(n²d) time and O(nd) memory a point, for n and d of any size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import sympy as sp
from scipy import linalg, sparse
from scipy.linalg import lapack

from symbolic_sgd.algebra.arithmetic import FLOAT64
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput, BadPoint, BadShape, OffManifold, SingularPoint
from symbolic_sgd.families.gradients import FullGradients, Gradients, SplitGradients, Vector
from symbolic_sgd.families.member import sizes_of
from symbolic_sgd.families.noise import Isotropic, LabelSigns, RedrawnLabels
from symbolic_sgd.families.summand import Summand, derivative
from symbolic_sgd.numeric.guard import ON_MANIFOLD
from symbolic_sgd.numeric.points import real_array
from symbolic_sgd.theorem.drift import DriftLines
from symbolic_sgd.theorem.geometry import Geometry
from symbolic_sgd.theorem.kernel import LYAPUNOV

SMALLEST_RCOND = 1e-14
"""G with a smaller reciprocal condition number counts as singular: no digit of G⁻¹ is left."""


@dataclass(frozen=True)
class Whitening:
    """B ↦ L⁻¹B with G = LLᵀ."""

    lower: np.ndarray

    def __call__(self, right: np.ndarray) -> np.ndarray:
        if _wide(right):
            return self._inverse @ right
        return linalg.solve_triangular(self.lower, right, lower=True, check_finite=False)

    def back(self, right: np.ndarray) -> np.ndarray:
        """L⁻ᵀB."""
        if _wide(right):
            return self._inverse.T @ right
        return linalg.solve_triangular(self.lower, right, lower=True, trans=1, check_finite=False)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """G⁻¹B."""
        return self.back(self(right))

    @cached_property
    def _inverse(self) -> np.ndarray:
        """L⁻¹ by NumPy, like JJᵀ: SciPy's BLAS has threads of its own, and on two cores a turn between the two costs 8 ms."""
        return np.linalg.inv(self.lower)


def _wide(right: np.ndarray) -> bool:
    return right.ndim > 1 and right.shape[1] > right.shape[0]


@dataclass(frozen=True)
class FamilyArrays:
    """The terms of a family's limiting SDE on float64 arrays, for given data.

    Every method takes one array (…, d) for each parameter of a coordinate, in the family's order, and returns a tuple of
    arrays of these shapes. With `AnyNoise`, sigma is a tuple of arrays (d, Ξ) too, the rows of σ.

    Args:
        summand: φ and ℓ″(0).
        values: data and constants by name; data indexed (i, j) are n×d, dense or SciPy sparse.
        check: whether points are tested: on Γ, with independent gradients.

    Raises:
        BadPoint: wrong shapes, not real or not finite.
        OffManifold: a point off Γ.
        SingularPoint: the gradients of the residuals are dependent.
    """

    summand: Summand
    values: Mapping[str, Any]
    check: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked(self.summand, self.values))
        n, d = self.shape
        if n > d * len(self.summand.parameters):
            raise BadInput(
                f"there are {n} samples and D = {d * len(self.summand.parameters)} parameters: the gradients of more residuals "
                "than parameters are dependent, and Γ has no tangent space"
            )
        if not (self.curvature > 0).all():
            raise BadInput(f"ℓ″(0) is not positive for sample {int(np.argmin(self.curvature)) + 1}")
        if self.summand.split is None and any(sparse.issparse(value) for value in self.values.values()):
            raise BadInput(
                "the residual is no product of data and parameters: its derivatives are not sparse; give the data dense"
            )
        self._check_probabilities()

    def _check_probabilities(self) -> None:
        noise = self.summand.family.noise
        if isinstance(noise, RedrawnLabels):
            for p in self._evaluated([self.summand.plain(p) for p, _ in noise.laws]):
                if not (np.asarray(p) > 0).all():
                    raise BadInput("noise: a label's probability is not positive for these data")

    # --- the terms --------------------------------------------------------------------------

    def drift(self, *x: Any, sigma: Any = None) -> tuple[np.ndarray, ...]:
        """½∂²Φ[Σ]."""
        return self._batched(x, sigma, lambda p: _added(p.compensation(), p.mixed(), p.normal()))

    def tangent_noise_compensation(self, *x: Any, sigma: Any = None) -> tuple[np.ndarray, ...]:
        """−½ ∇²L† T[Σ_∥]."""
        return self._batched(x, sigma, _Point.compensation)

    def mixed_regularization(self, *x: Any, sigma: Any = None) -> tuple[np.ndarray, ...]:
        """−∂Φ T[∇²L†Σ_⊥∥]."""
        return self._batched(x, sigma, _Point.mixed)

    def normal_regularization(self, *x: Any, sigma: Any = None) -> tuple[np.ndarray, ...]:
        """−½ ∂Φ T[𝓛⁻¹(Σ_⊥)]."""
        return self._batched(x, sigma, _Point.normal)

    def tangent_projection(self, *x: Any, vectors: Any) -> tuple[np.ndarray, ...]:
        """∂Φ applied to vectors, one array (d) or (d, k) for each parameter, at a single point."""
        point = self._point(self._single(x), None)
        given = self._columns(vectors, "vectors", widths=(1, 2))
        return tuple(point.projected(given))

    def residuals(self, *x: Any) -> np.ndarray:
        """f_1 … f_n, (…, n)."""
        points = _points(x, len(self.summand.parameters), self.shape[1])
        found = np.empty((len(points[0]), self.shape[0]))
        for k in range(len(found)):
            found[k] = self._residual([p[k] for p in points])
        return found.reshape(*np.shape(x[0])[:-1], self.shape[0])

    def corrected(self, *x: Any) -> tuple[np.ndarray, ...]:
        """x − Jᵀ G⁻¹ f: one Newton step along the normals of Γ, at a single point."""
        rows = self._single(x)
        point = _Point(self, self._gradients(rows), None)
        step = point.gradients.back(point.whitening.solve(self._residual(rows)))
        return tuple(a - s for a, s in zip(rows, step, strict=True))

    def condition(self, *x: Any) -> float:
        """A bound below of the condition number of JJᵀ at a single point, infinite where it is singular."""
        point = _Point(self, self._gradients(self._single(x)), None)
        try:
            diagonal = np.diag(point.whitening.lower)
        except SingularPoint:
            return float("inf")
        return float((diagonal.max() / diagonal.min()) ** 2)

    def sample_gradient(self, x: Sequence[np.ndarray], sample: np.ndarray, label: np.ndarray) -> list[np.ndarray]:
        """∇ of the loss of one sample with one of its labels, for R replicas: what a step of SGD with label noise descends.

        Args:
            x: one array (R, d) for each parameter of a coordinate.
            sample: i − 1 for each replica, (R).
            label: k − 1, which of the labels (`laws`) was drawn, (R).
        """
        n, (low, high) = self.shape[0], (int(np.min(sample, initial=0)), int(np.max(sample, initial=0)))
        if (
            np.asarray(sample).dtype.kind not in "iu"
            or np.asarray(label).dtype.kind not in "iu"
            or low < 0
            or high >= n
        ):
            raise BadInput(f"sample and label are integers from 0, below n = {n} and {len(self.laws)}")
        if not 0 <= int(np.min(label, initial=0)) <= int(np.max(label, initial=0)) < len(self.laws):
            raise BadInput(f"label runs from 0 to {len(self.laws) - 1}, one for each label of a sample")
        values = self._rows(x, sample)
        count = len(self.summand.parameters)
        value, slopes = values[0], values[1 : 1 + count]
        a = None if self.summand.split is None else _dense_rows(self._factor, sample)
        total = value.sum(axis=1) if a is None else np.einsum("rj,rj->r", a, value)
        residual = total + self._offsets[sample]
        weight = self._label_slope(residual, sample, label)[:, None]
        if a is not None:
            weight = weight * a
        return [weight * b for b in slopes]

    @cached_property
    def laws(self) -> tuple[tuple[float, sp.Lambda], ...]:
        """(probability, loss) of each label of a sample, where the probabilities are the same for all samples.

        Raises:
            BadInput: the noise is no noise of labels.
        """
        noise = self.summand.family.noise
        if not isinstance(noise, (LabelSigns, RedrawnLabels)):
            raise BadInput("sample gradients belong to noise of labels: LabelNoise or RedrawnLabels")
        laws = [(self.summand.plain(p), loss) for p, loss in noise.laws_of(self.summand.family.loss)]
        if any(set(self.summand.data) & p.free_symbols for p, _ in laws):
            raise BadInput("the probabilities of the labels differ between samples: draw the labels by them yourself")
        return tuple((float(self._evaluated([p])[0]), loss) for p, loss in laws)

    # --- data -------------------------------------------------------------------------------

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return sizes_of(self.summand.family, {name: value.shape for name, value in self.values.items()})

    @cached_property
    def curvature(self) -> np.ndarray:
        """κ_i, (n)."""
        return np.broadcast_to(self._evaluated([self.summand.curvature])[0], (self.shape[0], 1)).ravel().astype(float)

    @cached_property
    def variance(self) -> np.ndarray | None:
        """ν_i, (n), for redrawn labels."""
        if self.summand.variance is None:
            return None
        return np.broadcast_to(self._evaluated([self.summand.variance])[0], (self.shape[0], 1)).ravel().astype(float)

    @cached_property
    def proportion(self) -> float | None:
        """c."""
        c = self.summand.proportion
        return None if c is None else float(self._evaluated([c])[0])

    @cached_property
    def isotropy(self) -> float | None:
        """s²."""
        noise = self.summand.family.noise
        return float(self._evaluated([noise.scale**2])[0]) if isinstance(noise, Isotropic) else None

    def _evaluated(self, expressions: Sequence[Expression]) -> list[Any]:
        return _Evaluator(expressions)(self._assignment)

    @cached_property
    def _assignment(self) -> dict[sp.Symbol, Any]:
        family = self.summand.family
        assignment: dict[sp.Symbol, Any] = {s: self.values[s.name] for s in family.constants}
        for place, symbol in zip(family.data, self.summand.data, strict=True):
            value = self.values[str(place.base.label)]
            assignment[symbol] = value[:, None] if place.indices == (family.i,) else value
        return assignment

    @cached_property
    def _factor(self) -> Any:
        """a(z), n×d."""
        split = self.summand.split
        assert split is not None
        n, d = self.shape
        dense = [v for v in self._assignment.values() if not sparse.issparse(v)]
        scattered = [s for s, v in self._assignment.items() if sparse.issparse(v)]
        if not scattered:
            return np.ascontiguousarray(np.broadcast_to(self._evaluated([split[0]])[0], (n, d)), dtype=float)
        symbol = scattered[0]
        if len(scattered) > 1:
            raise BadInput(f"{', '.join(s.name for s in scattered)} are sparse; only one of the arrays may be")
        matrix = self._assignment[symbol]
        others = split[0].free_symbols - {symbol} - set(self.summand.family.constants)
        if others or split[0].xreplace({symbol: sp.S.Zero}) != 0 or len(dense) < len(self._assignment) - 1:
            raise BadInput(
                f"{symbol.name} is sparse, but zero entries would not stay zero in {self.summand.family.summand}; give it dense"
            )
        values = _Evaluator([split[0]])({**self._assignment, symbol: matrix.data})[0]
        return sparse.csr_array(
            (np.broadcast_to(values, matrix.data.shape), matrix.indices, matrix.indptr), shape=(n, d)
        )

    @cached_property
    def _squares(self) -> Any:
        return (
            self._factor * self._factor
            if isinstance(self._factor, np.ndarray)
            else self._factor.multiply(self._factor).tocsr()
        )

    # --- points -----------------------------------------------------------------------------

    @cached_property
    def _summand_evaluator(self) -> "_Evaluator":
        s = self.summand
        body = s.value if s.split is None else s.split[1]
        slopes = [derivative(body, x) for x in s.parameters]
        return _Evaluator([body, *slopes, *(derivative(b, x) for b in slopes for x in s.parameters)])

    @cached_property
    def _offset_evaluator(self) -> "_Evaluator":
        return _Evaluator([self.summand.plain(self.summand.family.offset)])

    def _at(self, x: Vector) -> list[np.ndarray]:
        shape = self.shape[1:] if self.summand.split is not None else self.shape
        given = {k: v for k, v in self._assignment.items() if not sparse.issparse(v)}
        values = self._summand_evaluator(given | dict(zip(self.summand.parameters, x, strict=True)))
        return [np.broadcast_to(v, shape) for v in values]

    def _rows(self, x: Sequence[np.ndarray], sample: np.ndarray) -> list[np.ndarray]:
        """φ (or b) and its slopes for replicas that look at one sample each."""
        given = dict(self._assignment)
        for place, symbol in zip(self.summand.family.data, self.summand.data, strict=True):
            if self.summand.family.i in place.indices:
                given[symbol] = given[symbol][sample]
        shape = np.shape(x[0])
        values = self._summand_evaluator(given | dict(zip(self.summand.parameters, x, strict=True)))
        return [np.broadcast_to(v, shape) for v in values]

    def _label_slope(self, residual: np.ndarray, sample: np.ndarray, label: np.ndarray) -> np.ndarray:
        r, slopes = self._label_slopes
        given = {k: v for k, v in self._assignment.items() if np.ndim(v) < 2}
        for place, symbol in zip(self.summand.family.data, self.summand.data, strict=True):
            if place.indices == (self.summand.family.i,):
                given[symbol] = self._assignment[symbol][sample, 0]
        values = slopes(given | {r: residual})
        return np.choose(label, [np.broadcast_to(v, residual.shape) for v in values])

    @cached_property
    def _label_slopes(self) -> "tuple[sp.Symbol, _Evaluator]":
        r = sp.Dummy("r", real=True)
        return r, _Evaluator([self.summand.plain(sp.diff(loss(r), r)) for _, loss in self.laws])

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.broadcast_to(self._offset_evaluator(self._assignment)[0], (self.shape[0], 1)).ravel()

    def _gradients(self, x: Vector) -> Gradients:
        count = len(self.summand.parameters)
        _, *rest = self._at(x)
        slopes, second = rest[:count], rest[count:]
        curvatures = [second[g * count : (g + 1) * count] for g in range(count)]
        if self.summand.split is None:
            return FullGradients(slopes, curvatures)
        return SplitGradients(self._factor, slopes, curvatures, self._squares)

    def _residual(self, x: Vector) -> np.ndarray:
        value = self._at(x)[0]
        total = value.sum(axis=1) if self.summand.split is None else self._factor @ value
        return total + self._offsets

    def _point(self, x: Vector, sigma: Vector | None) -> "_Point":
        point = _Point(self, self._gradients(x), sigma)
        if self.check:
            residual = self._residual(x)
            if not np.isfinite(residual).all():
                raise SingularPoint(
                    f"the residual f_{int(np.argmin(np.isfinite(residual))) + 1} is not a finite real number there"
                )
            step = point.gradients.back(point.whitening.solve(residual))
            away = np.sqrt(sum(float(s @ s) for s in step)) / (1 + np.sqrt(sum(float(a @ a) for a in x)))
            if not away <= ON_MANIFOLD:
                raise OffManifold(
                    f"the point is not on Γ: the step JᵀG⁻¹f to it is {away:.3g} of 1 + |x|, and at most {ON_MANIFOLD:g} is "
                    "allowed; take corrected(…) steps first"
                )
        return point

    def _batched(self, x: Any, sigma: Any, term: Any) -> tuple[np.ndarray, ...]:
        points = _points(x, len(self.summand.parameters), self.shape[1])
        rows = self._sigma(sigma)
        found = tuple(np.empty_like(p) for p in points)
        for k in range(len(points[0])):
            self._check_signs([p[k] for p in points])
            for array, value in zip(found, term(self._point([p[k] for p in points], rows)), strict=True):
                array[k] = value
        return tuple(array.reshape(np.shape(x[0])) for array in found)

    def _check_signs(self, x: Vector) -> None:
        """SymPy has used that parameters declared positive are positive."""
        for base, values in zip(self.summand.family.parameters, x, strict=True):
            if self.check and base.is_positive and not (values > 0).all():
                raise BadPoint(f"{base.label} is declared positive, and has the entry {values.min():.6g}")

    def _single(self, x: Sequence[Any]) -> list[np.ndarray]:
        if any(np.ndim(a) != 1 for a in x):
            raise BadPoint("this is computed at a single point: give one array (d) for each parameter")
        return [p[0] for p in _points(x, len(self.summand.parameters), self.shape[1])]

    def _columns(self, given: Any, name: str, widths: tuple[int, ...]) -> list[np.ndarray]:
        """One array (d) or (d, k) for each parameter."""
        try:
            rows = [real_array(r, name) for r in given]
        except TypeError as error:
            raise BadShape(f"{name}: give one array for each parameter") from error
        good = len(rows) == len(self.summand.parameters) and rows[0].ndim in widths
        if not good or any(r.shape != (self.shape[1], *rows[0].shape[1:]) or not r.size for r in rows):
            raise BadShape(
                f"{name} has shapes {[r.shape for r in rows]}; give one array for each parameter, with {self.shape[1]} rows"
            )
        return rows

    def _sigma(self, sigma: Any) -> Vector | None:
        stated = self.proportion is not None or self.isotropy is not None or self.variance is not None
        if (sigma is None) != stated:
            raise BadInput(
                "the noise is stated by the family; leave sigma= out"
                if stated
                else "AnyNoise: give sigma=, one array (d, Ξ) for each parameter"
            )
        if sigma is None:
            return None
        return self._columns(sigma, "sigma", widths=(2,))


class _Point:
    """The theorem at one point."""

    def __init__(self, arrays: FamilyArrays, gradients: Gradients, sigma: Vector | None):
        self.arrays, self.gradients, self.sigma = arrays, gradients, sigma

    @cached_property
    def gram(self) -> np.ndarray:
        return self.gradients.gram()

    @cached_property
    def whitening(self) -> Whitening:
        gram = self.gram
        if not np.isfinite(gram).all():
            raise SingularPoint("a derivative of a residual is not a finite real number there")
        factor, condition = lapack.get_lapack_funcs(("potrf", "pocon"), (gram,))
        lower, failed = factor(gram, lower=1, clean=1)
        rcond = 0.0 if failed else condition(lower, np.abs(gram).sum(axis=0).max(), uplo="L")[0]
        if rcond > SMALLEST_RCOND:
            return Whitening(lower)
        raise SingularPoint(
            f"the gradients of the {len(gram)} residuals are dependent there (reciprocal condition number of JJᵀ: {rcond:.2g}): "
            "the theorem does not hold at such a point. Either the data allow no more than a smaller rank, or the point is singular"
        )

    def projected(self, vector: Vector) -> list[np.ndarray]:
        """v − JᵀG⁻¹Jv."""
        back = self.gradients.back(self.whitening.solve(self.gradients.along(vector)))
        return [v - b for v, b in zip(vector, back, strict=True)]

    @cached_property
    def _tangent_noise(self) -> list[np.ndarray]:
        assert self.sigma is not None
        return self.projected(self.sigma)

    @cached_property
    def _leverage(self) -> tuple[list[np.ndarray], np.ndarray]:
        return self.gradients.leverage(self.whitening)

    # --- the drift --------------------------------------------------------------------------

    def compensation(self) -> Vector:
        """b_∥."""
        still = self.sigma is None and self.arrays.isotropy is None
        return self._zero() if still else self._lines.tangent_noise_compensation

    def mixed(self) -> Vector:
        """b_⊥∥."""
        return self._zero() if self.sigma is None else self._lines.mixed_regularization

    def normal(self) -> Vector:
        """b_⊥."""
        return self._lines.normal_regularization

    @cached_property
    def _lines(self) -> DriftLines[Any, Any]:
        return DriftLines(_Residuals(self), self)

    # --- the blocks of Σ --------------------------------------------------------------------

    @property
    def tangent_covariance(self) -> "_Along":
        """Σ_∥ = σ_∥σ_∥ᵀ, or s²∂Φ."""
        if self.sigma is None:
            return _Along(self.arrays.isotropy * self._leverage[1])
        noise = self._tangent_noise
        return _Along(self.gradients.traces([[np.einsum("jx,jx->j", a, b) for b in noise] for a in noise]))

    @property
    def cross(self) -> "_Across":
        """N[∂Φ Σ JᵀG⁻¹]."""
        assert self.sigma is not None
        across = self.whitening.solve(self.gradients.along(self.sigma))
        return _Across(self.gradients.contracted([t @ across.T for t in self._tangent_noise]), 1.0)

    @property
    def stationary(self) -> "_Across":
        """N[JᵀZGK], twice."""
        n = len(self.gram)
        if self.arrays.proportion is not None:
            return _Across(self.gradients.weighted(self.arrays.proportion / 2 * self.arrays.curvature / n), 2.0)
        if self.arrays.isotropy is not None:
            return _Across([self.arrays.isotropy / 2 * v for v in self._leverage[0]], 2.0)
        return _Across(self.gradients.contracted(self.gradients.back(self._solved())), 2.0)

    def _solved(self) -> np.ndarray:
        """ZGK of KGZ + ZGK = G⁻¹JΣJᵀG⁻¹, by the eigenvectors of K^½GK^½."""
        root = np.sqrt(self.arrays.curvature / len(self.gram))
        if self.sigma is not None:
            across = self.whitening.solve(self.gradients.along(self.sigma))
            right = across @ across.T
        else:
            assert self.arrays.variance is not None
            right = np.diag(self.arrays.variance / len(self.gram))
        values, axes = np.linalg.eigh(root[:, None] * self.gram * root)
        inner = axes.T @ (right / np.outer(root, root)) @ axes * LYAPUNOV.weight(values[:, None], values)
        z = root[:, None] * (axes @ inner @ axes.T) * root
        return z @ self.gram * (root * root)

    def _zero(self) -> list[np.ndarray]:
        return [np.zeros(self.arrays.shape[1]) for _ in self.arrays.summand.parameters]


@dataclass(frozen=True)
class _Along:
    """A matrix B with JB = 0, by τ_i = tr(∇²f_i B)."""

    traces: np.ndarray


@dataclass(frozen=True)
class _Across:
    """A matrix B with ∂ΦB∂Φ = 0: T[B], up to the range of Jᵀ, as a vector and a factor."""

    field: Vector
    factor: float


@dataclass(frozen=True)
class _OnLevels:
    """The vector JᵀKτ, K the curvatures of the losses."""

    traces: np.ndarray


@dataclass(frozen=True)
class _Residuals(Geometry[Any, Any]):
    """The geometry of Γ at one point, by the gradients J of the residuals: ∂Φ = I − JᵀG⁻¹J, H = JᵀKJ. Vectors are arrays with
    a row for each parameter of a coordinate."""

    half: ClassVar[Any] = 0.5

    point: "_Point"

    def tangent_part(self, vector: np.ndarray) -> np.ndarray:
        return np.stack(self.point.projected([*vector]))

    def pseudo_inverse(self, vector: _OnLevels) -> np.ndarray:
        """H†JᵀKτ = JᵀG⁻¹τ."""
        return np.stack(self.point.gradients.back(self.point.whitening.solve(vector.traces)))

    def third(self, b: _Along | _Across) -> _OnLevels | np.ndarray:
        return _OnLevels(b.traces) if isinstance(b, _Along) else b.factor * np.stack(b.field)


class _Evaluator:
    """Expressions as a program on arrays that broadcast against each other."""

    def __init__(self, expressions: Sequence[Expression]):
        graph = Graph()
        self.program = Program.of({"values": Matrix.column([from_sympy(e, graph) for e in expressions])})

    def __call__(self, assignment: Mapping[sp.Symbol, Any]) -> list[Any]:
        with np.errstate(all="ignore"):
            return self.program.run(FLOAT64, assignment)["values"]


def _dense_rows(matrix: Any, rows: np.ndarray) -> np.ndarray:
    chosen = matrix[rows]
    return chosen if isinstance(chosen, np.ndarray) else chosen.toarray()


def _added(*vectors: Vector) -> list[np.ndarray]:
    return [np.add.reduce(parts) for parts in zip(*vectors, strict=True)]


def _points(x: Sequence[Any], count: int, d: int) -> list[np.ndarray]:
    if len(x) != count:
        raise BadPoint(f"a point has {count} arrays, one for each parameter of a coordinate; {len(x)} were given")
    arrays = []
    for value in x:
        array = real_array(value, "a parameter", BadPoint)
        if array.ndim == 0 or array.shape[-1] != d or array.shape != np.shape(x[0]):
            raise BadPoint(f"a parameter has shape {array.shape}; all of them have one shape (…, {d})")
        arrays.append(array.reshape(-1, d))
    return arrays


def _checked(summand: Summand, values: Mapping[str, Any]) -> dict[str, Any]:
    family = summand.family
    arrays = {str(a.base.label): len(a.indices) for a in family.data}
    names = [*arrays, *(s.name for s in family.constants)]
    unknown = [name for name in values if name not in names]
    missing = [name for name in names if name not in values]
    if unknown or missing:
        raise BadInput(
            f"{unknown[0]!r} is no array or constant of the family"
            if unknown
            else f"no value for {missing[0]}: pass it by keyword"
        )
    checked: dict[str, Any] = {}
    for name in names:
        value = values[name]
        checked[name] = _sparse(value, name) if sparse.issparse(value) else real_array(value, name)
        if checked[name].ndim != arrays.get(name, 0):
            raise BadShape(f"{name} has {checked[name].ndim} dimensions; it takes {arrays.get(name, 0)}")
    declared = {s.name: s for s in family.constants} | {str(a.base.label): a.base for a in family.data}
    for name, symbol in declared.items():
        for relation, words in SIGNS.items():
            entries = checked[name].data if sparse.issparse(checked[name]) else checked[name]
            if getattr(symbol, f"is_{words}") and not relation(entries, 0).all():
                raise BadInput(f"{name} is declared {words}, and holds an entry that is not")
    return checked


SIGNS = {np.greater: "positive", np.less: "negative", np.greater_equal: "nonnegative", np.less_equal: "nonpositive"}
"""Relations to 0, and the assumptions of SymPy that state them."""


def _sparse(value: Any, name: str) -> Any:
    if value.dtype.kind not in "fiu":
        raise BadInput(f"{name} has entries of type {value.dtype}; they have to be real numbers")
    matrix = sparse.csr_array(value, dtype=float, copy=True)
    matrix.sum_duplicates()
    if not np.isfinite(matrix.data).all():
        raise BadInput(f"{name} holds an entry that is not finite")
    return matrix
