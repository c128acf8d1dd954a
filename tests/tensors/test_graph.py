"""Sums that stay factors: their values, derivatives and normal forms against the same products multiplied out."""

import random
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd.tensors.derivative import derivative
from symbolic_sgd.tensors.entrywise import Entrywise, X
from symbolic_sgd.tensors.evaluation import Arrays, ExactArrays
from symbolic_sgd.tensors.forms import Form, Index, Tensor, added, applied, delta
from symbolic_sgd.tensors.products import bracketed, multiplied_out, product, vanishes, without_brackets

n, m = sp.symbols("n m", integer=True, positive=True)
SIZE = {n: 3, m: 2}
a, b, k = Index("a", n), Index("b", n), Index("k", m)
TENSORS = {"u": Tensor("u", (n,)), "v": Tensor("v", (n,)), "T": Tensor("T", (n, n)), "B": Tensor("B", (n, m))}


def _values(seed):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal([SIZE[s] for s in t.shape]) for name, t in TENSORS.items()}


def _summand(rng, at):
    """A product of a few entries with free indices among those of at."""
    name = rng.choice(list(TENSORS))
    indices = [k if size == m else rng.choice(at) for size in TENSORS[name].shape]
    form = TENSORS[name].entry(*indices)
    if k in form.free:
        form = form * TENSORS["B"].entry(rng.choice(at), k)
        form = form.summed(k)
    return form.scaled(rng.choice([1, -1, 2, sp.Rational(1, 3)]))


def _sums(rng, at, depth):
    """Random sums, some of which hold functions and products of others."""
    terms = [_summand(rng, at) for _ in range(rng.randint(2, 3))]
    if rng.random() < 0.3:
        terms.append(delta(*rng.sample(at, 2)))
    if depth:
        inner = _sums(rng, at, depth - 1)
        other = _sums(rng, at, depth - 1)
        terms.append(applied(Entrywise(rng.choice([sp.tanh(X), sp.sin(X)])), inner))
        terms.append(bracketed(inner) * bracketed(other))
    return added(terms)


@pytest.mark.parametrize("seed", range(25))
def test_brackets_change_no_value(seed):
    rng = random.Random(seed)
    form = multiplied_out([bracketed(_sums(rng, [a, b], seed % 2)) for _ in range(2)]).summed(a)
    opened = without_brackets(form)
    assert not any(getattr(head, "is_sum", False) for factors in opened.terms for head, _ in factors)
    arrays = Arrays(_values(seed), SIZE, np)
    for one, other in ((form, opened), *((_slope(form, t), _slope(opened, t)) for t in TENSORS.values())):
        found, right = arrays.value(one), Arrays(_values(seed), SIZE, np).value(other)
        assert np.abs(found - right).max() <= 1e-11 * (1 + np.abs(right).max())


@pytest.mark.parametrize("seed", range(15))
def test_second_derivatives_of_brackets(seed):
    rng = random.Random(100 + seed)
    form = multiplied_out([bracketed(_sums(rng, [a, b], 1)) for _ in range(2)]).summed(a, b)
    tensor, other = TENSORS[rng.choice("uT")], TENSORS[rng.choice("vB")]
    found = _slope(_slope(form, tensor), other, "q")
    right = _slope(_slope(without_brackets(form), tensor), other, "q")
    one, two = (Arrays(_values(seed), SIZE, np).value(f) for f in (found, right))
    assert np.abs(one - two).max() <= 1e-10 * (1 + np.abs(two).max())


def _slope(form, tensor, letter="p"):
    return derivative(form, tensor, tuple(Index(f"{letter}{j}", s) for j, s in enumerate(tensor.shape)), (a, b))


def test_a_slope_that_many_terms_share_stays_one_factor():
    """E₃ = E₂ + T tanh(E₂), E₂ = E₁ + T tanh(E₁): the slope by E₁ is used twice, and held once."""
    u, t, v = TENSORS["u"], TENSORS["T"], TENSORS["v"]

    def state(before):
        inner = applied(Entrywise(sp.tanh(X)), before).renamed({a: b})
        return added([bracketed(before), (t.entry(a, b) * inner).summed(b)])

    e = u.entry(a)
    for _ in range(6):
        e = state(e)
    f = (e * v.entry(a)).summed(a)
    slope = _slope(f, u)
    assert len(slope.terms) == 2
    values = _values(3)
    step = 1e-6

    def number(direction):
        moved = {**values, "u": values["u"] + direction}
        return float(Arrays(moved, SIZE, np).value(f))

    found = Arrays(values, SIZE, np).value(slope)
    right = [(number(step * row) - number(-step * row)) / (2 * step) for row in np.eye(3)]
    assert np.allclose(found, right, rtol=1e-6)


def test_equal_sums_are_equal_factors():
    u, v, t = (TENSORS[name] for name in "uvT")
    one = product([u.entry(a) + v.entry(a), t.entry(a, b) + delta(a, b)]).summed(a)
    other = product([delta(b, a) + t.entry(a, b), v.entry(a) + u.entry(a)]).summed(a)
    assert one == other and len(one.terms) == 1


def test_a_single_term_has_no_brackets():
    """A sum that vanishes at a diagonal vanishes, and one of equal terms there is one of them."""
    u, t = TENSORS["u"], TENSORS["T"]
    turned = bracketed(t.entry(a, b) - t.entry(b, a))
    assert (turned * delta(a, b) * u.entry(b)).summed(a, b).is_zero
    doubled = bracketed(t.entry(a, b) + t.entry(b, a))
    assert (doubled * delta(a, b)).summed(a, b) == t.entry(a, a).summed(a).scaled(2)


def test_functions_of_a_diagonal_keep_their_numbers():
    """tanh(δ_aa) is tanh(1), also where nothing else stands in the term."""
    one = applied(Entrywise(sp.tanh(X)), delta(a, b))
    assert one.renamed({b: a}).terms == {(): sp.tanh(1)}
    assert (one * delta(a, b)).summed(a, b) == Form.constant(n * sp.tanh(1))


def test_products_are_multiplied_out_where_that_is_shorter():
    u, v, t, w = (TENSORS["u"].entry(a), TENSORS["v"].entry(a), TENSORS["T"].entry(a, a), TENSORS["B"].entry(a, k))
    assert len(product([u + v, u - v]).terms) == 2
    assert len(product([u + v, u + v]).terms) == 3
    assert len(product([u + v, t]).terms) == 2
    assert len(product([u + v, t + w]).terms) == 1


def test_sums_that_cancel_are_seen_where_they_are_short():
    u, v, w = TENSORS["u"].entry(a), TENSORS["v"].entry(a), TENSORS["T"].entry(a, b)
    form = bracketed(u + v) * bracketed(w + delta(a, b)) - multiplied_out([u + v, w + delta(a, b)])
    assert not form.is_zero and vanishes(form)
    assert not vanishes(form + u)


def test_values_follow_the_arrays():
    """What is held of a sum is not used for other arrays."""
    form = (bracketed(TENSORS["u"].entry(a) + TENSORS["v"].entry(a)) * TENSORS["u"].entry(a)).summed(a)
    arrays = Arrays(_values(0), SIZE, np)
    arrays.value(form)
    other = _values(1)
    found = replace(arrays, tensors=other).value(form)
    assert float(found) == pytest.approx((other["u"] + other["v"]) @ other["u"], rel=1e-14)


def test_exact_values_of_brackets():
    form = (bracketed(TENSORS["u"].entry(a) + TENSORS["v"].entry(a)) * TENSORS["u"].entry(a)).summed(a)
    entries = {name: np.array(sp.symbols(f"{name}0:3"), dtype=object) for name in "uv"}
    right = sum((p + q) * p for p, q in zip(entries["u"], entries["v"], strict=True))
    assert sp.expand(np.asarray(ExactArrays(entries, SIZE, np).value(form)).item() - right) == 0
