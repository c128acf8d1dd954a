"""What the checks are held against: the loss and its derivatives by SymPy's own differentiation, points of Γ, the noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.regular_point import kernel
from symbolic_sgd.algebra.translation import Expression, as_written, from_sympy
from symbolic_sgd.derive.derivation import Derivation
from symbolic_sgd.derive.walk import wander
from symbolic_sgd.flow.loss_functions import loss_functions, symmetric_symbols
from symbolic_sgd.problems.law import NoiseLaw, noise_law
from symbolic_sgd.simulate.flow_state import SmoothLoss

DIGITS = 60


@dataclass(frozen=True)
class Witness:
    """A derivation with the independent knowledge it is tested against.

    Args:
        derivation: what is tested.
        points: random points of Γ (symbol → value to 100 digits).
    """

    derivation: Derivation
    points: tuple[Mapping[sp.Symbol, PreciseNumber], ...]

    @staticmethod
    def of(derivation: Derivation, rng: np.random.Generator, count: int) -> "Witness":
        points = wander(derivation.problem, derivation.codimension, derivation.points, rng, count)
        return Witness(derivation, tuple(points))

    @cached_property
    def derivatives(self) -> Program:
        """∇L and ∇²L as SymPy differentiates and writes them, not as the engine does."""
        return self._second_order(lambda e, graph: as_written(e, {}, graph))

    @cached_property
    def smooth_loss(self) -> SmoothLoss:
        """∇L, ∇²L and T[C] as plain functions, all by SymPy's differentiation, in the forms that keep their digits."""
        real, symbols = self._differentiation, self.derivation.problem.symbols
        upper = symmetric_symbols(len(real.variables))
        slope = [sp.diff(real.loss, s) for s in real.variables]
        curvature = sp.Add(
            *[
                c * sp.diff(e, s)
                for e, row in zip(slope, upper, strict=True)
                for s, c in zip(real.variables, row, strict=True)
            ]
        )
        graph = Graph()
        third = Matrix.column(from_sympy(real.lift(sp.diff(curvature, s)), graph) for s in real.variables)
        second = self._second_order(from_sympy)
        outputs = {name: second.select(name) for name in ("gradient", "hessian")}
        return loss_functions(outputs["gradient"], outputs["hessian"], Program.of({"third": third}), symbols, upper)

    def _second_order(self, read: Callable[[Any, Graph], Node]) -> Program:
        real, graph = self._differentiation, Graph()
        slope = [sp.diff(real.loss, s) for s in real.variables]
        gradient = Matrix.column(read(real.lift(e), graph) for e in slope)
        hessian = Matrix.of([read(real.lift(sp.diff(e, s)), graph) for s in real.variables] for e in slope)
        return Program.of({"gradient": gradient, "hessian": hessian})

    @cached_property
    def _differentiation(self) -> "_Differentiation":
        problem = self.derivation.stated
        real = {s: sp.Symbol(s.name, real=True) for s in problem.symbols if s.is_real is None}
        own = {stand_in: s for s, stand_in in real.items()}
        loss: Expression = problem.loss.xreplace(real)
        return _Differentiation(loss, tuple(real.get(s, s) for s in problem.parameters), own)

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

    def tangent(self, point: Mapping[sp.Symbol, PreciseNumber]) -> np.ndarray:
        """An orthonormal basis of the kernel of ∇²L at a point of Γ, D×(D−M)."""
        return kernel(self.precise(self.derivatives.select("hessian"), point)["hessian"], self.derivation.codimension)

    @cached_property
    def law(self) -> NoiseLaw:
        """How SGD draws its noise."""
        return noise_law(self.derivation.stated)

    @cached_property
    def covariance(self) -> Program:
        """σ off Γ and on it, as the problem states it."""
        problem = self.derivation.stated
        return Program.of({"noise_factor": problem.noise.columns(problem, problem.landscape()).factor})

    def noise_factor(self, point: Mapping[sp.Symbol, PreciseNumber]) -> np.ndarray:
        """σ at a point in float64; what is beyond the digits of the point is zero."""
        sigma = np.array(self.precise(self.covariance, point)["noise_factor"].tolist(), dtype=float)
        sigma[np.abs(sigma) < 1e-30 * self.noise_size(point)] = 0
        return sigma

    def noise_size(self, point: Mapping[sp.Symbol, PreciseNumber]) -> float:
        """The typical size of σ around a point, off Γ: what is far below it on Γ is zero there."""
        problem = self.derivation.problem
        x = np.array([float(point[s]) for s in problem.symbols])
        around = np.tile(x, (16, 1))
        shift = np.random.default_rng(0).standard_normal((16, problem.dimension))
        around[:, : problem.dimension] += 0.1 * (1 + np.abs(x).max()) * shift
        values = np.abs(evaluate(self.covariance, problem.symbols, around)["noise_factor"])
        finite = values[np.isfinite(values)]
        return float(finite.max(initial=0.0))

    def precise(self, program: Program, point: Mapping[sp.Symbol, PreciseNumber]) -> dict[str, PreciseMatrix]:
        """Every output of a program at a point, to 60 digits."""
        with mp.workdps(DIGITS):
            values = program.run(PRECISE, point)
            return {
                o.name: mp.matrix([values[o.name][i * o.shape[1] : (i + 1) * o.shape[1]] for i in range(o.shape[0])])
                for o in program.outputs
            }


@dataclass(frozen=True)
class _Differentiation:
    """The loss in real stand-ins for the user's symbols, and the way back.

    Args:
        loss: L.
        variables: x_1 … x_D.
        own: stand-in → the user's symbol.
    """

    loss: Expression
    variables: tuple[sp.Symbol, ...]
    own: Mapping[sp.Symbol, sp.Symbol]

    def lift(self, expression: Any) -> Expression:
        """A derivative in the user's symbols."""
        # Away from its kinks, the second derivative of |x| is zero; SymPy writes it with Dirac's delta.
        return expression.replace(sp.DiracDelta, lambda *_: sp.Integer(0)).xreplace(self.own)
