"""Whether a form is a function of F: copies of F are found in its terms, and β is put in their place, by exact differences of forms."""

from collections.abc import Mapping
from typing import Any

from symbolic_sgd.function_space.every_size.fibres import FamilyFibres
from symbolic_sgd.tensors.forms import Applied, Factor, Factors, Form, Index, shifted

MOST = 200
"""Copies that are taken out."""

Names = dict[Index, Index]


def is_function_of(form: Form, fibres: list[FamilyFibres]) -> bool:
    """Whether a form is proved to be a polynomial in the entries of several F, and of functions of such, entry by entry."""
    for _ in range(MOST):
        factors, coefficient = next(
            ((f, c) for f, c in form.terms.items() if any(p.uses(f) for p in fibres)), ((), None)
        )
        if coefficient is None:
            return True
        replaced = next((r for p in fibres if (r := _taken_out(coefficient, factors, form.free, p)) is not None), None)
        if replaced is not None:
            form = form - replaced
            continue
        left = [f.head for f in factors if any(p.uses((f,)) for p in fibres)]
        if not all(isinstance(head, Applied) and is_function_of(head.inner, fibres) for head in left):
            return False
        form = form - Form.of(form.free, [(coefficient, factors, ())])
    return False


def _taken_out(coefficient: Any, factors: Factors, free: tuple[Index, ...], fibres: FamilyFibres) -> Form | None:
    """(What is left)·(F − β) for a term with one copy of a term of F in it: the difference leaves β in the place of this copy."""
    for leading, scale in fibres.predictor.terms.items():
        if not fibres.uses(leading):
            continue
        for names, rest in _matches(list(leading), list(factors), {}):
            if not set(fibres.rows) <= set(names) or not _is_copy(names, rest, free, fibres):
                continue
            above = 1 + max((int(i.name) for f in factors for i in f.at if i.bound), default=-1)
            rows = {row: names[row] for row in fibres.rows}
            raw = []
            for own, c in fibres.predictor.terms.items():
                copy = [Factor(h, tuple(rows.get(i, i) for i in at)) for h, at in shifted(own, above)]
                raw.append((coefficient * c / scale, (*rest, *copy), ()))
            beta = Factor(fibres.beta, tuple(rows.values()))
            raw.append((-coefficient / scale, (*rest, beta), ()))
            return Form.of(free, raw)
    return None


def _is_copy(names: Mapping[Index, Index], rest: list[Factor], free: tuple[Index, ...], fibres: FamilyFibres) -> bool:
    """Whether the indices that F sums over stand nowhere else, and are different."""
    inner = [i for index, i in names.items() if index not in fibres.rows]
    outside = {i for f in rest for i in f.at} | {names[row] for row in fibres.rows} | set(free)
    return len(set(inner)) == len(inner) and not outside & set(inner) and all(i.bound for i in inner)


def _matches(leading: list[Factor], factors: list[Factor], names: Names) -> Any:
    """Every way to find the factors of F in a term: (indices of F ↦ indices of the term, the other factors)."""
    if not leading:
        yield names, factors
        return
    (head, at), *more = leading
    for k, (other, places) in enumerate(factors):
        if other != head:
            continue
        grown = dict(names)
        if all(grown.setdefault(i, place) == place for i, place in zip(at, places, strict=True)):
            yield from _matches(more, factors[:k] + factors[k + 1 :], grown)
