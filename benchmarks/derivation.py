"""Time and size of derivations: the overparametrised linear model with n samples and d features (D = 2d, M = n).

Prints, for each, the median time of five runs in one process, the operations of the drift's program, and, where it
expands within the budget, the operations of `sympy.cse` of the expanded drift.
"""

import os

os.environ.setdefault("SYMPY_GROUND_TYPES", "python")

import random
import statistics
import time

import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.errors import ExpressionTooLarge

RUNS = 5


def rows_of_full_rank(n, d, rng):
    while True:
        z = [[rng.choice([-1, 1]) for _ in range(d)] for _ in range(n)]
        if sp.Matrix(z).rank() == n:
            return z


def problem(n, d, noise):
    rng = random.Random(100 * n + d)
    z = rows_of_full_rank(n, d, rng)
    u, v = sp.symbols(f"u1:{d + 1}", real=True), sp.symbols(f"v1:{d + 1}", real=True)
    residuals = [sum(z[i][j] * (u[j] ** 2 - v[j] ** 2) for j in range(d)) - 1 for i in range(n)]
    if noise == "dense":
        sigma = sp.Matrix(2 * d, 3, lambda i, j: sp.Rational(rng.randint(-9, 9), 10))
    else:
        sigma = IsotropicNoise() if noise == "isotropic" else LabelNoise()
    return Problem.least_squares(residuals, parameters=(*u, *v), noise=sigma)


def expanded_operations(sde):
    try:
        drift = sde.drift
    except ExpressionTooLarge:
        return "-"
    replacements, reduced = sp.cse(list(drift), order="none")
    return str(sum(sp.count_ops(e) for _, e in replacements) + sum(sp.count_ops(e) for e in reduced))


def main():
    print(f"{'model':<22}{'median s':>10}{'all ops':>10}{'drift ops':>11}{'after cse':>11}")
    for n, d in ((1, 2), (2, 4), (3, 5), (4, 8), (5, 10)):
        for noise in ("isotropic", "label", "dense"):
            stated, times = problem(n, d, noise), []
            for _ in range(RUNS):
                start = time.perf_counter()
                sde = derive_limiting_sde(stated)
                times.append(time.perf_counter() - start)
            row = f"OLM {n},{d} {noise}"
            drift = sde.program.select("drift").operations
            print(
                f"{row:<22}{statistics.median(times):>10.2f}{sde.program.operations:>10}{drift:>11}{expanded_operations(sde):>11}"
            )


if __name__ == "__main__":
    main()
