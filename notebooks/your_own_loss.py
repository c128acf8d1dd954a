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
# # Your own loss in ten lines
#
# Write the residuals (or the loss), the parameters and the noise; the rest is the same for every problem. The example is a
# network of depth three with one neuron a layer, $f(a, b, c) = abc$, trained to $f = 1$ with noisy labels.

# %%
from pathlib import Path

import sympy as sp

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde, verify

a, b, c = parameters = sp.symbols("a b c", positive=True)
problem = Problem.least_squares([a * b * c - 1], parameters=parameters, noise=LabelNoise(1))
sde = derive_limiting_sde(problem)

print("regularizer:", sde.regularizer)
print("verified:", verify(sde).passed)
Path("my_sde.tex").write_text(sde.latex(), encoding="utf-8");

# %% [markdown]
# ## A picture
#
# $\Gamma$, the surface $abc = 1$, in the colours of $R$; one path of SGD, which falls on it and drifts, the path of the limit, and the fixed point $(1, 1, 1)$, where the three
# layers are balanced.

# %%
from symbolic_sgd.plots import plot_manifold

plot_manifold(sde, window=[(0.2, 2.5)] * 3, width=4.5);

# %% [markdown]
# ## Into a paper
#
# `my_sde.tex` holds the whole derivation for `\input{my_sde}`, in a document with `\usepackage{amsmath}`. It begins:

# %%
print("\n".join(Path("my_sde.tex").read_text(encoding="utf-8").splitlines()[:10]))

# %% [markdown]
# One formula is LaTeX by SymPy's own printer:

# %%
print(sp.latex(sde.regularizer))

# %% [markdown]
# ## Other ways to state the noise
#
# | noise of a step | write |
# |---|---|
# | labels $y_i \pm \delta$ | `Problem.least_squares(residuals, …, noise=LabelNoise(δ))` |
# | one random sample of a data set | `Problem.from_sample_losses([ℓ_1, …, ℓ_n], …)` |
# | the same in all directions | `noise=IsotropicNoise(s)` |
# | any $\sigma(x)$ | `noise=sigma`, a SymPy matrix with $\Sigma = \sigma\sigma^\mathsf{T}$ |

# %%
sigma = sp.Matrix([a, b, c])  # one source of noise, which scales the whole network
other = derive_limiting_sde(Problem(loss=problem.loss, parameters=parameters, noise=sigma))
other.mixed_regularization

# %% [markdown]
# ## What is refused
#
# The theorem needs minimizers that form a manifold, with $\nabla^2 L$ of full rank across it. A loss for which that fails is
# not forced through:

# %%
from symbolic_sgd import IsotropicNoise, SymbolicSGDError

try:
    derive_limiting_sde(Problem(loss=(a - b) ** 4 + c**2, parameters=parameters, noise=IsotropicNoise()))
except SymbolicSGDError as refusal:
    print(type(refusal).__name__ + ":", str(refusal).split(", where ")[-1])
