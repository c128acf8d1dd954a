"""R = F(τ) for one function τ on Γ, by integration: where b = −g(τ)∂Φ∇τ with a rational g, F = ∫g.

On a curve with a rational parametrisation by one of the coordinates this is every R. The function g is fitted to its
values at precise points of Γ: a linear system whose solution is rational.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, islice

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import ComplexValue, NotSmooth
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.rational.rational_integral import antiderivative
from symbolic_sgd.rational.recognition import relation
from symbolic_sgd.regularizer.candidates import Ingredients
from symbolic_sgd.regularizer.one_form import RegularizationForm

DEGREES = (4, 10, 18, 26)
"""Degrees of the numerator and of the denominator of g that are tried, the last for the parameters only, the last but one
in a plane too."""

SPARE = 6
"""Points beyond the unknowns of a fit."""

POINTS = 2 * DEGREES[-1] + 2 + SPARE
"""Points of Γ that the widest fit needs."""

MOST = 16
"""Functions τ that are tried."""

PARALLEL = 60
"""Digits to which b is parallel to ∂Φ∇τ."""


def composed(
    form: RegularizationForm, given: Ingredients, points: Sequence[PrecisePoint], effort: Effort
) -> Iterator[Expression]:
    """∫g(τ)dτ for each τ for which there is a rational g; problems with constants are left to other roads.

    Raises:
        BudgetSpent: by the effort.
    """
    if form.derivation.problem.constants:
        return
    for tau in islice(_functions(given), MOST):
        effort.tell(f"of {tau}")
        samples = _samples(form, tau, effort.each(points))
        for degree in DEGREES[: 4 if tau.is_Symbol else 3 if len(given.derivation.problem.parameters) == 2 else 2]:
            if len(samples) < 2 * degree + 2 + SPARE:
                break
            fitted = _fit(samples[: 2 * degree + 2 + SPARE], degree, effort)
            primitive = None if fitted is None else antiderivative(*fitted)
            if fitted is not None and primitive is not None:
                yield primitive.subs(fitted[0].gen, tau)
            if fitted is not None:
                break


def _functions(given: Ingredients) -> Iterator[Expression]:
    """The letters, sums and differences of two parameters, and the natural quantities."""
    yield from given.letters
    yield from (e for a, b in combinations(given.derivation.problem.parameters, 2) for e in (a + b, a - b))
    yield from given.natural


def _samples(
    form: RegularizationForm, tau: Expression, points: Iterable[PrecisePoint]
) -> list[tuple[PreciseNumber, PreciseNumber]]:
    """(τ, g) at the points; () where b is not parallel to ∂Φ∇τ at one of them."""
    node = from_sympy(tau, form.graph)
    slope = (form.projection @ Matrix.column(gradient(node, form.variables))).entries
    samples = []
    for point in points:
        try:
            values = point.high([node, *slope, *form.field.entries])
        except (ComplexValue, NotSmooth):
            return []
        with mp.workdps(HIGH):
            p, b = values[1 : 1 + len(slope)], values[1 + len(slope) :]
            square = mp.fdot(p, p)
            if square < mp.mpf(10) ** -PARALLEL:
                return []
            g = -mp.fdot(p, b) / square
            off = max(abs(y + g * x) for x, y in zip(p, b, strict=True))
            if off > max(map(abs, b)) * mp.mpf(10) ** -PARALLEL:
                return []
            samples.append((values[0], g))
    return samples


def _fit(
    samples: Sequence[tuple[PreciseNumber, PreciseNumber]], degree: int, effort: Effort
) -> tuple[sp.Poly, sp.Poly] | None:
    """A and D over ℚ, up to this degree, with A(τ) = g D(τ) at all samples."""
    with mp.workdps(HIGH):
        powers = [(g, [t**k for k in range(degree + 1)]) for t, g in samples]
        found = relation([[[*p, *(-g * a for a in p)]] for g, p in powers], effort=effort)
    if found is None:
        return None
    variable = sp.Dummy("t")
    numerator, denominator = (
        sp.Poly(list(map(sp.Rational, reversed(part))), variable, domain="QQ")
        for part in (found[: degree + 1], found[degree + 1 :])
    )
    if denominator.is_zero:
        return None
    common = numerator.gcd(denominator)
    return numerator.quo(common), denominator.quo(common)
