"""Forms for many points at once: each tensor that differs from point to point has the number of the point as its first index."""

from collections.abc import Iterable

import sympy as sp

from symbolic_sgd.tensors.forms import Applied, Factor, Form, Index, Raw, Tensor, applied

REPLICA = Index("ρ", sp.Symbol("ρ", integer=True, positive=True))
"""The number of a point."""


def over_replicas(form: Form, differing: Iterable[str]) -> Form:
    """The form at every point, with `REPLICA` as its first free index.

    Args:
        form: at one point.
        differing: the names of tensors that have a value for each point.

    >>> a = Index("a", sp.Symbol("n"))
    >>> u, z = Tensor("u", (a.size,)), Tensor("z", (a.size,))
    >>> over_replicas((u.entry(a) * z.entry(a)).summed(a), ["u"]).free == (REPLICA,)
    True
    """
    names = frozenset(differing)
    raw: list[Raw] = []
    for factors, c in form.terms.items():
        total = Form.constant(c)
        for factor in factors:
            total = total * _factor(factor, names)
        raw += [(d, f, ()) for f, d in total.terms.items()]
    return Form.of((REPLICA, *form.free), [(c, _summed(f, form.free), ()) for c, f, _ in raw])


def _factor(factor: Factor, names: frozenset[str]) -> Form:
    head, at = factor
    own = tuple(_named(i) for i in at)
    if isinstance(head, Tensor) and head.name in names:
        swaps = None if head.swaps is None else tuple((0, *(k + 1 for k in swap)) for swap in head.swaps)
        lifted = Tensor(head.name, (REPLICA.size, *head.shape), swaps=swaps)
        return Form.of((REPLICA, *own), [(sp.S.One, (Factor(lifted, (REPLICA, *own)),), ())])
    if isinstance(head, Applied):
        inside = over_replicas(head.inner, names)
        known = dict(zip(head.inner.free, own, strict=True))
        return applied(head.function, inside).renamed(known)
    return Form.of(own, [(sp.S.One, (Factor(head, own),), ())])


def _named(index: Index) -> Index:
    """An index that is summed over, as a free one for as long as factors are multiplied."""
    return Index(f"Σ{index.name}", index.size) if index.bound else index


def _summed(factors: Iterable[Factor], free: tuple[Index, ...]) -> list[Factor]:
    """With the indices summed over again."""
    factors = list(factors)
    named = [
        i for i in dict.fromkeys(i for f in factors for i in f.at) if str(i.name).startswith("Σ") and i not in free
    ]
    numbers = {i: Index(-1 - k, i.size) for k, i in enumerate(named)}
    return [Factor(head, tuple(numbers.get(i, i) for i in at)) for head, at in factors]
