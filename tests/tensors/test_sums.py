"""Forms as SymPy's sums, read literally, against their arrays."""

import random

import numpy as np
import pytest
import sympy as sp
from literal_sums import interpreted

from symbolic_sgd.tensors.entrywise import Entrywise, X
from symbolic_sgd.tensors.evaluation import Arrays
from symbolic_sgd.tensors.forms import Form, Index, Tensor, added, applied
from symbolic_sgd.tensors.sums import Sums

n, d = sp.symbols("n d", integer=True, positive=True)
SIZE = {n: 3, d: 4}
Z, C, U, V, Y = (
    Tensor("z", (n, d), 1),
    Tensor("c", (n, n), 2),
    Tensor("u", (d,)),
    Tensor("v", (d,)),
    Tensor("y", (n,), 1),
)
LETTERS = {
    "coordinates": sp.symbols("j l", integer=True),
    "samples": sp.symbols("m k q", integer=True),
}
FREE = Index("i", n), sp.Symbol("i", integer=True)
SUMS = Sums(
    lambda tensor, at: sp.IndexedBase(tensor.name)[at],
    lambda tensor, slot: "samples" if slot < tensor.labels else "coordinates",
    LETTERS,
)


def _form(rng: random.Random) -> Form:
    """Σ c Π of entries and functions of entries, with the free index i and up to two summed ones of each kind."""
    terms = []
    for _ in range(rng.randint(1, 4)):
        samples, coordinates = [FREE[0], Index("s", n), Index("t", n)], [Index("a", d), Index("b", d)]
        factors = [Y.entry(FREE[0])]
        for _ in range(rng.randint(1, 5)):
            i, j = rng.choice(samples), rng.choice(coordinates)
            entry = rng.choice([Z.entry(i, j), C.entry(i, rng.choice(samples)), U.entry(j), V.entry(j), Y.entry(i)])
            function = rng.choice([None, None, sp.tanh(X), X ** sp.Rational(1, 2), sp.exp(X)])
            if function is not None:
                inside = entry * U.entry(j) if function == sp.tanh(X) else entry * entry
                entry = applied(Entrywise(function), inside)
            factors.append(entry)
        product = Form.constant(sp.Rational(rng.randint(-6, 6) or 1, rng.randint(1, 4)))
        for factor in factors:
            product = product * factor
        terms.append(product.summed(*(i for i in product.free if i != FREE[0])))
    return added(terms)


@pytest.mark.parametrize("seed", range(40))
def test_sums_say_what_the_arrays_are(seed):
    form, rng = _form(random.Random(seed)), np.random.default_rng(seed)
    tensors = {t.name: rng.standard_normal([SIZE[s] for s in t.shape]) for t in (Z, C, U, V, Y)}
    expected = Arrays(tensors, SIZE, np).value(form)
    written = SUMS.written(form, dict([FREE]))
    found = [interpreted(written, {**tensors, **SIZE, FREE[1]: k + 1}) for k in range(SIZE[n])]
    assert np.allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_common_factors_stand_in_front():
    a, s = Index("a", d), Index("s", n)
    squares = Z.entry(s, a) * Z.entry(s, a)
    weighted = squares * (Y.entry(s) - Y.entry(s) * Y.entry(s)) * (U.entry(a) * U.entry(a) + V.entry(a) * V.entry(a))
    j, m = LETTERS["coordinates"][0], LETTERS["samples"][0]
    z, u, v, y = map(sp.IndexedBase, "zuvy")
    inner = sp.Sum((1 - y[m]) * y[m] * z[m, j] ** 2, (m, 1, n))
    assert SUMS.written(weighted.summed(a, s)) == sp.Sum((u[j] ** 2 + v[j] ** 2) * inner, (j, 1, d))
