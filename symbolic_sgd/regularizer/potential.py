"""R by linear algebra on an ansatz: ∂Φ∇R = −(mixed + normal regularization) at points of Γ.

Float64 proposes which candidates belong together; their coefficients are computed to 100 digits, recognised as
rationals, and R is verified at fresh points of Γ. A proposal that fails is dropped: rounding can only hide an R.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement, islice

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import ComplexValue, NotSmooth
from symbolic_sgd.manifold.precise import DIGITS, HIGH, PrecisePoint
from symbolic_sgd.rational.recognition import relation
from symbolic_sgd.regularizer.by_integration import POINTS, composed
from symbolic_sgd.regularizer.candidates import FAMILIES, LARGEST_FAMILY, SHORT, Ingredients, constant_factors
from symbolic_sgd.regularizer.one_form import RegularizationForm
from symbolic_sgd.regularizer.proposals import FITS, MOST_TERMS, balanced, proposals
from symbolic_sgd.regularizer.scatter import Batch, FloatManifold
from symbolic_sgd.regularizer.singularities import meets_singularities

FOR_SINGULARITIES = 60
"""Points from which singularities are looked for."""

LARGEST = 1e60
"""Slopes of candidates that are used in float64 are below this."""

NEAR = 3.0
"""Points of the float64 system are within so much of the nearest ones."""

VERIFIED_AT = 24  # not fewer than there are bases, so that all components found are seen
"""Fresh points of Γ at which R is tested, beyond as many as R has terms."""


@dataclass(frozen=True)
class Potential:
    """R, and what is known of it.

    Args:
        expression: R in the user's symbols.
        points: at how many points it was verified.
        proved: whether ∂Φ∇R = −b is proved modulo the equations of Γ.
    """

    expression: Expression
    points: int
    proved: bool


class PotentialSearch:
    """The search for R.

    Args:
        form: the regularization.
        manifold: Γ in float64.
        bases: points of Γ from which to walk.
        rng: draws the walks.
        effort: bounds how long it takes.

    Raises:
        BudgetSpent: by every road, when the effort is spent.
    """

    def __init__(
        self,
        form: RegularizationForm,
        manifold: FloatManifold,
        bases: Batch,
        rng: np.random.Generator,
        effort: Effort | None = None,
    ):
        self.effort = effort or Effort()
        self.form = form
        self.manifold = manifold
        self.bases = bases
        self.rng = rng
        self.symbols = form.derivation.problem.symbols
        self.given = Ingredients(form.derivation, form)
        self.slopes: dict[Expression, list[Node]] = {}

    def by_integration(self) -> Potential | None:
        """R as a function of one function on Γ."""
        self.effort.begin("R by integration, as a function of one quantity")
        points = self._sharpened(POINTS)
        tried = composed(self.form, self.given, points, self.effort)
        verified = (self.verified(expression) for expression in tried)
        return next((potential for potential in verified if potential is not None), None)

    def by_ansatz(self) -> Potential | None:
        """R by the first family of candidates (together with those before it) that holds one."""
        candidates: list[Expression] = []
        for name, family in FAMILIES.items():
            self.effort.begin(f"R among the candidates of the kind “{name}”")
            known = len(candidates)
            candidates = list(
                dict.fromkeys([*candidates, *(e for e in self.effort.each(family(self.given)) if self._varies(e))])
            )
            if len(candidates) == known:
                continue
            # Constants stay at the values of one point here: which terms there are does not depend on them.
            first = self._one_draw(self._near())
            for support in islice(self._proposals(candidates, self._points(first, len(candidates), vary=False)), 8):
                found = self._with_constants(support)
                if found is not None:
                    return self._shorter(found)
        return None

    def multiple(self, expression: Expression) -> Potential | None:
        """R as a multiple of one expression, by a rational number and powers of the constants."""
        return self._with_constants([expression])

    def _shorter(self, found: Potential) -> Potential:
        """A long R as a quadratic form in the parameters, if it is one on Γ."""
        if operations(found.expression) <= SHORT:
            return found
        pairs = combinations_with_replacement(self.form.derivation.problem.parameters, 2)
        quadratic = [a * b for a, b in pairs][:LARGEST_FAMILY]
        points = self._points(self._one_draw(self._near()), len(quadratic), vary=False)
        for support in islice(self._proposals(quadratic, points), 1):
            other = self._with_constants(support)
            if other is not None and operations(other.expression) < operations(found.expression):
                return other
        return found

    def verified(self, expression: Expression) -> Potential | None:
        """R, if ∂Φ∇R = −b at fresh points of Γ, to 50 digits."""
        slope = Matrix.column(self._slope(expression))
        residual = (self.form.projection @ slope + self.form.field).entries
        sizes = [
            _size(self.form.projection.rows[i], slope.entries) + _magnitude(b)
            for i, b in enumerate(self.form.field.entries)
        ]
        count = VERIFIED_AT + min(MOST_TERMS, len(sp.Add.make_args(expression)))
        points = self._sharpened(count)
        for point in self.effort.each(points):
            try:
                values = point.high([*residual, *sizes])
            except (ComplexValue, NotSmooth):
                return None
            with mp.workdps(HIGH):
                tiny = max(values[len(residual) :]) * mp.mpf(10) ** -DIGITS
                if not max(map(abs, values[: len(residual)])) <= tiny:
                    return None
        if len(points) < count - 4 or self._is_singular(expression):
            return None
        return Potential(expression, len(points), self._is_proved(expression))

    def _is_proved(self, expression: Expression) -> bool:
        """Whether ∂Φ∇R = −b is proved modulo the equations of Γ; ln|f| has the slope of ln f."""
        smooth = expression.replace(
            lambda e: isinstance(e, sp.log) and isinstance(e.args[0], sp.Abs), lambda e: sp.log(e.args[0].args[0])
        )
        slope = Matrix.column(self._slope(smooth))
        return self.form.proved_zero((self.form.projection @ slope + self.form.field).entries)

    def _sharpened(self, count: int) -> list[PrecisePoint]:
        """Fresh points of Γ, to 120 digits."""
        batch = self.manifold.scatter(self.bases, count, self.rng)
        return [point for x in self.effort.each(batch.points) for point in self.manifold.sharpened(x[None, :])]

    def _is_singular(self, expression: Expression) -> bool:
        batch = self.manifold.scatter(self.bases, FOR_SINGULARITIES, self.rng)
        return meets_singularities(expression, self.form, self.manifold, batch)

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
        entries = [node for term in self.effort.each(terms) for node in self._slope(term)]
        program = Program.of({"slopes": Matrix.column(entries)})
        slopes = evaluate(program, self.symbols, batch.points)["slopes"].reshape(len(batch.points), len(terms), -1)
        field = self.form.floats(batch.points)
        real = np.isfinite(field).all(axis=1)
        slopes, field, tangent = slopes[real], field[real], batch.tangent[real]
        finite: np.ndarray = np.all(np.abs(slopes) < LARGEST, axis=(0, 2))
        along = np.einsum("snd,sdk->skn", np.where(finite[:, None], slopes, 0), tangent)
        # A candidate that is constant on Γ leaves only its rounding.
        moving = np.abs(along).max(axis=1) > FITS * np.where(finite, np.abs(slopes).max(axis=2), 0)
        kept = np.flatnonzero(finite & moving.any(axis=0))
        along, right = along[:, :, kept], -np.einsum("sd,sdk->sk", field, tangent)
        along, right = balanced(along, right)
        return along.reshape(right.size, len(kept)), right.reshape(-1), kept

    def _proposals(self, terms: Sequence[Expression], batch: Batch) -> Iterator[list[Expression]]:
        """Sets of terms whose combination has the slope −b in float64: single ones, pairs, then those that come first."""
        matrix, right, kept = self._system(terms, batch)
        if not len(kept) or not np.linalg.norm(right):
            return
        for support in proposals(matrix, right, self.effort):
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
        return self.verified(sp.Add(*[sp.Rational(c) * t for c, t in chosen]))

    def _coefficients(self, terms: list[Expression]) -> list[Fraction] | None:
        """The rational c with Σ c_k ∂Φ∇t_k = −b at precise points of Γ."""
        count = len(terms) // self.manifold.dimension + 3
        points = self._sharpened(count)
        projected = [self.form.projection @ Matrix.column(self._slope(t)) for t in self.effort.each(terms)]
        try:
            blocks = [self._block(point, projected) for point in self.effort.each(points)]
        except (ComplexValue, NotSmooth):
            return None
        with mp.workdps(HIGH):
            found = relation(blocks, effort=self.effort)
        return found[:-1] if found is not None and found[-1] else None

    def _block(self, point: PrecisePoint, projected: Sequence[Matrix]) -> list[list[PreciseNumber]]:
        """The equations Σ c_k ∂Φ∇t_k + b = 0 at a point."""
        d = self.manifold.problem.dimension
        values = point.high([*(e for p in projected for e in p.entries), *self.form.field.entries])
        return [values[i::d] for i in range(d)]


def _magnitude(node: Node) -> Node:
    return node.graph.call("Abs", node)


def _size(row: Sequence[Node], column: Sequence[Node]) -> Node:
    return dot([_magnitude(a) for a in row], [_magnitude(b) for b in column])
