"""SGD on one core, by NumPy and compiled, beside a naive NumPy loop, jax and C; the limit beside SGD; weak orders; the full set of checks.

    python benchmarks/simulation.py [speed] [limit] [order] [checks]

Everything runs on one core. jax, llvmlite and gcc are used if they are installed.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import sys
import time
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from shutil import which

import numpy as np
import sympy as sp
from vector_c import sgd_of_columns

from symbolic_sgd import FULL, LabelNoise, Problem, derive_limiting_sde, simulate_sde, simulate_sgd, verify
from symbolic_sgd.checks.ensembles import LEVELS, Ensembles
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.errors import MissingExtra
from symbolic_sgd.numeric import backends
from symbolic_sgd.problems.problem_file import read_problem
from symbolic_sgd.simulate.compiled import compiled_sgd
from symbolic_sgd.simulate.recording import Recording
from symbolic_sgd.simulate.run import simulated
from symbolic_sgd.simulate.sgd import TrueLaw
from symbolic_sgd.simulate.steps import Descent, Mover

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None

SAMPLES, FEATURES, REPLICAS, ETA = 4, 8, 4096, 1e-3
ROUNDS = 7
DERIVATIONS = sorted((Path(__file__).parents[1] / "derivations").glob("*.toml"))
ORDERS = ("hyperbola_label", "logistic_redrawn", "sphere")


def data() -> tuple[np.ndarray, np.ndarray]:
    """z ∈ {±1}^{n×d} with a first column of ones, and y = z w* for w* = e_1."""
    z = np.random.default_rng(0).choice([-1.0, 1.0], (SAMPLES, FEATURES))
    z[:, 0] = 1
    return z, z[:, 0].copy()


def olm() -> Problem:
    z, y = data()
    u, v = sp.symbols(f"u1:{FEATURES + 1}"), sp.symbols(f"v1:{FEATURES + 1}")
    residuals = [
        sp.Add(*[int(a) * (p**2 - q**2) for a, p, q in zip(row, u, v, strict=True)]) - int(target)
        for row, target in zip(z, y, strict=True)
    ]
    return Problem.least_squares(residuals, parameters=(*u, *v), noise=LabelNoise(1))


def start() -> np.ndarray:
    u, v = np.full(FEATURES, 0.5), np.full(FEATURES, 0.5)
    u[0], v[0] = 1.0, 0.0
    return np.concatenate([u, v])


# --- speed --------------------------------------------------------------------------------------


def naive(steps: int) -> np.ndarray:
    (z, y), rng = data(), np.random.default_rng(0)
    x = np.tile(start(), (REPLICAS, 1))
    u, v = x[:, :FEATURES].copy(), x[:, FEATURES:].copy()
    for _ in range(steps):
        i = rng.integers(0, SAMPLES, REPLICAS)
        sign = rng.choice([-1.0, 1.0], REPLICAS)
        rows = z[i]
        residual = ((rows * (u**2 - v**2)).sum(axis=1) - y[i] + sign)[:, None]
        u, v = u - ETA * 2 * residual * rows * u, v + ETA * 2 * residual * rows * v
    return np.concatenate([u, v], axis=1)


def scanned() -> Callable[[int], np.ndarray]:
    jax.config.update("jax_enable_x64", True)
    z, y = map(jnp.array, data())

    def step(state, key):
        u, v = state
        one, two = jax.random.split(key)
        i = jax.random.randint(one, (REPLICAS,), 0, SAMPLES)
        sign = 2.0 * jax.random.bernoulli(two, shape=(REPLICAS,)) - 1.0
        rows = z.T[:, i]
        residual = (rows * (u**2 - v**2)).sum(axis=0) - y[i] + sign
        return (u - ETA * 2 * residual * rows * u, v + ETA * 2 * residual * rows * v), None

    run = jax.jit(lambda state, keys: jax.lax.scan(step, state, keys)[0])
    x = jnp.array(np.tile(start()[:, None], (1, REPLICAS)))

    def whole(steps: int) -> np.ndarray:
        keys = jax.random.split(jax.random.key(0), steps)
        return np.concatenate([np.asarray(a) for a in run((x[:FEATURES], x[FEATURES:]), keys)]).T

    return whole


def ours(mover: Mover) -> Callable[[int], np.ndarray]:
    starts = np.tile(start(), (REPLICAS, 1))
    return lambda steps: simulated(mover, starts, [steps], np.array([1.0]), Recording(rng=0)).final


def by_numpy() -> Descent:
    return TrueLaw().descent(olm(), Fraction(ETA), {})


def by_c() -> Callable[[int], np.ndarray]:
    c = sgd_of_columns(data()[0].astype(int), 1.0, ETA)
    states = np.random.default_rng(0).integers(0, 2**64, (4, REPLICAS), dtype=np.uint64)
    x = np.tile(start()[:, None], (1, REPLICAS))

    def run(steps: int) -> np.ndarray:
        moved = x.copy()
        c(steps, moved, states)
        return moved.T

    return run


def speed() -> None:
    print(f"SGD, label noise, OLM n = {SAMPLES}, d = {FEATURES}, {REPLICAS} replicas, float64, one core")
    runs: dict[str, tuple[int, Callable[[int], np.ndarray]]] = {}
    if llvm_is_there():
        runs["LLVM"] = 20_000, ours(compiled_sgd(olm(), TrueLaw(), Fraction(ETA), Fraction(1), {}, backends.LLVM()))
    runs["NumPy"] = 1000, ours(by_numpy())
    runs["a naive NumPy loop"] = 1000, naive
    if jax:
        runs["jax lax.scan"] = 2000, scanned()
    if which("gcc"):
        runs["C, gcc -O3 -march=native"] = 20_000, by_c()
    rates: dict[str, list[float]] = {name: [] for name in runs}
    finals = {name: run(steps) for name, (steps, run) in runs.items()}
    for _ in range(ROUNDS):  # one after the other in each round, so that a busy machine slows all of them
        for name, (steps, run) in runs.items():
            rates[name].append(REPLICAS * steps / timed(lambda: run(steps))[1])  # noqa: B023
    first, medians = next(iter(runs)), {name: float(np.median(found)) for name, found in rates.items()}
    for name, rate in medians.items():
        final, steps = finals[name], runs[name][0]
        seen = f"mean u1 after {steps} steps {final[:, 0].mean():.4f} ± {final[:, 0].std() / REPLICAS**0.5:.4f}"
        print(f"  {name:<26} {rate:9.3g} replica-steps/s, {first} / it {medians[first] / rate:6.2f}   {seen}")
    for steps in (500, 5000):
        tracemalloc.start()
        ours(by_numpy())(steps)
        print(f"  peak of NumPy's memory in {steps} steps: {tracemalloc.get_traced_memory()[1] / 1e6:.2f} MB")
        tracemalloc.stop()


def llvm_is_there() -> bool:
    try:
        return bool(backends.LLVM)
    except MissingExtra:
        return False


# --- the limit beside SGD -----------------------------------------------------------------------


def limit() -> None:
    problem, eta, duration = olm(), 0.01, 0.5
    sde = derive_limiting_sde(problem)
    base = [float(sde.derivation.points[0][s]) for s in problem.parameters]
    common = {"replicas": REPLICAS, "rng": 0}
    sde_run, sde_time = timed(lambda: simulate_sde(sde, base, time=duration, step=duration / 50, **common))
    results = {}
    for rate in (eta, eta / 2):
        steps = round(duration / rate**2)
        results[rate] = timed(lambda: simulate_sgd(problem, base, learning_rate=rate, steps=steps, **common))  # noqa: B023
    sgd_run, sgd_time = results[eta]
    spread = np.sqrt(np.diag(sgd_run.covariance[-1]) / REPLICAS)
    print(f"OLM to T = {duration}, {REPLICAS} replicas: SGD at η = {eta} {sgd_time:.2f} s ({sgd_run.steps} steps)")
    print(
        f"  the limit {sde_time:.3f} s ({sde_run.steps} steps; nothing is random in it): ratio {sgd_time / sde_time:.1f}"
    )
    moved = np.abs(sde_run.mean[-1] - np.array(base)).max()
    for rate, (run, _) in results.items():
        apart = np.abs(run.mean[-1] - sde_run.mean[-1])
        worst = int(apart.argmax())
        print(
            f"  η = {rate}: largest |E x − Y| = {apart[worst]:.5f} ± {spread[worst]:.5f}, where Y has moved by {moved:.3f}"
        )
    halves = 2 * results[eta / 2][0].mean[-1] - sgd_run.mean[-1]
    apart = np.abs(halves - sde_run.mean[-1])
    print(
        f"  extrapolated from both: largest difference {apart.max():.5f} ± {np.sqrt(5) * spread[int(apart.argmax())]:.5f}"
    )


def timed(run: Callable):
    begun = time.perf_counter()
    result = run()
    return result, time.perf_counter() - begun


# --- weak orders --------------------------------------------------------------------------------


def order(replicas: int = 2**20) -> None:
    print("weak error of SGD against its limit, |E f(x) − E f(Y)| at η, η/2, η/4, and its order in η")
    for name in ORDERS:
        sde = derive_limiting_sde(read_problem(next(p for p in DERIVATIONS if p.stem == name)))
        method = Ensembles(replicas=replicas, stiffness=0.2)
        witness = Witness.of(sde.derivation, np.random.default_rng(0), 1)
        seen = method.observe(witness, witness.points[0], np.random.default_rng(1))
        checks = method.judge(sde.derivation, seen, np.random.default_rng(2))
        predicted = np.array([check.predicted for check in checks])
        bias, error = seen.means - predicted, seen.errors
        best = int(np.argmax(np.abs(bias[-1]) / error[-1]))
        shown = ", ".join(f"{abs(b):.5f} ± {e:.5f}" for b, e in zip(bias[:, best], error[:, best], strict=True))
        orders = ", ".join(f"{p:.3f} ± {slack:.3f}" for p, slack in local_orders(bias[:, best], error[:, best]))
        test = checks[best].name.removeprefix("ensemble: ")
        print(f"  {name:<18} {test:<16} η = {seen.rate:.3g}: {shown}\n{'':>22}orders {orders}", flush=True)


def local_orders(bias: np.ndarray, error: np.ndarray) -> list[tuple[float, float]]:
    """log(b_i/b_{i+1})/log(η_i/η_{i+1}) with its standard error, for each pair of neighbouring learning rates."""
    relative = np.abs(error / bias)
    steps = np.log(np.array(LEVELS[1:]) / np.array(LEVELS[:-1]))
    orders = np.log(np.abs(bias[:-1] / bias[1:])) / steps
    return list(zip(orders.tolist(), (np.hypot(relative[:-1], relative[1:]) / steps).tolist(), strict=True))


# --- the full set of checks ---------------------------------------------------------------------


def checks() -> None:
    print("the full set of checks, wall time")
    for path in DERIVATIONS:
        sde, derived = timed(lambda: derive_limiting_sde(read_problem(path)))  # noqa: B023
        certificate, verified = timed(lambda: verify(sde, checks=FULL))  # noqa: B023
        words = {
            v: sum(c.verdict == v for c in certificate.checks)
            for v in dict.fromkeys(c.verdict for c in certificate.checks)
        }
        outcome = "passed" if certificate.passed else "NOT passed"
        print(
            f"  {path.stem:<20} {outcome}: derived in {derived:.2f} s, checked in {verified:.1f} s; {words}", flush=True
        )


SECTIONS = {"speed": speed, "limit": limit, "order": order, "checks": checks}

if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for section in sys.argv[1:] or SECTIONS:
        SECTIONS[section]()
