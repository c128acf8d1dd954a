"""Noise models. Each says how its columns follow from the loss, and by which law SGD draws them.

Adding a model means adding a class, and a row of `problem_file.NOISE_KINDS`, by which it is read and written. One that can be
stated without a number of samples or parameters is a `FamilyNoise` too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, from_sympy, nodes_of
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol
from symbolic_sgd.problems.as_latex import shown
from symbolic_sgd.problems.covariance_factor import covariance_factor
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.symbols import check_expression

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class NoiseColumns:
    """Σ = s diag(w) sᵀ, that is σ = s diag(√w).

    Args:
        columns: s, D×Ξ.
        weights: w_1 … w_Ξ, positive rationals.
        drawn: whether SGD draws exactly these: the step is −η(∇L + s_ξ) with probability w_ξ, where Σ w_ξ s_ξ = 0.
            Otherwise the model states only σ, and the law is chosen as CONVENTION says.

    CONVENTION for a bare σ: where its columns sum to zero identically, s = √Ξ σ_ξ with probability 1/Ξ (equation (1) of
    Li, Wang & Arora 2022); otherwise ±√Ξ σ_ξ with probability 1/(2Ξ) each, which has the same Σ and mean zero.
    """

    columns: Matrix
    weights: tuple[Fraction, ...]
    drawn: bool

    @property
    def factor(self) -> Matrix:
        """σ = s diag(√w), D×Ξ."""
        graph = self.columns[0, 0].graph
        return self.scaled([graph.power(graph.constant(w), graph.constant(Fraction(1, 2))) for w in self.weights])

    @property
    def weighted(self) -> Matrix:
        """s diag(w), so that Σ = (s diag(w)) sᵀ without roots."""
        return self.scaled(self.weights)

    def scaled(self, factors: Sequence[Node | Fraction]) -> Matrix:
        """s with each column multiplied by a factor."""
        return Matrix(tuple(tuple(f * s for s, f in zip(row, factors, strict=True)) for row in self.columns.rows))

    def map(self, f: Callable[[Matrix], Matrix]) -> "NoiseColumns":
        """The same noise with its columns moved or projected."""
        return replace(self, columns=f(self.columns))


@dataclass(frozen=True)
class KnownCovariance:
    """Σ on Γ as far as the noise model tells.

    Args:
        isotropy: s² where Σ = s²I; it may depend on the parameters.
        proportion: c where Σ = c∇²L, without parameters.
        square: s² where Σ = s²(∇²L)², without parameters.
    """

    isotropy: Expression | None = None
    proportion: Expression | None = None
    square: Expression | None = None


class Noise(ABC):
    """A model of the gradient noise of SGD."""

    @abstractmethod
    def columns(self, problem: "Problem", landscape: Landscape) -> NoiseColumns:
        """The columns s(x) and their weights, built on the landscape's graph."""

    @abstractmethod
    def check(self, problem: "Problem") -> None:
        """Raise where the model does not fit the problem.

        Raises:
            BadInput: and its subclasses: what it is made of does not go with the problem's parameters, residuals or symbols.
        """

    def map(self, f: Callable[[Expression], Expression]) -> "Noise":
        """The same noise with f applied to its expressions in the parameters; none by default."""
        return self

    def extended(self, problem: "Problem", further: int) -> "Noise":
        """The same noise where so many further parameters follow, which neither the loss nor the noise moves."""
        return self

    def known_covariance(self, problem: "Problem", *, interpolating: bool) -> "KnownCovariance":
        """What the model tells of Σ on Γ without a computation.

        Args:
            problem: whose noise it is.
            interpolating: whether all residuals vanish on Γ.
        """
        return KnownCovariance()

    def samples(self, problem: "Problem") -> tuple[Fraction, ...] | None:
        """The probabilities of the samples of which each step draws one, so that even ∇L is a random field; None, the default, where
        noise is added to the full gradient.

        Raises:
            BadInput: steps draw samples whose gradients do not vanish where that of L does.
        """
        return None

    @property
    def as_stated(self) -> "Noise":
        """What the user stated: itself, unless it is made from that for an optimizer."""
        return self

    @property
    def mean_potential(self) -> Expression | None:
        """R₀ where the mean of the noisy gradient is ∇L + ε²∇R₀ + …; None, the default, where it is ∇L."""
        return None

    def batch(self, problem: "Problem") -> int:
        """b, of the samples (equally likely where b > 1) that each step draws without replacement; 1 by default."""
        return 1

    def sample_slopes(self, problem: "Problem", landscape: Landscape) -> Matrix | None:
        """a_1 … a_n with H_i = a_i a_iᵀ for the samples, where their losses rest, D×n; None where there are no samples."""
        return None

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What is stated in the parameters beside the loss: its functions may stand in a regularizer; nothing by default."""
        return ()

    @property
    def statement(self) -> str:
        """The model in one sentence, for documents."""
        return f"{type(self).__name__}."

    @property
    def latex(self) -> str:
        """The model as LaTeX, for notebooks."""
        return rf"\text{{{type(self).__name__.replace('_', ' ')}}}"

    def variances(self, problem: "Problem") -> tuple[Expression, ...]:
        """Expressions without parameters to which Σ may be proportional, in I or in ∇²L, as far as the model tells."""
        return ()


LabelLaw = tuple[Expression, sp.Lambda]
"""The probability of a label of a sample, and the loss of the sample's residual with it."""


class FamilyNoise(ABC):
    """A model of the gradient noise for every number n of samples and d of coordinates: what a family asks of it."""

    @property
    @abstractmethod
    def stated(self) -> tuple[Expression, ...]:
        """What of it may hold constants and, unless it is isotropic, data of a sample."""

    @property
    def isotropy(self) -> Expression | None:
        """s² where Σ = s²I; by default it is not."""
        return None

    def laws_of(self, loss: sp.Lambda) -> tuple[LabelLaw, ...] | None:
        """The labels of which each step draws one for its sample; None, the default, where labels are not the noise.

        Args:
            loss: ℓ, the mean of the losses with them up to a constant.
        """
        return None


@dataclass(frozen=True)
class GradientNoise(Noise):
    """Noise given by its factor σ(x), a D×Ξ matrix of expressions, Σ = σσᵀ, or by its covariance Σ(x), which is factored.

    Args:
        sigma: σ.
        covariance: Σ, D×D, in its place.

    Raises:
        BadInput: neither, or both; a covariance that is not symmetric, or seen not to be positive semidefinite.

    >>> u = sp.Symbol("u")
    >>> GradientNoise(covariance=sp.Matrix([[4, 2*u], [2*u, u**2]])).sigma.T
    Matrix([[2, u]])
    """

    sigma: Any = None
    covariance: Any = None

    @property
    def statement(self) -> str:
        if self.covariance is not None:
            return "given by its covariance Σ(x)."
        columns = self.sigma.shape[1]
        counted = f"{columns} column{'s' if columns > 1 else ''}"
        return f"given by its factor σ(x), with {counted}; its covariance is Σ = σσᵀ."

    @property
    def latex(self) -> str:
        rows, columns = self.sigma.shape
        return (
            rf"\sigma = {shown(self.sigma)}"
            if shown(self.sigma)
            else rf"\sigma \in \mathbb{{R}}^{{{rows}\times {columns}}}"
        )

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(self.sigma.flat())

    def __post_init__(self) -> None:
        own = object.__setattr__
        if self.covariance is None:
            if not isinstance(self.sigma, sp.MatrixBase):
                raise BadInput(
                    f"noise: σ is a {type(self.sigma).__name__}; give a SymPy Matrix with one row a parameter"
                )
            own(self, "sigma", sp.ImmutableDenseMatrix(self.sigma))
            return
        if not isinstance(self.covariance, sp.MatrixBase) or self.covariance.rows != self.covariance.cols:
            raise BadInput("noise: covariance has to be a square SymPy Matrix, one row a parameter")
        for i, entry in enumerate(self.covariance.flat()):
            where = f"noise: covariance[{i // self.covariance.rows}, {i % self.covariance.rows}]"
            check_expression(entry, tuple(entry.free_symbols), where=where)
        own(self, "covariance", sp.ImmutableDenseMatrix(self.covariance))
        factor = covariance_factor(self.covariance)
        if self.sigma is not None and sp.ImmutableDenseMatrix(self.sigma) != factor:
            raise BadInput("noise: both σ and its covariance are given: leave one of them out")
        own(self, "sigma", factor)

    def check(self, problem: "Problem") -> None:
        rows, columns = self.sigma.shape
        if self.covariance is not None and rows != len(problem.parameters):
            raise BadShape(
                f"noise: the covariance is {rows}×{rows}, but there are {len(problem.parameters)} parameters: give one row for each"
            )
        if rows != len(problem.parameters) or columns == 0:
            raise BadShape(
                f"noise: σ is {rows}×{columns}, but there are {len(problem.parameters)} parameters: "
                f"give a {len(problem.parameters)}×Ξ matrix with Ξ ≥ 1 (one row a parameter, one column a noise source)"
            )
        for i in range(rows):
            for j in range(columns):
                check_expression(self.sigma[i, j], problem.symbols, where=f"noise: σ[{i}, {j}]")

    def map(self, f: Callable[[Expression], Expression]) -> Noise:
        return GradientNoise(self.sigma.applyfunc(f))

    def extended(self, problem: "Problem", further: int) -> Noise:
        return GradientNoise(sp.Matrix.vstack(sp.Matrix(self.sigma), sp.zeros(further, self.sigma.cols)))

    def columns(self, problem: "Problem", landscape: Landscape) -> NoiseColumns:
        return NoiseColumns(nodes_of(self.sigma, landscape.graph), (Fraction(1),) * self.sigma.cols, drawn=False)


@dataclass(frozen=True)
class IsotropicNoise(Noise, FamilyNoise):
    """σ = s I, Σ = s² I. The scale s is an exact expression (default 1).

    Args:
        scale: s; it may depend on the parameters and on constants.

    >>> from symbolic_sgd import Problem
    >>> u, v = sp.symbols("u v")
    >>> Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=IsotropicNoise(sp.Rational(1, 2))).noise_factor
    Matrix([
    [1/2,   0],
    [  0, 1/2]])
    """

    scale: Any = 1

    @property
    def statement(self) -> str:
        return f"isotropic, Σ = s²I with s = {self.scale}."

    @property
    def latex(self) -> str:
        return rf"\sigma = s\,I,\quad s = {sp.latex(self._scale)}"

    def check(self, problem: "Problem") -> None:
        check_expression(self.scale, problem.symbols, where="noise: scale")

    def map(self, f: Callable[[Expression], Expression]) -> Noise:
        return IsotropicNoise(f(self._scale))

    def extended(self, problem: "Problem", further: int) -> Noise:
        return GradientNoise(self._scale * sp.eye(problem.dimension)).extended(problem, further)

    def known_covariance(self, problem: "Problem", *, interpolating: bool) -> KnownCovariance:
        return KnownCovariance(isotropy=self.isotropy)

    def variances(self, problem: "Problem") -> tuple[Expression, ...]:
        varies = self._scale.free_symbols & set(problem.parameters)
        return () if varies else (self.isotropy,)

    @property
    def stated(self) -> tuple[Expression, ...]:
        return (self._scale,)

    @property
    def isotropy(self) -> Expression:
        return self._scale**2

    @property
    def _scale(self) -> Expression:
        return exact_expression(self.scale, "scale")

    def columns(self, problem: "Problem", landscape: Landscape) -> NoiseColumns:
        scale = from_sympy(self._scale, landscape.graph)
        d = landscape.dimension
        return NoiseColumns(Matrix.diagonal(landscape.graph, [scale] * d), (Fraction(1),) * d, drawn=False)


@dataclass(frozen=True)
class LabelNoise(Noise, FamilyNoise):
    """Label noise on a least-squares problem: each step draws one residual i and one sign, r_i → r_i ± δ.

    s_{i,±} = (r_i ± δ)∇r_i − ∇L with probability 1/(2n), Ξ = 2n. Where all residuals vanish, Σ = δ²∇²L. With batch_size=n every
    step takes the full gradient and moves all n labels, each by its own sign: σ = (δ/n)(∇r_1 … ∇r_n), and Σ = (δ²/n)∇²L
    where all residuals vanish. (A simulation of it draws one of the n columns, with the same Σ.) With an amplitude δ_i for each
    residual Σ = (1/n)Σ_i δ_i²∇r_i∇r_iᵀ there, over batch_size: a multiple of ∇²L where all are equal.

    With 1 < batch_size = b < n each step draws b residuals without replacement, and a sign for each:

        x⁺ = x − (η/b)Σ_{i∈B}(r_i ± δ_i)∇r_i,   Σ = α Cov_i(r_i∇r_i) + (1/(bn))Σ_i δ_i²∇r_i∇r_iᵀ,   α = (n − b)/(b(n − 1)).

    At a learning rate that stays one needs E[H_BSH_B] = α E_i[H_iSH_i] + (1 − α)HSH (`share_of_one`).

    Args:
        amplitude: δ, an exact expression without parameters (default 1); Var(label) = δ². A sequence: δ_1 … δ_n.
        batch_size: 1 (None, the default) … n; of a family also one of its sizes.

    Raises:
        BadInput: (by `check`, when a problem is stated with it) the problem has no residuals; batch_size is none of 1 … n.
        BadShape: there are neither one nor n amplitudes.
        BadSymbol: an amplitude depends on a parameter.

    >>> from symbolic_sgd import Problem
    >>> u, v = sp.symbols("u v")
    >>> stated = Problem.least_squares([u*v - 1, u - v, u], parameters=(u, v), noise=LabelNoise(1, batch_size=2))
    >>> sigma = stated.noise_factor
    >>> (sigma * sigma.T).subs({u: 0, v: 0})
    Matrix([
    [ 1/3, -1/6],
    [-1/6,  1/6]])
    """

    amplitude: Any = 1
    batch_size: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.amplitude, (list, tuple)):
            object.__setattr__(self, "amplitude", tuple(self.amplitude))

    @property
    def statement(self) -> str:
        if self.batch_size is None:
            moved = "each step draws one residual and one sign, and moves its label by ±δ"
        else:
            moved = (
                f"each step takes {self.batch_size} of the residuals, draws a sign for each, and moves its label by ±δ"
            )
        if self._is_common:
            return f"label noise: {moved} with δ = {self.amplitude}."
        return f"label noise: {moved} of its own, δ = ({', '.join(map(str, self.amplitude))})."

    @property
    def latex(self) -> str:
        if self._is_common:
            return rf"\text{{labels}} \pm\delta,\quad \delta = {sp.latex(self._amplitude)}"
        return rf"\text{{labels}} \pm\delta_i,\quad \delta = {sp.latex(self.amplitude)}"

    def check(self, problem: "Problem") -> None:
        if not problem.residuals:
            raise BadInput(
                "noise: LabelNoise needs residuals; state the problem with Problem.least_squares(residuals, …)"
            )
        count = len(problem.residuals)
        if not self._is_common and len(self.amplitude) != count:
            raise BadShape(
                f"noise: {len(self.amplitude)} amplitudes are given for {count} residuals: give one for each, or one for all"
            )
        for i, stated in enumerate((self.amplitude,) if self._is_common else self.amplitude):
            where = "noise: amplitude" if self._is_common else f"noise: amplitude[{i}]"
            amplitude = check_expression(stated, problem.symbols, where=where)
            trained = sorted(str(s) for s in amplitude.free_symbols & set(problem.parameters))
            if trained:
                raise BadSymbol(
                    f"{where} depends on the parameter {trained[0]}: labels do not know the parameters; "
                    "use a number or a constant, or state σ(x) as a matrix"
                )
        if self.batch_size is not None and (type(self.batch_size) is not int or not 1 <= self.batch_size <= count):
            raise BadInput(
                f"noise: batch_size is {self.batch_size!r}; it can be a whole number from 1 (one residual a step) to {count} "
                "(all of them)"
            )

    def draws_residuals(self, problem: "Problem") -> bool:
        """Whether each step draws residuals, one whatever n is, or several of n; else it adds noise to the full gradient."""
        return self.batch_size is None or not self.takes_all(problem)

    def takes_all(self, problem: "Problem") -> bool:
        """Whether each step takes the full gradient."""
        return self.batch(problem) == len(problem.residuals)

    def batch(self, problem: "Problem") -> int:
        return self.batch_size or 1

    def known_covariance(self, problem: "Problem", *, interpolating: bool) -> KnownCovariance:
        found = self.variances(problem)
        return KnownCovariance(proportion=found[0] if found and interpolating else None)

    def variances(self, problem: "Problem") -> tuple[Expression, ...]:
        """Σ/∇²L where all residuals vanish, if it is a number."""
        first, *others = (delta**2 for delta in self.amplitudes(len(problem.residuals)))
        return () if any(other != first for other in others) else (first / (self.batch_size or 1),)

    @property
    def _is_common(self) -> bool:
        """Whether there is one amplitude for all labels."""
        return not isinstance(self.amplitude, tuple)

    def amplitudes(self, count: int) -> tuple[Expression, ...]:
        """δ_1 … δ_n."""
        if self._is_common:
            return (self._amplitude,) * count
        return tuple(exact_expression(a, f"amplitude[{i}]") for i, a in enumerate(self.amplitude))

    def samples(self, problem: "Problem") -> tuple[Fraction, ...] | None:
        n = len(problem.residuals)
        return None if self.takes_all(problem) else (Fraction(1, n),) * n

    def sample_slopes(self, problem: "Problem", landscape: Landscape) -> Matrix | None:
        """∇r_1 … ∇r_n."""
        return None if self.takes_all(problem) else self._slopes(problem, landscape)

    def _slopes(self, problem: "Problem", landscape: Landscape) -> Matrix:
        residuals = (from_sympy(r, landscape.graph) for r in problem.residuals)
        return Matrix.of(gradient(r, landscape.variables) for r in residuals).T

    @property
    def stated(self) -> tuple[Expression, ...]:
        return (self._amplitude,)

    def laws_of(self, loss: sp.Lambda) -> tuple[LabelLaw, ...]:
        """(½, ℓ(r + δ)) and (½, ℓ(r − δ)).

        Raises:
            BadInput: the number of samples is stated, which a family leaves open.
        """
        if self.batch_size is not None:
            raise BadInput("noise: a family of losses has no number of samples: leave batch_size= out")
        (r,) = loss.variables
        half = sp.Rational(1, 2)
        return tuple((half, sp.Lambda(r, loss(r + sign * self._amplitude))) for sign in (1, -1))

    @property
    def _amplitude(self) -> Expression:
        if not self._is_common:
            raise BadInput("noise: a family of losses has no number of samples: give one amplitude for all of them")
        return exact_expression(self.amplitude, "amplitude")

    def columns(self, problem: "Problem", landscape: Landscape) -> NoiseColumns:
        graph = landscape.graph
        n = len(problem.residuals)
        amplitudes = [from_sympy(delta, graph) for delta in self.amplitudes(n)]
        if not self.draws_residuals(problem):
            rows = self._slopes(problem, landscape).rows
            slopes = Matrix.of([delta * d / n for delta, d in zip(amplitudes, row, strict=True)] for row in rows)
            return NoiseColumns(slopes, (Fraction(1),) * n, drawn=False)
        if (b := self.batch(problem)) > 1:
            slopes, (slope,) = self._slopes(problem, landscape), landscape.gradient.T.rows
            residuals = [from_sympy(r, graph) for r in problem.residuals]
            rows = Matrix.of(
                [
                    *(r * a - g for r, a in zip(residuals, row, strict=True)),
                    *(delta * a for delta, a in zip(amplitudes, row, strict=True)),
                ]
                for row, g in zip(slopes.rows, slope, strict=True)
            )
            weights = (share_of_one(n, b) / n,) * n + (Fraction(1, b * n),) * n
            return NoiseColumns(rows, weights, drawn=False)
        columns = []
        for expression, amplitude in zip(problem.residuals, amplitudes, strict=True):
            residual = from_sympy(expression, graph)
            slope = gradient(residual, landscape.variables)
            for perturbed in (residual + amplitude, residual - amplitude):
                columns.append([perturbed * d for d in slope])
        return _sampled(columns, [Fraction(1, len(columns))] * len(columns), landscape)


@dataclass(frozen=True)
class SamplingNoise(Noise):
    """One loss ℓ_ξ is drawn each step with probability p_ξ: s_ξ = ∇ℓ_ξ − ∇L, L = Σ p_ξ ℓ_ξ, σ_ξ = √p_ξ s_ξ."""

    losses: tuple[Any, ...]
    weights: tuple[Fraction, ...]

    @property
    def statement(self) -> str:
        p = ", ".join(map(str, self.weights))
        return f"that of the samples: each step draws one of {len(self.losses)} losses, with probabilities {p}; L is their mean."

    @property
    def latex(self) -> str:
        p = ", ".join(map(str, self.weights))
        return rf"\sigma_{{\xi}} = \sqrt{{p_{{\xi}}}}\,\nabla(\ell_{{\xi}} - L),\quad p = ({p})"

    def check(self, problem: "Problem") -> None:
        for i, loss in enumerate(self.losses):
            check_expression(loss, problem.symbols, where=f"sample loss {i}")

    def map(self, f: Callable[[Expression], Expression]) -> Noise:
        return SamplingNoise(tuple(map(f, self.losses)), self.weights)

    def samples(self, problem: "Problem") -> tuple[Fraction, ...] | None:
        raise BadInput(
            "each step draws a sample loss whose gradient does not vanish on Γ: at a learning rate that stays, SGD does not come near Γ "
            "then. For labels that are drawn anew state Problem.least_squares(…, noise=LabelNoise(δ)), in which δ is what tends to 0; "
            "for noise that is added to the full gradient state σ(x) as a matrix: problem.noise_factor is that of these samples"
        )

    def columns(self, problem: "Problem", landscape: Landscape) -> NoiseColumns:
        slopes = [gradient(from_sympy(loss, landscape.graph), landscape.variables) for loss in self.losses]
        return _sampled(slopes, self.weights, landscape)


def share_of_one(count: int, batch: int) -> Fraction:
    """α = (n − b)/(b(n − 1)), by which a batch of b of n samples, drawn without replacement, keeps what one sample has beside their mean:
    E[H_BSH_B] = α E_i[H_iSH_i] + (1 − α)HSH for H_B = (1/b)Σ_{i∈B}H_i, and Cov(g_B) = α Cov_i(g_i).

    >>> share_of_one(5, 1), share_of_one(5, 2), share_of_one(5, 5)
    (Fraction(1, 1), Fraction(3, 8), Fraction(0, 1))
    """
    return Fraction(count - batch, batch * (count - 1)) if batch > 1 else Fraction(1)


def exact_expression(value: Any, name: str) -> Expression:
    """A part of a noise model, as a SymPy expression."""
    try:
        return sp.sympify(value, strict=True)
    except sp.SympifyError as error:
        raise BadInput(f"noise: {name} is {value!r}; give an exact number or a SymPy expression") from error


def _sampled(slopes: Sequence[Sequence[Node]], weights: Sequence[Fraction], landscape: Landscape) -> NoiseColumns:
    mean = landscape.gradient.entries
    columns = Matrix.of([g - m for g, m in zip(slope, mean, strict=True)] for slope in slopes).T
    return NoiseColumns(columns, tuple(weights), drawn=True)
