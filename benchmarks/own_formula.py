"""The callables beside `sympy.lambdify` of the formula that we print ourselves; one run, one machine, ratios of medians.

    python benchmarks/own_formula.py [points …, default 100000 1000000]

The peer is what a user would type, `sympy.lambdify(parameters, list(sde.drift), "numpy", cse=True)`, with its outputs stacked to (N, D),
and is run before it is timed. glibc is told to keep the memory of large arrays (mallopt), so that no side pays for page faults that the
other does not. Errors are those of both at points of Γ that are known to 50 digits, beside the largest entry.
"""

import ctypes
import sys
import time
from collections.abc import Callable

import numpy as np
import sympy as sp
from models import overparametrised_linear_model

from symbolic_sgd import LLVM, LabelNoise, NumPy, Problem, derive_limiting_sde
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.checks.fresh_points import fresh_points

COUNTS = [int(a) for a in sys.argv[1:]] or [100_000, 1_000_000]
REPEATS = 7
FRESH = 8
KEPT = 1 << 30
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def problems() -> dict[str, Problem]:
    u, v = sp.symbols("u v")
    x, y, z = sp.symbols("x y z")
    quadric = (x**2 + 2 * y**2 + z**2 + x * y - 1) ** 2 / 2
    models = {
        "OLM 1,2 label": (1, 2, "label"),
        "OLM 2,4 isotropic": (2, 4, "isotropic"),
        "OLM 2,4 label": (2, 4, "label"),
        "OLM 3,5 label": (3, 5, "label"),
    }
    return {
        "hyperbola": Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1)),
        **{name: overparametrised_linear_model(*size).problem() for name, size in models.items()},
        "quadric dense": Problem(loss=quadric, parameters=(x, y, z), noise=sp.Matrix([[1, x], [y, 1], [0, z]])),
    }


def medians(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Of the times of each, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t)) for name, t in times.items()}


def known_points(sde: LimitingSDE) -> tuple[np.ndarray, list[np.ndarray]]:
    """Points of Γ, and the drift there, rounded from 50 digits."""
    parameters, rows, truth = sde.problem.parameters, [], []
    drift = sp.lambdify(parameters, list(sde.drift), "mpmath", cse=True)
    for point in fresh_points(sde.derivation, np.random.default_rng(0), FRESH):
        rows.append([float(point[s]) for s in parameters])
        with mp.workdps(50):
            truth.append(np.array([float(a) for a in drift(*(point[s] for s in parameters))]))
    return np.array(rows), truth


def error(values: np.ndarray, truth: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(values, truth, strict=True))


def compare(name: str, problem: Problem) -> None:
    start = time.process_time()
    sde = derive_limiting_sde(problem)
    derived = time.process_time() - start
    written = sde.drift
    plain = sp.lambdify(problem.parameters, list(written), "numpy", cse=True)
    peer = lambda x: np.stack(np.broadcast_arrays(*plain(*x.T)), axis=-1)  # noqa: E731
    print(f"\n{name}: derived in {derived:.2f} s, a program of {sde.program.select('drift').operations} operations")
    rows, truth = known_points(sde)
    ours = {
        f"{type(backend).__name__}{'' if check else ', unchecked'}": sde.lambdify(check=check, backend=backend).drift
        for backend in (NumPy(), LLVM())
        for check in (False, True)
    }
    errors = {
        "lambdify": error(peer(rows), truth),
        **{key: error(f(rows), truth) for key, f in ours.items() if "," in key},
    }
    print("  errors: " + ", ".join(f"{key} {e:.1e}" for key, e in errors.items()))
    for count in COUNTS:
        x = np.ascontiguousarray(rows[np.random.default_rng(1).integers(0, len(rows), count)])
        runs = {"lambdify": lambda x=x: peer(x), "copy": lambda x=x: x.copy()}
        runs |= {key: lambda f=f, x=x: f(x) for key, f in ours.items()}
        for run in runs.values():
            run()
        times = medians(runs)
        ratios = ", ".join(f"{key} {times['lambdify'] / times[key]:.2f}" for key in ours)
        print(f"  {count:,} points, lambdify {count / times['lambdify']:.2e} points/s; × lambdify: {ratios}")
        print(f"    share of allocate-and-copy: LLVM {times['copy'] / times['LLVM']:.2f}")


def main() -> None:
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, KEPT)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT)
    for name, problem in problems().items():
        compare(name, problem)


if __name__ == "__main__":
    main()
