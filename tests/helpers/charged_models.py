"""Models with linear symmetries, each with the dimensions of its algebra as they are known, and three noises."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem


@dataclass(frozen=True)
class Charged:
    """A model.

    Args:
        residuals: f_i.
        parameters: x.
        algebra: dimensions of 𝔤, of its symmetric and of its skew part.
        further: what else the problem states.
    """

    residuals: Sequence[Any]
    parameters: tuple[sp.Symbol, ...]
    algebra: tuple[int, int, int]
    further: dict[str, Any]

    @property
    def closed(self) -> bool:
        """Whether 𝔤 is closed under transpose."""
        whole, symmetric, skew = self.algebra
        return whole == symmetric + skew


def _matrix(letter: str, rows: int, columns: int) -> sp.Matrix:
    return sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"{letter}{i}{j}"))


def _model(residuals: Sequence[Any], parameters: Any, *algebra: int, **further: Any) -> Charged:
    whole, symmetric, skew = algebra
    return Charged(tuple(residuals), tuple(parameters), (whole, symmetric, skew), further)


def _overparametrised() -> Charged:
    u, v, z = sp.symbols("u1:4"), sp.symbols("v1:4"), sp.Matrix([[1, 2, -1], [0, 1, 3]])
    squares = [a**2 - b**2 for a, b in zip(u, v, strict=True)]
    return _model([(z.row(i) * sp.Matrix(squares))[0, 0] - 1 - i for i in range(2)], (*u, *v), 3, 3, 0)


def _factorisation() -> Charged:
    u, v = _matrix("u", 2, 2), _matrix("v", 2, 2)
    return _model(u * v.T - sp.Matrix([[2, 1], [0, 1]]), (*u, *v), 4, 3, 1)


def _completion() -> Charged:
    u, v = _matrix("u", 2, 2), _matrix("v", 2, 2)
    product = u * v.T
    # With three entries of four there is more than gl(2): the rows that are seen together move together.
    return _model([product[0, 0] - 2, product[0, 1] - 1, product[1, 0] - 1], (*u, *v), 6, 3, 1)


def _symmetric() -> Charged:
    x = _matrix("x", 2, 2)
    product = x * x.T
    return _model([product[0, 0] - 2, product[0, 1] - 1, product[1, 1] - 2], x, 1, 0, 1)


def _tensor() -> Charged:
    a, b, c = (sp.symbols(f"{letter}1:3") for letter in "abc")
    entries = [a[i] * b[j] * c[k] - (1 + i) * (1 + j) * (2 - k) for i in range(2) for j in range(2) for k in range(2)]
    return _model(entries, (*a, *b, *c), 2, 2, 0)


def _attention() -> Charged:
    k, q = _matrix("k", 2, 2), _matrix("q", 2, 2)
    inputs = [sp.Matrix([1, 0]), sp.Matrix([0, 1]), sp.Matrix([1, 1]), sp.Matrix([1, -1])]
    targets = [1, 2, 4, 0]
    scores = [(x.T * k.T * q * sp.Matrix([1, 2 * i]))[0, 0] for i, x in enumerate(inputs)]
    return _model([s - t for s, t in zip(scores, targets, strict=True)], (*k, *q), 4, 3, 1)


u, v, w = sp.symbols("u v w")
p, q = sp.symbols("p q")
a, b = sp.symbols("a b", positive=True)

MODELS: dict[str, Callable[[], Charged]] = {
    "uv": lambda: _model([u * v - 1], (u, v), 1, 1, 0),
    "u²v": lambda: _model([u**2 * v - 2], (u, v), 1, 1, 0),
    "uvw": lambda: _model([u * v * w - 1], (u, v, w), 2, 2, 0),
    "OLM": _overparametrised,
    "UVᵀ": _factorisation,
    "completion": _completion,
    "XXᵀ": _symmetric,
    "CP": _tensor,
    "KᵀQ": _attention,
    "weight norm": lambda: _model(
        [u * sp.sqrt(v**2 + w**2) - 1], (u, v, w), 2, 1, 1, near={u: 1, v: 1, w: sp.Rational(1, 2)}, domain=[v > 0]
    ),
    "a(w·x)²": lambda: _model([u * (v + 2 * w) ** 2 - 1, u * (v - w) ** 2 - 2], (u, v, w), 1, 1, 0),
    "tanh(uv)": lambda: _model([sp.tanh(u * v) - sp.Rational(1, 2)], (u, v), 1, 1, 0),
    "eᵘv": lambda: _model([sp.exp(u) * v - w], (u, v, w), 0, 0, 0),
    "constants": lambda: _model([a * u**2 + b * v**2 - w], (u, v, w), 1, 0, 0, constants=(a, b)),
    "two tanh": lambda: _model([p * sp.tanh(q) + u * sp.tanh(v) - 1], (p, q, u, v), 0, 0, 0),
}
"""Algebras: of products the torus, of UVᵀ gl(r), of XXᵀ o(r), of u² − v² so(1, 1), of sums of tanh nothing."""


def dense(parameters: Sequence[sp.Symbol]) -> sp.Matrix:
    """A σ(x) with two columns, of no structure."""
    d = len(parameters)
    return sp.Matrix(d, 2, lambda i, k: (-1) ** (i + k) + (1 + i) * parameters[(i + k + 1) % d] / (2 + k))


NOISES: dict[str, Callable[[Sequence[sp.Symbol]], Any]] = {
    "label": lambda parameters: LabelNoise(sp.Rational(1, 2)),
    "isotropic": lambda parameters: IsotropicNoise(sp.Rational(1, 2)),
    "dense": dense,
}


def problem(model: str, noise: str) -> Problem:
    """A model with a noise."""
    known = MODELS[model]()
    return Problem.least_squares(
        known.residuals, parameters=known.parameters, noise=NOISES[noise](known.parameters), **known.further
    )
