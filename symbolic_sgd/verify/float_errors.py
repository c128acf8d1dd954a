"""What float64 costs: the callables that users get against the same program to 50 digits, at the same float64 points."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.export.callables import NumericFunctions
from symbolic_sgd.processes.plan import count
from symbolic_sgd.verify.certificate import Check
from symbolic_sgd.verify.region import region_points, region_words
from symbolic_sgd.verify.witness import Witness

DIGITS = 50

TOLERANCE = 1e-9
"""Largest norm-wise error of a callable; near a zero of a component its own relative error says nothing."""


@dataclass(frozen=True)
class FloatErrors:
    """Rounding of the drift and of the diffusion: largest, median and worst point, by components and by norm.

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
            return [Check(name, None, None, float("nan"), TOLERANCE, "undecided", reason) for name in names.values()]
        program = witness.derivation.program.select(*names)
        symbols = witness.derivation.problem.symbols
        floats = _called(witness, rows, tuple(names))
        with mp.workdps(DIGITS):
            precise = [program.run(PRECISE, dict(zip(symbols, map(mp.mpf, row.tolist()), strict=True))) for row in rows]
        scales = term_scales(witness, rows)
        where = region_words(witness, len(rows))
        return [
            _check(name, floats[term], [p[term] for p in precise], scales[term], rows, where)
            for term, name in names.items()
        ]


def _called(witness: Witness, rows: np.ndarray, terms: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What users' callables return, one row a point."""
    problem = witness.derivation.problem
    functions = NumericFunctions(witness.derivation, check=False)
    x, columns = rows[:, : problem.dimension], rows[:, problem.dimension :].T
    constants = {s.name: column for s, column in zip(problem.constants, columns, strict=True)}
    return {term: functions.term(term, x, **constants).reshape(len(rows), -1) for term in terms}


def term_scales(witness: Witness, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The natural size of the drift and of the diffusion at each row: what they would be if nothing cancelled."""
    d = witness.derivation.problem.dimension
    program = witness.derivation.program
    parts = ("tangent_noise_compensation", "mixed_regularization", "normal_regularization")
    values = evaluate(program.select(*parts), witness.derivation.problem.symbols, rows)
    noise = evaluate(witness.covariance, witness.derivation.problem.symbols, rows)["noise_factor"]
    strength = np.sqrt((noise**2).sum(axis=1))
    around = np.array(
        [witness.noise_size(dict(zip(witness.derivation.problem.symbols, row, strict=True))) for row in rows]
    )
    strength = np.maximum(strength, 1e-6 * around)  # σ may vanish on Γ
    extent = 1 + np.linalg.norm(rows[:, :d], axis=1)
    drift = np.maximum(np.max([np.abs(values[p]).max(axis=1) for p in parts], axis=0), 0.1 * strength**2 / extent)
    tiny = np.finfo(float).tiny
    return {"drift": np.maximum(drift, tiny), "tangent_noise": np.maximum(strength, tiny)}


def _check(
    name: str, floats: np.ndarray, precise: list[list[Any]], scales: np.ndarray, rows: np.ndarray, where: str
) -> Check:
    by_norm, by_component = [], []
    for value, exact, scale in zip(floats.tolist(), precise, scales.tolist(), strict=True):
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
