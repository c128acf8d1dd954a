"""Names of eigenvalues that are printed, and names that a user has taken."""

import pytest
import sympy as sp

from symbolic_sgd import SGD, IsotropicNoise, MatrixFamily, derive_limiting_sde
from symbolic_sgd.families.curvature_letters import CurvatureLetters
from symbolic_sgd.models.letters import matrix

n, d = sp.symbols("n d", integer=True, positive=True)
TAKEN = sp.symbols("mu a p s", positive=True)


@pytest.mark.parametrize(
    ("taken", "names"),
    [
        ((), ("mu", "nu")),
        (("μ",), ("a", "b")),
        (("nu", "b", "q", "t"), ("mu1", "nu1")),
        (("nu", "b", "q", "t", "mu_1", "ν2"), ("mu3", "nu3")),
    ],
)
def test_a_name_that_is_taken_is_never_given(taken, names):
    assert CurvatureLetters.beside(set(taken)).names == names


def test_a_regularizer_whose_constants_have_every_usual_name():
    x, y, w = matrix("x", d, 1), sp.Symbol("y"), matrix("w", d, 1)
    family = MatrixFamily(
        residual=sp.Trace(w.T * x) - y,
        parameters=(w,),
        data=(x, y),
        samples=n,
        noise=IsotropicNoise(sp.Mul(*TAKEN)),
        constants=TAKEN,
    )
    sde = derive_limiting_sde(family, optimizer=SGD(learning_rate=1))
    assert "Σ_μ1 F(μ1)" in str(sde.regularizer) and r"F(\mu_{1})" in sde.regularizer.latex()
    assert "μ1 > 0" in str(sde.definitions[-1])


def test_an_index_of_the_family_is_no_name_of_an_eigenvalue():
    i = sp.Symbol("mu", integer=True)
    x, y, w = sp.IndexedBase("x", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
    j = sp.Symbol("j", integer=True)
    family = MatrixFamily(
        residual=sp.Sum(x[i, j] * w[j], (j, 1, d)) - y[i],
        parameters=(w,),
        data=(x, y),
        samples=((i, 1, n),),
        noise=IsotropicNoise(1),
    )
    assert CurvatureLetters.of(family).names == ("a", "b")
