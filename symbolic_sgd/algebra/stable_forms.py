"""Expressions that lose their digits in float64, read as rows of the table of functions that keep them.

A sum of exponentials with positive coefficients, S = Σ c_i e^{f_i}, stands in softplus, logistic and softmax losses. Its
logarithm is a chain of ln(eᵃ + eᵇ), and a summand's share of it is eᵃ/(eᵃ + eᵇ) with a = f_i + ln c_i and the logarithm b
of the others' sum; the derivatives of these two functions are products of shares, not differences.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.functions import FUNCTIONS, StableForm

Expression = Any
"""A SymPy expression."""

STABLE: Mapping[str, Any] = {
    name: type(name, (sp.Function,), {}) for name, row in FUNCTIONS.items() if isinstance(row, StableForm)
}
"""Row → the class of SymPy that stands for it while an expression is read."""

Terms = dict[Expression, Expression]
"""Σ c_i e^{f_i} as {f_i: c_i}; a number has the exponent 0."""


def stable_form(expression: Expression) -> Expression | None:
    """The expression by functions that keep their digits, or None where it is not known to lose them.

    Only the outermost operation is looked at.

    >>> u, v = sp.symbols("u v")
    >>> stable_form(sp.log(1 + sp.exp(u))), stable_form(u/(1 + sp.exp(-u))), stable_form(1 - sp.tanh(u)**2)
    (logaddexp(0, u), u*share(0, -u), sech2(u))
    >>> stable_form(sp.exp(u)/(sp.exp(u) + sp.exp(v))), stable_form(sp.log(1 + u**2)), stable_form(u + v)
    (share(u, v), log1p(u**2), None)
    """
    if isinstance(expression, sp.log):
        return _logarithm(expression.args[0])
    if expression.is_Add:
        return _two_terms(expression)
    if expression.is_Mul or expression.is_Pow:
        shares = _quotient(expression)
        return _over_cosh(expression) if shares is None else shares
    return None


# --- sums of exponentials -------------------------------------------------------------------


def _summands(expression: Expression) -> Terms:
    """{f_i: c_i} of a sum of exponentials with positive coefficients, not all of them numbers; {} of anything else."""
    if not expression.is_Add:
        return {}
    terms: Terms = {}
    for term in expression.args:
        coefficient, exponent = _exponential(term)
        if not (coefficient.is_number and coefficient.is_positive) or coefficient.has(sp.Float):
            return {}
        terms[exponent] = coefficient + terms.get(exponent, 0)
    return terms if len(terms) > 1 else {}


def _exponential(term: Expression) -> tuple[Expression, Expression]:
    """(c, f) of c e^f, where c has no exponential among its factors."""
    factors: tuple[Expression, ...] = sp.Mul.make_args(term)
    exponents: list[Expression] = [f.args[0] for f in factors if isinstance(f, sp.exp)]
    return sp.Mul(*(f for f in factors if not isinstance(f, sp.exp))), sp.Add(*exponents)


def _log_sum(terms: Terms) -> Expression:
    """ln Σ c_i e^{f_i}, numbers first, so that ln(1 + eᵃ) is accurate where it is small."""
    exponents = [f + sp.log(terms[f]) for f in sorted(terms, key=sp.default_sort_key)]
    last, *others = sorted(exponents, key=lambda f: bool(f.is_number))
    for other in others:
        last = STABLE["logaddexp"](other, last)
    return last


def _share(terms: Terms, exponent: Expression) -> Expression:
    """The summand with this exponent over the whole sum."""
    others = {f: c for f, c in terms.items() if f != exponent}
    return STABLE["share"](exponent + sp.log(terms[exponent]), _log_sum(others))


def _quotient(expression: Expression) -> Expression | None:
    """Numerators over sums of exponentials, as shares where a numerator is a summand; None where there is no such sum."""
    factors: tuple[Expression, ...] = sp.Mul.make_args(expression)
    sums = [f for f in factors if _is_reciprocal(f)]
    if not sums:
        return None
    above = [f for f in factors if f not in sums]
    for numerator in above:
        average = _average(numerator, sums)
        if average is not None:
            return sp.Mul(average, *(f for f in above if f is not numerator))
    coefficient, exponent = _exponential(sp.Mul(*above))
    shares: list[Expression] = []
    for factor in sums:
        terms = _summands(factor.base)
        for _ in range(-int(factor.exp)):
            chosen = _summand(terms, exponent)
            if chosen is None:
                exponent = exponent - _log_sum(terms)
            else:
                shares.append(_share(terms, chosen))
                coefficient, exponent = coefficient / terms[chosen], exponent - chosen
    return sp.Mul(coefficient, sp.exp(exponent), *shares)


def _average(numerator: Expression, sums: Sequence[Expression]) -> Expression | None:
    """Σ v_i e^{f_i} over Σ c_i e^{f_i} as Σ (v_i/c_i) (the share of i); None where that is not what it is."""
    if not (numerator.is_Add and len(sums) == 1 and sums[0].exp == -1):
        return None
    terms = _summands(sums[0].base)
    parts = [_exponential(term) for term in numerator.args]
    exponents = {f for _, f in parts}
    if len(exponents) < 2 or not exponents <= set(terms):
        return None
    return sp.Add(*(value / terms[f] * _share(terms, f) for value, f in parts))


def _is_reciprocal(factor: Expression) -> bool:
    return bool(factor.is_Pow and factor.exp.is_Integer and factor.exp.is_negative and _summands(factor.base))


def _summand(terms: Terms, exponent: Expression) -> Expression | None:
    """The summand that cancels an exponential: one whose exponent divides it, else a number."""
    of_exponent, direction = exponent.as_coeff_Mul()
    for f in terms:
        ratio, along = f.as_coeff_Mul()
        if not f.is_number and along == direction and of_exponent / ratio >= 1:
            return f
    return sp.S.Zero if sp.S.Zero in terms else None


# --- logarithms, complements, and powers ----------------------------------------------------


def _logarithm(inner: Expression) -> Expression | None:
    if terms := _summands(inner):
        return _log_sum(terms)
    read = stable_form(inner)
    if read is not None and read.has(STABLE["expm1"]):
        return _log_of_difference(inner)
    if inner.is_Add and read is None:
        rest = [term for term in inner.args if term != 1]
        return STABLE["log1p"](sp.Add(*rest)) if len(rest) < len(inner.args) else None
    product = sp.Mul.make_args(inner if read is None else read)
    return _log_product(product) if any(isinstance(f.as_base_exp()[0], tuple(LOGARITHMS)) for f in product) else None


def _log_of_difference(inner: Expression) -> Expression | None:
    """ln(1 − eᵃ), or ln(eᵃ − 1) = a + ln(1 − e^{−a})."""
    if sp.S.One in inner.args:
        return STABLE["log1p"](inner - 1)
    if sp.S.NegativeOne in inner.args:
        (exponent,) = (inner + 1).args
        return exponent + sp.log(-STABLE["expm1"](-exponent))
    return None


LOGARITHMS: Mapping[Any, Callable[..., Expression]] = {
    sp.cosh: STABLE["logcosh"],
    sp.erfc: STABLE["logerfc"],
    STABLE["erfc"]: STABLE["logerfc"],
    sp.sech: lambda a: -STABLE["logcosh"](a),
    STABLE["sech"]: lambda a: -STABLE["logcosh"](a),
    STABLE["sech2"]: lambda a: -2 * STABLE["logcosh"](a),
    STABLE["tanhc"]: lambda a: sp.log(2) - STABLE["logaddexp"](0, 2 * a),
    STABLE["share"]: lambda a, b: -STABLE["logaddexp"](0, _difference(b, a)),
}
"""Positive functions f → ln f."""


def _difference(a: Expression, b: Expression) -> Expression:
    """a − b, in which both stay one subexpression: inner expressions of a loss may be equations of Γ."""
    return a - b if a.is_zero or b.is_zero else sp.Add(a, sp.Mul(-1, b, evaluate=False), evaluate=False)


def _log_product(factors: Sequence[Expression]) -> Expression | None:
    """ln of a product of positive numbers, exponentials, and powers of the functions above; None for any other product."""
    logarithms = []
    for base, power in (f.as_base_exp() if not isinstance(f, sp.exp) else (f, sp.S.One) for f in factors):
        if isinstance(base, sp.exp):
            logarithms.append(base.args[0])
        elif type(base) in LOGARITHMS:
            logarithms.append(power * LOGARITHMS[type(base)](*base.args))
        elif base.is_number and base.is_positive:
            logarithms.append(power * sp.log(base))
        else:
            return None
    return sp.Add(*logarithms)


def _two_terms(expression: Expression) -> Expression | None:
    """c ± c f(a) by the complement of f, as 1 − tanh² = sech²."""
    if len(expression.args) != 2:
        return None
    number, product = expression.args
    factor, inner = product.as_coeff_Mul()
    if not (number.is_Rational and factor.is_Rational) or abs(number) != abs(factor):
        return None
    complement = _complement(inner, number + factor == 0)
    return None if complement is None else number * complement


def _complement(inner: Expression, minus: bool) -> Expression | None:
    """1 − inner, or 1 + inner."""
    in_tanh = _over_cosh(inner)
    inner = inner if in_tanh is None else in_tanh
    if minus and inner.is_Pow and inner.exp == 2 and isinstance(inner.base, sp.tanh):
        return STABLE["sech2"](inner.base.args[0])
    if isinstance(inner, (sp.tanh, sp.erf)):
        a: Expression = inner.args[0]
        return STABLE["tanhc" if isinstance(inner, sp.tanh) else "erfc"](a if minus else -a)
    if minus and isinstance(inner, sp.exp):
        return -STABLE["expm1"](inner.args[0])
    share: Expression = _quotient(inner) if minus and (inner.is_Mul or inner.is_Pow) else None
    return STABLE["share"](*reversed(share.args)) if isinstance(share, STABLE["share"]) else None


def _over_cosh(expression: Expression) -> Expression | None:
    """sinh(a)ᵐ/cosh(a)ᵏ as a product of tanh(a) and 1/cosh(a), or sinh(a)."""
    factors: tuple[Expression, ...] = sp.Mul.make_args(expression)
    powers: list[tuple[Expression, Expression]] = [factor.as_base_exp() for factor in factors]
    for base, exponent in powers:
        if isinstance(base, sp.cosh) and exponent.is_Integer and exponent < 0:
            a, k = base.args[0], -exponent
            m = next((m for s, m in powers if s == sp.sinh(a) and m.is_Integer and m > 0), sp.S.Zero)
            common = min(m, k)
            return (
                expression * base**k / sp.sinh(a) ** common * sp.tanh(a) ** common * STABLE["sech"](a) ** (k - common)
            )
    return None
