"""Large problems, derived and evaluated by matrices: processor seconds of derivation and first drift, memory, and growth with D and M.

    python benchmarks/large.py [--verify] [--growth] [--repeats 3]

Each row runs in a process of its own, after the import, and says the median. The error is that of the drift beside a literal computation
in NumPy: eigenvectors of the D×D Hessian, derivatives by complex steps (checks/literal_matrices.py), at points of Γ; --verify runs all
of `verify`. --growth doubles D at a fixed M, and M at a fixed ratio of D to M, and prints the exponents between neighbours.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from itertools import pairwise
from math import log2

import numpy as np
import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde, verify
from symbolic_sgd.checks.literal_matrices import LiteralMatrices

ROWS = (
    "olm 5 10 label",
    "olm 5 10 isotropic",
    "olm 5 10 dense",
    "factorisation 6 6",
    "network 16 16 8",
    "olm 40 100 dense",
)
"""Overparametrised linear models of n samples and D = 2d; UVᵀ of d×d and rank r, D = 2dr, M = d²; tanh networks of n samples, m units and d
inputs, D = m(d + 1)."""

WIDER = ("olm 10 15 dense", "olm 10 30 dense", "olm 10 60 dense", "olm 10 120 dense")
LARGER = ("olm 5 12 dense", "olm 10 25 dense", "olm 20 50 dense", "olm 40 100 dense")
COLUMNS = 8
CHECKED = 2


def overparametrised(n: int, d: int, noise: str) -> Problem:
    rng = np.random.default_rng(1)
    u, v = sp.symbols(f"u1:{d + 1}"), sp.symbols(f"v1:{d + 1}")
    signs, targets = rng.choice([-1, 1], (n, d)).tolist(), rng.integers(1, 4, n).tolist()
    residuals = [
        sp.Add(*[z * (a**2 - b**2) for z, a, b in zip(row, u, v, strict=True)]) - y
        for row, y in zip(signs, targets, strict=True)
    ]
    dense = rng.integers(-9, 10, (2 * d, COLUMNS)).tolist()
    stated = {
        "label": LabelNoise(1),
        "isotropic": IsotropicNoise(1),
        "dense": sp.Matrix(2 * d, COLUMNS, lambda i, j: sp.Rational(dense[i][j], 10)),
    }
    return Problem.least_squares(residuals, parameters=(*u, *v), noise=stated[noise])


def factorisation(d: int, r: int) -> Problem:
    u, v = (sp.Matrix(d, r, lambda i, j, name=name: sp.Symbol(f"{name}{i + 1}_{j + 1}")) for name in "uv")
    target = sp.Matrix(d, d, lambda i, j: (7 * i + 3 * j) % 5 - 2 + 3 * (i == j))
    return Problem.least_squares(list(u * v.T - target), parameters=(*u, *v), noise=LabelNoise(1))


def network(n: int, m: int, d: int) -> Problem:
    rng = np.random.default_rng(1)
    a, w = sp.symbols(f"a1:{m + 1}"), sp.Matrix(m, d, lambda k, j: sp.Symbol(f"w{k + 1}_{j + 1}"))
    inputs = rng.integers(-9, 10, (n, d)).tolist()
    teacher = [sp.Rational(c, 10) for c in rng.integers(-9, 10, m).tolist()]
    hidden = sp.Matrix(m, d, [sp.Rational(c, 10) for c in rng.integers(-9, 10, m * d).tolist()])
    value = lambda a, w, x: sp.Add(  # noqa: E731
        *[a[k] * sp.tanh(sp.Add(*[w[k, j] * sp.Rational(x[j], 10) for j in range(d)])) for k in range(m)]
    )
    residuals = [value(a, w, x) - value(teacher, hidden, x) for x in inputs]
    return Problem.least_squares(residuals, parameters=(*a, *w), noise=LabelNoise(1))


MODELS = {"olm": overparametrised, "factorisation": factorisation, "network": network}


def stated(row: str) -> Problem:
    model, *sizes = row.split()
    return MODELS[model](*[int(s) if s.isdigit() else s for s in sizes])


def measured(row: str, *, certified: bool) -> dict[str, object]:
    """One row, in this process."""
    begin = time.process_time()
    problem = stated(row)
    made = time.process_time()
    sde = derive_limiting_sde(problem)
    derived = time.process_time()
    x = np.array([[float(p[s]) for s in problem.parameters] for p in sde.derivation.points])
    drift = sde.lambdify().drift(x[:1])
    first = time.process_time()
    result: dict[str, object] = {
        "D": problem.dimension,
        "M": sde.derivation.codimension,
        "stated": made - begin,
        "derived": derived - made,
        "drift": first - derived,
        "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "by matrices": sde.derivation.in_matrices is not None,
    }
    literal = LiteralMatrices(problem, sde.derivation.codimension, sde.optimizer)
    errors = []
    for row_at in x[:CHECKED]:
        own, other = sde.lambdify().drift(row_at), literal.terms(row_at).drift[:, 0]
        errors.append(float(np.abs(own - other).max() / np.abs(other).max()))
    result["error"] = max(errors)
    assert drift.shape == (1, problem.dimension)
    if certified:
        begin = time.process_time()
        certificate = verify(sde)
        result |= {"passed": certificate.passed, "verified": time.process_time() - begin}
    return result


def in_processes(row: str, repeats: int, *, certified: bool) -> dict[str, object]:
    """The medians of the times, each run in a process of its own."""
    runs = []
    for k in range(repeats):
        options = ["--verify"] if certified and k == 0 else []
        command = [sys.executable, __file__, "--row", row, *options]
        runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    times = {key: float(np.median([run[key] for run in runs])) for key in ("stated", "derived", "drift", "MiB")}
    return {**runs[0], **times}


def shown(row: str, run: dict[str, object]) -> float:
    total = float(run["derived"]) + float(run["drift"])  # type: ignore[arg-type]
    verified = f"  verify {'passed' if run['passed'] else 'FAILED'} {run['verified']:.0f} s" if "passed" in run else ""
    print(
        f"{row:<20} D = {run['D']:<4} M = {run['M']:<3} derive + first drift {total:6.2f} s (derive {run['derived']:.2f}; stating the "
        f"problem {run['stated']:.2f})  {run['MiB']:.0f} MiB  error {run['error']:.1e}{verified}",
        flush=True,
    )
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(measured(options.row, certified=options.verify)))
        return
    for row in ROWS:
        shown(row, in_processes(row, options.repeats, certified=options.verify))
    for name, rows in {"D": WIDER, "M and D": LARGER}.items() if options.growth else ():
        print(f"\nwith {name}")
        times = [shown(row, in_processes(row, options.repeats, certified=False)) for row in rows]
        exponents = [log2(after / before) for before, after in pairwise(times)]
        print("exponents", ", ".join(f"{e:.1f}" for e in exponents))


if __name__ == "__main__":
    main()
