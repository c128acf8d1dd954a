"""What the user states: a loss, its parameters, and the noise of SGD."""

import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol, InexactNumber
from symbolic_sgd.problems.as_latex import LARGEST, problem_latex
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.noise import GradientNoise, Noise, SamplingNoise
from symbolic_sgd.problems.perturbation import LossPerturbation
from symbolic_sgd.problems.symbols import (
    check_condition,
    check_expression,
    check_no_twins,
    check_symbols,
    implied_conditions,
    real_gradient,
)

PERTURBED = "perturbed loss (in parameters=, perturbations= and constants=)"
"""What errors call L̂, whose symbols are those."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A loss L: R^D → R and the noise of SGD, x(k+1) = x(k) − η(∇L(x(k)) + noise).

    Args:
        loss: L, an exact SymPy expression.
        parameters: x_1 … x_D in the order of every vector's entries; every symbol stands for a real number.
        noise: σ(x) as a D×Ξ SymPy Matrix, or a noise object.
        manifold: M independent equations (expressions that vanish) of Γ; they are checked, never believed.
        near: a point (parameter → number) close to the part of Γ meant.
        domain: inequalities that hold on the part of Γ meant.
        constants: further symbols that stay symbolic; their assumptions are used.

    Raises:
        BadInput: and its subclasses, naming what is wrong, where, and what to change.

    >>> u, v = sp.symbols("u v")
    >>> Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=sp.eye(2)).dimension
    2
    """

    loss: sp.Expr
    parameters: tuple[sp.Symbol, ...]
    noise: Noise
    manifold: tuple[sp.Expr, ...] = ()
    near: Mapping[sp.Symbol, Any] | None = field(default=None, hash=False)
    domain: tuple[Any, ...] = ()
    constants: tuple[sp.Symbol, ...] = ()
    residuals: tuple[sp.Expr, ...] = ()

    def __post_init__(self) -> None:
        set_field = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731 (the frozen class's own setter)
        set_field("parameters", check_symbols(self.parameters, where="parameters"))
        if not self.parameters:
            raise BadInput("parameters is empty: name the symbols that SGD trains")
        set_field("constants", check_symbols(self.constants, where="constants"))
        both = [s for s in self.parameters if s in self.constants]
        if both:
            raise BadSymbol(f"{both[0]} is both a parameter and a constant: keep it in one of the two")
        check_no_twins(self.symbols)
        set_field("loss", check_expression(self.loss, self.symbols, where="loss"))
        set_field("residuals", self._expressions(self.residuals, "residuals"))
        if self.residuals and self.loss != _half_mean_square(self.residuals):
            raise BadInput("residuals do not belong to this loss: state them with Problem.least_squares(residuals, …)")
        set_field("manifold", self._expressions(self.manifold, "manifold"))
        set_field("domain", self._conditions())
        set_field("near", self._start())
        noise = GradientNoise(self.noise) if isinstance(self.noise, sp.MatrixBase) else self.noise
        if not isinstance(noise, Noise):
            raise BadInput(
                f"noise is a {type(self.noise).__name__}; give a D×Ξ SymPy Matrix σ(x), or LabelNoise(…), "
                "IsotropicNoise(…), GradientNoise(…)"
            )
        set_field("noise", noise)
        noise.check(self)

    def _expressions(self, given: Any, where: str) -> tuple[sp.Expr, ...]:
        if isinstance(given, (str, set, frozenset, dict, sp.Expr)) or not isinstance(given, Iterable):
            raise BadInput(f"{where} is a {type(given).__name__}; give a list of expressions, e.g. [u*v - 1]")
        return tuple(check_expression(e, self.symbols, where=f"{where}[{i}]") for i, e in enumerate(given))

    def _conditions(self) -> tuple[Any, ...]:
        given = self.domain
        if isinstance(given, (str, set, frozenset, dict, sp.Basic, bool)) or not isinstance(given, Iterable):
            raise BadInput(f"domain is a {type(given).__name__}; give a list of inequalities, e.g. [v > 0]")
        checked = (check_condition(c, self.symbols, where=f"domain[{i}]") for i, c in enumerate(given))
        return tuple(c for c in checked if c is not None)

    def _start(self) -> dict[sp.Symbol, Any] | None:
        if self.near is None:
            return None
        if not isinstance(self.near, Mapping):
            raise BadInput(f"near is a {type(self.near).__name__}; give a dict such as {{u: 1, v: 1}}")
        missing = [s for s in self.parameters if s not in self.near]
        unknown = [s for s in self.near if s not in self.symbols]
        if unknown:
            raise BadSymbol(f"near: {unknown[0]!r} is neither a parameter nor a constant of this problem")
        if missing:
            raise BadInput(f"near has no value for {', '.join(map(str, missing))}: give every parameter one")
        return {s: real_number(value, where=f"near[{s}]") for s, value in self.near.items()}

    # --- the other ways to state a problem --------------------------------------------------

    @classmethod
    def least_squares(cls, residuals: Sequence[Any], *, parameters: Any, noise: Any, **further: Any) -> "Problem":
        """L = (1/2n) Σ_i r_i², for n residuals r_i.

        Args:
            residuals: r_1 … r_n, expressions.
            parameters, noise: as of `Problem`; `LabelNoise` goes with residuals only.
            further: manifold, near, domain and constants, as of `Problem`.

        Raises:
            BadInput: residuals that are no list, or none; a loss besides; what `Problem` refuses.

        >>> from symbolic_sgd.problems.noise import LabelNoise
        >>> u, v = sp.symbols("u v")
        >>> Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)).loss
        (u*v - 1)**2/2
        """
        symbols = (
            *check_symbols(parameters, where="parameters"),
            *check_symbols(further.get("constants", ()), where="constants"),
        )
        if isinstance(residuals, (str, set, frozenset, dict, sp.Expr)) or not isinstance(residuals, Iterable):
            raise BadInput(f"residuals is a {type(residuals).__name__}; give a list of expressions, e.g. [u*v - 1]")
        checked = tuple(check_expression(r, symbols, where=f"residuals[{i}]") for i, r in enumerate(residuals))
        if not checked:
            raise BadInput("residuals is empty: give at least one")
        if "loss" in further:
            raise BadInput("least_squares makes the loss from the residuals: leave loss= out")
        return cls(loss=_half_mean_square(checked), residuals=checked, parameters=parameters, noise=noise, **further)

    @classmethod
    def from_sample_losses(
        cls, losses: Sequence[Any], *, parameters: Any, weights: Sequence[Any] | None = None, **further: Any
    ) -> "Problem":
        """L = E ℓ_ξ with noise σ_ξ = √p_ξ (∇ℓ_ξ − ∇L): SGD draws one ℓ_ξ a step, with probability p_ξ.

        Args:
            losses: ℓ_1 … ℓ_Ξ.
            parameters: as of `Problem`.
            weights: p_1 … p_Ξ, exact, positive, with sum 1 (default: 1/Ξ each).
            further: manifold, near, domain and constants, as of `Problem`.

        Raises:
            BadInput: losses that are no list, or none; weights that are no probabilities; noise besides; what `Problem` refuses.

        >>> u, v = sp.symbols("u v")
        >>> Problem.from_sample_losses([(u*v - 1)**2, (u*v + 1)**2], parameters=(u, v)).loss
        (u*v - 1)**2/2 + (u*v + 1)**2/2
        """
        if "noise" in further:
            raise BadInput("from_sample_losses makes the noise from the sample losses: leave noise= out")
        symbols = (
            *check_symbols(parameters, where="parameters"),
            *check_symbols(further.get("constants", ()), where="constants"),
        )
        if isinstance(losses, (str, set, frozenset, dict, sp.Expr)) or not isinstance(losses, Iterable):
            raise BadInput(f"sample losses are a {type(losses).__name__}; give a list of expressions")
        checked = tuple(check_expression(e, symbols, where=f"sample loss {i}") for i, e in enumerate(losses))
        probabilities = exact_probabilities(weights, len(checked))
        loss = sp.Add(
            *[sp.Rational(p.numerator, p.denominator) * e for p, e in zip(probabilities, checked, strict=True)]
        )
        return cls(loss=loss, parameters=parameters, noise=SamplingNoise(checked, probabilities), **further)

    @classmethod
    def perturbed(
        cls, loss: Any, parameters: Any, perturbations: Any, covariance: Any = None, **further: Any
    ) -> "Problem":
        """L = L̂(x, 0), and every step takes the gradient of L̂(x, εξ): noise injection, dropout, anti-PGD.

        x⁺ = x − η∂_xL̂(x, εξ) with independent ξ of mean 0 and covariance V; it goes with an optimizer at a learning rate that stays,
        such as SGD(learning_rate=η). With R₀ = ½ tr V ∂_ξ²L̂(x, 0) and Σ = MVMᵀ, M = ∂_x∂_ξL̂(x, 0), the drift is, per step and ε²,

            −η∂Φ∇R₀ + η²(½∂²Φ[Σ] of SGD at this learning rate).

        The unit of time is ηε² unless R₀ is proved constant on Γ, and η²ε² then.

        Args:
            loss: L̂(x, ξ).
            parameters: x, D symbols.
            perturbations: ξ, q symbols.
            covariance: V, a positive definite q×q matrix of constants; None for I.
            further: manifold, near, domain and constants, as of `Problem`.

        Raises:
            BadInput: noise or residuals besides; a covariance that is not known to be positive definite; what `Problem` refuses.
            BadSymbol: a perturbation that is a parameter or a constant, too.

        Noise on the parameters: L̂ = L(x + ξ). Dropout at a rate p: factors 1 + ξ_j with V = p/(1 − p)I. Anti-PGD,
        x⁺ = x − η∇L(x) + ε(ξ' − ξ), is the former in z = x − εξ.

        >>> u, v, a, b = sp.symbols("u v a b")
        >>> injected = Problem.perturbed(((u + a)*(v + b) - 1)**2/2, (u, v), (a, b))
        >>> injected.loss, injected.noise.mean_potential
        ((u*v - 1)**2/2, u**2/2 + v**2/2)
        """
        for key in ("noise", "residuals"):
            if key in further:
                raise BadInput(f"perturbed makes the loss and its noise from the perturbed loss: leave {key}= out")
        ξ = check_symbols(perturbations, where="perturbations")
        symbols = (
            check_symbols(parameters, where="parameters"),
            check_symbols(further.get("constants", ()), where="constants"),
        )
        both = [s for s in ξ if s in {*symbols[0], *symbols[1]}]
        if both:
            raise BadSymbol(
                f"perturbations: {both[0]} is a parameter or a constant, too: give one of them another name"
            )
        if isinstance(covariance, sp.MatrixBase) and covariance.has(*symbols[0]):
            raise BadSymbol(
                "covariance depends on a parameter: it is that of what is drawn; multiply the perturbation by what depends on the "
                "parameters in the loss"
            )
        stated = check_expression(
            loss, (*symbols[0], *symbols[1], *ξ), where="perturbed loss (in parameters=, perturbations= and constants=)"
        )
        noise = LossPerturbation(stated, ξ, covariance)
        return cls(loss=noise.loss_at_rest, parameters=parameters, noise=noise, **further)

    # --- what the later stages ask ----------------------------------------------------------

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """The parameters, then the constants."""
        return (*self.parameters, *self.constants)

    @property
    def conditions(self) -> tuple[Any, ...]:
        """The domain, and what the assumptions of the symbols say of it."""
        return (*self.domain, *implied_conditions(self.symbols))

    @property
    def dimension(self) -> int:
        """D, the number of parameters."""
        return len(self.parameters)

    def noisy_gradient(self, draws: Sequence[sp.Symbol]) -> Any:
        """∇L(x) + σ(x)ξ, a column of D expressions: what the update of an `IteratedMap` is made of.

        Args:
            draws: ξ, a symbol for each of the Ξ columns of σ.

        Raises:
            BadShape: another number of symbols.

        >>> u, v, a, b = sp.symbols("u v a b")
        >>> Problem(loss=u**2*v**2/2, parameters=(u, v), noise=sp.eye(2)).noisy_gradient((a, b)).T
        Matrix([[a + u*v**2, b + u**2*v]])
        """
        sigma = self.noise_factor
        if len(draws) != sigma.cols:
            raise BadShape(f"the noise has {sigma.cols} columns, and {len(draws)} symbols are given: give one for each")
        slope = sp.Matrix(real_gradient(self.loss, self.parameters))
        return sp.ImmutableDenseMatrix(slope + sigma * sp.Matrix(draws))

    def map(self, f: Callable[[Any], Any]) -> "Problem":
        """The same problem with f applied to the loss (or to the residuals) and to the expressions of the noise."""
        residuals = tuple(map(f, self.residuals))
        loss = _half_mean_square(residuals) if residuals else f(self.loss)
        return replace(self, loss=loss, residuals=residuals, noise=self.noise.map(f))

    @property
    def expressions(self) -> tuple[sp.Expr, ...]:
        """The loss, and what the noise is made of."""
        seen: list[sp.Expr] = []
        self.map(lambda e: seen.append(e) or e)
        return tuple(seen)

    def landscape(self) -> Landscape:
        """L, ∇L and ∇²L on a new graph."""
        graph = Graph()
        return Landscape.of(self._loss_node(graph), self.parameters)

    def _loss_node(self, graph: Graph) -> Node:
        # Built from the residuals where there are any, so that they are nodes, and can be set to zero on Γ.
        if not self.residuals:
            return from_sympy(self.loss, graph)
        residuals = (from_sympy(residual, graph) for residual in self.residuals)
        return graph.total(r * r for r in residuals) / (2 * len(self.residuals))

    @property
    def noise_factor(self) -> sp.ImmutableDenseMatrix:
        """σ(x), D×Ξ, everywhere (not only on Γ), with Σ = σσᵀ."""
        columns = self.noise.columns(self, self.landscape())
        return Program.of({"noise factor": columns.factor}).expand("noise factor")

    def condition_nodes(self, graph: Graph) -> list[tuple[Node, str]]:
        """The conditions as (left − right, relation) pairs."""
        return [(from_sympy(c.lhs, graph) - from_sympy(c.rhs, graph), c.rel_op) for c in self.conditions]

    def __repr__(self) -> str:
        size, names = operations(self.loss), ", ".join(map(str, self.parameters))
        loss = str(self.loss) if size <= LARGEST // 10 else f"{size} operations"
        return f"Problem(L({names}) = {loss}, {type(self.noise).__name__})"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {problem_latex(self)}$"


def _half_mean_square(residuals: Sequence[sp.Expr]) -> sp.Expr:
    return sp.Add(*[r**2 for r in residuals]) / (2 * len(residuals))


def real_number(value: Any, *, where: str) -> float:
    """A finite real number as a float; `BadInput` names the place of anything else."""
    is_number = isinstance(value, numbers.Real) or (isinstance(value, sp.Expr) and value.is_number and value.is_real)
    if is_number and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if abs(number) < float("inf"):
            return number
    raise BadInput(f"{where} is {value!r}, not a finite real number (of float64 size)")


def exact_probabilities(weights: Any, count: int) -> tuple[Fraction, ...]:
    """p_1 … p_K as fractions: positive rationals with sum 1 (None: 1/K each), or `BadInput`."""
    if count == 0:
        raise BadInput("there are no sample losses: give at least one")
    if weights is None:
        return (Fraction(1, count),) * count
    if isinstance(weights, (str, set, frozenset, Mapping)) or not isinstance(weights, Iterable):
        raise BadInput(f"weights are a {type(weights).__name__}; give a list of exact numbers, one a sample loss")
    weights = tuple(weights)
    if len(weights) != count:
        raise BadInput(f"there are {len(weights)} weights for {count} sample losses: give one each")
    if any(isinstance(w, (float, sp.Float)) for w in weights):
        raise InexactNumber("weights hold floating-point numbers: write Rational(1, 10) for 0.1, or use exact()")
    rational = all(isinstance(w, (numbers.Rational, sp.Rational)) and int(w.numerator) > 0 for w in weights)
    exact = tuple(Fraction(int(w.numerator), int(w.denominator)) for w in weights) if rational else ()
    if sum(exact) != 1:
        raise BadInput(
            f"weights are {', '.join(str(w) if rational else repr(w) for w in weights)}; they have to be positive rationals with sum 1"
        )
    return exact
