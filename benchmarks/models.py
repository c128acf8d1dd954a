"""The problems that are timed: overparametrised linear models and matrix factorisations, with three kinds of noise."""

import os

os.environ.setdefault("SYMPY_GROUND_TYPES", "python")  # before SymPy is imported: the same numbers for every tool

import itertools
import random
from dataclasses import dataclass

import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem

NOISES = ("isotropic", "label", "dense")

SOURCES = 3
"""Columns of a dense σ."""


@dataclass(frozen=True)
class Model:
    """L = (w/2) Σ_i f_i² with M residuals f_i that are independent on Γ = {f = 0}, so that ∇²L = w JᵀJ on Γ.

    Args:
        name: family, size and noise, as the tables print it.
        parameters: D symbols.
        residuals: f, M.
        weight: w.
        noise: "isotropic" (σ = I), "label" (one sample a step, δ = 1) or "dense" (a constant D×SOURCES σ).
        sigma: the dense σ, else None.
        point: a rational point of Γ.
    """

    name: str
    parameters: tuple[sp.Symbol, ...]
    residuals: tuple[sp.Expr, ...]
    weight: sp.Rational
    noise: str
    sigma: sp.ImmutableDenseMatrix | None
    point: dict[sp.Symbol, sp.Rational]

    def problem(self) -> Problem:
        """The problem as a user states it."""
        noise = self.sigma if self.noise == "dense" else IsotropicNoise() if self.noise == "isotropic" else LabelNoise()
        if self.weight == sp.Rational(1, len(self.residuals)):
            return Problem.least_squares(self.residuals, parameters=self.parameters, noise=noise)
        loss = self.weight * sum(f**2 for f in self.residuals) / 2
        return Problem(loss=loss, parameters=self.parameters, noise=noise)

    def jacobian(self) -> sp.Matrix:
        """J, M×D."""
        return sp.Matrix(self.residuals).jacobian(self.parameters)

    def covariance(self) -> sp.Matrix:
        """Σ on Γ, D×D; label noise has Σ = ∇²L there."""
        if self.noise == "isotropic":
            return sp.eye(len(self.parameters))
        if self.noise == "label":
            return self.weight * self.jacobian().T * self.jacobian()
        return sp.Matrix(self.sigma * self.sigma.T)


def overparametrised_linear_model(n: int, d: int, noise: str) -> Model:
    """f_i = z_i·(u² − v²) − 1 with z_ij = ±1 of full row rank: D = 2d, M = n, w = 1/n."""
    rng = random.Random(100 * n + d)
    z = _rows_of_full_rank(n, d, rng)
    u, v = sp.symbols(f"u1:{d + 1}", real=True), sp.symbols(f"v1:{d + 1}", real=True)
    residuals = tuple(sum(z[i][j] * (u[j] ** 2 - v[j] ** 2) for j in range(d)) - 1 for i in range(n))
    sigma = _dense(2 * d, rng) if noise == "dense" else None
    # u² − v² = (u − v)(u + v) = a, with u − v = t rational.
    a, t = _interpolant(sp.Matrix(z), rng), [sp.Rational(rng.randint(5, 15), 10) for _ in range(d)]
    point = {u[j]: (a[j] / t[j] + t[j]) / 2 for j in range(d)} | {v[j]: (a[j] / t[j] - t[j]) / 2 for j in range(d)}
    return Model(f"OLM {n},{d} {noise}", (*u, *v), residuals, sp.Rational(1, n), noise, sigma, point)


def matrix_factorisation(rows: int, columns: int, noise: str) -> Model:
    """L = ½‖UVᵀ − A‖² with inner dimension 2 and A of rank 2: D = 2(rows + columns), M = rows · columns.

    Label noise draws one entry a step, so that there w = 1/M, as in least squares.
    """
    rng = random.Random(100 * rows + columns)
    a = _full_rank(rows, columns, rng)
    u, v = (
        sp.Matrix(rows, 2, sp.symbols(f"u1:{2 * rows + 1}")),
        sp.Matrix(columns, 2, sp.symbols(f"v1:{2 * columns + 1}")),
    )
    parameters, residuals = (*u, *v), tuple((u * v.T - a).expand())
    weight = sp.Rational(1, rows * columns) if noise == "label" else sp.Integer(1)
    sigma = _dense(len(parameters), rng) if noise == "dense" else None
    left = _full_rank(rows, 2, rng)
    point = dict(zip(parameters, [*left, *(left.pinv() * a).T], strict=True))
    return Model(f"MF {rows}x{columns} {noise}", parameters, residuals, weight, noise, sigma, point)


def ladders() -> dict[str, list[Model]]:
    """The rungs, from small to large, of each family and noise."""
    sizes = {
        "OLM": (overparametrised_linear_model, ((1, 2), (2, 3), (2, 4), (3, 5), (4, 8), (5, 10), (8, 16))),
        "MF": (matrix_factorisation, ((2, 2), (2, 3))),
    }
    return {
        f"{family} {noise}": [make(*size, noise) for size in rungs]
        for (family, (make, rungs)), noise in itertools.product(sizes.items(), NOISES)
    }


def _rows_of_full_rank(n: int, d: int, rng: random.Random) -> list[list[int]]:
    while True:
        z = [[rng.choice([-1, 1]) for _ in range(d)] for _ in range(n)]
        if sp.Matrix(z).rank() == n:
            return z


def _full_rank(rows: int, columns: int, rng: random.Random) -> sp.Matrix:
    while True:
        a = sp.Matrix(rows, columns, lambda i, j: rng.randint(-3, 3))
        if a.rank() == min(rows, columns):
            return a


def _dense(dimension: int, rng: random.Random) -> sp.ImmutableDenseMatrix:
    return sp.ImmutableDenseMatrix(dimension, SOURCES, lambda i, j: sp.Rational(rng.randint(-9, 9), 10))


def _interpolant(z: sp.Matrix, rng: random.Random) -> sp.Matrix:
    """A rational a with z a = 1."""
    guess = sp.Matrix(z.cols, 1, lambda i, j: sp.Rational(rng.randint(-9, 9), 10))
    return guess + z.T * (z * z.T).LUsolve(sp.ones(z.rows, 1) - z * guess)
