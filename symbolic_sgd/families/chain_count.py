"""The rank of the gradients of a chain F = P_1 P_2 ⋯ P_k of matrices, some of which are trained.

dF = Σ_j (P_1⋯P_{j−1}) dP_j (P_{j+1}⋯P_k), over the trained ones, takes all values in Σ_j C_j ⊗ R_j with the column space C_j of what
stands before P_j, and the row space R_j of what stands behind it. The C_j become smaller with j and the R_j larger, so that in bases that
fit both flags the sum is spanned by the pairs (a, b) with a ≤ dim C_j, b ≤ dim R_j for some j: a staircase of

    M = Σ_j dim R_j (dim C_j − dim C_j′),  j′ the next one that is trained, dim C = 0 behind the last.

Where every product of neighbours has the largest rank that its sizes allow, the dimensions are the smallest sizes.
"""

from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.tensors.forms import Factors, Index, Tensor

Link = tuple[Tensor, Any, Any]
"""A matrix of a chain, with the indices before and behind it; None where it is a vector that ends the chain."""


def chain_of(factors: Factors) -> list[Link] | None:
    """The matrices of a product in their order, where it is a chain of different ones; else None."""
    heads = [head for head, _ in factors]
    matrices = [(head, at) for head, at in factors if isinstance(head, Tensor) and len(at) in (1, 2)]
    if len(matrices) < len(factors) or len(set(heads)) < len(heads):
        return None
    places: dict[Index, list[int]] = {}
    for k, (_, at) in enumerate(matrices):
        for i in at:
            places.setdefault(i, []).append(k)
    if any(len(seen) != (2 if i.bound else 1) or len(set(seen)) < len(seen) for i, seen in places.items()):
        return None
    ends = [k for k, (_, at) in enumerate(matrices) if sum(i.bound for i in at) < 2]
    return _walked(matrices, places, ends[0]) if len(ends) == 2 else None


def _walked(matrices: list[Any], places: dict[Index, list[int]], first: int) -> list[Link] | None:
    found: list[Link] = []
    k, before = first, next((i for i in matrices[first][1] if not i.bound), None)
    while True:
        head, at = matrices[k]
        behind = next((i for i in at if i != before), None)
        found.append((head, before, behind))
        if behind is None or not behind.bound:
            return found if len(found) == len(matrices) else None
        k, before = next(m for m in places[behind] if m != k), behind


def chain_rank(links: list[Link], trained: Any) -> Expression:
    """M, where every product of neighbours has the largest rank that its sizes allow.

    Args:
        links: of the chain.
        trained: those of its matrices that are parameters.

    >>> p, m, q = sp.symbols("p m q", integer=True, positive=True)
    >>> a, b, c = Index("a", p), Index("b", m), Index("c", q)
    >>> left, right = Tensor("A", (p, m)), Tensor("B", (m, q))
    >>> rank = chain_rank([(left, a, b), (right, b, c)], [left, right])
    >>> rank.subs({p: 3, m: 2, q: 4}), rank.subs({p: 3, m: 5, q: 4})
    (10, 12)
    """
    sizes = [_size(links[0][1]), *(_size(behind) for _, _, behind in links)]
    dims = [
        (sp.Min(*sizes[: k + 1]), sp.Min(*sizes[k + 1 :])) for k, (head, _, _) in enumerate(links) if head in trained
    ]
    following = [c for c, _ in dims[1:]] + [sp.S.Zero]
    return sp.Add(*(rows * (columns - after) for (columns, rows), after in zip(dims, following, strict=True)))


def _size(index: Index | None) -> Any:
    return sp.S.One if index is None else sp.sympify(index.size)
