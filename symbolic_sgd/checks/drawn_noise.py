"""The noise that the simulators draw: all outcomes of one step with their probabilities, on Γ and beside it.

Σ p_k m_k = ∇L and Σ p_k (m_k − ∇L)(m_k − ∇L)ᵀ = Σ for the moves ηm_k of one step are finite sums, without any
Monte-Carlo error. What they are compared with is the noise model's own statement, in SymPy's derivatives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.checks.certificate import Check, not_run
from symbolic_sgd.checks.fresh_points import floats
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import BadInput, ProblemTooLarge
from symbolic_sgd.numeric.random_step import sgd_step
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.simulate.increments import Batches, Increments, Normals, Outcomes
from symbolic_sgd.simulate.sgd import GaussianLaw, Law, TrueLaw

TOLERANCE = 1e-10

ROUNDED = 64 * float(np.finfo(float).eps)
"""What float64 makes of ∇L and of x + ∇L, beside |∇²L|(1 + |x|)."""

HIDDEN = 1e-2
"""Rounding of ∇L beside σ from which the noise of a step is not seen in float64."""

BESIDE = 0.3
"""Distance of the points beside Γ, relative to the length over which ∇²L changes."""

MOST = 2**18
"""Outcomes that are followed at most."""

MANY = f"more than {MOST:,} outcomes"

Moves = tuple[np.ndarray, np.ndarray]
"""Moves of one step at η = 1 (K×D) and their probabilities (K)."""


@dataclass(frozen=True)
class DrawnNoise:
    """Mean and covariance of one step of SGD: by its true law, by the compiled loop, and with Gaussian noise."""

    name: ClassVar[str] = "the noise that the simulators draw"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        rows = _rows(witness, rng)
        return [check for name, moves in SIMULATORS.items() for check in _checks(witness, rows, name, moves)]


def _rows(witness: Witness, rng: np.random.Generator) -> np.ndarray:
    """The random points, and one beside each."""
    d = witness.derivation.problem.dimension
    rows = []
    for point in witness.points:
        row = floats(witness.derivation.problem.symbols, point)
        beside, direction = row.copy(), rng.standard_normal(d)
        beside[:d] += BESIDE * witness.length(row) * direction / np.linalg.norm(direction)
        rows.extend([row, beside])
    return np.array(rows)


def _by_law(law: Law) -> Callable[[Problem, np.ndarray], Moves | str]:
    def moves(problem: Problem, row: np.ndarray) -> Moves | str:
        values = {s: Fraction(a) for s, a in zip(problem.constants, row[problem.dimension :].tolist(), strict=True)}
        descent = law.descent(problem, Fraction(1), values)
        atoms = _atoms(descent.increments)
        if atoms is None:
            return MANY
        columns, probabilities = atoms
        x = np.repeat(row[: problem.dimension, None], len(probabilities), axis=1)
        moved = np.empty_like(x)
        descent.move(x, np.ascontiguousarray(columns), moved)
        return moved.T, probabilities

    return moves


def _atoms(increments: Increments) -> tuple[np.ndarray, np.ndarray] | None:
    """Columns of increments and their probabilities: all of a finite law, or as few as have the moments of normal ones to order 3."""
    if isinstance(increments, Outcomes) and len(increments.counts) <= MOST:
        counts = np.array(increments.counts, dtype=float)
        return increments.table, counts / counts.sum()
    if isinstance(increments, Batches) and increments.count <= MOST:
        return increments.outcomes(MOST), np.full(increments.count, 1 / increments.count)
    return _of_normals(increments.rows) if isinstance(increments, Normals) else None


def _of_normals(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """As few columns as have the moments of independent standard normal numbers to order 3, and their probabilities."""
    count = max(rows, 1)
    axes = np.sqrt(count) * np.eye(rows, count)
    return np.concatenate([axes, -axes], axis=1), np.full(2 * count, 0.5 / count)


def _compiled(problem: Problem, row: np.ndarray) -> Moves | str:
    """The compiled loop draws a row of a table, each with equal odds, and a fair sign; or normal numbers."""
    try:
        step = sgd_step(problem)
    except ProblemTooLarge:
        return MANY
    except BadInput as reason:
        return str(reason)
    if 2 * len(step.table) > MOST:
        return MANY
    if step.draws:
        signs = np.repeat([1.0, -1.0], len(step.table))
        table = np.array([[float(a) for a in entries] for entries in step.table]).reshape(len(step.table), -1)
        drawn, probabilities = np.column_stack([np.tile(table, (2, 1)), signs]), np.full(len(signs), 1 / len(signs))
    else:
        columns, probabilities = _of_normals(len(step.normals))
        drawn = columns.T
    d, given = problem.dimension, np.concatenate([row[: problem.dimension], [1.0], row[problem.dimension :]])
    after = evaluate(step.program, step.symbols, np.column_stack([np.tile(given, (len(drawn), 1)), drawn]))["step"]
    return row[:d] - after, probabilities


SIMULATORS: dict[str, Callable[[Problem, np.ndarray], Moves | str]] = {
    "SGD": _by_law(TrueLaw()),
    "compiled SGD": _compiled,
    "SGD with Gaussian noise": _by_law(GaussianLaw()),
}
"""name → the moves of one step at a row (parameters, then constants) with η = 1, or why they are not followed."""


def _checks(
    witness: Witness, rows: np.ndarray, name: str, moves: Callable[[Problem, np.ndarray], Moves | str]
) -> list[Check]:
    """The largest errors of mean and covariance over the rows, beside what is tolerated: `TOLERANCE`, and rounding of ∇L."""
    problem, names = witness.derivation.problem, (f"noise of {name}: mean", f"noise of {name}: covariance")
    slopes = witness.smooth_loss.gradient(rows)
    sigmas = evaluate(witness.stated.noise, problem.symbols, rows)["noise_factor"].reshape(
        len(rows), problem.dimension, -1
    )
    steepest = np.abs(witness.smooth_loss.hessian(rows)).max(axis=(1, 2))
    blurs = ROUNDED * steepest * (1 + np.abs(rows[:, : problem.dimension]).max(axis=1))
    worst: dict[str, Check] = {}
    for row, slope, sigma, blur in zip(rows, slopes, sigmas, blurs, strict=True):
        drawn = moves(problem, row)
        if isinstance(drawn, str):
            return [not_run(n, TOLERANCE, drawn) for n in names]
        moved, probabilities = drawn
        mean, size = probabilities @ moved, witness.noise_size(dict(zip(problem.symbols, row.tolist(), strict=True)))
        spread = (moved - mean).T * probabilities @ (moved - mean)
        scale = max(float(np.abs(sigma).max()), size, 1e-300)
        largest = max(scale, float(np.abs(slope).max()))
        if blur > HIDDEN * scale:
            reason = f"rounding of ∇L hides the noise in float64, at |x| = {np.abs(row).max():.3g} with |∇²L| = {steepest.max():.3g}"
            return [not_run(n, TOLERANCE, reason) for n in names]
        pairs = (slope, mean, largest), ((sigma @ sigma.T).ravel(), spread.ravel(), scale**2)
        for check_name, (stated, seen, natural) in zip(names, pairs, strict=True):
            check = _compared(check_name, stated, seen, natural, TOLERANCE + float(blur) / scale)
            before = worst.get(check_name)
            if before is None or not check.error / check.tolerance <= before.error / before.tolerance:
                worst[check_name] = check
    return list(worst.values())


def _compared(name: str, stated: np.ndarray, seen: np.ndarray, scale: float, tolerance: float) -> Check:
    error = float(np.abs(stated - seen).max() / scale)
    detail = f"all outcomes of one step, on Γ and beside it; relative to {scale:.3g}"
    return Check(
        name, stated.tolist(), seen.tolist(), error, tolerance, "measured" if error <= tolerance else "failed", detail
    )
