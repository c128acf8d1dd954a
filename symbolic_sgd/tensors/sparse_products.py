"""Products of two arrays of which one is a SciPy sparse matrix."""

from typing import Any

import numpy as np

Places = tuple[int, ...]


def is_sparse(array: Any) -> bool:
    """Whether it is a sparse matrix of SciPy."""
    return hasattr(array, "tocsr")


def dense(array: Any) -> Any:
    """As an array of NumPy."""
    return array.toarray() if is_sparse(array) else array


def sparse_pair(a: tuple[Any, Places], b: tuple[Any, Places], kept: set[int]) -> tuple[Any, Places] | None:
    """The product of two arrays, summed over what is not kept, or None where it would have more than two axes of the sparse one's.

    Args:
        a, b: arrays with the index at each of their axes, one of them sparse or both.
        kept: the indices that are not summed over.

    >>> from scipy import sparse
    >>> found, at = sparse_pair((sparse.csr_array([[0.0, 2.0]]), (0, 1)), (np.array([3.0, 4.0]), (1,)), {0})
    >>> found, at
    (array([8.]), (0,))
    """
    if not is_sparse(a[0]):
        a, b = b, a
    (left, at), (right, places) = a, b
    if set(places) <= set(at):
        return _entry_by_entry(left, at, right, places, kept)
    shared = [i for i in at if i in places]
    if len(shared) != 1 or shared[0] in kept:
        return None
    (inner,) = shared
    row = left if at[1] == inner else left.T
    outer = next(i for i in at if i != inner)
    if is_sparse(right):
        column = right if places[0] == inner else right.T
        return (row @ column).toarray(), (outer, next(i for i in places if i != inner))
    rest = tuple(i for i in places if i != inner)
    turned = np.moveaxis(right, places.index(inner), 0)
    found = row @ turned.reshape(len(turned), -1)
    return found.reshape(-1, *turned.shape[1:]), (outer, *rest)


def _entry_by_entry(left: Any, at: Places, right: Any, places: Places, kept: set[int]) -> tuple[Any, Places]:
    """By numbers, vectors or matrices of the same two indices."""
    if len(places) == 1 and places[0] not in kept:
        (inner,) = places
        outer = at[1 - at.index(inner)]
        return ((left if at[1] == inner else left.T) @ right), (outer,)
    if len(places) == 2 and places != at:
        right = right.T
    if len(places) == 1:
        right = right[:, None] if places[0] == at[0] else right[None, :]
    product = left.multiply(right).tocsr()
    summed = tuple(k for k, i in enumerate(at) if i not in kept)
    if not summed:
        return product, at
    found = np.asarray(product.sum(axis=None if len(summed) == 2 else summed[0]))
    return found, tuple(i for i in at if i in kept)
