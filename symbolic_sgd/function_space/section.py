"""A point on every fibre: scalings set some parameters to 1, and F(x) = β is solved for the others, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.function_space.closed_form import NoPointHere
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.matrix_norms import NotANumber, number_at

CHOICES = 400
"""Sets of parameters that are tried."""

SIGNS = 16
"""Choices of signs that are followed."""

STRICT = (sp.StrictGreaterThan, sp.StrictLessThan)


@dataclass(frozen=True)
class Section:
    """Points of every fibre, as functions of β, to one of which scalings bring any point of it.

    Args:
        fibres: whose.
        branches: one for each choice of signs.
        stand_ins: β ↦ its stand-in.
        generic: which β were left out, in words ("" for none).
        words: the point, in words.
    """

    fibres: Fibres
    branches: tuple["Branch", ...]
    stand_ins: Mapping[sp.Symbol, sp.Symbol]
    generic: str
    words: str

    @property
    def condition(self) -> tuple[Any, ...]:
        """What β has to be for the fibre not to be empty, as relations in β: what all branches ask, and what one of them does."""
        asked = [branch.conditions for branch in self.branches]
        shared = [c for c in dict.fromkeys(asked[0]) if all(c in own for own in asked)]
        either = sp.Or(*[sp.And(*[c for c in own if c not in shared]) for own in asked])
        return tuple(self._named(c) for c in (*shared, either) if c != sp.true)

    def _named(self, expression: Any) -> Any:
        return expression.xreplace({stand: b for b, stand in self.stand_ins.items()})

    def inserted(self, invariant: Any) -> Any:
        """An invariant as a function of β; None where it is not seen to be the same on all branches."""
        values = [_with_moduli(_factored(sp.simplify(invariant.xreplace(dict(branch.at))))) for branch in self.branches]
        if any(value != values[0] and sp.simplify(value - values[0]) != 0 for value in values[1:]):
            return None
        return self._named(values[0])

    def point(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        """The point, in numbers.

        Raises:
            NoPointHere: no branch has one for this β. NotANumber: one divides by zero there.
        """
        values, undefined = {stand: beta[b] for b, stand in self.stand_ins.items()}, False
        for branch in self.branches:
            try:
                if all(_holds(c, values) for c in branch.conditions):
                    return {p: number_at(e, values) for p, e in branch.at.items()}
            except NotANumber:
                undefined = True
        raise NotANumber if undefined else NoPointHere


@dataclass(frozen=True)
class Branch:
    """x as a function of real stand-ins for β, and what β has to be for it to be there."""

    at: Mapping[sp.Symbol, Any]
    conditions: tuple[Any, ...]


def _holds(condition: Any, values: Mapping[sp.Symbol, Any]) -> bool:
    """Whether an inequality holds for numbers."""
    above = number_at(condition.gts - condition.lts, values)
    return bool(above > 0 if condition.is_Relational and isinstance(condition, STRICT) else above >= 0)


def section_of(fibres: Fibres, torus: SymbolicMatrix) -> Section | None:
    """The first one found; None where F(x) = β was not solved so."""
    stand_ins = {b: sp.Dummy(b.name, real=True) for b in fibres.symbols}
    trained = list(fibres.parameters)
    moved = [i for i in range(len(trained)) if any(torus[:, i])]
    reaches_signs = _sees_no_turns(fibres, torus)
    for chosen in islice(combinations(moved, torus.rows), CHOICES):
        if abs(torus[:, list(chosen)].det()) != 1:
            continue
        stated = [(fibres.signs[trained[i]],) if trained[i] in fibres.signs else (1, -1) for i in chosen]
        patterns = [tuple(s[0] for s in stated)] if reaches_signs else list(product(*stated))
        if len(patterns) > SIGNS:
            continue
        found = [
            _Solution(fibres, stand_ins).solved({trained[i]: sp.Integer(s) for i, s in zip(chosen, signs, strict=True)})
            for signs in patterns
        ]
        if any(solution is None for solution in found):
            continue
        solutions = [solution for solution in found if solution is not None]
        back = {stand: b for b, stand in stand_ins.items()}
        first = solutions[0]
        divided = dict.fromkeys(d for solution in solutions for d in solution.divided)
        generic = " where " + " and ".join(f"{d.xreplace(back)} ≠ 0" for d in divided) if divided else ""
        branches = tuple(branch for solution in solutions for branch in solution.branches)
        words = ", ".join(f"{p} = {first.branches[0].at[p].xreplace(back)}" for p in trained)
        return Section(fibres, branches, stand_ins, generic, words)
    return None


def _sees_no_turns(fibres: Fibres, torus: SymbolicMatrix) -> bool:
    """Whether s^w with s < 0, which changes signs of parameters too, leaves F and every term of R as they are."""
    real = {p: sp.Dummy(p.name, real=True) for p in fibres.parameters}
    for k in range(torus.rows):
        turned = {p: (-1) ** int(torus[k, i]) * real[p] for i, p in enumerate(fibres.parameters)}
        for e in (*fibres.predictor, *fibres.terms):
            if sp.expand(sp.sympify(e).xreplace(turned) - sp.sympify(e).xreplace(real)) != 0:
                return False
    return True


class _Solution:
    """F(x) = β, one unknown after the other.

    Attributes:
        branches: the solutions.
        divided: functions of β that were divided by.
    """

    def __init__(self, fibres: Fibres, stand_ins: Mapping[sp.Symbol, sp.Symbol]):
        self.fibres = fibres
        self.stand_ins = stand_ins
        self.branches: list[Branch] = []
        self.divided: list[Any] = []

    def solved(self, fixed: Mapping[sp.Symbol, Any]) -> "_Solution | None":
        """With these parameters fixed; None where an unknown stays, or where nothing is on the fibre."""
        fixed = dict(fixed)
        equations = [
            (f.xreplace(fixed), self.stand_ins[b])
            for f, b in zip(self.fibres.predictor, self.fibres.symbols, strict=True)
        ]
        unknown = [p for p in self.fibres.parameters if p not in fixed]
        return self if self._solve(equations, unknown, fixed, ()) and self.branches else None

    def _solve(
        self,
        equations: list[tuple[Any, Any]],
        unknown: list[sp.Symbol],
        known: dict[sp.Symbol, Any],
        conditions: tuple[Any, ...],
    ) -> bool:
        if not unknown:
            # What is left over are relations between the entries of F themselves.
            if any(e != 0 and not e.free_symbols for e in (sp.simplify(f - b) for f, b in equations)):
                return False
            done: dict[sp.Symbol, Any] = {}
            for p in reversed(known):
                done[p] = sp.simplify(sp.sympify(known[p]).xreplace(done))
            self.branches.append(Branch(done, conditions))
            return True
        step = _next_step(equations, unknown)
        if step is None:
            return False
        self.divided.extend(d for d in step.nonzero if d not in self.divided)
        conditions = tuple(c for c in dict.fromkeys((*conditions, *self._conditions(step))) if c != sp.true)
        if sp.false in conditions:
            return True
        for value in self._roots(step):
            put = {step.symbol: value}
            replaced = [(sp.cancel(f.xreplace(put)) if step.power == 1 else f.xreplace(put), b) for f, b in equations]
            remaining = [(f, b) for f, b in replaced if sp.simplify(f - b) != 0]
            if not self._solve(remaining, [p for p in unknown if p != step.symbol], {**known, **put}, conditions):
                return False
        return True

    def _conditions(self, step: "_Step") -> list[Any]:
        """What β has to be for this unknown to have a value of its sign."""
        sign = self.fibres.signs.get(step.symbol)
        if step.power % 2 == 0:
            positive = sp.Ge if sign is None else sp.Gt
            return [positive(_of_its_sign(step.value), 0)] if step.value.free_symbols else []
        return [] if sign is None else [sp.Gt(sign * _of_its_sign(step.value), 0)]

    def _roots(self, step: "_Step") -> list[Any]:
        n, value = step.power, step.value
        sign = self.fibres.signs.get(step.symbol)
        if n % 2 == 0:
            if value.is_negative:
                return []
            root = value ** sp.Rational(1, n)
            return [root, -root] if sign is None else [sign * root]
        return [value] if n == 1 else [sp.sign(value) * sp.Abs(value) ** sp.Rational(1, n)]


@dataclass(frozen=True)
class _Step:
    """x_pⁿ = v, with what of β may not be zero for this to be the only solution."""

    symbol: sp.Symbol
    power: int
    value: Any
    nonzero: tuple[Any, ...]


def _next_step(equations: list[tuple[Any, Any]], unknown: list[sp.Symbol]) -> _Step | None:
    """From an equation that holds no other unknown; else from one that is c(x)·x_p = β with c ≠ 0 because β ≠ 0."""
    for f, b in equations:
        inside = [p for p in unknown if f.has(p)]
        if len(inside) != 1 or not f.is_polynomial(inside[0]):
            continue
        polynomial = sp.Poly(f, inside[0])
        powers = [n for (n,) in polynomial.monoms() if n > 0]
        if len(powers) == 1:
            slope, constant = polynomial.coeff_monomial(inside[0] ** powers[0]), polynomial.coeff_monomial(1)
            below = sp.factor(sp.numer(sp.together(slope)))
            divided = (below,) if below.free_symbols else ()
            return _Step(inside[0], powers[0], sp.cancel((b - constant) / slope), divided)
    for f, b in equations:
        for p in unknown:
            slope = sp.cancel(f / p)
            if f.has(p) and not slope.has(p):
                return _Step(p, 1, b / slope, (b,))
    return None


def _of_its_sign(value: Any) -> Any:
    """A value without the roots that it is divided by, which are positive."""
    factors: Any = sp.Mul.make_args(value)
    return sp.Mul(*[f for f in factors if not (f.is_Pow and f.exp.is_Rational and f.exp < 0 and f.exp.q % 2 == 0)])


def _factored(expression: Any) -> Any:
    """What roots are taken of as products, each of which the root is taken of."""

    def apart(base: Any, power: Any) -> Any:
        factors = sp.Mul.make_args(sp.factor(base))
        return (
            sp.Mul(*[f**power for f in factors])
            if all(_square_or_positive(f) for f in factors)
            else sp.factor(base) ** power
        )

    return expression.replace(
        lambda e: e.is_Pow and not e.exp.is_Integer and e.base.is_rational_function(), lambda e: apart(e.base, e.exp)
    )


def _square_or_positive(factor: Any) -> bool:
    return bool(factor.is_nonnegative)


def _with_moduli(expression: Any) -> Any:
    """(b²)^{k/2} as |b|^k."""
    return expression.replace(
        lambda e: e.is_Pow and e.base.is_Pow and e.base.exp.is_Integer and e.base.exp % 2 == 0 and e.base.base.is_real,
        lambda e: sp.Abs(e.base.base) ** (e.base.exp * e.exp),
    )
