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
# # Verifying, and what a failed certificate looks like
#
# A check that cannot fail says nothing. This notebook verifies a derivation, and then shows what happens to a formula
# with a wrong factor: the one that the poster of the paper has in its mixed term.

# %%
import sympy as sp

from symbolic_sgd import FULL, Problem, derive_limiting_sde, recheck, verify

u, v, w = sp.symbols("u v w")
sigma = sp.Matrix([[1, u, 0, 1], [0, 1, v, 0], [w, 0, 1, 1]]) / 2
problem = Problem(loss=(u * v + w**2 - 1) ** 2 / 2, parameters=(u, v, w), noise=sigma)
sde = derive_limiting_sde(problem)
certificate = verify(sde, checks=FULL)
certificate.passed

# %% [markdown]
# Each check says how strong it is. *Proved* and *enclosed* are rigorous, *measured* is to a stated accuracy, *consistent* is
# a statistical test that could have failed, with the smallest effect it would have seen.

# %%
from collections import Counter

print(Counter(check.verdict for check in certificate.checks))
for check in certificate.checks:
    if check.verdict == "consistent":
        print(check.name, "|", check.detail)
        break

# %% [markdown]
# The certificate is JSON. `recheck` (on the command line `symbolic-sgd check`) rebuilds the problem from it, derives again,
# and repeats every check; a changed formula, problem or number voids it.

# %%
text = certificate.to_json()
print(recheck(text).holds)

# %%
import json

changed = json.loads(text)
changed["problem"]["noise"]["sigma"][0][0] = "3/4"
outcome = recheck(json.dumps(changed))
print(outcome.holds)
for reason in outcome.void:
    print("-", reason)

# %% [markdown]
# ## A wrong formula
#
# The poster prints the mixed term with the factor $-\tfrac12$; both $\Sigma_{\perp\parallel}$ and $\Sigma_{\parallel\perp}$ contribute, so that it is
# $-1$. `with_terms` states a term of the drift by hand, here with the poster's factor:

# %%
wrong = sde.with_terms(mixed_regularization=sde.mixed_regularization / 2)
refused = verify(wrong)
print(refused.passed)
for check in refused.checks:
    if check.verdict == "failed":
        print(f"{check.name}: error {check.error:.1e}, tolerance {check.tolerance:.0e}")

# %% [markdown]
# Each check in a picture, its error over its tolerance; right of the line it fails.

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
for row, (one, color) in enumerate(((refused, "#D55E00"), (certificate, "#0072B2"))):
    ratios = [check.error / check.tolerance for check in one.checks if check.error and check.tolerance]
    axes.plot(ratios, [row] * len(ratios), "|", markersize=22, color=color)
axes.axvline(1, color="k", linewidth=0.8)
axes.set(xscale="log", xlabel="error / tolerance", yticks=(0, 1), yticklabels=("factor −½", "as derived"), ylim=(-0.6, 1.6));

# %% [markdown]
# `python benchmarks/mutants.py` does this for 40 wrong formulas and for 37 slips outside them, and
# prints which check rejects which.
