"""Step 3: the geometry of Γ at a point: ∂Φ, H†, T[·], and with them everything that the theorem says of a noise.

`Geometry` is the one contract through which the lines of the theorem see the normal space (theorem/drift.py runs them over it):
with an orthogonal frame or with none (here), for composed losses without third derivatives of L (theorem/composed.py), for
batches of points in NumPy (numeric/structured.py), and in arrays by the gradients of residuals (theorem/levels.py), for large problems
(numeric/matrix_terms.py) and for families (families/tensor_point.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar, Generic, TypeVar

from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.lyapunov import (
    closed_form,
    elementary_symmetric,
    solve_lyapunov,
    solve_pairs,
)
from symbolic_sgd.algebra.matrices import Matrix, Orthogonal, PositiveDefinite
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.optimizers.kernel import A, by_polynomials
from symbolic_sgd.theorem.normal_frame import NormalFrame
from symbolic_sgd.theorem.response import Coordinates, KernelResponse, Response, coefficients, function_of

Vector = TypeVar("Vector")
"""What stands for a vector of ℝᴰ: it can be negated, and multiplied by a number."""

Bilinear = TypeVar("Bilinear")
"""What stands for a D×D matrix whose T[B] is asked for."""


class Geometry(ABC, Generic[Vector, Bilinear]):
    """The normal and the tangent space of Γ at a point (or at many), with all that the drift needs of L.

    Implementations choose how vectors and matrices are held: as matrices of nodes, as batches of arrays, as columns in the
    gradients of residuals.
    """

    half: ClassVar[Any] = Fraction(1, 2)
    """½, as vectors are multiplied by it."""

    @abstractmethod
    def tangent_part(self, vector: Vector) -> Vector:
        """∂Φ v (Lemma 2: on Γ, ∂Φ is the projection on the tangent space)."""

    @abstractmethod
    def pseudo_inverse(self, vector: Vector) -> Vector:
        """H† v."""

    @abstractmethod
    def third(self, b: Bilinear) -> Vector:
        """T[B]_k = ∂²(∇L)[B]_k = Σ_ij ∂_i∂_j∂_kL B_ij."""


@dataclass(frozen=True)
class Letters:
    """How what is recognised of the noise is written.

    Args:
        noise: Σ_⊥.
        multiple: H, in Σ_⊥ = cH.
        across: I − ∂Φ, in Σ_⊥ = s²(I − ∂Φ).
        slope: H, in functions of it.
        inverse: what S is s²/2 times, there.
        label, isotropic: the normal regularization of both, where it is a gradient.
        commuting: what is said where ∇²LΣ_⊥ is symmetric.
    """

    noise: str = "Σ_⊥"
    multiple: str = "∇²L"
    across: str = "(I − ∂Φ)"
    slope: str = "∇²L"
    inverse: str = "∇²L†"
    label: str = ", normal regularization = −(c/4)∂Φ∇tr ∇²L"
    isotropic: str = ", normal regularization = −(s²/4)∂Φ∇ln|∇²L|₊"
    commuting: str = "Σ_⊥ commutes with ∇²L on Γ: S = ½ ∇²L† Σ_⊥"


IN_METRIC = Letters(
    noise="(I − ∂Φ)W(I − ∂Φ)ᵀ",
    multiple="S_P∇²LS_P",
    across="(I − ∂Φ)S_P",
    slope="S_P∇²L",
    inverse="(S_P∇²L)^#S_P",
    label="",
    isotropic="",
    commuting="S_P∇²L(I − ∂Φ)W(I − ∂Φ)ᵀ is symmetric on Γ: S = ½(S_P∇²L)^#W(I − ∂Φ)ᵀ",
)


@dataclass(frozen=True)
class NodeGeometry(Geometry[Matrix, Matrix]):
    """For matrices of nodes: H on the normal space, in coordinates of it, right ↦ A right with A = 0 on the tangent space.

    A symmetric B with B = QBQ is known by its coordinates A B Aᵀ.

    Args:
        frame: what is known of the normal space.
    """

    frame: NormalFrame
    letters: ClassVar[Letters] = Letters()

    @abstractmethod
    def coordinates(self, right: Matrix) -> Matrix:
        """A right."""

    @abstractmethod
    def inverse(self, coordinates: Matrix) -> Matrix:
        """H† right, from A right."""

    @abstractmethod
    def stationary(self, covariance: Matrix, response: Response, samples: Matrix | None = None) -> Matrix:
        """S = QSQ from the coordinates of Σ_⊥: for plain SGD 𝓛_H⁻¹(Σ_⊥), the solution of HS + SH = Σ_⊥.

        Args:
            covariance: of Σ_⊥.
            response: how the optimizer turns Σ_⊥ into S.
            samples: a_1 … a_n, D×n, for a response that is made of them.
        """

    @abstractmethod
    def function(self, h: Expression, right: Matrix) -> Matrix:
        """h(H) right for a rational h in the letter `A` of kernels, with no pole at the eigenvalues, and Q right = right."""

    @abstractmethod
    def commuting_inverse(self, covariance: Matrix) -> Matrix:
        """S = ½ H†Σ_⊥, which is 𝓛_H⁻¹(Σ_⊥) where H and Σ_⊥ commute."""

    @property
    @abstractmethod
    def metric(self) -> Matrix:
        """The coordinates of Q = I − ∂Φ."""

    @property
    @abstractmethod
    def core(self) -> Matrix:
        """The coordinates of H."""

    @abstractmethod
    def product(self, covariance: Matrix) -> Matrix:
        """The coordinates of HΣ_⊥."""

    @property
    def ambient(self) -> Matrix:
        """What Σ_⊥ = cH is c times of, divided by H: I."""
        landscape = self.frame.manifold.landscape
        return Matrix.identity(landscape.graph, landscape.dimension)

    @property
    def hessian_pinv(self) -> Matrix:
        """H†."""
        return self.pseudo_inverse(self.ambient)

    def driven(self, columns: Matrix) -> Matrix:
        """How the parameters are moved by noise of the gradient."""
        return columns

    def pseudo_inverse(self, vector: Matrix) -> Matrix:
        return self.inverse(self.coordinates(vector))

    def third(self, b: Matrix) -> Matrix:
        manifold = self.frame.manifold
        return manifold.restrict(manifold.landscape.third_derivative(b))


@dataclass(frozen=True)
class FramedGeometry(NodeGeometry):
    """With A = N̂ᵀ for an orthogonal frame N: H = N C Nᵀ, and everything by elimination with positive pivots.

    Args:
        orthogonal: F = N U for the raw frame F, NᵀN = diag(d), N̂ = N diag(d)⁻¹.
        dual: N̂.
        matrix: C = N̂ᵀHN̂, M×M and positive definite.
        factor: its factorisation.
    """

    orthogonal: Orthogonal
    dual: Matrix
    matrix: Matrix
    factor: PositiveDefinite

    def coordinates(self, right: Matrix) -> Matrix:
        return self.orthogonal.rows @ right

    def tangent_part(self, vector: Matrix) -> Matrix:
        return vector - self.orthogonal.columns @ self.coordinates(vector)

    def inverse(self, coordinates: Matrix) -> Matrix:
        return self.dual @ self.factor.solve(coordinates)

    def stationary(self, covariance: Matrix, response: Response, samples: Matrix | None = None) -> Matrix:
        """S = N̂ X N̂ᵀ, where C X G + G X C = Y with G = N̂ᵀN̂ = diag(d)⁻¹; for other optimizers S = N Z Nᵀ."""
        if not response.is_lyapunov:
            columns, space, m = self.orthogonal.columns, self.space(samples), len(self.orthogonal.lengths)
            if isinstance(response, KernelResponse) and not response.kernel.by_polynomials:
                return columns @ response.by_polynomials(self.across, self.symmetric, covariance) @ columns.T
            covariance[0, 0].graph.expect((m * (m + 1) / 2) ** 3 / 3, f"{response.words}, of {m} normal directions")
            return columns @ solve_pairs(response.pairs(space), response.right(space, covariance)) @ columns.T
        inverse_lengths = tuple(1 / d for d in self.orthogonal.lengths)
        return self.dual @ solve_lyapunov(self.matrix, inverse_lengths, covariance) @ self.dual.T

    @property
    def across(self) -> Matrix:
        """B with HN = NB."""
        gram, curvature = self.space().gram, self.matrix
        return curvature @ gram

    @property
    def symmetric(self) -> tuple[Node, ...]:
        """e_1 … e_M of the nonzero eigenvalues of H, M ≤ 3."""
        return elementary_symmetric(self.across, self.matrix.shape[0])

    def space(self, samples: Matrix | None = None) -> Coordinates:
        """H and the samples in the coordinates of N."""
        lengths, columns = self.orthogonal.lengths, self.orthogonal.columns
        rows = () if samples is None else samples.T.rows
        across = tuple(columns.T @ Matrix.column(a) for a in rows)
        return Coordinates(Matrix.diagonal(lengths[0].graph, lengths), self.matrix, across)

    def function(self, h: Expression, right: Matrix) -> Matrix:
        """N w, where (Σ d_i M_i)w = (Σ n_i M_i)N̂ᵀright for h = Σ n_i λⁱ/Σ d_i λⁱ, whose denominator is positive at all eigenvalues."""
        if not by_polynomials(h, A):
            return self.orthogonal.columns @ function_of(h, self.across, self.symmetric, self.coordinates(right))
        above, below = coefficients(h, right[0, 0].graph)
        powers = self.space().powers(max(len(above), len(below)))
        weighted = lambda c: _total(m.scaled(a) for m, a in zip(powers, c, strict=False))  # noqa: E731
        solved = PositiveDefinite.factor(symmetrised(weighted(below))).solve(weighted(above) @ self.coordinates(right))
        return self.orthogonal.columns @ solved

    def commuting_inverse(self, covariance: Matrix) -> Matrix:
        half = self.inverse(covariance @ self.orthogonal.columns.T).scaled(Fraction(1, 2))
        return symmetrised(half)

    @property
    def metric(self) -> Matrix:
        graph = self.orthogonal.lengths[0].graph
        return Matrix.diagonal(graph, [1 / length for length in self.orthogonal.lengths])

    @property
    def core(self) -> Matrix:
        return self.matrix

    def product(self, covariance: Matrix) -> Matrix:
        lengths = self.orthogonal.lengths
        return self.matrix @ Matrix.of([d * y for y in row] for d, row in zip(lengths, covariance.rows, strict=True))


@dataclass(frozen=True)
class Mirror:
    """Dual coordinates y = ∇ψ(x), on Γ.

    Args:
        metric: S = (∇²ψ)⁻¹.
        bends: ∂_a∇²ψ.
        rate: η, None where it tends to 0.
    """

    metric: Matrix
    bends: Sequence[Matrix]
    rate: Node | None

    def second(self, b: Matrix) -> Matrix:
        """x″[B] = −S(tr ∂_a∇²ψ SBS)_a, the second derivative of x(y)."""
        moved = self.metric @ b @ self.metric
        return -(self.metric @ Matrix.column((bend @ moved).trace for bend in self.bends))


@dataclass(frozen=True)
class ObliqueGeometry(FramedGeometry):
    """Of the fast field F = S∇L, whose linear part is SH: the frame is orthogonal in the metric S, NᵀSN = diag(d), SN stands for the
    columns, and all projections are along range S∇²L.

    SH·SN = SN·C diag(d), so that everything is what it is for S = I, with F″[B] = S T[B] + 2Σ_i (∂_iS)HBe_i in the place of T[B].

    Args:
        preconditioner: S on Γ.
        bend: ∂_1S … ∂_DS on Γ, those that are not zero.
        plain: the geometry without S.
        mirror: of mirror descent.
    """

    letters: ClassVar[Letters] = IN_METRIC

    preconditioner: Matrix
    bend: Mapping[int, Matrix]
    plain: FramedGeometry
    mirror: "Mirror | None" = None

    @property
    def ambient(self) -> Matrix:
        return self.preconditioner

    @property
    def hessian_pinv(self) -> Matrix:
        return self.plain.hessian_pinv

    def driven(self, columns: Matrix) -> Matrix:
        return self.preconditioner @ columns

    def third(self, b: Matrix) -> Matrix:
        """F″[B]."""
        manifold = self.frame.manifold
        result = self.preconditioner @ super().third(b)
        # H annihilates what is tangent to Γ.
        across = manifold.without_zeros(manifold.restrict(manifold.landscape.hessian) @ (b + b.T))
        for i, slope in self.bend.items():
            column = across.columns([i])
            if not all(entry.is_zero for entry in column.entries):
                result = result + slope @ column
        if self.mirror is not None and self.mirror.rate is not None:
            hessian = manifold.restrict(manifold.landscape.hessian)
            bent = self.mirror.second(manifold.without_zeros(hessian @ (b + b.T).scaled(self.half) @ hessian))
            result = result - bent.scaled(self.mirror.rate)
        return result


@dataclass(frozen=True)
class FramelessGeometry(NodeGeometry):
    """With A = Q and no frame at all: Q, H† and S are polynomials in H over e_M = |H|₊, which is positive on all of Γ.

    By Cayley–Hamilton on the normal space, H r(H) = Q for r(t) = (e_{M−1} − e_{M−2}t + …)/e_M.

    Args:
        hessian: H on Γ.
        symmetric: e_1 … e_M of its nonzero eigenvalues.
    """

    hessian: Matrix
    symmetric: tuple[Node, ...]

    def coordinates(self, right: Matrix) -> Matrix:
        return self.hessian @ self.inverse(right)

    def tangent_part(self, vector: Matrix) -> Matrix:
        return vector - self.coordinates(vector)

    def inverse(self, coordinates: Matrix) -> Matrix:
        *lower, last = self.symmetric
        result = coordinates
        for e in lower:  # Horner's rule
            result = coordinates.scaled(e) - self.hessian @ result
        return result.map(lambda entry: entry / last)

    def stationary(self, covariance: Matrix, response: Response, samples: Matrix | None = None) -> Matrix:
        if response.is_lyapunov:
            return closed_form(self.hessian, self.symmetric, covariance)
        assert isinstance(response, KernelResponse), "responses to samples are computed in a frame"
        return response.by_polynomials(self.hessian, self.symmetric, covariance)

    def function(self, h: Expression, right: Matrix) -> Matrix:
        return function_of(h, self.hessian, self.symmetric, right)

    def commuting_inverse(self, covariance: Matrix) -> Matrix:
        return symmetrised(self.inverse(covariance).scaled(Fraction(1, 2)))

    @property
    def metric(self) -> Matrix:
        return self.coordinates(Matrix.identity(self.hessian[0, 0].graph, self.hessian.shape[0]))

    @property
    def core(self) -> Matrix:
        return self.hessian

    def product(self, covariance: Matrix) -> Matrix:
        return self.hessian @ covariance


def _total(matrices: Iterable[Matrix]) -> Matrix:
    first, *others = matrices
    for other in others:
        first = first + other
    return first


def geometry_of(
    frame: NormalFrame, metric: Matrix | None = None, bends: Sequence[Matrix] = (), rate: Node | None = None
) -> NodeGeometry:
    """The geometry of Γ, in an orthogonal frame where there is a frame.

    Args:
        frame: what is known of the normal space.
        metric: S(x), anywhere, for the fast field S∇L; then there has to be a frame.
        bends: ∂_a∇²ψ, anywhere, of mirror descent.
        rate: η of mirror descent, where it stays.
    """
    if metric is not None:
        assert frame.raw is not None
        oblique = _oblique(frame, frame.raw, metric)
        restrict = frame.manifold.restrict
        mirror = Mirror(oblique.preconditioner, tuple(map(restrict, bends)), rate) if bends else None
        return replace(oblique, mirror=mirror)
    if frame.raw is None:
        manifold = frame.manifold
        hessian = manifold.restrict(manifold.landscape.hessian)
        return FramelessGeometry(frame, hessian, elementary_symmetric(hessian, manifold.codimension))
    return _in_orthogonal_frame(frame, frame.raw)


def _oblique(frame: NormalFrame, raw: Matrix, metric: Matrix) -> ObliqueGeometry:
    manifold = frame.manifold
    variables, on_manifold = manifold.landscape.variables, manifold.restrict(metric)
    slopes = Matrix.of(jacobian(metric.entries, variables))
    bend = {}
    for i in range(len(variables)):
        slope = metric.with_entries(slopes.columns([i]).entries)
        if not all(entry.is_zero for entry in slope.entries):
            bend[i] = manifold.restrict(slope)
    plain = _in_orthogonal_frame(frame, raw)
    ours = _in_orthogonal_frame(frame, raw, on_manifold)
    return ObliqueGeometry(frame, ours.orthogonal, ours.dual, ours.matrix, ours.factor, on_manifold, bend, plain)


def _in_orthogonal_frame(frame: NormalFrame, raw: Matrix, metric: Matrix | None = None) -> FramedGeometry:
    """C on Γ, factored: U K Uᵀ where H = F K Fᵀ is known for the raw frame F = N U, else N̂ᵀHN̂."""
    manifold, orthogonal = frame.manifold, Orthogonal.factor(raw, metric)
    dual = orthogonal.dual
    curvature = manifold.equations.curvature
    if curvature is not None:
        core = orthogonal.triangle @ manifold.restrict(curvature) @ orthogonal.triangle.T
    else:
        hessian = manifold.restrict(manifold.landscape.hessian)
        core = dual.T @ (hessian @ dual)
    symmetric = symmetrised(core)
    return FramedGeometry(frame, orthogonal, dual, symmetric, PositiveDefinite.factor(symmetric))


def symmetrised(matrix: Matrix) -> Matrix:
    """A symmetric matrix, with its upper entries computed once."""
    m = range(matrix.shape[0])
    return Matrix.of([matrix[min(i, j), max(i, j)] for j in m] for i in m)
