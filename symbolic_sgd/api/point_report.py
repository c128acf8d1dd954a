"""Every term as numbers at one point of Γ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symbolic_sgd import numeric
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.backends.register_machine import NumPy
from symbolic_sgd.problems.problem import real_number
from symbolic_sgd.theorem.derivation import Derivation

if TYPE_CHECKING:
    from symbolic_sgd.numeric.feet import Foot


@dataclass(frozen=True)
class PointReport:
    """Every term of a limiting SDE as numbers at one point; prints as a table, and is read like a dict.

    Args:
        point: where.
        values: name → float64 matrix.
    """

    point: dict[sp.Symbol, Any]
    values: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    def __str__(self) -> str:
        head = "at " + ", ".join(f"{s} = {a}" for s, a in self.point.items())
        return "\n".join([head, *(f"{name}:\n{np.array2string(v, precision=8)}" for name, v in self.values.items())])

    __repr__ = __str__


def report_at(derivation: Derivation, point: Mapping[sp.Symbol, Any]) -> PointReport:
    """Every term at a point (symbol → number, constants included).

    Raises:
        BadInput: no value for each symbol. OffManifold, SingularPoint: as the callables do.
    """
    symbols, program = derivation.stated.symbols, derivation.program
    row, feet = checked_row(derivation, point)
    if derivation.in_matrices is not None:
        numbers = numeric.callables.NumericFunctions(derivation, check=False, backend=NumPy())
        found = {term.name: numbers.term(term.name, row[0]) for term in derivation.terms}
        return PointReport(dict(point), {name: a.reshape(len(a), -1) for name, a in found.items()})
    values = evaluate(program, symbols, row)
    for name, value in values.items():
        value[list(feet)] = numeric.feet.values_at(program.select(name), list(feet.values()))
        numeric.guard.check_finite(value, name, row)
    shapes = {output.name: output.shape for output in program.outputs}
    return PointReport(dict(point), {name: value[0].reshape(shapes[name]) for name, value in values.items()})


def checked_row(derivation: Derivation, point: Mapping[sp.Symbol, Any]) -> tuple[np.ndarray, "dict[int, Foot]"]:
    """A point of Γ as a row of floats, and the exact point beside it where float64 does not settle that it is one."""
    symbols = derivation.stated.symbols
    if not isinstance(point, Mapping):
        raise BadInput(
            f"the point is a {type(point).__name__}; give a dict from symbols to numbers, e.g. {{u: 1, v: 1}}"
        )
    missing = [s for s in symbols if s not in point]
    if missing:
        raise BadInput(f"the point has no value for {', '.join(map(str, missing))}")
    unknown = [s for s in point if s not in symbols]
    if unknown:
        raise BadInput(f"the point has a value for {unknown[0]}, which is neither a parameter nor a constant")
    row = np.array([[real_number(point[s], where=f"the value of {s}") for s in symbols]])
    return row, numeric.guard.check_points(derivation, row)
