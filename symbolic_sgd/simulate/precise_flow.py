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
from symbolic_sgd.simulate.precise_radau import Precise, Table
from symbolic_sgd.simulate.precise_radau import RadauTables as _Tables
from symbolic_sgd.simulate.precise_radau import added as _add
from symbolic_sgd.simulate.precise_radau import floats as _floats
from symbolic_sgd.simulate.precise_radau import mix as _mix
from symbolic_sgd.simulate.precise_radau import radau_tables as _tables

GUARD_DIGITS = 25
"""Digits carried beyond those asked for; stiffness costs the logarithm of the ratio of curvatures."""

MOST_STEPS = 500
"""A flow to a quadratic minimum takes 20 to 80."""

MOST_NEWTON_ITERATIONS = 25
"""A step that needs more is cheaper as two steps."""

FIRST_LENGTH = 0.5
"""Length of the first step times the largest |curvature|."""

CLEARLY_NEGATIVE = 1e-3
"""Ratio of the lowest curvature to the largest at which a stationary point is a saddle, and no rounding of a flat one."""

FADED = 0.8
"""Loss of curvature during the last Newton steps by which a degenerate minimum is known."""

UNSTABLE_LENGTH = 1.0
"""Longest step times the most negative curvature: the flow itself grows by e."""

MOST_GROWTH = 4.0
"""Largest ratio of a step to the one before."""

SAFETY = 0.9
"""Share of the step that the error estimate would allow."""

NEWTON_SHARE = 1e-12
"""Error of the Newton iterations as a share of the tolerance: so small that the error estimate still tells, through its
root of high order, by how much a step may grow."""

FRESH_MATRIX = 1e-3
"""A Newton iteration that contracts by less gets the Hessians at its new stages."""

FLOAT_DIGITS = 13
"""Digits that a projection computed in float64 is good for."""

TANGENT_CURVATURE = 1e4
"""At a distance δ from Γ the gradient along Γ is at most λ₁ times this times δ²; in a flat valley it is more."""

ROUNDED = 1e-7
"""Coordinates below this are written as 0 in words."""

LEAST_NORMAL = 1e-8
"""Smallest ratio of the M-th curvature to the largest on Γ."""

MOST_TANGENT = 1e-7
"""Largest ratio of the other curvatures to the largest on Γ."""

FAR = 1e8
"""A flow that gets this many times farther than max(1, |x|) is taken to diverge."""

Gradient = Callable[[list[Precise]], list[Precise]]
Hessian = Callable[[np.ndarray], np.ndarray]


def precise_limit(gradient: Gradient, hessian: Hessian, start: list[Precise], rank: int, digits: int) -> list[Precise]:
    """Φ(start) to about `digits` digits relative to 1 + |x|.

    Args:
        gradient: ∇L at the precision of mpmath that is in force (D) → (D).
        hessian: ∇²L in float64 (D) → (D×D).
        start: x (D).
        rank: M = rank ∇²L on Γ.
        digits: decimal digits wanted.

    Raises:
        FlowDidNotConverge: the flow ends in a saddle or on another set than Γ, diverges, or does not settle.

    Source: Hairer & Wanner, Solving Ordinary Differential Equations II, IV.8.
    """
    with mp.workdps(digits + GUARD_DIGITS), np.errstate(all="ignore"):
        tables = _tables(4 + digits // 4)
        return _Path(gradient, hessian, rank, digits, tables).limit([mp.mpf(value) for value in start])


@dataclass(frozen=True)
class _Path:
    """One trajectory."""

    gradient: Gradient
    hessian: Hessian
    rank: int
    digits: int
    tables: _Tables

    def limit(self, x: list[Precise]) -> list[Precise]:
        """Steps until Newton's method can finish."""
        time, length, guess = 0.0, None, None
        limit = FAR * max(1.0, float(mp.norm(x)))
        for steps in range(MOST_STEPS):
            curvature, axes = self._local(x)
            slope = axes.T @ _floats([self.gradient(x)])[0]
            if self._arrives(x, slope, curvature, steps):
                return self._finished(x)
            length = self._length(length, curvature)
            stages, length, growth = self._step(x, length, guess)
            time, x = time + length, _add(x, stages[-1])
            guess = self._extrapolated(stages, growth)
            length *= growth
            if not float(mp.norm(x)) < limit:
                raise FlowDidNotConverge(f"the flow diverges: |x| passes {limit:.4g} after t = {time:.4g}")
        raise FlowDidNotConverge(self._words_of_slowness(x, MOST_STEPS))

    def _local(self, x: list[Precise]) -> tuple[np.ndarray, np.ndarray]:
        hessian = self.hessian(_floats([x])[0])
        if not np.isfinite(hessian).all():
            raise FlowDidNotConverge(f"the loss is not finite along the flow, near {_place(x)}")
        curvature, axes = np.linalg.eigh(hessian)
        return curvature, axes

    def _length(self, length: float | None, curvature: np.ndarray) -> float:
        largest = float(np.abs(curvature).max())
        if length is None:
            length = FIRST_LENGTH / largest if largest else 1.0
        return min(length, UNSTABLE_LENGTH / -curvature[0]) if curvature[0] < 0 else length

    def _arrives(self, x: list[Precise], slope: np.ndarray, curvature: np.ndarray, steps: int) -> bool:
        """Whether Newton's method can finish; refuses stationary points that are not on Γ."""
        largest, size = np.abs(curvature).max(), float(1 + mp.norm(x))
        clear = np.abs(curvature) > MOST_TANGENT * largest
        distance = np.linalg.norm(slope[clear] / curvature[clear]) / size
        rest = np.linalg.norm(slope[~clear])
        right = self._is_right(curvature)
        # A trajectory with errors ε passes a saddle at a distance of about √ε; closer, they decide where it goes.
        falling = curvature[0] < -CLEARLY_NEGATIVE * largest
        saddle = 10.0 ** ((1 if falling else -2) - self.digits / 2)
        if not right and distance < saddle and rest <= saddle**2 * largest * size:
            raise FlowDidNotConverge(self._words(x, curvature))
        near = 10.0 ** min(-self.digits / 2 - 2, FLOAT_DIGITS - self.digits)
        normal = np.linalg.norm(slope[-self.rank :] / curvature[-self.rank :]) / size
        rest = np.linalg.norm(slope[: len(slope) - self.rank]) / largest / size
        bound = TANGENT_CURVATURE * normal**2 + 10.0**-FLOAT_DIGITS * normal + 10.0 ** (-self.digits - 5)
        if right and normal < near and rest > bound:
            raise FlowDidNotConverge(self._words_of_slowness(x, steps))
        return bool(right and normal < near)

    def _is_right(self, curvature: np.ndarray) -> bool:
        largest, tangent = np.abs(curvature).max(), len(curvature) - self.rank
        others = np.abs(curvature[:tangent]).max(initial=0.0)
        return bool(curvature[tangent] > LEAST_NORMAL * largest and others <= MOST_TANGENT * largest)

    def _words(self, x: list[Precise], curvature: np.ndarray) -> str:
        largest = np.abs(curvature).max()
        if curvature[0] < -MOST_TANGENT * largest:
            span = f"(the Hessian there has eigenvalues from {curvature[0]:.4g} to {curvature[-1]:.4g})"
            return f"the flow ends in a saddle at {_place(x)} {span}".replace("-", "−")
        found = int((curvature > MOST_TANGENT * largest).sum())
        return (
            f"the flow ends at {_place(x)}, where the Hessian has rank {found} and not {self.rank}: another set than Γ"
        )

    def _words_of_slowness(self, x: list[Precise], steps: int) -> str:
        slope = f"{float(mp.norm(self.gradient(x))):.4g}".replace("-", "−")
        return (
            f"the flow had not settled after {steps} steps, at {_place(x)}, |∇L| = {slope} "
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
                growth = SAFETY * max(ratio, 1e-60) ** (-0.5 / len(stages))
                if ratio <= 1:
                    stages[-1] = _add(stages[-1], [mp.mpf(value) for value in error])
                    return stages, length, min(growth, MOST_GROWTH)
                length *= max(min(growth, SAFETY), 0.1)
            else:
                length *= 0.3
            guess = None
        raise FlowDidNotConverge(f"the loss is not finite along the flow, near {_place(x)}")

    def _stages(self, x: list[Precise], length: float, guess: Table | None, tolerance: float) -> Table | None:
        """Newton's method for A⁻¹Z/h = −∇L(x + Z); None where it does not converge."""
        stages = guess or [[mp.mpf(0)] * len(x) for _ in self.tables.nodes]
        factors, before = None, np.inf
        for _ in range(MOST_NEWTON_ITERATIONS):
            if factors is None:
                factors = self._matrix(x, length, stages)
            pull = [self.gradient(_add(x, stage)) for stage in stages]
            spread = _mix(self.tables.slopes, stages)
            pairs = zip(pull, spread, strict=True)
            residual = _floats([[-g - z / length for g, z in zip(*pair, strict=True)] for pair in pairs])
            change = lu_solve(factors, residual.ravel(), check_finite=False).reshape(residual.shape)
            size = np.abs(change).max()
            if not np.isfinite(size) or size > 10 * before:
                return None
            stages = [_add(stage, [mp.mpf(v) for v in row]) for stage, row in zip(stages, change, strict=True)]
            rate = size / before if before < np.inf else 1.0
            if size * min(1.0, rate) <= NEWTON_SHARE * tolerance:
                return stages
            factors = factors if size < FRESH_MATRIX * before else None
            before = size
        return None

    def _matrix(self, x: list[Precise], length: float, stages: Table) -> tuple[np.ndarray, np.ndarray]:
        """A⁻¹ ⊗ I / h + diag H(x + Z_i), factored."""
        matrix = np.kron(_floats(self.tables.slopes), np.eye(len(x))) / length
        for i, hessian in enumerate(self._hessians(x, stages)):
            place = slice(i * len(x), (i + 1) * len(x))
            matrix[place, place] += hessian
        return lu_factor(matrix, check_finite=False)

    def _hessians(self, x: list[Precise], stages: Table) -> list[np.ndarray]:
        return [self.hessian(_floats([_add(x, stage)])[0]) for stage in stages]

    def _error(self, x: list[Precise], length: float, stages: Table) -> np.ndarray:
        """∫ (1 + (h − t)H/2)⁻² (−∇L(u) − u̇) dt over the collocation polynomial u: the local error, asymptotically.

        Superconvergence is a cancellation between the nodes, of more digits than float64 has, so that the defects are
        added up before they are damped as well; that sum is the smaller one unless the step is stiff.
        """
        places = _mix(self.tables.defect_values, stages)
        slopes = _mix(self.tables.defect_slopes, stages)
        pulls = [self.gradient(_add(x, place)) for place in places]
        pairs = zip(pulls, slopes, strict=True)
        defects = [[-length * g - z for g, z in zip(*pair, strict=True)] for pair in pairs]
        together = _floats(_mix([self.tables.defect_weights], defects))[0]
        hessians = self._hessians(x, places)
        apart = np.zeros(len(x))
        rows = zip(self.tables.defect_nodes, self.tables.defect_weights, _floats(defects), hessians, strict=True)
        for node, weight, defect, hessian in rows:
            apart += float(weight) * _damped(length * (1 - float(node)) * hessian, defect)
        together = _damped(length / 2 * hessians[-1], together)
        return min(apart, together, key=lambda error: float(np.linalg.norm(error)))

    def _extrapolated(self, stages: Table, ratio: float) -> Table:
        """The collocation polynomial u(1 + ratio c_i) − u(1) beyond its step."""
        powers = range(1, len(stages) + 1)
        beyond = [[(1 + ratio * node) ** n - 1 for n in powers] for node in self.tables.nodes]
        return _mix(beyond, _mix(self.tables.coefficients, stages))

    def _finished(self, x: list[Precise]) -> list[Precise]:
        """x ← x − H†∇L with the M largest eigenvalues of H, until it no longer shrinks."""
        curvature, axes = self._local(x)
        normal, inverse, before = axes[:, -self.rank :], 1 / curvature[-self.rank :], np.inf
        for _ in range(self.digits):
            shift = normal @ (inverse * (normal.T @ _floats([self.gradient(x)])[0]))
            size = np.linalg.norm(shift)
            if not size < before / 2:
                break
            x, before = _add(x, [mp.mpf(-value) for value in shift]), size
        steepest, (curvature, _) = curvature[-self.rank], self._local(x)
        if not self._is_right(curvature):
            raise FlowDidNotConverge(self._words(x, curvature))
        if curvature[-self.rank] < FADED * steepest:
            raise FlowDidNotConverge(self._words_of_slowness(x, self.digits))
        return x


def _damped(stiffness: np.ndarray, defect: np.ndarray) -> np.ndarray:
    """(1 + z/2)⁻² defect, in place of e⁻ᶻ."""
    matrix = np.eye(len(defect)) + stiffness / 2
    return np.linalg.solve(matrix, np.linalg.solve(matrix, defect))


def _place(x: list[Precise]) -> str:
    values = [0.0 if abs(value) < ROUNDED else float(value) for value in x]
    return "(" + ", ".join(f"{value:.4g}".replace("-", "−") for value in values) + ")"
