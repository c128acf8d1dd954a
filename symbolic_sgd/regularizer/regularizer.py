"""The function that the regularization descends: R with mixed + normal = −∂Φ∇R on Γ, or what rules it out."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import combinations, islice
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.as_read import ReadersLatex, ReadersText
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.effort import REGULARIZER, Effort
from symbolic_sgd.errors import BudgetSpent, ExpressionTooLarge, NoRegularizerFormula, Undecided
from symbolic_sgd.manifold.critical_equations import component_equations
from symbolic_sgd.manifold.inner_functions import sums_on_component
from symbolic_sgd.manifold.precise import PrecisePoint
from symbolic_sgd.optimizers.sharpness import SharpnessDescent
from symbolic_sgd.regularizer.epochs import potential_of_epochs
from symbolic_sgd.regularizer.loops import CurveTracer, Loop
from symbolic_sgd.regularizer.one_form import RegularizationForm
from symbolic_sgd.regularizer.potential import Potential, PotentialSearch
from symbolic_sgd.regularizer.scatter import FloatManifold
from symbolic_sgd.regularizer.spectral import Spectrum, sharpness_potential, spectral_potential
from symbolic_sgd.regularizer.up_to_constant import up_to_constant
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.orbit import orbit_of
from symbolic_sgd.theorem.orbit_formulas import vanishing
from symbolic_sgd.theorem.response import ReshuffledResponse

SEED = 20221
"""The decision is the same in every run."""

PROBED = 4
"""Points of Γ, beside those of the derivation, at which the curl is computed."""

FAR_POINTS = 24
"""Further points of Γ at which a regularization that seems to vanish is computed."""

CURVES = 3
"""Components of a one-dimensional Γ that are followed."""

SEGMENTS = 240
"""Segments of a curve that are tried (about two seconds)."""

PLANES, PLANE_SEGMENTS = 10, 80
"""Planes with which a larger Γ is cut, and segments of each of these curves."""


@dataclass(frozen=True)
class Regularizer:
    """R, or None, and why.

    Args:
        expression: R in the user's symbols, valid on Γ up to a constant; None if there is none.
        words: what it is, or the evidence against it.
        curl: the largest curl of the regularization as a 1-form on Γ that was found, at the point that `words` names; None
            where it vanishes, or was not needed.
        loop_integral: ∮⟨mixed + normal regularization, dY⟩ round the closed curve that `words` names, in the direction in
            which it is positive; None where no such integral is known to differ from zero.
        loop_error: a bound of its error.
        where: the point of the curl, or a point of the closed curve (symbol → number), so that both can be computed anew.
        cuts: rows A of the planes A(x − x₀) = 0 that cut the curve out of Γ; none where Γ is itself a curve.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> sde.regularizer_evidence.expression
    u**2/4 + v**2/4
    """

    expression: Expression | None
    words: str
    curl: float | None = None
    loop_integral: float | None = None
    loop_error: float | None = None
    where: Mapping[sp.Symbol, Any] | None = field(default=None, hash=False)
    cuts: tuple[tuple[float, ...], ...] = ()

    def __str__(self) -> str:
        if self.expression is None:
            return f"no regularizer: {self.words}"
        return f"R = {ReadersText().written(self.expression)}: {self.words}"

    def __repr__(self) -> str:
        return f"Regularizer({self})"

    def _repr_latex_(self) -> str | None:
        """R; None, for which notebooks show the words, where there is none."""
        return None if self.expression is None else rf"$\displaystyle R = {ReadersLatex().written(self.expression)}$"


def regularization_words(derivation: Derivation) -> str:
    """What R is the potential of."""
    further = " + noise curvature drift" if derivation.optimizer.curvature_regularizes else ""
    return f"mixed + normal regularization{further}"


def _along_arcs(derivation: Derivation) -> str:
    """A theorem: 1-forms on an arc are exact."""
    words = regularization_words(derivation)
    covector = f"S_P⁻¹({words})" if derivation.optimizer.in_metric else words
    return (
        f"Γ is a curve, and along every arc of it on which the formulas hold a regularizer exists: R = −∫⟨{covector}, dY⟩, unique up to a "
        "constant; sde.regularizer_along(point, length=…) has its values, and sde.in_chart(…).regularizer is the integral"
    )


VANISHING = Regularizer(sp.S.Zero, "the regularization vanishes on Γ")


def find_regularizer(derivation: Derivation, effort: Effort | None = None) -> Regularizer:
    """R, without what only adds a constant, by the structure of the noise or by an ansatz that is proved, or None where there is none.

    Σ_⊥ = cH gives R = (c/4) tr ∇²L, Σ_⊥ = s²Q gives R = (s²/4) ln|∇²L|₊ (the product of the nonzero eigenvalues), and for other
    optimizers a sum over the curvatures (regularizer/spectral.py), where the mixed regularization vanishes (from −½∂Φ∂²(∇L)[S],
    Li, Wang & Arora 2022). There is none where the 1-form ⟨mixed + normal, dY⟩ on Γ is not closed, or where its integral round a
    closed curve on Γ is not zero.

    Args:
        derivation: the finished derivation.
        effort: how long the search may take, and who is told.

    Raises:
        Undecided: neither a closed form of R was found, nor that there is none; BudgetSpent where time was up, else
            NoRegularizerFormula on a one-dimensional Γ, where R exists along every arc.
        ExpressionTooLarge: R does not expand within the budget.
    """
    if derivation.optimizer.second_moments(derivation.problem) is not None:
        raise Undecided(
            "the parameters move together with slow second moments, which a function of the parameters alone says nothing of: "
            "sde.joint_potential is one of both, where it is known"
        )
    effort = effort or Effort(REGULARIZER)
    found = _found(derivation, effort)
    if found.expression is None:
        return found
    orbit, parameters = orbit_of(derivation), derivation.problem.parameters
    moves = () if orbit is None else orbit.moves(parameters)
    return replace(found, expression=up_to_constant(found.expression, parameters, moves))


def _found(derivation: Derivation, effort: Effort) -> Regularizer:
    try:
        effort.begin("R by the structure of the noise")
        if vanishing(derivation).issuperset(derivation.regularizing):
            return VANISHING
        by_structure = _by_structure(derivation)
        if by_structure is not None:
            return by_structure
        form = RegularizationForm.of(derivation)
        if all(entry.is_zero for entry in form.field.entries):
            return VANISHING
        return _Decision(derivation, form, effort).decide()
    except BudgetSpent as spent:
        along = (
            f"{_along_arcs(derivation)}. Here " if derivation.problem.dimension - derivation.codimension == 1 else ""
        )
        raise BudgetSpent(
            f"{along}a regularizer was neither found nor excluded within {effort.seconds:g} s of processor time: {spent}. To go "
            "on, give it more: sde.find_regularizer(seconds=…)"
        ) from spent


def _by_structure(derivation: Derivation) -> Regularizer | None:
    if "mixed_regularization" not in derivation.zeros:
        return None
    if isinstance(derivation.response, ReshuffledResponse):
        of_epochs = potential_of_epochs(derivation, derivation.response)
        return None if of_epochs is None else Regularizer(*of_epochs)
    if isinstance(derivation.optimizer, SharpnessDescent):
        return Regularizer(
            sharpness_potential(derivation, derivation.optimizer), "R is a function of the largest curvature λ₁"
        )
    metric = derivation.optimizer.metric(derivation.problem)
    if metric is not None and metric.free_symbols & set(derivation.problem.parameters):
        return None  # F″ then holds the derivatives of S
    if not derivation.response.is_lyapunov:
        found = spectral_potential(derivation)
        return None if found is None else Regularizer(*found)
    spectrum, hessian = Spectrum.of(derivation), "∇²L" if metric is None else "S∇²L"
    if derivation.proportion is not None:
        return Regularizer(derivation.proportion / 4 * spectrum.trace(), f"R = (c/4) tr {hessian}")
    if derivation.isotropy is not None:
        return Regularizer(derivation.isotropy / 4 * sp.log(spectrum.volume()), f"R = (s²/4) ln|{hessian}|₊")
    return None


class _Decision:
    """The decision for a noise without structure."""

    def __init__(self, derivation: Derivation, form: RegularizationForm, effort: Effort):
        self.effort = effort
        self.effort.begin("points of Γ, from near and far")
        self.derivation = derivation
        self.form = form
        self.rng = np.random.default_rng(SEED)
        self.manifold = FloatManifold(derivation)
        self.tracer = CurveTracer(self.manifold, form, effort)
        self.bases = self.manifold.bases(self.rng)
        self.closed: list[Loop] = []
        self.unproved: Potential | None = None

    def decide(self) -> Regularizer:
        self.effort.begin("whether the regularization vanishes on Γ")
        if self._seems_to_vanish():
            if self._vanishes_on_component():
                return Regularizer(
                    sp.S.Zero, "the regularization vanishes on the part of Γ on which its points were found"
                )
            raise self._undecided(
                f"the regularization is zero to 50 digits at all of the {len(self.derivation.points) + FAR_POINTS} points of Γ that "
                "were looked at, but that it vanishes on all of Γ was not proved"
            )
        search = PotentialSearch(self.form, self.manifold, self.bases, self.rng, self.effort)
        natural = self._by_hessian(search) if self.form.is_analytic else None
        if natural is not None:
            return natural
        self.effort.begin("the integrals round closed curves" if self.manifold.dimension == 1 else "the curl on Γ")
        none = self._by_curves() if self.manifold.dimension == 1 else self._by_curl()
        if none is not None:
            return none
        # The quicker road first; what holds on one side of a kink need not hold on the other.
        roads = (
            [search.by_ansatz, self._by_planes, search.by_integration] if self.form.is_analytic else [self._by_planes]
        )
        for road in roads:
            found = road()
            if isinstance(found, Potential):
                found = self._accepted(found)
            if found is not None:
                return found
        self.effort.finish()
        if self.unproved is not None:
            raise self._undecided(
                f"R = {self.unproved.expression} was found: to 50 digits, {regularization_words(self.derivation)} are "
                f"−∂Φ{self._by_metric}∇R at "
                f"all of {self.unproved.points} points of Γ that were looked at, but that it is so on all of Γ was not proved"
            )
        raise self._undecided(f"{self._known()}, but no closed form of it was found; {self.effort.words()}")

    @property
    def _by_metric(self) -> str:
        return "S_P" if self.derivation.optimizer.in_metric else ""

    def _by_hessian(self, search: PotentialSearch) -> Regularizer | None:
        """A multiple of tr ∇²L or of ln|∇²L|₊, whatever their size."""
        self.effort.begin("R as a multiple of tr ∇²L or of ln|∇²L|₊")
        spectrum = Spectrum.of(self.derivation)
        for quantity in (spectrum.trace, lambda: sp.log(spectrum.volume())):
            with suppress(ExpressionTooLarge):
                found = search.multiple(quantity())
                accepted = None if found is None else self._accepted(found)
                if accepted is not None:
                    return accepted
        return None

    def _accepted(self, found: Potential) -> Regularizer | None:
        """R, if it is proved; what was only looked at is kept for the last word."""
        if found.proved:
            return Regularizer(found.expression, "proved modulo the equations of Γ")
        self.unproved = self.unproved or found
        return None

    def _undecided(self, words: str) -> Undecided:
        if self.manifold.dimension == 1:
            return NoRegularizerFormula(f"{_along_arcs(self.derivation)}. Here {words}")
        return Undecided(words)

    def _seems_to_vanish(self) -> bool:
        """Whether the regularization is zero at the points of the derivation, and then also far from them."""
        if not self.form.vanishes(map(PrecisePoint, self.derivation.points)):
            return False
        return self.form.vanishes(
            self.manifold.sharpened(self.manifold.scatter(self.bases, FAR_POINTS, self.rng).points)
        )

    def _vanishes_on_component(self) -> bool:
        graph = self.form.graph
        known = sums_on_component(
            self.derivation.problem, self.manifold.landscape, self._fresh_points(), self.derivation.codimension
        )
        with suppress(ZeroDivisionError):
            field = self.form.field.replace({from_sympy(e, graph): from_sympy(v, graph) for e, v in known.items()})
            if all(entry.is_zero for entry in field.entries):
                return True
        equations = component_equations(self.derivation.equations.on(graph)["equations"].entries, self._fresh_points())
        return all(zero_on(equations, self.form.field.entries))

    def _fresh_points(self) -> list[PrecisePoint]:
        """The points of the derivation, without values of another graph."""
        return [PrecisePoint(p) for p in self.derivation.points]

    def _known(self) -> str:
        if self.manifold.dimension > 1:
            return (
                "a regularizer was neither found nor excluded: the regularization is closed as a 1-form at every point of Γ "
                "examined"
            )
        if self.closed:
            return (
                "a component of Γ closes, and R exists on all of it as far as numbers tell (the integral of the regularization round it is "
                f"{self.closed[0].integral:.1g} ± {self.closed[0].error:.1g})"
            )
        return "Γ was not seen to close (round a closed curve the integral would have to vanish)"

    def _by_curl(self) -> Regularizer | None:
        further = self.manifold.scatter(self.bases, PROBED, self.rng).points
        points = [*(PrecisePoint(p) for p in self.derivation.points), *self.manifold.sharpened(further)]
        symbols = self.derivation.problem.symbols
        within = self.manifold.is_stable(np.array([point.floats(symbols) for point in points]))
        curl = self.form.curl([point for point, holds in zip(points, within, strict=True) if holds], self.effort)
        if curl is None:
            return None
        size = mp.nstr(curl.size, 6)  # which float64 need not hold
        words = f"the regularization is no gradient: its curl on Γ is {size} at {curl.point.describe(symbols)}"
        return Regularizer(None, words, curl=float(curl.size), where=curl.point.assignment)

    def _by_curves(self) -> Regularizer | None:
        cuts = np.zeros((0, self.derivation.problem.dimension))
        for start in self.bases.points:
            if len(self.closed) < CURVES and not any(loop.passes(start) for loop in self.closed):
                loop, _ = self.tracer.loop(start, cuts, SEGMENTS)
                if loop is None:
                    break
                if loop.turns and self.tracer.confirmed(loop, cuts, SEGMENTS):
                    return self._turning(loop, cuts)
                self.closed.append(loop)
        return None

    def _by_planes(self) -> Regularizer | None:
        if self.manifold.dimension == 1:
            return None
        self.effort.begin("integrals round closed curves in which planes cut Γ")
        for start in self.bases.points[:2]:
            for cuts in islice(self._planes(), PLANES):
                loop, _ = self.tracer.loop(start, cuts, PLANE_SEGMENTS)
                if loop is not None and loop.turns and self.tracer.confirmed(loop, cuts, PLANE_SEGMENTS):
                    return self._turning(loop, cuts)
        return None

    def _planes(self) -> Iterator[np.ndarray]:
        """Coordinate planes, then random ones: rows A with A(x − x₀) = 0."""
        d, count = self.derivation.problem.dimension, self.manifold.dimension - 1
        for fixed in islice(combinations(range(d), count), 3 * PLANES // 4):
            yield np.eye(d)[list(fixed)]
        while True:
            yield np.linalg.qr(self.rng.standard_normal((d, count)))[0].T

    def _turning(self, loop: Loop, cuts: np.ndarray) -> Regularizer:
        point = dict(zip(self.derivation.problem.symbols, loop.start.tolist(), strict=True))
        words = (
            f"the integral of the regularization round a closed curve on Γ is {abs(loop.integral):.12g} (± {loop.error:.1g}), "
            f"not zero: the curve of length {loop.length:.6g} through {PrecisePoint(point).describe(self.derivation.problem.symbols)}"
        )
        planes = tuple(map(tuple, cuts.tolist()))
        return Regularizer(None, words, None, abs(float(loop.integral)), float(loop.error), point, planes)
