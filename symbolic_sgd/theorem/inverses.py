"""Step 3: the normal part of H, and with it the projections and the two inverses of the theorem, H† and 𝓛_H⁻¹."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.lyapunov import closed_form, elementary_symmetric, solve_lyapunov
from symbolic_sgd.algebra.matrices import Matrix, Orthogonal, PositiveDefinite
from symbolic_sgd.theorem.normal_frame import NormalFrame


@dataclass(frozen=True)
class NormalHessian(ABC):
    """H on the normal space, in coordinates of it: right ↦ A right with a matrix A that vanishes on the tangent space.

    A symmetric B with B = QBQ is known by its coordinates A B Aᵀ.

    Args:
        frame: what is known of the normal space.
    """

    frame: NormalFrame

    @abstractmethod
    def coordinates(self, right: Matrix) -> Matrix:
        """A right."""

    @abstractmethod
    def tangent_part(self, right: Matrix) -> Matrix:
        """∂Φ right (Lemma 2: on Γ, ∂Φ is the orthogonal projection on the tangent space)."""

    @abstractmethod
    def inverse(self, coordinates: Matrix) -> Matrix:
        """H† right, from A right."""

    @abstractmethod
    def lyapunov_inverse(self, covariance: Matrix) -> Matrix:
        """S = 𝓛_H⁻¹(Σ_⊥), the solution of HS + SH = Σ_⊥ with S = QSQ, from the coordinates of Σ_⊥."""

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

    def pseudo_inverse(self, right: Matrix) -> Matrix:
        """H† right."""
        return self.inverse(self.coordinates(right))


@dataclass(frozen=True)
class OrthogonalHessian(NormalHessian):
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

    def tangent_part(self, right: Matrix) -> Matrix:
        return right - self.orthogonal.columns @ self.coordinates(right)

    def inverse(self, coordinates: Matrix) -> Matrix:
        return self.dual @ self.factor.solve(coordinates)

    def lyapunov_inverse(self, covariance: Matrix) -> Matrix:
        """S = N̂ X N̂ᵀ, where C X G + G X C = Y with G = N̂ᵀN̂ = diag(d)⁻¹."""
        inverse_lengths = tuple(1 / d for d in self.orthogonal.lengths)
        return self.dual @ solve_lyapunov(self.matrix, inverse_lengths, covariance) @ self.dual.T

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
class FramelessHessian(NormalHessian):
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

    def tangent_part(self, right: Matrix) -> Matrix:
        return right - self.coordinates(right)

    def inverse(self, coordinates: Matrix) -> Matrix:
        *lower, last = self.symmetric
        result = coordinates
        for e in lower:  # Horner's rule
            result = coordinates.scaled(e) - self.hessian @ result
        return result.map(lambda entry: entry / last)

    def lyapunov_inverse(self, covariance: Matrix) -> Matrix:
        return closed_form(self.hessian, self.symmetric, covariance)

    def commuting_inverse(self, covariance: Matrix) -> Matrix:
        return symmetrised(self.inverse(covariance).scaled(Fraction(1, 2)))

    @property
    def metric(self) -> Matrix:
        graph = self.hessian[0, 0].graph
        return self.coordinates(Matrix.diagonal(graph, [1] * self.hessian.shape[0]))

    @property
    def core(self) -> Matrix:
        return self.hessian

    def product(self, covariance: Matrix) -> Matrix:
        return self.hessian @ covariance


def normal_hessian(frame: NormalFrame) -> NormalHessian:
    """H on the normal space, in an orthogonal frame where there is a frame."""
    if frame.raw is None:
        manifold = frame.manifold
        hessian = manifold.restrict(manifold.landscape.hessian)
        return FramelessHessian(frame, hessian, elementary_symmetric(hessian, manifold.codimension))
    return _in_orthogonal_frame(frame, frame.raw)


def _in_orthogonal_frame(frame: NormalFrame, raw: Matrix) -> OrthogonalHessian:
    """C on Γ, factored: U diag(k) Uᵀ where H = Σ k_i f_i f_iᵀ is known for the raw frame F = N U, else N̂ᵀHN̂."""
    manifold, orthogonal = frame.manifold, Orthogonal.factor(raw)
    dual = orthogonal.dual
    curvatures = manifold.equations.curvatures
    if curvatures is not None:
        weights = manifold.restrict(Matrix.column(curvatures)).entries
        diagonal = Matrix.diagonal(manifold.landscape.graph, weights)
        core = orthogonal.triangle @ diagonal @ orthogonal.triangle.T
    else:
        hessian = manifold.restrict(manifold.landscape.hessian)
        core = dual.T @ (hessian @ dual)
    symmetric = symmetrised(core)
    return OrthogonalHessian(frame, orthogonal, dual, symmetric, PositiveDefinite.factor(symmetric))


def symmetrised(matrix: Matrix) -> Matrix:
    """A symmetric matrix, with its upper entries computed once."""
    m = range(matrix.shape[0])
    return Matrix.of([matrix[min(i, j), max(i, j)] for j in m] for i in m)
