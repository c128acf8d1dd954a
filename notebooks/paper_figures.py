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
# # The paper's model: SGD beside its limit
#
# The model of Li, Wang and Arora's last section is linear in $w = u^2 - v^2$: $f_i = \langle z_i, u^2 - v^2\rangle$, with fewer samples than coordinates. Here
# $d = 8$ coordinates are seen through $n = 4$ samples, the eight columns $(1, \pm1, \pm1, \pm1)$, and the labels are those of $w^* = (1, 0, \dots, 0)$. At every
# step SGD draws one sample and moves its label by $\pm1$.

# %%
import itertools

import numpy as np
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde, gradient_flow_limit, simulate_sde, simulate_sgd

z = np.array([(1, *signs) for signs in itertools.product((1, -1), repeat=3)]).T
u, v = sp.symbols("u1:9"), sp.symbols("v1:9")
residuals = [sum(int(z_ij) * (a**2 - b**2) for z_ij, a, b in zip(row, u, v)) - int(row[0]) for row in z]
problem = Problem.least_squares(residuals, parameters=(*u, *v), noise=LabelNoise(1))
sde = derive_limiting_sde(problem)
print("dim Γ =", sde.manifold.dimension, "in", problem.dimension, "parameters")
print("R =", sde.regularizer)

# %% [markdown]
# Given $w_j = u_j^2 - v_j^2$, the least $u_j^2 + v_j^2$ is $|w_j|$: on $\Gamma$, small $R$ means small $\lVert w\rVert_1$. The paper's loss, $\frac1n\sum_i(f_i - y_i)^2$, is twice
# this one: there everything in the limit goes four times as fast.
#
# ## One start, three learning rates
#
# Without noise SGD would end where the gradient flow does, at $\Phi(x_0)$. There the limit begins. It has no noise of its own: it is an ordinary differential equation.

# %%
weights = lambda x: x[..., :8] ** 2 - x[..., 8:] ** 2
R = sp.lambdify([problem.parameters], sde.regularizer)
x0, time = np.array(8 * [0.8] + 8 * [0.6]), 1.5
begin = gradient_flow_limit(problem)(x0)
limit = simulate_sde(sde, begin, time=time, step=0.01, replicas=1)
rates = (0.04, 0.02, 0.01)
runs = {eta: simulate_sgd(problem, x0, learning_rate=eta, steps=round(time / eta**2), replicas=100, rng=0, paths=True) for eta in rates}
print("w where the gradient flow ends", weights(begin).round(2))
print("w where the limit ends        ", weights(limit.final[0]).round(2))
for eta, run in runs.items():
    print(f"w where SGD ends, η = {eta:4}   ", weights(run.final).mean(axis=0).round(2))

# %%
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for (eta, run), color in zip(runs.items(), ("#56B4E9", "#E69F00", "#D55E00")):
    left.plot(run.times, R(run.paths.transpose(2, 0, 1)).mean(axis=1), color=color, label=f"SGD, η = {eta}")
    right.plot(run.times, weights(run.paths).mean(axis=1)[:, 0], color=color)
left.plot(limit.times, R(limit.mean.T), "k--", label="limit")
left.axhline(1, color="0.7", linewidth=0.8, zorder=0)
right.plot(limit.times, weights(limit.mean)[:, 0], "k--", label="limit: $w_1$")
right.plot(limit.times, weights(limit.mean)[:, 1:], color="0.6", linewidth=0.8)
right.plot([], [], color="0.6", linewidth=0.8, label="limit: the other $w_j$")
left.set(xlabel="t = kη²", ylabel="R, mean of 100 runs")
right.set(xlabel="t = kη²", ylabel="$w_j$", ylim=(-0.3, 1.05))
left.legend(frameon=False), right.legend(frameon=False);

# %% [markdown]
# On the left $R$ falls towards 1 (grey), which is $\lVert w^*\rVert_1$; the larger $\eta$ is, the faster, and the limit is what is left of that as $\eta \to 0$. On the
# right all runs first jump to where the gradient flow ends, $w_1 = 0.51$, and then rise.
#
# ## How far from the limit
#
# The theorem says that the law of SGD at a fixed $t$ tends to that of the limit as $\eta \to 0$, and names no rate. For two observables, with standard errors:

# %%
from symbolic_sgd.plots import plot_weak_error

middle = simulate_sde(sde, begin, time=0.2, step=0.005, replicas=1)
short = {eta: simulate_sgd(problem, x0, learning_rate=eta, steps=round(0.2 / eta**2), replicas=2000, rng=1) for eta in (0.04, 0.02, 0.01)}
both = lambda x: np.stack([R(x.T), weights(x)[:, 0]], axis=1)
plot_weak_error(short, middle, observable=both, names=("$R$", "$w_1$"), width=4.5);

# %% [markdown]
# ## A law in closed form
#
# The limit in sixteen parameters has no closed solution. But along it each product $u_jv_j$ decays exactly:

# %%
print(*sde.charges[:2], sep="\n")
product = lambda run: (run.paths[..., 0] * run.paths[..., 8]).mean(axis=1)
for eta, run in runs.items():
    gap = product(run) - begin[0] * begin[8] * np.exp(-4 * run.times)
    print(f"η = {eta:4}: after t = 0.2, E u₁v₁ is at most {abs(gap[run.times > 0.2]).max():.4f} from it")

# %% [markdown]
# At $u_jv_j = 0$ for all $j$ the four gradients are no longer independent: the end itself, $w^*$, is not on $\Gamma$, and the limit approaches it for ever.
# The same for every $n$ and $d$, and how many samples it needs, are in *Sparse recovery*.
