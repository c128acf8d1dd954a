"""How an optimizer turns the noise into a stationary covariance across Γ: the seam between an optimizer and the theorem.

C_∞, the stationary covariance with what correlates it to the motion along Γ, solves one linear equation. For functions of H it is
Σ∘k for a kernel k of pairs of curvatures; where each step draws samples whose losses all rest on Γ, SGD is a random map and
HC + CH − ηE[H_BCH_B] = Σ_⊥.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.lyapunov import PairTerm, rational_form, rational_function
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.spectral import MOST, by_eigenvalues, by_pairs_of_eigenvalues
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput, ProblemTooLarge
from symbolic_sgd.optimizers.kernel import LARGEST_POWER, LYAPUNOV, A, B, Kernel, by_polynomials, with_positive_factors
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.random_reshuffling import RandomReshuffling
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.optimizers.sharpness import SharpnessDescent
from symbolic_sgd.problems.noise import SamplingNoise, share_of_one
from symbolic_sgd.problems.problem import Problem

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Coordinates:
    """H = N C Nᵀ in some columns N of the normal space.

    Args:
        gram: NᵀN.
        curvature: C.
        samples: Nᵀa_i for a random map with H_i = a_i a_iᵀ, else ().
    """

    gram: Matrix
    curvature: Matrix
    samples: Sequence[Matrix] = ()

    def powers(self, count: int) -> list[Matrix]:
        """M_i = G(CG)ⁱ for G = NᵀN, i < count: NZNᵀ ↦ HⁱNZNᵀHʲ is Z ↦ M_iZM_j, multiplied by G on both sides."""
        found = [self.gram]
        for _ in range(count - 1):
            found.append(found[-1] @ (self.curvature @ self.gram))
        return found


class Response(ABC):
    """The stationary covariance that a noise leads to."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The operator that turns Σ_⊥ into S."""

    @property
    @abstractmethod
    def kernel(self) -> Kernel | None:
        """k, where it is a function of pairs of curvatures."""

    @abstractmethod
    def pairs(self, space: Coordinates) -> list[PairTerm]:
        """The map of Z, S = NZNᵀ, multiplied by NᵀN on both sides: positive definite where the optimizer is stable."""

    @abstractmethod
    def right(self, space: Coordinates, y: Matrix) -> Matrix:
        """Its right side for Σ_⊥ = NYNᵀ."""

    @property
    def in_parameters(self) -> bool:
        """Whether the theorem's own lines say all: Σ and S are covariances of the parameters alone, whose fast field is ∇L."""
        return True

    @property
    def is_lyapunov(self) -> bool:
        """Whether it is plain SGD's at a learning rate that tends to 0."""
        return self.kernel is LYAPUNOV

    @property
    def is_still(self) -> bool:
        """Whether nothing fluctuates across Γ, to the order that counts: S = 0."""
        return False

    @property
    def mixed(self) -> Expression:
        """λk(λ, 0), in the letter `A`."""
        return sp.S.One

    def of_proportion(self) -> Expression | None:
        """λk(λ, λ) in `A`: S = c·(that of H)(I − ∂Φ) where Σ_⊥ = cH; None where S is not that."""
        return None

    def of_isotropy(self) -> Expression | None:
        """k(λ, λ) in `A`, for Σ_⊥ = s²(I − ∂Φ)."""
        return None

    def of_square(self) -> Expression | None:
        """λ²k(λ, λ) in `A`, for Σ_⊥ = s²H²."""
        return None


@dataclass(frozen=True)
class KernelResponse(Response):
    """S = Σ_⊥∘k."""

    of_pairs: Kernel

    @property
    def kernel(self) -> Kernel:
        return self.of_pairs

    @property
    def words(self) -> str:
        return self.kernel.name

    def by_polynomials(self, b: Matrix, e: Sequence[Node], y: Matrix) -> Matrix:
        """Z with S = FZFᵀ where HF = FB and Σ_⊥ = FYFᵀ, from e_1 … e_M of the nonzero eigenvalues of B."""
        graph, kernel = y[0, 0].graph, self.kernel
        if kernel.by_polynomials:
            return rational_form(b, e, y, *kernel.on(graph))
        function = kernel.function(A, B)
        return by_pairs_of_eigenvalues(b, e, y, lambda left, right: at_letters(function, {A: left, B: right}))

    def pairs(self, space: Coordinates) -> list[PairTerm]:
        graph = space.gram[0, 0].graph
        _, below = self.kernel.on(graph)
        powers = space.powers(1 + max(i for i, _ in below))
        # (i, j) and (j, i) are one term; a diagonal one is its own mirror image.
        return [(HALF * c if i == j else c, powers[i], powers[j]) for (i, j), c in below.items() if i >= j]

    def right(self, space: Coordinates, y: Matrix) -> Matrix:
        above, _ = self.kernel.on(y[0, 0].graph)
        powers = space.powers(1 + max(i for i, _ in above))
        total = y.map(lambda entry: 0 * entry)
        for (i, j), c in above.items():
            total = total + (powers[i] @ y @ powers[j]).scaled(c)
        return total

    @property
    def mixed(self) -> Expression:
        return self.kernel.mixed

    def of_proportion(self) -> Expression | None:
        return with_positive_factors(A * self.kernel.diagonal)

    def of_isotropy(self) -> Expression | None:
        return self.kernel.diagonal

    def of_square(self) -> Expression | None:
        return with_positive_factors(A**2 * self.kernel.diagonal)


@dataclass(frozen=True)
class MetricResponse(KernelResponse):
    """S = (I − P)W(I − P)ᵀ∘k in the eigenvectors of the preconditioned Hessian, for the noise W of a step."""

    @property
    def in_parameters(self) -> bool:
        return False

    @property
    def words(self) -> str:
        return f"{self.kernel.name}, in the metric of the preconditioner"


@dataclass(frozen=True)
class ReshuffledResponse(KernelResponse):
    """S = Σ_⊥∘k for the covariances of an epoch, beside which the drift has what the noise of the parameters' own motion brings.

    Args:
        samples: n.
        rate: η; None where it tends to 0, and S = 0.
        of_losses: whether the samples are losses, so that their deviations are gradients.
    """

    samples: int
    rate: Expression | None
    of_losses: bool

    @property
    def in_parameters(self) -> bool:
        return False

    @property
    def is_still(self) -> bool:
        return self.rate is None

    @property
    def words(self) -> str:
        return "the noise of an epoch sums to zero" if self.is_still else super().words


@dataclass(frozen=True)
class MapResponse(Response):
    """Of a map in a state larger than the parameters: it is no map of covariances of the parameters (theorem/map_limit.py)."""

    @property
    def in_parameters(self) -> bool:
        return False

    @property
    def words(self) -> str:
        return "the Stein equation of the map across Γ"

    @property
    def kernel(self) -> None:
        return None

    def pairs(self, space: Coordinates) -> list[PairTerm]:
        raise NotImplementedError(self.words)

    def right(self, space: Coordinates, y: Matrix) -> Matrix:
        raise NotImplementedError(self.words)


@dataclass(frozen=True)
class LeadingResponse(Response):
    """S = s(λ_1)u_1u_1ᵀ, whatever the noise is.

    Args:
        weight: s, in the letter `A`.
        label: of the optimizer.
    """

    weight: Expression
    label: str

    @property
    def in_parameters(self) -> bool:
        return False

    @property
    def words(self) -> str:
        return "the second moment of where the gradient is evaluated, along the steepest axis"

    @property
    def statement(self) -> str:
        shown = str(self.weight.subs(A, sp.Symbol("lambda"))).replace("lambda", "λ")
        return (
            f"S = s(λ₁)u₁u₁ᵀ, s(λ) = {shown}, is {self.words}, on which {self.label} runs in a cycle of two steps; λ₁ has to be simple. "
            "What the problem states as noise plays no part"
        )

    @property
    def kernel(self) -> None:
        return None

    def pairs(self, space: Coordinates) -> list[PairTerm]:
        raise NotImplementedError(self.words)

    def right(self, space: Coordinates, y: Matrix) -> Matrix:
        raise NotImplementedError(self.words)


PLAIN_RESPONSE = KernelResponse(LYAPUNOV)
"""Of SGD at a learning rate that tends to 0."""


@dataclass(frozen=True)
class MinibatchResponse(Response):
    """S with HS + SH − ηE[H_BSH_B] = Σ_⊥, E[H_BSH_B] = α E[H_iSH_i] + (1 − α)HSH, for samples with H_i = a_i a_iᵀ and batches B of them.

    Args:
        rate: η.
        weights: w_i, of the samples: H = Σ w_i a_i a_iᵀ.
        batch: how many of them a step draws.
    """

    rate: Expression
    weights: tuple[Fraction, ...]
    batch: int = 1

    @property
    def share(self) -> Fraction:
        """α; 1 where a step draws one sample."""
        return share_of_one(len(self.weights), self.batch)

    @property
    def words(self) -> str:
        if self.batch == 1:
            return "the inverse of S ↦ HS + SH − ηE[HᵢSHᵢ], of SGD on one sample a step"
        return (
            f"the inverse of S ↦ HS + SH − η({self.share} E[HᵢSHᵢ] + {1 - self.share} HSH), of SGD on {self.batch} of "
            f"{len(self.weights)} samples a step"
        )

    @property
    def kernel(self) -> None:
        return None

    def pairs(self, space: Coordinates) -> list[PairTerm]:
        graph = space.gram[0, 0].graph
        eta, (first, second) = from_sympy(self.rate, graph), space.powers(2)
        terms: list[PairTerm] = [(None, second, first)]
        for weight, column in zip(self.weights, space.samples, strict=True):
            outer = column @ column.T
            terms.append((-(HALF * self.share * weight) * eta, outer, outer))
        if self.share != 1:
            terms.append((-(HALF * (1 - self.share)) * eta, second, second))
        return terms

    def right(self, space: Coordinates, y: Matrix) -> Matrix:
        return space.gram @ y @ space.gram


def check_codimension(response: Response, codimension: int) -> None:
    """Refuse what would need the roots of an equation of degree three or more.

    Raises:
        ProblemTooLarge: M is larger than three, and the kernel is no quotient of polynomials of moderate degree, or λ_1 is needed.
    """
    if isinstance(response, LeadingResponse) and codimension > MOST:
        raise ProblemTooLarge(
            f"the largest curvature is written out where there are at most {MOST} of them; here M = {codimension}"
        )
    if isinstance(response, KernelResponse) and not response.kernel.by_polynomials and codimension > MOST:
        raise ProblemTooLarge(
            f"{response.words} is no quotient of polynomials of moderate degree, so that its formulas need the curvatures themselves, "
            f"which are written out for M ≤ {MOST} of them; here M = {codimension}. {shorter(response)}"
        )


def shorter(response: Response) -> str:
    """What to state in the place of a kernel that is no quotient of polynomials of moderate degree."""
    if isinstance(response, ReshuffledResponse):
        return f"State at most {LARGEST_POWER + 1} samples, or leave learning_rate out"
    return f"State a round of at most {LARGEST_POWER} steps instead, by steps= and learning_rate="


def function_of(h: Expression, b: Matrix, e: Sequence[Node], right: Matrix) -> Matrix:
    """h(B) right for a function of the letter `A`, where right lies in the range of B, from e_1 … e_M of its nonzero eigenvalues."""
    if by_polynomials(h, A):
        return rational_function(b, e, right, *coefficients(h, right[0, 0].graph))
    return by_eigenvalues(b, e, right, lambda value: at_letters(h, {A: value}))


def at_letters(expression: Expression, values: Mapping[sp.Symbol, Node]) -> Node:
    graph = next(iter(values.values())).graph
    known = {graph.symbol(s): value for s, value in values.items()}
    return Matrix.column([from_sympy(expression, graph)]).replace(known)[0, 0]


def coefficients(expression: Expression, graph: Graph) -> tuple[list[Node], list[Node]]:
    """Numerator and denominator of a rational function of the letter `A`, by the coefficients of 1, A, A², …"""
    above, below = sp.fraction(sp.together(expression))
    lists = ([from_sympy(c, graph) for c in reversed(sp.Poly(p, A).all_coeffs())] for p in (above, below))
    first, second = lists
    return first, second


def response_of(optimizer: Optimizer, problem: Problem, *, interpolating: bool) -> Response:
    """The response of an optimizer to a problem's noise.

    Args:
        optimizer: whose.
        problem: whose noise.
        interpolating: whether all residuals vanish on Γ.

    Raises:
        BadInput: each step draws a sample, at a learning rate that stays, and the theorem does not speak of that.
    """
    if isinstance(optimizer, SharpnessDescent):
        return LeadingResponse(optimizer.weight, optimizer.label)
    if isinstance(optimizer, RandomReshuffling):
        of_losses = isinstance(problem.noise, SamplingNoise)
        return ReshuffledResponse(optimizer.kernel, optimizer.epoch, optimizer.learning_rate, of_losses)
    if optimizer.kernel is None:
        return MapResponse()
    drawn = problem.noise.samples(problem) if optimizer.is_finite else None
    if drawn is None:
        return MetricResponse(optimizer.kernel) if optimizer.in_metric else KernelResponse(optimizer.kernel)
    if not interpolating:
        raise BadInput(
            "each step draws a sample, and not all of them rest on Γ: at a learning rate that stays, SGD does not come near Γ there "
            "however small the other noise is. State the noise of the full gradient (LabelNoise(…, batch_size=n), or σ(x) as a "
            "matrix), or leave learning_rate out"
        )
    if not isinstance(optimizer, SGD):
        raise BadInput(
            f"each step draws a sample: at a learning rate that stays {optimizer.label} is then a random map, which is derived for SGD "
            "only. State the noise of the full gradient: LabelNoise(…, batch_size=n), or σ(x) as a matrix"
        )
    return MinibatchResponse(optimizer.rate, drawn, problem.noise.batch(problem))
