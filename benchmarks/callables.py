"""How fast the callables are, beside what else a user has; one run, one machine, ratios.

    python benchmarks/callables.py [largest batch, default 1000000]

Peers: SymPy's `lambdify(cse=True)` on whole arrays; C with explicit vectors of 8 doubles, by gcc -O3 -march=native, which
is given columns; JAX's autodiff from the loss. Every peer's values are compared with ours first.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import gc
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import jax_autodiff
import numpy as np
import sympy as sp
from frozen_programs import frozen_programs
from models import Model, overparametrised_linear_model
from vector_c import function_of_columns, function_of_rows, loop_of_columns, sgd_of_columns

from symbolic_sgd import LLVM, IsotropicNoise, NumPy, Problem, derive_limiting_sde
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.numeric.backends import llvm
from symbolic_sgd.numeric.fused import FusedSDE, FusedSGD
from symbolic_sgd.numeric.host import HostBackend
from symbolic_sgd.numeric.lowering import lower
from symbolic_sgd.numeric.random_step import sde_step

LARGEST = int(sys.argv[1]) // 8 * 8 if len(sys.argv) > 1 else 1_000_000
AUTODIFF = 10_000
REPLICAS, STEPS = 4096, 2000


def best(run: Callable[[], object], repeats: int = 5) -> float:
    """The shortest of some runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def best_of_each(runs: dict[str, Callable[[], object]], repeats: int = 7) -> dict[str, float]:
    """The shortest time of each, taken in turns, so that what else the machine does meets all of them."""
    times = {name: best(run, 1) for name, run in runs.items()}
    for _ in range(repeats - 1):
        times = {name: min(times[name], best(run, 1)) for name, run in runs.items()}
    return times


@dataclass(frozen=True)
class Case:
    """A frozen function, and the loss from which autodiff starts."""

    name: str
    program: Program
    symbols: tuple[sp.Symbol, ...]
    loss: sp.Expr
    parameters: tuple[sp.Symbol, ...]
    rank: int
    noise: str
    point: np.ndarray


def cases() -> list[Case]:
    u, v = sp.symbols("u v")
    small, large = overparametrised_linear_model(2, 4, "isotropic"), overparametrised_linear_model(4, 8, "label")
    frozen = frozen_programs()
    hyperbola = ((u * v - 1) ** 2 / 2, (u, v), 1, "isotropic", np.array([2.0, 0.5]))
    stated = [hyperbola, _stated(small), _stated(large), _stated(large)]
    return [Case(name, *frozen[name], *about) for name, about in zip(frozen, stated, strict=True)]


def _stated(model: Model) -> tuple:
    loss = model.weight * sum(f**2 for f in model.residuals) / 2
    point = np.array([float(model.point[p]) for p in model.parameters])
    return loss, model.parameters, len(model.residuals), model.noise, point


def on_manifold(case: Case, count: int, seed: int = 0) -> np.ndarray:
    """Points of Γ: (±u, ±v) of one point has u² − v² and uv's sign, so that the models stay on Γ under them."""
    rng = np.random.default_rng(seed)
    if len(case.point) == 2:
        t = np.exp(rng.uniform(-1, 1, count))
        return np.stack([t, 1 / t], axis=1)
    d = len(case.point) // 2
    u, v = case.point[:d], case.point[d:]
    t = np.exp(rng.uniform(-0.5, 0.5, (count, d))) * np.sign(u + v) * (np.abs(u + v) + 0.1)
    return np.concatenate([(t + (u**2 - v**2) / t) / 2, (t - (u**2 - v**2) / t) / 2], axis=1)


def whole_array(case: Case) -> Callable[[np.ndarray], np.ndarray]:
    """What `lambdify(cse=True)` makes; it is given our common subexpressions, since its own do not end on the largest."""
    definitions, outputs = case.program.to_sympy()
    expressions = list(outputs["drift"])
    f = sp.lambdify(case.symbols, expressions, "numpy", cse=lambda _: (definitions, expressions))
    return lambda x: np.stack(np.broadcast_arrays(*f(*x.T)), axis=-1)


def largest_for_lambdify(case: Case) -> int:
    """Whole arrays hold a temporary for each operation: at most 8 GB of them."""
    return min(LARGEST, int(8e9 / (8 * case.program.operations)) // 8 * 8)


def compiled(case: Case, backend: HostBackend) -> Callable[[np.ndarray], np.ndarray]:
    return backend.function(lower([case.program], case.symbols))


def throughput(case: Case) -> None:
    lowered = lower([case.program], case.symbols)
    x = on_manifold(case, LARGEST)
    c, gcc_seconds = function_of_columns(lowered)
    start = time.perf_counter()
    llvm.Compiled(llvm.kernel_source(lowered, llvm.host().width, llvm.host().fused), "rows", 2)
    compile_seconds = time.perf_counter() - start
    ours, machine, two = (compiled(case, b) for b in (NumPy(), LLVM(), LLVM(threads=2)))
    whole = whole_array(case)
    few = x[:AUTODIFF]
    auto = jax_autodiff.drift_from_loss(case.loss, case.parameters, case.rank, case.noise)
    reference = ours(few)
    scale = np.abs(reference).max()
    columns, results = np.ascontiguousarray(x.T), np.empty((lowered.size, len(x)))
    c(columns, results)
    values = {"lambdify": whole(few), "C": results.T[:AUTODIFF], "LLVM": machine(few), "jax autodiff": auto(few)}
    agree = {name: f"{np.abs(np.asarray(v) - reference).max() / scale:.0e}" for name, v in values.items()}
    print(f"\n{case.name}: {lowered.operations} operations, {lowered.registers} registers; differences {agree}")

    hold = x[: largest_for_lambdify(case)]
    cached = 8192  # points that stay in the cache: the processor, not the memory
    rows, kernel, on_rows = x[:cached].copy(), LLVM().kernel(lowered), function_of_rows(lowered)
    xs, ys, out = np.ascontiguousarray(rows.T), np.empty((lowered.size, cached)), np.empty((cached, lowered.size))
    on_rows(rows, out)
    assert np.allclose(out, machine(rows), rtol=1e-9, atol=1e-12)
    near = best_of_each(
        {"LLVM": lambda: kernel.rows(rows, [out]), "rows": lambda: on_rows(rows, out), "C": lambda: c(xs, ys)}, 300
    )
    times = best_of_each(
        {
            "NumPy": lambda: ours(x),
            "C": lambda: c(columns, np.empty_like(results)),
            "C, rows": lambda: on_rows(x, np.empty((len(x), lowered.size))),
            "LLVM": lambda: machine(x),
            "LLVM, 2 threads": lambda: two(x),
        }
    )
    rates = {name: LARGEST / seconds for name, seconds in times.items()}
    rates["lambdify(cse=True)"] = len(hold) / best(lambda: whole(hold), 2)
    rates["jax autodiff"] = len(few) / best(lambda: auto(few).block_until_ready(), 3)
    cache = near["rows"] / near["LLVM"], near["C"] / near["LLVM"]
    print("  points/s: " + ", ".join(f"{name} {rate:.3g}" for name, rate in rates.items()))
    print(
        f"  NumPy / lambdify at {len(hold):,} points (NumPy at {LARGEST:,}): {rates['NumPy'] / rates['lambdify(cse=True)']:.1f}"
    )
    print(
        f"  LLVM / C on the same rows: {rates['LLVM'] / rates['C, rows']:.2f} at {LARGEST:,} points, {cache[0]:.2f} at {cached:,}"
    )
    print(f"  LLVM / C that is given columns: {rates['LLVM'] / rates['C']:.2f}, {cache[1]:.2f}")
    print(f"  LLVM / jax autodiff: {rates['LLVM'] / rates['jax autodiff']:.0f}")
    part = x[: len(x) // 10]  # results of this size are given memory that the process holds already: no page faults
    small = best_of_each({"LLVM": lambda: machine(part), "two": lambda: two(part)}, 30)
    print(
        f"  2 threads / 1: {rates['LLVM, 2 threads'] / rates['LLVM']:.2f} at {LARGEST:,} points, "
        f"{small['LLVM'] / small['two']:.2f} at {len(part):,}"
    )
    print(f"  compile: LLVM {compile_seconds:.2f} s, gcc {gcc_seconds:.2f} s")


def memory() -> None:
    """Beyond points and results, for batches of different length (peak of the process)."""
    case = cases()[3]
    ours = compiled(case, NumPy())
    grown = []
    for count in (LARGEST // 4, LARGEST // 2):
        x = on_manifold(case, count)
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = ours(x)
        grown.append((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 - result.nbytes)
    print(
        f"\nmemory beyond points and result, NumPy, {case.program.operations} operations: "
        + ", ".join(f"{g / 1e6:.0f} MB" for g in grown)
        + " (batches of a quarter and a half)"
    )


def one_point() -> None:
    """Microseconds a call, with the examination of the point and without."""
    u, v = sp.symbols("u v")
    hyperbola = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1)))
    small = derive_limiting_sde(overparametrised_linear_model(2, 4, "isotropic").problem())
    print("\none point, µs a call")
    for sde, case in zip((hyperbola, small), cases()[:2], strict=True):
        x = on_manifold(case, 1)[0]
        calls = {
            f"{type(b).__name__}{'' if check else ', unchecked'}": sde.lambdify(backend=b, check=check).drift
            for b in (LLVM(), NumPy())
            for check in (True, False)
        }
        auto = jax_autodiff.drift_from_loss(case.loss, case.parameters, case.rank, case.noise)
        peers = {"jax autodiff": lambda x, f=auto: f(x[None]).block_until_ready(), "lambdify": scalar_lambdify(case)}
        micro = {}
        for name, call in {**calls, **peers}.items():
            call(x)
            micro[name] = best(lambda call=call, x=x: [call(x) for _ in range(300)]) / 300 * 1e6
        ours = micro["LLVM"]
        print(
            f"  {case.name}, derived program of {sde.program.select('drift').operations} operations: "
            + ", ".join(f"{n} {t:.1f}" for n, t in micro.items())
            + f"; jax / LLVM checked {micro['jax autodiff'] / ours:.0f}, lambdify / LLVM checked {micro['lambdify'] / ours:.1f}"
        )


def scalar_lambdify(case: Case) -> Callable[[np.ndarray], object]:
    whole = whole_array(case)
    return lambda x: whole(x[None])


def simulation() -> None:
    """Replica-steps a second, OLM 4,8 with label noise, next to C with columns."""
    model = overparametrised_linear_model(4, 8, "label")
    problem = model.problem()
    z = np.array([[int(f.coeff(p**2)) for p in model.parameters[:8]] for f in model.residuals])
    rng, rate = np.random.default_rng(0), 1e-3
    x = rng.normal(size=(REPLICAS, 16)) / 2
    c = sgd_of_columns(z, 1.0, rate)
    columns, states = np.ascontiguousarray(x.T), rng.integers(0, 2**64, (4, REPLICAS), dtype=np.uint64)
    reference = REPLICAS * STEPS / best(lambda: c(STEPS, columns.copy(), states))
    print(f"\nreplica-steps/s, OLM 4,8 label, {REPLICAS} replicas")
    for threads in (1, 2):
        sgd = FusedSGD(problem, LLVM(threads))
        sgd(x, learning_rate=rate, count=1, seed=0)
        ours = REPLICAS * STEPS / best(lambda sgd=sgd: sgd(x, learning_rate=rate, count=STEPS, seed=0))
        print(f"  SGD, {threads} threads: {ours:.3g}, C {reference:.3g} on one, ratio {ours / reference:.2f}")
    sde = derive_limiting_sde(problem)
    points, h = on_manifold(cases()[2], REPLICAS), 1e-4
    step = sde_step(sde.derivation)
    lowered = lower([step.program], [*step.symbols])
    c_loop = loop_of_columns(lowered, 16, [h, h**0.5])
    columns = np.ascontiguousarray(points.T)
    reference = REPLICAS * 100 / best(lambda: c_loop(100, columns.copy()))
    scheme = FusedSDE(sde.derivation, LLVM(), projections=1, check=False)
    scheme(points, time_step=h, count=1, seed=0)
    ours = REPLICAS * 100 / best(lambda: scheme(points, time_step=h, count=100, seed=0))
    print(
        f"  SDE step, {lowered.operations} operations with one projection: {ours:.3g}, C {reference:.3g}, ratio {ours / reference:.2f}"
    )


def main() -> None:
    print(f"load before the run {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"processor {llvm.llvm.get_host_cpu_name()}, {llvm.host().width} doubles a vector, NumPy {np.__version__}")
    for case in cases():
        throughput(case)
    memory()
    one_point()
    simulation()


if __name__ == "__main__":
    main()
