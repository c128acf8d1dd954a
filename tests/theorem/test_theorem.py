"""The engine against the literal transcription of the corrected theorem: fixed losses, and random ones.

The full campaign is `python -m pytest -m campaign`; it prints its figures with `-s`.
"""

import mpmath
import numpy as np
import pytest
import sympy as sp
from comparison import NAMES, compare
from fixed_losses import FIXED_LOSSES
from random_losses import random_loss
from theorem_literal import point_on_manifold

from symbolic_sgd import Problem, SymbolicSGDError

TOLERANCE = 1e-9
PRECISE = 1e-30


SLOW = ("two tanh neurons and an exponential", "log-cosh quadric", "state-dependent coupling", "lopsided quartics")
"""Fixed losses of which only what is found is derived, unless it is a campaign."""


@pytest.mark.parametrize(
    ("fixed", "given"),
    [
        pytest.param(
            fixed, given, id=f"{fixed.name}-{words}", marks=[pytest.mark.campaign] * (given and fixed.name in SLOW)
        )
        for fixed in FIXED_LOSSES
        for given, words in ((False, "found"), (True, "manifold given"))
    ],
)
def test_fixed_loss(fixed, given):
    """All formulas as they are written where the engine finds Γ; of those with a given Γ, the drift's."""
    problem = Problem(
        loss=fixed.loss,
        parameters=fixed.parameters,
        noise=fixed.sigma,
        manifold=fixed.equations if given else (),
    )
    points = [point_on_manifold(fixed.equations, fixed.parameters, fixed.starts[0], digits=70)]
    error = compare(problem, fixed.sigma, points, written=("drift",) if given else NAMES)
    assert error.precise <= PRECISE
    assert error.float64 <= TOLERANCE


def random_points(loss, count):
    rng = np.random.default_rng(loss.seed)
    centre = [sp.Rational(loss.near[s]) for s in loss.parameters]
    points = [[mpmath.mpf(a.p) / a.q for a in centre]] if all(a.q == 1 for a in centre) else []
    for _ in range(4 * count):
        if len(points) == count:
            break
        start = [float(a) + 0.1 * rng.standard_normal() for a in centre]
        try:
            points.append(point_on_manifold(loss.equations, loss.parameters, start, digits=70))
        except ValueError:
            continue
    return points


def run(seed, *, told_where):
    loss = random_loss(seed)
    problem = Problem(
        loss=loss.loss,
        parameters=loss.parameters,
        noise=loss.sigma,
        near=loss.near if told_where else None,
        manifold=() if loss.hidden else loss.equations,
    )
    return compare(problem, loss.sigma, random_points(loss, 2))


@pytest.mark.parametrize("seed", range(4))
def test_random_loss(seed):
    """One of each kind: with and without its equations, with and without a point."""
    error = run(seed, told_where=seed % 4 < 2)
    assert error.precise <= PRECISE
    assert error.float64 <= TOLERANCE


@pytest.mark.campaign
@pytest.mark.parametrize("told_where", [True, False], ids=["near given", "near not given"])
def test_campaign_of_300_random_losses(told_where, sampled):
    errors, refused, seeds = {}, {}, sampled(range(300))
    for seed in seeds:
        try:
            errors[seed] = run(seed, told_where=told_where)
        except SymbolicSGDError as refusal:
            refused[seed] = refusal
    wrong = [seed for seed, error in errors.items() if error.precise > PRECISE or error.float64 > TOLERANCE]
    worst = max((error.float64 for error in errors.values()), default=0)
    print(f"derived {len(errors)}, refused {len(refused)}, wrong {len(wrong)}, worst float64 error {worst:.1e}")
    for seed, refusal in refused.items():
        print(f"  seed {seed}: {type(refusal).__name__}: {refusal}")
    assert not wrong
    assert len(seeds) < 300 or len(refused) <= 15
