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
# # A clinic of refusals
#
# The theorem needs a smooth loss, minimizers that form a manifold, and a Hessian that is positive across it. Where that fails, or is not stated, nothing is derived, and the
# error says what, where, and what to change. Eight patients, each of whom leaves with a regularizer.
# [Refusals](../docs/refusals.md) has every error, with what helps.

# %%
import textwrap

import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, SGD, SymbolicSGDError, derive_limiting_sde, exact

u, v, a = sp.symbols("u v a")


def ask(state, **optimizer):
    """What `derive_limiting_sde` says of the problem that `state()` states."""
    try:
        print("R =", derive_limiting_sde(state(), **optimizer).regularizer)
    except SymbolicSGDError as refusal:
        print(textwrap.fill(f"{type(refusal).__name__}: {refusal}", 120))


def residuals(*forms, **further):
    return Problem.least_squares(forms, **{"parameters": (u, v), "noise": LabelNoise(1), **further})


def loss(form, **further):
    return Problem(loss=form, parameters=(u, v), noise=IsotropicNoise(), **further)


# %% [markdown]
# ## 1. Floats
# The derivation is exact, and `0.3` is not $\frac3{10}$. `exact` reads floats, and arrays of them, as the rationals that they print as.

# %%
ask(lambda: residuals(0.3 * u * v - 1))
ask(lambda: residuals(exact(0.3) * u * v - 1))

# %% [markdown]
# ## 2. A letter that nobody knows
# Is $a$ trained, or fixed?

# %%
ask(lambda: residuals(u * v - a))
ask(lambda: residuals(u * v - a, constants=(a,)))

# %% [markdown]
# ## 3. A kink
# At the minimizers of $|uv - 1|$ there is no Hessian. A loss of the same growth that is smooth there:

# %%
ask(lambda: loss(sp.Abs(u * v - 1)))
ask(lambda: loss(sp.sqrt(1 + (u * v - 1) ** 2) - 1))

# %% [markdown]
# ## 4. Too flat
# A residual that is a square makes the loss of fourth order: across $\Gamma$ nothing pulls back at first order. State the residual that is squared:

# %%
ask(lambda: residuals((u * v - 1) ** 2))
ask(lambda: residuals(u * v - 1))

# %% [markdown]
# In a picture, the loss across $\Gamma$ over $r = uv - 1$. The theorem needs a parabola at the bottom.

# %%
import matplotlib.pyplot as plt
import numpy as np

r = np.linspace(-1, 1, 401)
figure, axes = plt.subplots(figsize=(4.6, 3), layout="constrained")
for words, values, style in (
    ("r²/2: derived", r**2 / 2, "-"), ("√(1 + r²) − 1: derived", np.sqrt(1 + r**2) - 1, "-"),
    ("|r|: refused, a kink", abs(r), "--"), ("r⁴/2: refused, flat", r**4 / 2, "--"),
):  # fmt: skip
    axes.plot(r, values, style, label=words)
axes.set(xlabel="r", ylabel="L", ylim=(0, 0.7))
axes.legend(frameon=False, fontsize=8, loc="upper center");

# %% [markdown]
# ## 5. The rank falls
# $XX^\mathsf{T} = \mathrm{diag}(1, 0)$ with $X$ of two columns: more columns than the rank of the target. The minimizers have codimension 3, the Hessian has rank 2. With a target of full
# rank they agree. (Label noise then has no preference: $R$ is constant on $\Gamma$.)

# %%
X = sp.Matrix(2, 2, sp.symbols("x1:5"))


def factorised(target):
    difference = X * X.T - target
    return Problem.least_squares([difference[0, 0], difference[0, 1], difference[1, 1]], parameters=tuple(X), noise=LabelNoise(1))


ask(lambda: factorised(sp.diag(1, 0)))
ask(lambda: factorised(sp.diag(1, 2)))

# %% [markdown]
# ## 6. A single minimum
# As many independent residuals as parameters leave no manifold to move on. One residual fewer does:

# %%
ask(lambda: residuals(u * v - 2, u - 1))
ask(lambda: residuals(u * v - 2))

# %% [markdown]
# ## 7. No minimizer
# The logistic loss of separable data falls towards infinity. If labels are sometimes the other one ($\frac14$ of the time), there is a minimum, and drawing the labels is the noise:

# %%
ask(lambda: loss(sp.log(1 + sp.exp(-u * v))))
both = [sp.log(1 + sp.exp(-u * v)), sp.log(1 + sp.exp(u * v))]
ask(lambda: Problem.from_sample_losses(both, parameters=(u, v), weights=[sp.Rational(3, 4), sp.Rational(1, 4)]))

# %% [markdown]
# ## 8. A learning rate beyond the edge of stability
# SGD stays where the curvature is below $2/\eta$. On $uv = 1$ it is $u^2 + v^2 \ge 2$: nowhere below 2, but on a part of $\Gamma$ below 8.

# %%
ask(lambda: residuals(u * v - 1), optimizer=SGD(learning_rate=1))
ask(lambda: residuals(u * v - 1), optimizer=SGD(learning_rate=sp.Rational(1, 4)))

# %% [markdown]
# ## And one that is checked, not believed
# `manifold=` helps where $\Gamma$ is hard to find. What is stated there is looked at:

# %%
ask(lambda: loss((u * v - 1) ** 2 / 2, manifold=[u * v - 2]))
ask(lambda: loss((u * v - 1) ** 2 / 2, manifold=[u - 1 / v]))
