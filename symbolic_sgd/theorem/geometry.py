"""Step 3: the geometry of Γ at a point: ∂Φ, H†, T[·], and with them everything that the theorem says of a noise.

`Geometry` is the one contract through which the lines of the theorem see the normal space (theorem/drift.py runs them over it):
with an orthogonal frame or with none (here), for composed losses without third derivatives of L (theorem/composed.py), for
batches of points in NumPy (numeric/structured.py), and for families (families/arrays.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Generic, TypeVar

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.lyapunov import (
    closed_form,
    elementary_symmetric,
    solve_lyapunov,
    solve_pairs,
)
from symbolic_sgd.algebra.matrices import Matrix, Orthogonal, PositiveDefinite
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.optimizers.kernel import A
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
class NodeGeometry(Geometry[Matrix, Matrix]):
    """For matrices of nodes: H on the normal space, in coordinates of it, right ↦ A right with A = 0 on the tangent space.

    A symmetric B with B = QBQ is known by its coordinates A B Aᵀ.

    Args:
        frame: what is known of the normal space.
    """

    frame: NormalFrame

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
        return self.dual.T @ right

    def tangent_part(self, vector: Matrix) -> Matrix:
        return vector - self.orthogonal.columns @ self.coordinates(vector)

    def inverse(self, coordinates: Matrix) -> Matrix:
        return self.dual @ self.factor.solve(coordinates)

    def stationary(self, covariance: Matrix, response: Response, samples: Matrix | None = None) -> Matrix:
        """S = N̂ X N̂ᵀ, where C X G + G X C = Y with G = N̂ᵀN̂ = diag(d)⁻¹; for other optimizers S = N Z Nᵀ."""
        if not response.is_lyapunov:
            columns, space, m = self.orthogonal.columns, self.space(samples), len(self.orthogonal.lengths)
            if isinstance(response, KernelResponse) and not response.kernel.is_rational:
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
        if not h.is_rational_function(A):
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


def geometry_of(frame: NormalFrame) -> NodeGeometry:
    """The geometry of Γ, in an orthogonal frame where there is a frame."""
    if frame.raw is None:
        manifold = frame.manifold
        hessian = manifold.restrict(manifold.landscape.hessian)
        return FramelessGeometry(frame, hessian, elementary_symmetric(hessian, manifold.codimension))
    return _in_orthogonal_frame(frame, frame.raw)


def _in_orthogonal_frame(frame: NormalFrame, raw: Matrix) -> FramedGeometry:
    """C on Γ, factored: U K Uᵀ where H = F K Fᵀ is known for the raw frame F = N U, else N̂ᵀHN̂."""
    manifold, orthogonal = frame.manifold, Orthogonal.factor(raw)
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
