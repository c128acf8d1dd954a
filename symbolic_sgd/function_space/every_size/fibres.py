"""What is minimised, for every size: R over the fibres of F, both as forms of the calculus of `tensors`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from symbolic_sgd.function_space.closed_form import Attainment
from symbolic_sgd.tensors.forms import DELTA, Applied, Factor, Factors, Form, Index, Tensor
from symbolic_sgd.tensors.formula import MatrixFormula


@dataclass(frozen=True)
class FamilyFibres:
    """R(θ) and F(θ) = β.

    Args:
        parameters: θ.
        predictor: F, with its rows as free indices.
        rows: the indices of β, in their order.
        name: what β is called.
        total: R, a sum of squares times a positive number.
        taken: names that mean something already.
    """

    parameters: tuple[Tensor, ...]
    predictor: Form
    rows: tuple[Index, ...]
    name: str
    total: Form
    taken: frozenset[str]

    @property
    def beta(self) -> Tensor:
        """β as a tensor."""
        return Tensor(self.name, tuple(i.size for i in self.rows))

    def own(self, factors: Factors) -> tuple[Factors, Factors]:
        """The factors of a term that are parameters, and the others."""
        mine = tuple(f for f in factors if f.head in self.parameters)
        return mine, tuple(f for f in factors if f.head not in self.parameters)

    def uses(self, factors: Iterable[Factor]) -> frozenset[Tensor]:
        """The parameters in a term, those inside of functions among them."""
        found = set[Tensor]()
        for head, _ in factors:
            found |= head.inner.tensors if isinstance(head, Applied) else {head} if isinstance(head, Tensor) else set()
        return frozenset(found & set(self.parameters))

    def terms_of(self, counts: Mapping[Tensor, int]) -> list[tuple[Any, Factors, Factors]]:
        """The terms of R that hold each parameter so often, and none within others: (coefficient, parameters, others)."""
        found = []
        for factors, coefficient in self.total.terms.items():
            mine, rest = self.own(factors)
            if Counter(f.head for f in mine) == Counter(counts) and not self.uses(rest):
                found.append((coefficient, mine, rest))
        return found

    @property
    def single(self) -> Factors | None:
        """The parameters whose product F is, where F is one term with the coefficient 1 and of each parameter once or more."""
        if len(self.predictor.terms) != 1:
            return None
        ((factors, coefficient),) = self.predictor.terms.items()
        mine, rest = self.own(factors)
        return mine if coefficient == 1 and not rest and {f.head for f in mine} == set(self.parameters) else None

    def restricted(self, parameters: Sequence[Tensor]) -> "FamilyFibres | None":
        """The part of R in some of the parameters; None where a term has others, too."""
        kept = {}
        for factors, coefficient in self.total.terms.items():
            used = self.uses(factors)
            if used & set(parameters):
                if not used <= set(parameters):
                    return None
                kept[factors] = coefficient
        return replace(self, parameters=tuple(parameters), total=Form((), kept))


@dataclass(frozen=True)
class Quantity:
    """A letter of a closed form, and what it is made of.

    Args:
        symbol: a MatrixSymbol, an IndexedBase or a Symbol.
        formula: of the data; None where words say what it is.
        text: these words.
        tex: the same in LaTeX.

    `str` prints "C = Σ_i A_i A_iᵀ".
    """

    symbol: Any
    formula: MatrixFormula | None
    text: str = ""
    tex: str = ""

    def __str__(self) -> str:
        if self.formula is None:
            return self.text
        labels = ",".join(str(i.name) for i in self.formula.labels)
        return f"{self.symbol}{'_' + labels if labels else ''} = {self.formula}"

    def latex(self) -> str:
        """LaTeX, in math mode."""
        if self.formula is None:
            return self.tex
        labels = ",".join(str(i.name) for i in self.formula.labels)
        return f"{sp.latex(self.symbol)}{'_{' + labels + '}' if labels else ''} = {self.formula.latex()}"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"


@dataclass(frozen=True)
class FamilyForm:
    """R̂(β) = expression, for every size.

    Args:
        expression: in β, sizes, constants and the quantities.
        symbol: β as it stands there.
        tier: the kind of argument.
        bound: why R is never below it, in words.
        attainment: whether, and where, it is attained.
        quantities: the letters that stand for data.
    """

    expression: Any
    symbol: Any
    tier: str
    bound: tuple[str, ...]
    attainment: Attainment
    quantities: tuple[Quantity, ...] = ()


def freed(coefficient: Any, rest: Iterable[Factor], places: Sequence[tuple[Index, Index]]) -> Form:
    """What is left of a term without some of its factors, with free indices (second) for indices of these (first).

    Two free indices at one index are tied by δ.
    """
    first: dict[Index, Index] = {}
    ties = []
    for old, new in places:
        if old in first:
            ties.append(Factor(DELTA, (first[old], new)))
        else:
            first[old] = new
    renamed = [Factor(head, tuple(first.get(i, i) for i in at)) for head, at in rest]
    return Form.of([new for _, new in places], [(coefficient, [*renamed, *ties], ())])


def chosen_name(wanted: Sequence[str], taken: Iterable[str]) -> str:
    """The first name that is not taken."""
    used = set(taken)
    numbered = (f"{name}{k}" for k in range(1, 100) for name in wanted)
    return next(name for name in (*wanted, *numbered) if name not in used)
