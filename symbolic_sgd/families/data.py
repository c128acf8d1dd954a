"""The data of a family as float64 arrays: what is asked of them, and the residuals with their gradients at a point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from scipy import sparse

from symbolic_sgd.algebra.arithmetic import FLOAT64
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.families.gradients import FullGradients, Gradients, SplitGradients, Vector
from symbolic_sgd.families.loss_at_zero import LossAtZero
from symbolic_sgd.families.member import sizes_of
from symbolic_sgd.families.summand import Summand, derivative
from symbolic_sgd.numeric.points import real_array

SIGNS = {np.greater: "positive", np.less: "negative", np.greater_equal: "nonnegative", np.less_equal: "nonpositive"}
"""Relations to 0, and the assumptions of SymPy that state them."""


@dataclass(frozen=True)
class FamilyData:
    """One member of a family in float64: n samples, d coordinates.

    Args:
        summand: φ and ℓ″(0).
        values: data and constants by name; data indexed (i, j) are n×d, dense or SciPy sparse.

    Raises:
        BadInput: and its subclasses: names, shapes, signs, more samples than parameters, a loss without a minimum.
    """

    summand: Summand
    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked(self.summand, self.values))
        n, d = self.shape
        if n > d * len(self.summand.parameters):
            raise BadInput(
                f"there are {n} samples and D = {d * len(self.summand.parameters)} parameters: the gradients of more residuals "
                "than parameters are dependent, and Γ has no tangent space"
            )
        if not (self.curvature > 0).all():
            raise BadInput(f"ℓ″(0) is not positive for sample {int(np.argmin(self.curvature)) + 1}")
        if self.summand.split is None and any(sparse.issparse(value) for value in self.values.values()):
            raise BadInput(
                "the residual is no product of data and parameters: its derivatives are not sparse; give the data dense"
            )
        for p in self._evaluated([self.summand.plain(p) for p, _ in self._loss.laws or ()]):
            if not (np.asarray(p) > 0).all():
                raise BadInput("noise: a label's probability is not positive for these data")

    @property
    def _loss(self) -> LossAtZero:
        return self.summand.family.at_zero

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return sizes_of(self.summand.family, {name: value.shape for name, value in self.values.items()})

    @cached_property
    def curvature(self) -> np.ndarray:
        """κ_i, (n)."""
        return (
            np.broadcast_to(self._evaluated([self.summand.plain(self._loss.curvature)])[0], (self.shape[0], 1))
            .ravel()
            .astype(float)
        )

    @cached_property
    def variance(self) -> np.ndarray | None:
        """ν_i, (n), for redrawn labels."""
        if self._loss.variance is None:
            return None
        return (
            np.broadcast_to(self._evaluated([self.summand.plain(self._loss.variance)])[0], (self.shape[0], 1))
            .ravel()
            .astype(float)
        )

    @cached_property
    def proportion(self) -> float | None:
        """c."""
        c = self._loss.proportion
        return None if c is None else float(self._evaluated([c])[0])

    @cached_property
    def isotropy(self) -> float | None:
        """s²."""
        s2 = self.summand.family.noise.isotropy
        return None if s2 is None else float(self._evaluated([s2])[0])

    def _evaluated(self, expressions: Sequence[Expression]) -> list[Any]:
        return _Evaluator(expressions)(self._assignment)

    @cached_property
    def _assignment(self) -> dict[sp.Symbol, Any]:
        family = self.summand.family
        assignment: dict[sp.Symbol, Any] = {s: self.values[s.name] for s in family.constants}
        for place, symbol in zip(family.data, self.summand.data, strict=True):
            value = self.values[str(place.base.label)]
            assignment[symbol] = value[:, None] if place.indices == (family.i,) else value
        return assignment

    @cached_property
    def _factor(self) -> Any:
        """a(z), n×d."""
        split = self.summand.split
        assert split is not None
        n, d = self.shape
        dense = [v for v in self._assignment.values() if not sparse.issparse(v)]
        scattered = [s for s, v in self._assignment.items() if sparse.issparse(v)]
        if not scattered:
            return np.ascontiguousarray(np.broadcast_to(self._evaluated([split[0]])[0], (n, d)), dtype=float)
        symbol = scattered[0]
        if len(scattered) > 1:
            raise BadInput(f"{', '.join(s.name for s in scattered)} are sparse; only one of the arrays may be")
        matrix = self._assignment[symbol]
        others = split[0].free_symbols - {symbol} - set(self.summand.family.constants)
        if others or split[0].xreplace({symbol: sp.S.Zero}) != 0 or len(dense) < len(self._assignment) - 1:
            raise BadInput(
                f"{symbol.name} is sparse, but zero entries would not stay zero in {self.summand.family.summand}; give it dense"
            )
        values = _Evaluator([split[0]])({**self._assignment, symbol: matrix.data})[0]
        return sparse.csr_array(
            (np.broadcast_to(values, matrix.data.shape), matrix.indices, matrix.indptr), shape=(n, d)
        )

    @cached_property
    def _squares(self) -> Any:
        return (
            self._factor * self._factor
            if isinstance(self._factor, np.ndarray)
            else self._factor.multiply(self._factor).tocsr()
        )

    # --- at a point -------------------------------------------------------------------------

    def residuals(self, x: Vector) -> np.ndarray:
        """f_1 … f_n at x, one array (d) for each parameter of a coordinate."""
        value = self._at(x)[0]
        total = value.sum(axis=1) if self.summand.split is None else self._factor @ value
        return total + self._offsets

    def gradients(self, x: Vector) -> Gradients:
        """J and the second derivatives of the residuals at x."""
        count = len(self.summand.parameters)
        _, *rest = self._at(x)
        slopes, second = rest[:count], rest[count:]
        curvatures = [second[g * count : (g + 1) * count] for g in range(count)]
        if self.summand.split is None:
            return FullGradients(slopes, curvatures)
        return SplitGradients(self._factor, slopes, curvatures, self._squares)

    @cached_property
    def _summand_evaluator(self) -> "_Evaluator":
        s = self.summand
        body = s.value if s.split is None else s.split[1]
        slopes = [derivative(body, x) for x in s.parameters]
        return _Evaluator([body, *slopes, *(derivative(b, x) for b in slopes for x in s.parameters)])

    @cached_property
    def _offset_evaluator(self) -> "_Evaluator":
        return _Evaluator([self.summand.plain(self.summand.family.offset)])

    def _at(self, x: Vector) -> list[np.ndarray]:
        shape = self.shape[1:] if self.summand.split is not None else self.shape
        given = {k: v for k, v in self._assignment.items() if not sparse.issparse(v)}
        values = self._summand_evaluator(given | dict(zip(self.summand.parameters, x, strict=True)))
        return [np.broadcast_to(v, shape) for v in values]

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.broadcast_to(self._offset_evaluator(self._assignment)[0], (self.shape[0], 1)).ravel()


class _Evaluator:
    """Expressions as a program on arrays that broadcast against each other."""

    def __init__(self, expressions: Sequence[Expression]):
        graph = Graph()
        self.program = Program.of({"values": Matrix.column([from_sympy(e, graph) for e in expressions])})

    def __call__(self, assignment: Mapping[sp.Symbol, Any]) -> list[Any]:
        with np.errstate(all="ignore"):
            return self.program.run(FLOAT64, assignment)["values"]


def _checked(summand: Summand, values: Mapping[str, Any]) -> dict[str, Any]:
    family = summand.family
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
