"""The drift linearised along Γ at a fixed point: its eigenvalues, exactly where that ends, and what they decide."""

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from symbolic_sgd.algebra.arithmetic import PreciseMatrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.attractors.descent import Descent
from symbolic_sgd.attractors.exact_points import is_rational_polynomial
from symbolic_sgd.charts.zeros_in_chart import HYPERBOLIC, eigenvalues_with_accuracy
from symbolic_sgd.manifold.precise import HIGH
from symbolic_sgd.rational.closed_form import roots
from symbolic_sgd.rational.polynomial_systems import in_small_field

LARGEST_FIELD = 6
"""Degree of the field of a point's coordinates up to which eigenvalues are sought exactly."""

LARGEST_DIMENSION = 10
"""Parameters up to which they are."""

STABLE, SADDLE, UNSTABLE, UNDECIDED = "stable", "saddle", "unstable", "undecided"


def eigenvalues(slope: PreciseMatrix, *, symmetric: bool) -> list[Any]:
    """Of Tᵀ∂bT, the smallest real part first; real and imaginary parts that are zero to many digits are 0."""
    with mp.workdps(HIGH):
        size = max((abs(a) for a in slope), default=mp.mpf(0))
        found, accuracy = list[Any](), HYPERBOLIC
        if symmetric:
            found = list(mp.eigsy((slope + slope.T) / 2, eigvals_only=True))
        else:
            values, accuracy = eigenvalues_with_accuracy(slope)
            found = list(values)
        settle = lambda part: part if abs(part) > accuracy * size else mp.mpf(0)  # noqa: E731
        parts = [(settle(mp.re(v)), settle(mp.im(v))) for v in found]
        return [mp.mpc(*p) if p[1] else p[0] for p in sorted(parts)]


def as_numbers(values: Sequence[Any]) -> tuple[Expression, ...]:
    """To 15 digits; what is zero is 0."""
    return tuple(sp.sympify(mp.mpmathify(v)).n(15) if v else sp.S.Zero for v in values)


def stability(values: Sequence[Any], orbit: int) -> str:
    """What eigenvalues decide of a fixed point, of which `orbit` zeros are those of the orbit of symmetries that it is on."""
    parts = [mp.re(v) for v in values]
    growing, fading = sum(bool(p > 0) for p in parts), sum(bool(p < 0) for p in parts)
    if growing:
        return SADDLE if fading else UNSTABLE
    return STABLE if len(values) - fading == orbit else UNDECIDED


def exact_eigenvalues(
    descent: Descent, place: Mapping[sp.Symbol, Expression], numbers: Sequence[Any]
) -> tuple[Expression, ...] | None:
    """Those of −P(∇²R − Σ λ_i ∇²f_i)P on the tangent space at an exact point, by arithmetic in the field of its coordinates.

    None where the field is large, R or f is no polynomial, J has dependent rows, or the eigenvalues have no closed form.
    """
    x, functions = descent.parameters, (descent.potential, *descent.equations)
    if len(x) > LARGEST_DIMENSION or len(descent.equations) != descent.derivation.codimension:
        return None
    if not in_small_field(place.values(), LARGEST_FIELD) or not all(is_rational_polynomial(e, x) for e in functions):
        return None
    t = sp.Dummy("t")
    domain, values = sp.construct_domain(list(place.values()), field=True, extension=True)
    coefficients = _linear_part(descent, dict(zip(place, values, strict=True)), domain).charpoly()
    polynomial = sp.Poly([domain.to_sympy(c) for c in coefficients], t, extension=True)
    found: list[Expression] = []
    for factor, power in polynomial.factor_list()[1]:
        found.extend([r for r in map(sp.radsimp, roots(factor.as_expr(), t)) for _ in range(power)])
    ordered = sorted(found, key=lambda v: sp.N(v, 30))
    return tuple(ordered) if _are(ordered, numbers) else None


def _linear_part(descent: Descent, at: Mapping[sp.Symbol, Any], domain: Any) -> DomainMatrix:
    """−(AᵀA)⁻¹Aᵀ(∇²R − Σ λ_i ∇²f_i)A for a basis A of the kernel of J, over a field."""
    x, f, potential = descent.parameters, descent.equations, descent.potential
    number = lambda e: _value(e, x, at, domain)  # noqa: E731
    bend = lambda e: _matrix([[number(sp.diff(e, a, b)) for b in x] for a in x], domain)  # noqa: E731
    slopes = _matrix([[number(sp.diff(e, s)) for s in x] for e in f], domain)
    gradient = _matrix([[number(sp.diff(potential, s))] for s in x], domain)
    multipliers = (slopes * slopes.transpose()).lu_solve(slopes * gradient).to_list_flat()
    total = bend(potential)
    for multiplier, e in zip(multipliers, f, strict=True):
        total -= bend(e) * multiplier
    along = slopes.nullspace().transpose()
    return -(along.transpose() * along).lu_solve(along.transpose() * total * along)


def _are(exact: Sequence[Expression], numbers: Sequence[Any]) -> bool:
    """Whether exact values are these numbers, to 30 digits."""
    pairs = [(sp.N(a, 40), sp.Float(mp.nstr(b, 40), 40)) for a, b in zip(exact, numbers, strict=False)]
    return len(exact) == len(numbers) and all(abs(a - b) < sp.Float(10) ** -30 * (1 + abs(a)) for a, b in pairs)


def _matrix(rows: Sequence[Sequence[Any]], domain: Any) -> DomainMatrix:
    return DomainMatrix([list(row) for row in rows], (len(rows), len(rows[0])), domain)


def _value(expression: Expression, x: Sequence[sp.Symbol], at: Mapping[sp.Symbol, Any], domain: Any) -> Any:
    """A polynomial's value in the field."""
    total = domain.zero
    for monomial, coefficient in sp.Poly(expression, *x, domain="QQ").terms():
        term = domain.from_sympy(coefficient)
        for s, power in zip(x, monomial, strict=True):
            term *= at[s] ** power
        total += term
    return total
