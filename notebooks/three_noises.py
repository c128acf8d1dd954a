# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One Γ, three noises
#
# The loss $L = \frac12(u^2 + 2v^2 - 1)^2$ has an ellipse of minimizers. What SGD does on it is not decided by the loss alone. Three noises: one settles, one
# wanders, and one goes round.

# %%
import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde

u, v, theta = sp.symbols("u v theta")
f = u**2 + 2 * v**2 - 1
across_and_along = sp.Matrix([u - 2 * v, 2 * v + u]) / 2  # one source of noise: half across the ellipse, half along it
problems = {
    "label": Problem.least_squares([f], parameters=(u, v), noise=LabelNoise(1)),
    "isotropic": Problem(loss=f**2 / 2, parameters=(u, v), noise=IsotropicNoise(sp.Rational(1, 2))),
    "one source": Problem(loss=f**2 / 2, parameters=(u, v), noise=across_and_along),
}
sdes = {name: derive_limiting_sde(problem) for name, problem in problems.items()}

# %% [markdown]
# ## Three drifts
#
# In the angle $\theta$, with $u = \cos\theta$ and $v = \sin\theta/\sqrt2$:

# %%
on_ellipse = {u: sp.cos(theta), v: sp.sin(theta) / sp.sqrt(2)}
charts = {name: sde.in_chart((theta,), embedding=on_ellipse) for name, sde in sdes.items()}
for name, chart in charts.items():
    print(f"{name:10} drift {sp.simplify(chart.drift[0])},  noise along Γ: {any(sp.simplify(a) for a in chart.diffusion)}")

# %% [markdown]
# ## Two regularizers
#
# $R$ is what mixed and normal regularization descend. The third noise has none: integrated once round the ellipse, its regularization does not come back to 0.

# %%
for name, sde in sdes.items():
    print(f"{name:10} {sde.regularizer_evidence}")

# %% [markdown]
# ## SGD

# %%
import matplotlib.pyplot as plt
import numpy as np

from symbolic_sgd import simulate_sgd

start = [np.cos(1.3), np.sin(1.3) / np.sqrt(2)]
runs = {
    name: simulate_sgd(problem, start, learning_rate=0.02, steps=20000, replicas=200, rng=0, records=400, paths=True)
    for name, problem in problems.items()
}
angles = {name: np.unwrap(np.arctan2(np.sqrt(2) * run.paths[..., 1], run.paths[..., 0]), axis=0) for name, run in runs.items()}

# %%
from symbolic_sgd.plots import plot_manifold

figure, axes = plt.subplots(2, 3, figsize=(9, 5.6), layout="constrained", height_ratios=(1.15, 1))
for (name, sde), top, bottom in zip(sdes.items(), *axes):
    plot_manifold(sde, window=[(-1.4, 1.4), (-1.1, 1.1)], path=False, ax=top)
    top.plot(*runs[name].paths[:120, 0].T, ".-", color="#D55E00", markersize=2, linewidth=0.5)
    top.set_title(name)
    if top.get_legend():
        top.get_legend().remove()
    bottom.plot(runs[name].times, angles[name][:, :12] / (2 * np.pi), color="#0072B2", linewidth=0.6, alpha=0.6)
    bottom.plot(runs[name].times, angles[name].mean(axis=1) / (2 * np.pi), "k", label="mean of 200 runs")
    bottom.set(xlabel="t = kη²", ylabel="turns")
axes[1, 0].legend(frameon=False);

# %% [markdown]
# Above: $\Gamma$ in the colours of $R$ (grey where there is none), arrows along the drift, stable (filled) and unstable fixed points where nothing is random, and the
# beginning of one run. Below: twelve runs each. With label noise they settle where $R$ is least; isotropic noise wanders; the third goes round clockwise. Only there
# is a push along the ellipse always one across it as well, which is what makes the mixed regularization:

# %%
for name, sde in sdes.items():
    print(f"{name:10} mixed regularization {'is 0' if sde.mixed_regularization.is_zero_matrix else 'is not 0'}")

# %% [markdown]
# How far it has gone by $t = 8$, for the limit and for SGD, with standard errors:

# %%
from symbolic_sgd import simulate_sde

limit = simulate_sde(sdes["one source"], start, time=8, step=0.02, replicas=2000, rng=0, records=200, paths=True)
turns = np.unwrap(np.arctan2(np.sqrt(2) * limit.paths[..., 1], limit.paths[..., 0]), axis=0) / (2 * np.pi)
for name, one in (("limit", turns), ("SGD", angles["one source"] / (2 * np.pi))):
    made = one[-1] - one[0]
    print(f"{name:6} {made.mean():.2f} ± {made.std() / np.sqrt(len(made)):.2f} turns")
