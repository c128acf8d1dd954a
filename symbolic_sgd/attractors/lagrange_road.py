"""Fixed points by Lagrange's function R − λᵀf: b = −P∇R, and −P(∇²R − Σ λ_i ∇²f_i)P is b linearised along Γ."""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber, Valuation
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.attractors.descent import Descent, descent_of, normal_axes
from symbolic_sgd.attractors.residual_manifold import ResidualManifold
from symbolic_sgd.attractors.rotations import Rotations, rotations
from symbolic_sgd.attractors.standing import Ground, Standing
from symbolic_sgd.charts.rest_points import DEPENDENT, Road, newton_with_frozen_slopes, times
from symbolic_sgd.effort import Effort
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.regularizer.regularizer import Regularizer
from symbolic_sgd.regularizer.scatter import Batch, FloatManifold
from symbolic_sgd.theorem.derivation import Derivation

LARGEST = 100
"""Parameters up to which second derivatives of R and f are written down."""

VANISHES = 1e-80
"""∇R − Jᵀλ beside 1 + |∇R|, at a point known to 120 digits, below which it is zero."""

LED = 30
"""Steps by which half of the starts are led down R."""

STRIDE = 0.5
"""The longest of them, relative to 1 + |x|."""

LEAST = 1e-3
"""Curvatures of R along Γ below this, relative to the largest, count as this much in such a step."""

STRAIGHT = 1e-6
"""How far a way between two zeros may be out of the kernel of ∂b, relative to its length, for them to count as one."""

RANK = 1e-10
"""Singular values of J below this, relative to the largest, are none."""


class LagrangeRoad(Road):
    """By ∇R, J and the Hessian of R − λᵀf, where the multipliers λ are those of least squares.

    Args:
        descent: R and f.
    """

    def __init__(self, descent: Descent):
        derivation = descent.derivation
        large = derivation.in_matrices is not None
        super().__init__(ResidualManifold(derivation) if large else FloatManifold(derivation))
        self.descent, self.rank = descent, derivation.codimension
        lagrangian = descent.lagrangian
        self._first = Program.of({"gradient": descent.gradient, "slopes": descent.slopes})
        self._second = Program.of({"bend": lagrangian.hessian})
        self._value = Program.of({"potential": Matrix.column([descent.height])})
        self._ground = Ground(derivation)

    # --- in float64 -------------------------------------------------------------------------

    def _multipliers(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """∇R (S×D), J (S×n×D) and λ (S×n)."""
        values = evaluate(self._first, self.parameters, x)
        gradient, slopes = values["gradient"], values["slopes"].reshape(len(x), -1, x.shape[1])
        fine = np.asarray(np.isfinite(gradient).all(axis=1) & np.isfinite(slopes).all(axis=(1, 2)))
        inverse = np.linalg.pinv(np.where(fine[:, None, None], slopes, 0), rcond=RANK)
        return gradient, slopes, np.einsum("sdn,sd->sn", inverse, gradient)

    def numbers(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """−Tᵀ∇R and −Tᵀ(∇²R − Σ λ_i ∇²f_i)T."""
        gradient, _, multipliers = self._multipliers(batch.points)
        rows = np.hstack([batch.points, multipliers])
        d = batch.points.shape[1]
        bend = evaluate(self._second, (*self.parameters, *self.descent.multipliers), rows)["bend"].reshape(-1, d, d)
        pull = -np.einsum("sdi,sd->si", batch.tangent, gradient)
        return pull, -np.einsum("sdi,sde,sej->sij", batch.tangent, bend, batch.tangent)

    def potential(self, points: np.ndarray) -> np.ndarray:
        """R, S."""
        return evaluate(self._value, self.parameters, points)["potential"][:, 0]

    def descended(self, batch: Batch) -> Batch:
        """Steps |A|⁻¹Tᵀ∇R down R, A its Hessian along Γ: Newton's near a minimum, and away from saddles."""
        here, height = batch, self.potential(batch.points)
        reach = np.ones(len(height))
        for _ in range(LED):
            pull, slope = self.numbers(here)
            fine = here.valid & np.isfinite(pull).all(axis=1) & np.isfinite(slope).all(axis=(1, 2))
            pull, slope = np.where(fine[:, None], pull, 0), np.where(fine[:, None, None], slope, 0)
            sizes, axes = np.linalg.eigh((slope + np.swapaxes(slope, 1, 2)) / 2)
            sizes = np.abs(sizes)
            floor = LEAST * sizes.max(axis=1, keepdims=True) + 1e-300
            along = np.einsum("sij,si->sj", axes, pull) / np.maximum(sizes, floor)
            step = np.einsum("sdi,sij,sj->sd", here.tangent, axes, along)
            longest = STRIDE * (1 + np.abs(here.points).max(axis=1))
            step *= (reach * np.minimum(1, longest / (np.linalg.norm(step, axis=1) + 1e-300)))[:, None]
            there = self.manifold.settle(here.points + step)
            lower = self.potential(there.points)
            taken = fine & there.valid & (lower < height)
            pick = lambda a, b, taken=taken: np.where(taken.reshape((-1,) + (1,) * (a.ndim - 1)), a, b)  # noqa: E731
            here = Batch(*(pick(getattr(there, n), getattr(here, n)) for n in ("points", "tangent", "valid")))
            height, reach = np.where(taken, lower, height), np.where(taken, np.minimum(2 * reach, 1), reach / 4)
        return here

    def joined(self, x: np.ndarray, y: np.ndarray) -> bool:
        """Whether a rotation that is a symmetry was found to lead from one to the other, or a straight line along the kernel of ∂b."""
        return self.rotations.joins(x, y) or self._in_the_kernel(x, y - x)

    def _in_the_kernel(self, x: np.ndarray, way: np.ndarray) -> bool:
        here = self.manifold.settle(x[None])
        _, sizes, axes = np.linalg.svd(self.numbers(here)[1][0])
        kernel = here.tangent[0] @ axes[sizes <= DEPENDENT * sizes[0]].T
        return bool(np.linalg.norm(way - kernel @ (kernel.T @ way)) <= STRAIGHT * np.linalg.norm(way))

    @cached_property
    def rotations(self) -> Rotations:
        """The continuous orthogonal symmetries."""
        return rotations(self.descent)

    # --- to many digits ---------------------------------------------------------------------

    def sharpened(self, x: np.ndarray, tangent: np.ndarray, slope: np.ndarray, effort: Effort) -> PrecisePoint | None:
        """Newton's method for ∇R = Jᵀλ, f = 0, with the matrix at the start."""
        return self.sharpened_within(x, effort)

    def sharpened_within(self, x: np.ndarray, effort: Effort, **reach: float) -> PrecisePoint | None:
        """The same, within a distance of the start."""
        descent, d = self.descent, len(x)
        _, slopes, multipliers = self._multipliers(x[None])
        everything = (*self.parameters, *descent.multipliers)
        start = np.concatenate([x, multipliers[0]])
        bend = evaluate(self._second, everything, start[None])["bend"].reshape(d, d)
        below = np.hstack([slopes[0], np.zeros((len(slopes[0]), len(slopes[0])))])
        inverse = np.linalg.pinv(np.vstack([np.hstack([bend, -slopes[0].T]), below]), rcond=DEPENDENT)
        nodes = [*descent.lagrangian.gradient.entries, *descent.levels]

        def step(here: Mapping[sp.Symbol, PreciseNumber]) -> list[PreciseNumber]:
            return times(inverse, Valuation(PRECISE, here)(nodes))

        found = newton_with_frozen_slopes(dict(zip(everything, start, strict=True)), step, effort, **reach)
        return None if found is None else PrecisePoint({s: found.assignment[s] for s in self.parameters})

    def standing(self, point: PrecisePoint) -> Standing:
        """How a point stands to Γ."""
        return self._ground.standing(point)

    def is_rest(self, point: PrecisePoint) -> bool:
        """Whether ∇R = Jᵀλ at a point where the theorem applies."""
        if self.standing(point) is not Standing.REGULAR:
            return False
        gradient, off = self._off(point)
        with mp.workdps(HIGH):
            return bool(off <= VANISHES * (1 + max(map(abs, gradient))))

    def speed(self, point: PrecisePoint) -> float:
        """The largest entry of b = −P∇R."""
        return float(self._off(point)[1])

    def _off(self, point: PrecisePoint) -> tuple[PreciseMatrix, PreciseNumber]:
        with mp.workdps(HIGH):
            gradient = mp.matrix(point.high(self.descent.gradient.entries))
            axes = normal_axes(point.matrix(self.descent.slopes), self.rank)
            return gradient, max(map(abs, gradient - axes * (axes.T * gradient)))

    def multipliers_at(self, point: PrecisePoint) -> list[PreciseNumber]:
        """λ with ∇R = Jᵀλ, of least length where J has dependent rows."""
        with mp.workdps(HIGH):
            slopes = point.matrix(self.descent.slopes)
            axes = normal_axes(slopes, self.rank)
            # With J = WAᵀ for orthonormal columns A, λ = W(WᵀW)⁻¹Aᵀ∇R.
            within = slopes * axes
            along = axes.T * mp.matrix(point.high(self.descent.gradient.entries))
            return list(within * mp.lu_solve(within.T * within, along))

    def bend(self, point: PrecisePoint, multipliers: list[PreciseNumber]) -> PreciseMatrix:
        """∇²R − Σ λ_i ∇²f_i, D×D."""
        values = {**point.assignment, **dict(zip(self.descent.multipliers, multipliers, strict=True))}
        return PrecisePoint(values).matrix(self.descent.lagrangian.hessian)

    def tangent(self, point: PrecisePoint) -> np.ndarray:
        """A basis of the tangent space in float64, D×n."""
        slopes = np.array(point.matrix(self.descent.slopes).tolist(), dtype=float)
        return np.linalg.svd(slopes)[2][self.rank :].T

    def slope(self, point: PrecisePoint, tangent: np.ndarray) -> PreciseMatrix:
        """−Tᵀ(∇²R − Σ λ_i ∇²f_i)T."""
        bend = self.bend(point, self.multipliers_at(point))
        with mp.workdps(HIGH):
            axes = normal_axes(point.matrix(self.descent.slopes), self.rank)
            basis = mp.matrix(tangent.tolist())
            along, _ = mp.qr(basis - axes * (axes.T * basis), mode="skinny")
            return -(along.T * bend * along)


def lagrange_road(derivation: Derivation, find: Callable[[], Regularizer]) -> LagrangeRoad | str:
    """R and f with their derivatives, or in words why there are none.

    Args:
        derivation: of the SDE.
        find: the search for R.
    """
    d = derivation.problem.dimension
    if d > LARGEST:
        return f"for {d} parameters, more than {LARGEST}, the second derivatives of R and f are too many"
    descent = descent_of(derivation, find)
    return descent if isinstance(descent, str) else LagrangeRoad(descent)
