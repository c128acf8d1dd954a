"""What float64 costs: the callables that users get against the same program to 50 digits, at the same float64 points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.checks.certificate import Check, not_run, undecided
from symbolic_sgd.checks.region import far_points, region_points, region_words
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.numeric.callables import NumericFunctions
from symbolic_sgd.numeric.digits import right_digits, settled
from symbolic_sgd.simulate.arguments import count
from symbolic_sgd.theorem.terms import DRIFT_TERMS

DIGITS = 50

TOLERANCE = 1e-9
"""Largest norm-wise error of a callable; near a zero of a component its own relative error says nothing."""


FAR_TOLERANCE = 0.1
"""The same far out: some digits may be lost there, and it is said how many, but one is right."""


@dataclass(frozen=True)
class FloatErrors:
    """Rounding of the drift and of the diffusion: largest, median and worst point, by components and by norm.

    Far out, the digits that are left are stated for each distance; only a value without a right digit fails there.

    Args:
        points: how many points of Γ.
    """

    points: int = 40
    name: ClassVar[str] = "float64 against 50 digits"

    def __post_init__(self) -> None:
        count(self.points, "points")

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        rows = region_points(witness, rng, self.points)
        names = {"drift": "float64: drift", "tangent_noise": "float64: diffusion"}
        if len(rows) < max(4, self.points // 4):
            reason = f"only {len(rows)} of {self.points} points of Γ were found in the region"
            return [undecided(name, TOLERANCE, reason) for name in names.values()]
        floats, scales = _called(witness, rows, tuple(names)), term_scales(witness, rows)
        where = region_words(witness, len(rows))
        near = [
            _check(name, floats[term], _precise(witness, term, rows, DIGITS), scales[term], rows, where)
            for term, name in names.items()
        ]
        return near + _far_out(witness, far_points(witness, rng), names)


def _precise(witness: Witness, term: str, rows: np.ndarray, digits: int) -> np.ndarray:
    """The term's program by arithmetic of so many digits, one row a point."""
    program, symbols = witness.derivation.program.select(term), witness.derivation.problem.symbols
    with mp.workdps(digits):
        points = [dict(zip(symbols, map(mp.mpf, row.tolist()), strict=True)) for row in rows]
        return np.array([program.run(PRECISE, point)[term] for point in points], dtype=object)


def _far_out(witness: Witness, rows: np.ndarray, names: Mapping[str, str]) -> list[Check]:
    """The digits that are right farther and farther out, where functions like eᵘ leave float64 the fewest."""
    if not len(rows):
        reason = "no way along Γ was found that leads far away"
        return [not_run(f"{n}, far out", FAR_TOLERANCE, reason) for n in names.values()]
    return [_far_check(witness, term, f"{name}, far out", rows) for term, name in names.items()]


def _far_check(witness: Witness, term: str, name: str, rows: np.ndarray) -> Check:
    rows = rows[np.isfinite(_called(witness, rows, (term,))[term]).all(axis=1)]  # the others are refused
    if not len(rows):
        return not_run(name, FAR_TOLERANCE, "float64 overflows at every point far away")
    floats, scales = _called(witness, rows, (term,))[term], least_scales(witness, rows)[term]
    truth = settled(lambda digits: _precise(witness, term, rows, digits))
    digits = right_digits(floats, truth).tolist()
    errors = [_error(*row) for row in zip(floats.tolist(), truth.tolist(), scales.tolist(), strict=True)]
    extents = np.linalg.norm(rows[:, : witness.derivation.problem.dimension], axis=1).tolist()
    observed = [{"|x|": r, "digits": k, "error": e} for r, k, e in sorted(zip(extents, digits, errors, strict=True))]
    error = max(errors, key=lambda e: (np.isnan(e), e))
    verdict = "undecided" if np.isnan(error) else "measured" if error <= FAR_TOLERANCE else "failed"
    fewest = "all digits" if not np.isfinite(min(digits)) else f"at least {min(digits):.1f} digits of the largest entry"
    span = f"{len(rows)} points of Γ with |x| from {min(extents):.3g} to {max(extents):.3g}"
    return Check(name, 0.0, observed, error, FAR_TOLERANCE, verdict, f"{span}: {fewest} are right")


def _error(values: Sequence[float], truth: Sequence[Any], scale: float) -> float:
    """The largest entry's error beside the largest true entry, or beside a scale where that is larger."""
    true = [mp.mpf(b) for b in truth]
    errors = [abs(mp.mpf(a) - b) for a, b in zip(values, true, strict=True)]
    return float(max(errors) / max(mp.mpf(scale), *map(abs, true))) if errors else 0.0


def _called(witness: Witness, rows: np.ndarray, terms: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What users' callables return, one row a point."""
    problem = witness.derivation.problem
    functions = NumericFunctions(witness.derivation, check=False)
    x, columns = rows[:, : problem.dimension], rows[:, problem.dimension :].T
    constants = {s.name: column for s, column in zip(problem.constants, columns, strict=True)}
    return {term: functions.term(term, x, **constants).reshape(len(rows), -1) for term in terms}


def term_scales(witness: Witness, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The natural size of the drift and of the diffusion at each row: what they would be if nothing cancelled."""
    parts, least = witness.derivation.program.select(*DRIFT_TERMS), least_scales(witness, rows)
    values = evaluate(parts, witness.derivation.problem.symbols, rows)
    largest = np.max([np.abs(values[p]).max(axis=1) for p in DRIFT_TERMS], axis=0)
    return {"drift": np.maximum(largest, least["drift"]), "tangent_noise": least["tangent_noise"]}


def least_scales(witness: Witness, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The same by the noise alone: σ, and |σ|² over the length 10(1 + |x|)."""
    noise = evaluate(witness.stated.noise, witness.derivation.problem.symbols, rows)["noise_factor"]
    strength = np.sqrt((noise**2).sum(axis=1))
    around = np.array(
        [witness.noise_size(dict(zip(witness.derivation.problem.symbols, row, strict=True))) for row in rows]
    )
    strength = np.maximum(strength, 1e-6 * around)  # σ may vanish on Γ
    extent = 1 + np.linalg.norm(rows[:, : witness.derivation.problem.dimension], axis=1)
    with np.errstate(over="ignore"):
        drift = 0.1 * strength**2 / extent
    tiny = np.finfo(float).tiny
    return {"drift": np.maximum(drift, tiny), "tangent_noise": np.maximum(strength, tiny)}


def _check(
    name: str, floats: np.ndarray, precise: np.ndarray, scales: np.ndarray, rows: np.ndarray, where: str
) -> Check:
    by_norm, by_component = [], []
    for value, exact, scale in zip(floats.tolist(), precise.tolist(), scales.tolist(), strict=True):
        errors = [abs(mp.mpf(a) - b) for a, b in zip(value, exact, strict=True)]
        by_norm.append(float(max(errors) / scale))
        by_component.append(float(max((e / abs(b) for e, b in zip(errors, exact, strict=True) if b), default=0)))
    worst = int(np.argmax(by_norm))
    error = by_norm[worst]
    observed = {
        "by norm": {"largest": error, "median": float(np.median(by_norm)), "worst point": rows[worst].tolist()},
        "by component": {
            "largest": max(by_component),
            "median": float(np.median(by_component)),
            "worst point": rows[int(np.argmax(by_component))].tolist(),
        },
    }
    ulp = np.finfo(float).eps
    detail = f"{where}; by norm at most {error / ulp:.3g} ulp, by component at most {max(by_component) / ulp:.3g} ulp"
    return Check(name, 0.0, observed, error, TOLERANCE, "measured" if error <= TOLERANCE else "failed", detail)
