"""R that is a function of F: the same all along every fibre."""

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.function_space.closed_form import Attainment, ClosedForm
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.scaling import never_negative

LARGEST = 200
"""Monomials of F among which R is sought."""

POINTS, SEED = 40, 2317
"""Points at which a sign of F is looked for."""

TIER = "constant on fibres"


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
        TIER,
        ("R(x) is this function of F(x), identically, for all β that some x predicts",),
        None,
        Attainment("attained", "attained everywhere on the fibre"),
        () if len(fibres.predictor) != 1 else _one_sided(fibres),
    )


def _one_sided(fibres: Fibres) -> tuple[Any, ...]:
    """β ≥ 0 or β ≤ 0, where F is seen to keep one sign."""
    (f,), (b,) = fibres.predictor, fibres.symbols
    kept = {p: sign * p**2 for p, sign in fibres.signs.items()}
    inside = sp.sympify(f).xreplace(kept)
    if never_negative(inside, fibres.parameters):
        return (sp.Ge(b, 0),)
    return (sp.Le(b, 0),) if never_negative(sp.expand(-inside), fibres.parameters) else ()


def takes_sign(fibres: Fibres, sign: int) -> bool:
    """Whether a single F is proved to take all values of a sign: homogeneous, it has that sign at one point."""
    (f,) = fibres.predictor
    trained = fibres.parameters
    if not f.is_polynomial(*trained) or not sp.Poly(f, *trained).is_homogeneous:
        return False
    rng = np.random.default_rng(SEED)
    for _ in range(POINTS):
        at = {p: fibres.signs.get(p, int(rng.choice([-1, 1]))) * int(rng.integers(1, 9)) for p in trained}
        if sp.sign(f.subs(at)) == sign:
            return True
    return False
