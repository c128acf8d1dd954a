"""Exact data from floating-point data."""

import numbers
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput


def exact(data: Any) -> Any:
    """The rationals that floating-point data print as, in the same container.

    Args:
        data: a number, a SymPy expression, or a list, tuple, NumPy array or SymPy matrix of them.

    Returns:
        SymPy rationals; an array becomes an object array of the same shape.

    Raises:
        BadInput: NaN, an infinity, a complex number, or something that is no number.

    >>> exact([0.1, 2, -1.5e-3])
    [1/10, 2, -3/2000]
    >>> import numpy as np
    >>> exact(np.array([[0.25, 1.0]])) * sp.Symbol("u")
    array([[u/4, u]], dtype=object)
    """
    if isinstance(data, np.ma.MaskedArray) and data.mask.any():
        raise BadInput("exact() was given an array with masked entries: fill or drop them first")
    if isinstance(data, np.ndarray):
        converted = np.empty(data.shape, dtype=object)
        for index in np.ndindex(data.shape):
            converted[index] = exact(data[index])
        return converted if data.shape else converted.item()
    if isinstance(data, (list, tuple)):
        converted = [exact(entry) for entry in data]
        return type(data)(*converted) if hasattr(data, "_fields") else type(data)(converted)
    if isinstance(data, sp.MatrixBase):
        return data.applyfunc(exact)
    if isinstance(data, sp.Expr) and not data.has(sp.I, sp.oo, -sp.oo, sp.zoo, sp.nan):
        return data.xreplace({f: _rational(str(f)) for f in data.atoms(sp.Float)})
    if isinstance(data, (numbers.Real, Decimal)) and not isinstance(data, bool):
        return _rational(str(data))
    raise BadInput(f"exact() takes real numbers and containers of them, not {data!r} ({type(data).__name__})")


def _rational(printed: str) -> Any:
    try:
        value = Fraction(printed)
    except ValueError as error:
        raise BadInput(f"{printed} has no exact value: remove it from the data") from error
    return sp.Rational(value.numerator, value.denominator)
