"""Derivatives of forms by the entries of a tensor. The calculus is closed under them."""

from functools import lru_cache

import sympy as sp

from symbolic_sgd.tensors.forms import DELTA, Applied, Factor, Form, Index, Raw, Tensor, applied, shifted


def derivative(form: Form, tensor: Tensor, at: tuple[Index, ...]) -> Form:
    """∂form/∂T[p, q, …], with p, q, … as further free indices.

    Args:
        form: what is differentiated.
        tensor: T.
        at: p, q, …, none of them an index of the form.

    >>> n = sp.Symbol("n")
    >>> a, p = Index("a", n), Index("p", n)
    >>> u = Tensor("u", (n,))
    >>> square = (u.entry(a) * u.entry(a)).summed(a)
    >>> derivative(square, u, (p,)) == u.entry(p).scaled(2)
    True
    """
    raw: list[Raw] = []
    for factors, coefficient in form.terms.items():
        above = 1 + max((int(i.name) for f in factors for i in f.at if i.bound), default=-1)
        for k, (head, indices) in enumerate(factors):
            rest = (*factors[:k], *factors[k + 1 :])
            if head == tensor:
                deltas = (Factor(DELTA, pair) for pair in zip(indices, at, strict=True))
                raw.append((coefficient, (*rest, *deltas), ()))
            elif isinstance(head, Applied):
                names = dict(zip(head.inner.free, indices, strict=True))
                for inner, c in _chain(head, tensor, at).terms.items():
                    moved = [f._replace(at=tuple(names.get(i, i) for i in f.at)) for f in shifted(inner, above)]
                    raw.append((coefficient * c, (*rest, *moved), ()))
    return Form.of((*form.free, *at), raw)


@lru_cache(maxsize=4096)
def _chain(head: Applied, tensor: Tensor, at: tuple[Index, ...]) -> Form:
    """φ′(E)·∂E."""
    inside = derivative(head.inner, tensor, at)
    if inside.is_zero:
        return inside
    factor, slope = head.function.prime()
    if factor == 0:
        return Form.of(inside.free, [])
    outside = Form.constant(sp.S.One) if slope is None else applied(slope, head.inner)
    return (outside * inside).scaled(factor)
