"""What the checks are held against: the loss and its derivatives by SymPy's own differentiation, points of Γ, the noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.derive.derivation import Derivation
from symbolic_sgd.derive.walk import wander
from symbolic_sgd.export.callables import evaluate
from symbolic_sgd.problems.law import NoiseLaw, noise_law

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
        """∇L and ∇²L as SymPy differentiates them, not as the engine does."""
        problem, graph = self.derivation.problem, Graph()
        real = {s: sp.Symbol(s.name, real=True) for s in problem.symbols if s.is_real is None}
        own = {stand_in: s for s, stand_in in real.items()}
        variables = [real.get(s, s) for s in problem.parameters]

        def lift(expression: Any) -> Node:
            # Away from its kinks, the second derivative of |x| is zero; SymPy writes it with Dirac's delta.
            return from_sympy(expression.replace(sp.DiracDelta, lambda *_: sp.Integer(0)).xreplace(own), graph)

        slope = [sp.diff(problem.loss.xreplace(real), s) for s in variables]
        gradient = Matrix.column(lift(e) for e in slope)
        hessian = Matrix.of([lift(sp.diff(e, s)) for s in variables] for e in slope)
        return Program.of({"gradient": gradient, "hessian": hessian})

    @cached_property
    def law(self) -> NoiseLaw:
        """How SGD draws its noise."""
        return noise_law(self.derivation.problem)

    @cached_property
    def covariance(self) -> Program:
        """σ off Γ and on it, as the problem states it."""
        problem = self.derivation.problem
        return Program.of({"noise_factor": problem.noise.columns(problem, problem.landscape()).factor})

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
        with mpmath.workdps(DIGITS):
            values = program.run(PRECISE, point)
            return {
                o.name: mpmath.matrix(
                    [values[o.name][i * o.shape[1] : (i + 1) * o.shape[1]] for i in range(o.shape[0])]
                )
                for o in program.outputs
            }

    def floats(self, program: Program, name: str, points: np.ndarray, constants: np.ndarray) -> np.ndarray:
        """One output of a program at B points of float64, B×entries."""
        rows = np.concatenate([points, np.broadcast_to(constants, (len(points), len(constants)))], axis=1)
        return evaluate(program, self.derivation.problem.symbols, rows)[name]
