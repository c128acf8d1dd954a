"""One member of a family: the problem with n and d given and the data filled in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.families.noise import AnyNoise
from symbolic_sgd.problems.noise import Noise
from symbolic_sgd.problems.problem import Problem

if TYPE_CHECKING:
    from symbolic_sgd.families.family import Family


def member(family: "Family", data: Mapping[str, Any], sizes: Mapping[Any, int], sigma: Any) -> Problem:
    """See `Family.problem`."""
    try:
        values = {name: np.array(array, dtype=object) for name, array in data.items()}
    except ValueError as error:
        raise BadShape(f"the data are no arrays: {error}") from error
    expected = {str(a.base.label) for a in family.data} | {s.name for s in family.constants}
    if set(values) != expected:
        raise BadInput(f"the data given are {sorted(values)}; the family has {sorted(expected)}")
    n, d = sizes_of(family, {name: array.shape for name, array in values.items()}, sizes)
    parameters = [
        [sp.Symbol(f"{base.label}_{k + 1}", positive=base.is_positive) for k in range(d)] for base in family.parameters
    ]

    def at(expression: Expression, i: int, j: int) -> Expression:
        places = {base[family.j]: parameters[g][j] for g, base in enumerate(family.parameters)}
        for place in family.data:
            index = tuple({family.i: i, family.j: j}[t] for t in place.indices)
            places[place] = _number(values[str(place.base.label)][index], str(place.base.label))
        places |= {s: _number(values[s.name].item(), s.name) for s in family.constants}
        return expression.xreplace(places)

    residuals = [sp.Add(*(at(family.summand, i, j) for j in range(d)), at(family.offset, i, 0)) for i in range(n)]
    symbols = [s for group in parameters for s in group]
    noise = family.noise
    if isinstance(noise, AnyNoise) == (sigma is None):
        raise BadInput("sigma= belongs to AnyNoise, and only to it")
    (r,) = family.loss.variables
    laws = noise.laws_of(family.loss)
    if laws is not None:
        pairs = [
            (at(p, i, 0) / n, at(loss.expr, i, 0).xreplace({loss.variables[0]: residuals[i]}))
            for i in range(n)
            for p, loss in laws
        ]
        return Problem.from_sample_losses(
            [loss for _, loss in pairs], parameters=symbols, weights=[p for p, _ in pairs], manifold=residuals
        )
    stated = noise.map(lambda e: at(e, 0, 0)) if isinstance(noise, Noise) else sigma
    loss = sp.Add(*(at(family.loss.expr, i, 0).xreplace({r: residuals[i]}) for i in range(n))) / n
    return Problem(loss=loss, parameters=tuple(symbols), noise=stated, manifold=tuple(residuals))


def _number(value: Any, name: str) -> Expression:
    try:
        return sp.sympify(value, strict=True)
    except sp.SympifyError as error:
        raise BadInput(f"{name} holds {value!r}, which is no exact number") from error


def sizes_of(family: "Family", shapes: Mapping[str, tuple[int, ...]], known: Mapping[Any, int]) -> tuple[int, int]:
    """(n, d) of data of these shapes, and of what is known otherwise.

    Raises:
        BadShape: they disagree with each other, or with a size that the family states.
        BadInput: they do not tell.
    """
    sizes: dict[sp.Expr, int] = {sp.sympify(size): int(k) for size, k in known.items()}
    wrong = [size for size, k in sizes.items() if size not in (family.samples, family.coordinates) or k < 1]
    if wrong:
        raise BadInput(
            f"sizes: {wrong[0]} is no size of the family, or is not positive; give it {family.samples} or {family.coordinates}"
        )
    for place in family.data:
        name, shape = str(place.base.label), shapes[str(place.base.label)]
        if len(shape) != len(place.indices):
            raise BadShape(f"{name} has {len(shape)} dimensions; it takes {len(place.indices)}")
        for index, length in zip(place.indices, shape, strict=True):
            size = family.samples if index == family.i else family.coordinates
            if length == 0:
                raise BadShape(f"{name} is empty")
            if (size.is_Integer and length != size) or sizes.setdefault(size, length) != length:
                expected = size if size.is_Integer else sizes[size]
                raise BadShape(f"the data disagree on {size}, the range of {index}: {expected} and {length} ({name})")
    found = [int(size) if size.is_Integer else sizes.get(size) for size in (family.samples, family.coordinates)]
    if None in found:
        unknown = (family.samples, family.coordinates)[found.index(None)]
        raise BadInput(f"no data tell the size {unknown}: give it as sizes={{{unknown}: …}}")
    n, d = found
    return n or 0, d or 0
