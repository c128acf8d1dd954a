"""Shapes of the arrays of a family: what is given is made to fit, and the sizes are read off."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadShape, SymbolicSGDError
from symbolic_sgd.numeric.points import real_array
from symbolic_sgd.tensors.forms import Tensor


def shaped(given: Any, tensor: Tensor, error: type[SymbolicSGDError] = BadShape, further: int = 0) -> Any:
    """An array with one axis for each index of a tensor; a vector may be a column.

    Raises:
        BadShape: (or what is given as the error) it has another number of axes, or is empty.
    """
    array = (
        given
        if hasattr(given, "shape") and not isinstance(given, np.ndarray)
        else real_array(given, tensor.name, error)
    )
    wanted = len(tensor.shape) + further
    if is_column(array, tensor) and not further:
        array = array.reshape(tuple(array.shape)[:-1])
    if len(array.shape) != wanted or 0 in tuple(array.shape):
        sizes = ", ".join(map(str, tensor.shape))
        raise error(
            f"{tensor.name} has the shape {tuple(array.shape)}; its indices have the sizes ({sizes}){' and the columns' if further else ''}"
        )
    return array


def is_column(array: Any, tensor: Tensor) -> bool:
    """Whether it is a vector (or vectors of samples) given as columns."""
    return bool(tensor.shape) and len(np.shape(array)) == len(tensor.shape) + 1 and np.shape(array)[-1] == 1


def solved_sizes(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    known: Mapping[Any, Any],
    wanted: frozenset[Any],
) -> dict[Any, Any]:
    """The number that each size is.

    Args:
        tensors: with their sizes.
        shapes: of their arrays.
        known: what is given otherwise.
        wanted: what has to be found.

    Raises:
        BadShape: arrays disagree.
        BadInput: nothing tells a size.
    """
    found: dict[Any, Any] = dict(known)
    pairs = [
        (size, int(n), name)
        for name, shape in shapes.items()
        for size, n in zip(tensors[name].shape, shape, strict=True)
    ]
    for size, n, name in pairs:
        if size.is_Symbol and found.setdefault(size, n) != n:
            raise BadShape(f"the arrays disagree on {size}: {found[size]} and {n} ({name})")
    for size, n, name in pairs:
        value = size.subs(found)
        if value.is_number and value != n:
            raise BadShape(f"{name} has an axis of length {n}, where the family has {size} = {value}")
    missing = sorted(str(s) for s in wanted - set(found))
    if missing:
        raise BadInput(f"no array tells the size {missing[0]}: give it as sizes={{{missing[0]}: …}}")
    return found


def stated_sizes(sizes: Any, declared: frozenset[Any]) -> dict[Any, int]:
    """What is stated of sizes, by symbol, found by name.

    Raises:
        BadInput: it is no mapping, names no size of the family, or holds what is no positive whole number.
    """
    if not isinstance(sizes, Mapping):
        raise BadInput(f"sizes is a {type(sizes).__name__}: give a mapping from symbols to numbers, such as {{n: 5}}")
    by_name, found = {s.name: s for s in declared}, {}
    for size, value in sizes.items():
        if str(size) not in by_name:
            raise BadInput(f"sizes: {size} is no size of the family, whose sizes are {', '.join(sorted(by_name))}")
        if isinstance(value, bool) or not isinstance(value, (Integral, sp.Integer)) or value < 1:
            raise BadInput(f"sizes: {size} is {value!r}; give a positive whole number")
        found[by_name[str(size)]] = int(value)
    return found


def number_of(value: Any, name: str) -> Any:
    """A constant."""
    try:
        number = sp.sympify(value, strict=True)
    except sp.SympifyError as error:
        raise BadInput(f"{name} is {value!r}, which is no number") from error
    if not isinstance(number, sp.Expr) or number.has(sp.I, sp.oo, -sp.oo, sp.zoo, sp.nan):
        raise BadInput(f"{name} is {value!r}, which is no finite real number")
    return number
