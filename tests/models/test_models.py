"""Each named model, at random sizes, against the theorem by automatic differentiation, for label, isotropic and dense noise."""

import numpy as np
import pytest
from known_models import MODELS, draw
from literal_models import Derivatives, square_root

from symbolic_sgd import AnyNoise, IsotropicNoise, derive_limiting_sde, models

SUITE = [(name, 1) for name in MODELS]
CAMPAIGN = [(name, seed) for name in MODELS for seed in (2, 3)]


GIVEN = "quadratic, given"
"""A model with a choice of its own."""


def _flat(blocks):
    return np.concatenate([np.ravel(b) for b in blocks])


def _compare(name, seed):
    member = draw(name, seed)
    sigma = np.random.default_rng(seed).standard_normal((member.x.size, 3))
    right = Derivatives.of(member.loss, lambda x: member.values(x).ravel(), member.x)
    errors = {}
    for noise, factor in (
        (None, square_root(right.hessian)),
        (IsotropicNoise(1), np.eye(member.x.size)),
        (AnyNoise(), sigma),
    ):
        errors |= _drift_errors(member, noise, right.terms(factor), 1 + np.abs(right.hessian).max(), sigma)
    functions, point = _functions(member, None), tuple(member.parameters.values())
    errors["R"] = abs(functions.regularizer(*point) - right.hessian.trace() / 4)
    values = np.linalg.eigvalsh(right.hessian)
    logarithm = np.log(values[values > 1e-9 * values[-1]]).sum() / 4
    errors["ln H"] = abs(_functions(member, IsotropicNoise(1)).regularizer(*point) - logarithm)
    at = functions.at(*point)
    gram = at.arrays.value(at.model.gram).reshape(at.count, at.count)
    errors["G"] = np.abs(gram - right.gradients @ right.gradients.T).max() / (1 + np.abs(gram).max())
    return errors


def _functions(member, noise):
    family = member.known.family() if noise is None else member.known.family(noise)
    return derive_limiting_sde(family).lambdify(**member.given)


def _drift_errors(member, noise, terms, scale, sigma):
    functions = _functions(member, noise)
    given = {"sigma": member.blocks(sigma)} if isinstance(noise, AnyNoise) else {}
    found = {name: _flat(getattr(functions, name)(*member.parameters.values(), **given)) for name in terms}
    return {
        (str(noise), name): np.abs(found[name] - right).max() / (scale + np.abs(right).max())
        for name, right in terms.items()
    }


@pytest.mark.parametrize(("name", "seed"), SUITE, ids=[name for name, _ in SUITE])
def test_a_model_is_the_theorem(name, seed):
    errors = _compare(name, seed)
    assert max(errors.values()) < 1e-9, errors


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "seed"), CAMPAIGN, ids=[f"{name} {seed}" for name, seed in CAMPAIGN])
def test_a_model_is_the_theorem_at_other_sizes(name, seed):
    errors = _compare(name, seed)
    assert max(errors.values()) < 1e-9, errors


def test_every_model_is_here():
    assert {getattr(models, name) for name in models.__all__} == {
        MODELS[name].family for name in MODELS if name != GIVEN
    }
