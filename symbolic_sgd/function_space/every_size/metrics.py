"""Positive semidefinite matrices of data, as they are read off R: a number, a scalar of the data, and a matrix with a name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.function_space.every_size.fibres import Quantity, chosen_name
from symbolic_sgd.tensors.canonical import parts
from symbolic_sgd.tensors.forms import Factors, Form, Index, delta
from symbolic_sgd.tensors.formula import MatrixFormula
from symbolic_sgd.tensors.layout import in_order
from symbolic_sgd.tensors.notation import content


@dataclass(frozen=True)
class Metric:
    """coefficient · scalar · core.

    Args:
        coefficient: of sizes and constants.
        scalar: of the data, a form without free indices.
        core: with two free indices, or none where the matrix has one row; those before them number matrices.
        sides: the two.
    """

    coefficient: Any
    scalar: Form
    core: Form
    sides: tuple[Index, ...]

    @staticmethod
    def of(form: Form, sides: tuple[Index, ...]) -> "Metric | None":
        """Of a form that is not 0, made symmetric in its sides."""
        if form.is_zero:
            return None
        if sides:
            a, b = sides
            turned = form.renamed({a: Index("⇄", a.size), b: a}).renamed({Index("⇄", a.size): b})
            form = (Form.of(form.free, _raw(form)) + Form.of(form.free, _raw(turned))).scaled(sp.Rational(1, 2))
        apart = [(*_apart(factors), c) for factors, c in in_order(form)]
        common, rest = content([c for *_, c in apart])
        scalars = {scalar for scalar, _, _ in apart}
        if len(scalars) > 1:
            apart = [((), (*scalar, *core), c) for scalar, core, c in apart]
        scalar = Form.of((), [(sp.S.One, apart[0][0], ())])
        core = Form.of(form.free, [(c, f, ()) for (_, f, _), c in zip(apart, rest, strict=True)])
        return Metric(common, scalar, core, sides)

    @property
    def form(self) -> Form:
        """All of it."""
        return (self.scalar * self.core).scaled(self.coefficient)

    @property
    def is_identity(self) -> bool:
        """Whether the core is I, or 1."""
        one = delta(*self.sides) if self.sides else Form.of(self.core.free, [(sp.S.One, (), ())])
        return self.core.terms == one.terms

    @property
    def size(self) -> Any:
        """The number of its rows."""
        return self.sides[0].size if self.sides else sp.S.One

    @cached_property
    def trace(self) -> Form:
        """tr of the core."""
        if not self.sides:
            return self.core
        a, b = self.sides
        return self.core.renamed({b: a}).summed(a)


def _raw(form: Form) -> Iterable[Any]:
    return ((c, f, ()) for f, c in form.terms.items())


def _apart(factors: Factors) -> tuple[Factors, Factors]:
    """The factors that no index joins to a free one, and the others."""
    scalar, core = [], []
    for group in parts(factors):
        (core if any(not i.bound for f in group for i in f.at) else scalar).extend(group)
    return tuple(scalar), tuple(core)


class Names:
    """Letters for quantities, each given once.

    Args:
        taken: names that mean something already.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)
        self.quantities: list[Quantity] = []
        self._traces: list[tuple[Form, Any]] = []

    def fresh(self, wanted: Sequence[str]) -> str:
        """A name that is not taken from now on."""
        name = chosen_name(wanted, self.taken)
        self.taken.add(name)
        return name

    def matrix(self, metric: Metric, wanted: Sequence[str]) -> Any:
        """A symbol of the core: I where it is that."""
        if metric.is_identity:
            return sp.Identity(metric.size)
        symbol = sp.MatrixSymbol(self.fresh(wanted), metric.size, metric.size)
        self.quantities.append(Quantity(symbol, MatrixFormula(metric.core, metric.sides)))
        self._traces.append((metric.trace, sp.Trace(symbol) if metric.sides else symbol[0, 0]))
        return symbol

    def scalar(self, form: Form) -> Any:
        """A form without free indices: a number, a trace that has a name, or a new letter."""
        if not form.terms:
            return sp.S.Zero
        if all(not factors for factors in form.terms):
            return sp.Add(*form.terms.values())
        for known, symbol in self._traces:
            ratio = ratio_of(form, known)
            if ratio is not None:
                return ratio * symbol
        symbol = sp.Symbol(self.fresh(("tau", "s")), positive=True)
        self.quantities.append(Quantity(symbol, MatrixFormula(form)))
        self._traces.append((form, symbol))
        return symbol

    def indexed(self, form: Form, rows: Sequence[Index], labels: Sequence[Index], wanted: Sequence[str]) -> Any:
        """An IndexedBase of a form with free indices, labels first."""
        base = sp.IndexedBase(self.fresh(wanted), shape=tuple(i.size for i in (*labels, *rows)))
        ordered = Form.of((*labels, *rows), _raw(form))
        self.quantities.append(Quantity(base, MatrixFormula(ordered, tuple(rows))))
        return base


def ratio_of(left: Form, right: Form) -> Any:
    """c with left = c·right, c of sizes and constants; None where there is none."""
    if set(left.terms) != set(right.terms) or not left.terms:
        return None
    ratios = {sp.cancel(c / right.terms[factors]) for factors, c in left.terms.items()}
    return ratios.pop() if len(ratios) == 1 else None
