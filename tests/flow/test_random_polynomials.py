"""Nothing returned is wrong: whatever is claimed of a random polynomial loss is held against the literal flow."""

from collections import Counter

import numpy as np
import pytest
from literal_flow import LiteralFlow
from random_polynomials import random_polynomial_loss

from symbolic_sgd import SymbolicSGDError, gradient_flow_limit
from symbolic_sgd.errors import FlowDidNotConverge

STARTS = 4
ERROR = 1e-8
"""Of the literal flow, which has no more near a separatrix."""


def outcome(seed: int) -> str:
    """The kind of Φ, or the name of the error; raises AssertionError where a number is wrong."""
    problem = random_polynomial_loss(seed)
    try:
        phi = gradient_flow_limit(problem)
    except SymbolicSGDError as refusal:
        return type(refusal).__name__
    flow = LiteralFlow(problem.loss, problem.parameters, phi.limit.codimension)
    for x in np.random.default_rng(seed).standard_normal((STARTS, problem.dimension)):
        try:
            value = phi(x)
        except FlowDidNotConverge:
            continue
        literal = flow.limit(x)
        if literal is not None:
            assert np.abs(value - literal).max() <= ERROR * (1 + np.abs(literal).max()), (
                problem.loss,
                x,
                value,
                literal,
            )
            if phi.expression is not None:
                point = dict(zip(problem.parameters, x, strict=True))
                formula = np.array([complex(e.evalf(30, subs=point)) for e in phi.expression])
                assert np.abs(formula - literal).max() <= ERROR * (1 + np.abs(literal).max()), (
                    problem.loss,
                    x,
                    formula,
                )
    return phi.kind


@pytest.mark.parametrize("seed", range(3))
def test_random_polynomial_loss(seed):
    assert outcome(seed)


@pytest.mark.campaign
def test_two_hundred_random_polynomial_losses(sampled):
    seeds = sampled(range(200))
    seen = Counter(outcome(seed) for seed in seeds)
    print("\n" + ", ".join(f"{name}: {count}" for name, count in seen.most_common()))
    assert len(seeds) < 200 or seen["explicit"] + seen["implicit"] > 50
