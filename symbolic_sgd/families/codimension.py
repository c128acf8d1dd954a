"""How many of the gradients of a family are independent: a count that is proved, and the rank of G at random points of several sizes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import SingularPoint
from symbolic_sgd.families.arrays import FamilyArrays
from symbolic_sgd.families.gram_inverse import Spectral
from symbolic_sgd.families.orbit_count import OrbitCount, orbit_count
from symbolic_sgd.families.stated import StatedFamily

SIZES = (((2, 3), 3), ((3, 4), 4), ((2, 4), 5))
"""Of samples at most, and of all else at least and at most."""

STEPS, SMALL = 30, 1e-10
"""Newton's steps to Γ, and residuals on it."""


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Args:
        sizes: {symbol: number}.
        residuals: N, or n(C − 1) for classes, the most that the rank can be.
        rank: M.
        parameters: D.
    """

    sizes: tuple[tuple[Any, int], ...]
    residuals: int
    rank: int
    parameters: int

    def __str__(self) -> str:
        sizes = ", ".join(f"{s} = {k}" for s, k in self.sizes)
        return f"{sizes + ': ' if sizes else ''}rank {self.rank} of {self.residuals} in {self.parameters} parameters"


@dataclass(frozen=True)
class Codimension:
    """The codimension of Γ where it was counted or measured.

    Args:
        expression: what was counted; else N, where the gradients were independent at all sizes that were looked at; else None.
        measured: the measurements.
        count: the count, where Γ is known to be an orbit, with the condition for it; else None.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> found = derive_limiting_sde(models.matrix_sensing()).codimension
    >>> found.expression, found.count
    (n, None)
    """

    expression: Any
    measured: tuple[Measured, ...]
    count: OrbitCount | None = None

    def __str__(self) -> str:
        looked = "; ".join(map(str, self.measured))
        if self.count is not None:
            return f"{self.count} (measured at random points: {looked})"
        return self._measured

    @property
    def _measured(self) -> str:
        looked = "; ".join(map(str, self.measured))
        if not self.measured:
            return "the codimension is not known: at none of the sizes that were looked at was a point of Γ with a clear rank reached"
        if self.expression is None:
            somewhere = any(m.rank == m.residuals for m in self.measured)
            where = " at some sizes and independent at others" if somewhere else ""
            return f"the gradients are dependent{where}, as measured at random points ({looked})"
        return f"the gradients are independent, so that the codimension is {self.expression}, as measured at random points ({looked})"


def codimension_of(family: StatedFamily) -> Codimension:
    """As it is counted, and as it is at three sizes, with normal data and parameters."""
    found, count = _measurements(family), orbit_count(family)
    if count is not None:
        return Codimension(count.expression, found, count)
    independent = bool(found) and all(m.rank == m.residuals for m in found)
    sizes = [i.size for i in family.model.labels]
    if family.curvature is None:
        sizes[-1] -= 1
    return Codimension(sp.Mul(*sizes) if independent else None, found)


def _measurements(family: StatedFamily) -> tuple[Measured, ...]:
    """With data and parameters of either sign; of positive ones, where the model has no values at others."""
    with np.errstate(all="ignore"):
        for positive in (False, True):
            found = tuple(m for k in range(len(SIZES)) for m in _measure(family, k, positive))
            if found:
                return found
    return ()


def _any_point_fits(family: StatedFamily) -> bool:
    """Whether each point is on Γ for some data: each residual has a target of its own."""
    labels, whole = len(family.model.labels), sorted(i.key for i in family.model.labels)
    return family.outputs is not None or any(
        len(factors) == 1
        and factors[0].head in family.tensors.values()
        and sorted(i.key for i in factors[0].at) == whole
        for factors in family.model.f.terms
        if labels
    )


def _on_manifold(functions: FamilyArrays, x: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The point of Γ that Newton's steps lead to.

    Raises:
        SingularPoint: they lead to none, or not fast, as where the rank is smaller on Γ than beside it.
    """
    for _ in range(STEPS):
        x = tuple(functions.corrected(*x))
    if not np.abs(functions.residuals(*x)).max() < SMALL:
        raise SingularPoint("no point of Γ was reached")
    return x


def _measure(family: StatedFamily, k: int, positive: bool) -> list[Measured]:
    rng = np.random.default_rng(k)
    of_samples = {s for i in family.labels for s in sp.sympify(i.size).free_symbols} if family.tensors else set()
    (low, high), most = SIZES[k]
    sizes = {s: int(rng.integers(low, (high if s in of_samples else most) + 1)) for s in sorted(family.sizes, key=str)}
    numbers = {**sizes, **{s: 1 + rng.random() for s in family.numbers}}
    everything = [*family.tensors.values(), *family.model.parameters]
    arrays = {t.name: rng.standard_normal([int(sp.sympify(s).subs(sizes)) for s in t.shape]) for t in everything}
    arrays = {name: np.abs(a) if positive else a for name, a in arrays.items()}
    functions = FamilyArrays(family, {name: arrays[name] for name in family.tensors}, numbers, check=False)
    x = tuple(arrays[p.name] for p in family.model.parameters)
    try:
        if not _any_point_fits(family):
            x = _on_manifold(functions, x)
        point = replace(functions.at(*x), inverted=Spectral.of)
        rank = point.rank
    except SingularPoint:
        return []
    count = point.count - (point.count // point.label_shape[-1] if family.curvature is None else 0)
    return [Measured(tuple(sizes.items()), count, rank, sum(a.size for a in point.x))]
