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
# # First steps
#
# The smallest loss with a manifold of minimizers is $L(u, v) = \tfrac12 (uv - 1)^2$: every point of the hyperbola
# $uv = 1$ fits the one label. Which of them does SGD find? With label noise of size 1 (the label is $1 \pm 1$ at every
# step) we derive the answer, look at it, and check it against SGD.

# %%
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde

u, v = sp.symbols("u v")
problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
sde = derive_limiting_sde(problem)
sde

# %% [markdown]
# This is the limiting SDE of the theorem of Li, Wang and Arora (ICLR 2022), in time $t = k\eta^2$ after $k$ steps with
# learning rate $\eta$. There is no noise in it: label noise moves $(u, v)$ across the hyperbola only. Its parts are SymPy
# matrices.

# %%
sde.manifold.equations, sde.manifold.dimension

# %%
sde.tangent_projection

# %%
sde.drift

# %% [markdown]
# The drift is minus the tangential gradient of a function $R$, the regularizer that SGD descends without being told to:

# %%
sde.regularizer

# %% [markdown]
# $R = (u^2 + v^2)/4$ is $\tfrac14 \mathrm{tr}\, \nabla^2 L$ on the hyperbola, so SGD prefers flat minimizers. In the one coordinate that is
# left, the limit is an ordinary differential equation with one stable fixed point on each branch, the balanced solutions:

# %%
chart = sde.in_chart()
chart

# %%
print(chart.fixed_points)

# %% [markdown]
# ## Numbers
#
# `lambdify` gives fast functions of points of $\Gamma$; a point that is not on $\Gamma$ is refused.

# %%
f = sde.lambdify()
f.drift([[2.0, 0.5], [0.5, 2.0]]).round(4)

# %%
from symbolic_sgd.errors import OffManifold

try:
    f.drift([2.0, 1.0])
except OffManifold as refusal:
    print(refusal)

# %% [markdown]
# ## SGD itself
#
# A thousand runs of SGD from $(2, \tfrac12)$, with the true law of the noise, beside the limit. Time 1 is $1/\eta^2 = 400$ steps.

# %%
from symbolic_sgd import simulate_sde, simulate_sgd
from symbolic_sgd.plots import plot_ensemble, plot_manifold

sgd = simulate_sgd(problem, [2, 0.5], learning_rate=0.05, steps=400, replicas=1000, rng=0)
limit = simulate_sde(sde, [2, 0.5], time=1, step=0.01, replicas=1)
plot_ensemble({"SGD": sgd, "limit": limit}, problem.parameters);
# %%
plot_manifold(sde, window=[(0.2, 2.5), (0.2, 2.5)]);
# %% [markdown]
# ## Is it right?
#
# `verify` checks the formulas by roads that share nothing with their derivation but the loss: identities of the theorem,
# the integrated gradient flow with its derivatives, and the exact mean of $\Phi$ after one step of SGD.

# %%
from symbolic_sgd import verify

certificate = verify(sde)
print(certificate.passed, len(certificate.checks))

# %% [markdown]
# ## Into the paper
#
# The whole derivation as LaTeX for amsmath; it begins so:

# %%
print("\n".join(sde.latex().splitlines()[:10]))
