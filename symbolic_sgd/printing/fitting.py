"""Formulas that fit their lines: parts that are too wide, or that stand in several places, get names t_1, t_2, …."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.printing.layout import fresh_names
from symbolic_sgd.printing.width import visible_length

SHORT = 9
"""Characters of a part that is not worth a name."""

TRIVIAL = 7
"""Characters of a common subexpression that is not: 2w, u², 1/w, x₁₁x₂₁."""

Write = Callable[[Any], str]
"""An expression in LaTeX."""

Part = tuple[sp.Symbol, Expression]
"""A name and what it stands for."""


@dataclass(frozen=True)
class Fitted:
    """Expressions whose terms fit a line.

    Args:
        entries: in the names of the parts.
        parts: (name, value), in the order in which one meets the names.
    """

    entries: tuple[Expression, ...]
    parts: tuple[Part, ...]


def fitted(
    entries: Iterable[Expression], widest: float, write: Write, parts: Sequence[Part] = (), letter: str = "t"
) -> Fitted:
    """Expressions with names for what makes a term wider than a line.

    Args:
        entries: the expressions.
        widest: characters of a line.
        write: how they are written.
        parts: names that they have already.
        letter: of the names.
    """
    fitting = _Fitting(widest, write, letter)
    kept = {name: fitting.sum(value) for name, value in parts}
    shown = [fitting.sum(entry) for entry in entries]
    return _in_order(shown, kept | fitting.named, write, letter)


def with_common_parts(matrix: SymbolicMatrix, widest: float, write: Write) -> Fitted:
    """The entries of a matrix with names for their common subexpressions, and for what makes a term wider than a line."""
    found: Any
    entries: Any
    found, entries = sp.cse(list(matrix.flat()), symbols=iter(sp.Dummy, None), order="none")
    meant: dict[Expression, Expression] = {}
    kept: list[Part] = []
    for k, (dummy, value) in enumerate(found):
        value = value.xreplace(meant)
        if visible_length(write(value)) <= TRIVIAL:
            meant[dummy] = value
        else:
            name = meant[dummy] = sp.Dummy(f"t_{k}")
            kept.append((name, value))
    return fitted([entry.xreplace(meant) for entry in entries], widest, write, kept)


class _Fitting:
    """The names that were given, and what they stand for."""

    def __init__(self, widest: float, write: Write, letter: str):
        self.named: dict[sp.Symbol, Expression] = {}
        self._widest = widest
        self._write = write
        self._letter = letter
        self._names: dict[Expression, sp.Symbol] = {}

    def sum(self, expression: Expression) -> Expression:
        terms = sp.Add.make_args(expression)
        fitting = [self._term(term) for term in terms]
        return expression if all(a is b for a, b in zip(terms, fitting, strict=True)) else sp.Add(*fitting)

    def _term(self, term: Expression) -> Expression:
        while self._width(term) > self._widest:
            part = self._widest_part(term)
            if part is None:
                return self._halved(term)
            term = term.xreplace({part: self._name(part)})
        return term

    def _halved(self, term: Expression) -> Expression:
        """A long product of short factors, with a name for half of them."""
        factors = [f for f in sp.Mul.make_args(term) if f.free_symbols and not _divides(f)]
        if len(factors) < 4:
            return term
        half = sp.Mul(*factors[: len(factors) // 2])
        return self._term(term / half * self._name(half))

    def _width(self, expression: Expression) -> float:
        return visible_length(self._write(expression))

    def _name(self, part: Expression) -> sp.Symbol:
        if part not in self._names:
            name = self._names[part] = sp.Dummy(f"{self._letter}_{len(self._names)}0")
            self.named[name] = self.sum(part)
        return self._names[part]

    def _widest_part(self, term: Expression) -> Expression | None:
        """The widest sum that stands in no other, else the widest part of any kind."""
        for parts in (_outermost_sums(term), _inner_parts(term)):
            wide = [(width, k) for k, part in enumerate(parts) if (width := self._width(part)) > SHORT]
            if wide:
                return parts[max(wide)[1]]
        return None


def _outermost_sums(term: Expression) -> list[Expression]:
    found: list[Expression] = []
    walk = sp.preorder_traversal(term)
    next(walk)
    for part in walk:
        if isinstance(part, sp.Add):
            walk.skip()
            found += [part] if part not in found else []
    return found


def _inner_parts(term: Expression) -> list[Expression]:
    """Parts that are no numbers, symbols and quotients."""
    inner: Any = sp.preorder_traversal(term)
    next(inner)
    return [part for part in inner if part.args and not part.is_number and not _divides(part)]


def _divides(part: Any) -> bool:
    return part.is_Pow and part.exp.is_negative


def _in_order(
    entries: Sequence[Expression], meanings: dict[sp.Symbol, Expression], write: Write, letter: str
) -> Fitted:
    """With the final names, numbered as one meets them."""
    order: list[sp.Symbol] = []

    def read(expression: Expression) -> None:
        tex = write(expression)
        met = (expression.free_symbols & meanings.keys()) - set(order)
        order.extend(sorted(met, key=lambda s: tex.find(write(s))))

    for entry in entries:
        read(entry)
    for name in order:  # which grows: what stands for a name has names in it
        read(meanings[name])
    taken = set().union(*(e.free_symbols for e in (*entries, *meanings.values()))) - meanings.keys()
    given = [name for name in order if isinstance(name, sp.Dummy)]
    renamed: dict[sp.Symbol, sp.Symbol] = dict(zip(given, fresh_names(letter, taken), strict=False))
    return Fitted(
        tuple(entry.xreplace(renamed) for entry in entries),
        tuple((renamed.get(name, name), meanings[name].xreplace(renamed)) for name in order),
    )
