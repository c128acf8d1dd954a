"""Rigorous bounds of what float64 returns: the program in ball arithmetic, at exactly the float64 points of the callables."""

import importlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.checks.certificate import Check, not_run, undecided
from symbolic_sgd.checks.float_errors import TOLERANCE, term_scales
from symbolic_sgd.checks.region import region_points, region_words
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import UnsupportedExpression
from symbolic_sgd.simulate.arguments import count

ARITHMETIC = "symbolic_sgd.algebra.balls"
"""The module that needs python-flint."""

INSTALL = "ball arithmetic needs python-flint: pip install 'symbolic-sgd[exact]'"


@dataclass(frozen=True)
class Enclosures:
    """|float64 − exact| of the drift and of the diffusion, bounded without any rounding left out.

    The tree is walked with balls (Arb): every constant is a quotient of integers, every rounding is in the radius.

    Args:
        points: how many points of Γ.
    """

    points: int = 12
    name: ClassVar[str] = "enclosures by ball arithmetic"

    def __post_init__(self) -> None:
        count(self.points, "points")

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        names = {"drift": "enclosure: drift", "tangent_noise": "enclosure: diffusion"}
        try:
            balls = importlib.import_module(ARITHMETIC)
        except ImportError:
            return [not_run(name, TOLERANCE, INSTALL) for name in names.values()]
        rows = region_points(witness, rng, self.points)
        if not len(rows):
            reason = "no points of Γ were found in the region"
            return [undecided(name, TOLERANCE, reason) for name in names.values()]
        program, symbols = witness.derivation.program.select(*names), witness.derivation.problem.symbols
        floats = evaluate(program, symbols, rows)
        with balls.at_precision():
            try:
                enclosed = [
                    program.run(balls.BALLS, dict(zip(symbols, map(balls.exact_ball, row.tolist()), strict=True)))
                    for row in rows
                ]
            except UnsupportedExpression as reason:
                return [not_run(name, TOLERANCE, str(reason)) for name in names.values()]
            bounds = {
                term: np.array(
                    [
                        [balls.farthest(ball, a) for ball, a in zip(at[term], value, strict=True)]
                        for at, value in zip(enclosed, floats[term].tolist(), strict=True)
                    ]
                )
                for term in names
            }
        scales, where = term_scales(witness, rows), region_words(witness, len(rows))
        return [_check(name, bounds[term], scales[term], rows, where) for term, name in names.items()]


def _check(name: str, bounds: np.ndarray, scales: np.ndarray, rows: np.ndarray, where: str) -> Check:
    relative = bounds.max(axis=1) / scales
    worst = int(np.argmax(relative))
    error = float(relative[worst])
    observed: dict[str, Any] = {"bound": error, "worst point": rows[worst].tolist()}
    verdict = "enclosed" if error <= TOLERANCE else "failed" if np.isfinite(error) else "undecided"
    return Check(name, 0.0, observed, error, TOLERANCE, verdict, f"{where}; relative to the natural size at each")
