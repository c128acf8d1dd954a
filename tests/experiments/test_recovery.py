"""Sparse recovery: the limiting flow ends where weighted basis pursuit does, and SGD with label noise follows it."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from descent import label_noise_gradient, stochastic_descent
from scipy.integrate import solve_ivp
from scipy.optimize import linprog

from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadInput
from symbolic_sgd.experiments.sparse_recovery import (
    Outcome,
    Trial,
    effective,
    kernel_limit,
    ladder,
    limit_from,
    model,
    read,
    run_all,
)
from symbolic_sgd.experiments.thresholds import fit, thresholds
from symbolic_sgd.families.arrays import family_arrays
from symbolic_sgd.families.slow_motion import SlowMotion
from symbolic_sgd.simulate.deterministic_limit import follow_limit

TRIALS = [Trial(20, 2, n, law, repeat) for n in (4, 9, 14) for law in ("signs", "gaussian") for repeat in range(2)]


def functions_of(trial):
    z, target = trial.draw()
    return family_arrays(SlowMotion(model()), {"z": z, "y": z @ target}, check=False), z, target


def weighted_basis_pursuit(z, y):
    """argmin Σ_j a_j|w_j|, a_j = Σ_i z_ij², subject to zw = y, as a linear program, and the minimum."""
    weights = (z**2).sum(axis=0)
    solution = linprog(np.concatenate([weights, weights]), A_eq=np.hstack([z, -z]), b_eq=y)
    return solution.x[: z.shape[1]] - solution.x[z.shape[1] :], solution.fun


@pytest.mark.parametrize("trial", TRIALS, ids=lambda t: f"n={t.samples} {t.data} {t.repeat}")
def test_the_limiting_flow_ends_at_weighted_basis_pursuit(trial):
    """Whether or not that is w*; its minimum need not be a single point, but has one value."""
    functions, z, target = functions_of(trial)
    expected, lowest = weighted_basis_pursuit(z, z @ target)
    start = kernel_limit(z, z @ target)
    found = limit_from(functions, start, expected)
    w = effective(found.point)
    assert np.allclose(z @ w, z @ target, atol=1e-6)
    reached = float((z**2).sum(axis=0) @ np.abs(w))
    assert lowest * (1 - 1e-6) <= reached <= 1.05 * lowest, found.reason


def test_the_baseline_is_the_limit_of_the_gradient_flow():
    """Against the flow integrated in u and v, which knows nothing of the dual."""
    _, z, target = functions_of(Trial(12, 2, 5, "gaussian", 0))
    y = z @ target
    u, v = kernel_limit(z, y)

    def speed(_, x):
        a, b = np.split(x, 2)
        pull = 2 * z.T @ (z @ (a**2 - b**2) - y) / len(y)
        return np.concatenate([-pull * a, pull * b])

    flow = solve_ivp(speed, (0, 200), np.ones(24), method="DOP853", rtol=1e-12, atol=1e-13)
    assert np.allclose(flow.y[:, -1], np.concatenate([u, v]), atol=1e-9)
    assert np.allclose(z @ (u**2 - v**2), y, atol=1e-12)


def test_label_noise_sgd_follows_the_limiting_flow():
    """Means of u and v at t = ½, over 400 replicas at four η, extrapolated to η = 0 by a parabola: within 4 of their standard errors at
    each of the 2d coordinates (α = 0.0013 over all of them), where the motion itself is 30 standard errors or more."""
    trial = Trial(10, 1, 4, "signs", 0)
    functions, z, target = functions_of(trial)
    start = kernel_limit(z, z @ target)
    limit = follow_limit(
        lambda x: np.concatenate(functions.drift(*np.split(x, 2))),
        lambda x: np.concatenate(functions.corrected(*np.split(x, 2))),
        np.concatenate(start),
        0.5,
        tolerance=1e-8,
    )
    gradient = label_noise_gradient(z, z @ target)
    replicas, rates = 400, np.array([0.024, 0.016, 0.012, 0.008])
    means, errors = [], []
    for rate in rates:
        rng = np.random.default_rng(7)
        x = tuple(np.tile(a, (replicas, 1)) for a in start)
        arrays, _ = stochastic_descent(gradient, x, learning_rate=rate, steps=round(0.5 / rate**2), rng=rng)
        x = np.concatenate(arrays, axis=1)
        means.append(x.mean(axis=0))
        errors.append(x.std(axis=0) / np.sqrt(replicas))
    weights = np.linalg.pinv(np.stack([np.ones(4), rates, rates**2], axis=1))[0]
    extrapolated = weights @ np.array(means)
    error = np.sqrt((weights**2) @ np.array(errors) ** 2)
    assert np.all(np.abs(extrapolated - limit.point) <= 4 * error)
    assert np.abs(limit.point - np.concatenate(start)).max() > 30 * error.max()


def test_interrupted_runs_go_on_and_do_not_depend_on_workers(tmp_path):
    trials = list(ladder([20], [1], ["signs"], 1, 0, steps=4))
    whole = run_all(trials, tmp_path / "whole.jsonl")
    half = tmp_path / "half.jsonl"
    run_all(trials[:3], half)
    with half.open("a") as file:
        file.write('{"trial": {"coordin')  # cut off in the middle of a line
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert run_all(trials, half, executor=executor) == whole
    assert len(read(half)) == len(trials)


def test_a_file_of_something_else_is_refused(tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text('{"a": 1}\n')
    with pytest.raises(BadInput, match="line 1"):
        run_all(TRIALS[:1], other)
    with pytest.raises(BadInput, match="κ"):
        Trial(4, 5, 2, "signs", 0)
    with pytest.raises(BadInput, match="laws"):
        Trial(4, 1, 2, "uniform", 0)


def test_thresholds_of_curves_that_are_known():
    """Trials drawn with probability 1/(1 + (n₀/n)⁸), n₀ = 3 κ ln d and d: both are found within their error bars."""
    rng = np.random.default_rng(3)
    outcomes = []
    for d in (40, 160, 640):
        for n in np.unique(np.geomspace(4, d, 20).astype(int)):
            for repeat in range(20):
                wins = [rng.random() < 1 / (1 + (n0 / n) ** 8) for n0 in (3 * 2 * np.log(d), 0.6 * d)]
                outcomes.append(
                    Outcome(Trial(d, 2, int(n), "signs", repeat), 1 - wins[1], 1 - wins[0], 1.0, 1.0, "stopped")
                )
    found = thresholds(outcomes)
    for t in found:
        expected = 3 * 2 * np.log(t.coordinates) if t.method == "limit" else 0.6 * t.coordinates
        assert abs(t.samples - expected) <= 4 * t.error
    limit = fit([t for t in found if t.method == "limit"], intercept=True)
    kernel = fit([t for t in found if t.method == "kernel"], intercept=False)
    assert abs(limit.slope - 3) <= 4 * limit.slope_error
    assert abs(kernel.slope - 0.6) <= 4 * kernel.slope_error


def test_the_command_writes_numbers_and_figure(tmp_path, capsys):
    place = tmp_path / "run"
    assert main(["recovery", str(place), "--coordinates", "16", "24", "32", "--sparsity", "1", "--repeats", "1"]) == 0
    printed = capsys.readouterr().out
    assert "κ ln d" in printed
    assert (place / "recovery_signs.png").stat().st_size > 10_000
    assert len(json.loads((place / "thresholds.json").read_text())) == 6
    assert main(["recovery", str(place), "--coordinates", "2", "--sparsity", "5"]) == 2
    assert "κ" in capsys.readouterr().err
