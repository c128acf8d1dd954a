"""Families at their edges: sizes that do not fit, sums over a part, noise that is no number, ranks that are claimed."""

import re
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from sympy import IndexedBase, MatrixSymbol, Sum, Trace
from sympy.matrices.expressions.diagonal import DiagonalMatrix, DiagonalOf

from symbolic_sgd import IsotropicNoise, LabelNoise, MatrixFamily, derive_limiting_sde, simulate_family_sgd, verify
from symbolic_sgd.errors import BadInput, BadShape, ComplexValue, InexactNumber, UnsupportedExpression

n, d, m, r, d1, d2 = sp.symbols("n d m r d1 d2", integer=True, positive=True)
i, j, k, l = sp.symbols("i j k l", integer=True)  # noqa: E741 (the four indices of a tensor)
t, y = sp.symbols("t y")
U, V, Y = MatrixSymbol("U", d1, r), MatrixSymbol("V", d2, r), MatrixSymbol("Y", d1, d2)
W, w, x = MatrixSymbol("W", m, d), MatrixSymbol("w", d, 1), MatrixSymbol("x", d, 1)
S, Q = MatrixSymbol("S", d, d), MatrixSymbol("Q", d, d)
z, v, f, g = IndexedBase("z", (n, d)), IndexedBase("v", (d,)), IndexedBase("f", (n,)), IndexedBase("g", (m,))
B, PAIR = MatrixSymbol("B", m, 1), (MatrixSymbol("B", 2, 1), MatrixSymbol("W", 2, d))
CUBIC, SQUARE = IndexedBase("T", (d, d, d)), IndexedBase("p", (d,))


def _family(residual, *parameters, data=(x, y), samples=n, noise=None, **more):
    return MatrixFamily(
        residual=residual, parameters=parameters, data=data, samples=samples, noise=noise or LabelNoise(1), **more
    )


def _linear(noise=None):
    return _family(Trace(w.T * x) - y, w, noise=noise)


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("residual", "parameters", "data", "error", "words"),
    [
        (Sum(z[i, j] * v[j] ** 2, (j, 2, d)) - f[i], (v,), (z, f), BadInput, "j runs over 2 … d"),
        (Sum(z[i, j] * v[j] ** 2, (j, 0, d - 1)) - f[i], (v,), (z, f), BadInput, "first value is 1"),
        (Sum(z[i, j] * v[j] ** 2, (j, 1, m)) - f[i], (v,), (z, f), BadShape, "1 … m"),
        (Sum(z[i, j] * w[j, 0], (j, 1, d)) - f[i], (w,), (z, f), UnsupportedExpression, "counts from 0"),
        (Sum(g[j] * v[j], (j, 1, d)) - f[i], (v, g), (f,), BadShape, "declared with the size m"),
    ],
)
def test_sums_over_a_part_or_of_sizes_that_differ(residual, parameters, data, error, words):
    with pytest.raises(error, match=words):
        _family(residual, *parameters, data=data, samples=((i, 1, n),))


def test_matrices_whose_sizes_differ():
    with pytest.raises(BadShape, match="m×1 where d×1 is wanted"):
        _family(W * x - x, W, data=(x,))
    with pytest.raises(BadShape, match="d1×d2 where"):
        _family(DiagonalMatrix(U * V.T) - Y, U, V, data=(Y,), samples=None)
    with pytest.raises(BadInput, match="residual is a str"):
        _family("U*V.T", U, V)


def test_entries_of_matrices_are_counted_from_0_as_sympy_does():
    """(aᵀWx)[0, 0] is a sum over 0 … m − 1 in SymPy."""
    a = MatrixSymbol("a", m, 1)
    entry, trace = _family((a.T * W * x)[0, 0] - y, a, W), _family(Trace(a.T * W * x) - y, a, W)
    assert entry.model.f == trace.model.f


@pytest.mark.parametrize(
    ("noise", "error"),
    [
        (LabelNoise(float("nan")), ComplexValue),
        (LabelNoise(sp.I), ComplexValue),
        (IsotropicNoise(sp.oo), ComplexValue),
        (LabelNoise(0.1), InexactNumber),
        (IsotropicNoise(0.1), InexactNumber),
    ],
)
def test_noise_that_is_no_exact_real_number(noise, error):
    with pytest.raises(error):
        _linear(noise)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({r: 5}, "r is no size of the family"),
        ([3], "sizes is a list"),
        ({n: 2.7}, "2.7"),
        ({n: 0}, "positive"),
        ({n: True}, "True"),
        ({"n": 5}, "disagree on n"),
    ],
)
def test_sizes_that_are_none(sizes, words):
    sde = derive_limiting_sde(_linear())
    with pytest.raises(BadInput, match=words):
        sde.lambdify(x=np.ones((3, 4)), y=np.ones(3), sizes=sizes)
    with pytest.raises(BadInput, match=words):
        sde.problem(x=[[1, 2]], y=[1], sizes=sizes)


@pytest.mark.parametrize("entry", [True, float("nan"), sp.I, sp.oo])
def test_explicit_data_that_are_no_real_number(entry):
    with pytest.raises(BadInput, match="no finite real number"):
        _linear().problem(x=[[entry, 2]], y=[1])


def test_a_simulation_wants_data():
    with pytest.raises(BadInput, match=r"give sde\.lambdify"):
        simulate_family_sgd(derive_limiting_sde(_linear()), (np.ones(2),), learning_rate=0.1, steps=1)


# --- what is said of the codimension --------------------------------------------------------


def test_a_count_whose_condition_cannot_hold_is_not_made():
    """2×4 and 3×4 matrices have no rank 4, and Γ is no orbit of GL(4): UVᵀ takes all values, and its six entries have independent
    gradients."""
    left, right, target = MatrixSymbol("U", 2, 4), MatrixSymbol("V", 3, 4), MatrixSymbol("Y", 2, 3)
    sde = derive_limiting_sde(_family(left * right.T - target, left, right, data=(target,), samples=None))
    assert sde.codimension.count.group is None and sde.codimension.expression == 6 and sde.tangent_projection is None
    rng = np.random.default_rng(0)
    point = rng.standard_normal((2, 4)), rng.standard_normal((3, 4))
    assert sde.lambdify(Y=point[0] @ point[1].T).codimension(*point) == 6


def test_the_rank_is_measured_on_the_manifold():
    """Matrices commute: the rank is d² − 1 beside Γ, and d² − d on it."""
    commuting = _family(S * Q - Q * S, S, Q, data=(), samples=None)
    measured = derive_limiting_sde(commuting).codimension.measured
    assert measured and all(found.rank == size**2 - size for found in measured for _, size in found.sizes)


def test_words_of_dependence():
    words = str(derive_limiting_sde(_linear()).codimension)
    assert "dependent at some sizes and independent at others" in words
    alpha = sp.Symbol("alpha")
    words = str(derive_limiting_sde(_family(alpha * y - 1, alpha, data=(y,))).codimension)
    assert "not known" in words and "()" not in words


def test_a_model_of_positive_parameters_is_measured():
    c = sp.Symbol("c", positive=True)
    found = derive_limiting_sde(_family(sp.log(c) * Trace(w.T * x) - y, c, w)).codimension
    assert len(found.measured) == 3


# --- what `verify` reaches ------------------------------------------------------------------

c = sp.Symbol("c", positive=True)
REACHED = {
    "data with three indices beside a sample": _family(
        Sum(CUBIC[j, k, l] * SQUARE[j] * SQUARE[k] * SQUARE[l], (j, 1, d), (k, 1, d), (l, 1, d)) - y,
        SQUARE,
        data=(CUBIC, y),
    ),
    "the diagonal of a product": _family(Trace(x.T * DiagonalOf(S * S.T)) - y, S),
    "a logarithm of a parameter": _family(sp.log(c) * Trace(w.T * x) - y, c, w),
    "roots": _family(Trace(x.T * w.applyfunc(sp.Lambda(t, sp.sqrt(t)))) - y, w),
}


@pytest.mark.parametrize("name", REACHED)
def test_verified(name):
    certificate = verify(derive_limiting_sde(REACHED[name]))
    assert certificate.passed, certificate
    assert any(check.name == "normal regularization" and check.verdict == "measured" for check in certificate.checks)


# --- the explicit engine --------------------------------------------------------------------

alpha, beta = sp.symbols("alpha beta")
EXPLICIT = {
    "a product of two numbers": (
        _family(Trace(S) * Trace(w.T * x) - y, S, w),
        ([[1, 2], [3, 4]], [1, 0]),
        {"x": [[1, 2]], "y": [5]},
    ),
    "powers of scalars, without data": (
        _family(alpha**2 * beta**3 - 8, alpha, beta, data=(), samples=1),
        (1, 2),
        {},
    ),
    "a network of fifth powers": (
        _family(Trace(PAIR[0].T * (PAIR[1] * x).applyfunc(sp.Lambda(t, t**5))) - y, *PAIR),
        ([[1], [2]], [[1, 1], [1, 0]]),
        {"x": [[1, 0], [0, 1]], "y": [3, 1]},
    ),
    "a cube": (_family(Trace(x.T * S**3 * x) - y, S), ([[1, 1], [0, 1]],), {"x": [[1, 1]], "y": [5]}),
}


@pytest.mark.parametrize("noise", [LabelNoise(1), IsotropicNoise(2)], ids=["label", "isotropic"])
@pytest.mark.parametrize("name", EXPLICIT)
def test_the_explicit_problem(name, noise):
    stated, point, data = EXPLICIT[name]
    family = replace(stated, noise=noise)
    arrays = derive_limiting_sde(family).lambdify(**{key: np.array(value, float) for key, value in data.items()})
    found = np.concatenate([np.ravel(block) for block in arrays.drift(*(np.array(block, float) for block in point))])
    explicit = derive_limiting_sde(family.problem(**data)).lambdify()
    expected = np.ravel(explicit.drift(np.concatenate([np.ravel(block) for block in point]).astype(float)))
    assert np.abs(expected).max() > 0.1
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("power", [4, 5, 9])
def test_a_power_of_what_is_summed_stays_a_function(power):
    """Multiplied out, the residual would have an index for each of its factors, and R the pairs of all of them."""
    sde = derive_limiting_sde(_family(Trace(B.T * (W * x).applyfunc(sp.Lambda(t, t**power))) - y, B, W))
    assert len(sde.regularizer.form.terms) == 2
    assert not any(check.verdict == "failed" for check in verify(sde, rng=0).checks)


def test_a_root_of_a_square_is_differentiated_where_it_is_smooth():
    root = sp.HadamardPower(sp.HadamardProduct(w, w), sp.Rational(1, 2))
    assert verify(derive_limiting_sde(_family(Trace(x.T * root) - y, w)), rng=0).passed


# --- LaTeX ----------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [IsotropicNoise(2), LabelNoise(1)], ids=["isotropic", "label"])
def test_no_symbol_has_two_exponents(noise):
    """G† has one, and so has its transpose."""
    text = derive_limiting_sde(replace(EXPLICIT["powers of scalars, without data"][0], noise=noise)).latex()
    assert "}^{" in text and not re.search(r"\^\{[^{}]*\}\^", text)
