"""Where scalings of the parameters do not move F: R̂ by the inequality of arithmetic and geometric means.

On an orbit x_p e^{⟨w_p, t⟩} a sum of homogeneous terms T_j ≥ 0 is Σ_j T_j(x) e^{⟨e_j, t⟩}, convex in t. For δ > 0 with
Σ δ_j e_j = 0 and Σ δ_j = 1, Σ_j T_j ≥ Π_j (T_j/δ_j)^{δ_j}, which does not depend on t. Terms that stand in no such δ are driven to 0
by a direction in which no other term grows (Stiemke's alternative), and the infimum is that of the others, not attained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import linprog

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.function_space.closed_form import Attainment, ClosedForm, NotAttainedHere
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.matrix_norms import number_at
from symbolic_sgd.function_space.scaling import NotHomogeneous, homogeneous_parts, never_negative, scalings
from symbolic_sgd.function_space.section import Section, section_of

LARGEST = 400
"""Terms that are looked at."""

SMALL = 1e-6
"""Slopes of an answer of linear programming that are 0."""


@dataclass(frozen=True)
class Orbit:
    """R along the orbits of a torus.

    Args:
        fibres: what is minimised.
        torus: rows w: the scalings that leave F alone.
        exponents: e_j, distinct.
        terms: T_j(x), the sum of all terms of these weights.
    """

    fibres: Fibres
    torus: sp.ImmutableDenseMatrix
    exponents: tuple[tuple[Any, ...], ...]
    terms: tuple[Any, ...]

    @staticmethod
    def of(fibres: Fibres) -> "Orbit | None":
        """None where no scaling leaves F alone, or where the terms are not homogeneous, or not seen to be nowhere negative."""
        if not all(never_negative(term, fibres.parameters) for term in fibres.terms):
            return None
        torus = scalings(fibres.predictor, fibres.parameters)
        if torus.rows == 0:
            return None
        gathered: dict[tuple[Any, ...], Any] = {}
        try:
            for term in fibres.terms:
                for weights, part in homogeneous_parts(term, fibres.parameters, torus):
                    gathered[weights] = gathered.get(weights, sp.S.Zero) + part
        except NotHomogeneous:
            return None
        gathered = {w: t for w, t in gathered.items() if t != 0}
        if not gathered or len(gathered) > LARGEST:
            return None
        return Orbit(fibres, torus, tuple(gathered), tuple(gathered.values()))

    def column(self, i: int) -> list[Any]:
        """How each row of the torus scales x_i."""
        return [self.torus[k, i] for k in range(self.torus.rows)]

    @cached_property
    def supported(self) -> tuple[int, ...]:
        """The terms that stand in some δ ≥ 0 with Σ δ_j e_j = 0: found by linear programming, and exact."""
        matrix = np.array(self.exponents, dtype=float).T
        n = len(self.terms)
        # As many δ_j as can be made positive at once: maximise Σ s_j with s ≤ δ, s ≤ 1.
        above = np.hstack([-np.eye(n), np.eye(n)])
        found = linprog(
            np.r_[np.zeros(n), -np.ones(n)],
            A_ub=above,
            b_ub=np.zeros(n),
            A_eq=np.hstack([matrix, np.zeros_like(matrix)]),
            b_eq=np.zeros(len(matrix)),
            bounds=[(0, None)] * n + [(0, 1)] * n,
        )
        return tuple(int(j) for j in np.flatnonzero(found.x[n:] > 0.5)) if found.success else ()

    @cached_property
    def circuits(self) -> tuple[dict[int, Any], ...] | None:
        """δ, apart: the supported terms in groups whose weights are a simplex with 0 inside, in independent directions; else None."""
        if not self.supported:
            return ()
        columns = sp.Matrix([[self.exponents[j][i] for j in self.supported] for i in range(self.torus.rows)])
        reduced = columns.nullspace()
        found = []
        for vector in sp.Matrix.hstack(*reduced).T.rref()[0].tolist() if reduced else []:
            group = {self.supported[i]: e for i, e in enumerate(vector) if e != 0}
            if any(e < 0 for e in group.values()):
                return None
            total = sp.Add(*group.values())
            found.append({j: e / total for j, e in group.items()})
        covered = [j for group in found for j in group]
        return tuple(found) if sorted(covered) == sorted(self.supported) else None

    @cached_property
    def escape(self) -> tuple[Any, ...] | None:
        """t with ⟨e_j, t⟩ = 0 for the supported terms and < 0 for the others, exact; () where there are no others."""
        others = [j for j in range(len(self.terms)) if j not in self.supported]
        if not others:
            return ()
        held = sp.Matrix([list(self.exponents[j]) for j in self.supported] or [[0] * self.torus.rows])
        free = sp.Matrix.hstack(*held.nullspace()) if held.nullspace() else None
        if free is None:
            return None
        falling = np.array((sp.Matrix([list(self.exponents[j]) for j in others]) * free).tolist(), dtype=float)
        n = free.cols
        moves = np.array((self.torus.T * free).tolist(), dtype=float)
        unit: dict[str, Any] = {"c": np.ones(2 * n), "bounds": [(0, None)] * (2 * n)}  # the least change: Σ|t|
        down = np.hstack([falling, -falling])
        # First one in which no parameter grows: it ends at a point.
        answer = linprog(
            A_ub=np.vstack([down, np.hstack([moves, -moves])]),
            b_ub=np.r_[-np.ones(len(others)), np.zeros(len(moves))],
            **unit,
        )
        if not answer.success:
            answer = linprog(A_ub=down, b_ub=-np.ones(len(others)), **unit)
        if not answer.success:
            return None
        chosen = [sp.Rational(Fraction(float(a)).limit_denominator(1000)) for a in answer.x[:n] - answer.x[n:]]
        direction = tuple(free * sp.Matrix(chosen))
        slopes = [sum(a * b for a, b in zip(self.exponents[j], direction, strict=True)) for j in others]
        return direction if all(slope < 0 for slope in slopes) else None


def by_scaling(fibres: Fibres) -> ClosedForm | None:
    """R̂ as Σ Π_j (T_j/δ_j)^{δ_j} over groups of terms."""
    orbit = Orbit.of(fibres)
    if orbit is None or orbit.circuits is None or orbit.escape is None:
        return None
    means = [sp.Mul(*[(orbit.terms[j] / d) ** d for j, d in group.items()]) for group in orbit.circuits]
    section = section_of(orbit.fibres, orbit.torus)
    expression, condition = None, ()
    total = sp.Add(*means)
    if section is not None:
        inserted = section.inserted(total)
        if inserted is not None:
            expression, condition = inserted, section.condition
    invariant = _tidy(total)
    bound = (
        "along the scalings that leave F alone R is a sum of homogeneous terms that are nowhere negative, bounded below by their weighted "
        f"means with the weights {_written(orbit.circuits)}, which are the same all along an orbit",
        *(
            ()
            if section is None
            else (
                f"almost every fibre that is not empty is one orbit up to signs{section.generic}: scalings bring it to {section.words}",
            )
        ),
    )
    direction = (
        {
            p: sum(t * w for t, w in zip(orbit.escape, orbit.column(i), strict=True))
            for i, p in enumerate(fibres.parameters)
        }
        if orbit.escape
        else None
    )
    falls = total == 0 and fibres.logarithm is not None
    invariant = -sp.oo if falls else fibres.outside(invariant)
    expression = expression if expression is None else -sp.oo if falls else fibres.outside(expression)
    if direction is not None:
        moved = {p: d for p, d in direction.items() if d != 0}
        vanishing = ", ".join(str(p) for p in moved)
        ends = all(e.is_polynomial(*fibres.parameters) for e in (*fibres.predictor, *fibres.terms))
        if ends and all(d < 0 for d in moved.values()) and not falls:
            kept = moved.keys() & fibres.signs.keys()
            kind, words = (
                ("boundary", f"not attained: R is least on the boundary of the domain, as {vanishing} → 0")
                if kept
                else ("attained", f"attained where {vanishing} = 0 and {_balance(orbit)}")
            )
            attain = None if section is None or expression is None else Balanced(orbit, section, tuple(moved))
            return ClosedForm(expression, "scalings", bound, attain, Attainment(kind, words), condition, invariant)
        growing = ", ".join(f"{p} → {p}·e^({d * sp.Symbol('s')})" for p, d in moved.items())
        attainment = Attainment(
            "infinity",
            f"not attained, at infinity: {'R falls without bound' if falls else 'R comes as near as one likes'} along {growing} as s → ∞",
            moved,
        )
        return ClosedForm(expression, "scalings", bound, None, attainment, condition, invariant)
    attainment = Attainment("attained", f"attained where {_balance(orbit)}")
    attain = None if section is None or expression is None else Balanced(orbit, section)
    return ClosedForm(expression, "scalings", bound, attain, attainment, condition, invariant)


def _written(circuits: tuple[dict[int, Any], ...]) -> str:
    return ", ".join("(" + ", ".join(map(str, group.values())) + ")" for group in circuits) or "()"


def _balance(orbit: Orbit) -> str:
    """T_j/δ_j all equal, in each group."""
    assert orbit.circuits is not None
    groups = [
        _in_lowest_terms([_tidy(orbit.terms[j] / d) for j, d in group.items()])
        for group in orbit.circuits
        if len(group) > 1
    ]
    written = [sorted(map(str, group), key=lambda e: (len(e), e)) for group in groups]
    return "; ".join(map(" = ".join, written)) or "F(x) = β, everywhere on the fibre"


def _in_lowest_terms(equal: list[Any]) -> list[Any]:
    """The same equations without a common factor."""
    factors = [sp.factor_terms(e).as_coeff_Mul() for e in equal]
    if not all(c.is_Rational for c, _ in factors):
        return equal
    common = sp.gcd_list([c for c, _ in factors])
    return [c / common * rest for c, rest in factors]


def _tidy(expression: Any) -> Any:
    return sp.factor_terms(expression)


@dataclass(frozen=True)
class Balanced:
    """The point of an orbit where all T_j/δ_j of a group are equal."""

    orbit: Orbit
    section: Section
    vanishing: tuple[sp.Symbol, ...] = ()

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        start = self.section.point(beta)
        parameters = self.orbit.fibres.parameters
        values = {j: number_at(self.orbit.terms[j], start) for j in self.orbit.supported}
        groups = self.orbit.circuits or ()
        fading = [j for group in groups if any(values[j] == 0 for j in group) for j in group if values[j] != 0]
        faded = self._faded(start, [j for j in values if values[j] != 0 and j not in fading], fading) if fading else []
        rows, right = [], []
        for group in groups:
            if any(values[j] == 0 for j in group):
                continue
            mean = mp.mpf(1)
            for j, d in group.items():
                mean *= (values[j] / number_at(d)) ** number_at(d)
            for j, d in group.items():
                rows.append([number_at(e) for e in self.orbit.exponents[j]])
                right.append(mp.log(number_at(d) * mean / values[j]))
        t = least_squares(rows, right) if rows else [mp.mpf(0)] * self.orbit.torus.rows
        moved = {}
        for i, p in enumerate(parameters):
            moved[p] = start[p] * mp.exp(sum(number_at(w) * a for w, a in zip(self.orbit.column(i), t, strict=True)))
        return moved | dict.fromkeys((*self.vanishing, *faded), mp.mpf(0))

    def _faded(self, start: Mapping[sp.Symbol, Any], kept: list[int], fading: list[int]) -> list[sp.Symbol]:
        """The parameters that are 0 at the end of a scaling that drives some terms to 0, holds others, and lets no parameter grow.

        Where a term of a group vanishes on a fibre, the infimum of the group is 0, and is attained where such a scaling ends.

        Raises:
            NotAttainedHere: there is none.
        """
        columns = {p: [float(w) for w in self.orbit.column(i)] for i, p in enumerate(self.orbit.fibres.parameters)}
        there = [p for p in columns if start[p] != 0]
        exponents = [[float(e) for e in row] for row in self.orbit.exponents]
        n = self.orbit.torus.rows
        answer = linprog(
            np.r_[np.zeros(n), np.ones(n)],  # the least change: Σ|t|
            A_ub=np.block(
                [
                    [np.array([exponents[j] for j in fading]), np.zeros((len(fading), n))],
                    [np.array([columns[p] for p in there]), np.zeros((len(there), n))],
                    [np.eye(n), -np.eye(n)],
                    [-np.eye(n), -np.eye(n)],
                ]
            ),
            b_ub=np.r_[-np.ones(len(fading)), np.zeros(len(there) + 2 * n)],
            A_eq=np.hstack([np.array([exponents[j] for j in kept]), np.zeros((len(kept), n))]) if kept else None,
            b_eq=np.zeros(len(kept)) if kept else None,
            bounds=(None, None),
        )
        if not answer.success:
            raise NotAttainedHere
        return [p for p in there if float(np.dot(columns[p], answer.x[:n])) < -SMALL]


def least_squares(rows: list[list[Any]], right: list[Any]) -> list[Any]:
    """A solution of a consistent linear system of any rank, by its pseudo-inverse."""
    n = len(rows[0])
    matrix = mp.matrix(rows)
    u, s, v = mp.svd_r(matrix if matrix.rows >= n else matrix.T)
    if matrix.rows < n:
        u, v = v.T, u.T
    tiny = max(s) * mp.mpf(10) ** (-mp.dps // 2)
    moved = [
        sum(u[i, k] * right[i] for i in range(matrix.rows)) / s[k] if s[k] > tiny else mp.mpf(0) for k in range(len(s))
    ]
    return [sum(v[k, j] * moved[k] for k in range(len(s))) for j in range(n)]
