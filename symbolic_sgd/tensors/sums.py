"""Forms as SymPy expressions: sums over indexed quantities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.tensors.entrywise import X
from symbolic_sgd.tensors.forms import Applied, Factor, Factors, Form, Index, Tensor

Named = Mapping[Index, sp.Symbol]
"""Indices, by the symbols that stand for them."""


@dataclass(frozen=True)
class Sums:
    """What the letters of forms are in SymPy.

    Args:
        entry: (T, its indices) ↦ T[i, j, …].
        kind: what a place of a tensor numbers, such as its samples.
        letters: the symbols of summed indices of each kind, the outermost kind first.

    >>> n, j = sp.Symbol("n"), sp.Symbol("j", integer=True)
    >>> u, a = Tensor("u", (n,)), Index("a", n)
    >>> sums = Sums(lambda tensor, at: sp.IndexedBase(tensor.name)[at], lambda tensor, slot: "entry", {"entry": (j,)})
    >>> sums.written((u.entry(a) * u.entry(a)).summed(a).scaled(2))
    2*Sum(u[j]**2, (j, 1, n))
    """

    entry: Callable[[Tensor, tuple[sp.Symbol, ...]], Expression]
    kind: Callable[[Tensor, int], str]
    letters: Mapping[str, tuple[sp.Symbol, ...]]

    def written(self, form: Form, at: Named | None = None) -> Expression:
        """The expression: terms that are summed over the same letters stand under one sign, with what they have in common in front.

        Args:
            form: whose indices have a kind.
            at: the symbols of its free indices.
        """
        groups: dict[tuple[tuple[sp.Symbol, Any], ...], list[Expression]] = {}
        for factors, coefficient in form.terms.items():
            bound = self._bound(factors, dict(at or {}))
            names = {**(at or {}), **dict(bound)}
            body = sp.Mul(coefficient, *(self._factor(f, names) for f in factors))
            groups.setdefault(tuple((s, i.size) for i, s in bound), []).append(body)
        return sp.Add(*(self._summed(bodies, over) for over, bodies in groups.items()))

    def _summed(self, bodies: list[Expression], over: tuple[tuple[sp.Symbol, Any], ...]) -> Expression:
        found = sp.Add(*bodies)
        for letter, size in reversed(over):
            found = summed(_separated(found, letter), letter, size)
        return found if over else sp.factor_terms(found)

    def _bound(self, factors: Factors, taken: dict[Index, sp.Symbol]) -> list[tuple[Index, sp.Symbol]]:
        """The summed indices with their letters, the outermost first."""
        kinds: dict[Index, str] = {}
        for factor in factors:
            self._kinds_in(factor, kinds)
        used = set(taken.values())
        found = []
        for kind, letters in self.letters.items():
            free = (s for s in letters if s not in used)
            found += [(i, next(free)) for i, k in kinds.items() if i.bound and k == kind]
        return found

    def _kinds_in(self, factor: Factor, kinds: dict[Index, str]) -> None:
        head, at = factor
        if isinstance(head, Tensor):
            for slot, i in enumerate(at):
                kinds.setdefault(i, self.kind(head, slot))
        elif isinstance(head, Applied):
            places = dict(zip(head.inner.free, at, strict=True))
            for factors in head.inner.terms:
                for f in factors:
                    inside: dict[Index, str] = {}
                    self._kinds_in(f, inside)
                    kinds |= {places[i]: k for i, k in inside.items() if i in places and places[i] not in kinds}

    def _factor(self, factor: Factor, names: Named) -> Expression:
        head, at = factor
        if isinstance(head, Tensor):
            return self.entry(head, tuple(names[i] for i in at))
        if isinstance(head, Applied):
            outside = {slot: names[i] for slot, i in zip(head.inner.free, at, strict=True)}
            return head.function.value.xreplace({X: self.written(head.inner, outside)})
        return sp.KroneckerDelta(*(names[i] for i in at))


def summed(expression: Expression, index: sp.Symbol, size: Expression) -> Expression:
    """Σ over 1 … size, with the factors that do not depend on the index in front of the sign."""
    expression = sp.factor_terms(expression)
    if index not in expression.free_symbols:
        return size * expression
    outer, inner = (sp.S.One, expression) if expression.is_Add else expression.as_independent(index, as_Add=False)
    return outer * sp.Sum(inner, (index, 1, size))


def _separated(expression: Expression, index: sp.Symbol) -> Expression:
    """A sum of products as one product of what does not depend on the index and what does, where it is one."""
    by_inner: dict[Expression, Expression] = {}
    for term in sp.Add.make_args(expression):
        outer, inner = term.as_independent(index, as_Add=False)
        by_inner[inner] = by_inner.get(inner, sp.S.Zero) + outer
    by_outer: dict[Expression, Expression] = {}
    for inner, outer in by_inner.items():
        factor, rest = sp.factor_terms(outer).as_coeff_Mul()
        by_outer[rest] = by_outer.get(rest, sp.S.Zero) + factor * inner
    if len(by_outer) > 1:
        return sp.factor_terms(expression)
    ((outer, inner),) = by_outer.items()
    return outer * sp.factor_terms(inner)
