"""Fair random losses, each determined by its seed: L = Σ_i w_i ℓ_i(g_i), g_i(x) = p_i(x) − p_i(x0), M < D.

The p_i are sums of monomials, exponentials, sines, hyperbolic tangents and square roots with rational coefficients,
so that g(x0) = 0 exactly at a rational x0. Draws are rejected, deterministically, when some parameter is missing from
g or when the Jacobian of g at x0 is badly conditioned.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np
import sympy as sp

WORST_CONDITION = 50
SINGULAR_VALUES = (0.2, 20)


@dataclass(frozen=True)
class RandomLoss:
    """A loss in D parameters, σ (D×Ξ), the M equations g of Γ and a rational point of Γ.

    hidden: whether a test should keep the equations from the engine.
    """

    seed: int
    parameters: tuple[sp.Symbol, ...]
    loss: sp.Expr
    sigma: sp.ImmutableMatrix
    equations: tuple[sp.Expr, ...]
    near: dict[sp.Symbol, sp.Rational]
    hidden: bool

    @property
    def codimension(self) -> int:
        """M = rank H at the point."""
        return len(self.equations)


def random_loss(seed: int) -> RandomLoss:
    """The loss number `seed`: D in 2…5, M in 1…min(3, D − 1), Ξ in 1…4; odd seeds hide their equations."""
    rng = Random(seed)
    dimension = rng.randint(2, 5)
    codimension = rng.randint(1, min(3, dimension - 1))
    parameters = sp.symbols(f"x1:{dimension + 1}")
    near, equations = accepted_equations(rng, parameters, codimension)
    loss = sum(positive_rational(rng, 1, 6, 2) * rng.choice(OUTER_LOSSES)(equation) for equation in equations)
    sigma = sp.ImmutableMatrix(dimension, rng.randint(1, 4), lambda i, j: noise_entry(rng, parameters))
    return RandomLoss(seed, parameters, loss, sigma, equations, near, hidden=seed % 2 == 1)


def accepted_equations(rng: Random, parameters: tuple, codimension: int) -> tuple[dict, tuple[sp.Expr, ...]]:
    """The first draw of a point and M equations that passes `acceptable`."""
    while True:
        near = {parameter: sp.Rational(rng.choice((-1, 1)) * rng.randint(1, 4), 3) for parameter in parameters}
        equations = tuple(vanishing_sum(rng, parameters, near) for _ in range(codimension))
        if acceptable(parameters, near, equations):
            return near, equations


def acceptable(parameters: tuple, near: dict, equations: tuple[sp.Expr, ...]) -> bool:
    """Every parameter occurs in g, and J = ∂g(x0) has singular values of order one with condition at most 50."""
    if sp.Tuple(*equations).free_symbols != set(parameters):
        return False
    jacobian = sp.Matrix(equations).jacobian(parameters).subs(near)
    singular = np.linalg.svd(np.array(jacobian.evalf(30), dtype=float), compute_uv=False)
    smallest, largest = SINGULAR_VALUES
    return largest >= singular[0] and singular[-1] >= max(smallest, singular[0] / WORST_CONDITION)


def vanishing_sum(rng: Random, parameters: tuple, near: dict) -> sp.Expr:
    """p(x) − p(x0) with p a sum of two or three random pieces."""
    signed = [positive_rational(rng, 1, 4, 2) * rng.choice((-1, 1)) for _ in range(rng.randint(2, 3))]
    total = sum(coefficient * piece(rng, parameters) for coefficient in signed)
    return total - total.subs(near)


def piece(rng: Random, parameters: tuple) -> sp.Expr:
    """One summand of p: a monomial half of the time, else a function of a low-degree form."""
    if rng.random() < 0.5:
        return monomial(rng, parameters, rng.randint(1, 3))
    return rng.choice(INNER_FUNCTIONS)(form(rng, parameters))


def form(rng: Random, parameters: tuple) -> sp.Expr:
    """A linear form a x_i + b x_j, or a monomial a x_i x_j, with coefficients of at most 1 in absolute value."""
    if rng.random() < 0.3:
        return small(rng) * monomial(rng, parameters, 2)
    return sum(small(rng) * parameter for parameter in rng.sample(parameters, min(2, len(parameters))))


def noise_entry(rng: Random, parameters: tuple) -> sp.Expr:
    """a + b x_i + c m(x), with m a product of two parameters, or the sine, cosine or tanh of one."""
    bend = rng.choice((sp.sin, sp.cos, sp.tanh, lambda x: x * rng.choice(parameters)))
    return small(rng) + small(rng) * rng.choice(parameters) + small(rng) * bend(rng.choice(parameters))


def monomial(rng: Random, parameters: tuple, degree: int) -> sp.Expr:
    """A product of `degree` parameters, repetitions allowed."""
    return sp.prod(rng.choices(parameters, k=degree))


def small(rng: Random) -> sp.Rational:
    """A nonzero rational of at most 1 in absolute value."""
    denominator = rng.randint(1, 4)
    return sp.Rational(rng.randint(1, denominator) * rng.choice((-1, 1)), denominator)


def positive_rational(rng: Random, least: int, most: int, largest_denominator: int) -> sp.Rational:
    """A positive rational p/q with p in least…most and q in 1…largest_denominator."""
    return sp.Rational(rng.randint(least, most), rng.randint(1, largest_denominator))


def _root_of_square(form: sp.Expr) -> sp.Expr:
    """sqrt(1 + form²), smooth everywhere."""
    return sp.sqrt(1 + form**2)


INNER_FUNCTIONS: tuple[Callable, ...] = (sp.exp, sp.sin, sp.tanh, _root_of_square)

OUTER_LOSSES: tuple[Callable, ...] = (
    lambda g: g**2 / 2,
    lambda g: sp.cosh(g) - 1,
    lambda g: sp.log(sp.cosh(g)),
    lambda g: sp.sqrt(1 + g**2) - 1,
    lambda g: sp.exp(g) - g - 1,
    lambda g: 1 - sp.cos(g),
)
