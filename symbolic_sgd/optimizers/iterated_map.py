"""Any optimizer: z⁺ = G(z, ξ) in a state z that holds the parameters and whatever memory there is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol
from symbolic_sgd.optimizers.optimizer import Iteration, Optimizer, check_without_jumps
from symbolic_sgd.problems.covariance_factor import definite_covariance, definite_factor
from symbolic_sgd.problems.noise import GradientNoise
from symbolic_sgd.problems.symbols import check_expression, check_symbols

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class IteratedMap(Optimizer):
    """z⁺ = G(z, εξ) + ε²g(z) with independent ξ of mean 0 and covariance V; t = kε², as ε tends to 0.

    Γ, the minimizers of the problem's loss, sits in the state as ι(Γ): there G(ι(x), 0) = ι(x), and all other directions have to be
    contracted. With B = ∂G, A = I − B, the projection P on ker A along the range of A, the group inverse A^# and Σ = G_ξVG_ξᵀ,

        drift = ½A^#G″[PΣPᵀ] + P G″[A^#(I−P)ΣPᵀ] + ½P G″[C] + ½P G_ξξ[V] + P g,   diffusion P G_ξ V^{1/2},

    where C = BCBᵀ + (I−P)Σ(I−P)ᵀ across Γ. What is stated as the noise of the problem plays no part, unless the update holds it
    (`Problem.noisy_gradient`).

    Args:
        state: N symbols; the parameters of the problem are among them.
        update: G, N expressions in the state, in ξ and in constants of the problem.
        noise: ξ, q symbols.
        covariance: V, a q×q matrix of constants; None for I.
        slow_drift: g, N expressions in the state, or None.
        embedding: ι, memory symbol → its value at a point of Γ, an expression in the parameters; 0 of those left out.

    Raises:
        BadShape: not as many expressions as there have to be.
        BadSymbol: a symbol twice, or of two kinds.
        BadInput: something that is no expression or no symbol; a covariance that is not positive definite.

    A heavy ball:

    >>> x, y, m, n, a, b = sp.symbols("x y m n a b")
    >>> ball = IteratedMap(
    ...     state=(x, y, m, n),
    ...     update=(x - m - a, y - n - b, m/2 + a, n/2 + y/8 + b),
    ...     noise=(a, b),
    ... )
    >>> ball.time_unit
    epsilon**2
    """

    uses_noise: ClassVar[bool] = False

    label: ClassVar[str] = "the iterated map"

    state: Any
    update: Any
    noise: Any
    covariance: Any = None
    slow_drift: Any = None
    embedding: Any = None

    def __post_init__(self) -> None:
        own = object.__setattr__
        own(self, "state", _symbols(self.state, "state"))
        own(self, "noise", _symbols(self.noise, "noise"))
        both = set(self.state) & set(self.noise)
        if both:
            raise BadSymbol(f"{_first(both)} is both in the state and in the noise: give one of them another name")
        known = (*self.state, *self.noise)
        own(self, "update", self._expressions(self.update, "update", known))
        slow = (0,) * len(self.state) if self.slow_drift is None else self.slow_drift
        own(self, "slow_drift", self._expressions(slow, "slow_drift", known))
        own(self, "covariance", definite_covariance(self.covariance, known, len(self.noise)))
        own(self, "embedding", _embedding(self.embedding, self.state))

    def _expressions(self, stated: Any, name: str, known: Sequence[sp.Symbol]) -> tuple[Expression, ...]:
        entries = tuple(stated.flat()) if isinstance(stated, sp.MatrixBase) else _sequence(stated, name)
        if len(entries) != len(self.state):
            raise BadShape(
                f"{name} has {len(entries)} entries, and the state has {len(self.state)}: give one for each of its symbols"
            )
        exact = tuple(_expression(e, f"{name}[{i}]") for i, e in enumerate(entries))
        if name == "slow_drift" and any(e.has(*self.noise) for e in exact if self.noise):
            raise BadSymbol("slow_drift holds a symbol of the noise: it is a function of the state alone")
        for e in exact if name == "slow_drift" else ():
            check_without_jumps(e, "slow_drift")
        return exact

    @property
    def is_finite(self) -> bool:
        return True

    @property
    def rate(self) -> Expression:
        return sp.S.One

    @property
    def kernel(self) -> None:
        return None

    @property
    def has_slow_field(self) -> bool:
        return any(g != 0 for g in self.slow_drift)

    @property
    def curves_noise(self) -> bool:
        """Whether the noise enters (x, m − ι(x)) nonlinearly: G_ξξ ≠ 0, or ι bends what it does to x."""
        bends = lambda f, symbols: any(sp.diff(sp.diff(f, a), b) != 0 for a in symbols for b in symbols)  # noqa: E731
        return any(bends(g, self.noise) for g in self.update) or any(bends(e, self.state) for _, e in self.embedding)

    @property
    def equation(self) -> str:
        return r"z_{k+1} = G(z_k, \epsilon\,\xi_k)"

    @property
    def stated_equation(self) -> str:
        slow = r" + \epsilon^2 g(z_k)" if self.has_slow_field else ""
        lines = [rf"{sp.latex(s)}^+ = {sp.latex(g)}" for s, g in zip(self.state, self.update, strict=True)]
        return r", \quad ".join([self.equation + slow, *lines])

    @property
    def own_symbols(self) -> tuple[sp.Symbol, ...]:
        stated = [*self.update, *self.slow_drift, *dict(self.embedding).values(), *(self.covariance or sp.Matrix())]
        found = set().union(*(e.free_symbols for e in stated)) - {*self.state, *self.noise}
        return tuple(sorted(found, key=str))

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        return self.own_symbols

    def memory(self, problem: "Problem") -> tuple[sp.Symbol, ...]:
        """The symbols of the state that are no parameters."""
        return tuple(s for s in self.state if s not in problem.parameters)

    def check(self, problem: "Problem") -> None:
        """Raise where it does not fit the problem.

        Raises:
            BadInput: a parameter is no part of the state.
            BadSymbol: a symbol is neither in the state nor in the noise nor among the constants; the embedding holds another symbol
                than parameters and constants; the noise has a symbol of the problem.
        """
        missing = [s for s in problem.parameters if s not in self.state]
        if missing:
            raise BadInput(
                f"the parameter {missing[0]} is no symbol of the state {self.state}: the state holds the parameters themselves, so write "
                "the update in them"
            )
        clash = [s for s in (*self.noise, *self.memory(problem)) if s in problem.symbols]
        if clash:
            raise BadSymbol(
                f"{clash[0]} is a symbol of the problem and of the map's noise or memory: give one of them another name"
            )
        for s, value in self.embedding:
            if s in problem.parameters:
                raise BadSymbol(f"embedding[{s}]: {s} is a parameter, which sits in the state as itself: leave it out")
            check_expression(value, (*problem.symbols, *self.own_symbols), where=f"embedding[{s}]")

    def centred(self, problem: "Problem", memory: Sequence[sp.Symbol], weight: Expression) -> tuple[Expression, ...]:
        """G(z, ξ) + weight·g(z) in the coordinates (x, m − ι(x)), in which Γ is Γ × {0}.

        Args:
            problem: whose parameters come first.
            memory: the symbols of m − ι(x).
            weight: of the slow drift.
        """
        own, at_rest = self.memory(problem), dict(self.embedding)
        rest = {s: at_rest.get(s, sp.S.Zero) for s in own}
        shifted = {s: a + rest[s] for s, a in zip(own, memory, strict=True)}
        stated = zip(self.state, self.update, self.slow_drift, strict=True)
        after = {s: (a + weight * g).xreplace(shifted) for s, a, g in stated}
        moved = {s: after[s] for s in problem.parameters}
        return (*moved.values(), *(after[s] - rest[s].xreplace(moved) for s in own))

    def noise_statement(self, problem: "Problem") -> str:
        of = "I" if self.covariance is None else f"V = {self.covariance.tolist()}"
        return f"the map's own, ξ, independent from step to step, of mean 0 and covariance {of}."

    def noise_source(self, problem: "Problem") -> "Problem":
        size = len(self.noise)
        places = tuple(sp.Dummy(f"s{k}", real=True) for k in range(size))
        factor = self.factor
        constants = tuple(sorted(factor.free_symbols, key=str))
        return type(problem)(
            loss=sp.Add(*[s**2 for s in places]), parameters=places, noise=GradientNoise(factor), constants=constants
        )

    @property
    def factor(self) -> Any:
        """V^{1/2} as the Cholesky factor, q×q."""
        return definite_factor(self.covariance, len(self.noise))

    @property
    def iteration(self) -> Iteration:
        raise NotImplementedError("the step of an iterated map is written in its own symbols")

    @property
    def local_steps(self) -> int:
        return 1


def _sequence(stated: Any, name: str) -> tuple[Any, ...]:
    if isinstance(stated, (str, set, frozenset, Mapping, sp.Basic)) or not isinstance(stated, Iterable):
        raise BadInput(f"{name} is a {type(stated).__name__}; give a sequence, one entry for each symbol")
    return tuple(stated)


def _symbols(stated: Any, name: str) -> tuple[sp.Symbol, ...]:
    found = check_symbols(stated, where=name)
    if not found:
        raise BadInput(f"{name} is empty: name its symbols")
    return found


def _expression(stated: Any, where: str) -> Expression:
    exact = sp.Integer(stated) if isinstance(stated, int) and not isinstance(stated, bool) else stated
    return check_expression(exact, tuple(getattr(exact, "free_symbols", ())), where=where)


def _embedding(stated: Any, state: Sequence[sp.Symbol]) -> tuple[tuple[sp.Symbol, Expression], ...]:
    if stated is None:
        return ()
    pairs = dict(stated) if isinstance(stated, (Mapping, tuple)) else None
    if pairs is None:
        raise BadInput(
            f"embedding is a {type(stated).__name__}; give a dict such as {{m: 0}}, memory symbol → value on Γ"
        )
    for s in pairs:
        if s not in state:
            raise BadSymbol(f"embedding: {s} is no symbol of the state")
    return tuple((s, _expression(value, f"embedding[{s}]")) for s, value in pairs.items())


def _first(symbols: set[sp.Symbol]) -> sp.Symbol:
    return min(symbols, key=str)
