"""Models of the tests: random ones, and problems whose labels a random point fits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd import LabelNoise, Problem


def fitted(
    outputs: Sequence[Any], parameters: Sequence[sp.Symbol], noise: Any = None, seed: int = 0, **further: Any
) -> Problem:
    """Least squares with labels that a random rational point fits, near that point."""
    rng = np.random.default_rng(seed)
    at = {p: sp.Rational(int(rng.integers(3, 9)), 4) * int(rng.choice([-1, 1])) for p in parameters}
    residuals = [sp.sympify(o) - sp.sympify(o).xreplace(at) for o in outputs]
    return Problem.least_squares(
        residuals, parameters=tuple(parameters), noise=noise or LabelNoise(1), near=at, **further
    )


def random_model(seed: int) -> tuple[list[Any], list[Any], tuple[sp.Symbol, ...]]:
    """(F, outputs of the samples, x): monomials, sums of separate monomials, and vectors times a number, mixed by random data."""
    rng = np.random.default_rng(seed)
    predictor: list[Any] = []
    parameters: list[sp.Symbol] = []

    def fresh(count: int) -> list[sp.Symbol]:
        new = [sp.Symbol(f"x{len(parameters) + k}") for k in range(count)]
        parameters.extend(new)
        return new

    def monomial() -> Any:
        names = fresh(int(rng.integers(1, 4)))
        powers = [int(rng.choice([1, 1, 1, 2, 3])) for _ in names]
        if len(names) == 1:
            powers = [int(rng.choice([1, 2, 3]))]
        return int(rng.choice([-2, -1, 1, 2, 3])) * sp.Mul(*[n**p for n, p in zip(names, powers, strict=True)])

    for _ in range(int(rng.integers(1, 3))):
        kind = rng.choice(["monomial", "sum", "vector"])
        if kind == "vector":
            scale, *vector = fresh(1 + int(rng.integers(2, 4)))
            predictor.extend(scale * v for v in vector)
        elif kind == "sum":
            predictor.append(sp.Add(*[monomial() for _ in range(int(rng.integers(2, 4)))]))
        else:
            predictor.append(monomial())
    samples = max(1, len(predictor) - int(rng.integers(0, 2)))
    data = rng.integers(1, 4, (samples, len(predictor)))
    outputs = [sp.Add(*[int(z) * f for z, f in zip(row, predictor, strict=True)]) for row in data]
    return predictor, outputs, tuple(parameters)
