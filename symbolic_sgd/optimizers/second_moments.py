"""Slow second moments: RMSprop, Adam and AdamW, whose steps are scaled by what they remember of the squares of their gradients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.errors import BadInput, Undecided
from symbolic_sgd.optimizers.kernel import Kernel
from symbolic_sgd.optimizers.momentum import HeavyBall
from symbolic_sgd.optimizers.optimizer import Forces, Iteration, Optimizer, stated_number, stated_rate
from symbolic_sgd.optimizers.sgd import SGD

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class SecondMoments:
    """v_k with v⁺ = v + c·(unit of t)(V(ggᵀ) − v), V(B)_k = B_kk, for the noisy gradient g in units of the noise.

    Args:
        rate: c.
        size: D, of the parameters; v_1 … v_D come after them among the slow variables.
    """

    rate: Expression
    size: int

    def of(self, entry: Callable[[int, int], Any]) -> list[Any]:
        """V(B), of the entries of B."""
        return [entry(k, k) for k in range(self.size)]


class SlowSecondMoments(Optimizer):
    """m⁺ = β₁m + (1 − β₁)g, v⁺ = v + cη²(g∘g − ε²v), x⁺ = x − η(S(v⁺)m⁺ + ηε²w x), S(v) = diag(1/(vᵖ + e)).

    All numbers are the scaled ones: the true second moments are ε²v, and 1 − β₂ = cη²ε². On Γ × {v} v is as slow as x, and

        dx = (the drift of preconditioned SGD with S(v), frozen) − wPx dt + PSσ dW,   dv = c(diag(Σ + ηHCH) − v) dt,

    with the kernel of the heavy ball in the metric S⁻¹. As η → 0, dv = c(diag Σ − v) dt, whatever β₁ is.
    """

    in_metric: ClassVar[bool] = True

    second_moment_rate: Any
    exponent: Any
    stabilizer: Any
    weight_decay: Any

    @property
    def first_momentum(self) -> Expression:
        """β₁."""
        return sp.S.Zero

    def _check_numbers(self) -> None:
        own = object.__setattr__
        own(self, "second_moment_rate", stated_number(self.second_moment_rate, "second_moment_rate", least=0))
        own(self, "exponent", stated_number(self.exponent, "exponent", least=0))
        own(self, "stabilizer", stated_number(self.stabilizer, "stabilizer"))
        if self.stabilizer.is_negative:
            raise BadInput(f"stabilizer is {self.stabilizer}; it is added to vᵖ, and has to be 0 or positive")
        own(self, "weight_decay", stated_number(self.weight_decay, "weight_decay"))
        own(self, "learning_rate", stated_rate(self.learning_rate))

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        return self.own_symbols

    # --- the limit ----------------------------------------------------------------------------

    @property
    def _unscaled(self) -> Optimizer:
        beta = self.first_momentum
        if beta == 0 or not self.is_finite:
            return SGD(self.learning_rate)
        return HeavyBall(momentum=beta, learning_rate=self.learning_rate * (1 - beta))

    @property
    def kernel(self) -> Kernel | None:
        return self._unscaled.kernel

    @property
    def edge(self) -> Expression | None:
        return self._unscaled.edge

    @property
    def decay(self) -> Expression:
        return self.weight_decay

    @property
    def has_slow_field(self) -> bool:
        return True

    @property
    def curves_noise(self) -> bool:
        return True

    def slow_field(self, problem: "Problem") -> tuple[Expression, ...]:
        x, v = self._parted(problem)
        return (*(self.weight_decay * a for a in x), *(self.second_moment_rate * a for a in v))

    def second_moments(self, problem: "Problem") -> SecondMoments:
        return SecondMoments(self.second_moment_rate, len(self._parted(problem)[0]))

    def metric(self, problem: "Problem") -> SymbolicMatrix:
        """S(v), and I for v, which no gradient moves."""
        x, v = self._parted(problem)
        return sp.ImmutableDenseMatrix(sp.diag(*map(self._factor, v), *([1] * len(x))))

    def _factor(self, v: Expression) -> Expression:
        return 1 / (v**self.exponent + self.stabilizer)

    def primitive(self, v: sp.Symbol) -> Expression:
        """ω with ω′ = 1/(vᵖ + e).

        Raises:
            Undecided: its integral is none that is known here.
        """
        if self.stabilizer == 0:
            return sp.log(v) if self.exponent == 1 else v ** (1 - self.exponent) / (1 - self.exponent)
        if self.exponent == sp.S.Half:
            return 2 * (sp.sqrt(v) - self.stabilizer * sp.log(sp.sqrt(v) + self.stabilizer))
        if self.exponent == 1:
            return sp.log(v + self.stabilizer)
        raise Undecided(
            f"the integral of 1/(v^p + e) is not written out for p = {self.exponent} and e ≠ 0: take e = 0, p = 1/2 or p = 1"
        )

    def extended(self, problem: "Problem") -> "Problem":
        d = problem.dimension
        if d % 2 == 0 and [s.name for s in problem.parameters[d // 2 :]] == _names(problem.parameters[: d // 2]):
            return problem
        moments = tuple(map(sp.Symbol, _names(problem.parameters)))
        taken = {s.name for s in problem.symbols} & {s.name for s in moments}
        if taken:
            raise BadInput(
                f"{min(taken)} is what the second moment is called here: give that symbol of yours another name"
            )
        near = None if problem.near is None else {**dict.fromkeys(moments, 1), **problem.near}
        return replace(
            problem,
            parameters=(*problem.parameters, *moments),
            noise=problem.noise.extended(problem),
            near=near,
            domain=(*problem.domain, *(sp.StrictGreaterThan(v, 0) for v in moments)),
        )

    def _parted(self, problem: "Problem") -> tuple[tuple[sp.Symbol, ...], tuple[sp.Symbol, ...]]:
        """x and v of an extended problem."""
        d = problem.dimension // 2
        return problem.parameters[:d], problem.parameters[d:]

    # --- the iteration ------------------------------------------------------------------------

    @property
    def iteration(self) -> Iteration:
        raise NotImplementedError("the step is written in the parameters of a problem")

    @property
    def local_steps(self) -> int:
        return 1

    def iteration_of(self, problem: "Problem") -> Iteration:
        size, moments = len(self._parted(problem)[0]), self._parted(problem)[1]

        def update(state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
            place, *memory = state
            graph = rate.graph
            c, beta = (from_sympy(e, graph) for e in (self.second_moment_rate, self.first_momentum))
            force = forces.drawn(place, 0)
            v = [a + c * rate * rate * g * g for a, g in zip(place.entries[size:], force.entries[:size], strict=True)]
            moving = force
            if memory:
                moving = memory[0].scaled(beta) + force.scaled(1 - beta)
            here = dict(zip(map(graph.symbol, moments), v, strict=True))
            scale = Matrix.column(from_sympy(self._factor(s), graph) for s in moments).replace(here).entries
            x = [a - rate * s * m for a, s, m in zip(place.entries, scale, moving.entries, strict=False)]
            moved = Matrix.column([*x, *v]) - forces.slow(place).scaled(rate)
            return (moved, moving) if memory else (moved,)

        return Iteration(0 if self.first_momentum == 0 else 1, 1, 1, update)

    @property
    def letters(self) -> dict[str, Expression]:
        own = {"c": self.second_moment_rate, "p": self.exponent, "e": self.stabilizer, "w": self.weight_decay}
        return super().letters | {letter: value for letter, value in own.items() if letter not in "ew" or value != 0}

    @property
    def stated_equation(self) -> str:
        numbers = [
            rf"{letter} = {sp.latex(value)}" for letter, value in self.letters.items() if letter != sp.latex(value)
        ]
        return r", \quad ".join([self.equation, *numbers])

    @property
    def equation(self) -> str:
        scale = r"\epsilon^2 " if self.is_finite else ""
        decay = rf" - \eta^2 {scale}w\,x_k" if self.weight_decay != 0 else ""
        power = r"v_{k+1}^{\,p}" + (" + e" if self.stabilizer != 0 else "")
        step, momentum = "g_k", ""
        if self.first_momentum != 0:
            step, momentum = "m_{k+1}", r"m_{k+1} = \beta_1 m_k + (1 - \beta_1)\,g_k, \quad "
        return (
            rf"g_k = \nabla L(x_k) + \text{{noise}}, \quad v_{{k+1}} = v_k + c\,\eta^2\,(g_k^2 - {scale}v_k), \quad {momentum}"
            rf"x_{{k+1}} = x_k - \eta\,\frac{{{step}}}{{{power}}}{decay}"
        )


@dataclass(frozen=True)
class RMSprop(SlowSecondMoments):
    """x⁺ = x − ηg/(vᵖ + e), v⁺ = v + cη²(g² − ε²v) for each parameter, with g = ∇L + noise: 1 − β₂ = cη²ε².

    The slow variables are (x, v): the problem of the limit has v_x for each parameter x besides. With label noise the motion descends a
    joint potential, `sde.joint_potential`.

    Args:
        second_moment_rate: c.
        exponent: p.
        stabilizer: e, in the scaled variables (its true value is ε^{2p}e).
        weight_decay: w, outside of the scaling.
        learning_rate: η; None where it tends to 0.

    Raises:
        BadInput: a number that makes no sense.

    >>> RMSprop(second_moment_rate=1, learning_rate=0.25).time_unit
    epsilon**2/16
    """

    label: ClassVar[str] = "RMSprop"

    second_moment_rate: Any
    exponent: Any = sp.S.Half
    stabilizer: Any = 0
    weight_decay: Any = 0
    learning_rate: Any = None

    def __post_init__(self) -> None:
        self._check_numbers()


@dataclass(frozen=True)
class Adam(SlowSecondMoments):
    """RMSprop with momentum β₁: m⁺ = β₁m + (1 − β₁)g takes the place of g in the step; with weight decay it is AdamW.

    Without correction of the bias, which only matters in the first steps.

    Args:
        beta1: β₁.
        second_moment_rate: c.
        exponent, stabilizer, weight_decay, learning_rate: as of `RMSprop`.

    Raises:
        BadInput: a number that makes no sense.

    >>> Adam(beta1=0.5, second_moment_rate=1, learning_rate=0.25).edge
    24
    """

    label: ClassVar[str] = "Adam"

    beta1: Any
    second_moment_rate: Any
    exponent: Any = sp.S.Half
    stabilizer: Any = 0
    weight_decay: Any = 0
    learning_rate: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta1", stated_number(self.beta1, "beta1", least=-1, below=1))
        self._check_numbers()

    @property
    def first_momentum(self) -> Expression:
        return self.beta1

    @property
    def positive_numbers(self) -> tuple[Expression, ...]:
        return (1 - self.beta1,) if self.is_finite and not self.beta1.is_number else ()

    @property
    def letters(self) -> dict[str, Expression]:
        return {r"\beta_1": self.beta1} | super().letters


def _names(parameters: Sequence[sp.Symbol]) -> list[str]:
    return [f"v_{s.name}" for s in parameters]
