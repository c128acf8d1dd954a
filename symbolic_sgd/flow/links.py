"""Coordinates in which a flow is a translation: h(ℓ) for a linear form ℓ of the parameters.

Where L depends on x through sums of functions of single forms, L = ℓ(Σ_j z_1j φ_j(ℓ_j), …), with the forms orthogonal, the
flow moves ℓ_j by −ρ φ_j′(ℓ_j), so that ∫ dℓ_j/φ_j′(ℓ_j) moves by what the forms share: ln ℓ for φ = ℓ², ℓ^(2−p) for ℓ^p,
e^(−aℓ) for e^(aℓ), ℓ itself for a linear φ. (Mirror descent's dual coordinates.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.problems.problem import Problem


class Link(Protocol):
    """A function h of one form, invertible on the side of its singularity where the form is.

    `proper` says that a flow takes forever to leave that side: its end is at infinity, or the flow slows down before it.
    """

    @property
    def proper(self) -> bool: ...

    def of(self, form: Expression) -> Expression:
        """h(ℓ), real on both sides of its singularity."""
        ...

    def moved(self, form: Expression, shift: Expression) -> Expression:
        """h⁻¹(h(ℓ) + shift), on the side where ℓ is."""
        ...

    def reach(self, form: Expression, shift: Expression) -> Expression:
        """What is positive while h(ℓ) + shift is in the range of h on that side; 1 where every shift is possible."""
        ...


@dataclass(frozen=True)
class Linear:
    """h(ℓ) = ℓ."""

    proper = True

    def of(self, form: Expression) -> Expression:
        return form

    def moved(self, form: Expression, shift: Expression) -> Expression:
        return form + shift

    def reach(self, form: Expression, shift: Expression) -> Expression:
        return sp.S.One


@dataclass(frozen=True)
class Logarithm:
    """h(ℓ) = ln|ℓ|."""

    proper = True

    def of(self, form: Expression) -> Expression:
        return sp.log(form if form.is_positive else sp.Abs(form))

    def moved(self, form: Expression, shift: Expression) -> Expression:
        return form * sp.exp(shift)

    def reach(self, form: Expression, shift: Expression) -> Expression:
        return sp.S.One


@dataclass(frozen=True)
class Power:
    """h(ℓ) = ℓ^a."""

    exponent: Expression

    @property
    def proper(self) -> bool:
        return bool(self.exponent.is_negative)

    def of(self, form: Expression) -> Expression:
        return form**self.exponent

    def moved(self, form: Expression, shift: Expression) -> Expression:
        return form * self.reach(form, shift) ** (1 / self.exponent)

    def reach(self, form: Expression, shift: Expression) -> Expression:
        return 1 + shift / self.of(form)


@dataclass(frozen=True)
class Exponential:
    """h(ℓ) = e^(−aℓ)."""

    slope: Expression
    proper = True

    def of(self, form: Expression) -> Expression:
        return sp.exp(-self.slope * form)

    def moved(self, form: Expression, shift: Expression) -> Expression:
        return form - sp.log(self.reach(form, shift)) / self.slope

    def reach(self, form: Expression, shift: Expression) -> Expression:
        return 1 + shift / self.of(form)


def power_links(problem: Problem, x: sp.Symbol) -> Iterator[Power]:
    """ℓ^(2−p) for every power x^p, p ≠ 1, 2, in the stated loss."""
    found = {
        2 - power.exp
        for expression in stated_expressions(problem)
        for power in expression.atoms(sp.Pow)
        if power.base == x and not power.exp.free_symbols & set(problem.parameters)
    }
    for exponent in _ordered(found - {sp.Integer(0), sp.Integer(1), sp.Integer(2)}):
        yield Power(exponent)


def exponential_links(problem: Problem, x: sp.Symbol) -> Iterator[Exponential]:
    """e^(−ax) for every e^(ax + …) in the stated loss."""
    slopes = {
        sp.diff(exponential.args[0], x)
        for expression in stated_expressions(problem)
        for exponential in expression.atoms(sp.exp)
        if x in exponential.args[0].free_symbols
    }
    for slope in _ordered({a for a in slopes if not a.free_symbols & set(problem.parameters)}):
        yield Exponential(slope)


def stated_expressions(problem: Problem) -> Sequence[Expression]:
    """The expressions in which the loss was stated."""
    return problem.residuals or (problem.loss,)


def _ordered(expressions: set[Any]) -> list[Any]:
    return sorted(expressions, key=sp.default_sort_key)
