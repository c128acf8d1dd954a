"""A loss that every step perturbs: noise injection, dropout, anti-PGD."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient, jacobian
from symbolic_sgd.algebra.graph import Graph, Node, kinks, reachable
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy, nodes_of
from symbolic_sgd.errors import BadInput, BadSymbol
from symbolic_sgd.problems.covariance_factor import definite_covariance, definite_factor
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.noise import KnownCovariance, Noise, NoiseColumns
from symbolic_sgd.problems.symbols import check_expression, check_symbols, real_gradient

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class LossPerturbation(Noise):
    """Each step takes the gradient of L̂(x, εξ), with independent ξ of mean 0 and covariance V: x⁺ = x − η∂_xL̂(x, εξ), L = L̂(x, 0).

    To first order in ξ that is noise of the gradient, σ = ∂_x∂_ξL̂(x, 0)V^{1/2}; to second order its mean moves by

        E ∂_xL̂(x, εξ) = ∇L + ε²∇R₀ + …,   R₀ = ½ tr V ∂_ξ²L̂(x, 0).

    `Problem.perturbed` states it.

    Args:
        loss: L̂, an expression in the parameters and in ξ.
        perturbations: ξ, q symbols.
        covariance: V, a q×q matrix of constants; None for I.

    Raises:
        BadSymbol, BadInput: what is no symbol; a covariance that is not positive definite; a loss that is not smooth at ξ = 0.

    >>> from symbolic_sgd import Problem
    >>> u, v, a = sp.symbols("u v a")
    >>> dropout = Problem.perturbed((u*v*(1 + a) - 1)**2/2, (u, v), (a,)).noise
    >>> type(dropout).__name__, sp.simplify(dropout.mean_potential)
    ('LossPerturbation', u**2*v**2/2)
    """

    loss: Any
    perturbations: Any
    covariance: Any = None

    def __post_init__(self) -> None:
        own = object.__setattr__
        own(self, "perturbations", check_symbols(self.perturbations, where="perturbations"))
        if not self.perturbations:
            raise BadInput("perturbations is empty: name the symbols ξ of what perturbs the loss")
        own(self, "covariance", definite_covariance(self.covariance, self.perturbations, len(self.perturbations)))
        signed = [s for s in self.perturbations if s.is_nonnegative or s.is_nonpositive]
        if signed:
            raise BadSymbol(
                f"perturbations: {signed[0]} is declared to have a sign, and what is drawn has the mean 0: use real=True, or no assumption"
            )
        self._check_smooth()

    def check(self, problem: "Problem") -> None:
        clash = [s for s in self.perturbations if s in problem.symbols]
        if clash:
            raise BadSymbol(f"perturbations: {clash[0]} is a symbol of the problem, too: give one of them another name")
        check_expression(self.loss, (*problem.symbols, *self.perturbations), where="perturbed loss")
        for entry in () if self.covariance is None else self.covariance.flat():
            check_expression(entry, problem.symbols, where="covariance")

    def _check_smooth(self) -> None:
        """Refuse |ξ|, roots and fractional powers of what vanishes with ξ, and quotients by it: two derivatives are needed at ξ = 0."""
        graph = Graph()
        still = dict.fromkeys(map(graph.symbol, self.perturbations), graph.constant(0))
        for node, zero in kinks([from_sympy(self.loss, graph)]):
            if set(still) & set(reachable([zero])) and Matrix.column([zero]).replace(still)[0, 0].is_zero:
                what = {"div": "it divides by", "pow": "it takes a fractional power of"}.get(
                    node.op, f"it holds {node.op} of"
                )
                raise BadInput(
                    f"perturbed loss: {what} what vanishes with {', '.join(map(str, self.perturbations))}, and is not smooth there: two "
                    "derivatives in the perturbations are needed where they are 0"
                )

    @property
    def statement(self) -> str:
        of = "I" if self.covariance is None else f"V = {self.covariance.tolist()}"
        names = ", ".join(map(str, self.perturbations))
        return (
            f"a perturbation of the loss: each step takes the gradient of {self.loss} with ξ = ({names}) drawn anew, of mean 0 and "
            f"covariance {of}."
        )

    @property
    def latex(self) -> str:
        covariance = "I" if self.covariance is None else sp.latex(self.covariance)
        return rf"\hat L = {sp.latex(self.loss)},\quad \mathrm{{Cov}}\,\xi = {covariance}"

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return (self.curvature,)

    @cached_property
    def _still(self) -> dict[Any, Any]:
        return dict.fromkeys(self.perturbations, sp.S.Zero)

    @property
    def unnamed(self) -> dict[Any, Any]:
        """ξ → symbols that are the same whatever the names are."""
        return {s: sp.Dummy(f"xi_{k}", dummy_index=k, real=True) for k, s in enumerate(self.perturbations)}

    @cached_property
    def loss_at_rest(self) -> Expression:
        """L = L̂(x, 0)."""
        return self.loss.xreplace(self._still)

    @cached_property
    def factor(self) -> SymbolicMatrix:
        """V^{1/2}, q×q."""
        return definite_factor(self.covariance, len(self.perturbations))

    @property
    def mean_potential(self) -> Expression | None:
        return self.curvature

    @cached_property
    def curvature(self) -> Expression:
        """R₀ = ½ tr V ∂_ξ²L̂(x, 0)."""
        slopes = real_gradient(self.loss, self.perturbations)
        curvature = sp.Matrix([real_gradient(e, self.perturbations) for e in slopes]).xreplace(self._still)
        return sp.sympify((self.factor.T * curvature * self.factor).trace()) / 2

    def coupling(self, variables: Sequence[Node]) -> Matrix:
        """M = ∂_x∂_ξL̂(x, 0), D×q, on the graph of x."""
        graph = variables[0].graph
        drawn = [graph.symbol(s) for s in self.perturbations]
        pushes = Matrix.column(gradient(from_sympy(self.loss, graph), drawn))
        at_rest = pushes.replace(dict.fromkeys(drawn, graph.constant(0)))
        return Matrix.of(jacobian(at_rest.entries, variables)).T

    def columns(self, problem: "Problem", landscape: Landscape) -> NoiseColumns:
        root = nodes_of(self.factor, landscape.graph)
        return NoiseColumns(
            self.coupling(landscape.variables) @ root, (Fraction(1),) * len(self.perturbations), drawn=False
        )

    def known_covariance(self, problem: "Problem", *, interpolating: bool) -> KnownCovariance:
        """Σ = s²(∇²L)² where the parameters themselves are perturbed, by V = s²I."""
        scale, square = self.factor[0, 0] ** 2, self.factor * self.factor.T
        if square != scale * sp.eye(square.rows):
            return KnownCovariance()
        landscape = problem.landscape()
        coupling = self.coupling(landscape.variables)
        if coupling.shape != landscape.hessian.shape:
            return KnownCovariance()
        same = all(zero_functions((coupling - landscape.hessian).entries))
        return KnownCovariance(square=scale if same else None)

    def map(self, f: Callable[[Expression], Expression]) -> "LossPerturbation":
        return replace(self, loss=f(self.loss))

    def perturbed_gradient(self, problem: "Problem", draws: Sequence[Expression]) -> list[Expression]:
        """∂_xL̂(x, V^{1/2}a), D expressions, for q expressions a."""
        moved = self.factor * sp.Matrix(list(draws))
        known = dict(zip(self.perturbations, moved.flat(), strict=True))
        return [e.xreplace(known) for e in real_gradient(self.loss, problem.parameters)]
