"""One member of a family: the problem with all sizes given and the data filled in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput
from symbolic_sgd.families.array_shapes import check_given, fitted, number_of, solved_sizes, stated_sizes
from symbolic_sgd.families.batches import batch_of
from symbolic_sgd.families.noise import RESIDUAL, SQUARES, AnyNoise
from symbolic_sgd.families.stated import TARGETS, StatedFamily
from symbolic_sgd.problems.noise import LabelNoise, Noise
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


def filled(family: StatedFamily, data: Mapping[str, Any], sizes: Mapping[Any, int]) -> FilledFamily:
    """Data as arrays of exact numbers, beside the symbols U_1_1, U_1_2, … of the entries of U.

    Raises:
        BadInput: and its subclasses: names, shapes, or sizes that nothing tells.
    """
    check_given(family, data)
    given = {name: exact_array(value, name) for name, value in data.items()}
    numbers = {s: given.pop(s.name).item() for s in family.numbers}
    targets = given.pop(TARGETS, None)
    arrays = {name: fitted(a, family.tensors[name]) for name, a in given.items()}
    known = {**numbers, **stated_sizes(sizes, family.sizes)}
    values = solved_sizes(family.tensors, {name: a.shape for name, a in arrays.items()}, known, family.sizes)
    symbols = {
        p.name: _entries(family.symbols[p.name], p.name, [int(sp.sympify(s).subs(values)) for s in p.shape])
        for p in family.model.parameters
    }
    parameters = tuple(s for array in symbols.values() for s in np.ravel(array))
    return FilledFamily(ExactArrays({**arrays, **symbols}, values, np), parameters, values, targets)


def member(family: StatedFamily, data: Mapping[str, Any], sizes: Mapping[Any, int], sigma: Any = None) -> Problem:
    """See `StatedFamily.problem`.

    Raises:
        BadInput: and its subclasses: names, shapes, sizes that nothing tells, or a loss of classes.
    """
    if family.curvature is None:
        raise BadInput(
            "the explicit problem of a cross-entropy is not built: state its loss with Problem at the sizes you want"
        )
    if isinstance(family.noise, AnyNoise) == (sigma is None):
        raise BadInput(
            "sigma= belongs to AnyNoise, and only to it: σ as a matrix with a row for each entry of the parameters"
        )
    known = filled(family, data, sizes)
    found = np.asarray(known.arrays.value(family.model.f), dtype=object)
    residuals = [sp.sympify(e) for e in np.ravel(found if known.targets is None else found - known.targets)]
    count, batch = (int(sp.sympify(e).subs(known.sizes)) for e in (family.model.samples, batch_of(family.noise)))
    if batch > count:
        raise BadInput(f"noise: batch_size is {batch}, and there are {count} samples")
    return _Stated(family, known, residuals, count, batch).problem(sigma)


@dataclass(frozen=True)
class _Stated:
    """The residuals of a member, n, and how many samples a step draws."""

    family: StatedFamily
    known: FilledFamily
    residuals: list[Any]
    count: int
    batch: int

    def problem(self, sigma: Any) -> Problem:
        family, noise, parameters = self.family, self.family.noise, self.known.parameters
        if isinstance(noise, LabelNoise) and sp.expand(family.loss(RESIDUAL) - SQUARES(RESIDUAL)) == 0:
            scale = sp.sqrt(sp.Integer(len(self.residuals)) / self.count)
            return Problem.least_squares(
                [scale * r for r in self.residuals], parameters=parameters, noise=self._labels(noise)
            )
        if noise.laws_of(family.loss) is not None:
            return self._of_samples()
        loss = sp.Add(*(self._at(k, family.loss, r) for k, r in enumerate(self.residuals))) / self.count
        stated = noise.map(self._in_sample(0)) if isinstance(noise, Noise) else sigma
        manifold = self.residuals if family.independent else ()
        return Problem(loss=loss, parameters=parameters, noise=stated, manifold=tuple(manifold))

    def _of_samples(self) -> Problem:
        """Each step draws a sample and one of its labels."""
        if len(self.residuals) != self.count:
            raise BadInput("noise: the explicit problem of drawn labels needs one residual a sample")
        if self.batch != 1:
            raise BadInput("noise: the explicit problem of batches has the loss r²/2; leave batch_size= or loss= out")
        laws = self.family.noise.laws_of(self.family.loss) or ()
        pairs = [
            (self._in_sample(k)(p) / self.count, self._at(k, law, r))
            for k, r in enumerate(self.residuals)
            for p, law in laws
        ]
        return Problem.from_sample_losses(
            [law for _, law in pairs],
            parameters=self.known.parameters,
            weights=[p for p, _ in pairs],
            manifold=self.residuals,
        )

    def _labels(self, noise: LabelNoise) -> LabelNoise:
        """The label noise with Σ = (δ²/b)∇²L on Γ, on residuals of which each sample has one; or several, which are drawn one by one
        then where a step does not take them all."""
        total, count, batch = len(self.residuals), self.count, self.batch
        (amplitude,) = noise.stated
        each = [self._in_sample(k)(amplitude) for k in range(count)]
        stated: Any = each[0] if len(set(each)) == 1 else each
        if total == count:
            return LabelNoise(stated, batch_size=None if batch == 1 else batch)
        if batch == count:
            return LabelNoise(sp.sqrt(sp.Rational(total, count)) * each[0], batch_size=total)
        return LabelNoise(each[0] / sp.sqrt(batch))

    def _in_sample(self, k: int) -> Callable[[Any], Any]:
        """Constants and data of a sample filled in."""
        places: dict[Any, Any] = {s: self.known.sizes[s] for s in self.family.numbers}
        for place in self.family.sample_places:
            places[place] = self.known.arrays.tensors[str(place.base.label)][k]
        return lambda expression: sp.sympify(expression).xreplace(places)

    def _at(self, k: int, loss: sp.Lambda, residual: Any) -> Any:
        (r,) = loss.variables
        return self._in_sample(k)(loss.expr).xreplace({r: residual})


def exact_array(value: Any, name: str) -> np.ndarray:
    """An array of SymPy numbers."""
    array = np.array(value, dtype=object)
    found = np.empty(array.shape, dtype=object)
    for place in product(*map(range, array.shape)):
        entry = array[place]
        found[place] = number_of(entry.item() if isinstance(entry, np.generic) else entry, name)
    return found


def _entries(stated: Any, name: str, shape: list[int]) -> np.ndarray:
    """Positive where that was stated."""
    found = np.empty(shape, dtype=object)
    for place in np.ndindex(*shape):
        entry = "_".join([name, *(str(k + 1) for k in place)])
        found[place] = sp.Symbol(entry, positive=getattr(stated, "is_positive", None) or None)
    return found
