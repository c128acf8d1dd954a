"""Is the end of a limit without noise a global minimum of R on Γ?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np
import sympy as sp
from sympy.polys.matrices import DomainMatrix

from symbolic_sgd import attractors
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.attractors.attractors import Attractor, exact_value, short
from symbolic_sgd.attractors.certificates import Bound, QuadraticProblem, exact_bound, is_geometric, rounded_bound
from symbolic_sgd.attractors.descent import Descent
from symbolic_sgd.attractors.lagrange_road import LagrangeRoad
from symbolic_sgd.attractors.linearised import as_numbers, eigenvalues, exact_eigenvalues, stability
from symbolic_sgd.attractors.standing import Standing, meant
from symbolic_sgd.charts.zeros_in_chart import thirty_digits
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BadInput, SingularPoint, SymbolicSGDError, Undecided
from symbolic_sgd.manifold.precise import HIGH, POINT, PrecisePoint
from symbolic_sgd.numeric.guard import check_points
from symbolic_sgd.problems.problem import real_number
from symbolic_sgd.rational.polynomial_systems import in_small_field
from symbolic_sgd.theorem.derivation import Derivation

REACH = 1e-3
"""How far the fixed point that is judged may be from the point that is given, relative to 1 + |x|."""

STEPS = 30
"""Newton steps along Γ to it."""

LARGEST_FIELD = 8
"""Degree of the field of an exact point up to which its multipliers are exact."""

GLOBAL, LOCAL, NO_REST, UNSTABLE, OPEN = (
    "global minimum",
    "stable but not certified",
    "not a fixed point",
    "unstable",
    "undecided",
)


@dataclass(frozen=True)
class Optimality:
    """What is known of a point of Γ as a minimum of R on Γ.

    Args:
        verdict: "global minimum" (certified), "stable but not certified" (there may be lower ones, or not), "unstable" (R decreases
            along Γ in some direction), "not a fixed point", or "undecided" (a fixed point with more zero modes than its orbit of
            symmetries explains, and no certificate).
        reason: in words.
        point: the fixed point that was judged, parameter → value; the given point where there is none.
        distance: from the given point to it, relative to 1 + ‖x‖; 0 where the given point is itself one.
        regularizer: R there.
        gap: an upper bound, proved, of R there minus the least value of R on Γ: 0 where it is exactly that; None without a
            certificate.
        multipliers: λ with ∇R = Jᵀλ, one for each equation of Γ; () where it is no fixed point.
        dual_norm: where R and f are quadratic, the largest μ with Σ λ_i ∇²f_i v = μ∇²R v (float64): a certificate needs μ ≤ 1.
        eigenvalues: of the drift linearised along Γ.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> judged = sde.optimality([1.0, 1.0])
    >>> judged.verdict, float(judged.gap) < 1e-20
    ('global minimum', True)
    """

    verdict: str
    reason: str
    point: Mapping[sp.Symbol, Expression]
    distance: float
    regularizer: Expression
    gap: Expression | None = None
    multipliers: tuple[Expression, ...] = ()
    dual_norm: float | None = None
    eigenvalues: tuple[Expression, ...] = ()

    def __str__(self) -> str:
        place = ", ".join(f"{s} = {short(a)}" for s, a in self.point.items())
        return f"{self.verdict}: R = {short(self.regularizer)} at {place}; {self.reason}."

    def __repr__(self) -> str:
        return f"Optimality({self})"

    def _repr_html_(self) -> str:
        return attractors.tables.optimality_html(self)


def judge(derivation: Derivation, descent: LagrangeRoad | str, given: Any, effort: Effort) -> Optimality:
    """The verdict on a point of Γ.

    Args:
        derivation: of a limit that passes `check_noiseless`.
        descent: R and f, or in words why there are none.
        given: a mapping from every parameter to a number, D numbers, or an `Attractor`.
        effort: how long it may take.

    Raises:
        BadInput: no such point.
        OffManifold, SingularPoint: as the callables do.
        Undecided: no R is known.
    """
    place = _read(derivation, given)
    check_points(derivation, np.array([[float(a) for a in place.values()]]))
    if isinstance(descent, str):
        raise Undecided(f"whether the point is a minimum of R on Γ is not decided: {descent}")
    return _Judgement(descent, place, effort).verdict()


def _read(derivation: Derivation, given: Any) -> dict[sp.Symbol, Any]:
    parameters = derivation.problem.parameters
    if isinstance(given, Attractor):
        given = given.point
    if not isinstance(given, Mapping):
        if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray) or len(given) != len(parameters):
            raise BadInput(
                f"the point is {given!r}; give a dict from the {len(parameters)} parameters to numbers, e.g. {{u: 1, v: 1}}"
            )
        given = dict(zip(parameters, given, strict=True))
    missing, unknown = [s for s in parameters if s not in given], [s for s in given if s not in parameters]
    if missing or unknown:
        words = f"has no value for {missing[0]}" if missing else f"has a value for {unknown[0]}, which is no parameter"
        raise BadInput(f"the point {words}")
    for s in parameters:
        real_number(given[s], where=f"the value of {s}")
    return {s: given[s] for s in parameters}


def _exact(value: Any) -> Expression | None:
    """A value as an exact number; None for floats."""
    if isinstance(value, Integral | Fraction):
        return sp.Rational(value)
    return value if isinstance(value, sp.Expr) and not value.has(sp.Float) else None


class _Judgement:
    def __init__(self, road: LagrangeRoad, place: Mapping[sp.Symbol, Any], effort: Effort):
        self.road, self.descent, self.place, self.effort = road, road.descent, place, effort
        self.parameters = self.descent.parameters
        exact = [_exact(a) for a in place.values()]
        known = [a for a in exact if a is not None]
        fields = len(known) == len(exact) and in_small_field(known, LARGEST_FIELD)
        self.exact = dict(zip(self.parameters, known, strict=True)) if fields else None

    def verdict(self) -> Optimality:
        given = PrecisePoint({s: _precise(a) for s, a in self.place.items()})
        if all(_exact(a) is not None for a in self.place.values()) and self.road.is_rest(given):
            return self._of_rest(given, 0.0)
        found = self._beside()
        if found is None:
            return self._no_rest(given)
        self.exact = None
        x, y = given.floats(self.parameters), found.floats(self.parameters)
        return self._of_rest(found, float(np.linalg.norm(x - y) / (1 + np.linalg.norm(x))))

    def _beside(self) -> PrecisePoint | None:
        """The fixed point beside the given one, by Newton's method along Γ."""
        begin = np.array([[float(a) for a in self.place.values()]])
        here, limit = self.road.manifold.settle(begin), REACH * (1 + np.abs(begin).max())
        for _ in range(STEPS):
            if not here.valid[0] or np.abs(here.points - begin).max() > limit:
                return None
            pull, slope = self.road.numbers(here)
            step = -np.einsum("sij,sj->si", np.linalg.pinv(slope, rcond=1e-6), pull)
            if np.abs(step).max() < 1e-10 * (1 + np.abs(begin).max()):
                break
            here = self.road.manifold.settle(here.points + np.einsum("sdi,si->sd", here.tangent, step))
        try:
            found = self.road.sharpened_within(here.points[0], self.effort)
            return found if found is not None and self.road.is_rest(found) else None
        except (SymbolicSGDError, ZeroDivisionError, OverflowError):
            return None

    def _no_rest(self, given: PrecisePoint) -> Optimality:
        if self.road.standing(given) is Standing.SINGULAR:
            raise SingularPoint("∇²L has another rank at this point than on Γ: the limit is not defined there")
        speed = self.road.speed(given)
        words = f"the drift there is {speed:.3g} in size, and no fixed point was found within {REACH:g} (1 + ‖x‖) of it"
        shown = {s: sp.sympify(a) for s, a in self.place.items()}
        return Optimality(NO_REST, words, shown, 0.0, self._height(given))

    def _height(self, point: PrecisePoint) -> Expression:
        if self.exact is not None:
            return exact_value(self.descent.potential, self.exact)
        return thirty_digits(point.high([self.descent.height]))[0]

    # --- of a fixed point -------------------------------------------------------------------

    def _of_rest(self, point: PrecisePoint, distance: float) -> Optimality:
        slope = self.road.slope(point, self.road.tangent(point))
        values = eigenvalues(slope, symmetric=True)
        orbit = 0 if all(values) else self.road.rotations.orbit(point, self.parameters)
        local = stability(values, orbit)
        multipliers, height = self.road.multipliers_at(point), self._height(point)
        problem = QuadraticProblem.of(self.descent)
        bound, exact = (None, None) if problem is None else self._bound(problem, multipliers)
        if bound is None and is_geometric(self.descent):
            bound = Bound(
                height,
                "in the logarithms of ‖x‖, R is convex and Γ is linear, so that every fixed point is a global minimum",
            )
        gap = None if bound is None else self._gap(point, bound, height)
        verdict, reason = _words(local, gap, bound, problem is not None, meant(self.descent.derivation))
        beside = f"; it is at a distance of {distance:.3g} (1 + ‖x‖) from the point given" if distance > 1e-12 else ""
        return Optimality(
            verdict,
            f"{reason}{beside}",
            self.exact
            or dict(zip(self.parameters, thirty_digits([point.assignment[s] for s in self.parameters]), strict=True)),
            distance,
            height,
            gap,
            exact or thirty_digits(multipliers),
            None if problem is None else problem.dual_norm(multipliers),
            self._shown(values),
        )

    def _shown(self, values: Sequence[Any]) -> tuple[Expression, ...]:
        exact = None if self.exact is None else exact_eigenvalues(self.descent, self.exact, values)
        return exact or as_numbers(values)

    def _bound(
        self, problem: QuadraticProblem, multipliers: Sequence[Any]
    ) -> tuple[Bound | None, tuple[Expression, ...] | None]:
        exact = None if self.exact is None else _exact_multipliers(self.descent, self.exact)
        bound = None if exact is None else exact_bound(problem, exact)
        return (bound or rounded_bound(problem, multipliers)), exact

    def _gap(self, point: PrecisePoint, bound: Bound, height: Expression) -> Expression:
        """R(x*) − bound, rounded upwards where it is no exact number."""
        if self.exact is not None and sp.simplify(height - bound.value) == 0:
            return sp.S.Zero
        if bound.value is height:
            return sp.S.Zero
        with mp.workdps(HIGH):
            (value,) = point.high([self.descent.height])
            gap = value - mp.mpf(str(sp.N(bound.value, HIGH)))
            return sp.Float(mp.nstr(max(gap, 0) * mp.mpf("1.01") + mp.mpf(10) ** -50 * (1 + abs(value)), 6), 6)


def _words(local: str, gap: Expression | None, bound: Bound | None, quadratic: bool, where: str) -> tuple[str, str]:
    if gap is not None and bound is not None:
        size = f"it is the least value of R on {where}" if gap == 0 else f"R − min R ≤ {short(gap)} on {where}"
        return GLOBAL, f"{size}: {bound.words}"
    none = (
        "the multipliers give no lower bound of R: R − λᵀf is not bounded below"
        if quadratic
        else "no certificate is known for such R and f: they are not quadratic, and no geometric program"
    )
    if local == "stable":
        return LOCAL, f"all nearby points of Γ have a larger R, or lie on its orbit; {none}"
    if local == "undecided":
        return OPEN, f"there are more zero modes than the orbit of symmetries explains; {none}"
    return (
        UNSTABLE,
        f"a {local} point: R decreases along Γ in some direction"
        if local == "saddle"
        else "R decreases along Γ in every direction",
    )


def _exact_multipliers(descent: Descent, place: Mapping[sp.Symbol, Expression]) -> tuple[Expression, ...] | None:
    """λ = Jz with JᵀJz = ∇R, in the field of the point; None where it has none of algebraic numbers."""
    x = descent.parameters
    domain, _ = sp.construct_domain(list(place.values()), field=True, extension=True)
    if not (domain.is_QQ or domain.is_Algebraic):
        return None
    number = lambda e: domain.from_sympy(sp.expand(e.xreplace(dict(place))))  # noqa: E731
    slopes = DomainMatrix(
        [[number(sp.diff(f, s)) for s in x] for f in descent.equations], (len(descent.equations), len(x)), domain
    )
    gradient = DomainMatrix([[number(sp.diff(descent.potential, s))] for s in x], (len(x), 1), domain)
    reduced, pivots = (slopes.transpose() * slopes).hstack(gradient).rref()
    if len(x) in pivots:
        return None
    inner, rows = [domain.zero] * len(x), reduced.to_list()
    for row, pivot in zip(rows, pivots, strict=False):
        inner[pivot] = row[-1]
    found = slopes * DomainMatrix([[a] for a in inner], (len(x), 1), domain)
    return tuple(sp.radsimp(domain.to_sympy(a)) for a in found.to_list_flat())


def _precise(value: Any) -> Any:
    with mp.workdps(POINT + 10):
        exact = _exact(value)
        return (
            mp.mpf(float(value))
            if exact is None and not isinstance(value, sp.Expr)
            else mp.mpf(str(sp.N(value, POINT + 10)))
        )
