"""The OLM with n = 100 samples and d up to 10⁵: seconds a drift beside the bare n²d matrix product and jax's autodiff; then
the growth exponents of the time in d at the first n, and in n at the middle d.

    python benchmarks/families.py [--coordinates 1000 10000 100000] [--samples 100]

Every figure is the median of its repetitions in this one run, threads as NumPy finds them; ratios are what to look at.
"""

import argparse
import importlib.util
import statistics
import time
import tracemalloc

import numpy as np
import sympy as sp

from symbolic_sgd import Family, IsotropicNoise, LabelNoise, derive_limiting_sde


def olm(noise):
    """The family of the poster's overparametrised linear model, ½-normalised."""
    i, j = sp.symbols("i j", integer=True)
    n, d = sp.symbols("n d", integer=True, positive=True)
    u, v, y, z = map(sp.IndexedBase, "uvyz")
    residual = sp.Sum(z[i, j] * (u[j] ** 2 - v[j] ** 2), (j, 1, d)) - y[i]
    return derive_limiting_sde(Family(residual=residual, sample=(i, 1, n), parameters=(u, v), noise=noise))


def seconds(work, total=2.0):
    """The median time of a call."""
    work()
    times = []
    while sum(times) < total or len(times) < 3:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def by_jax(data, target):
    """−¼ ∂Φ∇tr ∇²L with ∇tr ∇²L by automatic differentiation of J; ∂Φ by the same Cholesky factor of JJᵀ."""
    import jax  # noqa: PLC0415 (a peer, not a dependency)
    import jax.numpy as jnp  # noqa: PLC0415

    jax.config.update("jax_enable_x64", True)
    z = jnp.asarray(data)

    def jacobian(x):
        half = x.shape[0] // 2
        return jnp.concatenate([2 * z * x[:half], -2 * z * x[half:]], axis=1)

    @jax.jit
    def drift(x):
        j = jacobian(x)
        slope = jax.grad(lambda x: (jacobian(x) ** 2).sum() / len(target))(x)
        lower = jax.scipy.linalg.cho_factor(j @ j.T)
        return -(slope - j.T @ jax.scipy.linalg.cho_solve(lower, j @ slope)) / 4

    return lambda x: drift(x).block_until_ready()


def measured(n, d, label, isotropic, with_jax=True):
    """Seconds of the product, the two drifts and jax's; the peak memory of the first drift in n×d arrays."""
    rng = np.random.default_rng(0)
    data = rng.choice([-1.0, 1.0], (n, d))
    x = rng.uniform(0.5, 1.5, (2, d))
    target = data @ (x[0] ** 2 - x[1] ** 2)
    other = data * 1.5  # two operands: the product that does not know of its symmetry
    product = seconds(lambda: data @ other.T)
    functions = [sde.lambdify(z=data, y=target) for sde in (label, isotropic)]
    times = [seconds(lambda f=f: f.drift(*x)) for f in functions]
    jax_time = float("nan")
    if with_jax and importlib.util.find_spec("jax") is not None:
        drift, flat = by_jax(data, target), np.concatenate(x)
        assert np.allclose(drift(flat), np.concatenate(functions[0].drift(*x)), rtol=1e-6, atol=1e-8)
        jax_time = seconds(lambda: drift(flat))
    tracemalloc.start()
    functions[0].drift(*x)
    peak = tracemalloc.get_traced_memory()[1] / (8 * n * d)
    tracemalloc.stop()
    return product, *times, jax_time, peak


def exponents(sizes, rows):
    """Slopes of log time over log size, by least squares: product, label, isotropic."""
    return [np.polyfit(np.log(sizes), np.log([row[k] for row in rows]), 1)[0] for k in range(3)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coordinates", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--growth", type=int, nargs="+", default=[50, 100, 200, 400], help="n of the growth exponent")
    chosen = parser.parse_args()
    print(
        f"{'n':>5} {'d':>7} {'product s':>10} {'label':>7} {'isotropic':>9} {'jax label':>9}   peak memory, label, in n×d arrays"
    )
    models = olm(LabelNoise()), olm(IsotropicNoise())
    rows = []
    for d in chosen.coordinates:
        rows.append(measured(chosen.samples, d, *models))
        product, *times, peak = rows[-1]
        ratios = "".join(f" ×{t / product:<7.2f}" for t in times)
        print(f"{chosen.samples:5d} {d:7d} {product:10.5f} {ratios}  {peak:.2f}", flush=True)
    middle = sorted(chosen.coordinates)[len(chosen.coordinates) // 2]
    across = [measured(n, middle, *models, with_jax=False) for n in chosen.growth]
    for name, sizes, table in (("d", chosen.coordinates, rows), (f"n at d = {middle}", chosen.growth, across)):
        found = ", ".join(
            f"{k} {p:.2f}" for k, p in zip(("product", "label", "isotropic"), exponents(sizes, table), strict=True)
        )
        print(f"growth exponents in {name}: {found}")


if __name__ == "__main__":
    main()
