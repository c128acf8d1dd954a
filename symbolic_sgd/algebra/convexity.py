"""Whether an expression is convex by the rules of convex analysis: a proof where it is found, and no answer where it is not."""

from collections.abc import Sequence
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression


def is_convex(expression: Expression, letters: Sequence[sp.Symbol]) -> bool:
    """Whether rules prove that an expression is convex in the letters, wherever it is defined.

    The rules: affine functions; quadratic forms that are nowhere negative; sums, and positive multiples; e^f of a convex f;
    even powers of affine functions, square roots of sums of their squares, and cosh of them; −ln f of an affine f; ln Σ c_i e^{f_i}
    of affine f_i with c_i > 0, where cosh f is such a sum.

    Source: Boyd and Vandenberghe, Convex Optimization (2004), sections 3.1 and 3.2.

    >>> t, s = sp.symbols("t s", real=True)
    >>> is_convex(sp.log(1 + sp.exp(-t)) + (t - 2 * s) ** 2 / 2, [t, s]), is_convex(t * s, [t, s])
    (True, False)
    """
    return _curves(expression, set(letters), 1)


def _curves(e: Any, letters: set[sp.Symbol], sign: int) -> bool:
    """Whether sign·e is convex."""
    if _is_affine(e, letters):
        return True
    if e.is_Add:
        quadratic = sp.Add(*(term for term in e.args if term.is_polynomial(*letters)))
        others = [term for term in e.args if not term.is_polynomial(*letters)]
        alone = all(_curves(term, letters, sign) for term in e.args)
        return alone or (_is_quadratic(quadratic, letters, sign) and all(_curves(o, letters, sign) for o in others))
    if e.is_Mul:
        factor, rest = e.as_independent(*letters, as_Add=False)
        if factor != 1:
            return bool(factor.is_nonnegative and _curves(rest, letters, sign)) or bool(
                factor.is_nonpositive and _curves(rest, letters, -sign)
            )
        return False
    rule = _RULES.get(e.func)
    return rule is not None and rule(e, letters, sign)


def _power(e: Any, letters: set[sp.Symbol], sign: int) -> bool:
    base, exponent = e.args
    if exponent == sp.Rational(1, 2):
        return sign > 0 and _is_square_norm(base, letters)
    even = exponent.is_Integer and exponent > 0 and exponent % 2 == 0
    return sign > 0 and bool(even) and _is_affine(base, letters)


def _is_square_norm(e: Any, letters: set[sp.Symbol]) -> bool:
    """Whether e is a sum of positive multiples of squares of affine functions, and of nonnegative constants: |Af + b|²."""
    for term in sp.Add.make_args(e):
        factor, rest = term.as_independent(*letters, as_Add=False)
        square = rest == 1 or (rest.is_Pow and rest.args[1] == 2 and _is_affine(rest.args[0], letters))
        if not (factor.is_nonnegative and square):
            return False
    return True


def _exponential(e: Any, letters: set[sp.Symbol], sign: int) -> bool:
    return sign > 0 and _curves(e.args[0], letters, 1)


def _logarithm(e: Any, letters: set[sp.Symbol], sign: int) -> bool:
    inner = e.args[0]
    if sign < 0:
        return _is_affine(inner, letters)
    return all(_is_weighted_exponential(term, letters) for term in sp.Add.make_args(inner))


def _is_weighted_exponential(term: Any, letters: set[sp.Symbol]) -> bool:
    """Whether a term is c e^f with c > 0 and an affine f, or a product of these and of cosh, which is a sum of them."""
    factor, rest = term.as_independent(*letters, as_Add=False)
    exponents = [f.args[0] for f in sp.Mul.make_args(rest) if isinstance(f, (sp.exp, sp.cosh))]
    product = len(exponents) == len(sp.Mul.make_args(rest)) or rest == 1
    return bool(factor.is_positive and product) and all(_is_affine(f, letters) for f in exponents)


def _cosh(e: Any, letters: set[sp.Symbol], sign: int) -> bool:
    return sign > 0 and _is_affine(e.args[0], letters)


_RULES = {sp.Pow: _power, sp.exp: _exponential, sp.log: _logarithm, sp.cosh: _cosh}


def _is_quadratic(e: Any, letters: set[sp.Symbol], sign: int) -> bool:
    """Whether sign·e is a quadratic function with a second derivative, in rationals, that is nowhere negative."""
    used = sorted(letters, key=str)
    if e == 0 or sp.Poly(e, *used).total_degree() > 2:
        return bool(e == 0)
    bends = sign * sp.hessian(e, used)
    return all(b.is_Rational for b in bends) and bool(bends.is_positive_semidefinite)


def _is_affine(e: Any, letters: set[sp.Symbol]) -> bool:
    """Whether every term is a letter times what has none, or has none."""
    for term in sp.Add.make_args(e):
        _, rest = term.as_independent(*letters, as_Add=False)
        if rest != 1 and rest not in letters and not (rest.is_Add and _is_affine(rest, letters)):
            return False
    return True
