"""The theorem for a map, literally: SymPy's derivatives of the map, powers of its linear part, no frame and no closed form.

    P = lim Bⁿ,   A^# = (I − B + P)⁻¹ − P,   C = Σ_n (B − P)ⁿ QΣQᵀ (B − P)ⁿᵀ,

in the coordinates (x, m − ι(x)) of the state, the sums and the limit by squaring.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseMatrix
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.by_sympy import DIGITS, BySymPy, StandIns, precise
from symbolic_sgd.checks.fresh_points import Point
from symbolic_sgd.checks.literal import PRECISE as BY_MPMATH
from symbolic_sgd.checks.literal import LiteralTerms, LiteralTheorem
from symbolic_sgd.errors import Undecided
from symbolic_sgd.optimizers.iterated_map import IteratedMap

SQUARINGS = 40
"""Of B − P, until nothing of it is left: multipliers up to 1 − 10⁻¹⁰."""


@dataclass(frozen=True)
class MapBySymPy(BySymPy):
    """A problem in SymPy's differentiation, its noise being that of a map."""

    optimizer: IteratedMap

    @cached_property
    def noise(self) -> Program:
        """G_ξ V^{1/2} at rest, N×q, as `noise_factor`."""
        driven = self._at_rest(self._update.jacobian(self._real(self.draws))) * self.optimizer.factor
        return Program.of({"noise_factor": self._nodes(driven, Graph())})

    @cached_property
    def step(self) -> Program:
        """G(z, ξ) + weight·g(z), as `state`."""
        return Program.of({"state": self._nodes(self._update, Graph())})

    @cached_property
    def rest(self) -> Program:
        """G(z, 0), as `state`."""
        return Program.of({"state": self._nodes(self._update.xreplace(self._still), Graph())})

    @cached_property
    def memory(self) -> tuple[sp.Symbol, ...]:
        """The symbols of m − ι(x)."""
        return tuple(sp.Dummy(f"m{k}") for k in range(len(self.optimizer.state) - self.problem.dimension))

    @cached_property
    def weight(self) -> sp.Symbol:
        """Of the slow drift."""
        return sp.Dummy("weight")

    @property
    def draws(self) -> tuple[sp.Symbol, ...]:
        """ξ."""
        return self.optimizer.noise

    @property
    def state(self) -> tuple[sp.Symbol, ...]:
        """z."""
        return (*self.problem.parameters, *self.memory)

    @cached_property
    def program(self) -> Program:
        """Everything that the theorem needs of the map, as functions of x ∈ Γ; of G″ the rows are ∂∂G_1, ∂∂G_2, …"""
        z, xi = self._real(self.state), self._real(self.draws)
        bent = [sp.hessian(g, xi) for g in self._update]
        parts = {
            "slope": self._update.jacobian(z),
            "second": sp.Matrix.vstack(*(sp.hessian(g, z) for g in self._update)),
            "bent": sp.Matrix([(h * self.optimizer.factor * self.optimizer.factor.T).trace() for h in bent]),
            "slow": self._update.diff(*self._real([self.weight])),
        }
        graph = Graph()
        return Program.of({name: self._nodes(self._at_rest(m), graph) for name, m in parts.items()})

    @cached_property
    def _in_place(self) -> StandIns:
        """Real symbols in the place of all others than real ones: of those SymPy would differentiate |x| by parts."""
        every = (*self.problem.symbols, *self.memory, *self.draws, self.weight)
        real = {s: sp.Dummy(s.name, real=True) for s in every if s.is_real is None}
        return StandIns((), real, {stand_in: s for s, stand_in in real.items()})

    def _real(self, symbols: Sequence[sp.Symbol]) -> list[Any]:
        return [self._in_place.real.get(s, s) for s in symbols]

    @cached_property
    def _update(self) -> Any:
        """G + weight·g in real symbols, N×1."""
        return sp.Matrix(self.optimizer.centred(self.problem, self.memory, self.weight)).xreplace(self._in_place.real)

    @property
    def _still(self) -> dict[Any, Any]:
        return dict.fromkeys(self._real([*self.draws, self.weight]), sp.S.Zero)

    def _at_rest(self, matrix: Any) -> Any:
        """Without memory, noise and slow drift."""
        return matrix.xreplace(self._still | dict.fromkeys(self._real(self.memory), sp.S.Zero))

    def _nodes(self, matrix: Any, graph: Graph) -> Matrix:
        lift = self._in_place.lift
        return Matrix.of([lift(matrix[i, j], graph) for j in range(matrix.cols)] for i in range(matrix.rows))


@dataclass(frozen=True)
class LiteralMap(LiteralTheorem):
    """The theorem for a map at points of Γ, by the formulas at the head of this file."""

    stated: MapBySymPy

    def terms(self, point: Point) -> LiteralTerms:
        with mp.workdps(DIGITS):
            d, parts = self.stated.problem.dimension, self._parts(point)
            slope, n = parts["slope"], parts["slope"].rows
            second = [parts["second"][i * n : (i + 1) * n, :] for i in range(n)]
            apply = lambda b: mp.matrix([sum(h[i, j] * b[i, j] for i in range(n) for j in range(n)) for h in second])  # noqa: E731
            projection = self._limit(slope)
            rest, group = mp.eye(n) - projection, mp.inverse(mp.eye(n) - slope + projection) - projection
            sigma = self._sigma(point)
            along, across = projection * sigma, rest * sigma
            crossed = group * across * along.T
            stationary = _summed(slope - projection, across * across.T)
            x = lambda matrix: matrix[:d, :]  # noqa: E731
            curved = x(projection * parts["bent"]) / 2
            curvatures, axes = BY_MPMATH.eigenvectors(self._hessian(point))
            steep = range(d - self.rank, d)
            spectral = lambda w: axes * mp.diag([w(a) for a in range(d)]) * axes.T  # noqa: E731
            return LiteralTerms(
                tangent_projection=spectral(lambda a: 0 if a in steep else 1),
                hessian_pinv=spectral(lambda a: 1 / curvatures[a] if a in steep else 0),
                lyapunov_solution=stationary[:d, :d],
                tangent_noise=x(along),
                tangent_noise_compensation=x(group * apply(along * along.T)) / 2,
                mixed_regularization=x(projection * apply((crossed + crossed.T) / 2)),
                normal_regularization=x(projection * apply(stationary)) / 2,
                imposed_drift=x(projection * parts["slow"]),
                noise_curvature_drift=curved,
            )

    def diffusion(self, point: Point) -> PreciseMatrix:
        with mp.workdps(DIGITS):
            projection = self._limit(self._parts(point)["slope"])
            return (projection * self._sigma(point))[: self.stated.problem.dimension, :]

    def float_terms(self, row: np.ndarray) -> LiteralTerms:
        # Beside Γ, by no more than a rounding, no power of ∂G would settle.
        terms = self.terms(self.onto(dict(zip(self.stated.problem.symbols, row.tolist(), strict=True))))
        return terms.as_floats()

    def _parts(self, point: Point) -> dict[str, PreciseMatrix]:
        return precise(self.stated.program, point)

    def _limit(self, slope: PreciseMatrix) -> PreciseMatrix:
        """P = lim Bⁿ."""
        power = slope
        for _ in range(SQUARINGS):
            squared = power * power
            if mp.norm(squared - power, mp.inf) <= mp.mpf(10) ** (SQUARINGS / 3 - DIGITS):
                return squared
            power = squared
        raise Undecided("powers of ∂G do not settle: the map does not contract across Γ")


def _summed(inner: PreciseMatrix, right: PreciseMatrix) -> PreciseMatrix:
    """Σ_n BⁿVBⁿᵀ by squaring."""
    total, power = right, inner
    for _ in range(SQUARINGS):
        more = power * total * power.T
        total = total + more
        if mp.norm(more, mp.inf) <= mp.norm(total, mp.inf) * mp.mpf(10) ** -DIGITS:
            return total
        power = power * power
    raise Undecided("second moments do not settle: the map does not contract across Γ")
