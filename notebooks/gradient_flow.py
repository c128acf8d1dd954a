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
# # Φ and conservation laws
#
# The theorem begins where the gradient flow $\dot x = -\nabla L(x)$ from the initialisation ends, at $\Phi(x_0)$. What the
# flow conserves decides where that is. `gradient_flow_limit` looks for conserved quantities exactly, and solves them
# together with the equations of $\Gamma$.

# %%
import sympy as sp

from symbolic_sgd import IsotropicNoise, Problem, gradient_flow_limit

u, v = sp.symbols("u v")
hyperbola = gradient_flow_limit(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise()))
hyperbola.first_integrals

# %% [markdown]
# $u^2 - v^2$ does not change along the flow, and on $\Gamma$ it has one value on each branch: $\Phi$ is explicit.

# %%
print(hyperbola.kind)
hyperbola.expression

# %%
hyperbola([3.0, 1.0]).round(6)

# %% [markdown]
# Where the equations have no closed solution $\Phi$ stays implicit, with exact equations for it and for its derivatives:

# %%
cubic = gradient_flow_limit(Problem(loss=(u**2 * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise()))
print(cubic.kind)
print(cubic.equations)

# %%
cubic.jacobian_at([1.0, 2.0]).round(4)

# %%
print(cubic.precisely([1, 2], digits=40)[1])

# %% [markdown]
# A matrix factorisation $UV^\mathsf{T} = A$ conserves the entries of $U^\mathsf{T}U - V^\mathsf{T}V$, the balance of its two layers:

# %%
a, b, c, d = parameters = sp.symbols("a b c d")
rank_one = Problem.least_squares(
    [a * c - 1, a * d - 2, b * c - 2, b * d - 4], parameters=parameters, noise=IsotropicNoise()
)
factors = gradient_flow_limit(rank_one)
factors.first_integrals

# %% [markdown]
# With too few conserved quantities, it integrates the flow to its end (by Radau IIA, with the variational equations for
# $\partial\Phi$):

# %%
numeric = gradient_flow_limit(Problem(loss=(u**3 + u + v - v**2 - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise()))
print(numeric.kind, numeric([1.0, 2.0]).round(6))

# %% [markdown]
# A start from which $\Phi$ is not defined is refused with the reason:

# %%
from symbolic_sgd import SymbolicSGDError

try:
    hyperbola([1.0, -1.0])
except SymbolicSGDError as refusal:
    print(type(refusal).__name__ + ":", refusal)

# %% [markdown]
# The flow from 24 starts, and their $\Phi$ by the formula:

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import solve_ivp

figure, axes = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
rng = np.random.default_rng(1)
starts = rng.uniform(0.1, 3, (24, 2))
for start in starts:
    flow = solve_ivp(lambda t, x: -(x[0] * x[1] - 1) * x[::-1], (0, 40), start, rtol=1e-8)
    axes.plot(*flow.y, color="0.6", linewidth=0.8)
on_curve = np.linspace(1 / 3, 3, 200)
axes.plot(on_curve, 1 / on_curve, "k", linewidth=1.2, label="Γ: uv = 1")
axes.plot(*hyperbola(starts).T, "C3o", markersize=4, label="Φ(x)")
axes.set(xlabel="u", ylabel="v", xlim=(0, 3), ylim=(0, 3), aspect="equal")
axes.legend();
