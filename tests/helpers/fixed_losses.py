"""Twelve losses whose Γ = {g = 0} is known, with dense state-dependent noise: D from 2 to 8, M from 1 to 4.

Each loss is Σ_i w_i ℓ_i(g_i), or gᵀW(x)g with W positive definite, where ℓ(0) = ℓ'(0) = 0 < ℓ''(0) up to a constant;
so H = Jᵀ diag(w ℓ''(0)) J, or 2 JᵀWJ, is positive semidefinite of rank M on Γ wherever J = ∂g has full rank;
the weights may depend on x.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

HALF, THIRD, QUARTER, FIFTH = (sp.Rational(1, n) for n in (2, 3, 4, 5))


@dataclass(frozen=True)
class FixedLoss:
    """A loss in D parameters, σ (D×Ξ), the M equations g of Γ, and float starts from which Newton reaches Γ."""

    name: str
    parameters: tuple[sp.Symbol, ...]
    loss: sp.Expr
    sigma: sp.ImmutableMatrix
    equations: tuple[sp.Expr, ...]
    starts: tuple[tuple[float, ...], ...]

    @property
    def codimension(self) -> int:
        """M = rank H on Γ."""
        return len(self.equations)


def softplus_pair(g: sp.Expr) -> sp.Expr:
    """log(1 + e^g) + log(1 + e^−g), with ℓ''(0) = 1/2: logistic losses of a sample carrying both labels."""
    return sp.log(1 + sp.exp(g)) + sp.log(1 + sp.exp(-g))


def log_cosh(g: sp.Expr) -> sp.Expr:
    """log cosh g, with ℓ''(0) = 1 and ℓ''''(0) = −2."""
    return sp.log(sp.cosh(g))


def one_sided(g: sp.Expr) -> sp.Expr:
    """e^g − g − 1, with ℓ''(0) = ℓ'''(0) = 1: the third derivative must drop out."""
    return sp.exp(g) - g - 1


def lopsided_quartic(g: sp.Expr) -> sp.Expr:
    """g² + g³ + g⁴, positive for g ≠ 0, with ℓ''(0) = 2 and ℓ'''(0) = 6."""
    return g**2 + g**3 + g**4


def dense_noise(parameters: tuple[sp.Symbol, ...], columns: int, wave: Callable = sp.sin) -> sp.ImmutableMatrix:
    """σ_ij = a_ij + b_ij x_{i+j} + c_ij x_i wave(x_{i+2j+1}), indices modulo D, rational coefficients; D×Ξ."""
    dimension = len(parameters)

    def entry(i: int, j: int) -> sp.Expr:
        constant = sp.Rational((3 * i + 5 * j + 1) % 7 - 3, 4)
        linear = sp.Rational((2 * i + j) % 5 + 1, 6) * parameters[(i + j) % dimension]
        wavy = sp.Rational((i + 3 * j) % 4 - 2, 5) * parameters[i] * wave(parameters[(i + 2 * j + 1) % dimension])
        return constant + linear + wavy

    return sp.ImmutableMatrix(dimension, columns, entry)


def _hyperbola() -> FixedLoss:
    x = u, v = sp.symbols("u v")
    g = u * v - 1
    starts = ((1.2, 0.8), (0.6, 1.7), (-1.9, -0.5))
    return FixedLoss("hyperbola", x, g**2 / 2, dense_noise(x, 1), (g,), starts)


def _quadric() -> FixedLoss:
    x = u, v, w = sp.symbols("u v w")
    g = u * v + w**2 - 1
    starts = ((1.1, 0.7, 0.5), (-0.8, 0.9, 1.3), (0.2, -1.0, -1.1))
    return FixedLoss("log-cosh quadric", x, log_cosh(g), dense_noise(x, 2), (g,), starts)


def _exponential_curve() -> FixedLoss:
    x = u, v = sp.symbols("u v")
    g = v + sp.log(1 + u**2) - sp.exp(u / 2)
    starts = ((0.4, 1.1), (-1.0, -0.1), (1.5, 0.9))
    return FixedLoss("one-sided exponential curve", x, one_sided(g), dense_noise(x, 3, sp.tanh), (g,), starts)


def _weighted_ellipsoid() -> FixedLoss:
    x = u, v, w = sp.symbols("u v w")
    g = u**2 + 2 * v**2 + w**2 / 4 - 1 + u * w / 3
    starts = ((0.7, 0.4, 0.5), (-0.3, 0.6, 0.8), (0.1, -0.2, -1.9))
    return FixedLoss("ellipsoid with weight 2 + sin u", x, (2 + sp.sin(u)) * g**2, dense_noise(x, 4), (g,), starts)


def _twisted_curve() -> FixedLoss:
    x = u, v, w = sp.symbols("u v w")
    g = (u * v - w, sp.tanh(u) + v + w**2 / 3 - HALF)
    loss = 1 - sp.cos(g[0]) + 3 * (sp.cosh(g[1]) - 1)
    starts = ((0.5, 0.05, 0.05), (1.3, -0.4, -0.5), (-0.7, 0.9, -0.6))
    return FixedLoss("cosine and cosh on a twisted curve", x, loss, dense_noise(x, 3, sp.cos), g, starts)


def _coupled_sines() -> FixedLoss:
    x = u, v, w, z = sp.symbols("u v w z")
    g = (u * w + sp.sin(v) - THIRD, v * z - w**2 / 2 + QUARTER * u)
    loss = 2 * g[0] ** 2 + sp.Rational(5, 2) * g[0] * g[1] + g[1] ** 2
    starts = ((0.9, -0.2, 0.6, 0.25), (0.4, 0.9, -1.1, 0.5), (-1.0, 0.6, 0.3, 0.5))
    return FixedLoss("coupled squares of sines", x, loss, dense_noise(x, 2), g, starts)


def _logistic_pairs() -> FixedLoss:
    x = u, v, w, z = sp.symbols("u v w z")
    g = (u * sp.tanh(v) + w / 2, sp.exp(w / 3) * z - u)
    loss = softplus_pair(g[0]) + 2 * softplus_pair(g[1])
    starts = ((0.9, 0.6, -1.0, 1.3), (-0.5, 1.2, 0.8, -0.4), (1.4, -0.3, 0.8, 1.1))
    return FixedLoss("logistic pairs", x, loss, dense_noise(x, 5), g, starts)


def _square_roots() -> FixedLoss:
    x = a, b, c, d, e = sp.symbols("a b c d e")
    g = (a * b - c - FIFTH, sp.sin(c + d) + e / 2, sp.exp(a / 2) - 1 + d * e + b / 3)
    loss = sum(weight * sp.sqrt(1 + residual**2) for weight, residual in zip((1, 2, HALF), g, strict=True))
    starts = ((0.6, -0.75, -0.65, 0.7, -0.15), (-0.8, 0.95, -0.95, 0.0, 1.6), (-0.35, 0.4, -0.35, 0.3, 0.1))
    return FixedLoss("square roots", x, loss, dense_noise(x, 3, sp.tanh), g, starts)


def _local_quartics() -> FixedLoss:
    x = a, b, c, d, e = sp.symbols("a b c d e")
    g = (a**2 + b * c - d - HALF, sp.log(1 + e**2) + a * d - sp.tanh(b))
    loss = lopsided_quartic(g[0]) + lopsided_quartic(g[1]) / 3
    starts = ((0.7, 0.8, 0.5, 0.4, 0.6), (-0.9, 0.2, 1.1, 0.5, 1.0), (0.2, 1.15, -0.55, -1.1, 1.35))
    return FixedLoss("lopsided quartics", x, loss, dense_noise(x, 6), g, starts)


def _varying_coupling() -> FixedLoss:
    x = a, b, c, d, e, f = sp.symbols("a b c d e f")
    g = sp.Matrix([a * d + sp.sin(b) - QUARTER, b * e - c**2 + HALF, sp.exp(c / 2) - f - a * e])
    weights = sp.Matrix([[2 + sp.sin(a), b / (1 + b**2), 0], [b / (1 + b**2), 2 + d**2, HALF], [0, HALF, 1]])
    loss = (g.T * weights * g)[0, 0]
    starts = ((0.6, -0.3, 0.6, 0.9, 0.5, 1.0), (-0.7, 0.9, 1.1, 0.8, 0.7, 2.2), (1.1, 0.4, -0.5, -0.2, -0.6, 1.4))
    return FixedLoss("state-dependent coupling", x, loss, dense_noise(x, 4), tuple(g), starts)


def _mixed_pieces() -> FixedLoss:
    x = sp.symbols("x1:8")
    g = (
        x[0] * x[1] - sp.tanh(x[2]),
        sp.exp(x[3] / 2) - x[4] - x[0] / 3,
        x[5] + sp.sin(x[6] + x[1]) - THIRD,
        x[2] * x[3] - x[6] ** 2 / 2 + x[4] / 5,
    )
    cross = sp.tanh(g[0]) * sp.tanh(g[2]) / 2
    loss = log_cosh(g[0]) + one_sided(g[1]) + 2 * (sp.sqrt(1 + g[2] ** 2) - 1) + g[3] ** 2 + cross
    starts = (
        (0.8, 0.5, 0.4, 0.6, 1.1, -0.7, 0.9),
        (-0.6, 0.9, -0.6, -0.2, 1.1, -0.65, 0.85),
        (0.9, -0.55, -0.55, 0.3, 0.85, 1.0, -0.2),
    )
    return FixedLoss("four pieces with a cross term", x, loss, dense_noise(x, 5, sp.cos), g, starts)


def _small_network() -> FixedLoss:
    x = sp.symbols("a1:3 b1:3 c1:3 d e")
    a, b, c, (shift, scale) = x[0:2], x[2:4], x[4:6], x[6:8]
    samples = ((-1, -THIRD), (-QUARTER, FIFTH), (HALF, HALF), (1, -FIFTH))
    g = tuple(
        sum(a[k] * sp.tanh(b[k] * t + c[k]) for k in range(2)) + shift * sp.exp(scale * t / 2) - target
        for t, target in samples
    )
    loss = sum(residual**2 for residual in g) / 8
    starts = (
        (1.15, -1.25, 2.15, 1.45, 0.25, -0.75, -0.5, 0.25),
        (1.3, 1.15, -1.0, 1.75, 1.0, 0.35, -0.85, 0.9),
        (-0.75, 1.05, 3.6, 4.0, -1.4, 0.55, -0.15, 2.75),
    )
    return FixedLoss("two tanh neurons and an exponential", x, loss, dense_noise(x, 4), g, starts)


FIXED_LOSSES = (
    _hyperbola(),
    _quadric(),
    _exponential_curve(),
    _weighted_ellipsoid(),
    _twisted_curve(),
    _coupled_sines(),
    _logistic_pairs(),
    _square_roots(),
    _local_quartics(),
    _varying_coupling(),
    _mixed_pieces(),
    _small_network(),
)
