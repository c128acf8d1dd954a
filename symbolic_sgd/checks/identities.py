"""The algebraic identities of the theorem, at points of Γ to 50 digits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.checks.by_sympy import DIGITS
from symbolic_sgd.checks.certificate import Check
from symbolic_sgd.checks.literal_field import FieldBySymPy
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.sharpness import SharpnessDescent
from symbolic_sgd.theorem.derivation import PLAIN

TOLERANCE = 1e-40

Terms = Mapping[str, PreciseMatrix]

IDENTITIES: tuple[tuple[str, Callable[[Terms], PreciseMatrix], Callable[[Terms], PreciseMatrix]], ...] = (
    ("∇L = 0", lambda t: t["gradient"], lambda t: 0 * t["gradient"]),
    ("∂Φ ∂Φ = ∂Φ", lambda t: t["P"] * t["P"], lambda t: t["P"]),
    ("∂Φᵀ = ∂Φ", lambda t: t["P"].T, lambda t: t["P"]),
    ("∂Φ ∇²L = 0", lambda t: t["P"] * t["H"], lambda t: 0 * t["H"]),
    ("∇²L ∇²L† ∇²L = ∇²L", lambda t: t["H"] * t["H†"] * t["H"], lambda t: t["H"]),
    ("∇²L† ∇²L ∇²L† = ∇²L†", lambda t: t["H†"] * t["H"] * t["H†"], lambda t: t["H†"]),
    ("∇²L ∇²L† = I − ∂Φ", lambda t: t["H"] * t["H†"], lambda t: t["Q"]),
    ("∇²L S + S ∇²L = Σ_⊥", lambda t: t["H"] * t["S"] + t["S"] * t["H"], lambda t: t["Q"] * t["Σ"] * t["Q"]),
    ("(I − ∂Φ) S (I − ∂Φ) = S", lambda t: t["Q"] * t["S"] * t["Q"], lambda t: t["S"]),
    ("tangent noise = ∂Φ σ", lambda t: t["tangent_noise"], lambda t: t["P"] * t["σ"]),
    ("∂Φ·compensation = 0", lambda t: t["P"] * t["tangent_noise_compensation"], lambda t: 0 * t["drift"]),
    ("(I − ∂Φ)·mixed = 0", lambda t: t["Q"] * t["mixed_regularization"], lambda t: 0 * t["drift"]),
    ("(I − ∂Φ)·normal = 0", lambda t: t["Q"] * t["normal_regularization"], lambda t: 0 * t["drift"]),
    (
        "drift = sum of its terms",
        lambda t: t["tangent_noise_compensation"] + t["mixed_regularization"] + t["normal_regularization"],
        lambda t: t["drift"],
    ),
)
"""(name, left, right): adding an identity is adding a row."""

OF_PLAIN_SGD = ("∇²L S + S ∇²L = Σ_⊥", "tangent noise = ∂Φ σ", "drift = sum of its terms")
"""Those that other optimizers do not have."""

OF_OTHERS: tuple[tuple[str, Callable[[Terms], PreciseMatrix], Callable[[Terms], PreciseMatrix]], ...] = (
    (
        "covariance of the tangent noise = τ ∂Φ Σ ∂Φ",
        lambda t: t["tangent_noise"] * t["tangent_noise"].T,
        lambda t: t["τ"][0] * t["P"] * t["Σ"] * t["P"],
    ),
    (
        "drift = sum of its terms and of what is imposed",
        lambda t: (
            t["tangent_noise_compensation"]
            + t["mixed_regularization"]
            + t["normal_regularization"]
            + t.get("imposed_drift", 0 * t["drift"])
            + t.get("noise_curvature_drift", 0 * t["drift"])
        ),
        lambda t: t["drift"],
    ),
)
"""Those that they have instead; their S is held against its definition by `LiteralRoad`."""


OF_METRICS: tuple[tuple[str, Callable[[Terms], PreciseMatrix], Callable[[Terms], PreciseMatrix]], ...] = (
    ("∂Φ S_P∇²L = 0", lambda t: t["P"] * t["S_P"] * t["H"], lambda t: 0 * t["H"]),
    ("∂Φ S_P = S_P ∂Φᵀ", lambda t: t["P"] * t["S_P"], lambda t: t["S_P"] * t["P"].T),
    ("∇²L ∇²L† = ∇²L† ∇²L", lambda t: t["H"] * t["H†"], lambda t: t["H†"] * t["H"]),
    ("(I − ∂Φ) S (I − ∂Φ)ᵀ = S", lambda t: t["Q"] * t["S"] * t["Q"].T, lambda t: t["S"]),
    ("∂Φ·compensation = 0", lambda t: t["P"] * t["tangent_noise_compensation"], lambda t: 0 * t["drift"]),
    (
        "covariance of the tangent noise = ∂Φ W ∂Φᵀ",
        lambda t: t["tangent_noise"] * t["tangent_noise"].T,
        lambda t: t["P"] * t["S_P"] * t["Σ"] * t["S_P"] * t["P"].T,
    ),
)
"""Those that preconditioned steps have instead, with the noise W = S_PΣS_P of a step."""

OF_NOISE = ("covariance of the tangent noise = τ ∂Φ Σ ∂Φ",)
"""Those of optimizers that are moved by noise."""

OF_ORTHOGONAL = ("∂Φᵀ = ∂Φ", "∂Φ ∇²L = 0", "∇²L ∇²L† = I − ∂Φ")
"""Those that they do not have."""

OF_KERNELS = (
    "(I − ∂Φ) S (I − ∂Φ) = S",
    "∂Φ·compensation = 0",
    "covariance of the tangent noise = τ ∂Φ Σ ∂Φ",
)
"""Those that maps and preconditioned steps do not have, whose projections may be oblique."""


def identities(optimizer: Optimizer) -> tuple[tuple[str, Any, Any], ...]:
    """Those of an optimizer."""
    if optimizer == PLAIN:
        return IDENTITIES
    rows = (*(row for row in IDENTITIES if row[0] not in OF_PLAIN_SGD), *OF_OTHERS)
    if isinstance(optimizer, SharpnessDescent):
        return tuple(row for row in rows if row[0] not in OF_NOISE)
    if optimizer.in_metric:
        return (*(row for row in rows if row[0] not in (*OF_KERNELS, *OF_ORTHOGONAL)), *OF_METRICS)
    return tuple(row for row in rows if optimizer.follows_hessian or row[0] not in OF_KERNELS)


SCALES: dict[str, Callable[[Terms], PreciseNumber]] = {
    "∇L = 0": lambda t: _size(t["H"]) * t["extent"],
    "∂Φ ∇²L = 0": lambda t: _size(t["H"]),
    "∂Φ S_P∇²L = 0": lambda t: _size(t["S_P"]) * _size(t["H"]),
    "(I − ∂Φ) S (I − ∂Φ)ᵀ = S": lambda t: (t["noise"] * _size(t["S_P"])) ** 2 * _size(t["H†"]),
    "covariance of the tangent noise = ∂Φ W ∂Φᵀ": lambda t: (t["noise"] * _size(t["S_P"])) ** 2,
    "∂Φ·compensation = 0": lambda t: _drift_size(t),
    "(I − ∂Φ)·mixed = 0": lambda t: _drift_size(t),
    "(I − ∂Φ)·normal = 0": lambda t: _drift_size(t),
    "drift = sum of its terms": lambda t: _drift_size(t),
    "∇²L S + S ∇²L = Σ_⊥": lambda t: t["noise"] ** 2,
    "(I − ∂Φ) S (I − ∂Φ) = S": lambda t: t["noise"] ** 2 * _size(t["H†"]),
    "tangent noise = ∂Φ σ": lambda t: t["noise"],
    "covariance of the tangent noise = τ ∂Φ Σ ∂Φ": lambda t: t["noise"] ** 2,
    "drift = sum of its terms and of what is imposed": lambda t: _drift_size(t),
}
"""The natural size of both sides, where the sides themselves may vanish."""


def _size(matrix: PreciseMatrix) -> PreciseNumber:
    return max((abs(entry) for entry in matrix), default=mp.mpf(0))


def _drift_size(t: Terms) -> PreciseNumber:
    terms = [_size(t[name]) for name in ("tangent_noise_compensation", "mixed_regularization", "normal_regularization")]
    return max(*terms, t["noise"] ** 2 / t["extent"])


STRUCTURAL = ("∂Φᵀ = ∂Φ", "drift = sum of its terms")
"""Identities of the program's own outputs: where both sides are the same nodes, they are proved."""


@dataclass(frozen=True)
class Identities:
    """Each identity at every point; the error reported is the largest."""

    name: ClassVar[str] = "identities at random points of Γ"

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        proved = _proved(witness.derivation.program)
        with mp.workdps(DIGITS):
            at_points = [_terms(witness, point) for point in witness.points]
            rows = identities(witness.derivation.optimizer)
            checks = [_check(name, left, right, at_points) for name, left, right in rows]
        return [
            _as_proved(check) if check.name in proved and check.verdict == "measured" else check for check in checks
        ]


def _proved(program: Program) -> list[str]:
    """The structural identities that hold because both sides are the same computation."""
    outputs: dict[str, Any] = program.on(Graph())
    outputs |= {"P": outputs["tangent_projection"]}
    return [name for name, left, right in IDENTITIES if name in STRUCTURAL and left(outputs) == right(outputs)]


def _as_proved(check: Check) -> Check:
    return replace(check, verdict="proved", detail="both sides are one and the same computation")


def _terms(witness: Witness, point: Mapping[sp.Symbol, PreciseNumber]) -> dict[str, PreciseMatrix]:
    derivation = witness.derivation
    terms = witness.precise(derivation.program, point)
    terms |= witness.precise(witness.stated.derivatives, point) | witness.precise(witness.stated.noise, point)
    projection, sigma = terms["tangent_projection"], terms["noise_factor"]
    extent = 1 + max(abs(point[s]) for s in derivation.problem.parameters)
    factor = Matrix.column([from_sympy(derivation.optimizer.tangent_factor, Graph())])
    metric = witness.precise(witness.stated.metric, point) if isinstance(witness.stated, FieldBySymPy) else {}
    return terms | {
        **({"S_P": metric["metric"]} if metric else {}),
        "τ": witness.precise(Program.of({"τ": factor}), point)["τ"],
        "P": projection,
        "Q": mp.eye(projection.rows) - projection,
        "H": terms["hessian"],
        "H†": terms["hessian_pinv"],
        "S": terms["lyapunov_solution"],
        "σ": sigma,
        "Σ": sigma * sigma.T,
        "extent": extent,
        "noise": max(_size(sigma), witness.noise_size(point) * mp.mpf("1e-20")),  # σ may vanish on Γ
    }


def _check(
    name: str,
    left: Callable[[Terms], PreciseMatrix],
    right: Callable[[Terms], PreciseMatrix],
    at_points: list[dict[str, PreciseMatrix]],
) -> Check:
    worst = mp.mpf(0)
    for terms in at_points:
        difference = _size(left(terms) - right(terms))
        size = SCALES[name](terms) if name in SCALES else _size(right(terms))
        worst = max(worst, difference / size if size else difference)
    error = float(worst)
    verdict = "measured" if error <= TOLERANCE else "failed"
    return Check(
        name, 0.0, error, error, TOLERANCE, verdict, f"largest of {len(at_points)} points of Γ, {DIGITS} digits"
    )
