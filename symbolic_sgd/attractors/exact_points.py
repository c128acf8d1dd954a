"""All fixed points by elimination: polynomial equations that every one of them solves, and their real solutions."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from math import comb

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.attractors.descent import Descent
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BudgetSpent, ExpressionTooLarge
from symbolic_sgd.rational.closed_form import Solution
from symbolic_sgd.rational.polynomial_systems import RealSolutions, real_solutions
from symbolic_sgd.theorem.derivation import Derivation

MOST_MINORS = 60
"""Minors of (∇R, J) up to which they are the equations."""

FEW_MINORS, SMALL_MINORS = 20, 2
"""Minors, and M, up to which they are taken before Lagrange's multipliers."""

MOST_ROWS = 5
"""Rows of a minor that is multiplied out."""

MOST_PARTS = 24
"""M×M minors of J by whose squares its rank is told."""

MOST_UNKNOWNS = 20
"""Unknowns up to which a system is solved."""

LARGEST_DRIFT = 1500
"""Operations of a drift whose zeros are sought so."""


@dataclass(frozen=True)
class Elimination:
    """What elimination has found.

    Args:
        points: candidates, symbol → exact number: every fixed point is among them, or on one of the continua.
        continua: equations each, of sets that were not resolved into points.
        singular: equations each, of sets at whose real points rank J, and so rank ∇²L, is below M.
        words: why nothing was eliminated, or not to the end; "" where it was.
        sliced: the equation by which one point of each orbit of symmetries was chosen; None where none was needed.
    """

    points: tuple[Solution, ...] = ()
    continua: tuple[tuple[Expression, ...], ...] = ()
    singular: tuple[tuple[Expression, ...], ...] = ()
    words: str = ""
    sliced: Expression | None = None


def lagrange_points(descent: Descent, effort: Effort, slice_: Expression | None = None) -> Elimination:
    """Real solutions of f = 0 where ∇R is a combination of the ∇f_i.

    Args:
        descent: R and f.
        effort: how long it may take, shared by the two forms of the equations.
        slice_: a further equation that every orbit of the symmetries has solutions of.
    """
    equations, x = _defining(descent), descent.parameters
    if not all(is_rational_polynomial(e, x) for e in (*equations, descent.potential)):
        return Elimination(words="R or f is no polynomial with rational coefficients")
    reasons = []
    for number, (unknowns, conditions_of) in enumerate(_systems(descent, equations), 1):
        if len(unknowns) > MOST_UNKNOWNS:
            reasons.append(f"{len(unknowns)} unknowns are too many for elimination")
            continue
        part = Effort((effort.seconds - effort.spent) * (0.5 if number == 1 else 1.0))
        part.begin("elimination")
        try:
            further = [] if slice_ is None else [slice_]
            found = real_solutions([*equations, *further, *conditions_of()], unknowns, part)
            return _resolved(descent, equations, found, part, slice_)
        except BudgetSpent as spent:
            reasons.append(str(spent))
    return Elimination(words="; ".join(dict.fromkeys(reasons)) or "there are too many minors")


def drift_zeros(derivation: Derivation, effort: Effort) -> Elimination:
    """Real solutions of f = 0 at which the numerators of b vanish."""
    effort.begin("elimination")
    x = derivation.problem.parameters
    if derivation.in_matrices is not None or derivation.program.select("drift").operations > LARGEST_DRIFT:
        return Elimination(words="the drift is too large to be solved")
    try:
        drift = derivation.program.expand("drift").flat()
    except ExpressionTooLarge:
        return Elimination(words="the drift is too large to be solved")
    numerators = [sp.numer(sp.together(b)) for b in drift]
    system = [*derivation.equations.expand("defining").flat(), *numerators]
    if not all(is_rational_polynomial(e, x) for e in system):
        return Elimination(words="the drift or f is no quotient of polynomials with rational coefficients")
    try:
        found = real_solutions(system, x, effort)
    except BudgetSpent as spent:
        return Elimination(words=str(spent))
    return Elimination(found.points, found.continua)


def _defining(descent: Descent) -> tuple[Expression, ...]:
    """Equations that vanish on all of Γ, as many as suffice there."""
    if descent.interpolating and len(descent.equations) == descent.derivation.codimension:
        return descent.equations
    stated = tuple(descent.derivation.equations.expand("defining").flat())
    return tuple(dict.fromkeys([*stated, *descent.equations]))


def is_rational_polynomial(expression: Expression, x: Sequence[sp.Symbol]) -> bool:
    """Whether it is a polynomial in x with rational coefficients, and in nothing else."""
    if not expression.is_polynomial(*x) or expression.free_symbols - set(x):
        return False
    return all(c.is_Rational for c in sp.Poly(expression, *x).coeffs())


def _systems(
    descent: Descent, equations: Sequence[Expression]
) -> Iterator[tuple[Sequence[sp.Symbol], Callable[[], list[Expression]]]]:
    """(unknowns, equations beside f): minors of (∇R, J), or ∇R = Jᵀλ where J has rank M at every regular point."""
    x, rank = descent.parameters, descent.derivation.codimension
    independent = len(equations) == rank
    count = comb(len(x), rank + 1)

    def rows() -> list[list[Expression]]:
        chosen = equations if independent else _levels(descent)
        return [[sp.diff(e, s) for s in x] for e in (descent.potential, *chosen)]

    def minors() -> list[Expression]:
        return _minors(rows())

    def multipliers() -> list[Expression]:
        gradient, *slopes = rows()
        pairs = list(zip(descent.multipliers, slopes, strict=True))
        return [g - sum(m * row[k] for m, row in pairs) for k, g in enumerate(gradient)]

    first = count <= FEW_MINORS and rank <= SMALL_MINORS
    if first:
        yield x, minors
    if descent.interpolating and independent:
        yield (*x, *descent.multipliers), multipliers
    if not first and count <= MOST_MINORS and rank < MOST_ROWS:
        yield x, minors


def _levels(descent: Descent) -> tuple[Expression, ...]:
    return tuple(descent.derivation.equations.expand("defining").flat())


def _resolved(
    descent: Descent,
    equations: Sequence[Expression],
    found: RealSolutions,
    effort: Effort,
    slice_: Expression | None,
) -> Elimination:
    """With what can be said of the parts that have infinitely many complex solutions, and of where rank J drops."""
    x = descent.parameters
    points, continua = [{s: p[s] for s in x} for p in found.points], []
    minors = _minors_of_slopes(descent, equations)
    for part in found.continua:
        regular = None if minors is None else _regular_part(x, equations, minors, part, effort)
        points.extend([] if regular is None else [{s: p[s] for s in x} for p in regular.points])
        continua.extend([part] if regular is None or regular.continua else [])
    dropping = RealSolutions((), ())
    if minors is not None:
        with suppress(BudgetSpent):
            dropping = real_solutions([*equations, *minors], x, effort)
    distinct = {tuple(p.values()): p for p in (*points, *dropping.points)}
    return Elimination(tuple(distinct.values()), tuple(continua), dropping.continua, sliced=slice_)


def _minors_of_slopes(descent: Descent, equations: Sequence[Expression]) -> list[Expression] | None:
    """The M×M minors of J; None where they are many, or rank J does not tell rank ∇²L."""
    x, rank = descent.parameters, descent.derivation.codimension
    if not descent.interpolating or len(equations) != rank or rank > MOST_ROWS or comb(len(x), rank) > MOST_PARTS:
        return None
    return _minors([[sp.diff(f, s) for s in x] for f in equations])


def _minors(rows: Sequence[Sequence[Expression]]) -> list[Expression]:
    """Those of all rows, multiplied out."""
    matrix, size = sp.Matrix(rows), len(rows)
    chosen = (matrix.extract(list(range(size)), list(c)) for c in combinations(range(matrix.cols), size))
    return [sp.expand(part.det(method="berkowitz")) for part in chosen]


def _regular_part(
    x: Sequence[sp.Symbol],
    equations: Sequence[Expression],
    minors: Sequence[Expression],
    part: Sequence[Expression],
    effort: Effort,
) -> RealSolutions | None:
    """The real solutions of a part at which J has rank M: det JJᵀ, the sum of the squares of its minors, times z is 1.

    None where that takes too long.
    """
    z = sp.Dummy("z", real=True)
    unknowns = [*x, *sorted({s for e in part for s in e.free_symbols} - set(x), key=str), z]
    volume = sp.expand(sum(m**2 for m in minors))
    try:
        return real_solutions([*part, *equations, volume * z - 1], unknowns, effort)
    except BudgetSpent:
        return None
