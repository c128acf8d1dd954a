"""What users give as points and constants, as float64 arrays."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadPoint, SymbolicSGDError


def as_points(x: Any, dimension: int) -> np.ndarray:
    """x as finite float64 of shape (..., D), or `BadPoint`."""
    points = shaped(x, dimension)
    with np.errstate(all="ignore"):
        total = points.sum()  # as fast as memory is read, and without an array of bits
    if not isfinite(total):
        refuse_infinite(points)
    return points


def refuse_infinite(points: np.ndarray) -> None:
    """`BadPoint` where an entry is infinite or NaN."""
    finite = np.isfinite(points)
    if not finite.all():
        bad = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise BadPoint(f"x is not finite: entry {bad} is {points[bad]}")


def shaped(x: Any, dimension: int) -> np.ndarray:
    """x as float64 of shape (..., D), or `BadPoint`; its entries may be infinite, or NaN."""
    if isinstance(x, np.ma.MaskedArray) and x.mask.any():
        raise BadPoint("x has masked entries: fill or drop them first")
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise BadPoint(f"x is no array of numbers: {error}") from error
    if array.dtype == object:
        array = _from_objects(array)
    if array.dtype.kind not in "fiu":
        raise BadPoint(f"x has entries of type {array.dtype}; the parameters are real numbers")
    if array.ndim == 0 or array.shape[-1] != dimension:
        raise BadPoint(
            f"x has shape {array.shape}; its last dimension has to be {dimension}, one entry a parameter, as in (..., {dimension})"
        )
    return array.astype(float, copy=False)


def _from_objects(array: np.ndarray) -> np.ndarray:
    try:
        return array.astype(float)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadPoint("x has entries that are no real numbers") from error


def constant_columns(
    declared: tuple[sp.Symbol, ...], given: Mapping[str, Any], batch: tuple[int, ...]
) -> list[np.ndarray]:
    """One column a constant, as many rows as points."""
    names = [s.name for s in declared]
    unknown = [name for name in given if name not in names]
    if unknown:
        known = f"the constants are {', '.join(names)}" if names else "the problem has no constants"
        raise BadInput(f"{unknown[0]!r} is no constant of this problem: {known}")
    missing = [name for name in names if name not in given]
    if missing:
        raise BadInput(f"no value for the constant {missing[0]}: pass it by keyword, e.g. {missing[0]}=1.0")
    return [_constant(name, given[name], batch) for name in names]


def _constant(name: str, value: Any, batch: tuple[int, ...]) -> np.ndarray:
    try:
        spread = np.broadcast_to(real_array(value, f"the constant {name}"), batch)
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"the constant {name} does not broadcast against the batch {batch}: {error}") from error
    return spread.reshape(-1, 1)


def real_array(value: Any, name: str, error: type[SymbolicSGDError] = BadInput) -> np.ndarray:
    """An array of finite real numbers as float64; nothing imaginary, masked or not finite is dropped silently."""
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise error(f"{name} has masked entries: fill or drop them first")
    try:
        array = np.asarray(value)
        array = array.astype(float) if array.dtype == object else array
    except (TypeError, ValueError, OverflowError) as cause:
        raise error(f"{name} is not real: it is no array of numbers") from cause
    if array.dtype.kind not in "fiu":
        raise error(f"{name} is not real: its entries are of type {array.dtype}")
    if not np.isfinite(array).all():
        raise error(f"{name} holds an entry that is not finite")
    return array.astype(float)
