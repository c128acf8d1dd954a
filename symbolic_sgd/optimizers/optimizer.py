"""What the theorem, the simulators and the documents ask of an optimizer.

With ε the scale of the noise, an optimizer is a map z⁺ = G(z, εξ) whose fixed points are Γ (with its memory at rest). Its slow
motion is known from a kernel k(a, b) of pairs of curvatures, a factor τ, and slow fields g:

    b = −½H†T[τΣ_∥] − ½∂ΦT[Σ∘k] − ∂Φg,   diffusion √τ ∂Φσ,   per unit of time,

where Σ∘k is taken over all pairs of eigenvalues that are not both zero.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from numbers import Rational, Real
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.errors import BadInput, BadSymbol, InexactNumber
from symbolic_sgd.optimizers.kernel import Kernel
from symbolic_sgd.problems.symbols import check_expression

if TYPE_CHECKING:
    from symbolic_sgd.optimizers.second_moments import SecondMoments
    from symbolic_sgd.problems.problem import Problem

LEARNING_RATE = sp.Symbol("eta", positive=True)
"""η where it tends to 0."""

NOISE_SCALE = sp.Symbol("epsilon", positive=True)
"""ε, where the noise tends to 0 at a learning rate that stays."""


IN_PARAMETERS = ("slow_potential", "preconditioner", "potential", "matrices")
"""Fields of optimizers that are functions of the problem's symbols, and bring none of their own."""


class Forces(Protocol):
    """What drives one step; all of it is D×1."""

    def gradient(self, x: Matrix) -> Matrix:
        """∇L(x), with the slow fields."""
        ...

    def noise(self, x: Matrix, draw: int) -> Matrix:
        """The noise at x of the draw of this number."""
        ...

    def force(self, x: Matrix, draw: int) -> Matrix:
        """Their sum."""
        ...

    def drawn(self, x: Matrix, draw: int) -> Matrix:
        """Their sum without the slow fields."""
        ...

    def slow(self, x: Matrix) -> Matrix:
        """The slow fields."""
        ...

    @property
    def scale(self) -> Fraction:
        """ε, which the noise holds; ρ of SAM."""
        ...


@dataclass(frozen=True)
class Iteration:
    """One step of the optimizer, on the nodes of a graph.

    Args:
        memory: how many vectors of ℝᴰ it keeps beside x; all are 0 at rest.
        draws: how many independent noises a step draws.
        local_steps: how many steps of t one step counts for (n for Local SGD, whose step is a round).
        update: (z, forces, η) ↦ z⁺, with z = (x, memory …), D×1 each.
    """

    memory: int
    draws: int
    local_steps: int
    update: Callable[[Sequence[Matrix], Forces, Node], Sequence[Matrix]]


@dataclass(frozen=True)
class DualCoordinates:
    """y = ∇ψ(x), and back.

    Args:
        symbols: of y_1 … y_D.
        slopes: ∇ψ in the parameters, D expressions.
        inverse: x in `symbols`, D expressions.
    """

    symbols: tuple[sp.Symbol, ...]
    slopes: tuple[Expression, ...]
    inverse: tuple[Expression, ...]


class Optimizer(ABC):
    """An optimizer whose slow motion follows from a kernel of pairs of curvatures.

    Numbers may be ints, fractions, floats (read as the rationals they print as) or positive symbols, which stay in the formulas.
    The learning rate η is one of them, or None where it tends to 0.

    >>> from symbolic_sgd import HeavyBall
    >>> momentum = HeavyBall(momentum=0.5, learning_rate=0.125)
    >>> momentum.time_unit, momentum.edge
    (epsilon**2/16, 24)
    """

    label: ClassVar[str]
    """What it is called in a sentence."""

    in_metric: ClassVar[bool] = False
    """Whether its fast field is S∇L for a preconditioner S, and not ∇L."""

    uses_noise: ClassVar[bool] = True
    """Whether the noise that the problem states plays a part."""

    positive_in_domain: ClassVar[bool] = False
    """Whether its S is positive definite wherever the conditions on its own slow variables hold."""

    takes_perturbations: ClassVar[bool] = False
    """Whether each step takes gradients with fresh noise, linearly, so that a perturbed loss adds no more than its mean."""

    cycles: ClassVar[bool] = False
    """Whether it draws nothing, and ends in a cycle beside Γ instead of resting on it."""

    reshuffles: ClassVar[bool] = False
    """Whether the draws of a step of its map are all samples in a random order, and not independent of each other."""

    learning_rate: Any
    """η as an exact expression, None where it tends to 0."""

    @property
    def is_finite(self) -> bool:
        """Whether the learning rate stays while the noise tends to 0; else the learning rate tends to 0."""
        return self.learning_rate is not None

    @property
    def rate(self) -> Expression:
        """η, or the symbol of it where it tends to 0."""
        return self.learning_rate if self.is_finite else LEARNING_RATE

    @property
    def effective_rate(self) -> Expression:
        """γ: a constant force f moves the optimizer by −γf a step."""
        return self.rate

    @property
    def pace(self) -> Expression:
        """How many times γ² (γ²ε² at a rate that stays) a unit of t is."""
        return sp.S.One

    @property
    def pace_words(self) -> tuple[str, ...]:
        """Which time scale it is and why, a sentence, where there is a choice."""
        return ()

    @property
    def time_unit(self) -> Expression:
        """What one step adds to t."""
        return self.effective_rate**2 * (NOISE_SCALE**2 if self.is_finite else 1) / self.pace

    @property
    def stated(self) -> "Optimizer":
        """What the user stated: itself, unless a derivation has fitted it to a problem."""
        return self

    @property
    def mean_potential(self) -> Expression | None:
        """R₀ where the mean of its gradients is ∇L + ε²∇R₀, and R₀ varies on Γ; else None."""
        return None

    @property
    @abstractmethod
    def kernel(self) -> Kernel | None:
        """k, where the slow motion follows from one."""

    @property
    @abstractmethod
    def equation(self) -> str:
        """LaTeX of one step."""

    @property
    def letters(self) -> "dict[str, Expression]":
        """What the letters of `equation` are, in LaTeX."""
        return {r"\eta": self.rate} if self.is_finite else {}

    @property
    def stated_equation(self) -> str:
        """LaTeX of one step, with the slow field, and of the numbers in it."""
        decay = sp.latex(self.effective_rate * (NOISE_SCALE**2 if self.is_finite else 1))
        force = r"\nabla L(x_k)"
        driven = self.equation.replace(force, rf"{force} + {decay}\,g(x_k)") if self.has_slow_field else self.equation
        numbers = [
            rf"{letter} = {sp.latex(value)}" for letter, value in self.letters.items() if letter != sp.latex(value)
        ]
        return r", \quad ".join([driven, *numbers])

    @property
    @abstractmethod
    def iteration(self) -> Iteration:
        """Its map."""

    def extended(self, problem: "Problem") -> "Problem":
        """The problem in all slow variables: its parameters, and what else moves as slowly.

        Raises:
            BadSymbol, BadInput: the name of a slow variable is one of the problem's.
        """
        return problem

    def second_moments(self, problem: "Problem") -> "SecondMoments | None":
        """What it remembers of the squares of its gradients as slowly as it moves along Γ; None where it has no such memory."""
        return None

    def potential_bends(self, problem: "Problem") -> list[SymbolicMatrix] | None:
        """∂_a∇²ψ for every parameter, where the step is made in the dual coordinates ∇ψ(x); None where it is not."""
        return None

    def dual_coordinates(self, problem: "Problem") -> "DualCoordinates | None":
        """y = ∇ψ(x), where the step is made in these coordinates; None where it is made in the parameters."""
        return None

    def iteration_of(self, problem: "Problem") -> Iteration:
        """Its map for a problem."""
        return self.iteration

    def metric(self, problem: "Problem") -> SymbolicMatrix | None:
        """S, D×D, where the noisy gradient is multiplied by a matrix; None where it is not."""
        return None

    @property
    def local_steps(self) -> int:
        """How many steps of t one step of its map counts for."""
        return self.iteration.local_steps

    @property
    def follows_hessian(self) -> bool:
        """Whether all that it does across Γ is a function of ∇²L, and its projection orthogonal."""
        return self.kernel is not None and not self.in_metric

    @property
    def scale_symbol(self) -> sp.Symbol:
        """What tends to 0 where the learning rate stays: ε, the scale of the noise."""
        return NOISE_SCALE

    @property
    def limit_words(self) -> str:
        """Which limit it is, to begin a sentence."""
        return "As the scale ε of the noise tends to 0" if self.is_finite else "As its learning rate tends to 0"

    @property
    def map_unit(self) -> Expression:
        """What one step of its map adds to t."""
        return self.time_unit * self.local_steps

    @property
    def positive_numbers(self) -> tuple[Expression, ...]:
        """What of its own symbols has to be positive for it to stay near Γ, whatever the loss is."""
        return ()

    @property
    def whole_time(self) -> Expression | None:
        """The time that steps of its learning rate, where that tends to 0, have to fill without a rest; None where every one has an
        iteration."""
        return None

    @property
    def iterates_at_any_rate(self) -> bool:
        """Whether it has an iteration at every small learning rate, where it tends to 0."""
        return self.whole_time is None

    @property
    def edge(self) -> Expression | None:
        """λ*: steps lead back to Γ where every curvature is smaller; None where every curvature is small enough."""
        return None

    @property
    def tangent_factor(self) -> Expression:
        """τ."""
        return sp.S.One

    @property
    def slow_potential(self) -> Expression:
        """The user's own potential R, whose −∂Φ∇R is added."""
        return sp.S.Zero

    @property
    def decay(self) -> Expression:
        """w, the weight decay."""
        return sp.S.Zero

    @property
    def has_slow_field(self) -> bool:
        """Whether it moves without noise, too."""
        return self.decay != 0 or self.slow_potential != 0

    @property
    def curves_noise(self) -> bool:
        """Whether the noise enters its step nonlinearly."""
        return False

    @property
    def curvature_regularizes(self) -> bool:
        """Whether what the nonlinearity of its noise adds to the drift is counted in the regularizer."""
        return False

    def on(self, problem: "Problem") -> "Optimizer":
        """The same with what it takes from the problem; itself where that is nothing."""
        return self

    def mean_field(self, problem: "Problem", slope: Sequence[Expression]) -> list[Expression]:
        """F, the mean of a step over η where ∇L is `slope`, of an optimizer that has a `step_factor`."""
        raise NotImplementedError("steps that are linear in the noise have the mean of one without it")

    def step_factor(self, problem: "Problem") -> Program | None:
        """τ with the covariance ττᵀ of a step over η on Γ, as `factor`, where it is no linear function of the noise; else None."""
        return None

    def definite(self, problem: "Problem") -> SymbolicMatrix | None:
        """What has to be positive definite on Γ beside S; None where nothing has."""
        return None

    @property
    def law(self) -> str | None:
        """The name of the law of the noise that its limit depends on; None where that is the covariance alone."""
        return None

    def check(self, problem: "Problem") -> None:
        """Raise where it does not fit the problem.

        Raises:
            BadInput: and its subclasses: a part that the problem cannot have, by its number of parameters, its samples or its symbols.
        """
        return  # what is made of numbers fits every problem

    def noise_statement(self, problem: "Problem") -> str:
        """What the noise is, to follow "The noise is"."""
        return problem.noise.statement

    def noise_source(self, problem: "Problem") -> "Problem":
        """The problem whose gradient noise is what a step draws."""
        return problem

    def at(self, rate: Expression) -> "Optimizer":
        """The same at a learning rate that stays, where its own tends to 0.

        Args:
            rate: η, per step (γ of heavy balls with a friction).

        Raises:
            BadInput: a rate that makes no sense beside its other numbers.
        """
        at_rate: Any = replace(self, learning_rate=rate)  # type: ignore[type-var]  (optimizers are dataclasses)
        return at_rate

    def slow_field(self, problem: "Problem") -> tuple[Expression, ...]:
        """g = wx + ∇R, D entries: γε²g is added to the gradient (γg where the learning rate tends to 0)."""
        return tuple(self.decay * x + sp.diff(self.slow_potential, x) for x in problem.parameters)

    def drift_fields(self, problem: "Problem") -> dict[str, tuple[Expression, ...]]:
        """g of each drift −∂Φg per unit of t that is not the noise's own, by the name of its term."""
        paced = tuple(self.pace * g for g in self.slow_field(problem))
        return {"imposed_drift": paced} if self.has_slow_field else {}

    @property
    def own_symbols(self) -> tuple[sp.Symbol, ...]:
        """The symbols of its own numbers, in the order of their names, also those that the limit does not depend on."""
        stated: list[Any] = [getattr(self, f.name) for f in fields(self) if f.name not in IN_PARAMETERS]  # type: ignore[arg-type]
        found = {s for value in stated if isinstance(value, sp.Basic) for s in value.free_symbols}
        return tuple(sorted((s for s in found if isinstance(s, sp.Symbol)), key=str))

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """The symbols that it brings into formulas, in the order of their names."""
        known = [] if self.kernel is None else [self.kernel.function]
        stated = [*known, self.tangent_factor, self.decay, self.edge or sp.S.Zero]
        found: set[Any] = set().union(*(e.free_symbols for e in stated))
        return tuple(sorted(found, key=str))


def with_symbols_of(optimizer: Optimizer, problem: "Problem", *, iterated: bool = False) -> "Problem":
    """The problem in all slow variables, with the optimizer's symbols among its constants.

    Args:
        optimizer: whose symbols.
        problem: what is stated.
        iterated: whether its iteration is meant, which takes values of all of its symbols, and not only its limit.

    Raises:
        BadSymbol: a symbol of the optimizer is a parameter, or its slow potential holds one that is not declared.
    """
    problem = optimizer.extended(problem)
    own = optimizer.own_symbols if iterated else optimizer.symbols
    check_unit_of_time(optimizer)
    for s in own:
        if s in problem.parameters:
            raise BadSymbol(
                f"{s} is a parameter of the problem and a constant of the optimizer: give one of them another name"
            )
    further = tuple(s for s in own if s not in problem.constants)
    optimizer.check(problem)
    _check_takes_perturbations(optimizer, problem)
    stated = replace(problem, constants=(*problem.constants, *further)) if further else problem
    check_expression(optimizer.slow_potential, stated.symbols, where="optimizer: slow_potential")
    return stated


def check_unit_of_time(optimizer: Optimizer) -> None:
    """Refuse numbers of an optimizer that hold what tends to 0.

    Raises:
        BadSymbol: one of its symbols is that of the unit of time.
    """
    reserved = optimizer.scale_symbol if optimizer.is_finite else optimizer.rate
    if reserved in optimizer.own_symbols:
        raise BadSymbol(
            f"{reserved} is a symbol of the optimizer's numbers and one of the unit of time, {optimizer.time_unit}: give yours another name"
        )


def _check_takes_perturbations(optimizer: Optimizer, problem: "Problem") -> None:
    """Refuse a perturbed loss where the scale of the perturbation does not tend to 0, or the optimizer is not derived on one.

    Raises:
        BadInput: with the reason.
    """
    if problem.noise.mean_potential is None or not optimizer.uses_noise:
        return
    if not optimizer.takes_perturbations:
        raise BadInput(
            f"the loss is perturbed, and {optimizer.label} is not derived on a perturbed loss: use SGD, HeavyBall, Nesterov or LocalSGD "
            "at a learning rate that stays, or state the step as an IteratedMap"
        )
    if not optimizer.is_finite:
        raise BadInput(
            "the loss is perturbed, and its limit is that of a perturbation whose scale ε tends to 0 at a learning rate that stays: "
            f"give {optimizer.label} its learning_rate=, a number or a positive symbol"
        )


def stated_number(value: Any, name: str, *, least: int | None = None, below: int | None = None) -> Expression:
    """A number or a symbol of an optimizer, as an exact expression.

    Args:
        value: what was stated.
        name: of the argument.
        least: what a number has to be larger than.
        below: what it has to be smaller than.

    Raises:
        BadInput: it is neither, or out of range; a symbol that is not positive.

    >>> stated_number(0.1, "learning_rate")
    1/10
    """
    if isinstance(value, sp.Symbol):
        if not value.is_positive:
            raise BadInput(f'{name} is the symbol {value}: declare it positive, sp.Symbol("{value}", positive=True)')
        return value
    exact = _exact(value)
    if exact is None:
        raise BadInput(f"{name} is {value!r}; give a number, or a symbol that is declared positive")
    bounds = [
        *([] if least is None else [(exact > least, f"larger than {least}")]),
        *([] if below is None else [(exact < below, f"smaller than {below}")]),
    ]
    broken = [words for holds, words in bounds if not holds]
    if broken:
        raise BadInput(f"{name} is {value}; it has to be {' and '.join(words for _, words in bounds)}")
    return exact


def _exact(value: Any) -> Expression | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (sp.Rational, int, Fraction, Rational)):
        return sp.Rational(int(value.numerator), int(value.denominator))
    if isinstance(value, sp.Float) or (isinstance(value, Real) and not isinstance(value, sp.Basic)):
        number = float(value)
        return sp.Rational(repr(number)) if abs(number) < float("inf") else None
    if isinstance(value, sp.Expr) and value.is_number and value.is_real and not value.has(sp.Float):
        return value
    return None


def stated_rate(value: Any) -> Expression | None:
    """η > 0 as stated, or None where it tends to 0."""
    return None if value is None else stated_number(value, "learning_rate", least=0)


def stated_potential(value: Any) -> Expression:
    """R as stated: an exact expression."""
    try:
        potential = sp.sympify(value, strict=True)
    except sp.SympifyError as error:
        raise BadInput(f"slow_potential is {value!r}; give a SymPy expression in the parameters") from error
    if not isinstance(potential, sp.Expr):
        raise BadInput(f"slow_potential is a {type(value).__name__}; give a SymPy expression in the parameters")
    if potential.has(sp.Float):
        raise InexactNumber(
            "slow_potential holds floating-point numbers: write Rational(1, 10) for 0.1, or use exact()"
        )
    check_without_jumps(potential, "slow_potential")
    return potential


def check_without_jumps(expression: Expression, where: str) -> None:
    """Refuse what has no derivatives somewhere, whatever the part of Γ is.

    Raises:
        BadInput: |a|, sign(a), max, min or a step function.
    """
    found = expression.atoms(sp.Abs, sp.sign, sp.Max, sp.Min, sp.Heaviside)
    if found:
        raise BadInput(
            f"{where} holds {min(map(str, found))}, which jumps or bends: state it as it is on the part of Γ "
            "meant, with that part in domain=[…]"
        )


def whole_number(value: Any, name: str) -> int:
    """A whole number ≥ 1, or `BadInput`."""
    number = sp.sympify(value) if isinstance(value, (int, sp.Integer)) and not isinstance(value, bool) else None
    if number is None or number < 1:
        raise BadInput(f"{name} is {value!r}; it has to be a whole number, at least 1")
    return int(number)
