"""Terms of large problems by batched linear algebra, where the program of all their entries would be too long.

With the eigenvectors N of the M largest eigenvalues λ of H, P = I − NNᵀ, and the columns σ_ξ of the noise on Γ:

    H† = N diag(1/λ) Nᵀ,   S = N ((NᵀΣN)_ij / (λ_i + λ_j)) Nᵀ = Σ_a μ_a s_a s_aᵀ,
    T[Σ_∥] = Σ_ξ T(Pσ_ξ, Pσ_ξ),   T[H†Σ_⊥∥] = Σ_ξ T(H†σ_ξ, Pσ_ξ),   T[S] = Σ_a μ_a T(s_a, s_a).

T(v, w) = ∇(vᵀ H w) is the program of two directional derivatives of ∇L, about as long as a few evaluations of L: the third
derivative is never formed.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.numeric.lowering import Lowered, lower
from symbolic_sgd.theorem.derivation import Derivation

Compiler = Callable[[Lowered], Callable[[np.ndarray], np.ndarray]]
"""A lowered program as a function of rows."""

MEMORY = 1 << 22
"""Bytes that one batch of D×D matrices may take."""


def directional_program(derivation: Derivation) -> tuple[Program, tuple[sp.Symbol, ...]]:
    """T(v, w) = ∇(vᵀ ∇²L w), and the symbols that it reads: those of the problem, then v, then w."""
    problem, graph = derivation.problem, Graph()
    v, w = (tuple(sp.Dummy(f"{name}{i}") for i in range(problem.dimension)) for name in "vw")
    variables = [graph.symbol(s) for s in problem.parameters]
    slope = derivation.guard.select("gradient").on(graph)["gradient"].entries
    along = gradient(dot(slope, [graph.symbol(s) for s in w]), variables)
    third = gradient(dot(along, [graph.symbol(s) for s in v]), variables)
    return Program.of({"third": Matrix.column(third)}), (*problem.symbols, *v, *w)


class Structured:
    """One term, evaluated by linear algebra; it stands in for a compiled program.

    Args:
        derivation: what is evaluated.
        name: of the term.
        compiler: for the programs of H, σ and T.
    """

    def __init__(self, derivation: Derivation, name: str, compiler: Compiler):
        self.derivation = derivation
        self.name = name
        self.compiler = compiler

    def rows(self, points: np.ndarray, results: Sequence[np.ndarray]) -> None:
        length = max(MEMORY // (8 * self.derivation.problem.dimension**2), 1)
        for start in range(0, len(points), length):
            here = slice(start, start + length)
            results[0][here] = self._values(points[here])

    def point(self, point: np.ndarray) -> None:
        """A single point is a batch of one."""
        return

    def _values(self, points: np.ndarray) -> np.ndarray:
        d = self.derivation.problem.dimension
        hessian = self._hessian(points).reshape(-1, d, d)
        good = np.isfinite(hessian).all(axis=(1, 2))
        local = _Local(points[good], hessian[good], self)
        values = getattr(local, self.name)()
        result = np.full((len(points), values[0].size if len(values) else d), np.nan)
        result[good] = values.reshape(len(values), -1)
        return result

    @cached_property
    def _hessian(self) -> Callable[[np.ndarray], np.ndarray]:
        return self.compiler(lower([self.derivation.guard.select("hessian")], self.derivation.problem.symbols))

    @cached_property
    def noise(self) -> Callable[[np.ndarray], np.ndarray]:
        """σ, B×(D·Ξ)."""
        return self.compiler(lower([self.derivation.blocks.select("noise_factor")], self.derivation.problem.symbols))

    @cached_property
    def third(self) -> Callable[[np.ndarray], np.ndarray]:
        """T(v, w), from rows x, v, w."""
        program, symbols = directional_program(self.derivation)
        return self.compiler(lower([program], symbols))


class _Local:
    """Every term at B points, by the names of `TERMS`."""

    def __init__(self, points: np.ndarray, hessian: np.ndarray, owner: Structured):
        d, m = owner.derivation.problem.dimension, owner.derivation.codimension
        curvature, axes = np.linalg.eigh(hessian)
        self.points, self.third = points, owner.third
        self.steep, self.normal, self.tangent = curvature[:, -m:], axes[:, :, -m:], axes[:, :, :-m]
        noise = owner.noise(points).reshape(len(points), d, -1)
        self.across = np.swapaxes(self.normal, 1, 2) @ noise  # Nᵀσ
        self.along = self.tangent @ (np.swapaxes(self.tangent, 1, 2) @ noise)  # Pσ

    def tangent_projection(self) -> np.ndarray:
        return self.tangent @ np.swapaxes(self.tangent, 1, 2)

    def hessian_pinv(self) -> np.ndarray:
        return (self.normal / self.steep[:, None]) @ np.swapaxes(self.normal, 1, 2)

    def tangent_noise(self) -> np.ndarray:
        return self.along

    def lyapunov_solution(self) -> np.ndarray:
        return self.normal @ self._inner() @ np.swapaxes(self.normal, 1, 2)

    def tangent_noise_compensation(self) -> np.ndarray:
        t = self._contracted(self.along, self.along)
        return -_apply(self.normal / self.steep[:, None], _apply(np.swapaxes(self.normal, 1, 2), t)) / 2

    def mixed_regularization(self) -> np.ndarray:
        return -self._projected(self._contracted(self.normal @ (self.across / self.steep[:, :, None]), self.along))

    def normal_regularization(self) -> np.ndarray:
        weights, vectors = np.linalg.eigh(self._inner())
        columns = self.normal @ vectors
        return -self._projected(self._contracted(columns * weights[:, None], columns)) / 2

    def drift(self) -> np.ndarray:
        return self.tangent_noise_compensation() + self.mixed_regularization() + self.normal_regularization()

    def _inner(self) -> np.ndarray:
        covariance = self.across @ np.swapaxes(self.across, 1, 2)
        return covariance / (self.steep[:, :, None] + self.steep[:, None])

    def _projected(self, vectors: np.ndarray) -> np.ndarray:
        return _apply(self.tangent, _apply(np.swapaxes(self.tangent, 1, 2), vectors))

    def _contracted(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Σ_a T(v_a, w_a) over the columns."""
        total = np.zeros((len(self.points), left.shape[1]))
        for a in range(left.shape[2]):
            total += self.third(np.concatenate([self.points, left[:, :, a], right[:, :, a]], axis=1))
        return total


def _apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum("bij,bj->bi", matrices, vectors)
