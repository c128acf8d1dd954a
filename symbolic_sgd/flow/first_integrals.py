"""First integrals of the gradient flow: functions I with ∇I·∇L ≡ 0, found by linear algebra on an ansatz.

Float64 proposes which terms belong together; their coefficients are then computed to 100 digits, recognised as
rationals, and the integral is verified. A proposal that fails is dropped, so that rounding can only hide an integral.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Node, reachable
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput, ComplexValue, NotSmooth
from symbolic_sgd.flow.ansatz import Term
from symbolic_sgd.manifold.manifold import Manifold
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.manifold.search import FloatLandscape
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import check_expression, with_signs
from symbolic_sgd.rational.recognition import relation

NULL = 1e-10
"""Singular values below this beside the largest propose an integral."""

LEADING = 1e-5
"""Smallest entry, beside the largest of its vector, by which an echelon form is pivoted."""

PRESENT = 1e-7
"""A coefficient of a proposal smaller than this beside its largest is zero."""

LARGEST_RATIONAL = 10**30
"""Coefficients are recognised up to this denominator. An irrational number is 10⁻⁶⁰ from the nearest of these fractions,
which is far from the 10⁻⁹⁰ to which coefficients are known."""

VERIFIED_AT = 4
"""Random points at which ∇I·∇L is tested."""

SPARE = 12
"""Digits that the cancellation of ∇I·∇L = Σ_i ∂_iI ∂_iL may cost."""

EXPANDED = 3000
"""Operations of ∇I·∇L up to which it is expanded, and seen to be identically zero."""

INDEPENDENT = 1e-6
"""Smallest singular value of the tangential parts of unit gradients of independent integrals."""

ROUNDS = 8
"""How often points are drawn before fewer are made do with."""

SPREADS = (0.5, 1.0, 1.5)
"""Standard deviations of the random points."""


@dataclass(frozen=True)
class FirstIntegral:
    """A function that is constant along the flow.

    Args:
        expression: in the user's symbols.
        terms: the terms of the ansatz and their rational coefficients; () for the user's own.
        proof: how ∇I·∇L = 0 is known, in words.
    """

    expression: Expression
    terms: tuple[tuple[Fraction, Term], ...]
    proof: str


def _without_moduli(expression: Expression) -> Expression:
    """The same function where it is defined, with ln|f| as ½ ln f²."""
    return expression.replace(
        lambda e: isinstance(e, sp.log) and isinstance(e.args[0], sp.Abs), lambda e: sp.log(e.args[0].args[0] ** 2) / 2
    )


class IntegralSearch:
    """The search for the first integrals of one problem.

    Args:
        problem: what was stated.
        landscape: the loss on a graph.
        rng: draws the points.
    """

    def __init__(self, problem: Problem, landscape: Landscape, rng: np.random.Generator):
        self.problem = problem
        self.landscape = landscape
        self.rng = rng
        self.floats = FloatLandscape(landscape, problem)

    def find(self, terms: Sequence[Term]) -> list[FirstIntegral]:
        """All integrals among the linear combinations of the terms: a basis, its members with few terms."""
        slopes = self._slopes([term.factor * term.expression for term in terms])
        rates = self._along(slopes)
        values, points = self._values(rates, self._sizes(slopes))
        if len(points) < len(terms) + 5:
            return []
        found = []
        for support in sparse_null_supports(values):
            coefficients = self._coefficients([rates[k] for k in support], points)
            if coefficients is not None:
                chosen = tuple((c, terms[k]) for c, k in zip(coefficients, support, strict=True) if c)
                integral = self.verified(_combination(chosen), chosen)
                found.extend([integral] if integral else [])
        return found

    def verified(self, expression: Expression, terms: tuple[tuple[Fraction, Term], ...] = ()) -> FirstIntegral | None:
        """The integral, if ∇I·∇L ≡ 0."""
        slopes = self._slopes([expression])
        (rate,), (size,) = self._along(slopes), self._sizes(slopes)
        if rate.is_zero:
            return FirstIntegral(expression, terms, "∇I·∇L is identically zero")
        seen = [point.high([rate, size]) for point in self._precise_points(expression)]
        if any(abs(r) > mp.mpf(10) ** (SPARE - HIGH) * s for r, s in seen):
            return None
        program = Program.of({"rate": Matrix.column([rate])})
        if program.expanded_size("rate") <= EXPANDED and sp.expand(program.expand("rate")[0, 0]) == 0:
            return FirstIntegral(expression, terms, "∇I·∇L expands to zero")
        (analytic,) = self._along(self._slopes([_without_moduli(expression)]))
        if not zero_functions([analytic])[0]:
            return None  # small everywhere that was looked at, or only in a part of space: nothing that flows for long enough
        return FirstIntegral(expression, terms, "∇I·∇L is zero identically, by its values in a prime field")

    def stated(self, given: object) -> list[FirstIntegral]:
        """The user's own integrals, verified.

        Raises:
            BadInput: one of them is no expression in the problem's symbols, or not conserved.
        """
        if isinstance(given, (str, sp.Expr)) or not isinstance(given, Sequence):
            raise BadInput(
                f"first_integrals is a {type(given).__name__}; give a list of expressions, e.g. [u**2 - v**2]"
            )
        found = []
        for i, e in enumerate(given):
            expression = check_expression(e, self.problem.symbols, where=f"first_integrals[{i}]")
            if not expression.free_symbols & set(self.problem.parameters):
                raise BadInput(f"first_integrals[{i}] = {expression} depends on no parameter: leave it out")
            if any(node.op == "sign" for node in reachable([from_sympy(expression, self.landscape.graph)])):
                raise BadInput(
                    f"first_integrals[{i}] = {expression} jumps: give a continuous function, such as log(Abs(u)) or u**2 - v**2"
                )
            integral = self.verified(expression)
            if integral is None:
                raise BadInput(
                    f"first_integrals[{i}] = {expression} is not conserved by the flow: ∇I·∇L is not zero at a random "
                    "point; correct it, or leave it out"
                )
            found.append(integral)
        return found

    # --- the linear algebra -----------------------------------------------------------------

    def _slopes(self, expressions: Sequence[Expression]) -> list[list[Node]]:
        nodes = [from_sympy(without_moduli(e), self.landscape.graph) for e in expressions]
        return [gradient(node, self.landscape.variables) for node in nodes]

    def _along(self, slopes: Sequence[Sequence[Node]]) -> list[Node]:
        return [dot(slope, self.landscape.gradient.entries) for slope in slopes]

    def _sizes(self, slopes: Sequence[Sequence[Node]]) -> list[Node]:
        size = lambda node: node.graph.call("Abs", node)  # noqa: E731
        downhill = [size(entry) for entry in self.landscape.gradient.entries]
        return [dot([size(entry) for entry in slope], downhill) for slope in slopes]

    def _values(self, rates: Sequence[Node], sizes: Sequence[Node]) -> tuple[np.ndarray, np.ndarray]:
        """The rates at many random points, one row a point where all of them are real, and these points.

        Each is relative to Σ_i |∂_iI ∂_iL| over all points, so that one that vanishes is not taken by its rounding.
        """
        points = self.random_points(2 * len(rates) + 40)
        program = Program.of({"rates": Matrix.column(rates), "sizes": Matrix.column(sizes)})
        seen = evaluate(program, self.problem.symbols, points)
        fine = np.isfinite(seen["rates"]).all(axis=1) & np.isfinite(seen["sizes"]).all(axis=1)
        values, scales, points = seen["rates"][fine], seen["sizes"][fine], points[fine]
        by_row = scales.max(axis=1, initial=0)[:, None] + np.finfo(float).tiny
        by_column = np.linalg.norm(scales / by_row, axis=0) + np.finfo(float).tiny
        return values / by_row / by_column, points

    def random_points(self, count: int, spread: float = 1.0) -> np.ndarray:
        """Points (parameters, then constants) where the loss is real: some anywhere, some with positive coordinates."""
        anywhere, positive = np.empty((2, 0, len(self.problem.symbols)))
        for _ in range(ROUNDS):
            rows = self._draw(8 * count, spread)
            quadrant = (rows > 0).all(axis=1)
            anywhere = np.concatenate([anywhere, rows[~quadrant]])[:count]
            positive = np.concatenate([positive, rows[quadrant]])[:count]
            if len(anywhere) + len(positive) >= count:
                break
        return np.concatenate([anywhere, positive])

    def _draw(self, count: int, spread: float) -> np.ndarray:
        symbols = self.problem.symbols
        rows = self.rng.standard_normal((count, len(symbols))) * self.rng.choice(SPREADS, (count, 1))
        rows[:, : self.problem.dimension] *= spread
        rows[::2] = np.abs(rows[::2])  # powers that are not whole ask for positive coordinates
        rows = with_signs(symbols, rows)
        return rows[self.floats(rows).admissible]

    def _coefficients(self, rates: Sequence[Node], points: np.ndarray) -> list[Fraction] | None:
        """The rational c with Σ c_k ∇I_k·∇L = 0, c of the last term = 1."""
        if len(rates) == 1:
            return [Fraction(1)]
        chosen = points[self.rng.choice(len(points), size=len(rates), replace=False)]
        try:
            blocks = [[self._precise(x).high(rates)] for x in chosen]
        except (ComplexValue, NotSmooth):
            return None
        with mp.workdps(HIGH):
            found = relation(blocks, LARGEST_RATIONAL, agreed=HIGH - 15)
        return found if found is not None and found[-1] else None

    def _precise(self, x: np.ndarray) -> PrecisePoint:
        return PrecisePoint({s: mp.mpf(float(a)) for s, a in zip(self.problem.symbols, x, strict=True)})

    def _precise_points(self, expression: Expression) -> list[PrecisePoint]:
        """Random points where an expression is real."""
        value = Matrix.column([from_sympy(expression, self.landscape.graph)])
        points = self.random_points(8 * VERIFIED_AT)
        values = evaluate(Program.of({"value": value}), self.problem.symbols, points)["value"]
        fine = points[np.isfinite(values).all(axis=1)]
        if len(fine) < VERIFIED_AT:
            raise BadInput(f"the first integral {expression} is not real where the loss is")
        return [self._precise(x) for x in fine[:: len(fine) // VERIFIED_AT][:VERIFIED_AT]]


def without_moduli(expression: Expression) -> Expression:
    """ln ℓ for ln|ℓ|: they have the same derivative, which is all that is used, and that of ln ℓ is a shorter node."""
    return expression.replace(
        lambda e: isinstance(e, sp.log) and isinstance(e.args[0], sp.Abs), lambda e: sp.log(e.args[0].args[0])
    )


def sparse_null_supports(values: np.ndarray) -> list[list[int]]:
    """The supports of a basis of the null space in echelon form: each ends with a column that no other holds.

    >>> sparse_null_supports(np.array([[1.0, 1.0, 3.0], [2.0, 2.0, 5.0], [3.0, 3.0, 1.0]]))
    [[0, 1]]
    """
    _, singular, axes = np.linalg.svd(values)
    rank = int((singular > NULL * singular.max(initial=1e-300)).sum())
    echelon = _echelon(axes[rank:])
    return [[int(k) for k in np.flatnonzero(np.abs(v) > PRESENT * np.abs(v).max())] for v in _reduced(echelon)][::-1]


def _echelon(basis: np.ndarray) -> list[np.ndarray]:
    """Vectors of the same span, each ending further to the left than the one before."""
    echelon = []
    for column in reversed(range(basis.shape[1])):
        if not len(basis):
            break
        lead = int(np.argmax(np.abs(basis[:, column])))
        if abs(basis[lead, column]) < LEADING:
            continue
        pivot = basis[lead] / basis[lead, column]
        basis = np.delete(basis, lead, axis=0)
        basis = np.linalg.qr((basis - np.outer(basis[:, column], pivot)).T)[0].T
        echelon.append(pivot)
    return echelon


def _reduced(echelon: list[np.ndarray]) -> list[np.ndarray]:
    """Every vector without the leading columns of the others (vectors come with falling leading columns)."""
    leads = [int(np.flatnonzero(np.abs(v) > LEADING * np.abs(v).max())[-1]) for v in echelon]
    for i in reversed(range(len(echelon))):
        for j in range(i):
            echelon[j] = echelon[j] - echelon[j][leads[i]] / echelon[i][leads[i]] * echelon[i]
    return echelon


def _combination(terms: Sequence[tuple[Fraction, Term]]) -> Expression:
    """Σ c_k t_k, with coprime integers for the coefficients, the first of them positive."""
    scale = lcm(*(c.denominator for c, _ in terms))
    whole = [int(c * scale) for c, _ in terms]
    common = gcd(*whole) * (1 if whole[0] > 0 else -1)
    return sp.Add(*[n // common * t.factor * t.expression for n, (_, t) in zip(whole, terms, strict=True)])


# --- which of them are needed ---------------------------------------------------------------


def independent_on(manifold: Manifold, integrals: Sequence[FirstIntegral]) -> list[FirstIntegral]:
    """Integrals, the first ones first, whose gradients are independent along Γ, up to D − M of them."""
    landscape = manifold.landscape
    slopes = [
        gradient(from_sympy(without_moduli(i.expression), landscape.graph), landscape.variables) for i in integrals
    ]
    best: list[FirstIntegral] = []
    for point in reversed(manifold.points):
        curvature = np.array(point.matrix(landscape.hessian).tolist(), dtype=float)
        tangent = np.linalg.eigh(curvature)[1][:, : manifold.dimension]
        chosen, rows = [], np.empty((0, manifold.dimension))
        for integral, slope in zip(integrals, slopes, strict=True):
            if len(chosen) == manifold.dimension:
                break
            row = _along(point, slope, tangent)
            if row is not None:
                extended = np.vstack([rows, row])
                if np.linalg.svd(extended, compute_uv=False)[-1] > INDEPENDENT:
                    chosen, rows = [*chosen, integral], extended
        best = max(best, chosen, key=len)
        if len(best) == manifold.dimension:
            break
    return best


def _along(point: PrecisePoint, slope: Sequence[Node], tangent: np.ndarray) -> np.ndarray | None:
    try:
        values = np.array([float(v) for v in point.low(slope)])
    except (ComplexValue, NotSmooth):
        return None
    length = np.linalg.norm(values)
    return values @ tangent / length if length > 0 and np.isfinite(length) else None
