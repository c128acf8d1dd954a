"""The theorem, literally: eigenvectors of ∇²L and derivatives by SymPy; no frame, no formula for an inverse.

With ∇²L = V diag(λ) Vᵀ on Γ, λ_a = 0 for the D − M tangent axes, and Σ = σσᵀ:

    ∂Φ = Σ_{λ_a = 0} v_a v_aᵀ,   H† = Σ_{λ_a > 0} v_a v_aᵀ/λ_a,   S = Σ_{λ_a, λ_b > 0} v_a (v_aᵀ Σ v_b) v_bᵀ/(λ_a + λ_b),
    b_∥ = −½ H† T[∂ΦΣ∂Φ],   b_⊥∥ = −∂Φ T[H†Σ∂Φ],   b_⊥ = −½ ∂Φ T[S],   A = ∂Φ σ.

Source: the theorem of Li, Wang and Arora (ICLR 2022), the mixed coefficient corrected from −½ to −1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic_sgd.algebra.arithmetic import PreciseMatrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.checks.by_sympy import DIGITS, BySymPy, precise
from symbolic_sgd.checks.fresh_points import Point, shown
from symbolic_sgd.errors import Undecided

STEP = 1e-15
"""Of central differences along Γ, relative to 1 + |x|: they err by its square, and rounding divided by it is far below."""

ITERATIONS = 24
"""Newton steps onto Γ at most."""

CLOSE = 1e-6
"""Length of a step, relative to 1 + |x|, after which ∇²L† need not be computed anew: each further step gains six digits."""

SETTLED = 10 - DIGITS
"""Decimal exponent of the last of them, relative to 1 + |x|."""


@dataclass(frozen=True)
class LiteralTerms:
    """The theorem at a point of Γ, in the names of the derivation's own terms: D×D, D×Ξ and D×1 matrices."""

    tangent_projection: Any
    hessian_pinv: Any
    lyapunov_solution: Any
    tangent_noise: Any
    tangent_noise_compensation: Any
    mixed_regularization: Any
    normal_regularization: Any

    @property
    def regularization(self) -> Any:
        """b_⊥∥ + b_⊥."""
        return self.mixed_regularization + self.normal_regularization

    @property
    def drift(self) -> Any:
        """b."""
        return self.tangent_noise_compensation + self.regularization


@dataclass(frozen=True)
class Matrices:
    """One kind of matrix, of which `@`, `+` and `.T` are understood.

    Args:
        of: rows of numbers → a matrix.
        eigenvectors: a symmetric matrix → (λ_1 ≤ … ≤ λ_D, the matrix of columns v_a).
    """

    of: Callable[[list[list[Any]]], Any]
    eigenvectors: Callable[[Any], tuple[Any, Any]]


PRECISE = Matrices(lambda rows: mp.matrix(rows), lambda h: mp.eigsy(h))
"""mpmath's, at the working precision of the thread."""

FLOAT64 = Matrices(np.array, np.linalg.eigh)


def literal_terms(kind: Matrices, hessian: Any, sigma: Any, third: Callable[[Any], Any], rank: int) -> LiteralTerms:
    """The formulas at the head of this file.

    Args:
        kind: of all matrices.
        hessian: ∇²L, D×D.
        sigma: σ, D×Ξ.
        third: B ↦ T[B] for symmetric B, D×1.
        rank: M.
    """
    curvatures, axes = kind.eigenvectors(hessian)
    d = len(curvatures)
    normal = range(d - rank, d)
    spectral = lambda weight: axes @ kind.of(_diagonal([weight(a) for a in range(d)])) @ axes.T  # noqa: E731
    projection = spectral(lambda a: 1 if a not in normal else 0)
    pinv = spectral(lambda a: 1 / curvatures[a] if a in normal else 0)
    covariance = sigma @ sigma.T
    turned = axes.T @ covariance @ axes
    weighted = [
        [turned[a, b] / (curvatures[a] + curvatures[b]) if a in normal and b in normal else 0 for b in range(d)]
        for a in range(d)
    ]
    solution = axes @ kind.of(weighted) @ axes.T
    across = pinv @ covariance @ projection
    return LiteralTerms(
        tangent_projection=projection,
        hessian_pinv=pinv,
        lyapunov_solution=solution,
        tangent_noise=projection @ sigma,
        tangent_noise_compensation=-(pinv @ third(projection @ covariance @ projection)) / 2,
        mixed_regularization=-(projection @ third((across + across.T) / 2)),
        normal_regularization=-(projection @ third(solution)) / 2,
    )


def _diagonal(entries: list[Any]) -> list[list[Any]]:
    return [[a if i == j else 0 for j in range(len(entries))] for i, a in enumerate(entries)]


@dataclass(frozen=True)
class LiteralTheorem:
    """The theorem at points of Γ, and how it changes along Γ, from the loss and the noise alone.

    Args:
        stated: the problem, in SymPy's derivatives.
        rank: M.
    """

    stated: BySymPy
    rank: int

    def terms(self, point: Point) -> LiteralTerms:
        """Every term at a point of Γ, to 60 digits."""
        with mp.workdps(DIGITS):
            return literal_terms(
                PRECISE, self._hessian(point), self._sigma(point), lambda b: self._third(point, b), self.rank
            )

    def diffusion(self, point: Point) -> PreciseMatrix:
        """∂Φ σ, D×Ξ."""
        with mp.workdps(DIGITS):
            _, axes = PRECISE.eigenvectors(self._hessian(point))
            normal, sigma = axes[:, axes.cols - self.rank :], self._sigma(point)
            return sigma - normal @ (normal.T @ sigma)

    def tangent_axes(self, point: Point) -> PreciseMatrix:
        """An orthonormal basis of the tangent space, D×(D − M)."""
        with mp.workdps(DIGITS):
            _, axes = PRECISE.eigenvectors(self._hessian(point))
            return axes[:, : axes.cols - self.rank]

    def float_terms(self, row: np.ndarray) -> LiteralTerms:
        """Every term at a row (a point of Γ, then the constants), in float64."""
        loss, symbols = self.stated.smooth_loss, self.stated.problem.symbols
        sigma = evaluate(self.stated.noise, symbols, row[None])["noise_factor"].reshape(loss.dimension, -1)
        third = lambda b: loss.third(row[None], b[None])[0][:, None]  # noqa: E731
        return literal_terms(FLOAT64, loss.hessian(row[None])[0], sigma, third, self.rank)

    def onto(self, point: Point) -> Point:
        """The foot on Γ of a point close by, by Newton steps −∇²L†∇L in which only the gradient is precise.

        Raises:
            Undecided: the steps do not lead to a zero of the gradient.
        """
        parameters = self.stated.problem.parameters
        with mp.workdps(DIGITS):
            here = {s: mp.mpf(a) for s, a in point.items()}
            extent, inverse, length = 1 + max(abs(here[s]) for s in parameters), None, mp.inf
            for _ in range(ITERATIONS):
                inverse = self._inverse(here) if length > CLOSE * extent else inverse
                step = inverse @ self._evaluated("gradient", here)
                here |= {s: here[s] - a for s, a in zip(parameters, step, strict=True)}
                length = max(map(abs, step))
                if length <= extent * mp.mpf(10) ** SETTLED:
                    break
            slope, steepest = self._evaluated("gradient", here), max(map(abs, self._hessian(here)))
            if length <= extent * mp.mpf(10) ** SETTLED and mp.norm(slope) <= steepest * extent * mp.mpf(10) ** (
                SETTLED + 5
            ):
                return here
        raise Undecided(
            f"Newton's method does not lead onto Γ to {-SETTLED} digits beside x = {shown(parameters, point)}"
        )

    def along(self, point: Point, direction: PreciseMatrix, field: Callable[[Point], PreciseMatrix]) -> PreciseMatrix:
        """The derivative of a field at a point of Γ in a tangent direction, by the central difference of its values on Γ."""
        parameters = self.stated.problem.parameters
        with mp.workdps(DIGITS):
            step = mp.mpf(STEP) * (1 + max(abs(point[s]) for s in parameters)) / mp.norm(direction)
            ahead, behind = (
                self.onto(dict(point) | {s: point[s] + h * a for s, a in zip(parameters, direction, strict=True)})
                for h in (step, -step)
            )
            return (field(ahead) - field(behind)) / (2 * step)

    def _inverse(self, point: Point) -> PreciseMatrix:
        """∇²L† on the M steepest axes, with the digits of float64."""
        curvature, axes = np.linalg.eigh(np.array(self._hessian(point).tolist(), dtype=float))
        normal, steep = axes[:, -self.rank :], curvature[-self.rank :]
        return mp.matrix((normal / steep @ normal.T).tolist())

    def _evaluated(self, name: str, point: Point) -> PreciseMatrix:
        return precise(self.stated.derivatives.select(name), point)[name]

    def _hessian(self, point: Point) -> PreciseMatrix:
        return self._evaluated("hessian", point)

    def _sigma(self, point: Point) -> PreciseMatrix:
        return precise(self.stated.noise, point)["noise_factor"]

    def _third(self, point: Point, b: PreciseMatrix) -> PreciseMatrix:
        contraction = self.stated.third
        entries = {c: b[i, j] for i, row in enumerate(contraction.directions) for j, c in enumerate(row) if j >= i}
        return precise(contraction.program, dict(point) | entries)["third"]
