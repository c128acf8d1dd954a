"""Φ, ∂Φ and ∂²Φ[B] as numbers, for every kind of Φ: a closed form where it is known to be the flow's own, else the flow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseNumber
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.errors import FlowDidNotConverge
from symbolic_sgd.flow.explicit import ExplicitLimit
from symbolic_sgd.flow.implicit import ImplicitLimit
from symbolic_sgd.flow.limit import FlowLimit
from symbolic_sgd.flow.newton import newton_step, sharpened, solve_damped
from symbolic_sgd.flow.numerics.far_apart import far_limit, is_beside
from symbolic_sgd.flow.numerics.many_points import limits_of_flow
from symbolic_sgd.flow.numerics.one_point import precise_limit
from symbolic_sgd.flow.numerics.state import Task
from symbolic_sgd.flow.numerics.twins import Difference
from symbolic_sgd.flow.referee import agreement, satisfies
from symbolic_sgd.numeric.guard import KINK
from symbolic_sgd.problems.symbols import implied_conditions
from symbolic_sgd.regular_point import are_far_apart, is_clear

STILL = 1e-3
"""Starts that the flow moves by less, relative to 1 + |Φ|, are tested at this distance along the kernel of ∇²L."""

RETURNS = 8
"""Newton steps in the normal directions from there."""

LEFT = 1e-12
"""Gradient along the kernel, relative to λ₁(1 + |Φ|), that is no rounding."""

BLOCK = 4096
"""Points at a time, so that memory does not grow with the batch beyond the result."""

ON_MANIFOLD = 1e-9
"""Largest |H†∇L|/(1 + |x|) of a claimed limit."""

ROUNDING = 64 * np.finfo(float).eps
"""Relative error of a formula in terms of its arguments: limits that it changes much are not to be had from the formula."""

POLISH = 4
"""Newton steps on {g(Φ) = 0, I(Φ) = I(x)}, from the flow's own limit or from a formula's value."""

POLISHED = 1e-10
"""Largest of the last of them, relative to 1 + |Φ|."""


@dataclass(frozen=True)
class Resolved:
    """Limits of the flow from B rows, and for which of them the closed form was found to hold."""

    limits: np.ndarray
    by_form: np.ndarray


@dataclass(frozen=True)
class LimitNumbers:
    """Numbers of one Φ. Rows are points: the parameters, then the constants.

    Raises:
        FlowDidNotConverge: by every method, where the flow from a row does not end on Γ, in the part meant.
    """

    limit: FlowLimit

    def limits(self, rows: np.ndarray) -> np.ndarray:
        """Φ, B×D."""
        blocks = [self._resolve(rows[k : k + BLOCK]).limits for k in range(0, len(rows), BLOCK)]
        return np.concatenate(blocks) if blocks else np.empty((0, self.limit.problem.dimension))

    def jacobians(self, rows: np.ndarray) -> np.ndarray:
        """∂Φ, B×D×D."""
        d = self.limit.problem.dimension
        result = np.empty((len(rows), d, d))
        for k in range(0, len(rows), BLOCK):
            block = rows[k : k + BLOCK]
            values, missing = self._by_form(block, None)
            if missing.any():
                values[missing] = self._flow(block[missing], first=True).reshape(-1, d * d)
            result[k : k + BLOCK] = values.reshape(-1, d, d)
        return result

    def second_derivatives(self, rows: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """∂²Φ[B], B×D, for symmetric directions."""
        result = np.empty((len(rows), self.limit.problem.dimension))
        for k in range(0, len(rows), BLOCK):
            block, b = rows[k : k + BLOCK], directions[k : k + BLOCK]
            values, missing = self._by_form(block, b)
            if missing.any():
                values[missing] = self._flow(block[missing], directions=b[missing])
            result[k : k + BLOCK] = values
        return result

    def precise(self, known: Mapping[sp.Symbol, PreciseNumber], digits: int) -> list[PreciseNumber]:
        """Φ at one point (symbol → number), to so many digits."""
        problem = self.limit.problem
        row = np.array([[float(known[s]) for s in problem.symbols]])
        self._check_starts(row)
        try:
            resolved = self._unchecked(row)
        except FlowDidNotConverge:  # float64 may be too coarse to say where the flow ends, unless it is not smooth
            if self.limit.loss.margins is not None:
                raise
            resolved = Resolved(row[:, : problem.dimension], np.array([False]))
        value = self._exactly(known, row, resolved, digits)
        self._check_ends(row, np.array([[float(a) for a in value]]))
        return value

    def _exactly(
        self, known: Mapping[sp.Symbol, PreciseNumber], row: np.ndarray, resolved: Resolved, digits: int
    ) -> list[PreciseNumber]:
        """By the system, by the formula, else by the flow."""
        problem, form, system = self.limit.problem, self.limit.form, self.limit.system
        if system is not None and resolved.by_form[0]:
            try:
                value = sharpened(system.system, known, resolved.limits[0], digits)
                if agreement(np.array([[float(a) for a in value]]), resolved.limits, row)[0]:
                    return value
            except FlowDidNotConverge:  # an integral is singular there; the formula or the flow need not be
                pass
        if isinstance(form, ExplicitLimit) and resolved.by_form[0]:
            with mp.workdps(2 * digits):
                return form.value.run(PRECISE, known)["limit"]
        d = problem.dimension
        constants = {s: known[s] for s in problem.constants}

        def gradient(x: Sequence[PreciseNumber]) -> list[PreciseNumber]:
            return self._slope.run(PRECISE, {**constants, **dict(zip(problem.parameters, x, strict=True))})["gradient"]

        def hessian(x: np.ndarray) -> np.ndarray:
            return self.limit.loss.hessian(np.concatenate([x, row[0, d:]])[None, :])[0]

        rank, precise = self.limit.codimension, self.limit.loss.precise
        curvature = np.linalg.eigvalsh(hessian(resolved.limits[0]))
        if precise is not None and are_far_apart(curvature[None, :], rank)[0]:
            return far_limit(precise, [known[s] for s in problem.symbols], d, rank, digits).precise
        return precise_limit(gradient, hessian, [known[s] for s in problem.parameters], rank, digits)

    # --- which road each point takes --------------------------------------------------------

    def _resolve(self, rows: np.ndarray) -> Resolved:
        self._check_starts(rows)
        resolved = self._unchecked(rows)
        self._check_ends(rows, resolved.limits)
        return resolved

    def _unchecked(self, rows: np.ndarray) -> Resolved:
        stated = self._by_formula(rows)
        claimed, by_form = self._claimed(rows, stated), np.zeros(len(rows), bool)
        if self._is_certain:
            minimizers = np.flatnonzero(self._is_minimizer(claimed, rows))
            by_form[minimizers] = ~self._decided_by_rounding(rows[minimizers], stated[minimizers])
        limits = claimed.copy()
        asked = np.flatnonzero(~by_form)
        if len(asked):
            limits[asked] = self._flow(rows[asked])
            limits[asked], by_form[asked] = self._matched(rows[asked], limits[asked], claimed[asked])
        return Resolved(limits, by_form)

    @property
    def _is_certain(self) -> bool:
        """Whether what the closed form says needs no witness."""
        form = self.limit.form
        return form.certain if isinstance(form, ExplicitLimit) else form is not None and form.orbit is not None

    def _claimed(self, rows: np.ndarray, stated: np.ndarray) -> np.ndarray:
        """What a formula says, made exact by the system; what the equations on the orbit say, as it is."""
        if not isinstance(self.limit.form, ExplicitLimit):
            return stated
        sharp = self._polished(rows, stated)
        return np.where(agreement(sharp, stated, rows)[:, None], sharp, stated)

    def _by_formula(self, rows: np.ndarray) -> np.ndarray:
        """Φ by the formula, or by the equations on the orbit; nan where there are neither."""
        form, symbols = self.limit.form, self.limit.problem.symbols
        if isinstance(form, ExplicitLimit):
            return evaluate(form.value, symbols, rows)["limit"]
        if isinstance(form, ImplicitLimit) and form.orbit is not None:
            orbit = form.orbit
            shifts = solve_damped(orbit.system, symbols, rows, np.zeros((len(rows), len(orbit.system.unknowns))))
            columns = np.concatenate([rows, shifts], axis=1)
            return evaluate(orbit.position, (*symbols, *orbit.system.unknowns), columns)["position"]
        return np.full((len(rows), self.limit.problem.dimension), np.nan)

    def _decided_by_rounding(self, rows: np.ndarray, stated: np.ndarray) -> np.ndarray:
        """Where rounding decides what the closed form says: the sign of a sum that is 0 on a separatrix is lost beside it."""
        d = self.limit.problem.dimension
        task = Task(self.limit.loss, self.limit.codimension, ROUNDING, ON_MANIFOLD)
        # Unequal shares of both signs, by which no sum that vanishes keeps to do so but by chance.
        shares = ROUNDING * (-1.0) ** np.arange(d) * (1 + np.arange(d) / d)
        factors = np.concatenate([shares, np.zeros(rows.shape[1] - d)])
        plus, minus = (self._by_formula(rows * (1 + sign * factors)) for sign in (1, -1))
        with np.errstate(all="ignore"):
            return Difference.of(task, rows, stated, plus, minus).matters

    def _matched(self, rows: np.ndarray, limits: np.ndarray, claimed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The exact value where the flow's own limit leads to it, else the flow's limit."""
        sharp = self._polished(rows, limits)
        exact = np.where(np.isfinite(sharp).all(axis=1, keepdims=True), sharp, claimed)
        same = agreement(exact, limits, rows)
        return np.where(same[:, None], exact, limits), same

    def _polished(self, rows: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Newton steps on {g(y) = 0, I(y) = I(x)}; nan where they do not settle, or there is no such system."""
        y = start.copy()
        if self.limit.system is None:
            return np.full_like(y, np.nan)
        step = np.full_like(y, np.nan)
        for _ in range(POLISH):
            step = newton_step(*self.limit.system.system(self.limit.problem.symbols, rows, y))
            y = y - step
        settled = np.linalg.norm(step, axis=1, keepdims=True) <= POLISHED * (
            1 + np.linalg.norm(y, axis=1, keepdims=True)
        )
        return np.where(settled, y, np.nan)

    def _is_minimizer(self, claimed: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Which claimed limits are finite points of Γ: ∇L = 0, and H is positive semidefinite of rank M."""
        d, m, loss = self.limit.problem.dimension, self.limit.codimension, self.limit.loss
        answer = np.zeros(len(rows), dtype=bool)
        at = np.concatenate([claimed, rows[:, d:]], axis=1)
        candidates = np.flatnonzero(np.isfinite(at).all(axis=1))
        slope, hessian = loss.gradient(at[candidates]), loss.hessian(at[candidates])
        finite = np.flatnonzero(np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1))
        curvature, axes = np.linalg.eigh(hessian[finite])
        with np.errstate(all="ignore"):
            newton = np.einsum("bij,bi->bj", axes[:, :, -m:], slope[finite]) / curvature[:, -m:]
        distance = np.linalg.norm(newton, axis=1) / (1 + np.linalg.norm(claimed[candidates[finite]], axis=1))
        clear = is_clear(curvature, m, distance)
        answer[candidates[finite]] = clear & (distance <= ON_MANIFOLD)
        for k in candidates[finite][~clear]:
            answer[k] = is_beside(loss.precise, [mp.mpf(float(a)) for a in at[k]], d, m, ON_MANIFOLD)
        return answer

    def _by_form(self, rows: np.ndarray, directions: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """A derivative by its closed form, one row a point, and where the flow has to give it.

        The system's comes first: in (x, Φ) nothing cancels that does in a formula in x alone.
        """
        resolved = self._resolve(rows)
        values = np.full((len(rows), self.limit.problem.dimension ** (2 if directions is None else 1)), np.nan)
        for form in (self.limit.system, self.limit.form):
            missing = np.flatnonzero(resolved.by_form & ~np.isfinite(values).all(axis=1))
            if form is not None and len(missing):
                some = None if directions is None else directions[missing]
                values[missing] = self._derivative(form, rows[missing], resolved.limits[missing], some)
        return values, ~(resolved.by_form & np.isfinite(values).all(axis=1))

    def _derivative(
        self, form: ExplicitLimit | ImplicitLimit, rows: np.ndarray, limits: np.ndarray, directions: np.ndarray | None
    ) -> np.ndarray:
        symbols, columns = list(self.limit.problem.symbols), [rows]
        if isinstance(form, ImplicitLimit):
            symbols, columns = [*symbols, *form.images], [*columns, limits]
        if directions is not None:
            upper = np.triu_indices(self.limit.problem.dimension)
            entries = [form.derivatives.directions[int(i), int(j)] for i, j in zip(*upper, strict=True)]
            symbols, columns = [*symbols, *entries], [*columns, directions[:, *upper]]
        program = form.derivatives.jacobian if directions is None else form.derivatives.second
        (values,) = evaluate(program, tuple(symbols), np.concatenate(columns, axis=1)).values()
        return values

    # --- the flow ---------------------------------------------------------------------------

    def _flow(self, rows: np.ndarray, *, first: bool = False, directions: np.ndarray | None = None) -> np.ndarray:
        # Where the system makes limits exact, the flow has only to say which of its solutions it is.
        loss, rank = self.limit.loss, self.limit.codimension
        flow = limits_of_flow(loss, rows, rank, first=first, directions=directions, sharpened=self._polished)
        if not flow.reached.all():
            k = int(np.argmin(flow.reached))
            raise FlowDidNotConverge(f"from {self._place(rows[k])} the flow does not reach Γ: {flow.reasons[k]}")
        self._check_regular(rows, flow.points)
        wanted: Any = flow.jacobian if first else flow.points if directions is None else flow.second
        return wanted

    def _check_regular(self, rows: np.ndarray, ends: np.ndarray) -> None:
        """Refuse starts that the flow hardly moved although Γ is no manifold there: beside them, along the kernel of H,
        the gradient does not vanish when its normal part does (the minimum is flatter than quadratic)."""
        d = self.limit.problem.dimension
        extent = 1 + np.linalg.norm(ends, axis=1)
        still = np.flatnonzero(np.linalg.norm(ends - rows[:, :d], axis=1) <= STILL * extent)
        flatter = still[self._gradient_is_left(np.concatenate([ends, rows[:, d:]], axis=1)[still], extent[still])]
        if len(flatter):
            raise FlowDidNotConverge(
                f"{self._place(rows[flatter[0]])} is beside a minimum that is degenerate (flatter than quadratic), and not on Γ"
            )

    def _gradient_is_left(self, at: np.ndarray, extent: np.ndarray) -> np.ndarray:
        """Which points of Γ, moved along the kernel of H and back to where the normal gradient vanishes, have a gradient."""
        d, m, loss = self.limit.problem.dimension, self.limit.codimension, self.limit.loss
        direction = np.linalg.eigh(loss.hessian(at))[1][:, :, :-m] @ np.random.default_rng(1).standard_normal(d - m)
        moved = at.copy()
        moved[:, :d] += STILL * extent[:, None] * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        curvature, axes = _finite_eigh(loss.hessian(moved))
        shift = np.full((len(at), d), np.nan)
        with np.errstate(all="ignore"):
            for _ in range(RETURNS):
                along = np.einsum("bij,bi->bj", axes[:, :, -m:], loss.gradient(moved)) / curvature[:, -m:]
                shift = np.einsum("bij,bj->bi", axes[:, :, -m:], along)
                moved[:, :d] -= shift
            arrived = np.linalg.norm(shift, axis=1) <= ON_MANIFOLD * extent
            slope = np.einsum("bij,bi->bj", _finite_eigh(loss.hessian(moved))[1], loss.gradient(moved))
            left = np.linalg.norm(slope[:, :-m], axis=1) > LEFT * np.abs(curvature).max(axis=1) * extent
        return arrived & left

    def _check_starts(self, rows: np.ndarray) -> None:
        conditions = implied_conditions(self.limit.problem.symbols)
        inside = satisfies(conditions, self.limit.problem.symbols, rows)
        if not inside.all():
            raise FlowDidNotConverge(
                f"{self._place(rows[int(np.argmin(inside))])} violates what the symbols were declared to be "
                f"({', '.join(map(str, conditions))}): the loss was stated only where that holds"
            )
        self._check_smooth(rows, rows, 0.0)

    def _check_ends(self, rows: np.ndarray, limits: np.ndarray) -> None:
        problem = self.limit.problem
        ends = np.concatenate([limits, rows[:, problem.dimension :]], axis=1)
        self._check_smooth(rows, ends, KINK)
        inside = satisfies(problem.conditions, problem.symbols, ends)
        if not inside.all():
            k = int(np.argmin(inside))
            remedy = ", or leave domain= out" if problem.domain else ""
            raise FlowDidNotConverge(
                f"from {self._place(rows[k])} the flow ends at {self._place(ends[k])}, outside the part of Γ meant "
                f"({', '.join(map(str, problem.conditions))}): choose another start{remedy}"
            )

    def _check_smooth(self, rows: np.ndarray, where: np.ndarray, margin: float) -> None:
        """Refuse points where a derivative of the loss jumps: there ∂Φ is not defined, and the flow need not be."""
        if self.limit.loss.margins is None:
            return
        extent = 1 + np.abs(where).max(axis=1, keepdims=True)
        kinked = (np.abs(self.limit.loss.margins(where)) <= margin * extent).any(axis=1)
        if kinked.any():
            k = int(np.argmax(kinked))
            raise FlowDidNotConverge(
                f"from {self._place(rows[k])} there is no smooth flow: a derivative of the loss jumps at {self._place(where[k])}"
            )

    def _place(self, row: np.ndarray) -> str:
        return "(" + ", ".join(f"{s} = {a:.6g}" for s, a in zip(self.limit.problem.symbols, row, strict=True)) + ")"

    @cached_property
    def _slope(self) -> Program:
        return Program.of({"gradient": self.limit.problem.landscape().gradient})


def _finite_eigh(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors, nan where a matrix is not finite."""
    finite = np.all(np.isfinite(matrices), axis=(1, 2), keepdims=True)
    values, vectors = np.linalg.eigh(np.where(finite, matrices, 0.0))
    return np.where(finite[:, 0], values, np.nan), np.where(finite, vectors, np.nan)
