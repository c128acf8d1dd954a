"""Equations of Γ that say no more than that an affine function is constant, written so."""

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression

MATCHING = 1e-9
"""How near a root must be to the value found on Γ."""


def straightened(equation: Expression, parameters: Sequence[sp.Symbol], point: Mapping[sp.Symbol, Any]) -> Expression:
    """w·x − c where the equation is r(w·x) = 0 for one affine form, and c the root of r at a point of Γ; else itself.

    >>> x, y = sp.symbols("x y")
    >>> straightened(sp.exp(x + 2*y) - 3, (x, y), {x: 1.09861228866811, y: 0})
    x + 2*y - log(3)
    """
    slopes = [sp.diff(equation, x) for x in parameters]
    lead = next((i for i, slope in enumerate(slopes) if slope != 0), None)
    if lead is None or not all(x.is_real is not False for x in parameters):
        return equation
    if any(_varies(slope / slopes[lead], parameters) for slope in slopes):
        return equation
    ratios = [sp.cancel(slope / slopes[lead]) if slope != 0 else sp.S.Zero for slope in slopes]
    if any(ratio.free_symbols & set(parameters) for ratio in ratios):
        return equation
    form = sum((ratio * x for ratio, x in zip(ratios, parameters, strict=True)), sp.S.Zero)
    t = sp.Dummy("t", real=True)
    profile = sp.expand_power_base(equation.subs(parameters[lead], t + parameters[lead] - form))
    if profile.free_symbols & set(parameters):
        return equation
    numbers: Any = dict(point)
    value = complex(form.evalf(subs=numbers)).real
    matching = [
        r for r in _real_roots(profile, t) if abs(complex(r.evalf(subs=numbers)) - value) < MATCHING * (1 + abs(value))
    ]
    return form - matching[0] if matching else equation


def _varies(ratio: Expression, parameters: Sequence[sp.Symbol]) -> bool:
    """Whether a ratio takes two values: cancelling quotients of transcendental functions takes minutes where it does."""
    constants = {s: sp.Rational(k + 3, 5) for k, s in enumerate(_others(ratio, parameters))}
    there: list[Any] = [
        {x: sp.Rational(k + 2, 7 + 3 * shift * (k + 1)) for k, x in enumerate(parameters)} | constants
        for shift in (1, 2)
    ]
    first, second = (ratio.evalf(subs=numbers) for numbers in there)
    return bool(first.is_finite and second.is_finite and abs(first - second) > MATCHING * (1 + abs(first)))


def _others(ratio: Expression, parameters: Sequence[sp.Symbol]) -> list[sp.Symbol]:
    return sorted(ratio.free_symbols - set(parameters), key=str)


def _real_roots(profile: Expression, t: sp.Symbol) -> list[Expression]:
    try:
        return list(sp.solve(profile, t))
    except NotImplementedError:
        return []
