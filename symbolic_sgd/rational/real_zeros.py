"""All real zeros of a function of one variable, exactly, or the admission that they were not found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.rational.closed_form import LARGEST_EQUATION, roots

LARGEST_DEGREE = 60

SIGN_DIGITS = 40
"""Digits to which a number is computed for its sign."""

ROOT = sp.Dummy("x")
"""The variable of the polynomials behind algebraic numbers, which no replacement of a user's symbol meets."""

LARGEST_FACTORED = 150
"""Operations of a numerator with symbols in its coefficients that is factored."""


def real_zeros(expression: Expression, variable: sp.Symbol) -> list[Expression] | None:
    """The real zeros in a variable; those of a function of its sine and cosine in (−π, π]. None where they are not known.

    Polynomials with rational coefficients are solved by isolating intervals (Sturm), so that none is missed; others factor
    by factor. Zeros of the denominator are not looked at: the caller knows where the function is defined.

    >>> t, s = sp.Symbol("t"), sp.Symbol("s", positive=True)
    >>> real_zeros((t**2 - 2)*(t**2 + s), t), real_zeros(2 + sp.cos(t), t), real_zeros(sp.sin(t), t)
    ([-sqrt(2), sqrt(2)], [], [0, pi])
    >>> real_zeros(sp.exp(t) - t - 2, t) is None, real_zeros(2*sp.log(1/t) - 1, t)
    (True, [exp(-1/2)])
    """
    if operations(expression) > 4 * LARGEST_EQUATION:
        return None
    numerator = sp.numer(sp.together(expression))
    if variable not in numerator.free_symbols:
        return [] if numerator.is_zero is False else None
    found: list[Expression] = []
    for factor in _factors(numerator, variable):
        zeros = _zeros_of_factor(factor, variable)
        if zeros is None:
            return None
        found.extend(zeros)
    distinct = list(dict.fromkeys(found))
    return sorted(distinct, key=sp.N) if all(z.is_number for z in distinct) else distinct


def _factors(numerator: Expression, variable: sp.Symbol) -> Iterator[Expression]:
    if _rational_polynomial(numerator, variable):
        yield numerator
        return
    small = operations(numerator) <= LARGEST_FACTORED
    for factor in sp.Mul.make_args(sp.factor(numerator) if small else numerator):
        base, _ = factor.as_base_exp()
        if isinstance(factor, sp.exp):
            continue
        if variable in base.free_symbols:
            yield base


def _rational_polynomial(expression: Expression, variable: sp.Symbol) -> bool:
    if expression.free_symbols != {variable} or not expression.is_polynomial(variable):
        return False
    polynomial = sp.Poly(expression, variable)
    return polynomial.degree() <= LARGEST_DEGREE and all(c.is_Rational for c in polynomial.coeffs())


def _zeros_of_factor(factor: Expression, variable: sp.Symbol) -> list[Expression] | None:
    if _rational_polynomial(factor, variable):
        return _real_roots(factor, variable)
    if _as_real(factor).is_zero is False:
        return []
    if factor.has(sp.sin, sp.cos):
        return _trigonometric(factor, variable)
    if not factor.is_polynomial(variable):
        return _zeros_of_composition(factor, variable)
    found = roots(factor, variable)
    real = [_as_real(root).is_real for root in found]
    if not found or None in real:
        return None
    return [root for root, is_real in zip(found, real, strict=True) if is_real]


@dataclass(frozen=True)
class _Injective:
    """A function that is one to one where it is real: its inverse, and conditions under which a number is a value of it."""

    inverse: Callable[[Expression], Expression]
    values: Callable[[Expression], Sequence[Expression]] = lambda y: ()


INJECTIVE = {
    sp.exp: _Injective(sp.log, lambda y: (y,)),
    sp.log: _Injective(sp.exp),
    sp.tanh: _Injective(sp.atanh, lambda y: (1 - y, 1 + y)),
    sp.atan: _Injective(sp.tan, lambda y: (sp.pi / 2 - y, sp.pi / 2 + y)),
    sp.sinh: _Injective(sp.asinh),
    sp.asinh: _Injective(sp.sinh),
}
"""y is a value of the function exactly where what is listed of it is positive."""


def _zeros_of_composition(factor: Expression, variable: sp.Symbol) -> list[Expression] | None:
    """Zeros of p(f(q)) with one injective function f, whose argument is all that the variable stands in."""
    calls = [c for c in factor.atoms(sp.Function) if variable in c.free_symbols]
    outer = [c for c in calls if not any(c is not d and d.has(c) for d in calls)]
    if len(outer) != 1 or outer[0].func not in INJECTIVE:
        return None
    (call,), value = outer, sp.Dummy("y", real=True)
    f = INJECTIVE[call.func]
    reduced = factor.xreplace({call: value})
    heights = None if variable in reduced.free_symbols else real_zeros(reduced, value)
    found: list[Expression] = []
    for height in heights if heights is not None else [None]:
        signs = [None] if height is None else [sign(e) for e in f.values(height)]
        if None in signs:
            return None
        if all(known == 1 for known in signs):
            zeros = real_zeros(call.args[0] - f.inverse(height), variable)
            if zeros is None:
                return None
            found.extend(zeros)
    return found


def _as_real(expression: Expression) -> Expression:
    """With a real symbol in place of every one that may be complex for SymPy."""
    return expression.xreplace({s: sp.Dummy(real=True) for s in expression.free_symbols if s.is_real is None})


def _real_roots(polynomial: Expression, variable: sp.Symbol) -> list[Expression]:
    found: dict[Any, None] = dict.fromkeys(sp.Poly(polynomial, variable).real_roots())
    return [root.xreplace({part: _renamed(part) for part in root.atoms(sp.CRootOf)}) for root in found]


def _renamed(root: sp.CRootOf) -> Expression:
    # SymPy writes algebraic numbers with the symbol x, which replacing the user's own x would destroy; its public
    # constructor takes the symbol from a cache.
    return sp.CRootOf._new(sp.PurePoly(root.poly.as_expr(ROOT), ROOT), root.index)


def _trigonometric(factor: Expression, variable: sp.Symbol) -> list[Expression] | None:
    """By t = tan(θ/2), which misses θ = π only."""
    expanded = sp.expand_trig(factor)
    t, sine, cosine = sp.symbols("t S C", cls=sp.Dummy)
    algebraic = expanded.xreplace({sp.sin(variable): sine, sp.cos(variable): cosine})
    if variable in algebraic.free_symbols or not algebraic.is_polynomial(sine, cosine):
        return None
    rational = algebraic.xreplace({sine: 2 * t / (1 + t**2), cosine: (1 - t**2) / (1 + t**2)})
    numerator: Expression = sp.expand(sp.numer(sp.together(rational)))
    at_infinity = [sp.pi] if sp.expand(algebraic.xreplace({sine: sp.S.Zero, cosine: sp.S.NegativeOne})) == 0 else []
    if numerator.is_Rational and numerator != 0:
        return at_infinity
    if not _rational_polynomial(numerator, t):
        return _trigonometric_with_symbols(algebraic, sine, cosine)
    return [*(2 * sp.atan(r) for r in _real_roots(numerator, t)), *at_infinity]


def _trigonometric_with_symbols(algebraic: Expression, sine: sp.Symbol, cosine: sp.Symbol) -> list[Expression] | None:
    """A sine or a cosine alone; anything else with symbols in its coefficients is not decided."""
    if algebraic == sine:
        return [sp.S.Zero, sp.pi]
    return [-sp.pi / 2, sp.pi / 2] if algebraic == cosine else None


def sign(expression: Expression) -> int | None:
    """−1, 0 or 1 where it is the same for all real values that the symbols' assumptions allow; else None.

    >>> s, c = sp.Symbol("s", positive=True), sp.Symbol("c")
    >>> sign(s + 1), sign(s - 10), sign(c**2 + 1), sign(sp.sqrt(2) - 2), sign(-sp.oo)
    (1, None, 1, -1, -1)
    """
    if expression.is_Rational:
        return int(sp.sign(expression))
    if not expression.free_symbols:
        value = sp.N(expression, SIGN_DIGITS)
        if not value.is_extended_real:
            return None
        return 0 if abs(value) < sp.Float(10) ** (5 - SIGN_DIGITS) else 1 if value > 0 else -1
    forms = [_as_real(expression)]
    if operations(expression) <= LARGEST_FACTORED:
        forms.extend(f(forms[0]) for f in (sp.expand, sp.factor))
    for form in forms:
        for known, value in ((form.is_extended_positive, 1), (form.is_extended_negative, -1), (form.is_zero, 0)):
            if known:
                return value
    return None


def between(zeros: Sequence[Expression], lower: Expression, upper: Expression) -> list[Expression] | None:
    """The zeros inside an open interval; None where the values of symbols decide it."""
    inside = []
    for zero in zeros:
        sides = sign(zero - lower), sign(upper - zero)
        if any(side is not None and side <= 0 for side in sides):
            continue
        if None in sides:
            return None
        inside.append(zero)
    return inside


def neighbours(place: Expression, zeros: Sequence[Expression], values: Mapping[sp.Symbol, Expression]) -> Any:
    """The zeros (or ∓∞) next to a number that is none; None where the values of symbols decide which these are.

    Args:
        place: the number.
        zeros: in symbols whose assumptions have to put them into one order.
        values: of the symbols, for the place of the number among the zeros.
    """
    moving = any(z.free_symbols for z in zeros)
    if moving and any(sign(a - b) is None for a, b in combinations(zeros, 2)):
        return None
    gaps = [(sp.N(z.xreplace(values) - place, SIGN_DIGITS), z) for z in zeros]
    below = [pair for pair in gaps if pair[0] < 0]
    above = [pair for pair in gaps if pair[0] > 0]
    low = max(below, key=lambda pair: pair[0])[1] if below else -sp.oo
    return low, (min(above, key=lambda pair: pair[0])[1] if above else sp.oo)


def interior(lower: Expression, upper: Expression) -> Expression:
    """A point of an open interval, whatever its symbols are."""
    if lower == -sp.oo:
        return sp.S.Zero if upper == sp.oo else upper - 1
    return lower + 1 if upper == sp.oo else (lower + upper) / 2
