"""w* found by the limiting flow at d = 10⁴, and label-noise SGD on the way to the same point at a smaller d.

    python benchmarks/sparse_recovery.py [--coordinates 10000 --samples 200 --sparsity 5] [--sgd-coordinates 20]

The second part compares the means of |w_j| and of u_j² + v_j² over replicas at three η, extrapolated to η = 0, with the
limiting flow at the same t = kη².
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from symbolic_sgd.experiments.sparse_recovery import Trial, effective, kernel_limit, limit_from, model
from symbolic_sgd.families.arrays import family_arrays
from symbolic_sgd.families.slow_motion import SlowMotion
from symbolic_sgd.simulate.deterministic_limit import follow_limit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from descent import label_noise_gradient, stochastic_descent


def functions_of(trial):
    """Array functions of a trial, its w*, and where the flow without noise ends."""
    z, target = trial.draw()
    y = z @ target
    return family_arrays(SlowMotion(model()), {"z": z, "y": y}, check=False), target, kernel_limit(z, y)


def at_large_d(d, n, kappa):
    for law in ("signs", "gaussian"):
        begin = time.perf_counter()
        functions, target, start = functions_of(Trial(d, kappa, n, law, 0))
        found = limit_from(functions, start, target)
        error = [
            np.linalg.norm(effective(x) - target) / np.linalg.norm(target) for x in (np.concatenate(start), found.point)
        ]
        took = time.perf_counter() - begin
        print(
            f"d = {d}, n = {n}, κ = {kappa}, {law}: |w − w*|/|w*| = {error[0]:.3f} without noise, {error[1]:.4f} by the limiting "
            f"flow at t = {found.time:.2f} ({found.steps} steps, {took:.1f} s, data drawn and flow without noise included)"
        )


def by_sgd(d, n, kappa, until, replicas, rates):
    functions, target, start = functions_of(Trial(d, kappa, n, "signs", 0))
    halves = lambda x: np.split(x, 2)  # noqa: E731
    limit = follow_limit(
        lambda x: np.concatenate(functions.drift(*halves(x))),
        lambda x: np.concatenate(functions.corrected(*halves(x))),
        np.concatenate(start),
        until,
        tolerance=1e-8,
    )

    gradient = label_noise_gradient(functions.data["z"], functions.data["y"])
    begin, means, errors = time.perf_counter(), [], []
    for rate in rates:
        x = tuple(np.tile(a, (replicas, 1)) for a in start)
        steps = round(until / rate**2)
        (u, v), _ = stochastic_descent(gradient, x, learning_rate=rate, steps=steps, rng=np.random.default_rng(1))
        seen = np.concatenate([u * u - v * v, u * u + v * v], axis=1)
        means.append(seen.mean(axis=0))
        errors.append(seen.std(axis=0) / np.sqrt(replicas))
    weights = np.linalg.pinv(np.stack([np.ones(len(rates)), rates], axis=1))[0]
    extrapolated, error = weights @ np.array(means), np.sqrt(weights**2 @ np.array(errors) ** 2)
    u, v = halves(limit.point)
    expected = np.concatenate([u * u - v * v, u * u + v * v])
    z = (extrapolated - expected) / error
    distance = [
        np.linalg.norm(w - target) / np.linalg.norm(target)
        for w in (effective(np.concatenate(start)), u * u - v * v, extrapolated[:d])
    ]
    print(
        f"d = {d}, n = {n}, κ = {kappa}, t = {until}: |w − w*|/|w*| = {distance[0]:.3f} at the start, {distance[1]:.4f} by the limiting "
        f"flow, {distance[2]:.4f} ± {np.linalg.norm(error[:d]) / np.linalg.norm(target):.4f} by SGD (η = {', '.join(map(str, rates))} "
        f"extrapolated, {replicas} replicas, {time.perf_counter() - begin:.0f} s)"
    )
    print(
        f"  largest deviation of w_j and u_j² + v_j² in standard errors: {np.abs(z).max():.2f} of {2 * d}; "
        f"root mean square {np.sqrt(np.mean(z**2)):.2f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coordinates", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--sparsity", type=int, default=5)
    parser.add_argument("--sgd-coordinates", type=int, default=20)
    parser.add_argument("--sgd-samples", type=int, default=9)
    parser.add_argument("--until", type=float, default=2.0)
    parser.add_argument("--replicas", type=int, default=128)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.003, 0.002, 0.0015])
    chosen = parser.parse_args()
    at_large_d(chosen.coordinates, chosen.samples, chosen.sparsity)
    by_sgd(chosen.sgd_coordinates, chosen.sgd_samples, 1, chosen.until, chosen.replicas, chosen.rates)


if __name__ == "__main__":
    main()
