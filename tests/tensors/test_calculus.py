"""The calculus: normal forms, derivatives and values, against SymPy's entries and automatic differentiation."""

import itertools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from symbolic_sgd.tensors.derivative import derivative
from symbolic_sgd.tensors.entrywise import Entrywise, X
from symbolic_sgd.tensors.evaluation import Arrays, ExactArrays
from symbolic_sgd.tensors.forms import Form, Index, Tensor, added, applied, delta
from symbolic_sgd.tensors.reading import Reader

jax.config.update("jax_enable_x64", True)
n, m, d = sp.symbols("n m d", integer=True, positive=True)
SIZE = {n: 3, m: 4, d: 2}
MATRIX = sp.MatrixSymbol


def _reader(*symbols, constants=()):
    tensors = {}
    for s in symbols:
        shape = tuple(k for k in getattr(s, "shape", ()) if k != 1)
        tensors[s] = Tensor(s.name, shape)
    return Reader(tensors, (), frozenset([n, m, d, *constants]))


def _arrays(reader, rng):
    values = {t.name: rng.standard_normal([SIZE[k] for k in t.shape]) for t in reader.tensors.values()}
    return Arrays(values, SIZE, np)


# --- the expressions on which SymPy's own derivatives are wrong -----------------------------

U, V, A, B = MATRIX("U", n, d), MATRIX("V", m, d), MATRIX("A", n, m), MATRIX("B", m, d)
W, S, P, Q = MATRIX("W", m, n), MATRIX("S", n, n), MATRIX("P", n, d), MATRIX("Q", n, m)
w, x, v, a = MATRIX("w", n, 1), MATRIX("x", n, 1), MATRIX("v", n, 1), MATRIX("a", m, 1)
y = sp.Symbol("y")
e = x.applyfunc(sp.exp)
had = sp.HadamardProduct

TRAPS = {
    "a sum of two traces": (sp.Trace(A.T * U * V.T) + sp.Trace(U * U.T), U, lambda z: z["A"] @ z["V"] + 2 * z["U"]),
    "two norms": (
        sp.Trace(A * B * B.T * A.T) + sp.Trace(Q.T * P * P.T * Q),
        B,
        lambda z: 2 * z["A"].T @ z["A"] @ z["B"],
    ),
    "a residual": (
        sp.Trace(A.T * U * V.T) - y,
        U,
        lambda z: z["A"] @ z["V"],
    ),
    "a square": (
        (sp.Trace(A.T * U * V.T) - y) ** 2 / 2,
        U,
        lambda z: (np.trace(z["A"].T @ z["U"] @ z["V"].T) - z["y"]) * z["A"] @ z["V"],
    ),
    "a sum over samples": (
        sp.Sum(sp.Trace(A.T * U * V.T), (sp.Symbol("i"), 1, n)),
        U,
        lambda z: 3 * z["A"] @ z["V"],
    ),
    "a softmax": (
        sp.Trace(e.T * w) / sp.Trace(sp.OneMatrix(1, n) * e),
        x,
        lambda z: (p := np.exp(z["x"]) / np.exp(z["x"]).sum()) * (z["w"] - p @ z["w"]),
    ),
    "a coefficient that holds a trace": (
        sp.Trace(x.T * w) * sp.Trace(w.T * w) ** sp.Rational(-1, 2),
        w,
        lambda z: z["x"] / (r := np.sqrt(z["w"] @ z["w"])) - (z["x"] @ z["w"]) * z["w"] / r**3,
    ),
    "a coefficient inside of a product": (
        sp.Trace(x.T * (sp.Trace(w.T * w) * w)),
        w,
        lambda z: (z["w"] @ z["w"]) * z["x"] + 2 * (z["x"] @ z["w"]) * z["w"],
    ),
    "entrywise squares": (sp.Trace(x.T * (had(w, w) - had(v, v))), w, lambda z: 2 * z["x"] * z["w"]),
    "a product that is 1×1": (
        a.T * (W * x).applyfunc(sp.tanh),
        W,
        lambda z: np.outer(z["a"] * (1 - np.tanh(z["W"] @ z["x"]) ** 2), z["x"]),
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_derivatives_that_sympy_gets_wrong(name):
    expression, parameter, right = TRAPS[name]
    reader = _reader(A, U, V, B, P, Q, W, w, x, v, a, y)
    arrays = _arrays(reader, np.random.default_rng(0))
    tensor = reader.tensors[parameter]
    slots = tuple(Index(f"p{k}", s) for k, s in enumerate(tensor.shape))
    found = arrays.value(derivative(reader.scalar(expression), tensor, slots))
    assert np.abs(found - right(arrays.tensors)).max() < 1e-12


def test_a_mixed_derivative():
    reader = _reader(A, U, V)
    p, q = (Index("p0", n), Index("p1", d)), (Index("q0", m), Index("q1", d))
    f = reader.scalar(sp.Trace(A.T * U * V.T))
    mixed = derivative(derivative(f, reader.tensors[U], p), reader.tensors[V], q)
    right = reader.tensors[A].entry(p[0], q[0]) * delta(p[1], q[1])
    assert mixed.terms == right.terms and set(mixed.free) == set(right.free)


def test_cyclic_traces_are_equal():
    reader = _reader(S, P)
    one = reader.scalar(sp.Trace(S * P * P.T) - sp.Trace(P * P.T * S))
    other = reader.scalar(sp.Trace(S.T * P * P.T) - sp.Trace(P * P.T * S))
    assert one.is_zero and other.is_zero  # PPᵀ is symmetric
    assert not reader.scalar(sp.Trace(S * S * P * P.T) - sp.Trace(S * S.T * P * P.T)).is_zero


# --- normal forms ---------------------------------------------------------------------------


def _random_term(rng: random.Random):
    """A random product of tensors of two letters over few indices, of equal sizes, so that there are many near misses."""
    tensors = [Tensor("T", (n, n)), Tensor("u", (n,)), Tensor("R", (n, n, n))]
    count = rng.randint(2, 5)
    indices = [Index(f"k{k}", n) for k in range(rng.randint(1, 4))]
    return [(t, [rng.choice(indices) for _ in t.shape]) for t in (rng.choice(tensors) for _ in range(count))]


def _form(term):
    found = Form.constant(1)
    for tensor, at in term:
        found = found * tensor.entry(*at)
    return found.summed(*found.free)


def test_renamed_and_reordered_terms_are_equal():
    rng = random.Random(1)
    for _ in range(150):
        term = _random_term(rng)
        names = sorted({i for _, at in term for i in at})
        order = rng.sample(names, len(names))
        renamed = [(t, [order[names.index(i)] for i in at]) for t, at in rng.sample(term, len(term))]
        assert _form(term) == _form(renamed), term


def test_terms_that_differ_in_value_differ():
    rng, numbers = random.Random(2), np.random.default_rng(2)
    values = {
        "T": numbers.standard_normal((3, 3)),
        "u": numbers.standard_normal(3),
        "R": numbers.standard_normal((3, 3, 3)),
    }
    arrays = Arrays(values, SIZE, np)
    seen = {}
    for _ in range(300):
        form = _form(_random_term(rng))
        (factors,) = form.terms
        value = float(arrays.value(form))
        assert seen.setdefault(factors, value) == pytest.approx(value, rel=1e-9)
    different = sorted(seen.values())
    assert all(abs(b - c) > 1e-9 for b, c in itertools.pairwise(different))


def test_regular_graphs_are_told_apart():
    """Two cycles of three and one of six: colour refinement alone does not see the difference, and the first falls into two parts."""
    t = Tensor("T", (n, n))
    k = [Index(f"k{j}", n) for j in range(6)]

    def cycle(*at):
        return [(t, [i, j]) for i, j in zip(at, [*at[1:], at[0]], strict=True)]

    chord = [(t, [k[0], k[3]]), (t, [k[1], k[4]]), (t, [k[2], k[5]])]
    prism = cycle(*k[:3]) + cycle(*k[3:]) + chord
    moebius = cycle(*k) + chord
    assert _form(prism) != _form(moebius)
    swapped = [k[1], k[2], k[0], k[4], k[5], k[3]]
    assert _form(prism) == _form([(t, [swapped[k.index(i)] for i in at]) for t, at in prism])


def test_powers_and_sizes():
    reader = _reader(w, x)
    norm = sp.Trace(w.T * w)
    assert reader.scalar(norm * norm ** sp.Rational(-3, 2)) == reader.scalar(norm ** sp.Rational(-1, 2))
    assert reader.scalar(sp.sqrt(norm) / sp.sqrt(norm)) == Form.constant(1)
    assert reader.scalar(sp.Trace(sp.Identity(n))) == Form.constant(n)
    assert reader.scalar(sp.Trace(sp.OneMatrix(n, n) * sp.OneMatrix(n, n))) == Form.constant(n**2)
    i, j = Index("i", n), Index("j", n)
    u = Tensor("u", (n,))
    assert (u.entry(i) * delta(i, j)).terms == (u.entry(j) * delta(i, j)).terms


def test_models_do_not_share_letters():
    """A scalar function of w, where w has another size, is another form, also where indices do not tell."""
    size = {n: 3, d: 2}
    expression = sp.Trace(w.T * w) ** sp.Rational(-1, 2)
    other = MATRIX("w", d, 1)
    for vector in (w, other, w):
        reader = _reader(vector)
        tensor = reader.tensors[vector]
        form = reader.scalar(
            expression.subs(w, vector) if vector is w else sp.Trace(other.T * other) ** sp.Rational(-1, 2)
        )
        slope = derivative(form, tensor, (Index("p", tensor.shape[0]),))
        assert form.tensors == {tensor} and slope.tensors == {tensor}
        value = np.arange(1.0, 1 + size[tensor.shape[0]])
        found = Arrays({"w": value}, size, np).value(slope)
        assert np.allclose(found, -value / (value @ value) ** 1.5, rtol=1e-14)


def test_a_symmetric_function_of_two_indices():
    """φ(PPᵀ)[a, b] = φ(PPᵀ)[b, a]."""
    p = Tensor("P", (n, d))
    i, j, k = Index("i", n), Index("j", n), Index("k", d)
    phi = applied(Entrywise(sp.tanh(X)), (p.entry(i, k) * p.entry(j, k)).summed(k))
    u, z = Tensor("u", (n,)), Tensor("z", (n,))
    assert (phi * u.entry(i) * z.entry(j)).summed(i, j) == (phi * u.entry(j) * z.entry(i)).summed(i, j)


# --- random networks against automatic differentiation ----------------------------------------

FUNCTIONS = {
    "tanh": (sp.tanh(X), jnp.tanh),
    "sin": (sp.sin(X), jnp.sin),
    "exp": (sp.exp(X / 4) * 4, lambda t: 4 * jnp.exp(t / 4)),
}
SHAPES = {"T": (n, m), "R": (n, n, d), "u": (m,), "w": (d,)}


def _network(rng: random.Random, depth: int):
    """A random scalar form, and the same for JAX as a function of arrays: sums of products of tensors and of φ of such sums."""
    terms, readings = [], []
    for _ in range(rng.randint(1, 2)):
        indices = [Index(f"{depth}.{k}", size) for k, size in enumerate((n, m, d, n))]
        factors, written, operands = [], [], []
        for _ in range(rng.randint(1, 3)):
            name = rng.choice(list(SHAPES))
            at = [rng.choice([i for i in indices if i.size == size]) for size in SHAPES[name]]
            factors.append(Tensor(name, SHAPES[name]).entry(*at))
            written.append(at)
            operands.append(name)
        inside = None
        if depth:
            form, inside, free = _inner(rng, depth - 1, indices)
            factors.append(form)
            written.append(free)
        total = Form.constant(rng.choice([1, 2, sp.Rational(1, 3), -1]))
        scale = float(next(iter(total.terms.values())))
        for factor in factors:
            total = total * factor
        terms.append(total.summed(*total.free))
        letters = {i: chr(97 + k) for k, i in enumerate(indices)}
        subscripts = ",".join("".join(letters[i] for i in at) for at in written) + "->"
        readings.append(
            lambda z, s=subscripts, o=tuple(operands), c=scale, f=inside: (
                c * jnp.einsum(s, *(z[k] for k in o), *([f(z)] if f else []))
            )
        )
    return added(terms), lambda z: sum(r(z) for r in readings)


def _inner(rng, depth, indices):
    """φ of a random linear combination of entries, with one or two free indices."""
    name = rng.choice(["T", "u", "w"])
    at = [rng.choice([i for i in indices if i.size == size]) for size in SHAPES[name]]
    free = list(dict.fromkeys(at))
    form = Tensor(name, SHAPES[name]).entry(*at)
    scalar, value = (Form.constant(0), lambda z: 0.0) if not depth else _network(rng, depth - 1)
    label, (function, of_jax) = rng.choice(list(FUNCTIONS.items()))
    total = Form.of(free, [(c, f, ()) for f, c in added([form.scaled(sp.Rational(1, 2)), scalar]).terms.items()])
    letters = {i: chr(97 + k) for k, i in enumerate(free)}
    subscripts = "".join(letters[i] for i in at) + "->" + "".join(letters[i] for i in free)
    assert label
    return applied(Entrywise(function), total), lambda z: of_jax(0.5 * jnp.einsum(subscripts, z[name]) + value(z)), free


def _check_network(seed):
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    form, function = _network(rng, rng.randint(0, 2))
    values = {k: numbers.standard_normal([SIZE[s] for s in shape]) / 2 for k, shape in SHAPES.items()}
    arrays = Arrays(values, SIZE, np)
    right = float(function(values))
    assert float(arrays.value(form)) == pytest.approx(right, rel=1e-10, abs=1e-10)
    name = rng.choice(list(SHAPES))
    slots = tuple(Index(f"p{k}", s) for k, s in enumerate(SHAPES[name]))
    tensor = Tensor(name, SHAPES[name])
    slope = derivative(form, tensor, slots)
    gradient = jax.grad(lambda t: function({**values, name: t}))(values[name])
    scale = 1 + np.abs(gradient).max()
    assert np.abs(arrays.value(slope) - gradient).max() < 1e-10 * scale
    direction = numbers.standard_normal(values[name].shape)
    along = Tensor("v", SHAPES[name]).entry(*slots)
    twice = derivative((slope * along).summed(*slots), tensor, slots)
    _, curved = jax.jvp(jax.grad(lambda t: function({**values, name: t})), (values[name],), (direction,))
    found = Arrays({**values, "v": direction}, SIZE, np).value(twice)
    assert np.abs(found - curved).max() < 1e-9 * (1 + np.abs(curved).max())


@pytest.mark.parametrize("seed", range(20))
def test_random_networks(seed):
    _check_network(seed)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(20, 200))
def test_more_random_networks(seed):
    _check_network(seed)


# --- values -----------------------------------------------------------------------------------


def test_exact_values():
    reader = _reader(W, x, a)
    form = reader.scalar(a.T * (W * x).applyfunc(sp.tanh))
    entries = {
        "W": np.array(sp.symbols("W0:12"), dtype=object).reshape(4, 3),
        "x": np.array([1, 2, 3], dtype=object),
        "a": np.array([1, 0, sp.Rational(1, 2), 0], dtype=object),
    }
    found = np.asarray(ExactArrays(entries, SIZE, np).value(form))
    w0 = entries["W"]
    right = sp.tanh(w0[0, 0] + 2 * w0[0, 1] + 3 * w0[0, 2]) + sp.tanh(w0[2, 0] + 2 * w0[2, 1] + 3 * w0[2, 2]) / 2
    assert sp.expand(found.item() - right) == 0


def test_the_same_in_jax():
    reader = _reader(W, x, a)
    form = reader.scalar(a.T * (W * x).applyfunc(sp.tanh))
    arrays = _arrays(reader, np.random.default_rng(3))
    there = Arrays({k: jnp.asarray(t) for k, t in arrays.tensors.items()}, SIZE, jnp, ("jax",))
    assert float(there.value(form)) == pytest.approx(float(arrays.value(form)), rel=1e-14)
