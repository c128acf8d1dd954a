"""A problem in SymPy's own differentiation, not the engine's: derivatives of the loss, and the noise as its model states it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, as_written, from_sympy
from symbolic_sgd.checks.literal_noise import LITERAL
from symbolic_sgd.flow.loss_functions import loss_functions, symmetric_symbols
from symbolic_sgd.flow.numerics.state import SmoothLoss
from symbolic_sgd.problems.problem import Problem

DIGITS = 60


@dataclass(frozen=True)
class Contraction:
    """T[C] as a program.

    Args:
        program: its output `third` is D×1.
        directions: the symbols of C, symmetric.
    """

    program: Program
    directions: list[list[sp.Symbol]]


@dataclass(frozen=True)
class BySymPy:
    """Programs of what SymPy finds for a problem."""

    problem: Problem

    @cached_property
    def derivatives(self) -> Program:
        """∇L and ∇²L as SymPy writes them."""
        return self._second_order(lambda e, graph: as_written(e, {}, graph))

    def _second_order(self, read: Callable[[Any, Graph], Node]) -> Program:
        real, graph = self._stand_ins, Graph()
        slope = real.gradient(self.problem.loss)
        gradient = Matrix.column(read(real.in_own_symbols(e), graph) for e in slope)
        hessian = Matrix.of([read(real.in_own_symbols(sp.diff(e, s)), graph) for s in real.variables] for e in slope)
        return Program.of({"gradient": gradient, "hessian": hessian})

    @cached_property
    def third(self) -> Contraction:
        """T[C]."""
        real, graph = self._stand_ins, Graph()
        upper = symmetric_symbols(len(real.variables))
        curvature = sp.Add(
            *[
                c * sp.diff(e, s)
                for e, row in zip(real.gradient(self.problem.loss), upper, strict=True)
                for s, c in zip(real.variables, row, strict=True)
            ]
        )
        third = Matrix.column(real.lift(sp.diff(curvature, s), graph) for s in real.variables)
        return Contraction(Program.of({"third": third}), upper)

    @cached_property
    def smooth_loss(self) -> SmoothLoss:
        """∇L, ∇²L and T[C] as plain functions, in the forms that keep their digits."""
        second = self._second_order(from_sympy)
        gradient, hessian = (second.select(name) for name in ("gradient", "hessian"))
        return loss_functions(gradient, hessian, self.third.program, self.problem.symbols, self.third.directions)

    @cached_property
    def noise(self) -> Program:
        """σ off Γ and on it, as `noise_factor`, from what the noise model says of itself."""
        problem = self.problem
        literal = LITERAL.get(type(problem.noise))
        if literal is None:
            return Program.of({"noise_factor": problem.noise.columns(problem, problem.landscape()).factor})
        real, graph = self._stand_ins, Graph()
        sigma = literal(problem, real.gradient)
        entries = Matrix.of([real.lift(sigma[i, k], graph) for k in range(sigma.cols)] for i in range(sigma.rows))
        return Program.of({"noise_factor": entries})

    def function(self, expression: Expression) -> Program:
        """f and ∇f, as `value` and `gradient`, for an expression in the problem's symbols."""
        real, graph = self._stand_ins, Graph()
        gradient = Matrix.column(real.lift(e, graph) for e in real.gradient(expression))
        return Program.of({"value": Matrix.column([real.lift(expression, graph)]), "gradient": gradient})

    def twice(self, expression: Expression) -> Program:
        """f, ∇f and ∇²f, as `value`, `gradient` and `hessian`."""
        real, graph = self._stand_ins, Graph()
        slope = real.gradient(expression)
        hessian = Matrix.of([real.lift(sp.diff(e, s), graph) for s in real.variables] for e in slope)
        gradient = Matrix.column(real.lift(e, graph) for e in slope)
        value = Matrix.column([real.lift(expression, graph)])
        return Program.of({"value": value, "gradient": gradient, "hessian": hessian})

    @cached_property
    def _stand_ins(self) -> "StandIns":
        real = {s: sp.Symbol(s.name, real=True) for s in self.problem.symbols if s.is_real is None}
        own = {stand_in: s for s, stand_in in real.items()}
        return StandIns(tuple(real.get(s, s) for s in self.problem.parameters), real, own)


@dataclass(frozen=True)
class StandIns:
    """Real symbols in place of the user's, and the way back.

    Args:
        variables: x_1 … x_D.
        real: the user's symbol → stand-in.
        own: stand-in → the user's symbol.
    """

    variables: tuple[sp.Symbol, ...]
    real: Mapping[sp.Symbol, sp.Symbol]
    own: Mapping[sp.Symbol, sp.Symbol]

    def gradient(self, function: Expression) -> list[Expression]:
        """∇f in the stand-ins."""
        smooth: Expression = function.xreplace(self.real)
        return [sp.diff(smooth, s) for s in self.variables]

    def lift(self, expression: Any, graph: Graph) -> Node:
        """An expression in stand-ins, or in the user's symbols, as a node."""
        return from_sympy(self.in_own_symbols(expression), graph)

    def in_own_symbols(self, expression: Any) -> Expression:
        """An expression in stand-ins in the user's symbols."""
        # Away from its kinks, the second derivative of |x| is zero; SymPy writes it with Dirac's delta.
        return expression.replace(sp.DiracDelta, lambda *_: sp.Integer(0)).xreplace(self.own)


def precise(program: Program, point: Mapping[sp.Symbol, PreciseNumber]) -> dict[str, PreciseMatrix]:
    """Every output of a program at a point, to 60 digits."""
    with mp.workdps(DIGITS):
        values = program.run(PRECISE, point)
        return {
            o.name: mp.matrix([values[o.name][i * o.shape[1] : (i + 1) * o.shape[1]] for i in range(o.shape[0])])
            for o in program.outputs
        }
