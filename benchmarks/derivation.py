"""Time and size of derivations: the overparametrised linear model with n samples and d features (D = 2d, M = n).

Prints, for each, the median time of five runs in one process, the operations of the drift's program, and, where it
expands within the budget, the operations of `sympy.cse` of the expanded drift.

    python benchmarks/derivation.py
"""

import statistics
import time

import sympy as sp
from models import NOISES, overparametrised_linear_model

from symbolic_sgd import derive_limiting_sde
from symbolic_sgd.errors import ExpressionTooLarge

RUNS = 5


def operations_after_cse(expressions):
    replacements, reduced = sp.cse(list(expressions), order="none")
    return sum(sp.count_ops(e) for _, e in replacements) + sum(sp.count_ops(e) for e in reduced)


def expanded_operations(sde):
    try:
        return str(operations_after_cse(sde.drift))
    except ExpressionTooLarge:
        return "-"


def main():
    print(f"{'model':<22}{'median s':>10}{'all ops':>10}{'drift ops':>11}{'after cse':>11}")
    for n, d in ((1, 2), (2, 4), (3, 5), (4, 8), (5, 10)):
        for noise in NOISES:
            stated, times = overparametrised_linear_model(n, d, noise).problem(), []
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
