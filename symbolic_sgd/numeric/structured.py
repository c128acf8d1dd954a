"""Terms of large problems by batched linear algebra, where the program of all their entries would be too long.

With the eigenvectors N of the M largest eigenvalues λ of H, P = I − NNᵀ, and the columns σ_ξ of the noise on Γ:

    H† = N diag(1/λ) Nᵀ,   S = N ((NᵀΣN)_ij / (λ_i + λ_j)) Nᵀ = Σ_a μ_a s_a s_aᵀ,
    T[Σ_∥] = Σ_ξ T(Pσ_ξ, Pσ_ξ),   T[H†Σ_⊥∥] = Σ_ξ T(H†σ_ξ, Pσ_ξ),   T[S] = Σ_a μ_a T(s_a, s_a).

T(v, w) = ∇(vᵀ H w) is the program of two directional derivatives of ∇L, about as long as a few evaluations of L: the third
derivative is never formed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.numeric.lowering import Lowered, lower
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.theorem.composed import slow_fields
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.drift import DriftLines
from symbolic_sgd.theorem.geometry import Geometry
from symbolic_sgd.theorem.terms import DRIFT_TERMS

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

    def rows(self, points: np.ndarray, results: Sequence[np.ndarray]) -> float:
        length = max(MEMORY // (8 * self.derivation.problem.dimension**2), 1)
        for start in range(0, len(points), length):
            here = slice(start, start + length)
            results[0][here] = self._values(points[here])
        with np.errstate(all="ignore"):
            return float(points.sum() + results[0].sum())

    def point(self, point: np.ndarray) -> None:
        """A single point is a batch of one."""
        return

    def _values(self, points: np.ndarray) -> np.ndarray:
        d = self.derivation.problem.dimension
        hessian = self._hessian(points).reshape(-1, d, d)
        good = np.isfinite(hessian).all(axis=(1, 2))
        local = _Local(points[good], hessian[good], self)
        values = local.values(self.name)
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

    def noise_curvature(self, points: np.ndarray) -> np.ndarray:
        """What noise that enters nonlinearly adds to the drift, B×D."""
        program = self.derivation.program.select("noise_curvature_drift")
        return self.compiler(lower([program], self.derivation.problem.symbols))(points)

    @cached_property
    def third(self) -> Callable[[np.ndarray], np.ndarray]:
        """T(v, w), from rows x, v, w."""
        program, symbols = directional_program(self.derivation)
        return self.compiler(lower([program], symbols))


@dataclass(frozen=True)
class Pairs:
    """Σ_a v_a w_aᵀ at B points, by the columns: B×D×A each."""

    left: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Eigenspaces(Geometry[np.ndarray, Pairs]):
    """The geometry of Γ at B points, by the eigenvectors of H; vectors are B×D.

    Args:
        steep: the M largest eigenvalues λ, B×M.
        normal: their eigenvectors N, B×D×M.
        tangent: the others, B×D×(D−M).
        bilinear: T(v, w), from B×D each.
    """

    half: ClassVar[Any] = 0.5

    steep: np.ndarray
    normal: np.ndarray
    tangent: np.ndarray
    bilinear: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def tangent_part(self, vector: np.ndarray) -> np.ndarray:
        return _apply(self.tangent, _apply(np.swapaxes(self.tangent, 1, 2), vector))

    def pseudo_inverse(self, vector: np.ndarray) -> np.ndarray:
        return _apply(self.normal / self.steep[:, None], _apply(np.swapaxes(self.normal, 1, 2), vector))

    def third(self, b: Pairs) -> np.ndarray:
        """Σ_a T(v_a, w_a)."""
        total = np.zeros(b.left.shape[:2])
        for a in range(b.left.shape[2]):
            total += self.bilinear(b.left[:, :, a], b.right[:, :, a])
        return total


class _Local:
    """Every term at B points, by the names of `TERMS`; and the blocks of Σ, by columns."""

    def __init__(self, points: np.ndarray, hessian: np.ndarray, owner: Structured):
        self.derivation, self.points = owner.derivation, points
        self.noise_curvature = owner.noise_curvature
        # The optimizer's symbols are among the problem's, a number a point.
        columns = zip(owner.derivation.problem.symbols, points.T, strict=True)
        self.known = {s: column[:, None, None] for s, column in columns}
        d, m = owner.derivation.problem.dimension, owner.derivation.codimension
        curvature, axes = np.linalg.eigh(hessian)
        third = owner.third
        self.space = Eigenspaces(
            curvature[:, -m:],
            axes[:, :, -m:],
            axes[:, :, :-m],
            lambda v, w: third(np.concatenate([points, v, w], axis=1)),
        )
        noise = owner.noise(points).reshape(len(points), d, -1)
        self.across = np.swapaxes(self.space.normal, 1, 2) @ noise  # Nᵀσ
        self.along = self.space.tangent @ (np.swapaxes(self.space.tangent, 1, 2) @ noise)  # Pσ
        self.lines = DriftLines(self.space, self)

    # --- the blocks of Σ --------------------------------------------------------------------

    @property
    def tangent_covariance(self) -> Pairs:
        return Pairs(self._number(self.derivation.optimizer.tangent_factor) * self.along, self.along)

    @property
    def cross(self) -> Pairs:
        steep = self.space.steep[:, :, None]
        weight = self._number(self.derivation.response.mixed, {A: steep}) / steep
        return Pairs(self.space.normal @ (weight * self.across), self.along)

    @property
    def stationary(self) -> Pairs:
        weights, vectors = np.linalg.eigh(self._inner)
        columns = self.space.normal @ vectors
        return Pairs(columns * weights[:, None], columns)

    @property
    def _inner(self) -> np.ndarray:
        covariance = self.across @ np.swapaxes(self.across, 1, 2)
        kernel = self.derivation.response.kernel
        assert kernel is not None, "a response to samples is evaluated by its program"
        return covariance * kernel.weight(self.space.steep[:, :, None], self.space.steep[:, None], self.known)

    def _number(self, expression: Expression, further: Mapping[sp.Symbol, Any] | None = None) -> Any:
        """An expression in the optimizer's symbols, at every point."""
        known = self.known | dict(further or {})
        names = sorted(expression.free_symbols, key=str)
        return sp.lambdify(names, expression, "numpy")(*(known[s] for s in names))

    # --- the terms --------------------------------------------------------------------------

    def values(self, name: str) -> np.ndarray:
        """A term: B×D, B×D×D or B×D×Ξ."""
        return getattr(self.lines, name) if name in DRIFT_TERMS else getattr(self, f"_{name}")()

    def _tangent_projection(self) -> np.ndarray:
        return self.space.tangent @ np.swapaxes(self.space.tangent, 1, 2)

    def _hessian_pinv(self) -> np.ndarray:
        return (self.space.normal / self.space.steep[:, None]) @ np.swapaxes(self.space.normal, 1, 2)

    def _tangent_noise(self) -> np.ndarray:
        return np.sqrt(self._number(self.derivation.optimizer.tangent_factor)) * self.along

    def _lyapunov_solution(self) -> np.ndarray:
        return self.space.normal @ self._inner @ np.swapaxes(self.space.normal, 1, 2)

    def _drift(self) -> np.ndarray:
        total = sum((getattr(self.lines, name) for name in DRIFT_TERMS), start=np.zeros(()))
        if self.derivation.optimizer.reshuffles:
            total = total + self.noise_curvature(self.points)
        fields = slow_fields(self.derivation, Graph())
        for field in (
            evaluate(Program.of(fields), self.derivation.problem.symbols, self.points).values() if fields else ()
        ):
            total = total - self.space.tangent_part(field)
        return total


def _apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum("bij,bj->bi", matrices, vectors)
