"""The overparametrised linear model with random data of full row rank."""

import random

import sympy as sp

from symbolic_sgd import Problem


def overparametrised(n, d, noise, seed, data=(-1, 1)):
    rng = random.Random(seed)
    rows = [[0] * d] * n
    while sp.Matrix(rows).rank() < n:
        rows = [[rng.choice(data) for _ in range(d)] for _ in range(n)]
    us, vs = sp.symbols(f"u1:{d + 1}"), sp.symbols(f"v1:{d + 1}")
    residuals = [sum(z * (p**2 - q**2) for z, p, q in zip(row, us, vs, strict=True)) - 1 for row in rows]
    return Problem.least_squares(residuals, parameters=(*us, *vs), noise=noise)
