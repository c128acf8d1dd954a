"""Regularizers whose search used to end, after minutes and without a word, in nothing."""

import pytest
import sympy as sp

from symbolic_sgd import Problem, derive_limiting_sde
from symbolic_sgd.regularizer.singularities import _is_positive

u, v = sp.symbols("u v")


@pytest.mark.parametrize("classes", [2, 3])
def test_softmax_with_redrawn_labels(classes):
    """Labels are redrawn from q, logits are u_k v_k. On Γ Σ = ∇²L and p = q, so that R = ¼ tr ∇²L = ¼ Σ q_k(1 − q_k)(u_k² + v_k²);
    it was found, and then dropped, because its denominators Σe^f go to zero far away, where Γ ends in no singularity."""
    us, vs = sp.symbols(f"u1:{classes + 1}"), sp.symbols(f"v1:{classes + 1}")
    logits = [a * b for a, b in zip(us, vs, strict=True)]
    total = sp.log(sum(map(sp.exp, logits)))
    weights = [sp.Rational(k, classes * (classes + 1) // 2) for k in range(1, classes + 1)]
    problem = Problem.from_sample_losses([total - f for f in logits], parameters=(*us, *vs), weights=weights)
    found = derive_limiting_sde(problem).regularizer
    by_hand = sum(q * (1 - q) * (a**2 + b**2) for q, a, b in zip(weights, us, vs, strict=True)) / 4
    on_manifold = {a * b: sp.log(q) for a, b, q in zip(us, vs, weights, strict=True)}  # all logits may be shifted alike
    assert sp.expand(found.subs(on_manifold) - by_hand) == 0


def test_what_is_positive_by_its_form():
    assert _is_positive(sp.exp(u * v) + sp.exp(u)) and _is_positive(1 + u**2) and _is_positive(sp.exp(-u) * (2 + v**4))
    assert not _is_positive(u**2 + v**2) and not _is_positive(sp.exp(u) - 1) and not _is_positive(u**2 - v)
