"""Named models at the sizes of papers: the drift under label noise by our arrays, and by jax's autodiff of the model alone.

    python benchmarks/models_of_size.py [NAME …] [--share 1.0]

`--share 0.1` takes a tenth of every size. Each figure comes from a process of its own: seconds of the first call (with what is derived and
compiled in it), the median of three more, and the largest memory; then the largest difference of the two drifts beside the largest entry.
The peer is what its user would write: the n×D matrix of ∇f_i by `jax.vmap(jax.grad(f))`, R = (1/4n) Σ ‖∇f_i‖² differentiated once more, and
a Cholesky factor of the n×n Gram matrix for ∂Φ.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = {
    "two_layer_network": {"n": 200, "m": 1000, "d": 500},
    "matrix_sensing": {"n": 60, "d1": 200, "d2": 150, "r": 20},
    "bilinear_attention": {"n": 100, "d": 800, "r": 64},
}
CALLS = 3


def arrays(name: str, sizes: dict[str, int]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Random parameters and data; the labels are those of the parameters, which are on Γ then."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape) / np.sqrt(shape[-1])  # noqa: E731
    n = sizes["n"]
    if name == "two_layer_network":
        m, d = sizes["m"], sizes["d"]
        parameters, data = {"a": draw(m), "W": draw(m, d)}, {"x": rng.standard_normal((n, d))}
    elif name == "matrix_sensing":
        parameters = {"U": draw(sizes["d1"], sizes["r"]), "V": draw(sizes["d2"], sizes["r"])}
        data = {"A": rng.standard_normal((n, sizes["d1"], sizes["d2"]))}
    else:
        d, r = sizes["d"], sizes["r"]
        parameters = {"K": draw(r, d), "Q": draw(r, d)}
        data = {"x": rng.standard_normal((n, d)), "z": rng.standard_normal((n, d))}
    return parameters, data


def outputs(name: str, library):
    """f of one sample, from the parameters and the sample's data."""
    return {
        "two_layer_network": lambda p, s: p["a"] @ library.tanh(p["W"] @ s["x"]),
        "matrix_sensing": lambda p, s: ((s["A"] @ p["V"]) * p["U"]).sum(),
        "bilinear_attention": lambda p, s: (p["K"] @ s["x"]) @ (p["Q"] @ s["z"]),
    }[name]


def ours(name: str, parameters, data):
    from symbolic_sgd import derive_limiting_sde, models  # noqa: PLC0415  # each side in a process of its own

    f = outputs(name, np)
    count = len(next(iter(data.values())))
    labels = np.array([f(parameters, {key: value[i] for key, value in data.items()}) for i in range(count)])
    functions = derive_limiting_sde(getattr(models, name)()).lambdify(**data, y=labels)
    return lambda: functions.drift(*parameters.values())


def by_jax(name: str, parameters, data):
    import jax  # noqa: PLC0415  # a peer, not a dependency
    import jax.numpy as jnp  # noqa: PLC0415

    jax.config.update("jax_enable_x64", True)
    f = outputs(name, jnp)
    given = {key: jnp.asarray(value) for key, value in data.items()}
    count = len(next(iter(given.values())))
    flat = lambda tree: jnp.concatenate([tree[key].reshape(count, -1) for key in parameters], axis=1)  # noqa: E731

    def slopes(p):
        return jax.vmap(jax.grad(f), in_axes=(None, 0))(p, given)

    @jax.jit
    def drift(p):
        j = flat(slopes(p))
        slope = jax.grad(lambda p: sum((leaf**2).sum() for leaf in slopes(p).values()) / (4 * count))(p)
        g = jnp.concatenate([slope[key].ravel() for key in parameters])
        lower = jax.scipy.linalg.cho_factor(j @ j.T)
        return -(g - j.T @ jax.scipy.linalg.cho_solve(lower, j @ g))

    start = {key: jnp.asarray(value) for key, value in parameters.items()}
    return lambda: np.asarray(drift(start))


def measure(side: str, name: str, sizes: dict[str, int], target: str) -> None:
    """In a process of its own."""
    parameters, data = arrays(name, sizes)
    begin = time.perf_counter()
    drift = {"ours": ours, "jax": by_jax}[side](name, parameters, data)
    found = drift()
    first, rest = time.perf_counter() - begin, []
    for _ in range(CALLS):
        start = time.perf_counter()
        drift()
        rest.append(time.perf_counter() - start)
    np.save(target, np.concatenate([np.ravel(a) for a in (found if isinstance(found, (tuple, list)) else [found])]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps([first, statistics.median(rest), peak]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="a part of the models")
    parser.add_argument("--share", type=float, default=1.0, help="of every size")
    given = parser.parse_args()
    for name in given.names or SIZES:
        sizes = {key: max(3, round(size * given.share)) for key, size in SIZES[name].items()}
        print(f"{name}, {', '.join(f'{key} = {size}' for key, size in sizes.items())}")
        drifts = []
        with tempfile.TemporaryDirectory() as folder:
            for side in ("ours", "jax"):
                target = str(Path(folder) / f"{side}.npy")
                command = [sys.executable, __file__, "--measure", side, name, json.dumps(sizes), target]
                run = subprocess.run(command, capture_output=True, text=True, check=False)
                if run.returncode:
                    print(f"  {side}: does not finish (code {run.returncode}): {run.stderr.strip().splitlines()[-1:]}")
                    continue
                first, again, peak = json.loads(run.stdout.splitlines()[-1])
                print(f"  {side}: first {first:.2f} s, then {again:.3f} s, {peak:.2f} GiB", flush=True)
                drifts.append(np.load(target))
        if len(drifts) == 2:
            print(f"  difference {np.abs(drifts[0] - drifts[1]).max() / np.abs(drifts[1]).max():.1e}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]), sys.argv[5])
    else:
        main()
