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
# # Handing over to diffrax
#
# The terms of the limiting SDE are plain programs. They run on NumPy, as machine code (`LLVM`), on JAX or on PyTorch, and
# JAX's version goes into [diffrax](https://docs.kidger.site/diffrax/) as it is (`pip install 'symbolic-sgd[solvers]'`).

# %%
import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from symbolic_sgd import JAX, IsotropicNoise, Problem, derive_limiting_sde, diffrax_terms

jax.config.update("jax_enable_x64", True)
u, v = sp.symbols("u v")
sde = derive_limiting_sde(
    Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(sp.Rational(1, 2)))
)
sde

# %% [markdown]
# The functions of the JAX back end can be transformed: here the derivative of the drift along $\Gamma$.

# %%
f = sde.lambdify(backend=JAX(), check=False)
jax.jvp(f.drift, (jnp.array([2.0, 0.5]),), (jnp.array([2.0, -0.5]),))[1].round(4)

# %% [markdown]
# `diffrax_terms` has the drift in the sense that the solver reads (Itô or Stratonovich), and refuses a solver that cannot
# carry general noise.

# %%
time, steps = 0.5, 2048
motion = diffrax.VirtualBrownianTree(0.0, time, tol=time / 2**14, shape=(2,), key=jax.random.PRNGKey(0))


def end(solver):
    terms = diffrax_terms(sde, motion, solver)
    return diffrax.diffeqsolve(terms, solver, 0.0, time, time / steps, jnp.array([1.25, 0.8])).ys[-1]


ito, stratonovich = end(diffrax.Euler()), end(diffrax.Heun())
print(f"the two differ by {jnp.abs(ito - stratonovich).max():.1g}")
print("|uv − 1| after", steps, "steps without projection is below 1e-5:", bool(abs(stratonovich[0] * stratonovich[1] - 1) < 1e-5))

# %% [markdown]
# Our own scheme projects back to $\Gamma$ after each step, by Newton along the normals:

# %%
from symbolic_sgd import simulate_sde

run = simulate_sde(sde, [1.25, 0.8], time=time, step=time / 64, replicas=1000, rng=0)
print(np.abs(run.final.prod(axis=1) - 1).max() < 1e-14)

# %% [markdown]
# The thousand ends on the hyperbola:

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(4.2, 3.6), layout="constrained")
grid = np.linspace(0.2, 4, 200)
axes.plot(grid, 1 / grid, "0.6", linewidth=0.8)
axes.plot(*run.final.T, ".", color="#0072B2", markersize=3, alpha=0.4, label=f"t = {time}")
axes.plot(1.25, 0.8, "s", color="#D55E00", label="start")
axes.set(xlabel="u", ylabel="v", xlim=(0, 3.2), ylim=(0, 3.2), aspect="equal")
axes.legend(frameon=False);

# %% [markdown]
# What a solver cannot carry is refused:

# %%
try:
    diffrax_terms(sde, motion, diffrax.ItoMilstein())
except ValueError as refusal:
    print(refusal)
