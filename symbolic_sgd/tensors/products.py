"""Products of sums: multiplied out, or with the sums as factors, whichever is shorter."""

from collections.abc import Sequence
from math import prod

import sympy as sp

from symbolic_sgd.tensors.entrywise import Entrywise, X
from symbolic_sgd.tensors.forms import Applied, Factor, Form, Index, applied

LARGEST_TRIED = 64
"""Terms of a product that is multiplied out to see how many of them are left."""


def bracketed(form: Form) -> Form:
    """A sum as one factor: φ(E) with φ(x) = x; a single term as it is."""
    return form if len(form.terms) < 2 else applied(Entrywise(X), form)


def multiplied_out(forms: Sequence[Form]) -> Form:
    """Their product as a sum of products."""
    found = Form.constant(1)
    for form in forms:
        found = found * form
    return found


def without_brackets(form: Form) -> Form:
    """The same with every sum multiplied out: only so it is seen that (U + V)W and UW + VW are equal.

    >>> import sympy as sp
    >>> from symbolic_sgd.tensors.forms import Index, Tensor
    >>> a = Index("a", sp.Symbol("n"))
    >>> u, v, w = (Tensor(name, (a.size,)).entry(a) for name in "uvw")
    >>> without_brackets(bracketed(u + v) * w - (u * w + v * w)).is_zero
    True
    """
    pieces = [Form.of(form.free, [])]
    for factors, c in form.terms.items():
        names = {i: Index(f"Σ{i.name}", i.size) for f in factors for i in f.at if i.bound}
        renamed = (Factor(head, tuple(names.get(i, i) for i in at)) for head, at in factors)
        pieces.append((multiplied_out([_opened(f) for f in renamed])).scaled(c).summed(*names.values()))
    return Form.of(form.free, ((c, f, ()) for piece in pieces for f, c in piece.terms.items()))


def _opened(factor: Factor) -> Form:
    head, at = factor
    if not isinstance(head, Applied):
        return Form.of(at, [(sp.S.One, (factor,), ())])
    inner = without_brackets(head.inner)
    opened = inner if head.is_sum else applied(head.function, inner)
    return opened.renamed(dict(zip(head.inner.free, at, strict=True)))


def length_without_brackets(form: Form) -> int:
    """How many terms it has at most."""
    sums = lambda factors: (h.inner for h, _ in factors if isinstance(h, Applied) and h.is_sum)  # noqa: E731 (one use)
    return sum(prod(map(length_without_brackets, sums(factors))) for factors in form.terms)


def vanishes(form: Form) -> bool:
    """Whether it is seen to be 0, also by multiplying out what is not long."""
    return form.is_zero or (length_without_brackets(form) <= LARGEST_TRIED and without_brackets(form).is_zero)


def product(forms: Sequence[Form]) -> Form:
    """Their product; where it would have no fewer terms than its sums have together, each of these is one factor.

    Args:
        forms: with the indices that they share as free ones.

    >>> import sympy as sp
    >>> from symbolic_sgd.tensors.forms import Index, Tensor
    >>> n = sp.Symbol("n")
    >>> a = Index("a", n)
    >>> u, v, w, z = (Tensor(name, (n,)).entry(a) for name in "uvwz")
    >>> len(product([u + v, w + z]).terms), len(product([u + v, u - v]).terms), len(product([u + v, w]).terms)
    (1, 2, 2)
    """
    sums = [len(form.terms) for form in forms if len(form.terms) > 1]
    if len(sums) < 2:
        return multiplied_out(forms)
    if prod(sums) <= LARGEST_TRIED:
        found = multiplied_out(forms)
        if len(found.terms) < sum(sums):
            return found
    return multiplied_out([bracketed(form) for form in forms])
