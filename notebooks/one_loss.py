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
# # One loss, many optimizers
#
# A network with one hidden unit and two outputs, $uv$ and $uw$, is trained on the labels $1$ and $2$. Its minimizers are the curve $v = 1/u$, $w = 2/u$. Where on
# it an optimizer ends is not said by the loss: it is said by the optimizer.

# %%
import sympy as sp

from symbolic_sgd import (
    SAM, SGD, HeavyBall, LabelNoise, LocalSGD, MirrorDescent, NormalizedGD, Preconditioned, Problem, RMSprop,
    derive_limiting_sde, simulate_sde, simulate_sgd,
)
from symbolic_sgd.printing.plain import plain

u, v, w = sp.symbols("u v w", positive=True)
problem = Problem.least_squares([u * v - 1, u * w - 2], parameters=(u, v, w), noise=LabelNoise(1, batch_size=2))
quarter = sp.Rational(1, 4)
optimizers = {
    "SGD, η → 0": SGD(),
    "SGD, η = ¼": SGD(learning_rate=quarter),
    "heavy ball": HeavyBall(momentum=sp.Rational(1, 2), learning_rate=quarter),
    "Local SGD": LocalSGD(workers=2, round_time=1),
    "preconditioned": Preconditioned(sp.diag(2, 1, 1)),
    "mirror descent": MirrorDescent(sum(x * sp.log(x) - x for x in (u, v, w))),
    "SAM, η = ¼": SAM(learning_rate=quarter),
    "normalised GD": NormalizedGD(),
}
sdes = {name: derive_limiting_sde(problem, optimizer=optimizer) for name, optimizer in optimizers.items()}

# %% [markdown]
# With label noise none of them moves at random in the limit. Each follows an equation of its own for $u$, in its own unit of time:

# %%
for name, sde in sdes.items():
    print(f"{name:15} {plain(sde.time_unit):8} u̇ = {plain(sde.in_chart(u).drift[0])}")

# %% [markdown]
# ## What each of them wants
#
# `sde.regularizer` is what it descends. The curvatures on the curve are $\lambda_1 = \frac12(u^2 + 5/u^2)$ and $\lambda_2 = \frac12u^2$: label noise looks at both, SAM
# and normalised gradient descent at the larger one alone.

# %%
on_curve = {v: 1 / u, w: 2 / u}
for name in ("SGD, η → 0", "SGD, η = ¼", "Local SGD", "SAM, η = ¼", "normalised GD"):
    wanted = sp.simplify(sdes[name].regularizer.subs(on_curve))
    print(f"{name:15} R = {plain(wanted)}")

# %% [markdown]
# Mirror descent has no such $R$: what moves it is the bend of its own step.

# %%
mirror = sdes["mirror descent"]
print([plain(sp.simplify(e.subs(on_curve))) for e in (mirror.normal_regularization[0], mirror.noise_curvature_drift[0])])

# %% [markdown]
# ## Their paths
#
# All from $u = 3$. They end where their $R$ is smallest, and that is in different places.

# %%
import matplotlib.pyplot as plt

runs = {name: simulate_sde(sde, [3, 1 / 3, 2 / 3], time=8, step=0.02, replicas=1) for name, sde in sdes.items()}
figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
colors = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#000000")
for (name, run), color, style in zip(runs.items(), colors, 7 * ["-"] + ["--"]):
    axes.plot(run.times, run.mean[:, 0], style, color=color, label=name)
axes.set(xlabel="t, in the unit of each", ylabel="u")
figure.legend(loc="outside right center", frameon=False);

# %%
from scipy.optimize import brentq

for name, sde in sdes.items():
    print(f"{name:15} ends at u = {brentq(sp.lambdify(u, sde.in_chart(u).drift[0]), 0.8, 3):.4f}")

# %% [markdown]
# ## RMSprop descends one potential
#
# RMSprop remembers the squares of its gradients as slowly as it moves. Its slow variables are $(x, v)$, and with label noise both descend $E$:

# %%
rmsprop = derive_limiting_sde(problem, optimizer=RMSprop(second_moment_rate=1))
print(rmsprop.slow_variables)
print(plain(rmsprop.joint_potential))

# %%
run = simulate_sde(rmsprop, [3, 1 / 3, 2 / 3, 0.1, 0.1, 0.1], time=20, step=0.02, replicas=1)
energy = sp.lambdify(rmsprop.slow_variables, rmsprop.joint_potential)(*run.mean.T)
print(f"E falls from {energy[0]:.4f} to {energy[-1]:.4f}, at every moment recorded:", bool((energy[1:] < energy[:-1]).all()))
end = run.mean[-1, 0]
print(f"at the end u = {end:.3f}, and v = {run.mean[-1, 3:].round(3)} beside {5 / (4 * end**2):.3f} and {end**2 / 4:.3f}, the diagonal of Σ")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3), layout="constrained")
left.plot(run.times, energy, color="#000000")
left.set(xlabel="t", ylabel="E")
right.plot(run.times, run.mean[:, 0], color="#000000", label="u")
for k, (s, color) in enumerate(zip(rmsprop.slow_variables[3:], ("#E69F00", "#56B4E9", "#009E73")), start=3):
    right.plot(run.times, run.mean[:, k], "-" if k < 5 else "--", color=color, label=str(s))
right.set(xlabel="t")
right.legend(frameon=False);

# %% [markdown]
# ## SAM beside its flow
#
# SAM itself, $x \leftarrow x - \eta\nabla L(x + \rho\nabla L/\lVert\nabla L\rVert)$, jumps from one side of the curve to the other. It divides by
# $\lVert\nabla L\rVert$, and so has to begin beside the curve:

# %%
try:
    simulate_sgd(problem, [3, 1 / 3, 2 / 3], optimizer=SAM(learning_rate=quarter), noise_scale=0.04, steps=1)
except ValueError as refusal:
    print(refusal)

# %%
import numpy as np

start, across = np.array([3, 1 / 3, 2 / 3]), np.array([0.1, 0.6, 1.2])
flow = simulate_sde(sdes["SAM, η = ¼"], start, time=0.5, step=0.005, replicas=1)
sam = {}
for radius in (0.08, 0.04, 0.02):
    steps = round(0.5 * 4 / radius**2)
    sam[radius] = simulate_sgd(
        problem, start + radius * across, optimizer=SAM(learning_rate=quarter), noise_scale=radius, steps=steps, replicas=1
    )
    print(f"ρ = {radius}: u ends {abs(sam[radius].final[0, 0] - flow.final[0, 0]):.4f} from the flow")

# %%
figure, axes = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
for (radius, run), color in zip(sam.items(), ("#56B4E9", "#E69F00", "#D55E00")):
    axes.plot(run.times, run.mean[:, 0], ".", markersize=3, color=color, label=f"SAM, ρ = {radius}")
axes.plot(flow.times, flow.mean[:, 0], color="#000000", label="its flow")
axes.set(xlabel="t = kηρ²", ylabel="u")
axes.legend(frameon=False);

# %% [markdown]
# The same for nineteen optimizers, with formulas, is in the documentation under *One loss, many optimizers*.
