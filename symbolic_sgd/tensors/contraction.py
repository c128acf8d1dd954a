"""Sums of products of arrays, two at a time, as products of batches of matrices, in any array module."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from symbolic_sgd.tensors.sparse_products import dense, is_sparse, sparse_pair

Places = tuple[int, ...]
"""The index at each axis of an array."""


Products = dict[Any, tuple[Any, Any, tuple[Any, Places]]]
"""Products that were formed, with their operands (which are kept, so that no other array comes to have their id)."""


def contracted(
    operands: Sequence[tuple[Any, Places]], wanted: Places, module: Any, known: Products | None = None
) -> Any:
    """Σ over every index that is not wanted, of the product of the operands.

    Args:
        operands: arrays with the index at each of their axes; an index may stand in any number of them. With NumPy some may be
            SciPy's sparse matrices.
        wanted: the axes of the result, each an index of some operand.
        module: numpy, jax.numpy or torch.
        known: products of two that are not formed again; new ones are added where they are no larger than their operands.

    >>> import numpy as np
    >>> a = np.arange(6.0).reshape(2, 3)
    >>> contracted([(a, (0, 1)), (a, (2, 1)), (a, (0, 1))], (2,), np)
    array([ 75., 240.])
    """
    given = [(_array(array), at) for array, at in operands]
    thinned = [_thinned(array, at, others, wanted, module) for array, at, others in _with_others(given)]
    todo = [(_array(array), at) for array, at in _halved(thinned, wanted)]
    sizes = tuple(sorted({(i, int(s)) for a, at in todo for i, s in zip(at, a.shape, strict=True)}))
    for left, right in _order(tuple(at for _, at in todo), wanted, sizes):
        b, a = todo.pop(right), todo.pop(left)
        kept = {i for _, at in todo for i in at} | set(wanted)
        product, at = _pair(a, b, kept, module) if known is None else _known_pair(a, b, kept, module, known)
        todo.append((_array(product), at))
    array, at = dense(todo[0][0]), todo[0][1]
    return (
        module.permute(array, tuple(at.index(i) for i in wanted))
        if hasattr(module, "permute")
        else array.transpose(tuple(at.index(i) for i in wanted))
    )


def _array(value: Any) -> Any:
    """NumPy gives a SymPy number, and no array, where an array of objects has no axes left."""
    return value if hasattr(value, "shape") else np.asarray(value, dtype=object)


def _with_others(operands: Sequence[tuple[Any, Places]]) -> list[tuple[Any, Places, set[int]]]:
    return [
        (array, at, {i for m, (_, other) in enumerate(operands) if m != k for i in other})
        for k, (array, at) in enumerate(operands)
    ]


def _thinned(array: Any, at: Places, others: set[int], wanted: Places, module: Any) -> tuple[Any, Places]:
    """Its diagonal at repeated indices, summed over what stands nowhere else."""
    letters = {i: chr(97 + k) for k, i in enumerate(dict.fromkeys(at))}
    kept = tuple(i for i in letters if i in others or i in wanted)
    if kept == at:
        return array, at
    array = dense(array)
    return module.einsum("".join(letters[i] for i in at) + "->" + "".join(letters[i] for i in kept), array), kept


def _halved(operands: list[tuple[Any, Places]], wanted: Places) -> list[tuple[Any, Places]]:
    """Σ_j A_ij A_kj w_j as BBᵀ with B = A√w, of which libraries compute half, where w ≥ 0 is all that else stands on j."""
    if len(operands) != 3 or len(set(wanted)) != 2:
        return operands
    for k, (w, at) in enumerate(operands):
        on = [(m, array, places) for m, (array, places) in enumerate(operands) if m != k and set(at) & set(places)]
        if len(at) != 1 or len(on) != 2 or not isinstance(w, np.ndarray) or w.dtype.kind != "f":
            continue
        (first, array, places), (second, other, others) = on
        slot = places.index(at[0])
        gram = array is other and {*places, *others} == {*at, *wanted} and others.index(at[0]) == slot
        if at[0] in wanted or not gram or not (w >= 0).all():
            continue
        root, _ = _pair((array, places), (np.sqrt(w), at), {*places}, np)
        done = {first: (root, places), second: (root, others)}
        return [done.get(m, operand) for m, operand in enumerate(operands) if m != k]
    return operands


@lru_cache(maxsize=4096)
def _order(
    places: tuple[Places, ...], wanted: Places, sizes: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Which two are multiplied next, the product standing last.

    Of all orders in which nothing larger than the operands and the result is held, it is the one of the fewest multiplications; where there
    is none, or there are many operands, those two are next that add least to what is held.
    """
    size, todo = dict(sizes), tuple(frozenset(at) for at in places)
    largest = max(prod(size[i] for i in at) for at in (*todo, wanted))
    fewest = _fewest(todo, frozenset(wanted), size, largest)[1] if len(todo) <= SEARCHED else None
    return _greedy(todo, frozenset(wanted), size) if fewest is None else fewest


Held = tuple[frozenset[int], ...]

SEARCHED = 6
"""Operands up to which all orders are looked at (2,700 of them)."""


def _merged(todo: Held, left: int, right: int, wanted: frozenset[int]) -> tuple[Held, frozenset[int]]:
    """What is held after a product, which stands last, and its indices before it is summed."""
    rest = tuple(at for k, at in enumerate(todo) if k not in (left, right))
    both = todo[left] | todo[right]
    return (*rest, both & wanted.union(*rest)), both


def _fewest(
    todo: Held, wanted: frozenset[int], size: dict[int, int], largest: int
) -> tuple[float, tuple[tuple[int, int], ...] | None]:
    if len(todo) == 1:
        return 0, ()
    best: tuple[float, tuple[tuple[int, int], ...] | None] = (float("inf"), None)
    for left, right in combinations(range(len(todo)), 2):
        held, both = _merged(todo, left, right, wanted)
        if prod(size[i] for i in held[-1]) <= largest:
            cost, order = _fewest(held, wanted, size, largest)
            cost += prod(size[i] for i in both)
            if order is not None and cost < best[0]:
                best = cost, ((left, right), *order)
    return best


def _greedy(todo: Held, wanted: frozenset[int], size: dict[int, int]) -> tuple[tuple[int, int], ...]:
    held, stands, costs = dict(enumerate(todo)), Counter[int](), dict[tuple[int, int], tuple[int, int]]()
    number = lambda at: prod(size[i] for i in at)  # noqa: E731

    def merged(pair: tuple[int, int]) -> tuple[frozenset[int], frozenset[int]]:
        a, b = held[pair[0]], held[pair[1]]
        return frozenset(i for i in a | b if stands[i] > (i in a) + (i in b)), a | b

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        left, both = merged(pair)
        return number(left) - number(held[pair[0]]) - number(held[pair[1]]), number(both)

    found = []
    changed = frozenset(size)
    while len(held) > 1:
        stands = Counter(i for at in (*held.values(), wanted) for i in at)
        last = frozenset(i for i in changed if stands[i] <= 2)  # of the others no pair has all places
        pairs = combinations(held, 2)
        costs = {p: costs[p] if p in costs and not (held[p[0]] | held[p[1]]) & last else cost(p) for p in pairs}
        best = min(costs, key=lambda pair: costs[pair])
        order = list(held)
        found.append((order.index(best[0]), order.index(best[1])))
        left, changed = merged(best)
        held = {k: at for k, at in held.items() if k not in best} | {max(held) + 1: left}
    return tuple(found)


def _known_pair(
    a: tuple[Any, Places], b: tuple[Any, Places], kept: set[int], module: Any, known: Products
) -> tuple[Any, Places]:
    """The product by its pattern of indices, whatever their names are, and whichever operand comes first."""
    for left, right in ((a, b), (b, a)):
        key, names = _pattern(left, right, kept)
        if key in known:
            array, at = known[key][2]
            return array, tuple(names[k] for k in at)
    key, names = _pattern(a, b, kept)
    product, at = _pair(a, b, kept, module)
    array = _array(product)
    if prod(array.shape) <= max(prod(a[0].shape), prod(b[0].shape)):
        known[key] = a[0], b[0], (array, tuple(names.index(i) for i in at))
    return array, at


def _pattern(a: tuple[Any, Places], b: tuple[Any, Places], kept: set[int]) -> tuple[Any, list[int]]:
    """What a product is known by, and its indices in their order."""
    (left, at_left), (right, at_right) = a, b
    names = list(dict.fromkeys(at_left + at_right))
    pattern = tuple(tuple(names.index(i) for i in at) for at in (at_left, at_right, [i for i in names if i in kept]))
    return (id(left), id(right), pattern), names


def _pair(a: tuple[Any, Places], b: tuple[Any, Places], kept: set[int], module: Any) -> tuple[Any, Places]:
    """The product of two arrays, summed over what is not kept."""
    if is_sparse(a[0]) or is_sparse(b[0]):
        found = sparse_pair(a, b, kept)
        if found is not None:
            return found
        a, b = (dense(a[0]), a[1]), (dense(b[0]), b[1])
    (left, at_left), (right, at_right) = a, b
    size = dict(zip(at_left + at_right, (*left.shape, *right.shape), strict=True))
    shared = [i for i in at_left if i in at_right]
    batch, inner = [i for i in shared if i in kept], [i for i in shared if i not in kept]
    rows, columns = [i for i in at_left if i not in at_right], [i for i in at_right if i not in at_left]
    if not inner and not (rows and columns):
        return (
            _spread(left, at_left, right, at_right, module)
            if not columns
            else _spread(right, at_right, left, at_left, module)
        )
    if _leads(at_left, at_right, inner, rows) and size[at_left[0]] * prod(
        size[i] for i in (*batch, *rows, *columns)
    ) <= max(prod(left.shape), prod(right.shape)):
        # Turned so that the first axis comes beside another, a large array would be copied.
        product, at = _pair(a, b, {*kept, at_left[0]}, module)
        place = at.index(at_left[0])
        return product.sum(place), (*at[:place], *at[place + 1 :])
    x = _arranged(left, at_left, (batch, rows, inner), size, module)
    y = _arranged(right, at_right, (batch, inner, columns), size, module)
    product = module.matmul(x, y)
    found = (*batch, *rows, *columns)
    return product.reshape(tuple(size[i] for i in found)), found


def _spread(large: Any, at: Places, small: Any, places: Places, module: Any) -> tuple[Any, Places]:
    """The product with an array on some of its axes, in its own order of axes, for which nothing is copied."""
    order = tuple(places.index(i) for i in at if i in places)
    turned = module.permute(small, order) if hasattr(module, "permute") else small.transpose(order)
    return large * turned.reshape(tuple(s if i in places else 1 for i, s in zip(at, large.shape, strict=True))), at


def _leads(at_left: Places, at_right: Places, inner: Sequence[int], rows: Sequence[int]) -> bool:
    """Whether the first axes are summed over, and rows lie between them and further such axes."""
    return at_left[:1] == at_right[:1] and at_left[:1] == tuple(inner[:1]) and len(inner) > 1 and len(rows) > 0


def _arranged(array: Any, at: Places, groups: Sequence[Sequence[int]], size: dict[int, int], module: Any) -> Any:
    """With three axes, each a group of indices."""
    axes = tuple(at.index(i) for group in groups for i in group)
    turned = module.permute(array, axes) if hasattr(module, "permute") else array.transpose(axes)
    return turned.reshape(tuple(prod(size[i] for i in group) for group in groups))
