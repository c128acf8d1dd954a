"""All checks, in one table."""

from collections.abc import Callable

import numpy as np

from symbolic_sgd.derive.derivation import Derivation
from symbolic_sgd.export.lowering import lower
from symbolic_sgd.verify.certificate import Certificate, Check
from symbolic_sgd.verify.flow_road import check_flow_road
from symbolic_sgd.verify.identities import check_identities
from symbolic_sgd.verify.one_step import check_one_step
from symbolic_sgd.verify.witness import Witness

SOURCES = ("drift", "tangent_noise")
"""Terms whose compiled source is named by its SHA-256 in the certificate (cf. `sde.lambdify().source_hash`)."""

POINTS = 2
"""Random points of Γ at which everything is checked."""

CHECKS: tuple[tuple[str, Callable[[Witness], list[Check]]], ...] = (
    ("identities at random points of Γ", check_identities),
    ("the gradient flow and its derivatives", check_flow_road),
    ("one exact step of SGD", check_one_step),
)
"""(what it is called while it runs, how it is done): adding a check is adding a row."""


def verify(derivation: Derivation, rng: np.random.Generator, progress: Callable[[str], None]) -> Certificate:
    """Every check of the table, at random points of Γ; `progress` is told what is being done."""
    progress("random points of Γ")
    witness = Witness.of(derivation, rng, POINTS)
    problem = derivation.problem
    statement = {
        "loss": str(problem.loss),
        "parameters": [s.name for s in problem.parameters],
        "constants": [s.name for s in problem.constants],
        "noise": str(problem.noise),
        "codimension": derivation.codimension,
        "source": {name: lower([derivation.program.select(name)], problem.symbols).source_hash for name in SOURCES},
        "holds": "on all of Γ" if derivation.minor is None else "where the minor of the frame is not singular",
    }
    done: list[Check] = []
    for name, checks in CHECKS:
        progress(name)
        done.extend(checks(witness))
    return Certificate(statement, tuple(done))
