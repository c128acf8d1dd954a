"""Mirror descent: the step is made in the dual coordinates y = ∇ψ(x)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.errors import BadInput, NoClosedForm
from symbolic_sgd.optimizers.kernel import Kernel
from symbolic_sgd.optimizers.optimizer import (
    DualCoordinates,
    Forces,
    Iteration,
    Optimizer,
    check_without_jumps,
    stated_rate,
)
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.symbols import check_expression

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class MirrorDescent(Optimizer):
    """∇ψ(x⁺) = ∇ψ(x) − η(∇L + noise) for a convex potential ψ.

    With S = (∇²ψ)⁻¹ and x″[B]_k = −Σ S_ka ψ‴_abc (SBS)_bc, the second derivative of x(y), it is preconditioned SGD but for what the step
    bends: per t = kη² (kη²ε² where the learning rate stays)

        drift = −½J^#F″[PWPᵀ] − PF″[J^#(I−P)WPᵀ] − ½P(F″[C] − η x″[HCH]) + ½P x″[Σ],

    J = SH, F = S∇L, W = SΣS, and C is the stationary covariance in the metric S⁻¹.

    Args:
        potential: ψ, an expression in the parameters and the constants of the problem.
        learning_rate: η; None where it tends to 0 (then the term with η is not there).

    Raises:
        BadInput: something that is no expression, or jumps.

    >>> x = sp.Symbol("x", positive=True)
    >>> MirrorDescent(x*sp.log(x), learning_rate=0.5).edge
    4
    """

    label: ClassVar[str] = "mirror descent"
    in_metric: ClassVar[bool] = True

    potential: Any
    learning_rate: Any = None

    def __post_init__(self) -> None:
        own = object.__setattr__
        if not isinstance(self.potential, sp.Expr):
            raise BadInput(f"potential is a {type(self.potential).__name__}; give a SymPy expression in the parameters")
        stated: Any = self.potential
        check_expression(stated, tuple(stated.free_symbols), where="potential")
        check_without_jumps(self.potential, "potential")
        own(self, "learning_rate", stated_rate(self.learning_rate))

    @property
    def kernel(self) -> Kernel:
        return SGD(self.learning_rate).kernel

    @property
    def edge(self) -> Expression | None:
        return SGD(self.learning_rate).edge

    @property
    def curves_noise(self) -> bool:
        return True

    @property
    def equation(self) -> str:
        return r"\nabla\psi(x_{k+1}) = \nabla\psi(x_k) - \eta\,(\nabla L(x_k) + \text{noise})"

    @property
    def stated_equation(self) -> str:
        return rf"{super().stated_equation}, \quad \psi = {sp.latex(self.potential)}"

    @property
    def iteration(self) -> Iteration:
        raise NotImplementedError("the potential is written in the parameters of a problem")

    @property
    def local_steps(self) -> int:
        return 1

    def check(self, problem: "Problem") -> None:
        check_expression(self.potential, (*problem.symbols, *self.own_symbols), where="potential")
        try:
            singular = self._hessian(problem).det() == 0
        except ZeroDivisionError:
            singular = True
        if singular:
            raise BadInput("potential: ∇²ψ is singular everywhere; let ψ be strictly convex in every parameter")

    def metric(self, problem: "Problem") -> SymbolicMatrix:
        hessian = self._hessian(problem)
        if hessian.is_diagonal():
            return sp.ImmutableDenseMatrix(sp.diag(*[1 / entry for entry in hessian.diagonal()]))
        return sp.ImmutableDenseMatrix(hessian.inv())

    def potential_bends(self, problem: "Problem") -> list[SymbolicMatrix]:
        """(∂_a∇²ψ)_a."""
        hessian = self._hessian(problem)
        return [hessian.diff(s) for s in problem.parameters]

    def _hessian(self, problem: "Problem") -> Any:
        return sp.hessian(self.potential, problem.parameters)

    # --- the iteration ------------------------------------------------------------------------

    def dual_coordinates(self, problem: "Problem") -> DualCoordinates:
        """With ∇ψ inverted in closed form, coordinate by coordinate.

        Raises:
            NoClosedForm: ψ is no sum of functions of one parameter each, or the inverse of one of them is not found.
        """
        symbols = tuple(sp.Dummy(f"y{k}") for k in range(problem.dimension))
        inverse = [self._inverse(s, y, problem) for s, y in zip(problem.parameters, symbols, strict=True)]
        slopes = [sp.diff(self.potential, s) for s in problem.parameters]
        return DualCoordinates(symbols, tuple(slopes), tuple(inverse))

    def iteration_of(self, problem: "Problem") -> Iteration:
        dual = self.dual_coordinates(problem)

        def update(state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
            (x,) = state
            graph = rate.graph
            here = dict(zip(map(graph.symbol, problem.parameters), x.entries, strict=True))
            slopes = Matrix.column(from_sympy(e, graph) for e in dual.slopes)
            moved = slopes.replace(here) - forces.force(x, 0).scaled(rate)
            there = dict(zip(map(graph.symbol, dual.symbols), moved.entries, strict=True))
            return (Matrix.column(from_sympy(e, graph) for e in dual.inverse).replace(there),)

        return Iteration(0, 1, 1, update)

    def _inverse(self, s: sp.Symbol, y: sp.Symbol, problem: "Problem") -> Expression:
        """x_i(y_i): the solution of ψ_i′(x) = y that is the identity where it is put in."""
        slope = sp.diff(self.potential, s)
        if slope.free_symbols & (set(problem.parameters) - {s}):
            raise NoClosedForm(
                f"{self.label} is iterated where ψ is a sum of functions of one parameter each, and ∂ψ/∂{s} = {slope} is not one: state "
                "the step as an IteratedMap"
            )
        found = _solution(slope, s, _TARGET)
        if found is None:
            raise NoClosedForm(
                f"the solution x of {slope} = y is not found in closed form: state the step as an IteratedMap"
            )
        return found.xreplace({_TARGET: y})


_TARGET = sp.Dummy("y")


@lru_cache(maxsize=256)
def _solution(slope: Expression, s: sp.Symbol, y: sp.Dummy) -> Expression | None:
    """s(y) with slope(s) = y, if there is a closed form: SymPy looks for it for seconds, and each iteration asks anew."""
    for stand_in in (sp.Dummy("x", positive=True), sp.Dummy("x", real=True)):
        target = slope.xreplace({s: stand_in})
        for found in sp.solve(sp.Eq(target, y), stand_in):
            if sp.simplify(found.subs(y, target) - stand_in) == 0:
                return found
    return None
