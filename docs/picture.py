"""Draws docs/picture.png, the picture of the README: `python docs/picture.py`."""

from pathlib import Path

import matplotlib.pyplot as plt
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde, simulate_sde, simulate_sgd
from symbolic_sgd.plots import plot_ensemble, plot_manifold, plot_weak_error

u, v = sp.symbols("u v")
problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
sde = derive_limiting_sde(problem)
runs = {
    eta: simulate_sgd(problem, [2, 0.5], learning_rate=eta, steps=round(1 / eta**2), replicas=20_000, rng=0)
    for eta in (0.1, 0.05, 0.025)
}
limit = simulate_sde(sde, [2, 0.5], time=1, step=0.01, replicas=1)

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.9), layout="constrained")
plot_manifold(sde, window=[(0.2, 2.8), (0.2, 2.8)], start={u: 2.4, v: 1.4}, ax=left).set_title(
    "uv = 1 with label noise: SGD falls on Γ, and drifts"
)
plot_ensemble({"SGD, η = 0.05": runs[0.05], "limit": limit}, problem.parameters, ax=middle).set_title(
    "SGD beside its limit"
)
plot_weak_error(runs, limit, names=["E $u$", "E $v$"], ax=right).set_title("distance from the limit over η")
figure.savefig(Path(__file__).with_name("picture.png"), dpi=80)
