"""What the checks are held against: the loss and the noise in SymPy's derivatives, and points of Γ."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symbolic_sgd.algebra.arithmetic import PreciseMatrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.checks.by_sympy import BySymPy, precise
from symbolic_sgd.checks.fresh_points import Point, accepted, farthest, floats, fresh_points
from symbolic_sgd.checks.literal import LiteralTheorem
from symbolic_sgd.checks.literal_epochs import EpochsBySymPy, LiteralEpochs
from symbolic_sgd.checks.literal_field import FieldBySymPy, LiteralField
from symbolic_sgd.checks.literal_map import LiteralMap, MapBySymPy
from symbolic_sgd.checks.literal_sharpness import LiteralSharpness
from symbolic_sgd.checks.stationary_points import StationaryPoints, stationary_points
from symbolic_sgd.errors import Undecided
from symbolic_sgd.flow.numerics.state import SmoothLoss
from symbolic_sgd.optimizers.iterated_map import IteratedMap
from symbolic_sgd.optimizers.random_reshuffling import RandomReshuffling
from symbolic_sgd.optimizers.sharpness import SharpnessDescent
from symbolic_sgd.problems.law import NoiseLaw, noise_law
from symbolic_sgd.regular_point import kernel
from symbolic_sgd.regularizer.regularizer import Regularizer, find_regularizer
from symbolic_sgd.theorem.derivation import Derivation

ELSEWHERE = 6
"""Points of Γ, far from each other, at which formulas are compared beside the random ones."""


@dataclass(frozen=True)
class Witness:
    """A derivation with the independent knowledge it is tested against.

    Args:
        derivation: what is tested.
        points: random points of Γ (symbol → value to 100 digits).
        entropy: from which the starts are drawn that lead to Γ elsewhere.
        regularizer: what is claimed of the regularizer; it may have to be searched for.
    """

    derivation: Derivation
    points: tuple[Point, ...]
    entropy: int
    regularizer: Callable[[], Regularizer]

    @staticmethod
    def of(
        derivation: Derivation,
        rng: np.random.Generator,
        count: int,
        regularizer: Callable[[], Regularizer] | None = None,
    ) -> "Witness":
        """With so many random points; the regularizer is that of `find_regularizer` unless another is to be tested."""
        points = fresh_points(derivation, rng, count) if derivation.in_matrices is None else derivation.points
        claimed = regularizer or (lambda: find_regularizer(derivation))
        return Witness(derivation, points, int(rng.integers(2**62)), claimed)

    @cached_property
    def stated(self) -> BySymPy:
        """The problem in SymPy's derivatives."""
        optimizer, problem = self.derivation.optimizer, self.derivation.stated
        if isinstance(optimizer, IteratedMap):
            return MapBySymPy(problem, optimizer)
        if isinstance(optimizer, RandomReshuffling):
            return EpochsBySymPy(problem)
        return FieldBySymPy(problem, optimizer) if optimizer.in_metric else BySymPy(problem)

    @cached_property
    def literal(self) -> LiteralTheorem:
        """The theorem without a formula of the derivation's."""
        stated, rank, optimizer = self.stated, self.derivation.codimension, self.derivation.optimizer
        if isinstance(stated, MapBySymPy):
            return LiteralMap(stated, rank, optimizer)
        if isinstance(stated, FieldBySymPy):
            return LiteralField(stated, rank, optimizer)
        if isinstance(stated, EpochsBySymPy):
            return LiteralEpochs(stated, rank, optimizer)
        kind = LiteralSharpness if isinstance(optimizer, SharpnessDescent) else LiteralTheorem
        return kind(stated, rank, optimizer)

    @property
    def smooth_loss(self) -> SmoothLoss:
        """∇L, ∇²L and T[C] as plain functions, all by SymPy's differentiation."""
        return self.stated.smooth_loss

    @cached_property
    def stationary(self) -> StationaryPoints:
        """Where ∇L = 0, near and far."""
        known = np.array([floats(self.derivation.problem.symbols, point) for point in self.derivation.points])
        rng = np.random.default_rng(self.entropy)
        return stationary_points(self.derivation.problem, self.smooth_loss, self.derivation.codimension, known, rng)

    @cached_property
    def elsewhere(self) -> tuple[Point, ...]:
        """Points of Γ, near and far and in all of its parts found, which the callables take; to 60 digits."""
        rows = [row for row in self.stationary.minimizers if accepted(self.derivation, row)]
        symbols = self.derivation.problem.symbols
        known = np.array([floats(symbols, point) for point in self.points])
        found = []
        for row in farthest(np.array(rows).reshape(-1, len(symbols)), known, ELSEWHERE):
            try:
                found.append(self.literal.onto(dict(zip(symbols, row.tolist(), strict=True))))
            except Undecided:
                continue
        return tuple(found)

    def length(self, row: np.ndarray) -> float:
        """|H|/|∂H| at a point (parameters, then constants), the distance over which H changes by as much as itself, at
        most 1 + |x|."""
        d = self.derivation.problem.dimension
        step = 1e-5 * (np.abs(row[:d]).max() or 1.0)
        around = np.tile(row, (2 * d + 1, 1))
        around[1:, :d] += step * np.concatenate([np.eye(d), -np.eye(d)])
        curvature = self.smooth_loss.hessian(around)
        change = np.abs(curvature[1 : d + 1] - curvature[d + 1 :]).max() / (2 * step)
        extent = 1 + np.linalg.norm(row[:d])
        return float(min(extent, np.abs(curvature[0]).max() / change if change > 0 else extent))

    def tangent(self, point: Point) -> np.ndarray:
        """An orthonormal basis of the kernel of ∇²L at a point of Γ, D×(D−M)."""
        return kernel(precise(self.stated.derivatives.select("hessian"), point)["hessian"], self.derivation.codimension)

    @cached_property
    def law(self) -> NoiseLaw:
        """How SGD draws its noise."""
        return noise_law(self.derivation.stated)

    def noise_factor(self, point: Point) -> np.ndarray:
        """σ at a point in float64; what is beyond the digits of the point is zero."""
        sigma = np.array(precise(self.stated.noise, point)["noise_factor"].tolist(), dtype=float)
        sigma[np.abs(sigma) < 1e-30 * self.noise_size(point)] = 0
        return sigma

    def noise_size(self, point: Point) -> float:
        """The typical size of σ around a point, off Γ: what is far below it on Γ is zero there."""
        problem = self.derivation.problem
        x = floats(problem.symbols, point)
        around = np.tile(x, (16, 1))
        shift = np.random.default_rng(0).standard_normal((16, problem.dimension))
        around[:, : problem.dimension] += 0.1 * (1 + np.abs(x).max()) * shift
        values = np.abs(evaluate(self.stated.noise, problem.symbols, around)["noise_factor"])
        finite = values[np.isfinite(values)]
        return float(finite.max(initial=0.0))

    def precise(self, program: Program, point: Point) -> dict[str, PreciseMatrix]:
        """Every output of a program at a point, to 60 digits."""
        return precise(program, point)

    def terms(self, point: Point) -> dict[str, np.ndarray]:
        """What the formulas say at a point, in float64."""
        values = self.precise(self.derivation.program, point)
        return {name: np.array(matrix.tolist(), dtype=float) for name, matrix in values.items()}
