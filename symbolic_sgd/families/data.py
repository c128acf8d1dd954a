"""The data of a family as float64 arrays: what is asked of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp
from scipy import sparse

from symbolic_sgd.errors import BadInput, SymbolicSGDError
from symbolic_sgd.families.array_modules import ArrayModule
from symbolic_sgd.families.array_shapes import check_given, number_of, shaped, stated_sizes
from symbolic_sgd.families.stated import TARGETS, StatedFamily
from symbolic_sgd.numeric.points import real_array
from symbolic_sgd.tensors.entrywise import X
from symbolic_sgd.tensors.evaluation import Arrays
from symbolic_sgd.tensors.forms import Applied, Form

SIGNS = {np.greater: "positive", np.less: "negative", np.greater_equal: "nonnegative", np.less_equal: "nonpositive"}
"""Relations to 0, and the assumptions of SymPy that state them."""

ROUNDING = 1e-10
"""By how much probabilities may miss their sum."""


def given_data(
    family: StatedFamily, data: Mapping[str, Any], sizes: Mapping[Any, int], home: ArrayModule
) -> tuple[dict[str, Any], dict[Any, Any]]:
    """Arrays by name, and values of constants and of stated sizes.

    Raises:
        BadInput: and its subclasses: names, shapes, signs, probabilities, or sparse data that would not stay sparse.
    """
    check_given(family, data)
    known = stated_sizes(sizes, family.sizes)
    numbers = {s: _whole(number_of(data[s.name], s.name)) for s in family.numbers}
    arrays = {name: _array(data[name], tensor) for name, tensor in family.tensors.items()}
    for name, values in {**arrays, **{s.name: np.array(float(v)) for s, v in numbers.items()}}.items():
        check_signs(name, family.symbols[name], values.data if sparse.issparse(values) else np.asarray(values))
    _check_sparse(family, arrays, numbers, home)
    if TARGETS in data:
        arrays[TARGETS] = real_array(data[TARGETS], TARGETS)
        if family.curvature is None:
            _check_probabilities(arrays[TARGETS])
    return arrays, numbers | known


def check_signs(name: str, symbol: Any, values: np.ndarray, error: type[SymbolicSGDError] = BadInput) -> None:
    """SymPy has used what was declared of a quantity.

    Raises:
        BadInput: (or what is given as the error) an entry is otherwise.
    """
    for relation, words in SIGNS.items():
        if getattr(symbol, f"is_{words}", None) and not relation(values, 0).all():
            raise error(f"{name} is declared {words}, and holds an entry that is not")


def _array(given: Any, tensor: Any) -> Any:
    return shaped(_sparse(given, tensor.name) if sparse.issparse(given) else given, tensor)


def _sparse(value: Any, name: str) -> Any:
    if value.dtype.kind not in "fiu":
        raise BadInput(f"{name} has entries of type {value.dtype}; they have to be real numbers")
    matrix = sparse.csr_array(value, dtype=float, copy=True)
    matrix.sum_duplicates()
    if not np.isfinite(matrix.data).all():
        raise BadInput(f"{name} holds an entry that is not finite")
    return matrix


def _check_sparse(
    family: StatedFamily, arrays: Mapping[str, Any], numbers: Mapping[Any, Any], home: ArrayModule
) -> None:
    names = {name for name, value in arrays.items() if sparse.issparse(value)}
    if names and home.module is not np:
        raise BadInput(f"{min(names)} is sparse: only NumPy() takes that; give it dense")
    for head in _applied_in(family.model.f) if names else ():
        held = names & {t.name for t in head.inner.tensors}
        if held and Arrays(arrays, numbers, np).stays_sparse(head) is None:
            function = head.function.expression.xreplace({X: sp.Symbol("…")})
            raise BadInput(f"{min(held)} is sparse, but zero entries would not stay zero in {function}; give it dense")


def _applied_in(form: Form) -> list[Applied]:
    return [head for factors in form.terms for head, _ in factors if isinstance(head, Applied)]


def _whole(value: Any) -> Any:
    """A number as an exponent that leaves powers of negative numbers real."""
    return sp.Integer(int(value)) if value == int(value) else value


def _check_probabilities(targets: np.ndarray) -> None:
    if not (targets > 0).all() or np.abs(targets.sum(axis=-1) - 1).max() > ROUNDING:
        raise BadInput(
            f"{TARGETS}: the probabilities of the classes of each sample are positive and add up to 1, to {ROUNDING:g}"
        )
