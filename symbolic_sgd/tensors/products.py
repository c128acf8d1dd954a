"""Products of sums: multiplied out, or with the sums as factors, whichever is shorter."""

from collections.abc import Sequence
from math import prod

from symbolic_sgd.tensors.entrywise import Entrywise, X
from symbolic_sgd.tensors.forms import Form, applied

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
