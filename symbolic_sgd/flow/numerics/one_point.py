"""Φ(x) = lim_{t→∞} of ẋ = −∇L(x) for one point, to many digits.

Residuals are evaluated at the working precision of mpmath; only the matrices of Newton's method are float64, so that
each of its iterations gains up to 15 digits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.errors import FlowDidNotConverge
from symbolic_sgd.flow.numerics.precise_radau import (
    Precise,
    RadauTables,
    Table,
    added,
    allowed_ratio,
    extrapolated,
    floats,
    mix,
    radau_tables,
    shortened,
    step_length,
)
from symbolic_sgd.flow.numerics.rules import FADED, FAR, MOST_TANGENT, diverging, in_words, not_finite, number, span
from symbolic_sgd.regular_point import CLEAR

GUARD_DIGITS = 25
"""Digits carried beyond those asked for; stiffness costs the logarithm of the ratio of curvatures."""

MOST_STEPS = 500
"""A flow to a quadratic minimum takes 20 to 80."""

MOST_NEWTON_ITERATIONS = 25
"""A step that needs more is cheaper as two steps."""

CLEARLY_NEGATIVE = 1e-3
"""Ratio of the lowest curvature to the largest at which a stationary point is a saddle, and no rounding of a flat one."""

MOST_GROWTH = 4.0
"""Largest ratio of a step to the one before."""

NEWTON_SHARE = 1e-12
"""Error of the Newton iterations as a share of the tolerance: so small that the error estimate still tells, through its
root of high order, by how much a step may grow."""

FRESH_MATRIX = 1e-3
"""A Newton iteration that contracts by less gets the Hessians at its new stages."""

FLOAT_DIGITS = 13
"""Digits that a projection computed in float64 is good for."""

TANGENT_CURVATURE = 1e4
"""At a distance δ from Γ the gradient along Γ is at most λ₁ times this times δ², if Γ is not very curved."""

CLOSER = 1e-3
"""Share of δ at which it is looked again, if it is more; in a flat valley it does not decrease like δ²."""

REACH = 1e-2
"""Largest error on the way beside the distance to a stationary point; larger ones decide where the flow goes."""

SLACK = 2
"""Digits by which the errors at the end may seem to be too large: steps err by much less than their tolerance."""

Gradient = Callable[[list[Precise]], list[Precise]]
Hessian = Callable[[np.ndarray], np.ndarray]


class _TooNearToTell(FlowDidNotConverge):
    """A saddle is so near that with more digits the flow might be seen to pass it."""


def precise_limit(gradient: Gradient, hessian: Hessian, start: list[Precise], rank: int, digits: int) -> list[Precise]:
    """Φ(start) to about `digits` digits relative to 1 + |x|.

    Args:
        gradient: ∇L at the precision of mpmath that is in force (D) → (D).
        hessian: ∇²L in float64 (D) → (D×D).
        start: x (D).
        rank: M = rank ∇²L on Γ.
        digits: decimal digits wanted.

    Raises:
        FlowDidNotConverge: the flow ends in a saddle or on another set than Γ, diverges, or does not settle; or it comes so
            near to a saddle that its errors decide how it goes on.

    Source: Hairer & Wanner, Solving Ordinary Differential Equations II, IV.8.
    """
    # The flow is exact to so many digits of the start, which may be large beside its limit.
    largest = max(abs(float(value)) for value in start)
    working = digits + (2 * int(np.log10(1 + largest)) if largest < np.inf else 0)
    try:
        limit, error = _followed(gradient, hessian, start, rank, working)
    except _TooNearToTell:
        working *= 2
        limit, error = _followed(gradient, hessian, start, rank, working)
    if error <= SLACK - digits:
        return limit
    if error >= 0:
        raise FlowDidNotConverge(
            f"on the way the flow enlarges errors so much that {working} digits say nothing of its limit"
        )
    return _followed(gradient, hessian, start, rank, working + digits + int(np.ceil(error)))[0]


def _followed(
    gradient: Gradient, hessian: Hessian, start: list[Precise], rank: int, digits: int
) -> tuple[list[Precise], float]:
    """The limit of a flow with so many digits, and the common logarithm of its error relative to 1 + |x|."""
    with mp.workdps(digits + GUARD_DIGITS), np.errstate(all="ignore"):
        tables = radau_tables(4 + digits // 4)
        return _Path(gradient, hessian, rank, digits, tables).limit([mp.mpf(value) for value in start])


@dataclass(frozen=True)
class _Path:
    """One trajectory."""

    gradient: Gradient
    hessian: Hessian
    rank: int
    digits: int
    tables: RadauTables

    def limit(self, x: list[Precise]) -> tuple[list[Precise], float]:
        """Steps until Newton's method can finish, and log₁₀ of the error of the limit relative to 1 + |x|.

        The errors E of x, with E Eᵀ as covariance, go with x: Ė = −H E, and every step adds its own. They are in units of
        10⁻ᵈ, for d digits, which float64 might not hold; the start is exact.
        """
        time, length, guess, near = 0.0, None, None, None
        errors = np.zeros((len(x), len(x)))
        limit = FAR * max(1.0, float(mp.norm(x)))
        for steps in range(MOST_STEPS):
            curvature, axes = self._local(x)
            slope = floats([self.gradient(x)])[0]
            place = _Place.of(self.rank, float(1 + mp.norm(x)), axes.T @ slope, curvature)
            self._refuse_saddle(x, place, curvature, _beside(errors, slope))
            near, arrived = self._arrived(x, place, near, steps)
            if arrived:
                return self._finished(x), self._error_of(errors, place)
            length = step_length(length, float(curvature[0]), float(np.abs(curvature).max()))
            stages, length, growth = self._step(x, length, guess)
            errors = self._carried(errors, x, length, stages)
            time, x = time + length, added(x, stages[-1])
            guess = extrapolated(self.tables, stages, growth)
            length *= growth
            if not float(mp.norm(x)) < limit:
                raise FlowDidNotConverge(diverging(limit, time))
        raise FlowDidNotConverge(self._words_of_slowness(x, MOST_STEPS))

    def _carried(self, errors: np.ndarray, x: list[Precise], length: float, stages: Table) -> np.ndarray:
        """E at the end of a step."""
        hessians = self._hessians(x, stages)
        factors = _factored(self.tables, length, hessians)
        forces = np.concatenate([-hessian @ errors for hessian in hessians])
        # One column at a time: for several, LAPACK wakes threads, which takes longer than so small a system.
        changes = [lu_solve(factors, force, check_finite=False)[-len(x) :] for force in forces.T]
        own = float(1 + mp.norm(x)) / 10 * np.eye(len(x))
        both = np.concatenate([errors + np.stack(changes, axis=1), own], axis=1)
        return np.asarray(np.linalg.qr(both.T, mode="r")).T if np.isfinite(both).all() else both[:, : len(x)]

    def _error_of(self, errors: np.ndarray, place: "_Place") -> float:
        """log₁₀ |E| / (1 + |x|)."""
        size = float(np.linalg.norm(errors)) / place.size
        return (float(np.log10(size)) if size < np.inf else np.inf) - self.digits

    def _local(self, x: list[Precise]) -> tuple[np.ndarray, np.ndarray]:
        hessian = self.hessian(floats([x])[0])
        if not np.isfinite(hessian).all():
            raise FlowDidNotConverge(not_finite(x))
        curvature, axes = np.linalg.eigh(hessian)
        return curvature, axes

    def _refuse_saddle(self, x: list[Precise], place: "_Place", curvature: np.ndarray, errors: np.ndarray) -> None:
        """Refuse to pass a stationary point that is not on Γ where errors beside the flow decide on which side."""
        falling = curvature[0] < -CLEARLY_NEGATIVE * np.abs(curvature).max()
        near = falling or place.distance < 10.0 ** (-2 - self.digits / 2)
        stationary = place.remainder <= TANGENT_CURVATURE * place.distance**2
        error = self._error_of(errors, place)
        if not place.is_right and near and stationary and not error < np.log10(REACH * place.distance):
            raise _TooNearToTell(self._words(x, curvature, place.distance))

    def _arrived(
        self, x: list[Precise], place: "_Place", before: "_Place | None", steps: int
    ) -> tuple["_Place | None", bool]:
        """Whether Newton's method can finish; else where it was first tried, to see what becomes of the gradient along Γ."""
        enough = 10.0 ** min(-self.digits / 2 - 2, FLOAT_DIGITS - self.digits)
        if not (place.is_right and place.normal < enough):
            return None, False
        flat = TANGENT_CURVATURE * place.normal**2 + 10.0**-FLOAT_DIGITS * place.normal + 10.0 ** (-self.digits - 5)
        if place.tangent <= flat:
            return None, True
        if before is None:
            return place, False
        if place.normal > CLOSER * before.normal:
            return before, False
        if place.tangent * before.normal**1.5 >= before.tangent * place.normal**1.5:
            raise FlowDidNotConverge(self._words_of_slowness(x, steps))
        return place, False

    def _words(self, x: list[Precise], curvature: np.ndarray, distance: float = 0.0) -> str:
        """What is at x, or within a distance relative to 1 + |x|."""
        largest = np.abs(curvature).max()
        if curvature[0] < -MOST_TANGENT * largest:
            where = in_words(x, 10 * distance * float(1 + mp.norm(x)))
            return f"the flow ends in a saddle at {where} {span(curvature)}, for all that {self.digits} digits can tell"
        found = int((curvature > MOST_TANGENT * largest).sum())
        return f"the flow ends at {in_words(x)}, where the Hessian has rank {found} and not {self.rank}: another set than Γ"

    def _words_of_slowness(self, x: list[Precise], steps: int) -> str:
        slope = number(float(mp.norm(self.gradient(x))))
        return (
            f"the flow had not settled after {steps} steps, at {in_words(x)}, |∇L| = {slope} "
            "(it is degenerate there, that is flatter than quadratic, or its minimum lies at infinity)"
        )

    def _step(self, x: list[Precise], length: float, guess: Table | None) -> tuple[Table, float, float]:
        """Stages of an accepted step, its length, and the ratio of the next step to it."""
        tolerance = 10.0 ** (-self.digits - 1) * float(1 + mp.norm(x))
        for _ in range(60):
            stages = self._stages(x, length, guess, tolerance)
            if stages is not None:
                error = self._error(x, length, stages)
                ratio = float(np.linalg.norm(error)) / tolerance
                growth = allowed_ratio(ratio, len(stages))
                if ratio <= 1:
                    stages[-1] = added(stages[-1], [mp.mpf(value) for value in error])
                    return stages, length, min(growth, MOST_GROWTH)
                length = shortened(length, growth)
            else:
                length *= 0.3
            guess = None
        raise FlowDidNotConverge(not_finite(x))

    def _stages(self, x: list[Precise], length: float, guess: Table | None, tolerance: float) -> Table | None:
        """Newton's method for A⁻¹Z/h = −∇L(x + Z); None where it does not converge."""
        stages = guess or [[mp.mpf(0)] * len(x) for _ in self.tables.nodes]
        factors, before = None, np.inf
        for _ in range(MOST_NEWTON_ITERATIONS):
            if factors is None:
                factors = _factored(self.tables, length, self._hessians(x, stages))
            pull = [self.gradient(added(x, stage)) for stage in stages]
            spread = mix(self.tables.slopes, stages)
            pairs = zip(pull, spread, strict=True)
            residual = floats([[-g - z / length for g, z in zip(*pair, strict=True)] for pair in pairs])
            change = lu_solve(factors, residual.ravel(), check_finite=False).reshape(residual.shape)
            size = np.abs(change).max()
            if not np.isfinite(size) or size > 10 * before:
                return None
            stages = [added(stage, [mp.mpf(v) for v in row]) for stage, row in zip(stages, change, strict=True)]
            rate = size / before if before < np.inf else 1.0
            if size * min(1.0, rate) <= NEWTON_SHARE * tolerance:
                return stages
            factors = factors if size < FRESH_MATRIX * before else None
            before = size
        return None

    def _hessians(self, x: list[Precise], stages: Table) -> list[np.ndarray]:
        return [self.hessian(floats([added(x, stage)])[0]) for stage in stages]

    def _error(self, x: list[Precise], length: float, stages: Table) -> np.ndarray:
        """∫ (1 + (h − t)H/2)⁻² (−∇L(u) − u̇) dt over the collocation polynomial u: the local error, asymptotically.

        Superconvergence is a cancellation between the nodes, of more digits than float64 has, so that the defects are
        added up before they are damped as well; that sum is the smaller one unless the step is stiff.
        """
        places = mix(self.tables.defect_values, stages)
        slopes = mix(self.tables.defect_slopes, stages)
        pulls = [self.gradient(added(x, place)) for place in places]
        pairs = zip(pulls, slopes, strict=True)
        defects = [[-length * g - z for g, z in zip(*pair, strict=True)] for pair in pairs]
        together = floats(mix([self.tables.defect_weights], defects))[0]
        hessians = self._hessians(x, places)
        apart = np.zeros(len(x))
        rows = zip(self.tables.defect_nodes, self.tables.defect_weights, floats(defects), hessians, strict=True)
        for node, weight, defect, hessian in rows:
            apart += float(weight) * _damped(length * (1 - float(node)) * hessian, defect)
        together = _damped(length / 2 * hessians[-1], together)
        return min(apart, together, key=lambda error: float(np.linalg.norm(error)))

    def _finished(self, x: list[Precise]) -> list[Precise]:
        """x ← x − H†∇L with the M largest eigenvalues of H, until it no longer shrinks."""
        curvature, axes = self._local(x)
        normal, inverse, before = axes[:, -self.rank :], 1 / curvature[-self.rank :], np.inf
        for _ in range(self.digits):
            shift = normal @ (inverse * (normal.T @ floats([self.gradient(x)])[0]))
            size = np.linalg.norm(shift)
            if not size < before / 2:
                break
            x, before = added(x, [mp.mpf(-value) for value in shift]), size
        steepest, (curvature, _) = curvature[-self.rank], self._local(x)
        if not _is_right(self.rank, curvature):
            raise FlowDidNotConverge(self._words(x, curvature))
        if curvature[-self.rank] < FADED * steepest:
            raise FlowDidNotConverge(self._words_of_slowness(x, self.digits))
        return x


@dataclass(frozen=True)
class _Place:
    """Where a point is with respect to stationary sets; lengths relative to 1 + |x|, gradients to λ₁(1 + |x|)."""

    size: float  # 1 + |x|
    is_right: bool  # whether the Hessian is one of Γ
    normal: float  # |H†∇L| with H† on the M largest eigenvalues
    tangent: float  # the other components of ∇L
    distance: float  # |H†∇L| with H† on all eigenvalues that are clearly not zero
    remainder: float  # the other components of ∇L

    @staticmethod
    def of(rank: int, size: float, slope: np.ndarray, curvature: np.ndarray) -> "_Place":
        largest = np.abs(curvature).max()
        clear, unit = np.abs(curvature) > MOST_TANGENT * largest, (largest or 1.0) * size
        return _Place(
            size=size,
            is_right=_is_right(rank, curvature),
            normal=float(np.linalg.norm(slope[-rank:] / curvature[-rank:])) / size,
            tangent=float(np.linalg.norm(slope[: len(slope) - rank])) / unit,
            distance=float(np.linalg.norm(slope[clear] / curvature[clear])) / size,
            remainder=float(np.linalg.norm(slope[~clear])) / unit,
        )


def _beside(errors: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Errors without their components along the flow: those only make it early or late."""
    steepness = float(np.linalg.norm(slope))
    along = slope / steepness if steepness else slope
    return errors - np.outer(along, along @ errors)


def _is_right(rank: int, curvature: np.ndarray) -> bool:
    """Whether these can be the eigenvalues of H on Γ."""
    largest, tangent = np.abs(curvature).max(), len(curvature) - rank
    others = np.abs(curvature[:tangent]).max(initial=0.0)
    return bool(curvature[tangent] > CLEAR * largest and others <= MOST_TANGENT * largest)


def _factored(tables: RadauTables, length: float, hessians: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A⁻¹ ⊗ I / h + diag H_i, factored."""
    dimension = len(hessians[0])
    matrix = np.kron(floats(tables.slopes), np.eye(dimension)) / length
    for i, hessian in enumerate(hessians):
        place = slice(i * dimension, (i + 1) * dimension)
        matrix[place, place] += hessian
    return lu_factor(matrix, check_finite=False)


def _damped(stiffness: np.ndarray, defect: np.ndarray) -> np.ndarray:
    """(1 + z/2)⁻² defect, in place of e⁻ᶻ."""
    matrix = np.eye(len(defect)) + stiffness / 2
    return np.linalg.solve(matrix, np.linalg.solve(matrix, defect))
