"""R where Σ_⊥ is a multiple of ∇²L or of I − ∂Φ, for every optimizer that is a function of ∇²L.

With S = c·g(∇²L)(I − ∂Φ), T[S] = c∇tr G(∇²L) for G′ = g: first derivatives of a spectral function see only the diagonal of the
kernel. So the normal regularization is −∂Φ∇R with R = (c/2)Σ_i G(λ_i) over the curvatures λ_i > 0.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Protocol

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.lyapunov import elementary_symmetric
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.multiplied_out import multiplied_out
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.spectral import roots
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.optimizers.kernel import A, by_polynomials, with_positive_factors
from symbolic_sgd.optimizers.sharpness import SharpnessDescent
from symbolic_sgd.rational.grouping import with_common_polynomials
from symbolic_sgd.rational.squares import with_complete_squares
from symbolic_sgd.regularizer.over_residuals import traces_over_residuals
from symbolic_sgd.theorem.canonical import written_on_manifold
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.normal_space import ComposedFrame, Frameless
from symbolic_sgd.theorem.orbit import Orbit, orbit_of

MUCH = Fraction(6, 5)
"""How many times less to read another form of tr ∇²L has to be than the one that comes first."""

LONG = 40
"""What is to be read of an R that a person would try to shorten."""

LARGEST_FACTORED = 120
"""Terms of a polynomial that is factored."""

LARGEST_SUM = 500
"""Terms of a sum that is multiplied out: nobody reads a larger one, and it takes seconds."""

LARGEST_DETERMINANT = 4
"""Rows of a determinant that is written out."""


class SumsOverCurvatures(Protocol):
    """What a sum of integrals over the curvatures λ_1 … λ_M > 0 is written in."""

    def volume(self) -> Expression:
        """Πλ_i, up to a factor that is constant on Γ."""
        ...

    def shifted(self, t: Expression) -> Expression:
        """Π(1 + tλ_i)."""
        ...

    def power_sum(self, k: int) -> Expression:
        """Σλ_iᵏ."""
        ...

    def curvatures(self) -> list[Expression]:
        """λ_1 … λ_M, for M ≤ 2."""
        ...


class OneCurvature:
    """The letter `A` as the only curvature: a sum of integrals is then one integral of λ, up to a constant."""

    def volume(self) -> Expression:
        return A

    def shifted(self, t: Expression) -> Expression:
        return 1 + t * A

    def power_sum(self, k: int) -> Expression:
        return A**k

    def curvatures(self) -> list[Expression]:
        return [A]


@dataclass(frozen=True)
class Spectrum:
    """Sums over the curvatures λ_1 … λ_M > 0 of Γ, as expressions."""

    derivation: Derivation

    @staticmethod
    def of(derivation: Derivation) -> "Spectrum":
        """That of ∇²L, or of S∇²L for a preconditioner S."""
        metric = derivation.optimizer.metric(derivation.problem)
        return Spectrum(derivation) if metric is None else MetricSpectrum(derivation, metric)

    def trace(self) -> Expression:
        """tr ∇²L on Γ, over all residuals where there are more than M, else as tr K FᵀF where ∇²L = F K Fᵀ is known, unless it is much less
        to read with or without what vanishes on Γ."""
        space = self.derivation.normal_space
        if self.derivation.in_matrices is not None:
            return self.derivation.in_matrices.trace.expand("trace")[0, 0]
        written = traces_over_residuals(self.derivation)
        if isinstance(space, ComposedFrame):
            with suppress(ExpressionTooLarge):
                frame, curvature = space.frame.expand("frame"), space.curvature.expand("curvature")
                written.append((curvature * frame.T * frame).trace())
                if curvature.is_diagonal():
                    frame = written_on_manifold(self.derivation, space.frame).matrix
                    written.append((curvature * frame.T * frame).trace())
        for program in (self.derivation.guard, self.derivation.blocks):
            hessian = program.select("hessian").on(Graph())["hessian"]
            written.append(Program.of({"trace": Matrix.column([hessian.trace])}).expand("trace")[0, 0])
        return self._shortest(written)

    def _shortest(self, written: Sequence[Expression]) -> Expression:
        """The first of some expressions for one function on Γ, unless another is much less to read, or the first is long; a sum of squares
        of parameters is what a person writes, though the equations of Γ may leave some of them out: only another one, of as many, is taken.
        """
        shortest = [short(e) for e in written]
        first = reading_cost(shortest[0])
        if first > LONG:
            with suppress(ExpressionTooLarge):
                shortest.append(self._reduced(written[0]))
        squares = _squares(shortest[0], self.derivation.problem.parameters)
        if squares:
            shortest = [e for e in shortest if _squares(e, self.derivation.problem.parameters) >= squares]
        least = min(shortest, key=reading_cost)
        return shortest[0] if first <= (MUCH if first <= LONG else 1) * reading_cost(least) else least

    def _reduced(self, expression: Expression) -> Expression:
        """A function on Γ in the form that is least to read, modulo the equations of Γ."""
        column = Matrix.column([from_sympy(expression, Graph())])
        return with_common_polynomials(
            written_on_manifold(self.derivation, Program.of({"function": column})).matrix[0, 0]
        )

    def volume(self) -> Expression:
        """|∇²L|₊, up to a factor that is constant on Γ: det K det FᵀF where ∇²L = F K Fᵀ is known, else det(Fᵀ∇²L F)/det FᵀF, or
        e_M without a frame."""
        orbit = orbit_of(self.derivation)
        of_orbit = None if orbit is None else self._by_generators(orbit)
        try:
            volume = self._by_determinants()
        except ExpressionTooLarge:
            if of_orbit is None:
                raise
            return of_orbit
        forms = [volume] if of_orbit is None else [volume, of_orbit]
        if min(map(reading_cost, forms)) > LONG:
            with suppress(ExpressionTooLarge):
                forms.append(self._reduced(volume))
        return min(forms, key=reading_cost)

    def _by_generators(self, orbit: Orbit) -> Expression | None:
        """|∇²L|₊ = κ det TᵀT where Γ is an orbit and κ is known."""
        if orbit.ratio is None:
            return None
        moved = sp.Matrix.hstack(*(x * sp.Matrix(self.derivation.problem.parameters) for x in orbit.generators))
        try:
            return self._reduced(orbit.ratio) * self._reduced(_minor(moved.T * moved))
        except ExpressionTooLarge:
            return None

    def _by_determinants(self) -> Expression:
        space = self.derivation.normal_space
        if isinstance(space, Frameless):
            return space.symmetric.expand("symmetric")[-1, 0]
        frame = space.frame.expand("frame")
        gram = self._determinant(frame.T * frame)
        if isinstance(space, ComposedFrame):
            curvature = self._determinant(space.curvature.expand("curvature"))
            constant = space.rigid and curvature.free_symbols & set(self.derivation.problem.parameters)
            return gram if constant else curvature * gram
        return self._determinant(frame.T * self.derivation.blocks.expand("hessian") * frame) / gram

    def shifted(self, t: Expression) -> Expression:
        """Π(1 + tλ_i): det(I + tKFᵀF) where ∇²L = F K Fᵀ is known, a polynomial in e_1 … e_M without a frame, else det(I + t∇²L)."""
        space = self.derivation.normal_space
        if self.derivation.codimension == 1:
            return 1 + t * self.trace()
        if isinstance(space, Frameless):
            return 1 + sp.Add(*[t**k * e for k, e in enumerate(space.symmetric.expand("symmetric").flat(), start=1)])
        if isinstance(space, ComposedFrame):
            frame = space.frame.expand("frame")
            turned = space.curvature.expand("curvature") * (frame.T * frame)
        else:
            turned = self.derivation.blocks.expand("hessian")
        return self._determinant(sp.eye(turned.rows) + t * turned)

    def power_sum(self, k: int) -> Expression:
        """tr (∇²L)ᵏ."""
        if k == 1:
            return self.trace()
        hessian = self.derivation.blocks.select("hessian").on(Graph())["hessian"]
        power = hessian
        for _ in range(k - 1):
            power = power @ hessian
        return sp.expand(Program.of({"trace": Matrix.column([power.trace])}).expand("trace")[0, 0])

    def curvatures(self) -> list[Expression]:
        """λ_1 … λ_M, for M ≤ 2."""
        trace = self.trace()
        if self.derivation.codimension == 1:
            return [trace]
        gap = sp.sqrt(short(2 * self.power_sum(2) - trace**2))
        return [(trace + gap) / 2, (trace - gap) / 2]

    @staticmethod
    def _determinant(matrix: SymbolicMatrix) -> Expression:
        if matrix.rows > LARGEST_DETERMINANT:
            raise ExpressionTooLarge(
                f"the regularizer is the logarithm of a {matrix.rows}×{matrix.rows} determinant, too large to be written out: "
                "use sde.lambdify() for the regularization itself"
            )
        return short(_minor(matrix))


def _squares(expression: Expression, parameters: Sequence[sp.Symbol]) -> int:
    """How many parameters there are in a sum of their squares with positive numbers; 0 for anything else."""
    terms: Any = {}
    if expression.is_polynomial(*parameters):
        terms = sp.expand(expression).as_coefficients_dict(*[s**2 for s in parameters])
    positive = all(not (c.free_symbols & {*parameters}) and c.is_positive for c in terms.values())
    return len(terms) if positive else 0


@dataclass(frozen=True)
class MetricSpectrum(Spectrum):
    """Of S∇²L."""

    metric: SymbolicMatrix

    @cached_property
    def _leaning(self) -> SymbolicMatrix:
        return self.metric * self.derivation.blocks.expand("hessian")

    def trace(self) -> Expression:
        return short(self._leaning.trace())

    def volume(self) -> Expression:
        """e_M(S∇²L) = det K det FᵀSF for ∇²L = F K Fᵀ, without a factor that is constant on Γ."""
        space = self.derivation.normal_space
        assert not isinstance(space, Frameless)
        frame = space.frame.expand("frame")
        gram = self._determinant(frame.T * self.metric * frame)
        if isinstance(space, ComposedFrame):
            curvature = self._determinant(space.curvature.expand("curvature"))
            constant = space.rigid and curvature.free_symbols & set(self.derivation.problem.parameters)
            return gram if constant else curvature * gram
        # det K = det Fᵀ∇²LF/(det FᵀF)².
        plain = self._determinant(frame.T * frame)
        return gram * self._determinant(frame.T * self.derivation.blocks.expand("hessian") * frame) / plain**2

    def shifted(self, t: Expression) -> Expression:
        if self.derivation.codimension == 1:
            return 1 + t * self.trace()
        space = self.derivation.normal_space
        if isinstance(space, ComposedFrame):  # M×M
            frame = space.frame.expand("frame")
            leaning = space.curvature.expand("curvature") * (frame.T * self.metric * frame)
        else:
            moved = [i for i in range(self.metric.rows) if any(self._leaning[i, :])]
            leaning = self._leaning.extract(moved, moved)
        return self._determinant(sp.eye(leaning.rows) + t * leaning)

    def power_sum(self, k: int) -> Expression:
        return self.trace() if k == 1 else sp.expand((self._leaning**k).trace())


def short(expression: Expression) -> Expression:
    """What is shortest to read: as it is, or multiplied out and then with squares of sums, with common factors taken out, or factored, and
    with polynomials that its terms have in common before brackets."""
    return with_common_polynomials(min(_forms(expression), key=reading_cost))


def _forms(expression: Expression) -> Iterator[Expression]:
    yield sp.factor_terms(expression)
    expanded = multiplied_out(expression, LARGEST_SUM)
    count = len(sp.Add.make_args(expanded))
    if count > LARGEST_SUM or operations(expanded) > 10 * LARGEST_SUM:
        yield expanded
        return
    yield sp.factor_terms(expanded)
    yield with_complete_squares(expanded)
    if count <= LARGEST_FACTORED and expanded.is_polynomial(*expanded.free_symbols):
        factored: Any = sp.factor(expanded)
        factors = (factor.as_base_exp() for factor in sp.Mul.make_args(factored))
        yield sp.Mul(*(with_complete_squares(base) ** exponent for base, exponent in factors))


def _minor(matrix: SymbolicMatrix) -> Expression:
    """The determinant by its first row, nothing multiplied out."""
    if matrix.rows == 1:
        return matrix[0, 0]
    below = matrix[1:, :]
    rest = [_minor(sp.Matrix.hstack(below[:, :j], below[:, j + 1 :])) for j in range(matrix.cols)]
    return sp.Add(*[(-1) ** j * matrix[0, j] * minor for j, minor in enumerate(rest)])


def spectral_potential(derivation: Derivation) -> tuple[Expression, str] | None:
    """R and its formula in words, where Σ_⊥ = cH or s²(I − ∂Φ) and G is made of powers and logarithms; else None.

    Raises:
        ExpressionTooLarge: it needs a determinant of more than four rows.
    """
    response, spectrum = derivation.response, Spectrum.of(derivation)
    mean = derivation.optimizer.mean_potential or sp.S.Zero
    square, together = response.of_square(), _is_half_trace(derivation, mean)
    choices = [
        (derivation.proportion, response.of_proportion(), mean, "Σ_⊥ = c∇²L"),
        (derivation.isotropy, response.of_isotropy(), mean, "Σ_⊥ = s²(I − ∂Φ)"),
        (derivation.square, square, mean, "Σ_⊥ = s²(∇²L)²"),
    ]
    if together and square is not None:  # R₀ is the sum of the integrals of 1
        g = with_positive_factors(sp.together(square + 1))
        choices.insert(0, (derivation.square, g, sp.S.Zero, "Σ_⊥ = s²(∇²L)² and R₀ = (s²/2) tr ∇²L"))
    for factor, g, further, noise in choices:
        if factor is not None and g is not None:
            total = sum_of_integrals(g, spectrum)
            if total is None:
                return None
            shown = str(g.subs(A, sp.Symbol("lambda"))).replace("lambda", "λ")
            beside = "R₀ + " if further != 0 else ""
            return (
                further + factor / 2 * total,
                f"{noise} on Γ: R is {beside}half the factor times Σ ∫g dλ over the curvatures, g = {shown}",
            )
    return None


def _is_half_trace(derivation: Derivation, mean: Expression) -> bool:
    """Whether R₀ is proved to be (s²/2) tr ∇²L, where Σ = s²(∇²L)²."""
    if derivation.square is None:
        return False
    trace = derivation.problem.landscape().hessian.trace
    apart = from_sympy(2 * mean, trace.graph) - from_sympy(derivation.square, trace.graph) * trace
    return zero_functions([apart])[0]


def _sum_of_damped_integrals(g: Expression, spectrum: SumsOverCurvatures) -> Expression | None:
    """The same for a sum of terms cλᵖ and cλᵖe^{qλ} with q < 0, by parts; None where another term is there."""
    total = sp.S.Zero
    if not g.has(sp.exp):
        return None
    for term in sp.Add.make_args(sp.expand(g)):
        rest, exponential = term.as_independent(sp.exp, as_Add=False)
        c, power = rest.as_independent(A, as_Add=False)
        p = power.as_base_exp()[1] if power != 1 else sp.S.Zero
        q = sp.diff(exponential.args[0], A) if isinstance(exponential, sp.exp) else sp.S.Zero
        if not p.is_Integer or c.has(A) or q.has(A) or power not in (1, A**p) or exponential not in (1, sp.exp(q * A)):
            return None
        if q == 0 and p == -1:
            total += c * sp.log(spectrum.volume())
        elif q == 0 and p >= 0:
            total += c * spectrum.power_sum(int(p) + 1) / (p + 1)
        else:
            primitive: Any = A ** (p + 1) / (p + 1) if q == 0 else _damped(p, q)
            total += c * sp.Add(*[primitive.subs(A, a) for a in spectrum.curvatures()])
    return total


def _damped(p: Expression, q: Expression) -> Expression:
    """∫λᵖe^{qλ} dλ."""
    if p == -1:
        return sp.Ei(q * A)
    if p >= 0:
        return (A**p * sp.exp(q * A) - (p * _damped(p - 1, q) if p > 0 else 0)) / q
    return (A ** (p + 1) * sp.exp(q * A) - q * _damped(p + 1, q)) / (p + 1)


def sharpness_potential(derivation: Derivation, optimizer: SharpnessDescent) -> Expression:
    """R(λ_1)."""
    hessian = derivation.guard.select("hessian").on(Graph())["hessian"]
    if derivation.codimension == 1:
        return optimizer.potential.subs(A, Spectrum(derivation).trace())
    steepest = roots(elementary_symmetric(hessian, derivation.codimension))[0]
    return optimizer.potential.subs(A, Program.of({"steepest": Matrix.column([steepest])}).expand("steepest")[0, 0])


def sum_of_integrals(g: Expression, spectrum: SumsOverCurvatures) -> Expression | None:
    """Σ_i G(λ_i), up to a constant, by partial fractions with linear denominators."""
    if not by_polynomials(g, A):
        return _sum_of_damped_integrals(g, spectrum)
    total = sp.S.Zero
    partial: Any = sp.apart(g, A)
    for term in sp.Add.make_args(partial):
        above, below = sp.fraction(sp.together(term))
        if not below.has(A):
            for (power,), c in sp.Poly(term, A).terms():
                total += c * spectrum.power_sum(power + 1) / (power + 1)
            continue
        line = sp.Poly(below, A)
        if line.degree() != 1 or above.has(A):
            return None
        slope, constant = line.all_coeffs()
        argument = spectrum.volume() if constant == 0 else spectrum.shifted(sp.cancel(slope / constant))
        total += sp.cancel(above / slope) * sp.log(argument)
    return total
