"""Certificates that a fixed point is a global minimum of R on Γ = {f = 0}.

Weak duality: for any λ, R(y) = R(y) − λᵀf(y) ≥ min (R − λᵀf) for all y on Γ. Where R and f are quadratic, that minimum is finite
exactly where Q(λ) = ∇²R − Σ λ_i ∇²f_i is positive semidefinite (and its kernel meets no slope), which rational arithmetic decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.attractors.descent import Descent
from symbolic_sgd.manifold.precise import HIGH

DIGITS = 60
"""Digits to which multipliers are rounded."""

SHRUNK = (45, 35, 25, 18, 12, 9, 6)
"""λ is multiplied by 1 − 10⁻ᵏ, for these k in turn: Q = (1 − s)∇²R + sQ(λ) is then positive where Q(λ) is zero but for rounding."""

SIGN_DIGITS = 60
"""Digits by which a number that is not zero has a sign."""

LARGEST = 60
"""Parameters up to which Q is decomposed exactly."""


@dataclass(frozen=True)
class Quadratic:
    """½xᵀHx + gᵀx + c with rational coefficients."""

    bend: tuple[tuple[Fraction, ...], ...]
    slope: tuple[Fraction, ...]
    constant: Fraction

    @staticmethod
    def of(expression: Expression, x: Sequence[sp.Symbol]) -> "Quadratic | None":
        """None where it is no polynomial of degree 2 with rational coefficients."""
        if expression.free_symbols - set(x) or not expression.is_polynomial(*x):
            return None
        polynomial, d = sp.Poly(expression, *x), len(x)
        if polynomial.total_degree() > 2 or not all(c.is_Rational for c in polynomial.coeffs()):
            return None
        bend, slope, constant = [[Fraction(0)] * d for _ in x], [Fraction(0)] * d, Fraction(0)
        for monomial, coefficient in polynomial.terms():
            value, at = (
                Fraction(int(coefficient.p), int(coefficient.q)),
                [i for i, p in enumerate(monomial) for _ in range(p)],
            )
            if len(at) == 2:
                bend[at[0]][at[1]] += value
                bend[at[1]][at[0]] += value
            elif at:
                slope[at[0]] += value
            else:
                constant += value
        return Quadratic(tuple(map(tuple, bend)), tuple(slope), constant)


@dataclass(frozen=True)
class QuadraticProblem:
    """R and f as quadratic functions.

    Args:
        potential: R.
        equations: f.
    """

    potential: Quadratic
    equations: tuple[Quadratic, ...]

    @staticmethod
    def of(descent: Descent) -> "QuadraticProblem | None":
        """None where R or one of f is not quadratic."""
        x = descent.parameters
        if len(x) > LARGEST:
            return None
        found = [Quadratic.of(e, x) for e in (descent.potential, *descent.equations)]
        known = [q for q in found if q is not None]
        return QuadraticProblem(known[0], tuple(known[1:])) if len(known) == len(found) else None

    def lower_bound(
        self, multipliers: Sequence[Any], number: Callable[[Fraction], Any], sign: Callable[[Any], int]
    ) -> Any:
        """min over R^D of R − λᵀf; None where that is −∞.

        By eliminating x from the matrix of the quadratic form in (x, 1): exact, if arithmetic and signs are.

        Args:
            multipliers: λ, in a field.
            number: a fraction as an element of it.
            sign: of an element.
        """
        d = len(self.potential.slope)

        def entry(of: Callable[[Quadratic], Fraction]) -> Any:
            total = number(of(self.potential))
            for m, q in zip(multipliers, self.equations, strict=True):
                coefficient = of(q)
                if coefficient:
                    total = total - m * number(coefficient)
            return total

        rows = [[entry(lambda q, i=i, j=j: q.bend[i][j]) for j in range(d)] for i in range(d)]
        for i, row in enumerate(rows):
            row.append(entry(lambda q, i=i: q.slope[i]))
        rows.append([*(row[-1] for row in rows), number(Fraction(0))])
        left = list(range(d))
        while left:
            signs = {i: sign(rows[i][i]) for i in left}
            if min(signs.values()) < 0:
                return None
            pivot = next((i for i in left if signs[i] > 0), None)
            if pivot is None:  # the rest has to vanish, with its slope
                if any(sign(rows[i][j]) for i in left for j in (*left, d)):
                    return None
                break
            left.remove(pivot)
            for i in (*left, d):
                if sign(rows[i][pivot]):
                    ratio = rows[i][pivot] / rows[pivot][pivot]
                    for j in (*left, d):
                        rows[i][j] = rows[i][j] - ratio * rows[pivot][j]
        return entry(lambda q: q.constant) + rows[d][d] / number(Fraction(2))

    def dual_norm(self, multipliers: Sequence[Any]) -> float | None:
        """The largest generalised eigenvalue μ of Σ λ_i ∇²f_i v = μ ∇²R v, in float64: Q(λ) ≥ 0 where it is at most 1.

        None where ∇²R is zero, singular on what the ∇²f_i do not annul, or not positive.
        """
        size = np.array(self.potential.bend, dtype=float)
        pull = sum(float(m) * np.array(q.bend, dtype=float) for m, q in zip(multipliers, self.equations, strict=True))
        values, axes = np.linalg.eigh(size)
        if not size.any():
            return None
        kept = values > 1e-12 * np.abs(values).max()
        flat = axes[:, ~kept]
        if (
            values.min() < -1e-12 * np.abs(values).max()
            or np.abs(flat.T @ pull).max(initial=0) > 1e-9 * np.abs(pull).max()
        ):
            return None
        scaled = axes[:, kept] / np.sqrt(values[kept])
        return float(np.linalg.eigvalsh(scaled.T @ pull @ scaled)[-1])


@dataclass(frozen=True)
class Bound:
    """R ≥ value on Γ.

    Args:
        value: exact.
        words: how it is proved.
    """

    value: Expression
    words: str


def exact_bound(problem: QuadraticProblem, multipliers: Sequence[Expression]) -> Bound | None:
    """By the multipliers of an exact point, in the field that they generate."""
    domain, constructed = sp.construct_domain(list(multipliers), field=True, extension=True)
    elements: list[Any] = list(constructed)
    if not (domain.is_QQ or domain.is_Algebraic):
        return None

    def sign(element: Any) -> int:
        if domain.is_zero(element):
            return 0
        return 1 if sp.N(domain.to_sympy(element), SIGN_DIGITS, maxn=10**4) > 0 else -1

    value = problem.lower_bound(elements, lambda a: domain.from_sympy(sp.Rational(a.numerator, a.denominator)), sign)
    if value is None:
        return None
    return Bound(
        sp.radsimp(domain.to_sympy(value)),
        "Q = ∇²R − Σ λ_i ∇²f_i is positive semidefinite, exactly, and R − λᵀf is least here",
    )


def rounded_bound(problem: QuadraticProblem, multipliers: Sequence[Any]) -> Bound | None:
    """By multipliers that are rounded and shrunk until Q is positive semidefinite, which is then proved in rational arithmetic."""
    with mp.workdps(HIGH):
        scale = mp.mpf(10) ** DIGITS
        rounded = [Fraction(int(mp.nint(m * scale)), 10**DIGITS) for m in multipliers]
    for k in SHRUNK:
        shrunk = [m * (1 - Fraction(1, 10**k)) for m in rounded]
        value = problem.lower_bound(shrunk, lambda a: a, lambda a: (a > 0) - (a < 0))
        if value is not None:
            words = f"with λ rounded and multiplied by 1 − 1e-{k}, Q = ∇²R − Σ λ_i ∇²f_i is positive semidefinite, in rational arithmetic"
            return Bound(sp.Rational(value.numerator, value.denominator), words)
    return None


def is_geometric(descent: Descent) -> bool:
    """Whether R on Γ is a geometric program: R a sum of even monomials with positive coefficients, f_i = a m_i(x) − c_i, a, c_i ≠ 0.

    Then ‖·‖ entry by entry leads from Γ to {ln m_i = ln ‖c_i/a‖}, where R is convex in ln ‖x‖, so that every critical point is a global
    minimum on Γ (Duffin, Peterson & Zener 1967).
    """
    x = descent.parameters
    if not all(e.is_polynomial(*x) and not e.free_symbols - set(x) for e in (descent.potential, *descent.equations)):
        return False
    terms = sp.Poly(descent.potential, *x).terms()
    even = all(all(p % 2 == 0 for p in monomial) and c.is_positive for monomial, c in terms)
    pairs = [sp.Poly(e, *x).monoms() for e in descent.equations]
    return even and all(len(pair) == 2 and not any(pair[-1]) for pair in pairs)
