"""R by linear algebra on an ansatz: ∂Φ∇R = −(mixed + normal regularization) at points of Γ.

Float64 proposes which candidates belong together; their coefficients are computed to 100 digits, recognised as
rationals, and R is verified at fresh points of Γ. A proposal that fails is dropped: rounding can only hide an R.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import mpmath
import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.rational import rational
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.derive.candidates import FAMILIES, Ingredients, constant_factors
from symbolic_sgd.derive.composed import POINTS, composed
from symbolic_sgd.derive.precise import DIGITS, HIGH, PrecisePoint
from symbolic_sgd.derive.regularization_form import RegularizationForm
from symbolic_sgd.derive.scatter import Batch, FloatManifold, evaluated
from symbolic_sgd.errors import ComplexValue, NotSmooth

FITS = 1e-8
"""A proposal leaves at most this part of the regularization."""

DEPENDENT = 1e-7
"""A candidate whose slope along Γ is, up to this part of it, a combination of those before is left out."""

PRESENT = 1e-7
"""A coefficient smaller than this beside the largest, each times the size of its term, is zero."""

LARGEST = 1e60
"""Slopes of candidates that are used in float64 are below this."""

NEAR = 3.0
"""Points of the float64 system are within so much of the nearest ones."""

MOST_TERMS = 24
"""Terms of an R that is still a formula."""

PAIRS = 4
"""Sums of two candidates that are tried."""

VERIFIED_AT = 24  # not fewer than there are bases, so that all components found are seen
"""Fresh points of Γ at which R is tested, beyond as many as R has terms."""

FAR, NEWTON_STEPS, VANISHING, CONDITIONED = 20.0, 40, 1e-7, 1e-4
"""A function vanishes on Γ if Newton's method along Γ, so many steps of it and not further than this, makes it so small
where the nonzero eigenvalues of ∇²L do not differ by more than the last."""

LARGEST_DENOMINATOR = 10**9
"""Coefficients are recognised as rationals up to this denominator: an irrational number is some 10⁻¹⁸ from the nearest
of them, far from the 10⁻⁵⁰ to which coefficients are known."""


@dataclass(frozen=True)
class Potential:
    """R, and at how many points it was verified.

    Args:
        expression: R in the user's symbols.
        points: how many.
    """

    expression: Expression
    points: int


class PotentialSearch:
    """The search for R.

    Args:
        form: the regularization.
        manifold: Γ in float64.
        bases: points of Γ from which to walk.
        rng: draws the walks.
    """

    def __init__(self, form: RegularizationForm, manifold: FloatManifold, bases: Batch, rng: np.random.Generator):
        self.form = form
        self.manifold = manifold
        self.bases = bases
        self.rng = rng
        self.symbols = form.derivation.problem.symbols
        self.given = Ingredients(form.derivation, form)
        self.slopes: dict[Expression, list[Node]] = {}

    def by_integration(self) -> Potential | None:
        """R as a function of one function on Γ."""
        points = self.manifold.sharpened(self.manifold.scatter(self.bases, POINTS, self.rng).points)
        verified = (self.verified(expression) for expression in composed(self.form, self.given, points))
        return next((potential for potential in verified if potential is not None), None)

    def by_ansatz(self) -> Potential | None:
        """R by the first family of candidates (together with those before it) that holds one."""
        candidates: list[Expression] = []
        for family in FAMILIES.values():
            known = len(candidates)
            candidates = list(dict.fromkeys([*candidates, *(e for e in family(self.given) if self._varies(e))]))
            if len(candidates) == known:
                continue
            # Constants stay at the values of one point here: which terms there are does not depend on them.
            first = self._one_draw(self._near())
            for support in islice(self._proposals(candidates, self._points(first, len(candidates), vary=False)), 8):
                found = self._with_constants(support)
                if found is not None:
                    return found
        return None

    def verified(self, expression: Expression) -> Potential | None:
        """R, if ∂Φ∇R = −b at fresh points of Γ, to 50 digits."""
        slope = Matrix.column(self._slope(expression))
        residual = (self.form.projection @ slope + self.form.field).entries
        sizes = [
            _size(self.form.projection.rows[i], slope.entries) + _magnitude(b)
            for i, b in enumerate(self.form.field.entries)
        ]
        count = VERIFIED_AT + min(MOST_TERMS, len(sp.Add.make_args(expression)))
        points = self.manifold.sharpened(self.manifold.scatter(self.bases, count, self.rng).points)
        for point in points:
            try:
                values = point.high([*residual, *sizes])
            except (ComplexValue, NotSmooth):
                return None
            with mpmath.workdps(HIGH):
                tiny = max(values[len(residual) :]) * mpmath.mpf(10) ** -DIGITS
                if not max(map(abs, values[: len(residual)])) <= tiny:
                    return None
        if len(points) < count - 4 or self._meets_singularities(expression):
            return None
        return Potential(expression, len(points))

    def _meets_singularities(self, expression: Expression) -> bool:
        """Whether the argument of a logarithm, or a denominator, was seen to vanish on Γ (R itself is smooth there)."""
        batch = self.manifold.scatter(self.bases, 60, self.rng)
        for argument in _singular_arguments(expression):
            node = from_sympy(argument, self.form.graph)
            slope = gradient(node, self.form.variables)
            program = Program.of({"value": Matrix.column([node]), "slope": Matrix.column(slope)})
            if self._descends_to_zero(program, batch):
                return True
        return False

    def _descends_to_zero(self, program: Program, batch: Batch) -> bool:
        """Newton's method for f = 0 along Γ, from every point of a batch."""
        d, limit = self.manifold.problem.dimension, FAR * (1 + np.abs(batch.points).max())
        typical = np.median(np.abs(evaluated(program, self.symbols, batch.points)["value"]))
        for _ in range(NEWTON_STEPS):
            seen = evaluated(program, self.symbols, batch.points)
            along = np.einsum("sd,sdk->sk", seen["slope"], batch.tangent)
            size = np.sum(along**2, axis=1)[:, None] + 1e-300
            step = -np.einsum("sdk,sk->sd", batch.tangent, along * seen["value"] / size)
            longest = 0.3 * (1 + np.abs(batch.points[:, :d]).max(axis=1))[:, None]
            step *= np.minimum(1, longest / (np.linalg.norm(step, axis=1)[:, None] + 1e-300))
            moved = batch.points.copy()
            moved[:, :d] += step
            batch = self.manifold.settle(moved)
            stiffness = self.manifold.frame(batch.points)[1]
            # Where the rank drops Γ ends, and |∇²L|₊ goes to zero on the way.
            inside = stiffness[:, 0] > CONDITIONED * stiffness[:, -1]
            batch = batch.take(batch.valid & inside & (np.abs(batch.points).max(axis=1) < limit))
            if not len(batch.points):
                return False
            if np.any(np.abs(evaluated(program, self.symbols, batch.points)["value"]) < VANISHING * typical):
                return True
        return False

    # --- the linear system ------------------------------------------------------------------

    def _one_draw(self, bases: Batch) -> Batch:
        constants = bases.points[:, self.manifold.problem.dimension :]
        return bases.take(np.all(constants == constants[0], axis=1))

    def _near(self) -> Batch:
        """The bases closest to the origin: float64 does not see small terms of R beside large ones far away."""
        size = np.abs(self.bases.points[:, : self.manifold.problem.dimension]).max(axis=1)
        return self.bases.take(size <= NEAR * (1 + size.min()))

    def _points(self, bases: Batch, unknowns: int, *, vary: bool) -> Batch:
        count = 2 * unknowns // self.manifold.dimension + 30
        return self.manifold.scatter(bases, count, self.rng, far=NEAR, vary_constants=vary)

    def _varies(self, expression: Expression) -> bool:
        """Whether a candidate depends on the parameters."""
        return bool(expression.free_symbols & set(self.form.derivation.problem.parameters))

    def _slope(self, expression: Expression) -> list[Node]:
        if expression not in self.slopes:
            self.slopes[expression] = gradient(from_sympy(expression, self.form.graph), self.form.variables)
        return self.slopes[expression]

    def _system(self, terms: Sequence[Expression], batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A, b and which candidates A's columns are: Ac = b along Γ, with rows and columns of comparable size.

        Candidates that are not finite at a point, or huge, or constant on Γ, are left out.
        """
        entries = [node for term in terms for node in self._slope(term)]
        program = Program.of({"slopes": Matrix.column(entries)})
        slopes = evaluated(program, self.symbols, batch.points)["slopes"].reshape(len(batch.points), len(terms), -1)
        field = self.form.floats(batch.points)
        real = np.isfinite(field).all(axis=1)
        slopes, field, tangent = slopes[real], field[real], batch.tangent[real]
        finite: np.ndarray = np.all(np.abs(slopes) < LARGEST, axis=(0, 2))
        along = np.einsum("snd,sdk->skn", np.where(finite[:, None], slopes, 0), tangent)
        # A candidate that is constant on Γ leaves only its rounding.
        moving = np.abs(along).max(axis=1) > FITS * np.where(finite, np.abs(slopes).max(axis=2), 0)
        kept = np.flatnonzero(finite & moving.any(axis=0))
        along, right = along[:, :, kept], -np.einsum("sd,sdk->sk", field, tangent)
        along, right = _balanced(along, right)
        return along.reshape(-1, len(kept)), right.reshape(-1), kept

    def _proposals(self, terms: Sequence[Expression], batch: Batch) -> Iterator[list[Expression]]:
        """Sets of terms whose combination has the slope −b in float64: single ones, pairs, then those that come first."""
        matrix, right, kept = self._system(terms, batch)
        if not len(kept) or not np.linalg.norm(right):
            return
        for support in proposals(matrix, right):
            yield [terms[kept[k]] for k in support]

    def _with_constants(self, support: list[Expression]) -> Potential | None:
        """The combination of these terms, each times monomials of the constants, that is R."""
        factors = constant_factors(self.form.derivation)
        terms = [factor * term for term in support for factor in factors]
        if len(factors) == 1:
            return self._combined(terms)
        for chosen in islice(self._proposals(terms, self._points(self._near(), len(terms), vary=True)), 6):
            found = self._combined(chosen)
            if found is not None:
                return found
        return None

    # --- coefficients -----------------------------------------------------------------------

    def _combined(self, terms: list[Expression]) -> Potential | None:
        coefficients = self._coefficients(terms)
        if coefficients is None:
            return None
        chosen = [(c, t) for c, t in zip(coefficients, terms, strict=True) if c]
        return self.verified(sp.Add(*[sp.Rational(c.numerator, c.denominator) * t for c, t in chosen]))

    def _coefficients(self, terms: list[Expression]) -> list[Fraction] | None:
        """The rational c with Σ c_k ∂Φ∇t_k = −b at precise points of Γ."""
        count = len(terms) // self.manifold.dimension + 3
        points = self.manifold.sharpened(self.manifold.scatter(self.bases, count, self.rng).points)
        projected = [self.form.projection @ Matrix.column(self._slope(t)) for t in terms]
        try:
            rows = [row for point in points for row in self._rows(point, projected)]
        except (ComplexValue, NotSmooth):
            return None
        with mpmath.workdps(HIGH):
            if len(rows) < len(terms):
                return None
            try:
                solution = mpmath.lu_solve(mpmath.matrix([r[:-1] for r in rows]), mpmath.matrix([-r[-1] for r in rows]))
            except (ZeroDivisionError, ValueError):  # singular
                return None
            found = [rational(c, LARGEST_DENOMINATOR) for c in solution]
        return None if any(c is None for c in found) else [c for c in found if c is not None]

    def _rows(self, point: PrecisePoint, projected: Sequence[Matrix]) -> list[list[PreciseNumber]]:
        d = self.manifold.problem.dimension
        values = point.high([*(e for p in projected for e in p.entries), *self.form.field.entries])
        with mpmath.workdps(HIGH):
            rows = [[values[k * d + i] for k in range(len(projected) + 1)] for i in range(d)]
            scale = max(abs(v) for row in rows for v in row) or mpmath.mpf(1)
            return [[v / scale for v in row] for row in rows]


def _balanced(along: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every point's equations divided by their largest number, once columns have the same typical size."""
    columns = np.median(np.linalg.norm(along, axis=1), axis=0) + 1e-300
    steepest = np.abs(along / columns).max(axis=(1, 2), initial=0)
    size = np.maximum(steepest, np.abs(right).max(axis=1) / (np.abs(right).max() + 1e-300)) + 1e-300
    return along / size[:, None, None], right / size[:, None]


def proposals(matrix: np.ndarray, right: np.ndarray) -> Iterator[list[int]]:
    """Columns whose combination is `right`: single ones, pairs, and then as many as needed, the first ones preferred.

    >>> columns = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    >>> next(proposals(columns, np.array([0.0, 3.0, 0.0])))
    [1]
    """
    lengths = np.linalg.norm(matrix, axis=0) + 1e-300
    unit, goal = matrix / lengths, right / np.linalg.norm(right)
    overlap = unit.T @ goal
    single = np.linalg.norm(unit * overlap - goal[:, None], axis=0)
    yield from ([int(k)] for k in np.flatnonzero(single <= FITS))
    yield from _pairs(unit, goal, overlap)
    basis = _first_independent(unit)
    if len(unit) < len(basis) + 10:
        return
    solution = np.linalg.lstsq(unit[:, basis], goal, rcond=None)[0]
    if np.linalg.norm(unit[:, basis] @ solution - goal) > FITS:
        return
    present = np.abs(solution) > PRESENT * np.abs(solution).max()
    if present.sum() <= MOST_TERMS:
        yield [int(k) for k in np.array(basis)[present]]


def _pairs(unit: np.ndarray, goal: np.ndarray, overlap: np.ndarray) -> Iterator[list[int]]:
    gram = unit.T @ unit
    first, second = np.triu_indices(len(gram), 1)
    between = gram[first, second]
    free = np.abs(between) < 1 - 1e-9
    first, second, between = first[free], second[free], between[free]
    a, b = overlap[first], overlap[second]
    left = 1 - (a * a + b * b - 2 * a * b * between) / (1 - between**2)
    found = 0
    for k in np.flatnonzero(left < 1e-9):
        pair = [int(first[k]), int(second[k])]
        solution = np.linalg.lstsq(unit[:, pair], goal, rcond=None)[0]
        if np.linalg.norm(unit[:, pair] @ solution - goal) <= FITS:
            yield pair
            found += 1
            if found == PAIRS:
                return


def _first_independent(unit: np.ndarray) -> list[int]:
    """The columns that are no combination of those before them (Gram–Schmidt, twice)."""
    basis = np.empty((len(unit), 0))
    chosen = []
    for k in range(unit.shape[1]):
        rest = unit[:, k].copy()
        for _ in range(2):
            rest -= basis @ (basis.T @ rest)
        size = np.linalg.norm(rest)
        if size > DEPENDENT and basis.shape[1] < len(unit):
            basis = np.concatenate([basis, (rest / size)[:, None]], axis=1)
            chosen.append(k)
    return chosen


def _singular_arguments(expression: Expression) -> list[Expression]:
    """The arguments of logarithms and the bases of negative powers."""
    logs = [f.args[0].args[0] if isinstance(f.args[0], sp.Abs) else f.args[0] for f in expression.atoms(sp.log)]
    return list(dict.fromkeys([*logs, *(p.args[0] for p in expression.atoms(sp.Pow) if p.args[1].is_negative)]))


def _magnitude(node: Node) -> Node:
    return node.graph.call("Abs", node)


def _size(row: Sequence[Node], column: Sequence[Node]) -> Node:
    return dot([_magnitude(a) for a in row], [_magnitude(b) for b in column])
