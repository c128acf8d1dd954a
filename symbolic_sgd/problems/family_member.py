"""One member of a family: the problem with n and d given and the data filled in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.problems.family_noise import AnyNoise, Isotropic, LabelSigns, RedrawnLabels
from symbolic_sgd.problems.noise import IsotropicNoise
from symbolic_sgd.problems.problem import Problem

if TYPE_CHECKING:
    from symbolic_sgd.problems.family import Family


def member(family: "Family", data: Mapping[str, Any], sigma: Any) -> Problem:
    """See `Family.problem`."""
    values = {name: np.array(array, dtype=object) for name, array in data.items()}
    expected = {str(a.base.label) for a in family.data} | {s.name for s in family.constants}
    if set(values) != expected:
        raise BadInput(f"the data given are {sorted(values)}; the family has {sorted(expected)}")
    n, d = _sizes(family, values)
    parameters = [
        [sp.Symbol(f"{base.label}_{k + 1}", positive=base.is_positive) for k in range(d)] for base in family.parameters
    ]

    def at(expression: Expression, i: int, j: int) -> Expression:
        places = {base[family.j]: parameters[g][j] for g, base in enumerate(family.parameters)}
        for place in family.data:
            index = tuple({family.i: i, family.j: j}[t] for t in place.indices)
            places[place] = sp.sympify(values[str(place.base.label)][index], strict=True)
        places |= {s: sp.sympify(values[s.name].item(), strict=True) for s in family.constants}
        return expression.xreplace(places)

    residuals = [sp.Add(*(at(family.summand, i, j) for j in range(d)), at(family.offset, i, 0)) for i in range(n)]
    symbols = [s for group in parameters for s in group]
    noise = family.noise
    (r,) = family.loss.variables
    if isinstance(noise, (LabelSigns, RedrawnLabels)):
        laws = noise.laws_of(family.loss)
        pairs = [
            (at(p, i, 0) / n, at(loss.expr, i, 0).xreplace({loss.variables[0]: residuals[i]}))
            for i in range(n)
            for p, loss in laws
        ]
        return Problem.from_sample_losses(
            [loss for _, loss in pairs], parameters=symbols, weights=[p for p, _ in pairs], manifold=residuals
        )
    if isinstance(noise, AnyNoise) == (sigma is None):
        raise BadInput("sigma= belongs to AnyNoise, and only to it")
    stated = IsotropicNoise(at(noise.scale, 0, 0)) if isinstance(noise, Isotropic) else sigma
    loss = sp.Add(*(at(family.loss.expr, i, 0).xreplace({r: residuals[i]}) for i in range(n))) / n
    return Problem(loss=loss, parameters=tuple(symbols), noise=stated, manifold=tuple(residuals))


def _sizes(family: "Family", values: Mapping[str, np.ndarray]) -> tuple[int, int]:
    sizes: dict[sp.Symbol, int] = {}
    for place in family.data:
        shape = values[str(place.base.label)].shape
        if len(shape) != len(place.indices):
            raise BadShape(f"{place.base.label} has {len(shape)} dimensions; it takes {len(place.indices)}")
        for index, length in zip(place.indices, shape, strict=True):
            if sizes.setdefault(index, length) != length:
                raise BadShape(f"the data disagree on the range of {index}: {sizes[index]} and {length}")
    if family.i not in sizes or family.j not in sizes:
        raise BadInput("no data carry one of the indices, so that its range is not known")
    return sizes[family.i], sizes[family.j]
