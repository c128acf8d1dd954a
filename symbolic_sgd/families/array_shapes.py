"""Shapes of the arrays of a family: what is given is made to fit, and the sizes are read off."""

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadShape, SymbolicSGDError
from symbolic_sgd.numeric.points import real_array
from symbolic_sgd.tensors.forms import Tensor
from symbolic_sgd.tensors.sparse_products import is_sparse

if TYPE_CHECKING:
    from symbolic_sgd.families.stated import StatedFamily


def check_given(family: "StatedFamily", data: Mapping[str, Any]) -> None:
    """That every array and every constant of a family has a value, and nothing else.

    Raises:
        BadInput: naming one that is missing, or that is none.
    """
    names = [*family.tensors, *sorted(s.name for s in family.numbers)]
    unknown = [name for name in data if name not in names and not (name == "targets" and family.outputs is not None)]
    missing = [name for name in names if name not in data]
    if unknown:
        raise BadInput(f"{unknown[0]!r} is no array or constant of the family, which has {', '.join(names) or 'none'}")
    if missing:
        raise BadInput(f"no value for {missing[0]}: pass it by keyword")


def shaped(
    given: Any, tensor: Tensor, error: type[SymbolicSGDError] = BadShape, further: int = 0, name: str = ""
) -> Any:
    """An array with one axis for each index of a tensor; a vector may be a column.

    Args:
        given: of any kind.
        tensor: what it is of.
        error: what is raised.
        further: how many axes come after those of the tensor.
        name: what it is called, where not by the tensor's name.

    Raises:
        BadShape: (or what is given as the error) it has another number of axes, or is empty.
    """
    called = f"{name} of {tensor.name}" if name else tensor.name
    elsewhere = hasattr(given, "shape") and not isinstance(given, np.ndarray)
    return fitted(given if elsewhere else real_array(given, called, error), tensor, error, further, called)


def fitted(
    array: Any, tensor: Tensor, error: type[SymbolicSGDError] = BadShape, further: int = 0, called: str = ""
) -> Any:
    """The same for an array, whatever its entries are."""
    wanted = len(tensor.shape) + further
    if is_column(array, tensor, further):
        own = len(tensor.shape)
        array = array.reshape((*tuple(array.shape)[:own], *tuple(array.shape)[own + 1 :]))
    if len(array.shape) != wanted or 0 in tuple(array.shape):
        sizes, columns = ", ".join(map(str, tensor.shape)), " and the columns" if further else ""
        raise error(
            f"{called or tensor.name} has the shape {tuple(array.shape)}; its indices have the sizes ({sizes}){columns}"
        )
    return array


def is_column(array: Any, tensor: Tensor, further: int = 0) -> bool:
    """Whether it is a vector (or vectors of samples) given as columns, before so many further axes."""
    own = len(tensor.shape)
    return own > 0 and not is_sparse(array) and len(np.shape(array)) == own + 1 + further and np.shape(array)[own] == 1


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
            raise BadShape(f"the arrays disagree on {size}, which is {value}: {name} has an axis of length {n}")
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
