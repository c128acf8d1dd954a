"""What the theorem needs of a family: the derivatives of φ by the parameters of one coordinate, and ℓ″ at zero."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.families.family import Family


@dataclass(frozen=True)
class Summand:
    """φ(z_ij, x_j) in plain symbols, one for each parameter of a coordinate and one for each array of data.

    Args:
        family: what was stated.
        parameters: one real symbol for each `IndexedBase`.
        data: one real symbol for each of `family.data`.
    """

    family: Family
    parameters: tuple[sp.Symbol, ...]
    data: tuple[sp.Symbol, ...]

    @staticmethod
    def of(family: Family) -> "Summand":
        """The summand of a family.

        Raises:
            NoMinimum: ℓ′(0) is not zero: f = 0 is no stationary point.
            DegenerateMinimum: ℓ″(0) is not positive.
            BadInput: label noise where ℓ is not quadratic.
        """
        parameters = tuple(sp.Dummy(str(b.label), real=True, positive=b.is_positive) for b in family.parameters)
        data = tuple(sp.Dummy(str(a.base.label), real=True, positive=a.base.is_positive) for a in family.data)
        return Summand(family, parameters, data)

    @cached_property
    def _stand_ins(self) -> dict[Any, sp.Symbol]:
        j = self.family.j
        pairs = zip(self.family.parameters, self.parameters, strict=True)
        return {base[j]: s for base, s in pairs} | dict(zip(self.family.data, self.data, strict=True))

    def plain(self, expression: Expression) -> Expression:
        """An expression in indexed quantities, in plain symbols."""
        return expression.xreplace(self._stand_ins)

    def indexed(self, expression: Expression) -> Expression:
        """The way back."""
        return expression.xreplace({s: a for a, s in self._stand_ins.items()})

    # --- the summand ------------------------------------------------------------------------

    @cached_property
    def value(self) -> Expression:
        """φ."""
        return self.plain(self.family.summand)

    @cached_property
    def slopes(self) -> tuple[Expression, ...]:
        """φ_g = ∂φ/∂x_g."""
        return tuple(derivative(self.value, x) for x in self.parameters)

    @cached_property
    def curvatures(self) -> tuple[tuple[Expression, ...], ...]:
        """φ_gh = ∂²φ/∂x_g∂x_h."""
        return tuple(tuple(derivative(slope, x) for x in self.parameters) for slope in self.slopes)

    @cached_property
    def split(self) -> tuple[Expression, Expression] | None:
        """(a, b) with φ = a(data) b(x_j), where no data of a sample stand in b; None where φ does not split."""
        factor, rest = sp.factor_terms(self.value).as_independent(*self.parameters, as_Add=False)
        return None if self.of_samples & rest.free_symbols else (factor, rest)

    @cached_property
    def of_samples(self) -> set[sp.Symbol]:
        """The symbols of the data that carry the index of samples."""
        return {s for a, s in zip(self.family.data, self.data, strict=True) if self.family.i in a.indices}


def derivative(expression: Expression, symbol: sp.Symbol) -> Expression:
    """∂f, with powers of the same base collected: p u^p/u is p u^{p−1}, which is finite at u = 0 for p ≥ 1."""
    return sp.powsimp(sp.factor_terms(sp.diff(expression, symbol)))
