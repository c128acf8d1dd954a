"""The theorem for reshuffled samples, literally: SymPy's derivatives of σ, and w(λ) in eigenvectors, written without a sum.

Σ_{m≤n−2} (n − 1 − m)(1 − q)ᵐ = (nq − 1 + (1 − q)ⁿ)/q² for q = ηλ > 0, and n(n − 1)/2 for q = 0.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.by_sympy import DIGITS, BySymPy, precise
from symbolic_sgd.checks.fresh_points import Point
from symbolic_sgd.checks.literal import PRECISE, LiteralTerms, LiteralTheorem, number_at
from symbolic_sgd.checks.literal_noise import LITERAL
from symbolic_sgd.optimizers.random_reshuffling import RandomReshuffling


@dataclass(frozen=True)
class EpochsBySymPy(BySymPy):
    """A problem in SymPy's differentiation, with the derivative of its σ."""

    @cached_property
    def directions(self) -> list[list[sp.Symbol]]:
        """Symbols of v_1 … v_Ξ, D×Ξ."""
        return [[sp.Dummy(f"v{i}_{a}") for a in range(self._sigma.cols)] for i in range(self._sigma.rows)]

    @cached_property
    def noise_slope(self) -> Program:
        """Σ_a ∂σ_a v_a, as `moved`."""
        real, graph, sigma = self._stand_ins, Graph(), self._sigma
        moved = [
            sp.Add(
                *[
                    row[a] * sp.diff(sigma[i, a], s)
                    for s, row in zip(real.variables, self.directions, strict=True)
                    for a in range(sigma.cols)
                ]
            )
            for i in range(sigma.rows)
        ]
        return Program.of({"moved": Matrix.column(real.lift(e, graph) for e in moved)})

    @cached_property
    def _sigma(self) -> Any:
        real = self._stand_ins
        return sp.Matrix(LITERAL[type(self.problem.noise)](self.problem, real.gradient)).xreplace(dict(real.real))


@dataclass(frozen=True)
class LiteralEpochs(LiteralTheorem):
    """The theorem for reshuffled samples at points of Γ."""

    stated: EpochsBySymPy

    def terms(self, point: Point) -> LiteralTerms:
        with mp.workdps(DIGITS):
            found = super().terms(point)
            along = self._moved(point, self._led(point))
            return replace(
                found,
                noise_curvature_drift=-(found.tangent_projection * along),
                tangent_noise_compensation=0 * found.tangent_noise_compensation,
                descends_mean=True,
            )

    def diffusion(self, point: Point) -> PreciseMatrix:
        return self.terms(point).tangent_noise

    def float_terms(self, row: np.ndarray) -> LiteralTerms:
        return self.terms(self.onto(dict(zip(self.stated.problem.symbols, row.tolist(), strict=True)))).as_floats()

    def _led(self, point: Point) -> PreciseMatrix:
        """w(∇²L)σ."""
        optimizer = self.optimizer
        assert isinstance(optimizer, RandomReshuffling)
        sigma = self._sigma(point)
        if not optimizer.is_finite:
            return sigma / 2
        n, rate = optimizer.epoch, number_at(optimizer.rate, point)
        values, axes = PRECISE.eigenvectors(self._hessian(point))
        steep = range(len(values) - self.rank, len(values))
        weights = [_weight(n, rate * v) if k in steep else mp.mpf(1) / 2 for k, v in enumerate(values)]
        return axes * mp.diag(weights) * axes.T * sigma

    def _moved(self, point: Point, led: PreciseMatrix) -> PreciseMatrix:
        given = {s: led[i, a] for i, row in enumerate(self.stated.directions) for a, s in enumerate(row)}
        return precise(self.stated.noise_slope, dict(point) | given)["moved"]


def _weight(n: int, q: PreciseNumber) -> PreciseNumber:
    return (n * q - 1 + (1 - q) ** n) / (q**2 * n * (n - 1))
