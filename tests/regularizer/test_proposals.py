"""Sums of candidates for R, chosen in float64."""

import warnings

import numpy as np

from symbolic_sgd.regularizer.proposals import balanced, proposals


def test_a_column_that_is_zero_on_most_branches():
    """Was: divided by 10⁻³⁰⁰, which left nothing of the equations of the one branch on which it is not zero."""
    rng = np.random.default_rng(5)
    along = rng.uniform(1, 2, (30, 2, 3))
    along[:20, :, 1] = along[20:, :, 0] = 0
    right = along @ [2.0, -3.0, 0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows, values = balanced(along, right)
    assert np.isfinite(rows).all() and np.abs(rows).max(axis=(1, 2)).min() > 1e-3
    assert np.allclose(rows @ [2.0, -3.0, 0.0], values)
    assert [0, 1] in list(proposals(rows.reshape(-1, 3), values.reshape(-1)))
