"""R̂ of families, for every size, against R̂ of their members, which is derived anew from the entries, and minimised by numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy as sp
from in_turn import pairs_in_turn
from sympy.matrices.expressions.diagonal import DiagMatrix

from symbolic_sgd import IsotropicNoise, LabelNoise, MatrixFamily, derive_limiting_sde, models
from symbolic_sgd.errors import BadInput, Undecided
from symbolic_sgd.tensors.evaluation import Arrays
from symbolic_sgd.tensors.forms import Form


@dataclass(frozen=True)
class Case:
    """A model, its predictor, and the shapes of its parameters and data by sizes.

    Args:
        targets: the outputs of parameters and data, which are the labels.
    """

    family: Any
    predictor: Any
    parameters: dict[str, str]
    data: dict[str, str]
    targets: Any
    name: str
    sizes: tuple[dict[str, int], dict[str, int]]


def _symbolic(name):
    return sp.Symbol(name, integer=True, positive=True)


def _differences():
    n, d, r, s = map(_symbolic, ("n", "d", "r", "s"))
    x, y, left, right = (
        sp.MatrixSymbol("x", d, 1),
        sp.Symbol("y"),
        sp.MatrixSymbol("X", d, r),
        sp.MatrixSymbol("Y", d, s),
    )
    f = sp.Trace(x.T * (left * left.T - right * right.T) * x)
    return MatrixFamily(residual=f - y, parameters=(left, right), data=(x, y), samples=n, noise=LabelNoise(1))


PAIR = ({"n": 2, "d1": 2, "d2": 2, "r": 1}, {"n": 2, "d1": 2, "d2": 3, "r": 2})
CASES = {
    "sensing": Case(
        models.matrix_sensing,
        lambda u, v: u * v.T,
        {"U": "d1 r", "V": "d2 r"},
        {"A": "n d1 d2"},
        lambda U, V, A: np.einsum("ar,br,nab->n", U, V, A),
        "y",
        PAIR,
    ),
    "completion": Case(
        models.matrix_completion,
        lambda u, v: u * v.T,
        {"U": "d1 r", "V": "d2 r"},
        {"p": "n d1", "q": "n d2"},
        lambda U, V, p, q: np.einsum("ar,br,na,nb->n", U, V, p, q),
        "y",
        ({"n": 2, "d1": 2, "d2": 2, "r": 1}, {"n": 3, "d1": 2, "d2": 2, "r": 2}),
    ),
    "full": Case(
        models.full_factorization,
        lambda u, v: u * v.T,
        {"U": "d1 r", "V": "d2 r"},
        {},
        lambda U, V: np.einsum("ar,br->ab", U, V),
        "Y",
        ({"d1": 2, "d2": 2, "r": 1}, {"d1": 3, "d2": 2, "r": 1}),
    ),
    "symmetric": Case(
        models.symmetric_sensing,
        lambda x: x * x.T,
        {"X": "d r"},
        {"A": "n d d"},
        lambda X, A: np.einsum("ar,br,nab->n", X, X, A),
        "y",
        ({"n": 2, "d": 2, "r": 2}, {"n": 2, "d": 3, "r": 1}),
    ),
    "adaptation": Case(
        models.low_rank_adaptation,
        lambda b, a: b * a,
        {"B": "d1 r", "A": "r d"},
        {"x": "n d"},
        lambda B, A, x: np.einsum("or,rd,nd->no", B, A, x),
        "t",
        ({"n": 2, "d1": 2, "d": 2, "r": 1}, {"n": 2, "d1": 1, "d": 2, "r": 2}),
    ),
    "deep": Case(
        models.deep_linear_network,
        lambda w3, w2, w1: w3 * w2 * w1,
        {"W3": "C m2", "W2": "m2 m1", "W1": "m1 d"},
        {"x": "n d"},
        lambda W3, W2, W1, x: x @ (W3 @ W2 @ W1).T,
        "t",
        ({"n": 2, "d": 2, "m1": 1, "m2": 1, "C": 1}, {"n": 2, "d": 2, "m1": 2, "m2": 1, "C": 2}),
    ),
    "attention": Case(
        models.bilinear_attention,
        lambda k, q: k.T * q,
        {"K": "r d", "Q": "r d"},
        {"x": "n d", "z": "n d"},
        lambda K, Q, x, z: np.einsum("rc,rd,nc,nd->n", K, Q, x, z),
        "y",
        ({"n": 2, "d": 2, "r": 1}, {"n": 2, "d": 2, "r": 2}),
    ),
    "squares": Case(
        models.difference_of_squares,
        lambda u, v: sp.HadamardProduct(u, u) - sp.HadamardProduct(v, v),
        {"u": "d", "v": "d"},
        {"z": "n d"},
        lambda u, v, z: z @ (u**2 - v**2),
        "y",
        ({"n": 1, "d": 2}, {"n": 2, "d": 3}),
    ),
    "diagonal": Case(
        models.diagonal_network,
        sp.HadamardProduct,
        {"u1": "d", "u2": "d", "u3": "d"},
        {"z": "n d"},
        lambda u1, u2, u3, z: z @ (u1 * u2 * u3),
        "y",
        ({"n": 1, "d": 2}, {"n": 2, "d": 3}),
    ),
    "groups": Case(
        models.group_network,
        lambda u, v: DiagMatrix(u) * v,
        {"u": "d", "V": "d k"},
        {"Z": "n d k"},
        lambda u, V, Z: np.einsum("d,dk,ndk->n", u, V, Z),
        "y",
        ({"n": 1, "d": 2, "k": 2}, {"n": 2, "d": 2, "k": 2}),
    ),
    "gates": Case(
        models.gated_network,
        lambda a, w: DiagMatrix(a) * w,
        {"a": "m", "W": "m d"},
        {"s": "n m", "x": "n d"},
        lambda a, W, s, x: np.einsum("m,md,nm,nd->n", a, W, s, x),
        "y",
        ({"n": 1, "d": 2, "m": 2}, {"n": 2, "d": 2, "m": 2}),
    ),
    "matrix squares": Case(
        _differences,
        lambda x, y: x * x.T - y * y.T,
        {"X": "d r", "Y": "d s"},
        {"x": "n d"},
        lambda X, Y, x: np.einsum("na,ab,nb->n", x, X @ X.T - Y @ Y.T, x),
        "y",
        ({"n": 1, "d": 2, "r": 1, "s": 1}, {"n": 2, "d": 2, "r": 2, "s": 1}),
    ),
}


def _drawn(case, sizes, seed):
    """Parameters, data with targets that they fit, as whole numbers."""
    rng = np.random.default_rng(seed)

    def draw(shapes):
        return {
            name: rng.integers(1, 4, [sizes[s] for s in shape.split()])
            * rng.choice([-1, 1], [sizes[s] for s in shape.split()])
            for name, shape in shapes.items()
        }

    parameters, data = draw(case.parameters), draw(case.data)
    value = case.targets(**parameters, **data)
    if "W0" in {str(c) for c in case.family().constants}:
        data["W0"] = np.zeros((sizes["d1"], sizes["d"]), dtype=int)
    return parameters, data, {case.name: value}


def _beta(found, parameters, sizes):
    """F at the parameters, by the form that was read and nothing else."""
    (part,) = found.fibres
    numbers = {_symbolic(s): k for s, k in sizes.items()}
    form = Form.of(part.rows, ((c, f, ()) for f, c in part.predictor.terms.items()))
    return Arrays({n: a.astype(float) for n, a in parameters.items()}, numbers, np).value(form).round().astype(int)


@pytest.mark.parametrize(("name", "which"), pairs_in_turn(CASES, (0, 1)))
def test_a_family_is_its_members(name, which):
    case = CASES[name]
    sizes = case.sizes[which]
    family = case.family()
    found = derive_limiting_sde(family).induced_regularizer(case.predictor(*family.parameters))
    parameters, data, targets = _drawn(case, sizes, 5 + which)
    numbers = {_symbolic(s): k for s, k in sizes.items()}
    member = found.at_sizes(numbers, **data, **targets)
    rng = np.random.default_rng(which)
    for _ in range(2):
        shaken = {n: a + rng.integers(-1, 2, a.shape) for n, a in parameters.items()}
        beta = _beta(found, shaken, sizes)
        value = float(found.value(beta, sizes=numbers, **data))
        least = member.numeric(list(beta.ravel()), starts=4).value
        if member.expression is not None:
            assert value == pytest.approx(float(member.value(list(beta.ravel()))), rel=1e-9, abs=1e-9)
        assert value <= least * (1 + 1e-9) + 1e-9
        assert value == pytest.approx(least, rel=1e-6, abs=1e-6)


def test_two_predictors_are_a_sum():
    n, d, r = map(_symbolic, ("n", "d", "r"))
    u, v, z = (sp.MatrixSymbol(name, d, 1) for name in "uvz")
    left, right, a = sp.MatrixSymbol("P", d, r), sp.MatrixSymbol("Q", d, r), sp.MatrixSymbol("A", d, d)
    y = sp.Symbol("y")
    f = sp.Trace(z.T * sp.HadamardProduct(u, v)) + sp.Trace(a.T * left * right.T) - y
    family = MatrixFamily(residual=f, parameters=(u, v, left, right), data=(z, a, y), samples=n, noise=LabelNoise(1))
    sde = derive_limiting_sde(family)
    found = sde.induced_regularizer([sp.HadamardProduct(u, v), left * right.T])
    assert found.evidence.status == "proved"
    rng = np.random.default_rng(3)
    data = {"z": rng.integers(1, 4, (2, 2)), "A": rng.integers(1, 4, (2, 2, 2))}
    first, second = rng.integers(1, 4, 2), rng.integers(1, 4, (2, 2))
    c, b = np.einsum("nab,ncb->ac", data["A"], data["A"]), np.einsum("nab,nac->bc", data["A"], data["A"])
    root = lambda m: np.linalg.cholesky(m)  # noqa: E731 (singular values are those with any root)
    expected = (np.abs(first) * (data["z"] ** 2).sum(0)).sum() / 4
    expected += np.linalg.svd(root(c).T @ second @ root(b), compute_uv=False).sum() / 4
    assert float(found.value([first, second], **data)) == pytest.approx(expected, rel=1e-12)


def test_a_decomposition_has_the_weights_of_its_terms():
    family = models.cp_decomposition()
    U, V, W = family.parameters
    a, b, c, q = sp.symbols("a b c q", integer=True)
    r = U.shape[1]
    found = derive_limiting_sde(family).induced_regularizer(sp.Sum(U[a, q] * V[b, q] * W[c, q], (q, 1, r)))
    weights = np.array([3, 2])
    beta = np.einsum("k,ak,bk,ck->abc", weights, np.eye(2, dtype=int), np.eye(2, dtype=int), np.eye(2, dtype=int))
    member = found.at_sizes({r: 2}, T=beta)
    inserted = found.expression.xreplace({r: sp.Integer(2), **{s: sp.Integer(2) for s in family.sizes}}).doit()
    value = inserted.xreplace({e: sp.Integer(weights[int(e.indices[0]) - 1]) for e in inserted.atoms(sp.Indexed)})
    assert member.numeric(list(beta.ravel()), starts=12).value == pytest.approx(float(value), rel=1e-6)


def test_an_average_of_no_form_is_left_to_numbers():
    family = models.tucker_sensing()
    U, S, V = family.parameters
    found = derive_limiting_sde(family).induced_regularizer(U * S * V.T)
    assert found.expression is None and found.evidence.status == "numeric" and "at_sizes" in str(found)
    with pytest.raises(BadInput, match="at_sizes"):
        found.value(np.eye(2))


def test_what_is_refused():
    family = models.matrix_sensing()
    U, V = family.parameters
    with pytest.raises(BadInput, match="determine"):
        derive_limiting_sde(family).induced_regularizer(U)
    with pytest.raises(BadInput, match="name"):
        derive_limiting_sde(family).induced_regularizer(U * V.T, name="U")
    with pytest.raises(Undecided):
        derive_limiting_sde(models.matrix_sensing(IsotropicNoise(1))).induced_regularizer(U * V.T)
    with pytest.raises(BadInput, match="positive"):
        derive_limiting_sde(models.matrix_sensing(LabelNoise(1))).induced_regularizer(U * V.T).value(
            np.eye(2), positive=1
        )


def test_metrics_that_do_not_separate_are_not_taken_for_a_chain():
    """With measurements of rank one in place of inputs the two sides of a layer are summed together."""
    n, d, k = map(_symbolic, ("n", "d", "k"))
    p, q = sp.MatrixSymbol("p", d, 1), sp.MatrixSymbol("q", d, 1)
    layers = sp.MatrixSymbol("W3", d, k), sp.MatrixSymbol("W2", k, k), sp.MatrixSymbol("W1", k, d)
    f = sp.Trace(p.T * sp.MatMul(*layers) * q) - sp.Symbol("y")
    family = MatrixFamily(residual=f, parameters=layers, data=(p, q, sp.Symbol("y")), samples=n, noise=LabelNoise(1))
    assert derive_limiting_sde(family).induced_regularizer(sp.MatMul(*layers)).expression is None
