"""Optimizers without noise that go down the largest curvature: SAM, normalised gradient descent, and descent of √L.

Near Γ each of them runs into a cycle of two steps along the steepest axis u_1, and the second moment S = s(λ_1)u_1u_1ᵀ of the points where
it evaluates the gradient moves it along Γ by −½∂Φ T[S] = −∂Φ∇R, R′(λ_1) = ½s(λ_1). λ_1 has to be simple.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.optimizers.optimizer import LEARNING_RATE, Forces, Iteration, Optimizer, stated_rate

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem

RADIUS = sp.Symbol("rho", positive=True)
"""ρ of SAM, which tends to 0."""


class SharpnessDescent(Optimizer):
    """What follows −∂Φ∇R(λ_1) on Γ; the noise of the problem plays no part."""

    uses_noise: ClassVar[bool] = False
    cycles: ClassVar[bool] = True
    needs_zero_loss: ClassVar[bool] = False
    """Whether L has to be 0 on Γ."""

    @property
    def potential(self) -> Expression:
        """R of the largest curvature, in the letter `A`."""
        raise NotImplementedError

    @property
    def weight(self) -> Expression:
        """s = 2R′."""
        return sp.factor(2 * sp.diff(self.potential, A))

    @property
    def kernel(self) -> None:
        return None

    @property
    def local_steps(self) -> int:
        return 1

    @property
    def tangent_factor(self) -> Expression:
        return sp.S.Zero

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        return self.own_symbols

    @property
    def iteration(self) -> Iteration:
        raise NotImplementedError("the step is written for the loss of a problem")

    def iteration_of(self, problem: "Problem") -> Iteration:
        def update(state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
            (x,) = state
            return (x - self._descent(problem, x, forces).scaled(rate),)

        return Iteration(0, 0, 1, update)

    @abstractmethod
    def _descent(self, problem: "Problem", x: Matrix, forces: Forces) -> Matrix:
        """(x − x⁺)/η; it divides by 0 on Γ."""

    def noise_statement(self, problem: "Problem") -> str:
        return "none: the method is deterministic."


@dataclass(frozen=True)
class SAM(SharpnessDescent):
    """x⁺ = x − η∇L(x + ρ∇L/‖∇L‖) as ρ → 0, t = kηρ²: R = 1/(η(1 − ηλ_1/2)), and R = λ_1/2 as η → 0.

    Γ attracts where ηλ_1 < 2.

    Args:
        learning_rate: η, a number or a positive symbol; None where it tends to 0.

    Source: as η → 0, Wen, Ma and Li (ICLR 2023).

    >>> SAM(learning_rate=0.25).weight.subs(A, sp.Symbol("a"))
    64/(a - 8)**2
    """

    label: ClassVar[str] = "SAM"

    learning_rate: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", stated_rate(self.learning_rate))

    @property
    def potential(self) -> Expression:
        return 1 / (self.rate * (1 - self.rate * A / 2)) if self.is_finite else A / 2

    @property
    def edge(self) -> Expression | None:
        return 2 / self.rate if self.is_finite else None

    @property
    def time_unit(self) -> Expression:
        return self.rate * RADIUS**2

    @property
    def scale_symbol(self) -> sp.Symbol:
        return RADIUS

    @property
    def limit_words(self) -> str:
        both = "its learning rate η and its radius ρ tend" if not self.is_finite else "its radius ρ tends"
        return f"As {both} to 0"

    @property
    def equation(self) -> str:
        return r"x_{k+1} = x_k - \eta\,\nabla L\bigl(x_k + \rho\,\nabla L(x_k)/|\nabla L(x_k)|\bigr)"

    def _descent(self, problem: "Problem", x: Matrix, forces: Forces) -> Matrix:
        return forces.gradient(x + _normalised(forces.gradient(x)).scaled(forces.scale))


class _OfVanishingRate(SharpnessDescent):
    learning_rate = None  # it tends to 0

    def at(self, rate: Expression) -> Optimizer:
        return self  # no curvature is too large for its steps, whatever their length is

    @property
    def time_unit(self) -> Expression:
        return LEARNING_RATE**2


@dataclass(frozen=True)
class NormalizedGD(_OfVanishingRate):
    """x⁺ = x − η∇L/‖∇L‖ as η → 0, t = kη²: R = (1/4) ln λ_1.

    Source: Arora, Li and Panigrahi (ICML 2022).

    >>> NormalizedGD().potential.subs(A, sp.Symbol("a"))
    log(a)/4
    """

    label: ClassVar[str] = "normalised gradient descent"

    @property
    def potential(self) -> Expression:
        return sp.log(A) / 4

    @property
    def equation(self) -> str:
        return r"x_{k+1} = x_k - \eta\,\nabla L(x_k)/|\nabla L(x_k)|"

    def _descent(self, problem: "Problem", x: Matrix, forces: Forces) -> Matrix:
        return _normalised(forces.gradient(x))


@dataclass(frozen=True)
class RootLoss(_OfVanishingRate):
    """x⁺ = x − η∇√L, for a loss that is 0 on Γ, as η → 0, t = kη²: R = λ_1/8.

    Source: Arora, Li and Panigrahi (ICML 2022).

    >>> RootLoss().weight
    1/4
    """

    label: ClassVar[str] = "gradient descent on the root of the loss"
    needs_zero_loss: ClassVar[bool] = True

    @property
    def potential(self) -> Expression:
        return A / 8

    @property
    def equation(self) -> str:
        return r"x_{k+1} = x_k - \eta\,\nabla \sqrt{L}(x_k)"

    def _descent(self, problem: "Problem", x: Matrix, forces: Forces) -> Matrix:
        slope = forces.gradient(x)
        graph = slope.entries[0].graph
        here = dict(zip(map(graph.symbol, problem.parameters), x.entries, strict=True))
        (loss,) = Matrix.column([from_sympy(problem.loss, graph)]).replace(here).entries
        return slope.map(lambda entry: entry / (2 * _root(loss)))


def _normalised(vector: Matrix) -> Matrix:
    length = _root(dot(vector.entries, vector.entries))
    return vector.map(lambda entry: entry / length)


def _root(node: Node) -> Node:
    return node.graph.power(node, node.graph.constant(Fraction(1, 2)))
