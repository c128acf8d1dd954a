"""Noise that passes through a function entry by entry: its averages, as finite sums over atoms or in closed form for Gaussian noise."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy, nodes_of
from symbolic_sgd.errors import BadInput
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.law import NoiseLaw, noise_law
from symbolic_sgd.problems.noise import LabelNoise, Noise, NoiseColumns

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem

LETTER = sp.Symbol("g", real=True)
"""What ψ is a function of."""

JUMPING = (sp.Abs, sp.sign, sp.Max, sp.Min, sp.Heaviside, sp.Piecewise, sp.floor, sp.ceiling)


# --- functions whose averages over Gaussian noise are known ---------------------------------------


@dataclass(frozen=True)
class GaussianAverages(ABC):
    """k times a function whose averages over normal numbers have a closed form.

    Args:
        factor: k.
    """

    factor: Expression

    needs_variance = True
    """Whether the average is smooth only where the variance is positive."""

    @abstractmethod
    def slope(self, s: Expression) -> Expression:
        """E ψ′(n), n ~ N(0, s)."""

    @abstractmethod
    def mean(self, g: Expression, s: Expression) -> Expression:
        """E ψ(g + n)."""

    @abstractmethod
    def square(self, s: Expression) -> Expression:
        """E ψ(n)²."""

    @abstractmethod
    def product(self, s: Expression, c: Expression, t: Expression) -> Expression:
        """E ψ(n)ψ(m), Var n = s, Cov(n, m) = c ≠ 0, Var m = t.

        Raises:
            BadInput: it has no closed form.
        """


@dataclass(frozen=True)
class Sign(GaussianAverages):
    """sign g: E sign(g + n) = erf(g/√(2s)), and E sign(n)sign(m) = (2/π)arcsin(c/√(st))."""

    def slope(self, s: Expression) -> Expression:
        return self.factor * sp.sqrt(2 / sp.pi) / sp.sqrt(s)

    def mean(self, g: Expression, s: Expression) -> Expression:
        return self.factor * sp.erf(g / sp.sqrt(2 * s))

    def square(self, s: Expression) -> Expression:
        return self.factor**2

    def product(self, s: Expression, c: Expression, t: Expression) -> Expression:
        return self.factor**2 * 2 / sp.pi * sp.asin(c / (sp.sqrt(s) * sp.sqrt(t)))


@dataclass(frozen=True)
class Erf(GaussianAverages):
    """erf(bg), a sign without a jump: E erf(b(g + n)) = erf(bg/√(1 + 2b²s)).

    Args:
        steepness: b.
    """

    steepness: Expression

    needs_variance = False

    def slope(self, s: Expression) -> Expression:
        return self.factor * 2 * self.steepness / sp.sqrt(sp.pi) / self._width(s)

    def mean(self, g: Expression, s: Expression) -> Expression:
        return self.factor * sp.erf(self.steepness * g / self._width(s))

    def square(self, s: Expression) -> Expression:
        return self.product(s, s, s)

    def product(self, s: Expression, c: Expression, t: Expression) -> Expression:
        inner = 2 * self.steepness**2 * c / (self._width(s) * self._width(t))
        return self.factor**2 * 2 / sp.pi * sp.asin(inner)

    def _width(self, s: Expression) -> Expression:
        return sp.sqrt(1 + 2 * self.steepness**2 * s)


@dataclass(frozen=True)
class Clip(GaussianAverages):
    """max(−c, min(c, g)): E ψ′ = erf(c/√(2s)). The mean of a product is written out for independent entries only.

    Args:
        bound: c.
    """

    bound: Expression

    def slope(self, s: Expression) -> Expression:
        return self.factor * sp.erf(self.bound / sp.sqrt(2 * s))

    def mean(self, g: Expression, s: Expression) -> Expression:
        """½Σ_± ±((g ± c)erf((g ± c)/√(2s)) + √(2s/π)e^{−(g ± c)²/2s}), of ψ(g) = ½(|g + c| − |g − c|)."""
        folded = lambda a: a * sp.erf(a / sp.sqrt(2 * s)) + sp.sqrt(2 * s / sp.pi) * sp.exp(-(a**2) / (2 * s))  # noqa: E731
        return self.factor * (folded(g + self.bound) - folded(g - self.bound)) / 2

    def square(self, s: Expression) -> Expression:
        c, inside = self.bound, sp.erf(self.bound / sp.sqrt(2 * s))
        edge = sp.sqrt(2 / sp.pi) * c * sp.sqrt(s) * sp.exp(-(c**2) / (2 * s))
        return self.factor**2 * (c**2 * (1 - inside) + s * inside - edge)

    def product(self, s: Expression, c: Expression, t: Expression) -> Expression:
        raise BadInput(
            "the mean of two clipped normal numbers has no closed form where they are correlated, and entries of the noise are: state "
            'noise whose covariance is diagonal, or law="drawn" and a smooth function'
        )


@dataclass(frozen=True)
class Linear(GaussianAverages):
    """kg: SGD itself, at the learning rate kη."""

    needs_variance = False

    def slope(self, s: Expression) -> Expression:
        return self.factor

    def mean(self, g: Expression, s: Expression) -> Expression:
        return self.factor * g

    def square(self, s: Expression) -> Expression:
        return self.factor**2 * s

    def product(self, s: Expression, c: Expression, t: Expression) -> Expression:
        return self.factor**2 * c


def clipping(c: Expression) -> Expression:
    """max(−c, min(c, g)) as ½(|g + c| − |g − c|)."""
    return (sp.Abs(LETTER + c) - sp.Abs(LETTER - c)) / 2


def clipped(expression: Expression) -> Clip | None:
    """k max(−c, min(c, g)), however it is written, for a positive c; None for anything else.

    >>> c = sp.Symbol("c", positive=True)
    >>> clipped(3*sp.Min(c, sp.Max(-c, LETTER)))
    Clip(factor=3, bound=c)
    """
    factor, rest = sp.factor_terms(expression).as_independent(LETTER, as_Add=False)
    bounds: set[Any] = {
        -a if a.is_negative else a for e in rest.atoms(sp.Max, sp.Min) for a in _entries(e) if not a.has(LETTER)
    }
    for c in bounds:
        if c.is_positive and rest in (sp.Max(-c, sp.Min(c, LETTER)), sp.Min(c, sp.Max(-c, LETTER))):
            return Clip(factor, c)
    for inner in rest.atoms(sp.Abs):
        c = sp.Abs(inner.args[0].subs(LETTER, 0))
        if c.is_positive and (k := sp.cancel(expression / clipping(c))).has(LETTER) is False:
            return Clip(k, c)
    return None


def gaussian_averages(function: Expression) -> GaussianAverages:
    """The averages of a function of g.

    Raises:
        BadInput: none are known.
    """
    factor, rest = function.as_independent(LETTER, as_Add=False)
    if rest == LETTER:
        return Linear(factor)
    if rest == sp.sign(LETTER):
        return Sign(factor)
    if isinstance(rest, sp.erf) and not (steepness := sp.cancel(rest.args[0] / LETTER)).has(LETTER):
        return Erf(factor, steepness)
    found = clipped(function)
    if found is None:
        raise BadInput(
            f"no closed form is known for the averages of {function} over Gaussian noise: they are for multiples of g, sign(g), erf(b*g) "
            'and of g clipped at ±c; another smooth function goes with law="drawn", whose averages are finite sums'
        )
    return found


# --- laws ------------------------------------------------------------------------------------------


class EntrywiseLaw(ABC):
    """A symmetric law of the noise n of a gradient at x, and averages of ψ(n), entry by entry."""

    @abstractmethod
    def slopes(self, function: Expression) -> list[Expression]:
        """S_ii = E ψ′(n_i)."""

    @abstractmethod
    def means(self, function: Expression, slope: Sequence[Expression]) -> list[Expression]:
        """F_i = E ψ(g_i + n_i) for a gradient g."""

    @abstractmethod
    def columns(self, function: Expression, graph: Graph) -> tuple[Matrix, tuple[Fraction, ...]]:
        """τ_1 … τ_K and weights with W = E ψ(n)ψ(n)ᵀ = Σ_k w_k τ_kτ_kᵀ."""

    @abstractmethod
    def second_moments(self, function: Expression) -> SymbolicMatrix:
        """W."""

    @abstractmethod
    def map(self, f: Callable[[Expression], Expression]) -> "EntrywiseLaw":
        """With f applied to what depends on the parameters."""

    def nondegenerate(self, function: Expression) -> SymbolicMatrix | None:
        """What has to be positive definite on Γ; None where nothing has."""
        return None


@dataclass(frozen=True)
class Atoms(EntrywiseLaw):
    """±s_k with probability w_k/2 each.

    Args:
        steps: s_1 … s_K, D×K.
        weights: w_1 … w_K, with sum 1.
    """

    steps: Any
    weights: tuple[Fraction, ...]

    @staticmethod
    def of(law: NoiseLaw) -> "Atoms":
        """Of a law that is the same with the sign changed, for every x.

        Raises:
            BadInput: that is not proved.
        """
        matrix = law.program.on(Graph())["steps"]
        columns, stated = [list(c) for c in matrix.T.rows], law.program.expand("steps")
        left, kept = list(range(len(columns))), dict[int, Fraction]()
        while left:
            k = left.pop(0)
            if all(zero_functions(columns[k])):
                kept[k] = law.probabilities[k]
                continue
            opposite = next(
                (
                    j
                    for j in left
                    if law.probabilities[j] == law.probabilities[k]
                    and all(zero_functions([a + b for a, b in zip(columns[k], columns[j], strict=True)]))
                ),
                None,
            )
            if opposite is None:
                raise BadInput(
                    "the law of the noise is not symmetric for every x: a step s is drawn, and −s is not with the same probability. "
                    "Then the mean of ψ(∇L + noise) does not vanish where ∇L does, or has another slope there than E ψ′(noise)∇²L. "
                    "State the noise as a matrix σ(x), whose columns are drawn with both signs"
                )
            left.remove(opposite)
            kept[k] = 2 * law.probabilities[k]
        return Atoms(stated[:, list(kept)], tuple(kept.values()))

    def slopes(self, function: Expression) -> list[Expression]:
        return [self._mean(at_letter(sp.diff(function, LETTER), s) for s in row) for row in self._rows]

    def means(self, function: Expression, slope: Sequence[Expression]) -> list[Expression]:
        return [
            self._mean((at_letter(function, g + s) + at_letter(function, g - s)) / 2 for s in row)
            for g, row in zip(slope, self._rows, strict=True)
        ]

    def columns(self, function: Expression, graph: Graph) -> tuple[Matrix, tuple[Fraction, ...]]:
        return nodes_of(self._moved(function), graph), self.weights

    def second_moments(self, function: Expression) -> SymbolicMatrix:
        moved = self._moved(function)
        return sp.ImmutableDenseMatrix(moved * sp.diag(*map(_rational, self.weights)) * moved.T)

    def map(self, f: Callable[[Expression], Expression]) -> "Atoms":
        return replace(self, steps=self.steps.applyfunc(f))

    @property
    def _rows(self) -> list[list[Expression]]:
        return [list(self.steps.row(i)) for i in range(self.steps.rows)]

    def _moved(self, function: Expression) -> Any:
        return self.steps.applyfunc(lambda s: at_letter(function, s))

    def _mean(self, values: Any) -> Expression:
        return sp.Add(*[_rational(w) * value for w, value in zip(self.weights, values, strict=True)])


@dataclass(frozen=True)
class Gaussian(EntrywiseLaw):
    """N(0, Σ(x)).

    Args:
        covariance: Σ, D×D.
    """

    covariance: Any

    def slopes(self, function: Expression) -> list[Expression]:
        averages = gaussian_averages(function)
        return [averages.slope(s) for s in self._variances]

    def means(self, function: Expression, slope: Sequence[Expression]) -> list[Expression]:
        averages = gaussian_averages(function)
        return [averages.mean(g, s) for g, s in zip(slope, self._variances, strict=True)]

    def columns(self, function: Expression, graph: Graph) -> tuple[Matrix, tuple[Fraction, ...]]:
        """L√p of W = L diag(p) Lᵀ."""
        factored = PositiveDefinite.factor(nodes_of(self.second_moments(function), graph))
        d, half = range(self.covariance.rows), graph.constant(Fraction(1, 2))
        roots, zero = [graph.power(p, half) for p in factored.pivots], graph.constant(0)
        rows = ([*(a * r for a, r in zip(factored.lower[i], roots, strict=False)), roots[i]] for i in d)
        return Matrix.of([*row, *[zero] * (len(d) - len(row))] for row in rows), (Fraction(1),) * len(d)

    def second_moments(self, function: Expression) -> SymbolicMatrix:
        averages, d = gaussian_averages(function), self.covariance.rows

        def entry(i: int, j: int) -> Expression:
            s, c, t = self.covariance[i, i], self.covariance[i, j], self.covariance[j, j]
            if i == j:
                return averages.square(s)
            i, j = min(i, j), max(i, j)
            return sp.S.Zero if _vanishes(c) else averages.product(s, c, t)

        return sp.ImmutableDenseMatrix(d, d, entry)

    def map(self, f: Callable[[Expression], Expression]) -> "Gaussian":
        return replace(self, covariance=self.covariance.applyfunc(f))

    def nondegenerate(self, function: Expression) -> SymbolicMatrix:
        """W, and the variances where ψ is not smooth, as one matrix."""
        averages, moments = gaussian_averages(function), self.second_moments(function)
        variances = self._variances if averages.needs_variance else []
        return sp.ImmutableDenseMatrix(sp.diag(*variances, sp.Matrix(moments)))

    @property
    def _variances(self) -> list[Expression]:
        return [self.covariance[i, i] for i in range(self.covariance.rows)]


DRAWN, GAUSSIAN = "drawn", "gaussian"
"""Names of laws: steps as SGD draws them, and N(0, Σ)."""


def entrywise_law(problem: "Problem", name: str, function: Expression) -> EntrywiseLaw:
    """The law of a problem's noise.

    Args:
        problem: whose noise it is.
        name: `DRAWN` or `GAUSSIAN`.
        function: ψ.

    Raises:
        BadInput: noise whose law is not symmetric, or another one than is drawn; a function that does not go with it.
    """
    if name == GAUSSIAN:
        sigma = problem.noise_factor
        law = Gaussian(sp.ImmutableDenseMatrix((sigma * sigma.T).applyfunc(sp.expand)))
        averages = gaussian_averages(function)
        still = [x for x, s in zip(problem.parameters, law.covariance.diagonal(), strict=True) if _vanishes(s)]
        if still and averages.needs_variance:
            raise BadInput(
                f"no noise reaches {still[0]}, and {function} is not smooth: its average there jumps or bends on Γ; state noise in every "
                "parameter, or a smooth function"
            )
        return law
    found = [kind for kind in JUMPING if function.has(kind)]
    if found:
        raise BadInput(
            f"{function} jumps or bends, and the noise takes finitely many values, at which its average does so, too: state "
            'law="gaussian", or a smooth function such as tanh'
        )
    noise = problem.noise
    if isinstance(noise, LabelNoise) and noise.batch_size is not None and noise.batch_size > 1:
        raise BadInput(
            "label noise on several residuals a step is simulated by noise with the same covariance, and the limit of a nonlinear update "
            'depends on its whole law: state the noise as a matrix σ(x), one column of which is drawn, or law="gaussian"'
        )
    return Atoms.of(noise_law(problem))


@dataclass(frozen=True)
class StepNoise(Noise):
    """S⁻¹τ, ττᵀ = W = E ψ(n)ψ(n)ᵀ: what noise of the gradient, multiplied by S = E Dψ(n), moves as ψ(n) does.

    Args:
        source: the noise that is stated.
        law: of n.
        function: ψ.
    """

    source: Noise
    law: EntrywiseLaw
    function: Expression

    @property
    def as_stated(self) -> Noise:
        return self.source

    @property
    def statement(self) -> str:
        return self.source.statement

    @property
    def latex(self) -> str:
        return self.source.latex

    def check(self, problem: "Problem") -> None:
        self.source.check(problem)

    def map(self, f: Callable[[Expression], Expression]) -> Noise:
        return replace(self, source=self.source.map(f), law=self.law.map(f))

    def columns(self, problem: "Problem", landscape: Landscape) -> NoiseColumns:
        graph = landscape.graph
        moves, weights = self.law.columns(self.function, graph)
        slopes = [from_sympy(s, graph) for s in self.law.slopes(self.function)]
        rows = ([entry / s for entry in row] for row, s in zip(moves.rows, slopes, strict=True))
        return NoiseColumns(Matrix.of(rows), weights, drawn=False)

    def step_factor(self) -> Program:
        """τ, as `factor`."""
        graph = Graph()
        moves, weights = self.law.columns(self.function, graph)
        return Program.of({"factor": NoiseColumns(moves, weights, drawn=False).factor})


def at_letter(function: Expression, value: Expression) -> Expression:
    """ψ at a value."""
    return function.xreplace({LETTER: value})


def _entries(expression: Any) -> tuple[Any, ...]:
    return expression.args


def _rational(w: Fraction) -> Expression:
    return sp.Rational(w.numerator, w.denominator)


def _vanishes(expression: Expression) -> bool:
    return zero_functions([from_sympy(expression, Graph())])[0]
