"""One member of a family of matrices: the problem with all sizes given and the data filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.families.array_shapes import number_of, solved_sizes, stated_sizes
from symbolic_sgd.families.batches import batch_of
from symbolic_sgd.families.matrix_family import TARGETS, MatrixFamily
from symbolic_sgd.families.noise import AnyNoise, RedrawnLabels
from symbolic_sgd.problems.noise import IsotropicNoise, LabelNoise
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.tensors.evaluation import ExactArrays


@dataclass(frozen=True)
class FilledFamily:
    """A family with its data, exactly.

    Args:
        arrays: of data and parameters.
        parameters: the symbols of the entries, in their order.
        sizes: the number that each size and each constant is.
        targets: what outputs are compared with, or None.
    """

    arrays: ExactArrays
    parameters: tuple[sp.Symbol, ...]
    sizes: Mapping[Any, Any]
    targets: Any


def filled(family: MatrixFamily, data: Mapping[str, Any], sizes: Mapping[Any, int]) -> FilledFamily:
    """Data as arrays of exact numbers, beside the symbols U_1_1, U_1_2, … of the entries of U.

    Raises:
        BadInput: and its subclasses: names, shapes, or sizes that nothing tells.
    """
    given = {name: exact_array(value, name) for name, value in data.items()}
    numbers = {s: given.pop(s.name).item() for s in family.numbers if s.name in given}
    optional = {TARGETS} if family.outputs is not None else set()
    if set(given) != set(family.tensors) | optional:
        raise BadInput(f"the data given are {sorted(given)}; the family has {sorted({*family.tensors, *optional})}")
    targets = given.pop(TARGETS) if optional else None
    shapes = {name: a.shape for name, a in given.items()}
    for name, shape in shapes.items():
        wanted = len(family.tensors[name].shape)
        if len(shape) != wanted:
            raise BadShape(f"{name} has the shape {shape}; it has {wanted} indices")
    values = solved_sizes(family.tensors, shapes, {**numbers, **stated_sizes(sizes, family.sizes)}, family.sizes)
    symbols = {
        p.name: _entries(p.name, [int(sp.sympify(s).subs(values)) for s in p.shape]) for p in family.model.parameters
    }
    parameters = tuple(s for array in symbols.values() for s in np.ravel(array))
    return FilledFamily(ExactArrays({**given, **symbols}, values, np), parameters, values, targets)


def matrix_member(
    family: MatrixFamily, data: Mapping[str, Any], sizes: Mapping[Any, int], sigma: Any = None
) -> Problem:
    """The problem in the symbols U_1_1, U_1_2, … of the entries of U.

    Raises:
        BadInput: and its subclasses: names, shapes, sizes that nothing tells, or a loss of classes.
    """
    if family.curvature is None:
        raise BadInput(
            "the explicit problem of a cross-entropy is not built: state its loss with Problem at the sizes you want"
        )
    member = filled(family, data, sizes)
    found = np.asarray(member.arrays.value(family.model.f), dtype=object)
    residuals = [sp.sympify(e) for e in np.ravel(found if member.targets is None else found - member.targets)]
    count, batch = (int(sp.sympify(e).subs(member.sizes)) for e in (family.model.samples, batch_of(family.noise)))
    if batch > count:
        raise BadInput(f"noise: batch_size is {batch}, and there are {count} samples")
    return _stated(family, residuals, list(member.parameters), (count, batch), sigma)


def _stated(
    family: MatrixFamily, residuals: list[Any], parameters: list[Any], drawn: tuple[int, int], sigma: Any
) -> Problem:
    noise, (count, batch) = family.noise, drawn
    if isinstance(noise, AnyNoise) == (sigma is None):
        raise BadInput(
            "sigma= belongs to AnyNoise, and only to it: σ as a matrix with a row for each entry of the parameters"
        )
    if isinstance(noise, LabelNoise) and sp.expand(family.loss(sp.Symbol("r")) - sp.Symbol("r") ** 2 / 2) == 0:
        scale = sp.sqrt(sp.Integer(len(residuals)) / count)
        labels = _labels(noise, len(residuals), count, batch)
        return Problem.least_squares([scale * r for r in residuals], parameters=parameters, noise=labels)
    loss = sp.Add(*(family.loss(r) for r in residuals)) / count
    if isinstance(noise, (LabelNoise, RedrawnLabels)):
        if len(residuals) != count:
            raise BadInput("noise: the explicit problem of drawn labels needs one residual a sample")
        if batch != 1:
            raise BadInput("noise: the explicit problem of batches has the loss r²/2; leave batch_size= or loss= out")
        laws = [(p / count, law(r)) for r in residuals for p, law in noise.laws_of(family.loss)]
        return Problem.from_sample_losses(
            [law for _, law in laws], parameters=parameters, weights=[p for p, _ in laws], manifold=residuals
        )
    assert isinstance(noise, (IsotropicNoise, AnyNoise))
    return Problem(loss=loss, parameters=tuple(parameters), noise=noise if isinstance(noise, IsotropicNoise) else sigma)


def _labels(noise: LabelNoise, residuals: int, count: int, batch: int) -> LabelNoise:
    """The label noise with Σ = (δ²/b)∇²L on Γ, on residuals of which each sample has one; or several, which are drawn one by one then
    where a step does not take them all."""
    if residuals == count:
        return replace(noise, batch_size=None if batch == 1 else batch)
    if batch == count:
        return LabelNoise(sp.sqrt(sp.Rational(residuals, count)) * noise.stated[0], batch_size=residuals)
    return LabelNoise(noise.stated[0] / sp.sqrt(batch))


def exact_array(value: Any, name: str) -> np.ndarray:
    """An array of SymPy numbers."""
    array = np.array(value, dtype=object)
    found = np.empty(array.shape, dtype=object)
    for place in product(*map(range, array.shape)):
        entry = array[place]
        found[place] = number_of(entry.item() if isinstance(entry, np.generic) else entry, name)
    return found


def _entries(name: str, shape: list[int]) -> np.ndarray:
    found = np.empty(shape, dtype=object)
    for place in np.ndindex(*shape):
        found[place] = sp.Symbol("_".join([name, *(str(k + 1) for k in place)]))
    return found
