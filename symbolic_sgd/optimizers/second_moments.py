"""Slow second moments: RMSprop, Adam and AdamW, whose steps are scaled by what they remember of the squares of their gradients."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy, nodes_of
from symbolic_sgd.errors import BadInput, Undecided
from symbolic_sgd.optimizers.kernel import Kernel
from symbolic_sgd.optimizers.momentum import HeavyBall
from symbolic_sgd.optimizers.optimizer import Forces, Iteration, Optimizer, stated_number, stated_rate
from symbolic_sgd.optimizers.sgd import SGD

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem


FOLLOWING = (
    "a β₂ that stays fixed, or 1 − β₂ of order η or larger, makes v follow the fluctuations across Γ step by step: its limit is an average "
    "over Markov noise, which is not derived here. Give second_moment_rate=c, of 1 − β₂ = cη²ε² (cη² where η tends to 0)"
)
"""Why other second moments are refused than slow ones."""


@dataclass(frozen=True)
class SecondMoments:
    """v_k with v⁺ = v + c·(unit of t)(V(ggᵀ) − v), for the noisy gradient g in units of the noise.

    Args:
        rate: c.
        sums: V(B)_k = Σ B_ij over the k-th list of pairs (i, j); v_1 … come after the parameters among the slow variables.
        words, latex: V(B), written.
    """

    rate: Expression
    sums: tuple[tuple[tuple[int, int], ...], ...]
    words: str
    latex: str

    def of(self, entry: Callable[[int, int], Any]) -> list[Any]:
        """V(B), of the entries of B."""
        return [reduce(add, (entry(i, j) for i, j in pairs)) for pairs in self.sums]


class SlowSecondMoments(Optimizer):
    """v⁺ = v + cη²(V(ggᵀ) − ε²v), m⁺ = β₁m + (1 − β₁)g, x⁺ = x − η(S(v⁺)m⁺ + ηε²w x), for a linear V and a positive definite S(v).

    All numbers are the scaled ones: the true second moments are ε²v, and 1 − β₂ = cη²ε². On Γ × {v} v is as slow as x, and

        dx = (the drift of preconditioned SGD with S(v), frozen) − wPx dt + PSσ dW,   dv = c(V(Σ + ηHCH) − v) dt,

    with the kernel of the heavy ball in the metric S⁻¹. As η → 0, dv = c(V(Σ) − v) dt, whatever β₁ is.

    Where S(v) = V*(s(v)) for the gradient s = ∇ω of a function of v and the adjoint V* of V, label noise makes both descend a potential.
    """

    in_metric: ClassVar[bool] = True
    positive_in_domain: ClassVar[bool] = True

    second_moment_rate: Any
    exponent: Any
    stabilizer: Any
    weight_decay: Any

    @property
    def first_momentum(self) -> Expression:
        """β₁."""
        return sp.S.Zero

    def _check_numbers(self, beta2: Any) -> None:
        if beta2 is not None or self.second_moment_rate is None:
            given = "second_moment_rate is None" if beta2 is None else f"beta2 is {beta2}"
            raise BadInput(f"{given}; {FOLLOWING}")
        own = object.__setattr__
        own(self, "second_moment_rate", stated_number(self.second_moment_rate, "second_moment_rate", least=0))
        own(self, "exponent", stated_number(self.exponent, "exponent", least=0))
        own(self, "stabilizer", stated_number(self.stabilizer, "stabilizer"))
        if self.stabilizer.is_negative:
            raise BadInput(
                f"stabilizer is {self.stabilizer}; it is added to {self.stabilized}, and has to be 0 or positive"
            )
        own(self, "weight_decay", stated_number(self.weight_decay, "weight_decay"))
        own(self, "learning_rate", stated_rate(self.learning_rate))

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        return self.own_symbols

    # --- what is remembered -------------------------------------------------------------------

    stabilized: ClassVar[str]
    """What the stabilizer is added to."""

    @property
    @abstractmethod
    def moments_written(self) -> tuple[str, str]:
        """V(B) in words, and in LaTeX."""

    @abstractmethod
    def moment_names(self, parameters: Sequence[sp.Symbol]) -> list[str]:
        """What the second moments of these parameters are called."""

    @abstractmethod
    def moment_sums(self, parameters: Sequence[sp.Symbol]) -> tuple[tuple[tuple[int, int], ...], ...]:
        """V, as in `SecondMoments`."""

    @abstractmethod
    def unit_moments(self, parameters: Sequence[sp.Symbol]) -> list[int]:
        """Second moments with which S would be I, were e = 0."""

    @abstractmethod
    def positive_moments(self, moments: Sequence[sp.Symbol]) -> list[Expression]:
        """What is positive where S(v) is defined, and positive definite."""

    @abstractmethod
    def scaling(self, parameters: Sequence[sp.Symbol], moments: Sequence[Expression]) -> SymbolicMatrix:
        """S(v)."""

    @abstractmethod
    def primitive(self, moments: Sequence[Expression]) -> Expression:
        """ω(v), whose gradient s makes S = V*(s).

        Raises:
            Undecided: there is none, or none that is known here.
        """

    @abstractmethod
    def paired(self, moments: Sequence[Expression]) -> Expression:
        """⟨s(v), v⟩."""

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
        x, v = self.parted(problem)
        return (*(self.weight_decay * a for a in x), *(self.second_moment_rate * a for a in v))

    def second_moments(self, problem: "Problem") -> SecondMoments:
        return SecondMoments(self.second_moment_rate, self.moment_sums(self.parted(problem)[0]), *self.moments_written)

    def metric(self, problem: "Problem") -> SymbolicMatrix:
        """S(v), and I for v, which no gradient moves."""
        x, v = self.parted(problem)
        return sp.ImmutableDenseMatrix(sp.diag(self.scaling(x, v), sp.eye(len(v))))

    def extended(self, problem: "Problem") -> "Problem":
        if self._count(problem.parameters) is not None:
            return problem
        moments = tuple(map(sp.Symbol, self.moment_names(problem.parameters)))
        taken = {s.name for s in problem.symbols} & {s.name for s in moments}
        if taken:
            raise BadInput(
                f"{min(taken)} is what the second moment is called here: give that symbol of yours another name"
            )
        start = dict(zip(moments, self.unit_moments(problem.parameters), strict=True))
        return replace(
            problem,
            parameters=(*problem.parameters, *moments),
            noise=problem.noise.extended(problem, len(moments)),
            near=None if problem.near is None else {**start, **problem.near},
            domain=(*problem.domain, *(sp.StrictGreaterThan(e, 0) for e in self.positive_moments(moments))),
        )

    def parted(self, problem: "Problem") -> tuple[tuple[sp.Symbol, ...], tuple[sp.Symbol, ...]]:
        """x and v of an extended problem."""
        d = self._count(problem.parameters)
        assert d is not None
        return problem.parameters[:d], problem.parameters[d:]

    @abstractmethod
    def _count(self, parameters: tuple[sp.Symbol, ...]) -> int | None:
        """How many of these are x, if the others are their second moments; None where none are."""

    # --- the iteration ------------------------------------------------------------------------

    @property
    def iteration(self) -> Iteration:
        raise NotImplementedError("the step is written in the parameters of a problem")

    @property
    def local_steps(self) -> int:
        return 1

    def iteration_of(self, problem: "Problem") -> Iteration:
        x, moments = self.parted(problem)
        learned, scaling = self.second_moments(problem), self.scaling(x, moments)

        def update(state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
            place, *memory = state
            graph, size = rate.graph, len(x)
            c, beta = (from_sympy(e, graph) for e in (self.second_moment_rate, self.first_momentum))
            force = forces.drawn(place, 0)
            g = force.entries[:size]
            squares = learned.of(lambda i, j: g[i] * g[j])
            v = [a + c * rate * rate * b for a, b in zip(place.entries[size:], squares, strict=True)]
            moving = force
            if memory:
                moving = memory[0].scaled(beta) + force.scaled(1 - beta)
            here = dict(zip(map(graph.symbol, moments), v, strict=True))
            step = nodes_of(scaling, graph).replace(here) @ Matrix.column(moving.entries[:size])
            moved = [a - rate * b for a, b in zip(place.entries, step.entries, strict=False)]
            after = Matrix.column([*moved, *v]) - forces.slow(place).scaled(rate)
            return (after, moving) if memory else (after,)

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
        step, momentum = "g_k", ""
        if self.first_momentum != 0:
            step, momentum = "m_{k+1}", r"m_{k+1} = \beta_1 m_k + (1 - \beta_1)\,g_k, \quad "
        noisy = r"g_k = \nabla L(x_k) + \text{noise}, \quad "
        return rf"{noisy}{self._learning(scale)}, \quad {momentum}x_{{k+1}} = x_k - \eta\,{self._scaled(step)}{decay}"

    @abstractmethod
    def _learning(self, scale: str) -> str:
        """LaTeX of how v learns of g_k, which is ε times what it is scaled to."""

    @abstractmethod
    def _scaled(self, step: str) -> str:
        """LaTeX of S(v_{k+1}) times a step."""


class EachByItself(SlowSecondMoments):
    """V(B) = diag B and S(v) = diag(1/(vᵖ + e)): a second moment for each parameter."""

    stabilized: ClassVar[str] = "vᵖ"

    @property
    def moments_written(self) -> tuple[str, str]:
        return "diag B", r"\mathrm{diag}\,B"

    def moment_names(self, parameters: Sequence[sp.Symbol]) -> list[str]:
        return [f"v_{s.name}" for s in parameters]

    def moment_sums(self, parameters: Sequence[sp.Symbol]) -> tuple[tuple[tuple[int, int], ...], ...]:
        return tuple(((k, k),) for k in range(len(parameters)))

    def unit_moments(self, parameters: Sequence[sp.Symbol]) -> list[int]:
        return [1] * len(parameters)

    def positive_moments(self, moments: Sequence[sp.Symbol]) -> list[Expression]:
        return list(moments)

    def scaling(self, parameters: Sequence[sp.Symbol], moments: Sequence[Expression]) -> SymbolicMatrix:
        return sp.ImmutableDenseMatrix(sp.diag(*map(self._factor, moments)))

    def primitive(self, moments: Sequence[Expression]) -> Expression:
        return sp.Add(*map(self._integral, moments))

    def paired(self, moments: Sequence[Expression]) -> Expression:
        return sp.Add(*[v * self._factor(v) for v in moments])

    def _factor(self, v: Expression) -> Expression:
        return 1 / (v**self.exponent + self.stabilizer)

    def _integral(self, v: Expression) -> Expression:
        """Of 1/(vᵖ + e)."""
        if self.stabilizer == 0:
            return sp.log(v) if self.exponent == 1 else v ** (1 - self.exponent) / (1 - self.exponent)
        if self.exponent == sp.S.Half:
            return 2 * (sp.sqrt(v) - self.stabilizer * sp.log(sp.sqrt(v) + self.stabilizer))
        if self.exponent == 1:
            return sp.log(v + self.stabilizer)
        raise Undecided(
            f"the integral of 1/(v^p + e) is not written out for p = {self.exponent} and e ≠ 0: take e = 0, p = 1/2 or p = 1"
        )

    def _count(self, parameters: tuple[sp.Symbol, ...]) -> int | None:
        d = len(parameters) // 2
        doubled = len(parameters) == 2 * d and [s.name for s in parameters[d:]] == self.moment_names(parameters[:d])
        return d if doubled else None

    def _learning(self, scale: str) -> str:
        return rf"v_{{k+1}} = v_k + c\,\eta^2\,(g_k^2 - {scale}v_k)"

    def _scaled(self, step: str) -> str:
        return rf"\frac{{{step}}}{{v_{{k+1}}^{{\,p}}{' + e' if self.stabilizer != 0 else ''}}}"


@dataclass(frozen=True)
class RMSprop(EachByItself):
    """x⁺ = x − ηg/(vᵖ + e), v⁺ = v + cη²(g² − ε²v) for each parameter, with g = ∇L + noise: 1 − β₂ = cη²ε².

    The slow variables are (x, v): the problem of the limit has v_x for each parameter x besides. With label noise the motion descends a
    joint potential, `sde.joint_potential`.

    Args:
        second_moment_rate: c, the rate of the second moments in the scaled time.
        exponent: p, of the second moment in the step.
        stabilizer: e, in the scaled variables (its true value is ε^{2p}e).
        weight_decay: w, outside of the scaling.
        learning_rate: η; None where it tends to 0.
        beta2: refused, with the reason: second moments have to be slow.

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
    beta2: InitVar[Any] = None

    def __post_init__(self, beta2: Any) -> None:
        self._check_numbers(beta2)


@dataclass(frozen=True)
class Adam(EachByItself):
    """RMSprop with momentum β₁: m⁺ = β₁m + (1 − β₁)g takes the place of g in the step; with weight decay it is AdamW.

    Without correction of the bias, which only matters in the first steps.

    Args:
        beta1: β₁.
        second_moment_rate: c, the rate of the second moments in the scaled time.
        exponent: p, as of `RMSprop`.
        stabilizer: e, as of `RMSprop`.
        weight_decay: w, outside of the scaling.
        learning_rate: η; None where it tends to 0.
        beta2: refused, as of `RMSprop`.

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
    beta2: InitVar[Any] = None

    def __post_init__(self, beta2: Any) -> None:
        object.__setattr__(self, "beta1", stated_number(self.beta1, "beta1", least=-1, below=1))
        self._check_numbers(beta2)

    @property
    def first_momentum(self) -> Expression:
        return self.beta1

    @property
    def positive_numbers(self) -> tuple[Expression, ...]:
        return (1 - self.beta1,) if self.is_finite and not self.beta1.is_number else ()

    @property
    def letters(self) -> dict[str, Expression]:
        return {r"\beta_1": self.beta1} | super().letters
