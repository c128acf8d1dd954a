"""Antiderivatives in closed form, by rules that always end; each result is for its user to check by differentiation."""

from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.integrals.rationaltools import ratint
from sympy.simplify.fu import TR8

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression

LARGEST = 300
"""Operations of an integrand that is looked at."""

LARGEST_DEGREE = 14
"""Degree of a rational integrand's denominator."""


def antiderivative(integrand: Expression, variable: sp.Symbol) -> Expression | None:
    """F with F' = f, or None where no rule finds one: f is a combination of logarithmic derivatives of the factors of its
    denominator; a rational function; a polynomial in sine and cosine; rational in the one, times the other.

    >>> t = sp.Symbol("t")
    >>> antiderivative((3*t**2 + 1)/(t**3 + t) - 2/t, t)
    -log(t) + log(t**2 + 1)
    >>> antiderivative(sp.sin(t)/(2 + sp.cos(t)), t), antiderivative(sp.exp(t**2), t)
    (-log(cos(t) + 2), None)
    """
    if operations(integrand) > LARGEST:
        return None
    if integrand.is_Add and not sp.together(integrand).is_Add:
        parts: list[Any] = [antiderivative(term, variable) for term in integrand.args]
        if all(part is not None for part in parts):
            return sp.Add(*parts)
    if variable not in integrand.free_symbols:
        return integrand * variable
    expanded: Expression = sp.expand(integrand)
    if expanded.is_Add and not _is_rational(integrand, variable):
        parts: list[Any] = [_power(term, variable) for term in expanded.args]
        if all(part is not None for part in parts):
            return sp.Add(*parts)
    for rule in (_power, _logarithms, _rational, _substituted, _waves):
        found = rule(integrand, variable)
        if found is not None and not found.has(sp.Integral, sp.RootSum, sp.I, sp.nan, sp.zoo):
            return found
    return None


def _power(integrand: Expression, variable: sp.Symbol) -> Expression | None:
    """c θ^k, however it is written, by its constant k = θf'/f ≠ −1."""
    exponent = (
        sp.cancel(variable * sp.diff(integrand, variable) / integrand) if operations(integrand) < 40 else variable
    )
    return None if variable in exponent.free_symbols or exponent == -1 else variable * integrand / (exponent + 1)


def _is_rational(integrand: Expression, variable: sp.Symbol) -> bool:
    return integrand.is_rational_function(variable) and not integrand.atoms(sp.Float)


def _logarithms(integrand: Expression, variable: sp.Symbol) -> Expression | None:
    """Σ c_i ln q_i over the factors q_i of the denominator, where the numerator asks for just that."""
    numerator, denominator = sp.fraction(sp.together(integrand))
    factors = [f.as_base_exp() for f in sp.Mul.make_args(sp.factor(denominator))]
    moving = [q for q, _ in factors if variable in q.free_symbols]
    if not moving or any(e != 1 for q, e in factors if variable in q.free_symbols):
        return None
    weights = sp.symbols(f"c0:{len(moving)}", cls=sp.Dummy)
    gap = numerator / sp.Mul(*[q**e for q, e in factors if variable not in q.free_symbols])
    for c, q in zip(weights, moving, strict=True):
        gap -= c * sp.diff(q, variable) * sp.Mul(*[other for other in moving if other is not q])
    return _fitted(sp.expand(gap), variable, weights, moving)


def _fitted(
    gap: Expression, variable: sp.Symbol, weights: Sequence[sp.Symbol], moving: Sequence[Expression]
) -> Expression | None:
    atoms = [a for a in gap.atoms(sp.Function) if variable in a.free_symbols]
    names = {a: sp.Dummy() for a in atoms}
    algebraic = gap.xreplace(names)
    generators = [variable, *names.values()]
    if not algebraic.is_polynomial(*generators):
        return None
    conditions = sp.Poly(algebraic, *generators).coeffs()
    solution: Any = next(iter(sp.linsolve(conditions, *weights)), None)
    if solution is None or any(set(weights) & c.free_symbols for c in solution):
        return None
    return sp.Add(*[c * sp.log(q) for c, q in zip(solution, moving, strict=True)])


def _rational(integrand: Expression, variable: sp.Symbol) -> Expression | None:
    if not _is_rational(integrand, variable):
        return None
    numerator, denominator = (sp.Poly(p, variable) for p in sp.fraction(sp.together(integrand)))
    if max(numerator.degree(), denominator.degree()) > LARGEST_DEGREE:
        return None
    if integrand.free_symbols != {variable} and denominator.degree() > 4:
        return None
    return ratint(integrand, variable, real=True)


def _substituted(integrand: Expression, variable: sp.Symbol) -> Expression | None:
    """sin θ R(cos θ) and cos θ R(sin θ)."""
    sine, cosine, s = sp.sin(variable), sp.cos(variable), sp.Dummy("s")
    for outer, inner, sign in ((sine, cosine, -1), (cosine, sine, 1)):
        rest = sp.together(integrand / outer).xreplace({outer**2: 1 - inner**2}).xreplace({inner: s})
        if variable not in rest.free_symbols and _is_rational(rest, s):
            found = antiderivative(rest, s)
            return None if found is None else sign * found.xreplace({s: inner})
    return None


def _waves(integrand: Expression, variable: sp.Symbol) -> Expression | None:
    """A polynomial in sines and cosines, as a sum of waves."""
    if integrand.is_rational_function(variable) or sp.denom(sp.together(integrand)).has(variable):
        return None
    total = sp.S.Zero
    for term in sp.Add.make_args(sp.expand(TR8(sp.expand(sp.expand_trig(integrand))))):
        constant, wave = term.as_independent(variable)
        if wave == 1:
            total += constant * variable
            continue
        if not isinstance(wave, (sp.sin, sp.cos)):
            return None
        rate = sp.diff(wave.args[0], variable)
        if variable in rate.free_symbols or rate == 0:
            return None
        total += constant / rate * (sp.sin(wave.args[0]) if isinstance(wave, sp.cos) else -sp.cos(wave.args[0]))
    return total
