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
# # Matrix factorisation: the noise balances the layers
#
# $UV^\mathsf{T} = A$ has many solutions: $U \to UG$, $V \to VG^{-\mathsf T}$ changes nothing. The gradient flow conserves $U^\mathsf{T}U - V^\mathsf{T}V$, and remembers for ever how
# unbalanced it began. SGD with label noise forgets it, at a rate that is known exactly. First for every size: $\langle A_i, UV^\mathsf{T}\rangle$ is measured, $n$ times.

# %%
import sympy as sp

from symbolic_sgd import LabelNoise, MatrixFamily, derive_limiting_sde

n, d1, d2, r = sp.symbols("n d1 d2 r", integer=True, positive=True)
U, V, A = sp.MatrixSymbol("U", d1, r), sp.MatrixSymbol("V", d2, r), sp.MatrixSymbol("A", d1, d2)
y = sp.Symbol("y")
family = MatrixFamily(residual=sp.Trace(A.T * U * V.T) - y, parameters=(U, V), data=(A, y), samples=n, noise=LabelNoise(1))
sensing = derive_limiting_sde(family)
print("R =", sensing.regularizer)
print(sensing.charges[0])

# %% [markdown]
# The drift of the difference is linear in the difference if $\sum_iA_iA_i^\mathsf{T}$ and $\sum_iA_i^\mathsf{T}A_i$ are the same multiple of the identity, as they are where
# every entry of a square matrix is measured once. Such a problem, written out at $2\times2$ and $r = 2$, where $UV^\mathsf{T}$ has to be $\begin{pmatrix}2&1\\0&1\end{pmatrix}$:

# %%
import numpy as np

entries, target = np.eye(4, dtype=int).reshape(4, 2, 2), np.array([[2, 1], [0, 1]])
problem = family.problem(A=entries, y=target.ravel(), sizes={r: 2})
sde = derive_limiting_sde(problem)
print(*sde.charges, sep="\n")

# %% [markdown]
# All three entries of $Q = U^\mathsf{T}U - V^\mathsf{T}V$ decay as $e^{-t/2}$, whatever the limit does otherwise. For SGD this is a prediction:

# %%
import matplotlib.pyplot as plt

from symbolic_sgd import gradient_flow_limit, simulate_sde, simulate_sgd

x0, time = np.array([2, 0.2, -0.3, 1.4, 0.6, -0.5, 0.4, 0.6]), 4
begin = gradient_flow_limit(problem)(x0)
limit = simulate_sde(sde, begin, time=time, step=0.02, replicas=1)
runs = {
    eta: simulate_sgd(problem, x0, learning_rate=eta, steps=round(time / eta**2), replicas=200, rng=0, paths=True)
    for eta in (0.04, 0.02, 0.01)
}
run = runs[0.01]


def balance(x):
    left, right = x[..., :4].reshape(*x.shape[:-1], 2, 2), x[..., 4:].reshape(*x.shape[:-1], 2, 2)
    return np.swapaxes(left, -1, -2) @ left - np.swapaxes(right, -1, -2) @ right


Q, law = balance(run.paths), balance(begin)[None] * np.exp(-run.times / 2)[:, None, None]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for (i, j), color in zip(((0, 0), (0, 1), (1, 1)), ("#0072B2", "#E69F00", "#D55E00")):
    mean, spread = Q[:, :, i, j].mean(axis=1), Q[:, :, i, j].std(axis=1)
    left.plot(run.times, mean, color=color, label=f"$Q_{{{i + 1}{j + 1}}}$")
    left.fill_between(run.times, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)
    left.plot(run.times, law[:, i, j], "k--", linewidth=0.9)
left.plot([], [], "k--", linewidth=0.9, label="its law, $e^{-t/2}$")
left.set(xlabel="t = kη²", ylabel="$Q = U^T U - V^T V$")
left.legend(frameon=False)
R = sp.lambdify([problem.parameters], sde.regularizer)
floor = np.linalg.svd(target, compute_uv=False).sum() / 4
right.plot(run.times, R(run.paths.transpose(2, 0, 1)).mean(axis=1), color="#0072B2", label="R along SGD")
right.plot(limit.times, R(limit.mean.T), "k", linewidth=0.9, label="R along the limit")
right.axhline(floor, color="k", linestyle="--", linewidth=0.9, label="the least R on Γ")
right.set(xlabel="t = kη²", ylabel="R")
right.legend(frameon=False);

# %% [markdown]
# The lines are means of 200 runs at $\eta = 0.01$, the bands one standard deviation. The floor on the right is a multiple of the nuclear norm of what $UV^\mathsf{T}$ has to be:

# %%
left_factor, right_factor = (sp.Matrix(2, 2, problem.parameters[k : k + 4]) for k in (0, 4))
found = sde.induced_regularizer(left_factor * right_factor.T)
print(found.expression, "|", found.evidence)
print(f"there: {floor:.4f}; R at the end of the limit: {R(limit.final[0]):.4f}")

# %% [markdown]
# ## The learning rate
#
# At a finite $\eta$ the steps break the conservation law, and $Q$ is a little off its law. The largest distance of its mean from there,
# for $t > 0.1$:

# %%
for eta, one in runs.items():
    gap = balance(one.paths).mean(axis=1) - balance(begin) * np.exp(-one.times / 2)[:, None, None]
    error = balance(one.paths).std(axis=1).max() / np.sqrt(200)
    print(f"η = {eta}: {abs(gap[one.times > 0.1]).max():.3f}, standard errors up to {error:.3f}")
