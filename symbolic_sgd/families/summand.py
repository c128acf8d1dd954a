"""What the theorem needs of a family: the derivatives of φ by the parameters of one coordinate, and ℓ″ at zero."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput, DegenerateMinimum, ExpressionTooLarge, NoMinimum, SymbolicSGDError, Undecided
from symbolic_sgd.families.family import Family
from symbolic_sgd.problems.noise import LabelLaw, LabelNoise
from symbolic_sgd.theorem.rational_forms import shortest_forms


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
        summand = Summand(family, parameters, data)
        summand._check()
        return summand

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

    # --- the loss ---------------------------------------------------------------------------

    @cached_property
    def curvature(self) -> Expression:
        """κ_i = ℓ″(0)."""
        return self._loss_derivative(2)

    def _loss_derivative(self, order: int) -> Expression:
        (r,) = self.family.loss.variables
        return reduced(self.plain(sp.diff(self.family.loss.expr, r, order).xreplace({r: sp.S.Zero})))

    @cached_property
    def proportion(self) -> Expression | None:
        """c with Σ = c∇²L on Γ, where label noise has one: ν_i = cκ_i for all samples."""
        if self.variance is None:
            return None
        ratio = reduced(self.variance / self.curvature)
        return None if set(self.data) & ratio.free_symbols else ratio

    @cached_property
    def laws(self) -> tuple[LabelLaw, ...] | None:
        """(p_k, ℓ_k) of the labels of a sample, where labels are the only noise."""
        return self.family.noise.laws_of(self.family.loss)

    @cached_property
    def variance(self) -> Expression | None:
        """ν_i = Σ_k p_k ℓ_k′(0)², with Σ = Σ_i ν_i ∇f_i∇f_iᵀ/n on Γ, where labels are the only noise."""
        if self.laws is None:
            return None
        (r,) = self.family.loss.variables
        total: Expression = sp.S.Zero
        for p, loss in self.laws:
            slope: Expression = sp.diff(loss(r), r)
            total += p * slope.xreplace({r: sp.S.Zero}) ** 2
        return self.plain(total)

    def _check(self) -> None:
        slope = self._loss_derivative(1)
        if slope != 0:
            raise NoMinimum(
                f"loss: ℓ′(0) = {self.indexed(slope)} is not zero: f_{self.family.i} = 0 does not minimise ℓ"
            )
        self._check_probabilities()
        if self.curvature.is_nonpositive:
            raise DegenerateMinimum(f"loss: ℓ″(0) = {self.curvature} is not positive")
        if isinstance(self.family.noise, LabelNoise) and self._loss_order() > 2:
            raise BadInput(
                "noise: LabelNoise moves labels by ±δ, which leaves the loss as it is for quadratic ℓ only; state the losses "
                "of the labels with RedrawnLabels"
            )

    def _check_probabilities(self) -> None:
        if self.laws is None:
            return
        rest = reduced(sp.Add(*(self.plain(p) for p, _ in self.laws)) - 1)
        if rest != 0:
            raise BadInput(f"noise: the probabilities of the labels add up to {self.indexed(rest + 1)} instead of 1")

    def _loss_order(self) -> int:
        (r,) = self.family.loss.variables
        expression: Expression = self.family.loss.expr
        return int(sp.Poly(expression, r).degree()) if expression.is_polynomial(r) else 3


def reduced(expression: Expression) -> Expression:
    """A reduced fraction, functions of one variable being generators; 0 comes out as 0.

    Raises:
        Undecided: the expression is beyond the exact forms.
    """
    try:
        (form,) = shortest_forms([from_sympy(expression, Graph())])
    except ExpressionTooLarge as error:
        raise Undecided(f"{expression} was not reduced exactly: state the loss more simply") from error
    except (SymbolicSGDError, ZeroDivisionError) as error:
        raise Undecided(f"{expression} was not reduced exactly: {error}") from error
    return form


def derivative(expression: Expression, symbol: sp.Symbol) -> Expression:
    """∂f, with powers of the same base collected: p u^p/u is p u^{p−1}, which is finite at u = 0 for p ≥ 1."""
    return sp.powsimp(sp.factor_terms(sp.diff(expression, symbol)))
