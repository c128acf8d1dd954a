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
# # Sparse recovery
#
# The last panel of the paper's poster: the overparametrised linear model $f_i = \langle z_i, u^2 - v^2\rangle$ has
# $2d$ parameters for $n \ll d$ samples. Gradient flow from a large start finds the solution nearest to it in $\ell_2$; SGD
# with label noise goes on along $\Gamma$ and finds a sparse one. First the theorem, for every $n$ and $d$:

# %%
import sympy as sp

from symbolic_sgd import Family, LabelNoise, derive_limiting_sde

(i, j), (n, d) = sp.symbols("i j", integer=True), sp.symbols("n d", integer=True, positive=True)
u, v, y, z = map(sp.IndexedBase, "uvyz")
family = Family(
    residual=sp.Sum(z[i, j] * (u[j] ** 2 - v[j] ** 2), (j, 1, d)) - y[i],
    sample=(i, 1, n),
    parameters=(u, v),
    noise=LabelNoise(1),
)
sde = derive_limiting_sde(family)
sde.regularizer

# %% [markdown]
# On $\Gamma$ the products of weights are fixed, and the least $\sum_j c_j (u_j^2 + v_j^2)$ with $u^2 - v^2 = w$ is
# $\sum_j c_j |w_j|$: a weighted $\ell_1$ norm. So the limit of label-noise SGD is compressed sensing. One draw with $d = 300$ coordinates,
# $n = 60$ samples and $\kappa = 4$ nonzero entries, as array code:

# %%
import numpy as np

from symbolic_sgd.experiments.sparse_recovery import Trial, run_trial

trial = Trial(coordinates=300, sparsity=4, samples=60, data="signs", repeat=0)
outcome = run_trial(trial)
print(f"|w − w*|/|w*|: gradient flow {outcome.kernel_error:.2f}, limit of label-noise SGD {outcome.limit_error:.3f}")

# %% [markdown]
# The fraction of draws in which $w^*$ is found, over $n$. (The command `symbolic-sgd recovery DIRECTORY` does this for ladders
# of $d$, in several processes, and goes on after an interruption.)

# %%
import matplotlib.pyplot as plt

samples, repeats = [4, 6, 8, 10, 12, 16, 24, 32, 40], 6
found = {"limit of label-noise SGD": [], "gradient flow": []}
for count in samples:
    outcomes = [run_trial(Trial(40, 2, count, "gaussian", repeat)) for repeat in range(repeats)]
    found["limit of label-noise SGD"].append(np.mean([o.limit_error <= 0.05 for o in outcomes]))
    found["gradient flow"].append(np.mean([o.kernel_error <= 0.05 for o in outcomes]))

figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, fractions in found.items():
    axes.plot(samples, fractions, "o-", label=name)
axes.set(xlabel="samples n (d = 40, κ = 2)", ylabel="fraction that recovers w*")
axes.legend();

# %% [markdown]
# The whole ladder $d = 40, …, 640$ with 20 draws each gives $n \approx 1.4\,\kappa \ln d$ plus a constant for Gaussian data, and
# $n = 0.99\,d$ for the gradient flow (`symbolic-sgd recovery DIR --data gaussian --repeats 20`).
