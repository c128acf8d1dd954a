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
# # What the noise wants
#
# $R$ is a function of the parameters, and the same function $F$ is computed by many of them. What SGD prefers among *functions* is the least $R$ at which each can be had,
# $\hat R(\beta) = \inf\{R(x) : F(x) = \beta\}$. It is found in closed form where it can be proved. For $F = uv$:

# %%
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, RMSprop, derive_limiting_sde, induced_regularizer

u, v, w, b = sp.symbols("u v w b")


def fitted(output, **optimizer):
    parameters = sorted(output.free_symbols, key=str)
    problem = Problem.least_squares([output - 1], parameters=parameters, noise=LabelNoise(1), near=dict.fromkeys(parameters, 1))
    return derive_limiting_sde(problem, **optimizer)


print(fitted(u * v).what_the_noise_wants([u * v]))

# %% [markdown]
# ## The same network, another optimizer
#
# Two layers with SGD give $|\beta|$; summed over coordinates that is $\ell_1$. Three layers give $|\beta|^{4/3}$, whose slope at 0 is 0: no corner there, and nothing that
# favours zeros. RMSprop makes of the same three layers $|\beta|^{2/3}$, of $\ell_{2/3}$, with a cusp.

# %%
rmsprop = RMSprop(second_moment_rate=1)
found = {
    "uv, SGD": fitted(u * v).induced_regularizer([u * v], symbols=(b,)),
    "uvw, SGD": fitted(u * v * w).induced_regularizer([u * v * w], symbols=(b,)),
    "uvw, RMSprop": fitted(u * v * w, optimizer=rmsprop).induced_regularizer([u * v * w], symbols=(b,)),
}
for name, one in found.items():
    print(f"{name:13} {one.expression!s:18} {one.evidence}")

# %%
import matplotlib.pyplot as plt

from symbolic_sgd.plots import plot_induced_regularizer

figure, axes = plt.subplots(1, 3, figsize=(9, 2.9), layout="constrained", sharey=True)
for (name, one), ax in zip(found.items(), axes):
    plot_induced_regularizer(one, [-2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2], ax=ax)
    ax.set_title(name)
for ax in axes[1:]:
    ax.get_legend().remove()
    ax.set_ylabel("")

# %% [markdown]
# The line is the formula; the points know nothing of it: each is the least $R$ that Newton's method found from random starts, at that $\beta$.
#
# ## Matrices
#
# For a product of matrices it is the nuclear norm, weighted by what is measured. Here three entries of four are seen, and the weights are the roots of how often each
# row and column is:

# %%
U, V = sp.Matrix(2, 2, sp.symbols("u1:5")), sp.Matrix(2, 2, sp.symbols("v1:5"))
product = U * V.T
seen = Problem.least_squares([product[0, 0] - 1, product[0, 1] - 2, product[1, 0] - 1], parameters=(*U, *V), noise=LabelNoise(1))
completion = derive_limiting_sde(seen).induced_regularizer(product)
print(completion.expression)
print(completion.evidence)

# %% [markdown]
# ## A minimum that is not attained
#
# Two weights normalised to a direction, with a length of their own, and the $R$ of a flat scale: along $(u, v) \to \lambda(u, v)$, $\lambda \to \infty$, $R$ falls for ever, and the
# function does not change. $\hat R$ is an infimum then, and it is said where it lies:

# %%
norm = sp.sqrt(u**2 + v**2)
scaled = induced_regularizer([w * u / norm, w * v / norm], (u + v) ** 2 / norm**2 + w**2 / norm**2, (u, v, w))
print(scaled.expression)
print(scaled.attainment)

# %% [markdown]
# Where no argument answers, there is no formula; numbers there still are, each a local minimum and called so:

# %%
deep = induced_regularizer([u * v, v * w], u**2 + 2 * v**2 + w**2 + u**2 * w**2, (u, v, w))
print(deep.expression, "|", deep.evidence)
print(deep.numeric([1, 2], starts=8))
