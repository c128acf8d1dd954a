"""Φ, ∂Φ and ∂²Φ[B] as numbers, for every kind of Φ: a closed form where it is known to be the flow's own, else the flow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseNumber
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import FlowDidNotConverge
from symbolic_sgd.export.callables import evaluate
from symbolic_sgd.flow.explicit import ExplicitLimit
from symbolic_sgd.flow.implicit import ImplicitLimit
from symbolic_sgd.flow.limit import FlowLimit
from symbolic_sgd.flow.newton import newton_step, sharpened, solve_damped
from symbolic_sgd.flow.referee import agreement, satisfies
from symbolic_sgd.problems.symbols import implied_conditions
from symbolic_sgd.simulate.flow_limit import limits_of_flow
from symbolic_sgd.simulate.precise_flow import precise_limit

BLOCK = 4096
"""Points at a time, so that memory does not grow with the batch beyond the result."""

ON_MANIFOLD = 1e-9
"""Largest |H†∇L|/(1 + |x|) of a claimed limit."""

STEEP, FLAT = 1e-8, 1e-6
"""Beside λ₁, the M-th eigenvalue of H is larger than the first of these, and the rest are smaller than the second."""

POLISH = 3
"""Newton steps on the system that defines an implicit Φ, from the flow's own limit."""


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
            values, missing = self._by_form(block, "jacobian", None)
            if missing.any():
                values[missing] = self._flow(block[missing], first=True).reshape(-1, d * d)
            result[k : k + BLOCK] = values.reshape(-1, d, d)
        return result

    def second_derivatives(self, rows: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """∂²Φ[B], B×D, for symmetric directions."""
        result = np.empty((len(rows), self.limit.problem.dimension))
        for k in range(0, len(rows), BLOCK):
            block, b = rows[k : k + BLOCK], directions[k : k + BLOCK]
            values, missing = self._by_form(block, "second", b)
            if missing.any():
                values[missing] = self._flow(block[missing], directions=b[missing])
            result[k : k + BLOCK] = values
        return result

    def precise(self, known: Mapping[sp.Symbol, PreciseNumber], digits: int) -> list[PreciseNumber]:
        """Φ at one point (symbol → number), to so many digits."""
        problem, form = self.limit.problem, self.limit.form
        row = np.array([[float(known[s]) for s in problem.symbols]])
        resolved = self._resolve(row)
        with mpmath.workdps(digits + 15):
            if isinstance(form, ExplicitLimit) and resolved.by_form[0]:
                return form.value.run(PRECISE, known)["limit"]
            if isinstance(form, ImplicitLimit) and resolved.by_form[0]:
                return sharpened(form.system, known, resolved.limits[0], digits)
        d = problem.dimension
        constants = {s: known[s] for s in problem.constants}

        def gradient(x: Sequence[PreciseNumber]) -> list[PreciseNumber]:
            return self._slope.run(PRECISE, {**constants, **dict(zip(problem.parameters, x, strict=True))})["gradient"]

        def hessian(x: np.ndarray) -> np.ndarray:
            return self.limit.loss.hessian(np.concatenate([x, row[0, d:]])[None, :])[0]

        return precise_limit(gradient, hessian, [known[s] for s in problem.parameters], self.limit.codimension, digits)

    # --- which road each point takes --------------------------------------------------------

    def _resolve(self, rows: np.ndarray) -> Resolved:
        self._check_starts(rows)
        claimed, certain = self._claimed(rows)
        by_form = self._is_minimizer(claimed, rows) if certain else np.zeros(len(rows), bool)
        limits = claimed.copy()
        asked = np.flatnonzero(~by_form)
        if len(asked):
            limits[asked] = self._flow(rows[asked])
            if not certain:
                limits, by_form = self._matched(rows, limits, claimed)
        self._check_domain(rows, limits)
        return Resolved(limits, by_form)

    def _claimed(self, rows: np.ndarray) -> tuple[np.ndarray, bool]:
        """What the closed form says, and whether that needs no witness."""
        form, symbols = self.limit.form, self.limit.problem.symbols
        if isinstance(form, ExplicitLimit):
            return evaluate(form.value, symbols, rows)["limit"], form.certain
        if isinstance(form, ImplicitLimit) and form.orbit is not None:
            orbit = form.orbit
            shifts = solve_damped(orbit.system, symbols, rows, np.zeros((len(rows), len(orbit.system.unknowns))))
            columns = np.concatenate([rows, shifts], axis=1)
            return evaluate(orbit.position, (*symbols, *orbit.system.unknowns), columns)["position"], True
        return np.full((len(rows), self.limit.problem.dimension), np.nan), False

    def _matched(self, rows: np.ndarray, limits: np.ndarray, claimed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The closed form's value where it is the flow's own to the flow's accuracy, else the flow's."""
        if isinstance(self.limit.form, ImplicitLimit):
            claimed = self._polished(self.limit.form, rows, limits)
        same = agreement(claimed, limits)
        return np.where(same[:, None], claimed, limits), same

    def _polished(self, form: ImplicitLimit, rows: np.ndarray, limits: np.ndarray) -> np.ndarray:
        y = limits.copy()
        for _ in range(POLISH):
            y = y - newton_step(*form.system(self.limit.problem.symbols, rows, y))
        return y

    def _is_minimizer(self, claimed: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Which claimed limits are finite points of Γ: ∇L = 0, and H is positive semidefinite of rank M."""
        d, m, loss = self.limit.problem.dimension, self.limit.codimension, self.limit.loss
        answer = np.zeros(len(rows), dtype=bool)
        at = np.concatenate([claimed, rows[:, d:]], axis=1)
        candidates = np.flatnonzero(np.isfinite(at).all(axis=1))
        slope, hessian = loss.gradient(at[candidates]), loss.hessian(at[candidates])
        finite = np.flatnonzero(np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1))
        curvature, axes = np.linalg.eigh(hessian[finite])
        largest = np.abs(curvature).max(axis=1)
        regular = curvature[:, -m] > STEEP * largest
        regular &= np.abs(curvature[:, :-m]).max(axis=1, initial=0) < FLAT * largest
        with np.errstate(all="ignore"):
            newton = np.einsum("bij,bi->bj", axes[:, :, -m:], slope[finite]) / curvature[:, -m:]
        extent = 1 + np.linalg.norm(claimed[candidates[finite]], axis=1)
        answer[candidates[finite]] = regular & (np.linalg.norm(newton, axis=1) <= ON_MANIFOLD * extent)
        return answer

    def _by_form(self, rows: np.ndarray, name: str, directions: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """A derivative by its closed form, one row a point, and where the flow has to give it."""
        form, problem = self.limit.form, self.limit.problem
        resolved = self._resolve(rows)
        width = problem.dimension ** (2 if directions is None else 1)
        if form is None:
            return np.empty((len(rows), width)), np.ones(len(rows), bool)
        symbols, columns = list(problem.symbols), [rows]
        if isinstance(form, ImplicitLimit):
            symbols, columns = [*symbols, *form.images], [*columns, resolved.limits]
        if directions is not None:
            upper = np.triu_indices(problem.dimension)
            entries = [form.derivatives.directions[int(i), int(j)] for i, j in zip(*upper, strict=True)]
            symbols, columns = [*symbols, *entries], [*columns, directions[:, *upper]]
        program = form.derivatives.jacobian if directions is None else form.derivatives.second
        (values,) = evaluate(program, tuple(symbols), np.concatenate(columns, axis=1)).values()
        return values.copy(), ~(resolved.by_form & np.isfinite(values).all(axis=1))

    # --- the flow ---------------------------------------------------------------------------

    def _flow(self, rows: np.ndarray, *, first: bool = False, directions: np.ndarray | None = None) -> np.ndarray:
        flow = limits_of_flow(self.limit.loss, rows, self.limit.codimension, first=first, directions=directions)
        if not flow.reached.all():
            k = int(np.argmin(flow.reached))
            raise FlowDidNotConverge(f"from {self._place(rows[k])} the flow does not reach Γ: {flow.reasons[k]}")
        wanted: Any = flow.jacobian if first else flow.points if directions is None else flow.second
        return wanted

    def _check_starts(self, rows: np.ndarray) -> None:
        conditions = implied_conditions(self.limit.problem.symbols)
        inside = satisfies(conditions, self.limit.problem.symbols, rows)
        if not inside.all():
            raise FlowDidNotConverge(
                f"{self._place(rows[int(np.argmin(inside))])} violates what the symbols were declared to be "
                f"({', '.join(map(str, conditions))}): the loss was stated only where that holds"
            )

    def _check_domain(self, rows: np.ndarray, limits: np.ndarray) -> None:
        problem = self.limit.problem
        ends = np.concatenate([limits, rows[:, problem.dimension :]], axis=1)
        inside = satisfies(problem.conditions, problem.symbols, ends)
        if not inside.all():
            k = int(np.argmin(inside))
            raise FlowDidNotConverge(
                f"from {self._place(rows[k])} the flow ends at {self._place(ends[k])}, outside the part of Γ meant "
                f"({', '.join(map(str, problem.conditions))}): choose another start, or leave domain= out"
            )

    def _place(self, row: np.ndarray) -> str:
        return "(" + ", ".join(f"{s} = {a:.6g}" for s, a in zip(self.limit.problem.symbols, row, strict=True)) + ")"

    @cached_property
    def _slope(self) -> Program:
        return Program.of({"gradient": Matrix(self.limit.problem.landscape().gradient.rows)})
