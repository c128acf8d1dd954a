"""Antiderivatives of rational functions of one variable over ℚ: smooth on every interval without a pole."""

from math import gcd
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression

LARGEST_DEGREE = 40
"""Of the denominator."""

Polynomial = Any
"""A `sympy.Poly` of one variable over ℚ."""


def antiderivative(numerator: Polynomial, denominator: Polynomial) -> Expression | None:
    """∫ A/D dt in terms of t, |·|, ln and arctan of polynomials (which have no jumps), or None.

    The rational part by Hermite's reduction (Mack's form; Bronstein, Symbolic Integration I, 2.2), the logarithmic one by
    the factors of its denominator over ℚ: those of degree 1 and 2, tⁿ + c, and t⁴ + pt² + c.

    Args:
        numerator: A, over ℚ.
        denominator: D, over ℚ, in the same variable t.

    >>> t = sp.Symbol("t")
    >>> antiderivative(sp.Poly(1, t, domain="QQ"), sp.Poly(t**3 + t, t, domain="QQ"))
    -log(t**2 + 1)/2 + log(Abs(t))
    """
    if denominator.degree() > LARGEST_DEGREE:
        return None
    t = denominator.gen
    whole, rest = numerator.div(denominator)
    rational, rest, squarefree = _hermite(rest, denominator)
    parts = [whole.integrate().as_expr(), rational]
    for factor, _ in squarefree.factor_list()[1]:
        # The partial fraction of this factor: A/(D/q) modulo q.
        part = (rest * squarefree.quo(factor).invert(factor)).rem(factor)
        integral = _over_irreducible(part, factor, t)
        if integral is None:
            return None
        parts.append(integral)
    return sp.Add(*parts)


def _hermite(a: Polynomial, d: Polynomial) -> tuple[Expression, Polynomial, Polynomial]:
    """g, A, D with ∫ a/d = g + ∫ A/D and a squarefree D."""
    g: Expression = sp.S.Zero
    repeated = d.gcd(d.diff())
    squarefree = d.quo(repeated)
    while repeated.degree() > 0:
        further = repeated.gcd(repeated.diff())
        once = repeated.quo(further)
        # B(−D* D⁻'/D⁻) + C D⁻* = A, with deg B < deg D⁻*.
        inner = -(squarefree * repeated.diff()).quo(repeated)
        b = (a * inner.invert(once)).rem(once)
        c = (a - b * inner).quo(once)
        a = c - b.diff() * squarefree.quo(once)
        g += b.as_expr() / repeated.as_expr()
        repeated = further
    return g, a, squarefree


def _over_irreducible(a: Polynomial, q: Polynomial, t: sp.Symbol) -> Expression | None:
    a, q = a.mul_ground(1 / q.LC()), q.monic()
    coefficients = [sp.Rational(c) for c in reversed(a.all_coeffs())] + [sp.S.Zero] * q.degree()
    lower = [sp.Rational(c) for c in reversed(q.all_coeffs())]
    if q.degree() > 2 and not any(lower[1:-1]):
        terms = enumerate(coefficients[: q.degree()])
        return sp.Add(*[a_k * _over_binomial(k, q.degree(), lower[0], t) for k, a_k in terms if a_k])
    match q.degree():
        case 1:
            return coefficients[0] * sp.log(sp.Abs(t + lower[0]))
        case 2:
            return _over_quadratic(coefficients[1], coefficients[0], lower[1], lower[0], t)
        case 4 if lower[1] == lower[3] == 0:
            odd = _over_quadratic(coefficients[3] / 2, coefficients[1] / 2, lower[2], lower[0], t**2)
            even = _over_biquadratic(coefficients[2], coefficients[0], lower[2], lower[0], t)
            return None if even is None else odd + even
    return None


def _over_quadratic(a: Expression, b: Expression, p: Expression, c: Expression, t: Expression) -> Expression:
    """∫ (at + b)/(t² + pt + c) dt, for real numbers a, b, p, c."""
    discriminant = p**2 - 4 * c
    if discriminant < 0:
        root = sp.sqrt(-discriminant)
        return a / 2 * sp.log(t**2 + p * t + c) + (2 * b - a * p) / root * sp.atan((2 * t + p) / root)
    root = sp.sqrt(discriminant)
    high, low = (-p + root) / 2, (-p - root) / 2
    weights = (a * high + b) / root, -(a * low + b) / root
    return sum((w * sp.log(sp.Abs(t - r)) for w, r in zip(weights, (high, low), strict=True)), sp.S.Zero)


def _over_binomial(k: int, n: int, c: Expression, t: Expression) -> Expression:
    """∫ tᵏ/(tⁿ + c) dt: the residue at a zero ρ of the denominator is −ρᵏ⁺¹/(nc), and zeros come in conjugate pairs."""
    common = gcd(k + 1, n)
    if common > 1:  # tᵏdt = sʲ⁻¹ds/m with s = tᵐ, k + 1 = jm
        if common == n:
            return sp.log(sp.Abs(t**n + c)) / n
        return _over_binomial((k + 1) // common - 1, n // common, c, t**common) / common
    radius = sp.Abs(c) ** sp.Rational(1, n)
    total: Expression = sp.S.Zero
    for j in range(n):
        turn = sp.pi * (2 * j + (1 if c > 0 else 0)) / n
        if turn > sp.pi:
            continue
        a, b = radius * sp.cos(turn), radius * sp.sin(turn)
        residue = [-(radius ** (k + 1)) / (n * c) * part for part in (sp.cos((k + 1) * turn), sp.sin((k + 1) * turn))]
        if b == 0:
            total += residue[0] * sp.log(sp.Abs(t - a))
        else:
            total += residue[0] * sp.log(t**2 - 2 * a * t + radius**2) - 2 * residue[1] * sp.atan((t - a) / b)
    return total


def _over_biquadratic(a: Expression, b: Expression, p: Expression, c: Expression, t: sp.Symbol) -> Expression | None:
    """∫ (at² + b)/(t⁴ + pt² + c) dt for a denominator without real zeros, irreducible over ℚ."""
    if a == b == 0:
        return sp.S.Zero
    if c <= 0 or (p < 0 and p**2 >= 4 * c):
        return None
    if p**2 > 4 * c:  # (t² + α)(t² + β)
        root = sp.sqrt(p**2 - 4 * c)
        alpha, beta = (p + root) / 2, (p - root) / 2
        terms = ((b - a * alpha) / (beta - alpha), alpha), ((b - a * beta) / (alpha - beta), beta)
        return sum((w / sp.sqrt(g) * sp.atan(t / sp.sqrt(g)) for w, g in terms), sp.S.Zero)
    g = sp.sqrt(c)  # (t² + et + g)(t² − et + g)
    e = sp.sqrt(2 * g - p)
    n = b / (2 * g)
    m = (2 * n - a) / (2 * e)
    return _over_pair(m, n, e, g, t) + _over_pair(-m, n, -e, g, t)


def _over_pair(m: Expression, n: Expression, e: Expression, g: Expression, t: sp.Symbol) -> Expression:
    """∫ (mt + n)/(t² + et + g) dt with e² < 4g."""
    root = sp.sqrt(sp.expand(4 * g - e**2))
    return m / 2 * sp.log(t**2 + e * t + g) + sp.expand(2 * n - m * e) / root * sp.atan((2 * t + e) / root)
