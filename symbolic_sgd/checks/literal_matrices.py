"""The theorem, literally, at the size of large problems: SymPy's slopes of the residuals, and every further derivative by complex steps.

∇L = Jᵀ Kf holds everywhere; ∂_v∇L(x) = Im ∇L(x + ihv)/h to rounding, and T[vvᵀ] is the difference of that along v. Then the
eigenvectors of the D×D Hessian, as in checks/literal.py: nothing is known of J's rank, of Cholesky factors or of M×M matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import FLOAT64
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import as_written
from symbolic_sgd.checks.by_sympy import BySymPy
from symbolic_sgd.checks.literal import FLOAT64 as ARRAYS
from symbolic_sgd.checks.literal import LiteralResponse, LiteralTerms, literal_terms
from symbolic_sgd.optimizers.kernel import A, B
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.problems.noise import LabelNoise
from symbolic_sgd.problems.problem import Problem

IMAGINARY = 1e-30
"""h of a complex step; it is subtracted from nothing."""

STEP = 2e-4
"""Of the differences along v, relative to 1 + |x|; their error is of fourth order."""

STENCIL = {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}
"""f′(0) h = Σ c f(kh), up to h⁵."""

BLOCK = 1 << 22
"""Entries of J, over all points of a block, at most."""

NEGLIGIBLE = 1e-13
"""Directions of a covariance that are left out, relative to the largest."""


@dataclass(frozen=True)
class LiteralMatrices:
    """A least-squares problem in numbers.

    Args:
        problem: as stated.
        rank: M.
        optimizer: whose limit it is.
    """

    problem: Problem
    rank: int
    optimizer: Optimizer

    @cached_property
    def _program(self) -> Program:
        graph, residuals = Graph(), self.problem.residuals
        levels = Matrix.column(as_written(r, {}, graph) for r in residuals)
        slopes = Matrix.of(
            [as_written(sp.diff(r, s), {}, graph) if r.has(s) else graph.constant(0) for s in self.problem.parameters]
            for r in residuals
        )
        return Program.of({"levels": levels, "slopes": slopes})

    def residuals(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """r (B×n) and J (B×n×D), at real or complex points."""
        with np.errstate(all="ignore"):
            values = self._program.run(FLOAT64, dict(zip(self.problem.parameters, points.T, strict=True)))
        rows = lambda entries: np.array([np.broadcast_to(e, len(points)) for e in entries]).T  # noqa: E731
        return rows(values["levels"]), rows(values["slopes"]).reshape(len(points), -1, points.shape[1])

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """∇L, B×D."""
        length = max(1, BLOCK // (points.shape[1] * len(self.problem.residuals)))
        found = []
        for start in range(0, len(points), length):
            levels, slopes = self.residuals(points[start : start + length])
            found.append(np.einsum("bn,bnd->bd", levels, slopes) / levels.shape[1])
        return np.concatenate(found)

    def along(self, points: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """∂_v∇L at each point, B×D."""
        return np.imag(self.gradient(points + 1j * IMAGINARY * directions)) / IMAGINARY

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """∇²L, D×D."""
        columns = self.along(np.tile(x, (len(x), 1)), np.eye(len(x)))
        return (columns + columns.T) / 2

    def third(self, x: np.ndarray, b: np.ndarray, step: float = STEP) -> np.ndarray:
        """T[B] for a symmetric B, D."""
        weights, axes = np.linalg.eigh(b)
        kept = np.abs(weights) > NEGLIGIBLE * np.abs(weights).max(initial=0)
        weights, axes = weights[kept], axes[:, kept].T
        if not len(weights):
            return np.zeros_like(x)
        h, total = step * (1 + np.linalg.norm(x)), np.zeros_like(axes)
        for k, c in STENCIL.items():
            total += c / h * self.along(x + k * h * axes, axes)
        return weights @ total

    def noise(self, x: np.ndarray) -> np.ndarray:
        """σ, D×Ξ."""
        noise, problem = self.problem.noise, self.problem
        if not isinstance(noise, LabelNoise) or not noise.draws_residuals(problem) or noise.batch(problem) > 1:
            return evaluate(self._stated_noise, problem.symbols, x[None])["noise_factor"].reshape(len(x), -1)
        (levels,), (slopes,) = self.residuals(x[None])
        mean, amplitudes = self.gradient(x[None])[0], map(float, noise.amplitudes(len(levels)))
        drawn = [
            (r + sign * delta) * slope - mean
            for r, slope, delta in zip(levels, slopes, amplitudes, strict=True)
            for sign in (1, -1)
        ]
        return np.array(drawn).T / np.sqrt(2 * len(levels))

    @cached_property
    def _stated_noise(self) -> Program:
        return BySymPy(self.problem).noise

    def terms(self, x: np.ndarray, step: float = STEP) -> LiteralTerms:
        """Every term at a point of Γ."""
        column: Callable[[Any], Any] = lambda b: self.third(x, np.asarray(b, dtype=float), step)[:, None]  # noqa: E731
        return literal_terms(ARRAYS, self.hessian(x), self.noise(x), column, self.rank, self._response(x))

    def _response(self, x: np.ndarray) -> LiteralResponse:
        kernel, problem = self.optimizer.kernel, self.problem
        assert kernel is not None
        weight = sp.lambdify([A, B], kernel.function(A, B), "math")
        fields = self.optimizer.drift_fields(problem)
        at = dict(zip(problem.parameters, x.tolist(), strict=True))
        return LiteralResponse(
            kernel=lambda a, b: weight(float(a), float(b)),
            tangent_factor=float(self.optimizer.tangent_factor),
            slow={name: np.array([[float(g.subs(at))] for g in field]) for name, field in fields.items()},
        )

    def onto(self, x: np.ndarray) -> np.ndarray | None:
        """A point of Γ near x, by Gauss and Newton's steps; None where they do not lead to one."""
        length = np.inf
        for _ in range(60):
            (levels,), (slopes,) = self.residuals(x[None])
            if not (np.isfinite(levels).all() and np.isfinite(slopes).all()):
                return None
            step = np.linalg.lstsq(slopes, levels, rcond=None)[0]
            x, length = x - step, np.linalg.norm(step) / (1 + np.linalg.norm(x))
            if length < 4e-16:
                break
        return x if length < 1e-14 else None
