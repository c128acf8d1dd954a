"""Sums of products of arrays, two at a time, as products of batches of matrices, in any array module."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

Places = tuple[int, ...]
"""The index at each axis of an array."""


def contracted(operands: Sequence[tuple[Any, Places]], wanted: Places, module: Any) -> Any:
    """Σ over every index that is not wanted, of the product of the operands.

    Args:
        operands: arrays with the index at each of their axes; an index may stand in any number of them.
        wanted: the axes of the result, each an index of some operand.
        module: numpy, jax.numpy or torch.

    >>> import numpy as np
    >>> a = np.arange(6.0).reshape(2, 3)
    >>> contracted([(a, (0, 1)), (a, (2, 1)), (a, (0, 1))], (2,), np)
    array([ 75., 240.])
    """
    todo = [_thinned(array, at, others, wanted, module) for array, at, others in _with_others(operands)]
    sizes = tuple(sorted({(i, int(s)) for a, at in todo for i, s in zip(at, a.shape, strict=True)}))
    for left, right in _order(tuple(at for _, at in todo), wanted, sizes):
        b, a = todo.pop(right), todo.pop(left)
        kept = {i for _, at in todo for i in at} | set(wanted)
        todo.append(_pair(a, b, kept, module))
    array, at = todo[0]
    return (
        module.permute(array, tuple(at.index(i) for i in wanted))
        if hasattr(module, "permute")
        else array.transpose(tuple(at.index(i) for i in wanted))
    )


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
    return module.einsum("".join(letters[i] for i in at) + "->" + "".join(letters[i] for i in kept), array), kept


@lru_cache(maxsize=4096)
def _order(
    places: tuple[Places, ...], wanted: Places, sizes: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Which two are multiplied next: those that add least to what is held."""
    size, todo = dict(sizes), [frozenset(at) for at in places]
    held = [prod(size[i] for i in at) for at in todo]
    found = []
    while len(todo) > 1:
        best = None
        for left in range(len(todo)):
            for right in range(left + 1, len(todo)):
                rest = {i for k, at in enumerate(todo) if k not in (left, right) for i in at} | set(wanted)
                both = todo[left] | todo[right]
                made = prod(size[i] for i in both & rest)
                cost = (made - held[left] - held[right], prod(size[i] for i in both))
                if best is None or cost < best[0]:
                    best = cost, left, right, both & rest, made
        assert best is not None
        _, left, right, at, made = best
        for k in (right, left):
            del todo[k], held[k]
        todo.append(frozenset(at))
        held.append(made)
        found.append((left, right))
    return tuple(found)


def _pair(a: tuple[Any, Places], b: tuple[Any, Places], kept: set[int], module: Any) -> tuple[Any, Places]:
    """The product of two arrays, summed over what is not kept."""
    (left, at_left), (right, at_right) = a, b
    size = dict(zip(at_left + at_right, (*left.shape, *right.shape), strict=True))
    shared = [i for i in at_left if i in at_right]
    batch, inner = [i for i in shared if i in kept], [i for i in shared if i not in kept]
    rows, columns = [i for i in at_left if i not in at_right], [i for i in at_right if i not in at_left]
    x = _arranged(left, at_left, (batch, rows, inner), size, module)
    y = _arranged(right, at_right, (batch, inner, columns), size, module)
    product = x * y if not (rows and columns) and not inner else module.matmul(x, y)
    found = (*batch, *rows, *columns)
    return product.reshape(tuple(size[i] for i in found)), found


def _arranged(array: Any, at: Places, groups: Sequence[Sequence[int]], size: dict[int, int], module: Any) -> Any:
    """With three axes, each a group of indices."""
    axes = tuple(at.index(i) for group in groups for i in group)
    turned = module.permute(array, axes) if hasattr(module, "permute") else array.transpose(axes)
    return turned.reshape(tuple(prod(size[i] for i in group) for group in groups))
