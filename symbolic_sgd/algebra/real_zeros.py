"""All real zeros of a function of one variable, exactly, or the admission that they were not found."""

from collections.abc import Iterator, Sequence

import sympy as sp

from symbolic_sgd.algebra.closed_form import LARGEST_EQUATION, roots
from symbolic_sgd.algebra.translation import Expression

LARGEST_DEGREE = 60

LARGEST_FACTORED = 150
"""Operations of a numerator with symbols in its coefficients that is factored."""


def real_zeros(expression: Expression, variable: sp.Symbol) -> list[Expression] | None:
    """The real zeros in a variable; those of a function of its sine and cosine in (−π, π]. None where they are not known.

    Polynomials with rational coefficients are solved by isolating intervals (Sturm), so that none is missed; others factor
    by factor. Zeros of the denominator are not looked at: the caller knows where the function is defined.

    >>> t, s = sp.Symbol("t"), sp.Symbol("s", positive=True)
    >>> real_zeros((t**2 - 2)*(t**2 + s), t), real_zeros(2 + sp.cos(t), t), real_zeros(sp.sin(t), t)
    ([-sqrt(2), sqrt(2)], [], [0, pi])
    >>> real_zeros(sp.exp(t) - t - 2, t) is None
    True
    """
    if sp.count_ops(expression) > 4 * LARGEST_EQUATION:
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
    small = sp.count_ops(numerator) <= LARGEST_FACTORED
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
        return list(dict.fromkeys(sp.Poly(factor, variable).real_roots()))
    real = sp.Dummy(real=True)
    if factor.xreplace({variable: real}).is_zero is False:
        return []
    if factor.has(sp.sin, sp.cos):
        return _trigonometric(factor, variable)
    if not factor.is_polynomial(variable):
        return None
    found = roots(factor, variable)
    if not found or any(root.is_real is None for root in found):
        return None
    return [root for root in found if root.is_real]


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
    return [*(2 * sp.atan(r) for r in dict.fromkeys(sp.Poly(numerator, t).real_roots())), *at_infinity]


def _trigonometric_with_symbols(algebraic: Expression, sine: sp.Symbol, cosine: sp.Symbol) -> list[Expression] | None:
    """A sine or a cosine alone; anything else with symbols in its coefficients is not decided."""
    if algebraic == sine:
        return [sp.S.Zero, sp.pi]
    return [-sp.pi / 2, sp.pi / 2] if algebraic == cosine else None


def between(
    zeros: Sequence[Expression], lower: Expression, upper: Expression, values: dict[sp.Symbol, Expression]
) -> list[Expression]:
    """The zeros inside an open interval, compared as numbers at given values of the symbols."""
    number = lambda e: e if e in (sp.oo, -sp.oo) else sp.N(e.xreplace(values), 30)  # noqa: E731
    return [z for z in zeros if number(lower) < number(z) < number(upper)]
