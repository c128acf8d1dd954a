"""Losses of every kind with what is known of their Φ: by hand, from the literature, or by counting integrals.

`formula` is Φ as derived by hand, independent of the package, valid at the starts that `starts` draws.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd import IsotropicNoise, Problem


@dataclass(frozen=True)
class KnownLimit:
    name: str
    problem: Problem
    kinds: tuple[str, ...]
    needed: int
    found: int
    formula: Callable[[np.ndarray], np.ndarray] | None = None
    constants: dict[str, float] | None = None
    positive: bool = False
    draw: Callable[[np.random.Generator, int], np.ndarray] | None = None

    def starts(self, rng: np.random.Generator, count: int) -> np.ndarray:
        if self.draw is not None:
            return self.draw(rng, count)
        x = rng.standard_normal((count, self.problem.dimension)) * 1.2
        return 0.1 + np.abs(x) if self.positive else x

    @property
    def loss(self) -> sp.Expr:
        """L with numbers for the constants."""
        values = self.constants or {}
        return self.problem.loss.subs({s: sp.Rational(str(values[s.name])) for s in self.problem.constants})


EXPLICIT, IMPLICIT, NUMERIC = ("explicit",), ("implicit",), ("numeric",)
EXACT = ("explicit", "implicit")

u, v, w, x, y, z, a = sp.symbols("u v w x y z a")


def _loss(expression: sp.Expr, parameters: Any, **further: Any) -> Problem:
    return Problem(loss=expression, parameters=parameters, noise=IsotropicNoise(), **further)


def _squares(residuals: list[sp.Expr], parameters: Any, **further: Any) -> Problem:
    return Problem.least_squares(residuals, parameters=parameters, noise=IsotropicNoise(), **further)


def hyperbola_by_hand(p: np.ndarray) -> np.ndarray:
    k = p[:, 0] ** 2 - p[:, 1] ** 2
    first = np.sign(p.sum(axis=1)) * np.sqrt((k + np.sqrt(k**2 + 4)) / 2)
    return np.stack([first, 1 / first], axis=1)


def _overparametrised(rows: list[list[int]], targets: list[int]) -> tuple[list[sp.Expr], tuple[sp.Symbol, ...]]:
    d = len(rows[0])
    us, vs = sp.symbols(f"u1:{d + 1}"), sp.symbols(f"v1:{d + 1}")
    features = [p**2 - q**2 for p, q in zip(us, vs, strict=True)]
    return [sum(c * f for c, f in zip(r, features, strict=True)) - t for r, t in zip(rows, targets, strict=True)], (
        *us,
        *vs,
    )


def _random_rows(n: int, d: int, seed: int) -> list[list[int]]:
    rng = random.Random(seed)
    while True:
        rows = [[rng.randint(-3, 3) for _ in range(d)] for _ in range(n)]
        if sp.Matrix(rows).rank() == n:
            return rows


def _factorisation(d1: int, d2: int, r: int, target: list[list[int]]) -> Problem:
    left, right = sp.Matrix(d1, r, sp.symbols(f"u1:{d1 * r + 1}")), sp.Matrix(d2, r, sp.symbols(f"v1:{d2 * r + 1}"))
    errors = left * right.T - sp.Matrix(target)
    return _loss(sum(e**2 for e in errors) / 2, (*left, *right))


def _symmetric_factorisation() -> Problem:
    factor = sp.Matrix(2, 2, sp.symbols("x1:5"))
    errors = factor * factor.T - sp.Matrix([[2, 1], [1, 3]])
    return _loss(sum(e**2 for e in errors) / 4, tuple(factor))


def _affine_by_hand(matrix: list[list[float]], values: list[float]) -> Callable[[np.ndarray], np.ndarray]:
    m = np.array(matrix)
    return lambda p: p - (p @ m.T - np.array(values)) @ np.linalg.pinv(m).T


def _n1_by_hand(signs: np.ndarray, target: float) -> Callable[[np.ndarray], np.ndarray]:
    """EXAMPLES 7: b q² + y q − a = 0 with q = e^{2s}, v² growing and u² shrinking where z > 0."""

    def formula(p: np.ndarray) -> np.ndarray:
        us, vs = np.split(p, 2, axis=1)
        plus = signs > 0
        falling = (us[:, plus] ** 2).sum(axis=1) + (vs[:, ~plus] ** 2).sum(axis=1)
        rising = (vs[:, plus] ** 2).sum(axis=1) + (us[:, ~plus] ** 2).sum(axis=1)
        q = (-target + np.sqrt(target**2 + 4 * falling * rising)) / (2 * rising)
        root = np.sqrt(q)[:, None] ** signs
        return np.concatenate([us / root, vs * root], axis=1)

    return formula


def _cone(rng: np.random.Generator, count: int) -> np.ndarray:
    """Starts of ½vu² that reach v > 0."""
    p = rng.standard_normal((count, 2))
    p[:, 1] = np.abs(p[:, 0]) / np.sqrt(2) + 0.05 + np.abs(p[:, 1])
    return p


_signs = np.array([1, -1, 1])
_olm = _overparametrised([[1, -1, 1]], [1])
_olm4 = _overparametrised(_random_rows(2, 4, 3), [1, 1])
_positive = sp.symbols("u1 u2 v1 v2", positive=True)
_p, _U, _V = sp.Symbol("p", positive=True), *sp.symbols("U V", positive=True)
_ws, _vs = sp.symbols("w1:4"), sp.symbols("v1:5")
_length = x**2 + y**2 + z**2

KNOWN: tuple[KnownLimit, ...] = (
    KnownLimit("1 hyperbola", _loss((u * v - 1) ** 2 / 2, (u, v)), EXPLICIT, 1, 1, hyperbola_by_hand),
    KnownLimit(
        "2 half v u²",
        _loss(v * u**2 / 2, (u, v), domain=[v > 0]),
        EXPLICIT,
        1,
        1,
        lambda p: np.stack([0 * p[:, 0], np.sqrt(p[:, 1] ** 2 - p[:, 0] ** 2 / 2)], axis=1),
        draw=_cone,
    ),
    KnownLimit("3 u²v", _loss((u**2 * v - 1) ** 2 / 2, (u, v)), EXACT, 1, 1),
    KnownLimit(
        "4 sphere",
        _loss((_length - 1) ** 2 / 8, (x, y, z)),
        EXPLICIT,
        2,
        2,
        lambda p: p / np.linalg.norm(p, axis=1, keepdims=True),
    ),
    KnownLimit(
        "5 linear regression",
        _squares([x + 2 * y - z - 1, 3 * x - y + z / 2 - 2], (x, y, z, w)),
        EXPLICIT,
        2,
        2,
        _affine_by_hand([[1, 2, -1, 0], [3, -1, 0.5, 0]], [1, 2]),
    ),
    KnownLimit(
        "quadratic",
        _loss(x**2 - 2 * x * y + 2 * y**2 + 2 * y * z + z**2 - x - z, (x, y, z)),
        EXPLICIT,
        1,
        1,
        lambda p: (
            p
            - (p @ np.array([[2, -2, 0], [-2, 4, 2], [0, 2, 2.0]]) - [1, 0, 1])
            @ np.linalg.pinv(np.array([[2, -2, 0], [-2, 4, 2], [0, 2, 2.0]]))
        ),
    ),
    KnownLimit(
        "6 monotone neurons",
        _squares([sp.tanh(x + 2 * y - z) - sp.Rational(1, 2), sp.atan(3 * x - y + z / 2) + 1], (x, y, z)),
        EXPLICIT,
        1,
        1,
        _affine_by_hand([[1, 2, -1], [3, -1, 0.5]], [np.arctanh(0.5), -np.tan(1)]),
        draw=lambda rng, count: 0.5 * rng.standard_normal((count, 3)),
    ),
    KnownLimit("7 OLM n = 1", _squares(*_olm), EXPLICIT, 5, 5, _n1_by_hand(_signs, 1.0)),
    KnownLimit("8 OLM 2, 4", _squares(*_olm4), EXACT, 6, 6),
    KnownLimit(
        "9 v ⊙ v",
        _squares(
            [_vs[0] ** 2 + 2 * _vs[1] ** 2 - _vs[2] ** 2 - 1, _vs[1] ** 2 + _vs[2] ** 2 + 3 * _vs[3] ** 2 - 2], _vs
        ),
        EXACT,
        2,
        2,
    ),
    KnownLimit(
        "10 depth 3",
        _squares([_positive[0] ** 3 - _positive[2] ** 3 + 2 * (_positive[1] ** 3 - _positive[3] ** 3) - 1], _positive),
        EXACT,
        3,
        3,
        positive=True,
    ),
    KnownLimit(
        "10 depth p",
        _squares([_U**_p - _V**_p - 1], (_U, _V), constants=(_p,), domain=[_p > 2]),
        EXACT,
        1,
        1,
        constants={"p": 3.5},
        positive=True,
    ),
    KnownLimit("11 product", _loss((_ws[0] * _ws[1] * _ws[2] - 1) ** 2 / 2, _ws), EXACT, 2, 2),
    KnownLimit("12 a⟨w, x⟩", _squares([a * (_ws[0] + 2 * _ws[1] + 3 * _ws[2]) - 1], (a, *_ws)), EXPLICIT, 3, 3),
    KnownLimit("13 factorisation r = 1", _factorisation(2, 2, 1, [[1, 2], [2, 4]]), EXACT, 1, 1),
    KnownLimit("13 factorisation r = 2", _factorisation(2, 2, 2, [[2, 1], [1, 3]]), NUMERIC, 4, 3),
    KnownLimit("14 symmetric factorisation", _symmetric_factorisation(), NUMERIC, 1, 0),
    KnownLimit(
        "15 phase retrieval",
        _loss((((x + 2 * y) ** 2 - 1) ** 2 + ((y - z) ** 2 - 2) ** 2) / 8, (x, y, z)),
        EXACT,
        1,
        1,
    ),
    KnownLimit(
        "17 scale-invariant", _loss((x / sp.sqrt(_length) - sp.Rational(1, 2)) ** 2 / 2, (x, y, z)), EXACT, 2, 2
    ),
    KnownLimit("17 scale-invariant, rays", _loss(((x - 2 * y) ** 2 + (y + z) ** 2) / _length, (x, y, z)), EXACT, 1, 1),
    KnownLimit("eᵘv", _loss((sp.exp(u) * v - 1) ** 2 / 2, (u, v)), EXACT, 1, 1),
    KnownLimit("uv + sin w", _loss((u * v + sp.sin(w) - 1) ** 2 / 2, (u, v, w)), NUMERIC, 2, 1),
)
