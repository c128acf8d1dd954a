"""Newton's method for square systems at many points at once, and at one point to many digits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseNumber
from symbolic_sgd.algebra.precision import mp, solved
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.errors import ComplexValue, FlowDidNotConverge

STEPS = 200
"""Newton steps at the most; a damped phase may be long."""

HALVINGS = 60
"""How often a step is halved before a point is given up."""

SETTLED = 1e-14
"""A relative step after which a point is finished."""

NEGLIGIBLE = 1e-11
"""A relative step that need not lower |F|."""

DECREASE = 1e-4
"""Share of the decrease that the linear model promises which a damped step has to bring (Armijo)."""

SINGULAR = 1e-15
"""Smallest singular value of ∂F beside the largest."""


@dataclass(frozen=True)
class System:
    """F(y; x) = 0, as many equations as unknowns.

    Args:
        unknowns: the symbols of y.
        program: outputs `residual` (F), `slope` (∂F/∂y), and `reach`: F is defined where its entries are positive.
    """

    unknowns: tuple[sp.Symbol, ...]
    program: Program

    def __call__(self, symbols: Sequence[sp.Symbol], rows: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F (B×n), nan where it is not defined, and ∂F/∂y (B×n×n)."""
        seen = evaluate(self.program, (*symbols, *self.unknowns), np.concatenate([rows, y], axis=1))
        inside = np.all(seen["reach"] > 0, axis=1, keepdims=True)
        return np.where(inside, seen["residual"], np.nan), seen["slope"].reshape(
            len(y), len(self.unknowns), len(self.unknowns)
        )


def solve_damped(system: System, symbols: Sequence[sp.Symbol], rows: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The zeros reached from `start` by Newton steps, halved until |F| decreases; nan where none is.

    For the gradient of a strictly convex function that has a zero, this reaches it from anywhere.

    Args:
        system: F.
        symbols: of the columns of `rows`.
        rows: x, B rows.
        start: y, B×n.
    """
    y = start.copy()
    active = np.arange(len(y))
    residual, slope = system(symbols, rows, y)
    for _ in range(STEPS):
        if not len(active):
            break
        step = newton_step(residual, slope)
        moved, new_residual, new_slope, fine = _descended(system, symbols, rows[active], y[active], step, residual)
        y[active[~fine]] = np.nan
        y[active[fine]] = moved[fine]
        unfinished = fine & (np.abs(step).max(axis=1) > SETTLED * (1 + np.abs(moved).max(axis=1)))
        residual, slope, active = new_residual[unfinished], new_slope[unfinished], active[unfinished]
    y[active] = np.nan
    return y


def newton_step(residual: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """(∂F)⁻¹F, nan where ∂F is singular or not finite."""
    step = np.full_like(residual, np.nan)
    finite = np.flatnonzero(np.isfinite(slope).all(axis=(1, 2)) & np.isfinite(residual).all(axis=1))
    singular = np.linalg.svd(slope[finite], compute_uv=False)
    regular = finite[singular[:, -1] > SINGULAR * singular[:, 0]]
    step[regular] = np.linalg.solve(slope[regular], residual[regular][:, :, None])[:, :, 0]
    return step


def _descended(
    system: System,
    symbols: Sequence[sp.Symbol],
    rows: np.ndarray,
    y: np.ndarray,
    step: np.ndarray,
    residual: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """y − t·step for the first t = 1, ½, ¼, … at which |F| is smaller, F and ∂F there, and where there was such a t."""
    size = np.linalg.norm(residual, axis=1)
    # Rounding may forbid that a step of this size lowers |F|; it is taken all the same, and is the last.
    tiny = np.abs(step).max(axis=1) <= NEGLIGIBLE * (1 + np.abs(y).max(axis=1))
    t, halvings = np.ones(len(y)), 0
    while True:
        moved = y - t[:, None] * step
        new_residual, new_slope = system(symbols, rows, moved)
        with np.errstate(all="ignore"):
            lower = np.linalg.norm(new_residual, axis=1) <= (1 - DECREASE * t) * size
        fine = lower | tiny & np.isfinite(new_residual).all(axis=1)
        if fine.all() or halvings == HALVINGS:
            return moved, new_residual, new_slope, fine & np.isfinite(moved).all(axis=1)
        t, halvings = np.where(fine, t, t / 2), halvings + 1


def sharpened(
    system: System, known: Mapping[sp.Symbol, PreciseNumber], start: Sequence[float], digits: int
) -> list[Any]:
    """The zero near a float64 start, to so many digits (mpmath numbers).

    Raises:
        FlowDidNotConverge: Newton's method does not contract there.
    """
    n = len(system.unknowns)
    with mp.workdps(digits + 15):
        y = [mp.mpf(float(a)) for a in start]
        previous = mp.inf
        for _ in range(60):
            try:
                seen = system.program.run(PRECISE, {**known, **dict(zip(system.unknowns, y, strict=True))})
                slope = mp.matrix([seen["slope"][i * n : (i + 1) * n] for i in range(n)])
                step = solved(slope, mp.matrix(seen["residual"]))
            except (ZeroDivisionError, ComplexValue) as error:
                raise FlowDidNotConverge(f"the system that defines Φ is singular there: {error}") from error
            y = [a - b for a, b in zip(y, step, strict=True)]
            size = max(map(abs, step)) / (1 + max(map(abs, y)))
            if size < mp.mpf(10) ** (-digits - 5):
                return y
            if size > previous / 2 and size > 1e-6:
                break
            previous = size
    raise FlowDidNotConverge("Newton's method for the system that defines Φ did not converge there")
