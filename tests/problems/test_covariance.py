"""Noise that is stated by its covariance Σ(x)."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import GradientNoise, Problem, derive_limiting_sde, simulate_sgd, verify
from symbolic_sgd.errors import BadInput, BadShape, ComplexValue, InexactNumber, SymbolicSGDError
from symbolic_sgd.problems.as_data import problem_document
from symbolic_sgd.problems.problem_file import problem_from_text

u, v, w = sp.symbols("u v w")
LOSS = (u * v - 1) ** 2 / 2
FACTOR = sp.Matrix([[1, u], [v, 2]])
COVARIANCE = FACTOR * FACTOR.T


def stated(covariance, parameters=(u, v), loss=LOSS):
    return Problem(loss=loss, parameters=parameters, noise=GradientNoise(covariance=covariance))


def test_the_limit_is_that_of_any_factor_of_it():
    ours, known = (
        derive_limiting_sde(Problem(loss=LOSS, parameters=(u, v), noise=noise))
        for noise in (GradientNoise(covariance=COVARIANCE), GradientNoise(FACTOR))
    )
    at = {u: 2, v: sp.Rational(1, 2)}
    assert sp.nsimplify((ours.drift - known.drift).subs(at)) == sp.zeros(2, 1)
    noise = [(sde.diffusion * sde.diffusion.T).subs(at) for sde in (ours, known)]
    assert sp.simplify(noise[0] - noise[1]) == sp.zeros(2, 2)
    assert not ours.mixed_regularization.has(sp.Pow(u, sp.Rational(1, 2))) and not ours.drift.atoms(sp.Abs)
    assert all(p.exp.is_integer for p in ours.drift.atoms(sp.Pow))  # no root is left
    assert verify(ours, rng=0).passed


def test_a_covariance_of_lower_rank_has_fewer_columns():
    column = sp.Matrix([1, u, u * v])
    loss = (u * v - 1) ** 2 / 2 + (w - u) ** 2 / 2
    noise = GradientNoise(covariance=column * column.T)
    assert noise.sigma == sp.ImmutableMatrix(column)
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w), noise=noise))
    known = derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w), noise=column))
    assert sde.drift == known.drift


def test_it_is_drawn_with_that_covariance():
    run = simulate_sgd(stated(COVARIANCE), [2, 0.5], learning_rate=0.01, steps=1, replicas=20000, rng=0)
    moved = (run.final - [2, 0.5]) / 0.01
    expected = np.array(COVARIANCE.subs({u: 2, v: sp.Rational(1, 2)}), dtype=float)
    # Each entry is a mean of bounded numbers; five standard errors of the largest, fixed seed.
    np.testing.assert_allclose(moved.T @ moved / len(moved), expected, atol=5 * 10 / np.sqrt(20000))


def test_files_hold_it_as_it_is_stated():
    problem = stated(COVARIANCE)
    written = problem_document(problem)["noise"]
    assert written["kind"] == "matrix" and "sigma" not in written and written["covariance"][0][0] == "u**2 + 1"
    text = 'loss = "(u*v - 1)**2/2"\nparameters = ["u", "v"]\nnoise = { kind = "matrix", covariance = [["2", "u"], ["u", "u**2"]] }'
    assert str(problem_from_text(text).noise.covariance.tolist()) == "[[2, u], [u, u**2]]"
    with pytest.raises(SymbolicSGDError, match="stands beside sigma"):
        problem_from_text(text.replace("covariance", 'sigma = [["1"], ["0"]], covariance'))


@pytest.mark.parametrize(
    ("covariance", "error", "words"),
    [
        (sp.Matrix([[1, 2], [2, 1]]), BadInput, "pivot -3 is negative"),
        (sp.Matrix([[0, 1], [1, 0]]), BadInput, "its row is not"),
        (sp.Matrix([[1, u], [v, 1]]), BadInput, "not symmetric"),
        (sp.zeros(2, 2), BadInput, "covariance is 0"),
        (sp.Matrix([[1, 0]]), BadInput, "square"),
        (sp.Matrix([[0.5, 0], [0, 1]]), InexactNumber, r"covariance\[0, 0\]"),
        (sp.eye(3), BadShape, "covariance is 3×3, but there are 2 parameters"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance, error, words):
    with pytest.raises(error, match=words):
        stated(covariance)


def test_a_covariance_that_is_negative_on_the_manifold_is_refused():
    for negative in (-1 - u**2, u - 100 - u**2):
        with pytest.raises(ComplexValue):
            derive_limiting_sde(stated(sp.diag(negative, 1 + v**2)))


def test_both_are_too_many():
    with pytest.raises(BadInput, match="leave one of them out"):
        GradientNoise(sp.eye(2), covariance=2 * sp.eye(2))
