"""Γ is found once for a problem, whoever asks for it, and what is made of it is the same as if it were found again."""

import gc

import pytest
import sympy as sp

from symbolic_sgd import (
    IsotropicNoise,
    LabelNoise,
    Problem,
    derive_limiting_sde,
    gradient_flow_limit,
    simulate_sde,
    simulate_sgd,
    verify,
)
from symbolic_sgd.manifold import manifold as manifolds

u, v, w = sp.symbols("u v w", real=True)


@pytest.fixture
def searches(monkeypatch):
    made = []
    real = manifolds._searched
    monkeypatch.setattr(
        manifolds, "_searched", lambda problem, progress: made.append(problem) or real(problem, progress)
    )
    return made


def test_derivation_flow_simulation_and_documents_search_once(searches):
    problem = Problem.least_squares([u * v - sp.Rational(7, 5)], parameters=(u, v), noise=LabelNoise(1))
    sde = derive_limiting_sde(problem)
    start = gradient_flow_limit(problem)([1.2, 1.1])
    simulate_sgd(problem, start, learning_rate=0.05, steps=4, replicas=3, rng=0)
    simulate_sde(sde, start, time=0.1, step=0.05, replicas=3, rng=0)
    assert "Γ" in sde.document()
    assert verify(sde).passed
    assert searches == [problem]


def test_the_cell_of_a_loss_with_kinks_is_found_once(searches):
    loss = (u * sp.Abs(v) - 1) ** 2 / 2
    problem = Problem(loss=loss, parameters=(u, v), noise=IsotropicNoise(1), near={u: 1, v: -1})
    first, again = derive_limiting_sde(problem), derive_limiting_sde(problem)
    assert len(searches) == 1 and first.valid_where == again.valid_where


@pytest.mark.parametrize("loss", [(u * v - 1) ** 2 / 2, (u * v - 1) ** 2 / 2 + (w - u**2) ** 4 / 4 + (w - u**2) ** 2])
def test_what_is_derived_from_known_points_is_what_is_derived_from_a_search(loss):
    make = lambda: Problem(loss=loss, parameters=(u, v, w)[: 2 + (w in loss.free_symbols)], noise=IsotropicNoise(1))  # noqa: E731
    problem = make()
    first, again = derive_limiting_sde(problem), derive_limiting_sde(problem)
    manifolds._POINTS.clear()
    searched = derive_limiting_sde(make())
    assert first.program == again.program == searched.program
    assert first.derivation == again.derivation


def test_points_live_as_long_as_their_problem():
    problem = Problem.least_squares([u * v - 3], parameters=(u, v), noise=LabelNoise(1))
    derive_limiting_sde(problem)
    gc.collect()
    kept = len(manifolds._POINTS)
    assert problem in manifolds._POINTS
    del problem
    gc.collect()
    assert len(manifolds._POINTS) == kept - 1
