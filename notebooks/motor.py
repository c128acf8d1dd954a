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
# # The motor that never stops
#
# It is tempting to think that SGD always descends some regularizer $R$. It need not. Take the unit circle as $\Gamma$, three
# more parameters across it, and noise in these whose size varies round the circle out of phase with the curvature:
#
# $$L = \tfrac18 (x^2+y^2-1)^2 + \tfrac12\sum_j a_j(\theta)\, y_j^2,\qquad \text{variance of the noise on } y_j:\ s_j(\theta),$$
#
# with $a_j = 2 + \cos\varphi_j$, $s_j = 1 + \sin\varphi_j$, $\varphi_j = \theta - 2\pi j/3$. The drift along the circle is
# $-\tfrac14\sum_j s_j\,\partial_\theta \ln a_j$ (normal regularization), and this has a mean that is not zero.

# %%
import sympy as sp

from symbolic_sgd import Problem, derive_limiting_sde

x, y, *heights = parameters = sp.symbols("x y y1:4")
loss, noise = (x**2 + y**2 - 1) ** 2 / 8, sp.zeros(5, 6)
for j, height in enumerate(heights, start=1):
    shift = 2 * sp.pi * j / 3
    cosine, sine = x * sp.cos(shift) + y * sp.sin(shift), y * sp.cos(shift) - x * sp.sin(shift)
    loss += (2 + cosine) * height**2 / 2
    noise[1 + j, 2 * j - 2], noise[1 + j, 2 * j - 1] = cosine / sp.sqrt(2), (1 + sine) / sp.sqrt(2)

sde = derive_limiting_sde(Problem(loss=loss, parameters=parameters, noise=noise))
sde.tangent_noise.is_zero_matrix

# %% [markdown]
# Nothing is random on the circle, and yet there is no $R$: the integral of the regularization round the circle is not zero.

# %%
evidence = sde.regularizer_evidence
print(evidence.expression, round(evidence.loop_integral, 10))
print(round(float(2 * sp.pi * sp.Rational(3, 4) * (2 - sp.sqrt(3))), 10))

# %% [markdown]
# In the angle $\theta$ the limit is one ordinary differential equation, whose right side has no zero:

# %%
import numpy as np

theta = sp.Symbol("theta")
on_circle = {x: sp.cos(theta), y: sp.sin(theta), **dict.fromkeys(heights, 0)}
chart = sde.in_chart((theta,), embedding=on_circle)
speed = chart.lambdify().drift(np.linspace(0, 2 * np.pi, 721)[:, None])[:, 0]
print(speed.min().round(3), speed.max().round(3))
print("a turn takes t =", (2 * np.pi * (1 / speed[:-1]).mean()).round(3))

# %% [markdown]
# ## The circle
#
# $\Gamma$ in the plane of $x$ and $y$ in the colours of the speed, which is that of the arrows: always the same way round, nowhere at rest.

# %%
import matplotlib.pyplot as plt

angle = np.linspace(0, 2 * np.pi, 721)
figure, axes = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
points = axes.scatter(np.cos(angle), np.sin(angle), c=speed, s=14)
few = slice(0, 720, 30)
tangent = np.stack([-np.sin(angle), np.cos(angle)]) * speed
axes.quiver(np.cos(angle)[few], np.sin(angle)[few], *tangent[:, few], angles="xy", scale=1.2, width=0.006)
axes.set(xlabel="x", ylabel="y", xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal")
figure.colorbar(points, label="dθ/dt");

# %% [markdown]
# Two turns of the limiting flow, and SGD with $\eta = 0.05$ beside it:

# %%
from symbolic_sgd import simulate_sde, simulate_sgd

start = [1.0, 0, 0, 0, 0]
limit = simulate_sde(sde, start, time=65, step=0.25, replicas=1, records=260)
sgd = simulate_sgd(sde.problem, start, learning_rate=0.05, steps=26000, replicas=100, rng=0, paths=True, records=260)
turns = np.unwrap(np.arctan2(sgd.paths[:, :, 1], sgd.paths[:, :, 0]), axis=0) / (2 * np.pi)

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.plot(sgd.times, turns[:, :20], color="C0", alpha=0.3, linewidth=0.7)
theory = np.unwrap(np.arctan2(limit.mean[:, 1], limit.mean[:, 0])) / (2 * np.pi)
axes.plot(limit.times, theory, "k", label="limit")
axes.set(xlabel="t = kη²", ylabel="turns round the circle")
axes.legend();
# %%
print(f"turns by t = 65: limit {theory[-1]:.2f}, SGD {turns[-1].mean():.2f} ± {turns[-1].std() / 10:.2f}")

# %% [markdown]
# The difference is the bias of a finite learning rate. At twice this $\eta$ it is about twice as large:

# %%
coarse = simulate_sgd(sde.problem, start, learning_rate=0.1, steps=6500, replicas=400, rng=0, paths=True, records=260)
turns = np.unwrap(np.arctan2(coarse.paths[:, :, 1], coarse.paths[:, :, 0]), axis=0)[-1] / (2 * np.pi)
print(f"η = 0.1: {turns.mean():.2f} ± {turns.std() / 20:.2f}")
