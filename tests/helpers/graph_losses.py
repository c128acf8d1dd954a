"""Random losses whose manifold is a graph over the last coordinates, so that points of it are exact."""

import numpy as np
import sympy as sp

from symbolic_sgd import Problem


def random_problem(seed):
    """A loss of D = 3 or 4 with M = 1 to 3 and a dense σ(x), stated so that the road differs: by residuals, or multiplied out."""
    rng = np.random.default_rng(seed)
    m = 1 + seed % 3
    d = max(3, m + 1) if seed % 2 else m + 2
    x = sp.symbols(f"x0:{d}")
    number = lambda: sp.Rational(int(rng.integers(-4, 5)), 4)  # noqa: E731
    # Γ is a graph over the last D − M coordinates, so that points of it are exact.
    free = x[m:]
    equations = []
    for i in range(m):
        bend = sum((number() * a * b for a in free for b in free), sp.Integer(0)) + sum(
            (number() * a for a in free), sp.Integer(0)
        )
        equations.append(x[i] - bend)
    mixed = [
        (e + sum((number() * other for other in equations[:k]), sp.Integer(0))) * (1 + x[-1] ** 2 / 4)
        for k, e in enumerate(equations)
    ]
    loss = sum(e**2 for e in mixed) / 4
    sigma = sp.Matrix(d, 2, lambda i, j: number() + number() * x[(i + j) % d])
    if seed % 4 == 3:
        loss = sp.expand(loss)
    point = {a: sp.Rational(int(rng.integers(-3, 4)), 4) for a in free}
    for a, e in zip(x[:m], equations, strict=True):
        point[a] = sp.expand(-(e - a).xreplace(point))
    return Problem(loss=loss, parameters=x, noise=sigma), loss, sigma, x, point, m
