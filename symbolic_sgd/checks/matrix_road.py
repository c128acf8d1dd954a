"""What computes by matrices against the theorem's own words, and against the gradient flow, at the size of large problems."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from symbolic_sgd.algebra.arithmetic import FLOAT64
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.checks.certificate import Check
from symbolic_sgd.checks.literal import LiteralTerms
from symbolic_sgd.checks.literal_matrices import IMAGINARY, STEP, LiteralMatrices
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import ExpressionTooLarge, OffManifold, SingularPoint, Undecided
from symbolic_sgd.numeric.callables import NumericFunctions
from symbolic_sgd.numeric.guard import check_points
from symbolic_sgd.numeric.matrix_arrays import HostArrays
from symbolic_sgd.numeric.matrix_terms import MatrixTerms
from symbolic_sgd.problems.noise import GradientNoise, KnownCovariance
from symbolic_sgd.theorem.derivation import PLAIN
from symbolic_sgd.theorem.matrix_stages import MatrixStages
from symbolic_sgd.theorem.response import PLAIN_RESPONSE
from symbolic_sgd.theorem.terms import DRIFT_TERMS, THEOREM

SPREAD = 0.3
"""Standard deviation of the steps to further points of Γ, relative to 1 + |x|."""

EIGENVALUE = 1e-9
"""Curvatures along Γ, relative to the largest, that count as zero."""

SHORTEST, DIRECTIONS, TIME = 0.02, 2, 18.0
"""Of flows: the length of the shifts, relative to 1 + |x|; how many directions; and how long they run, in 1/λ_M."""

STIFFEST = 300.0
"""λ₁/λ_M up to which the flow is integrated by explicit steps."""


@dataclass(frozen=True)
class MatrixRoad:
    """Each term of a large problem in float64 against a literal computation with the D×D Hessian.

    Args:
        points: of Γ, beside those of the derivation.
        tolerance: of the difference, beside the natural size of a term.
    """

    name: ClassVar[str] = "the theorem, literally, by D×D matrices"

    points: int = 2
    tolerance: float = 1e-9

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        derivation = witness.derivation
        literal = LiteralMatrices(derivation.stated, derivation.codimension, derivation.optimizer)
        rows = _points(witness, literal, rng, self.points)
        functions = NumericFunctions(derivation)
        predicted = {name: functions.term(name, rows) for name in THEOREM}
        worst: dict[str, Check] = {}
        for k, x in enumerate(rows):
            for check in self._at(literal, x, {name: value[k] for name, value in predicted.items()}, k, len(rows)):
                before = worst.setdefault(check.name, check)
                if not check.error <= before.error:
                    worst[check.name] = check
        return list(worst.values())

    def _at(
        self, literal: LiteralMatrices, x: np.ndarray, predicted: dict[str, np.ndarray], number: int, count: int
    ) -> Iterator[Check]:
        where = f"the worst of {count} points of Γ"
        curvature = np.linalg.eigvalsh(literal.hessian(x))
        rank = int((curvature > EIGENVALUE * curvature[-1]).sum())
        lowest = max(float(-curvature[0] / curvature[-1]), 0.0)
        yield Check(
            "rank ∇²L", literal.rank, rank, abs(rank - literal.rank) + lowest, EIGENVALUE,
            "measured" if rank == literal.rank and lowest <= EIGENVALUE else "failed", where,
        )  # fmt: skip
        fine, coarse = literal.terms(x), literal.terms(x, 2 * STEP)
        for name in THEOREM:
            observed, doubt = (np.asarray(getattr(terms, name), dtype=float) for terms in (fine, coarse))
            scale = _scale(name, fine, literal.noise(x), x)
            own = float(np.abs(observed - doubt).max() / scale)
            error = float(np.abs(predicted[name].reshape(observed.shape) - observed).max() / scale)
            verdict = verdict_of(error, own, self.tolerance)
            detail = f"{where} (number {number + 1}); the literal computation changes by {own:.1g} with its step"
            yield Check(f"literal: {name}", None, None, error, self.tolerance, verdict, detail)


@dataclass(frozen=True)
class MatrixFlows:
    """½∂²Φ[vvᵀ] by matrices against second differences of the integrated gradient flow, for random v.

    Args:
        tolerance: of the difference, beside |v|²/(1 + |x|).
    """

    name: ClassVar[str] = "second differences of the gradient flow"

    tolerance: float = 1e-5

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        derivation = witness.derivation
        stages = derivation.in_matrices
        assert stages is not None
        literal = LiteralMatrices(derivation.stated, derivation.codimension, derivation.optimizer)
        rows = _points(witness, literal, rng, 4)
        steep = [np.linalg.eigvalsh(literal.hessian(x))[-derivation.codimension :] for x in rows]
        x, curvature = min(zip(rows, steep, strict=True), key=lambda pair: pair[1][-1] / pair[1][0])
        if curvature[-1] > STIFFEST * curvature[0]:
            detail = f"λ₁/λ_M is at least {curvature[-1] / curvature[0]:.3g} at the points looked at, too stiff for explicit steps"
            return [Check("½∂²Φ[vvᵀ]", None, None, float("nan"), self.tolerance, "not run", detail)]
        return [
            self._along(stages, literal, x, rng.integers(-9, 10, len(x)) / 10, curvature[0], k)
            for k in range(DIRECTIONS)
        ]

    def _along(
        self, stages: MatrixStages, literal: LiteralMatrices, x: np.ndarray, v: np.ndarray, slowest: float, number: int
    ) -> Check:
        predicted = _second_derivative(stages, x, v)
        observed, own = _by_flow(literal, x, v, TIME / slowest)
        scale = float(v @ v / (1 + np.linalg.norm(x)))
        error = float(np.abs(predicted - observed).max() / scale)
        verdict = verdict_of(error, own / scale, self.tolerance)
        detail = f"for a random v; the differences are known to {own / scale:.1g}"
        return Check(f"½∂²Φ[vvᵀ], direction {number + 1}", None, None, error, self.tolerance, verdict, detail)


@dataclass(frozen=True)
class MatrixRegularizer:
    """mixed + normal regularization against −∂Φ∇R, with ∇R by complex steps, where R is known by the structure of the noise.

    Args:
        tolerance: of the difference, beside the natural size of a drift.
    """

    name: ClassVar[str] = "the regularizer"

    tolerance: float = 1e-9

    def __call__(self, witness: Witness, rng: np.random.Generator) -> list[Check]:
        derivation = witness.derivation
        if "mixed_regularization" not in derivation.zeros:
            return []
        try:
            claimed = witness.regularizer().expression
        except (ExpressionTooLarge, Undecided):
            return []
        assert claimed is not None
        literal = LiteralMatrices(derivation.stated, derivation.codimension, derivation.optimizer)
        program = Program.of({"R": Matrix.column([from_sympy(claimed, Graph())])})
        worst = Check("regularizer", None, None, 0.0, self.tolerance, "measured")
        for x in _points(witness, literal, rng, 2):
            stepped = x + 1j * IMAGINARY * np.eye(len(x))
            (column,) = program.run(FLOAT64, dict(zip(derivation.problem.parameters, stepped.T, strict=True)))["R"]
            slope = np.imag(np.broadcast_to(column, len(x))) / IMAGINARY
            terms, coarse = literal.terms(x), literal.terms(x, 2 * STEP)
            scale = _scale("drift", terms, literal.noise(x), x)
            own = float(np.abs(terms.regularization - coarse.regularization).max() / scale)
            error = float(np.abs(-terms.tangent_projection @ slope - terms.regularization[:, 0]).max() / scale)
            if not error <= worst.error:
                verdict = verdict_of(error, own, self.tolerance)
                worst = replace(
                    worst, error=error, verdict=verdict, detail="−∂Φ∇R, the worst of the points of Γ looked at"
                )
        return [worst]


def verdict_of(error: float, doubt: float, tolerance: float) -> str:
    """Measured where the error is small enough; failed where it is not, beyond the doubts of what it is held against."""
    if error <= tolerance:
        return "measured"
    return "failed" if error > 10 * doubt else "undecided"


def _points(witness: Witness, literal: LiteralMatrices, rng: np.random.Generator, further: int) -> np.ndarray:
    """Those of the derivation, and others that the callables accept."""
    derivation = witness.derivation
    known = np.array([[float(p[s]) for s in derivation.problem.parameters] for p in derivation.points])
    found = list[np.ndarray]()
    for _ in range(20 * further):
        base = known[rng.integers(len(known))]
        moved = base + SPREAD * (1 + np.linalg.norm(base) / np.sqrt(len(base))) * rng.standard_normal(len(base))
        x = literal.onto(moved)
        if x is None or len(found) == further:
            continue
        try:
            check_points(derivation, x[None])
        except (OffManifold, SingularPoint):
            continue
        found.append(x)
    return np.array([*known, *found])


def _scale(name: str, terms: LiteralTerms, noise: np.ndarray, x: np.ndarray) -> float:
    """The natural size of a term."""
    strength, stiff = np.abs(noise).max(), np.abs(terms.hessian_pinv).max()
    if name in ("tangent_projection", "hessian_pinv", "lyapunov_solution", "tangent_noise"):
        return float(
            {"tangent_projection": 1, "hessian_pinv": stiff, "tangent_noise": strength}.get(name, strength**2 * stiff)
        )
    parts = [np.abs(getattr(terms, part)).max() for part in DRIFT_TERMS]
    return float(max(*parts, strength**2 / (1 + np.linalg.norm(x))))


def _second_derivative(stages: MatrixStages, x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """½∂²Φ[vvᵀ], by the terms of noise with the one column v, for plain SGD: Φ is the limit of the gradient flow for every optimizer."""
    column = sp.Matrix([sp.Rational(Fraction(float(a)).limit_denominator(10)) for a in v])
    problem = replace(stages.problem, noise=GradientNoise(column))
    plain = replace(stages, problem=problem, known=KnownCovariance(), optimizer=PLAIN, response=PLAIN_RESPONSE)
    terms = MatrixTerms(plain, x[None], HostArrays())
    return sum((terms.term(name)[0] for name in DRIFT_TERMS), start=np.zeros_like(x))


def _by_flow(literal: LiteralMatrices, x: np.ndarray, v: np.ndarray, time: float) -> tuple[np.ndarray, float]:
    """½(Φ(x + hv) − 2x + Φ(x − hv))/h², extrapolated in h, and how much the extrapolation changes."""
    h = SHORTEST * (1 + np.linalg.norm(x)) / np.linalg.norm(v)
    parts = np.array([1.0, 0.5, 0.25])
    ahead, behind = np.split(_limits(literal, x + np.concatenate([parts, -parts])[:, None] * h * v, time), 2)
    a, b, c = (ahead - 2 * x + behind) / (2 * (parts * h) ** 2)[:, None]
    first, second = (4 * b - a) / 3, (4 * c - b) / 3
    best = (16 * second - first) / 15
    return best, float(np.abs(best - second).max())


def _limits(literal: LiteralMatrices, starts: np.ndarray, time: float) -> np.ndarray:
    """Φ of some points beside Γ: by the flow until the square of their distance to Γ is rounding, then by Newton's steps."""
    shape = starts.shape
    field = lambda t, y: -literal.gradient(y.reshape(shape)).ravel()  # noqa: E731
    flow = solve_ivp(field, (0, time), starts.ravel(), method="DOP853", rtol=1e-13, atol=1e-15)
    ends = [literal.onto(x) for x in flow.y[:, -1].reshape(shape)]
    return np.array([np.full(shape[1], np.nan) if x is None else x for x in ends])
