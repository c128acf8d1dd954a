"""Φ, ∂Φ and ∂²Φ[B] at one point from which the flow passes curvatures too far apart for float64.

The method is that of `one_point`, with the variational equations and with linear algebra to many digits as well: beside
1/h + λ₁ float64 does not see a curvature λ_M < 10⁻¹⁶ λ₁, and nothing that moves along it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import get_lapack_funcs

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
from symbolic_sgd.flow.numerics.rules import FAR, in_words, not_finite
from symbolic_sgd.flow.numerics.state import PreciseLoss
from symbolic_sgd.regular_point import far_apart, kernel, newton_step, pivots_of, regular_point

GUARD_DIGITS = 60
"""Digits carried beyond those asked for; the ratio of the curvatures uses them up."""

MOST_STEPS = 200
"""A flow with curvatures 16 decades apart takes 40 to 80; with 28 decades it does not settle."""

MOST_ITERATIONS = 25
"""Newton iterations for one step."""

MOST_REJECTIONS = 60
"""Shorter steps that are tried in turn."""

MOST_STIFF = 10.0 ** (GUARD_DIGITS - 10)
"""Longest step times the largest curvature: beyond, rounding of what cancels in ∇L would be seen."""

MOST_GROWTH = 10.0
"""Largest ratio of a step to the one before."""

SHARE = 1e-2
"""Error of the iterations as a share of the tolerance, when hλ₁ has enlarged it: what they leave across Γ pulls along it."""

GIVEN_UP = 1.0
"""A change of the stages by more than this, relative to 1 + |x|, is none of a step that the error would allow."""

FRESH = 1e-2
"""An iteration that contracts by less gets the Hessians at its new stages."""

LOOSER = 100
"""Tolerance of J and K, relative to their sizes, beside that of x."""

_GETRF, _GETRS = get_lapack_funcs(("getrf", "getrs"), dtype=np.float64)


@dataclass(frozen=True)
class FarLimit:
    """Φ to many digits, and Φ (D), ∂Φ (D×D) and ∂²Φ[B] (D) in float64; the last two where they were asked for."""

    precise: list[Precise]
    point: np.ndarray
    jacobian: np.ndarray | None
    second: np.ndarray | None


def is_beside(loss: PreciseLoss | None, row: Sequence[Precise], dimension: int, rank: int, reach: float) -> bool:
    """Whether a regular point of Γ lies within `reach`(1 + |x|) of a point where float64 found none."""
    if loss is None:
        return False
    at = _at(row, dimension)
    gradient, hessian = (lambda x: loss.gradient(at(x))), (lambda x: loss.hessian(at(x)))
    return regular_point(gradient, hessian, row[:dimension], rank, reach=reach) is not None


def far_limit(
    loss: PreciseLoss,
    row: Sequence[Precise],
    dimension: int,
    rank: int,
    digits: int,
    *,
    first: bool = False,
    direction: np.ndarray | None = None,
) -> FarLimit:
    """Φ and, on request, its derivatives, to about `digits` digits.

    Args:
        loss: the derivatives of L.
        row: x, then the constants.
        dimension: D.
        rank: M = rank ∇²L on Γ.
        digits: decimal digits wanted, relative to 1 + |x|.
        first: whether to compute ∂Φ.
        direction: B, symmetric (D×D); ∂Φ comes with ∂²Φ[B].

    Raises:
        FlowDidNotConverge: the flow diverges, or does not settle on Γ.
    """
    with mp.workdps(digits + GUARD_DIGITS), np.errstate(all="ignore"):
        path = _Path(loss, _at(row, dimension), rank, digits, radau_tables(4 + digits // 4), direction)
        return path.limit([mp.mpf(a) for a in row[:dimension]], first or direction is not None)


def _at(row: Sequence[Precise], dimension: int) -> Callable[[Sequence[Precise]], list[Precise]]:
    return lambda x: [*x, *row[dimension:]]


@dataclass(frozen=True)
class _State:
    """x, the columns of J, and K in a list of at most one."""

    x: list[Precise]
    jacobian: Table
    second: Table


@dataclass(frozen=True)
class _Step:
    """The state after a step, its length, the ratio of the next to it, and the stages of x to expect there."""

    state: _State
    length: float
    growth: float
    guess: Table


@dataclass(frozen=True)
class _Path:
    """One trajectory."""

    loss: PreciseLoss
    at: Callable[[Sequence[Precise]], list[Precise]]
    rank: int
    digits: int
    tables: RadauTables
    direction: np.ndarray | None

    def limit(self, x: list[Precise], first: bool) -> FarLimit:
        """Steps until x is on Γ, and then until J and K have settled too."""
        d, settled = len(x), False
        length: float | None = None
        guess: Table | None = None
        unit = [[mp.mpf(i == j) for i in range(d)] for j in range(d)] if first else []
        state = _State(x, unit, [] if self.direction is None else [[mp.mpf(0)] * d])
        limit = FAR * max(1.0, float(mp.norm(x)))
        for _ in range(MOST_STEPS):
            end = None if settled else self._arrived(state.x, first)
            if not settled:
                self._check_no_saddle(state.x)
            if end is not None:
                state, settled = _State(end, state.jacobian, state.second), True
            if settled and self._has_decayed(state):
                return self._final(state)
            step = self._step(state, self._length(state.x, length), guess, settled)
            state, length, guess = step.state, step.length * step.growth, step.guess
            if not float(mp.norm(state.x)) < limit:
                raise FlowDidNotConverge(f"the flow diverges: |x| passes {limit:.4g}")
        raise FlowDidNotConverge(
            f"the flow had not settled after {MOST_STEPS} steps, at {in_words(state.x)}; {far_apart(self._decades(state.x))}"
        )

    # --- arrival ----------------------------------------------------------------------------

    def _arrived(self, x: list[Precise], first: bool) -> list[Precise] | None:
        """The point of Γ at which Newton's method ends, once the flow along Γ from here is below the digits wanted: it is
        of the order of the distance squared, and what it does to ∂Φ of that of the distance."""
        near = 10.0 ** (-self.digits - 1 if first else -self.digits / 2 - 2)
        step = newton_step(self.hessian(x), self.gradient(x), self.rank)
        if step is None or not max(map(abs, step)) < near * (1 + mp.norm(x)):
            return None
        return regular_point(self.gradient, self.hessian, x, self.rank, reach=10 * near)

    def _check_no_saddle(self, x: list[Precise]) -> None:
        """A trajectory with errors ε passes a saddle at a distance of about √ε; closer, they decide where it goes."""
        pivots = [value for _, value in pivots_of(self.hessian(x), len(x))]
        lowest, largest = min(pivots, default=mp.mpf(0)), max(map(abs, pivots), default=mp.mpf(0))
        near = 10.0 ** (1 - self.digits / 2) * (1 + mp.norm(x))
        if lowest < -(mp.mpf(10) ** -GUARD_DIGITS) * largest and max(map(abs, self.gradient(x))) < -lowest * near:
            raise FlowDidNotConverge(
                f"the flow ends in a saddle at {in_words(x)}, for all that {self.digits} digits can tell"
            )

    def _has_decayed(self, state: _State) -> bool:
        """Whether J is tangent to Γ: what its normal part still does to K, of the order of λ₁/λ_M of it, is below the digits."""
        if not state.jacobian:
            return True
        hessian = self.hessian(state.x)
        pivots = [abs(value) for _, value in pivots_of(hessian, self.rank)[: self.rank]]
        left = max(abs(a) for column in state.jacobian for a in _times(hessian, column))
        small = mp.mpf(10) ** -self.digits * min(pivots) ** 2 / max(pivots)
        return bool(left <= small * _largest(state.jacobian))

    def _final(self, state: _State) -> FarLimit:
        """J ← P J and K ← P K − H†T[J B Jᵀ], where K̇ = 0 in the normal space."""
        point = floats([state.x])[0]
        if not state.jacobian:
            return FarLimit(state.x, point, None, None)
        tangent = kernel(self.hessian(state.x), self.rank)
        jacobian = tangent @ (tangent.T @ floats(state.jacobian).T)
        if not state.second:
            return FarLimit(state.x, point, jacobian, None)
        push = self._push(state.x, state.jacobian)
        steady = newton_step(self.hessian(state.x), push, self.rank)
        second = tangent @ (tangent.T @ floats(state.second)[0])
        return FarLimit(state.x, point, jacobian, second if steady is None else second + floats([steady])[0])

    def _length(self, x: list[Precise], length: float | None) -> float:
        pivots = [float(value) for _, value in pivots_of(self.hessian(x), len(x))]
        return step_length(length, min(pivots, default=0.0), max(map(abs, pivots), default=0.0))

    # --- one step ---------------------------------------------------------------------------

    def _step(self, state: _State, length: float, guess: Table | None, settled: bool) -> _Step:
        """An accepted step; a settled x stays."""
        for _ in range(MOST_REJECTIONS):
            if length * self._steepest(state.x) > MOST_STIFF:
                raise FlowDidNotConverge(f"near {in_words(state.x)} {far_apart(self._decades(state.x))}")
            stages = self._settled_stages(state.x, length) if settled else self._stages(state.x, length, guess)
            if stages is None:
                length, guess = 0.3 * length, None
                continue
            moved, error = self._moved(state, stages, settled)
            growth = allowed_ratio(error, len(stages.values))
            if error <= 1:
                growth = min(growth, MOST_GROWTH)
                return _Step(moved, length, growth, extrapolated(self.tables, stages.values, growth))
            length, guess = shortened(length, growth), None
        raise FlowDidNotConverge(not_finite(state.x))

    def _steepest(self, x: list[Precise]) -> float:
        """The largest curvature there, but for a factor D."""
        return float(max(map(abs, self.hessian(x))))

    def _decades(self, x: list[Precise]) -> float:
        pivots = [abs(value) for _, value in pivots_of(self.hessian(x), self.rank)[: self.rank]]
        return float(mp.log10(max(pivots) / min(pivots)))

    def _tolerance(self, x: list[Precise]) -> float:
        return 10.0 ** (-self.digits - 1) * float(1 + mp.norm(x))

    def _settled_stages(self, x: list[Precise], length: float) -> "_Stages":
        hessians = [self.hessian(x)] * len(self.tables.nodes)
        values = [[mp.mpf(0)] * len(x) for _ in hessians]
        return _Stages(values, hessians, length, _solver(self.tables, length, hessians))

    def _stages(self, x: list[Precise], length: float, guess: Table | None) -> "_Stages | None":
        """Newton's method for A⁻¹Z/h = −∇L(x + Z); None where it does not converge."""
        values = guess or [[mp.mpf(0)] * len(x) for _ in self.tables.nodes]
        solve: Solve | None = None
        before, share = float("inf"), SHARE / (1 + length * self._steepest(x))
        for _ in range(MOST_ITERATIONS):
            if solve is None:
                solve = _solver(self.tables, length, [self.hessian(added(x, z)) for z in values])
            pull = [self.gradient(added(x, z)) for z in values]
            spread = mix(self.tables.slopes, values)
            residual = [
                [-g - z / length for g, z in zip(*pair, strict=True)] for pair in zip(pull, spread, strict=True)
            ]
            change = solve(residual)
            size = float(max(abs(a) for row in change for a in row))
            # Small changes across a wall may come before large ones along it.
            if not np.isfinite(size) or size > GIVEN_UP * float(1 + mp.norm(x)):
                return None
            values = [added(z, row) for z, row in zip(values, change, strict=True)]
            rate = min(1.0, size / before) if before < np.inf else 1.0
            if size * rate <= share * self._tolerance(x):
                return _Stages(values, [self.hessian(added(x, z)) for z in values], length, solve)
            solve = solve if size < FRESH * before else None
            before = size
        return None

    def _moved(self, state: _State, stages: "_Stages", settled: bool) -> tuple[_State, float]:
        """The state at the end of the step, and the largest error of its parts over its tolerance."""
        places = [added(state.x, z) for z in mix(self.tables.defect_values, stages.values)]
        hessians = stages.hessians if settled else [self.hessian(place) for place in places]
        defect = _Defect.of(self.tables, stages.length, hessians, stages.hessians[-1])
        x, errors = state.x, [0.0]
        if not settled:
            error = defect.error(stages.values, [self.gradient(place) for place in places])
            x = added(added(x, stages.values[-1]), error)
            errors.append(float(mp.norm(error)) / self._tolerance(state.x))
        columns, ends, inside = [], [], []
        size = _largest(state.jacobian)
        for column in state.jacobian:
            values, end, between, error = self._variation(stages, defect, column, None, None)
            columns.append([added(column, z) for z in values])
            inside.append(between)
            ends.append(end)
            errors.append(error / (LOOSER * 10.0 ** (-self.digits - 1) * size))
        second = state.second
        if state.second and self.direction is not None:
            push = [
                self._push(added(state.x, z), list(at))
                for z, at in zip(stages.values, zip(*columns, strict=True), strict=True)
            ]
            push_within = [self._push(p, list(at)) for p, at in zip(places, zip(*inside, strict=True), strict=True)]
            _, end, _, error = self._variation(stages, defect, state.second[0], push, push_within)
            second = [end]
            scale = max(_largest(second), float(np.abs(self.direction).max()) * size**2 / float(1 + mp.norm(x)))
            errors.append(error / (LOOSER * 10.0 ** (-self.digits - 1) * scale))
        return _State(x, ends, second), max(errors)

    def _variation(
        self,
        stages: "_Stages",
        defect: "_Defect",
        start: list[Precise],
        push: Table | None,
        push_within: Table | None,
    ) -> tuple[Table, list[Precise], Table, float]:
        """Ẏ = −H Y − push along the stages of x: stages less the start, the end, Y at the points of the defect, the error."""
        nothing = [[mp.mpf(0)] * len(start)] * len(stages.hessians)
        force = [added(_times(h, start), p) for h, p in zip(stages.hessians, push or nothing, strict=True)]
        values = stages.solved(self.tables, force, 10.0 ** (-self.digits - GUARD_DIGITS / 2))
        within = [added(start, z) for z in mix(self.tables.defect_values, values)]
        pulls = [
            added(_times(h, y), p) for h, y, p in zip(defect.hessians, within, push_within or nothing, strict=True)
        ]
        error = defect.error(values, pulls)
        return values, added(added(start, values[-1]), error), within, float(mp.norm(error))

    def gradient(self, x: Sequence[Precise]) -> list[Precise]:
        """∇L."""
        return self.loss.gradient(self.at(x))

    def hessian(self, x: Sequence[Precise]) -> Precise:
        """∇²L."""
        return self.loss.hessian(self.at(x))

    def _push(self, x: Sequence[Precise], jacobian: Sequence[Sequence[Precise]]) -> list[Precise]:
        """T[J B Jᵀ], from the columns of J."""
        assert self.direction is not None
        columns = mp.matrix([list(column) for column in jacobian])
        spread = columns.T * mp.matrix(self.direction.tolist()) * columns
        return self.loss.third(self.at(x), [[spread[i, j] for j in range(spread.cols)] for i in range(spread.rows)])


@dataclass(frozen=True)
class _Defect:
    """What is left of the equation between the stages, at the points of Gauss, with (1 + (h − t)H/2)⁻¹ at each of them, and
    with H at the end of the step."""

    tables: RadauTables
    length: float
    hessians: Sequence[Precise]
    damping: list["_Elimination"]
    damping_together: "_Elimination"

    @staticmethod
    def of(tables: RadauTables, length: float, hessians: Sequence[Precise], last: Precise) -> "_Defect":
        """The matrices, eliminated."""
        damping = [_damping(length * (1 - node), h) for node, h in zip(tables.defect_nodes, hessians, strict=True)]
        return _Defect(tables, length, hessians, damping, _damping(mp.mpf(length) / 2, last))

    def error(self, values: Table, pulls: Table) -> list[Precise]:
        """∫ (1 + (h − t)H/2)⁻² (−pull − u̇) dt over the collocation polynomial u: the local error, asymptotically."""
        slopes = mix(self.tables.defect_slopes, values)
        defects = [
            [-self.length * g - z for g, z in zip(*pair, strict=True)] for pair in zip(pulls, slopes, strict=True)
        ]
        (total,) = mix([self.tables.defect_weights], defects)
        apart = [mp.mpf(0)] * len(total)
        for weight, defect, damping in zip(self.tables.defect_weights, defects, self.damping, strict=True):
            apart = added(apart, [weight * a for a in damping.solve(damping.solve(defect))])
        return min(apart, self.damping_together.solve(self.damping_together.solve(total)), key=mp.norm)


def _damping(length: Precise, hessian: Precise) -> "_Elimination":
    half = length / 2
    return _Elimination.of(
        [[half * hessian[i, j] + (i == j) for j in range(hessian.cols)] for i in range(hessian.rows)]
    )


Solve = Callable[[Table], Table]
"""(A⁻¹ ⊗ I/h + diag H_i)⁻¹ of a table with one row a stage."""


@dataclass(frozen=True)
class _Stages:
    """The stages of x less its start, the Hessians there, the length of the step, and a solver that gains some digits."""

    values: Table
    hessians: list[Precise]
    length: float
    solve: Solve

    def solved(self, tables: RadauTables, force: Table, tolerance: float) -> Table:
        """(A⁻¹ ⊗ I/h + diag H_i) Z = −force, the solver's error removed by refinement."""
        solve, values = self.solve, [[mp.mpf(0)] * len(row) for row in force]
        before = float("inf")
        for _ in range(MOST_ITERATIONS):
            spread = mix(tables.slopes, values)
            residual = [
                [-f - z / self.length - y for f, z, y in zip(a, b, _times(h, v), strict=True)]
                for a, b, h, v in zip(force, spread, self.hessians, values, strict=True)
            ]
            change = solve(residual)
            values = [added(z, row) for z, row in zip(values, change, strict=True)]
            size, largest = (float(max(abs(a) for row in table for a in row)) for table in (change, values))
            if size <= tolerance * largest:
                break
            if size > FRESH * before:
                solve = _solver(tables, self.length, self.hessians)
            before = size
        return values


def _solver(tables: RadauTables, length: float, hessians: Sequence[Precise]) -> Solve:
    """In coordinates in which the first H is diagonal, and 1/h + |H| is 1: there float64 sees every curvature."""
    base = _orthonormal(hessians[0], length)
    d, count = base.rows, len(hessians)
    matrix = np.kron(floats(tables.slopes), _float_matrix(base.T * base) / length)
    for i, h in enumerate(hessians):
        place = slice(i * d, (i + 1) * d)
        matrix[place, place] += _float_matrix(base.T * h * base)
    factors, order, _ = _GETRF(matrix)  # a singular one gives changes that are not finite

    def solve(rows: Table) -> Table:
        turned = [_times(base.T, row) for row in rows]
        flat = _scaled(turned, lambda b: _GETRS(factors, order, b)[0])
        return [_times(base, flat[i * d : (i + 1) * d]) for i in range(count)]

    return solve


def _orthonormal(hessian: Precise, length: float) -> Precise:
    """W with a diagonal WᵀHW, by symmetric elimination, and its columns so long that 1/h + |WᵀHW| is about 1."""
    rest, d = hessian.copy(), hessian.rows
    columns = [[mp.mpf(i == j) for i in range(d)] for j in range(d)]
    remaining, curvature = list(range(d)), [mp.mpf(0)] * d
    while remaining:
        pivot = max(remaining, key=lambda i: abs(rest[i, i]))
        remaining.remove(pivot)
        curvature[pivot] = rest[pivot, pivot]
        if not curvature[pivot]:
            break
        ratios = {i: rest[i, pivot] / rest[pivot, pivot] for i in remaining}
        for i, ratio in ratios.items():
            columns[i] = [a - ratio * b for a, b in zip(columns[i], columns[pivot], strict=True)]
            for j in remaining:
                rest[i, j] -= ratio * rest[pivot, j]
    lengths = [1 / mp.sqrt(1 / mp.mpf(length) + abs(k)) for k in curvature]
    return mp.matrix([[size * a for a in column] for size, column in zip(lengths, columns, strict=True)]).T


def _float_matrix(matrix: Precise) -> np.ndarray:
    return np.array([float(a) for a in matrix]).reshape(matrix.rows, matrix.cols)


def _scaled(rows: Table, solve: Callable[[np.ndarray], np.ndarray]) -> list[Precise]:
    """A linear system in float64 for a right-hand side of any size."""
    flat = [a for row in rows for a in row]
    size = max(map(abs, flat))
    if not size or not mp.isfinite(size):
        return flat
    return [size * mp.mpf(float(a)) for a in solve(np.array([float(a / size) for a in flat]))]


@dataclass(frozen=True)
class _Elimination:
    """A square matrix as a product of triangular ones, by Gauss's elimination with row exchanges."""

    rows: Table
    order: list[int]

    @staticmethod
    def of(rows: Table) -> "_Elimination":
        """The factors; those below the diagonal are kept there."""
        n, order = len(rows), list(range(len(rows)))
        for k in range(n):
            pivot = max(range(k, n), key=lambda i: abs(rows[i][k]))
            rows[k], rows[pivot] = rows[pivot], rows[k]
            order[k], order[pivot] = order[pivot], order[k]
            top = rows[k]
            for i in range(k + 1, n):
                row = rows[i]
                if row[k]:
                    factor = row[k] / top[k]
                    rows[i] = [
                        *row[:k],
                        factor,
                        *(a - factor * b for a, b in zip(row[k + 1 :], top[k + 1 :], strict=True)),
                    ]
        return _Elimination(rows, order)

    def solve(self, right: Sequence[Precise]) -> list[Precise]:
        """The solution for one right-hand side."""
        y: list[Precise] = []
        for row, k in zip(self.rows, self.order, strict=True):
            y.append(right[k] - mp.fdot(zip(row[: len(y)], y, strict=True)))
        for k in reversed(range(len(y))):
            row = self.rows[k]
            y[k] = (y[k] - mp.fdot(zip(row[k + 1 :], y[k + 1 :], strict=True))) / row[k]
        return y


def _times(matrix: Precise, vector: Sequence[Precise]) -> list[Precise]:
    return [mp.fdot((matrix[i, j], a) for j, a in enumerate(vector)) for i in range(matrix.rows)]


def _largest(table: Table) -> float:
    return float(max((abs(a) for row in table for a in row), default=mp.mpf(0)))
