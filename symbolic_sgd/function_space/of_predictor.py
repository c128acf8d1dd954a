"""R that is a function of F: the same all along every fibre."""

from itertools import combinations_with_replacement
from typing import Any

import sympy as sp

from symbolic_sgd.function_space.closed_form import Attainment, ClosedForm
from symbolic_sgd.function_space.fibre import Fibres

LARGEST = 200
"""Monomials of F among which R is sought."""


def as_function_of_predictor(total: Any, fibres: Fibres) -> Any:
    """A polynomial p with total = p(F), as an expression in β, or None: linear algebra in the coefficients."""
    trained = fibres.parameters
    if not sp.sympify(total).free_symbols & set(trained):
        return total
    if not all(sp.sympify(e).is_polynomial(*trained) for e in (total, *fibres.predictor)):
        return None
    degrees = [sp.Poly(f, *trained).total_degree() for f in fibres.predictor]
    degree = sp.Poly(total, *trained).total_degree()
    if min(degrees, default=0) == 0:
        return None
    chosen: list[tuple[int, ...]] = []
    for n in range(degree // min(degrees) + 1):
        chosen += [
            c for c in combinations_with_replacement(range(len(degrees)), n) if sum(degrees[k] for k in c) <= degree
        ]
        if len(chosen) > LARGEST:
            return None
    columns = [sp.Poly(sp.Mul(*[fibres.predictor[k] for k in c]), *trained) for c in chosen]
    target = sp.Poly(total, *trained)
    monomials = list(dict.fromkeys(m for p in (*columns, target) for m in p.monoms()))
    matrix = sp.Matrix([[p.coeff_monomial(m) for p in columns] for m in monomials])
    right = sp.Matrix([target.coeff_monomial(m) for m in monomials])
    unknown = sp.symbols(f"a:{len(chosen)}", cls=sp.Dummy)
    answer = sp.linsolve((matrix, right), *unknown)
    if answer == sp.S.EmptySet:
        return None
    coefficients: Any = next(iter(answer))
    fixed = [c.xreplace(dict.fromkeys(unknown, sp.S.Zero)) for c in coefficients]
    return sp.Add(*[a * sp.Mul(*[fibres.symbols[k] for k in c]) for a, c in zip(fixed, chosen, strict=True)])


def by_constancy(fibres: Fibres) -> ClosedForm | None:
    """R̂ = p where R = p(F)."""
    found = as_function_of_predictor(fibres.total, fibres)
    if found is None:
        return None
    return ClosedForm(
        fibres.outside(sp.factor_terms(found)),
        "constant on fibres",
        ("R(x) is this function of F(x), identically",),
        None,
        Attainment("attained", "attained everywhere on the fibre"),
    )
