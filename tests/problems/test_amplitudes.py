"""Label noise with an amplitude for each residual."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import (
    SGD,
    Family,
    LabelNoise,
    Problem,
    derive_limiting_sde,
    simulate_sgd,
    verify,
)
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol, ExpressionSyntaxError
from symbolic_sgd.problems.as_data import problem_document
from symbolic_sgd.problems.problem_file import problem_from_text

u, v, w = sp.symbols("u v w")
d = sp.Symbol("d", positive=True)
RESIDUALS = [u * v - 1, w - u]
AT = {u: 2, v: sp.Rational(1, 2), w: 2}


def stated(noise, **further):
    return Problem.least_squares(RESIDUALS, parameters=(u, v, w), noise=noise, **further)


@pytest.mark.parametrize("batch", [None, 1, 2])
@pytest.mark.parametrize("optimizer", [SGD(), SGD(learning_rate=sp.Rational(1, 16))], ids=["vanishing", "finite"])
def test_equal_amplitudes_are_one(batch, optimizer):
    several, one = (
        derive_limiting_sde(stated(LabelNoise(a, batch_size=batch)), optimizer=optimizer) for a in ([3, 3], 3)
    )
    assert several.drift == one.drift
    assert several.derivation.proportion == one.derivation.proportion


@pytest.mark.parametrize("batch", [1, 2])
def test_the_limit_is_that_of_the_matrix_of_the_same_covariance(batch):
    sde = derive_limiting_sde(stated(LabelNoise([1, d], batch_size=batch), constants=(d,)))
    slopes = [[sp.diff(r, x) for x in (u, v, w)] for r in RESIDUALS]
    factor = sp.Matrix([slopes[0], [d * g for g in slopes[1]]]).T / sp.sqrt(2 * batch)
    known = derive_limiting_sde(Problem(loss=sde.problem.loss, parameters=(u, v, w), noise=factor, constants=(d,)))
    assert sp.simplify((sde.drift - known.drift).subs(AT)) == sp.zeros(3, 1)
    assert sde.derivation.proportion is None and not sde.drift.subs({**AT, d: 2}).is_zero_matrix


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("optimizer", [SGD(), SGD(learning_rate=sp.Rational(1, 16))], ids=["vanishing", "finite"])
def test_it_is_verified(batch, optimizer):
    sde = derive_limiting_sde(stated(LabelNoise((sp.Rational(1, 2), 2), batch_size=batch)), optimizer=optimizer)
    certificate = verify(sde, rng=1)
    assert certificate.passed, str(certificate)


def test_each_residual_moves_by_its_own_amplitude():
    """From (1, 1, 1), where both residuals vanish, one step of η = 1/2 at ε = 1 has four ends, each as likely."""
    problem = stated(LabelNoise([1, 3]))
    run = simulate_sgd(
        problem, [1, 1, 1], optimizer=SGD(learning_rate=0.5), noise_scale=1, steps=1, replicas=4000, rng=0
    )
    ends, counts = np.unique(run.final.round(12), axis=0, return_counts=True)
    expected = [(1 + s / 2, 1 + s / 2, 1) for s in (1, -1)] + [(1 - 3 * s / 2, 1, 1 + 3 * s / 2) for s in (1, -1)]
    assert {tuple(end) for end in ends.tolist()} == set(expected)
    assert (np.abs(counts - 1000) < 5 * np.sqrt(750)).all()  # five standard deviations, fixed seed


def test_files_hold_one_for_each():
    problem = stated(LabelNoise([sp.Rational(1, 2), d]), constants=(d,))
    assert problem_document(problem)["noise"]["amplitude"] == ["1/2", "d"]
    text = 'residuals = ["u*v - 1", "w - u"]\nparameters = ["u", "v", "w"]\nnoise = { kind = "label", amplitude = ["1/2", "2"] }'
    assert problem_from_text(text).noise == LabelNoise((sp.Rational(1, 2), sp.Integer(2)))
    with pytest.raises(ExpressionSyntaxError, match=r"amplitude\[1\]"):
        problem_from_text(text.replace('"2"] }', '"0.5.5"] }'))


@pytest.mark.parametrize(
    ("amplitude", "error", "words"),
    [
        ([1], BadShape, "1 amplitudes are given for 2 residuals"),
        ([1, u], BadSymbol, r"amplitude\[1\] depends on the parameter u"),
        ([1, "2"], BadInput, r"amplitude\[1\]"),
    ],
)
def test_bad_amplitudes_are_refused(amplitude, error, words):
    with pytest.raises(error, match=words):
        stated(LabelNoise(amplitude))


def test_families_take_one_amplitude():
    i, j, n, size = (sp.Symbol(k, integer=True, positive=True) for k in ("i", "j", "n", "d"))
    z, y, weights = sp.IndexedBase("z"), sp.IndexedBase("y"), sp.IndexedBase("u")
    residual = sp.Sum(z[i, j] * weights[j] ** 2, (j, 1, size)) - y[i]
    with pytest.raises(BadInput, match="one amplitude"):
        family = Family(residual=residual, sample=(i, 1, n), parameters=(weights,), noise=LabelNoise([1, 2]))
        derive_limiting_sde(family)
