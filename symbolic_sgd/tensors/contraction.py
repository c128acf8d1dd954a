"""Sums of products of arrays, two at a time, as products of batches of matrices, in any array module."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from symbolic_sgd.tensors.sparse_products import dense, is_sparse, sparse_pair

Places = tuple[int, ...]
"""The index at each axis of an array."""


Pattern = tuple[Places, Places, Places]
"""The indices of the two operands of a product and those that are kept, by numbers in the order in which they stand."""

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
    places = tuple(at for _, at in operands)
    arrays = [_array(array) for array, _ in operands]
    for k, (subscripts, at) in enumerate(_thinnings(places, wanted)):
        if subscripts:
            arrays[k] = _array(module.einsum(subscripts, dense(arrays[k])))
            places = (*places[:k], at, *places[k + 1 :])
    if len(arrays) == 3:
        arrays, places = _halved(arrays, places, wanted)
    if any(map(is_sparse, arrays)):
        array, at = _one_by_one(arrays, places, wanted, module, known)
        return _turned(dense(array), tuple(at.index(i) for i in wanted), module)
    steps, axes = _plan(places, wanted, tuple(tuple(array.shape) for array in arrays))
    for step in steps:
        b, a = arrays.pop(step.right), arrays.pop(step.left)
        arrays.append(step.product(a, b, module, known))
    return _turned(arrays[0], axes, module)


def _one_by_one(
    arrays: Sequence[Any], places: tuple[Places, ...], wanted: Places, module: Any, known: Products | None
) -> tuple[Any, Places]:
    """Some of the arrays are sparse, and what their products are depends on their entries."""
    todo = list(zip(arrays, places, strict=True))
    sizes = tuple(sorted({(i, int(s)) for a, at in todo for i, s in zip(at, a.shape, strict=True)}))
    for left, right in _order(places, wanted, sizes):
        b, a = todo.pop(right), todo.pop(left)
        kept = frozenset(i for _, at in todo for i in at) | frozenset(wanted)
        todo.append(_product_of_two(a, b, kept, module, {} if known is None else known))
    return todo[0]


def _array(value: Any) -> Any:
    """NumPy gives a SymPy number, and no array, where an array of objects has no axes left."""
    return value if hasattr(value, "shape") else np.asarray(value, dtype=object)


@lru_cache(maxsize=8192)
def _thinnings(places: tuple[Places, ...], wanted: Places) -> tuple[tuple[str, Places], ...]:
    """For each operand its diagonal at repeated indices, summed over what stands nowhere else, as einsum takes it; "" where that is it."""
    found = []
    for k, at in enumerate(places):
        others = {i for m, other in enumerate(places) if m != k for i in other}
        letters = {i: chr(97 + m) for m, i in enumerate(dict.fromkeys(at))}
        kept = tuple(i for i in letters if i in others or i in wanted)
        subscripts = "".join(letters[i] for i in at) + "->" + "".join(letters[i] for i in kept)
        found.append(("" if kept == at else subscripts, kept))
    return tuple(found)


def _halved(arrays: list[Any], places: tuple[Places, ...], wanted: Places) -> tuple[list[Any], tuple[Places, ...]]:
    """Σ_j A_ij A_kj w_j as BBᵀ with B = A√w, of which libraries compute half, where w ≥ 0 is all that else stands on j."""
    for vector, first, second in _grams(places, wanted):
        w, array = arrays[vector], arrays[first]
        if array is not arrays[second] or not isinstance(w, np.ndarray) or w.dtype.kind != "f" or not (w >= 0).all():
            continue
        at = places[first]
        root, _ = _product_of_two((array, at), (np.sqrt(w), places[vector]), frozenset(at), np, {})
        return [root, root], (at, places[second])
    return arrays, places


@lru_cache(maxsize=4096)
def _grams(places: tuple[Places, ...], wanted: Places) -> tuple[tuple[int, int, int], ...]:
    """Which of three operands may be w, and which the two A."""
    if len(places) != 3 or len(set(wanted)) != 2:
        return ()
    found = []
    for k, at in enumerate(places):
        first, second = (m for m in range(3) if m != k)
        one, other = places[first], places[second]
        if len(at) != 1 or at[0] in wanted or at[0] not in one or at[0] not in other:
            continue
        if {*one, *other} == {*at, *wanted} and other.index(at[0]) == one.index(at[0]):
            found.append((k, first, second))
    return tuple(found)


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


# --- products of two --------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A product of two dense arrays.

    Args:
        left, right: which of the operands they are.
        recipe: how it is formed.
        patterns: by which it is known, with the operands in this order and in the other.
        places: of its axes among those of the pattern.
        turn: from the axes that it has in the other order.
        light: whether it is no larger than its operands.
    """

    left: int
    right: int
    recipe: "Recipe"
    patterns: tuple[Pattern, Pattern]
    places: Places
    turn: Places
    light: bool

    def product(self, a: Any, b: Any, module: Any, known: Products | None) -> Any:
        """It, or that which was formed before."""
        if known is None:
            return _array(self.recipe(a, b, module))
        found = known.get((id(a), id(b), self.patterns[0]))
        if found is not None:
            return found[2][0]
        found = known.get((id(b), id(a), self.patterns[1]))
        if found is not None:
            return _turned(found[2][0], self.turn, module)
        array = _array(self.recipe(a, b, module))
        if self.light:
            known[id(a), id(b), self.patterns[0]] = a, b, (array, self.places)
        return array


@lru_cache(maxsize=8192)
def _plan(
    places: tuple[Places, ...], wanted: Places, shapes: tuple[tuple[int, ...], ...]
) -> tuple[tuple[Step, ...], Places]:
    """The products of dense arrays one after the other, and the axes of the last in the order that is wanted."""
    todo, steps = list(zip(places, shapes, strict=True)), []
    sizes = tuple(sorted({(i, size) for at, shape in todo for i, size in zip(at, shape, strict=True)}))
    for left, right in _order(places, wanted, sizes):
        (other, columns), (at, rows) = todo.pop(right), todo.pop(left)
        kept = frozenset(i for place, _ in todo for i in place) | frozenset(wanted)
        recipe, found = _recipe(at, other, rows, columns, kept)
        pattern, names = _pattern(at, other, kept)
        _, turned = _recipe(other, at, columns, rows, kept)
        size = dict(sizes)
        light = prod(size[i] for i in found) <= max(prod(rows), prod(columns))
        step = Step(
            left,
            right,
            recipe,
            (pattern, _pattern(other, at, kept)[0]),
            tuple(names.index(i) for i in found),
            tuple(turned.index(i) for i in found),
            light,
        )
        steps.append(step)
        todo.append((found, tuple(size[i] for i in found)))
    return tuple(steps), tuple(todo[0][0].index(i) for i in wanted)


def _product_of_two(
    a: tuple[Any, Places], b: tuple[Any, Places], kept: frozenset[int], module: Any, known: Products
) -> tuple[Any, Places]:
    """The product by its pattern of indices, whatever their names are, and whichever operand comes first."""
    for (left, at_left), (right, at_right) in ((a, b), (b, a)):
        pattern, names = _pattern(at_left, at_right, kept)
        found = known.get((id(left), id(right), pattern))
        if found is not None:
            array, at = found[2]
            return array, tuple(names[k] for k in at)
    pattern, names = _pattern(a[1], b[1], kept)
    product, at = _pair(a, b, kept, module)
    array = _array(product)
    if prod(array.shape) <= max(prod(a[0].shape), prod(b[0].shape)):
        known[id(a[0]), id(b[0]), pattern] = a[0], b[0], (array, tuple(names.index(i) for i in at))
    return array, at


@lru_cache(maxsize=8192)
def _pattern(at_left: Places, at_right: Places, kept: frozenset[int]) -> tuple[Pattern, Places]:
    """What a product is known by, and its indices in their order."""
    names = tuple(dict.fromkeys(at_left + at_right))
    left, right, rest = (
        tuple(names.index(i) for i in at) for at in (at_left, at_right, [i for i in names if i in kept])
    )
    return (left, right, rest), names


def _pair(a: tuple[Any, Places], b: tuple[Any, Places], kept: frozenset[int], module: Any) -> tuple[Any, Places]:
    """The product of two arrays, summed over what is not kept."""
    if is_sparse(a[0]) or is_sparse(b[0]):
        found = sparse_pair(a, b, set(kept))
        if found is not None:
            return found
        a, b = (dense(a[0]), a[1]), (dense(b[0]), b[1])
    recipe, at = _recipe(a[1], b[1], tuple(a[0].shape), tuple(b[0].shape), kept)
    return recipe(a[0], b[0], module), at


Recipe = Callable[[Any, Any, Any], Any]
"""(left, right, module) ↦ their product."""


@lru_cache(maxsize=8192)
def _recipe(
    at_left: Places, at_right: Places, left: tuple[int, ...], right: tuple[int, ...], kept: frozenset[int]
) -> tuple[Recipe, Places]:
    """How two dense arrays of these shapes are multiplied, and the indices of the product's axes."""
    size = dict(zip(at_left + at_right, left + right, strict=True))
    shared = [i for i in at_left if i in at_right]
    batch, inner = [i for i in shared if i in kept], [i for i in shared if i not in kept]
    rows, columns = [i for i in at_left if i not in at_right], [i for i in at_right if i not in at_left]
    if not inner and not (rows and columns):
        if columns:
            spread, at = _spread(at_right, right, at_left), at_right
            return lambda a, b, module: spread(b, a, module), at
        return _spread(at_left, left, at_right), at_left
    if _leads(at_left, at_right, inner, rows) and size[at_left[0]] * prod(
        size[i] for i in (*batch, *rows, *columns)
    ) <= max(prod(left), prod(right)):
        # Turned so that the first axis comes beside another, a large array would be copied.
        product, at = _recipe(at_left, at_right, left, right, kept | {at_left[0]})
        place = at.index(at_left[0])
        return lambda a, b, module: product(a, b, module).sum(place), (*at[:place], *at[place + 1 :])
    first = _arranged(at_left, (batch, rows, inner), size)
    second = _arranged(at_right, (batch, inner, columns), size)
    found = (*batch, *rows, *columns)
    shape = tuple(size[i] for i in found)
    return lambda a, b, module: module.matmul(first(a, module), second(b, module)).reshape(shape), found


def _spread(at: Places, shape: tuple[int, ...], places: Places) -> Recipe:
    """The product with an array on some of its axes, in its own order of axes, for which nothing is copied."""
    order = tuple(places.index(i) for i in at if i in places)
    wide = tuple(s if i in places else 1 for i, s in zip(at, shape, strict=True))
    return lambda large, small, module: large * _turned(small, order, module).reshape(wide)


def _leads(at_left: Places, at_right: Places, inner: Sequence[int], rows: Sequence[int]) -> bool:
    """Whether the first axes are summed over, and rows lie between them and further such axes."""
    return at_left[:1] == at_right[:1] and at_left[:1] == tuple(inner[:1]) and len(inner) > 1 and len(rows) > 0


def _arranged(at: Places, groups: Sequence[Sequence[int]], size: dict[int, int]) -> Callable[[Any, Any], Any]:
    """With three axes, each a group of indices."""
    axes = tuple(at.index(i) for group in groups for i in group)
    shape = tuple(prod(size[i] for i in group) for group in groups)
    return lambda array, module: _turned(array, axes, module).reshape(shape)


def _turned(array: Any, axes: Places, module: Any) -> Any:
    """With its axes in another order."""
    if axes == tuple(range(len(axes))):
        return array
    return module.permute(array, axes) if hasattr(module, "permute") else array.transpose(axes)
