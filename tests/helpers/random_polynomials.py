"""Seeded random polynomial losses, sums of squares of sparse polynomials; many conserve something, many do not."""

import random

import sympy as sp

from symbolic_sgd import IsotropicNoise, Problem


def random_polynomial_loss(seed: int) -> Problem:
    """½ Σ_i w_i g_i² with one or two g_i in two to four parameters."""
    rng = random.Random(1000 + seed)
    d = rng.choice([2, 2, 3, 3, 4])
    x = sp.symbols(f"x1:{d + 1}")
    count = 1 if d == 2 else rng.choice([1, 1, 2])
    make = rng.choice([_quadratic_form, _diagonal, _monomial, _sparse])
    residuals = [make(x, rng) for _ in range(count)]
    loss = sum(rng.choice([1, 1, 2, 3]) * g**2 for g in residuals) / 2
    return Problem(loss=loss, parameters=x, noise=IsotropicNoise())


def _coefficient(rng: random.Random) -> sp.Rational:
    return sp.Rational(rng.choice([-3, -2, -1, 1, 2, 3]), rng.choice([1, 1, 2]))


def _quadratic_form(x: tuple[sp.Symbol, ...], rng: random.Random) -> sp.Expr:
    pairs = [(a, b) for i, a in enumerate(x) for b in x[i:]]
    chosen = rng.sample(pairs, min(len(pairs), rng.randint(1, 3)))
    return sum(_coefficient(rng) * a * b for a, b in chosen) - rng.choice([1, 2])


def _diagonal(x: tuple[sp.Symbol, ...], rng: random.Random) -> sp.Expr:
    return sum(_coefficient(rng) * a ** rng.choice([2, 2, 2, 3]) for a in x) - rng.choice([1, 2])


def _monomial(x: tuple[sp.Symbol, ...], rng: random.Random) -> sp.Expr:
    chosen = rng.sample(x, rng.randint(2, min(3, len(x))))
    return _coefficient(rng) * sp.Mul(*[a ** rng.choice([1, 1, 2]) for a in chosen]) - rng.choice([-1, 1, 2])


def _sparse(x: tuple[sp.Symbol, ...], rng: random.Random) -> sp.Expr:
    terms = [_coefficient(rng) * sp.Mul(*rng.choices(x, k=rng.randint(1, 3))) for _ in range(rng.randint(2, 3))]
    return sum(terms) - rng.choice([-1, 0, 1])
