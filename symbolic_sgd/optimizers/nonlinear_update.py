"""Steps along ψ(noisy gradient), entry by entry, with noise of order one: signSGD, clipping, tanh."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.errors import BadInput, SymbolicSGDError
from symbolic_sgd.optimizers.kernel import Kernel
from symbolic_sgd.optimizers.optimizer import Forces, Iteration, Optimizer, stated_number
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.entrywise import (
    DRAWN,
    GAUSSIAN,
    LETTER,
    StepNoise,
    clipped,
    clipping,
    entrywise_law,
    gaussian_averages,
)
from symbolic_sgd.problems.symbols import check_expression

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class NonlinearUpdate(Optimizer):
    """x⁺ = x − ηψ(∇L + n), entry by entry, with noise n = σ(x)ξ of order one, as η → 0: signSGD, gradient clipping.

    ψ is odd and the law of n symmetric for every x, so that the mean step −ηF, F = E ψ(∇L + n), rests on Γ. There its slope is SH and
    its second derivative that of S∇L,

        S = E Dψ(n) = diag(E ψ′(n_1) … E ψ′(n_D)),   F″[B] = S T[B] + 2Σ_i (∂_iS)HBe_i,   W = E ψ(n)ψ(n)ᵀ,

    and W, not SΣS, is the noise of a step: with these, the limit per t = kη² is that of `Preconditioned(S)`. It depends on the whole law
    of n, and not on its covariance alone.

    law="drawn": n as `simulate_sgd` draws it, with finitely many values: of σ(x) one column, with a sign, ±√Ξσ_ξ. Any smooth ψ; averages
    are finite sums. law="gaussian": n ~ N(0, Σ(x)), for multiples of g, sign g, erf(bg), and g clipped at ±c, max(−c, min(c, g)):

        ψ = sign: S = √(2/π) diag(1/s_i), W = (2/π)arcsin(Σ_ij/(s_is_j)), s_i² = Σ_ii;   clipping: S = erf(c/(√2 s_i)).

    Args:
        function: ψ: a `Lambda`, a function such as sp.tanh, or an expression in one symbol of name g; constants are positive symbols.
        law: "drawn" or "gaussian".
        weight_decay: w, outside of ψ: x⁺ has −η²wx besides, and −wPx is added to the drift.

    Raises:
        BadInput: ψ is not proved to be odd, or has no known averages over Gaussian noise; the name of no law. When it is derived: a law
            that is not symmetric for every x; a ψ that jumps or bends on noise with finitely many values; noise that is degenerate on Γ.

    Source: F = f(x, ∇L) with f(x, 0) = 0 and f_gg(x, 0) = E ψ″(n) = 0, ψ″ being odd.

    >>> NonlinearUpdate(sp.tanh).function
    Lambda(g, tanh(g))
    >>> NonlinearUpdate(sp.sign, law="gaussian").time_unit
    eta**2
    """

    label: ClassVar[str] = "the nonlinear update"
    in_metric: ClassVar[bool] = True
    learning_rate = None  # it tends to 0

    function: Any
    law: Any = DRAWN
    weight_decay: Any = 0

    def __post_init__(self) -> None:
        own, law = object.__setattr__, str(self.law)
        if law not in (DRAWN, GAUSSIAN):
            raise BadInput(f'law is {self.law!r}; give "{DRAWN}" or "{GAUSSIAN}"')
        own(self, "law", law)
        own(self, "function", stated_function(self.function))
        own(self, "weight_decay", stated_number(self.weight_decay, "weight_decay"))
        if law == GAUSSIAN:
            gaussian_averages(self.expression)

    @property
    def expression(self) -> Expression:
        """ψ(g)."""
        return self.function(LETTER)

    # --- the limit ----------------------------------------------------------------------------

    @property
    def kernel(self) -> Kernel:
        return SGD().kernel

    @property
    def decay(self) -> Expression:
        return self.weight_decay

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        return self.own_symbols

    def extended(self, problem: "Problem") -> "Problem":
        if isinstance(problem.noise, StepNoise):
            return problem
        known = (*problem.constants, *(s for s in self.own_symbols if s not in problem.constants))
        problem = replace(problem, constants=known)
        function = self.expression
        return replace(problem, noise=StepNoise(problem.noise, entrywise_law(problem, self.law, function), function))

    def metric(self, problem: "Problem") -> SymbolicMatrix:
        return sp.ImmutableDenseMatrix(sp.diag(*self._noise(problem).law.slopes(self.expression)))

    def mean_field(self, problem: "Problem", slope: Sequence[Expression]) -> list[Expression]:
        """E ψ(∇L + n), by its definition."""
        return self._noise(problem).law.means(self.expression, slope)

    def step_factor(self, problem: "Problem") -> Program:
        return self._noise(problem).step_factor()

    def definite(self, problem: "Problem") -> SymbolicMatrix | None:
        return self._noise(problem).law.nondegenerate(self.expression)

    def _noise(self, problem: "Problem") -> StepNoise:
        assert isinstance(problem.noise, StepNoise)
        return problem.noise

    def noise_statement(self, problem: "Problem") -> str:
        words = "its law is N(0, Σ)" if self.law == GAUSSIAN else "each step draws one of its finitely many values"
        return f"{problem.noise.as_stated.statement.rstrip('.')}; {words}."

    # --- the iteration ------------------------------------------------------------------------

    @property
    def equation(self) -> str:
        return r"x_{k+1} = x_k - \eta\,\psi(\nabla L(x_k) + \text{noise})"

    @property
    def stated_equation(self) -> str:
        slow = r" - \eta^2\,g(x_k)" if self.has_slow_field else ""
        return "".join([self.equation, slow, r", \quad \psi(g) = ", sp.latex(self.expression)])

    @property
    def iteration(self) -> Iteration:
        def update(state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
            (x,) = state
            graph = rate.graph
            moved, letter = from_sympy(self.expression, graph), graph.symbol(LETTER)
            drawn = forces.drawn(x, 0)
            steps = Matrix.column(Matrix.column([moved]).replace({letter: g})[0, 0] for g in drawn.entries)
            return (x - (steps + forces.slow(x)).scaled(rate),)

        return Iteration(0, 1, 1, update)

    def at(self, rate: Expression) -> Optimizer:
        return self  # it has no limit at a rate that stays, and no edge

    def noise_source(self, problem: "Problem") -> "Problem":
        return replace(problem, noise=problem.noise.as_stated)


def stated_function(value: Any) -> sp.Lambda:
    """ψ as a function of `LETTER`, proved to be odd.

    Raises:
        BadInput: it is no function of one variable, or not proved to be odd; a constant of it is not declared positive.
    """
    expression = _in_letter(value)
    check_expression(expression, (LETTER, *sorted(expression.free_symbols - {LETTER}, key=str)), where="function")
    for s in expression.free_symbols - {LETTER}:
        if str(s) == LETTER.name or not s.is_positive:
            raise BadInput(
                f'function holds the constant {s}: declare it positive, sp.Symbol("{s}", positive=True), under another name than g'
            )
    known = clipped(expression)
    if known is not None:
        return sp.Lambda(LETTER, known.factor * clipping(known.bound))
    if not _is_odd(expression):
        raise BadInput(
            f"function is {expression}, which is not proved to be odd, ψ(−g) = −ψ(g): else the mean of ψ(∇L + noise) does not vanish on Γ"
        )
    return sp.Lambda(LETTER, expression)


def _in_letter(value: Any) -> Expression:
    if isinstance(value, sp.Lambda) and len(value.variables) == 1:
        return sp.sympify(value(LETTER))
    if isinstance(value, sp.Expr):
        named = [s for s in value.free_symbols if str(s) == LETTER.name]
        if len(named) == 1:
            return value.xreplace({named[0]: LETTER})
    elif callable(value):
        try:
            found = value(LETTER)
        except (TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"function is {value!r}, which takes no SymPy symbol: {error}") from error
        if isinstance(found, sp.Expr):
            return found
    raise BadInput(
        f"function is {value!r}; give a SymPy Lambda of one variable, a function such as sp.tanh, or an expression in the symbol g"
    )


def _is_odd(expression: Expression) -> bool:
    total = expression + expression.xreplace({LETTER: -LETTER})
    if sp.expand(total) == 0:
        return True
    try:
        return zero_functions([from_sympy(total, Graph())])[0]
    except SymbolicSGDError:
        return False
