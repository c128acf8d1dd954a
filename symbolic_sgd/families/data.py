"""The data of a family as float64 arrays: what is asked of them, and the theorem at a point for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from scipy import sparse

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.families.array_modules import NUMPY
from symbolic_sgd.families.family import Family
from symbolic_sgd.families.gram_inverse import Triangular
from symbolic_sgd.families.member import sizes_of
from symbolic_sgd.families.slow_motion import PLAIN, SlowMotion
from symbolic_sgd.families.tensor_point import TensorPoint, Vector
from symbolic_sgd.numeric.points import real_array
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.tensors.entrywise import X
from symbolic_sgd.tensors.evaluation import Arrays
from symbolic_sgd.tensors.forms import Applied, Form

SIGNS = {np.greater: "positive", np.less: "negative", np.greater_equal: "nonnegative", np.less_equal: "nonpositive"}
"""Relations to 0, and the assumptions of SymPy that state them."""


@dataclass(frozen=True)
class FamilyData:
    """One member of a family in float64: n samples, d coordinates.

    Args:
        family: what was stated.
        values: data and constants by name; data indexed (i, j) are n×d, dense or SciPy sparse.
        sizes: what no data tell, by symbol.
        optimizer: whose limit it is; its symbols are constants of the family.

    Raises:
        BadInput: and its subclasses: names, shapes, signs, more samples than parameters, a loss without a minimum.
    """

    family: Family
    values: Mapping[str, Any]
    sizes: Mapping[Any, int] = field(default_factory=dict)
    optimizer: Optimizer = PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked(self.family, self.values))
        n, d = self.shape
        count = d * len(self.family.parameters)
        if n > count:
            raise BadInput(
                f"there are {n} samples and D = {count} parameters: the gradients of more residuals "
                "than parameters are dependent, and Γ has no tangent space"
            )
        if not (self.curvature > 0).all():
            raise BadInput(f"ℓ″(0) is not positive for sample {int(np.argmin(self.curvature)) + 1}")
        for p, _ in self.family.at_zero.laws or ():
            if not (self._of_samples(p) > 0).all():
                raise BadInput("noise: a label's probability is not positive for these data")
        self._check_sparse()

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return sizes_of(self.family, {name: value.shape for name, value in self.values.items()}, self.sizes)

    @cached_property
    def motion(self) -> SlowMotion[Family]:
        """What the optimizer makes of the noise."""
        return SlowMotion(self.family, self.optimizer)

    @cached_property
    def curvature(self) -> np.ndarray:
        """κ_i, (n)."""
        return self._of_samples(self.family.curvature)

    @cached_property
    def variance(self) -> np.ndarray | None:
        """ν_i, (n), for redrawn labels."""
        variance = self.family.at_zero.variance
        return None if variance is None else self._of_samples(variance)

    # --- at a point -------------------------------------------------------------------------

    def point(self, x: Vector, sigma: Vector | None = None) -> TensorPoint:
        """What the theorem says at x, one array (d) for each parameter of a coordinate."""
        family, arrays = self.family, self._arrays(x)
        number = lambda e: None if e is None else arrays.number(e)  # noqa: E731 (numbers of one kind)
        proportion = number(family.proportion)
        return TensorPoint(
            family.model,
            arrays,
            self.shape[0],
            root=np.sqrt(self.curvature),
            proportion=proportion,
            isotropy=number(family.noise.isotropy),
            sigma=sigma,
            variance=None if self.variance is None or proportion is not None else self.variance / self.curvature,
            trace_gradient=family.trace_gradient,
            inverted=Triangular.of,
            motion=self.motion.at(arrays.number, arrays.numbers, NUMPY.printer),
        )

    def residuals(self, x: Vector) -> np.ndarray:
        """f_1 … f_n."""
        return self._arrays(x).value(self.family.model.f)

    def _arrays(self, x: Vector | None = None) -> Arrays:
        family = self.family
        tensors = {str(base.label): self.values[str(base.label)] for base in dict.fromkeys(a.base for a in family.data)}
        if x is not None:
            tensors |= {p.name: a for p, a in zip(family.model.parameters, x, strict=True)}
        sizes = dict(zip((family.samples, family.coordinates), self.shape, strict=True))
        constants = {s: _whole(self.values[s.name].item()) for s in family.constants}
        return Arrays(tensors, {s: k for s, k in {**sizes, **constants}.items() if s.is_Symbol}, np)

    def _of_samples(self, expression: Expression) -> np.ndarray:
        return self._arrays().value(self.family.read(expression))

    def _check_sparse(self) -> None:
        names = {name for name, value in self.values.items() if sparse.issparse(value)}
        for head in _applied_in(self.family.model.f):
            held = names & {t.name for t in head.inner.tensors}
            if held and self._arrays().stays_sparse(head) is None:
                function = head.function.expression.xreplace({X: sp.Symbol("…")})
                raise BadInput(
                    f"{min(held)} is sparse, but zero entries would not stay zero in {function}; give it dense"
                )


def _applied_in(form: Form) -> list[Applied]:
    return [head for factors in form.terms for head, _ in factors if isinstance(head, Applied)]


def _whole(value: float) -> Any:
    """A number as an exponent that leaves powers of negative numbers real."""
    return int(value) if value == int(value) else value


def _checked(family: Family, values: Mapping[str, Any]) -> dict[str, Any]:
    arrays = {str(a.base.label): len(a.indices) for a in family.data}
    names = [*arrays, *(s.name for s in family.constants)]
    unknown = [name for name in values if name not in names]
    missing = [name for name in names if name not in values]
    if unknown or missing:
        raise BadInput(
            f"{unknown[0]!r} is no array or constant of the family"
            if unknown
            else f"no value for {missing[0]}: pass it by keyword"
        )
    checked: dict[str, Any] = {}
    for name in names:
        value = values[name]
        checked[name] = _sparse(value, name) if sparse.issparse(value) else real_array(value, name)
        if checked[name].ndim != arrays.get(name, 0):
            raise BadShape(f"{name} has {checked[name].ndim} dimensions; it takes {arrays.get(name, 0)}")
    declared = {s.name: s for s in family.constants} | {str(a.base.label): a.base for a in family.data}
    for name, symbol in declared.items():
        for relation, words in SIGNS.items():
            entries = checked[name].data if sparse.issparse(checked[name]) else checked[name]
            if getattr(symbol, f"is_{words}") and not relation(entries, 0).all():
                raise BadInput(f"{name} is declared {words}, and holds an entry that is not")
    return checked


def _sparse(value: Any, name: str) -> Any:
    if value.dtype.kind not in "fiu":
        raise BadInput(f"{name} has entries of type {value.dtype}; they have to be real numbers")
    matrix = sparse.csr_array(value, dtype=float, copy=True)
    matrix.sum_duplicates()
    if not np.isfinite(matrix.data).all():
        raise BadInput(f"{name} holds an entry that is not finite")
    return matrix
