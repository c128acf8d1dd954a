"""Derivatives of forms by the entries of a tensor. The calculus is closed under them.

The chain rule is applied from without to within: for each E of a φ(E), the slopes by E of all that holds it are added up before E
is differentiated. Where several terms come of such a sum, and it is no larger than E, it stays one factor.
"""

from collections.abc import Collection

import sympy as sp

from symbolic_sgd.tensors.forms import DELTA, Applied, Factor, Form, Index, Raw, Tensor, added
from symbolic_sgd.tensors.products import bracketed

Slots = tuple[Index, ...]


def derivative(form: Form, tensor: Tensor, at: Slots, labels: Collection[Index] = ()) -> Form:
    """∂form/∂T[p, q, …], with p, q, … as further free indices.

    Args:
        form: what is differentiated.
        tensor: T.
        at: p, q, …, none of them an index of the form.
        labels: free indices that a sum which stays one factor may have besides those of E.

    >>> n = sp.Symbol("n")
    >>> a, p = Index("a", n), Index("p", n)
    >>> u = Tensor("u", (n,))
    >>> square = (u.entry(a) * u.entry(a)).summed(a)
    >>> derivative(square, u, (p,)) == u.entry(p).scaled(2)
    True
    """
    found = [_direct(form, tensor, at)]
    waiting = {inner: [slope] for inner, slope in _slopes(form, tensor).items()}
    while waiting:
        inner = max(waiting, key=lambda e: e.depth)
        slope, slots = added(waiting.pop(inner)), _slots(inner)
        inside = inner.renamed(dict(zip(inner.free, slots, strict=True)))
        direct, deeper = _direct(inside, tensor, at), _slopes(inside, tensor)
        if len(direct.terms) + sum(len(further.terms) for further in deeper.values()) > 1:
            slope = _one_factor(slope, {*slots, *labels})
        found.append((slope * direct).summed(*slots))
        for e, further in deeper.items():
            waiting.setdefault(e, []).append((slope * further).summed(*slots))
    return Form.of((*form.free, *at), ((c, f, ()) for part in found for f, c in part.terms.items()))


def _slots(inner: Form) -> Slots:
    """Names for the indices of E, which nothing without has."""
    return tuple(Index(f"~{inner.depth}.{i.name}", i.size) for i in inner.free)


def _direct(form: Form, tensor: Tensor, at: Slots) -> Form:
    """With every φ(E) held."""
    raw: list[Raw] = []
    for factors, coefficient in form.terms.items():
        for k, (head, indices) in enumerate(factors):
            if head == tensor:
                raw.append((coefficient, (*_without(factors, k), *_joined(indices, at)), ()))
    return Form.of((*form.free, *at), raw)


def _slopes(form: Form, tensor: Tensor) -> dict[Form, Form]:
    """By the entries of each E that depends on T, all else held."""
    raw: dict[Form, list[Raw]] = {}
    for factors, coefficient in form.terms.items():
        for k, (head, indices) in enumerate(factors):
            if not isinstance(head, Applied) or tensor not in head.inner.tensors:
                continue
            size, prime = head.function.prime()
            if size != 0:
                slope = () if prime is None else (Factor(Applied(prime, head.inner, head.swaps), indices),)
                outside = (*_without(factors, k), *slope, *_joined(indices, _slots(head.inner)))
                raw.setdefault(head.inner, []).append((coefficient * size, outside, ()))
    return {inner: Form.of((*form.free, *_slots(inner)), terms) for inner, terms in raw.items()}


def _without(factors: tuple[Factor, ...], k: int) -> tuple[Factor, ...]:
    return (*factors[:k], *factors[k + 1 :])


def _joined(one: Slots, other: Slots) -> list[Factor]:
    return [Factor(DELTA, pair) for pair in zip(one, other, strict=True)]


def _one_factor(slope: Form, allowed: Collection[Index]) -> Form:
    """A sum in brackets, the δ that all its terms have before them, unless it has other indices than those allowed."""
    if len(slope.terms) < 2:
        return slope
    common = set.intersection(*(set(factors) for factors in slope.terms))
    deltas = tuple(f for f in common if f.head is DELTA)
    rest = Form.of(slope.free, ((c, [f for f in fs if f not in deltas], ()) for fs, c in slope.terms.items()))
    if not rest.used <= set(allowed):
        return slope
    return bracketed(rest) * Form.of(slope.free, [(sp.S.One, deltas, ())])
