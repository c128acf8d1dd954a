"""The theorem, literally: eigenvectors of ∇²L and derivatives by SymPy; no frame, no formula for an inverse.

With ∇²L = V diag(λ) Vᵀ on Γ, λ_a = 0 for the D − M tangent axes, and Σ = σσᵀ:

    ∂Φ = Σ_{λ_a = 0} v_a v_aᵀ,   H† = Σ_{λ_a > 0} v_a v_aᵀ/λ_a,   S = Σ_{λ_a, λ_b > 0} v_a (v_aᵀ Σ v_b) v_bᵀ/(λ_a + λ_b),
    b_∥ = −½ H† T[∂ΦΣ∂Φ],   b_⊥∥ = −∂Φ T[H†Σ∂Φ],   b_⊥ = −½ ∂Φ T[S],   A = ∂Φ σ.

For another optimizer k(λ_a, λ_b) takes the place of 1/(λ_a + λ_b), k(H, 0) that of H† beside Σ∂Φ, τΣ_∥ that of Σ_∥, and −∂Φg is
added; for SGD on samples S is the solution of its own linear equation.

Source: the theorem of Li, Wang and Arora (ICLR 2022), the mixed coefficient corrected from −½ to −1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.algebra.arithmetic import PRECISE as PRECISE_NUMBERS
from symbolic_sgd.algebra.arithmetic import PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.checks.by_sympy import DIGITS, BySymPy, Contraction, precise
from symbolic_sgd.checks.fresh_points import Point, shown
from symbolic_sgd.checks.literal_noise import literal_mean_slope
from symbolic_sgd.errors import Undecided
from symbolic_sgd.optimizers.kernel import A, B
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.theorem.derivation import PLAIN

STEP = 1e-15
"""Of central differences along Γ, relative to 1 + |x|: they err by its square, and rounding divided by it is far below."""

ITERATIONS = 24
"""Newton steps onto Γ at most."""

CLOSE = 1e-6
"""Length of a step, relative to 1 + |x|, after which ∇²L† need not be computed anew: each further step gains six digits."""

SETTLED = 10 - DIGITS
"""Decimal exponent of the last of them, relative to 1 + |x|."""


@dataclass(frozen=True)
class LiteralTerms:
    """The theorem at a point of Γ, in the names of the derivation's own terms: D×D, D×Ξ and D×1 matrices."""

    tangent_projection: Any
    hessian_pinv: Any
    lyapunov_solution: Any
    tangent_noise: Any
    tangent_noise_compensation: Any
    mixed_regularization: Any
    normal_regularization: Any
    imposed_drift: Any
    noise_curvature_drift: Any
    descends_mean: bool = False
    """Whether R is the potential of the noise-curvature drift, too: −∂Φ∇R₀ of a perturbed loss, what reshuffled samples add."""

    @property
    def regularization(self) -> Any:
        """b_⊥∥ + b_⊥, and −∂Φ∇R₀ of a perturbed loss."""
        own = self.mixed_regularization + self.normal_regularization
        return own + self.noise_curvature_drift if self.descends_mean else own

    @property
    def drift(self) -> Any:
        """b."""
        own = self.mixed_regularization + self.normal_regularization
        return self.tangent_noise_compensation + own + self.imposed_drift + self.noise_curvature_drift

    @property
    def matrices(self) -> dict[str, Any]:
        """Every term, by its name."""
        return {name: value for name, value in vars(self).items() if name != "descends_mean"}

    def as_floats(self) -> "LiteralTerms":
        """The same as arrays of float64."""
        return replace(self, **{name: np.array(m.tolist(), dtype=float) for name, m in self.matrices.items()})


@dataclass(frozen=True)
class Matrices:
    """One kind of matrix, of which `@`, `+` and `.T` are understood.

    Args:
        of: rows of numbers → a matrix.
        eigenvectors: a symmetric matrix → (λ_1 ≤ … ≤ λ_D, the matrix of columns v_a).
        solve: (A, b) ↦ A⁻¹b.
    """

    of: Callable[[list[list[Any]]], Any]
    eigenvectors: Callable[[Any], tuple[Any, Any]]
    solve: Callable[[Any, Any], Any]


PRECISE = Matrices(lambda rows: mp.matrix(rows), lambda h: mp.eigsy(h), lambda a, b: mp.lu_solve(a, b))
"""mpmath's, at the working precision of the thread."""

FLOAT64 = Matrices(np.array, np.linalg.eigh, np.linalg.solve)


@dataclass(frozen=True)
class LiteralResponse:
    """An optimizer in numbers, at a point.

    Args:
        kernel: k(a, b) of two curvatures, one of which may be 0.
        tangent_factor: τ.
        slow: g, D×1, of every drift −∂Φg, by the name of its term.
        samples: (η, b, the weights, the D×n matrix of a_i with H_i = a_i a_iᵀ), or None.
    """

    kernel: Callable[[Any, Any], Any] = lambda a, b: 1 / (a + b)
    tangent_factor: Any = 1
    slow: Mapping[str, Any] = field(default_factory=dict)
    samples: tuple[Any, int, Sequence[Any], Any] | None = None


def literal_terms(
    kind: Matrices,
    hessian: Any,
    sigma: Any,
    third: Callable[[Any], Any],
    rank: int,
    response: LiteralResponse = LiteralResponse(),
) -> LiteralTerms:
    """The formulas at the head of this file.

    Args:
        kind: of all matrices.
        hessian: ∇²L, D×D.
        sigma: σ, D×Ξ.
        third: B ↦ T[B] for symmetric B, D×1.
        rank: M.
        response: of the optimizer.
    """
    curvatures, axes = kind.eigenvectors(hessian)
    d, k = len(curvatures), response.kernel
    normal = range(d - rank, d)
    spectral = lambda weight: axes @ kind.of(_diagonal([weight(a) for a in range(d)])) @ axes.T  # noqa: E731
    projection = spectral(lambda a: 1 if a not in normal else 0)
    pinv = spectral(lambda a: 1 / curvatures[a] if a in normal else 0)
    covariance = sigma @ sigma.T
    turned = axes.T @ covariance @ axes
    if response.samples is None:
        weighted = [
            [turned[a, b] * k(curvatures[a], curvatures[b]) if a in normal and b in normal else 0 for b in range(d)]
            for a in range(d)
        ]
    else:
        weighted = _by_samples(kind, curvatures, axes, turned, normal, response.samples)
    solution = axes @ kind.of(weighted) @ axes.T
    across = spectral(lambda a: k(curvatures[a], 0) if a in normal else 0) @ covariance @ projection
    compensation = -(pinv @ third(projection @ covariance @ projection)) / 2
    nothing = 0 * compensation
    own = {name: -(projection @ field) for name, field in response.slow.items()}
    return LiteralTerms(
        tangent_projection=projection,
        hessian_pinv=pinv,
        lyapunov_solution=solution,
        tangent_noise=(projection @ sigma) * response.tangent_factor**0.5,
        tangent_noise_compensation=compensation * response.tangent_factor,
        mixed_regularization=-(projection @ third((across + across.T) / 2)),
        normal_regularization=-(projection @ third(solution)) / 2,
        imposed_drift=own.get("imposed_drift", nothing),
        noise_curvature_drift=own.get("noise_curvature_drift", nothing),
        descends_mean="noise_curvature_drift" in own,
    )


def _by_samples(
    kind: Matrices, curvatures: Any, axes: Any, turned: Any, normal: range, samples: tuple[Any, int, Sequence[Any], Any]
) -> list[list[Any]]:
    """S in the eigenvectors, with (λ_a + λ_b)S_ab − η Σ_i w_i c_ia c_ib (c_iᵀSc_i) = Σ_ab for the coordinates c_i of a_i.

    Two places of a batch of b of n equally likely samples are one with odds 1/b; else they hold two different samples, each two with
    equal odds, whose mean E_{i≠j}[H_iSH_j] is (n HSH − E[H_iSH_i])/(n − 1).
    """
    rate, size, weights, slopes = samples
    inner, places = axes.T @ slopes, [(a, b) for a in normal for b in normal]

    def entry(a: int, b: int, p: int, q: int) -> Any:
        once = sum(w * inner[a, i] * inner[b, i] * inner[p, i] * inner[q, i] for i, w in enumerate(weights))
        if size == 1:
            return once
        n, both = len(weights), curvatures[a] * curvatures[b] if (a, b) == (p, q) else 0
        return (once + (size - 1) * (n * both - once) / (n - 1)) / size

    rows = [
        [(curvatures[a] + curvatures[b] if (a, b) == (p, q) else 0) - rate * entry(a, b, p, q) for p, q in places]
        for a, b in places
    ]
    found = kind.solve(kind.of(rows), kind.of([[turned[a, b]] for a, b in places]))
    values = {place: found[n, 0] for n, place in enumerate(places)}
    d = range(len(curvatures))
    return [[values.get((a, b), 0) for b in d] for a in d]


def _diagonal(entries: list[Any]) -> list[list[Any]]:
    return [[a if i == j else 0 for j in range(len(entries))] for i, a in enumerate(entries)]


def number_at(expression: Any, point: Mapping[Any, Any]) -> PreciseNumber:
    """An expression at a point, at the working precision."""
    program = Program.of({"value": Matrix.column([from_sympy(expression, Graph())])})
    return program.run(PRECISE_NUMBERS, point)["value"][0]


@dataclass(frozen=True)
class LiteralTheorem:
    """The theorem at points of Γ, and how it changes along Γ, from the loss and the noise alone.

    Args:
        stated: the problem, in SymPy's derivatives.
        rank: M.
        optimizer: whose limit it is.
    """

    stated: BySymPy
    rank: int
    optimizer: Optimizer = PLAIN

    def terms(self, point: Point) -> LiteralTerms:
        """Every term at a point of Γ, to 60 digits."""
        with mp.workdps(DIGITS):
            return literal_terms(
                PRECISE,
                self._hessian(point),
                self._sigma(point),
                lambda b: self._third(point, b),
                self.rank,
                self._response(point),
            )

    def differential(self, point: Point) -> PreciseMatrix:
        """What −dR has to be along Γ: mixed + normal regularization, and −∂Φ∇R₀ of a perturbed loss, as a covector."""
        return self.terms(point).regularization

    def descended(self, point: Point, slope: PreciseMatrix) -> PreciseMatrix:
        """What mixed + normal regularization would be if ∇R were the slope."""
        return -(self.terms(point).tangent_projection @ slope)

    def _response(self, point: Point) -> LiteralResponse:
        """The optimizer at a point, in mpmath's numbers."""
        optimizer, problem = self.optimizer, self.stated.problem
        if optimizer == PLAIN:
            return LiteralResponse()
        drawn = problem.noise.samples(problem) if optimizer.is_finite else None
        samples = None
        if drawn is not None:
            slopes = [precise(self.stated.function(r), point)["gradient"] for r in problem.residuals]
            columns = mp.matrix([[slope[i] for slope in slopes] for i in range(problem.dimension)])
            weights = [mp.mpf(w.numerator) / w.denominator for w in drawn]
            samples = (number_at(optimizer.rate, point), problem.noise.batch(problem), weights, columns)
        kernel = optimizer.kernel
        assert kernel is not None, "maps have a literal theorem of their own"
        return LiteralResponse(
            kernel=lambda a, b: number_at(kernel.function(A, B), {**point, A: mp.mpf(a), B: mp.mpf(b)}),
            tangent_factor=number_at(optimizer.tangent_factor, point),
            slow={name: mp.matrix([number_at(g, point) for g in field]) for name, field in self._slow_fields.items()},
            samples=samples,
        )

    @cached_property
    def _slow_fields(self) -> dict[str, Sequence[Any]]:
        """g of every drift −∂Φg; ∇R₀ by SymPy from the perturbed loss."""
        optimizer, problem = self.optimizer, self.stated.problem
        found: dict[str, Sequence[Any]] = {}
        if optimizer.has_slow_field:
            found["imposed_drift"] = [optimizer.pace * g for g in optimizer.slow_field(problem)]
        if optimizer.mean_potential is not None:
            found["noise_curvature_drift"] = literal_mean_slope(problem)
        return found

    def diffusion(self, point: Point) -> PreciseMatrix:
        """∂Φ σ, D×Ξ."""
        with mp.workdps(DIGITS):
            _, axes = PRECISE.eigenvectors(self._hessian(point))
            normal, sigma = axes[:, axes.cols - self.rank :], self._sigma(point)
            root = mp.sqrt(number_at(self.optimizer.tangent_factor, point))
            return (sigma - normal @ (normal.T @ sigma)) * root

    def tangent_axes(self, point: Point) -> PreciseMatrix:
        """An orthonormal basis of the tangent space, D×(D − M)."""
        with mp.workdps(DIGITS):
            _, axes = PRECISE.eigenvectors(self._hessian(point))
            return axes[:, : axes.cols - self.rank]

    def float_terms(self, row: np.ndarray) -> LiteralTerms:
        """Every term at a row (a point of Γ, then the constants), in float64."""
        loss, symbols = self.stated.smooth_loss, self.stated.problem.symbols
        sigma = evaluate(self.stated.noise, symbols, row[None])["noise_factor"].reshape(loss.dimension, -1)
        third = lambda b: loss.third(row[None], b[None])[0][:, None]  # noqa: E731
        return literal_terms(FLOAT64, loss.hessian(row[None])[0], sigma, third, self.rank, self._float_response(row))

    def float_differential(self, row: np.ndarray) -> np.ndarray:
        """`differential` at a row, D×1, in float64."""
        return self.float_terms(row).regularization

    def _float_response(self, row: np.ndarray) -> LiteralResponse:
        """The same at a row, in float64."""
        if self.optimizer == PLAIN:
            return LiteralResponse()
        with mp.workdps(DIGITS):
            precise_response = self._response(dict(zip(self.stated.problem.symbols, map(mp.mpf, row), strict=True)))
        numbers = lambda m: np.array(m.tolist(), dtype=float)  # noqa: E731
        known, samples = dict(zip(self.stated.problem.symbols, row, strict=True)), precise_response.samples
        kernel = self.optimizer.kernel
        assert kernel is not None
        return LiteralResponse(
            kernel=lambda a, b: float(kernel.weight(float(a), float(b), known)),
            tangent_factor=float(precise_response.tangent_factor),
            slow={name: numbers(field) for name, field in precise_response.slow.items()},
            samples=None
            if samples is None
            else (float(samples[0]), samples[1], [float(w) for w in samples[2]], numbers(samples[3])),
        )

    def onto(self, point: Point) -> Point:
        """The foot on Γ of a point close by, by Newton steps −∇²L†∇L in which only the gradient is precise.

        Raises:
            Undecided: the steps do not lead to a zero of the gradient.
        """
        parameters = self.stated.problem.parameters
        with mp.workdps(DIGITS):
            here = {s: mp.mpf(a) for s, a in point.items()}
            extent, inverse, length = 1 + max(abs(here[s]) for s in parameters), None, mp.inf
            for _ in range(ITERATIONS):
                inverse = self._inverse(here) if length > CLOSE * extent else inverse
                step = inverse @ self._evaluated("gradient", here)
                here |= {s: here[s] - a for s, a in zip(parameters, step, strict=True)}
                length = max(map(abs, step))
                if length <= extent * mp.mpf(10) ** SETTLED:
                    break
            slope, steepest = self._evaluated("gradient", here), max(map(abs, self._hessian(here)))
            if length <= extent * mp.mpf(10) ** SETTLED and mp.norm(slope) <= steepest * extent * mp.mpf(10) ** (
                SETTLED + 5
            ):
                return here
        raise Undecided(
            f"Newton's method does not lead onto Γ to {-SETTLED} digits beside x = {shown(parameters, point)}"
        )

    def along(self, point: Point, direction: PreciseMatrix, field: Callable[[Point], PreciseMatrix]) -> PreciseMatrix:
        """The derivative of a field at a point of Γ in a tangent direction, by the central difference of its values on Γ."""
        parameters = self.stated.problem.parameters
        with mp.workdps(DIGITS):
            step = mp.mpf(STEP) * (1 + max(abs(point[s]) for s in parameters)) / mp.norm(direction)
            ahead, behind = (
                self.onto(dict(point) | {s: point[s] + h * a for s, a in zip(parameters, direction, strict=True)})
                for h in (step, -step)
            )
            return (field(ahead) - field(behind)) / (2 * step)

    def _inverse(self, point: Point) -> PreciseMatrix:
        """∇²L† on the M steepest axes, with the digits of float64."""
        curvature, axes = np.linalg.eigh(np.array(self._hessian(point).tolist(), dtype=float))
        normal, steep = axes[:, -self.rank :], curvature[-self.rank :]
        return mp.matrix((normal / steep @ normal.T).tolist())

    def _evaluated(self, name: str, point: Point) -> PreciseMatrix:
        return precise(self.stated.derivatives.select(name), point)[name]

    def _hessian(self, point: Point) -> PreciseMatrix:
        return self._evaluated("hessian", point)

    def _sigma(self, point: Point) -> PreciseMatrix:
        return precise(self.stated.noise, point)["noise_factor"]

    def _third(self, point: Point, b: PreciseMatrix) -> PreciseMatrix:
        return self._contracted(self.stated.third, point, b)

    def _contracted(self, contraction: Contraction, point: Point, b: PreciseMatrix) -> PreciseMatrix:
        entries = {c: b[i, j] for i, row in enumerate(contraction.directions) for j, c in enumerate(row) if j >= i}
        return precise(contraction.program, dict(point) | entries)["third"]
