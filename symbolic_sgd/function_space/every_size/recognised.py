"""R̂(β) = inf {R(θ) : F(θ) = β} for every size: the first kind of argument that answers."""

from collections.abc import Callable, Sequence

import sympy as sp

from symbolic_sgd.function_space.closed_form import Attainment
from symbolic_sgd.function_space.every_size.decompositions import by_decomposition
from symbolic_sgd.function_space.every_size.fibres import FamilyFibres, FamilyForm
from symbolic_sgd.function_space.every_size.products import by_product
from symbolic_sgd.function_space.every_size.separate import by_entries, by_rows
from symbolic_sgd.function_space.every_size.squares import by_squares

TIERS: tuple[Callable[[FamilyFibres], FamilyForm | None], ...] = (
    by_squares,
    by_product,
    by_entries,
    by_rows,
    by_decomposition,
)
"""Adding a kind of argument means adding a row."""


def family_form(parts: Sequence[FamilyFibres]) -> FamilyForm | None:
    """R̂ of predictors that share no parameters: the sum of theirs; None where one of them is not recognised."""
    forms: list[FamilyForm] = []
    taken: frozenset[str] = frozenset()
    for part in parts:
        named = FamilyFibres(part.parameters, part.predictor, part.rows, part.name, part.total, part.taken | taken)
        found = next((form for tier in TIERS if (form := tier(named)) is not None), None)
        if found is None:
            return None
        forms.append(found)
        taken |= {str(getattr(q.symbol, "name", q.symbol)) for q in found.quantities}
    if len(forms) == 1:
        return forms[0]
    kinds = [f.attainment for f in forms if f.attainment.kind != "attained"]
    return FamilyForm(
        sp.Add(*[f.expression for f in forms]),
        tuple(f.symbol for f in forms),
        "separate parts (" + ", ".join(dict.fromkeys(f.tier for f in forms)) + ")",
        ("R and F are sums over parts that share no parameters", *dict.fromkeys(s for f in forms for s in f.bound)),
        Attainment(kinds[0].kind if kinds else "attained", "; ".join(dict.fromkeys(f.attainment.words for f in forms))),
        tuple(q for f in forms for q in f.quantities),
    )
