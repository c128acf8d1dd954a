"""Wrong formulas that verification has to reject: slips of the pen in the theorem, and formulas that lose their digits.

Each is made on the derivation's own program, so that everything else stays right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import sympy as sp

from symbolic_sgd import LimitingSDE, Problem
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.theorem.stratonovich import stratonovich_program
from symbolic_sgd.theorem.terms import DRIFT_TERMS

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Theorem:
    """The right terms of a derivation as matrices of nodes, and what they are made of."""

    sde: LimitingSDE

    @cached_property
    def landscape(self):
        return self.sde.problem.landscape()

    @cached_property
    def terms(self) -> dict[str, Matrix]:
        return self.sde.program.on(self.landscape.graph)

    @cached_property
    def sigma(self) -> Matrix:
        return self.sde.problem.noise.columns(self.sde.problem, self.landscape).factor

    @property
    def covariance(self) -> Matrix:
        return self.sigma @ self.sigma.T

    @property
    def p(self) -> Matrix:
        return self.terms["tangent_projection"]

    @property
    def identity(self) -> Matrix:
        return Matrix.diagonal(self.landscape.graph, [1] * self.sde.problem.dimension)

    @property
    def q(self) -> Matrix:
        return self.identity - self.p

    @property
    def pinv(self) -> Matrix:
        return self.terms["hessian_pinv"]

    def third(self, b: Matrix) -> Matrix:
        """T[B]."""
        return self.landscape.third_derivative(b)

    def compensation(self, tangent: Matrix) -> Matrix:
        return -HALF * (self.pinv @ self.third(tangent))

    def mixed(self, inner: Matrix) -> Matrix:
        return -1 * (self.p @ self.third(inner))

    def normal(self, solution: Matrix) -> Matrix:
        return -HALF * (self.p @ self.third(solution))

    def times(self, **factors: Fraction) -> dict[str, Matrix]:
        return {name: factor * self.terms[name] for name, factor in factors.items()}


def upper(b: Matrix) -> Matrix:
    """B with its lower triangle set to zero."""
    zero = b[0, 0].graph.constant(0)
    return Matrix.of([e if j >= i else zero for j, e in enumerate(row)] for i, row in enumerate(b.rows))


def rounded(b: Matrix, size: int) -> Matrix:
    """(b + size) − size, which is b for exact numbers."""
    graph = b[0, 0].graph
    large = graph.symbol(sp.Symbol("large"))
    return b.map(lambda e: (e + large) - large).replace(
        {large: graph.power(graph.constant(size * size), graph.constant(HALF))}
    )


def _without_square(t: Theorem) -> dict[str, Matrix]:
    size = range(t.sde.problem.dimension)
    sigma = Matrix.of([row[min(j, len(row) - 1)] for j in size] for row in t.sigma.rows)
    s = HALF * (sigma + sigma.T)
    return {
        "tangent_noise_compensation": t.compensation(t.p @ s @ t.p),
        "mixed_regularization": t.mixed(t.pinv @ t.q @ s @ t.p),
        "normal_regularization": t.normal(HALF * (t.pinv @ t.q @ s @ t.q)),
    }


def _scaled_noise(t: Theorem, square: Fraction) -> dict[str, Matrix]:
    graph = t.landscape.graph
    root = graph.power(graph.constant(square), graph.constant(HALF))
    return t.times(**dict.fromkeys((*DRIFT_TERMS, "lyapunov_solution"), square)) | {
        "tangent_noise": t.terms["tangent_noise"].scaled(root)
    }


def _stratonovich(t: Theorem) -> dict[str, Matrix]:
    program = stratonovich_program(t.sde.derivation)
    return {"drift": program.on(t.landscape.graph)["stratonovich_drift"]}


MUTANTS: Mapping[str, Callable[[Theorem], dict[str, Matrix]]] = {
    "normal: ¼ for ½": lambda t: t.times(normal_regularization=HALF),
    "normal: 1 for ½": lambda t: t.times(normal_regularization=Fraction(2)),
    "normal: sign": lambda t: t.times(normal_regularization=Fraction(-1)),
    "normal: left out": lambda t: t.times(normal_regularization=Fraction(0)),
    "normal: 1 + 10⁻⁴": lambda t: t.times(normal_regularization=Fraction(10001, 10000)),
    "normal: no P": lambda t: {"normal_regularization": -HALF * t.third(t.terms["lyapunov_solution"])},
    "normal: H†Σ_⊥ for the Lyapunov solution": lambda t: {
        "normal_regularization": t.normal(t.pinv @ t.q @ t.covariance @ t.q)
    },
    "normal: H S = Σ_⊥, without the sum, in S too": lambda t: {
        "lyapunov_solution": t.pinv @ t.q @ t.covariance @ t.q,
        "normal_regularization": t.normal(t.pinv @ t.q @ t.covariance @ t.q),
    },
    "normal: ½(H†Σ + ΣH†) for S": lambda t: {
        "normal_regularization": t.normal(HALF * (t.pinv @ t.covariance + t.covariance @ t.pinv))
    },
    "normal: Σ_⊥ for S": lambda t: {"normal_regularization": t.normal(t.q @ t.covariance @ t.q)},
    "normal: upper triangle of S": lambda t: {"normal_regularization": t.normal(upper(t.terms["lyapunov_solution"]))},
    "mixed: ½ for 1 (the poster)": lambda t: t.times(mixed_regularization=HALF),
    "mixed: 2 for 1": lambda t: t.times(mixed_regularization=Fraction(2)),
    "mixed: sign": lambda t: t.times(mixed_regularization=Fraction(-1)),
    "mixed: H†Σ_∥⊥ for H†Σ_⊥∥": lambda t: {"mixed_regularization": t.mixed(t.pinv @ t.p @ t.covariance @ t.q)},
    "mixed: no P": lambda t: {"mixed_regularization": -1 * t.third(t.pinv @ t.q @ t.covariance @ t.p)},
    "mixed: no H†": lambda t: {"mixed_regularization": t.mixed(t.q @ t.covariance @ t.p)},
    "mixed: H for H†": lambda t: {"mixed_regularization": t.mixed(t.landscape.hessian @ t.covariance @ t.p)},
    "mixed: Σ for Σ_⊥∥": lambda t: {"mixed_regularization": t.mixed(t.pinv @ t.covariance)},
    "mixed: upper triangle of H†Σ_⊥∥": lambda t: {
        "mixed_regularization": t.mixed(upper(t.pinv @ t.q @ t.covariance @ t.p))
    },
    "compensation: 1 for ½": lambda t: t.times(tangent_noise_compensation=Fraction(2)),
    "compensation: sign": lambda t: t.times(tangent_noise_compensation=Fraction(-1)),
    "compensation: left out": lambda t: t.times(tangent_noise_compensation=Fraction(0)),
    "compensation: no H†": lambda t: {"tangent_noise_compensation": -HALF * t.third(t.p @ t.covariance @ t.p)},
    "compensation: Σ for Σ_∥": lambda t: {"tangent_noise_compensation": t.compensation(t.covariance)},
    "compensation: PΣ for PΣP": lambda t: {"tangent_noise_compensation": t.compensation(t.p @ t.covariance)},
    "σ for σσᵀ": _without_square,
    "η for η² in the time": lambda t: _scaled_noise(t, Fraction(10)),
    "Ξ forgotten": lambda t: _scaled_noise(t, Fraction(1, t.sigma.shape[1])),
    "Stratonovich's drift for Itô's": _stratonovich,
    "diffusion: σ for Pσ": lambda t: {"tangent_noise": t.sigma},
    "diffusion: Qσ for Pσ": lambda t: {"tangent_noise": t.q @ t.sigma},
    "diffusion: a column left out": lambda t: {
        "tangent_noise": Matrix.of([*row[:-1], 0 * row[-1]] for row in t.terms["tangent_noise"].rows)
    },
    "diffusion: 1 + 10⁻³": lambda t: t.times(tangent_noise=Fraction(1001, 1000)),
    "P: I": lambda t: {"tangent_projection": t.identity},
    "P: Q": lambda t: {"tangent_projection": t.q},
    "H†: H": lambda t: {"hessian_pinv": t.landscape.hessian},
    "H†: 2H†": lambda t: t.times(hessian_pinv=Fraction(2)),
    "S: 2S": lambda t: t.times(lyapunov_solution=Fraction(2)),
    "a sum that cancels: (b + 10⁹) − 10⁹": lambda t: {
        "drift": rounded(t.terms["drift"], 10**9),
        "tangent_noise": rounded(t.terms["tangent_noise"], 10**9),
    },
}
"""name → the outputs of the program that are replaced; the drift is the sum of its terms, unless it is itself replaced."""


def mutant(sde: LimitingSDE, name: str) -> LimitingSDE:
    """The derivation with one wrong formula."""
    theorem = Theorem(sde)
    outputs = theorem.terms | MUTANTS[name](theorem)
    if "drift" not in MUTANTS[name](theorem):
        first, second, third = (outputs[term] for term in DRIFT_TERMS)
        outputs["drift"] = first + second + third
    return LimitingSDE(sde.derivation.with_program(Program.of(outputs)))


def two_equations() -> Problem:
    """Γ of codimension 2 in R³ with dense noise: the Lyapunov equation is no scalar there."""
    u, v, w = sp.symbols("u v w", real=True)
    sigma = sp.Matrix(
        [[1 + u / 3, v / 2 - sp.S.Half, sp.Rational(1, 4)], [sp.S.Half, 1 - w / 3, u / 5], [v / 4, 1, 1 + w / 2]]
    )
    loss = (u * v - 1) ** 2 / 2 + (v * w + u - 2) ** 2 / 2
    return Problem(loss=loss, parameters=(u, v, w), noise=sigma, near={u: 1, v: 1, w: 1})
