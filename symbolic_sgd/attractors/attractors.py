"""All fixed points of a limit without noise, in the ambient space: exactly by elimination where that ends, else by search."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd import attractors
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.attractors.exact_points import Elimination, drift_zeros, lagrange_points
from symbolic_sgd.attractors.lagrange_road import LagrangeRoad
from symbolic_sgd.attractors.linearised import as_numbers, eigenvalues, exact_eigenvalues, stability
from symbolic_sgd.attractors.rotations import Rotations
from symbolic_sgd.attractors.standing import Ground, Standing, meant
from symbolic_sgd.charts.chart import vanish
from symbolic_sgd.charts.fixed_points import without_dust
from symbolic_sgd.charts.rest_points import DriftRoad, RestSearch, search_rests, why_not_by_slopes
from symbolic_sgd.charts.zeros_in_chart import thirty_digits
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BadInput, NotDeterministic, Undecided
from symbolic_sgd.manifold.precise import POINT, PrecisePoint
from symbolic_sgd.rational.polynomial_systems import in_small_field
from symbolic_sgd.theorem.derivation import Derivation

STARTS = 48
"""Points of Γ from which fixed points are sought."""

MEMBERS = 16
"""Fixed points with zero modes that are kept, no two of them on one orbit of symmetries."""

SAME = 1e-9
"""Points closer than this, relative to 1 + |x|, are one."""

RADICALS = 64
"""Product of the indices of a point's radicals up to which R there is written in them."""

PLACES = 2
"""Places without a confirmed fixed point that are named."""

SHOWN = 6
"""Digits of numbers in words."""

FOR_ELIMINATION = 0.4
"""Part of the time that is left that elimination may take."""


@dataclass(frozen=True)
class Attractor:
    """A fixed point of a limit without noise.

    Args:
        point: x*, parameter → value: exact, or to 30 digits.
        regularizer: R there, exact where the point is in few radicals, else to 30 digits; None where no R is known.
        eigenvalues: of the drift linearised along Γ, −P(∇²R − Σ λ_i ∇²f_i)P on the tangent space where b = −P∇R.
        stability: "stable", "saddle" (some eigenvalues have positive real parts, some negative), "unstable" (none negative), or
            "undecided" (none positive, and more zeros than `orbit`).
        exact: whether the point is exact.
        orbit: the dimension of the orbit of continuous orthogonal symmetries that it is on: all of it is fixed, and as many
            eigenvalues are zero.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> point = sde.attractors()[0]
    >>> point.regularizer, point.stability, point.exact
    (1/2, 'stable', True)
    """

    point: Mapping[sp.Symbol, Expression]
    regularizer: Expression | None
    eigenvalues: tuple[Expression, ...]
    stability: str
    exact: bool
    orbit: int = 0

    @property
    def zero_modes(self) -> int:
        """How many eigenvalues are zero."""
        return sum(bool(v == 0) for v in self.eigenvalues)

    def __str__(self) -> str:
        shown = ", ".join(f"{s} = {short(a)}" for s, a in self.point.items())
        height = "" if self.regularizer is None else f", R = {short(self.regularizer)}"
        listed = ", ".join(short(v) for v in self.eigenvalues)
        orbit = f", one of an orbit of dimension {self.orbit}" if self.orbit else ""
        return f"{shown}: {self.stability}{height}, eigenvalues {listed}{orbit}"

    def __repr__(self) -> str:
        return f"Attractor({self})"

    def _repr_html_(self) -> str:
        return attractors.tables.point_html(self)


@dataclass(frozen=True)
class Attractors:
    """The fixed points that were found, in a tuple's manner, and what is known beyond them.

    Args:
        points: sorted by R and by their coordinates; of an orbit of symmetries, one.
        complete: whether it was proved that there are no others at regular points of Γ (of the part of it that is meant).
        reason: in words, why these are all, or how they were sought.
        singular: points and, as equations, sets, at which all equations hold, and ∇²L has another rank than on Γ: the limit
            is not defined there, and may come near.
        continua: equations of sets of complex dimension at least 1 on which there may be further fixed points.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> found = sde.attractors()
    >>> len(found), found.complete, found[0].point
    (2, True, {u: -1, v: -1})
    """

    points: tuple[Attractor, ...]
    complete: bool
    reason: str
    singular: tuple[Any, ...] = ()
    continua: tuple[tuple[Expression, ...], ...] = ()

    def __iter__(self) -> Iterator[Attractor]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, i: int) -> Attractor:
        return self.points[i]

    @property
    def stable(self) -> tuple[Attractor, ...]:
        """Those that attract."""
        return tuple(p for p in self.points if p.stability == "stable")

    def __str__(self) -> str:
        return "\n".join([*map(str, self.points or ["no fixed point"]), f"{self.reason}."])

    def __repr__(self) -> str:
        known = "complete" if self.complete else "there may be others"
        return f"Attractors({len(self)} fixed points, {len(self.stable)} of them stable; {known})"

    def _repr_html_(self) -> str:
        return attractors.tables.points_html(self)


def short(value: Expression) -> str:
    """As it is where that is short and exact, else to six digits."""
    brief = value.is_Rational or (operations(value) <= 2 * SHOWN and not value.has(sp.CRootOf, sp.Float))
    return str(value) if brief else str(sp.N(value, SHOWN))


def find_attractors(
    derivation: Derivation,
    descent: LagrangeRoad | str,
    effort: Effort,
    *,
    starts: int = STARTS,
    rng: np.random.Generator | None = None,
) -> Attractors:
    """The fixed points of a limit without noise, on all of Γ.

    Args:
        derivation: of the SDE, which passes `check_moving`.
        descent: R and f, or in words why there are none.
        effort: how long it may take.
        starts: points of Γ from which they are sought where elimination does not end.
        rng: where these lie.

    Raises:
        BadInput: the problem is too large.
    """
    return _Finding(derivation, descent, effort, starts, rng).found()


def check_noiseless(derivation: Derivation) -> None:
    """Refuse limits with noise, and constants."""
    if derivation.problem.constants:
        named = ", ".join(map(str, derivation.problem.constants))
        raise BadInput(
            f"the problem has symbolic constants ({named}), and where the fixed points are may depend on them: state it with "
            "numbers for them"
        )
    if "tangent_noise" not in derivation.zeros:
        if derivation.in_matrices is None and _vanishes(derivation, "tangent_noise"):
            raise Undecided(
                "the noise along Γ is zero where it was looked at, but that it is so on all of Γ was not proved"
            )
        raise NotDeterministic(
            "the limit is not deterministic: the noise has a part along Γ (tangent_noise is not zero), so that there are no "
            "fixed points; sde.in_chart(…).stationary_density is what such a limit may settle in"
        )


def check_moving(derivation: Derivation) -> None:
    """Refuse limits with noise or constants, and those that do not move."""
    check_noiseless(derivation)
    if "drift" in derivation.zeros:
        raise Undecided("the drift vanishes on Γ: every point is fixed, and nothing moves on this time scale")


def _vanishes(derivation: Derivation, name: str) -> bool:
    graph = Graph()
    return vanish(derivation.program.select(name).on(graph)[name].entries, derivation.points)


def _drift_road(derivation: Derivation, unknown: str) -> DriftRoad:
    """The drift itself, where it descends no known function."""
    if derivation.in_matrices is not None:
        raise BadInput(
            f"the fixed points of so large a problem are not sought: {unknown}. State it for fewer parameters, or follow the limit with "
            "simulate_sde, and examine its end with sde.lambdify().drift"
        )
    words = why_not_by_slopes(derivation)
    if words:
        raise BadInput(f"the fixed points are not sought: {unknown}, and {words}")
    return DriftRoad(derivation)


class _Finding:
    def __init__(
        self,
        derivation: Derivation,
        descent: LagrangeRoad | str,
        effort: Effort,
        starts: int,
        rng: np.random.Generator | None,
    ):
        self.derivation, self.effort, self.starts, self.rng = derivation, effort, starts, rng
        self.road = _drift_road(derivation, descent) if isinstance(descent, str) else descent
        self.descent = None if isinstance(descent, str) else descent.descent
        self.parameters, self.ground = derivation.problem.parameters, Ground(derivation)

    @property
    def rotations(self) -> Rotations:
        return self.road.rotations if isinstance(self.road, LagrangeRoad) else Rotations(())

    def found(self) -> Attractors:
        self.effort.begin("fixed points by elimination")
        eliminated = self._eliminated()
        points, singular, decided = self._examined(eliminated)
        complete = decided and not eliminated.words and not eliminated.continua
        search = None
        if not complete:
            self.effort.begin("fixed points by Newton's method along Γ")
            search = search_rests(self.road, self.effort, starts=self.starts, rng=self.rng, members=MEMBERS)
            points = self._with_rests(points, search)
        return Attractors(
            tuple(sorted(points, key=_rank)),
            complete,
            self._reason(points, complete, eliminated, search, singular),
            (*singular, *eliminated.singular),
            eliminated.continua,
        )

    # --- exactly ----------------------------------------------------------------------------

    def _eliminated(self) -> Elimination:
        part = Effort((self.effort.seconds - self.effort.spent) * FOR_ELIMINATION)
        if self.descent is None:
            return drift_zeros(self.derivation, part)
        return lagrange_points(self.descent, part, self._slice())

    def _slice(self) -> Expression | None:
        """⟨l, x⟩ = 0 with l in the range of a generator X: its mean over the closure of {e^{tX}} is 0, so that every orbit meets it."""
        if not self.rotations.generators:
            return None
        column = next(column for column in self.rotations.generators[0].T if column.any())
        return sum(sp.nsimplify(a) * x for a, x in zip(column.tolist(), self.parameters, strict=True))

    def _examined(self, eliminated: Elimination) -> tuple[list[Attractor], list[Mapping[sp.Symbol, Expression]], bool]:
        """Candidates that are fixed points, those where ∇²L has another rank, and whether all were decided."""
        points, singular, decided = list[Attractor](), list[Mapping[sp.Symbol, Expression]](), True
        for place in eliminated.points:
            self.effort.check()
            point = PrecisePoint({s: _number(a) for s, a in place.items()})
            standing = self.ground.standing(point)
            decided = decided and standing is not Standing.UNDECIDED
            if standing is Standing.SINGULAR:
                singular.append(place)
            if standing is Standing.REGULAR and self.road.is_rest(point) and not self._on_an_orbit(point, points):
                points.append(self._exact(point, place))
        return points, singular, decided

    def _exact(self, point: PrecisePoint, place: Mapping[sp.Symbol, Expression]) -> Attractor:
        slope = self.road.slope(point, self.road.tangent(point))
        numeric = self._attractor(point, slope)
        values, height = numeric.eigenvalues, numeric.regularizer
        if self.descent is not None:
            values = exact_eigenvalues(self.descent, place, self._values(slope)) or values
            if in_small_field(place.values(), RADICALS):
                height = exact_value(self.descent.potential, place)
        return replace(numeric, point=dict(place), regularizer=height, exact=True, eigenvalues=values)

    # --- both -------------------------------------------------------------------------------

    def _values(self, slope: Any) -> list[Any]:
        return eigenvalues(slope, symmetric=self.descent is not None)

    def _attractor(self, point: PrecisePoint, slope: Any) -> Attractor:
        values = self._values(slope)
        orbit = self.rotations.orbit(point, self.parameters)
        height = None
        if self.descent is not None:
            (height,) = thirty_digits(point.high([self.descent.height]))
        return Attractor(
            dict(zip(self.parameters, thirty_digits([point.assignment[s] for s in self.parameters]), strict=True)),
            height,
            as_numbers(values),
            stability(values, orbit),
            exact=False,
            orbit=orbit,
        )

    def _on_an_orbit(self, point: PrecisePoint, points: Sequence[Attractor]) -> bool:
        """Whether a point is on the orbit of one of these, as far as was found."""
        x = point.floats(self.parameters)
        return any(self._joined(x, _floats(p)) for p in points)

    def _known(self, point: PrecisePoint, points: Sequence[Attractor]) -> bool:
        """Whether it is one of these, or on the orbit of one."""
        x = point.floats(self.parameters)
        close = SAME * (1 + np.abs(x).max())
        return any(np.abs(x - _floats(p)).max() <= close for p in points) or self._on_an_orbit(point, points)

    def _joined(self, x: np.ndarray, y: np.ndarray) -> bool:
        """Whether they are on one orbit of symmetries, as far as was found."""
        if not self.rotations.generators or not isinstance(self.road, LagrangeRoad):
            return False
        low, high = self.road.potential(np.array([x, y]))
        return abs(low - high) <= SAME * (1 + abs(low)) and self.rotations.joins(x, y)

    # --- by search --------------------------------------------------------------------------

    def _with_rests(self, points: list[Attractor], search: RestSearch) -> list[Attractor]:
        for rest in search.rests:
            if not self._known(rest.point, points):
                points = [*points, self._attractor(rest.point, rest.slope)]
        return points

    # --- in words ---------------------------------------------------------------------------

    def _reason(
        self,
        points: Sequence[Attractor],
        complete: bool,
        eliminated: Elimination,
        search: RestSearch | None,
        singular: Sequence[Mapping[sp.Symbol, Expression]],
    ) -> str:
        equations = "∇R = Jᵀλ was" if self.descent is not None else "b = 0 was"
        if complete:
            all_ = "these are all fixed points" if points else "there is no fixed point"
            sentences = [
                f"{equations} solved exactly on {meant(self.derivation)}: {all_} where ∇²L has rank {self.derivation.codimension}"
            ]
            if eliminated.sliced is not None:
                sentences.append("of each orbit of symmetries one is listed")
        else:
            why = eliminated.words or "infinitely many complex solutions are left, see `continua`"
            sentences = [f"{equations} not solved completely ({why})", *self._sought(search)]
        if singular or eliminated.singular:
            shown = [_place(p) for p in singular] + [" = ".join([*map(str, part), "0"]) for part in eliminated.singular]
            sentences.append(f"∇²L has another rank at {' and '.join(shown)}, where the limit is not defined")
        flat = [p for p in points if p.zero_modes > p.orbit]
        if flat:
            sought = (
                "orbits of symmetries explain"
                if self.rotations.sought
                else "none (symmetries of so many parameters were not sought)"
            )
            which = "so that these do not decide its stability" if complete else "as on a curve of fixed points"
            sentences.append(
                f"{len(flat)} of them {'have' if len(flat) > 1 else 'has'} more zero modes than {sought}, {which}"
            )
        return "; ".join(sentences)

    @staticmethod
    def _sought(search: RestSearch | None) -> list[str]:
        if search is None:
            return []
        if search.words:
            return [search.words]
        faded = f" (from {search.gone} of them b faded away towards infinity)" if search.gone else ""
        words = [
            f"Newton's method along Γ looked for fixed points from {search.starts} points of it{faded}, and may have missed some"
        ]
        if search.suspects:
            places = " and ".join(
                f"({', '.join(f'{a:.4g}' for a in without_dust(x))})" for x in search.suspects[:PLACES]
            )
            words.append(f"b becomes ever smaller towards x ≈ {places}, where no fixed point was confirmed")
        return words


def _floats(point: Attractor) -> np.ndarray:
    return np.array([float(sp.N(a)) for a in point.point.values()])


def _number(value: Expression) -> Any:
    with mp.workdps(POINT + 10):
        return mp.mpf(str(sp.N(value, POINT + 10)))


def exact_value(expression: Expression, place: Mapping[sp.Symbol, Expression]) -> Expression:
    """At an exact point in radicals."""
    return sp.expand(sp.radsimp(sp.expand(expression.xreplace(dict(place)))))


def _place(place: Mapping[sp.Symbol, Expression]) -> str:
    return "(" + ", ".join(f"{s} = {short(a)}" for s, a in place.items()) + ")"


def _rank(point: Attractor) -> tuple[float, ...]:
    height = 0.0 if point.regularizer is None else float(sp.N(point.regularizer, 15))
    return (round(height, 9), *(float(sp.N(a, 15)) for a in point.point.values()))
