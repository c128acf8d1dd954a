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
# # Where SGD spends its time
#
# With noise along $\Gamma$ the limit never settles. The question then is where it is found, and how often. On $uv = 1$, take label noise, the column $(v, u)$, and shake both
# parameters independently besides:

# %%
import sympy as sp

from symbolic_sgd import Problem, derive_limiting_sde

u, v = sp.symbols("u v", positive=True)
noise = sp.Matrix([[1, 0, v], [0, 1, u]])
problem = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=noise)
sde = derive_limiting_sde(problem)
sde.regularizer

# %% [markdown]
# In the coordinate $u$ that is one stochastic differential equation on $(0, \infty)$:

# %%
chart = sde.in_chart(u)
chart

# %% [markdown]
# and its stationary density is known:

# %%
density = chart.stationary_density
density

# %% [markdown]
# ## It is $e^{-2R}$
#
# A density in $u$ says as much about the coordinate as about $\Gamma$. Per length of $\Gamma$, with $d\ell = \sqrt{1 + u^{-4}}\,du$, it is a multiple of $e^{-2R}$: the quotient does not depend on $u$.

# %%
on_curve = {v: 1 / u}
per_length = density / sp.sqrt(1 + u**-4)
quotient = per_length / sp.exp(-2 * sde.regularizer.subs(on_curve))
print("d/du log of the quotient:", sp.simplify(sp.expand_log(sp.log(quotient), force=True).diff(u)))

# %% [markdown]
# So it is wherever an SDE on $\Gamma$ is Brownian motion with the drift $-\nabla R$, and so it is here, for $\partial\Phi\,\Sigma\,\partial\Phi = \partial\Phi$: along the hyperbola the noise is the
# same everywhere. Where it is not, $R$ alone does not say where SGD is found.
#
# ## SGD's histogram
#
# Four thousand runs each, all from $(2, \frac12)$, at $t = 8$. Each final point is put to the nearest point of the hyperbola.

# %%
import matplotlib.pyplot as plt

from symbolic_sgd import simulate_sgd
from symbolic_sgd.plots import plot_chart

runs = {
    eta: simulate_sgd(problem, [2, 0.5], learning_rate=eta, steps=round(8 / eta**2), replicas=4000, rng=0) for eta in (0.1, 0.05, 0.025)
}
figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
for (eta, run), ax in zip(runs.items(), axes):
    plot_chart(chart, window=(0.1, 3.5), run=run, ax=ax)
    ax.set(title=f"η = {eta}", ylim=(-1.5, 1.5))
    if ax is not axes[0]:
        ax.get_legend().remove()

# %% [markdown]
# A number sees more than the eye: how often is $\frac12 < u < 2$?

# %%
import numpy as np
from scipy.integrate import quad

shape = sp.lambdify(u, sp.exp(-2 * sde.regularizer.subs(on_curve)) * sp.sqrt(1 + u**-4))
print(f"density    {quad(shape, 0.5, 2)[0] / quad(shape, 0.05, 20)[0]:.3f}")
for eta, run in runs.items():
    share = np.mean((run.final[:, 0] / run.final[:, 1] > 1 / 4) & (run.final[:, 0] / run.final[:, 1] < 4))
    print(f"η = {eta:5}  {share:.3f} ± {np.sqrt(share * (1 - share) / 4000):.3f}")
