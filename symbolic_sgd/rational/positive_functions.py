"""Positive functions of one variable: exponentials of logarithms as powers, short products, integrals over an interval."""

from typing import Any

import sympy as sp

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression


def number_or_infinity(end: Expression, digits: int = 20) -> Any:
    """An end of an interval for mpmath."""
    if end in (sp.oo, -sp.oo):
        return mp.inf if end == sp.oo else -mp.inf
    with mp.workdps(digits):
        return mp.mpf(str(sp.N(end, digits)))


def minimum(function: Any, low: Any, high: Any) -> Any:
    """By ternary search."""
    for _ in range(60):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if function(left) < function(right) else (left, high)
    return (low + high) / 2


def exponential(exponent: Expression) -> Expression:
    """e^F, with e^{c ln q} as q^c."""
    factors = []
    for term in sp.Add.make_args(exponent):
        logs = [f for f in sp.Mul.make_args(term) if isinstance(f, sp.log)]
        factors.append(logs[0].args[0] ** (term / logs[0]) if len(logs) == 1 else sp.exp(term))
    return sp.Mul(*factors)


def forms_of_product(expression: Expression) -> list[Expression]:
    forms = [expression]
    if operations(expression) < 200:
        forms.append(sp.powsimp(expression))
    if operations(expression) < 100 and not expression.has(sp.Integral):
        forms.append(same_bases(expression))
        forms.extend([sp.cancel(expression)] if expression.is_rational_function() else [])
    return forms


def same_bases(expression: Expression) -> Expression:
    """Π q^k over the factors q of numerator and denominator, each base once."""
    factored = sp.factor(sp.together(expression))
    powers: dict[Any, Any] = {}
    for factor in sp.Mul.make_args(factored):
        base, exponent = factor.as_base_exp()
        powers[base] = powers.get(base, sp.S.Zero) + exponent
    return sp.Mul(*[base**exponent for base, exponent in powers.items()])


def definite_integral(
    primitive: Expression | None, variable: sp.Symbol, lower: Expression, upper: Expression
) -> Expression | None:
    """F(upper) − F(lower) by limits of a short closed F; None where one is not found."""
    if primitive is None or operations(primitive) > 40:
        return None
    high, low = _limit(primitive, variable, upper, "-"), _limit(primitive, variable, lower, "+")
    if high is None or low is None:
        return None
    total = high - low
    return total if total.is_finite is not False and not total.has(sp.nan, sp.oo, sp.zoo, sp.Limit) else None


def _limit(primitive: Expression, variable: sp.Symbol, end: Expression, direction: str) -> Expression | None:
    try:
        return sp.limit(primitive, variable, end, direction)
    except (NotImplementedError, ValueError, TypeError):
        return None


def gaussian_integral(
    density: Expression, variable: sp.Symbol, lower: Expression, upper: Expression
) -> Expression | None:
    """∫ c e^{−αθ²+βθ} dθ = c √(π/α) e^{β²/4α} over the whole line."""
    if (lower, upper) != (-sp.oo, sp.oo):
        return None
    logarithm = sp.expand(sp.expand_log(sp.log(density), force=True))
    if not logarithm.is_polynomial(variable) or sp.Poly(logarithm, variable).degree() != 2:
        return None
    alpha, beta, rest = sp.Poly(logarithm, variable).all_coeffs()
    return sp.exp(rest) * sp.sqrt(sp.pi / -alpha) * sp.exp(-(beta**2) / (4 * alpha))
