"""Linear algebra and the program are two roads to the same terms."""

import numpy as np
import pytest
import sympy as sp
from derived import gallery_sde

from symbolic_sgd import IsotropicNoise, NumPy, Problem, derive_limiting_sde
from symbolic_sgd.errors import OffManifold
from symbolic_sgd.numeric import host
from symbolic_sgd.numeric.structured import Structured, directional_program
from symbolic_sgd.theorem.terms import TERMS

u, v, w = sp.symbols("u v w")
a = sp.symbols("a", positive=True)


def on_quadric(count: int) -> np.ndarray:
    first, third = np.random.default_rng(0).uniform([[0.5], [-0.7]], [[2], [0.7]], (2, count))
    return np.stack([first, (1 - third**2) / first, third], axis=-1)


@pytest.mark.parametrize("term", [term.name for term in TERMS])
def test_terms(term, monkeypatch):
    sde, x = gallery_sde("quadric_dense"), on_quadric(50)
    expected = sde.lambdify().term(term, x)
    monkeypatch.setattr(host, "LONGEST", 0)
    ours = sde.lambdify().term(term, x)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(ours, expected, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(sde.lambdify().term(term, x[0]), expected[0], atol=1e-12 * np.abs(expected).max())


def test_constants_checks_and_points_without_value(monkeypatch):
    sde = derive_limiting_sde(
        Problem(loss=(u * v - a) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(a), constants=(a,))
    )
    expected = sde.lambdify().drift([[2, 0.5], [3, 1]], a=[1, 3])
    monkeypatch.setattr(host, "LONGEST", 0)
    np.testing.assert_allclose(sde.lambdify().drift([[2, 0.5], [3, 1]], a=[1, 3]), expected, rtol=1e-12)
    with pytest.raises(OffManifold):
        sde.lambdify().drift([[2, 0.5], [3, 1]], a=[1, 1])
    loose = sde.lambdify(check=False).drift([[1e200, 1e200], [2, 0.5]], a=1)
    assert np.isnan(loose[0]).all() and np.isfinite(loose[1]).all()


def test_blocks_of_a_batch(monkeypatch):
    sde, x = gallery_sde("quadric_dense"), on_quadric(50)
    structured, whole, small = (
        Structured(sde.derivation, "drift", NumPy().function),
        np.empty((50, 3)),
        np.empty((50, 3)),
    )
    structured.rows(x, [whole])
    monkeypatch.setattr("symbolic_sgd.numeric.structured.MEMORY", 9 * 8 * 7)
    structured.rows(x, [small])
    np.testing.assert_allclose(small, whole, rtol=1e-13)


def test_the_third_derivative_along_two_directions():
    sde = gallery_sde("quadric_dense")
    program, symbols = directional_program(sde.derivation)
    values = [sp.Rational(k, 7) for k in (3, 5, -2, 1, 4, -3, 2, 6, -5)]
    x, left, right = sde.problem.parameters, sp.Matrix(values[3:6]), sp.Matrix(values[6:])
    literal = sp.Matrix([(left.T * sp.hessian(sde.problem.loss, x) * right)[0].diff(s) for s in x])
    assert program.expand("third").subs(dict(zip(symbols, values, strict=True))) == literal.subs(
        dict(zip(x, values[:3], strict=True))
    )
